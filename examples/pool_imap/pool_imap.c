// Results one by one, of an input that never ends: no more of it is read than fits into the window.
#include <stdio.h>

#include "core/error.h"
#include "ipc/work/map.h"

struct job {
  int n, result;
};
SHOAL_TASK(square, struct job) {
  arg->result = arg->n * arg->n;
  return 0;
}

static int natural_numbers(void *arg, void *item) {
  int *next = arg;
  *(struct job *)item = (struct job){(*next)++, 0};
  return 1;
}

static int run(struct shoal_executor *ex) {
  struct shoal_imap_options window = {.window = 8};
  struct shoal_imap *it;
  struct job job;
  int input = 0, rc = SHOAL_IMAP(ex, square, natural_numbers, &input, &window, &it);
  if (rc) return rc;
  for (int i = 0; rc == 0 && i < 10; i++) {
    rc = shoal_imap_next(it, &job, sizeof job, NULL, shoal_after_s(60));
    if (rc == 0) printf("%d\n", job.result);
  }
  if (rc == 0) printf("%s numbers were read\n", input <= 10 + 8 ? "no more than 18" : "too many");
  shoal_imap_end(it);
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
