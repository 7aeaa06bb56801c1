// What the conformance suites of POSIX and glibc's own tests ask of semaphores, asked of sync/semaphore: of permits
// that are held, and of those that are consumed. Ported by behaviour, not by code; README.md says which test is whose.
#include "sync/semaphore.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/harness/stage.h"

#define PERMITS 16
struct shared {
  struct shoal_semaphore s;
  struct shoal_permit permits[PERMITS];
  uint64_t count;
};
static struct shared *at;
static const uint32_t kinds[] = {0, SHOAL_SEMAPHORE_CONSUMED};
#define EACH_KIND(flags) for (uint32_t k_ = 0, flags = kinds[0]; k_ < 2; flags = kinds[++k_ % 2])

static int setup(void **state) {
  (void)state;
  at = arena_begin(sizeof(struct shared));
  memset(at, 0xa5, sizeof *at);
  return 0;
}
static struct shoal_semaphore *made(uint32_t value, uint32_t flags) {
  assert_int_equal(shoal_semaphore_init(&at->s, value, PERMITS, flags), 0);
  return &at->s;
}
static uint32_t value(void) {
  struct shoal_semaphore_info info;
  assert_int_equal(shoal_semaphore_info(&at->s, &info), 0);
  return info.value;
}

static void test_initialized_has_its_value(void **state) {
  (void)state;
  EACH_KIND(flags) {
    made(10, flags);
    assert_int_equal(value(), 10);
    assert_int_equal(value(), 10);  // asking changes nothing
    made(0, flags);
    assert_int_equal(value(), 0);
    assert_int_equal(shoal_semaphore_init(&at->s, PERMITS + 1, PERMITS, flags), -EINVAL);
  }
}

static void test_a_release_adds_one(void **state) {
  (void)state;
  EACH_KIND(flags) {
    struct shoal_semaphore *s = made(0, flags);
    assert_int_equal(shoal_semaphore_release(s), 0);
    assert_int_equal(value(), 1);
    s = made(2, flags);
    assert_int_equal(shoal_semaphore_release(s), 0);
    assert_int_equal(value(), 3);
    s = made(PERMITS, flags);
    assert_int_equal(shoal_semaphore_release(s), -EOVERFLOW);
    assert_int_equal(value(), PERMITS);
  }
}

static void test_acquired_until_none_is_left(void **state) {
  (void)state;
  EACH_KIND(flags) {
    struct shoal_semaphore *s = made(10, flags);
    for (uint32_t left = 10; left > 0; left--) {
      assert_int_equal(value(), left);
      assert_int_equal(shoal_semaphore_acquire(s, left % 2 ? SHOAL_TRY : SHOAL_FOREVER), 0);
    }
    assert_int_equal(shoal_semaphore_acquire(s, SHOAL_TRY), -EAGAIN);
    assert_int_equal(value(), 0);
    assert_int_equal(shoal_semaphore_release(s), 0);
    assert_int_equal(shoal_semaphore_acquire(s, SHOAL_TRY), 0);
    assert_int_equal(shoal_semaphore_release_n(s, 10), 0);
    assert_int_equal(value(), 10);
  }
}

static void acquire_one(void *memory, unsigned i) {
  struct shared *m = memory;
  CHECK(shoal_semaphore_acquire(&m->s, i ? shoal_after_s(600) : SHOAL_FOREVER) == 0);
}
static void test_it_blocks_until_released(void **state) {
  (void)state;
  EACH_KIND(flags) {
    for (unsigned i = 0; i < 2; i++) {
      struct shoal_semaphore *s = made(1, flags);
      assert_int_equal(shoal_semaphore_acquire(s, SHOAL_TRY), 0);
      struct peer p = asleep(acquire_one, i);
      assert_int_equal(waitpid(p.pid, NULL, WNOHANG), 0);
      assert_int_equal(shoal_semaphore_release(s), 0);
      peer_join(&p);
    }
  }
}

static void test_deadlines(void **state) {
  (void)state;
  EACH_KIND(flags) {
    struct shoal_semaphore *s = made(1, flags);
    assert_int_equal(shoal_semaphore_acquire(s, (shoal_deadline){1}), 0);  // passed long ago; it is free all the same
    assert_int_equal(shoal_semaphore_acquire(s, (shoal_deadline){1}), -ETIMEDOUT);
    int64_t before = shoal_now_ns();
    assert_int_equal(shoal_semaphore_acquire(s, shoal_after_ms(20)), -ETIMEDOUT);
    assert_true(shoal_now_ns() - before >= 20000000);
    assert_int_equal(value(), 0);
    assert_int_equal(shoal_semaphore_release(s), 0);
    assert_int_equal(value(), 1);  // as before: who timed out left nothing
    struct shoal_semaphore_info info;
    assert_int_equal(shoal_semaphore_info(s, &info), 0);
    assert_int_equal(info.waiters, 0);
    assert_int_equal(shoal_semaphore_destroy(s), 0);
  }
}

static volatile sig_atomic_t handled;
static void handler(int number) {
  (void)number;
  handled++;
}
static void acquire_under_fire(void *memory, unsigned i) {
  struct sigaction action = {.sa_handler = handler};
  CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
  acquire_one(memory, i);
  CHECK(handled > 0);
}
static void test_a_signal_does_not_end_a_wait(void **state) {
  (void)state;
  EACH_KIND(flags) {
    struct shoal_semaphore *s = made(0, flags);
    struct peer p = asleep(acquire_under_fire, flags);
    for (int i = 0; i < 1000; i++) assert_int_equal(kill(p.pid, SIGUSR1), 0);
    assert_int_equal(waitpid(p.pid, NULL, WNOHANG), 0);
    assert_int_equal(shoal_semaphore_release(s), 0);
    peer_join(&p);
  }
}

static void release_in_handler(int number) {
  (void)number;
  CHECK(shoal_semaphore_release(&at->s) == 0);
}
static void test_released_in_a_signal_handler(void **state) {
  (void)state;
  struct sigaction action = {.sa_handler = release_in_handler}, before;
  struct shoal_semaphore *s = made(0, SHOAL_SEMAPHORE_CONSUMED);
  assert_int_equal(shoal_semaphore_acquire(s, SHOAL_TRY), -EAGAIN);
  assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
  assert_int_equal(raise(SIGALRM), 0);
  assert_int_equal(value(), 1);
  assert_int_equal(shoal_semaphore_acquire(s, SHOAL_TRY), 0);
  alarm(1);  // of who sleeps: its own handler releases it
  assert_int_equal(shoal_semaphore_acquire(s, SHOAL_FOREVER), 0);
  assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
  watchdog(240);
}

static void test_killed_while_it_waits(void **state) {
  (void)state;
  EACH_KIND(flags) {
    struct shoal_semaphore *s = made(0, flags);
    struct peer p = asleep(acquire_one, 0);
    peer_kill(&p);
    assert_int_equal(shoal_semaphore_release(s), 0);
    assert_int_equal(value(), 1);  // it has taken nothing along
    assert_int_equal(shoal_semaphore_acquire(s, SHOAL_TRY), 0);
    assert_int_equal(shoal_semaphore_release(s), 0);
  }
}

#define ROUNDS 5000u
static void count(void *memory, unsigned i) {
  struct shared *m = memory;
  (void)i;
  for (unsigned k = 0; k < ROUNDS; k++) {
    CHECK(shoal_semaphore_acquire(&m->s, SHOAL_FOREVER) == 0);
    m->count++;
    CHECK(shoal_semaphore_release(&m->s) == 0);
  }
}
static void test_no_increment_is_lost(void **state) {
  (void)state;
  EACH_KIND(flags) {
    made(1, flags);
    at->count = 0;
    run(&arena, THREADS, 10, count);
    run(&arena, PROCESSES, 10, count);
    assert_int_equal(at->count, 2 * 10 * ROUNDS);
    assert_int_equal(value(), 1);
  }
}

static void test_destroyed_can_be_made_anew(void **state) {
  (void)state;
  EACH_KIND(flags) {
    struct shoal_semaphore *s = made(0, flags);
    assert_int_equal(shoal_semaphore_destroy(s), 0);
    s = made(1, flags);
    assert_int_equal(shoal_semaphore_acquire(s, SHOAL_FOREVER), 0);
    struct peer p = asleep(acquire_one, 0);
    assert_int_equal(shoal_semaphore_destroy(s), -EBUSY);
    assert_int_equal(shoal_semaphore_release(s), 0);
    peer_join(&p);
    assert_int_equal(shoal_semaphore_destroy(s), 0);
    assert_int_equal(shoal_semaphore_acquire(s, SHOAL_TRY), -EINVAL);
    assert_int_equal(shoal_semaphore_release(s), -EINVAL);
  }
}

static void test_by_name(void **state) {
  (void)state;
  struct shoal_segment *seg;
  struct shoal_semaphore *s, *again;
  assert_int_equal(shoal_segment_create(NULL, NULL, &seg), 0);
  assert_int_equal(shoal_semaphore_open(seg, "s", &s), -ENOENT);
  assert_int_equal(shoal_semaphore_open_or_create(seg, "s", 1, 1, 0, &s), 0);
  assert_int_equal(shoal_semaphore_open_or_create(seg, "s", 1, 1, 0, &again), 0);
  assert_ptr_equal(again, s);  // opened twice: the same place
  for (int i = 0; i < 3; i++) {
    assert_int_equal(shoal_semaphore_close(seg, again), 0);
    assert_int_equal(shoal_semaphore_open(seg, "s", &again), 0);
  }
  assert_int_equal(shoal_semaphore_acquire(s, SHOAL_TRY), 0);
  assert_int_equal(shoal_semaphore_unlink(seg, "s"), 0);
  assert_int_equal(shoal_semaphore_create(seg, "s", 1, 1, 0, &again), 0);  // another one
  assert_int_equal(shoal_semaphore_acquire(again, SHOAL_TRY), 0);
  assert_int_equal(shoal_semaphore_release(again), 0);
  assert_int_equal(shoal_semaphore_release(s), 0);
  assert_int_equal(shoal_segment_close(seg), 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, arena_end)
  const struct CMUnitTest tests[] = {
      TEST(initialized_has_its_value),
      TEST(a_release_adds_one),
      TEST(acquired_until_none_is_left),
      TEST(it_blocks_until_released),
      TEST(deadlines),
      TEST(a_signal_does_not_end_a_wait),
      TEST(released_in_a_signal_handler),
      TEST(killed_while_it_waits),
      TEST(no_increment_is_lost),
      TEST(destroyed_can_be_made_anew),
      TEST(by_name),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
