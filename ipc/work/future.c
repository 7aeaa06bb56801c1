#include "ipc/work/future.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/backoff.h"
#include "core/error.h"
#include "core/futex.h"
#include "ipc/work/executor_internal.h"

int shoal_future_released_(void) { return shoal_fail_(-EINVAL, "the future was released, or is of another executor"); }

// ---- waiting ----

// Who submits to a worker that sleeps has its job done a wake-up later, and would need as long again to wake up itself:
// so it looks for about that long. From then on the worker finds the next job while it still looks, and neither sleeps.
// A look that was in vain shortens the next ones; one in PROBE looks as long as can be, or nobody would learn any
// better.
#define LOOKS_MAX (5 * SHOAL_SPIN_LONG)
#define PROBE 32u
static __thread struct { uint32_t looks, failed; } budget = {SHOAL_SPIN_LONG, 0};

// Who gets many results one after another, and has come to where the workers are, would take a line away from under a
// worker's hands with each look. So it keeps off for a while, in which many get done: for longer, if it then has found
// many.
#define AWAY_MAX 256u  // pauses: some microseconds
#define AHEAD 4u       // jobs: about as many as are got while a line is fetched
static __thread struct {
  uint32_t away;
  uint32_t found;       // over since it last had to wait, or submitted: that kept the workers busy, and no pause did
  uint32_t last, step;  // the last job that was, and how far it lay from the one before
} stream;

void shoal_future_submitted_(void) { stream.found = 0; }

// How many pauses it took, `most` at most.
static uint32_t keep_off(uint32_t most) {
  int paid = stream.found >= 4 && stream.found * 16 >= stream.away;
  uint32_t away = paid ? 2 * stream.away + 1 : stream.found ? stream.away / 2 : 0;
  if (most > AWAY_MAX) most = AWAY_MAX;
  stream.away = away < most ? away : most;
  stream.found = 0;
  for (uint32_t i = 0; i < stream.away; i++) shoal_pause();
  return stream.away;
}

// Cells are given out as they came back, so those of jobs that were submitted together lie in a row. What is over is
// asked for before its turn: only that, as a worker needs the others.
static void found_over(const struct shoal_future *f) {
  struct shoal_executor *ex = f->executor;
  uint32_t step = f->job - stream.last;
  if (stream.found++ && step == stream.step) {
    struct shoal_job_shm *cell = &ex->cells[(f->job + AHEAD * step) & (ex->jobs - 1)];
    if (shoal_job_over_(shoal_load64_relaxed(&cell->state))) {
      shoal_prefetch_write(&cell->owner);
      shoal_prefetch_write(&cell->state);
    }
  }
  stream.last = f->job;
  stream.step = step;
}

// 1: over, or released, meanwhile.
static int spin(const struct shoal_future *f) {
  uint32_t most = 5 * shoal_spin_max_, looks = budget.failed % PROBE == PROBE - 1 ? LOOKS_MAX : budget.looks;
  uint32_t away = keep_off(most);
  for (uint32_t n = 0; n < looks && n < most; n++) {
    uint64_t s = shoal_future_look_(f);
    if (!s || shoal_job_over_(s)) {
      n += away;
      budget.looks = shoal_spin_paid(2 * n > budget.looks ? 2 * n : budget.looks, LOOKS_MAX);
      return 1;
    }
    shoal_pause();
  }
  budget.failed++;
  budget.looks = shoal_spin_failed(budget.looks);
  return 0;
}

uint64_t shoal_future_arm_(const struct shoal_future *f) {
  struct shoal_job_shm *cell = &f->executor->cells[f->job];
  uint64_t s = shoal_future_look_(f);
  while (s && !shoal_job_over_(s) && !(s & SHOAL_JOB_ASLEEP_)) {
    // [W1] pairs with [J1]: who ends the job finds it, or has ended it before
    if (shoal_cas64_acq_rel(&cell->state, &s, s | SHOAL_JOB_ASLEEP_)) return s | SHOAL_JOB_ASLEEP_;
    s = shoal_future_look_(f);
  }
  return s && !shoal_job_over_(s) ? s : 0;
}

shoal_deadline shoal_future_until_(const struct shoal_future *f, uint64_t s, shoal_deadline deadline) {
  if (shoal_executor_current() != f->executor) return deadline;
  int64_t due = shoal_job_due_(&f->executor->cells[f->job], s);
  if (due < deadline.ns) deadline.ns = due;
  return deadline;
}

static void sleep_for(const struct shoal_future *f, shoal_deadline deadline) {
  uint64_t s = shoal_future_arm_(f);
  struct shoal_futex_entry entry = {shoal_job_futex_(&f->executor->cells[f->job]), (uint32_t)s};
  if (s) shoal_executor_sleep_(f->executor, &entry, 1, shoal_future_until_(f, s, deadline));
}

// 0 and the state it is over in.
static int wait_for(const struct shoal_future *f, uint64_t *state, shoal_deadline deadline) {
  struct shoal_executor *ex = f->executor;
  for (;;) {
    uint64_t s = shoal_future_look_(f);
    if (SHOAL_UNLIKELY(!s)) return shoal_future_released_();
    if (SHOAL_LIKELY(shoal_job_over_(s))) {
      found_over(f);
      // its worker has read both lines, and whoever gets a result releases it next: asked for together
      shoal_prefetch_write(&ex->cells[f->job].owner);
      shoal_prefetch_write(&ex->cells[f->job].state);
      *state = s;
      return 0;
    }
    shoal_job_kill_(ex, s);
    if (!shoal_deadline_is_try(deadline) && (shoal_executor_run_here_(ex, f->job, s) || spin(f))) continue;
    int rc = shoal_executor_care_(ex);
    if (rc && !shoal_job_over_(shoal_future_look_(f))) return rc;
    if (rc) continue;
    shoal_job_waits_(ex, f->job, s);
    if (shoal_deadline_is_try(deadline)) return -EAGAIN;
    if (shoal_deadline_passed(deadline)) return -ETIMEDOUT;
    sleep_for(f, deadline);
  }
}

// ---- results ----

// How the worker ended with which the job died, if the creator has reaped it, and no later one of that place.
static int signal_of(struct shoal_executor *ex, uint64_t s) {
  uint32_t worker = shoal_job_worker_(s);
  if (worker >= ex->workers) return 0;
  (void)shoal_executor_care_(ex);
  uint64_t ended = shoal_load64_acquire(&ex->desks[worker].ended);  // [D2] pairs with [D1]
  int code = (int)(uint32_t)ended;
  return code < 0 && shoal_job_is_ended_(ended, s) ? -code : 0;
}

static void tell_death(struct shoal_executor *ex, uint32_t element, uint64_t s, struct shoal_failure *out) {
  out->code = s & SHOAL_JOB_LATE_ ? -ETIMEDOUT : -ENOTRECOVERABLE;
  out->element = element;
  out->signal = s & SHOAL_JOB_LATE_ ? 0 : signal_of(ex, s);
  if (s & SHOAL_JOB_LATE_) snprintf(out->message, sizeof out->message, "it took longer than its time limit");
  else if (out->signal) snprintf(out->message, sizeof out->message, "signal %d killed the worker", out->signal);
  else snprintf(out->message, sizeof out->message, "the worker died");
}

void shoal_future_tell_(struct shoal_executor *ex, uint32_t job, uint64_t s, struct shoal_failure *out) {
  const struct shoal_job_shm *cell = &ex->cells[job];
  const struct shoal_task *task = shoal_task_of_(__atomic_load_n(&cell->task, __ATOMIC_RELAXED));
  uint32_t element = s & SHOAL_JOB_DIED_ ? shoal_load32_relaxed(&cell->progress) : cell->element;
  uint32_t chunk = __atomic_load_n(&cell->chunk, __ATOMIC_RELAXED);
  uint32_t by = chunk && !(s & SHOAL_JOB_DIED_) ? (uint32_t)shoal_load64_relaxed(&cell->lost) : 0;
  if (by) s = by;  // the first of its chunks that failed may have had another worker
  *out = (struct shoal_failure){.code = (int)shoal_load32_relaxed(&cell->code),
                                .worker = shoal_job_worker_(s),
                                .attempt = shoal_job_attempt_(s),
                                .element = element,
                                .task = task ? task->name : "a task of another program"};
  if (s & SHOAL_JOB_DIED_) return tell_death(ex, element, s, out);
  snprintf(out->message, sizeof out->message, "%.*s", (int)sizeof out->message - 1, cell->message);
}

static int failed(const struct shoal_future *f, uint64_t s, struct shoal_failure *out) {
  struct shoal_failure own = {.code = 0}, *failure = out ? out : &own;
  shoal_future_tell_(f->executor, f->job, s, failure);
  const char *colon = failure->message[0] ? ": " : "";
  if (shoal_load64_relaxed(&f->executor->cells[f->job].after))  // what comes before it has failed
    return shoal_fail_(-EREMOTEIO, "before task %s, which did not run: %s (%d)%s%s", failure->task,
                       shoal_strerror(failure->code), failure->code, colon, failure->message);
  return shoal_fail_(-EREMOTEIO, "task %s, worker %u, attempt %u: %s (%d)%s%s", failure->task, failure->worker,
                     failure->attempt, shoal_strerror(failure->code), failure->code, colon, failure->message);
}

int shoal_future_copy_(const struct shoal_future *f, void *out, uint64_t size) {
  void *result;
  uint64_t has;
  int rc = shoal_job_result_(f->executor, &f->executor->cells[f->job], &result, &has);
  if (rc) return rc;
  if (has != size)
    return shoal_fail_(-EBADMSG, "a result of %llu bytes, not %llu", (unsigned long long)has, (unsigned long long)size);
  if (size) memcpy(out, result, size);
  return 0;
}

void shoal_future_copy_kept_(const struct shoal_future *f, void *out, uint64_t size, uint64_t each) {
  const struct shoal_job_shm *cell = &f->executor->cells[f->job];
  uint64_t chunk = (uint64_t)__atomic_load_n(&cell->chunk, __ATOMIC_RELAXED) * each,
           lost = shoal_load64_relaxed(&cell->lost) >> 32, has;
  uint64_t done = (shoal_load32_relaxed(&cell->progress) & ~SHOAL_HAS_FAILED_) * each;
  void *argument;
  if (!chunk || shoal_job_argument_(f->executor, &f->executor->cells[f->job], &argument, &has) || has != size) return;
  for (uint64_t at = 0; at < size && at < done; at += chunk, lost >>= 1) {
    uint64_t n = size - at < chunk ? size - at : chunk;
    if (!(lost & 1) && at + n <= done) memcpy((char *)out + at, (const char *)argument + at, n);
  }
}

static int result(const struct shoal_future *f, uint64_t s, void *out, uint64_t size, struct shoal_failure *failure) {
  switch (shoal_job_state_of_(s)) {
    case SHOAL_JOB_DONE_: return out ? shoal_future_copy_(f, out, size) : 0;
    case SHOAL_JOB_CANCELLED_: return shoal_fail_(-ECANCELED, "the task was cancelled");
    default: return failed(f, s, failure);
  }
}

// Whether what was read of a job that is over was its own: another may have released it meanwhile, and its cell be the
// next one's.
static int is_still(const struct shoal_future *f, uint64_t s) {
  for (; s; s = shoal_future_look_(f)) {  // a letter of it may have been read
    uint64_t is = s;
    // [J4] keeps the loads before it; pairs with [J3]
    if (shoal_cas64_acq_rel(&f->executor->cells[f->job].state, &is, s)) return 1;
  }
  return 0;
}
// After is_still, for a block ends before its job's word changes: it was there all the time, too.
static int has_its_block(const struct shoal_future *f) {
  struct shoal_job_shm *cell = &f->executor->cells[f->job];
  void *at;
  uint64_t size;
  if (!(__atomic_load_n(&cell->task, __ATOMIC_RELAXED) & SHOAL_ARGUMENT_BLOCK_)) return 1;  // or BYTES
  return shoal_job_result_(f->executor, cell, &at, &size) != -ENOENT;
}

static int get_over(const struct shoal_future *f, uint64_t s, void *out, uint64_t size, struct shoal_failure *failure) {
  int rc = result(f, s, out, size, failure);
  return is_still(f, s) && has_its_block(f) ? rc : shoal_future_released_();
}
int shoal_future_get_(const struct shoal_future *f, void *out, uint64_t size, struct shoal_failure *failure,
                      shoal_deadline deadline) {
  uint64_t s = 0;
  int rc = wait_for(f, &s, deadline);
  return rc ? rc : get_over(f, s, out, size, failure);
}
int shoal_future_get(const struct shoal_future *f, void *out, uint64_t size, struct shoal_failure *failure,
                     shoal_deadline deadline) {
  uint64_t s = 0;
  int rc = wait_for(f, &s, deadline);
  if (rc) return rc;
  if (SHOAL_UNLIKELY(shoal_load32_relaxed(&f->executor->callbacks_n))) shoal_future_called_(f->executor);
  return get_over(f, s, out, size, failure);
}

int shoal_future_view_bytes(const struct shoal_future *f, const void **data, uint64_t *size,
                            struct shoal_failure *failure, shoal_deadline deadline) {
  struct shoal_executor *ex = f->executor;
  uint64_t s = 0, has = 0;
  void *at = NULL;
  int rc = wait_for(f, &s, deadline);
  if (rc) return rc;
  if (SHOAL_UNLIKELY(shoal_load32_relaxed(&ex->callbacks_n))) shoal_future_called_(ex);
  rc = result(f, s, NULL, 0, failure);
  if (!rc && !shoal_job_is_bytes_(&ex->cells[f->job])) rc = shoal_fail_(-EBADMSG, "a result of no bytes task");
  if (!rc) rc = shoal_job_result_(ex, &ex->cells[f->job], &at, &has);
  if (!is_still(f, s) || rc == -ENOENT) return shoal_future_released_();
  if (rc) return rc;
  *data = at;
  if (size) *size = has;
  return 0;
}

int shoal_future_get_bytes(const struct shoal_future *f, void *out, uint64_t room, uint64_t *size,
                           struct shoal_failure *failure, shoal_deadline deadline) {
  const void *data;
  uint64_t has;
  int rc = shoal_future_view_bytes(f, &data, &has, failure, deadline);
  if (rc) return rc;
  if (has <= room && has) memcpy(out, data, has);
  uint64_t s = shoal_future_look_(f);
  if (!s || !is_still(f, s) || !has_its_block(f)) return shoal_future_released_();
  if (size) *size = has;
  if (has <= room) return 0;
  return shoal_fail_(-EMSGSIZE, "a result of %llu bytes, room for %llu", (unsigned long long)has,
                     (unsigned long long)room);
}

int shoal_future_failure(const struct shoal_future *f, struct shoal_failure *out) {
  uint64_t s = shoal_future_look_(f);
  if (!s) return shoal_future_released_();
  if (!shoal_job_over_(s)) return -EAGAIN;
  int rc = result(f, s, NULL, 0, out);
  return is_still(f, s) ? rc : shoal_future_released_();
}

int shoal_future_done(const struct shoal_future *f) {
  uint64_t s = shoal_future_look_(f);
  if (s && !shoal_job_over_(s)) (void)shoal_executor_care_(f->executor);
  return s ? shoal_job_over_(s) : shoal_future_released_();
}
int shoal_future_running(const struct shoal_future *f) {
  uint64_t s = shoal_future_look_(f);
  if (!s) return shoal_future_released_();
  return shoal_job_state_of_(s) == SHOAL_JOB_RUNNING_ || shoal_job_state_of_(s) == SHOAL_JOB_CONDEMNED_;
}
int shoal_future_succeeded(const struct shoal_future *f) {
  uint64_t s = shoal_future_look_(f);
  if (!s) return shoal_future_released_();
  return shoal_job_over_(s) ? shoal_job_state_of_(s) == SHOAL_JOB_DONE_ : -EAGAIN;
}
int shoal_future_cancelled(const struct shoal_future *f) {
  uint64_t s = shoal_future_look_(f);
  return s ? shoal_job_state_of_(s) == SHOAL_JOB_CANCELLED_ : shoal_future_released_();
}

// ---- giving up ----

int shoal_future_cancel(const struct shoal_future *f, unsigned flags) {
  struct shoal_executor *ex = f->executor;
  if (flags & ~(unsigned)SHOAL_FORCE) return shoal_fail_(-EINVAL, "flags %x", flags);
  for (uint64_t s; (s = shoal_future_look_(f));) {
    if (shoal_job_over_(s)) return shoal_fail_(-EALREADY, "the task is over");
    if (shoal_job_state_of_(s) == SHOAL_JOB_PENDING_) {
      if (shoal_job_finish_(ex, f->job, s, SHOAL_JOB_CANCELLED_)) return 0;
      continue;
    }
    if (!flags) return shoal_fail_(-EBUSY, "the task has begun");
    if (ex->threads) return shoal_fail_(-ENOTSUP, "the task has begun in a thread, which cannot be killed");
    if (shoal_job_state_of_(s) == SHOAL_JOB_RUNNING_ && !shoal_job_condemn_(ex, f->job, s, 0)) continue;
    shoal_job_kill_(ex, s);
    (void)shoal_executor_tend(ex, SHOAL_TRY);  // at once, if this is the creator
    return s & SHOAL_JOB_LATE_ ? shoal_fail_(-EALREADY, "the task is about to fail at its time limit") : 0;
  }
  return shoal_future_released_();
}

int shoal_future_release(const struct shoal_future *f) {
  struct shoal_executor *ex = f->executor;
  for (uint64_t s; (s = shoal_future_look_(f));) {
    if (shoal_job_over_(s) && shoal_job_state_of_(s) != SHOAL_JOB_DEAD_) {
      int freed = shoal_job_free_(ex, f->job, s);
      if (freed == 1) shoal_job_remember_(ex, f->job);
      if (freed) return 0;
    } else if (shoal_cas64_acq_rel(&ex->cells[f->job].state, &s, s | SHOAL_JOB_DETACHED_)) {  // [J3] pairs with [J1]
      return 0;
    }
  }
  return shoal_future_released_();
}

int shoal_future_open(struct shoal_executor *ex, uint64_t token, struct shoal_future *out) {
  struct shoal_future f = {ex, (uint32_t)token, (uint32_t)(token >> 32)};
  if (!shoal_future_look_(&f)) return shoal_future_released_();
  *out = f;
  return 0;
}

// ---- submit, get, release ----

static void give_up(const struct shoal_future *f, int rc) {
  if (rc == -ETIMEDOUT || rc == -EAGAIN) (void)shoal_future_cancel(f, 0);
  (void)shoal_future_release(f);
}

int shoal_executor_apply_task(struct shoal_executor *ex, const struct shoal_task *task, void *argument, uint64_t size,
                              struct shoal_failure *failure, shoal_deadline deadline) {
  struct shoal_future f;
  if (SHOAL_UNLIKELY(task->bytes)) return shoal_fail_(-EBADMSG, "task %s takes bytes", task->name);
  int rc = shoal_executor_submit_task(ex, task, argument, size, deadline, &f);
  if (rc) return rc;
  rc = shoal_future_get(&f, argument, size, failure, deadline);
  return give_up(&f, rc), rc;
}

int shoal_executor_apply_bytes(struct shoal_executor *ex, const struct shoal_task *task, const void *argument,
                               uint64_t size, void *out, uint64_t room, uint64_t *out_size,
                               struct shoal_failure *failure, shoal_deadline deadline) {
  struct shoal_future f;
  if (!task->bytes) return shoal_fail_(-EBADMSG, "task %s takes a %s", task->name, task->type);
  int rc = shoal_executor_submit_task(ex, task, argument, size, deadline, &f);
  if (rc) return rc;
  rc = shoal_future_get_bytes(&f, out, room, out_size, failure, deadline);
  return give_up(&f, rc), rc;
}

int shoal_executor_apply(struct shoal_executor *ex, const char *task, void *argument, uint64_t size,
                         struct shoal_failure *failure, shoal_deadline deadline) {
  const struct shoal_task *found;
  int rc = shoal_task_find(task, &found);
  return rc ? rc : shoal_executor_apply_task(ex, found, argument, size, failure, deadline);
}
