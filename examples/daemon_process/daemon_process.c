// A background process ends with its parent, the other is waited for. The background one would say "Exiting" when its
// pipe has something to read, which never comes: that it is gone is told by the end of the pipe it alone holds.
#include <stdio.h>
#include <unistd.h>

#include "core/error.h"
#include "ipc/work/process.h"

static int held[2], never[2];  // the background process holds the first, and reads from the second

static int background(void *arg) {
  char byte;
  if (read(never[0], &byte, 1) != 1) return 1;
  printf("Exiting %s\n", shoal_process_current_name());
  return arg != NULL;
}

static int foo(void *arg) {
  printf("Starting %s\n", shoal_process_current_name());
  printf("Exiting %s\n", shoal_process_current_name());
  return arg != NULL;
}

// The program: starts both, waits for the one that is no daemon, and ends.
static int program(void *arg) {
  struct shoal_process daemon, other;
  int rc = shoal_process_start(&daemon, background, arg,
                               &(struct shoal_process_options){.name = "background_process", .daemon = 1});
  close(held[1]);
  if (rc == 0)
    rc = shoal_process_start(&other, foo, arg, &(struct shoal_process_options){.name = "NO_background_process"});
  if (rc == 0) rc = shoal_process_join(&other, SHOAL_FOREVER);
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  return rc != 0;
}

int main(void) {
  struct shoal_process p;
  char byte;
  if (pipe(held) || pipe(never)) return 1;
  int code = 1, rc = shoal_process_start(&p, program, NULL, NULL);
  close(held[1]);
  if (rc == 0) rc = shoal_process_join(&p, SHOAL_FOREVER);
  if (rc == 0) rc = shoal_process_exitcode(&p, &code);
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  if (rc || code) return 1;
  shoal_process_close(&p);
  return read(held[0], &byte, 1) != 0;
}
