#include "ipc/work/executor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "core/futex.h"
#include "ipc/queue/queue_internal.h"
#include "ipc/work/executor_internal.h"
#include "ipc/work/processors.h"

#define MAGIC 0x51784534u
#define YIELDS 16u  // a worker without an order lets who submits go on, who need not wake it then
#define ALIGN(n) (((n) + 63) & ~UINT64_C(63))

// ---- layout ----

struct layout {
  uint64_t desks, submitting, queue, cells, size;
};

static struct shoal_queue_options queue_options(uint32_t jobs, uint32_t workers, uint32_t producers) {
  // the pool's creator is a consumer, too; a dead worker's role may not be free yet when its successor joins
  return (struct shoal_queue_options){.capacity = jobs / 2,
                                      .element_size = sizeof(struct shoal_order_),
                                      .producers = producers,
                                      .consumers = workers + 2};
}

static struct layout lay_out(uint32_t jobs, uint32_t workers, uint32_t producers) {
  struct shoal_queue_options o = queue_options(jobs, workers, producers);
  struct layout l;
  l.desks = sizeof(struct shoal_executor_shm);
  l.submitting = l.desks + workers * sizeof(struct shoal_desk_shm);
  l.queue = l.submitting + producers * sizeof(struct shoal_submitting_shm);
  l.cells = ALIGN(l.queue + shoal_queue_size_(&o));
  l.size = l.cells + jobs * sizeof(struct shoal_job_shm);
  return l;
}

// ---- the handle ----

static void dispose(struct shoal_executor *ex) {
  if (ex->queue) shoal_queue_detach(ex->queue);
  if (ex->heap) shoal_heap_close(ex->heap);
  shoal_callbacks_dispose_(ex);
  free(ex->retry);
  free(ex->owed);
  free(ex->free_cells);
  free(ex);
}

static int attach(struct shoal_executor *ex) {
  struct shoal_executor_shm *shm = ex->object.memory;
  if (ex->object.size < sizeof *shm || __atomic_load_n(&shm->magic, __ATOMIC_ACQUIRE) != MAGIC)  // [M2] pairs with [M1]
    return shoal_fail_(-EPROTO, "not an executor");
  ex->jobs = __atomic_load_n(&shm->jobs, __ATOMIC_RELAXED);
  ex->workers = __atomic_load_n(&shm->workers, __ATOMIC_RELAXED);
  ex->producers = __atomic_load_n(&shm->producers, __ATOMIC_RELAXED);
  ex->retries = __atomic_load_n(&shm->retries, __ATOMIC_RELAXED);
  ex->threads = __atomic_load_n(&shm->threads, __ATOMIC_RELAXED) != 0;
  ex->letters = __atomic_load_n(&shm->letters, __ATOMIC_RELAXED) != 0;
  ex->backoff = __atomic_load_n(&shm->backoff, __ATOMIC_RELAXED) != 0;
  ex->limit_ns = (int64_t)__atomic_load_n(&shm->limit_ns, __ATOMIC_RELAXED);
  ex->creator = __atomic_load_n(&shm->creator, __ATOMIC_RELAXED);
  if (ex->jobs < 16 || ex->jobs > SHOAL_EXECUTOR_JOBS_MAX || (ex->jobs & (ex->jobs - 1)) ||
      ex->workers - 1 >= SHOAL_EXECUTOR_WORKERS_MAX || ex->producers - 1 >= SHOAL_ROLES_MAX)
    return shoal_fail_(-EPROTO, "an executor of %u jobs, %u workers, %u producers", ex->jobs, ex->workers,
                       ex->producers);
  struct layout l = lay_out(ex->jobs, ex->workers, ex->producers);
  if (l.size > ex->object.size) return shoal_fail_(-EPROTO, "an executor of %u jobs does not fit", ex->jobs);
  char *base = ex->object.memory;
  ex->shm = shm;
  ex->desks = (struct shoal_desk_shm *)(void *)(base + l.desks);
  ex->submitting = (struct shoal_submitting_shm *)(void *)(base + l.submitting);
  ex->cells = (struct shoal_job_shm *)(void *)(base + l.cells);
  int rc = shoal_heap_open(ex->seg, &ex->heap);
  if (rc) return rc;
  rc = shoal_queue_attach_at_(base + l.queue, l.cells - l.queue, sizeof(struct shoal_order_), ex->seg, &ex->object,
                              &ex->queue);
  if (rc) return rc;
  const struct shoal_queue *q = ex->queue;
  if (q->kind != SHOAL_QUEUE_MPMC || q->overflow || q->joinable || q->leased || q->delivery_max)
    return shoal_fail_(-EPROTO, "an executor whose orders are in another kind of queue");
  // As many as it may ever have, by the affinity of who attaches, now and alone: the quota is in files.
  ex->queue->wait.yields = ex->workers > (uint32_t)shoal_cpu_affinity_() ? YIELDS : 0;
  ex->queue->ring.patient = 1;  // a job is submitted, not only its order put
  return 0;
}

static int new_handle(struct shoal_segment *seg, const struct shoal_object *object, struct shoal_executor **out) {
  struct shoal_executor *ex = calloc(1, sizeof *ex);
  if (!ex) return shoal_fail_(-ENOMEM, "no memory for a handle");
  ex->seg = seg;
  ex->object = *object;
  ex->epoch = shoal_epoch();
  ex->callbacks_epoch = shoal_epoch();
  int rc = attach(ex);
  if (!rc) {
    ex->free_cells = malloc(ex->jobs * sizeof *ex->free_cells);
    ex->owed = calloc(ex->workers, 1);
    if (!ex->free_cells || !ex->owed) rc = shoal_fail_(-ENOMEM, "no memory for a handle");
  }
  if (rc) dispose(ex);
  else *out = ex;
  return rc;
}

int shoal_executor_adopt_(struct shoal_segment *seg, const struct shoal_object *object, struct shoal_executor **out) {
  return new_handle(seg, object, out);
}

int shoal_executor_open(struct shoal_segment *seg, const char *name, struct shoal_executor **out) {
  struct shoal_object object;
  int rc = shoal_object_open(seg, name, "executor", &object);
  if (rc) return rc;
  rc = new_handle(seg, &object, out);
  if (rc) shoal_object_close(seg, &object);
  return rc;
}

int shoal_executor_unlink(struct shoal_segment *seg, const char *name) {
  return shoal_object_remove_typed(seg, name, "executor");
}

// ---- creating ----

static int complete(struct shoal_executor_options *o) {
  if (!o->workers) o->workers = (uint32_t)shoal_cpu_count();
  if (!o->workers_max) o->workers_max = o->workers;
  if (!o->jobs) o->jobs = 16384;
  if (!o->producers) o->producers = 256;
  if (o->workers_max > SHOAL_EXECUTOR_WORKERS_MAX)
    return shoal_fail_(-EINVAL, "%u workers; at most %u", o->workers_max, SHOAL_EXECUTOR_WORKERS_MAX);
  if (o->workers > o->workers_max)
    return shoal_fail_(-EINVAL, "%u workers, and at most %u", o->workers, o->workers_max);
  if (o->jobs > SHOAL_EXECUTOR_JOBS_MAX)
    return shoal_fail_(-EINVAL, "%u jobs; at most %u", o->jobs, SHOAL_EXECUTOR_JOBS_MAX);
  if (o->producers > SHOAL_ROLES_MAX)
    return shoal_fail_(-EINVAL, "%u producers; at most %u", o->producers, SHOAL_ROLES_MAX);
  if (o->retries > SHOAL_EXECUTOR_RETRIES_MAX)
    return shoal_fail_(-EINVAL, "%u retries; at most %u", o->retries, SHOAL_EXECUTOR_RETRIES_MAX);
  if (o->retry_delay_ns < 0 || o->retry_delay_max_ns < 0)
    return shoal_fail_(-EINVAL, "a delay of %lld ns, at most %lld", (long long)o->retry_delay_ns,
                       (long long)o->retry_delay_max_ns);
  if (o->time_limit_ns < 0) return shoal_fail_(-EINVAL, "a time limit of %lld ns", (long long)o->time_limit_ns);
  if (o->threads && o->time_limit_ns)
    return shoal_fail_(-ENOTSUP, "a time limit: a thread that runs too long cannot be killed");
  uint32_t jobs = 16;
  while (jobs < o->jobs) jobs *= 2;
  o->jobs = jobs;
  return 0;
}

struct beginning {
  const struct shoal_executor_options *options;
  shoal_proc_id creator;
};

static int init(void *memory, uint64_t size, void *arg) {
  const struct beginning *b = arg;
  const struct shoal_executor_options *o = b->options;
  struct shoal_executor_shm *shm = memory;
  struct layout l = lay_out(o->jobs, o->workers_max, o->producers);
  struct shoal_queue_options q = queue_options(o->jobs, o->workers_max, o->producers);
  (void)size;
  shm->workers = o->workers_max;
  shoal_store32_relaxed(&shm->wanted, o->workers);
  shm->jobs = o->jobs;
  shm->producers = o->producers;
  shm->retries = o->retries;
  shm->threads = o->threads != 0;
  shm->letters = o->dead_letters != 0;
  shm->backoff = o->retry_delay_ns != 0;
  shm->limit_ns = (uint64_t)o->time_limit_ns;
  shm->creator = b->creator;
  int rc = shoal_queue_place_((char *)memory + l.queue, l.cells - l.queue, &q);
  if (!rc) __atomic_store_n(&shm->magic, MAGIC, __ATOMIC_RELEASE);  // [M1]
  return rc;
}

static int start_caller(struct shoal_executor *ex) {
  struct shoal_kept_reason_ kept;
  int rc = shoal_executor_callback_thread(ex);
  if (!rc) return 0;
  shoal_reason_keep_(&kept);
  (void)shoal_executor_terminate(ex, ex->threads ? SHOAL_FOREVER : SHOAL_TRY);  // threads sleep in the queue
  (void)shoal_pool_destroy(ex->pool);
  shoal_reason_restore_(&kept);
  return rc;
}

static int start_workers(struct shoal_executor *ex, const char *name) {
  const struct shoal_executor_options *o = &ex->options;
  ex->hooks = (struct shoal_pool_hooks_){shoal_executor_run_, shoal_executor_ended_,     ex,         o->threads,
                                         o->workers_max,      "shoal_work_for_executor", &ex->object};
  struct shoal_pool_options pool = {.queue = ex->queue,
                                    .workers = o->workers,
                                    .name = o->workers_name ? o->workers_name
                                            : name          ? name
                                                            : "executor",
                                    .init = o->init,
                                    .init_arg = o->arg,
                                    .finalize = o->finalize,
                                    .init_task = o->init_task,
                                    .finalize_task = o->finalize_task,
                                    .init_argument = o->init_argument,
                                    .init_size = o->init_size,
                                    .tasks_max = o->tasks_max,
                                    .memory_max = o->memory_max,
                                    .age_max_ns = o->age_max_ns,
                                    .processors = o->processors,
                                    .processor_count = o->processor_count,
                                    .restarts_max = o->restarts_max,
                                    .restarts_within_ns = o->restarts_within_ns,
                                    .threaded = o->threaded,
                                    .context = o->context,
                                    .hooks_ = &ex->hooks};
  ex->creator_tid = shoal_self_()->tid;
  // else the workers would see the end of the stream before anybody has submitted
  int rc = shoal_queue_join(ex->queue, SHOAL_PRODUCER);
  if (!rc) rc = shoal_pool_create(ex->seg, &pool, &ex->pool);
  if (!rc) shoal_store32_relaxed(&ex->shm->forks, ex->pool->method == SHOAL_START_FORK && !o->threads && !o->threaded);
  return rc || !o->callback_thread ? rc : start_caller(ex);
}

int shoal_executor_make_(struct shoal_segment *seg, const char *name, const struct shoal_executor_options *options,
                         int (*start)(struct shoal_executor *, const char *), struct shoal_executor **out) {
  struct shoal_executor_options o = options ? *options : (struct shoal_executor_options){0};
  struct beginning b = {&o, 0};
  struct shoal_object object;
  struct shoal_executor *ex = NULL;
  int rc = complete(&o);
  if (!rc) rc = shoal_proc_self(seg, &b.creator);
  if (!rc)
    rc =
        shoal_object_create(seg, name, "executor", lay_out(o.jobs, o.workers_max, o.producers).size, init, &b, &object);
  if (rc) return rc;
  rc = new_handle(seg, &object, &ex);
  if (!rc) {
    ex->options = o;
    rc = start ? start(ex, name) : 0;
    if (rc) dispose(ex);
  }
  if (rc) {
    if (name) (void)shoal_object_remove(seg, name);
    shoal_object_close(seg, &object);
    return rc;
  }
  *out = ex;
  return 0;
}

int shoal_executor_create(struct shoal_segment *seg, const char *name, const struct shoal_executor_options *options,
                          struct shoal_executor **out) {
  return shoal_executor_make_(seg, name, options, start_workers, out);
}

// ---- the end ----

int shoal_executor_close(struct shoal_executor *ex) {
  shoal_store32_seq_cst(&ex->shm->closed, 1);  // [X1] pairs with [X2] of who submits
  return 0;
}

static void cancel_pending(struct shoal_executor *ex) {
  for (uint32_t job = 0; job < ex->jobs; job++) {
    uint64_t s = shoal_load64_acquire(&ex->cells[job].state);  // [J2]
    if (shoal_job_state_of_(s) == SHOAL_JOB_PENDING_) shoal_job_finish_(ex, job, s, SHOAL_JOB_CANCELLED_);
  }
}

// The workers are dead: nobody has an order in hand.
static void end_all(struct shoal_executor *ex) {
  for (uint32_t job = 0; job < ex->jobs; job++) {
    uint64_t s = shoal_load64_acquire(&ex->cells[job].state);  // [J2]
    uint32_t state = shoal_job_state_of_(s);
    if (state == SHOAL_JOB_PENDING_) shoal_job_finish_(ex, job, s, SHOAL_JOB_CANCELLED_);
    if (state != SHOAL_JOB_RUNNING_ && state != SHOAL_JOB_CONDEMNED_) continue;
    shoal_store32_relaxed(&ex->cells[job].code, (uint32_t)-ENOTRECOVERABLE);
    snprintf(ex->cells[job].message, sizeof ex->cells[job].message, "the executor was terminated");
    shoal_job_finish_(ex, job, s, SHOAL_JOB_FAILED_);
  }
}

int shoal_executor_terminate(struct shoal_executor *ex, shoal_deadline deadline) {
  int rc = shoal_executor_check_creator_(ex);
  if (rc) return rc;
  shoal_store32_relaxed(&ex->shm->terminated, 1);
  (void)shoal_executor_close(ex);
  shoal_queue_close(ex->queue);
  rc = shoal_pool_terminate(ex->pool, deadline);
  if (!rc) end_all(ex);
  return rc;
}

// Until that job neither is pending nor runs. Then *seen is its word.
static int drain_one(struct shoal_executor *ex, uint32_t job, shoal_deadline deadline, uint64_t *seen) {
  struct shoal_job_shm *cell = &ex->cells[job];
  uint64_t s;
  while ((s = shoal_load64_acquire(&cell->state)), shoal_job_state_of_(s) && !shoal_job_over_(s)) {  // [J2]
    shoal_job_kill_(ex, s);
    int rc = shoal_executor_care_(ex);
    if (rc) return rc;
    shoal_job_waits_(ex, job, s);
    shoal_job_abandon_(ex);
    if (shoal_deadline_is_try(deadline) || shoal_deadline_passed(deadline)) return shoal_deadline_error(deadline);
    uint64_t armed = s | SHOAL_JOB_ASLEEP_;
    if (armed != s && !shoal_cas64_acq_rel(&cell->state, &s, armed)) continue;  // [W1] pairs with [J1]
    struct shoal_futex_entry entry = {shoal_job_futex_(cell), (uint32_t)armed};
    shoal_executor_sleep_(ex, &entry, 1, deadline);
  }
  *seen = s;
  return 0;
}

// Until no job is pending or runs. The queue stays open until then, so that what a dying worker ran can be put again. A
// task may submit behind us: only if nothing has changed from one pass to the next did nothing run between them.
static int drain(struct shoal_executor *ex, shoal_deadline deadline) {
  for (uint64_t sum = 0, last = 0, passes = 0; passes < 2 || sum != last; passes++) {
    last = sum;
    sum = 0;
    for (uint32_t job = 0; job < ex->jobs; job++) {
      uint64_t s = 0;
      int rc = drain_one(ex, job, deadline, &s);
      if (rc) return rc;
      sum = (sum ^ s) * UINT64_C(0x9e3779b97f4a7c15) + job;
    }
  }
  return 0;
}

int shoal_executor_join(struct shoal_executor *ex, shoal_deadline deadline) {
  int rc = shoal_executor_check_creator_(ex);
  if (rc) return rc;
  if (!shoal_load32_relaxed(&ex->shm->closed)) return shoal_fail_(-EINVAL, "the executor is not closed");
  rc = drain(ex, deadline);
  if (rc) return rc;
  shoal_queue_close(ex->queue);
  for (;;) {
    rc = shoal_executor_tend(ex, SHOAL_TRY);
    if (rc == -ENOTRECOVERABLE) return rc;
    if (shoal_pool_alive_(ex->pool) == 0) return 0;
    if (shoal_deadline_is_try(deadline) || shoal_deadline_passed(deadline)) return shoal_deadline_error(deadline);
    shoal_executor_sleep_(ex, NULL, 0, deadline);  // also beside one that cannot be started: the others end without it
  }
}

int shoal_executor_shutdown(struct shoal_executor *ex, unsigned flags, shoal_deadline deadline) {
  if (flags & ~(unsigned)SHOAL_CANCEL_PENDING) return shoal_fail_(-EINVAL, "flags %x", flags);
  int rc = shoal_executor_check_creator_(ex);
  if (!rc) rc = shoal_executor_close(ex);
  if (rc) return rc;
  if (flags & SHOAL_CANCEL_PENDING) cancel_pending(ex);
  return shoal_deadline_is_try(deadline) ? 0 : shoal_executor_join(ex, deadline);
}

static int end_workers(struct shoal_executor *ex) {
  if (!shoal_executor_is_creator_(ex)) return 0;
  return shoal_executor_terminate(ex, ex->threads ? SHOAL_FOREVER : SHOAL_TRY);
}

int shoal_executor_detach(struct shoal_executor *ex) {
  // threads work through this handle, callbacks wait for what runs: first of all
  int rc = ex->threads || shoal_callbacks_have_thread_(ex) ? end_workers(ex) : 0;
  int called = rc ? rc : shoal_callbacks_end_(ex);  // which submit, too
  if (called < 0) return called;
  if (shoal_role_elsewhere_(&ex->queue->wait))
    rc = shoal_fail_(-EBUSY, "another thread submits through this handle, or created it");
  if (!rc) rc = end_workers(ex);
  if (!rc && shoal_executor_is_creator_(ex)) rc = shoal_pool_destroy(ex->pool);
  if (rc) {
    if (called) (void)shoal_executor_callback_thread(ex);  // as before
    return rc;
  }
  struct shoal_segment *seg = ex->seg;
  struct shoal_object object = ex->object;
  dispose(ex);
  return shoal_object_close(seg, &object);
}

// ---- looking after it ----

int shoal_executor_info(struct shoal_executor *ex, struct shoal_executor_info *out) {
  struct shoal_executor_info info = {
      .workers = shoal_executor_wanted_(ex), .alive = shoal_executor_wanted_(ex), .jobs_max = ex->jobs};
  struct shoal_pool_info pool;
  for (uint32_t job = 0; job < ex->jobs; job++) {
    uint64_t s = shoal_load64_relaxed(&ex->cells[job].state);
    uint32_t state = shoal_job_state_of_(s);
    info.jobs += shoal_load64_relaxed(&ex->cells[job].owner) != 0;
    info.pending += state == SHOAL_JOB_PENDING_;
    info.running += state == SHOAL_JOB_RUNNING_ || state == SHOAL_JOB_CONDEMNED_;
    info.finished += shoal_job_over_(s);
    info.letters += state == SHOAL_JOB_DEAD_;
  }
  info.closed = (int)shoal_load32_relaxed(&ex->shm->closed);
  if (shoal_load32_acquire(&ex->shm->broken)) {  // [E2] pairs with [E1] of ipc/work/tend.c
    info.broken = -ENOTRECOVERABLE;
    snprintf(info.reason, sizeof info.reason, "%.111s", ex->shm->reason);
  }
  if (shoal_executor_is_creator_(ex) && !shoal_pool_info(ex->pool, &pool)) {
    info.alive = pool.alive;
    info.done = pool.done, info.failed = pool.failed;
    info.restarts = pool.restarts, info.recycled = pool.recycled;
  }
  *out = info;
  return 0;
}

int shoal_executor_worker(struct shoal_executor *ex, unsigned worker, struct shoal_executor_worker *out) {
  struct shoal_worker_info info;
  int rc = shoal_executor_check_creator_(ex);
  if (!rc) rc = shoal_pool_worker(ex->pool, worker, &info);
  if (rc) return rc;
  *out = (struct shoal_executor_worker){.pid = info.pid, .restarts = info.restarts};
  memcpy(out->name, info.name, sizeof out->name);
  return 0;
}

static struct shoal_executor_running running_at(struct shoal_executor *ex, unsigned worker, uint32_t jobs) {
  struct shoal_desk_shm *desk = &ex->desks[worker];
  uint64_t until = shoal_load64_relaxed(&desk->until_ns);
  // Of what is believed of nobody.
  int64_t busy = (int64_t)((uint64_t)shoal_now_ns() - (until - (uint64_t)ex->limit_ns));
  struct shoal_executor_running r = {.worker = worker,
                                     .tid = shoal_executor_tid_(ex, worker),
                                     .jobs = jobs,
                                     .token = shoal_load64_relaxed(&desk->job),
                                     .busy_ns = until && busy >= 0 ? busy : -1};
  uint64_t name[3];
  for (unsigned i = 0; i < 3; i++) name[i] = shoal_load64_relaxed(&desk->task[i]);
  memcpy(r.task, name, sizeof name);
  return r;
}
int shoal_executor_running(struct shoal_executor *ex, int (*each)(const struct shoal_executor_running *, void *),
                           void *arg) {
  uint32_t *jobs = calloc(ex->workers, sizeof *jobs);
  int rc = 0;
  if (!jobs) return shoal_fail_(-ENOMEM, "private memory");
  for (uint32_t job = 0; job < ex->jobs; job++) {
    uint64_t s = shoal_load64_relaxed(&ex->cells[job].state);
    uint32_t state = shoal_job_state_of_(s);
    if ((state == SHOAL_JOB_RUNNING_ || state == SHOAL_JOB_CONDEMNED_) && shoal_executor_runner_lives_(ex, s))
      jobs[shoal_job_worker_(s)]++;
  }
  for (unsigned w = 0; w < ex->workers && !rc; w++) {
    struct shoal_executor_running r = running_at(ex, w, jobs[w]);
    if (jobs[w]) rc = each(&r, arg);
  }
  free(jobs);
  return rc;
}

// ---- dead letters ----

// Of one: what it says. It is there until its state says otherwise, and nobody writes there.
static int read_letter(struct shoal_executor *ex, uint32_t job, uint64_t s, struct shoal_letter *out, void *argument,
                       uint64_t room) {
  void *at;
  int rc = shoal_job_argument_(ex, &ex->cells[job], &at, &out->size);
  shoal_future_tell_(ex, job, s, &out->failure);
  out->token = shoal_job_token_(job, shoal_job_generation_(s));
  if (rc) return out->size = 0, 0;  // its block is lost
  if (out->size > room)
    return shoal_fail_(-EMSGSIZE, "an argument of %llu bytes, room for %llu", (unsigned long long)out->size,
                       (unsigned long long)room);
  if (out->size) memcpy(argument, at, out->size);
  return 0;
}

int shoal_executor_letter(struct shoal_executor *ex, struct shoal_letter *out, void *argument, uint64_t room) {
  for (uint32_t job = 0; job < ex->jobs; job++) {
    struct shoal_job_shm *cell = &ex->cells[job];
    uint64_t s = shoal_load64_acquire(&cell->state);  // [J2]
    while (shoal_job_state_of_(s) == SHOAL_JOB_DEAD_) {
      struct shoal_letter letter = {.size = 0};
      int rc = read_letter(ex, job, s, &letter, argument, room);
      uint64_t to = rc ? s : shoal_job_with_(s, SHOAL_JOB_FAILED_);  // one that is too large stays
      // [J3] pairs with [C1] of ipc/work/job.c: it was read before who has the cell next
      if (!shoal_cas64_acq_rel(&cell->state, &s, to)) continue;
      if (!rc && (s & SHOAL_JOB_DETACHED_)) shoal_job_free_(ex, job, shoal_job_with_(s, SHOAL_JOB_FAILED_));
      *out = letter;
      return rc;
    }
  }
  return -ENOENT;
}
