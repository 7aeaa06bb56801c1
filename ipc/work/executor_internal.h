// What an executor is in its segment, and in a process.
//
//   header | worker places | submitting: a line a producer | queue of orders | cells of jobs
//
// Who may change a job's words:
//   owner    0 --CAS--> {process, generation}: the cell is that process's to fill, once it has written the present
//            generation there by CAS. Back to 0 last, by who has freed it, or by who reaps and finds that one killed
//   state    FREE --store--> PENDING             the owner
//            PENDING --> RUNNING      who has the order in hand, and gives it back then; or a worker that waits for the
//                                     job, or found no room for its order
//            RUNNING --> RUNNING      after the runner's death: who has the order that the creator put for it. Of
//                                     several chunks, without the one that the dead one had in hand: see run_each
//            RUNNING --> DONE, FAILED who runs it, or has its order in hand after the runner's death
//            RUNNING --> CONDEMNED    anybody; then its worker never begins another job, and is killed
//            CONDEMNED --> FAILED, CANCELLED  who has its order in hand after the runner's death
//            RUNNING --> PENDING      with a back-off, after the runner's death: the creator; attempts stay counted
//            RUNNING, CONDEMNED --> DEAD  as FAILED, where dead letters are kept; DEAD --> FAILED  who reads the letter
//            PENDING --> CANCELLED    anybody
//            over --> FREE, generation + 1    who releases it; a worker, if DETACHED
//            All but the first by a CAS.
//   ASLEEP, DETACHED are added by a CAS at any time before that, and never taken back.
// The argument is the owner's until PENDING, then of who runs it, then of nobody: read only. An order that is found to
// be of a job that is over, or runs in a living worker, is dropped: there may be more than one of a job.
#pragma once

#include "core/futex.h"
#include "core/heap.h"
#include "core/proc.h"
#include "ipc/work/future.h"
#include "ipc/work/pool_internal.h"

SHOAL_BEGIN

// ---- in the segment ----

enum shoal_job_state_ {
  SHOAL_JOB_FREE_,
  SHOAL_JOB_PENDING_,
  SHOAL_JOB_RUNNING_,
  SHOAL_JOB_CONDEMNED_,
  SHOAL_JOB_DONE_,
  SHOAL_JOB_FAILED_,
  SHOAL_JOB_CANCELLED_,
  SHOAL_JOB_DEAD_  // failed, and kept until its letter is read
};
// generation:32 | late:1 | died:1 | worker:10 | incarnation:9 | attempt:6 | detached:1 | asleep:1 | state:3
#define SHOAL_JOB_ASLEEP_ UINT64_C(8)
#define SHOAL_JOB_DETACHED_ UINT64_C(16)
#define SHOAL_JOB_WORKER_ UINT64_C(0xffffffe0)  // attempt, incarnation, worker, what became of that
#define SHOAL_JOB_BY_ UINT64_C(0x3ffff800)      // incarnation, worker
// Why it ended is part of the word, as who ends it for a dead runner may be late, and the cell another job's by then.
#define SHOAL_JOB_DIED_ (UINT64_C(1) << 30)  // FAILED, DEAD: with its worker; else it has written down why
#define SHOAL_JOB_LATE_ (UINT64_C(1) << 31)  // CONDEMNED, and after that: at its time limit; else it is cancelled

enum {  // in the task word
  SHOAL_ARGUMENT_INLINE_ = 0,
  SHOAL_ARGUMENT_BLOCK_ = 1,
  SHOAL_ARGUMENT_PLACE_ = 2,
  SHOAL_ARGUMENT_BYTES_ = 3,  // of a bytes task: `small`, or a block; the result has a block of its own
};
#define SHOAL_ARGUMENT_ UINT64_C(3)
#define SHOAL_JOB_LIMITED_ UINT64_C(4)  // in the task word: the worker notes when it has to be over
#define SHOAL_JOB_RANGES_ UINT64_C(8)   // in the task word: indices, from a shared cursor at `off`; 0: one range, twice

#define SHOAL_HAS_FAILED_ (UINT32_C(1) << 31)  // of `progress`: the failure of one of the structs is written
#define SHOAL_CHUNKS_ 16u                      // fewer than a job has attempts: each death takes one

#define SHOAL_JOB_INLINE_ 48u
#define SHOAL_JOB_SMALL_ 24u
struct shoal_job_shm {
  shoal_atomic64 state;  // its low half is a futex
  uint64_t task;         // shoal_task_word_, as all up to `after` the owner's, before PENDING
  union {
    unsigned char argument[SHOAL_JOB_INLINE_];
    struct {
      unsigned char small[SHOAL_JOB_SMALL_];
      struct shoal_block_ref result;  // the owner: none, as `off` 0; who runs it: which block it is
      uint64_t result_size;           // who runs it, after that
    } bytes;
  };
  shoal_atomic64 owner;          // generation:20 | process:44
  uint64_t size;                 // of the argument, in bytes: one struct or several
  shoal_off off;                 // SHOAL_ARGUMENT_PLACE_: where it is
  struct shoal_block_ref block;  // SHOAL_ARGUMENT_BLOCK_: which it is; of bytes, too: `off` 0, they are `small`
  shoal_atomic64 next;           // generation:32 | 1 + the job that begins when this one is over, or 0: see job_then.c
  shoal_atomic64 after;          // 1 + the token of the job that has to be over first; 0: none, or it has been
  uint32_t chunk;                // 0: all structs fail together; else so many, of at most SHOAL_CHUNKS_ chunks
  shoal_atomic32 progress;       // who runs it: structs done, SHOAL_HAS_FAILED_
  shoal_atomic32 code;           // who runs it, before FAILED without DIED, as what follows
  uint32_t element;              // the first struct that failed
  union {
    shoal_atomic64 until_ns;  // who runs it: CLOCK_MONOTONIC; the creator: not to be begun again before
    shoal_atomic64 lost;      // of chunks; who runs it: with their workers:32 | by whom the first ran that failed:32
  };
  char message[112];
} SHOAL_ALIGNED(64);
SHOAL_STATIC_ASSERT(sizeof(struct shoal_job_shm) == 256, "four lines");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_job_shm, owner) == 64, "small arguments travel in the state's line");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_job_shm, code) == 128, "what only failures touch keeps off");

struct shoal_desk_shm {  // of a worker
  // The worker: what it runs, or ran last, generation:32 | job:32; not what it runs while that waits.
  shoal_atomic64 job;
  shoal_atomic64 until_ns;  // the worker: when that has to be over; 0 never
  shoal_atomic32 kill;      // who condemns: the worker's incarnation and 1
  uint32_t reserved_;
  shoal_atomic64 ended;    // the creator: the last that has ended here: incarnation and 1:32 | exit code:32
  shoal_atomic64 who;      // the worker: see serve.c
  shoal_atomic64 task[3];  // the worker: how the job's task is called, cut; written when it is another than before
} SHOAL_ALIGNED(64);
SHOAL_STATIC_ASSERT(sizeof(struct shoal_desk_shm) == 64, "a line");

struct shoal_submitting_shm {  // of a producer: killed while it is not 0, its job's order may be in the queue or not
  shoal_atomic64 job;          // 1 + (generation:32 | job:32)
  uint64_t reserved_[7];
} SHOAL_ALIGNED(64);
SHOAL_STATIC_ASSERT(sizeof(struct shoal_submitting_shm) == 64, "a line");

struct shoal_executor_shm {
  uint32_t magic, workers, jobs, producers;  // constant
  uint32_t retries, creator;                 // constant; a shoal_proc_id
  uint64_t limit_ns;                         // constant
  uint64_t queue_size;                       // constant
  uint32_t threads;                          // constant: workers are threads of the creator
  shoal_atomic32 wanted;                     // the creator: workers; of `workers` places
  uint32_t letters, backoff;                 // constant: dead letters are kept; retries wait
  shoal_atomic32 behind;                     // anybody: jobs are to be caught up with; the creator, before it does
  shoal_atomic32 forks;       // the creator: its process makes workers by fork, and is to have no other threads
  shoal_atomic32 broken;      // the creator, after the reason
  shoal_atomic32 terminated;  // the creator: no job begins any more
  shoal_atomic32 closed;      // anybody: only tasks submit, from now on
  shoal_atomic32 attention;   // who condemns, after it has said so at the desk: changes; the creator sleeps on it
  char reason[112];
  uint64_t reserved3_[8];
} SHOAL_ALIGNED(64);
SHOAL_STATIC_ASSERT(sizeof(struct shoal_executor_shm) == 256, "four lines");

struct shoal_order_ {  // an element of the queue
  uint32_t job, generation;
};
SHOAL_STATIC_ASSERT(sizeof(struct shoal_order_) == 8, "sixteen bytes a slot");

SHOAL_STATIC_ASSERT(SHOAL_EXECUTOR_WORKERS_MAX <= 1024, "a worker's number has ten bits");

// ---- in a process ----

struct shoal_callback_ {
  struct shoal_callback_ *next;
  struct shoal_future future;
  struct shoal_map *map;  // NULL: of the future; else of the map, and `future` is one of its jobs that was not over
  union {
    void (*call)(const struct shoal_future *, void *);
    void (*map_call)(struct shoal_map *, void *);
  };
  void *arg;
  uint32_t tid;  // of a map's: who runs it
};

struct shoal_executor {
  struct shoal_segment *seg;
  struct shoal_object object;
  struct shoal_heap *heap;
  struct shoal_queue *queue;
  struct shoal_executor_shm *shm;
  struct shoal_desk_shm *desks;
  struct shoal_submitting_shm *submitting;
  struct shoal_job_shm *cells;
  uint32_t jobs, workers, producers, retries;  // checked copies; `workers` is how many there may be
  int64_t limit_ns;
  int threads, letters, backoff;
  shoal_proc_id creator;
  // ---- of the creator ----
  struct shoal_pool *pool;
  struct shoal_pool_hooks_ hooks;
  struct shoal_executor_options options;
  uint32_t creator_tid;  // of the thread that looks after the workers
  int64_t tended_ns;
  uint32_t attention;  // as it was before it last looked
  struct shoal_retry_ {
    int64_t due_ns;
    struct shoal_order_ order;
  } * retry;  // jobs whose orders are to be put then
  uint32_t retry_n, retry_room;
  unsigned char *owed;  // by worker: it has died, and what it ran still needs an order
  // ---- cells that were free when last seen; a stack ----
  shoal_atomic32 lock;
  uint32_t epoch;  // whose cells these are: not a child's of fork
  uint32_t free_n, cursor;
  uint32_t *free_cells;
  shoal_atomic64 pace;  // of the last map: see map.c
  // ---- callbacks ----
  shoal_atomic32 callbacks_lock;  // shoal_private_acquire_
  uint32_t callbacks_epoch;       // whose they are: not a child's of fork
  struct shoal_callback_ *callbacks, **callbacks_end;
  shoal_atomic32 callbacks_n;
  struct shoal_callback_ *called;                  // of maps: those that run
  shoal_atomic32 calls_ended;                      // of those, so many
  int calls_awaited;                               // somebody sleeps until one more has
  struct shoal_thread caller;                      // runs them, if there is one
  shoal_atomic32 caller_epoch, caller_ends, news;  // whose it is, or 0; see callback.c
};

// ---- words ----

SHOAL_INLINE uint32_t shoal_job_state_of_(uint64_t s) { return (uint32_t)s & 7; }
SHOAL_INLINE uint32_t shoal_job_generation_(uint64_t s) { return (uint32_t)(s >> 32); }
SHOAL_INLINE uint32_t shoal_job_attempt_(uint64_t s) { return (uint32_t)(s >> 5) & 63; }
SHOAL_INLINE uint32_t shoal_job_incarnation_(uint64_t s) { return (uint32_t)(s >> 11) & 511; }
SHOAL_INLINE uint32_t shoal_job_worker_(uint64_t s) { return (uint32_t)(s >> 20) & 1023; }
// Whether what a desk says of its last end is that of the incarnation that state `s` names.
SHOAL_INLINE int shoal_job_is_ended_(uint64_t ended, uint64_t s) {
  return ended >> 32 && (((ended >> 32) - 1) & 511) == shoal_job_incarnation_(s);
}
SHOAL_INLINE int shoal_job_over_(uint64_t s) { return shoal_job_state_of_(s) >= SHOAL_JOB_DONE_; }
SHOAL_INLINE uint64_t shoal_job_by_(uint32_t worker, uint32_t incarnation, uint32_t attempt) {
  return (uint64_t)(worker & 1023) << 20 | (uint64_t)(incarnation & 511) << 11 | (uint64_t)(attempt & 63) << 5;
}
SHOAL_INLINE uint64_t shoal_job_with_(uint64_t s, enum shoal_job_state_ state) { return (s & ~UINT64_C(7)) | state; }
SHOAL_INLINE uint64_t shoal_job_token_(uint32_t job, uint32_t generation) { return (uint64_t)generation << 32 | job; }
SHOAL_INLINE shoal_atomic32 *shoal_job_futex_(struct shoal_job_shm *cell) {
  return (shoal_atomic32 *)(void *)((char *)&cell->state + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0));
}

// ---- job.c: cells ----
struct shoal_submission_ {
  const struct shoal_task *task;
  const void *argument;  // NULL: it lies in the segment, at `off`
  uint64_t size;
  shoal_off off;
  uint32_t ranges;  // SHOAL_JOB_RANGES_
  uint32_t chunk;   // as in the cell
  uint64_t after;   // as in the cell; the argument is that job's
  int detached;
  shoal_deadline deadline;
};
int shoal_job_submit_(struct shoal_executor *ex, const struct shoal_submission_ *s, struct shoal_future *out);
// Frees the cell of a job that is over in state `s`, unless somebody was faster. 1: it was us. 2: it is DETACHED, and
// freed by who still needs what it came to.
int shoal_job_free_(struct shoal_executor *ex, uint32_t job, uint64_t s);
// This process is to try that cell first.
void shoal_job_remember_(struct shoal_executor *ex, uint32_t job);
// Seen in state `s`, a later generation: it may have been freed by a worker that was killed before its owner's word
// said so.
void shoal_job_freed_(struct shoal_executor *ex, uint32_t job, uint32_t generation, uint64_t s);
// Cancels what producers were killed with before its submit returned: perhaps it has no order, and would never be over.
void shoal_job_abandon_(struct shoal_executor *ex);
// Where the argument lies; -ENOENT, -EOVERFLOW: the cell was damaged, or its block is no more.
int shoal_job_argument_(struct shoal_executor *ex, struct shoal_job_shm *cell, void **out, uint64_t *size);
// Where the result lies: of a bytes task what it has replied (NULL: nothing), else the argument.
int shoal_job_result_(struct shoal_executor *ex, struct shoal_job_shm *cell, void **out, uint64_t *size);
SHOAL_INLINE int shoal_job_is_bytes_(const struct shoal_job_shm *cell) {
  return (__atomic_load_n(&cell->task, __ATOMIC_RELAXED) & SHOAL_ARGUMENT_) == SHOAL_ARGUMENT_BYTES_;
}
// Who runs a bytes task: its result has another block of so many bytes; or, `out` NULL, none.
int shoal_job_reply_(struct shoal_executor *ex, struct shoal_job_shm *cell, uint64_t size, void **out);
// The state of a job, if it is still that generation; else 0.
SHOAL_INLINE uint64_t shoal_job_look_(const struct shoal_executor *ex, uint32_t job, uint32_t generation) {
  if (job >= ex->jobs) return 0;
  uint64_t s = shoal_load64_acquire(&ex->cells[job].state);  // [J2] pairs with [J1]: the result is there
  return shoal_job_generation_(s) == generation && shoal_job_state_of_(s) != SHOAL_JOB_FREE_ ? s : 0;
}
// How often it may be tried again.
SHOAL_INLINE uint32_t shoal_job_retries_(const struct shoal_executor *ex, const struct shoal_job_shm *cell) {
  return __atomic_load_n(&cell->chunk, __ATOMIC_RELAXED) ? SHOAL_EXECUTOR_RETRIES_MAX : ex->retries;
}
// Of a job seen in state `s`: when it may be begun, as it waits to be tried again; INT64_MAX: it does not.
SHOAL_INLINE int64_t shoal_job_due_(const struct shoal_job_shm *cell, uint64_t s) {
  if (shoal_job_state_of_(s) != SHOAL_JOB_PENDING_ || !shoal_job_attempt_(s)) return INT64_MAX;
  return (int64_t)shoal_load64_relaxed(&cell->until_ns);  // [J2] was the load of the state
}
// From `s` to `to`, which is over, keeping ASLEEP and DETACHED, adding DIED if `s` has it; wakes, frees. 0: it is in
// another state by now.
int shoal_job_finish_(struct shoal_executor *ex, uint32_t job, uint64_t s, enum shoal_job_state_ to);
// Condemns a job that runs in state `s`: `how` 0, or SHOAL_JOB_LATE_. 1: done.
int shoal_job_condemn_(struct shoal_executor *ex, uint32_t job, uint64_t s, uint64_t how);
// Seen condemned, in state `s`: tells the creator to kill its worker. Who has condemned it may have died before that,
// so all say so who wait for it.
void shoal_job_kill_(struct shoal_executor *ex, uint64_t s);

// ---- job_then.c: jobs that begin when another is over ----
struct shoal_next_ {  // a job, and its state, 0: none
  uint32_t job;
  uint64_t s;
};
// Of a job that is over: has the next one begin, if there is one. If the queue is closed, it never will: which it is,
// to be cancelled.
struct shoal_next_ shoal_job_order_next_(struct shoal_executor *ex, uint32_t job, uint32_t generation, uint64_t next);
// The same, and cancels it.
void shoal_job_follow_(struct shoal_executor *ex, uint32_t job, uint32_t generation, uint64_t next);
// Of a pending job: helps, if what it waits for is over and nobody has said so. 1: it still waits.
int shoal_job_waits_(struct shoal_executor *ex, uint32_t job, uint64_t s);
// Whether the job named in `next` still needs what this one came to.
int shoal_job_is_needed_(struct shoal_executor *ex, uint32_t job, uint32_t generation, uint64_t next);
// The job `after`, which this one waited for, is needed no more.
void shoal_job_let_go_(struct shoal_executor *ex, uint32_t job, uint64_t after);
// In the creator: all that somebody could not have begin, because the queue was full.
void shoal_job_catch_up_(struct shoal_executor *ex);

// ---- serve.c: in a worker ----
// The calling thread is that worker from now on. 0, -EUSERS.
int shoal_executor_be_worker_(struct shoal_executor *ex, uint32_t worker, uint32_t incarnation);
// A worker takes the next order, until the deadline, and does what is to be done. 0 it ran, 1 it has failed, 2: there
// was nothing to run; <0 as a get's.
int shoal_executor_serve_(struct shoal_executor *ex, shoal_deadline deadline);
// The pool's hook.
int shoal_executor_run_(void *executor, unsigned worker, uint32_t incarnation, shoal_deadline deadline);
// In a worker: runs a job that is pending, seen in state `s`, though its order is elsewhere, or nowhere. 1; 0: it has
// begun, or this is no worker of this executor.
int shoal_executor_run_here_(struct shoal_executor *ex, uint32_t job, uint64_t s);
// In a worker: runs a job that has no order yet, in a cell of its own. 1; 0: this is no worker of this executor.
int shoal_executor_run_new_(struct shoal_executor *ex, uint32_t job, uint32_t generation, int detached);
// Whether the worker that a job says it runs in, in state `s`, lives. Who has its order in hand, or knows that the
// worker's process has ended, is not told so by mistake.
int shoal_executor_runner_lives_(struct shoal_executor *ex, uint64_t s);
// Of a worker that has ended: the kernel marks no more than 2,048 words of a thread, and that by which it is told may
// be beyond. A thread that was joined a moment ago may still be there for the kernel: then whoever sleeps beside its
// role sees to it.
void shoal_executor_mark_gone_(struct shoal_executor *ex, uint32_t worker);
uint32_t shoal_executor_tid_(const struct shoal_executor *ex, uint32_t worker);  // as it has said; 0 nobody yet
// Ends a job whose runner is dead, or what that has left to do for one that is over.
void shoal_executor_end_(struct shoal_executor *ex, uint32_t job, uint64_t s);

// ---- executor.c, tend.c ----
// How many workers there are to be, 1 to ex->workers.
SHOAL_INLINE uint32_t shoal_executor_wanted_(const struct shoal_executor *ex) {
  uint32_t n = shoal_load32_relaxed(&ex->shm->wanted);
  return n - 1 < ex->workers ? n : ex->workers;
}
// shoal_executor_create, whose workers `start` starts; NULL: nobody does.
int shoal_executor_make_(struct shoal_segment *seg, const char *name, const struct shoal_executor_options *options,
                         int (*start)(struct shoal_executor *ex, const char *name), struct shoal_executor **out);
// A handle of an object that this process has open.
int shoal_executor_adopt_(struct shoal_segment *seg, const struct shoal_object *object, struct shoal_executor **out);
// The pool's hook: a worker has ended.
void shoal_executor_ended_(void *executor, unsigned worker, uint32_t incarnation, int code);
// In the creator: looks after the workers, if it has not lately. 0; -ENOTRECOVERABLE, -EPIPE: nothing will ever run any
// more.
int shoal_executor_care_(struct shoal_executor *ex);
// The creator; a child of fork has inherited the handle, and is another thread.
SHOAL_INLINE int shoal_executor_is_creator_(const struct shoal_executor *ex) {
  return ex->pool && ex->creator_tid == shoal_self_()->tid;
}
int shoal_executor_check_creator_(const struct shoal_executor *ex);  // 0, -ECHILD
// Sleeps until one of these words of jobs changes, or there may be something for shoal_executor_care_; a second at
// most. n <= SHOAL_EXECUTOR_WORDS_.
#define SHOAL_EXECUTOR_WORDS_ (SHOAL_FUTEX_MANY / 2)
void shoal_executor_sleep_(struct shoal_executor *ex, const struct shoal_futex_entry *jobs, unsigned n,
                           shoal_deadline deadline);
void shoal_executor_attend_(struct shoal_executor *ex);  // the creator is to look
// For who sleeps elsewhere: what it watches for the executor, 2 words or more, and until when. How many; 0: look first.
unsigned shoal_executor_arm_(struct shoal_executor *ex, struct shoal_futex_entry *entries, unsigned room,
                             shoal_deadline *until);
// For what cannot sleep so: who waits for room, or for jobs of several executors, or more than there are words.
#define SHOAL_EXECUTOR_SLICE_NS_ INT64_C(20000000)
SHOAL_INLINE shoal_deadline shoal_executor_slice_(shoal_deadline deadline) {
  int64_t slice = shoal_now_ns() + SHOAL_EXECUTOR_SLICE_NS_;
  return (shoal_deadline){slice < deadline.ns ? slice : deadline.ns};
}

// ---- future.c, gather.c, callback.c ----
// The state; 0: released, so that nothing more comes of it: a job that was given up is nobody's, even before it is
// over.
SHOAL_INLINE uint64_t shoal_future_look_(const struct shoal_future *f) {
  uint64_t s = shoal_job_look_(f->executor, f->job, f->generation);
  return SHOAL_UNLIKELY(s & SHOAL_JOB_DETACHED_) ? 0 : s;
}
SHOAL_INLINE int shoal_future_over_(const struct shoal_future *f) {
  uint64_t s = shoal_future_look_(f);
  return !s || shoal_job_over_(s);
}
int shoal_future_released_(void);  // -EINVAL
void shoal_future_tell_(struct shoal_executor *ex, uint32_t job, uint64_t s, struct shoal_failure *out);
// Until when a waiter sleeps at most: a worker that waits for a job may have to begin it itself.
shoal_deadline shoal_future_until_(const struct shoal_future *f, uint64_t s, shoal_deadline deadline);
// Says that somebody sleeps until it is over, and answers its state; 0: it is over, or released, meanwhile.
uint64_t shoal_future_arm_(const struct shoal_future *f);
// Until one of them is over. `order` NULL: all of them, as they stand; else they are futures[order[i]].
int shoal_futures_wait_any_(const struct shoal_future *futures, const unsigned *order, unsigned n,
                            shoal_deadline deadline);
// Says of as many as can be slept on that somebody sleeps. How many, SHOAL_EXECUTOR_WORDS_ at most; 0: one is over.
unsigned shoal_futures_arm_(const struct shoal_future *futures, const unsigned *order, unsigned n,
                            struct shoal_futex_entry *entries, shoal_deadline *until);
void shoal_future_submitted_(void);                                 // this thread has submitted a job
void shoal_future_called_(struct shoal_executor *ex);               // runs callbacks that are due, unless a thread does
int shoal_callbacks_have_thread_(const struct shoal_executor *ex);  // in this process
// The thread that runs callbacks runs those that are due, and ends. The creator's workers have ended: what a callback
// still submits is ended, too. 1, 0: there is none, -EDEADLK: it is the caller.
int shoal_callbacks_end_(struct shoal_executor *ex);
void shoal_callbacks_dispose_(struct shoal_executor *ex);
// Of a map: `call` runs when all its jobs are over. -ENOMEM.
int shoal_callbacks_of_map_(struct shoal_executor *ex, struct shoal_map *map, void (*call)(struct shoal_map *, void *),
                            void *arg);
// The map is to be freed: its callbacks do not begin any more; waits for one that another thread runs.
void shoal_callbacks_drop_(struct shoal_executor *ex, const struct shoal_map *map);
// The argument of a job that is over, as it was left.
int shoal_future_copy_(const struct shoal_future *f, void *out, uint64_t size);
// shoal_future_get, which calls nothing back.
int shoal_future_get_(const struct shoal_future *f, void *out, uint64_t size, struct shoal_failure *failure,
                      shoal_deadline deadline);
// Of a job of several chunks, of structs of `each` bytes, that has failed: those that were not lost with a worker.
void shoal_future_copy_kept_(const struct shoal_future *f, void *out, uint64_t size, uint64_t each);

// ---- map.c ----
// 1, and one of its jobs that is not over; 0: all are. One call at a time.
int shoal_map_next_(struct shoal_map *map, struct shoal_future *out);
struct shoal_cursor_shm_ {  // a block of the heap: where jobs with SHOAL_JOB_RANGES_ claim their indices
  shoal_atomic64 next;      // workers
  uint64_t end, grain;      // constant, as is the next
  uint32_t parts, reserved_;
  uint64_t reserved2_[4];
} SHOAL_ALIGNED(64);
SHOAL_STATIC_ASSERT(sizeof(struct shoal_cursor_shm_) == 64, "a line");

SHOAL_END
