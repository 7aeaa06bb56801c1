// sync/with.h in C: see with_body.h.
#include "sync/with.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/sync/with_body.h"

int main(void) { return cmocka_run_group_tests(tests, NULL, NULL); }
