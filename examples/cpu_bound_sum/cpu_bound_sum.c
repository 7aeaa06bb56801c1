// Two sums that take a processor's time: by one process, one after the other, then by two. Run with an argument it
// prints the times.
#include <stdio.h>
#include <stdlib.h>

#include "core/directory.h"
#include "core/error.h"
#include "ipc/work/process.h"
#include "ipc/work/processors.h"
#include "ipc/work/task.h"

#define SUMS 2u
#define TOTAL UINT64_C(100000000)

struct work {
  uint64_t total, times, sums[SUMS];
};

SHOAL_TASK(run, struct work) {
  for (uint64_t t = 0; t < arg->times; t++) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < arg->total; i++) {
      sum += i;
      __asm__ volatile("" : "+r"(sum));  // compilers know what comes out of it
    }
    arg->sums[t] = sum;
  }
  return 0;
}

// The work lies in the segment: the children leave their sums there.
static int by(unsigned n, const struct shoal_context *context, struct work *work, uint64_t *sums, double *seconds) {
  const struct shoal_process_options options = {.context = context};
  struct shoal_process p[SUMS];
  int64_t start = shoal_now_ns();
  int rc = 0, code = 0;
  unsigned started = 0, times = SUMS / n;
  for (; started < n && rc == 0; started += rc == 0) {
    work[started] = (struct work){.total = TOTAL, .times = times};
    rc = shoal_process_start_task(&p[started], "run", &work[started], sizeof *work, &options);
  }
  for (unsigned i = 0; i < started; i++) {
    int ended = shoal_process_join(&p[i], SHOAL_FOREVER);
    if (ended == 0) ended = shoal_process_exitcode(&p[i], &code);
    if (rc == 0) rc = ended ? ended : code ? -EPIPE : 0;
    for (unsigned t = 0; t < times; t++) sums[i * times + t] = work[i].sums[t];
    shoal_process_close(&p[i]);
  }
  *seconds = (double)(shoal_now_ns() - start) / 1e9;
  return rc;
}

static void print(const char *who, const uint64_t *sums) {
  printf("%s:\n", who);
  for (unsigned i = 0; i < SUMS; i++) printf("%llu\n", (unsigned long long)sums[i]);
}

int main(int argc, char **argv) {
  struct shoal_segment *seg;
  struct shoal_object object;
  uint64_t sums[2][SUMS];
  double seconds[2];
  int rc = shoal_segment_create(NULL, NULL, &seg);
  if (rc == 0) rc = shoal_object_create(seg, NULL, "work", SUMS * sizeof(struct work), NULL, NULL, &object);
  const struct shoal_context context = {.method = SHOAL_START_STARTER, .segment = rc ? NULL : seg};
  if (rc == 0) rc = shoal_starter_make();
  for (unsigned n = 1; n <= 2 && rc == 0; n++) rc = by(n, &context, object.memory, sums[n - 1], &seconds[n - 1]);
  if (rc == 0) rc = shoal_starter_end();
  if (rc == 0) rc = shoal_segment_close(seg);
  if (rc) {
    fprintf(stderr, "%s: %s: %s\n", argv[0], shoal_strerror(rc), shoal_reason());
    return EXIT_FAILURE;
  }
  print("one process", sums[0]);
  print("two processes", sums[1]);
  if (argc > 1) printf("%.3f s, %.3f s on %d processors\n", seconds[0], seconds[1], shoal_cpu_count());
  return EXIT_SUCCESS;
}
