// Claims of sync/rlock:
//   1 one holder at a time, among threads and processes, however deep; free after as many releases as acquisitions
//   2 try, deadline and for ever answer as promised; to its holder all three say yes
//   3 misuse is refused and changes nothing: release and consistent by others, destroying what is held, one too deep
//   4 a holder that dies several levels deep: the next holds it once and is told; repaired, or given up for all
//   5 let go of wholly and taken again as deep
//   6 it can be inspected without being disturbed
#include "sync/rlock.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/harness/stage.h"

struct shared {
  struct shoal_rlock lock;
  shoal_atomic32 stage;
  uint64_t number, mirror;
};

static int setup(void **state) {
  (void)state;
  struct shared *s = arena_begin(sizeof(struct shared));
  assert_int_equal(shoal_rlock_init(&s->lock), 0);
  return 0;
}
static struct shoal_rlock_info info_of(const struct shoal_rlock *l) {
  struct shoal_rlock_info info;
  CHECK(shoal_rlock_info(l, &info) == 0);
  return info;
}
static void acquire(struct shoal_rlock *l, unsigned times) {
  while (times--) CHECK(shoal_rlock_acquire(l, SHOAL_FOREVER) == 0);
}
static void release(struct shoal_rlock *l, unsigned times) {
  while (times--) CHECK(shoal_rlock_release(l) == 0);
}

#define ROUNDS 10000
static void count(void *memory, unsigned i) {
  struct shared *s = memory;
  for (unsigned k = 0; k < ROUNDS; k++) {
    unsigned deep = 1 + (k + i) % 3;
    acquire(&s->lock, deep);
    CHECK(s->number == s->mirror);
    s->number++;
    if ((k + i) % 512 == 0) sched_yield();  // lose the processor inside
    release(&s->lock, deep - 1);
    s->mirror++;  // still inside
    release(&s->lock, 1);
  }
}
static void test_one_holder_at_a_time(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  run(&arena, THREADS, 4, count);
  run(&arena, PROCESSES, 4, count);
  assert_int_equal(s->number, 8 * ROUNDS);
}

// Takes the lock three times, says so, and keeps it until stage 2.
static void keep(void *memory, unsigned i) {
  struct shared *s = memory;
  (void)i;
  acquire(&s->lock, 3);
  stage_keep(&s->stage);
  release(&s->lock, 3);
}

static void test_forms_of_waiting(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  struct peer p = keeper(keep, 0, &s->stage);
  assert_int_equal(shoal_rlock_acquire(&s->lock, SHOAL_TRY), -EAGAIN);
  int64_t before = shoal_now_ns();
  assert_int_equal(shoal_rlock_acquire(&s->lock, shoal_after_ms(20)), -ETIMEDOUT);
  assert_true(shoal_now_ns() - before >= 20000000);
  say(&s->stage, 2);
  assert_int_equal(shoal_rlock_acquire(&s->lock, SHOAL_FOREVER), 0);
  peer_join(&p);
  assert_int_equal(shoal_rlock_acquire(&s->lock, SHOAL_TRY), 0);
  assert_int_equal(shoal_rlock_acquire(&s->lock, shoal_after_ms(-1)), 0);
  assert_int_equal(info_of(&s->lock).depth, 3);
  release(&s->lock, 3);
}

static void test_free_after_as_many_releases(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  acquire(&s->lock, 5);
  for (uint32_t depth = 5; depth; depth--) {
    assert_int_equal(info_of(&s->lock).depth, depth);
    assert_int_equal(info_of(&s->lock).owner, gettid());
    release(&s->lock, 1);
  }
  assert_int_equal(info_of(&s->lock).owner, 0);
  assert_int_equal(info_of(&s->lock).depth, 0);
  assert_int_equal(shoal_rlock_release(&s->lock), -EPERM);
}

static void test_misuse(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  struct peer p = keeper(keep, 0, &s->stage);
  assert_int_equal(shoal_rlock_release(&s->lock), -EPERM);
  assert_int_equal(shoal_rlock_consistent(&s->lock), -EPERM);
  assert_int_equal(shoal_rlock_destroy(&s->lock), -EBUSY);
  assert_int_equal(shoal_rlock_unlock_all_(&s->lock), 0);
  assert_int_equal(info_of(&s->lock).owner, p.pid);
  assert_int_equal(info_of(&s->lock).depth, 3);
  let_go(&p, &s->stage);
  acquire(&s->lock, 1);
  assert_int_equal(shoal_rlock_consistent(&s->lock), -EINVAL);
  assert_int_equal(shoal_rlock_destroy(&s->lock), -EBUSY);
  shoal_rlock_set_depth_(&s->lock, SHOAL_RLOCK_DEPTH_MAX - 1);
  acquire(&s->lock, 1);
  assert_int_equal(shoal_rlock_acquire(&s->lock, SHOAL_FOREVER), -EOVERFLOW);
  assert_int_equal(info_of(&s->lock).depth, SHOAL_RLOCK_DEPTH_MAX);
  assert_int_equal(shoal_rlock_unlock_all_(&s->lock), SHOAL_RLOCK_DEPTH_MAX);
  assert_int_equal(shoal_rlock_destroy(&s->lock), 0);
  assert_int_equal(shoal_rlock_acquire(&s->lock, SHOAL_FOREVER), -EINVAL);
  assert_int_equal(shoal_rlock_destroy(&s->lock), -EINVAL);
}

static void test_holder_dies_deep_inside(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  struct peer p = keeper(keep, 0, &s->stage);
  peer_kill(&p);
  assert_true(info_of(&s->lock).dead);
  assert_int_equal(shoal_rlock_acquire(&s->lock, SHOAL_FOREVER), -EOWNERDEAD);
  assert_int_equal(info_of(&s->lock).depth, 1);
  assert_int_equal(info_of(&s->lock).state, SHOAL_LOCK_INCONSISTENT);
  assert_int_equal(shoal_rlock_acquire(&s->lock, SHOAL_FOREVER), 0);  // told once
  assert_int_equal(shoal_rlock_consistent(&s->lock), 0);
  release(&s->lock, 2);
  assert_int_equal(info_of(&s->lock).owner, 0);
  acquire(&s->lock, 1);
  release(&s->lock, 1);
}

static void test_given_up(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  struct peer p = keeper(keep, 0, &s->stage);
  peer_kill(&p);
  assert_int_equal(shoal_rlock_acquire(&s->lock, SHOAL_FOREVER), -EOWNERDEAD);
  assert_int_equal(shoal_rlock_acquire(&s->lock, SHOAL_FOREVER), 0);
  release(&s->lock, 1);  // a level, not the lock
  assert_int_equal(info_of(&s->lock).state, SHOAL_LOCK_INCONSISTENT);
  release(&s->lock, 1);
  assert_int_equal(shoal_rlock_acquire(&s->lock, SHOAL_FOREVER), -ENOTRECOVERABLE);
  assert_int_equal(shoal_rlock_destroy(&s->lock), 0);
}

static void take_once(void *memory, unsigned i) {
  struct shared *s = memory;
  (void)i;
  acquire(&s->lock, 1);
  s->number++;
  release(&s->lock, 1);
}
static void test_let_go_of_and_taken_again(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  acquire(&s->lock, 4);
  struct peer p = peer_start(&arena, take_once, 0);
  peer_asleep(&p);
  assert_int_equal(shoal_rlock_unlock_all_(&s->lock), 4);
  peer_join(&p);
  assert_int_equal(s->number, 1);
  assert_int_equal(shoal_rlock_lock_again_(&s->lock, 4), 0);
  assert_int_equal(info_of(&s->lock).depth, 4);
  release(&s->lock, 4);
  assert_int_equal(info_of(&s->lock).owner, 0);
}

static void test_taken_again_from_the_dead(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  acquire(&s->lock, 2);
  assert_int_equal(shoal_rlock_unlock_all_(&s->lock), 2);
  struct peer p = keeper(keep, 0, &s->stage);
  peer_kill(&p);
  assert_int_equal(shoal_rlock_lock_again_(&s->lock, 2), -EOWNERDEAD);
  assert_int_equal(info_of(&s->lock).depth, 2);
  assert_int_equal(shoal_rlock_consistent(&s->lock), 0);
  release(&s->lock, 2);
}

static void test_a_child_holds_nothing(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  int status;
  acquire(&s->lock, 2);
  pid_t child = fork();
  if (child == 0) _exit(shoal_rlock_release(&s->lock) != -EPERM || shoal_rlock_acquire(&s->lock, SHOAL_TRY) != -EAGAIN);
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  release(&s->lock, 2);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, arena_end)
  const struct CMUnitTest tests[] = {
      TEST(one_holder_at_a_time),        TEST(forms_of_waiting),
      TEST(free_after_as_many_releases), TEST(misuse),
      TEST(holder_dies_deep_inside),     TEST(given_up),
      TEST(let_go_of_and_taken_again),   TEST(taken_again_from_the_dead),
      TEST(a_child_holds_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
