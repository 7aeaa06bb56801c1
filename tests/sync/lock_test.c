// Claims of sync/lock:
//   1 one holder at a time, among threads and among processes at different addresses; nobody hangs
//   2 try, deadline and for ever answer as promised
//   3 misuse is refused and changes nothing: release and consistent by others, taking it twice, destroying what is held
//     or waited for; the reason names the holder
//   4 a dead holder: the next taker holds the lock and is told, sleepers at once; repaired, it is as before; given up,
//     it is -ENOTRECOVERABLE for all, those who sleep included
//   5 a child of fork holds none of its parent's locks
//   6 it can be inspected without being disturbed
#include "sync/lock.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/error.h"
#include "core/futex.h"
#include "tests/harness/stage.h"

struct shared {
  struct shoal_lock lock;
  shoal_atomic32 stage, told[8];
  uint64_t number, mirror;
};

static int setup(void **state) {
  (void)state;
  struct shared *s = arena_begin(sizeof *s);
  assert_int_equal(shoal_lock_init(&s->lock), 0);
  return 0;
}

#define ROUNDS 20000
static void count(void *memory, unsigned i) {
  struct shared *s = memory;
  for (unsigned k = 0; k < ROUNDS; k++) {
    int rc = shoal_lock_acquire(&s->lock, SHOAL_FOREVER);
    CHECK(rc == 0);
    CHECK(s->number == s->mirror);
    s->number++;
    if ((k + i) % 512 == 0) sched_yield();  // lose the processor inside
    s->mirror++;
    CHECK(shoal_lock_release(&s->lock) == 0);
  }
}

static void test_one_holder_at_a_time(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  run(&arena, THREADS, 4, count);
  run(&arena, PROCESSES, 4, count);
  assert_int_equal(s->number, 8 * ROUNDS);
}

// Takes the lock, says so, and keeps it until stage 2.
static void keep(void *memory, unsigned i) {
  struct shared *s = memory;
  (void)i;
  CHECK(shoal_lock_acquire(&s->lock, SHOAL_FOREVER) == 0);
  stage_keep(&s->stage);
  CHECK(shoal_lock_release(&s->lock) == 0);
}

static void test_forms_of_waiting(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  struct peer p = keeper(keep, 0, &s->stage);
  assert_int_equal(shoal_lock_acquire(&s->lock, SHOAL_TRY), -EAGAIN);
  int64_t before = shoal_now_ns();
  assert_int_equal(shoal_lock_acquire(&s->lock, shoal_after_ms(20)), -ETIMEDOUT);
  assert_true(shoal_now_ns() - before >= 20000000);
  say(&s->stage, 2);
  assert_int_equal(shoal_lock_acquire(&s->lock, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_lock_release(&s->lock), 0);
  peer_join(&p);
}

static void test_misuse(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  struct shoal_lock_info info;
  assert_int_equal(shoal_lock_release(&s->lock), -EPERM);
  assert_int_equal(shoal_lock_consistent(&s->lock), -EPERM);
  assert_int_equal(shoal_lock_acquire(&s->lock, SHOAL_TRY), 0);
  assert_int_equal(shoal_lock_consistent(&s->lock), -EINVAL);
  assert_int_equal(shoal_lock_acquire(&s->lock, SHOAL_FOREVER), -EDEADLK);
  assert_int_equal(shoal_lock_acquire(&s->lock, SHOAL_TRY), -EDEADLK);
  assert_int_equal(shoal_lock_destroy(&s->lock), -EBUSY);
  assert_int_equal(shoal_lock_release(&s->lock), 0);
  struct peer p = keeper(keep, 0, &s->stage);
  assert_int_equal(shoal_lock_release(&s->lock), -EPERM);
  assert_int_equal(shoal_lock_consistent(&s->lock), -EPERM);
  assert_int_equal(shoal_lock_destroy(&s->lock), -EBUSY);
  shoal_lock_info(&s->lock, &info);
  assert_int_equal(info.owner, p.pid);
  let_go(&p, &s->stage);
  assert_int_equal(shoal_lock_destroy(&s->lock), 0);
  assert_int_equal(shoal_lock_destroy(&s->lock), -EINVAL);
  assert_int_equal(shoal_lock_acquire(&s->lock, SHOAL_FOREVER), -EINVAL);
  assert_int_equal(shoal_lock_release(&s->lock), -EPERM);
}

static void test_dead_holder(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  struct shoal_lock_info info;
  struct peer p = keeper(keep, 0, &s->stage);
  peer_kill(&p);
  shoal_lock_info(&s->lock, &info);
  assert_true(info.dead);
  assert_int_equal(info.owner, 0);
  assert_int_equal(shoal_lock_acquire(&s->lock, SHOAL_FOREVER), -EOWNERDEAD);
  shoal_lock_info(&s->lock, &info);
  assert_int_equal(info.state, SHOAL_LOCK_INCONSISTENT);
  assert_int_equal(shoal_lock_consistent(&s->lock), 0);
  assert_int_equal(shoal_lock_release(&s->lock), 0);
  assert_int_equal(shoal_lock_acquire(&s->lock, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_lock_release(&s->lock), 0);
}

static void test_the_reason_names_the_holder(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  char name[64];
  assert_int_equal(prctl(PR_SET_NAME, "clerk (2)\n"), 0);
  assert_int_equal(shoal_lock_acquire(&s->lock, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_lock_acquire(&s->lock, SHOAL_FOREVER), -EDEADLK);
  snprintf(name, sizeof name, "thread, %d (clerk (2)), holds", gettid());
  assert_non_null(strstr(shoal_reason(), name));
  assert_int_equal(shoal_lock_release(&s->lock), 0);
  struct peer p = keeper(keep, 0, &s->stage);
  snprintf(name, sizeof name, "thread %d (clerk (2))", (int)p.pid);  // the child has its parent's name
  assert_int_equal(shoal_lock_release(&s->lock), -EPERM);
  assert_non_null(strstr(shoal_reason(), name));
  assert_int_equal(shoal_lock_destroy(&s->lock), -EBUSY);
  assert_non_null(strstr(shoal_reason(), name));
  let_go(&p, &s->stage);
}

// A lock that is free, with a sleeper that has not been woken: as after the death of whom the kernel woke first.
static void take_it(void *memory, unsigned i) {
  struct shared *s = memory;
  CHECK(shoal_lock_acquire(&s->lock, SHOAL_FOREVER) == 0);
  CHECK(shoal_lock_release(&s->lock) == 0);
  shoal_store32_release(&s->told[i], 1);  // [T3] pairs with [T4]
}
// As one who waits for it, but without the look once a second, which would take it.
static void wait_there(void *memory, unsigned i) {
  struct shared *s = memory;
  (void)i;
  while (shoal_futex_wait(&s->lock.robust.word, FUTEX_WAITERS, SHOAL_FOREVER)) continue;
}
static void test_awaited_is_not_destroyed(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  assert_int_equal(shoal_lock_acquire(&s->lock, SHOAL_FOREVER), 0);
  struct peer p = asleep(take_it, 0);
  kill(p.pid, SIGSTOP);
  uint32_t word = shoal_load32_relaxed(&s->lock.robust.word);
  assert_true(word & FUTEX_WAITERS);
  assert_int_equal(shoal_lock_destroy(&s->lock), -EBUSY);
  assert_int_equal(shoal_lock_release(&s->lock), 0);  // wakes the peer, which is stopped
  kill(p.pid, SIGCONT);
  peer_join(&p);
  // the bit that tells of sleepers is left over: it does not keep the lock from being destroyed
  shoal_store32_relaxed(&s->lock.robust.word, FUTEX_WAITERS);
  assert_int_equal(shoal_lock_destroy(&s->lock), 0);
  assert_int_equal(shoal_lock_init(&s->lock), 0);
  shoal_store32_relaxed(&s->lock.robust.word, FUTEX_WAITERS);
  p = asleep(wait_there, 0);
  assert_int_equal(shoal_lock_destroy(&s->lock), -EBUSY);
  peer_join(&p);  // woken by that
  assert_int_equal(shoal_lock_destroy(&s->lock), 0);
}

// What a sleeper is told goes to told[i]; who has the lock gives it up.
static void be_told(void *memory, unsigned i) {
  struct shared *s = memory;
  int rc = shoal_lock_acquire(&s->lock, SHOAL_FOREVER);
  if (rc == 0 || rc == -EOWNERDEAD) CHECK(shoal_lock_release(&s->lock) == 0);
  shoal_store32_release(&s->told[i], (uint32_t)-rc);  // [T3] pairs with [T4]
}

static void test_sleepers_are_told_that_it_is_given_up(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  struct peer holder = keeper(keep, 0, &s->stage), sleeper[3];
  for (unsigned i = 0; i < 3; i++) {
    sleeper[i] = asleep(be_told, i);
  }
  peer_kill(&holder);
  unsigned ownerdead = 0, given_up = 0;
  for (unsigned i = 0; i < 3; i++) {
    peer_join(&sleeper[i]);
    uint32_t told = shoal_load32_acquire(&s->told[i]);  // [T4] pairs with [T3]
    ownerdead += told == EOWNERDEAD;
    given_up += told == ENOTRECOVERABLE;
  }
  assert_int_equal(ownerdead, 1);
  assert_int_equal(given_up, 2);
  assert_int_equal(shoal_lock_acquire(&s->lock, SHOAL_FOREVER), -ENOTRECOVERABLE);
  assert_int_equal(shoal_lock_destroy(&s->lock), 0);
}

static void repair(void *memory, unsigned i) {
  struct shared *s = memory;
  int rc = shoal_lock_acquire(&s->lock, SHOAL_FOREVER);
  CHECK(rc == 0 || rc == -EOWNERDEAD);
  if (rc) CHECK(shoal_lock_consistent(&s->lock) == 0);
  CHECK(shoal_lock_release(&s->lock) == 0);
  shoal_store32_release(&s->told[i], (uint32_t)-rc);  // [T3]
}

static void test_a_dead_sleeper_costs_nobody_a_wake(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  struct peer holder = keeper(keep, 0, &s->stage), sleeper[4];
  for (unsigned i = 0; i < 4; i++) {
    sleeper[i] = asleep(repair, i);
  }
  peer_kill(&sleeper[1]);
  kill(sleeper[0].pid, SIGSTOP);  // whoever is woken first may be this one: stopped, then killed
  let_go(&holder, &s->stage);
  peer_kill(&sleeper[0]);
  peer_join(&sleeper[2]);
  peer_join(&sleeper[3]);
  assert_int_equal(shoal_lock_acquire(&s->lock, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_lock_release(&s->lock), 0);
}

static void *take_and_exit(void *lock) { return (void *)(intptr_t)shoal_lock_acquire(lock, SHOAL_FOREVER); }

static void test_a_thread_that_exits_dies(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  pthread_t thread;
  void *rc;
  assert_int_equal(pthread_create(&thread, NULL, take_and_exit, &s->lock), 0);
  assert_int_equal(pthread_join(thread, &rc), 0);
  assert_int_equal((intptr_t)rc, 0);
  assert_int_equal(shoal_lock_acquire(&s->lock, SHOAL_FOREVER), -EOWNERDEAD);
  assert_int_equal(shoal_lock_consistent(&s->lock), 0);
  assert_int_equal(shoal_lock_release(&s->lock), 0);
}

static void test_a_child_holds_nothing(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  int status;
  assert_int_equal(shoal_lock_acquire(&s->lock, SHOAL_FOREVER), 0);
  pid_t child = fork();
  if (child == 0) _exit(shoal_lock_release(&s->lock) != -EPERM || shoal_lock_acquire(&s->lock, SHOAL_TRY) != -EAGAIN);
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  assert_int_equal(shoal_lock_release(&s->lock), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_one_holder_at_a_time, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_forms_of_waiting, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_misuse, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_the_reason_names_the_holder, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_awaited_is_not_destroyed, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_dead_holder, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_sleepers_are_told_that_it_is_given_up, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_a_dead_sleeper_costs_nobody_a_wake, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_a_thread_that_exits_dies, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_a_child_holds_nothing, setup, arena_end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
