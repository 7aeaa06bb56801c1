// Claims of sync/once:
//   1 among threads and processes it is done by exactly one, and all see what that one wrote
//   2 a runner that fails leaves it to the next; its failure is its own answer
//   3 a runner that dies leaves it to the next, sleepers at once; a waiter that dies costs nobody a wake
//   4 try and deadline answer while another runs; run from inside: -EDEADLK
//   5 what is done is not run again; destroyed, it answers -EINVAL, and what runs or is waited for is not destroyed
//   6 a child that is forked in it does not run it, whatever it returns
//   7 it can be inspected without being disturbed
#include "sync/once.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/futex.h"
#include "tests/harness/stage.h"

struct shared {
  struct shoal_once once;
  shoal_atomic32 stage, ran;
  uint64_t value;
};

static int setup(void **state) {
  (void)state;
  struct shared *s = arena_begin(sizeof(struct shared));
  assert_int_equal(shoal_once_init(&s->once), 0);
  return 0;
}
static struct shoal_once_info info_of(const struct shared *s) {
  struct shoal_once_info info;
  CHECK(shoal_once_info(&s->once, &info) == 0);
  return info;
}

static int work(void *arg) {
  struct shared *s = arg;
  shoal_add32_relaxed(&s->ran, 1);
  for (int i = 0; i < 100; i++) sched_yield();
  s->value = 42;
  return 0;
}
static void run_it(void *memory, unsigned i) {
  struct shared *s = memory;
  (void)i;
  CHECK(shoal_once_run(&s->once, work, s, SHOAL_FOREVER) == 0);
  CHECK(s->value == 42);
}
static void done_by_one(enum driver driver) {
  struct shared *s = arena.memory;
  run(&arena, driver, 6, run_it);
  assert_int_equal(shoal_load32_relaxed(&s->ran), 1);
  assert_int_equal(info_of(s).runs, 1);
  assert_int_equal(info_of(s).state, SHOAL_ONCE_DONE);
  assert_int_equal(shoal_once_run(&s->once, NULL, NULL, SHOAL_TRY), 0);
}
static void test_done_by_one_thread(void **state) {
  (void)state;
  done_by_one(THREADS);
}
static void test_done_by_one_process(void **state) {
  (void)state;
  done_by_one(PROCESSES);
}

static int fail_twice(void *arg) {
  struct shared *s = arg;
  return shoal_add32_relaxed(&s->ran, 1) < 2 ? -ENOSPC : 0;
}
static void test_one_that_fails_is_run_again(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  assert_int_equal(shoal_once_run(&s->once, fail_twice, s, SHOAL_FOREVER), -ENOSPC);
  assert_int_equal(info_of(s).state, SHOAL_ONCE_NEW);
  assert_int_equal(shoal_once_run(&s->once, fail_twice, s, SHOAL_TRY), -ENOSPC);
  assert_int_equal(shoal_once_run(&s->once, fail_twice, s, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_once_run(&s->once, fail_twice, s, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_load32_relaxed(&s->ran), 3);
  assert_int_equal(info_of(s).runs, 3);
}

// Runs until stage 2, or its death.
static int hang(void *arg) {
  struct shared *s = arg;
  s->value = 1;
  stage_keep(&s->stage);
  return 0;
}
static void run_hanging(void *memory, unsigned i) {
  struct shared *s = memory;
  (void)i;
  CHECK(shoal_once_run(&s->once, hang, s, SHOAL_FOREVER) == 0);
}
static struct peer runner(struct shared *s) {
  struct peer p = peer_start(&arena, run_hanging, 0);
  await(&s->stage, 1);
  return p;
}

static void test_one_that_dies_is_replaced(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  struct peer dying = runner(s), waiting[3];
  for (int i = 0; i < 3; i++) {
    waiting[i] = asleep(run_it, 0);
  }
  peer_kill(&waiting[0]);
  peer_kill(&dying);
  peer_join(&waiting[1]);
  peer_join(&waiting[2]);
  assert_int_equal(shoal_load32_relaxed(&s->ran), 1);
  assert_int_equal(info_of(s).runs, 2);
  assert_int_equal(info_of(s).deaths, 1);
  assert_int_equal(s->value, 42);
}

static void sleep_there(void *memory, unsigned i) {
  struct shared *s = memory;
  (void)i;
  for (;;) shoal_futex_wait(&s->once.robust.word, FUTEX_OWNER_DIED, SHOAL_FOREVER);
}
static void test_a_refused_destroy_counts_the_dead(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  struct peer dying = runner(s), sleeper;
  peer_kill(&dying);
  sleeper = asleep(sleep_there, 0);
  assert_int_equal(shoal_once_destroy(&s->once), -EBUSY);
  peer_kill(&sleeper);
  assert_int_equal(info_of(s).state, SHOAL_ONCE_NEW);
  run(&arena, PROCESSES, 1, run_it);
  assert_int_equal(info_of(s).deaths, 1);
  assert_int_equal(info_of(s).runs, 2);
}

static void test_forms_of_waiting(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  struct peer p = runner(s);
  assert_int_equal(info_of(s).runner, p.pid);
  assert_int_equal(shoal_once_run(&s->once, work, s, SHOAL_TRY), -EAGAIN);
  int64_t before = shoal_now_ns();
  assert_int_equal(shoal_once_run(&s->once, work, s, shoal_after_ms(20)), -ETIMEDOUT);
  assert_true(shoal_now_ns() - before >= 20000000);
  assert_int_equal(shoal_once_destroy(&s->once), -EBUSY);
  say(&s->stage, 2);
  assert_int_equal(shoal_once_run(&s->once, work, s, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_load32_relaxed(&s->ran), 0);
  peer_join(&p);
}

static int run_inside(void *arg) {
  struct shared *s = arg;
  return shoal_once_run(&s->once, work, s, SHOAL_FOREVER);
}
static void test_run_from_inside(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  assert_int_equal(shoal_once_run(&s->once, run_inside, s, SHOAL_FOREVER), -EDEADLK);
  assert_int_equal(info_of(s).state, SHOAL_ONCE_NEW);
  assert_int_equal(shoal_once_run(&s->once, work, s, SHOAL_FOREVER), 0);
}

// The child comes back first, as if it had been done.
static int fork_inside(void *arg) {
  struct shared *s = arg;
  int status;
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) return 0;
  CHECK(waitpid(child, &status, 0) == child);
  s->value = (uint64_t)status;
  CHECK(info_of(s).runner == (uint32_t)getpid() && info_of(s).state == SHOAL_ONCE_NEW);
  return 0;
}
static void test_fork_inside(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  pid_t parent = getpid();
  int rc = shoal_once_run(&s->once, fork_inside, s, SHOAL_FOREVER);
  if (getpid() != parent) _exit(rc == -EPERM ? 7 : 1);
  assert_int_equal(rc, 0);
  assert_true(WIFEXITED((int)s->value) && WEXITSTATUS((int)s->value) == 7);
  assert_int_equal(info_of(s).state, SHOAL_ONCE_DONE);
  assert_int_equal(info_of(s).runner, 0);
}

static void test_destroyed(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  assert_int_equal(shoal_once_run(&s->once, work, s, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_once_destroy(&s->once), 0);
  assert_int_equal(shoal_once_destroy(&s->once), -EINVAL);
  assert_int_equal(shoal_once_run(&s->once, work, s, SHOAL_FOREVER), -EINVAL);
  assert_int_equal(shoal_load32_relaxed(&s->ran), 1);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, arena_end)
  const struct CMUnitTest tests[] = {
      TEST(done_by_one_thread),
      TEST(done_by_one_process),
      TEST(one_that_fails_is_run_again),
      TEST(one_that_dies_is_replaced),
      TEST(a_refused_destroy_counts_the_dead),
      TEST(forms_of_waiting),
      TEST(run_from_inside),
      TEST(fork_inside),
      TEST(destroyed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
