// Who is whose child.
#include <stdio.h>
#include <unistd.h>

#include "core/error.h"
#include "ipc/work/process.h"

static int child(void *arg) {
  return printf("I am child process (%d) and my parent is %d.\n", (int)getpid(), (int)getppid()) < 0 ||
         getppid() != shoal_process_parent_pid() || arg != NULL;
}

// The child's line comes after the parent's.
static int wait_and_tell(void *arg) {
  char byte;
  return read(*(int *)arg, &byte, 1) != 1 || child(NULL);
}

int main(void) {
  struct shoal_process p;
  int gate[2], code = 1;
  if (pipe(gate)) return 1;
  printf("Process (%d) start...\n", (int)getpid());
  int rc = shoal_process_start(&p, wait_and_tell, &gate[0], NULL);
  if (rc == 0) {
    printf("I (%d) just created a child process (%d).\n", (int)getpid(), (int)p.pid);
    fflush(stdout);
    if (write(gate[1], "g", 1) != 1) rc = -EPIPE;
  }
  if (rc == 0) rc = shoal_process_join(&p, SHOAL_FOREVER);
  if (rc == 0) rc = shoal_process_exitcode(&p, &code);
  if (rc == 0) rc = shoal_process_close(&p);
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  return rc || code;
}
