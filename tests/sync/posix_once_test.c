// What the conformance tests for pthread_once ask, asked of sync/once: tests/sync/README.md says which test of which
// suite each of these follows. By behaviour: none of their code is here.
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "sync/once.h"
#include "tests/harness/drivers.h"

static struct shoal_once once;
static shoal_atomic32 ran, inside, handled, stop;

static int setup(void **state) {
  (void)state;
  watchdog(120);
  ran = inside = handled = stop = (shoal_atomic32){0};
  return shoal_once_init(&once);
}

static int work(void *arg) {
  (void)arg;
  shoal_add32_relaxed(&ran, 1);
  for (int i = 0; i < 50; i++) sched_yield();  // long enough for the others to come
  shoal_store32_relaxed(&inside, 1);
  return 0;
}
static void *run_it(void *arg) {
  (void)arg;
  CHECK(shoal_once_run(&once, work, NULL, SHOAL_FOREVER) == 0);
  CHECK(shoal_load32_relaxed(&inside) == 1);  // it has ended, for all
  return NULL;
}

static void test_the_first_call_runs_it_and_no_other(void **state) {
  (void)state;
  run_it(NULL);
  run_it(NULL);
  assert_int_equal(shoal_load32_relaxed(&ran), 1);
}
static void test_all_return_when_it_has_ended(void **state) {
  (void)state;
  pthread_t t[20];
  for (int i = 0; i < 20; i++) CHECK(pthread_create(&t[i], NULL, run_it, NULL) == 0);
  for (int i = 0; i < 20; i++) CHECK(pthread_join(t[i], NULL) == 0);
  assert_int_equal(shoal_load32_relaxed(&ran), 1);
}

// A thread that is ended inside: as if it had never been called.
static int end_inside(void *arg) {
  (void)arg;
  pthread_exit(NULL);
}
static void *run_and_end(void *arg) {
  int rc = shoal_once_run(&once, end_inside, arg, SHOAL_FOREVER);
  CHECK(rc != rc);  // not reached
  return NULL;
}
static void test_one_that_is_ended_inside_was_never_called(void **state) {
  (void)state;
  pthread_t t;  // one after the other: ThreadSanitizer does not see that the kernel's mark orders them
  for (int i = 0; i < 3; i++) {
    CHECK(pthread_create(&t, NULL, run_and_end, NULL) == 0);
    CHECK(pthread_join(t, NULL) == 0);
  }
  run_it(NULL);
  assert_int_equal(shoal_load32_relaxed(&ran), 1);
}

static void handle(int number) {
  (void)number;
  shoal_add32_relaxed(&handled, 1);
}
static void *run_often(void *arg) {
  (void)arg;
  while (!shoal_load32_relaxed(&stop)) {
    CHECK(shoal_once_init(&once) == 0);
    shoal_store32_relaxed(&inside, 0);
    run_it(NULL);
  }
  return NULL;
}
static void test_no_call_is_interrupted(void **state) {
  (void)state;
  pthread_t t;
  signal(SIGUSR1, handle);
  CHECK(pthread_create(&t, NULL, run_often, NULL) == 0);
  for (uint32_t n = 1; n <= 100; n++) {
    CHECK(pthread_kill(t, SIGUSR1) == 0);
    while (shoal_load32_relaxed(&handled) < n) sched_yield();
  }
  shoal_store32_relaxed(&stop, 1);
  CHECK(pthread_join(t, NULL) == 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_the_first_call_runs_it_and_no_other, setup),
      cmocka_unit_test_setup(test_all_return_when_it_has_ended, setup),
      cmocka_unit_test_setup(test_one_that_is_ended_inside_was_never_called, setup),
      cmocka_unit_test_setup(test_no_call_is_interrupted, setup),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
