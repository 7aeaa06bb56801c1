// tests/crash/soak_supervisor.c: supervisors, whose children die at random instants, by their timers or by their own
// end; supervisors are killed by the driver.
//
// The ledger has a word a child. No child is there twice at a time; none is started again that has ended for good; each
// that is to run does, in the end; what a killed supervisor had started ends with it.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/error.h"
#include "ipc/work/supervisor.h"
#include "tests/crash/soak.h"

#define SUPERVISORS 8
#define CHILDREN 4u

static struct table {
  volatile uint64_t started, ended;
  volatile uint32_t closing;
  struct child {
    volatile pid_t pid;       // of the one that runs, or ran last
    volatile uint32_t over;   // it has ended for good
    volatile uint32_t calm;   // nobody dies any more
    volatile uint32_t alone;  // nobody ends it but itself
    enum shoal_restart restart;
  } child[SUPERVISORS][CHILDREN];
} * t;

// ---- children ----

static int live(void *arg) {
  struct child *c = arg;
  pid_t before = __atomic_exchange_n(&c->pid, getpid(), __ATOMIC_SEQ_CST);
  SOAK_EXPECT(!before || before == getpid() || soak_parent(before) != getppid(),
              "a child runs beside another of its name");
  SOAK_EXPECT(!c->over, "a child that has ended for good is started again, %d", c->restart);
  __atomic_fetch_add(&t->started, 1, __ATOMIC_SEQ_CST);
  for (int n = getpid() % 97; n; n--) soak_random();
  if (c->restart == SHOAL_TEMPORARY) c->over = 1;
  uint32_t us = soak_below(4) ? 500 + soak_below(20000) : 20000 + soak_below(200000);
  if (!c->calm) setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {0, us}}, NULL);
  if (!c->calm && soak_below(4) == 0) {
    soak_pause_us(soak_below(10000));
    setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {0, 0}}, NULL);
    if (c->restart == SHOAL_TRANSIENT && c->alone) c->over = 1;
    return 0;
  }
  for (;;) pause();
}

// ---- supervisors ----

static void name_of(uint32_t i, char *out) { sprintf(out, "child-%u", i); }

// With nobody dying any more, all that are to run do.
static void calm_down(struct shoal_supervisor *sv, struct child *c) {
  struct shoal_supervised_info info;
  char name[16];
  for (uint32_t i = 0; i < CHILDREN; i++) c[i].calm = 1;
  for (uint32_t i = 0; i < CHILDREN; i++) {
    name_of(i, name);
    for (int rc = 0; rc >= 0 && !t->closing;) {
      rc = shoal_supervisor_tend(sv, shoal_after_ms(1));
      SOAK_EXPECT(rc >= 0, "tend answered %d (%s)", rc, shoal_reason());
      rc = shoal_supervisor_child(sv, name, &info);
      SOAK_EXPECT(rc == 0, "child answered %d (%s)", rc, shoal_reason());
      if (rc || (info.state == SHOAL_CHILD_RUNS && info.pid == c[i].pid)) break;
      if (c[i].restart != SHOAL_PERMANENT && info.state == SHOAL_CHILD_DOWN) break;
    }
  }
}
static void change(struct shoal_supervisor *sv, struct child *c) {
  uint32_t i = soak_below(CHILDREN);
  char name[16];
  name_of(i, name);
  if (c[i].over || c[i].restart != SHOAL_PERMANENT) return;
  int stops = soak_below(2), rc = stops ? shoal_supervisor_stop(sv, name, SHOAL_FOREVER) : 0;
  SOAK_EXPECT(rc == 0, "stop answered %d (%s)", rc, shoal_reason());
  rc = shoal_supervisor_restart(sv, name, SHOAL_FOREVER);
  SOAK_EXPECT(rc == 0, "restart answered %d (%s)", rc, shoal_reason());
}
static void supervise(struct child *c) {
  struct shoal_supervisor_options o = {.strategy = (enum shoal_strategy)soak_below(3),
                                       .restarts_max = SHOAL_RESTARTS_UNLIMITED};
  struct shoal_supervisor_info info;
  struct shoal_supervisor *sv;
  char name[16];
  int rc = shoal_supervisor_create(&o, &sv);
  SOAK_EXPECT(rc == 0, "create answered %d (%s)", rc, shoal_reason());
  if (rc) return;
  for (uint32_t i = 0; i < CHILDREN; i++) {
    name_of(i, name);
    c[i] = (struct child){.alone = o.strategy == SHOAL_ONE_FOR_ONE, .restart = (enum shoal_restart)soak_below(3)};
    struct shoal_supervised s = {.name = name, .work = live, .arg = &c[i], .restart = c[i].restart};
    s.grace_ns = soak_below(2) ? -1 : 1000000;
    rc = shoal_supervisor_add(sv, &s);
    SOAK_EXPECT(rc == 0, "add answered %d (%s)", rc, shoal_reason());
  }
  for (shoal_deadline end = shoal_after_ms(soak_below(50)); !t->closing && !shoal_deadline_passed(end);) {
    rc = shoal_supervisor_tend(sv, shoal_after_us(soak_below(5000)));
    SOAK_EXPECT(rc >= 0, "tend answered %d (%s)", rc, shoal_reason());
    if (soak_below(8) == 0) change(sv, c);
  }
  calm_down(sv, c);
  rc = shoal_supervisor_shutdown(sv, SHOAL_FOREVER);
  SOAK_EXPECT(rc == 0, "shutdown answered %d (%s)", rc, shoal_reason());
  rc = shoal_supervisor_info(sv, &info);
  SOAK_EXPECT(rc == 0 && !info.alive, "%u children are left", info.alive);
  rc = shoal_supervisor_destroy(sv);
  SOAK_EXPECT(rc == 0, "destroy answered %d (%s)", rc, shoal_reason());
  __atomic_fetch_add(&t->ended, 1, __ATOMIC_SEQ_CST);
}
static void work(uint32_t id, int seat) {
  (void)id;
  while (!t->closing) supervise(t->child[seat]);
  _exit(0);
}

// ---- the driver ----

static void begin(void) {
  if (!t) t = soak_shared(sizeof *t);
  memset((void *)t, 0, sizeof *t);
  soak_adopt();
}
static uint64_t progress(void) { return t->started; }
static void end(void) {
  t->closing = 1;
  soak_all_end(SUPERVISORS, SUPERVISORS, "supervisor", "");
  for (int seat = 0; seat < SUPERVISORS; seat++) soak_kill(seat);
  soak_no_orphan();
  soak.done += t->started;
}

const struct soak_room soak_supervisor = {"supervisor", SUPERVISORS, begin, work, progress, NULL, end, NULL, NULL};
