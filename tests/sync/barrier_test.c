// Claims of sync/barrier:
//   1 nobody goes on before all have arrived, and what each did before is seen; among threads and among processes at
//     different addresses, more of them than processors; the indices of a turn are 0 .. parties - 1
//   2 try, deadline, the barrier's own timeout and for ever answer as promised; a try changes nothing
//   3 abort and reset end the waits of those who sleep; broken until reset, then as new
//   4 the action is run by one, after all have arrived, before any goes on; if it fails the barrier is broken,
//     and its answer is its caller's; its runner neither leaves nor destroys the barrier meanwhile
//   5 a party that dies - asleep in a turn, between two, in the action, by exit of its thread - breaks it for all;
//   after a
//     reset a newcomer may take its place
//   6 SHOAL_BARRIER_DROP: the others go on without the dead, or who leaves; a newcomer takes a place never taken first
//   7 a place that was left can be taken; no more than parties at a time
//   8 refused, with nothing changed: absurd numbers, destroying what is in use, what is no barrier
//   9 it can be inspected: who has arrived, who has not
//  10 a child of fork is no party
#include "sync/barrier.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/error.h"
#include "tests/harness/stage.h"

#define PARTIES_MAX 16
struct shared {
  union {
    struct shoal_barrier barrier;
    char room[64 * (2 + PARTIES_MAX)];
  };
  uint32_t n;
  shoal_atomic32 stage, told[PARTIES_MAX], actions;
  volatile uint32_t round[PARTIES_MAX];  // plain memory: the barrier is what orders it
  uint32_t index[PARTIES_MAX];
};

static struct shared *fresh(uint32_t n, uint32_t flags, int64_t timeout_ns) {
  struct shared *s = arena.memory;
  struct shoal_barrier_options options = {.flags = flags, .timeout_ns = timeout_ns};
  assert_int_equal(shoal_barrier_leave(&s->barrier), 0);  // the one made before
  memset(s, 0, sizeof *s);
  s->n = n;
  assert_int_equal(shoal_barrier_init(&s->barrier, n, &options), 0);
  return s;
}
static int setup(void **state) {
  (void)state;
  arena_begin(sizeof(struct shared));
  return 0;
}
static int teardown(void **state) {
  assert_int_equal(shoal_barrier_leave(&((struct shared *)arena.memory)->barrier), 0);
  return arena_end(state);
}

static struct shoal_barrier_info info(struct shared *s) {
  struct shoal_barrier_info i;
  assert_int_equal(shoal_barrier_info(&s->barrier, &i), 0);
  return i;
}
static void stage_is(struct shared *s, uint32_t stage) {
  while (shoal_load32_acquire(&s->stage) < stage) sched_yield();  // [T2] pairs with [T1]
}
static void next_stage(struct shared *s, uint32_t stage) {
  shoal_store32_release(&s->stage, stage);  // [T1] pairs with [T2]
}

// ---- 1 ----

#define ROUNDS 500
static void lockstep(void *memory, unsigned i) {
  struct shared *s = memory;
  CHECK(shoal_barrier_join(&s->barrier) == 0);
  for (uint32_t r = 1; r <= ROUNDS; r++) {
    if ((r + i) % 256 == 0) sched_yield();
    s->round[i] = r;
    CHECK(shoal_barrier_wait(&s->barrier, SHOAL_FOREVER, &s->index[i]) == 0);
    for (unsigned k = 0; k < s->n; k++) CHECK(s->round[k] == r);
    CHECK(shoal_barrier_wait(&s->barrier, SHOAL_FOREVER, NULL) == 0);
    uint32_t seen = 0;
    for (unsigned k = 0; k < s->n; k++) seen |= 1u << s->index[k];
    CHECK(seen == (1u << s->n) - 1);
    CHECK(shoal_barrier_wait(&s->barrier, SHOAL_FOREVER, NULL) == 0);
  }
  CHECK(shoal_barrier_leave(&s->barrier) == 0);
}

static void test_all_arrive_before_any_goes_on(void **state) {
  (void)state;
  static const uint32_t sizes[] = {1, 2, 3, 8};
  for (unsigned k = 0; k < 4; k++) {
    struct shared *s = fresh(sizes[k], 0, 0);
    run(&arena, THREADS, sizes[k], lockstep);
    memset((void *)s->round, 0, sizeof s->round);
    run(&arena, PROCESSES, sizes[k], lockstep);
    assert_int_equal(shoal_barrier_destroy(&s->barrier), 0);
  }
}

// ---- 2 ----

static void wait_once(void *memory, unsigned i) {
  struct shared *s = memory;
  int rc = shoal_barrier_wait(&s->barrier, SHOAL_FOREVER, NULL);
  CHECK(shoal_barrier_leave(&s->barrier) == 0);
  shoal_store32_release(&s->told[i], 1 + (uint32_t)-rc);  // [T3] pairs with [T4]
}
static int told(struct shared *s, unsigned i) {
  return 1 - (int)shoal_load32_acquire(&s->told[i]);  // [T4] pairs with [T3]
}
static struct peer sleeper(unsigned i) { return asleep(wait_once, i); }

static void test_forms_of_waiting(void **state) {
  (void)state;
  struct shared *s = fresh(2, 0, 0);
  assert_int_equal(shoal_barrier_wait(&s->barrier, SHOAL_TRY, NULL), -EAGAIN);
  assert_int_equal(info(s).waiting, 0);
  struct peer p = sleeper(0);
  assert_int_equal(info(s).waiting, 1);
  uint32_t index = 7;
  assert_int_equal(shoal_barrier_wait(&s->barrier, SHOAL_TRY, &index), 0);  // the last to arrive need not wait
  assert_int_equal(index, 0);
  peer_join(&p);
  assert_int_equal(told(s, 0), 0);
}

static void test_deadlines(void **state) {
  (void)state;
  struct shared *s = fresh(3, 0, 0);
  struct peer p = sleeper(0);
  int64_t before = shoal_now_ns();
  assert_int_equal(shoal_barrier_wait(&s->barrier, shoal_after_ms(20), NULL), -ETIMEDOUT);
  assert_true(shoal_now_ns() - before >= 20000000);
  peer_join(&p);
  assert_int_equal(told(s, 0), -EPIPE);  // one who gave up is enough
  assert_int_equal(info(s).broken, SHOAL_BARRIER_TIMED_OUT);
  assert_int_equal(info(s).culprit, getpid());
  assert_int_equal(shoal_barrier_wait(&s->barrier, SHOAL_TRY, NULL), -EPIPE);
  s = fresh(2, 0, 20000000);
  assert_int_equal(shoal_barrier_wait(&s->barrier, SHOAL_FOREVER, NULL), -ETIMEDOUT);
  s = fresh(2, 0, 0);
  assert_int_equal(shoal_barrier_wait(&s->barrier, shoal_after_ms(-1), NULL), -ETIMEDOUT);
  s = fresh(1, 0, 0);
  assert_int_equal(shoal_barrier_wait(&s->barrier, shoal_after_ms(-1), NULL), 0);
  assert_int_equal(shoal_barrier_destroy(&s->barrier), 0);
}

// ---- 3 ----

static void end_waits(int (*end)(struct shoal_barrier *), uint32_t broken) {
  struct shared *s = fresh(4, 0, 0);
  struct peer p[3] = {sleeper(0), sleeper(1), sleeper(2)};
  assert_int_equal(end(&s->barrier), 0);
  for (unsigned i = 0; i < 3; i++) {
    peer_join(&p[i]);
    assert_int_equal(told(s, i), -EPIPE);
  }
  assert_int_equal(info(s).broken, broken);
}
static void test_abort_and_reset_end_waits(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  end_waits(shoal_barrier_abort, SHOAL_BARRIER_ABORTED);
  assert_int_equal(shoal_barrier_wait(&s->barrier, SHOAL_FOREVER, NULL), -EPIPE);
  assert_non_null(strstr(shoal_reason(), "aborted"));
  assert_int_equal(shoal_barrier_abort(&s->barrier), 0);
  assert_int_equal(shoal_barrier_reset(&s->barrier),
                   0);  // the three who ended without leaving are dead: their places are free
  assert_int_equal(info(s).broken, 0);
  assert_int_equal(shoal_barrier_leave(&s->barrier), 0);
  run(&arena, PROCESSES, 4, lockstep);
  end_waits(shoal_barrier_reset, 0);
}

// Waits; reset meanwhile; waits again, and goes on with the others.
static void wait_twice(void *memory, unsigned i) {
  struct shared *s = memory;
  CHECK(shoal_barrier_wait(&s->barrier, SHOAL_FOREVER, NULL) == -EPIPE);
  CHECK(shoal_barrier_wait(&s->barrier, SHOAL_FOREVER, &s->index[i]) == 0);
  CHECK(shoal_barrier_leave(&s->barrier) == 0);
}
static void wait_twice_and_reset(void *memory, unsigned i) {
  struct shared *s = memory;
  if (i < 3) {
    wait_twice(memory, i);
    return;
  }
  struct shoal_barrier_info now;
  do CHECK(shoal_barrier_info(&s->barrier, &now) == 0);
  while (now.waiting < 3);
  CHECK(shoal_barrier_reset(&s->barrier) == 0);
  CHECK(shoal_barrier_wait(&s->barrier, SHOAL_FOREVER, &s->index[i]) == 0);
  CHECK(shoal_barrier_leave(&s->barrier) == 0);
}
static void test_reset_under_way(void **state) {
  (void)state;
  for (int k = 0; k < 50; k++) {
    struct shared *s = fresh(4, 0, 0);
    run(&arena, k & 1 ? THREADS : PROCESSES, 4, wait_twice_and_reset);
    assert_int_equal(shoal_barrier_destroy(&s->barrier), 0);
  }
}

// ---- 4 ----

static int count_action(void *arg) {
  struct shared *s = arg;
  shoal_add32_relaxed(&s->actions, 1);
  sched_yield();
  for (unsigned k = 0; k < s->n; k++) CHECK(s->round[k] == s->round[0]);
  return 0;
}
static void act_in_turns(void *memory, unsigned i) {
  struct shared *s = memory;
  for (uint32_t r = 1; r <= 300; r++) {
    s->round[i] = r;
    CHECK(shoal_barrier_wait_action(&s->barrier, SHOAL_FOREVER, count_action, s, NULL) == 0);
    CHECK(shoal_load32_relaxed(&s->actions) == r);
    CHECK(shoal_barrier_wait(&s->barrier, SHOAL_FOREVER, NULL) == 0);
  }
  CHECK(shoal_barrier_leave(&s->barrier) == 0);
}
static void test_action(void **state) {
  (void)state;
  fresh(3, 0, 0);
  run(&arena, THREADS, 3, act_in_turns);
  fresh(3, 0, 0);
  run(&arena, PROCESSES, 3, act_in_turns);
}

static int failing(void *arg) {
  (void)arg;
  return -ENOSPC;
}
static int answering(void *answer) { return *(int *)answer; }
static void test_the_actions_answer_is_its_callers(void **state) {
  (void)state;
  static int answers[] = {-EAGAIN, -ETIMEDOUT, -ECANCELED, 1};  // some mean something within a wait
  for (unsigned i = 0; i < 4; i++) {
    struct shoal_barrier *b = &fresh(1, 0, 0)->barrier;
    assert_int_equal(shoal_barrier_wait_action(b, SHOAL_FOREVER, answering, &answers[i], NULL), answers[i]);
    assert_int_equal(shoal_barrier_wait_action(b, SHOAL_TRY, answering, &answers[i], NULL), -EPIPE);
    assert_int_equal(shoal_barrier_reset(b), 0);
    assert_int_equal(shoal_barrier_wait_action(b, SHOAL_TRY, answering, &answers[i], NULL), answers[i]);
  }
}
static int get_out_within(void *arg) {
  CHECK(shoal_barrier_leave(arg) == -EDEADLK);
  CHECK(shoal_barrier_destroy(arg) == -EBUSY);
  return 0;
}
static void test_nobody_leaves_within_the_action(void **state) {
  (void)state;
  for (uint32_t flags = 0; flags <= SHOAL_BARRIER_DROP; flags++) {
    struct shoal_barrier *b = &fresh(1, flags, 0)->barrier;
    assert_int_equal(shoal_barrier_wait_action(b, SHOAL_FOREVER, get_out_within, b, NULL), 0);
    assert_int_equal(shoal_barrier_wait(b, SHOAL_FOREVER, NULL), 0);
  }
}
static int within(void *arg) { return shoal_barrier_wait(arg, SHOAL_FOREVER, NULL); }
static void test_action_fails(void **state) {
  (void)state;
  struct shared *s = fresh(2, 0, 0);
  struct peer p = sleeper(0);
  assert_int_equal(shoal_barrier_wait_action(&s->barrier, SHOAL_FOREVER, failing, NULL, NULL), -ENOSPC);
  peer_join(&p);
  assert_int_equal(told(s, 0), -EPIPE);
  assert_int_equal(info(s).broken, SHOAL_BARRIER_FAILED);
  s = fresh(1, 0, 0);
  assert_int_equal(shoal_barrier_wait_action(&s->barrier, SHOAL_FOREVER, within, &s->barrier, NULL), -EDEADLK);
}

// ---- 5 ----

static void join_and_stay(void *memory, unsigned i) {
  struct shared *s = memory;
  (void)i;
  CHECK(shoal_barrier_join(&s->barrier) == 0);
  next_stage(s, 1);
  for (;;) pause();
}
static struct peer stayer(struct shared *s) {
  next_stage(s, 0);
  struct peer p = peer_start(&arena, join_and_stay, 0);
  stage_is(s, 1);
  return p;
}

static void test_a_death_breaks_it(void **state) {
  (void)state;
  struct shared *s = fresh(4, 0, 0);
  struct peer away = stayer(s), p[2] = {sleeper(0), sleeper(1)};
  peer_kill(&p[1]);  // has arrived
  peer_join(&p[0]);
  assert_int_equal(told(s, 0), -EPIPE);
  assert_int_equal(info(s).culprit, p[1].pid);
  assert_int_equal(shoal_barrier_reset(&s->barrier), 0);
  p[0] = sleeper(0);
  peer_kill(&away);  // has not
  peer_join(&p[0]);
  assert_int_equal(told(s, 0), -EPIPE);
  assert_int_equal(info(s).broken, SHOAL_BARRIER_DIED);
  assert_int_equal(shoal_barrier_reset(&s->barrier), 0);
  run(&arena, PROCESSES, 4, lockstep);
}

static void test_a_death_between_two_turns(void **state) {
  (void)state;
  struct shared *s = fresh(2, 0, 0);
  struct peer away = stayer(s);
  peer_kill(&away);  // while nobody waits
  assert_int_equal(shoal_barrier_wait(&s->barrier, SHOAL_TRY, NULL), -EPIPE);
  assert_int_equal(shoal_barrier_reset(&s->barrier), 0);
  away = stayer(s);
  peer_kill(&away);
  assert_int_equal(shoal_barrier_wait(&s->barrier, SHOAL_FOREVER, NULL), -EPIPE);
}

static int stay_in_action(void *arg) {
  next_stage(arg, 1);
  return pause();  // for ever
}
static void wait_and_act_for_ever(void *memory, unsigned i) {
  struct shared *s = memory;
  (void)i;
  CHECK(shoal_barrier_wait_action(&s->barrier, SHOAL_FOREVER, stay_in_action, s, NULL) == 0);
}
static void test_a_death_in_the_action(void **state) {
  (void)state;
  struct shared *s = fresh(3, 0, 0);
  struct peer p[2] = {sleeper(0), sleeper(1)}, actor = peer_start(&arena, wait_and_act_for_ever, 2);
  stage_is(s, 1);
  assert_int_equal(info(s).waiting, 3);
  peer_kill(&actor);
  for (unsigned i = 0; i < 2; i++) {
    peer_join(&p[i]);
    assert_int_equal(told(s, i), -EPIPE);
  }
  assert_int_equal(info(s).culprit, actor.pid);
}

static void *wait_and_exit(void *barrier) { return (void *)(intptr_t)shoal_barrier_wait(barrier, SHOAL_FOREVER, NULL); }
static void test_a_thread_that_exits_dies(void **state) {
  (void)state;
  struct shared *s = fresh(2, 0, 0);
  pthread_t thread;
  void *rc;
  assert_int_equal(pthread_create(&thread, NULL, wait_and_exit, &s->barrier), 0);
  assert_int_equal(shoal_barrier_wait(&s->barrier, SHOAL_FOREVER, NULL), 0);
  assert_int_equal(pthread_join(thread, &rc), 0);
  assert_int_equal((intptr_t)rc, 0);
  assert_int_equal(shoal_barrier_wait(&s->barrier, SHOAL_FOREVER, NULL), -EPIPE);
}

// ---- 6 ----

static void test_dropped(void **state) {
  (void)state;
  struct shared *s = fresh(4, SHOAL_BARRIER_DROP, 0);
  struct peer away = stayer(s), p[2] = {sleeper(0), sleeper(1)};
  peer_kill(&p[1]);
  while (info(s).parties != 3) sched_yield();
  assert_int_equal(info(s).places, 4);
  peer_kill(&away);
  uint32_t index = 7;
  assert_int_equal(shoal_barrier_wait(&s->barrier, SHOAL_FOREVER, &index), 0);
  assert_true(index < 2);
  peer_join(&p[0]);  // it has left
  assert_int_equal(told(s, 0), 0);
  assert_int_equal(info(s).parties, 1);
  assert_int_equal(shoal_barrier_wait(&s->barrier, SHOAL_FOREVER, &index), 0);
  assert_int_equal(index, 0);
}

static void test_dropped_before_all_have_come(void **state) {
  (void)state;
  struct shared *s = fresh(3, SHOAL_BARRIER_DROP, 0);
  struct peer early = stayer(s);
  peer_kill(&early);
  struct peer p = sleeper(0);  // takes a place never taken: still two are waited for
  assert_int_equal(shoal_barrier_wait(&s->barrier, SHOAL_FOREVER, NULL), 0);
  peer_join(&p);
  assert_int_equal(told(s, 0), 0);
}

static void test_a_newcomer_is_waited_for(void **state) {
  (void)state;
  struct shared *s = fresh(2, SHOAL_BARRIER_DROP, 0);
  assert_int_equal(shoal_barrier_join(&s->barrier), 0);
  struct peer p = stayer(s);
  peer_kill(&p);
  assert_int_equal(shoal_barrier_wait(&s->barrier, SHOAL_FOREVER, NULL), 0);
  assert_int_equal(info(s).parties, 1);
  p = sleeper(0);
  assert_int_equal(info(s).parties, 2);
  assert_int_equal(info(s).waiting, 1);
  assert_int_equal(shoal_barrier_wait(&s->barrier, SHOAL_FOREVER, NULL), 0);
  peer_join(&p);
}

static void test_leaving_is_dropping(void **state) {
  (void)state;
  struct shared *s = fresh(2, SHOAL_BARRIER_DROP, 0);
  assert_int_equal(shoal_barrier_join(&s->barrier), 0);
  struct peer p = sleeper(0);
  assert_int_equal(shoal_barrier_leave(&s->barrier), 0);
  peer_join(&p);
  assert_int_equal(told(s, 0), 0);
}

static void test_dropped_in_the_action(void **state) {
  (void)state;
  struct shared *s = fresh(2, SHOAL_BARRIER_DROP, 0);
  struct peer p = sleeper(0), actor = peer_start(&arena, wait_and_act_for_ever, 1);
  stage_is(s, 1);
  peer_kill(&actor);
  peer_join(&p);
  assert_int_equal(told(s, 0), 0);
}

// ---- 7 ----

static void test_places(void **state) {
  (void)state;
  struct shared *s = fresh(2, 0, 0);
  assert_int_equal(shoal_barrier_join(&s->barrier), 0);
  assert_int_equal(shoal_barrier_join(&s->barrier), 0);
  struct peer p = stayer(s);
  pid_t child = fork();  // 10: not its parent's place, and there is no other
  if (child == 0) _exit(shoal_barrier_wait(&s->barrier, SHOAL_TRY, NULL) != -EUSERS);
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  assert_int_equal(shoal_barrier_leave(&s->barrier), 0);
  assert_int_equal(shoal_barrier_leave(&s->barrier), 0);
  struct peer q = sleeper(0);  // in the place that was left
  peer_kill(&p);
  peer_join(&q);
  assert_int_equal(told(s, 0), -EPIPE);
}

// Any four of twelve meet, if each leaves after it.
static void meet(void *memory, unsigned i) {
  struct shared *s = memory;
  (void)i;
  for (unsigned k = 0; k < 100; k++) {
    int rc;
    while ((rc = shoal_barrier_wait(&s->barrier, SHOAL_FOREVER, NULL)) == -EUSERS) sched_yield();
    CHECK(rc == 0);
    CHECK(shoal_barrier_leave(&s->barrier) == 0);
  }
}
static void test_any_of_many_meet(void **state) {
  (void)state;
  fresh(4, 0, 0);
  run(&arena, THREADS, 4, meet);
  run(&arena, PROCESSES, 4, meet);
}

// ---- 8 ----

static void test_refusals(void **state) {
  (void)state;
  struct shared *s = fresh(2, 0, 0);
  struct shoal_barrier *b = &s->barrier;
  struct shoal_barrier_options unknown = {.flags = 0x80}, negative = {.timeout_ns = -1};
  assert_int_equal(shoal_barrier_size(0), 0);
  assert_int_equal(shoal_barrier_size(SHOAL_BARRIER_MAX + 1), 0);
  assert_int_equal(shoal_barrier_size(2), 128 + 2 * 64);
  assert_int_equal(shoal_barrier_init(b, 0, NULL), -EINVAL);
  assert_int_equal(shoal_barrier_init(b, UINT32_MAX, NULL), -EINVAL);
  assert_int_equal(shoal_barrier_init(b, 2, &unknown), -EINVAL);
  assert_int_equal(shoal_barrier_init(b, 2, &negative), -EINVAL);
  assert_int_equal(info(s).places, 2);
  assert_int_equal(shoal_barrier_check_(b, sizeof s->room), 0);
  assert_int_equal(shoal_barrier_check_(b, 128 + 64), -EPROTO);
  assert_int_equal(shoal_barrier_check_(b, 64), -EPROTO);
  b->seats.count++;  // fewer places than seats, or more
  assert_int_equal(shoal_barrier_check_(b, sizeof s->room), -EPROTO);
  b->seats.count--;

  struct peer p = sleeper(0);
  assert_int_equal(shoal_barrier_destroy(b), -EBUSY);
  assert_int_equal(info(s).waiting, 1);
  assert_int_equal(shoal_barrier_wait(b, SHOAL_FOREVER, NULL), 0);
  peer_join(&p);
  p = stayer(s);
  assert_int_equal(shoal_barrier_destroy(b), -EBUSY);
  peer_kill(&p);
  assert_int_equal(shoal_barrier_destroy(b), 0);
  assert_int_equal(shoal_barrier_check_(b, sizeof s->room), -EPROTO);
}

static void all_refuse(struct shoal_barrier *b) {
  struct shoal_barrier_info i;
  struct shoal_barrier_party party;
  assert_int_equal(shoal_barrier_join(b), -EINVAL);
  assert_int_equal(shoal_barrier_wait(b, SHOAL_FOREVER, NULL), -EINVAL);
  assert_int_equal(shoal_barrier_wait(b, SHOAL_TRY, NULL), -EINVAL);
  assert_int_equal(shoal_barrier_abort(b), -EINVAL);
  assert_int_equal(shoal_barrier_reset(b), -EINVAL);
  assert_int_equal(shoal_barrier_destroy(b), -EINVAL);
  assert_int_equal(shoal_barrier_info(b, &i), -EINVAL);
  assert_int_equal(shoal_barrier_party(b, 0, &party), -EINVAL);
}
static void test_no_barrier(void **state) {
  (void)state;
  struct shared *s = fresh(2, 0, 0);
  assert_int_equal(shoal_barrier_join(&s->barrier), 0);
  assert_int_equal(shoal_barrier_destroy(&s->barrier), 0);
  all_refuse(&s->barrier);
  memset((void *)s, 0, sizeof *s);
  all_refuse(&s->barrier);
}

// ---- 9 ----

static void party_is(struct shared *s, uint32_t place, uint32_t state, pid_t tid) {
  struct shoal_barrier_party party;
  assert_int_equal(shoal_barrier_party(&s->barrier, place, &party), 0);
  assert_int_equal(party.state, state);
  assert_int_equal(party.tid, tid);
}
static void test_inspection(void **state) {
  (void)state;
  struct shared *s = fresh(4, 0, 0);
  struct shoal_barrier_party party;
  struct peer waits = sleeper(0), away = stayer(s);
  assert_int_equal(shoal_barrier_join(&s->barrier), 0);
  party_is(s, 0, SHOAL_PARTY_WAITS, waits.pid);
  party_is(s, 1, SHOAL_PARTY_AWAY, away.pid);
  party_is(s, 2, SHOAL_PARTY_AWAY, getpid());
  party_is(s, 3, SHOAL_PARTY_NONE, 0);
  assert_int_equal(shoal_barrier_party(&s->barrier, 4, &party), -EINVAL);
  assert_int_equal(info(s).waiting, 1);
  kill(waits.pid, SIGSTOP);  // or it would bury the other at once
  peer_kill(&away);
  party_is(s, 1, SHOAL_PARTY_DEAD, away.pid);
  peer_kill(&waits);

  s = fresh(2, SHOAL_BARRIER_DROP, 0);
  waits = sleeper(0);
  struct peer actor = peer_start(&arena, wait_and_act_for_ever, 1);
  stage_is(s, 1);
  party_is(s, 0, SHOAL_PARTY_WAITS, waits.pid);
  party_is(s, 1, SHOAL_PARTY_ACTS, actor.pid);
  peer_kill(&actor);
  peer_join(&waits);
  party_is(s, 1, SHOAL_PARTY_DROPPED, 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(all_arrive_before_any_goes_on),
      TEST(forms_of_waiting),
      TEST(deadlines),
      TEST(abort_and_reset_end_waits),
      TEST(reset_under_way),
      TEST(action),
      TEST(action_fails),
      TEST(the_actions_answer_is_its_callers),
      TEST(nobody_leaves_within_the_action),
      TEST(a_death_breaks_it),
      TEST(a_death_between_two_turns),
      TEST(a_death_in_the_action),
      TEST(a_thread_that_exits_dies),
      TEST(dropped),
      TEST(dropped_before_all_have_come),
      TEST(a_newcomer_is_waited_for),
      TEST(leaving_is_dropping),
      TEST(dropped_in_the_action),
      TEST(places),
      TEST(any_of_many_meet),
      TEST(refusals),
      TEST(no_barrier),
      TEST(inspection),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
