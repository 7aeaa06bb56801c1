// A sum that takes a processor's time: by one process, then by two, each its half. Run with an argument it prints the
// times.
#include <stdio.h>
#include <stdlib.h>

#include "core/directory.h"
#include "core/error.h"
#include "ipc/work/process.h"
#include "ipc/work/processors.h"
#include "ipc/work/task.h"

#define NUMBERS UINT64_C(8000000)

struct part {
  uint64_t from, to, sum;
};

// By a step that no compiler takes for all at once.
SHOAL_TASK(add_up, struct part) {
  uint64_t x = arg->from;
  for (uint64_t i = arg->from; i < arg->to; i++) {
    x = i * UINT64_C(6364136223846793005) + 1442695040888963407;
    arg->sum += x >> 60;
  }
  return 0;
}

// The parts lie in the segment: the children leave their sums there.
static int by(unsigned n, const struct shoal_context *context, struct part *parts, uint64_t *sum, double *seconds) {
  const struct shoal_process_options options = {.context = context};
  struct shoal_process p[2];
  int64_t start = shoal_now_ns();
  int rc = 0, code = 0;
  unsigned started = 0;
  for (; started < n && rc == 0; started += rc == 0) {
    parts[started] = (struct part){NUMBERS / n * started, NUMBERS / n * (started + 1), 0};
    rc = shoal_process_start_task(&p[started], "add_up", &parts[started], sizeof *parts, &options);
  }
  *sum = 0;
  for (unsigned i = 0; i < started; i++) {
    int ended = shoal_process_join(&p[i], SHOAL_FOREVER);
    if (ended == 0) ended = shoal_process_exitcode(&p[i], &code);
    if (rc == 0) rc = ended ? ended : code ? -EPIPE : 0;
    *sum += parts[i].sum;
    shoal_process_close(&p[i]);
  }
  *seconds = (double)(shoal_now_ns() - start) / 1e9;
  return rc;
}

int main(int argc, char **argv) {
  struct shoal_segment *seg;
  struct shoal_object object;
  uint64_t sum[2];
  double seconds[2];
  int rc = shoal_segment_create(NULL, NULL, &seg);
  if (rc == 0) rc = shoal_object_create(seg, NULL, "parts", 2 * sizeof(struct part), NULL, NULL, &object);
  const struct shoal_context context = {.method = SHOAL_START_STARTER, .segment = rc ? NULL : seg};
  if (rc == 0) rc = shoal_starter_make();
  for (unsigned n = 1; n <= 2 && rc == 0; n++) rc = by(n, &context, object.memory, &sum[n - 1], &seconds[n - 1]);
  if (rc == 0) rc = shoal_starter_end();
  if (rc == 0) rc = shoal_segment_close(seg);
  if (rc) {
    fprintf(stderr, "%s: %s: %s\n", argv[0], shoal_strerror(rc), shoal_reason());
    return EXIT_FAILURE;
  }
  printf("one process: %llu\ntwo processes: %llu\n", (unsigned long long)sum[0], (unsigned long long)sum[1]);
  if (argc > 1) printf("%.3f s, %.3f s on %d processors\n", seconds[0], seconds[1], shoal_cpu_count());
  return sum[0] == sum[1] ? EXIT_SUCCESS : EXIT_FAILURE;
}
