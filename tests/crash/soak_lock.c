// tests/crash/soak_lock.c: two locks, each over a pair of numbers that are equal whenever nobody is inside.
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "sync/lock.h"
#include "tests/crash/soak.h"

static struct guarded {
  struct shoal_lock lock;
  volatile uint64_t a, b;
  volatile uint32_t inside, told;
} SHOAL_ALIGNED(64) * pair;

static void begin(void) {
  if (!pair) pair = soak_shared(4096);
  memset(pair, 0, 2 * sizeof *pair);
  for (int i = 0; i < 2; i++) {
    int rc = shoal_lock_init(&pair[i].lock);
    SOAK_EXPECT(rc == 0, "init: %d", rc);
  }
}
static int acquire(struct shoal_lock *lock) {
  switch (soak_below(8)) {
    case 0: return shoal_lock_acquire(lock, SHOAL_TRY);
    case 1: return shoal_lock_acquire(lock, shoal_after_us(soak_below(300)));
    default: return shoal_lock_acquire(lock, SHOAL_FOREVER);
  }
}
static void one_step(struct guarded *g) {
  int rc = acquire(&g->lock);
  if (rc == -EAGAIN || rc == -ETIMEDOUT) return;
  SOAK_EXPECT(rc == 0 || rc == -EOWNERDEAD, "acquire: %d", rc);
  if (rc == -EOWNERDEAD) {
    g->b = g->a;
    g->inside = 0;
    g->told++;
    rc = shoal_lock_consistent(&g->lock);
    SOAK_EXPECT(rc == 0, "consistent: %d", rc);
  }
  SOAK_EXPECT(!g->inside, "two inside, or one died there and the next was not told");
  g->inside = 1;
  SOAK_EXPECT(g->a == g->b, "half-done, and not told");
  g->a++;
  if (soak_below(16) == 0) soak_pause_us(soak_below(100));
  g->b++;
  g->inside = 0;
  rc = shoal_lock_release(&g->lock);
  SOAK_EXPECT(rc == 0, "release: %d", rc);
}
static void work(uint32_t id, int seat) {
  (void)id, (void)seat;
  for (;;) one_step(&pair[soak_below(2)]);
}
static uint64_t progress(void) { return pair[0].a + pair[1].a; }
static void end(void) {
  for (int seat = 0; seat < 6; seat++) soak_kill(seat);
  for (int i = 0; i < 2; i++) {
    int rc = shoal_lock_acquire(&pair[i].lock, SHOAL_TRY);
    SOAK_EXPECT(rc == 0 || rc == -EOWNERDEAD, "nobody is left, and the lock answers %d", rc);
    if (rc == -EOWNERDEAD) shoal_lock_consistent(&pair[i].lock);
    shoal_lock_release(&pair[i].lock);
  }
  soak.done += progress();
}
const struct soak_room soak_lock = {"lock", 6, begin, work, progress, NULL, end, soak_moved, NULL};
