// What the conformance suites of POSIX and glibc's own tests ask of condition variables, asked of sync/condition.
// Ported by behaviour, not by code; README.md says which test is whose. Each one runs among threads and among
// processes.
#include "sync/condition.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/harness/stage.h"

#define PLACES 72
struct line {
  uint64_t words[(sizeof(struct shoal_condition) + PLACES * 64) / 8] SHOAL_ALIGNED(64);
};
struct shared {
  struct shoal_lock lock;
  struct line condition_, other_;
  uint32_t waiting, woken, go, round, jobs, done;  // under the lock
};

static struct shoal_condition *condition(struct shared *s) { return (struct shoal_condition *)s->condition_.words; }
static struct shoal_condition *other(struct shared *s) { return (struct shoal_condition *)s->other_.words; }

static int setup(void **state) {
  (void)state;
  struct shared *s = arena_begin(sizeof(struct shared));
  assert_int_equal(shoal_lock_init(&s->lock), 0);
  assert_int_equal(shoal_condition_init(condition(s), PLACES), 0);
  assert_int_equal(shoal_condition_init(other(s), PLACES), 0);
  return 0;
}

static void acquire(struct shared *s) { CHECK(shoal_lock_acquire(&s->lock, SHOAL_FOREVER) == 0); }
static void release(struct shared *s) { CHECK(shoal_lock_release(&s->lock) == 0); }
static int wait_for(struct shared *s, shoal_deadline deadline) {
  return shoal_condition_wait(condition(s), &s->lock, deadline);
}
static void signal_one(struct shared *s) { CHECK(shoal_condition_notify(condition(s), &s->lock, 1) == 0); }
static void broadcast(struct shared *s) { CHECK(shoal_condition_notify_all(condition(s), &s->lock) == 0); }
// With the lock held, until `*count`, changed under the lock, is `wanted`.
static void await_count(struct shared *s, const uint32_t *count, uint32_t wanted) {
  while (*(const volatile uint32_t *)count != wanted) {
    release(s);
    sched_yield();
    acquire(s);
  }
}
static void both(unsigned n, arena_body body) {
  struct shared *s = arena.memory;
  for (int driver = THREADS; driver < DRIVERS; driver++) {
    s->waiting = s->woken = s->go = s->round = s->jobs = s->done = 0;
    run(&arena, (enum driver)driver, n, body);
  }
}

// Everybody but the first waits once; each owns the lock when it has come back.
static void wait_once(struct shared *s, shoal_deadline deadline) {
  acquire(s);
  s->waiting++;
  CHECK(wait_for(s, deadline) == 0);
  CHECK(shoal_lock_acquire(&s->lock, SHOAL_TRY) == -EDEADLK);
  s->woken++;
  release(s);
}

#define MANY 60
static void broadcast_to_many(void *memory, unsigned i) {
  struct shared *s = memory;
  if (i) {
    wait_once(s, i % 2 ? SHOAL_FOREVER : shoal_after_s(600));
    return;
  }
  acquire(s);
  await_count(s, &s->waiting, MANY);
  broadcast(s);
  await_count(s, &s->woken, MANY);
  release(s);
}
static void test_broadcast_unblocks_all(void **state) {
  (void)state;
  both(MANY + 1, broadcast_to_many);
}

static void signal_one_by_one(void *memory, unsigned i) {
  struct shared *s = memory;
  if (i) {
    wait_once(s, SHOAL_FOREVER);
    return;
  }
  acquire(s);
  await_count(s, &s->waiting, 10);
  for (uint32_t k = 1; k <= 10; k++) {
    signal_one(s);
    await_count(s, &s->woken, k);
  }
  release(s);
}
static void test_a_signal_unblocks_one(void **state) {
  (void)state;
  both(11, signal_one_by_one);
}

// The one that comes back signals the next.
static void cascade(void *memory, unsigned i) {
  struct shared *s = memory;
  acquire(s);
  if (i) {
    s->waiting++;
    CHECK(wait_for(s, SHOAL_FOREVER) == 0);
    s->woken++;
  } else {
    await_count(s, &s->waiting, MANY);
  }
  signal_one(s);
  release(s);
}
static void test_signals_in_a_cascade_unblock_all(void **state) {
  (void)state;
  both(MANY + 1, cascade);
  assert_int_equal(((struct shared *)arena.memory)->woken, MANY);
}

static void signal_nobody(void *memory, unsigned i) {
  struct shared *s = memory;
  (void)i;
  acquire(s);
  signal_one(s);
  broadcast(s);
  CHECK(wait_for(s, shoal_after_ms(1)) == -ETIMEDOUT);
  release(s);
}
static void test_signals_to_nobody_have_no_effect(void **state) {
  (void)state;
  both(1, signal_nobody);
}

static void nobody_is_woken_by_newcomers(void *memory, unsigned i) {
  struct shared *s = memory;
  if (i) {
    wait_once(s, SHOAL_FOREVER);
    return;
  }
  acquire(s);
  await_count(s, &s->waiting, 10);
  CHECK(wait_for(s, shoal_after_ms(50)) == -ETIMEDOUT);
  CHECK(s->woken == 0);
  broadcast(s);
  release(s);
}
static void test_newcomers_wake_nobody(void **state) {
  (void)state;
  both(11, nobody_is_woken_by_newcomers);
}

// The signaller keeps the lock: nobody comes back before it has let go.
static void keep_the_lock(void *memory, unsigned i) {
  struct shared *s = memory;
  if (i == 1) {
    wait_once(s, SHOAL_FOREVER);
  } else if (i == 2) {
    acquire(s);
    s->waiting++;
    CHECK(wait_for(s, shoal_after_ms(20)) == -ETIMEDOUT || s->go);
    s->woken++;
    release(s);
  } else {
    acquire(s);
    await_count(s, &s->waiting, 2);
    uint32_t woken = s->woken;                 // 1: the second's deadline has passed already
    int64_t past = shoal_now_ns() + 40000000;  // the deadline of the second
    s->go = 1;
    broadcast(s);
    while (shoal_now_ns() < past) CHECK(*(volatile uint32_t *)&s->woken == woken);
    release(s);
  }
}
static void test_it_comes_back_when_it_has_the_lock(void **state) {
  (void)state;
  both(3, keep_the_lock);
}

static void time_out(void *memory, unsigned i) {
  struct shared *s = memory;
  (void)i;
  int64_t before = shoal_now_ns();
  acquire(s);
  CHECK(wait_for(s, (shoal_deadline){1}) == -ETIMEDOUT);  // long past
  CHECK(wait_for(s, shoal_after_ms(10)) == -ETIMEDOUT);
  CHECK(shoal_now_ns() - before >= 10000000);
  CHECK(shoal_lock_acquire(&s->lock, SHOAL_TRY) == -EDEADLK);
  release(s);
  CHECK(wait_for(s, SHOAL_FOREVER) == -EPERM);
}
static void test_deadlines(void **state) {
  (void)state;
  both(4, time_out);
}

static void handler(int number) { (void)number; }
static void wait_under_fire(void *memory, unsigned i) {
  struct shared *s = memory;
  if (i == 0) {
    wait_once(s, SHOAL_FOREVER);
    return;
  }
  for (unsigned k = 0; k < 2000; k++) kill(getpid(), SIGUSR1);
  acquire(s);
  await_count(s, &s->waiting, 1);
  for (unsigned k = 0; k < 2000; k++) kill(getpid(), SIGUSR1);
  CHECK(s->woken == 0);
  broadcast(s);
  release(s);
}
static void test_signal_handlers_end_no_wait(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  struct sigaction action = {.sa_handler = handler}, before;
  assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
  run(&arena, THREADS, 2, wait_under_fire);
  s->waiting = s->woken = 0;
  struct peer p = asleep(wait_under_fire, 0);
  for (unsigned k = 0; k < 2000; k++) assert_int_equal(kill(p.pid, SIGUSR1), 0);
  acquire(s);
  await_count(s, &s->waiting, 1);
  assert_int_equal(s->woken, 0);
  broadcast(s);
  release(s);
  peer_join(&p);
  sigaction(SIGUSR1, &before, NULL);
}

// Rounds in which all wait and are released together, by turns by a broadcast and by as many signals, under the lock or
// with the lock let go between; then the condition is destroyed at once, and made again.
#define ROUNDS 60
static void play_rounds(void *memory, unsigned i) {
  struct shared *s = memory;
  for (uint32_t round = 1; round <= ROUNDS; round++) {
    acquire(s);
    if (i) {
      if (++s->waiting == 10) CHECK(shoal_condition_notify_all(other(s), &s->lock) == 0);
      while (s->round < round) CHECK(wait_for(s, SHOAL_FOREVER) == 0);
      if (--s->waiting == 0) CHECK(shoal_condition_notify_all(other(s), &s->lock) == 0);
      while (s->done < round) CHECK(shoal_condition_wait(other(s), &s->lock, SHOAL_FOREVER) == 0);
    } else {
      while (s->waiting < 10) CHECK(shoal_condition_wait(other(s), &s->lock, SHOAL_FOREVER) == 0);
      s->round = round;
      if (round & 1) broadcast(s);
      for (unsigned k = 0; !(round & 1) && k < 10; k++) {
        signal_one(s);
        if (round & 2) release(s), acquire(s);
      }
      while (s->waiting) CHECK(shoal_condition_wait(other(s), &s->lock, SHOAL_FOREVER) == 0);
      CHECK(shoal_condition_destroy(condition(s)) == 0);
      CHECK(shoal_condition_init(condition(s), PLACES) == 0);
      s->done = round;
      CHECK(shoal_condition_notify_all(other(s), &s->lock) == 0);
    }
    release(s);
  }
}
static void test_rounds_and_destroyed_when_all_are_released(void **state) {
  (void)state;
  both(11, play_rounds);
}

// One gives out work, with signals and now and then a broadcast; eight do it.
#define WORK 10000
static void work(void *memory, unsigned i) {
  struct shared *s = memory;
  uint32_t seed = 1;
  acquire(s);
  if (i) {
    for (;;) {
      while (!s->jobs && !s->go) CHECK(wait_for(s, SHOAL_FOREVER) == 0);
      if (!s->jobs) break;
      s->jobs--;
      s->done++;
      release(s);
      acquire(s);
    }
  }
  for (uint32_t given = 0; i == 0 && given < WORK;) {
    seed = seed * 1664525 + 1013904223;
    uint32_t n = (seed >> 16) % 9;
    if (n > WORK - given) n = WORK - given;
    s->jobs += n;
    given += n;
    if ((seed >> 24) % 30 == 0) broadcast(s);
    else CHECK(shoal_condition_notify(condition(s), &s->lock, n) == 0);
    release(s);
    acquire(s);
  }
  if (i == 0) {
    s->go = 1;
    broadcast(s);
  }
  release(s);
}
static void test_work_is_given_out(void **state) {
  (void)state;
  both(9, work);
  assert_int_equal(((struct shared *)arena.memory)->done, WORK);
}

// One at a time is inside; whoever leaves tells all.
static void take_turns(void *memory, unsigned i) {
  struct shared *s = memory;
  (void)i;
  for (unsigned k = 0; k < 1000; k++) {
    acquire(s);
    while (s->go) CHECK(wait_for(s, SHOAL_FOREVER) == 0);
    s->go = 1;
    release(s);
    acquire(s);
    s->go = 0;
    s->done++;
    broadcast(s);
    release(s);
  }
}
static void test_a_storm_of_broadcasts(void **state) {
  (void)state;
  both(8, take_turns);
  assert_int_equal(((struct shared *)arena.memory)->done, 8 * 1000);
}

// Each that is told dies with the lock; the next that waits comes back and is told.
static void die_with_it(void *memory, unsigned i) {
  struct shared *s = memory;
  acquire(s);
  s->waiting++;
  int rc = wait_for(s, SHOAL_FOREVER);
  CHECK(rc == (i ? -EOWNERDEAD : 0));
  if (rc) {
    CHECK(shoal_lock_consistent(&s->lock) == 0);
    broadcast(s);
  }
  raise(SIGKILL);
}
static void test_the_holder_of_a_robust_lock_dies_between(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  struct peer p[3];
  for (unsigned i = 0; i < 3; i++) {
    p[i] = peer_start(&arena, die_with_it, i);
    acquire(s);
    await_count(s, &s->waiting, i + 1);
    release(s);
  }
  acquire(s);
  signal_one(s);
  release(s);
  for (unsigned i = 0; i < 3; i++) {
    siginfo_t info;
    while (waitid(P_PID, (id_t)p[i].pid, &info, WEXITED | WNOWAIT)) continue;
    assert_int_equal(info.si_status, SIGKILL);
    peer_kill(&p[i]);
  }
  assert_int_equal(shoal_lock_acquire(&s->lock, SHOAL_FOREVER), -EOWNERDEAD);
  assert_int_equal(shoal_lock_consistent(&s->lock), 0);
  release(s);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, arena_end)
  const struct CMUnitTest tests[] = {
      TEST(broadcast_unblocks_all),
      TEST(a_signal_unblocks_one),
      TEST(signals_in_a_cascade_unblock_all),
      TEST(signals_to_nobody_have_no_effect),
      TEST(newcomers_wake_nobody),
      TEST(it_comes_back_when_it_has_the_lock),
      TEST(deadlines),
      TEST(signal_handlers_end_no_wait),
      TEST(rounds_and_destroyed_when_all_are_released),
      TEST(work_is_given_out),
      TEST(a_storm_of_broadcasts),
      TEST(the_holder_of_a_robust_lock_dies_between),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
