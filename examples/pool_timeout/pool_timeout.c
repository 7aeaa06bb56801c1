// Who waits for a result need not wait for ever; what takes too long is cancelled by force, and the pool goes on.
#include <stdio.h>
#include <unistd.h>

#include "core/error.h"
#include "ipc/work/future.h"

struct job {
  int n, result;
};
SHOAL_TASK(square, struct job) {
  arg->result = arg->n * arg->n;
  return 0;
}
SHOAL_TASK(rest, struct job) {
  sleep((unsigned)arg->n);
  return 0;
}

static int run(struct shoal_executor *ex) {
  struct job ten = {10, 0}, long_sleep = {1000, 0};
  struct shoal_future f;
  int rc = SHOAL_APPLY(ex, square, &ten, NULL, shoal_after_s(60));
  if (rc == 0) printf("%d\n", ten.result);
  if (rc == 0) rc = SHOAL_SUBMIT(ex, rest, &long_sleep, &f);
  if (rc) return rc;
  rc = shoal_future_get(&f, NULL, 0, NULL, shoal_after_ms(100));
  printf("%s\n", shoal_strerror(rc));
  if (rc != -ETIMEDOUT) return rc;
  rc = shoal_future_cancel(&f, SHOAL_FORCE);
  if (rc) return rc;
  rc = shoal_future_get(&f, NULL, 0, NULL, SHOAL_FOREVER);
  printf("%s\n", shoal_strerror(rc));
  if (rc != -ECANCELED) return rc;
  return shoal_future_release(&f);
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
