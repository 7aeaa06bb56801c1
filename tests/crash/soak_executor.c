// tests/crash/soak_executor.c: executors, one after another. Callers submit, cancel, map, wait in every way, have jobs
// begin after others and callbacks called, and are killed by the driver; each worker is killed at a random instant by
// its timer; creators shut down, terminate, or are killed.
//
// The ledger has a record a job, written by whoever does something about it. Whatever dies: a job without retries has
// begun once at most; cancelled before it began, never; everybody who asks is told the same end; a callback is called
// once, when its job is over. If its executor was shut down in order, each job whose submit had returned was done, or,
// without retries, fell with its worker; one after another, if that was done. In the end no cell and no block is
// anybody's, and no process is left.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.h"
#include "ipc/work/executor.h"
#include "tests/crash/soak_executor.h"
#include "tests/crash/soak_ledger.h"

#define WORKERS 10  // of the room: callers

static struct table *t;
static struct shoal_segment *seg;
static struct shoal_executor *ex;  // a creator's
static pid_t creator;
static uint32_t eras;

// ---- creators, and their workers ----

static int arm(void *arg, unsigned worker) {  // dies at some instant, wherever it is then
  (void)arg, (void)worker;
  for (int n = getpid() % 97; n; n--) soak_random();
  uint32_t us = soak_below(2) ? 500 + soak_below(20000) : 20000 + soak_below(200000);
  return setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {0, us}}, NULL);
}
static struct shoal_executor_options options_of(uint32_t which) {
  struct era *e = &t->era[which];
  e->retries = soak_below(2) ? RETRIES : 0;
  e->limited = soak_below(4) == 0;
  return (struct shoal_executor_options){.workers = 2 + soak_below(2),
                                         .jobs = 16u << soak_below(4),
                                         .producers = 64,
                                         .retries = e->retries,
                                         .time_limit_ns = e->limited ? 3000000 : 0,
                                         .tasks_max = soak_below(4) ? 0 : 20,
                                         .init = arm};
}
static void shut_down(struct era *e, unsigned flags) {
  struct shoal_executor_info info = {0};
  int rc = shoal_executor_shutdown(ex, flags, SHOAL_FOREVER);
  SOAK_EXPECT(rc == 0, "shutdown answered %d (%s)", rc, shoal_reason());
  shoal_executor_info(ex, &info);
  SOAK_EXPECT(info.pending + info.running == 0, "shut down: %u pending, %u running", info.pending, info.running);
  e->deaths = (uint32_t)info.restarts + info.workers;
  if (rc == 0) e->fate = flags ? EMPTIED : ORDERLY;
  if (!t->closed) return;
  shoal_executor_reap(ex);  // the callers are no more
  shoal_executor_info(ex, &info);
  SOAK_EXPECT(info.jobs == 0, "%u cells are not free", info.jobs);
}
static void create(uint32_t which) {
  struct shoal_executor_options o = options_of(which);
  struct shoal_executor_info info = {0};
  struct era *e = &t->era[which];
  char name[32];
  for (uint32_t n = which % 61; n; n--) soak_random();
  name_of(which, name);
  int rc = shoal_executor_create(seg, name, &o, &ex);
  SOAK_EXPECT(rc == 0, "create answered %d (%s)", rc, shoal_reason());
  if (rc) _exit(1);
  t->now = which;
  uint32_t fate = soak_below(4), ms = 20 + soak_below(300);
  for (shoal_deadline end = fate ? shoal_after_ms(ms) : SHOAL_FOREVER; !t->closed && !shoal_deadline_passed(end);) {
    rc = shoal_executor_tend(ex, shoal_after_us(soak_below(5000)));
    SOAK_EXPECT(rc >= 0, "tend answered %d (%s)", rc, shoal_reason());
  }
  if (t->closed || fate < EMPTIED) {
    shut_down(e, 0);
  } else if (fate == EMPTIED) {
    shut_down(e, SHOAL_CANCEL_PENDING);
  } else {
    e->fate = TERMINATED;
    rc = shoal_executor_terminate(ex, soak_deadline());
    SOAK_EXPECT(rc == 0, "terminate answered %d (%s)", rc, shoal_reason());
  }
  shoal_executor_info(ex, &info);
  __atomic_fetch_add(&t->restarts, info.restarts, __ATOMIC_SEQ_CST);
  rc = shoal_executor_unlink(seg, name);
  SOAK_EXPECT(rc == 0, "unlink answered %d (%s)", rc, shoal_reason());
  rc = shoal_executor_detach(ex);
  SOAK_EXPECT(rc == 0, "detach answered %d (%s)", rc, shoal_reason());
  _exit(0);
}

// ---- the driver ----

static void next_creator(void) {
  creator = 0;
  if (++eras >= ERAS) return;
  creator = soak_fork();
  if (!creator) create(eras);
}
static void creator_ended(int status) {
  int killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
  char name[32];
  name_of(eras, name);
  if (killed) (void)shoal_executor_unlink(seg, name);
  SOAK_EXPECT(killed || (WIFEXITED(status) && !WEXITSTATUS(status)), "a creator ended with %x", (unsigned)status);
}
static void look_at_creator(void) {
  int status, doomed = soak_below(100) == 0;
  if (creator && doomed) kill(creator, SIGKILL);
  if (creator && waitpid(creator, &status, doomed ? 0 : WNOHANG) != creator) return;
  soak.kills += (uint64_t)doomed;
  if (creator) creator_ended(status);
  next_creator();
}
static void buried(int seat) {
  (void)seat;
  look_at_creator();
}

static void begin(void) {
  static const struct shoal_segment_options small = {
      .size = 1 << 20, .size_max = 1 << 26, .participants = 1024, .objects = 64};
  if (!t) t = soak_shared(sizeof *t);
  memset((void *)t->record, 0, (t->next < PLACES ? t->next : PLACES) * sizeof *t->record);
  memset((void *)t->era, 0, sizeof *t - offsetof(struct table, era));
  soak_adopt();
  int rc = shoal_segment_create(NULL, &small, &seg);
  SOAK_EXPECT(rc == 0, "segment: %d %s", rc, shoal_reason());
  shoal_spin_max_ = soak_below(2) ? SHOAL_SPIN_MAX : 0;
  callers_begin(t, seg);
  eras = 0;
  next_creator();
}
static uint64_t progress(void) { return t->done; }
static int full(void) { return t->next > PLACES / 2 || eras + 1 >= ERAS; }

static void end_creator(void) {
  int status;
  if (!creator) return;
  if (soak_wait(creator, &status)) return creator_ended(status);
  soak.stalled++;
  printf("  a creator does not end\n");
  kill(creator, SIGKILL);
  waitpid(creator, NULL, 0);
}
// The one before it was not done, or, without retries, perhaps not.
static int never_begins(const struct record *r) {
  return !r[-1].ended || (r[-1].flags & (FAILING | UNBEGUN | FORCED)) || !t->era[r->era].retries;
}
// Its workers died with it in hand, one after another, or between claim and begin, and nobody was told.
static int is_missing(const struct record *r, uint64_t place) {
  if (r->ended || r->end == FAILED || (r->begun && !t->era[r->era].retries)) return 0;
  if ((r->flags & SECOND) && never_begins(r)) return 0;
  printf("  job %lu of executor %u has begun %u times, and not ended\n", place, r->era, r->begun);
  return 1;
}
static void settle(void) {
  uint32_t missing[ERAS] = {0};
  for (uint64_t i = 0; i < t->next && i < PLACES; i++) {
    const struct record *r = &t->record[i];
    const struct era *e = &t->era[r->era];
    SOAK_EXPECT(!(r->flags & UNBEGUN) || !r->begun, "job %lu was cancelled, and had begun", i);
    if (!(r->flags & ACKED) || r->flags & (UNBEGUN | FORCED) || e->fate != ORDERLY || e->limited) continue;
    missing[r->era] += is_missing(r, i);
  }
  for (uint32_t i = 0; i < ERAS; i++) {
    uint32_t may = t->era[i].deaths / (t->era[i].retries + 1);  // each took so many with it
    if (missing[i] > may) soak.lost += missing[i] - may;
  }
  soak.doubled += t->twice;
  soak.done += t->done;
  soak.kills += t->restarts;
}
static void end(void) {
  t->closing = 1;
  soak_all_end(WORKERS, WORKERS, "caller", "");
  for (int seat = 0; seat < WORKERS; seat++) soak_kill(seat);
  t->closed = 1;
  end_creator();
  soak_no_orphan();
  settle();
  if (!soak.stalled) ledger_expect_no_block(seg);
  int rc = shoal_segment_close(seg);
  SOAK_EXPECT(rc == 0, "closing the segment: %d %s", rc, shoal_reason());
}

const struct soak_room soak_executor = {"executor", WORKERS, begin, callers_work, progress, full, end, NULL, buried};
