// A background process ends with its parent, the other is waited for. The background one would say "Exiting" when its
// pipe has something to read, which never comes: that it is gone is told by the end of the pipe it alone holds.
#include <stdio.h>
#include <unistd.h>

#include "core/error.h"
#include "ipc/work/process.h"
#include "ipc/work/task.h"

struct pipes {
  int held[2], never[2];  // the background process holds the first, and reads from the second
};

static int background(void *arg) {
  const struct pipes *p = arg;
  char byte;
  if (read(p->never[0], &byte, 1) != 1) return 1;
  return printf("Exiting %s\n", shoal_process_current_name()) < 0;
}

static int foo(void *arg) {
  printf("Starting %s\n", shoal_process_current_name());
  printf("Exiting %s\n", shoal_process_current_name());
  return arg != NULL;
}

// The program: starts both, waits for the one that is no daemon, and ends.
SHOAL_TASK(program, struct pipes) {
  const struct shoal_process_options daemon = {.name = "background_process", .daemon = 1};
  const struct shoal_process_options other = {.name = "NO_background_process"};
  struct shoal_process p[2];
  int rc = shoal_process_start(&p[0], background, arg, &daemon);
  close(arg->held[1]);
  if (rc == 0) rc = shoal_process_start(&p[1], foo, NULL, &other);
  if (rc == 0) rc = shoal_process_join(&p[1], SHOAL_FOREVER);
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  return rc != 0;
}

int main(void) {
  const struct shoal_context spawn = {.method = SHOAL_START_SPAWN};
  const struct shoal_process_options options = {.context = &spawn};
  struct shoal_process p;
  struct pipes pipes;
  char byte;
  if (pipe(pipes.held) || pipe(pipes.never)) return 1;
  int code = 1, rc = shoal_process_start_task(&p, "program", &pipes, sizeof pipes, &options);
  close(pipes.held[1]);
  if (rc == 0) rc = shoal_process_join(&p, SHOAL_FOREVER);
  if (rc == 0) rc = shoal_process_exitcode(&p, &code);
  if (rc == 0) rc = shoal_process_close(&p);
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  return rc || code || read(pipes.held[0], &byte, 1) != 0;
}
