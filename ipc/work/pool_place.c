// A place of a pool: what works there is started, watched, and seen to end: a process, or a thread of the creator.
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "ipc/work/pool_internal.h"
#include "ipc/work/process_internal.h"

#define DYING_MS 2                   // from a thread's death to that of its process, mostly
#define KILLED_NS INT64_C(50000000)  // no process takes so long; or it does no harm
#define SLICE_NS INT64_C(50000000)   // what cannot be watched is looked at so often, at least

// ---- start ----

static int start_thread(struct shoal_place_of_worker_ *place, const char *name) {
  struct shoal_thread_options o = {.name = name, .daemon = SHOAL_DAEMON};
  return shoal_thread_start(&place->thread, shoal_pool_be_worker_, &place->worker, &o);
}

static struct shoal_named_place_ name_object(const struct shoal_object *o) {
  return (struct shoal_named_place_){o->off, o->size, o->entry, o->generation};
}

static void tell_birth(const struct shoal_pool *pool, unsigned i, struct shoal_pool_birth_ *b) {
  const struct shoal_pool_options *o = &pool->options;
  *b = (struct shoal_pool_birth_){.pool = name_object(&pool->object),
                                  .tasks_max = o->tasks_max,
                                  .memory_max = o->memory_max,
                                  .age_max_ns = o->age_max_ns,
                                  .place = i,
                                  .workers = pool->workers,
                                  .incarnation = pool->places[i].incarnation,
                                  .element_size = pool->queue->element_size,
                                  .deliveries_max = o->deliveries_max};
  if (o->hooks_) b->other = name_object(o->hooks_->object);
  else b->queue = name_object(&pool->queue_object);
  snprintf(b->name, sizeof b->name, "%s", pool->name);
  snprintf(b->task, sizeof b->task, "%s", o->task ? o->task : "");
  shoal_initial_tell_(pool, b);
}

static int start_process(struct shoal_pool *pool, unsigned i, const char *name) {
  struct shoal_place_of_worker_ *place = &pool->places[i];
  struct shoal_context context = {pool->method, pool->seg};
  struct shoal_process_options o = {.name = name, .daemon = 1, .threaded = pool->options.threaded, .context = &context};
  o.processor_count = pool->options.processor_count ? 1 : 0;
  if (o.processor_count) o.processors = &pool->options.processors[i % pool->options.processor_count];
  const char *task = pool->options.hooks_ ? pool->options.hooks_->task : "shoal_work_for_pool";
  struct shoal_pool_birth_ birth;
  tell_birth(pool, i, &birth);
  int rc = pool->method == SHOAL_START_FORK
               ? shoal_process_start(&place->process, shoal_pool_be_worker_, &place->worker, &o)
               : shoal_process_start_task(&place->process, task, &birth, sizeof birth, &o);
  if (!rc) pool->sentinels[i] = (struct pollfd){place->process.sentinel, POLLIN, 0};
  return rc;
}

// Whether another process can do with what it is told.
static int check_told(struct shoal_pool *pool) {
  const struct shoal_pool_options *o = &pool->options;
  if (o->init || o->finalize || o->failed)
    return shoal_fail_(-EINVAL,
                       "only fork has functions at the same address: not init, finalize, failed; see init_task");
  if (o->hooks_) return 0;
  void *memory = SHOAL_EMBEDS(pool->queue->wait.shm, struct shoal_queue_shm, wait);
  if (strlen(o->task) > SHOAL_TASK_NAME_MAX_ || !pool->queue->element_size || pool->queue->leased ||
      shoal_object_at(pool->seg, memory, &pool->queue_object))
    return shoal_fail_(-EINVAL, "only fork has this queue: it is no plain object of elements in the pool's segment");
  return 0;
}

int shoal_place_bind_(const struct shoal_pool *pool, unsigned i) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(pool->options.processors[i % pool->options.processor_count], &set);
  return sched_setaffinity(0, sizeof set, &set) ? shoal_fail_(-EINVAL, "worker %u's processor: %m", i) : 0;
}

static int check_shares(const struct shoal_pool *pool) {
  const struct shoal_pool_options *o = &pool->options;
  if (o->age_max_ns < 0) return shoal_fail_(-EINVAL, "an age of %lld ns", (long long)o->age_max_ns);
  if (o->memory_max && shoal_pool_of_threads_(pool))
    return shoal_fail_(-ENOTSUP, "the memory of a thread is that of its process");
  if (!o->processors != !o->processor_count) return shoal_fail_(-EINVAL, "%u processors", o->processor_count);
  for (unsigned i = 0; i < o->processor_count; i++)
    if (o->processors[i] >= CPU_SETSIZE) return shoal_fail_(-EINVAL, "processor %u", o->processors[i]);
  return 0;
}

int shoal_pool_choose_method_(struct shoal_pool *pool) {
  const struct shoal_context *asked = pool->options.context;
  int refused = check_shares(pool);
  if (refused) return refused;
  pool->method = SHOAL_START_FORK;
  if (shoal_pool_of_threads_(pool)) return 0;
  if (asked && asked->segment && asked->segment != pool->seg)
    return shoal_fail_(-EINVAL, "the context has another segment open than the pool's");
  if (asked && asked->method > SHOAL_START_STARTER) return shoal_fail_(-EINVAL, "start method %d", (int)asked->method);
  enum shoal_start_method method = asked                 ? asked->method
                                   : shoal_starter_pid() ? SHOAL_START_STARTER
                                                         : shoal_process_default_()->method;
  int rc = method == SHOAL_START_FORK ? 0 : check_told(pool);
  if (rc && asked) return rc;
  if (!rc) pool->method = method;
  return 0;
}

void shoal_place_name_(const struct shoal_pool *pool, unsigned i, char *out) {
  char name[SHOAL_NAME_MAX + 12];
  snprintf(name, sizeof name, "%s-%u", pool->name, i + 1);
  snprintf(out, SHOAL_NAME_MAX + 1, "%.*s", SHOAL_NAME_MAX, name);
}

int shoal_place_start_(struct shoal_pool *pool, unsigned i) {
  struct shoal_worker_shm *shared = &pool->shared[i];
  struct shoal_place_of_worker_ *place = &pool->places[i];
  char name[SHOAL_NAME_MAX + 1];
  shoal_place_name_(pool, i, name);
  shoal_store64_relaxed(&shared->began_ns, 0);
  shoal_store32_relaxed(&shared->state, SHOAL_WORKER_STARTING_);
  shoal_store32_relaxed(&shared->live.word, 0);  // whose word it was is dead
  place->worker = (struct shoal_pool_worker_){.pool = pool, .place = i, .incarnation = place->incarnation};
  int rc = shoal_pool_of_threads_(pool) ? start_thread(place, name) : start_process(pool, i, name);
  if (rc) return rc;
  place->is = SHOAL_PLACE_WORKING_;
  place->since_ns = shoal_now_ns();
  place->dying = 0;
  return 0;
}

// ---- end ----

static int is_dying(const struct shoal_pool *pool, unsigned i) {
  if (pool->places[i].is != SHOAL_PLACE_WORKING_) return 0;
  return shoal_robust_is_dead(shoal_load32_acquire(&pool->shared[i].live.word));  // [A5] of sync/eventcount.h
}

// Its thread is dead, its process about to be: waited for, as whoever asks is about to replace it. One that does not
// end has lost its thread only (pthread_exit in a task), and serves nobody any more.
static void hasten(struct shoal_pool *pool, unsigned i) {
  struct shoal_place_of_worker_ *place = &pool->places[i];
  if (shoal_pool_of_threads_(pool)) return;
  if (!place->dying) {
    place->dying = 1;
    place->since_ns = shoal_now_ns();
    poll(&pool->sentinels[i], 1, DYING_MS);
  } else if (shoal_now_ns() - place->since_ns > KILLED_NS) {
    shoal_process_kill(&place->process);
  }
}

// In place of poll: on the words of threads. Of a thread with more words the kernel marks 2,048: it looks again.
static void wait_for_threads(struct shoal_pool *pool, shoal_deadline deadline) {
  struct shoal_futex_entry words[SHOAL_FUTEX_MANY];
  shoal_atomic32 none = {0};
  unsigned n = 0;
  if (shoal_deadline_is_try(deadline)) return;
  int64_t look = shoal_now_ns() + SHOAL_RECHECK_NS;
  if (look < deadline.ns) deadline.ns = look;
  if (shoal_pool_watch_(pool, words + SHOAL_FUTEX_MANY, SHOAL_FUTEX_MANY, &n, &deadline)) return;
  if (n) shoal_futex_wait_many(words + SHOAL_FUTEX_MANY - n, n, 0, deadline);
  else shoal_futex_wait(&none, 0, deadline);
}

int shoal_places_wait_(struct shoal_pool *pool, shoal_deadline deadline) {
  for (unsigned i = 0; i < pool->workers; i++)
    if (is_dying(pool, i)) hasten(pool, i);
  if (shoal_pool_of_threads_(pool)) return wait_for_threads(pool, deadline), 0;
  int64_t left = shoal_deadline_is_try(deadline) ? 0 : deadline.ns - shoal_now_ns();
  struct timespec timeout = {left > 0 ? left / 1000000000 : 0, left > 0 ? left % 1000000000 : 0};
  int n = ppoll(pool->sentinels, pool->workers, shoal_deadline_is_forever(deadline) ? NULL : &timeout, NULL);
  for (unsigned i = 0; i < pool->workers && n <= 0; i++) pool->sentinels[i].revents = 0;
  return n >= 0 || errno == EINTR ? 0 : shoal_fail_(-errno, "poll: %m");
}

// It is joined: what it had in the segment is marked from then on, and its word another's to take.
static int thread_has_ended(struct shoal_place_of_worker_ *place, int *code) {
  if (shoal_thread_is_alive(&place->thread) || shoal_thread_join(&place->thread, SHOAL_FOREVER)) return 0;
  *code = 0;
  shoal_thread_close(&place->thread);
  free(place->worker.argument);
  place->worker.argument = NULL;
  return 1;
}

int shoal_place_has_ended_(struct shoal_pool *pool, unsigned i, int *code) {
  struct shoal_place_of_worker_ *place = &pool->places[i];
  if (place->is != SHOAL_PLACE_WORKING_) return 0;
  if (shoal_pool_of_threads_(pool)) return thread_has_ended(place, code);
  if (pool->sentinels[i].revents == 0 || shoal_process_join(&place->process, SHOAL_TRY)) return 0;
  *code = 0;
  (void)shoal_process_exitcode(&place->process, code);
  pool->sentinels[i] = (struct pollfd){-1, 0, 0};
  shoal_process_close(&place->process);
  return 1;
}

void shoal_place_signal_(struct shoal_pool *pool, unsigned i, int signal) {
  struct shoal_place_of_worker_ *place = &pool->places[i];
  if (place->is != SHOAL_PLACE_WORKING_ || shoal_pool_of_threads_(pool)) return;
  (void)(signal == SIGKILL ? shoal_process_kill : shoal_process_terminate)(&place->process);
}

// ---- watched by who sleeps on something else as well ----

int shoal_pool_dying_(const struct shoal_pool *pool) {
  for (unsigned i = 0; i < pool->workers; i++)
    if (is_dying(pool, i)) return 1;
  return 0;
}

// For what cannot be slept on: looked at soon, and later again and again.
static void look_soon(const struct shoal_place_of_worker_ *place, shoal_deadline *until) {
  int64_t now = shoal_now_ns(), wait = 1000000 + (now - place->since_ns) / 2;
  if (wait > SLICE_NS) wait = SLICE_NS;
  if (now + wait < until->ns) until->ns = now + wait;
}

int shoal_pool_watch_(struct shoal_pool *pool, struct shoal_futex_entry *end, unsigned room, unsigned *n,
                      shoal_deadline *until) {
  for (unsigned k = 0; k < pool->workers; k++) {
    unsigned i = (pool->watched + k) % pool->workers;
    struct shoal_place_of_worker_ *place = &pool->places[i];
    if (place->is != SHOAL_PLACE_WORKING_) continue;
    uint32_t word = shoal_load32_acquire(&pool->shared[i].live.word);  // [A5] of sync/eventcount.h
    if (shoal_robust_owner(word) == 0) {
      if (shoal_robust_is_dead(word) && !place->dying) return 1;
      look_soon(place, until);
    } else if (*n < room) {
      end[-1 - (int)(*n)++] = (struct shoal_futex_entry){&pool->shared[i].live.word, word};
    } else {
      pool->watched = i;
      if (until->ns > shoal_now_ns() + SLICE_NS) until->ns = shoal_now_ns() + SLICE_NS;
      break;
    }
  }
  return 0;
}
