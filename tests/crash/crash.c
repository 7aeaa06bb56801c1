#include "tests/crash/crash.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/crash/engine.h"
#include "tests/harness/victim.h"

#define ACTORS 16
#define SLEEPS_MAX 100                    // of a victim
#define WATCHDOG_NS INT64_C(60000000000)  // of survivors that neither sleep nor come to an end
#define POINT_S 300                       // a point that takes longer hangs, and its driver with it

struct crash_table *T;

static pid_t actors[ACTORS];  // 0: killed
static int n_actors;
static volatile uint32_t *returned;  // shared, one an actor
static struct victim *first, *second;
static uint32_t point, point_first, slept;

// The clock of all in here. An hour fast: no sleeper's look once a second, and no deadline, comes while the sweep
// lasts, so whom nobody wakes sleeps for ever. A system call: the C library's own reads the kernel's page again
// whenever that has changed, which between two steps it always may have.
int clock_gettime(clockid_t clock, struct timespec *t) {
  int rc = (int)syscall(SYS_clock_gettime, clock, t);
  t->tv_sec += 3600 * (1 + (T ? T->late : 0));
  return rc;
}

static int64_t now_ns(void) {
  struct timespec t;
  syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
  return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void *shared(size_t size) {
  void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) crash_abort("mmap");
  return p;
}

void crash_abort(const char *what) {
  fprintf(stderr, "sweep: %s: %s\n", what, strerror(errno));
  _exit(2);
}

void crash_fail(const char *format, ...) {
  va_list args;
  if (__atomic_exchange_n(&T->failing, 1, __ATOMIC_RELAXED)) return;
  va_start(args, format);
  vsnprintf(T->why, sizeof T->why, format, args);
  va_end(args);
  __atomic_store_n(&T->failed, 1, __ATOMIC_RELEASE);
}

// ---- actors ----

static pid_t born(void (*body)(int), int i, volatile uint32_t *flag) {
  pid_t parent = getpid(), pid = fork();
  if (pid < 0) crash_abort("fork");
  if (pid) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(2);
  body(i);
  *flag = 1;
  for (;;) pause();
}

int crash_actor(void (*body)(int), int i) {
  if (n_actors == ACTORS) crash_abort("too many actors");
  returned[n_actors] = 0;
  actors[n_actors] = born(body, i, &returned[n_actors]);
  return n_actors++;
}

int crash_finished(int actor) { return returned[actor] != 0; }

int crash_all_finished(void) {
  for (int i = 0; i < n_actors; i++)
    if (actors[i] && !returned[i]) return 0;
  return 1;
}

void crash_kill(int actor) {
  if (!actors[actor]) return;
  kill(actors[actor], SIGKILL);
  waitpid(actors[actor], NULL, 0);
  actors[actor] = 0;
}

void crash_stop(int actor) {
  kill(actors[actor], SIGSTOP);
  waitpid(actors[actor], NULL, WUNTRACED);
}

// It has ended by itself: it crashed.
static int is_gone(int actor) {
  siginfo_t info = {0};
  return actors[actor] && waitid(P_PID, (id_t)actors[actor], &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid;
}

void crash_asleep(int actor) {
  int64_t begun = now_ns();
  for (unsigned i = 0; !process_asleep(actors[actor], NULL); i++) {
    if (i < 20) sched_yield();
    else usleep(30);
    if (i % 16 == 0 && (is_gone(actor) || returned[actor] || now_ns() - begun > WATCHDOG_NS)) {
      crash_fail("a survivor that should sleep %s", is_gone(actor) ? "crashed" : "does not");
      return;
    }
  }
}

void crash_all_asleep(void) {
  for (int i = 0; i < n_actors; i++)
    if (actors[i] && !returned[i]) crash_asleep(i);
}

// Also those that may come to their end instead.
void crash_all_asleep_or_finished(void) {
  int64_t begun = now_ns();
  for (int i = 0; i < n_actors; i++)
    while (actors[i] && !returned[i] && !process_asleep(actors[i], NULL)) {
      usleep(30);
      if (!is_gone(i) && now_ns() - begun < WATCHDOG_NS) continue;
      crash_fail("a survivor %s", is_gone(i) ? "crashed" : "neither sleeps nor ends");
      return;
    }
}

// ---- waiting for what has to come by itself ----

// Whether nobody who lives can run unless woken; *sum, 0 if somebody can, tells one such moment from the next.
static int all_asleep(uint64_t *sum) {
  uint64_t switches, all = 1;
  for (int i = 0; i < n_actors; i++) {
    if (!actors[i] || returned[i]) continue;
    if (!process_asleep(actors[i], &switches)) return 0;
    all += switches;
  }
  struct victim *victims[] = {first, second};
  for (int i = 0; i < 2; i++) {
    if (!victims[i] || !victims[i]->pid || victims[i]->state != VICTIM_FREE || victim_has_finished(victims[i]))
      continue;
    if (!process_asleep(victims[i]->pid, &switches)) return 0;
    all += switches;
  }
  *sum = all;
  return 1;
}

int crash_wait_more(struct crash_wait *w) {
  if (w->looks++ < 30) {
    sched_yield();
    return 1;
  }
  int64_t now = now_ns();
  if (!w->begun) w->begun = now;
  for (int i = 0; i < n_actors; i++)
    if (is_gone(i)) crash_fail("a survivor crashed");
  uint64_t sum = 0;
  // All slept before the caller looked for what it awaits, and the same sleeps last still: it will never come.
  int for_ever = all_asleep(&sum) && sum == w->sum;
  w->sum = sum;
  w->gave_up = T->failed || for_ever || now - w->begun > WATCHDOG_NS;
  if (!w->gave_up) usleep(w->looks < 200 ? 10 : 200);
  return !w->gave_up;
}

static void (*survivor_body)(void);
static void survivor(int i) {
  (void)i;
  survivor_body();
}
void crash_survivor(void (*body)(void)) {
  survivor_body = body;
  int actor = crash_actor(survivor, 0);
  CRASH_UNTIL(crash_finished(actor), "a survivor hangs");
  crash_kill(actor);
}

// ---- the gate ----

static void futex(const volatile void *word, int op, uint32_t value) {
  syscall(SYS_futex, word, op, value, NULL, NULL, 0);
}

void crash_deadline_passes(const volatile void *word) {
  T->late++;
  futex(word, FUTEX_WAKE, INT32_MAX);
}

void crash_gate(void) {
  __atomic_fetch_add(&T->at_gate, 1, __ATOMIC_SEQ_CST);
  while (!T->gate) futex(&T->gate, FUTEX_WAIT, 0);
  __atomic_fetch_add(&T->past_gate, 1, __ATOMIC_SEQ_CST);
}
void crash_at_gate(uint32_t n) {
  while (T->at_gate < n) usleep(20);
  crash_all_asleep();
}
void crash_open_gate(void) {
  T->gate = 1;
  futex(&T->gate, FUTEX_WAKE, INT32_MAX);
  while (T->past_gate < T->at_gate) usleep(20);
}

// ---- points ----

int crash_victim_finished(void) { return victim_has_finished(first); }
void crash_victim_asleep_or_finished(void) {
  int64_t begun = now_ns();
  while (!victim_has_finished(first) && !process_asleep(first->pid, NULL)) {
    usleep(30);
    if (now_ns() - begun < WATCHDOG_NS) continue;
    crash_fail("the victim neither sleeps nor ends");
    return;
  }
}
int crash_second_finished(void) { return victim_has_finished(second); }
int crash_victim_slept(void) { return slept != 0; }
void crash_kill_victim(void) { victim_kill(first); }
int crash_step_until(int (*is)(void)) {
  while (first->state == VICTIM_STOPPED && !is()) victim_step(first);
  return first->state == VICTIM_STOPPED;
}
uint32_t crash_point(void) { return point; }

static const struct crash_scenario *scenario;
static int limits_verbose;

static void wake(void (*how)(void)) {
  if (!how) crash_abort("a victim sleeps, and the scenario does not say who wakes it");
  if (slept++ == SLEEPS_MAX) crash_abort("a victim is woken, and sleeps again and again");
  how();
}
static void first_asleep(void) { wake(scenario->asleep); }
static void second_asleep(void) { wake(scenario->asleep2); }

static void call(void (*hook)(void)) {
  if (hook) hook();
}

static void begin(void) {
  alarm(POINT_S);
  memset(T, 0, sizeof *T);
  slept = 0;
  call(scenario->setup);
  first = victim_start(0, scenario->prepare, scenario->op);
  if (scenario->prepared_both) second = victim_start(1, scenario->prepare2, scenario->op2);
  call(scenario->ready);
}

static void faulted(struct victim *v, const char *which) {
  if (v->state == VICTIM_FAULTED)
    crash_fail("the %s died by itself: signal %d%s%s", which, v->signal, v->strayed ? ", " : "",
               v->strayed ? v->strayed : "");
}

static void resume_first(void) {
  victim_release(first);
  call(scenario->resumed);
  if (first->state == VICTIM_FREE)
    CRASH_UNTIL(victim_has_finished(first), "the victim went on at %u and does not finish", point);
}

static void finish(void) {
  call(scenario->stopped);
  if (scenario->kind == CRASH_RESUMED) resume_first();
  else victim_kill(first);
  if (!T->failed) call(scenario->check);
}

static void clear_away(void) {
  while (n_actors) crash_kill(--n_actors);
  victim_kill(first);
  if (second) victim_kill(second);
  call(scenario->cleanup);
}

static void end_point(struct crash_result *r) {
  clear_away();
  r->points++;
  r->strayed += first->strayed != NULL || (second && second->strayed);
  r->failures += T->failed != 0;
  if (limits_verbose && T->failed)
    fprintf(stderr, "%s: at %u after %u: %s\n", scenario->name, point, point_first, T->why);
  if (T->failed && !r->why[0])
    snprintf(r->why, sizeof r->why, "at %u%s%.0u: %s", point, second ? " after " : "", second ? point_first : 0,
             T->why);
  first = second = NULL;
}

// The first victim, at k. The breakpoint that it runs to may be met by a thread of its own, which nobody traces: again.
static void begin_at(const struct victim_trace *t, uint32_t k) {
  for (int tries = 100;; clear_away(), first = second = NULL) {
    begin();
    point = k;
    victim_run_to(first, t, k, first_asleep);
    if (first->state != VICTIM_FAULTED || first->signal != SIGTRAP || --tries == 0) break;
  }
  faulted(first, "victim");
}

static void record(struct victim *v, struct victim_trace *t, void (*asleep)(void)) {
  while (victim_record(v, t) < VICTIM_FINISHED)
    if (v->state == VICTIM_ASLEEP) asleep();
  victim_trace_end(t);
}

// ---- which points ----

// Every `step`-th of those of 0..n that are `what`, `room` of them at most, become chosen.
enum { DULL, SPECIAL, CHOSEN };
static void spread(uint8_t *is, uint32_t n, uint8_t what, uint32_t room, uint32_t phase) {
  uint32_t found = 0;
  for (uint32_t k = 0; k <= n; k++) found += is[k] == what;
  if (!room) return;
  for (uint32_t k = 0, i = phase, step = found > room ? (found - 1) / room + 1 : 1; k <= n; k++)
    if (is[k] == what && i++ % step == 0) is[k] = CHOSEN;
}

// Of the places 0..n: all if they are at most `most`; else, as far as that goes, each instruction's first two visits
// and its last and what surrounds a sleep, then of the rest. How many.
static uint32_t choose(const struct victim_trace *t, uint32_t most, uint32_t phase, uint8_t **out) {
  uint8_t *is = calloc(t->n + 2, 1);
  uint32_t special = 0, n = 0;
  for (uint32_t k = 0; k <= t->n; k++) {
    int sleeps = !t->pc[k] || (k && !t->pc[k - 1]) || (k < t->n && !t->pc[k + 1]);
    special += is[k] = t->n < most || t->visit[k] < 3 || t->last[k] || sleeps ? SPECIAL : DULL;
  }
  spread(is, t->n, SPECIAL, most, phase);
  spread(is, t->n, DULL, special < most ? most - special : 0, phase);
  is[t->n] = CHOSEN;  // finished
  for (uint32_t k = 0; k <= t->n; k++) n += is[k] = is[k] == CHOSEN;
  *out = is;
  return n;
}

static int enough(const struct crash_result *r, const struct crash_limits *l) { return l->stop && r->failures; }

static uint32_t most(const struct crash_limits *l) {
  return l->all ? UINT32_MAX : l->points * (scenario->times ? scenario->times : 1);
}

static void sweep_single(struct crash_result *r, const struct crash_limits *l) {
  struct victim_trace trace = {0};
  uint8_t *chosen;
  begin();
  record(first, &trace, first_asleep);
  point = trace.n;
  faulted(first, "victim");
  finish();
  end_point(r);
  r->places[0] = trace.n + 1;
  r->at[0] = choose(&trace, most(l), 0, &chosen);
  for (uint32_t k = 0; k < trace.n && !enough(r, l); k++) {
    if (!chosen[k]) continue;
    begin_at(&trace, k);
    finish();
    end_point(r);
  }
  free(chosen);
  victim_trace_clear(&trace);
}

// With the first at j, the second at each k.
static void pair_begin(const struct victim_trace *t, uint32_t j) {
  begin_at(t, j);
  point_first = j;
  call(scenario->stopped);
  if (scenario->kind == CRASH_PAIR) victim_kill(first);
  slept = 0;
  if (!second) second = victim_start(1, scenario->prepare2, scenario->op2);
  call(scenario->ready2);
}
static void pair_finish(struct crash_result *r, uint32_t k) {
  faulted(second, "second victim");
  if (T->failed) goto out;
  point = k;
  victim_kill(second);
  if (scenario->kind == CRASH_STALLED) resume_first();
  if (!T->failed) call(scenario->check);
out:
  end_point(r);
}

// The first at j; the second recorded, then killed at each k.
static void sweep_second(struct crash_result *r, const struct crash_limits *l, const struct victim_trace *t, uint32_t j,
                         uint32_t side) {
  struct victim_trace inner = {0};
  uint8_t *chosen;
  pair_begin(t, j);
  record(second, &inner, second_asleep);
  pair_finish(r, inner.n);
  r->places[1] += inner.n + 1;
  r->at[1] += choose(&inner, side, j, &chosen);
  for (uint32_t k = 0; k < inner.n && !enough(r, l); k++) {
    if (!chosen[k]) continue;
    pair_begin(t, j);
    victim_run_to(second, &inner, k, second_asleep);
    pair_finish(r, k);
  }
  free(chosen);
  victim_trace_clear(&inner);
}

static void sweep_pairs(struct crash_result *r, const struct crash_limits *l) {
  struct victim_trace trace = {0};
  uint8_t *chosen;
  uint32_t side = 1, all = most(l);
  while (side < UINT16_MAX && side * side < all) side++;
  begin();
  record(first, &trace, first_asleep);
  faulted(first, "victim");
  end_point(r);
  r->points--;  // nobody was killed
  r->places[0] = trace.n + 1;
  r->at[0] = choose(&trace, side, 0, &chosen);
  side = (all - 1) / r->at[0] + 1;  // what a short first leaves is the second's
  for (uint32_t j = 0; j <= trace.n && !enough(r, l); j++)
    if (chosen[j]) sweep_second(r, l, &trace, j, side);
  free(chosen);
  victim_trace_clear(&trace);
}

void crash_sweep(const struct crash_scenario *s, const struct crash_limits *limits, struct crash_result *r) {
  int64_t begun = now_ns();
  scenario = s;
  limits_verbose = limits->verbose;
  T = shared(sizeof *T);
  returned = shared(sizeof *returned * ACTORS);
  alarm(12 * POINT_S);  // of a driver of its own; the others set it again
  if (s->drive) s->drive(limits, r);
  else if (s->kind == CRASH_PAIR || s->kind == CRASH_STALLED) sweep_pairs(r, limits);
  else sweep_single(r, limits);
  r->seconds = (double)(now_ns() - begun) / 1e9;
  r->done = 1;
}
