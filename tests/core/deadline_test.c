// What core/deadline.h claims: a deadline is absolute; what has passed is not a try; what would overflow is for ever.
#include "core/deadline.h"
#include "tests/core/support.h"

static void test_try_and_forever(void **state) {
  (void)state;
  assert_true(shoal_deadline_is_try(SHOAL_TRY));
  assert_false(shoal_deadline_is_forever(SHOAL_TRY));
  assert_true(shoal_deadline_passed(SHOAL_TRY));
  assert_true(shoal_deadline_is_forever(SHOAL_FOREVER));
  assert_false(shoal_deadline_is_try(SHOAL_FOREVER));
  assert_false(shoal_deadline_passed(SHOAL_FOREVER));
  assert_int_equal(shoal_deadline_error(SHOAL_TRY), -EAGAIN);
  assert_int_equal(shoal_deadline_error(shoal_after_ms(0)), -ETIMEDOUT);
}

static void test_units(void **state) {
  (void)state;
  const int64_t second = 1000000000;
  int64_t before = shoal_now_ns();
  shoal_deadline d[] = {shoal_after_ns(3 * second), shoal_after_us(3000000), shoal_after_ms(3000), shoal_after_s(3)};
  int64_t after = shoal_now_ns();
  for (int i = 0; i < 4; i++) {
    assert_in_range(d[i].ns, before + 3 * second, after + 3 * second);
    assert_false(shoal_deadline_is_try(d[i]));
  }
}

static void test_past_and_overflow(void **state) {
  (void)state;
  const int64_t past[] = {0, -1, -1000000, INT64_MIN};
  for (int i = 0; i < 4; i++) {
    assert_true(shoal_deadline_passed(shoal_after_ns(past[i])));
    assert_true(shoal_deadline_passed(shoal_after_us(past[i])));
    assert_true(shoal_deadline_passed(shoal_after_s(past[i])));
    assert_false(shoal_deadline_is_try(shoal_after_ns(past[i])));
  }
  assert_true(shoal_deadline_is_forever(shoal_after_ns(INT64_MAX)));
  assert_true(shoal_deadline_is_forever(shoal_after_us(INT64_MAX)));
  assert_true(shoal_deadline_is_forever(shoal_after_ms(INT64_MAX / 1000)));
  assert_true(shoal_deadline_is_forever(shoal_after_s(INT64_MAX / 1000000000)));
  assert_false(shoal_deadline_is_forever(shoal_after_s(100 * 365 * 86400LL)));
}

int main(void) {
  alarm(WATCHDOG_S);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_try_and_forever),
      cmocka_unit_test(test_units),
      cmocka_unit_test(test_past_and_overflow),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
