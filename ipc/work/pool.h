// ipc/work/pool.h: worker processes that run a registered task on the elements of a queue, and are replaced when they
// die.
//
// USE
//   SHOAL_TASK(shrink, struct image) { ... return 0; }        // ipc/work/task.h; works on the element in place
//   struct shoal_pool_options o = {.task = "shrink", .queue = images, .workers = 4};
//   int rc = shoal_pool_create(seg, &o, &pool);
//   while (...) rc = shoal_pool_submit(pool, &image, SHOAL_FOREVER);   // or any put into the queue, from any process
//   rc = shoal_pool_close(pool);                               // that was all
//   rc = shoal_pool_join(pool, SHOAL_FOREVER);                 // everything is done, the workers have ended
//   shoal_pool_destroy(pool);
//
// A worker is a daemon process (ipc/work/process.h): receive an element (two-phase), run the task on it where it lies,
// release it. At the end of the stream - closed and drained, or all producers gone - it ends.
//
// SAFETY   The handle belongs to the process that created it (others: -ECHILD), one thread at a time, and as daemons
//          go, to a thread that stays. Workers are forks, unless METHODS says else: create the pool before threads, or
//          say `threaded`. The creating thread is a consumer of the queue once more, through a handle of the pool's
//          own, so that producers do not see its end while all workers are dead; its other roles there are untouched.
// ORDERING What was written before an element was put is seen by its task; what a task wrote, by who has seen the pool
//          joined, or that its worker is gone. Counts are read as they are.
// CRASH    A worker dies: what it held is delivered again, to another; the next call here starts a new one in its
//          place. So a task runs at least once for each element, and exactly once for those whose worker lived until
//          the release; a task that must not be seen twice gives its result an id. An element that kills its worker
//          comes again for ever, unless deliveries_max has it fail; so does what workers begin with, if it kills them,
//          unless restarts_max breaks the pool. The creator dies: its workers are killed at once,
//          and nothing of the pool stays in the segment.
// METHODS  By fork: with functions (init, finalize, failed), any queue; the creator has no other threads. By the
//          starter (ipc/work/process.h): a creator of any size with any threads; by spawn, likewise; no functions (but
//          init_task, finalize_task), and the queue an object of elements, without leases, in the pool's segment
//          (-EINVAL). Not told: by the starter if the program has made one and the workers can do with it, else as
//          shoal_process_default says, or by fork.
// TURNS    Of a creator under SCHED_OTHER workers run under SCHED_BATCH: woken while every processor is busy, one waits
//          for its turn and interrupts nobody. `init` may change that (sched_setscheduler); a task's own children
//          inherit it. Where a filter refuses it they stay under SCHED_OTHER, and nothing is said.
// COST     An element: a receive, a release, three stores to the worker's own line. shoal_pool_tend: one poll. A pool
//          is one object of the segment, without a name: one of those that shoal_segment_options.objects counts.
#pragma once

#include "core/segment.h"
#include "ipc/queue/queue.h"
#include "ipc/work/process.h"

SHOAL_BEGIN

struct shoal_pool;  // the creator's handle
struct shoal_pool_hooks_;

struct shoal_failure {  // of a task
  int code;             // what it answered; -ENOTRECOVERABLE: it was given up, deliveries_max workers have died with it
  int signal;           // that killed the last of them; 0: none, or nobody knows. Not told by a pool
  unsigned worker;
  uint32_t attempt;   // of the element, from 1
  uint64_t element;   // of a map's array, of an imap's input; else 0
  const char *task;   // its name
  char message[112];  // why: what shoal_task_fail or a call of the library said in the task, cut; "" nothing
};

struct shoal_pool_options {                 // zero: the default
  const char *task;                         // its argument is an element of the queue, or the beginning of one
  struct shoal_queue *queue;                // stays the caller's, and open until the pool is destroyed
  unsigned workers;                         // shoal_cpu_count() of ipc/work/processors.h
  const char *name;                         // the workers are NAME-1, NAME-2...; the task's name
  int (*init)(void *arg, unsigned worker);  // in every new worker, before its first task; not 0: the pool is broken
  void *init_arg;                           // of finalize, too
  void (*finalize)(void *arg, unsigned worker);  // in a worker that ends by itself, after its last task
  // The same for workers of every kind, by registered tasks: each worker has an argument of its own, a copy of
  // `init_argument` as it was at the creation, which finalize_task finds as init_task has left it. Tasks find what it
  // made in a global (of threads: in a thread-local value); a worker's number ends its name. What finalize_task
  // answers counts nothing. The copies are of one in the segment, which a peer that may write can change: no pointers.
  const char *init_task, *finalize_task;  // not beside functions
  const void *init_argument;
  uint64_t init_size;          // that of the tasks' struct; of a bytes task as many as you like, and it has no result
  uint64_t tasks_max;          // no limit; else a worker ends after so many, and is replaced
  uint64_t memory_max;         // no limit; else a worker that has more bytes of its own resident after a task, likewise
  int64_t age_max_ns;          // no limit; else one that is older, idle or after a task
  const uint16_t *processors;  // worker i works on the i-th, and so on from the first; NULL: where the creator may
  unsigned processor_count;
  // In the worker, for each task that failed, before its element is released; like a task, at least once. Not any more
  // once it has killed deliveries_max workers itself.
  void (*failed)(void *arg, const struct shoal_failure *failure, void *element);
  void *failed_arg;
  uint32_t deliveries_max;     // no limit; else (up to 511) an element that so many workers died with is failed
  uint32_t restarts_max;       // no limit; else more restarts than this within restarts_within break the pool
  int64_t restarts_within_ns;  // one second
  int threaded;                // as in struct shoal_process_options
  const struct shoal_context *context;     // how workers start, see METHODS; its segment is the pool's, or NULL
  const struct shoal_pool_hooks_ *hooks_;  // ipc/work/pool_internal.h
};

// -ENOENT, -EEXIST a task; -EBADMSG its argument is larger than an element, or not of init_size; -EUSERS the queue has
// too few consumers for the workers and the pool itself; -EINVAL no task or no queue, an argument of no task or none of
// one, functions beside init_task or finalize_task, or a context that does not go; the errors of fork and of the
// segment.
int shoal_pool_create(struct shoal_segment *seg, const struct shoal_pool_options *options,
                      struct shoal_pool **out) SHOAL_MUST_CHECK;

// Puts one element. 0, -EAGAIN, -ETIMEDOUT, -EPIPE closed, -ENOTRECOVERABLE the pool is broken.
int shoal_pool_submit(struct shoal_pool *pool, const void *element, shoal_deadline deadline) SHOAL_MUST_CHECK;

// Replaces dead workers. Waits for a worker to end, at most until the deadline; answers how many were replaced; 0 at
// once when all have ended. -ENOTRECOVERABLE the pool is broken and shoal_reason() says why; fork's errors: call again.
// All calls here do this in passing; call it when there are none for long.
int shoal_pool_tend(struct shoal_pool *pool, shoal_deadline deadline);

// From all that follows but info and worker: -ECHILD, another process's.
// Closes the queue: workers drain it and end. Waiting for that, and replacing those who die meanwhile, is join's.
int shoal_pool_close(struct shoal_pool *pool);
// Until all workers have ended at the end of the stream. -EAGAIN, -ETIMEDOUT, -ENOTRECOVERABLE.
int shoal_pool_join(struct shoal_pool *pool, shoal_deadline deadline);
// SIGTERM to all; SIGKILL to those alive at the deadline; returns when they are gone. Their elements go back to the
// queue.
int shoal_pool_terminate(struct shoal_pool *pool, shoal_deadline deadline);
// Terminates what still runs, at once, and frees the handle. -EBUSY, and only terminated: another thread created it,
// and has to destroy it.
int shoal_pool_destroy(struct shoal_pool *pool);

struct shoal_pool_info {
  unsigned workers, alive;
  uint64_t restarts;          // dead workers replaced
  uint64_t recycled;          // workers replaced after tasks_max, memory_max, age_max
  uint64_t done, failed;      // tasks that answered 0, or not; a worker killed right after a task has not counted it
  struct shoal_failure last;  // of those that failed
  int broken;                 // 0 or -ENOTRECOVERABLE
  char reason[128];           // why
};
int shoal_pool_info(struct shoal_pool *pool, struct shoal_pool_info *out);

struct shoal_worker_info {
  pid_t pid;          // 0: ended
  uint64_t restarts;  // in this place, as what follows
  uint64_t done, failed;
  int64_t busy_ns;  // since it began the task it runs; 0 it runs none
  char name[SHOAL_NAME_MAX + 1];
};
// -EINVAL: there is none of that number.
int shoal_pool_worker(struct shoal_pool *pool, unsigned worker, struct shoal_worker_info *out);

SHOAL_END
