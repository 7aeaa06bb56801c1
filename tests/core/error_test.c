// What core/error.h claims: every code of the vocabulary has a sentence, with either sign; the reason is the thread's
// own, is that of its last failure, and never overflows.
#include "core/error.h"
#include "tests/core/support.h"

static void test_every_code_has_its_sentence(void **state) {
  (void)state;
  static const int codes[] = {
      0,         EAGAIN,    ETIMEDOUT, EPIPE,  EOWNERDEAD, ENOTRECOVERABLE, EPERM,  EINVAL,  ENAMETOOLONG,
      EBADMSG,   EEXIST,    ENOENT,    EPROTO, ENOSPC,     ENOMEM,          EUSERS, EBUSY,   EDEADLK,
      EOVERFLOW, ENOSYS,    ECHILD,    ERANGE, EALREADY,   EACCES,          EIO,    ENOTSUP, EMSGSIZE,
      EREMOTEIO, ECANCELED, ELOOP,     EMLINK, EMFILE,     ENFILE,          EINTR};
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
    const char *text = shoal_strerror(-codes[i]);
    assert_ptr_equal(text, shoal_strerror(codes[i]));
    for (size_t k = 0; k < i; k++) assert_string_not_equal(text, shoal_strerror(codes[k]));
    assert_string_not_equal(text, "system error");
  }
  assert_string_equal(shoal_strerror(-123456), "system error");
  assert_string_equal(shoal_strerror(EXDEV), "system error");
}

static void *other_thread(void *arg) {
  (void)arg;
  MUST(strcmp(shoal_reason(), "") == 0);
  MUST(shoal_fail_(-EINVAL, "theirs") == -EINVAL);
  MUST(strcmp(shoal_reason(), "theirs") == 0);
  return NULL;
}

static void test_reason_is_the_threads_own(void **state) {
  (void)state;
  pthread_t thread;
  assert_int_equal(shoal_fail_(-ENOSPC, "%d of %s", 3, "mine"), -ENOSPC);
  pthread_create(&thread, NULL, other_thread, NULL);
  pthread_join(thread, NULL);
  assert_string_equal(shoal_reason(), "3 of mine");
  shoal_fail_(-EINVAL, "the next");
  assert_string_equal(shoal_reason(), "the next");
}

static void test_long_reason_is_cut(void **state) {
  (void)state;
  char text[1000];
  memset(text, 'x', sizeof text);
  text[sizeof text - 1] = 0;
  assert_int_equal(shoal_fail_(-EINVAL, "%s", text), -EINVAL);
  assert_in_range(strlen(shoal_reason()), 100, 999);
}

static void test_a_kept_reason_comes_back(void **state) {
  (void)state;
  struct shoal_kept_reason_ kept;
  assert_int_equal(shoal_fail_(-EINVAL, "the first"), -EINVAL);
  shoal_reason_keep_(&kept);
  assert_int_equal(shoal_fail_(-EALREADY, "on the way"), -EALREADY);
  shoal_reason_restore_(&kept);
  assert_string_equal(shoal_reason(), "the first");
}

int main(void) {
  alarm(WATCHDOG_S);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_code_has_its_sentence),
      cmocka_unit_test(test_reason_is_the_threads_own),
      cmocka_unit_test(test_long_reason_is_cut),
      cmocka_unit_test(test_a_kept_reason_comes_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
