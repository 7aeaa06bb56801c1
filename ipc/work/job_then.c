// Jobs that begin when another is over: a job's `next` names one, whose `after` names it.
//
// Such a job is PENDING, and has no order. Who ends the first puts one; who begins the next copies the first one's
// argument, or its failure, and is then done with it. Until then the first one's cell is not freed, whoever releases
// it: it is DETACHED, and freed by who lets go of it.
// An order is a hint here, too: one that comes too early is dropped; one that never came, because who should have put
// it was killed, is put by the creator for a dead worker, and by whoever waits.
//
//   who ends the first    state := over [Y0];   next? [Y1]      |  who adds the next   next := it [Y5];   state? [Y6]
//   who releases it       state := DETACHED [Y3]; next? [Y4]    |  who lets go of it   next := 0 [Y2];    state? [Y7]
// All sequentially consistent: one of the two sees the other.
#include <string.h>

#include "core/error.h"
#include "core/futex.h"
#include "ipc/queue/queue_internal.h"
#include "ipc/work/executor_internal.h"

static uint32_t job_of(uint64_t after) { return (uint32_t)(after - 1); }
static uint32_t generation_of(uint64_t after) { return (uint32_t)((after - 1) >> 32); }

// The state of the next one, if it waits for this one, or has begun and is not done with it; else 0.
static uint64_t next_of(struct shoal_executor *ex, uint32_t job, uint32_t generation, uint64_t next) {
  uint32_t is = (uint32_t)next - 1;
  if (next >> 32 != generation || is >= ex->jobs) return 0;
  uint64_t s = shoal_load64_acquire(&ex->cells[is].state);  // [J2] pairs with [J1] of ipc/work/job.c
  if (shoal_job_state_of_(s) == SHOAL_JOB_FREE_ || shoal_job_over_(s)) return 0;
  // [Y9] pairs with [Y8] of ipc/work/serve.c: it has been copied, and may be freed
  return shoal_load64_acquire(&ex->cells[is].after) == 1 + shoal_job_token_(job, generation) ? s : 0;
}

int shoal_job_is_needed_(struct shoal_executor *ex, uint32_t job, uint32_t generation, uint64_t next) {
  return next_of(ex, job, generation, next) != 0;
}

struct shoal_next_ shoal_job_order_next_(struct shoal_executor *ex, uint32_t job, uint32_t generation, uint64_t next) {
  uint64_t s = next_of(ex, job, generation, next);
  struct shoal_order_ order = {(uint32_t)next - 1, shoal_job_generation_(s)};
  struct shoal_next_ none = {0};
  if (shoal_job_state_of_(s) != SHOAL_JOB_PENDING_) return none;
  int rc = shoal_queue_put(ex->queue, &order, SHOAL_TRY);
  // the end came between its submit's look and this: nobody looks after it any more
  if (rc == -EPIPE && shoal_eventcount_closed(ex->queue->wait.shm)) return (struct shoal_next_){order.job, s};
  // a worker that waits for it may have to begin it itself
  if (s & SHOAL_JOB_ASLEEP_) shoal_futex_wake(shoal_job_futex_(&ex->cells[order.job]), INT32_MAX);
  if (rc == 0) return none;
  shoal_store32_relaxed(&ex->shm->behind, 1);
  if (!shoal_executor_is_creator_(ex)) shoal_executor_attend_(ex);  // it looks again by itself: see watch_workers
  return none;
}

void shoal_job_follow_(struct shoal_executor *ex, uint32_t job, uint32_t generation, uint64_t next) {
  struct shoal_next_ never = shoal_job_order_next_(ex, job, generation, next);
  if (SHOAL_UNLIKELY(never.s)) (void)shoal_job_finish_(ex, never.job, never.s, SHOAL_JOB_CANCELLED_);
}

int shoal_job_waits_(struct shoal_executor *ex, uint32_t job, uint64_t s) {
  uint64_t after = shoal_load64_relaxed(&ex->cells[job].after);
  if (!after || shoal_job_state_of_(s) != SHOAL_JOB_PENDING_ || job_of(after) >= ex->jobs) return 0;
  struct shoal_job_shm *first = &ex->cells[job_of(after)];
  uint64_t is = shoal_load64_seq_cst(&first->state);  // [Y6] pairs with [Y0]
  if (shoal_job_generation_(is) == generation_of(after) && !shoal_job_over_(is)) return 1;
  shoal_job_follow_(ex, job_of(after), generation_of(after), (uint64_t)generation_of(after) << 32 | (job + 1));
  return 0;
}

void shoal_job_let_go_(struct shoal_executor *ex, uint32_t job, uint64_t after) {
  if (job_of(after) >= ex->jobs) return;
  struct shoal_job_shm *first = &ex->cells[job_of(after)];
  uint64_t none = (uint64_t)generation_of(after) << 32, us = none | (job + 1);
  if (!shoal_cas64_seq_cst(&first->next, &us, none)) return;  // [Y2] pairs with [Y4] of ipc/work/job.c
  uint64_t s = shoal_load64_seq_cst(&first->state);           // [Y7] pairs with [Y3]
  if (shoal_job_generation_(s) == generation_of(after) && shoal_job_over_(s) && (s & SHOAL_JOB_DETACHED_))
    shoal_job_free_(ex, job_of(after), s);
}

void shoal_job_catch_up_(struct shoal_executor *ex) {
  if (SHOAL_LIKELY(!shoal_load32_relaxed(&ex->shm->behind))) return;
  shoal_store32_relaxed(&ex->shm->behind, 0);
  for (uint32_t job = 0; job < ex->jobs; job++) {
    uint64_t s = shoal_load64_acquire(&ex->cells[job].state);  // [J2]
    if (shoal_job_state_of_(s) == SHOAL_JOB_PENDING_) shoal_job_waits_(ex, job, s);
  }
}

// ---- submitting ----

int shoal_future_then_task(const struct shoal_future *f, const struct shoal_task *task, struct shoal_future *out) {
  struct shoal_executor *ex = f->executor;
  uint64_t s = shoal_future_look_(f);
  if (!s) return shoal_future_released_();
  uint64_t size = __atomic_load_n(&ex->cells[f->job].size, __ATOMIC_RELAXED);
  if (task->bytes || shoal_job_is_bytes_(&ex->cells[f->job]))
    return shoal_fail_(-EBADMSG, "task %s, of structs, after one of bytes, or the other way", task->name);
  if (size != task->size)
    return shoal_fail_(-EBADMSG, "task %s takes a %s of %llu bytes, and is to be given %llu", task->name, task->type,
                       (unsigned long long)task->size, (unsigned long long)size);
  struct shoal_submission_ sub = {.task = task,
                                  .size = size,
                                  .after = 1 + shoal_job_token_(f->job, f->generation),
                                  .detached = !out,
                                  .deadline = SHOAL_FOREVER};
  return shoal_job_submit_(ex, &sub, out);
}

int shoal_future_then(const struct shoal_future *f, const char *task, struct shoal_future *out) {
  const struct shoal_task *found;
  int rc = shoal_task_find(task, &found);
  return rc ? rc : shoal_future_then_task(f, found, out);
}
