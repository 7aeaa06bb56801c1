// tests/crash/soak_rlock.c: a lock, held at any depth, over a pair of numbers; and what each seat has been told that it
// did.
#include <errno.h>
#include <string.h>

#include "sync/rlock.h"
#include "tests/crash/soak.h"

#define WORKERS 6
static struct guarded {
  struct shoal_rlock lock;
  volatile uint64_t a, b;
  volatile uint32_t inside, told;
  volatile uint64_t begun[WORKERS], done[WORKERS];
} SHOAL_ALIGNED(64) * g;

static void begin(void) {
  if (!g) g = soak_shared(4096);
  memset((void *)g, 0, sizeof *g);
  int rc = shoal_rlock_init(&g->lock);
  SOAK_EXPECT(rc == 0, "init: %d", rc);
}
static void repair(void) {
  g->b = g->a;
  g->inside = 0;
  g->told++;
  int rc = shoal_rlock_consistent(&g->lock);
  SOAK_EXPECT(rc == 0, "consistent: %d", rc);
}
static void expect_depth(uint32_t depth) {
  struct shoal_rlock_info info;
  shoal_rlock_info(&g->lock, &info);
  SOAK_EXPECT(info.depth == depth, "%u times by %u, and it says %u", depth, info.owner, info.depth);
}
static void deeper(uint32_t *depth) {
  int rc = shoal_rlock_acquire(&g->lock, soak_below(2) ? SHOAL_TRY : SHOAL_FOREVER);
  SOAK_EXPECT(rc == 0, "again: %d", rc);
  expect_depth(++*depth);
}
static void one_step(int seat) {
  uint32_t depth = 1;
  int rc = shoal_rlock_acquire(&g->lock, soak_deadline());
  if (soak_gave_up(rc)) return;
  SOAK_EXPECT(rc == 0 || rc == -EOWNERDEAD, "acquire: %d", rc);
  if (rc) repair();
  expect_depth(1);
  while (soak_below(2)) deeper(&depth);
  SOAK_EXPECT(!g->inside && g->a == g->b, "two inside, or one died there and the next was not told");
  g->inside = 1;
  g->begun[seat]++;
  g->a++;
  soak_linger();
  g->b++;
  g->inside = 0;
  uint64_t seen = g->a;
  for (; depth; depth--) {
    expect_depth(depth);
    rc = shoal_rlock_release(&g->lock);
    SOAK_EXPECT(rc == 0, "release: %d", rc);
  }
  g->done[seat]++;
  if (soak_below(4)) soak_await_other(seat, seen);
}
static void work(uint32_t id, int seat) {
  (void)id;
  for (;;) one_step(seat);
}
static uint64_t progress(void) { return g->a; }

static void end(void) {
  uint64_t begun = 0, done = 0;
  for (int seat = 0; seat < WORKERS; seat++) soak_kill(seat);
  int rc = shoal_rlock_acquire(&g->lock, SHOAL_TRY);
  SOAK_EXPECT(rc == 0 || rc == -EOWNERDEAD, "nobody is left, and the lock answers %d", rc);
  if (rc) repair();
  shoal_rlock_release(&g->lock);
  for (int seat = 0; seat < WORKERS; seat++) begun += g->begun[seat], done += g->done[seat];
  if (g->a < done) soak.lost += done - g->a;
  if (g->a > begun) soak.doubled += g->a - begun;
  rc = shoal_rlock_destroy(&g->lock);
  SOAK_EXPECT(rc == 0, "destroy: %d", rc);
  soak.done += g->a;
}
const struct soak_room soak_rlock = {"rlock", WORKERS, begin, work, progress, NULL, end, soak_moved, NULL};
