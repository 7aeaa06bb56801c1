// tests/crash/soak_condition.c: a few items go round among takers who wait for them under a lock, or an rlock. What was
// in the hand of one that was killed its successor puts back. An item beside takers who all sleep is a notification
// that was swallowed.
#include <errno.h>
#include <string.h>

#include "sync/condition.h"
#include "sync/eventcount.h"
#include "tests/crash/soak.h"

#define WORKERS 8
#define SEATS (4 * WORKERS)  // a dead one's is taken while another has its number (sync/seat.h)
static struct box {
  struct shoal_rlock lock;  // or the lock that it begins with
  volatile uint32_t items, inside;
  volatile uint32_t hand[WORKERS];  // 1: has one
  volatile uint64_t taken, told;
  struct shoal_condition changed;  // last: its seats follow
} * box;
static uint32_t all;  // items
static int recursive;

static void begin(void) {
  if (!box) box = soak_shared(sizeof *box + shoal_condition_size(SEATS));
  memset((void *)box, 0, sizeof *box);
  all = box->items = 1 + soak_below(2);
  recursive = (int)soak_below(2);
  shoal_spin_max_ = soak_below(2) ? SHOAL_SPIN_MAX : 0;
  int rc = shoal_rlock_init(&box->lock), rc2 = shoal_condition_init(&box->changed, SEATS);
  SOAK_EXPECT(rc == 0 && rc2 == 0, "init: %d, %d", rc, rc2);
}

static int acquire(void) {
  return recursive ? shoal_rlock_acquire(&box->lock, SHOAL_FOREVER)
                   : shoal_lock_acquire(&box->lock.lock, SHOAL_FOREVER);
}
static int release(void) { return recursive ? shoal_rlock_release(&box->lock) : shoal_lock_release(&box->lock.lock); }
static int wait_once(shoal_deadline deadline) {
  return recursive ? shoal_condition_wait(&box->changed, &box->lock, deadline)
                   : shoal_condition_wait(&box->changed, &box->lock.lock, deadline);
}
static void notify(uint32_t n) {
  int rc = recursive ? shoal_condition_notify(&box->changed, &box->lock, n)
                     : shoal_condition_notify(&box->changed, &box->lock.lock, n);
  SOAK_EXPECT(rc == 0, "notify: %d", rc);
}
static uint32_t in_hands(void) {
  uint32_t n = 0;
  for (int i = 0; i < WORKERS; i++) n += box->hand[i];
  return n;
}

// Who was killed inside has moved an item half, and may not have notified.
static void repair(void) {
  box->items = all - in_hands();
  box->inside = 0;
  box->told++;
  int rc = shoal_lock_consistent(&box->lock.lock);
  SOAK_EXPECT(rc == 0, "consistent: %d", rc);
  notify(SHOAL_CONDITION_ALL_);
}
static void entered(int rc) {
  SOAK_EXPECT(rc == 0 || rc == -EOWNERDEAD, "the lock answers %d", rc);
  if (rc) repair();
  SOAK_EXPECT(!box->inside && box->items + in_hands() == all,
              "two inside, or one died there and the next was not told");
  box->inside = 1;
}
static void leave(void) {
  box->inside = 0;
  int rc = release();
  SOAK_EXPECT(rc == 0, "release: %d", rc);
}

static void await_item(void) {
  while (!box->items) {
    box->inside = 0;
    int rc = wait_once(soak_deadline());
    entered(soak_gave_up(rc) ? 0 : rc);
  }
}
static void take(int seat) {
  int depth = recursive && soak_below(4) == 0;
  entered(acquire());
  if (depth) depth = acquire() == 0;
  await_item();
  box->hand[seat] = 1;
  box->items--;
  box->taken++;
  if (depth) release();
  leave();
}
static void put(int seat) {
  entered(acquire());
  box->hand[seat] = 0;
  box->items++;
  uint64_t seen = box->taken;
  notify(soak_below(8) ? 1 : SHOAL_CONDITION_ALL_);
  leave();
  soak_await_other(seat, seen);
}
static void work(uint32_t id, int seat) {
  (void)id;
  for (;;) {
    if (!box->hand[seat]) take(seat);
    soak_linger();
    put(seat);
  }
}
static uint64_t progress(void) { return box->taken; }

// Who died inside has notified nobody, perhaps: whoever takes the lock next does, and no sleeper does before it looks
// again.
static int settled(uint64_t seen, int asleep) {
  struct shoal_lock_info info;
  shoal_lock_info(&box->lock.lock, &info);
  (void)seen, (void)asleep;
  return !box->items || info.dead || info.state != SHOAL_LOCK_CONSISTENT;
}
static void end(void) {
  struct shoal_condition_info info = {0};
  for (int seat = 0; seat < WORKERS; seat++) soak_kill(seat);
  int rc = acquire();
  entered(rc);
  notify(SHOAL_CONDITION_ALL_);
  leave();
  rc = shoal_condition_destroy(&box->changed);
  if (rc) shoal_condition_info(&box->changed, &info);
  SOAK_EXPECT(rc == 0, "nobody is left: %d, %u wait, %u are notified", rc, info.waiters, info.granted);
  uint32_t left = box->items + in_hands();
  if (left < all) soak.lost += all - left;
  if (left > all) soak.doubled += left - all;
  soak.done += box->taken;
}
const struct soak_room soak_condition = {"condition", WORKERS, begin, work, progress, NULL, end, settled, NULL};
