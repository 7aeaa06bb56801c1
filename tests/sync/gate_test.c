// Claims of sync/gate, shown on the least object that can have one, a number of tickets:
//   1 every ticket is taken, nobody sleeps beside one, and try, deadline and for ever answer as promised
//   2 who is woken and finds more than it takes, or leaves without taking, passes it on
//   3 an opener killed before it wakes, and one killed just woken, cost nobody a ticket
//   4 nor does that cost one who had looked in vain and was not asleep yet
//   5 what only a death makes true wakes sleepers, whoever held it when they fell asleep
//   6 sleepers can be counted without disturbing them
#include "sync/gate.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/harness/stage.h"

struct shared {
  shoal_atomic32 gate, tickets, stage, taken, looks;
  struct shoal_robust held;  // a ticket that comes back when its holder dies
};

static int setup(void **state) {
  (void)state;
  assert_int_equal(shoal_robust_check(), 0);
  arena_begin(sizeof(struct shared));
  return 0;
}

// ---- the object ----

struct op {
  struct shared *s;
  int quits;   // answers -ECANCELED instead of taking
  int dies;    // instead of taking
  int pauses;  // once between its look and its sleep, until stage 2
};
static int attempt(void *arg) {
  struct op *op = arg;
  shoal_add32_relaxed(&op->s->looks, 1);
  uint32_t n = shoal_load32_seq_cst(&op->s->tickets);  // [T4] pairs with [G1]
  if (n && op->quits) return -ECANCELED;
  if (n && op->dies) kill(getpid(), SIGKILL);
  while (n)
    if (shoal_cas32_seq_cst(&op->s->tickets, &n, n - 1)) return 0;  // [T4]
  return -EAGAIN;
}
static void open_gate(struct shared *s, int n) {
  struct shoal_thread_ *t = shoal_self_();
  void *pending = shoal_pending_set_(t, &s->gate);
  shoal_add32_seq_cst(&s->tickets, (uint32_t)n);  // [T4]
  if (shoal_gate_asleep_(&s->gate)) shoal_gate_wake_(&s->gate, n);
  shoal_pending_restore_(t, pending);
}
static int watch(void *arg, struct shoal_watch_ *w) {
  struct op *op = arg;
  struct shared *s = op->s;
  uint32_t word = shoal_load32_acquire(&s->held.word);  // [T5] pairs with the kernel's mark
  if (shoal_robust_is_dead(word) && !shoal_live_adopt_(&s->held, word)) {
    open_gate(s, 1);
    shoal_live_drop_(&s->held);
    return 1;
  }
  if (!w) return 0;
  if (op->pauses) {
    op->pauses = 0;
    say(&s->stage, 1);
    await(&s->stage, 2);
  }
  shoal_watch_add_(w, &s->tickets, 0);
  shoal_watch_add_(w, &s->held.word, word);
  return 0;
}
static const struct shoal_gate_ops_ ops = {attempt, watch};

static int take_op(struct shared *s, struct op *op, shoal_deadline deadline) {
  struct shoal_thread_ *t = shoal_self_();
  void *pending = shoal_pending_set_(t, &s->gate);
  op->s = s;
  int rc = shoal_gate_wait_(&s->gate, &ops, op, deadline);
  if (rc == 0 && shoal_load32_relaxed(&s->tickets) && shoal_gate_asleep_(&s->gate)) shoal_gate_wake_(&s->gate, 1);
  shoal_pending_restore_(t, pending);
  return rc;
}
static int take(struct shared *s, shoal_deadline deadline) {
  struct op op = {0};
  return take_op(s, &op, deadline);
}

enum { PLAIN, QUITTER, DYING, PAUSING };
static void taker(void *memory, unsigned i) {
  struct shared *s = memory;
  struct op op = {.quits = i == QUITTER, .dies = i == DYING, .pauses = i == PAUSING};
  int rc = take_op(s, &op, SHOAL_FOREVER);
  CHECK(rc == (op.quits ? -ECANCELED : 0));
  if (rc == 0) shoal_add32_relaxed(&s->taken, 1);
}
static struct peer sleeper(int kind) { return asleep(taker, (unsigned)kind); }

// ---- 1 ----

#define ROUNDS 20000u
static void exchange(void *memory, unsigned i) {
  struct shared *s = memory;
  for (unsigned k = 0; k < ROUNDS; k++) {
    if (i % 2) open_gate(s, 1);
    else CHECK(take(s, SHOAL_FOREVER) == 0);
    if (k % 512 == i) sched_yield();
  }
}
static void test_every_ticket_is_taken(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  run(&arena, THREADS, 4, exchange);
  run(&arena, PROCESSES, 4, exchange);
  assert_int_equal(s->tickets.v_, 0);
}

static void test_forms_of_waiting(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  assert_int_equal(take(s, SHOAL_TRY), -EAGAIN);
  int64_t before = shoal_now_ns();
  assert_int_equal(take(s, shoal_after_ms(20)), -ETIMEDOUT);
  assert_true(shoal_now_ns() - before >= 20000000);
  assert_int_equal(take(s, shoal_after_ms(-1)), -ETIMEDOUT);
  open_gate(s, 2);
  assert_int_equal(take(s, SHOAL_TRY), 0);
  assert_int_equal(take(s, shoal_after_ms(-1)), 0);
  assert_null(shoal_self_()->head->pending);
}

// ---- 2 ----

static void test_the_rest_is_passed_on(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  struct peer p[3];
  for (unsigned i = 0; i < 3; i++) p[i] = sleeper(PLAIN);
  shoal_add32_seq_cst(&s->tickets, 3);  // [T4]
  shoal_gate_wake_(&s->gate, 1);
  for (unsigned i = 0; i < 3; i++) peer_join(&p[i]);
  assert_int_equal(s->taken.v_, 3);
}
static void test_who_leaves_passes_it_on(void **state) {
  (void)state;
  struct peer quitter = sleeper(QUITTER), other = sleeper(PLAIN);
  open_gate(arena.memory, 1);
  peer_join(&quitter);
  peer_join(&other);
}

// ---- 3 ----

static void open_and_die(void *memory, unsigned i) {
  struct shared *s = memory;
  shoal_pending_set_(shoal_self_(), &s->gate);
  shoal_add32_seq_cst(&s->tickets, 2);  // [T4]
  kill(getpid(), SIGKILL);
  (void)i;
}
static void test_an_opener_dies(void **state) {
  (void)state;
  struct peer a = sleeper(PLAIN), b = sleeper(PLAIN), opener = peer_start(&arena, open_and_die, 0);
  peer_join(&a);
  peer_join(&b);
  peer_kill(&opener);
}

static void test_the_woken_dies(void **state) {
  (void)state;
  struct peer woken = sleeper(DYING), other = sleeper(PLAIN);  // the first asleep is the first woken
  open_gate(arena.memory, 1);
  peer_join(&other);
  peer_kill(&woken);
}

// ---- 4 ----

static void test_the_woken_dies_and_the_other_is_not_asleep_yet(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  struct peer woken = sleeper(DYING), other = peer_start(&arena, taker, PAUSING);
  await(&s->stage, 1);  // it has looked
  open_gate(s, 1);
  CHECK(waitpid(woken.pid, NULL, 0) == woken.pid);
  say(&s->stage, 2);
  while (!shoal_load32_relaxed(&s->taken)) assert_false(peer_is_asleep(&other));
  peer_join(&other);
}

// ---- 5 ----

static void hold(void *memory, unsigned i) {
  struct shared *s = memory;
  CHECK(shoal_live_take_(&s->held) == 0);
  say(&s->stage, i);
  await(&s->stage, i + 1);
  shoal_live_drop_(&s->held);
  say(&s->stage, i + 2);
  for (;;) pause();
}
static void test_a_later_holders_death(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  struct peer first = peer_start(&arena, hold, 1);
  await(&s->stage, 1);
  say(&s->stage, 2);
  await(&s->stage, 3);
  struct peer a = sleeper(PLAIN), b = sleeper(PLAIN), later = peer_start(&arena, hold, 4);  // they sleep on a free word
  await(&s->stage, 4);
  peer_kill(&later);
  // Of two looks only a third makes one moment: one of them may take what the other, seen asleep before, was woken for.
  while (!shoal_load32_relaxed(&s->taken)) assert_false(peer_is_asleep(&a) && peer_is_asleep(&b) && peer_is_asleep(&a));
  assert_int_equal(s->taken.v_, 1);
  open_gate(s, 1);
  peer_join(&a);
  peer_join(&b);
  peer_kill(&first);
}

// ---- 6 ----

// Again, if one of them has looked meanwhile: who is woken does, and each does once a second.
static void count_sleepers(struct shared *s, struct peer *p, int n) {
  uint32_t before;
  int counted;
  do {
    for (int i = 0; i < n; i++) peer_asleep(&p[i]);
    before = shoal_load32_relaxed(&s->looks);
    counted = shoal_futex_sleepers(&s->gate);
    for (int i = 0; i < n; i++) peer_asleep(&p[i]);
  } while (shoal_load32_relaxed(&s->looks) != before);
  assert_int_equal(counted, n);
}
static void test_sleepers_are_counted(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  struct peer p[3];
  for (int i = 0; i < 3; i++) {
    count_sleepers(s, p, i);
    p[i] = sleeper(PLAIN);
  }
  count_sleepers(s, p, 3);
  open_gate(s, 3);
  for (int i = 0; i < 3; i++) peer_join(&p[i]);
  assert_int_equal(shoal_futex_sleepers(&s->gate), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_every_ticket_is_taken, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_forms_of_waiting, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_the_rest_is_passed_on, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_who_leaves_passes_it_on, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_an_opener_dies, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_the_woken_dies, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_the_woken_dies_and_the_other_is_not_asleep_yet, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_a_later_holders_death, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_sleepers_are_counted, setup, arena_end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
