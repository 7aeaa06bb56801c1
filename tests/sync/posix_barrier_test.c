// Behaviours that other suites check of barriers, with ours: one line each in tests/sync/README.md.
//   posix_*  Open POSIX Test Suite (LTP), glibc's nptl       python_*  CPython's lock_tests.BarrierTests
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "sync/barrier.h"
#include "tests/harness/stage.h"

#define N 5
#define MANY 20
struct shared {
  union {
    struct shoal_barrier barrier;
    char room[128 + 64 * MANY];
  } at[MANY];
  shoal_atomic32 counters[MANY], serial[MANY], results[3], late, signalled, waited;
  uint32_t zero[2];
};

static struct shoal_barrier *barrier(struct shared *s, unsigned i) { return &s->at[i].barrier; }
static void make(unsigned i, uint32_t parties, int64_t timeout_ns) {
  struct shoal_barrier_options options = {.timeout_ns = timeout_ns};
  assert_int_equal(shoal_barrier_init(barrier(arena.memory, i), parties, &options), 0);
}
static int setup(void **state) {
  (void)state;
  arena_begin(sizeof(struct shared));
  return 0;
}
static int teardown(void **state) {
  for (unsigned i = 0; i < MANY; i++) assert_int_equal(shoal_barrier_leave(barrier(arena.memory, i)), 0);
  return arena_end(state);
}
static uint32_t get(const shoal_atomic32 *word) { return shoal_load32_seq_cst(word); }  // [T1] pairs with [T2]
static void add(shoal_atomic32 *word) { shoal_add32_seq_cst(word, 1); }                 // [T2] pairs with [T1]
static int wait_for(struct shoal_barrier *b) { return shoal_barrier_wait(b, SHOAL_FOREVER, NULL); }
static void leave(struct shared *s, unsigned i) { CHECK(shoal_barrier_leave(barrier(s, i)) == 0); }

// ---- POSIX ----

static void test_posix_counts(void **state) {
  (void)state;
  struct shoal_barrier *b = barrier(arena.memory, 0);
  assert_int_equal(shoal_barrier_init(b, 0, NULL), -EINVAL);
  for (int i = 0; i < 20; i++) {
    make(0, 1 + (uint32_t)i, 0);
    assert_int_equal(shoal_barrier_destroy(b), 0);
  }
}

static void test_posix_uninitialized(void **state) {
  (void)state;
  assert_int_equal(wait_for(barrier(arena.memory, 0)), -EINVAL);
}

static void wait_and_leave(void *memory, unsigned i) {
  struct shared *s = memory;
  CHECK(wait_for(barrier(s, 0)) == 0);
  add(&s->counters[i]);
  leave(s, 0);
}
static void test_posix_blocks_until_the_count(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  make(0, 2, 0);
  struct peer p = asleep(wait_and_leave, 1);
  assert_int_equal(get(&s->counters[1]), 0);
  assert_int_equal(shoal_barrier_destroy(barrier(s, 0)), -EBUSY);
  assert_int_equal(wait_for(barrier(s, 0)), 0);
  peer_join(&p);
  assert_int_equal(shoal_barrier_destroy(barrier(s, 0)), 0);
}

// In each round one is the serial one.
static void be_serial(void *memory, unsigned i) {
  struct shared *s = memory;
  uint32_t index;
  (void)i;
  for (int round = 0; round < 30; round++) {
    CHECK(shoal_barrier_wait(barrier(s, 0), SHOAL_FOREVER, &index) == 0);
    if (index == 0) add(&s->serial[round % MANY]);
  }
  leave(s, 0);
}
static void test_posix_one_serial(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  make(0, 2, 0);
  run(&arena, PROCESSES, 2, be_serial);
  for (int i = 0; i < MANY; i++) assert_int_equal(get(&s->serial[i]), i < 30 - MANY ? 2 : 1);
  make(0, 4, 0);
  run(&arena, THREADS, 4, be_serial);
  for (int i = 0; i < MANY; i++) assert_int_equal(get(&s->serial[i]), i < 30 - MANY ? 4 : 2);
}

// A signal comes while a party sleeps; the barrier is completed after the handler has returned, or while it runs.
static struct shared *handled;
static int long_handler;
static void handler(int signal) {
  (void)signal;
  add(&handled->signalled);
  while (long_handler && !get(&handled->waited)) sched_yield();
}
static void wait_through_a_signal(void *memory, unsigned i) {
  handled = memory;
  struct sigaction action = {.sa_handler = handler};
  CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
  wait_and_leave(memory, i);
}
static void signal_a_sleeper(int lasting) {
  struct shared *s = arena.memory;
  memset((void *)s, 0, sizeof *s);
  long_handler = lasting;
  make(0, 2, 0);
  struct peer p = asleep(wait_through_a_signal, 1);
  kill(p.pid, SIGUSR1);
  while (!get(&s->signalled)) sched_yield();
  if (!lasting) peer_asleep(&p);
  assert_int_equal(get(&s->counters[1]), 0);
  assert_int_equal(wait_for(barrier(s, 0)), 0);
  add(&s->waited);
  peer_join(&p);
  assert_int_equal(get(&s->counters[1]), 1);
  leave(s, 0);
}
static void test_posix_signals(void **state) {
  (void)state;
  signal_a_sleeper(0);
  signal_a_sleeper(1);
}

// Barrier j is for 0 .. j: each counts up before it, and finds all counted after it.
static void meet_in_all(void *memory, unsigned i) {
  struct shared *s = memory;
  uint32_t index;
  for (uint32_t round = 1; round <= 3; round++)
    for (unsigned j = i; j < MANY; j++) {
      add(&s->counters[j]);
      CHECK(shoal_barrier_wait(barrier(s, j), SHOAL_FOREVER, &index) == 0);
      CHECK(get(&s->counters[j]) == (j + 1) * round);
      if (index == 0) add(&s->serial[j]);
      CHECK(wait_for(barrier(s, j)) == 0);
      CHECK(get(&s->serial[j]) == round);
      CHECK(wait_for(barrier(s, j)) == 0);
    }
  for (unsigned j = i; j < MANY; j++) leave(s, j);
}
static void test_posix_many_barriers(void **state) {
  (void)state;
  for (unsigned j = 0; j < MANY; j++) make(j, j + 1, 0);
  run(&arena, THREADS, MANY, meet_in_all);
}

// The serial one destroys the barrier and makes it anew at once: it is refused until the others have left it.
static void destroy_behind(struct shared *s, unsigned i, unsigned place) {
  uint32_t index;
  (void)i;
  CHECK(shoal_barrier_wait(barrier(s, place), SHOAL_FOREVER, &index) == 0);
  if (index) {
    leave(s, place);
    return;
  }
  int rc;
  while ((rc = shoal_barrier_destroy(barrier(s, place))) == -EBUSY) sched_yield();
  CHECK(rc == 0 && shoal_barrier_init(barrier(s, place), N, NULL) == 0);
}
static void destroy_in_turns(void *memory, unsigned i) {
  for (int round = 0; round < 100; round++) {
    destroy_behind(memory, i, 0);
    destroy_behind(memory, i, 1);
  }
}
static void test_posix_destroyed_behind_the_last(void **state) {
  (void)state;
  make(0, N, 0);
  make(1, N, 0);
  run(&arena, THREADS, N, destroy_in_turns);
  run(&arena, PROCESSES, N, destroy_in_turns);
}

// ---- Python ----

static void pass_in_lockstep(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_barrier_info info;
  (void)i;
  for (uint32_t pass = 0; pass < 10; pass++) {
    add(&s->results[0]);
    CHECK(get(&s->results[1]) == pass * N);
    CHECK(wait_for(barrier(s, 0)) == 0);
    add(&s->results[1]);
    CHECK(get(&s->results[0]) == (pass + 1) * N);
    CHECK(wait_for(barrier(s, 0)) == 0);
  }
  CHECK(shoal_barrier_info(barrier(s, 0), &info) == 0);
  CHECK(info.parties == N && info.waiting == 0 && !info.broken);
  leave(s, 0);
}
static void test_python_lockstep(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  make(0, N, 0);
  run(&arena, THREADS, N, pass_in_lockstep);
  memset(s->results, 0, sizeof s->results);
  run(&arena, PROCESSES, N, pass_in_lockstep);
}

static void sum_up(void *memory, unsigned i) {
  struct shared *s = memory;
  uint32_t index;
  (void)i;
  CHECK(shoal_barrier_wait(barrier(s, 0), SHOAL_FOREVER, &index) == 0);
  shoal_add32_seq_cst(&s->results[0], index);  // [T2]
  leave(s, 0);
}
static void test_python_wait_return(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  make(0, N, 0);
  run(&arena, PROCESSES, N, sum_up);
  assert_int_equal(get(&s->results[0]), 0 + 1 + 2 + 3 + 4);
}

static int append(void *arg) {
  add(arg);
  return 0;
}
static void act(void *memory, unsigned i) {
  struct shared *s = memory;
  (void)i;
  CHECK(shoal_barrier_wait_action(barrier(s, 0), SHOAL_FOREVER, append, &s->results[0], NULL) == 0);
  CHECK(get(&s->results[0]) == 1);
  leave(s, 0);
}
static void test_python_action(void **state) {
  (void)state;
  make(0, N, 0);
  run(&arena, PROCESSES, N, act);
}

// One of them aborts instead of waiting a second time; the first wait says which.
static void wait_or_abort(struct shared *s) {
  uint32_t index;
  CHECK(shoal_barrier_wait(barrier(s, 0), SHOAL_FOREVER, &index) == 0);
  if (index == N / 2) {
    CHECK(shoal_barrier_abort(barrier(s, 0)) == 0);
    return;
  }
  int rc = wait_for(barrier(s, 0));
  CHECK(rc == 0 || rc == -EPIPE);
  add(&s->results[rc ? 1 : 0]);
}
static void abort_one(void *memory, unsigned i) {
  (void)i;
  wait_or_abort(memory);
  leave(memory, 0);
}
static void test_python_abort(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  struct shoal_barrier_info info;
  make(0, N, 0);
  run(&arena, PROCESSES, N, abort_one);
  assert_int_equal(get(&s->results[0]), 0);
  assert_int_equal(get(&s->results[1]), N - 1);
  assert_int_equal(shoal_barrier_info(barrier(s, 0), &info), 0);
  assert_int_equal(info.broken, SHOAL_BARRIER_ABORTED);
}

static void reset_one(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_barrier_info info;
  uint32_t index;
  (void)i;
  CHECK(shoal_barrier_wait(barrier(s, 0), SHOAL_FOREVER, &index) == 0);
  if (index == N / 2) {
    do {
      sched_yield();
      CHECK(shoal_barrier_info(barrier(s, 0), &info) == 0);
    } while (info.waiting < N - 1);
    CHECK(shoal_barrier_reset(barrier(s, 0)) == 0);
  } else {
    CHECK(wait_for(barrier(s, 0)) == -EPIPE);
    add(&s->results[1]);
  }
  CHECK(wait_for(barrier(s, 0)) == 0);
  add(&s->results[2]);
  leave(s, 0);
}
static void test_python_reset(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  make(0, N, 0);
  run(&arena, PROCESSES, N, reset_one);
  assert_int_equal(get(&s->results[1]), N - 1);
  assert_int_equal(get(&s->results[2]), N);
}

static void abort_then_reset(void *memory, unsigned i) {
  struct shared *s = memory;
  uint32_t index;
  (void)i;
  wait_or_abort(s);
  CHECK(shoal_barrier_wait(barrier(s, 1), SHOAL_FOREVER, &index) == 0);
  if (index == N / 2) CHECK(shoal_barrier_reset(barrier(s, 0)) == 0);
  CHECK(wait_for(barrier(s, 1)) == 0);
  CHECK(wait_for(barrier(s, 0)) == 0);
  add(&s->results[2]);
  leave(s, 0);
  leave(s, 1);
}
static void test_python_abort_and_reset(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  make(0, N, 0);
  make(1, N, 0);
  run(&arena, PROCESSES, N, abort_then_reset);
  assert_int_equal(get(&s->results[0]), 0);
  assert_int_equal(get(&s->results[1]), N - 1);
  assert_int_equal(get(&s->results[2]), N);
}

// One is late: it comes when it sees that the others have given up, so that no clock decides.
static void be_late(struct shared *s, unsigned i, shoal_deadline (*deadline)(void)) {
  struct shoal_barrier_info info;
  CHECK(shoal_barrier_wait(barrier(s, 0), shoal_after_s(100), NULL) == 0);  // not the barrier's own timeout
  if (i == N / 2) do
      CHECK(shoal_barrier_info(barrier(s, 0), &info) == 0);
    while (!info.broken && sched_yield() == 0);
  int rc = shoal_barrier_wait(barrier(s, 0), deadline(), NULL);
  CHECK(rc == -EPIPE || rc == -ETIMEDOUT);
  if (rc == -ETIMEDOUT) add(&s->late);
  leave(s, 0);
}
static shoal_deadline soon(void) { return shoal_after_ms(50); }
static shoal_deadline never(void) { return SHOAL_FOREVER; }
static void late_for_a_deadline(void *memory, unsigned i) { be_late(memory, i, soon); }
static void late_for_the_default(void *memory, unsigned i) { be_late(memory, i, never); }

static void test_python_timeout(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  make(0, N, 0);
  run(&arena, PROCESSES, N, late_for_a_deadline);
  assert_int_equal(get(&s->late), 1);
}
static void test_python_default_timeout(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  make(0, N, 50000000);
  run(&arena, PROCESSES, N, late_for_the_default);
  assert_int_equal(get(&s->late), 1);
}

static void test_python_single(void **state) {
  (void)state;
  make(0, 1, 0);
  assert_int_equal(wait_for(barrier(arena.memory, 0)), 0);
  assert_int_equal(wait_for(barrier(arena.memory, 0)), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_posix_counts, setup, teardown),
      cmocka_unit_test_setup_teardown(test_posix_uninitialized, setup, teardown),
      cmocka_unit_test_setup_teardown(test_posix_blocks_until_the_count, setup, teardown),
      cmocka_unit_test_setup_teardown(test_posix_one_serial, setup, teardown),
      cmocka_unit_test_setup_teardown(test_posix_signals, setup, teardown),
      cmocka_unit_test_setup_teardown(test_posix_many_barriers, setup, teardown),
      cmocka_unit_test_setup_teardown(test_posix_destroyed_behind_the_last, setup, teardown),
      cmocka_unit_test_setup_teardown(test_python_lockstep, setup, teardown),
      cmocka_unit_test_setup_teardown(test_python_wait_return, setup, teardown),
      cmocka_unit_test_setup_teardown(test_python_action, setup, teardown),
      cmocka_unit_test_setup_teardown(test_python_abort, setup, teardown),
      cmocka_unit_test_setup_teardown(test_python_reset, setup, teardown),
      cmocka_unit_test_setup_teardown(test_python_abort_and_reset, setup, teardown),
      cmocka_unit_test_setup_teardown(test_python_timeout, setup, teardown),
      cmocka_unit_test_setup_teardown(test_python_default_timeout, setup, teardown),
      cmocka_unit_test_setup_teardown(test_python_single, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
