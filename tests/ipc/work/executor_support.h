// What the tests of executors share: a segment, a ledger that outlives workers, and tasks that are run, and end, in
// every way.
#pragma once

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/atomic.h"
#include "core/error.h"
#include "ipc/work/executor.h"
#include "ipc/work/future.h"
#include "ipc/work/process.h"
#include "tests/harness/drivers.h"

#ifdef __SANITIZE_THREAD__
#define THREADED 1  // the sanitizer's own thread
#else
#define THREADED 0
#endif

enum { WORKERS = 3, IDS = 20000 };

static struct ledger {
  shoal_atomic32 begun[IDS], ended[IDS];  // times
  shoal_atomic32 inits[WORKERS], finals[WORKERS];
  shoal_atomic32 go;
  uint64_t token;
} * ledger;

static struct shoal_segment *seg;

static inline int make_executor(struct shoal_executor_options o, struct shoal_executor **out) {
  if (!o.workers) o.workers = WORKERS;
  o.threaded = THREADED;
  return shoal_executor_create(seg, NULL, &o, out);
}
static inline struct shoal_executor *executor_of(struct shoal_executor_options o) {
  struct shoal_executor *ex = NULL;
  assert_int_equal(make_executor(o, &ex), 0);
  return ex;
}
static inline void end_executor(struct shoal_executor *ex) { assert_int_equal(shoal_executor_detach(ex), 0); }

static inline int set_up(void **state) {
  (void)state;
  memset(ledger, 0, sizeof *ledger);
  return 0;
}
static inline int begin_tests(void **state) {
  (void)state;
  ledger = mmap(NULL, sizeof *ledger, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (ledger == MAP_FAILED) return -1;
  watchdog(THREADED ? 280 : 55);
  return shoal_segment_create(NULL, NULL, &seg);
}
static inline int end_tests(void **state) {
  (void)state;
  int status, rc = shoal_segment_close(seg);
  munmap(ledger, sizeof *ledger);
  return rc || waitpid(-1, &status, WNOHANG) != -1;  // no child stays
}
