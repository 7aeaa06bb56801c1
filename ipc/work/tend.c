// The creator looks after the workers; who waits sleeps until there is something to do.
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/futex.h"
#include "core/segment_internal.h"
#include "ipc/work/executor_internal.h"

#define TEND_EVERY_NS INT64_C(1000000)  // who waits, and does not sleep, tends so often

// ---- what the dead have left ----

// How long after its attempt, so and so many, a job is tried again: twice as long each time.
static int64_t delay_of(const struct shoal_executor *ex, uint32_t attempt) {
  int64_t delay = ex->options.retry_delay_ns, most = ex->options.retry_delay_max_ns;
  if (!most) most = INT64_MAX / 4;
  while (--attempt && delay < most) delay *= 2;
  return delay < most ? delay : most;
}

// What was cancelled while it waited is not to be tried again.
static void forget_cancelled(struct shoal_executor *ex) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < ex->retry_n; i++) {
    struct shoal_order_ order = ex->retry[i].order;
    if (shoal_job_state_of_(shoal_job_look_(ex, order.job, order.generation)) == SHOAL_JOB_PENDING_)
      ex->retry[kept++] = ex->retry[i];
  }
  ex->retry_n = kept;
}

static int note_retry(struct shoal_executor *ex, struct shoal_retry_ retry) {
  int full = ex->retry_n == ex->retry_room;
  if (full) forget_cancelled(ex);
  if (full && 2 * ex->retry_n >= ex->retry_room) {
    uint32_t room = ex->retry_room ? 2 * ex->retry_room : 16;
    struct shoal_retry_ *more = realloc(ex->retry, room * sizeof *more);
    if (!more) return -ENOMEM;
    ex->retry = more;
    ex->retry_room = room;
  }
  ex->retry[ex->retry_n++] = retry;
  return 0;
}

// Pending again, and not before it is due; whoever waits for it looks again, as a worker may have to begin it itself.
static int retry_later(struct shoal_executor *ex, uint32_t job, uint64_t s) {
  struct shoal_job_shm *cell = &ex->cells[job];
  uint64_t flags = SHOAL_JOB_ASLEEP_ | SHOAL_JOB_DETACHED_, is = s & ~flags;
  struct shoal_retry_ retry = {shoal_after_ns(delay_of(ex, shoal_job_attempt_(s))).ns, {job, shoal_job_generation_(s)}};
  int rc = note_retry(ex, retry);
  if (rc) return rc;
  shoal_store64_relaxed(&cell->until_ns, (uint64_t)retry.due_ns);
  // [J1] pairs with [J2]: when it is due; what the dead one left of its argument
  while (!shoal_cas64_acq_rel(&cell->state, &s, shoal_job_with_(s, SHOAL_JOB_PENDING_)))
    if ((s & ~flags) != is) return -EPIPE;  // condemned, perhaps, and then nobody else would end it
  if (s & SHOAL_JOB_ASLEEP_) shoal_futex_wake(shoal_job_futex_(cell), INT32_MAX);
  return 0;
}

// A closed queue takes no order.
static int try_again(struct shoal_executor *ex, uint32_t job, uint64_t s) {
  struct shoal_order_ order = {job, shoal_job_generation_(s)};
  uint32_t retries = shoal_job_retries_(ex, &ex->cells[job]);
  if (shoal_job_state_of_(s) != SHOAL_JOB_RUNNING_ || shoal_job_attempt_(s) > retries) return -EPIPE;
  return ex->backoff ? retry_later(ex, job, s) : shoal_queue_put(ex->queue, &order, SHOAL_TRY);
}

// What a dead worker ran is over, or needs an order, so that another runs it again. What it had ended may still have to
// be told of, or freed.
static void give_orders(struct shoal_executor *ex, unsigned worker) {
  ex->owed[worker] = 0;
  for (uint32_t job = 0; job < ex->jobs; job++) {
    uint64_t s = shoal_load64_acquire(&ex->cells[job].state);  // [J2]
    uint32_t state = shoal_job_state_of_(s);
    if (state < SHOAL_JOB_RUNNING_ || shoal_job_worker_(s) != worker || shoal_executor_runner_lives_(ex, s)) continue;
    int rc = try_again(ex, job, s);
    if (rc == -EPIPE) shoal_executor_end_(ex, job, s);
    else if (rc) ex->owed[worker] = 1;  // again, when there is room
  }
}

// Orders that are due. A full queue is tried again soon.
static void put_due(struct shoal_executor *ex) {
  int64_t now = ex->retry_n ? shoal_now_ns() : 0;
  for (uint32_t i = 0; i < ex->retry_n;) {
    struct shoal_retry_ *r = &ex->retry[i];
    int rc = r->due_ns > now ? -EAGAIN : shoal_queue_put(ex->queue, &r->order, SHOAL_TRY);
    if (rc == -EAGAIN && r->due_ns <= now) r->due_ns = now + TEND_EVERY_NS;
    if (rc == -EAGAIN) i++;
    else *r = ex->retry[--ex->retry_n];
  }
}

// In the creator: a worker has ended. How, is for who asks why its job failed.
void shoal_executor_ended_(void *arg, unsigned worker, uint32_t incarnation, int code) {
  struct shoal_executor *ex = arg;
  uint64_t how = ((uint64_t)incarnation + 1) << 32 | (uint32_t)code;
  shoal_store64_release(&ex->desks[worker].ended, how);   // [D1] pairs with [D2]: before its jobs are over
  shoal_store64_release(&ex->desks[worker].until_ns, 0);  // [T1]: what it ran, it runs no more
  shoal_executor_mark_gone_(ex, worker);
  give_orders(ex, worker);
}

// ---- looking after it ----

int shoal_executor_check_creator_(const struct shoal_executor *ex) {
  return shoal_executor_is_creator_(ex) ? 0 : shoal_fail_(-ECHILD, "the executor is another thread's to look after");
}

static int broken(struct shoal_executor *ex) {
  return shoal_fail_(-ENOTRECOVERABLE, "the executor is broken: %.111s", ex->shm->reason);
}

static int pool_tend(struct shoal_executor *ex) {
  int rc = shoal_pool_tend(ex->pool, SHOAL_TRY);
  ex->tended_ns = shoal_now_ns();
  for (unsigned w = 0; w < ex->workers; w++)
    if (ex->owed[w]) give_orders(ex, w);
  put_due(ex);
  shoal_job_catch_up_(ex);
  if (rc != -ENOTRECOVERABLE || shoal_load32_relaxed(&ex->shm->broken)) return rc;
  snprintf(ex->shm->reason, sizeof ex->shm->reason, "%s", shoal_reason());
  shoal_store32_release(&ex->shm->broken, 1);  // [E1] pairs with [E2]
  shoal_futex_wake(&ex->shm->broken, INT_MAX);
  return rc;
}

// The state of the job that runs there under a time limit, or is condemned, and when it has to be over; 0: none does.
static uint64_t limited(struct shoal_executor *ex, unsigned w, uint64_t *until_ns) {
  struct shoal_desk_shm *desk = &ex->desks[w];
  uint64_t until = shoal_load64_acquire(&desk->until_ns), token = shoal_load64_acquire(&desk->job);  // [T2]
  uint64_t s = until ? shoal_job_look_(ex, (uint32_t)token, (uint32_t)(token >> 32)) : 0;
  if (!s || shoal_job_worker_(s) != w) return 0;
  if (shoal_job_state_of_(s) != SHOAL_JOB_RUNNING_ && shoal_job_state_of_(s) != SHOAL_JOB_CONDEMNED_) return 0;
  *until_ns = shoal_load64_acquire(&ex->cells[(uint32_t)token].until_ns);  // [T2] pairs with [T1]
  return s;
}

// What a worker runs takes too long, or was condemned by somebody who died before he said so here.
static void look_at_desk(struct shoal_executor *ex, unsigned w) {
  struct shoal_desk_shm *desk = &ex->desks[w];
  uint64_t until = 0, s = limited(ex, w, &until), token = shoal_load64_relaxed(&desk->job);
  if (shoal_job_state_of_(s) == SHOAL_JOB_CONDEMNED_) shoal_job_kill_(ex, s);
  else if (s && (uint64_t)shoal_now_ns() > until) shoal_job_condemn_(ex, (uint32_t)token, s, SHOAL_JOB_LATE_);
  uint32_t kill = shoal_load32_acquire(&desk->kill);  // [K3] pairs with [K4] of ipc/work/job.c
  if (!kill) return;
  uint64_t is = shoal_pool_incarnation_(ex->pool, w);
  if ((is & 511) == kill - 1) shoal_pool_kill_(ex->pool, w, (uint32_t)is);
  shoal_cas32_relaxed(&desk->kill, &kill, 0);
}

static int tend_now(struct shoal_executor *ex) {
  ex->attention = shoal_load32_acquire(&ex->shm->attention);  // [K6] pairs with [K5]: before what it is about
  for (unsigned w = 0; w < ex->workers; w++) look_at_desk(ex, w);
  return pool_tend(ex);
}

int shoal_executor_tend(struct shoal_executor *ex, shoal_deadline deadline) {
  int rc = shoal_executor_check_creator_(ex);
  while (!rc && !(rc = tend_now(ex)) && shoal_pool_alive_(ex->pool)) {
    if (shoal_deadline_is_try(deadline) || shoal_deadline_passed(deadline)) break;
    shoal_executor_sleep_(ex, NULL, 0, deadline);
  }
  return rc;
}

// What is no job: whoever receives it looks whether it is one too many.
static void wake_workers(struct shoal_executor *ex, int n) {
  struct shoal_order_ none = {UINT32_MAX, 0};
  while (n-- > 0 && shoal_queue_put(ex->queue, &none, SHOAL_TRY) == 0) continue;  // full: none is idle
}

int shoal_executor_resize(struct shoal_executor *ex, unsigned workers, shoal_deadline deadline) {
  int rc = shoal_executor_check_creator_(ex);
  if (!rc && shoal_load32_relaxed(&ex->shm->closed)) rc = shoal_fail_(-EPIPE, "the executor is closed");
  if (rc) return rc;
  rc = shoal_pool_resize_(ex->pool, workers);
  if (ex->pool->target == workers) shoal_store32_relaxed(&ex->shm->wanted, workers);  // though a start failed
  if (rc < 0) return rc;
  wake_workers(ex, rc);
  for (;;) {
    rc = tend_now(ex);
    if (rc < 0 || shoal_pool_alive_(ex->pool) <= workers) return rc < 0 ? rc : 0;
    if (shoal_deadline_is_try(deadline) || shoal_deadline_passed(deadline)) return shoal_deadline_error(deadline);
    shoal_executor_sleep_(ex, NULL, 0, deadline);
  }
}

void shoal_executor_attend_(struct shoal_executor *ex) {
  shoal_add32_seq_cst(&ex->shm->attention, 1);  // [K5] pairs with [K6]
  shoal_futex_wake(&ex->shm->attention, INT_MAX);
}

int shoal_executor_care_(struct shoal_executor *ex) {
  if (shoal_load32_acquire(&ex->shm->broken)) return broken(ex);  // [E2]
  if (shoal_executor_is_creator_(ex)) {
    if (shoal_now_ns() - ex->tended_ns < TEND_EVERY_NS) return 0;
    return tend_now(ex) == -ENOTRECOVERABLE ? broken(ex) : 0;
  }
  if (shoal_proc_alive(ex->seg, ex->creator, 1)) return 0;
  uint32_t slot = (ex->creator & 0xffff) - 1;
  if (slot < ex->seg->g.participants)
    shoal_futex_wake(&ex->seg->procs[slot].live.word, INT_MAX);  // the kernel wakes one
  return shoal_fail_(-EPIPE, "the executor's creator has gone, and its workers with it");
}

// ---- asleep ----
//
// Who waits for jobs sleeps on their words and, beside them, on what would keep those from ever changing:
//   the creator   `attention`, which changes when a worker is to be killed, and the liveness words of the workers,
//                 until the next time limit
//   others        `broken`, and the liveness word of the creator. The kernel wakes one who sleeps there, and that one the
//                 others; list_op_pending points there meanwhile, so that, killed before it has, it has another woken.

static void sooner(shoal_deadline *until, int64_t ns) {
  if (ns < until->ns) until->ns = ns;
}

// The first of the time limits: of jobs that run, and of any that begins from now on.
static void until_limit(struct shoal_executor *ex, shoal_deadline *until) {
  if (!ex->limit_ns) return;
  sooner(until, shoal_after_ns(ex->limit_ns).ns);
  for (unsigned w = 0; w < ex->workers; w++) {
    uint64_t its = 0;
    if (shoal_job_state_of_(limited(ex, w, &its)) == SHOAL_JOB_RUNNING_) sooner(until, (int64_t)its + 1);
  }
}

// Orders found no room.
static int is_behind(const struct shoal_executor *ex) {
  unsigned w = 0;
  while (w < ex->workers && !ex->owed[w]) w++;
  return w < ex->workers || shoal_load32_relaxed(&ex->shm->behind);
}

// What the creator sleeps on beside jobs: the words before `end`. How many; 0: it is to look first.
static unsigned watch_workers(struct shoal_executor *ex, struct shoal_futex_entry *end, unsigned room,
                              shoal_deadline *until) {
  unsigned watched = 0;
  until_limit(ex, until);
  for (uint32_t i = 0; i < ex->retry_n; i++) sooner(until, ex->retry[i].due_ns);
  if (is_behind(ex)) sooner(until, shoal_now_ns() + SHOAL_EXECUTOR_SLICE_NS_);
  *--end = (struct shoal_futex_entry){&ex->shm->attention, ex->attention};
  return shoal_pool_watch_(ex->pool, end, room - 1, &watched, until) ? 0 : watched + 1;
}

static void sleep_as_creator(struct shoal_executor *ex, struct shoal_futex_entry *words, unsigned room, unsigned n,
                             shoal_deadline until) {
  unsigned watched = watch_workers(ex, words + room, room, &until);
  struct shoal_futex_entry *first = words + room - watched;  // they stand before the jobs' words
  int rc = watched ? shoal_futex_wait_many(first, watched + n, n ? watched : watched - 1, until) : -EAGAIN;
  int by_job = rc >= (int)watched || (rc == -EAGAIN && shoal_load32_relaxed(&ex->shm->attention) == ex->attention);
  if (!by_job || shoal_pool_dying_(ex->pool)) ex->tended_ns = 0;  // look now
}

static void sleep_as_other(struct shoal_executor *ex, struct shoal_futex_entry *words, unsigned room, unsigned n,
                           shoal_deadline until) {
  struct shoal_thread_ *t = shoal_self_();
  struct shoal_futex_entry *first = words + room - 2;
  first[0] = (struct shoal_futex_entry){&ex->shm->broken, 0};
  if (!shoal_proc_witness_(ex->seg, ex->creator, &first[1])) return;
  void *pending = shoal_pending_set_(t, first[1].word);
  shoal_futex_wait_many(first, 2 + n, n ? 2 : 0, until);
  if (!shoal_robust_owner(shoal_load32_relaxed(first[1].word))) shoal_futex_wake(first[1].word, INT_MAX);
  shoal_pending_restore_(t, pending);
}

void shoal_executor_sleep_(struct shoal_executor *ex, const struct shoal_futex_entry *jobs, unsigned n,
                           shoal_deadline deadline) {
  struct shoal_futex_entry words[SHOAL_FUTEX_MANY];
  unsigned room = SHOAL_FUTEX_MANY - n;
  shoal_deadline until = deadline;
  sooner(&until, shoal_now_ns() + SHOAL_RECHECK_NS);
  if (n) memcpy(words + room, jobs, n * sizeof *jobs);
  if (shoal_executor_is_creator_(ex)) sleep_as_creator(ex, words, room, n, until);
  else sleep_as_other(ex, words, room, n, until);
}

// ---- the same, for a select ----

unsigned shoal_executor_arm_(struct shoal_executor *ex, struct shoal_futex_entry *entries, unsigned room,
                             shoal_deadline *until) {
  if (!shoal_executor_is_creator_(ex)) {
    entries[0] = (struct shoal_futex_entry){&ex->shm->broken, 0};
    return shoal_proc_witness_(ex->seg, ex->creator, &entries[1]) ? 2 : 0;
  }
  unsigned n = watch_workers(ex, entries + room, room, until);
  if (!n || shoal_pool_dying_(ex->pool) || shoal_load32_relaxed(&ex->shm->attention) != ex->attention)
    ex->tended_ns = 0;
  if (!n) return 0;
  memmove(entries, entries + room - n, n * sizeof *entries);
  return n;
}
