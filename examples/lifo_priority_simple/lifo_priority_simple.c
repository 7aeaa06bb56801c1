// Three queues that differ in what comes next: the last put, the smallest, the first put, without a limit.
#include <stdio.h>

#include "core/error.h"
#include "ipc/queue/queue.h"

struct job {
  int priority;
  char what[12];
};
SHOAL_QUEUE_TYPED(numbers, int)
SHOAL_PRIORITY_TYPED(jobs, struct job, priority)

// Puts 0, 1, 2 and prints what comes out.
static int in_and_out(struct shoal_queue *q) {
  int rc = 0, number;
  for (int i = 0; i < 3 && rc == 0; i++) rc = numbers_put(q, &i, SHOAL_FOREVER);
  for (int i = 0; i < 3 && rc == 0; i++) {
    rc = numbers_get(q, &number, SHOAL_FOREVER);
    if (rc == 0) printf("%d\n", number);
  }
  return rc;
}
static int of_numbers(struct shoal_segment *seg, const char *name, struct shoal_queue_options options) {
  struct shoal_queue *q;
  int rc = numbers_create(seg, name, &options, &q);
  if (rc) return rc;
  rc = in_and_out(q);
  shoal_queue_detach(q);
  return rc;
}

static int by_priority(struct shoal_segment *seg) {
  static const struct job put[] = {{2, "-"}, {3, "100"}, {1, "python"}};
  struct shoal_queue *q;
  struct job job;
  int rc = jobs_create(seg, "priority", &(struct shoal_queue_options){.capacity = 16}, &q);
  if (rc) return rc;
  for (int i = 0; i < 3 && rc == 0; i++) rc = jobs_put(q, &put[i], SHOAL_FOREVER);
  for (int i = 0; i < 3 && rc == 0; i++) {
    rc = jobs_get(q, &job, SHOAL_FOREVER);
    if (rc == 0) printf("(%d, '%s')\n", job.priority, job.what);
  }
  shoal_queue_detach(q);
  return rc;
}

int main(void) {
  struct shoal_segment *seg;
  int rc = shoal_segment_create(NULL, NULL, &seg);
  if (rc == 0) {
    rc = of_numbers(seg, "lifo", (struct shoal_queue_options){.capacity = 16, .kind = SHOAL_QUEUE_LIFO});
    if (rc == 0) rc = by_priority(seg);
    if (rc == 0) rc = of_numbers(seg, "simple", (struct shoal_queue_options){.capacity = 2, .grow = 1});
    shoal_segment_close(seg);
  }
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  return rc != 0;
}
