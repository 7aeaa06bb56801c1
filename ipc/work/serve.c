// What a worker does with an order.
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "core/error.h"
#include "core/futex.h"
#include "ipc/queue/queue_internal.h"
#include "ipc/work/executor_internal.h"
#include "ipc/work/map.h"
#include "ipc/work/process.h"

static __thread struct {  // in a worker
  struct shoal_executor *executor;
  uint32_t worker, incarnation;
  uint32_t epoch;
  uint32_t depth;                 // tasks that run, one within another
  const struct shoal_task *told;  // at the desk
} self;

struct shoal_executor *shoal_executor_current(void) {
  return self.epoch == shoal_epoch() ? self.executor : NULL;
}

// ---- who a worker is ----
//
// valid:1 | incarnation:9 | role:12 | tid:24      of the thread whose consumer's role it is

#define TID_BITS 24
#define ROLE_BITS 12
#define VALID (UINT64_C(1) << 63)

int shoal_executor_be_worker_(struct shoal_executor *ex, uint32_t worker, uint32_t incarnation) {
  if (self.executor == ex && self.epoch == shoal_epoch() && self.worker == worker) return 0;
  int role = shoal_role_mine(&ex->queue->wait, SHOAL_CONSUMER);
  if (role < 0) return role;
  self.executor = ex;
  self.worker = worker;
  self.incarnation = incarnation;
  self.epoch = shoal_epoch();
  self.told = NULL;
  uint64_t who =
      (uint64_t)(incarnation & 511) << (TID_BITS + ROLE_BITS) | (uint64_t)role << TID_BITS | shoal_self_()->tid;
  shoal_store64_release(&ex->desks[worker].who, VALID | who);  // [I1] pairs with [I2]: before anything is RUNNING by it
  return 0;
}

uint32_t shoal_executor_tid_(const struct shoal_executor *ex, uint32_t worker) {
  return (uint32_t)shoal_load64_relaxed(&ex->desks[worker].who) & ((1u << TID_BITS) - 1);
}

int shoal_executor_runner_lives_(struct shoal_executor *ex, uint64_t s) {
  uint32_t worker = shoal_job_worker_(s);
  if (worker >= ex->workers) return 0;
  if (shoal_job_is_ended_(shoal_load64_acquire(&ex->desks[worker].ended), s)) return 0;  // [D2] pairs with [D1]
  uint64_t who = shoal_load64_acquire(&ex->desks[worker].who);                           // [I2]
  uint32_t role = (uint32_t)(who >> TID_BITS) & ((1u << ROLE_BITS) - 1);
  if ((who >> (TID_BITS + ROLE_BITS) & 511) != shoal_job_incarnation_(s)) return 0;
  if (!shoal_role_valid_(&ex->queue->wait, role)) return 0;
  // [A5] of sync/eventcount.h. Who has its order in hand sees the word of an heir, or a later one
  uint32_t word = shoal_load32_acquire(&shoal_role_at_(&ex->queue->wait, role)->live.word);
  return !shoal_robust_is_dead(word) && shoal_robust_owner(word) == (who & ((1u << TID_BITS) - 1));
}

void shoal_executor_mark_gone_(struct shoal_executor *ex, uint32_t worker) {
  uint64_t who = shoal_load64_acquire(&ex->desks[worker].who);  // [I2]
  uint32_t role = (uint32_t)(who >> TID_BITS) & ((1u << ROLE_BITS) - 1);
  if (!shoal_role_valid_(&ex->queue->wait, role)) return;
  struct shoal_robust *live = &shoal_role_at_(&ex->queue->wait, role)->live;
  uint32_t word = shoal_load32_relaxed(&live->word), tid = who & ((1u << TID_BITS) - 1);
  if (tid && shoal_robust_owner(word) == tid) shoal_robust_mark_if_gone_(live, word);
}

// ---- running ----

struct run {  // a job in hand
  struct shoal_executor *ex;
  struct shoal_job_shm *cell;
  uint32_t job;
  uint64_t s;    // RUNNING, by us
  uint64_t was;  // before that
};

static int fail(const struct run *r, uint32_t element, int code, const char *why) {
  if (code >= 0) code = code ? -code : -EPROTO;  // a task's positive answer is an error like any
  shoal_store32_relaxed(&r->cell->code, (uint32_t)code);
  r->cell->element = element;
  snprintf(r->cell->message, sizeof r->cell->message, "%s", why);
  return code;
}

// Of several chunks, another may be lost with its worker later, and the rest be ours no more.
static int fail_of(const struct run *r, uint32_t chunk, uint32_t element, int code) {
  uint64_t by = (r->s & SHOAL_JOB_BY_) | shoal_job_by_(0, 0, 1);
  if (chunk) shoal_store64_relaxed(&r->cell->lost, shoal_load64_relaxed(&r->cell->lost) | by);
  return fail(r, element, code, shoal_reason());
}

// Of several chunks, the one that a dead worker had in hand is lost, and the next one is where we begin; its failure is
// written down before `progress` passes it, so whoever is killed in here leaves that to be done again.
static SHOAL_NOINLINE uint32_t lose_chunk(const struct run *r, uint32_t chunk, uint32_t progress, uint64_t n) {
  uint32_t done = progress & ~SHOAL_HAS_FAILED_, which = done / chunk;
  if (done >= n || which >= SHOAL_CHUNKS_) return progress;
  uint64_t lost = shoal_load64_relaxed(&r->cell->lost), bit = UINT64_C(1) << (32 + which);
  if (!(lost & bit)) {  // else we are the second to say so, and who died is not whom it was lost with
    uint64_t by = (r->was & SHOAL_JOB_BY_) | shoal_job_by_(0, 0, 1) | SHOAL_JOB_DIED_;
    if (!(progress & SHOAL_HAS_FAILED_)) lost = (lost & ~(uint64_t)UINT32_MAX) | by;
    shoal_store64_relaxed(&r->cell->lost, lost | bit);
  }
  if (!(progress & SHOAL_HAS_FAILED_)) fail(r, done, -ENOTRECOVERABLE, "the worker died");
  uint64_t next = (uint64_t)(which + 1) * chunk;
  progress = (uint32_t)(next < n ? next : n) | SHOAL_HAS_FAILED_;
  shoal_store32_release(&r->cell->progress, progress);  // [N1] pairs with [N2]
  return progress;
}

// 0, or its first failure, which is written down. All structs are done, whatever some answer.
static int run_each(const struct run *r, const struct shoal_task *task, char *argument, uint64_t n) {
  uint32_t done = shoal_load32_relaxed(&r->cell->progress);
  uint32_t chunk = __atomic_load_n(&r->cell->chunk, __ATOMIC_RELAXED);
  if (SHOAL_UNLIKELY(chunk && shoal_job_attempt_(r->s) > 1)) done = lose_chunk(r, chunk, done, n);
  int failed = done & SHOAL_HAS_FAILED_ ? (int)shoal_load32_relaxed(&r->cell->code) : 0;  // in an attempt before this
  for (uint64_t i = done & ~SHOAL_HAS_FAILED_; i < n; i++) {
    shoal_reason_clear();
    int rc = task->run(argument + i * task->size);
    if (SHOAL_UNLIKELY(rc) && !failed) failed = fail_of(r, chunk, (uint32_t)i, rc);
    done = (uint32_t)(i + 1) | (failed ? SHOAL_HAS_FAILED_ : 0);
    if (n > 1) shoal_store32_release(&r->cell->progress, done);  // [N1] pairs with [N2]
  }
  return failed;
}

struct bytes_run {
  struct shoal_bytes bytes;
  const struct run *r;
};

static int reply(const struct shoal_bytes *bytes, uint64_t size, void **out) {
  const struct run *r = SHOAL_EMBEDS((struct shoal_bytes *)(uintptr_t)bytes, struct bytes_run, bytes)->r;
  return shoal_job_reply_(r->ex, r->cell, size, out);
}

static SHOAL_NOINLINE int run_bytes(const struct run *r, const struct shoal_task *task, const void *data,
                                    uint64_t size) {
  struct bytes_run b = {{data, size, reply}, r};
  int rc = shoal_job_attempt_(r->s) > 1 ? shoal_job_reply_(r->ex, r->cell, 0, NULL) : 0;  // what the dead one has left
  if (rc) return fail(r, 0, rc, shoal_reason());
  shoal_reason_clear();
  rc = task->run(&b.bytes);
  return rc ? fail(r, 0, rc, shoal_reason()) : 0;
}

// Claims a share of what is left for the range at `range`. What is claimed is written there first: killed in between,
// with retries, it is done again.
static int claim_range(const struct run *r, struct shoal_cursor_shm_ *cursor, struct shoal_range *range) {
  uint64_t end = __atomic_load_n(&cursor->end, __ATOMIC_RELAXED), at = shoal_load64_relaxed(&cursor->next);
  uint64_t grain = cursor->grain, shares = 2 * (uint64_t)(cursor->parts ? cursor->parts : 1);
  while (at < end) {
    uint64_t n = (end - at) / shares;
    if (n < grain) n = grain < end - at ? grain : end - at;
    if (!n) n = 1;
    *range = (struct shoal_range){at, at + n};
    shoal_store32_release(&r->cell->progress, 1);  // [N1] pairs with [N2]: the range is written
    if (shoal_cas64_relaxed(&cursor->next, &at, at + n)) return 1;
    shoal_store32_release(&r->cell->progress, 0);  // [N1]
  }
  return 0;
}

static int run_ranges(const struct run *r, const struct shoal_task *task, void *argument) {
  struct shoal_cursor_shm_ *cursor = shoal_segment_at(r->ex->seg, r->cell->off, sizeof *cursor);
  if (!cursor || task->size < sizeof(struct shoal_range)) return fail(r, 0, -EOVERFLOW, "no cursor");
  int rc = 0;
  while (!rc && (shoal_load32_relaxed(&r->cell->progress) || claim_range(r, cursor, argument))) {
    shoal_reason_clear();
    rc = task->run(argument);
    if (rc) rc = fail(r, 0, rc, shoal_reason());        // killed before the job says so, retried, it is done again
    else shoal_store32_release(&r->cell->progress, 0);  // [N1]
  }
  return rc;
}

// A range that is counted once: on a copy of the argument, which lies behind it, whoever has died in that before.
static int run_afresh(const struct run *r, const struct shoal_task *task, char *argument, uint64_t n) {
  if (n != 2) return fail(r, 0, -EBADMSG, "an argument of another size");
  memcpy(argument + task->size, argument, task->size);
  shoal_reason_clear();
  int rc = task->run(argument + task->size);
  return rc ? fail(r, 0, rc, shoal_reason()) : 0;
}

// The result of the job that had to be over first becomes the argument; its failure becomes ours. Copied again, if that
// is cut short, as it is kept until `after` says that it was.
static int inherit(const struct run *r, void *argument, uint64_t size, int *cancelled) {
  uint64_t after = shoal_load64_relaxed(&r->cell->after), has = 0;
  uint32_t job = (uint32_t)(after - 1);
  uint64_t s = shoal_job_look_(r->ex, job, (uint32_t)((after - 1) >> 32));
  void *from;
  if (!s || !shoal_job_over_(s)) return fail(r, 0, -EPROTO, "what it waited for is no more");
  if (shoal_job_state_of_(s) == SHOAL_JOB_CANCELLED_) return *cancelled = 1, -ECANCELED;
  if (shoal_job_state_of_(s) != SHOAL_JOB_DONE_) {
    struct shoal_failure failure;
    shoal_future_tell_(r->ex, job, s, &failure);
    return fail(r, (uint32_t)failure.element, failure.code, failure.message);
  }
  int rc = shoal_job_result_(r->ex, &r->ex->cells[job], &from, &has);
  if (rc || has != size) return fail(r, 0, rc ? rc : -EBADMSG, rc ? shoal_reason() : "a result of another size");
  memcpy(argument, from, size);
  shoal_store64_release(&r->cell->after, 0);  // [Y8] pairs with [Y9] of ipc/work/job_then.c
  shoal_job_let_go_(r->ex, r->job, after);
  return 0;
}

// For who looks from outside: nobody decides anything by it.
static SHOAL_NOINLINE void tell_task(struct shoal_desk_shm *desk, const struct shoal_task *task) {
  uint64_t name[3] = {0};
  memcpy(name, task->name, strnlen(task->name, sizeof name));
  for (unsigned i = 0; i < 3; i++) shoal_store64_relaxed(&desk->task[i], name[i]);
  self.told = task;
}

static int run_task(const struct run *r, int *cancelled) {
  uint64_t word = __atomic_load_n(&r->cell->task, __ATOMIC_RELAXED), size;
  const struct shoal_task *task = shoal_task_of_(word);
  void *argument;
  if (SHOAL_UNLIKELY(!task)) return fail(r, 0, -ENOENT, "the workers' program has no such task");
  if (SHOAL_UNLIKELY(self.told != task) && self.depth == 1) tell_task(&r->ex->desks[self.worker], task);
  int rc = shoal_job_argument_(r->ex, r->cell, &argument, &size);
  if (SHOAL_UNLIKELY(rc)) return fail(r, 0, rc, shoal_reason());
  if (SHOAL_UNLIKELY(task->bytes && shoal_job_is_bytes_(r->cell))) return run_bytes(r, task, argument, size);
  uint64_t n = SHOAL_LIKELY(task->size) ? size / task->size : 1;  // 0: an empty struct
  if (SHOAL_UNLIKELY(!n || size != n * task->size || task->bytes || shoal_job_is_bytes_(r->cell)))
    return fail(r, 0, -EBADMSG, "an argument of another size");
  if (SHOAL_UNLIKELY(shoal_load64_relaxed(&r->cell->after))) rc = inherit(r, argument, size, cancelled);
  if (rc) return rc;
  if (word & SHOAL_JOB_RANGES_) return r->cell->off ? run_ranges(r, task, argument) : run_afresh(r, task, argument, n);
  return run_each(r, task, argument, n);
}

// When the creator is to condemn it: the job's own word before the desk's, which leads there.
static void note_limit(const struct run *r, struct shoal_desk_shm *desk) {
  uint64_t until = (uint64_t)shoal_after_ns(r->ex->limit_ns).ns;
  shoal_store64_release(&r->cell->until_ns, until);                                          // [T1]
  shoal_store64_release(&desk->job, shoal_job_token_(r->job, shoal_job_generation_(r->s)));  // [T1] pairs with [T2]
  shoal_store64_release(&desk->until_ns, until);                                             // [T1]
}

static void __attribute__((noreturn)) end_worker(const struct shoal_executor *ex) {
  if (ex->threads) pthread_exit(NULL);
  shoal_process_exit(1);
}

static int run(const struct run *r, uint32_t worker) {
  struct shoal_desk_shm *desk = &r->ex->desks[worker];
  // what a task runs while it waits ends within that task's limit, which is the first to be reached
  int limited = !self.depth && (__atomic_load_n(&r->cell->task, __ATOMIC_RELAXED) & SHOAL_JOB_LIMITED_);
  if (limited) note_limit(r, desk);
  else if (!self.depth && !r->ex->limit_ns)  // where there are limits, the job at the desk is one that has one
    shoal_store64_relaxed(&desk->job, shoal_job_token_(r->job, shoal_job_generation_(r->s)));
  uint32_t depth = ++self.depth;
  int cancelled = 0, rc = run_task(r, &cancelled);
  if (self.depth != depth) end_worker(r->ex);  // by longjmp, out of another that runs still: nobody would end it
  self.depth = depth - 1;
  if (limited) shoal_store64_release(&desk->until_ns, 0);  // [T1]
  // Condemned meanwhile: it must not be over, nor anything else begun, while this process lives.
  enum shoal_job_state_ to = cancelled ? SHOAL_JOB_CANCELLED_ : rc ? SHOAL_JOB_FAILED_ : SHOAL_JOB_DONE_;
  if (!shoal_job_finish_(r->ex, r->job, r->s, to) && !r->ex->threads) shoal_process_exit(1);
  return rc;
}

// Whoever ran it has died with it. Nothing but its word is written: others may do the same, and be faster.
static int end_dead(const struct run *r) {
  if (shoal_job_state_of_(r->s) == SHOAL_JOB_CONDEMNED_ && !(r->s & SHOAL_JOB_LATE_))
    return shoal_job_finish_(r->ex, r->job, r->s, SHOAL_JOB_CANCELLED_);
  // of several structs, the first that failed by itself stays
  uint64_t died = shoal_load32_relaxed(&r->cell->progress) & SHOAL_HAS_FAILED_ ? 0 : SHOAL_JOB_DIED_;
  return shoal_job_finish_(r->ex, r->job, r->s | died, r->ex->letters ? SHOAL_JOB_DEAD_ : SHOAL_JOB_FAILED_);
}
// It may be condemned just now, and then nobody else would end it.
static int after_death(struct run *r) {
  uint32_t generation = shoal_job_generation_(r->s);
  for (uint64_t s; !end_dead(r); r->s = s) {
    s = shoal_job_look_(r->ex, r->job, generation);
    if (shoal_job_state_of_(s) != SHOAL_JOB_CONDEMNED_ || shoal_executor_runner_lives_(r->ex, s)) break;
  }
  int cancelled = shoal_job_state_of_(r->s) == SHOAL_JOB_CONDEMNED_ && !(r->s & SHOAL_JOB_LATE_);
  return cancelled ? -ECANCELED : -ENOTRECOVERABLE;
}

// It was over when its worker died: whom that did not wake any more, or what it did not free.
static int after_end(const struct run *r) {
  uint64_t next = shoal_load64_relaxed(&r->cell->next), after = shoal_load64_relaxed(&r->cell->after);
  if ((uint32_t)next) shoal_job_follow_(r->ex, r->job, shoal_job_generation_(r->s), next);
  if (after) shoal_job_let_go_(r->ex, r->job, after);
  if (r->s & SHOAL_JOB_ASLEEP_) shoal_futex_wake(shoal_job_futex_(r->cell), INT32_MAX);
  if (r->s & SHOAL_JOB_DETACHED_) shoal_job_free_(r->ex, r->job, r->s);
  return 0;
}

// Its runner has died, and the creator will have it tried again, later.
static int is_for_later(const struct run *r) {
  return r->ex->backoff && shoal_job_state_of_(r->s) == SHOAL_JOB_RUNNING_ &&
         shoal_job_attempt_(r->s) <= r->ex->retries;
}

// For a job that is not over.
static int waits(const struct run *r) {
  uint64_t after = shoal_load64_relaxed(&r->cell->after);
  uint64_t s = after ? shoal_job_look_(r->ex, (uint32_t)(after - 1), (uint32_t)((after - 1) >> 32)) : 0;
  return s && !shoal_job_over_(s);
}

static int may_begin(const struct run *r) {
  uint32_t state = shoal_job_state_of_(r->s);
  if (state == SHOAL_JOB_PENDING_) {
    int64_t due = shoal_job_due_(r->cell, r->s);
    if (SHOAL_UNLIKELY(shoal_load64_relaxed(&r->cell->after)) && waits(r)) return 0;
    return due == INT64_MAX || shoal_now_ns() >= due;
  }
  if (state != SHOAL_JOB_RUNNING_ || is_for_later(r)) return 0;
  if (shoal_job_attempt_(r->s) > shoal_job_retries_(r->ex, r->cell)) return 0;
  return !shoal_executor_runner_lives_(r->ex, r->s);
}

// 1: it is the caller's to run, in state r->s. 0: it is not to be begun (any more).
static int begin(struct run *r, uint32_t generation, uint32_t worker, uint32_t incarnation) {
  while (shoal_job_generation_(r->s) == generation && may_begin(r)) {
    uint64_t by = shoal_job_by_(worker, incarnation, shoal_job_attempt_(r->s) + 1);
    uint64_t mine = (r->s & ~(SHOAL_JOB_WORKER_ | 7)) | SHOAL_JOB_RUNNING_ | by;
    r->was = r->s;
    if (!shoal_cas64_acq_rel(&r->cell->state, &r->s, mine)) continue;  // [J2]
    r->s = mine;
    return 1;
  }
  return 0;
}

// Of an order whose job is not to be begun: what became of that.
static int look_back(struct run *r, uint32_t generation) {
  if (shoal_job_generation_(r->s) != generation) return shoal_job_freed_(r->ex, r->job, generation, r->s), 0;
  if (shoal_job_over_(r->s)) return after_end(r);
  if (shoal_job_state_of_(r->s) < SHOAL_JOB_RUNNING_ || shoal_executor_runner_lives_(r->ex, r->s)) return 0;
  return is_for_later(r) ? 0 : after_death(r);
}

struct taken {  // an order
  struct run r;
  struct shoal_order_ order;
  int begun, rc;  // rc: what was found out about a job that is not to be begun
};

static void look_at_order(struct taken *t) {
  struct shoal_executor *ex = t->r.ex;
  t->r.job = t->order.job;
  // terminated: the creator ends what is left
  if (SHOAL_UNLIKELY(t->order.job >= ex->jobs || shoal_load32_relaxed(&ex->shm->terminated))) return;
  t->r.cell = &ex->cells[t->order.job];
  shoal_prefetch_write(&t->r.cell->state);           // it is to be written: not fetched twice
  __builtin_prefetch(&t->r.cell->owner, 0, 3);       // the line of what is read next
  t->r.s = shoal_load64_acquire(&t->r.cell->state);  // [J2] pairs with [J1]; [N2] what a dead runner had done
  t->begun = begin(&t->r, t->order.generation, self.worker, self.incarnation);
  if (!t->begun) t->rc = look_back(&t->r, t->order.generation);
}

// The order goes before the job runs: in a ring, what takes long would hold up what comes a lap later. From here on the
// state says whose it is.
static void take(void *arg, const void *element) {
  struct taken *t = arg;
  t->order = *(const struct shoal_order_ *)element;
  look_at_order(t);
}

int shoal_executor_serve_(struct shoal_executor *ex, shoal_deadline deadline) {
  struct taken t = {.r.ex = ex};
  int rc = shoal_queue_use_(ex->queue, take, &t, deadline);
  if (rc) return rc;
  if (t.begun) t.rc = run(&t.r, self.worker);
  return t.rc ? 1 : t.begun ? 0 : 2;
}

int shoal_executor_run_(void *arg, unsigned worker, uint32_t incarnation, shoal_deadline deadline) {
  int rc = shoal_executor_be_worker_(arg, worker, incarnation);
  return rc ? rc : shoal_executor_serve_(arg, deadline);
}

static int is_worker_of(const struct shoal_executor *ex) { return ex && shoal_executor_current() == ex; }

// What the task that waits has said is its own.
static void run_within(const struct run *r) {
  struct shoal_kept_reason_ kept;
  shoal_reason_keep_(&kept);
  run(r, self.worker);
  shoal_reason_restore_(&kept);
}

// What that job waits for, and nobody has begun: the first of them.
static uint32_t first_of(const struct shoal_executor *ex, uint32_t job, uint64_t *s) {
  for (uint32_t n = ex->jobs; n; n--) {
    uint64_t after = shoal_load64_relaxed(&ex->cells[job].after);
    uint64_t is = after ? shoal_job_look_(ex, (uint32_t)(after - 1), (uint32_t)((after - 1) >> 32)) : 0;
    if (shoal_job_state_of_(is) != SHOAL_JOB_PENDING_) break;
    job = (uint32_t)(after - 1);
    *s = is;
  }
  return job;
}

int shoal_executor_run_here_(struct shoal_executor *ex, uint32_t job, uint64_t s) {
  if (shoal_job_state_of_(s) != SHOAL_JOB_PENDING_ || !is_worker_of(ex)) return 0;
  job = first_of(ex, job, &s);
  struct run r = {.ex = ex, .cell = &ex->cells[job], .job = job, .s = s};
  if (!begin(&r, shoal_job_generation_(s), self.worker, self.incarnation)) return 0;
  run_within(&r);
  return 1;
}

int shoal_executor_run_new_(struct shoal_executor *ex, uint32_t job, uint32_t generation, int detached) {
  if (!is_worker_of(ex)) return 0;
  uint64_t by = shoal_job_by_(self.worker, self.incarnation, 1) | (detached ? SHOAL_JOB_DETACHED_ : 0);
  struct run r = {.ex = ex, .cell = &ex->cells[job], .job = job};
  r.s = (uint64_t)generation << 32 | by | SHOAL_JOB_RUNNING_;
  shoal_store64_release(&r.cell->state, r.s);  // [J1] pairs with [J2]
  run_within(&r);
  return 1;
}

void shoal_executor_end_(struct shoal_executor *ex, uint32_t job, uint64_t s) {
  struct run r = {.ex = ex, .cell = &ex->cells[job], .job = job, .s = s};
  if (shoal_job_over_(s)) after_end(&r);
  else after_death(&r);
}

// ---- a worker that is no copy of the creator ----

SHOAL_TASK(shoal_work_for_executor, struct shoal_pool_birth_) {
  struct shoal_executor *ex;
  struct shoal_pool *pool;
  struct shoal_pool_worker_ worker;
  struct shoal_object object;
  int rc = shoal_pool_born_(arg, &pool, &worker);
  if (rc) return rc;
  rc = shoal_pool_told_(&arg->other, &object);
  if (!rc) rc = shoal_executor_adopt_(pool->seg, &object, &ex);
  if (rc) return shoal_pool_refuse_(&worker, rc);
  struct shoal_pool_hooks_ hooks = {.run = shoal_executor_run_, .arg = ex};
  pool->options.hooks_ = &hooks;
  pool->queue = ex->queue;
  return shoal_pool_be_worker_(&worker);
}
