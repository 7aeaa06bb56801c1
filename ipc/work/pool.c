#include "ipc/work/pool.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/atomic.h"
#include "core/directory.h"
#include "core/error.h"
#include "core/proc.h"
#include "ipc/work/pool_internal.h"
#include "ipc/work/process.h"
#include "ipc/work/processors.h"
#include "ipc/work/task.h"

#define WORKERS_MAX 4096u
#define DELIVERIES_MAX (SHOAL_SLOT_DEATHS_MAX_ / 2)  // twice as many deaths are counted
#define TEND_EVERY_NS INT64_C(10000000)              // a submit that does not wait tends so often
#define SLICE_NS INT64_C(50000000)                   // a submit that waits, too

// ---- in the creator ----

static int say_broken(struct shoal_pool *pool) { return shoal_fail_(pool->broken, "%s: %s", pool->name, pool->reason); }

static int break_pool(struct shoal_pool *pool, const char *why) {
  pool->broken = -ENOTRECOVERABLE;
  snprintf(pool->reason, sizeof pool->reason, "%s", why);
  return say_broken(pool);
}

// For what the worker of a place said of its own end.
static int break_pool_for(struct shoal_pool *pool, unsigned i, const char *what) {
  char why[sizeof pool->reason];
  const struct shoal_worker_shm *w = &pool->shared[i];
  const struct shoal_worker_failure_shm *from = &w->failures[(shoal_load64_relaxed(&w->told) + 1) % 2];
  int error = (int)shoal_load32_relaxed(&w->error);
  uint64_t words[SHOAL_MESSAGE_WORDS_ + 1] = {0};
  for (unsigned k = 0; k < SHOAL_MESSAGE_WORDS_; k++) words[k] = shoal_load64_relaxed(&from->message[k]);
  const char *said = (const char *)words;
  snprintf(why, sizeof why, "%s: %d, %.80s", what, error, said[0] ? said : shoal_strerror(error));
  return break_pool(pool, why);
}

// Forgets the restarts that are no longer recent; there is room for one more then.
static int count_recent(struct shoal_pool *pool, int64_t now) {
  unsigned old = 0;
  while (old < pool->recent_n && now - pool->recent[old] >= pool->options.restarts_within_ns) old++;
  pool->recent_n -= old;
  if (old) memmove(pool->recent, pool->recent + old, pool->recent_n * sizeof *pool->recent);
  if (pool->recent_n < pool->recent_room) return 0;
  unsigned room = pool->recent_room ? 2 * pool->recent_room : 16;
  int64_t *more = realloc(pool->recent, room * sizeof *more);
  if (!more) return shoal_fail_(-ENOMEM, "no memory to count restarts");
  pool->recent = more;
  pool->recent_room = room;
  return 0;
}

// Whether one more restart is within the limit; counted is what was started.
static int may_restart(struct shoal_pool *pool, int64_t now) {
  const struct shoal_pool_options *o = &pool->options;
  int rc = o->restarts_max ? count_recent(pool, now) : 0;
  if (rc || pool->recent_n < o->restarts_max || !o->restarts_max) return rc;
  return break_pool(pool, "too many workers died in too short a time");
}

static int place_after(const struct shoal_pool *pool, uint32_t state) {
  if (state == SHOAL_WORKER_AT_END_ || pool->stopping) return SHOAL_PLACE_ENDED_;
  if (state == SHOAL_WORKER_RETIRED_) return SHOAL_PLACE_EMPTY_;
  return state == SHOAL_WORKER_RECYCLED_ ? SHOAL_PLACE_OUTWORN_ : SHOAL_PLACE_VACANT_;
}

// The worker in this place has ended: at the end of the stream, or by dying.
static int worker_ended(struct shoal_pool *pool, unsigned i, int code) {
  struct shoal_place_of_worker_ *place = &pool->places[i];
  uint32_t state = shoal_load32_relaxed(&pool->shared[i].state);
  pool->sentinels[i].fd = -1;
  if (state != SHOAL_WORKER_AT_END_ && pool->options.hooks_)
    pool->options.hooks_->ended(pool->options.hooks_->arg, i, place->incarnation, code);
  place->is = place_after(pool, state);
  place->incarnation++;
  if (state == SHOAL_WORKER_INIT_FAILED_) return break_pool_for(pool, i, "the initializer failed");
  if (state == SHOAL_WORKER_REFUSED_) return break_pool_for(pool, i, "a worker could not begin");
  return 0;
}

// A dead worker, or one that has done its share, has a successor: only the first is a restart.
static int replace(struct shoal_pool *pool, unsigned i) {
  int died = pool->places[i].is == SHOAL_PLACE_VACANT_;
  int64_t now = shoal_now_ns();
  int rc = died ? may_restart(pool, now) : 0;
  if (!rc) rc = shoal_place_start_(pool, i);
  if (rc) return rc;
  if (died && pool->options.restarts_max) pool->recent[pool->recent_n++] = now;
  pool->places[i].restarts += died;
  pool->restarts += died;
  pool->recycled += !died;
  return 0;
}

static unsigned count(const struct shoal_pool *pool, int is) {
  unsigned n = 0;
  for (unsigned i = 0; i < pool->workers; i++) n += (int)pool->places[i].is == is;
  return n;
}
static unsigned alive(const struct shoal_pool *pool) { return count(pool, SHOAL_PLACE_WORKING_); }

// Starts workers where there are none and should be: in place of others first. How many, or an error.
static int fill(struct shoal_pool *pool) {
  unsigned there = alive(pool) + count(pool, SHOAL_PLACE_ENDED_);
  int started = 0;
  for (unsigned i = 0; i < pool->workers && !pool->stopping; i++) {
    struct shoal_place_of_worker_ *place = &pool->places[i];
    if (place->is != SHOAL_PLACE_VACANT_ && place->is != SHOAL_PLACE_OUTWORN_) continue;
    int rc = there < pool->target ? replace(pool, i) : 0;
    if (rc) return rc;
    if (there < pool->target) there++, started++;
    else place->is = SHOAL_PLACE_EMPTY_;
  }
  for (unsigned i = 0; i < pool->workers && there < pool->target && !pool->stopping; i++) {
    if (pool->places[i].is != SHOAL_PLACE_EMPTY_) continue;
    int rc = shoal_place_start_(pool, i);
    if (rc) return rc;
    there++, started++;
  }
  return started;
}

// One that has taken itself off, and runs still, is counted twice at worst: then one too many ends, and is replaced.
static unsigned set_surplus(struct shoal_pool *pool) {
  unsigned n = alive(pool), surplus = n > pool->target ? n - pool->target : 0;
  shoal_store32_relaxed(&pool->header->surplus, surplus);
  return surplus;
}

// Waits for a worker to end, takes note of all that have. How many, or an error.
static int notice(struct shoal_pool *pool, shoal_deadline deadline) {
  int rc = shoal_places_wait_(pool, deadline), ended = 0, code;
  for (unsigned i = 0; i < pool->workers; i++) {
    if (!shoal_place_has_ended_(pool, i, &code)) continue;
    ended++;
    int bad = worker_ended(pool, i, code);
    if (bad) rc = bad;
  }
  if (ended)
    shoal_role_reap(&pool->queue->wait);  // what they held is redelivered next, not when somebody has nothing to do
  if (ended) shoal_proc_reap(pool->seg);
  if (ended) set_surplus(pool);
  return rc ? rc : ended;
}

static int check_creator(const struct shoal_pool *pool) {
  return pool->creator == getpid() ? 0 : shoal_fail_(-ECHILD, "%s is a pool of process %d", pool->name, pool->creator);
}

int shoal_pool_tend(struct shoal_pool *pool, shoal_deadline deadline) {
  int rc = check_creator(pool);
  for (shoal_deadline until = SHOAL_TRY; rc >= 0; until = deadline) {
    rc = notice(pool, until);
    if (rc >= 0) rc = pool->broken ? say_broken(pool) : fill(pool);
    pool->tended_ns = shoal_now_ns();
    if (rc != 0 || alive(pool) == 0 || shoal_deadline_is_try(deadline) || pool->tended_ns >= deadline.ns) break;
  }
  return rc;
}

int shoal_pool_submit(struct shoal_pool *pool, const void *element, shoal_deadline deadline) {
  int rc = pool->broken ? say_broken(pool) : shoal_queue_put(pool->queue, element, SHOAL_TRY);
  int tend = rc == 0 || (rc == -EAGAIN && shoal_deadline_is_try(deadline));
  if (tend && shoal_now_ns() - pool->tended_ns > TEND_EVERY_NS) shoal_pool_tend(pool, SHOAL_TRY);
  while (rc == -EAGAIN && !shoal_deadline_is_try(deadline)) {
    if (shoal_pool_tend(pool, SHOAL_TRY) == -ENOTRECOVERABLE) return pool->broken;
    if (shoal_deadline_passed(deadline)) return -ETIMEDOUT;
    int64_t slice = shoal_now_ns() + SLICE_NS;
    rc = shoal_queue_put(pool->queue, element, (shoal_deadline){slice < deadline.ns ? slice : deadline.ns});
    if (rc == -ETIMEDOUT) rc = -EAGAIN;
  }
  return rc;
}

// ---- the end ----

int shoal_pool_close(struct shoal_pool *pool) {
  int rc = check_creator(pool);
  return rc ? rc : shoal_queue_close(pool->queue);
}

int shoal_pool_join(struct shoal_pool *pool, shoal_deadline deadline) {
  int rc;
  while ((rc = shoal_pool_tend(pool, deadline)) >= 0) {
    if (alive(pool) == 0) return 0;
    if (shoal_deadline_is_try(deadline)) return -EAGAIN;
    if (shoal_deadline_passed(deadline)) return -ETIMEDOUT;
  }
  return rc;
}

int shoal_pool_kill_(struct shoal_pool *pool, unsigned worker, uint32_t incarnation) {
  int rc = check_creator(pool);
  if (rc || worker >= pool->workers || pool->places[worker].incarnation != incarnation) return rc;
  shoal_place_signal_(pool, worker, SIGKILL);
  return 0;
}

int shoal_pool_resize_(struct shoal_pool *pool, unsigned workers) {
  int rc = check_creator(pool);
  if (rc) return rc;
  if (workers - 1 >= pool->workers) return shoal_fail_(-EINVAL, "%u workers: 1..%u", workers, pool->workers);
  if (pool->broken) return say_broken(pool);
  pool->target = workers;
  rc = fill(pool);
  return rc < 0 ? rc : (int)set_surplus(pool);
}

uint32_t shoal_pool_incarnation_(const struct shoal_pool *pool, unsigned worker) {
  return worker < pool->workers ? pool->places[worker].incarnation : 0;
}
unsigned shoal_pool_alive_(const struct shoal_pool *pool) { return alive(pool); }

static void signal_all(struct shoal_pool *pool, int signal) {
  for (unsigned i = 0; i < pool->workers; i++) shoal_place_signal_(pool, i, signal);
}

int shoal_pool_terminate(struct shoal_pool *pool, shoal_deadline deadline) {
  int rc = check_creator(pool);
  if (rc) return rc;
  pool->stopping = 1;
  signal_all(pool, SIGTERM);
  while (alive(pool) && !shoal_deadline_is_try(deadline) && !shoal_deadline_passed(deadline)) notice(pool, deadline);
  if (shoal_pool_of_threads_(pool)) {
    (void)notice(pool, SHOAL_TRY);  // what one's initializer answered is no matter any more
    if (alive(pool)) return shoal_fail_(-EBUSY, "%s: a thread that runs a task cannot be killed", pool->name);
  }
  signal_all(pool, SIGKILL);
  while (alive(pool)) notice(pool, SHOAL_FOREVER);
  return 0;
}

static void dispose(struct shoal_pool *pool) {
  free(pool->processors);
  free(pool->recent);
  free(pool->sentinels);
  free(pool);
}

int shoal_pool_destroy(struct shoal_pool *pool) {
  int rc = shoal_pool_terminate(pool, shoal_pool_of_threads_(pool) ? SHOAL_FOREVER : SHOAL_TRY);
  if (!rc && pool->standing) rc = shoal_queue_detach(pool->standing);
  if (rc) return rc;
  shoal_object_close(pool->seg, &pool->object);
  dispose(pool);
  return 0;
}

// ---- the beginning ----

static int check_options(const struct shoal_pool_options *o, const struct shoal_task **task,
                         struct shoal_initial_ *initial) {
  struct shoal_queue_info queue;
  *task = NULL;
  if (!o || (!o->task && !o->hooks_) || !o->queue)
    return shoal_fail_(-EINVAL, "a pool needs options.task and options.queue");
  if (o->workers > WORKERS_MAX) return shoal_fail_(-EINVAL, "%u workers; at most %u", o->workers, WORKERS_MAX);
  if (o->deliveries_max > DELIVERIES_MAX)
    return shoal_fail_(-EINVAL, "%u deliveries; at most %u", o->deliveries_max, DELIVERIES_MAX);
  int rc = shoal_initial_find_(o, initial);
  if (rc || o->hooks_) return rc;
  rc = shoal_task_find(o->task, task);
  if (!rc) rc = shoal_queue_info(o->queue, &queue);
  if (rc) return rc;
  if ((*task)->bytes) return shoal_fail_(-EBADMSG, "task %s takes bytes: an executor's", o->task);
  if ((*task)->size > queue.element_size)
    return shoal_fail_(-EBADMSG, "task %s takes %zu bytes, an element has %u", o->task, (size_t)(*task)->size,
                       queue.element_size);
  return 0;
}

// Workers without a role would be replaced for ever.
static int check_roles(const struct shoal_pool *pool, const struct shoal_queue_info *queue) {
  if (queue->consumers_max - queue->consumers > pool->workers) return 0;
  return shoal_fail_(-EUSERS, "%u workers, and the pool is a consumer: the queue has %u consumers, %u of them taken",
                     pool->workers, queue->consumers_max, queue->consumers);
}

// A handle of the pool's own: roles are told apart by it, so the creator keeps those it has otherwise, in another pool,
// too.
static int stand(struct shoal_pool *pool) {
  struct shoal_queue_info info;
  int rc = shoal_queue_info(pool->queue, &info);
  if (!rc) rc = check_roles(pool, &info);
  if (rc) return rc;
  struct shoal_queue_options o = {.capacity = info.capacity,
                                  .element_size = info.element_size,
                                  .kind = info.kind,
                                  .producers = info.producers_max,
                                  .consumers = info.consumers_max};
  void *memory = SHOAL_EMBEDS(pool->queue->wait.shm, struct shoal_queue_shm, wait);
  rc = shoal_queue_attach_(memory, shoal_queue_size_(&o), info.element_size, &pool->standing);
  return rc ? rc : shoal_queue_join(pool->standing, SHOAL_CONSUMER);
}

static struct shoal_pool *new_pool(const struct shoal_pool_options *o) {
  unsigned wanted = o->workers ? o->workers : (unsigned)shoal_cpu_count();
  unsigned workers = o->hooks_ && o->hooks_->workers_max > wanted ? o->hooks_->workers_max : wanted;
  struct shoal_pool *pool = calloc(1, sizeof *pool + workers * sizeof *pool->places);
  if (!pool) return NULL;
  pool->sentinels = calloc(workers, sizeof *pool->sentinels);
  uint64_t list = o->processors ? o->processor_count * sizeof *o->processors : 0;
  pool->processors = list ? malloc(list) : NULL;
  if (!pool->sentinels || (list && !pool->processors)) return dispose(pool), NULL;
  pool->options = *o;
  if (list) memcpy(pool->processors, o->processors, list);
  pool->options.processors = pool->processors;
  if (pool->options.restarts_within_ns <= 0) pool->options.restarts_within_ns = 1000000000;
  pool->workers = workers;
  pool->target = wanted;
  pool->queue = o->queue;
  pool->creator = getpid();
  snprintf(pool->name, sizeof pool->name, "%s", o->name ? o->name : o->task ? o->task : "worker");
  for (unsigned i = 0; i < workers; i++) pool->sentinels[i].fd = -1;
  return pool;
}

int shoal_pool_create(struct shoal_segment *seg, const struct shoal_pool_options *options, struct shoal_pool **out) {
  const struct shoal_task *task;
  struct shoal_initial_ initial;
  int rc = check_options(options, &task, &initial);
  if (rc) return rc;
  struct shoal_pool *pool = new_pool(options);
  if (!pool) return shoal_fail_(-ENOMEM, "no memory for a pool");
  pool->seg = seg;
  pool->task = task;
  pool->initial = initial;
  uint64_t size = sizeof *pool->header + pool->workers * sizeof *pool->shared;
  if (initial.size > UINT64_MAX / 2)
    rc = shoal_fail_(-ENOSPC, "an argument of %llu bytes", (unsigned long long)initial.size);
  if (!rc) rc = shoal_object_create(seg, NULL, "pool", size + initial.size, NULL, NULL, &pool->object);
  if (rc) {
    dispose(pool);
    return rc;
  }
  pool->header = pool->object.memory;
  pool->shared = (struct shoal_worker_shm *)(pool->header + 1);
  pool->initial.argument = pool->shared + pool->workers;
  if (initial.size) memcpy(pool->shared + pool->workers, initial.argument, initial.size);
  rc = shoal_pool_choose_method_(pool);
  if (!rc) rc = stand(pool);
  if (!rc) rc = fill(pool);
  if (rc < 0) {
    struct shoal_kept_reason_ kept;
    shoal_reason_keep_(&kept);
    if (shoal_pool_of_threads_(pool)) shoal_queue_close(pool->queue);  // where those that have begun sleep
    shoal_pool_destroy(pool);
    shoal_reason_restore_(&kept);
    return rc;
  }
  *out = pool;
  return 0;
}

// ---- looking ----

// The last failure in this place, and when it was; 0: none.
static uint64_t last_failure(const struct shoal_pool *pool, unsigned i, struct shoal_failure *out) {
  const struct shoal_worker_shm *w = &pool->shared[i];
  // [F2] pairs with [F1], [F4] with [F3] of ipc/work/pool_worker.c
  for (uint64_t told; (told = shoal_load64_acquire(&w->told));) {
    const struct shoal_worker_failure_shm *from = &w->failures[told % 2];
    uint64_t at = shoal_load64_acquire(&from->at_ns), words[SHOAL_MESSAGE_WORDS_];                           // [F4]
    out->code = (int)shoal_load32_acquire(&from->code);                                                      // [F4]
    out->attempt = shoal_load32_acquire(&from->attempt);                                                     // [F4]
    for (unsigned k = 0; k < SHOAL_MESSAGE_WORDS_; k++) words[k] = shoal_load64_acquire(&from->message[k]);  // [F4]
    if (shoal_load64_relaxed(&w->told) != told) continue;
    out->worker = i;
    out->task = pool->task ? pool->task->name : "";
    memcpy(out->message, words, sizeof out->message);
    out->message[sizeof out->message - 1] = 0;
    return at;
  }
  return 0;
}

int shoal_pool_info(struct shoal_pool *pool, struct shoal_pool_info *out) {
  uint64_t latest = 0;
  shoal_pool_tend(pool, SHOAL_TRY);
  *out = (struct shoal_pool_info){.workers = pool->target,
                                  .alive = alive(pool),
                                  .restarts = pool->restarts,
                                  .recycled = pool->recycled,
                                  .broken = pool->broken};
  memcpy(out->reason, pool->reason, sizeof out->reason);
  for (unsigned i = 0; i < pool->workers; i++) {
    struct shoal_failure failure;
    uint64_t at = last_failure(pool, i, &failure);
    out->done += shoal_load64_relaxed(&pool->shared[i].done);
    out->failed += shoal_load64_relaxed(&pool->shared[i].failed);
    if (at <= latest) continue;
    latest = at;
    out->last = failure;
  }
  return 0;
}

int shoal_pool_worker(struct shoal_pool *pool, unsigned worker, struct shoal_worker_info *out) {
  if (worker >= pool->workers) return shoal_fail_(-EINVAL, "worker %u of %u", worker, pool->workers);
  const struct shoal_place_of_worker_ *place = &pool->places[worker];
  const struct shoal_worker_shm *w = &pool->shared[worker];
  uint64_t began = shoal_load64_relaxed(&w->began_ns);
  *out = (struct shoal_worker_info){
      .pid = place->is != SHOAL_PLACE_WORKING_ ? 0
             : shoal_pool_of_threads_(pool)    ? getpid()
                                               : place->process.pid,
      .restarts = place->restarts,
      .done = shoal_load64_relaxed(&w->done),
      .failed = shoal_load64_relaxed(&w->failed),
      .busy_ns = began ? shoal_now_ns() - (int64_t)began : 0,
  };
  shoal_place_name_(pool, worker, out->name);
  return 0;
}
