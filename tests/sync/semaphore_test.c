// Claims of sync/semaphore:
//   1 never more inside than there are permits, among threads and among processes at different addresses; nobody hangs
//   2 every permit that is released is acquired once; n at once wake n
//   3 try, deadline and for ever answer as promised
//   4 a release too many is refused and changes nothing; a release by who holds none adds one below the bound
//   5 the dead give back what they held, sleepers are woken by it, a thread's exit and exec's are deaths; what is
//   consumed stays so 6 a child of fork holds none of its parent's permits
//   7 it can be inspected without being disturbed, is not destroyed under its users, and refuses what is no semaphore
//   8 more permits than can be watched at once work, too
#include "sync/semaphore.h"

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

#define MANY 300u
struct shared {
  shoal_atomic32 inside, most, done, stage;
  uint32_t limit;
  struct shoal_semaphore s;
  struct shoal_permit permits[MANY];
};
static struct shared *at;

static int setup(void **state) {
  (void)state;
  at = arena_begin(sizeof(struct shared));
  return 0;
}
static struct shoal_semaphore *made(uint32_t value, uint32_t bound, uint32_t flags) {
  assert_int_equal(shoal_semaphore_init(&at->s, value, bound, flags), 0);
  at->limit = value;
  return &at->s;
}
static struct shoal_semaphore_info info(void) {
  struct shoal_semaphore_info out;
  assert_int_equal(shoal_semaphore_info(&at->s, &out), 0);
  return out;
}

// ---- 1, 2 ----

#define ROUNDS 8000u
static void enter_and_leave(void *memory, unsigned i) {
  struct shared *m = memory;
  for (unsigned k = 0; k < ROUNDS; k++) {
    CHECK(shoal_semaphore_acquire(&m->s, k % 5 == i ? shoal_after_s(200) : SHOAL_FOREVER) == 0);
    CHECK(shoal_add32_seq_cst(&m->inside, 1) < m->limit);  // [T3] pairs with [T3]: all see one order
    if ((k + i) % 256 == 0) sched_yield();
    shoal_add32_seq_cst(&m->inside, (uint32_t)-1);  // [T3]
    CHECK(shoal_semaphore_release(&m->s) == 0);
  }
}
static void test_never_more_inside(void **state) {
  (void)state;
  for (uint32_t value = 1; value <= 3; value++) {
    made(value, value, 0);
    run(&arena, THREADS, 4, enter_and_leave);
    run(&arena, PROCESSES, 4, enter_and_leave);
    assert_int_equal(info().value, value);
    assert_int_equal(info().held, 0);
  }
  made(2, 2, SHOAL_SEMAPHORE_CONSUMED);
  run(&arena, THREADS, 4, enter_and_leave);
  run(&arena, PROCESSES, 4, enter_and_leave);
  assert_int_equal(info().value, 2);
}

static void produce_or_consume(void *memory, unsigned i) {
  struct shared *m = memory;
  for (unsigned k = 0; k < ROUNDS; k++) {
    if (i % 2) CHECK(shoal_semaphore_acquire(&m->s, SHOAL_FOREVER) == 0);
    else if (k % 4 == 0) CHECK(shoal_semaphore_release_n(&m->s, 4) == 0);
  }
}
static void test_every_item_is_consumed_once(void **state) {
  (void)state;
  made(0, 0, SHOAL_SEMAPHORE_CONSUMED);
  run(&arena, THREADS, 4, produce_or_consume);
  run(&arena, PROCESSES, 4, produce_or_consume);
  assert_int_equal(info().value, 0);
}

static void acquire_one(void *memory, unsigned i) {
  struct shared *m = memory;
  CHECK(shoal_semaphore_acquire(&m->s, SHOAL_FOREVER) == 0);
  shoal_add32_relaxed(&m->done, 1);
  (void)i;
}
static struct peer sleeper(arena_body body, unsigned i) {
  struct peer p = peer_start(&arena, body, i);
  peer_asleep(&p);
  return p;
}
static void test_n_wake_n(void **state) {
  (void)state;
  for (uint32_t flags = 0; flags <= SHOAL_SEMAPHORE_CONSUMED; flags++) {
    struct shoal_semaphore *s = made(0, 5, flags);
    struct peer p[4];
    for (unsigned i = 0; i < 4; i++) p[i] = sleeper(acquire_one, i);
    while (info().waiters != 4) sched_yield();  // one may be looking, as each does once a second
    assert_int_equal(shoal_semaphore_release_n(s, 4), 0);
    for (unsigned i = 0; i < 4; i++) peer_join(&p[i]);
    assert_int_equal(info().value, flags ? 0 : 4);
  }
}

// ---- 3 ----

static void test_forms_of_waiting(void **state) {
  (void)state;
  for (uint32_t flags = 0; flags <= SHOAL_SEMAPHORE_CONSUMED; flags++) {
    struct shoal_semaphore *s = made(1, 2, flags);
    assert_int_equal(shoal_semaphore_acquire(s, SHOAL_TRY), 0);
    assert_int_equal(shoal_semaphore_acquire(s, SHOAL_TRY), -EAGAIN);
    int64_t before = shoal_now_ns();
    assert_int_equal(shoal_semaphore_acquire(s, shoal_after_ms(20)), -ETIMEDOUT);
    assert_true(shoal_now_ns() - before >= 20000000);
    assert_int_equal(shoal_semaphore_acquire(s, shoal_after_ms(-1)), -ETIMEDOUT);
    struct peer p = sleeper(acquire_one, 0);
    assert_int_equal(shoal_semaphore_release(s), 0);
    peer_join(&p);
    assert_int_equal(shoal_semaphore_release(s), 0);
    assert_int_equal(shoal_semaphore_acquire(s, shoal_after_ms(-1)), 0);
    assert_null(shoal_self_()->head->pending);
    if (!flags) assert_int_equal(shoal_semaphore_release(s), 0);
  }
}

// ---- 4 ----

static void test_a_release_too_many(void **state) {
  (void)state;
  struct shoal_semaphore *s = made(2, 2, 0);
  assert_int_equal(shoal_semaphore_release(s), -EOVERFLOW);
  assert_int_equal(shoal_semaphore_acquire(s, SHOAL_TRY), 0);
  assert_int_equal(shoal_semaphore_release_n(s, 2), -EOVERFLOW);
  assert_int_equal(shoal_semaphore_release_n(s, 0), -EINVAL);
  assert_int_equal(info().held, 1);
  assert_int_equal(shoal_semaphore_release(s), 0);
  assert_int_equal(shoal_semaphore_release(s), -EOVERFLOW);
  assert_int_equal(info().value, 2);

  s = made(0, 2, 0);
  assert_int_equal(shoal_semaphore_acquire(s, SHOAL_TRY), -EAGAIN);
  assert_int_equal(shoal_semaphore_release_n(s, 3), -EOVERFLOW);
  assert_int_equal(shoal_semaphore_release(s), 0);
  assert_int_equal(shoal_semaphore_acquire(s, SHOAL_TRY), 0);
  assert_int_equal(shoal_semaphore_release_n(s, 2), 0);  // the one held, and one more
  assert_int_equal(info().value, 2);

  s = made(1, 1, SHOAL_SEMAPHORE_CONSUMED);
  assert_int_equal(shoal_semaphore_release(s), -EOVERFLOW);
  s = made(SHOAL_SEMAPHORE_MAX, 0, SHOAL_SEMAPHORE_CONSUMED);
  assert_int_equal(shoal_semaphore_release(s), -EOVERFLOW);
  assert_int_equal(info().value, SHOAL_SEMAPHORE_MAX);
}

// ---- 5 ----

static void acquire_and_stay(void *memory, unsigned i) {
  struct shared *m = memory;
  for (unsigned k = 0; k < i; k++) CHECK(shoal_semaphore_acquire(&m->s, SHOAL_FOREVER) == 0);
  shoal_add32_seq_cst(&m->stage, 1);  // [T1] pairs with [T2]
  for (;;) pause();
}
static struct peer holder(unsigned permits) {
  uint32_t stage = at->stage.v_;
  struct peer p = peer_start(&arena, acquire_and_stay, permits);
  await(&at->stage, stage + 1);
  return p;
}
static void test_the_dead_give_back(void **state) {
  (void)state;
  struct shoal_semaphore *s = made(3, 3, 0);
  struct peer two = holder(2), one = holder(1), waiting[2];
  assert_int_equal(info().held, 3);
  for (unsigned i = 0; i < 2; i++) waiting[i] = sleeper(acquire_one, i);
  peer_kill(&two);
  peer_join(&waiting[0]);
  peer_join(&waiting[1]);
  assert_int_equal(info().held, 1);
  peer_kill(&one);
  assert_int_equal(info().value, 3);
  for (unsigned i = 0; i < 3; i++) assert_int_equal(shoal_semaphore_acquire(s, SHOAL_TRY), 0);
  assert_int_equal(shoal_semaphore_acquire(s, SHOAL_TRY), -EAGAIN);
  assert_true(info().returned >= 3);
  assert_int_equal(shoal_semaphore_release_n(s, 3), 0);
}

static void test_what_is_consumed_stays_so(void **state) {
  (void)state;
  made(1, 0, SHOAL_SEMAPHORE_CONSUMED);
  struct peer p = holder(1);
  peer_kill(&p);
  assert_int_equal(info().value, 0);
}

static void *acquire_and_exit(void *s) { return (void *)(intptr_t)shoal_semaphore_acquire(s, SHOAL_FOREVER); }
static void test_a_thread_that_exits_dies(void **state) {
  (void)state;
  struct shoal_semaphore *s = made(1, 1, 0);
  pthread_t thread;
  void *rc;
  for (unsigned i = 0; i < 3; i++) {
    assert_int_equal(pthread_create(&thread, NULL, acquire_and_exit, s), 0);
    assert_int_equal(pthread_join(thread, &rc), 0);
    assert_int_equal((intptr_t)rc, 0);
  }
  assert_int_equal(info().value, 1);
}

static void *release_it(void *s) { return (void *)(intptr_t)shoal_semaphore_release(s); }
static void test_a_sleeper_that_dies_costs_nobody_a_wake(void **state) {
  (void)state;
  for (uint32_t flags = 0; flags <= SHOAL_SEMAPHORE_CONSUMED; flags++) {
    struct shoal_semaphore *s = made(0, 4, flags);
    struct peer p[3];
    for (unsigned i = 0; i < 3; i++) p[i] = sleeper(acquire_one, i);
    peer_kill(&p[0]);
    assert_int_equal(shoal_semaphore_release(s), 0);
    assert_int_equal(shoal_semaphore_release(s), 0);
    peer_join(&p[1]);
    peer_join(&p[2]);
  }
}

// ---- 6 ----

static void test_a_child_holds_nothing(void **state) {
  (void)state;
  struct shoal_semaphore *s = made(1, 1, 0);
  int status;
  assert_int_equal(shoal_semaphore_acquire(s, SHOAL_TRY), 0);
  pid_t child = fork();
  if (child == 0) _exit(shoal_semaphore_release(s) != -EOVERFLOW || shoal_semaphore_acquire(s, SHOAL_TRY) != -EAGAIN);
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  pthread_t thread;
  void *rc;
  assert_int_equal(pthread_create(&thread, NULL, release_it, s), 0);
  assert_int_equal(pthread_join(thread, &rc), 0);
  assert_int_equal((intptr_t)rc, -EOVERFLOW);
  assert_int_equal(info().held, 1);
  assert_int_equal(shoal_semaphore_release(s), 0);
}

// ---- 7 ----

static void test_lifecycle(void **state) {
  (void)state;
  struct shoal_semaphore *s = &at->s;
  struct shoal_semaphore_info out;
  assert_int_equal(shoal_semaphore_size(3, 0), 64 + 3 * 64);
  assert_int_equal(shoal_semaphore_size(0, SHOAL_SEMAPHORE_CONSUMED), 64);
  assert_int_equal(shoal_semaphore_size(0, 0), 0);
  assert_int_equal(shoal_semaphore_size(SHOAL_SEMAPHORE_HELD_MAX + 1, 0), 0);
  assert_int_equal(shoal_semaphore_acquire(s, SHOAL_FOREVER), -EINVAL);  // nothing stands there
  assert_int_equal(shoal_semaphore_release(s), -EINVAL);
  assert_int_equal(shoal_semaphore_info(s, &out), -EINVAL);
  assert_int_equal(shoal_semaphore_check_(s, 64), -EPROTO);
  assert_int_equal(shoal_semaphore_init(s, 3, 2, 0), -EINVAL);
  assert_string_equal(shoal_reason(), "value 3 is above bound 2");
  assert_int_equal(shoal_semaphore_init(s, 0, 0, 0), -EINVAL);
  assert_int_equal(shoal_semaphore_init(s, 1, 1, 2), -EINVAL);
  assert_int_equal(shoal_semaphore_init(s, 1, SHOAL_SEMAPHORE_HELD_MAX + 1, 0), -EINVAL);
  assert_non_null(strstr(shoal_reason(), "bound"));
  made(2, 0, 0);
  assert_int_equal(info().bound, 2);
  assert_int_equal(shoal_semaphore_check_(s, 64 + 2 * 64), 0);
  assert_int_equal(shoal_semaphore_check_(s, 64 + 64), -EPROTO);
  assert_int_equal(shoal_semaphore_acquire(s, SHOAL_TRY), 0);
  assert_int_equal(shoal_semaphore_destroy(s), -EBUSY);
  assert_int_equal(shoal_semaphore_release(s), 0);
  assert_int_equal(shoal_semaphore_destroy(s), 0);
  assert_int_equal(shoal_semaphore_destroy(s), -EINVAL);
  assert_int_equal(shoal_semaphore_acquire(s, SHOAL_FOREVER), -EINVAL);
  assert_int_equal(shoal_semaphore_release(s), -EINVAL);
  made(0, 0, SHOAL_SEMAPHORE_CONSUMED);
  struct peer p = sleeper(acquire_one, 0);
  assert_int_equal(shoal_semaphore_destroy(s), -EBUSY);
  assert_int_equal(shoal_semaphore_release(s), 0);
  peer_join(&p);
  assert_int_equal(shoal_semaphore_destroy(s), 0);
}

// The permits that others have are theirs in the list, one after the other; of many only the first.
static void test_who_holds(void **state) {
  (void)state;
  struct shoal_semaphore *s = made(3, 3, 0);
  assert_int_equal(info().holders[0], 0);
  struct peer p = holder(2);
  assert_int_equal(shoal_semaphore_acquire(s, SHOAL_TRY), 0);
  uint32_t of_peer = 0, mine = 0;
  for (int i = 0; i < 4; i++)
    of_peer += info().holders[i] == (uint32_t)p.pid, mine += info().holders[i] == (uint32_t)getpid();
  assert_int_equal(of_peer, 2);
  assert_int_equal(mine, 1);
  assert_int_equal(info().holders[3], 0);
  peer_kill(&p);
  assert_int_equal(info().holders[0], getpid());  // the dead hold nothing
  assert_int_equal(info().holders[1], 0);
  assert_int_equal(shoal_semaphore_release(s), 0);
  made(MANY, MANY, 0);
  p = holder(MANY);
  assert_int_equal(info().held, MANY);
  for (unsigned i = 0; i < SHOAL_SEMAPHORE_HOLDERS; i++) assert_int_equal(info().holders[i], p.pid);
  peer_kill(&p);
}

// ---- 8 ----

static void test_many_permits(void **state) {
  (void)state;
  struct shoal_semaphore *s = made(MANY, MANY, 0);
  struct peer p = holder(MANY), waiting = sleeper(acquire_one, 0);
  assert_int_equal(shoal_semaphore_acquire(s, SHOAL_TRY), -EAGAIN);
  peer_kill(&p);
  peer_join(&waiting);
  assert_int_equal(info().value, MANY);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_never_more_inside, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_every_item_is_consumed_once, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_n_wake_n, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_forms_of_waiting, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_a_release_too_many, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_the_dead_give_back, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_what_is_consumed_stays_so, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_a_thread_that_exits_dies, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_a_sleeper_that_dies_costs_nobody_a_wake, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_a_child_holds_nothing, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_lifecycle, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_who_holds, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_many_permits, setup, arena_end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
