// Tasks are submitted without waiting; each future is asked for its result when all have been.
#include <stdio.h>

#include "core/error.h"
#include "ipc/work/future.h"

struct job {
  int n, result;
};
SHOAL_TASK(less_one, struct job) {
  arg->result = arg->n - 1;
  return 0;
}
SHOAL_TASK(square, struct job) {
  arg->result = arg->n * arg->n;
  return 0;
}

static int result_of(const struct shoal_future *f, int *result) {
  struct job job;
  int rc = shoal_future_get(f, &job, sizeof job, NULL, shoal_after_s(60));
  if (rc == 0) rc = shoal_future_release(f);
  if (rc == 0) *result = job.result;
  return rc;
}

static int run(struct shoal_executor *ex) {
  struct shoal_future six[6], ten[10];
  int rc = 0, result = 0;
  for (int i = 0; rc == 0 && i < 6; i++) rc = SHOAL_SUBMIT(ex, less_one, (&(struct job){10, 0}), &six[i]);
  for (int i = 0; rc == 0 && i < 6; i++) {
    rc = result_of(&six[i], &result);
    printf("%s%d", i ? ", " : "[", result);
  }
  puts("]");
  for (int i = 0; rc == 0 && i < 10; i++) {
    rc = SHOAL_SUBMIT(ex, square, (&(struct job){i, 0}), &ten[i]);
    printf("------ %d\n", i);
  }
  if (rc == 0) rc = shoal_executor_shutdown(ex, 0, SHOAL_FOREVER);
  for (int i = 0; rc == 0 && i < 10; i++) {
    rc = result_of(&ten[i], &result);
    printf("result %d\n", result);
  }
  return rc;
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
