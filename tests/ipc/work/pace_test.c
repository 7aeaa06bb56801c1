// Claims, of who gets many results one after another (future.c is in here, so that pauses can be counted)
//   one by one   nobody pauses who waits for each job that it submits
//   paid         who found many over before it has to wait pauses, twice as long each time that this goes on
//   unpaid       fewer make it shorter, none ends it; so does a submit, which was what kept the workers busy
//   bounded      by so many pauses, and by how long anybody looks at all
#include "core/backoff.h"

static unsigned pauses;
#define shoal_pause() ((void)pauses++)
#include "ipc/work/future.c"  // NOLINT

#include "tests/ipc/work/executor_support.h"

static struct shoal_executor *ex;
static uint32_t served;

static void *serve(void *n) {
  (void)shoal_executor_be_worker_(ex, 0, 0);
  for (uint32_t i = 0; i < *(uint32_t *)n; i++) served += shoal_executor_serve_(ex, SHOAL_FOREVER) == 0;
  return NULL;
}
static void have_served(uint32_t n) {
  pthread_t t;
  served = 0;
  assert_int_equal(pthread_create(&t, NULL, serve, &n), 0);
  pthread_join(t, NULL);
  assert_int_equal(served, n);
}

static struct shoal_future f[2000];
static uint32_t at, end;

static void submit(uint32_t n) {
  struct small s = {.id = 0, .in = 2};
  for (uint32_t i = 0; i < n; i++, end++) assert_int_equal(SHOAL_SUBMIT(ex, square, &s, &f[end]), 0);
}
static void get(uint32_t n) {
  struct small s;
  for (uint32_t i = 0; i < n; i++, at++) {
    assert_int_equal(shoal_future_get(&f[at], &s, sizeof s, NULL, SHOAL_FOREVER), 0);
    assert_int_equal(shoal_future_release(&f[at]), 0);
  }
}
// The pauses of somebody who has to wait for the next one, and does not look.
static unsigned wait_for_next(void) {
  budget.looks = budget.failed = 0;
  pauses = 0;
  assert_int_equal(spin(&f[at]), 0);
  return pauses;
}

static int begin(void **state) {
  struct shoal_executor_options o = {.workers = 1, .jobs = 4096};
  set_up(state);
  at = end = 0;
  memset(&stream, 0, sizeof stream);
  shoal_spin_max_ = SHOAL_SPIN_MAX;
  return shoal_executor_make_(seg, NULL, &o, NULL, &ex);
}
static int finish(void **state) {
  (void)state;
  have_served(end - at);
  get(end - at);
  return shoal_executor_detach(ex);
}

static void test_one_by_one(void **state) {
  (void)state;
  for (int i = 0; i < 100; i++) {
    submit(1);
    assert_int_equal(wait_for_next(), 0);
    have_served(1);
    get(1);
  }
}

static void test_paid(void **state) {
  (void)state;
  submit(1500);
  for (unsigned k = 1; k <= 4; k++) {
    have_served(20);
    get(20);
    assert_int_equal(wait_for_next(), (1u << k) - 1);
  }
}

static void test_unpaid(void **state) {
  (void)state;
  submit(1500);
  for (unsigned k = 1; k <= 4; k++) {
    have_served(20);
    get(20);
    (void)wait_for_next();
  }
  have_served(2);
  get(2);
  assert_int_equal(wait_for_next(), 7);
  have_served(20);
  get(20);
  submit(1);
  assert_int_equal(wait_for_next(), 0);
  have_served(20);
  get(20);
  assert_int_equal(wait_for_next(), 1);
  assert_int_equal(wait_for_next(), 0);
}

static void test_bounded(void **state) {
  (void)state;
  submit(1500);
  for (unsigned k = 1; k <= 10; k++) {
    have_served(40);
    get(40);
    unsigned is = wait_for_next();
    assert_int_equal(is, k < 9 ? (1u << k) - 1 : AWAY_MAX);
  }
  shoal_spin_max_ = 3;
  have_served(40);
  get(40);
  assert_int_equal(wait_for_next(), 15);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_one_by_one, begin, finish),
      cmocka_unit_test_setup_teardown(test_paid, begin, finish),
      cmocka_unit_test_setup_teardown(test_unpaid, begin, finish),
      cmocka_unit_test_setup_teardown(test_bounded, begin, finish),
  };
  return cmocka_run_group_tests(tests, begin_tests, end_tests);
}
