// sync/with.h in C++: with_body.h, with_rwlock_body.h, and exceptions, on which what is held is let go of, too.
#include "sync/with.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

extern "C" {
#include <cmocka.h>
}

#include "tests/sync/with_body.h"
#include "tests/sync/with_rwlock_body.h"

static void test_an_exception(void **state) {
  (void)state;
  int rc = 0, caught = 0;
  try {
    SHOAL_WITH (rc, &lock) {
      SHOAL_HOLD(rc, &recursive);
      SHOAL_WITH (rc, &permit.s) throw 7;
    }
  } catch (int i) {
    caught = i;
  }
  assert_int_equal(caught, 7);
  assert_false(is_held());
  assert_int_equal(depth(), 0);
  assert_false(is_taken());
}

static void test_an_exception_in_a_reader(void **state) {
  (void)state;
  int rc = 0, caught = 0;
  try {
    SHOAL_WITH (rc, shoal_reading(&rw.lock)) throw 7;
  } catch (int i) {
    caught = i;
  }
  assert_int_equal(caught, 7);
  expect_nobody_inside();
}

int main() {
  const struct CMUnitTest exceptions[] = {cmocka_unit_test_setup(test_an_exception, setup),
                                          cmocka_unit_test_setup(test_an_exception_in_a_reader, setup_rwlock)};
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  failed += cmocka_run_group_tests(rwlock_tests, NULL, NULL);
  return failed + cmocka_run_group_tests(exceptions, NULL, NULL);
}
