// What the tests of executors share: a segment, a ledger that outlives workers, and tasks that are run, and end, in
// every way.
#pragma once

#include <pthread.h>
#include <sched.h>
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
  shoal_atomic32 go, holder;
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
  watchdog(280);
  return shoal_segment_create(NULL, NULL, &seg);
}
static inline int end_tests(void **state) {
  (void)state;
  int status, rc = shoal_segment_close(seg);
  munmap(ledger, sizeof *ledger);
  return rc || waitpid(-1, &status, WNOHANG) != -1;  // no child stays
}

// ---- tasks, each told of in the ledger by its id ----

struct small {
  uint32_t id, in, out;
};
SHOAL_TASK(square, struct small) {
  shoal_add32_relaxed(&ledger->begun[arg->id], 1);
  arg->out = arg->in * arg->in;
  shoal_add32_relaxed(&ledger->ended[arg->id], 1);
  return 0;
}
// Until `go` is its `in`.
SHOAL_TASK(hold, struct small) {
  shoal_store32_relaxed(&ledger->holder, (uint32_t)getpid());
  shoal_add32_relaxed(&ledger->begun[arg->id], 1);
  while (shoal_load32_relaxed(&ledger->go) < arg->in) usleep(100);
  shoal_add32_relaxed(&ledger->ended[arg->id], 1);
  return 0;
}
SHOAL_TASK(refuse_odd, struct small) {
  arg->out = arg->in;
  return arg->in % 2 ? shoal_task_fail(-EDOM, "%u is odd", arg->in) : 0;
}
// As often as its `in`.
SHOAL_TASK(die_at_first, struct small) {
  if (shoal_add32_relaxed(&ledger->begun[arg->id], 1) < arg->in) raise(SIGKILL);
  arg->out = arg->id;
  shoal_add32_relaxed(&ledger->ended[arg->id], 1);
  return 0;
}

struct deep {
  uint32_t n, leaves;
};
SHOAL_TASK(fork_join, struct deep) {
  struct shoal_executor *ex = shoal_executor_current();
  struct shoal_future f[2];
  if (!ex) return shoal_task_fail(-ENOENT, "no executor");
  arg->leaves = arg->n == 0;
  for (unsigned i = 0; i < 2 && arg->n; i++) {
    struct deep half = {arg->n - 1, 0};
    int rc = SHOAL_SUBMIT(ex, fork_join, &half, &f[i]);
    if (rc) return rc;
  }
  for (unsigned i = 0; i < 2 && arg->n; i++) {
    struct deep half;
    int rc = shoal_future_get(&f[i], &half, sizeof half, NULL, SHOAL_FOREVER);
    if (!rc) rc = shoal_future_release(&f[i]);
    if (rc) return rc;
    arg->leaves += half.leaves;
  }
  return 0;
}

static inline void await_begun(uint32_t id) {
  while (!shoal_load32_relaxed(&ledger->begun[id])) usleep(100);
}

// ---- something that happens in another process ----

static inline int kill_soon(void *arg) {
  usleep(20000);
  return kill(*(pid_t *)arg, SIGKILL) != 0;
}
static inline void in_child(int (*work)(void *), void *arg, struct shoal_process *p) {
  struct shoal_process_options o = {.threaded = THREADED};
  assert_int_equal(shoal_process_start(p, work, arg, &o), 0);
}
static inline void end_child(struct shoal_process *p) {
  int code;
  assert_int_equal(shoal_process_join(p, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_process_exitcode(p, &code), 0);
  assert_int_equal(code, 0);
  shoal_process_close(p);
}
