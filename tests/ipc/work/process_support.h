// What the tests of processes share. After <cmocka.h>.
#pragma once

#include "ipc/work/process.h"

// Waits for it, closes it, and answers its exit code.
static inline int end_of(struct shoal_process *p) {
  int code = 12345;
  assert_int_equal(shoal_process_join(p, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_process_exitcode(p, &code), 0);
  assert_int_equal(shoal_process_close(p), 0);
  return code;
}
