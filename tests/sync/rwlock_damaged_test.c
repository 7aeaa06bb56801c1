// Claims of sync/rwlock about memory that others have had a hand in:
//   1 what is no lock, or one no more, is refused by all forms
//   2 words that no thread wrote: an answer, whatever it is, no crash and no loop without an end
//   3 a seat's word that names no thread is not waited for
//   4 a child of fork holds none of its parent's
//   5 a depth that was driven up to its end is refused, and nothing changed
//   6 by name: what one process makes another opens, if it is whole and of that size; a reader does not close it
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "sync/rwlock.h"
#include "tests/harness/drivers.h"

#define SEATS 8
static struct {
  struct shoal_rwlock lock;
  struct shoal_seat seats[SEATS];
} memory;

static int setup(void **state) {
  watchdog(120);
  *state = &memory.lock;
  return shoal_rwlock_init(&memory.lock, SEATS);
}
static int read_acquire(struct shoal_rwlock *l, shoal_deadline d) { return shoal_rwlock_read_acquire(l, d); }
static int read_release(struct shoal_rwlock *l) { return shoal_rwlock_read_release(l); }
static int write_release(struct shoal_rwlock *l) { return shoal_rwlock_write_release(l); }

static void expect_refused(struct shoal_rwlock *l) {
  for (int i = 0; i < 2; i++) {
    shoal_deadline d = i ? SHOAL_FOREVER : SHOAL_TRY;
    assert_int_equal(shoal_rwlock_read_acquire(l, d), -EINVAL);
    assert_int_equal(shoal_rwlock_write_acquire(l, d), -EINVAL);
  }
  assert_int_equal(shoal_rwlock_destroy(l), -EINVAL);
}

static void test_what_is_no_lock(void **state) {
  struct shoal_rwlock *l = *state;
  uint64_t size = shoal_rwlock_size(8);
  assert_int_equal(shoal_rwlock_check_(l, size - 1), -EPROTO);
  l->seats.count = UINT32_MAX;
  assert_int_equal(shoal_rwlock_check_(l, size), -EPROTO);
  l->seats.count = 8;
  assert_int_equal(shoal_rwlock_destroy(l), 0);
  expect_refused(l);
  memset(l, 0, size);
  expect_refused(l);
  assert_int_equal(shoal_rwlock_check_(l, size), -EPROTO);
  assert_int_equal(shoal_rwlock_size(SHOAL_SEATS_MAX + 1), 0);
  assert_int_equal(shoal_rwlock_init(l, SHOAL_SEATS_MAX + 1), -EINVAL);
}

static void test_by_name(void **state) {
  struct shoal_segment *seg, *other;
  struct shoal_rwlock *made, *opened;
  (void)state;
  assert_int_equal(shoal_segment_create(NULL, NULL, &seg), 0);
  assert_int_equal(shoal_segment_open_fd(shoal_segment_fd(seg), &other), 0);
  assert_int_equal(shoal_rwlock_open(seg, "r", &opened), -ENOENT);
  assert_int_equal(shoal_rwlock_create(seg, "r", SHOAL_SEATS_MAX + 1, &made), -EINVAL);
  assert_int_equal(shoal_rwlock_create(seg, "r", 4, &made), 0);
  assert_int_equal(shoal_rwlock_open_or_create(other, "r", 5, &opened), -EBADMSG);
  assert_int_equal(shoal_rwlock_open_or_create(other, "r", 4, &opened), 0);
  assert_int_equal(shoal_rwlock_read_acquire(made, SHOAL_TRY), 0);
  assert_int_equal(shoal_rwlock_close(seg, made), -EBUSY);
  assert_int_equal(shoal_rwlock_write_acquire(opened, SHOAL_TRY), -EDEADLK);
  assert_int_equal(shoal_rwlock_read_release(made), 0);
  made->door.v_ = 7;
  assert_int_equal(shoal_rwlock_open(seg, "r", &opened), -EPROTO);
  assert_int_equal(shoal_rwlock_close(other, opened), 0);
  assert_int_equal(shoal_rwlock_close(seg, made), 0);
  assert_int_equal(shoal_rwlock_unlink(seg, "r"), 0);
  assert_int_equal(shoal_segment_close(other), 0);
  assert_int_equal(shoal_segment_close(seg), 0);
}

static void any_answer(struct shoal_rwlock *l, int (*acquire)(struct shoal_rwlock *, shoal_deadline),
                       int (*release)(struct shoal_rwlock *)) {
  int rc = acquire(l, shoal_after_us(100));
  if (rc == 0 || rc == -EOWNERDEAD) assert_int_equal(release(l), 0);
}
static void test_any_words(void **state) {
  static const uint32_t words[] = {0, 1, 7, FUTEX_WAITERS, FUTEX_OWNER_DIED, FUTEX_TID_MASK, UINT32_MAX};
  enum { N = sizeof words / sizeof *words };
  struct shoal_rwlock *l = *state;
  struct shoal_rwlock_info info;
  for (unsigned k = 0; k < N * N * N; k++) {
    assert_int_equal(shoal_rwlock_init(l, 8), 0);
    shoal_store32_relaxed(&l->writer.word, words[k % N]);
    shoal_store32_relaxed(&l->seats.top, words[k / N % N]);
    for (uint32_t i = 0; i < 8; i++) {
      shoal_store32_relaxed(&shoal_seat_at_(&l->seats, i)->live.word, words[(k / N / N + i) % N]);
      shoal_store64_relaxed(&shoal_seat_at_(&l->seats, i)->live.user_, words[(k + i) % N]);
    }
    l->writer.state = words[(k + 3) % N];
    if (k % 3 == 2) shoal_store32_relaxed(&l->door, SHOAL_RWLOCK_OPEN + k % 7);
    any_answer(l, read_acquire, read_release);
    any_answer(l, shoal_rwlock_write_acquire, write_release);
    shoal_rwlock_info(l, &info);
    (void)shoal_rwlock_destroy(l);
  }
}
static void test_a_seat_that_nobody_owns_is_not_waited_for(void **state) {
  struct shoal_rwlock *l = *state;
  shoal_store32_relaxed(&l->seats.top, 1);
  shoal_store32_relaxed(&shoal_seat_at_(&l->seats, 0)->live.word, FUTEX_WAITERS);
  assert_int_equal(shoal_rwlock_write_acquire(l, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_rwlock_write_release(l), 0);
}

static int child_of(struct shoal_rwlock *l, int (*release)(struct shoal_rwlock *)) {
  int status;
  pid_t child = fork();
  if (child == 0) _exit(release(l) != -EPERM || shoal_rwlock_write_acquire(l, SHOAL_TRY) != -EAGAIN);
  return waitpid(child, &status, 0) != child || status;
}
static void test_a_child_holds_nothing(void **state) {
  struct shoal_rwlock *l = *state;
  assert_int_equal(shoal_rwlock_read_acquire(l, SHOAL_FOREVER), 0);
  assert_int_equal(child_of(l, read_release), 0);
  assert_int_equal(shoal_rwlock_read_release(l), 0);
  assert_int_equal(shoal_rwlock_write_acquire(l, SHOAL_FOREVER), 0);
  assert_int_equal(child_of(l, write_release), 0);
  assert_int_equal(shoal_rwlock_write_release(l), 0);
}

// One more than can be counted, with a seat and alone.
static void expect_too_deep(struct shoal_rwlock *l, uint32_t *depth, uint32_t once) {
  *depth = UINT32_MAX;
  assert_int_equal(shoal_rwlock_read_acquire(l, SHOAL_FOREVER), -EOVERFLOW);
  assert_int_equal(*depth, UINT32_MAX);
  assert_int_equal(shoal_rwlock_read_release(l), 0);
  assert_int_equal(*depth, UINT32_MAX - 1);
  assert_int_equal(shoal_rwlock_read_acquire(l, SHOAL_FOREVER), 0);
  *depth = once;
  assert_int_equal(shoal_rwlock_read_release(l), 0);
  assert_int_equal(shoal_rwlock_read_release(l), -EPERM);
}
static void test_too_deep(void **state) {
  struct shoal_rwlock *l = *state;
  assert_int_equal(shoal_rwlock_read_acquire(l, SHOAL_FOREVER), 0);
  expect_too_deep(l, &shoal_seat_at_(&l->seats, 0)->live.state, 0);
  assert_int_equal(shoal_rwlock_write_acquire(l, SHOAL_FOREVER), 0);
  l->writer.state = 1;  // as a reader without a seat
  expect_too_deep(l, &l->writer.state, 1);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup(test_##name, setup)
  const struct CMUnitTest tests[] = {
      TEST(what_is_no_lock),       TEST(any_words), TEST(a_seat_that_nobody_owns_is_not_waited_for),
      TEST(a_child_holds_nothing), TEST(by_name),   TEST(too_deep),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
