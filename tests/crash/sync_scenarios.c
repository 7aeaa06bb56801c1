// sync/lock. Claims: no survivor hangs; whoever takes a lock whose owner died with what it guards half-done is told,
// until somebody has said that it is whole; given up, it is given up for all.
#include <errno.h>

#include "sync/lock.h"
#include "tests/crash/crash.h"

#define L ((struct shoal_lock *)T->raw)

// T->word: what the lock guards is half-done; takers that were told; takers that found it given up.
enum { HALF_DONE, TOLD, GIVEN_UP };

static void setup(void) { CRASH_EXPECT(shoal_lock_init(L) == 0, "init"); }

static int acquire(void) {
  int rc = shoal_lock_acquire(L, SHOAL_FOREVER);
  if (rc == -ENOTRECOVERABLE) {
    __atomic_fetch_add(&T->word[GIVEN_UP], 1, __ATOMIC_RELAXED);
    return rc;
  }
  CRASH_EXPECT(rc == 0 || rc == -EOWNERDEAD, "acquire answered %d", rc);
  CRASH_EXPECT(!T->word[HALF_DONE] || rc == -EOWNERDEAD, "its owner died inside, and the next was not told");
  T->word[HALF_DONE] = 1;
  return rc;
}
static void release(void) {
  T->word[HALF_DONE] = 0;
  int rc = shoal_lock_release(L);
  CRASH_EXPECT(rc == 0, "release answered %d", rc);
}
static void acquire_release(void) {
  int rc = acquire();
  if (rc == -ENOTRECOVERABLE) return;
  if (rc == -EOWNERDEAD) {
    T->word[TOLD]++;
    rc = shoal_lock_consistent(L);
    CRASH_EXPECT(rc == 0, "consistent answered %d", rc);
  }
  release();
}
static void acquire_only(void) { acquire(); }
static void taker(int i) {
  (void)i;
  acquire_release();
}
static void all_served(void) {
  CRASH_UNTIL(crash_all_finished(), "a taker hangs, the word is %x", L->robust.word.v_);
  CRASH_EXPECT(!T->word[GIVEN_UP], "given up, and nobody did");
}
static void two_takers(void) {
  crash_actor(taker, 0);
  crash_actor(taker, 1);
  all_served();
}
static void two_asleep(void) {
  crash_asleep(crash_actor(taker, 0));
  crash_asleep(crash_actor(taker, 1));
}

CRASH_SCENARIO(lock_alone, .name = "lock: acquire and release, alone", .setup = setup, .op = acquire_release,
               .check = two_takers);
CRASH_SCENARIO(lock_release, .name = "lock: release, two asleep", .setup = setup, .prepare = acquire_only,
               .ready = two_asleep, .op = release, .check = all_served);

// The victim sleeps behind a holder; another taker stands behind it, or before it.
static void holder(int i) {
  (void)i;
  acquire();
  crash_gate();
  release();
}
static void held(void) {
  setup();
  crash_actor(holder, 0);
  crash_at_gate(1);
}
static void held_and_awaited(void) {
  held();
  crash_asleep(crash_actor(taker, 0));
}
static void another_then_let_go(void) {
  crash_asleep(crash_actor(taker, 0));
  crash_open_gate();
}
static void served_before_another(void) {
  if (!crash_victim_slept()) another_then_let_go();
  all_served();
}
static void served_behind_another(void) {
  if (!crash_victim_slept()) crash_open_gate();
  all_served();
}
CRASH_SCENARIO(lock_first, .name = "lock: acquire, asleep before another", .setup = held, .op = acquire_release,
               .asleep = another_then_let_go, .check = served_before_another);
CRASH_SCENARIO(lock_last, .name = "lock: acquire, asleep behind another", .setup = held_and_awaited,
               .op = acquire_release, .asleep = crash_open_gate, .check = served_behind_another);

// An owner has died inside. The victim repairs, or gives up.
static void dead_owner(void) {
  held();
  crash_kill(0);
}
CRASH_SCENARIO(lock_repair, .name = "lock: repair after an owner's death", .setup = dead_owner, .op = acquire_release,
               .check = two_takers);

// Taken with -EOWNERDEAD before it is stepped; released as it is, with two asleep: all are told that it is given up,
// or, if the victim died before, one repairs it.
static void give_up(void) {
  int rc = shoal_lock_release(L);
  CRASH_EXPECT(rc == 0, "release answered %d", rc);
}
static void given_up_or_repaired(void) {
  CRASH_UNTIL(crash_all_finished(), "a taker hangs, the word is %x", L->robust.word.v_);
  uint32_t given_up = T->word[GIVEN_UP], told = T->word[TOLD];
  CRASH_EXPECT(given_up + told == 2 || (!given_up && told == 1), "%u found it given up, %u were told", given_up, told);
  CRASH_EXPECT(!crash_victim_finished() || given_up == 2, "released in doubt, and only %u found it given up", given_up);
}
CRASH_SCENARIO(lock_give_up, .name = "lock: given up, two asleep", .setup = dead_owner, .prepare = acquire_only,
               .ready = two_asleep, .op = give_up, .check = given_up_or_repaired);

CRASH_SCENARIO(lock_pair, .name = "lock: pair, an owner's death, then the next's", .kind = CRASH_PAIR, .setup = setup,
               .op = acquire_release, .op2 = acquire_release, .check = two_takers);
CRASH_SCENARIO(lock_pair_release, .name = "lock: pair, dies releasing to sleepers, then a barger dies",
               .kind = CRASH_PAIR, .setup = setup, .prepare = acquire_only, .ready = two_asleep, .op = release,
               .op2 = acquire_release, .asleep2 = all_served, .check = all_served);
