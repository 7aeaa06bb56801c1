// Claims of sync/event:
//   1 whoever waits goes on when it is set, all of them, among threads and among processes at different addresses
//   2 a set that is cleared at once releases all who waited, and none who came later
//   3 try, deadline and for ever answer as promised
//   4 "x = 1, set" and "clear, read x, wait": one of the two sees the other, also where the set finds it set
//   5 a setter killed before it has woken anybody, and a sleeper killed just woken, leave nobody asleep
//   6 it can be inspected without being disturbed, is not destroyed under its users, and refuses what is no event
#include "sync/event.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/harness/stage.h"

struct shared {
  struct shoal_event e, answer;
  shoal_atomic32 x, done;
};
static struct shared *at;

static int setup(void **state) {
  (void)state;
  at = arena_begin(sizeof(struct shared));
  assert_int_equal(shoal_event_init(&at->e), 0);
  assert_int_equal(shoal_event_init(&at->answer), 0);
  return 0;
}
static struct shoal_event_info info(void) {
  struct shoal_event_info out;
  assert_int_equal(shoal_event_info(&at->e, &out), 0);
  return out;
}

// ---- 1 ----

static void waiter(void *memory, unsigned i) {
  struct shared *m = memory;
  CHECK(shoal_event_wait(&m->e, SHOAL_FOREVER) == 0);
  shoal_add32_relaxed(&m->done, 1);
  (void)i;
}
static struct peer sleeper(void) { return asleep(waiter, 0); }
static void test_all_go_on(void **state) {
  (void)state;
  struct peer p[4];
  for (unsigned i = 0; i < 4; i++) p[i] = sleeper();
  while (info().waiters != 4) sched_yield();  // one may be looking, as each does once a second
  assert_int_equal(shoal_event_set(&at->e), 0);
  for (unsigned i = 0; i < 4; i++) peer_join(&p[i]);
  assert_int_equal(at->done.v_, 4);
  assert_true(shoal_event_is_set(&at->e));
  assert_int_equal(shoal_event_wait(&at->e, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_event_set(&at->e), 0);
  assert_int_equal(info().sets, 1);
}

#define ROUNDS 2000u
static void ask_or_answer(void *memory, unsigned i) {
  struct shared *m = memory;
  struct shoal_event *mine = i ? &m->e : &m->answer, *theirs = i ? &m->answer : &m->e;
  for (unsigned k = 0; k < ROUNDS; k++) {
    if (!i) CHECK(shoal_event_set(theirs) == 0);
    CHECK(shoal_event_wait(mine, SHOAL_FOREVER) == 0);
    CHECK(shoal_event_clear(mine) == 0);
    if (i) CHECK(shoal_event_set(theirs) == 0);
  }
}
static void test_to_and_fro(void **state) {
  (void)state;
  run(&arena, THREADS, 2, ask_or_answer);
  run(&arena, PROCESSES, 2, ask_or_answer);
  assert_int_equal(info().sets, 2 * ROUNDS);
}

// ---- 2 ----

static void test_a_pulse_releases_who_waited(void **state) {
  (void)state;
  for (unsigned round = 1; round <= 20; round++) {
    struct peer p[3];
    for (unsigned i = 0; i < 3; i++) p[i] = sleeper();
    assert_int_equal(shoal_event_set(&at->e), 0);
    assert_int_equal(shoal_event_clear(&at->e), 0);
    assert_int_equal(shoal_event_wait(&at->e, SHOAL_TRY), -EAGAIN);
    for (unsigned i = 0; i < 3; i++) peer_join(&p[i]);
    assert_int_equal(at->done.v_, 3 * round);
  }
}

// ---- 3 ----

static void test_forms_of_waiting(void **state) {
  (void)state;
  assert_int_equal(shoal_event_wait(&at->e, SHOAL_TRY), -EAGAIN);
  int64_t before = shoal_now_ns();
  assert_int_equal(shoal_event_wait(&at->e, shoal_after_ms(20)), -ETIMEDOUT);
  assert_true(shoal_now_ns() - before >= 20000000);
  assert_int_equal(shoal_event_wait(&at->e, shoal_after_ms(-1)), -ETIMEDOUT);
  assert_int_equal(shoal_event_set(&at->e), 0);
  assert_int_equal(shoal_event_wait(&at->e, shoal_after_ms(-1)), 0);
  assert_int_equal(shoal_event_wait(&at->e, SHOAL_TRY), 0);
  assert_int_equal(shoal_event_clear(&at->e), 0);
  assert_int_equal(shoal_event_clear(&at->e), 0);
  assert_false(shoal_event_is_set(&at->e));
  assert_null(shoal_self_()->head->pending);
}

// ---- 4 ----

// One publishes numbers and sets, mostly finding it set; the other clears, looks, and waits only for what it has not
// seen.
static void publish_or_follow(void *memory, unsigned i) {
  struct shared *m = memory;
  for (uint32_t seen = 0; i == 0 && seen < 4 * ROUNDS; seen++) {
    shoal_store32_relaxed(&m->x, seen + 1);
    CHECK(shoal_event_set(&m->e) == 0);
  }
  while (i == 1) {
    CHECK(shoal_event_clear(&m->e) == 0);
    uint32_t seen = shoal_load32_relaxed(&m->x);
    if (seen == 4 * ROUNDS) break;
    CHECK(shoal_event_wait(&m->e, SHOAL_FOREVER) == 0);
  }
}
static void test_set_when_set_is_not_lost(void **state) {
  (void)state;
  for (unsigned round = 0; round < 5; round++) {
    at->x.v_ = 0;
    run(&arena, THREADS, 2, publish_or_follow);
    at->x.v_ = 0;
    run(&arena, PROCESSES, 2, publish_or_follow);
  }
}

// ---- 5 ----

// What a setter has done that is killed between its compare-and-set and its wake.
static void set_and_die(void *memory, unsigned i) {
  struct shared *m = memory;
  shoal_pending_set_(shoal_self_(), &m->e.half[0]);
  uint64_t word = shoal_load64_relaxed(&m->e.word);
  CHECK(shoal_cas64_seq_cst(&m->e.word, &word, (word | SHOAL_EVENT_SET_) + SHOAL_EVENT_ONE_));  // [E1]
  if (i == 0) kill(getpid(), SIGKILL);
  shoal_add32_seq_cst(&m->x, 1);  // [T1] a barrier: pairs with [T1]
  for (;;) pause();
}
static void test_a_setter_dies(void **state) {
  (void)state;
  struct peer p[3];
  for (unsigned i = 0; i < 3; i++) p[i] = sleeper();
  struct peer setter = peer_start(&arena, set_and_die, 0);
  for (unsigned i = 0; i < 3; i++) peer_join(&p[i]);
  peer_kill(&setter);
}
static void test_a_setter_is_held_up(void **state) {
  (void)state;
  for (unsigned clears = 0; clears < 2; clears++) {
    struct peer p[3];
    at->x.v_ = 0;
    for (unsigned i = 0; i < 3; i++) p[i] = sleeper();
    struct peer setter = peer_start(&arena, set_and_die, 1);
    while (!shoal_load32_relaxed(&at->x)) sched_yield();
    assert_int_equal(clears ? shoal_event_clear(&at->e) : shoal_event_set(&at->e), 0);  // who comes next wakes them
    for (unsigned i = 0; i < 3; i++) peer_join(&p[i]);
    peer_kill(&setter);
    assert_int_equal(shoal_event_clear(&at->e), 0);
  }
}

// ---- 6 ----

static void test_lifecycle(void **state) {
  (void)state;
  struct shoal_event *e = &at->e, nothing = {.kind = 0};
  struct shoal_event_info out;
  assert_int_equal(shoal_event_wait(&nothing, SHOAL_FOREVER), -EINVAL);
  assert_int_equal(shoal_event_set(&nothing), -EINVAL);
  assert_int_equal(shoal_event_clear(&nothing), -EINVAL);
  assert_int_equal(shoal_event_info(&nothing, &out), -EINVAL);
  assert_int_equal(shoal_event_check_(&nothing, 64), -EPROTO);
  assert_int_equal(shoal_event_check_(e, 64), 0);
  assert_int_equal(shoal_event_check_(e, 63), -EPROTO);
  struct peer p = sleeper();
  assert_int_equal(shoal_event_destroy(e), -EBUSY);
  assert_int_equal(shoal_event_set(e), 0);
  peer_join(&p);
  assert_int_equal(shoal_event_destroy(e), 0);
  assert_int_equal(shoal_event_destroy(e), -EINVAL);
  assert_int_equal(shoal_event_wait(e, SHOAL_FOREVER), -EINVAL);
  assert_int_equal(shoal_event_set(e), -EINVAL);
}

// A child of fork that uses it before anything else: the fence of whoever clears it first has to reach that one, too.
static void set_first(void *memory, unsigned i) {
  struct shoal_event *e = memory;
  (void)i;
  CHECK(shoal_epoch() == 0);
  CHECK(shoal_event_set(e) == 0);
  CHECK(shoal_epoch() != 0);
}
static void test_a_set_that_is_a_process_first(void **state) {
  (void)state;
  assert_int_equal(shoal_event_set(&at->e), 0);
  struct peer p = peer_start(&arena, set_first, 0);
  peer_join(&p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_all_go_on, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_to_and_fro, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_a_pulse_releases_who_waited, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_forms_of_waiting, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_set_when_set_is_not_lost, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_a_setter_dies, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_a_setter_is_held_up, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_a_set_that_is_a_process_first, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_lifecycle, setup, arena_end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
