// tests/crash/soak_semaphore.c: a few permits among many who hold them; and one item that goes round, consumed by each
// who takes it. A permit beside holders who all sleep is a wake that was swallowed.
#include <errno.h>
#include <string.h>

#include "sync/semaphore.h"
#include "tests/crash/soak.h"

#define WORKERS 8
#define PERMITS 3

// ---- held ----
static struct pool {
  volatile uint32_t hold[WORKERS];  // 4 with each change, and how many it has; its own, the driver's when it is dead
  volatile uint64_t taken[WORKERS];
  struct shoal_semaphore permits;  // last: they follow
} * pool;
static uint32_t all;

static void begin(void) {
  if (!pool) pool = soak_shared(sizeof *pool + shoal_semaphore_size(PERMITS, 0));
  memset((void *)pool, 0, sizeof *pool);
  all = 1 + soak_below(PERMITS);
  int rc = shoal_semaphore_init(&pool->permits, all, all, 0);
  SOAK_EXPECT(rc == 0, "init: %d", rc);
}
static void hold(int seat, uint32_t n) { pool->hold[seat] = (pool->hold[seat] / 4 + 1) * 4 + n; }
static void buried(int seat) { hold(seat, 0); }

static int same(const uint32_t *was) {
  for (int i = 0; i < WORKERS; i++)
    if (was[i] != pool->hold[i]) return 0;
  return 1;
}
// Twice the same: at a moment between all of them held that many at once. Not counted: who is killed has lost its own.
// A third time: none of them was buried before we looked who is.
static void look(void) {
  uint32_t was[WORKERS], n = 0;
  for (int i = 0; i < WORKERS; i++) was[i] = pool->hold[i];
  int stood = same(was);
  uint32_t doomed = *soak_doomed;
  for (int i = 0; i < WORKERS; i++) n += doomed >> i & 1 ? 0 : was[i] % 4;
  SOAK_EXPECT(n <= all || !stood || !same(was), "%u permits are held, of %u", n, all);
}
static uint64_t progress(void) {
  uint64_t n = 0;
  for (int i = 0; i < WORKERS; i++) n += pool->taken[i];
  return n;
}
static void one_step(int seat) {
  uint32_t n = 1;
  int rc = shoal_semaphore_acquire(&pool->permits, soak_deadline());
  if (soak_gave_up(rc)) return;
  SOAK_EXPECT(rc == 0, "acquire: %d", rc);
  if (soak_below(4) == 0) n += shoal_semaphore_acquire(&pool->permits, SHOAL_TRY) == 0;
  hold(seat, n);
  pool->taken[seat]++;
  look();
  soak_linger();
  uint64_t seen = progress();
  hold(seat, 0);
  rc = n == 1 ? shoal_semaphore_release(&pool->permits) : shoal_semaphore_release_n(&pool->permits, n);
  SOAK_EXPECT(rc == 0, "release: %d", rc);
  if (soak_below(4)) soak_await_other(seat, seen);
}
static void work(uint32_t id, int seat) {
  (void)id;
  for (;;) one_step(seat);
}
static uint32_t value_of(const struct shoal_semaphore *s) {
  struct shoal_semaphore_info info = {0};
  int rc = shoal_semaphore_info(s, &info);
  SOAK_EXPECT(rc == 0, "info: %d", rc);
  return info.value;
}
static int settled(uint64_t seen, int asleep) {
  (void)asleep;
  return value_of(&pool->permits) == 0 || progress() != seen;
}
static void end(void) {
  for (int seat = 0; seat < WORKERS; seat++) soak_kill(seat);
  uint32_t value = value_of(&pool->permits), n = 0;
  if (value < all) soak.lost += all - value;
  if (value > all) soak.doubled += value - all;
  while (n <= all && shoal_semaphore_acquire(&pool->permits, SHOAL_TRY) == 0) n++;
  SOAK_EXPECT(n == all, "nobody is left, and %u of %u permits can be had", n, all);
  int rc = n ? shoal_semaphore_release_n(&pool->permits, n) : 0;
  if (rc == 0) rc = shoal_semaphore_destroy(&pool->permits);
  SOAK_EXPECT(rc == 0, "destroy: %d", rc);
  soak.done += progress();
}
const struct soak_room soak_semaphore = {"semaphore", WORKERS, begin, work, progress, NULL, end, settled, buried};

// ---- consumed ----
//
// Killed between taking the item and saying so, or between saying that it is given on and giving it: it is gone with
// the dead, as the header says. The driver puts another there when all have fallen asleep without it; rarely.
static struct round {
  struct shoal_semaphore item;
  volatile uint32_t hand[WORKERS];
  volatile uint64_t taken[WORKERS];
  volatile uint32_t holder;  // id
} * r;
static uint64_t replaced, killed;

static void items_begin(void) {
  if (!r) r = soak_shared(sizeof *r);
  memset((void *)r, 0, sizeof *r);
  int rc = shoal_semaphore_init(&r->item, 1, 0, SHOAL_SEMAPHORE_CONSUMED);
  SOAK_EXPECT(rc == 0, "init: %d", rc);
  replaced = killed = 0;
}
static uint64_t items_progress(void) {
  uint64_t n = 0;
  for (int i = 0; i < WORKERS; i++) n += r->taken[i];
  return n;
}
static void take_and_give(uint32_t id, int seat) {
  if (!r->hand[seat]) {
    int rc = shoal_semaphore_acquire(&r->item, soak_deadline());
    if (soak_gave_up(rc)) return;
    r->hand[seat] = 1;
    SOAK_EXPECT(rc == 0, "acquire: %d", rc);
  }
  r->holder = id;
  r->taken[seat]++;
  soak_linger();
  SOAK_EXPECT(r->holder == id, "two have the one item");
  uint64_t seen = items_progress();
  r->hand[seat] = 0;
  int rc = shoal_semaphore_release(&r->item);
  SOAK_EXPECT(rc == 0, "release: %d", rc);
  soak_await_other(seat, seen);
}
static void items_work(uint32_t id, int seat) {
  for (;;) take_and_give(id, seat);
}
static int items_settled(uint64_t seen, int asleep) {
  uint32_t living = 0;
  for (int seat = 0; seat < WORKERS; seat++) {
    if (r->hand[seat] && !soak_pid[seat]) return 1;  // its successor gives it on
    living += r->hand[seat];
  }
  if (items_progress() != seen) return 1;
  if (!asleep || living || value_of(&r->item)) return 0;
  replaced++;
  int rc = shoal_semaphore_release(&r->item);
  SOAK_EXPECT(rc == 0, "release: %d", rc);
  return 1;
}
static void items_buried(int seat) {
  (void)seat;
  killed++;
}
static void items_end(void) {
  for (int seat = 0; seat < WORKERS; seat++) soak_kill(seat);
  uint32_t value = value_of(&r->item), hands = 0;
  for (int seat = 0; seat < WORKERS; seat++) hands += r->hand[seat];
  if (value + hands > 1) soak.doubled += value + hands - 1;
  SOAK_EXPECT(replaced <= killed / 8 + 8, "%lu deaths took an item along, of %lu", replaced, killed);
  int rc = shoal_semaphore_destroy(&r->item);
  SOAK_EXPECT(rc == 0, "destroy: %d", rc);
  soak.done += items_progress();
}
const struct soak_room soak_items = {"items", WORKERS,   items_begin,   items_work,  items_progress,
                                     NULL,    items_end, items_settled, items_buried};
