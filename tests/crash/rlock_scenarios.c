// sync/rlock. Claims: no survivor hangs; whoever takes a lock whose owner died inside is told, and holds it once,
// however deep the dead one was; let go of wholly and taken again, it is held as deep as before, or not at all.
#include <errno.h>

#include "sync/rlock.h"
#include "tests/crash/crash.h"

#define R ((struct shoal_rlock *)T->raw)

// T->word: what the lock guards is half-done; takers that were told.
enum { HALF_DONE, TOLD };

static void setup(void) { CRASH_EXPECT(shoal_rlock_init(R) == 0, "init"); }

static uint32_t depth(void) {
  struct shoal_rlock_info info;
  shoal_rlock_info(R, &info);
  return info.depth;
}
static void acquire(void) {
  int rc = shoal_rlock_acquire(R, SHOAL_FOREVER);
  CRASH_EXPECT(rc == 0 || rc == -EOWNERDEAD, "acquire answered %d", rc);
  CRASH_EXPECT(!T->word[HALF_DONE] || rc == -EOWNERDEAD, "its owner died inside, and the next was not told");
  CRASH_EXPECT(depth() == 1, "taken once, held %u times", depth());
  T->word[HALF_DONE] = 1;
  if (rc == 0) return;
  T->word[TOLD]++;
  rc = shoal_rlock_consistent(R);
  CRASH_EXPECT(rc == 0, "consistent answered %d", rc);
}
static void again(void) {
  int rc = shoal_rlock_acquire(R, SHOAL_FOREVER);
  CRASH_EXPECT(rc == 0, "acquired again: %d", rc);
}
static void release(void) {
  int rc = shoal_rlock_release(R);
  CRASH_EXPECT(rc == 0, "release answered %d", rc);
}
static void finish(void) {
  T->word[HALF_DONE] = 0;
  release();
}
static void thrice(void) {
  acquire();
  again();
  again();
  release();
  release();
  finish();
}
static void taker(int i) {
  (void)i;
  thrice();
}
static void all_served(void) {
  CRASH_UNTIL(crash_all_finished(), "a taker hangs, the word is %x", R->lock.robust.word.v_);
  CRASH_EXPECT(depth() == 0, "all have finished, and it is held %u times", depth());
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
static void hold_deep(void) {
  acquire();
  again();
  again();
}
static void climb_out(void) {
  release();
  release();
  finish();
}

CRASH_SCENARIO(rlock_alone, .name = "rlock: three deep and out, alone", .setup = setup, .op = thrice,
               .check = two_takers);
CRASH_SCENARIO(rlock_out, .name = "rlock: out of three levels, two asleep", .setup = setup, .prepare = hold_deep,
               .ready = two_asleep, .op = climb_out, .check = all_served);

// A holder that is let go by the driver; the victim sleeps behind it, just woken later.
static void holder(int i) {
  (void)i;
  hold_deep();
  crash_gate();
  climb_out();
}
static void held(void) {
  setup();
  crash_actor(holder, 0);
  crash_at_gate(1);
}
static void another_then_let_go(void) {
  crash_asleep(crash_actor(taker, 0));
  crash_open_gate();
}
static void served_after(void) {
  if (!crash_victim_slept()) another_then_let_go();
  all_served();
}
CRASH_SCENARIO(rlock_woken, .name = "rlock: acquire, asleep before another", .setup = held, .op = thrice,
               .asleep = another_then_let_go, .check = served_after);

// As a wait does: out of all levels at once, and back.
static void out_and_back(void) {
  T->word[HALF_DONE] = 0;
  uint32_t deep = shoal_rlock_unlock_all_(R);
  CRASH_EXPECT(deep == 3, "held three times, and let go of %u", deep);
  int rc = shoal_rlock_lock_again_(R, deep);
  CRASH_EXPECT(rc == 0, "taken again: %d", rc);
  CRASH_EXPECT(depth() == 3, "taken again %u times deep", depth());
  climb_out();
}
CRASH_SCENARIO(rlock_again, .name = "rlock: out of three levels and back, two asleep", .setup = setup,
               .prepare = hold_deep, .ready = two_asleep, .op = out_and_back, .asleep = crash_all_asleep_or_finished,
               .check = all_served);

static void dead_deep(void) {
  held();
  crash_kill(0);
}
CRASH_SCENARIO(rlock_repair, .name = "rlock: repair after a death three levels deep", .setup = dead_deep, .op = thrice,
               .check = two_takers);
CRASH_SCENARIO(rlock_pair, .name = "rlock: pair, an owner's death, then the next's", .kind = CRASH_PAIR, .setup = setup,
               .op = thrice, .op2 = thrice, .check = two_takers);
