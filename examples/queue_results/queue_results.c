// Processes put what they have worked out into a queue, and end; then their parent gets it. A put is in the queue when
// it returns, so nobody's end waits for a reader, and nothing is lost with it.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/error.h"
#include "ipc/queue/queue.h"
#include "ipc/work/process.h"

struct result {
  uint32_t whose, reserved;
  union {
    double number;
    int64_t sum;
  };
};
SHOAL_QUEUE_TYPED(results, struct result)

#define WORKERS 4u

struct work {
  struct shoal_queue *q;
  uint32_t whose;
};

static int random_number(void *arg) {
  const struct work *w = arg;
  unsigned short seed[3] = {1, 2, (unsigned short)w->whose};
  return results_put(w->q, &(struct result){.whose = w->whose, .number = erand48(seed)}, SHOAL_FOREVER);
}
static int sum(void *arg) {
  const struct work *w = arg;
  struct result r = {.whose = w->whose};
  for (int64_t i = 0; i < 1000; i++) r.sum += i + i * i + i * i * i;
  return results_put(w->q, &r, SHOAL_FOREVER);
}

// `n` processes do it; what they have put stands in `out`, each at its own place.
static int work_together(struct shoal_queue *q, int (*work)(void *), uint32_t n, struct result *out) {
  struct shoal_process process[WORKERS];
  struct result r;
  uint32_t started = 0;
  int rc = 0;
  for (; started < n && rc == 0; started += rc == 0)
    rc = shoal_process_start(&process[started], work, &(struct work){q, started}, NULL);
  for (uint32_t i = 0; i < started; i++) {
    int joined = shoal_process_join(&process[i], SHOAL_FOREVER);
    if (rc == 0) rc = joined;
    shoal_process_close(&process[i]);
  }
  for (uint32_t i = 0; i < n && rc == 0; i++) {
    rc = results_get(q, &r, SHOAL_TRY);  // it is there: all have ended
    if (rc == 0) out[r.whose] = r;
  }
  return rc;
}

static int run(struct shoal_queue *q) {
  struct result r[WORKERS] = {{0}};
  int rc = work_together(q, random_number, WORKERS, r);
  for (uint32_t i = 0; rc == 0 && i < WORKERS; i++) printf("%s%.6f", i ? ", " : "[", r[i].number);
  if (rc == 0) puts("]");
  if (rc == 0) rc = work_together(q, sum, 2, r);
  if (rc == 0) printf("%" PRId64 "\n%" PRId64 "\n%" PRId64 "\n", r[0].sum, r[1].sum, r[0].sum + r[1].sum);
  return rc;
}

int main(void) {
  struct shoal_segment *seg = NULL;
  struct shoal_queue *q;
  int rc = shoal_segment_create(NULL, NULL, &seg);
  if (rc == 0) rc = results_create(seg, "results", &(struct shoal_queue_options){.capacity = WORKERS}, &q);
  if (rc == 0) rc = run(q);
  if (rc == 0) rc = shoal_queue_detach(q);
  if (seg) shoal_segment_close(seg);
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  return rc != 0;
}
