// sync/barrier. Claims: whoever waits is told of a death at once; with SHOAL_BARRIER_DROP the others go on, and wait
// for each other all the same; nobody goes on before all have arrived; an action is run before any goes on.
#include <errno.h>

#include "sync/barrier.h"
#include "tests/crash/crash.h"

#define B ((struct shoal_barrier *)T->raw)

// T->word: ARRIVED[i] is the turn party i has arrived in; the victim is party VICTIM.
enum { PASSED, TOLD, ACTED, ARRIVED };
#define VICTIM 7
#define SECOND 6

static void make(uint32_t parties, uint32_t flags) {
  struct shoal_barrier_options options = {.flags = flags};
  CRASH_EXPECT(shoal_barrier_init(B, parties, &options) == 0, "init");
}
static void three(void) { make(3, 0); }
static void three_dropping(void) { make(3, SHOAL_BARRIER_DROP); }
static void two(void) { make(2, 0); }
static void two_dropping(void) { make(2, SHOAL_BARRIER_DROP); }

static uint32_t count(int what) { return __atomic_load_n(&T->word[what], __ATOMIC_SEQ_CST); }
static void note(int what) { __atomic_fetch_add(&T->word[what], 1, __ATOMIC_SEQ_CST); }

static int action(void *arg) {
  (void)arg;
  note(ACTED);
  return 0;
}

// One turn, as party i: 0 passed, or it was told.
static int turn(int i, int acts) {
  __atomic_fetch_add(&T->word[ARRIVED + i], 1, __ATOMIC_SEQ_CST);
  int rc = shoal_barrier_wait_action(B, SHOAL_FOREVER, acts ? action : NULL, NULL, NULL);
  CRASH_EXPECT(rc == 0 || rc == -EPIPE, "wait answered %d", rc);
  if (rc == 0) CRASH_EXPECT(!acts || count(ACTED), "one went on before the action");
  note(rc ? TOLD : PASSED);
  return rc;
}
static void wait_one(int i) { turn(i, 0); }
static void wait_acting(int i) { turn(i, 1); }
static void wait_two(int i) {
  if (turn(i, 0) == 0) turn(i, 0);
}
static void victim_waits(void) { turn(VICTIM, 0); }
static void victim_acts(void) { turn(VICTIM, 1); }
static void victim_waits_twice(void) { wait_two(VICTIM); }
static void second_waits(void) { turn(SECOND, 0); }
static void victim_joins(void) {
  int rc = shoal_barrier_join(B);
  CRASH_EXPECT(rc == 0, "join answered %d", rc);
}
static void join_one(int i) {
  (void)i;
  victim_joins();
}
static void victim_joins_and_waits(void) {
  victim_joins();
  victim_waits();
}

static void one_asleep(void) { crash_asleep(crash_actor(wait_one, 0)); }
static void two_asleep(void) {
  one_asleep();
  crash_asleep(crash_actor(wait_one, 1));
}
static void two_acting_asleep(void) {
  for (int i = 0; i < 2; i++) crash_asleep(crash_actor(wait_acting, i));
}
static void all_end(void) {
  CRASH_UNTIL(crash_all_finished(), "a party hangs: word %lx, gate %x", B->word.v_, B->gate.v_);
}
static void all_alike(void) {
  all_end();
  CRASH_EXPECT(!count(PASSED) || !count(TOLD), "%u passed, %u were told it is broken", count(PASSED), count(TOLD));
}

// ---- broken by a death ----

// The victim comes last of three, and the others sleep: all pass, or all are told. Nobody knows of one that dies before
// it is a party: another comes in its place.
static void all_alike_if_all_come(void) {
  if (B->half_[1].v_ == 1) crash_actor(wait_one, 2);
  all_alike();
}
CRASH_SCENARIO(barrier_last, .name = "barrier: join and wait, last of three, two asleep", .setup = three,
               .ready = two_asleep, .op = victim_waits, .check = all_alike_if_all_come);
CRASH_SCENARIO(barrier_last_joined, .name = "barrier: wait, last of three, joined before, two asleep", .setup = three,
               .prepare = victim_joins, .ready = two_asleep, .op = victim_waits, .check = all_alike);
CRASH_SCENARIO(barrier_last_acting, .name = "barrier: wait and act, last of three, two asleep", .setup = three,
               .prepare = victim_joins, .ready = two_acting_asleep, .op = victim_acts, .check = all_alike);

// The victim joined before: so it is known when it dies. It sleeps, the others come, or it dies and they come then.
static void others_come(void) {
  crash_actor(wait_one, 0);
  crash_actor(wait_one, 1);
}
static void then_all_end(void) {
  if (!crash_victim_slept()) others_come();
  all_alike();
}
CRASH_SCENARIO(barrier_first, .name = "barrier: wait, first of three", .setup = three, .prepare = victim_joins,
               .op = victim_waits, .asleep = others_come, .check = then_all_end);
static void one_more_comes(void) { crash_actor(wait_one, 1); }
static void then_one_more(void) {
  if (!crash_victim_slept()) one_more_comes();
  all_alike();
}
CRASH_SCENARIO(barrier_middle, .name = "barrier: wait, second of three, one asleep", .setup = three,
               .prepare = victim_joins, .ready = one_asleep, .op = victim_waits, .asleep = one_more_comes,
               .check = then_one_more);

// It dies while it waits, and the third never comes: who waits with it is told.
static void abort_it(int i) {
  (void)i;
  int rc = shoal_barrier_abort(B);
  CRASH_EXPECT(rc == 0, "abort answered %d", rc);
}
static void nobody_comes(void) { crash_actor(abort_it, 0); }
static void told_alone(void) {
  CRASH_UNTIL(crash_all_finished(), "who waits with the dead is not told: word %lx", B->word.v_);
  CRASH_EXPECT(!count(PASSED), "%u passed without the third", count(PASSED));
}
CRASH_SCENARIO(barrier_alone, .name = "barrier: wait, second of three, the third does not come", .setup = three,
               .prepare = victim_joins, .ready = one_asleep, .op = victim_waits, .asleep = nobody_comes,
               .check = told_alone);

// It gives up at its deadline, which breaks it for all; or tries, which changes nothing, and leaves.
static void victim_gives_up(void) {
  int rc = shoal_barrier_wait(B, shoal_after_s(600), NULL);
  CRASH_EXPECT(rc == -ETIMEDOUT, "a deadline that passed: %d", rc);
}
static void its_deadline_passes(void) { crash_deadline_passes(&B->gate); }
static void victim_tries(void) {
  int rc = shoal_barrier_wait(B, SHOAL_TRY, NULL);
  CRASH_EXPECT(rc == -EAGAIN, "a try in vain: %d", rc);
  rc = shoal_barrier_destroy(B);
  CRASH_EXPECT(rc == -EBUSY, "destroy answered %d", rc);
}
CRASH_SCENARIO(barrier_late, .name = "barrier: given up at a deadline, one asleep", .setup = three,
               .prepare = victim_joins, .ready = one_asleep, .op = victim_gives_up, .asleep = its_deadline_passes,
               .check = told_alone);
CRASH_SCENARIO(barrier_vain, .name = "barrier: tried and destroyed in vain, one asleep", .setup = three,
               .prepare = victim_joins, .ready = one_asleep, .op = victim_tries, .check = told_alone);
static void victim_destroys(void) { CRASH_EXPECT(shoal_barrier_destroy(B) == 0, "destroy"); }
static void destroyed_or_whole(void) {
  int rc = shoal_barrier_destroy(B);
  CRASH_EXPECT(rc == 0 || rc == -EINVAL, "destroyed again: %d", rc);
}
CRASH_SCENARIO(barrier_gone, .name = "barrier: destroyed", .setup = three, .op = victim_destroys,
               .check = destroyed_or_whole);

// The victim stands somewhere on its way to sleep when one that has arrived dies: it must not fall asleep beside it.
static void another_dies(void) { crash_kill(0); }
CRASH_SCENARIO(barrier_on_its_way, .name = "barrier: stopped on its way to sleep; one that has arrived dies",
               .kind = CRASH_RESUMED, .setup = three, .prepare = victim_joins, .ready = one_asleep, .op = victim_waits,
               .asleep = nobody_comes, .stopped = another_dies, .check = all_end);

// Two turns, between which it may die.
static void partner(int i) { wait_two(i); }
static void partner_asleep(void) { crash_asleep(crash_actor(partner, 0)); }
static void partner_goes_on(void) { CRASH_UNTIL(crash_all_finished(), "the partner hangs"); }
static void partner_ends(void) {
  CRASH_UNTIL(crash_all_finished(), "the partner hangs: word %lx, gate %x", B->word.v_, B->gate.v_);
}
CRASH_SCENARIO(barrier_between, .name = "barrier: two turns of two, one asleep", .setup = two, .prepare = victim_joins,
               .ready = partner_asleep, .op = victim_waits_twice, .asleep = partner_goes_on, .check = partner_ends);

// ---- dropped ----

// The others have to pass, whatever the victim did, and together.
static void all_pass(void) {
  all_end();
  CRASH_EXPECT(!count(TOLD), "%u were told that it is broken", count(TOLD));
}
CRASH_SCENARIO(barrier_drop_last, .name = "barrier: drop: wait, last of three, two asleep", .setup = three_dropping,
               .prepare = victim_joins, .ready = two_asleep, .op = victim_waits, .check = all_pass);
CRASH_SCENARIO(barrier_drop_acting, .name = "barrier: drop: wait and act, last of three, two asleep",
               .setup = three_dropping, .prepare = victim_joins, .ready = two_acting_asleep, .op = victim_acts,
               .check = all_pass);
static void then_all_pass(void) {
  if (!crash_victim_slept()) others_come();
  all_pass();
}
CRASH_SCENARIO(barrier_drop_first, .name = "barrier: drop: wait, first of three", .setup = three_dropping,
               .prepare = victim_joins, .op = victim_waits, .asleep = others_come, .check = then_all_pass);
CRASH_SCENARIO(barrier_drop_between, .name = "barrier: drop: two turns of two, one asleep", .setup = two_dropping,
               .prepare = victim_joins, .ready = partner_asleep, .op = victim_waits_twice, .asleep = partner_goes_on,
               .check = partner_ends);

static void victim_leaves(void) {
  int rc = shoal_barrier_leave(B);
  CRASH_EXPECT(rc == 0, "leave answered %d", rc);
}
CRASH_SCENARIO(barrier_drop_leave, .name = "barrier: drop: leave, two asleep", .setup = three_dropping,
               .prepare = victim_joins, .ready = two_asleep, .op = victim_leaves, .check = all_pass);

// The victim stands somewhere in its leave while another comes, so that as many are waited for as before: who leaves
// has counted without it.
static void come_and_go(int i) {
  (void)i;
  victim_joins();
  victim_leaves();
}
static void one_of_three_gone(void) {
  three_dropping();
  int gone = crash_actor(come_and_go, 0);
  CRASH_UNTIL(crash_finished(gone), "leave hangs");
  int stays = crash_actor(join_one, 1);
  CRASH_UNTIL(crash_finished(stays), "join hangs");
  CRASH_EXPECT(shoal_barrier_abort(B) == 0, "abort");  // a turn that is filled moves on anyway
}
static void another_joins(void) {
  int came = crash_actor(join_one, 2);
  CRASH_UNTIL(crash_finished(came), "join hangs");
}
static void two_are_waited_for(void) {
  struct shoal_barrier_info info;
  CRASH_EXPECT(shoal_barrier_info(B, &info) == 0 && info.parties == 2, "%u are waited for, not 2", info.parties);
}
CRASH_SCENARIO(barrier_drop_count, .name = "barrier: drop: stopped in leave; another joins", .kind = CRASH_RESUMED,
               .setup = one_of_three_gone, .prepare = victim_joins, .op = victim_leaves, .stopped = another_joins,
               .check = two_are_waited_for);

// A party dies unnoticed, and there is no place but its. The victim takes it; the others have joined, and come then.
static void dead_party(void) {
  int early = crash_actor(join_one, 0);
  CRASH_UNTIL(crash_finished(early), "join hangs");
  crash_kill(early);
}
static void join_then_wait(int i) {
  victim_joins();
  crash_gate();
  turn(i, 0);
}
static void two_joined(void) {
  three_dropping();
  dead_party();
  for (int i = 0; i < 2; i++) crash_actor(join_then_wait, i);
  crash_at_gate(2);
}
static void then_they_pass(void) {
  if (!crash_victim_slept()) crash_open_gate();
  all_pass();
}
CRASH_SCENARIO(barrier_drop_join, .name = "barrier: drop: join in a dead party's place, and wait", .setup = two_joined,
               .op = victim_joins_and_waits, .asleep = crash_open_gate, .check = then_they_pass);

// ---- abort, reset ----

static void victim_aborts(void) { abort_it(VICTIM); }
static void victim_resets(void) {
  int rc = shoal_barrier_reset(B);
  CRASH_EXPECT(rc == 0, "reset answered %d", rc);
}
// The victim is no party: if it has died before it did anything, the others sleep on, and a survivor does it.
static void told_after_another(void (*again)(void)) {
  if (B->half_[1].v_ == 1) crash_survivor(again);  // the first turn still
  all_end();
  CRASH_EXPECT(count(TOLD) == 2, "%u of two were told", count(TOLD));
}
static void told_of_abort(void) { told_after_another(victim_aborts); }
static void told_of_reset(void) { told_after_another(victim_resets); }
CRASH_SCENARIO(barrier_abort, .name = "barrier: abort, two asleep", .setup = three, .ready = two_asleep,
               .op = victim_aborts, .check = told_of_abort);
CRASH_SCENARIO(barrier_reset, .name = "barrier: reset, two asleep", .setup = three, .ready = two_asleep,
               .op = victim_resets, .check = told_of_reset);

// The third comes while the victim stands in its reset: whom the kernel wakes then must not be that one alone.
static void third_comes_meanwhile(void) {
  crash_actor(wait_one, 2);
  crash_all_asleep_or_finished();
}
static void the_two_are_told(void) {
  CRASH_UNTIL(crash_finished(0) && crash_finished(1), "who slept is not told: word %lx, gate %x", B->word.v_,
              B->gate.v_);
  CRASH_EXPECT(count(TOLD) == 2 || count(PASSED) >= 2, "%u of two were told, %u passed", count(TOLD), count(PASSED));
}
CRASH_SCENARIO(barrier_reset_joined, .name = "barrier: reset, two asleep, the third comes meanwhile", .setup = three,
               .ready = two_asleep, .op = victim_resets, .stopped = third_comes_meanwhile, .check = the_two_are_told);

// Broken by a death; the victim resets it; then newcomers meet.
static void broken_by_death(void) {
  three();
  dead_party();
}
static void reset_and_meet(void) {
  crash_survivor(victim_resets);
  for (int i = 0; i < 3; i++) crash_actor(wait_one, i);
  all_end();
  CRASH_EXPECT(count(PASSED) == 3, "%u of three newcomers passed", count(PASSED));
}
CRASH_SCENARIO(barrier_reset_broken, .name = "barrier: reset after a death", .setup = broken_by_death,
               .op = victim_resets, .check = reset_and_meet);

// ---- pairs, and one that is stopped ----

#define BOTH_JOINED .prepare = victim_joins, .prepare2 = victim_joins, .prepared_both = 1
static void one_left(void) {
  CRASH_UNTIL(crash_all_finished(), "the last one hangs: word %lx, gate %x", B->word.v_, B->gate.v_);
}
CRASH_SCENARIO(barrier_pair, .name = "barrier: pair, two of three die, one asleep", .kind = CRASH_PAIR, .setup = three,
               BOTH_JOINED, .ready = one_asleep, .op = victim_waits, .op2 = second_waits, .asleep = nobody_comes,
               .asleep2 = one_left, .check = one_left);
CRASH_SCENARIO(barrier_drop_pair, .name = "barrier: drop: pair, two of three die, one asleep", .kind = CRASH_PAIR,
               .setup = three_dropping, BOTH_JOINED, .ready = one_asleep, .op = victim_waits, .op2 = second_waits,
               .asleep = nobody_comes, .asleep2 = one_left, .check = one_left);

// The second victim is the first one's heir; the third comes when both are dead.
static void third_comes(void) {
  crash_actor(wait_one, 1);
  one_left();
}
static void the_third_ends(void) {
  if (!crash_victim_slept()) third_comes();
  one_left();
}
CRASH_SCENARIO(barrier_heir, .name = "barrier: pair, a party, then its heir", .kind = CRASH_PAIR, .setup = three,
               BOTH_JOINED, .op = victim_waits, .op2 = second_waits, .asleep = nobody_comes, .asleep2 = third_comes,
               .check = the_third_ends);
CRASH_SCENARIO(barrier_drop_heir, .name = "barrier: drop: pair, a party, then its heir", .kind = CRASH_PAIR,
               .setup = three_dropping, BOTH_JOINED, .op = victim_waits, .op2 = second_waits, .asleep = nobody_comes,
               .asleep2 = third_comes, .check = the_third_ends);

// One is stopped, another dies: who waits is told, and so is the stopped one when it goes on.
CRASH_SCENARIO(barrier_stalled, .name = "barrier: stopped in wait, one asleep; another party dies",
               .kind = CRASH_STALLED, .setup = three, BOTH_JOINED, .ready = one_asleep, .op = victim_waits,
               .op2 = second_waits, .asleep = nobody_comes, .asleep2 = nobody_comes, .check = one_left);
CRASH_SCENARIO(barrier_drop_stalled, .name = "barrier: drop: stopped in wait, one asleep; another party dies",
               .kind = CRASH_STALLED, .setup = three_dropping, BOTH_JOINED, .ready = one_asleep, .op = victim_waits,
               .op2 = second_waits, .asleep = nobody_comes, .asleep2 = nobody_comes, .check = one_left);
