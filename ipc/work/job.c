// Cells: claimed, filled, published; over, and free again.
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "core/futex.h"
#include "core/identity.h"
#include "ipc/work/executor_internal.h"

SHOAL_QUEUE_TYPED(orders, struct shoal_order_)

#define PROCESS_MASK ((UINT64_C(1) << SHOAL_PROCESS_BITS_) - 1)

static uint64_t owner_word(shoal_process_id_ process, uint32_t generation) {
  return process | (uint64_t)generation << SHOAL_PROCESS_BITS_;
}
static int is_of(uint64_t owner, uint32_t generation) {
  return owner >> SHOAL_PROCESS_BITS_ == (generation & (UINT32_MAX >> (SHOAL_PROCESS_BITS_ - 32)));
}

// ---- free cells ----

// Private memory. 0, or the epoch of its holder's process: if that is another, a thread that stayed with the parent.
static void lock(struct shoal_executor *ex) {
  uint32_t mine = shoal_self_()->epoch, seen = 0;         // whose first call this may be in here
  while (!shoal_cas32_acquire(&ex->lock, &seen, mine)) {  // [L1] pairs with [L2]
    if (seen != mine) continue;
    seen = 0;
    sched_yield();
  }
  if (ex->epoch == mine) return;
  ex->epoch = mine;  // a child of fork: what its parent saw is no use to it
  ex->free_n = 0;
}
static void unlock(struct shoal_executor *ex) { shoal_store32_release(&ex->lock, 0); }  // [L2]

void shoal_job_remember_(struct shoal_executor *ex, uint32_t job) {
  lock(ex);
  if (ex->free_n < ex->jobs) ex->free_cells[ex->free_n++] = job;
  unlock(ex);
}

// A cell that was free when this process last saw it, or the next of the table.
static uint32_t guess(struct shoal_executor *ex) {
  lock(ex);
  uint32_t n = ex->free_n, job = n ? ex->free_cells[--ex->free_n] : ex->cursor++ & (ex->jobs - 1);
  if (n > 2) shoal_prefetch_write(&ex->cells[ex->free_cells[n - 3]]);
  unlock(ex);
  return job;
}

static int claim_cell(struct shoal_executor *ex, uint32_t job, uint32_t *generation) {
  struct shoal_job_shm *cell = &ex->cells[job];
  uint64_t owner = shoal_load64_relaxed(&cell->owner);
  if (owner) return 0;
  uint32_t g = shoal_job_generation_(shoal_load64_relaxed(&cell->state));
  // [C1] pairs with [C2]: who had it before is done with it
  if (!shoal_cas64_acquire(&cell->owner, &owner, owner_word(shoal_process_self_(), g))) return 0;
  // [J2] pairs with [J1]: also without who freed it, in another process, it is seen that its cell was filled before
  *generation = shoal_job_generation_(shoal_load64_acquire(&cell->state));
  if (*generation == g) return 1;
  owner = owner_word(shoal_process_self_(), g);  // for who looks until now, one that was left
  return shoal_cas64_relaxed(&cell->owner, &owner, owner_word(shoal_process_self_(), *generation));
}

static int claim(struct shoal_executor *ex, uint32_t *job, uint32_t *generation) {
  for (int reaped = 0;; reaped = 1) {
    for (uint64_t tries = 2 * (uint64_t)ex->jobs; tries; tries--)
      if (claim_cell(ex, *job = guess(ex), generation)) return 0;
    if (reaped || shoal_executor_reap(ex) == 0) break;
  }
  return shoal_fail_(-ENOSPC, "%u jobs, and no future of theirs has been released, no letter read", ex->jobs);
}

static void disown(struct shoal_job_shm *cell, uint32_t generation) {
  uint64_t owner = shoal_load64_relaxed(&cell->owner);
  if (!is_of(owner, generation)) return;
  shoal_cas64_release(&cell->owner, &owner, 0);  // [C2]
}

// The block of the cell's argument, or result, is free, if *word still is `value` when we have read which it is.
static void end_block(struct shoal_executor *ex, const struct shoal_block_ref *block, shoal_atomic64 *word,
                      uint64_t value) {
  struct shoal_block_ref ref = {__atomic_load_n(&block->off, __ATOMIC_RELAXED),
                                __atomic_load_n(&block->seq, __ATOMIC_RELAXED), 0};
  // [B1] keeps the loads before it; pairs with [C1]: whose block stands there now has changed the word
  if (!ref.off || !shoal_cas64_acq_rel(word, &value, value)) return;
  shoal_block_end_(ex->heap, &ref, ex->object.entry, ex->object.generation);
}

// Another job needs its result: it is given up, and freed by that. 0: it is needed no more.
static int keep(struct shoal_executor *ex, uint32_t job, uint64_t s) {
  struct shoal_job_shm *cell = &ex->cells[job];
  uint64_t next = shoal_load64_seq_cst(&cell->next), flagged = s | SHOAL_JOB_DETACHED_;  // [Y4]
  if (!shoal_job_is_needed_(ex, job, shoal_job_generation_(s), next)) return 0;
  // [Y3] pairs with [Y2]: who needs it no more sees that it is given up, or we see, below, that it is not needed
  if (s != flagged && !shoal_cas64_seq_cst(&cell->state, &s, flagged)) return 2;
  return shoal_load64_seq_cst(&cell->next) == next ? 2 : 0;  // [Y4] pairs with [Y2]
}

int shoal_job_free_(struct shoal_executor *ex, uint32_t job, uint64_t s) {
  struct shoal_job_shm *cell = &ex->cells[job];
  uint32_t generation = shoal_job_generation_(s);
  uint64_t given_up = 0;
  if (shoal_job_state_of_(s) == SHOAL_JOB_DEAD_) {  // who reads its letter frees it
    if (!(s & SHOAL_JOB_DETACHED_)) shoal_cas64_acq_rel(&cell->state, &s, s | SHOAL_JOB_DETACHED_);  // [J3]
    return 0;
  }
  if (SHOAL_UNLIKELY((uint32_t)shoal_load64_relaxed(&cell->next))) {
    int kept = keep(ex, job, s);
    if (kept) return kept;
    s = shoal_load64_acquire(&cell->state);                                       // [J2]
    if (shoal_job_generation_(s) != generation || !shoal_job_over_(s)) return 2;  // by who let go of it
    given_up = s & SHOAL_JOB_DETACHED_;                                           // so that one may still be faster
  }
  if (__atomic_load_n(&cell->task, __ATOMIC_RELAXED) & SHOAL_ARGUMENT_BLOCK_)  // or BYTES
    end_block(ex, &cell->block, &cell->state, s);
  if (SHOAL_UNLIKELY(shoal_job_is_bytes_(cell))) end_block(ex, &cell->bytes.result, &cell->state, s);
  // [J3] what was read of the result was read before; pairs with [C1]
  if (!shoal_cas64_acq_rel(&cell->state, &s, (uint64_t)(generation + 1) << 32 | SHOAL_JOB_FREE_))
    return given_up ? 2 : 0;
  disown(cell, generation);
  return 1;
}

void shoal_job_freed_(struct shoal_executor *ex, uint32_t job, uint32_t generation, uint64_t s) {
  if (s == ((uint64_t)(generation + 1) << 32 | SHOAL_JOB_FREE_)) disown(&ex->cells[job], generation);
}

// ---- what the dead have left ----

// Killed before its submit returned: the job never was, unless a worker has begun it. `dead`: who submitted it is known
// to be.
static void abandon(struct shoal_executor *ex, uint64_t word, int dead) {
  if (!word) return;
  uint32_t job = (uint32_t)(word - 1), generation = (uint32_t)((word - 1) >> 32);
  uint64_t s = shoal_job_look_(ex, job, generation);
  if (shoal_job_state_of_(s) != SHOAL_JOB_PENDING_) return;
  uint64_t owner = shoal_load64_relaxed(&ex->cells[job].owner);
  if (!dead && (!owner || !shoal_process_gone_(owner & PROCESS_MASK))) return;
  shoal_job_finish_(ex, job, s | SHOAL_JOB_DETACHED_, SHOAL_JOB_CANCELLED_);
}

void shoal_job_abandon_(struct shoal_executor *ex) {
  for (uint32_t p = 0; p < ex->producers; p++) abandon(ex, shoal_load64_relaxed(&ex->submitting[p].job), 0);
}

// A cell of a process that is gone. 1: it is free now.
static int reap_cell(struct shoal_executor *ex, uint32_t job, uint64_t s, uint64_t owner) {
  struct shoal_job_shm *cell = &ex->cells[job];
  if (shoal_job_over_(s)) return shoal_job_free_(ex, job, s) == 1;
  if (shoal_job_state_of_(s) != SHOAL_JOB_FREE_) {
    if (!(s & SHOAL_JOB_DETACHED_)) shoal_cas64_relaxed(&cell->state, &s, s | SHOAL_JOB_DETACHED_);
    return 0;
  }
  end_block(ex, &cell->block, &cell->owner, owner);
  return shoal_cas64_release(&cell->owner, &owner, 0);  // [C2]
}

// Whoever freed it was killed before the owner's word said so; or somebody claims it just now, and finds out.
static int is_left(struct shoal_job_shm *cell, uint64_t s, uint64_t owner) {
  if (shoal_job_state_of_(s) != SHOAL_JOB_FREE_ || is_of(owner, shoal_job_generation_(s))) return 0;
  return shoal_cas64_acq_rel(&cell->state, &s, s);  // [B1] pairs with [C1]: nor did it have another owner meanwhile
}

int shoal_executor_reap(struct shoal_executor *ex) {
  shoal_process_id_ alive = shoal_process_self_(), dead = 0;
  int n = 0;
  shoal_job_abandon_(ex);
  for (uint32_t job = 0; job < ex->jobs; job++) {
    // the state first: if it is the same at the end, so was the owner in between
    uint64_t s = shoal_load64_acquire(&ex->cells[job].state);      // [J2]
    uint64_t owner = shoal_load64_acquire(&ex->cells[job].owner);  // [C3] pairs with [C1]: not after its job's words
    shoal_process_id_ process = owner & PROCESS_MASK;
    if (shoal_job_over_(s) && (s & SHOAL_JOB_DETACHED_)) n += shoal_job_free_(ex, job, s) == 1;
    if (!owner) continue;
    if (SHOAL_UNLIKELY(is_left(&ex->cells[job], s, owner))) {
      n += shoal_cas64_release(&ex->cells[job].owner, &owner, 0);  // [C2]
      continue;
    }
    if (process == alive) continue;
    if (process != dead && !shoal_process_gone_(process)) {
      alive = process;
      continue;
    }
    dead = process;
    n += reap_cell(ex, job, s, owner);
  }
  return n;
}

// ---- the argument ----

int shoal_job_argument_(struct shoal_executor *ex, struct shoal_job_shm *cell, void **out, uint64_t *size) {
  uint64_t usable = SHOAL_JOB_SMALL_, bytes = __atomic_load_n(&cell->size, __ATOMIC_RELAXED);
  uint64_t kind = __atomic_load_n(&cell->task, __ATOMIC_RELAXED) & SHOAL_ARGUMENT_;
  struct shoal_block_ref ref = cell->block;
  void *at = cell->argument;
  if (kind == SHOAL_ARGUMENT_PLACE_) {
    at = shoal_segment_at(ex->seg, cell->off, bytes);
    usable = bytes;
  } else if (kind == SHOAL_ARGUMENT_INLINE_) {
    usable = SHOAL_JOB_INLINE_;
  } else if (kind == SHOAL_ARGUMENT_BLOCK_ || ref.off) {
    int rc = shoal_block_at_(ex->heap, &ref, ex->object.entry, ex->object.generation, &at, &usable);
    if (rc) return rc;
  }
  if (!at || bytes > usable) return shoal_fail_(-EOVERFLOW, "an argument of %llu bytes", (unsigned long long)bytes);
  *out = at;
  *size = bytes;
  return 0;
}

int shoal_job_result_(struct shoal_executor *ex, struct shoal_job_shm *cell, void **out, uint64_t *size) {
  if (!shoal_job_is_bytes_(cell)) return shoal_job_argument_(ex, cell, out, size);
  struct shoal_block_ref ref = cell->bytes.result;
  uint64_t usable = 0, bytes = ref.off ? cell->bytes.result_size : 0;
  void *at = NULL;
  int rc = ref.off ? shoal_block_at_(ex->heap, &ref, ex->object.entry, ex->object.generation, &at, &usable) : 0;
  if (rc) return rc;
  if (bytes > usable) return shoal_fail_(-EOVERFLOW, "a result of %llu bytes", (unsigned long long)bytes);
  *out = at;
  *size = bytes;
  return 0;
}

// The block is the executor's, or this process's while it is moved: whoever is killed in here, it goes with one of
// them.
int shoal_job_reply_(struct shoal_executor *ex, struct shoal_job_shm *cell, uint64_t size, void **out) {
  struct shoal_block_ref ref = cell->bytes.result;
  void *block = NULL;
  int rc = ref.off ? shoal_block_take_(ex->heap, &ref, ex->object.entry, ex->object.generation) : 0;
  if (rc && rc != -ENOENT) return rc;  // it may be the executor's still
  if (!rc && ref.off) block = shoal_segment_at(ex->seg, ref.off, 1);
  __atomic_store_n(&cell->bytes.result.off, 0, __ATOMIC_RELAXED);
  // of an attempt that died before it was the executor's: the dead process's, and goes with it
  if (!out) return block ? shoal_heap_free(ex->heap, block) : 0;
  rc = shoal_heap_realloc(ex->heap, &block, size);
  if (!block) return rc;
  int given = shoal_block_give_(ex->heap, block, ex->object.entry, ex->object.generation, &cell->bytes.result);
  if (given) {
    __atomic_store_n(&cell->bytes.result.off, 0, __ATOMIC_RELAXED);
    (void)shoal_heap_free(ex->heap, block);
  }
  if (rc || given) return rc ? rc : given;
  cell->bytes.result_size = size;
  *out = block;
  return 0;
}

// Copies a large argument into a block that is the executor's from then on.
static int fill_block(struct shoal_executor *ex, struct shoal_job_shm *cell, const struct shoal_submission_ *s) {
  void *block;
  __atomic_store_n(&cell->block.off, 0, __ATOMIC_RELAXED);
  int rc = shoal_heap_alloc(ex->heap, s->size, &block);
  if (rc) return rc;
  if (s->argument) memcpy(block, s->argument, s->size);
  rc = shoal_block_give_(ex->heap, block, ex->object.entry, ex->object.generation, &cell->block);
  if (rc) (void)shoal_heap_free(ex->heap, block);
  return rc;
}

static int fill_bytes(struct shoal_executor *ex, struct shoal_job_shm *cell, const struct shoal_submission_ *s) {
  __atomic_store_n(&cell->bytes.result.off, 0, __ATOMIC_RELAXED);
  if (s->size > SHOAL_JOB_SMALL_) return fill_block(ex, cell, s);
  __atomic_store_n(&cell->block.off, 0, __ATOMIC_RELAXED);
  if (s->size) memcpy(cell->bytes.small, s->argument, s->size);
  return 0;
}

// Nobody else reads the cell yet, but for its owner, generation and block.
static int fill(struct shoal_executor *ex, struct shoal_job_shm *cell, uint32_t generation,
                const struct shoal_submission_ *s) {
  uint64_t word = shoal_task_word_(s->task), limit = (uint64_t)ex->limit_ns;
  if (!word) return shoal_fail_(-ENOENT, "task %s is not registered in this program", s->task->name);
  uint64_t kind = s->task->bytes                         ? SHOAL_ARGUMENT_BYTES_
                  : !s->argument && s->size && !s->after ? SHOAL_ARGUMENT_PLACE_
                  : s->size <= SHOAL_JOB_INLINE_         ? SHOAL_ARGUMENT_INLINE_
                                                         : SHOAL_ARGUMENT_BLOCK_;
  if (kind == SHOAL_ARGUMENT_INLINE_ && s->argument) memcpy(cell->argument, s->argument, s->size);
  int rc = kind == SHOAL_ARGUMENT_BLOCK_ ? fill_block(ex, cell, s) : 0;
  if (kind == SHOAL_ARGUMENT_BYTES_) rc = fill_bytes(ex, cell, s);
  if (rc) return rc;
  __atomic_store_n(&cell->task, word | kind | (limit ? SHOAL_JOB_LIMITED_ : 0) | (s->ranges ? SHOAL_JOB_RANGES_ : 0),
                   __ATOMIC_RELAXED);
  __atomic_store_n(&cell->size, s->size, __ATOMIC_RELAXED);
  cell->off = s->off;
  shoal_store64_relaxed(&cell->next, (uint64_t)generation << 32);
  shoal_store64_relaxed(&cell->after, s->after);
  __atomic_store_n(&cell->chunk, s->chunk, __ATOMIC_RELAXED);
  shoal_store32_relaxed(&cell->progress, 0);
  if (s->chunk) shoal_store64_relaxed(&cell->lost, 0);
  return 0;
}

// ---- submitting ----

static int may_submit(struct shoal_executor *ex) {
  uint32_t broken = shoal_load32_acquire(&ex->shm->broken);  // [E2] pairs with [E1]: the reason is there
  if (SHOAL_UNLIKELY(broken)) return shoal_fail_(-ENOTRECOVERABLE, "the executor is broken: %.111s", ex->shm->reason);
  if (SHOAL_UNLIKELY(shoal_load32_relaxed(&ex->shm->terminated)))
    return shoal_fail_(-EPIPE, "the executor was terminated");
  // [X2] pairs with [X1]; a task that runs may still need others
  if (SHOAL_UNLIKELY(shoal_load32_seq_cst(&ex->shm->closed)) && shoal_executor_current() != ex)
    return shoal_fail_(-EPIPE, "the executor is closed");
  return 0;
}

// No longer to be seen, and the cell still ours. 0: it was cancelled meanwhile, and may be another's by now.
static int take_back(struct shoal_job_shm *cell, uint64_t state) {
  uint64_t flags = SHOAL_JOB_ASLEEP_ | SHOAL_JOB_DETACHED_, s = state;
  uint64_t gone = (uint64_t)shoal_job_generation_(state) << 32 | SHOAL_JOB_FREE_;
  while (!shoal_cas64_acq_rel(&cell->state, &s, gone))  // [J1] pairs with [J2]
    if ((s & ~flags) != (state & ~flags)) return 0;
  if (s & SHOAL_JOB_ASLEEP_) shoal_futex_wake(shoal_job_futex_(cell), INT32_MAX);
  return 1;
}

// One try to put the order, or until the deadline. <0: the job is not to be seen any more, the cell still ours.
static int publish(struct shoal_executor *ex, shoal_atomic64 *submitting, uint32_t job, uint64_t state,
                   shoal_deadline deadline) {
  struct shoal_job_shm *cell = &ex->cells[job];
  struct shoal_order_ order = {job, shoal_job_generation_(state)};
  // [U1] pairs with [U2]: seen by who sees us dead in here
  shoal_store64_release(submitting, 1 + shoal_job_token_(job, order.generation));
  shoal_store64_release(&cell->state, state);  // [J1] pairs with [J2]
  int rc = orders_put(ex->queue, &order, deadline);
  if (rc && !take_back(cell, state)) rc = 0;
  shoal_store64_release(submitting, 0);  // [U1]
  return rc;
}

// A full queue: a worker runs the job itself, others sleep, and look after the workers.
static int publish_waiting(struct shoal_executor *ex, shoal_atomic64 *submitting, uint32_t job, uint64_t state,
                           shoal_deadline deadline) {
  for (;;) {
    int rc = publish(ex, submitting, job, state, SHOAL_TRY);
    if (rc != -EAGAIN) return rc;
    if (shoal_executor_run_new_(ex, job, shoal_job_generation_(state), (state & SHOAL_JOB_DETACHED_) != 0)) return 0;
    if (shoal_deadline_is_try(deadline)) return rc;
    rc = shoal_executor_care_(ex);
    if (!rc) rc = publish(ex, submitting, job, state, shoal_executor_slice_(deadline));
    if (rc != -ETIMEDOUT && rc != -EAGAIN) return rc;
    if (shoal_deadline_passed(deadline)) return -ETIMEDOUT;
  }
}

// No order yet: it is the next of another job. -EBUSY: that has one. 0, too, if it was cancelled meanwhile.
static int publish_next(struct shoal_executor *ex, shoal_atomic64 *submitting, uint32_t job, uint64_t state,
                        const struct shoal_submission_ *sub) {
  struct shoal_job_shm *cell = &ex->cells[job], *first = &ex->cells[(uint32_t)(sub->after - 1)];
  uint64_t was = (sub->after - 1) >> 32 << 32, us = was | (job + 1);
  // [U1], [J1] as in publish
  shoal_store64_release(submitting, 1 + shoal_job_token_(job, shoal_job_generation_(state)));
  shoal_store64_release(&cell->state, state);              // [J1]
  int told = shoal_cas64_seq_cst(&first->next, &was, us);  // [Y5] pairs with [Y1]
  if (!told && was >> 32 == us >> 32 && !shoal_job_is_needed_(ex, (uint32_t)(sub->after - 1), us >> 32, was))
    told = shoal_cas64_seq_cst(&first->next, &was, us);  // [Y5]: that one is done with it
  int cancelled = !told && !take_back(cell, state);
  if (told) shoal_job_waits_(ex, job, state);  // its order may be ours to put
  shoal_store64_release(submitting, 0);        // [U1]
  if (told) return 0;
  if (cancelled) return 0;
  if (was >> 32 != us >> 32) return shoal_future_released_();
  return shoal_fail_(-EBUSY, "another job begins when that one is over");
}

static void give_up_cell(struct shoal_executor *ex, uint32_t job, uint32_t generation) {
  struct shoal_job_shm *cell = &ex->cells[job];
  end_block(ex, &cell->block, &cell->owner, shoal_load64_relaxed(&cell->owner));
  disown(cell, generation);
  shoal_job_remember_(ex, job);
}

int shoal_job_submit_(struct shoal_executor *ex, const struct shoal_submission_ *s, struct shoal_future *out) {
  uint32_t job, generation;
  int rc = may_submit(ex), role = rc ? rc : shoal_role_mine(&ex->queue->wait, SHOAL_PRODUCER);
  if (role < 0) return role;
  if ((uint32_t)role > ex->producers) return shoal_fail_(-EPROTO, "producer %d of %u", role, ex->producers);
  shoal_atomic64 *submitting = &ex->submitting[role - 1].job;
  uint64_t left = shoal_load64_relaxed(submitting);  // [U2] is [A4] of core/robust.c: the role was a dead one's
  // who had this role before us died in here, though its process may not have gone yet
  if (SHOAL_UNLIKELY(left)) abandon(ex, left, 1);
  rc = claim(ex, &job, &generation);
  if (rc) return rc;
  rc = fill(ex, &ex->cells[job], generation, s);
  uint64_t state = (uint64_t)generation << 32 | SHOAL_JOB_PENDING_ | (s->detached ? SHOAL_JOB_DETACHED_ : 0);
  if (!rc)
    rc = s->after ? publish_next(ex, submitting, job, state, s)
                  : publish_waiting(ex, submitting, job, state, s->deadline);
  if (rc == -EPIPE) rc = shoal_fail_(-EPIPE, "the executor is closed");
  shoal_future_submitted_();
  if (rc) give_up_cell(ex, job, generation);
  else if (out) *out = (struct shoal_future){ex, job, generation};
  return rc;
}

int shoal_executor_submit_task(struct shoal_executor *ex, const struct shoal_task *task, const void *argument,
                               uint64_t size, shoal_deadline deadline, struct shoal_future *out) {
  if (SHOAL_UNLIKELY(size != task->size && !task->bytes))
    return shoal_fail_(-EBADMSG, "task %s takes a %s of %llu bytes, not %llu", task->name, task->type,
                       (unsigned long long)task->size, (unsigned long long)size);
  if (SHOAL_UNLIKELY(!argument && size)) return shoal_fail_(-EINVAL, "no argument for task %s", task->name);
  struct shoal_submission_ s = {
      .task = task, .argument = argument, .size = size, .detached = !out, .deadline = deadline};
  return shoal_job_submit_(ex, &s, out);
}

int shoal_executor_submit(struct shoal_executor *ex, const char *task, const void *argument, uint64_t size,
                          shoal_deadline deadline, struct shoal_future *out) {
  const struct shoal_task *found;
  int rc = shoal_task_find(task, &found);
  return rc ? rc : shoal_executor_submit_task(ex, found, argument, size, deadline, out);
}

// ---- the end of a job ----

// As shoal_job_finish_; *never: the next job, if it will not begin.
static int finish_one(struct shoal_executor *ex, uint32_t job, uint64_t s, enum shoal_job_state_ to,
                      struct shoal_next_ *never) {
  struct shoal_job_shm *cell = &ex->cells[job];
  uint64_t more = s & (SHOAL_JOB_DETACHED_ | SHOAL_JOB_DIED_), flags = SHOAL_JOB_ASLEEP_ | SHOAL_JOB_DETACHED_;
  uint64_t is = s & ~(flags | SHOAL_JOB_DIED_);
  uint64_t after = shoal_load64_relaxed(&cell->after);
  s &= ~more;
  // [J1] pairs with [J2]: the result, or the failure, is there
  while (!shoal_cas64_seq_cst(&cell->state, &s, shoal_job_with_(s, to) | more))
    if ((s & ~flags) != is) return 0;
  s = shoal_job_with_(s, to) | more;
  uint64_t next = shoal_load64_seq_cst(&cell->next);  // [Y1] pairs with [Y5]: who comes later sees that it is over
  if (s & SHOAL_JOB_ASLEEP_) shoal_futex_wake(shoal_job_futex_(cell), INT32_MAX);
  if (SHOAL_UNLIKELY((uint32_t)next)) *never = shoal_job_order_next_(ex, job, shoal_job_generation_(s), next);
  if (SHOAL_UNLIKELY(after)) shoal_job_let_go_(ex, job, after);
  if (s & SHOAL_JOB_DETACHED_) shoal_job_free_(ex, job, s);
  return 1;
}
int shoal_job_finish_(struct shoal_executor *ex, uint32_t job, uint64_t s, enum shoal_job_state_ to) {
  struct shoal_next_ never = {0};
  if (!finish_one(ex, job, s, to, &never)) return 0;
  while (SHOAL_UNLIKELY(never.s)) {  // however many wait for one another
    struct shoal_next_ one = never;
    never.s = 0;
    (void)finish_one(ex, one.job, one.s, SHOAL_JOB_CANCELLED_, &never);
  }
  return 1;
}

void shoal_job_kill_(struct shoal_executor *ex, uint64_t s) {
  uint32_t worker = shoal_job_worker_(s);
  if (shoal_job_state_of_(s) != SHOAL_JOB_CONDEMNED_ || worker >= ex->workers) return;
  shoal_store32_release(&ex->desks[worker].kill, 1 + shoal_job_incarnation_(s));  // [K4] pairs with [K3]
  if (shoal_executor_is_creator_(ex)) ex->tended_ns = 0;                          // it looks before it sleeps
  else shoal_executor_attend_(ex);
}

int shoal_job_condemn_(struct shoal_executor *ex, uint32_t job, uint64_t s, uint64_t how) {
  struct shoal_job_shm *cell = &ex->cells[job];
  uint64_t is = s & ~(SHOAL_JOB_ASLEEP_ | SHOAL_JOB_DETACHED_);
  // relaxed: the word is all there is to know
  while (!shoal_cas64_relaxed(&cell->state, &s, shoal_job_with_(s, SHOAL_JOB_CONDEMNED_) | how))
    if ((s & ~(SHOAL_JOB_ASLEEP_ | SHOAL_JOB_DETACHED_)) != is) return 0;
  shoal_job_kill_(ex, shoal_job_with_(s, SHOAL_JOB_CONDEMNED_));
  return 1;
}
