// Claims of sync/barrier's named forms:
//   1 processes that open or create it by name, each at its own address, meet at one barrier
//   2 a name of another type, or of another number of parties, is refused, and so are what init refuses and what is
//   damaged 3 a party does not close it; closed by all, and its name gone, its memory is free
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "sync/barrier.h"
#include "sync/once.h"
#include "tests/harness/drivers.h"

#define PARTIES 4
static struct shoal_segment *seg, *other;  // two mappings of one segment

static int setup(void **state) {
  (void)state;
  watchdog(120);
  assert_int_equal(shoal_segment_create(NULL, NULL, &seg), 0);
  assert_int_equal(shoal_segment_open_fd(shoal_segment_fd(seg), &other), 0);
  return 0;
}
static int teardown(void **state) {
  struct shoal_segment_info info;
  (void)state;
  assert_int_equal(shoal_segment_info(seg, &info), 0);
  assert_int_equal(info.used, 0);
  assert_int_equal(shoal_segment_close(other), 0);
  assert_int_equal(shoal_segment_close(seg), 0);
  return 0;
}

// ---- 1 ----

static void meet(struct shoal_segment *where) {
  struct shoal_barrier *b;
  CHECK(shoal_barrier_open_or_create(where, "b", PARTIES, NULL, &b) == 0);
  for (int i = 0; i < 100; i++) CHECK(shoal_barrier_wait(b, SHOAL_FOREVER, NULL) == 0);
  CHECK(shoal_barrier_leave(b) == 0);
  CHECK(shoal_barrier_close(where, b) == 0);
}
static void test_processes_meet_by_name(void **state) {
  (void)state;
  pid_t pids[PARTIES - 1];
  for (int i = 0; i < PARTIES - 1; i++) {
    pids[i] = fork();
    CHECK(pids[i] >= 0);
    if (pids[i] == 0) {
      meet(i & 1 ? other : seg);
      _exit(0);
    }
  }
  meet(seg);
  for (int i = 0; i < PARTIES - 1; i++) {
    int status;
    assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
    assert_int_equal(status, 0);
  }
  assert_int_equal(shoal_barrier_unlink(other, "b"), 0);
  assert_int_equal(shoal_barrier_unlink(seg, "b"), -ENOENT);
}

// ---- 2 ----

static void test_refused(void **state) {
  (void)state;
  struct shoal_barrier *b, *again;
  struct shoal_once *once;
  struct shoal_barrier_options unknown = {.flags = 0x80}, dropping = {.flags = SHOAL_BARRIER_DROP};
  assert_int_equal(shoal_barrier_open(seg, "b", &b), -ENOENT);
  assert_int_equal(shoal_barrier_create(seg, "b", 0, NULL, &b), -EINVAL);
  assert_int_equal(shoal_barrier_create(seg, "b", SHOAL_BARRIER_MAX + 1, NULL, &b), -EINVAL);
  assert_int_equal(shoal_barrier_create(seg, "b", 2, &unknown, &b), -EINVAL);
  assert_int_equal(shoal_barrier_create(seg, "b", PARTIES, &dropping, &b), 0);
  assert_int_equal(shoal_barrier_create(other, "b", PARTIES, NULL, &again), -EEXIST);
  assert_int_equal(shoal_barrier_open_or_create(other, "b", PARTIES + 1, NULL, &again), -EBADMSG);
  assert_int_equal(shoal_once_open(other, "b", &once), -EBADMSG);
  assert_int_equal(shoal_once_unlink(other, "b"), -EBADMSG);
  b->parties = SHOAL_BARRIER_MAX;  // does not fit
  assert_int_equal(shoal_barrier_open(other, "b", &again), -EPROTO);
  b->parties = PARTIES;
  assert_int_equal(shoal_barrier_open(other, "b", &again), 0);
  assert_int_equal(again->flags, SHOAL_BARRIER_DROP);
  assert_int_equal(shoal_barrier_close(other, again), 0);
  assert_int_equal(shoal_barrier_close(seg, b), 0);
  assert_int_equal(shoal_barrier_unlink(seg, "b"), 0);
}

// ---- 3 ----

static void test_a_party_does_not_close_it(void **state) {
  (void)state;
  struct shoal_barrier *b;
  assert_int_equal(shoal_barrier_create(seg, "b", 1, NULL, &b), 0);
  assert_int_equal(shoal_barrier_wait(b, SHOAL_FOREVER, NULL), 0);
  assert_int_equal(shoal_barrier_close(seg, b), -EBUSY);
  assert_int_equal(shoal_barrier_unlink(seg, "b"), 0);  // who has it goes on
  assert_int_equal(shoal_barrier_wait(b, SHOAL_FOREVER, NULL), 0);
  assert_int_equal(shoal_barrier_leave(b), 0);
  assert_int_equal(shoal_barrier_close(seg, b), 0);
  assert_int_equal(shoal_barrier_close(seg, b), -EINVAL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_processes_meet_by_name, setup, teardown),
      cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
      cmocka_unit_test_setup_teardown(test_a_party_does_not_close_it, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
