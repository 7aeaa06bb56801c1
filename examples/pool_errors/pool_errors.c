// A task that fails, and one that kills its worker, are failures of their own: which task, which code, what words,
// which signal.
#include <signal.h>
#include <stdio.h>

#include "core/error.h"
#include "ipc/work/future.h"

struct division {
  int a, b, result;
};
SHOAL_TASK(divide, struct division) {
  if (arg->b == 0) return shoal_task_fail(-EDOM, "%d by zero", arg->a);
  if (arg->b < 0) raise(SIGKILL);
  arg->result = arg->a / arg->b;
  return 0;
}

static int run(struct shoal_executor *ex) {
  static const int by[] = {2, 0, -1, 5};
  for (int i = 0; i < 4; i++) {
    struct division d = {10, by[i], 0};
    struct shoal_failure failure;
    int rc = SHOAL_APPLY(ex, divide, &d, &failure, SHOAL_FOREVER);
    if (rc == 0) printf("10 / %d = %d\n", d.b, d.result);
    else if (rc != -EREMOTEIO) return rc;
    else if (failure.code == -EDOM) printf("%s failed: %s\n", failure.task, failure.message);
    else if (failure.code == -ENOTRECOVERABLE) printf("%s killed its worker: %s\n", failure.task, failure.message);
  }
  return 0;
}

int main(void) {
  struct shoal_segment *seg = NULL;
  struct shoal_executor *ex = NULL;
  int rc = shoal_segment_create(NULL, NULL, &seg);
  if (rc == 0) rc = shoal_executor_create(seg, NULL, &(struct shoal_executor_options){.workers = 4}, &ex);
  if (rc == 0) rc = run(ex);
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  if (ex) shoal_executor_detach(ex);
  if (seg) shoal_segment_close(seg);
  return rc != 0;
}
