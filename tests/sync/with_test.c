// sync/with.h in C: see with_body.h, with_rwlock_body.h.
#include "sync/with.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/sync/with_body.h"
#include "tests/sync/with_rwlock_body.h"

int main(void) {
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  return failed + cmocka_run_group_tests(rwlock_tests, NULL, NULL);
}
