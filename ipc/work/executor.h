// ipc/work/executor.h: registered tasks run by worker processes, or by threads, submitted from any process; each is a
// future.
//
// USE
//   struct square { double in, out; };
//   SHOAL_TASK(square, struct square) { arg->out = arg->in * arg->in; return 0; }     // ipc/work/task.h
//
//   rc = shoal_executor_create(seg, "maths", &(struct shoal_executor_options){.workers = 4}, &ex);
//   struct square s = {.in = 3};
//   rc = SHOAL_SUBMIT(ex, square, &s, &future);                            // ipc/work/future.h
//   rc = shoal_future_get(&future, &s, sizeof s, NULL, SHOAL_FOREVER);     // s.out is 9
//   rc = shoal_future_release(&future);
//   rc = SHOAL_APPLY(ex, square, &s, NULL, SHOAL_FOREVER);                 // all three
//   rc = SHOAL_SUBMIT_BYTES(ex, reversed, text, strlen(text), &future);    // SHOAL_BYTES_TASK; shoal_future_get_bytes
//   rc = shoal_executor_shutdown(ex, 0, SHOAL_FOREVER);                    // all is done, the workers have ended
//   rc = shoal_executor_detach(ex);
//
// A job is a cell in the segment: the task, a copy of its argument, and one word that says what is the case. The task
// works on the argument in place, so that its struct is also where the result comes from. The job's number travels
// through a queue (mpmc); who receives it has it in hand until the job's own word says that it runs it. For what a dead
// worker ran the creator puts the number there again.
//
//   PENDING --a worker--> RUNNING --answered 0--> DONE
//      |                     |-----answered else, or its worker died more than `retries` times--> FAILED
//      |                     `-----cancel(force), time limit--> CONDEMNED --its worker is killed--> CANCELLED, FAILED
//      `-----cancel--> CANCELLED
//
// With retry_delay_ns a job whose worker died is PENDING again, and begins when that time is over; it can be cancelled.
//
// SAFETY   a handle is shared by the threads of its process; submit, and all of future.h, from any thread of any
//          process, together. create: a thread which stays (workers are its daemons); by fork before there are others,
//          or `threaded`; by the starter at any time (METHODS in ipc/work/pool.h): from here on it is the creator.
//          tend, resize, shutdown, join, terminate, worker: that thread (others: -ECHILD). detach: that thread, and in
//          other processes any. After fork the child submits through the same handle. Inside of a task
//          shoal_executor_current() is the handle: a task may submit, and wait; what it waits for, and nobody has
//          begun, it runs itself. Not in a signal handler.
// ORDERING what was written before a submit is seen by the task; what the task wrote, by who finds its future done:
//          [J1], [J2]. Jobs begin in the order in which one thread submitted them.
// CRASH    submit: killed before it returns, the job will run or never was. A worker: exactly the jobs that it ran have
//          failed (-ENOTRECOVERABLE, and the signal) or, with `retries`, run again: so every job ends in exactly one
//          state, having run at most once, or with retries at least once; what a dead attempt had replied is nobody's
//          result, and its memory comes back. A process that has futures: its jobs run all the same, and their cells
//          are free after that. The creator: its workers are killed at once; whoever waits is told (-EPIPE), as nothing
//          runs any more. A task that leaves another by longjmp ends its worker when it returns. Killed inside a
//          release of another process's future: its cell is free once somebody reaps, as a submit does that finds none
//          free.
// THREADS  with options.threads the workers are threads of the creator's process: the same calls, the same results. A
//          thread cannot be killed: cancel(force) and a time limit are refused (-ENOTSUP), terminate and detach wait
//          for what runs. A task that crashes takes the process with it; one that ends its thread (pthread_exit) has
//          failed.
// HEALING  the creator's calls (get, wait and the like included) replace dead workers, kill the condemned and watch the
//          time limits; while they sleep, too: a death, a job condemned elsewhere and a limit wake them. A creator that
//          makes none for long calls shoal_executor_tend. Who waits elsewhere is woken by the creator's death. An idle
//          waiter looks once a second, and every 50 ms as long as a worker has not begun, or beyond 60 of them. A
//          worker whose serving thread has ended (pthread_exit, exec) is killed.
// TURNS    as of a pool (ipc/work/pool.h): workers are SCHED_BATCH.
// COST     submit: a line written, a compare-and-set, a put; the worker: a receive and two compare-and-sets. No system
//          call unless somebody sleeps. An argument of up to 48 bytes lies in the job's own line, a larger one in a
//          block of the segment's heap. Bytes: up to 24 there, else in a block, copied once; a result is a block,
//          written in place.
#pragma once

#include "core/directory.h"
#include "ipc/work/pool.h"
#include "ipc/work/task.h"

SHOAL_BEGIN

struct shoal_executor;  // this process's handle

struct shoal_future {  // private memory; by shoal_future_token, another process's, too
  struct shoal_executor *executor;
  uint32_t job, generation;
};

#define SHOAL_EXECUTOR_JOBS_MAX (UINT32_C(1) << 22)
#define SHOAL_EXECUTOR_RETRIES_MAX 62u
#define SHOAL_EXECUTOR_WORKERS_MAX 1000u

struct shoal_executor_options {  // zero: the default
  unsigned workers;              // shoal_cpu_count()
  unsigned workers_max;          // that it may be resized to (workers)
  uint32_t jobs;                 // futures at a time (16,384), rounded up to a power of two, 16 at least
  uint32_t producers;            // threads that submit, at a time (256, at most 1,024)
  uint32_t retries;              // 0: a job whose worker dies has failed; else it runs so often again
  int64_t retry_delay_ns;        // at once; else the first time after so long, then after twice as long, and so on
  int64_t retry_delay_max_ns;    // no limit; else no longer than that
  int dead_letters;       // 1: jobs that failed with their workers, or at their limit, are kept: shoal_executor_letter
  int64_t time_limit_ns;  // none; else for each attempt, what it runs while it waits included, which ends with it
  int (*init)(void *arg, unsigned worker);  // these three as in struct shoal_pool_options
  void (*finalize)(void *arg, unsigned worker);
  void *arg;                              // of both
  const char *init_task, *finalize_task;  // these four as there
  const void *init_argument;
  uint64_t init_size;
  uint64_t tasks_max;   // as there, as are these
  uint64_t memory_max;  // not for threads: -ENOTSUP
  int64_t age_max_ns;
  const uint16_t *processors;
  unsigned processor_count;
  const char *workers_name;             // NAME-1, NAME-2...; the executor's name
  uint32_t restarts_max;                // no limit; else more than this within restarts_within break the executor
  int64_t restarts_within_ns;           // one second
  int threaded;                         // fork although other threads run, as in struct shoal_process_options
  int threads;                          // 1: the workers are threads of this process
  int callback_thread;                  // 1: shoal_executor_callback_thread of ipc/work/future.h
  const struct shoal_context *context;  // how processes start, as in struct shoal_pool_options
};

// ---- lifecycle ----
// `name` NULL: for the creator and its children. -EINVAL, -EEXIST, -ENOSPC, -EUSERS, -EBUSY (threads, by fork),
// -ENOTSUP (a time limit for threads), -ENOENT, -EEXIST, -EBADMSG (init_task, finalize_task), fork's. In a segment with
// a name the executor's stays, after a shutdown as after SIGKILL: who starts again calls shoal_executor_unlink first;
// -ENOENT is fine.
int shoal_executor_create(struct shoal_segment *seg, const char *name, const struct shoal_executor_options *options,
                          struct shoal_executor **out) SHOAL_MUST_CHECK;
// Somebody else's, to submit and to open futures. -ENOENT, -EBADMSG, -EPROTO, -ENOMEM.
int shoal_executor_open(struct shoal_segment *seg, const char *name, struct shoal_executor **out) SHOAL_MUST_CHECK;
int shoal_executor_unlink(struct shoal_segment *seg, const char *name);  // -ENOENT; -EBADMSG: another type's
// No more is submitted (-EPIPE), but by tasks; what was is done. Any process; does not sleep. 0.
int shoal_executor_close(struct shoal_executor *ex);
// Creator: closed, waits until all is done and the workers have ended. -EINVAL not closed, -EAGAIN, -ETIMEDOUT,
// -ENOTRECOVERABLE.
int shoal_executor_join(struct shoal_executor *ex, shoal_deadline deadline);
// Creator: close, and join (SHOAL_TRY: only close). SHOAL_CANCEL_PENDING: what no worker has begun is cancelled.
enum { SHOAL_CANCEL_PENDING = 1 };
int shoal_executor_shutdown(struct shoal_executor *ex, unsigned flags, shoal_deadline deadline);
// Creator: SIGTERM to the workers, SIGKILL at the deadline. Jobs not begun are cancelled, those in hand have failed;
// with retry_delay_ns, what may be tried again is cancelled, too.
// Threads: those in hand are done; -EBUSY at the deadline: one still runs, call again.
int shoal_executor_terminate(struct shoal_executor *ex, shoal_deadline deadline);
// Mine: the handle. The creator's: terminates what still runs (threads: waits for it), and then waits for the callback
// that its thread runs. Somebody else's with such a thread: waits for that callback, so for the jobs that it waits for.
// Futures of this handle are of no use any more. -EBUSY: another thread of this process has submitted through it, and
// lives (threads, or a thread for callbacks: what ran is terminated all the same); -EDEADLK: in a callback that its
// thread runs.
int shoal_executor_detach(struct shoal_executor *ex);
// The executor whose worker the calling thread is; NULL: none's, and while init or init_task runs, which must not wait
// for jobs of it.
struct shoal_executor *shoal_executor_current(void);

// ---- submitting ----
// Copies the argument, `size` bytes: that of the task's struct; of a bytes task as many as you like. `out` NULL: nobody
// wants to know what comes of it.
// Sleeps while the queue is full (jobs / 2); a worker runs the job itself then. -ENOENT no such task, -EEXIST two;
// -EINVAL no argument; -EBADMSG its size is another; -EPIPE closed, or its creator gone; -ENOTRECOVERABLE broken;
// -ENOSPC options.jobs futures have not been released, or the heap is full; -EAGAIN, -ETIMEDOUT; -EUSERS.
int shoal_executor_submit(struct shoal_executor *ex, const char *task, const void *argument, uint64_t size,
                          shoal_deadline deadline, struct shoal_future *out);
// The same, the task found before (shoal_task_find): no name is compared. -ENOENT: it is not registered in this
// program.
int shoal_executor_submit_task(struct shoal_executor *ex, const struct shoal_task *task, const void *argument,
                               uint64_t size, shoal_deadline deadline, struct shoal_future *out);
// Submit, get into the argument itself, release. `failure` may be NULL. Errors of submit and of shoal_future_get. A job
// that is not done at the deadline is cancelled if it has not begun, and else forgotten.
int shoal_executor_apply(struct shoal_executor *ex, const char *task, void *argument, uint64_t size,
                         struct shoal_failure *failure, shoal_deadline deadline);
int shoal_executor_apply_task(struct shoal_executor *ex, const struct shoal_task *task, void *argument, uint64_t size,
                              struct shoal_failure *failure, shoal_deadline deadline);

// The same with a bytes task: the result is copied to `out`, *out_size bytes. -EMSGSIZE: it has more than `room`;
// *out_size says how many, and it is lost. -EBADMSG: no bytes task.
int shoal_executor_apply_bytes(struct shoal_executor *ex, const struct shoal_task *task, const void *argument,
                               uint64_t size, void *out, uint64_t room, uint64_t *out_size,
                               struct shoal_failure *failure, shoal_deadline deadline) SHOAL_MUST_CHECK;

// With a task that SHOAL_TASK has defined in this file: the compiler checks that the argument is of its type.
#define SHOAL_SUBMIT(ex, task, argument, out) SHOAL_SUBMIT_UNTIL(ex, task, argument, SHOAL_FOREVER, out)
#define SHOAL_SUBMIT_UNTIL(ex, task, argument, deadline, out) \
  shoal_executor_submit_task(ex, &task##_task_, (1 ? (argument) : task##_type_), sizeof *task##_type_, deadline, out)
#define SHOAL_SUBMIT_BYTES(ex, task, data, size, out) \
  shoal_executor_submit_task(ex, &task##_task_, data, size, SHOAL_FOREVER, out)
#define SHOAL_APPLY(ex, task, argument, failure, deadline) \
  shoal_executor_apply_task(ex, &task##_task_, (1 ? (argument) : task##_type_), sizeof *task##_type_, failure, deadline)

// ---- looking after it ----
// Creator: replaces dead workers, kills the condemned; waits for one to end, until the deadline. How many were
// replaced, or -ENOTRECOVERABLE: broken.
int shoal_executor_tend(struct shoal_executor *ex, shoal_deadline deadline);
// Creator: from now on so many workers, 1..workers_max: starts them, or has as many end, each after what it runs. Waits
// until the deadline for those; at SHOAL_TRY -EAGAIN, later -ETIMEDOUT: they end without it. -EINVAL, -EPIPE closed,
// -ENOTRECOVERABLE; the errors of a start: later calls start the rest.
int shoal_executor_resize(struct shoal_executor *ex, unsigned workers, shoal_deadline deadline);
// Frees the cells of processes that are gone. Submitting does so when it finds none free. How many.
int shoal_executor_reap(struct shoal_executor *ex);

struct shoal_letter {  // of a job that failed with the last of its workers, or at its time limit
  struct shoal_failure failure;
  uint64_t token;  // shoal_future_token's
  uint64_t size;   // of the argument
};
// Takes the next dead letter, in no order: the argument, as the last attempt left it, is copied, `room` bytes at most;
// its cell is free when its future has been released, too. Any process; together: one of them has it. Killed meanwhile,
// it is taken or is not. It looks through the table. -ENOENT: there is none; -EMSGSIZE: the letter stays, *out says how
// large.
int shoal_executor_letter(struct shoal_executor *ex, struct shoal_letter *out, void *argument, uint64_t room);

struct shoal_executor_info {
  unsigned workers, alive;              // alive: as the creator knows; others are told `workers`
  uint32_t jobs_max, jobs;              // jobs: cells in use
  uint32_t pending, running, finished;  // of those; finished: not released yet
  uint32_t letters;                     // of the finished
  uint64_t done, failed;                // since the beginning, counted by workers; the creator knows, as what follows
  uint64_t restarts, recycled;
  int closed, broken;  // 0 or -ENOTRECOVERABLE
  char reason[128];    // why
};
// Any process; a snapshot; it looks through the table, and does not sleep. 0.
int shoal_executor_info(struct shoal_executor *ex, struct shoal_executor_info *out);

struct shoal_executor_worker {
  pid_t pid;  // 0: there is none; of threads, the creator's
  uint64_t restarts;
  char name[SHOAL_NAME_MAX + 1];
};
// -EINVAL: there is none of that number. Does not sleep.
int shoal_executor_worker(struct shoal_executor *ex, unsigned worker, struct shoal_executor_worker *out);

struct shoal_executor_running {  // what a worker runs
  unsigned worker;
  uint32_t tid;     // its thread
  uint32_t jobs;    // with those that it runs while a task of its waits
  uint64_t token;   // shoal_future_token's, of the one that it began first
  int64_t busy_ns;  // since it began that; -1: nobody knows, as jobs have no time limit, so nobody looks at a clock
  char task[25];    // its task's name, cut
};
// Calls `each` for every worker that runs something, until it answers other than 0, and answers that. Any process; a
// snapshot, in which a worker that has just begun or ended may be told with what it ran before. It looks through the
// table. -ENOMEM.
int shoal_executor_running(struct shoal_executor *ex, int (*each)(const struct shoal_executor_running *, void *),
                           void *arg);

SHOAL_END
