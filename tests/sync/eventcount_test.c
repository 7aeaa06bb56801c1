// Claims of sync/eventcount (its use under a queue: tests/ipc/queue/queue_test.c):
//   1 a role is its thread's own, found again, given back; the table is as large as it says
//   2 a dead role is emptied by one heir at a time, however many try; if that one dies, by the next; and who sleeps
//   meanwhile
//     is told at once
//   3 sleepers are woken by whatever they wait for; the deadline, the closing, the end are told; nothing sleeps in a
//   try; who
//     yields first, as often as it was told, has not armed
//   4 a death that the kernel did not mark is found by the look after a second
//   5 what cannot be an eventcount is refused
//
// The object: a counter of tokens. take() waits for one; give() adds some.
#include "sync/eventcount.h"

#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/harness/stage.h"

struct shared {
  shoal_atomic32 tokens, taken, ended, ready;
  shoal_atomic32 recovered[64];  // by role: how often recover began
  shoal_atomic32 hold_heir;      // recover waits here while it is 1
  shoal_atomic32 refused;        // recover gives up while it is 1
};
#define EVENTCOUNT_AT ((sizeof(struct shared) + 63) & ~(size_t)63)

struct box {
  struct shoal_eventcount_view view;
  struct shared *shared;
};

static uint32_t no_blocker(struct shoal_eventcount_view *view, int side) { return (void)view, (void)side, 0; }
static int recover(struct shoal_eventcount_view *view, uint32_t role, shoal_deadline deadline) {
  struct shared *s = ((struct box *)view)->shared;
  (void)deadline;
  if (shoal_load32_seq_cst(&s->refused)) return -ETIMEDOUT;
  shoal_add32_seq_cst(&s->recovered[role], 1);
  while (shoal_load32_seq_cst(&s->hold_heir)) sched_yield();
  return 0;
}
static const struct shoal_wait_ops ops = {no_blocker, recover, NULL, NULL, NULL, NULL};

static struct shoal_eventcount *eventcount_in(void *memory) { return (void *)((char *)memory + EVENTCOUNT_AT); }
static void attach(struct box *box, void *memory) {
  box->shared = memory;
  CHECK(shoal_eventcount_attach(&box->view, eventcount_in(memory), arena.size - EVENTCOUNT_AT, &ops) == 0);
}
static struct shared *make(struct box *box, uint32_t producers, uint32_t consumers) {
  arena_make(&arena, EVENTCOUNT_AT + shoal_eventcount_size(producers, consumers));
  assert_int_equal(shoal_eventcount_init(eventcount_in(arena.memory), producers, consumers, 0), 0);
  attach(box, arena.memory);
  return arena.memory;
}
static void unmake(struct box *box) {
  shoal_role_leave(&box->view, SHOAL_PRODUCER);
  shoal_role_leave(&box->view, SHOAL_CONSUMER);
  arena_free(&arena);
}

static int take_once(void *arg) {
  struct shared *s = ((struct box *)arg)->shared;
  uint32_t n = shoal_load32_seq_cst(&s->tokens);
  while (n)
    if (shoal_cas32_seq_cst(&s->tokens, &n, n - 1)) return 0;
  return -EAGAIN;
}
static int take(struct box *box, shoal_deadline deadline) {
  int me = shoal_role_mine(&box->view, SHOAL_CONSUMER);
  if (me < 0) return me;
  struct shoal_thread_ *t = shoal_self_();
  void *pending = shoal_pending_set_(t, &box->view.shm->bell);
  int rc = take_once(box);
  if (rc == -EAGAIN) rc = shoal_eventcount_wait(&box->view, SHOAL_CONSUMER, (uint32_t)me, take_once, box, deadline);
  shoal_pending_restore_(t, pending);
  return rc;
}
static void give(struct box *box, uint32_t n) {
  struct shoal_thread_ *t = shoal_self_();
  CHECK(shoal_role_mine(&box->view, SHOAL_PRODUCER) > 0);
  void *pending = shoal_pending_set_(t, &box->view.shm->bell);
  if (shoal_eventcount_asleep_(box->view.shm, SHOAL_CONSUMER)) shoal_eventcount_bump_(box->view.shm, SHOAL_CONSUMER);
  shoal_add32_seq_cst(&box->shared->tokens, n);
  if (shoal_eventcount_asleep_(box->view.shm, SHOAL_CONSUMER))
    shoal_eventcount_wake_(box->view.shm, SHOAL_CONSUMER, (int)n);
  shoal_pending_restore_(t, pending);
}

static uint64_t late(const struct box *box) { return shoal_load64_relaxed(&box->view.shm->counters.late); }

static void take_until_the_end(void *memory, unsigned i) {
  (void)i;
  struct box box;
  int rc;
  attach(&box, memory);
  while ((rc = take(&box, SHOAL_FOREVER)) == 0) shoal_add32_seq_cst(&box.shared->taken, 1);
  CHECK(rc == -EPIPE);
  shoal_add32_seq_cst(&box.shared->ended, 1);
}
static void takers_start(struct peer *peers, unsigned n) {
  for (unsigned i = 0; i < n; i++) {
    peers[i] = peer_start(&arena, take_until_the_end, i);
    peer_asleep(&peers[i]);
  }
  for (unsigned i = 0; i < n; i++) peer_asleep(&peers[i]);
}
static void peers_join(struct peer *peers, unsigned n) {
  for (unsigned i = 0; i < n; i++) peer_join(&peers[i]);
}
static void join_and_stay(void *memory, unsigned side) {
  struct box box;
  attach(&box, memory);
  CHECK(shoal_role_mine(&box.view, (int)side) > 0);
  shoal_add32_seq_cst(&box.shared->ready, 1);
  for (;;) pause();
}
static void join_and_die(void *memory, unsigned side) {
  struct box box;
  attach(&box, memory);
  CHECK(shoal_role_mine(&box.view, (int)side) > 0);
}

// ---- 1 ----

static void test_a_role_is_found_again_and_given_back(void **state) {
  (void)state;
  struct box box, other;
  make(&box, 2, 3);
  attach(&other, arena.memory);
  assert_int_equal(shoal_role_known(&box.view, SHOAL_PRODUCER), 0);
  int p = shoal_role_mine(&box.view, SHOAL_PRODUCER), c = shoal_role_mine(&box.view, SHOAL_CONSUMER);
  assert_int_equal(p, 1);
  assert_int_equal(c, 3);
  assert_int_equal(shoal_role_mine(&box.view, SHOAL_PRODUCER), p);
  memset(shoal_role_cache_, 0, sizeof shoal_role_cache_);
  assert_int_equal(shoal_role_mine(&box.view, SHOAL_CONSUMER), c);
  assert_int_equal(shoal_role_mine(&other.view, SHOAL_PRODUCER), 2);  // another handle, another role
  assert_int_equal(shoal_role_count(&box.view, SHOAL_PRODUCER), 2);
  assert_int_equal(shoal_role_leave(&other.view, SHOAL_PRODUCER), 0);
  assert_int_equal(shoal_role_leave(&other.view, SHOAL_PRODUCER), 0);
  assert_int_equal(shoal_role_known(&other.view, SHOAL_PRODUCER), 0);
  assert_int_equal(shoal_role_known(&box.view, SHOAL_PRODUCER), p);
  assert_int_equal(shoal_role_count(&box.view, SHOAL_PRODUCER), 1);
  unmake(&box);
}

static void test_the_table_is_as_large_as_it_says(void **state) {
  (void)state;
  struct box box;
  struct peer peers[2];
  make(&box, 2, 1);
  for (int i = 0; i < 2; i++) peers[i] = peer_start(&arena, join_and_stay, SHOAL_PRODUCER);
  await(&box.shared->ready, 2);
  assert_int_equal(shoal_role_mine(&box.view, SHOAL_PRODUCER), -EUSERS);
  peer_kill(&peers[1]);
  assert_true(shoal_role_mine(&box.view, SHOAL_PRODUCER) > 0);
  assert_int_equal(shoal_load64_relaxed(&box.view.shm->counters.reaped), 1);
  peer_kill(&peers[0]);
  unmake(&box);
}

// ---- 2 ----

static void reap(void *memory, unsigned i) {
  (void)i;
  struct box box;
  attach(&box, memory);
  shoal_add32_seq_cst(&box.shared->ready, 1);
  await(&box.shared->ready, 4);
  shoal_role_reap(&box.view);
}
static void test_one_heir_empties_a_dead_role(void **state) {
  (void)state;
  for (int round = 0; round < 50; round++) {
    struct box box;
    struct shared *s = make(&box, 4, 4);
    run(&arena, round % 2 ? THREADS : PROCESSES, 2, join_and_die);  // a producer and a consumer
    run(&arena, round % 2 ? PROCESSES : THREADS, 4, reap);
    assert_int_equal(shoal_load32_relaxed(&s->recovered[1]), 1);
    assert_int_equal(shoal_load32_relaxed(&s->recovered[5]), 1);
    assert_int_equal(shoal_role_count(&box.view, SHOAL_PRODUCER), 0);
    assert_int_equal(shoal_role_reap(&box.view), 0);
    unmake(&box);
  }
}

static void reap_alone(void *memory, unsigned i) {
  (void)i;
  struct box box;
  attach(&box, memory);
  shoal_role_reap(&box.view);
}
static int never(void *op) { return (void)op, -EAGAIN; }
static void test_who_cannot_be_emptied_stays_dead(void **state) {
  (void)state;
  struct box box;
  struct shared *s = make(&box, 1, 1);
  run(&arena, PROCESSES, 1, join_and_die);
  shoal_store32_seq_cst(&s->refused, 1);
  assert_int_equal(shoal_role_reap(&box.view), -ETIMEDOUT);
  assert_int_equal(shoal_role_mine(&box.view, SHOAL_PRODUCER), -ETIMEDOUT);
  int me = shoal_role_mine(&box.view, SHOAL_CONSUMER);
  assert_true(me > 0);
  for (int i = 0; i < 2; i++)
    assert_int_equal(
        shoal_eventcount_wait(&box.view, SHOAL_CONSUMER, (uint32_t)me, never, NULL, i ? SHOAL_FOREVER : SHOAL_TRY),
        -ETIMEDOUT);
  assert_true(shoal_robust_is_dead(shoal_load32_relaxed(&shoal_role_at_(&box.view, 1)->live.word)));
  assert_false(shoal_robust_owns_in_(&shoal_role_at_(&box.view, 1)->live, sizeof(struct shoal_robust), NULL));
  assert_int_equal(shoal_load64_relaxed(&box.view.shm->counters.reaped), 0);
  shoal_store32_seq_cst(&s->refused, 0);
  assert_int_equal(shoal_role_mine(&box.view, SHOAL_PRODUCER), 1);
  assert_int_equal(shoal_load32_relaxed(&s->recovered[1]), 1);
  unmake(&box);
}
static void test_a_dead_heir_has_an_heir(void **state) {
  (void)state;
  struct box box;
  struct shared *s = make(&box, 4, 4);
  run(&arena, PROCESSES, 1, join_and_die);
  shoal_store32_seq_cst(&s->hold_heir, 1);
  struct peer heir = peer_start(&arena, reap_alone, 0);
  await(&s->recovered[1], 1);
  assert_int_equal(shoal_role_count(&box.view, SHOAL_PRODUCER), 1);  // it has not gone yet
  assert_int_equal(shoal_role_reap(&box.view), 0);                   // and nobody else may
  peer_kill(&heir);
  shoal_store32_seq_cst(&s->hold_heir, 0);
  assert_int_equal(shoal_role_reap(&box.view), 1);
  assert_int_equal(shoal_load32_relaxed(&s->recovered[1]), 2);
  assert_int_equal(shoal_role_count(&box.view, SHOAL_PRODUCER), 0);
  unmake(&box);
}

// What the heir has stands under the dead one's handle and process still.
static void *join_and_end(void *box) {
  CHECK(shoal_role_mine(&((struct box *)box)->view, SHOAL_PRODUCER) > 0);
  return NULL;
}
static void test_an_heir_in_another_process_is_none_of_ours(void **state) {
  (void)state;
  struct box box;
  struct shared *s = make(&box, 4, 4);
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, join_and_end, &box), 0);
  assert_int_equal(pthread_join(thread, NULL), 0);
  shoal_store32_seq_cst(&s->hold_heir, 1);
  struct peer heir = peer_start(&arena, reap_alone, 0);
  await(&s->recovered[1], 1);
  assert_int_equal(shoal_role_elsewhere_(&box.view), 0);
  shoal_store32_seq_cst(&s->hold_heir, 0);
  peer_join(&heir);
  unmake(&box);
}

static void test_sleepers_watch_the_heir(void **state) {
  (void)state;
  struct box box;
  struct shared *s = make(&box, 4, 8);
  struct peer takers[3];
  assert_true(shoal_role_mine(&box.view, SHOAL_PRODUCER) > 0);  // so that it is not the end
  run(&arena, PROCESSES, 2, join_and_die);                      // roles 2 and 5
  shoal_store32_seq_cst(&s->hold_heir, 1);
  struct peer heir = peer_start(&arena, reap_alone, 0);
  await(&s->recovered[2], 1);
  for (int i = 0; i < 3; i++) {
    takers[i] = peer_start(&arena, take_until_the_end, 0);  // the first is an heir, too: of role 5
    if (i == 0) await(&s->recovered[5], 1);
    else peer_asleep(&takers[i]);
  }
  peer_kill(&heir);  // they sleep on the word of role 2; one of them is its heir now
  await(&s->recovered[2], 2);
  shoal_store32_seq_cst(&s->hold_heir, 0);
  give(&box, 5);
  await(&s->taken, 5);
  assert_int_equal(shoal_role_leave(&box.view, SHOAL_PRODUCER), 0);
  peers_join(takers, 3);
  assert_int_equal(late(&box), 0);
  unmake(&box);
}

// ---- 3 ----

static void test_each_token_wakes_one(void **state) {
  (void)state;
  struct box box;
  struct peer takers[4];
  struct shared *s = make(&box, 1, 8);
  assert_true(shoal_role_mine(&box.view, SHOAL_PRODUCER) > 0);
  takers_start(takers, 4);
  uint32_t given = 0;
  for (uint32_t n = 1; n <= 200; n++) {
    give(&box, n % 5);
    given += n % 5;
    if (n % 3) await(&s->taken, given);
  }
  await(&s->taken, given);
  assert_int_equal(shoal_role_leave(&box.view, SHOAL_PRODUCER), 0);
  peers_join(takers, 4);
  assert_int_equal(late(&box), 0);
  assert_true(shoal_load64_relaxed(&box.view.shm->counters.sleeps) > 0);
  unmake(&box);
}

static void test_nobody_asleep_costs_no_wake(void **state) {
  (void)state;
  struct box box;
  make(&box, 1, 1);
  for (int i = 0; i < 1000; i++) {
    give(&box, 1);
    assert_int_equal(take(&box, SHOAL_FOREVER), 0);
  }
  assert_int_equal(shoal_load64_relaxed(&box.view.shm->counters.wakes), 0);
  assert_int_equal(shoal_load64_relaxed(&box.view.shm->counters.sleeps), 0);
  unmake(&box);
}

struct late {  // a token that only the n-th attempt finds
  struct box box;
  uint32_t attempts, comes_at;
};
static int take_late(void *arg) {
  struct late *l = arg;
  return ++l->attempts < l->comes_at ? -EAGAIN : 0;
}
// What its event was told, after a wait for a token that comes at the n-th attempt of one whose spin has 4 looks.
static uint32_t event_after(struct late *l, uint32_t n, shoal_deadline deadline) {
  struct shoal_eventcount *ec = l->box.view.shm;
  int me = shoal_role_mine(&l->box.view, SHOAL_CONSUMER);
  assert_true(me > 0);
  shoal_role_at_(&l->box.view, (uint32_t)me)->live.state = 4;
  uint32_t before = shoal_load32_seq_cst(&ec->ev[SHOAL_CONSUMER]);
  l->attempts = 0, l->comes_at = n;
  void *pending = shoal_pending_set_(shoal_self_(), &ec->bell);
  int rc = shoal_eventcount_wait(&l->box.view, SHOAL_CONSUMER, (uint32_t)me, take_late, l, deadline);
  shoal_pending_restore_(shoal_self_(), pending);
  assert_int_equal(rc, 0);
  assert_int_equal(l->attempts, n);
  return shoal_load32_seq_cst(&ec->ev[SHOAL_CONSUMER]) - before;
}
static void test_who_yields_has_not_armed(void **state) {
  (void)state;
  struct late l = {.attempts = 0};
  make(&l.box, 1, 1);
  assert_int_equal(event_after(&l, 4, SHOAL_FOREVER), 0);
  assert_true(event_after(&l, 5, SHOAL_FOREVER));
  l.box.view.yields = 3;
  assert_int_equal(event_after(&l, 7, SHOAL_FOREVER), 0);
  assert_true(event_after(&l, 8, SHOAL_FOREVER));
  shoal_deadline passed = {1};
  assert_true(event_after(&l, 5, passed));
  uint32_t spin = shoal_spin_max_;
  shoal_spin_max_ = 0;
  assert_true(event_after(&l, 1, SHOAL_FOREVER));
  shoal_spin_max_ = spin;
  unmake(&l.box);
}

static void test_try_and_deadline(void **state) {
  (void)state;
  struct box box;
  make(&box, 1, 1);
  assert_int_equal(take(&box, SHOAL_TRY), -EAGAIN);
  assert_int_equal(shoal_load64_relaxed(&box.view.shm->counters.sleeps), 0);
  int64_t begun = shoal_now_ns();
  assert_int_equal(take(&box, shoal_after_ms(30)), -ETIMEDOUT);
  assert_true(shoal_now_ns() - begun >= 30000000);
  assert_int_equal(take(&box, shoal_after_ms(-1)), -ETIMEDOUT);
  give(&box, 1);
  assert_int_equal(take(&box, SHOAL_TRY), 0);
  assert_int_equal(shoal_role_leave(&box.view, SHOAL_PRODUCER), 0);
  assert_int_equal(take(&box, SHOAL_TRY), -EPIPE);
  unmake(&box);
}

static void test_a_try_finds_the_end_by_death(void **state) {
  (void)state;
  struct box box;
  make(&box, 2, 2);
  struct peer producer = peer_start(&arena, join_and_stay, SHOAL_PRODUCER);
  await(&box.shared->ready, 1);
  assert_int_equal(take(&box, SHOAL_TRY), -EAGAIN);
  peer_kill(&producer);
  assert_int_equal(take(&box, SHOAL_TRY), -EPIPE);
  unmake(&box);
}

static void test_closing_is_told_to_all(void **state) {
  (void)state;
  struct box box;
  struct peer takers[6];
  make(&box, 1, 8);
  assert_true(shoal_role_mine(&box.view, SHOAL_PRODUCER) > 0);
  takers_start(takers, 6);
  shoal_eventcount_close(&box.view);
  peers_join(takers, 6);
  assert_int_equal(late(&box), 0);
  assert_int_equal(take(&box, SHOAL_FOREVER), -EPIPE);
  unmake(&box);
}

static void close_and_die(void *memory, unsigned i) {
  (void)i;
  struct box box;
  attach(&box, memory);
  shoal_pending_set_(shoal_self_(), &box.view.shm->bell);
  shoal_store32_seq_cst(&box.view.shm->bell, SHOAL_BELL_CLOSED);  // what shoal_eventcount_close does, up to its ring
  kill(getpid(), SIGKILL);
}
static void test_a_closer_killed_before_it_rings(void **state) {
  (void)state;
  struct box box;
  struct peer takers[4];
  make(&box, 1, 8);
  assert_true(shoal_role_mine(&box.view, SHOAL_PRODUCER) > 0);
  takers_start(takers, 4);
  struct peer closer = peer_start(&arena, close_and_die, 0);
  waitpid(closer.pid, NULL, 0);
  peers_join(takers, 4);
  assert_int_equal(late(&box), 0);
  unmake(&box);
}

static void give_and_die(void *memory, unsigned i) {
  struct box box;
  attach(&box, memory);
  CHECK(shoal_role_mine(&box.view, SHOAL_PRODUCER) > 0);
  shoal_add32_seq_cst(&box.shared->ready, 1);
  await(&box.shared->ready, 2);
  shoal_pending_set_(shoal_self_(), &box.view.shm->bell);
  if (i == 1) shoal_eventcount_bump_(box.view.shm, SHOAL_CONSUMER);
  shoal_add32_seq_cst(&box.shared->tokens, 1);
  kill(getpid(), SIGKILL);  // published, and nobody woken
}
static void test_a_giver_killed_before_it_wakes(void **state) {
  (void)state;
  for (unsigned i = 0; i < 2; i++) {
    struct box box;
    struct peer takers[3];
    struct shared *s = make(&box, 2, 8);
    assert_true(shoal_role_mine(&box.view, SHOAL_PRODUCER) > 0);
    struct peer giver = peer_start(&arena, give_and_die, i);
    await(&s->ready, 1);
    takers_start(takers, 3);
    shoal_add32_seq_cst(&s->ready, 1);
    waitpid(giver.pid, NULL, 0);
    await(&s->taken, 1);
    assert_int_equal(shoal_role_leave(&box.view, SHOAL_PRODUCER), 0);
    peers_join(takers, 3);
    assert_int_equal(late(&box), 0);
    unmake(&box);
  }
}

// ---- 4 ----

static void test_an_unmarked_death_is_found_after_a_second(void **state) {
  (void)state;
  struct box box;
  make(&box, 2, 2);
  struct peer producer = peer_start(&arena, join_and_stay, SHOAL_PRODUCER);
  await(&box.shared->ready, 1);
  struct shoal_role *role = shoal_role_at_(&box.view, 1);
  uint32_t word = shoal_load32_relaxed(&role->live.word);
  peer_kill(&producer);
  shoal_store32_relaxed(&role->live.word, word);  // as if the kernel had not
  assert_int_equal(take(&box, SHOAL_FOREVER), -EPIPE);
  unmake(&box);
}

// ---- 5 ----

static void test_what_is_no_eventcount_is_refused(void **state) {
  (void)state;
  struct box box, other;
  make(&box, 2, 2);
  struct shoal_eventcount *shm = eventcount_in(arena.memory);
  uint64_t size = shoal_eventcount_size(2, 2);
  other.shared = arena.memory;
  assert_int_equal(shoal_eventcount_attach(&other.view, shm, size - 1, &ops), -EPROTO);
  assert_int_equal(shoal_eventcount_attach(&other.view, shm, 0, &ops), -EPROTO);
  static const uint32_t wrong[] = {0, 3, SHOAL_ROLES_MAX + 1, UINT32_MAX};
  for (int side = 0; side < 2; side++)
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
      shm->roles[side] = wrong[i];
      assert_int_equal(shoal_eventcount_attach(&other.view, shm, size, &ops), -EPROTO);
      shm->roles[side] = 2;
    }
  shoal_store32_relaxed(&shm->top[0], UINT32_MAX);  // a liar makes nobody look beyond the table
  assert_int_equal(shoal_role_count(&box.view, SHOAL_PRODUCER), 0);
  shoal_store32_relaxed(&shm->top[0], 0);
  assert_int_equal(shoal_eventcount_size(0, 1), 0);
  assert_int_equal(shoal_eventcount_size(1, SHOAL_ROLES_MAX + 1), 0);
  assert_int_equal(shoal_eventcount_init(shm, 0, 1, 0), -EINVAL);
  unmake(&box);
}

int main(void) {
  watchdog(120);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_role_is_found_again_and_given_back),
      cmocka_unit_test(test_the_table_is_as_large_as_it_says),
      cmocka_unit_test(test_one_heir_empties_a_dead_role),
      cmocka_unit_test(test_who_cannot_be_emptied_stays_dead),
      cmocka_unit_test(test_a_dead_heir_has_an_heir),
      cmocka_unit_test(test_an_heir_in_another_process_is_none_of_ours),
      cmocka_unit_test(test_sleepers_watch_the_heir),
      cmocka_unit_test(test_each_token_wakes_one),
      cmocka_unit_test(test_nobody_asleep_costs_no_wake),
      cmocka_unit_test(test_who_yields_has_not_armed),
      cmocka_unit_test(test_try_and_deadline),
      cmocka_unit_test(test_a_try_finds_the_end_by_death),
      cmocka_unit_test(test_closing_is_told_to_all),
      cmocka_unit_test(test_a_closer_killed_before_it_rings),
      cmocka_unit_test(test_a_giver_killed_before_it_wakes),
      cmocka_unit_test(test_an_unmarked_death_is_found_after_a_second),
      cmocka_unit_test(test_what_is_no_eventcount_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
