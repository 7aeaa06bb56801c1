#include "bench/twin.h"

#include <stdlib.h>

#include "ipc/queue/queue.h"
#include "sync/lock.h"

struct made {
  struct shoal_segment *seg;
  struct shoal_lock *lock;
  struct shoal_queue *q;
};

static void end(void *of) {
  struct made *m = of;
  if (m->q) (void)shoal_queue_detach(m->q);
  if (m->lock) (void)shoal_lock_close(m->seg, m->lock);
  if (m->seg) (void)shoal_segment_close(m->seg);
  free(m);
}

static void *make(void) {
  static const struct shoal_queue_options numbers = {.capacity = 64, .element_size = 8};
  struct made *m = calloc(1, sizeof *m);
  uint64_t number = 0;
  if (!m) return NULL;
  if (shoal_segment_create(NULL, NULL, &m->seg) == 0 && shoal_lock_create(m->seg, "lock", &m->lock) == 0 &&
      shoal_queue_create(m->seg, "queue", &numbers, &m->q) == 0 && shoal_queue_put(m->q, &number, SHOAL_TRY) == 0 &&
      shoal_queue_get(m->q, &number, SHOAL_TRY) == 0)
    return m;
  end(m);
  return NULL;
}

static int lock_pairs(void *of, uint64_t n) {
  struct made *m = of;
  int rc = 0;
  while (rc == 0 && n--) {
    rc = shoal_lock_acquire(m->lock, SHOAL_FOREVER);
    if (rc == 0) rc = shoal_lock_release(m->lock);
  }
  return rc;
}
static int queue_pairs(void *of, uint64_t n) {
  struct made *m = of;
  int rc = 0;
  for (uint64_t got; rc == 0 && n--;) {
    rc = shoal_queue_put(m->q, &n, SHOAL_FOREVER);
    if (rc == 0) rc = shoal_queue_get(m->q, &got, SHOAL_FOREVER);
    if (rc == 0 && got != n) rc = -1;
  }
  return rc;
}

const struct twin TWIN = {make, lock_pairs, queue_pairs, end};
