// The worker of a pool: receives, runs, gives back.
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/atomic.h"
#include "core/error.h"
#include "ipc/queue/queue_internal.h"
#include "ipc/work/pool_internal.h"

#define LOOK_NS INT64_C(1000000)  // so often, at most, it looks how much memory it has

static void tell(struct shoal_worker_shm *me, const struct shoal_failure *f) {
  uint64_t told = shoal_load64_relaxed(&me->told) + 1, words[SHOAL_MESSAGE_WORDS_];
  struct shoal_worker_failure_shm *to = &me->failures[told % 2];
  memcpy(words, f->message, sizeof words);
  // [F3] pairs with [F4]: who reads a word of this failure reads, after it, that the last but one is no longer the last
  shoal_store64_release(&to->at_ns, (uint64_t)shoal_now_ns());
  shoal_store32_release(&to->code, (uint32_t)f->code);                                                   // [F3]
  shoal_store32_release(&to->attempt, f->attempt);                                                       // [F3]
  for (unsigned i = 0; i < SHOAL_MESSAGE_WORDS_; i++) shoal_store64_release(&to->message[i], words[i]);  // [F3]
  shoal_store64_release(&me->told, told);  // [F1] pairs with [F2]: it is whole
}

static void count_task(struct shoal_worker_shm *me, int rc) {
  shoal_atomic64 *count = rc ? &me->failed : &me->done;
  shoal_store64_relaxed(count, shoal_load64_relaxed(count) + 1);
}

static int serve_hook(const struct shoal_pool_worker_ *w, shoal_deadline deadline) {
  const struct shoal_pool_hooks_ *h = w->pool->options.hooks_;
  int rc = h->run(h->arg, w->place, w->incarnation, deadline);
  if (rc == 0 || rc == 1) count_task(&w->pool->shared[w->place], rc);
  return rc < 0 ? rc : 0;
}

static int serve(const struct shoal_pool_worker_ *w, struct shoal_loan *loan) {
  const struct shoal_pool_options *o = &w->pool->options;
  struct shoal_worker_shm *me = &w->pool->shared[w->place];
  uint32_t deaths = loan->redelivered;
  int given_up = o->deliveries_max && deaths >= o->deliveries_max;
  int told_to_death = given_up && deaths >= 2 * o->deliveries_max;  // `failed` is what kills
  shoal_store64_relaxed(&me->began_ns, (uint64_t)shoal_now_ns());
  shoal_reason_clear();
  int rc =
      given_up ? shoal_fail_(-ENOTRECOVERABLE, "%u workers have died with it", deaths) : w->pool->task->run(loan->data);
  if (rc) {
    struct shoal_failure f = {
        .code = rc, .worker = w->place, .attempt = deaths + !given_up, .task = w->pool->task->name};
    snprintf(f.message, sizeof f.message, "%s", shoal_reason());
    tell(me, &f);
    if (o->failed && !told_to_death) o->failed(o->failed_arg, &f, loan->data);
  }
  count_task(me, rc);
  shoal_store64_relaxed(&me->began_ns, 0);
  return shoal_queue_release(w->pool->queue, loan);
}

// ---- when it is to end ----

struct share {  // of what a worker does before it is replaced
  uint64_t tasks, memory_max;
  int64_t looked_ns;
  shoal_deadline until;
};

static struct share share_of(const struct shoal_pool_options *o) {
  return (struct share){.tasks = o->tasks_max ? o->tasks_max : UINT64_MAX,
                        .memory_max = o->memory_max,
                        .until = o->age_max_ns ? shoal_after_ns(o->age_max_ns) : SHOAL_FOREVER};
}

// Bytes of its own that are resident: without files and shared memory. 0: nobody knows.
static uint64_t resident(void) {
  char text[128] = "";
  unsigned long size, all, shared;
  int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  if (n <= 0 || sscanf(text, "%lu %lu %lu", &size, &all, &shared) != 3 || all < shared) return 0;
  return (uint64_t)(all - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static int is_done(struct share *s) {
  if (s->tasks == 0 || shoal_deadline_passed(s->until)) return 1;
  if (!s->memory_max || shoal_now_ns() - s->looked_ns < LOOK_NS) return 0;
  s->looked_ns = shoal_now_ns();
  return resident() > s->memory_max;
}

static int is_surplus(struct shoal_pool_shm *header) {
  uint32_t n = shoal_load32_relaxed(&header->surplus);
  while (n)
    if (shoal_cas32_relaxed(&header->surplus, &n, n - 1)) return 1;
  return 0;
}

// Why it ends, or the error with which the queue refused it.
static int work(const struct shoal_pool_worker_ *w) {
  struct shoal_pool *pool = w->pool;
  struct share share = share_of(&pool->options);
  struct shoal_loan loan;
  // first it takes what there is: with limits that a new one is over already, nothing would ever be done
  for (int first = 1;; first = 0, share.tasks--) {
    if (SHOAL_UNLIKELY(is_surplus(pool->header))) return SHOAL_WORKER_RETIRED_;
    if (!first && SHOAL_UNLIKELY(is_done(&share))) return SHOAL_WORKER_RECYCLED_;
    int own = !pool->options.hooks_;
    int rc = own ? shoal_queue_receive(pool->queue, &loan, share.until) : serve_hook(w, share.until);
    if (!rc && own) rc = serve(w, &loan);
    if (rc == -EPIPE) return SHOAL_WORKER_AT_END_;
    if (rc && rc != -ETIMEDOUT) return rc;
  }
}

// ---- its life ----

// Why it goes, for the creator, who looks when it has gone: the message where that of the next failure would be.
static int go(const struct shoal_pool_worker_ *w, uint32_t state, int rc) {
  struct shoal_worker_shm *me = &w->pool->shared[w->place];
  struct shoal_worker_failure_shm *to = &me->failures[(shoal_load64_relaxed(&me->told) + 1) % 2];
  uint64_t words[SHOAL_MESSAGE_WORDS_] = {0};
  snprintf((char *)words, sizeof words, "%s", shoal_reason());
  for (unsigned i = 0; i < SHOAL_MESSAGE_WORDS_; i++) shoal_store64_release(&to->message[i], words[i]);  // [F3]
  shoal_store32_relaxed(&me->error, (uint32_t)rc);
  shoal_store32_relaxed(&me->state, state);
  return 1;
}

int shoal_pool_refuse_(const struct shoal_pool_worker_ *w, int rc) {
  fprintf(stderr, "%s-%u: %s: %s\n", w->pool->name, w->place + 1, shoal_strerror(rc), shoal_reason());
  return go(w, SHOAL_WORKER_REFUSED_, rc);
}

// Who is woken then waits for a turn, and interrupts nobody: mostly it would be who gives it work. musl has no such
// calls.
static void interrupt_nobody(void) {
  static const struct sched_param none;
  if (syscall(SYS_sched_getscheduler, 0) == SCHED_OTHER) syscall(SYS_sched_setscheduler, 0, SCHED_BATCH, &none);
}

int shoal_pool_be_worker_(void *arg) {
  struct shoal_pool_worker_ *w = arg;
  struct shoal_pool *pool = w->pool;
  struct shoal_worker_shm *me = &pool->shared[w->place];
  if (shoal_live_take_(&me->live)) return 1;
  if (shoal_pool_of_threads_(pool) && pool->options.processor_count && shoal_place_bind_(pool, w->place))
    return shoal_pool_refuse_(w, -EINVAL);
  interrupt_nobody();
  int rc = shoal_initial_begin_(w);
  if (rc) return go(w, SHOAL_WORKER_INIT_FAILED_, rc);
  shoal_store32_relaxed(&me->state, SHOAL_WORKER_READY_);
  rc = work(w);
  if (rc < 0) return shoal_pool_refuse_(w, rc);
  shoal_queue_leave(pool->queue, SHOAL_CONSUMER);
  shoal_queue_leave(pool->queue, SHOAL_PRODUCER);  // of a task that submitted: a thread's handle is the creator's
  shoal_initial_end_(w);
  // The last word: an exit without it, even with code 0, came from inside a task, and is a death. The creator reads it
  // after it has seen this process end.
  shoal_store32_relaxed(&me->state, (uint32_t)rc);
  return 0;
}

// ---- one that is no copy of the creator ----

int shoal_pool_told_(const struct shoal_named_place_ *told, struct shoal_object *out) {
  struct shoal_segment *seg = shoal_process_segment();
  void *memory = seg ? shoal_segment_at(seg, told->off, told->size) : NULL;
  if (!memory) return shoal_fail_(-EOVERFLOW, "the pool's object lies outside of the segment");
  *out = (struct shoal_object){memory, told->size, told->off, told->entry, told->generation};
  return shoal_object_hold_(seg, out);
}

int shoal_pool_born_(const struct shoal_pool_birth_ *b, struct shoal_pool **out, struct shoal_pool_worker_ *worker) {
  struct shoal_pool *pool = calloc(1, sizeof *pool);
  if (!pool) return shoal_fail_(-ENOMEM, "no memory for a pool");
  int rc = shoal_pool_told_(&b->pool, &pool->object);
  uint64_t workers =
      pool->object.size < sizeof *pool->header ? 0 : (pool->object.size - sizeof *pool->header) / sizeof *pool->shared;
  if (!rc && (b->place >= b->workers || workers < b->workers))
    rc = shoal_fail_(-EPROTO, "worker %u of %u", b->place, b->workers);
  if (rc) {
    free(pool);
    return rc;
  }
  pool->seg = shoal_process_segment();
  pool->header = pool->object.memory;
  pool->shared = (struct shoal_worker_shm *)(pool->header + 1);
  pool->workers = b->workers;
  pool->options.tasks_max = b->tasks_max;
  pool->options.memory_max = b->memory_max;
  pool->options.age_max_ns = b->age_max_ns;
  pool->options.deliveries_max = b->deliveries_max;
  snprintf(pool->name, sizeof pool->name, "%.*s", SHOAL_NAME_MAX, b->name);
  *worker = (struct shoal_pool_worker_){.pool = pool, .place = b->place, .incarnation = b->incarnation};
  *out = pool;
  rc = shoal_initial_told_(b, pool);
  return rc ? shoal_pool_refuse_(worker, rc) : 0;
}

SHOAL_TASK(shoal_work_for_pool, struct shoal_pool_birth_) {
  struct shoal_pool *pool;
  struct shoal_pool_worker_ worker;
  struct shoal_object object = {.size = 0};
  int rc = shoal_pool_born_(arg, &pool, &worker);
  if (rc) return rc;
  rc = shoal_task_find(arg->task, &pool->task);
  if (!rc) rc = shoal_pool_told_(&arg->queue, &object);
  if (!rc) rc = shoal_queue_attach_at_(object.memory, object.size, arg->element_size, pool->seg, &object, &pool->queue);
  return rc ? shoal_pool_refuse_(&worker, rc) : shoal_pool_be_worker_(&worker);
}
