// sync/condition. Claims: a waiter that dies swallows no notification, at whatever instruction of its wait; a notifier
// that dies loses none that it has made; nobody sleeps beside an item, once somebody has looked after the lock.
//
// Takers wait for an item, under the lock; a putter puts one and notifies one. Whoever finds that the lock's holder
// died notifies all, since the dead may have put without notifying. A lock that nobody takes tells nobody: so every
// check lets a survivor look after it first.
#include <errno.h>

#include "sync/condition.h"
#include "sync/eventcount.h"
#include "tests/crash/crash.h"

#define PLACES 16
static struct room {
  struct shoal_lock lock;
  struct shoal_condition condition;
  struct shoal_seat seats[PLACES];
} * room(void) {
  _Static_assert(sizeof(struct room) <= sizeof T->raw, "it fits");
  return (struct room *)T->raw;
}
#define L (&room()->lock)
#define C (&room()->condition)

// T->word: items, under the lock; putters at work; how often the victim fell asleep; the actors around it; its tid;
// whether it has taken an item.
enum { ITEMS, PUTTING, SLEEPS, BEFORE, BEHIND, TID, TAKEN };

static void setup(void) {
  shoal_spin_max_ = 3;  // what a spin is made of, and not two hundred times that
  int rc = shoal_lock_init(L), rc2 = shoal_condition_init(C, PLACES);
  CRASH_EXPECT(rc == 0 && rc2 == 0, "init answered %d, %d", rc, rc2);
}

static void repair(int rc) {
  CRASH_EXPECT(rc == 0 || rc == -EOWNERDEAD, "the lock answered %d", rc);
  if (rc == 0) return;
  rc = shoal_lock_consistent(L);
  CRASH_EXPECT(rc == 0, "consistent answered %d", rc);
  rc = shoal_condition_notify_all(C, L);
  CRASH_EXPECT(rc == 0, "notify_all answered %d", rc);
}
static void acquire(void) { repair(shoal_lock_acquire(L, SHOAL_FOREVER)); }
static void release(void) {
  int rc = shoal_lock_release(L);
  CRASH_EXPECT(rc == 0, "release answered %d", rc);
}
static void look_after_the_lock(void) {
  acquire();
  release();
}

static void take(void) {
  acquire();
  while (!T->word[ITEMS]) repair(shoal_condition_wait(C, L, SHOAL_FOREVER));
  T->word[ITEMS]--;
  release();
}
static int there_is_one(void *arg) {
  (void)arg;
  return T->word[ITEMS] != 0;
}
static void take_for(void) {
  acquire();
  int rc = shoal_condition_wait_for(C, L, there_is_one, NULL, SHOAL_FOREVER);
  while (rc == -EOWNERDEAD) {
    repair(rc);
    rc = shoal_condition_wait_for(C, L, there_is_one, NULL, SHOAL_FOREVER);
  }
  CRASH_EXPECT(rc == 0 && T->word[ITEMS], "wait_for answered %d, %u items", rc, T->word[ITEMS]);
  T->word[ITEMS]--;
  release();
}
static void put_n(uint32_t n) {
  acquire();
  T->word[ITEMS] += n;
  int rc = shoal_condition_notify(C, L, n);
  CRASH_EXPECT(rc == 0, "notify answered %d", rc);
}
static void put(void) {
  put_n(1);
  release();
}
static void put_two(void) {
  put_n(2);
  release();
}

static void taker(int i) {
  (void)i;
  take();
}
static void putter(int n) {
  put_n((uint32_t)n);
  release();
  __atomic_fetch_sub(&T->word[PUTTING], 1, __ATOMIC_RELAXED);
}
// Keeps the lock after it has notified, so that those who are notified sleep at the lock.
static void slow_putter(int n) {
  put_n((uint32_t)n);
  crash_gate();
  release();
  __atomic_fetch_sub(&T->word[PUTTING], 1, __ATOMIC_RELAXED);
}
static int start_putter(void (*body)(int)) {
  __atomic_fetch_add(&T->word[PUTTING], 1, __ATOMIC_RELAXED);
  return crash_actor(body, 1);
}
static int a_taker_asleep(void) {
  int actor = crash_actor(taker, 0);
  crash_asleep(actor);
  return actor;
}
static struct shoal_condition_info line(void) {
  struct shoal_condition_info info = {0};
  shoal_condition_info(C, &info);
  return info;
}
// Nobody waits beside an item, nobody sleeps notified. Killed without having looked at an item, a taker leaves it.
static void all_are_taken(void) {
  crash_survivor(look_after_the_lock);
  CRASH_UNTIL(!T->word[PUTTING] && (!T->word[ITEMS] || crash_all_finished()), "%u items, and a taker waits",
              T->word[ITEMS]);
  CRASH_UNTIL(!line().granted, "%u sleep notified", line().granted);
}

// ---- a notifier dies ----
static void two_asleep(void) {
  a_taker_asleep();
  a_taker_asleep();
}
static void three_asleep(void) {
  two_asleep();
  a_taker_asleep();
}
CRASH_SCENARIO(condition_notify, .name = "condition: notify one, two asleep", .setup = setup, .ready = two_asleep,
               .op = put, .check = all_are_taken);
CRASH_SCENARIO(condition_notify_two, .name = "condition: notify two, three asleep", .setup = setup,
               .ready = three_asleep, .op = put_two, .check = all_are_taken);
static void notify_all(void) {
  acquire();
  T->word[ITEMS] += 2;
  int rc = shoal_condition_notify_all(C, L);
  CRASH_EXPECT(rc == 0, "notify_all answered %d", rc);
  release();
}
CRASH_SCENARIO(condition_notify_all, .name = "condition: notify all, two asleep", .setup = setup, .ready = two_asleep,
               .op = notify_all, .check = all_are_taken);

// The youngest has died: nobody watched it, and the notifier finds it.
static void the_last_is_dead(void) {
  two_asleep();
  crash_kill(a_taker_asleep());
}
CRASH_SCENARIO(condition_notify_dead, .name = "condition: notify one, two asleep and a dead one", .setup = setup,
               .ready = the_last_is_dead, .op = put, .check = all_are_taken);

// ---- a waiter dies ----
// The victim is first in line; another stands behind it when an item comes.
static void one_behind_and_an_item(void) {
  if (T->word[SLEEPS]++) return;
  a_taker_asleep();
  start_putter(putter);
}
static void the_other_takes_it(void) {
  if (!crash_victim_slept()) {
    crash_survivor(look_after_the_lock);
    one_behind_and_an_item();
  }
  all_are_taken();
}
CRASH_SCENARIO(condition_wait, .name = "condition: wait, one behind", .setup = setup, .op = take,
               .asleep = one_behind_and_an_item, .check = the_other_takes_it);

CRASH_SCENARIO(condition_wait_for, .name = "condition: wait for an item, one behind", .setup = setup, .op = take_for,
               .asleep = one_behind_and_an_item, .check = the_other_takes_it);

// In line for a moment, behind another.
static void try_once(void) {
  acquire();
  int rc = shoal_condition_wait(C, L, SHOAL_TRY);
  CRASH_EXPECT(rc == -EAGAIN || rc == -EOWNERDEAD, "a try in vain: %d", rc);
  if (rc == -EOWNERDEAD) repair(rc);
  release();
}
static void a_taker_is_left(void) {
  crash_survivor(look_after_the_lock);
  crash_survivor(put);
  all_are_taken();
}
static void one_asleep(void) { a_taker_asleep(); }
CRASH_SCENARIO(condition_try, .name = "condition: tried in vain, one asleep", .setup = setup, .ready = one_asleep,
               .op = try_once, .check = a_taker_is_left);

// As before, and it falls asleep again at the lock, which the notifier keeps.
static void one_behind_and_a_slow_putter(void) {
  if (T->word[SLEEPS]++) {
    crash_open_gate();
    return;
  }
  a_taker_asleep();
  start_putter(slow_putter);
  crash_at_gate(1);
}
static void the_gate_is_open(void) {
  if (T->word[SLEEPS] == 0) {
    crash_survivor(look_after_the_lock);
    one_behind_and_a_slow_putter();
  }
  if (!T->gate) crash_open_gate();
  all_are_taken();
}
CRASH_SCENARIO(condition_wait_lock, .name = "condition: wait, then asleep at the lock, one behind", .setup = setup,
               .op = take, .asleep = one_behind_and_a_slow_putter, .check = the_gate_is_open);

// ---- an heir dies ----
// One stands before the victim, one behind. The first is notified, and dies at the lock: the victim is to have its
// place, and falls asleep at the lock in its turn.
static void one_before(void) { T->word[BEFORE] = (uint32_t)a_taker_asleep(); }
static void the_first_dies_notified(void) {
  uint32_t slept = T->word[SLEEPS]++;
  if (slept == 0) {
    a_taker_asleep();
    start_putter(slow_putter);
    crash_at_gate(1);  // all sleep: the first one at the lock
    crash_kill((int)T->word[BEFORE]);
  } else if (!T->gate) {
    crash_open_gate();
  }
}
static void somebody_takes_it(void) {
  if (T->word[SLEEPS] == 0) {
    crash_survivor(look_after_the_lock);
    the_first_dies_notified();
  }
  if (!T->gate) crash_open_gate();
  all_are_taken();
}
CRASH_SCENARIO(condition_heir, .name = "condition: wait, heir of one that was notified, one behind", .setup = setup,
               .ready = one_before, .op = take, .asleep = the_first_dies_notified, .check = somebody_takes_it);

// The dead one has nobody behind it: the next to wait finds it.
static void put_none(void) {
  acquire();
  int rc = shoal_condition_notify(C, L, 1);
  CRASH_EXPECT(rc == 0, "notify answered %d", rc);
  release();
}
static void notified_and_dead(void) {
  int first = a_taker_asleep();
  crash_stop(first);
  crash_survivor(put_none);
  crash_kill(first);
}
static void wait_once(void) {
  acquire();
  repair(shoal_condition_wait(C, L, SHOAL_FOREVER));
  release();
}
static void nobody_is_left_in_line(void) {
  a_taker_asleep();  // it looks for whom to watch
  crash_survivor(put);
  all_are_taken();
  CRASH_UNTIL(!line().waiters && !line().granted, "%u wait in vain", line().waiters);
  CRASH_EXPECT(!line().dead, "%u dead are left in line", line().dead);
}
CRASH_SCENARIO(condition_inherit, .name = "condition: wait, behind a dead one that was notified", .setup = setup,
               .ready = notified_and_dead, .op = wait_once, .check = nobody_is_left_in_line);

// ---- the one in the middle leaves ----
// Its deadline passes. Then the first is notified, and dies: the last is to have its place.
static void wait_briefly(void) {
  T->word[TID] = shoal_self_()->tid;
  acquire();
  int rc = shoal_condition_wait(C, L, shoal_after_s(600));
  if (rc != -ETIMEDOUT) repair(rc);
  release();
}
static void one_behind(void) {
  if (T->word[SLEEPS]++ == 0) T->word[BEHIND] = (uint32_t)a_taker_asleep();
}
static void its_deadline_passes(void) {
  for (int i = 0; i < PLACES; i++)
    if (shoal_robust_owner(shoal_seat_word_(&room()->seats[i])) == T->word[TID])
      crash_deadline_passes(&room()->seats[i].event);
}
static void one_behind_and_it_is_late(void) {
  one_behind();
  its_deadline_passes();
}
static void the_first_is_notified_and_dies(void) {
  if (T->word[SLEEPS] == 0) one_behind();
  crash_survivor(look_after_the_lock);
  crash_stop((int)T->word[BEFORE]);
  crash_survivor(put);
  crash_kill((int)T->word[BEFORE]);
  all_are_taken();
}
CRASH_SCENARIO(condition_late, .name = "condition: wait until a deadline, one before and one behind", .setup = setup,
               .ready = one_before, .op = wait_briefly, .asleep = one_behind_and_it_is_late,
               .check = the_first_is_notified_and_dies);

// As before, but the last one looked for whom to watch while the victim was out of line: it watches the first. So
// nobody sees the victim die.
enum { MIDDLE = 2, LAST };  // tickets
static void one_behind_who_watches_the_first(void) {
  one_before();
  shoal_store64_relaxed(&C->tickets, LAST - 1);
  a_taker_asleep();
  shoal_store64_relaxed(&C->tickets, MIDDLE - 1);
}
static void both_others_take_one(void) {
  shoal_store64_relaxed(&C->tickets, LAST);
  crash_survivor(look_after_the_lock);
  crash_survivor(put_two);
  all_are_taken();
}
CRASH_SCENARIO(condition_late_unseen, .name = "condition: wait until a deadline, unseen by the one behind",
               .setup = setup, .ready = one_behind_who_watches_the_first, .op = wait_briefly,
               .asleep = its_deadline_passes, .check = both_others_take_one, .times = 3);

// It is notified, and leaves before the first one does, who was notified, too, and is held up. That one dies.
static void both_are_notified(void) {
  if (T->word[SLEEPS]++) return;
  T->word[BEHIND] = (uint32_t)a_taker_asleep();
  crash_stop((int)T->word[BEFORE]);
  crash_survivor(put_two);
}
static void the_last_takes_one(void) {
  crash_survivor(look_after_the_lock);
  if (T->word[SLEEPS] == 0) both_are_notified();
  crash_kill((int)T->word[BEFORE]);
  CRASH_UNTIL(crash_finished((int)T->word[BEHIND]), "the last one sleeps beside %u items", T->word[ITEMS]);
}
CRASH_SCENARIO(condition_overtake, .name = "condition: wait, leaves before an older one, one behind", .setup = setup,
               .ready = one_before, .op = take, .asleep = both_are_notified, .check = the_last_takes_one);

// ---- a death while the victim looks for whom to watch ----
static void the_first_is_held_up(void) {
  one_before();
  crash_stop((int)T->word[BEFORE]);
}
// If the victim has the lock, what is put comes when it has gone on.
static void put_one_now(void) {
  struct shoal_lock_info info;
  if (T->word[SLEEPS]++) return;
  shoal_lock_info(L, &info);
  int actor = start_putter(putter);
  if (!info.owner) CRASH_UNTIL(crash_finished(actor), "the lock is free, and cannot be taken");
}
static void the_first_dies_now(void) {
  put_one_now();
  crash_kill((int)T->word[BEFORE]);
}
CRASH_SCENARIO(condition_watch, .name = "condition: wait, stopped while the one before it dies notified",
               .kind = CRASH_RESUMED, .setup = setup, .ready = the_first_is_held_up, .op = take,
               .asleep = the_first_dies_now, .stopped = the_first_dies_now, .check = all_are_taken);
CRASH_SCENARIO(condition_notified, .name = "condition: wait, stopped while it is notified", .kind = CRASH_RESUMED,
               .setup = setup, .op = take, .asleep = put_one_now, .stopped = put_one_now, .check = all_are_taken);

// ---- life ----
static void destroy(void) {
  int rc = shoal_condition_destroy(C);
  CRASH_EXPECT(rc == 0, "destroy answered %d: nobody lives in line", rc);
}
static void waiting_and_dead(void) { crash_kill(a_taker_asleep()); }
static void destroyed_or_usable(void) {
  int rc = shoal_condition_destroy(C);
  CRASH_EXPECT(rc == 0 || rc == -EINVAL, "destroy answered %d", rc);
}
CRASH_SCENARIO(condition_destroy, .name = "condition: destroy, a dead one in line", .setup = setup,
               .ready = waiting_and_dead, .op = destroy, .check = destroyed_or_usable);

// ---- two deaths ----
static void nothing(void) {}
CRASH_SCENARIO(condition_pair_notify, .name = "condition: pair, a notifier, then who repairs", .kind = CRASH_PAIR,
               .setup = setup, .ready = three_asleep, .op = put_two, .op2 = put, .check = all_are_taken);

// One stands behind the victim. It dies anywhere in its wait, notified or not; then a notifier, who may find it dead.
static void one_behind_to_be_notified(void) {
  if (T->word[SLEEPS]++ == 0) {
    a_taker_asleep();
    start_putter(putter);
  }
}
static void one_is_behind(void) {
  if (T->word[SLEEPS] == 0) a_taker_asleep();
}
CRASH_SCENARIO(condition_pair_wait, .name = "condition: pair, a waiter, then a notifier", .kind = CRASH_PAIR,
               .setup = setup, .op = take, .asleep = one_behind_to_be_notified, .stopped = one_is_behind, .op2 = put,
               .asleep2 = nothing, .check = all_are_taken);

// The first of the line has died notified, the second, its heir, dies; then the next to wait. The third is left.
static void another_item_and_the_lock(void) {
  if (!T->gate) crash_open_gate();
  start_putter(putter);
}
static void take_and_say_so(void) {
  acquire();
  while (!T->word[ITEMS]) repair(shoal_condition_wait(C, L, SHOAL_FOREVER));
  T->word[TAKEN] = 1;
  T->word[ITEMS]--;
  release();
}
static int the_lock_is_left(void) {
  struct shoal_lock_info info;
  shoal_lock_info(L, &info);
  return info.dead;
}
// Killed before it stood in line, nobody was notified yet. Gone with the item, the one behind it, who is older than
// the second victim, is to have another; unless it left the lock: then who takes that notifies all, who come anew.
static void an_item_for_the_heirs(void) {
  if (T->word[TAKEN] && !the_lock_is_left()) crash_survivor(put);
  if (T->word[SLEEPS]) return;
  crash_survivor(look_after_the_lock);
  the_first_dies_notified();
}
static void whoever_is_left_takes_it(void) {
  if (!T->gate && T->at_gate) crash_open_gate();
  all_are_taken();
}
CRASH_SCENARIO(condition_pair_heir, .name = "condition: pair, an heir, then the next to wait", .kind = CRASH_PAIR,
               .setup = setup, .ready = one_before, .op = take_and_say_so, .asleep = the_first_dies_notified,
               .ready2 = an_item_for_the_heirs, .op2 = take, .asleep2 = another_item_and_the_lock,
               .check = whoever_is_left_takes_it);
