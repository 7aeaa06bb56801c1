// Claims
//   order      children start in the order of their adding, and are ended in reverse, one at a time
//   strategies who ends is started again: alone; with all others; with those behind it. Those that stay, stay the same
//              processes
//   kinds      permanent, transient, temporary; what has ended for good, or was stopped, stays so when others are
//              restarted, and says how it ended
//   gives up   more restarts than allowed: all are ended in reverse order, and the reason says who and how; restarts
//              that lie longer back do not count
//   grace      who does not end at SIGTERM is killed, when its grace is over, or at once; a call that comes to its
//              deadline before leaves that to a later one
//   by name    stop, restart, remove, list
//   tasks      registered ones, by the starter
//   no start   a restart that fails is tried again, is counted, and gives up in the end
//   run        ends at SIGTERM, in order, also one that came before it, blocked; and when none runs any more
//   nested     a parental child ends its own in order, told to, and when its parent is killed: no process stays
//   refused    what makes no sense changes nothing
#include "ipc/work/supervisor.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/atomic.h"
#include "core/error.h"
#include "ipc/work/task.h"
#include "tests/harness/drivers.h"

#ifdef __SANITIZE_THREAD__
#define THREADED 1  // the sanitizer's own thread
#else
#define THREADED 0
#endif

enum { EVENTS = 256 };
#define HOUR_NS INT64_C(3600000000000)
static struct ledger {
  shoal_atomic32 n, code;
  char event[EVENTS][8];  // "+a": a has begun, "-a": a was told to end, and does
} * ledger;

static void note(char what, const char *who) {
  uint32_t at = shoal_add32_relaxed(&ledger->n, 1);
  if (at < EVENTS) snprintf(ledger->event[at], sizeof ledger->event[at], "%c%.5s", what, who);
}
// All that was noted from event `first` on, in one line.
static const char *events(uint32_t first) {
  static char line[EVENTS * 8];
  line[0] = 0;
  for (uint32_t i = first; i < shoal_load32_acquire(&ledger->n); i++) {
    while (!*(volatile char *)ledger->event[i]) usleep(100);
    strcat(line, ledger->event[i]);
  }
  return line;
}
static uint32_t count(const char *event) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < EVENTS; i++) n += strcmp(ledger->event[i], event) == 0;
  return n;
}
static void await(const char *event, uint32_t times) {
  while (count(event) < times) usleep(100);
}

// ---- children ----

static sigset_t hold_term(void) {
  sigset_t term;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  sigprocmask(SIG_BLOCK, &term, NULL);
  return term;
}
static int serve(void *name) {
  sigset_t term = hold_term();
  int signal;
  note('+', name);
  sigwait(&term, &signal);
  note('-', name);
  return 0;
}
static int stay(void *name) {  // does not care for SIGTERM
  hold_term();
  note('+', name);
  for (;;) pause();
  return 0;
}
static int leave(void *name) {  // with ledger->code; -9: killed
  note('+', name);
  int code = (int)shoal_load32_relaxed(&ledger->code);
  if (code < 0) kill(getpid(), -code);
  return code;
}
struct name {
  char is[8];
};
SHOAL_TASK(keep, struct name) {
  (void)arg;
  for (;;) pause();
  return 0;
}

static const struct shoal_process_options forked = {.threaded = THREADED};

static void add_as(struct shoal_supervisor *sv, const char *name, int (*work)(void *), enum shoal_restart restart) {
  struct shoal_supervised child = {.name = name,
                                   .work = work,
                                   .arg = (void *)(uintptr_t)name,
                                   .restart = restart,
                                   .grace_ns = HOUR_NS,  // who is told to end has the time to say that it does
                                   .process = &forked};
  int rc = shoal_supervisor_add(sv, &child);
  if (rc) print_message("%d %s\n", rc, shoal_reason());
  assert_int_equal(rc, 0);
}
static void add(struct shoal_supervisor *sv, const char *name) {
  uint32_t before = count((char[]){'+', name[0], 0});
  add_as(sv, name, serve, SHOAL_PERMANENT);
  await((char[]){'+', name[0], 0}, before + 1);
}
static struct shoal_supervisor *make(enum shoal_strategy strategy, uint32_t max) {
  struct shoal_supervisor_options o = {.strategy = strategy, .restarts_max = max, .restarts_within_ns = HOUR_NS};
  struct shoal_supervisor *sv = NULL;
  assert_int_equal(shoal_supervisor_create(&o, &sv), 0);
  return sv;
}
static struct shoal_supervisor *make_abc(enum shoal_strategy strategy, uint32_t max) {
  struct shoal_supervisor *sv = make(strategy, max);
  add(sv, "a"), add(sv, "b"), add(sv, "c");
  return sv;
}
static struct shoal_supervised_info look(struct shoal_supervisor *sv, const char *name) {
  struct shoal_supervised_info info;
  assert_int_equal(shoal_supervisor_child(sv, name, &info), 0);
  return info;
}
static struct shoal_supervisor_info whole(struct shoal_supervisor *sv) {
  struct shoal_supervisor_info info;
  assert_int_equal(shoal_supervisor_info(sv, &info), 0);
  return info;
}
static void end(struct shoal_supervisor *sv) {
  assert_int_equal(shoal_supervisor_destroy(sv), 0);
  assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}
static int set_up(void **state) {
  (void)state;
  memset(ledger, 0, sizeof *ledger);
  return 0;
}

// ---- order, strategies ----

static void test_order(void **state) {
  (void)state;
  struct shoal_supervisor *sv = make_abc(SHOAL_ONE_FOR_ONE, 1);
  assert_string_equal(events(0), "+a+b+c");
  assert_int_equal(whole(sv).alive, 3);
  assert_int_equal(shoal_supervisor_tend(sv, SHOAL_TRY), 0);
  assert_int_equal(shoal_supervisor_tend(sv, shoal_after_ms(5)), 0);
  assert_int_equal(shoal_supervisor_shutdown(sv, SHOAL_FOREVER), 0);
  assert_string_equal(events(3), "-c-b-a");
  assert_int_equal(whole(sv).alive, 0);
  assert_int_equal(shoal_supervisor_tend(sv, SHOAL_FOREVER), 0);
  struct shoal_supervised late = {.name = "d", .work = serve, .process = &forked};
  assert_int_equal(shoal_supervisor_add(sv, &late), -EPIPE);
  assert_int_equal(shoal_supervisor_restart(sv, "a", SHOAL_FOREVER), -EPIPE);
  end(sv);
}

// b is killed: what is ended and started then, and whether a and c are the same after it.
static void strategy(enum shoal_strategy which, const char *told, const char *first, int same_a, int same_c) {
  struct shoal_supervisor *sv = make_abc(which, 1);
  struct shoal_supervised_info a = look(sv, "a"), b = look(sv, "b"), c = look(sv, "c");
  int restarts = 1 + !same_a + !same_c;
  kill(b.pid, SIGKILL);
  assert_int_equal(shoal_supervisor_tend(sv, SHOAL_FOREVER), restarts);
  for (const char *p = first; *p; p++) await((char[]){'+', *p, 0}, 2);
  assert_memory_equal(events(3), told, strlen(told));
  assert_int_equal(strlen(events(3)), strlen(told) + 2 * strlen(first));
  assert_int_equal(look(sv, "a").pid == a.pid, same_a);
  assert_int_equal(look(sv, "c").pid == c.pid, same_c);
  assert_true(look(sv, "b").pid != b.pid);
  assert_int_equal(look(sv, "b").last.signal, SIGKILL);
  assert_int_equal(look(sv, "b").restarts, 1);
  assert_int_equal(look(sv, "b").ends, 1);
  assert_int_equal(whole(sv).restarts, restarts);
  if (!same_a) assert_true(look(sv, "a").started_ns < look(sv, "b").started_ns);
  if (!same_c) assert_true(look(sv, "b").started_ns < look(sv, "c").started_ns);
  end(sv);
  set_up(NULL);
}
static void test_strategies(void **state) {
  (void)state;
  strategy(SHOAL_ONE_FOR_ONE, "", "b", 1, 1);
  strategy(SHOAL_ONE_FOR_ALL, "-c-a", "abc", 0, 0);
  strategy(SHOAL_REST_FOR_ONE, "-c", "bc", 1, 0);
}

static void test_kinds(void **state) {
  (void)state;
  struct shoal_supervisor *sv = make(SHOAL_ONE_FOR_ALL, 10);
  add_as(sv, "t", leave, SHOAL_TRANSIENT);
  add_as(sv, "u", leave, SHOAL_TEMPORARY);
  assert_int_equal(shoal_supervisor_tend(sv, SHOAL_FOREVER), 0);  // both have ended well: nobody is left
  assert_int_equal(look(sv, "t").state, SHOAL_CHILD_DOWN);
  assert_int_equal(look(sv, "t").last.code_known, 1);
  shoal_store32_relaxed(&ledger->code, 3);
  add(sv, "s");
  add_as(sv, "v", leave, SHOAL_TEMPORARY);
  while (look(sv, "v").ends == 0) assert_int_equal(shoal_supervisor_tend(sv, shoal_after_ms(1)), 0);
  assert_int_equal(look(sv, "v").last.code, 3);
  add_as(sv, "w", serve, SHOAL_TEMPORARY);
  await("+w", 1);
  assert_int_equal(shoal_supervisor_stop(sv, "s", SHOAL_FOREVER), 0);
  add_as(sv, "x", leave, SHOAL_TRANSIENT);  // not well: all others with it, but those that are down; w for good
  assert_int_equal(shoal_supervisor_tend(sv, SHOAL_FOREVER), 1);
  assert_int_equal(count("-w"), 1);
  for (const char *p = "tuvws"; *p; p++) assert_int_equal(look(sv, (char[]){*p, 0}).pid, 0);
  shoal_store32_relaxed(&ledger->code, 0);
  while (look(sv, "x").pid) (void)shoal_supervisor_tend(sv, SHOAL_FOREVER);
  assert_true(look(sv, "x").restarts >= 1);
  uint64_t before = whole(sv).restarts;
  add_as(sv, "p", leave, SHOAL_PERMANENT);  // ended well, and again
  assert_int_equal(shoal_supervisor_tend(sv, SHOAL_FOREVER), 1);
  assert_int_equal(whole(sv).restarts, before + 1);
  end(sv);
}

// ---- limits ----

static void test_gives_up(void **state) {
  (void)state;
  struct shoal_supervisor *sv = make(SHOAL_ONE_FOR_ONE, 2);
  add(sv, "a"), add(sv, "b");
  shoal_store32_relaxed(&ledger->code, (uint32_t)-SIGABRT);
  signal(SIGABRT, SIG_DFL);
  add_as(sv, "k", leave, SHOAL_TRANSIENT);
  assert_int_equal(shoal_supervisor_tend(sv, SHOAL_FOREVER), 1);
  assert_int_equal(shoal_supervisor_tend(sv, SHOAL_FOREVER), 1);
  assert_int_equal(shoal_supervisor_tend(sv, SHOAL_FOREVER), -ENOTRECOVERABLE);
  assert_non_null(strstr(shoal_reason(), "k was killed by signal 6, and more than 2 restarts"));
  const char *all = events(0);
  assert_string_equal(all + strlen(all) - 4, "-b-a");
  struct shoal_supervisor_info info = whole(sv);
  assert_int_equal(info.alive, 0);
  assert_int_equal(info.broken, -ENOTRECOVERABLE);
  assert_non_null(strstr(info.reason, "k was killed"));
  struct shoal_supervised late = {.name = "d", .work = serve, .process = &forked};
  assert_int_equal(shoal_supervisor_add(sv, &late), -ENOTRECOVERABLE);
  assert_int_equal(shoal_supervisor_restart(sv, "a", SHOAL_FOREVER), -ENOTRECOVERABLE);
  assert_int_equal(shoal_supervisor_tend(sv, SHOAL_FOREVER), -ENOTRECOVERABLE);
  end(sv);
  struct shoal_supervisor_options o = {.restarts_max = 2, .restarts_within_ns = 1};  // never more than that in it
  assert_int_equal(shoal_supervisor_create(&o, &sv), 0);
  add_as(sv, "k", leave, SHOAL_PERMANENT);
  for (int i = 0; i < 6; i++) assert_int_equal(shoal_supervisor_tend(sv, SHOAL_FOREVER), 1);
  end(sv);
  o = (struct shoal_supervisor_options){.restarts_max = SHOAL_RESTARTS_UNLIMITED};
  assert_int_equal(shoal_supervisor_create(&o, &sv), 0);
  add_as(sv, "k", leave, SHOAL_PERMANENT);
  for (int i = 0; i < 6; i++) assert_int_equal(shoal_supervisor_tend(sv, SHOAL_FOREVER), 1);
  end(sv);
}

static void test_grace(void **state) {
  (void)state;
  struct shoal_supervisor *sv = make(SHOAL_ONE_FOR_ONE, 1);
  struct shoal_supervised deaf = {.name = "d", .work = stay, .arg = (char[]){"d"}, .process = &forked};
  deaf.grace_ns = 30000000;
  assert_int_equal(shoal_supervisor_add(sv, &deaf), 0);
  await("+d", 1);
  int64_t begun = shoal_now_ns();
  assert_int_equal(shoal_supervisor_stop(sv, "d", SHOAL_TRY), -EAGAIN);
  assert_int_equal(look(sv, "d").state, SHOAL_CHILD_ENDS);
  assert_int_equal(shoal_supervisor_stop(sv, "d", SHOAL_FOREVER), 0);
  assert_true(shoal_now_ns() - begun >= deaf.grace_ns);
  assert_int_equal(look(sv, "d").last.signal, SIGKILL);
  deaf.name = "e", deaf.grace_ns = -1;
  assert_int_equal(shoal_supervisor_add(sv, &deaf), 0);
  await("+d", 2);
  assert_int_equal(shoal_supervisor_stop(sv, "e", SHOAL_FOREVER), 0);
  assert_int_equal(look(sv, "e").last.signal, SIGKILL);
  deaf.name = "f", deaf.grace_ns = INT64_MAX;
  assert_int_equal(shoal_supervisor_add(sv, &deaf), 0);
  await("+d", 3);
  assert_int_equal(shoal_supervisor_remove(sv, "f", shoal_after_ms(2)), -ETIMEDOUT);
  assert_int_equal(shoal_supervisor_shutdown(sv, shoal_after_ms(2)), -ETIMEDOUT);
  assert_int_equal(look(sv, "f").state, SHOAL_CHILD_ENDS);
  end(sv);  // at once, for all its grace
}

// ---- by name ----

static int collect(const struct shoal_supervised_info *child, void *line) {
  strcat(line, child->name);
  return child->name[0] == 'c' ? 7 : 0;
}
static void test_by_name(void **state) {
  (void)state;
  struct shoal_supervisor *sv = make_abc(SHOAL_ONE_FOR_ALL, 1);
  struct shoal_supervised_info a = look(sv, "a"), b = look(sv, "b");
  char line[16] = "";
  assert_int_equal(shoal_supervisor_restart(sv, "a", SHOAL_FOREVER), 0);
  await("+a", 2);
  assert_string_equal(events(3), "-a+a");  // it alone
  assert_true(look(sv, "a").pid && look(sv, "a").pid != a.pid);
  assert_int_equal(look(sv, "a").restarts, 1);
  assert_int_equal(shoal_supervisor_stop(sv, "b", SHOAL_FOREVER), 0);
  assert_int_equal(shoal_supervisor_stop(sv, "b", SHOAL_FOREVER), 0);
  assert_int_equal(look(sv, "b").state, SHOAL_CHILD_DOWN);
  assert_int_equal(look(sv, "b").last.code, 0);
  assert_int_equal(shoal_supervisor_tend(sv, shoal_after_ms(2)), 0);
  assert_int_equal(shoal_supervisor_restart(sv, "b", SHOAL_FOREVER), 0);
  assert_true(look(sv, "b").pid != b.pid);
  await("+b", 2);
  assert_int_equal(shoal_supervisor_remove(sv, "b", SHOAL_FOREVER), 0);
  assert_int_equal(shoal_supervisor_remove(sv, "b", SHOAL_FOREVER), -ENOENT);
  assert_int_equal(shoal_supervisor_list(sv, collect, line), 7);
  assert_string_equal(line, "ac");
  add(sv, "b");  // the last now
  line[0] = 0;
  assert_int_equal(shoal_supervisor_list(sv, collect, line), 7);
  assert_int_equal(shoal_supervisor_remove(sv, "c", SHOAL_FOREVER), 0);
  assert_int_equal(shoal_supervisor_list(sv, collect, line), 0);
  assert_string_equal(line, "acab");
  end(sv);
}

static void test_tasks(void **state) {
  (void)state;
  struct shoal_supervisor *sv = make(SHOAL_ONE_FOR_ONE, 1);
  struct shoal_context c = {.method = SHOAL_START_STARTER};
  struct shoal_process_options o = {.context = &c};
  struct name name = {"k"};
  struct shoal_supervised keeper = {
      .name = "keeper", .task = "keep", .argument = &name, .size = sizeof name, .process = &o};
  assert_int_equal(shoal_supervisor_add(sv, &keeper), 0);
  kill(look(sv, "keeper").pid, SIGKILL);
  assert_int_equal(shoal_supervisor_tend(sv, SHOAL_FOREVER), 1);
  assert_int_equal(look(sv, "keeper").last.signal, SIGKILL);
  assert_string_equal(look(sv, "keeper").last.task, "keep");
  assert_int_equal(look(sv, "keeper").last.method, SHOAL_START_STARTER);
  keeper.name = "none", keeper.task = "nobody";
  assert_int_equal(shoal_supervisor_add(sv, &keeper), -ENOENT);
  assert_int_equal(whole(sv).children, 1);
  assert_int_equal(shoal_starter_end(), 0);
  end(sv);
}

static void test_no_start(void **state) {
  (void)state;
  struct shoal_supervisor *sv = make(SHOAL_ONE_FOR_ONE, 3);
  struct shoal_limit limit = {0, 1, 1};
  struct shoal_process_options o = {.threaded = THREADED, .limits = &limit};
  struct shoal_supervised child = {.name = "a", .work = serve, .arg = (char[]){"a"}, .process = &o};
  assert_int_equal(shoal_supervisor_add(sv, &child), 0);
  await("+a", 1);
  o.limit_count = 1, limit.soft = 2;
  kill(look(sv, "a").pid, SIGKILL);
  assert_int_equal(shoal_supervisor_tend(sv, SHOAL_FOREVER), -EINVAL);
  assert_int_equal(whole(sv).alive, 0);
  o.limit_count = 0;
  assert_int_equal(shoal_supervisor_tend(sv, SHOAL_FOREVER), 1);
  await("+a", 2);
  o.limit_count = 1;
  kill(look(sv, "a").pid, SIGKILL);
  assert_int_equal(shoal_supervisor_tend(sv, SHOAL_FOREVER), -ENOTRECOVERABLE);
  assert_non_null(strstr(shoal_reason(), "a could not be started"));
  end(sv);
}

// What was started before another failed to is counted all the same.
static void test_half_started(void **state) {
  (void)state;
  struct shoal_supervisor *sv = make(SHOAL_ONE_FOR_ALL, 5);
  struct shoal_limit limit = {0, 2, 1};
  struct shoal_process_options o = {.threaded = THREADED, .limits = &limit};
  struct shoal_supervised b = {.name = "b", .work = serve, .arg = (char[]){"b"}, .process = &o};
  add(sv, "a");
  assert_int_equal(shoal_supervisor_add(sv, &b), 0);
  o.limit_count = 1;
  kill(look(sv, "a").pid, SIGKILL);
  assert_int_equal(shoal_supervisor_tend(sv, SHOAL_FOREVER), -EINVAL);
  assert_int_equal(whole(sv).restarts, look(sv, "a").restarts);
  o.limit_count = 0;
  assert_int_equal(shoal_supervisor_tend(sv, SHOAL_FOREVER), 1);
  assert_int_equal(whole(sv).restarts, look(sv, "a").restarts + look(sv, "b").restarts);
  end(sv);
}

// ---- run, nested ----

static int hold(void *told) {  // supervises d and e until it is told to end, or was before it has come to run
  struct shoal_supervisor *sv;
  hold_term();
  if (shoal_supervisor_create(NULL, &sv)) return 1;
  struct shoal_supervised d = {
      .name = "d", .work = serve, .arg = (char[]){"d"}, .grace_ns = HOUR_NS, .process = &forked};
  struct shoal_supervised e = d;
  e.name = "e", e.arg = (char[]){"e"};
  if (shoal_supervisor_add(sv, &d) || shoal_supervisor_add(sv, &e)) return 2;
  while (told && count("+d") + count("+e") < 2) usleep(100);
  if (told) raise(SIGTERM);
  int rc = shoal_supervisor_run(sv);
  note('=', rc ? "no" : "ok");
  return rc || shoal_supervisor_destroy(sv) ? 3 : 0;
}
static void test_nested(void **state) {
  (void)state;
  struct shoal_supervisor *sv = make(SHOAL_ONE_FOR_ONE, 1);
  struct shoal_supervised n = {.name = "n", .work = hold, .grace_ns = HOUR_NS, .process = &forked};
  assert_int_equal(shoal_supervisor_add(sv, &n), 0);  // a daemon: it may have no children, and ends with 2
  assert_int_equal(shoal_supervisor_tend(sv, SHOAL_FOREVER), 1);
  assert_int_equal(look(sv, "n").last.code, 2);
  assert_int_equal(shoal_supervisor_remove(sv, "n", SHOAL_FOREVER), 0);
  n.parental = 1;
  assert_int_equal(shoal_supervisor_add(sv, &n), 0);
  await("+d", 1), await("+e", 1);
  assert_int_equal(shoal_supervisor_stop(sv, "n", SHOAL_FOREVER), 0);
  assert_string_equal(events(2), "-e-d=ok");
  assert_int_equal(look(sv, "n").last.code, 0);
  end(sv);
}

static int hold_holder(void *unused) {
  struct shoal_supervisor *sv;
  (void)unused;
  struct shoal_supervised n = {.name = "n", .work = hold, .parental = 1, .process = &forked};
  struct shoal_supervised a = {.name = "a", .work = stay, .arg = (char[]){"a"}, .process = &forked};
  if (shoal_supervisor_create(NULL, &sv) || shoal_supervisor_add(sv, &n) || shoal_supervisor_add(sv, &a)) return 1;
  return shoal_supervisor_run(sv);
}
static void test_orphaned(void **state) {
  (void)state;
  struct shoal_process p;
  int status, ends = 0, well = 0;
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  assert_int_equal(shoal_process_start(&p, hold_holder, NULL, &forked), 0);
  await("+d", 1), await("+e", 1), await("+a", 1);
  shoal_process_kill(&p);
  assert_int_equal(shoal_process_join(&p, SHOAL_FOREVER), 0);
  shoal_process_close(&p);
  for (; waitpid(-1, &status, 0) > 0; ends++) well += WIFEXITED(status) && WEXITSTATUS(status) == 0;
  assert_int_equal(ends, 2);  // n, in order, and a; d and e were n's to wait for
  assert_int_equal(well, 1);
  prctl(PR_SET_CHILD_SUBREAPER, 0);
  assert_string_equal(events(3), "-e-d=ok");
}

static void test_run(void **state) {
  (void)state;
  struct shoal_process p;
  int code;
  assert_int_equal(shoal_process_start(&p, hold, NULL, &forked), 0);
  await("+d", 1), await("+e", 1);
  assert_int_equal(shoal_process_terminate(&p), 0);
  assert_int_equal(shoal_process_join(&p, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_process_exitcode(&p, &code), 0);
  assert_int_equal(code, 0);
  shoal_process_close(&p);
  assert_string_equal(events(2), "-e-d=ok");
}

static void test_told_early(void **state) {
  (void)state;
  struct shoal_process p;
  int code;
  assert_int_equal(shoal_process_start(&p, hold, "told", &forked), 0);
  assert_int_equal(shoal_process_join(&p, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_process_exitcode(&p, &code), 0);
  assert_int_equal(code, 0);
  shoal_process_close(&p);
  assert_string_equal(events(2), "-e-d=ok");
}

static void test_runs_out(void **state) {
  (void)state;
  struct shoal_supervisor *sv = make(SHOAL_ONE_FOR_ONE, 1);
  add_as(sv, "t", leave, SHOAL_TRANSIENT);
  assert_int_equal(shoal_supervisor_run(sv), 0);  // none is left
  end(sv);
  sv = make(SHOAL_ONE_FOR_ONE, 1);
  add_as(sv, "p", leave, SHOAL_PERMANENT);
  assert_int_equal(shoal_supervisor_run(sv), -ENOTRECOVERABLE);
  assert_non_null(strstr(shoal_reason(), "p has ended with 0"));
  end(sv);
}

// ---- what makes no sense ----

static int tend_elsewhere(void *sv) { return -shoal_supervisor_tend(sv, SHOAL_TRY); }
static void test_refused(void **state) {
  (void)state;
  struct shoal_supervisor *sv = NULL;
  char longest[70];
  memset(longest, 'x', sizeof longest);
  longest[69] = 0;
  struct shoal_supervisor_options bad = {.strategy = (enum shoal_strategy)3};
  assert_int_equal(shoal_supervisor_create(&bad, &sv), -EINVAL);
  bad = (struct shoal_supervisor_options){.restarts_max = SHOAL_RESTARTS_MAX + 1};
  assert_int_equal(shoal_supervisor_create(&bad, &sv), -EINVAL);
  bad = (struct shoal_supervisor_options){.restarts_within_ns = -1};
  assert_int_equal(shoal_supervisor_create(&bad, &sv), -EINVAL);
  assert_null(sv);
  sv = make(SHOAL_ONE_FOR_ONE, 1);
  add(sv, "a");
  const struct shoal_supervised wrong[] = {
      {.work = serve},
      {.name = "", .work = serve},
      {.name = longest, .work = serve},
      {.name = "b"},
      {.name = "b", .work = serve, .task = "keep"},
      {.name = "b", .work = serve, .restart = (enum shoal_restart)3},
  };
  for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++)
    assert_int_equal(shoal_supervisor_add(sv, &wrong[i]), -EINVAL);
  struct shoal_supervised again = {.name = "a", .work = serve};
  assert_int_equal(shoal_supervisor_add(sv, &again), -EEXIST);
  struct shoal_supervised_info info;
  assert_int_equal(shoal_supervisor_child(sv, "b", &info), -ENOENT);
  assert_int_equal(shoal_supervisor_child(sv, NULL, &info), -ENOENT);
  assert_int_equal(shoal_supervisor_stop(sv, "b", SHOAL_FOREVER), -ENOENT);
  assert_int_equal(shoal_supervisor_restart(sv, "b", SHOAL_FOREVER), -ENOENT);
  struct shoal_process p;
  int code;
  assert_int_equal(shoal_process_start(&p, tend_elsewhere, sv, &forked), 0);
  assert_int_equal(shoal_process_join(&p, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_process_exitcode(&p, &code), 0);
  assert_int_equal(code, ECHILD);
  shoal_process_close(&p);
  assert_int_equal(whole(sv).children, 1);
  assert_int_equal(whole(sv).alive, 1);
  end(sv);
}

#define TEST(name) cmocka_unit_test_setup(test_##name, set_up)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(order),      TEST(strategies), TEST(kinds),    TEST(gives_up),     TEST(grace),
      TEST(by_name),    TEST(tasks),      TEST(no_start), TEST(half_started), TEST(run),
      TEST(told_early), TEST(runs_out),   TEST(nested),   TEST(orphaned),     TEST(refused),
  };
  ledger = mmap(NULL, sizeof *ledger, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (ledger == MAP_FAILED) return 1;
  watchdog(280);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
