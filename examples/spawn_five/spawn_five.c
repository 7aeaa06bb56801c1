// Five processes, one after the other: each a fresh image of this program, which finds the task by its name.
#include <stdio.h>

#include "core/error.h"
#include "ipc/work/process.h"
#include "ipc/work/task.h"

struct number {
  int i;
};
SHOAL_TASK(foo, struct number) { return printf("called function in process: %d\n", arg->i) < 0; }

static int call(int i) {
  const struct shoal_context spawn = {.method = SHOAL_START_SPAWN};
  const struct shoal_process_options options = {.context = &spawn};
  struct shoal_process p;
  int rc = shoal_process_start_task(&p, "foo", &(struct number){i}, sizeof(struct number), &options);
  if (rc) return rc;
  rc = shoal_process_join(&p, SHOAL_FOREVER);
  return rc ? rc : shoal_process_close(&p);
}

int main(void) {
  int rc = 0;
  for (int i = 0; i < 5 && rc == 0; i++) rc = call(i);
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  return rc != 0;
}
