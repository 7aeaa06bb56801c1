// The same work one after the other, and by an executor, whose futures are taken as they complete. Times go to stderr.
#include <inttypes.h>
#include <stdio.h>

#include "core/error.h"
#include "ipc/work/future.h"

#define ITEMS 10u
#define COUNT 200000

struct item {
  int64_t number, result;
};
static int64_t count(int64_t number) {
  volatile int64_t i = 0;
  while (i < COUNT) i++;
  return i * number;
}
SHOAL_TASK(evaluate, struct item) {
  arg->result = count(arg->number);
  return 0;
}

static int64_t sequential(void) {
  int64_t sum = 0;
  for (int64_t n = 1; n <= ITEMS; n++) {
    int64_t result = count(n);
    printf("%" PRId64 "\n", result);
    sum += result;
  }
  return sum;
}

static int as_completed(struct shoal_executor *ex, int64_t *sum) {
  struct shoal_future f[ITEMS];
  struct shoal_completed c;
  struct item item;
  unsigned submitted = 0, i;
  int rc = 0;
  for (; rc == 0 && submitted < ITEMS; submitted += rc == 0)
    rc = SHOAL_SUBMIT(ex, evaluate, (&(struct item){submitted + 1, 0}), &f[submitted]);
  if (rc == 0) rc = shoal_completed_begin(&c, f, ITEMS);
  if (rc) return rc;
  while ((rc = shoal_completed_next(&c, &i, SHOAL_FOREVER)) == 0) {
    rc = shoal_future_get(&f[i], &item, sizeof item, NULL, SHOAL_TRY);
    if (rc == 0) rc = shoal_future_release(&f[i]);
    if (rc) break;
    *sum += item.result;
  }
  shoal_completed_end(&c);
  return rc == -ENOENT ? 0 : rc;
}

static int run(struct shoal_executor *ex) {
  int64_t sum = 0, start = shoal_now_ns(), one = sequential(), between = shoal_now_ns();
  int rc = as_completed(ex, &sum);
  fprintf(stderr, "sequential %.3f s, executor %.3f s\n", (double)(between - start) / 1e9,
          (double)(shoal_now_ns() - between) / 1e9);
  if (rc == 0) printf("The sums %s: %" PRId64 "\n", sum == one ? "agree" : "differ", sum);
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
