// The same work one after the other, by threads, and by processes, whose futures are taken as they complete. Times go
// to stderr.
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

static int run(struct shoal_executor *threads, struct shoal_executor *processes) {
  int64_t sums[2] = {0, 0}, times[4] = {shoal_now_ns()}, one = sequential();
  times[1] = shoal_now_ns();
  int rc = as_completed(threads, &sums[0]);
  times[2] = shoal_now_ns();
  if (rc == 0) rc = as_completed(processes, &sums[1]);
  times[3] = shoal_now_ns();
  fprintf(stderr, "sequential %.3f s, threads %.3f s, processes %.3f s\n", (double)(times[1] - times[0]) / 1e9,
          (double)(times[2] - times[1]) / 1e9, (double)(times[3] - times[2]) / 1e9);
  if (rc == 0) printf("The sums %s: %" PRId64 "\n", sums[0] == one && sums[1] == one ? "agree" : "differ", sums[0]);
  return rc;
}

int main(void) {
  struct shoal_segment *seg = NULL;
  struct shoal_executor *threads = NULL, *processes = NULL;
  struct shoal_executor_options o = {.workers = 4};
  int rc = shoal_segment_create(NULL, NULL, &seg);
  if (rc == 0) rc = shoal_executor_create(seg, NULL, &o, &processes);  // first: it forks
  o.threads = 1;
  if (rc == 0) rc = shoal_executor_create(seg, NULL, &o, &threads);
  if (rc == 0) rc = run(threads, processes);
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  if (threads) shoal_executor_detach(threads);
  if (processes) shoal_executor_detach(processes);
  if (seg) shoal_segment_close(seg);
  return rc != 0;
}
