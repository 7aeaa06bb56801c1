// ipc/work/future.h: what comes of a task.
//
// USE
//   rc = shoal_future_get(&f, &arg, sizeof arg, &failure, shoal_after_s(1));
//   if (rc == -EREMOTEIO) fprintf(stderr, "%s: %d, %s\n", failure.task, failure.code, failure.message);
//   rc = shoal_future_release(&f);                                              // once for each submit
//
//   rc = SHOAL_THEN(&f, halve, &after);                                         // halve, on the result of f
//   rc = shoal_future_wait(futures, n, SHOAL_FIRST_DONE, SHOAL_FOREVER);        // or all, or the first failure
//   while (shoal_completed_next(&c, &i, SHOAL_FOREVER) == 0) ...futures[i]...   // as they complete
//
//   uint64_t token = shoal_future_token(&f);                                    // to another process, by any queue
//   rc = shoal_future_open(ex, token, &f);                                      // there
//
// SAFETY   any thread of any process, together. A released future is nobody's any more: -EINVAL, whoever has a copy.
// CRASH    see ipc/work/executor.h.
// COST     done already: a load and a copy.
#pragma once

#include "ipc/queue/select.h"
#include "ipc/work/executor.h"

SHOAL_BEGIN

// Waits until the job is over, and copies its argument as the task has left it; get it as often as you like until it is
// released. `out` may be NULL, `failure` too. 0; -EREMOTEIO the task failed: the failure says how, shoal_reason() in a
// line; -ECANCELED;
// -EAGAIN, -ETIMEDOUT not over yet; -EINVAL released; -EBADMSG `size`; -ENOTRECOVERABLE the executor is broken, -EPIPE
// its creator has gone: it will never be over. In a worker: a job that nobody has begun it runs itself.
int shoal_future_get(const struct shoal_future *f, void *out, uint64_t size, struct shoal_failure *failure,
                     shoal_deadline deadline) SHOAL_MUST_CHECK;
// The same, of a bytes task (SHOAL_BYTES_TASK): copies what it has replied, *size bytes. -EMSGSIZE: more than `room`;
// *size says how many, and nothing is copied: ask again. -EBADMSG: no bytes task.
int shoal_future_get_bytes(const struct shoal_future *f, void *out, uint64_t room, uint64_t *size,
                           struct shoal_failure *failure, shoal_deadline deadline) SHOAL_MUST_CHECK;
// The same, where it lies in the segment, aligned to 16 (NULL: nothing was replied): there until the future is
// released, by whoever.
int shoal_future_view_bytes(const struct shoal_future *f, const void **data, uint64_t *size,
                            struct shoal_failure *failure, shoal_deadline deadline) SHOAL_MUST_CHECK;
// Why it failed, as get; -EAGAIN it is not over, 0 it did not fail (then *out is untouched).
int shoal_future_failure(const struct shoal_future *f, struct shoal_failure *out);
// 1, 0, -EINVAL released. done: over, whichever way.
int shoal_future_done(const struct shoal_future *f);
int shoal_future_running(const struct shoal_future *f);
int shoal_future_succeeded(const struct shoal_future *f);  // -EAGAIN: not over
int shoal_future_cancelled(const struct shoal_future *f);
// 0 it is cancelled, and never ran. -EBUSY it has begun: with SHOAL_FORCE its worker is killed (by the creator, at once
// if that is the caller), and it is cancelled when that is dead; what the same worker had in hand around it has failed
// then, too. -EALREADY it is over, or ends at its time limit. -ENOTSUP it runs in a thread.
enum { SHOAL_FORCE = 1 };
int shoal_future_cancel(const struct shoal_future *f, unsigned flags);
// The job is given up: its cell is free when it is over. -EINVAL: released already.
int shoal_future_release(const struct shoal_future *f);

// ---- one after another ----
// Submits a job that begins when `f` is over, on a copy of its result, which has the size of the task's struct:
// -EBADMSG, as for bytes tasks. If `f` fails or is cancelled, the task does not run, and the job ends as `f` did: its
// failure names the task that did not run, the reason says so. `f` may be released meanwhile; it has one such job at a
// time: -EBUSY. `out` NULL: nobody wants to know. Does not sleep. -EINVAL released; -ENOENT, -EEXIST, -ENOSPC, -EPIPE,
// -ENOTRECOVERABLE, -EUSERS as submit's.
// Killed within: the job is, or never was. Who cancels `f`, and is killed within that: the job ends when somebody waits
// for it, looking once a second.
int shoal_future_then(const struct shoal_future *f, const char *task, struct shoal_future *out);
int shoal_future_then_task(const struct shoal_future *f, const struct shoal_task *task, struct shoal_future *out);
#define SHOAL_THEN(f, task, out) shoal_future_then_task(f, &task##_task_, out)

// ---- many ----
enum shoal_wait_for { SHOAL_ALL_DONE = 0, SHOAL_FIRST_DONE = 1, SHOAL_FIRST_FAILED = 2 };  // the last: or all are done
// Released counts as failed, cancelled does not. How many of them are over, or -EAGAIN, -ETIMEDOUT and get's errors;
// -EINVAL `what`; -ENOMEM.
int shoal_future_wait(const struct shoal_future *futures, unsigned n, enum shoal_wait_for what,
                      shoal_deadline deadline);

// A case of a select (ipc/queue/select.h): the job is over, with result 0; or what get would answer: -EINVAL released,
// -ENOTRECOVERABLE, -EPIPE. A creator looks after its workers in the select, too; in one with many cases, some of them
// once a second. The creator's death wakes one sleeper, who wakes the others when it looks at this case: if an earlier
// one is ready just then, they find out within a second. The future stays until the call returns. In a worker: a job
// that nobody has begun it runs itself, before it sleeps, however long that takes.
extern const struct shoal_word_source_ shoal_future_source_;
SHOAL_INLINE struct shoal_case shoal_on_future(const struct shoal_future *f) {
  return shoal_on_word_(&shoal_future_source_, f);
}

struct shoal_completed {  // an iterator; private
  const struct shoal_future *futures;
  unsigned n, left, next;
  unsigned *order;  // [0, next): given out; [next, n - left): over; the rest is waited for
};
// -ENOMEM.
int shoal_completed_begin(struct shoal_completed *c, const struct shoal_future *futures, unsigned n) SHOAL_MUST_CHECK;
// The index of one that is over and was not given yet. -ENOENT: there are no more. -EAGAIN, -ETIMEDOUT, get's errors.
int shoal_completed_next(struct shoal_completed *c, unsigned *index, shoal_deadline deadline);
void shoal_completed_end(struct shoal_completed *c);

// ---- callbacks: in the process that asked for them ----
// `call` runs once, when the job is over: in shoal_executor_poll, or in the get, wait or apply of this process that
// finds it so; or in one thread, if there is one. A future released before that is over for its callbacks: they get
// their -EINVAL from it. Does not sleep. -ENOMEM; -EINVAL released, or no `call`.
int shoal_future_on_done(const struct shoal_future *f, void (*call)(const struct shoal_future *f, void *arg),
                         void *arg);
// Runs what is due; waits for something to be, until the deadline. How many; 0 at once if none are asked for, or a
// thread runs them.
int shoal_executor_poll(struct shoal_executor *ex, shoal_deadline deadline);
// From now on the callbacks of this handle run in one thread of this process, one after another, nowhere else; it is a
// daemon, and takes no signal. If nothing runs any more (-EPIPE, -ENOTRECOVERABLE), they run all the same, and get that
// from their get. A callback may wait, and submit; detach terminates, runs what is due, and ends the thread. What
// another thread has begun to call by now ends there. A child of fork has none, and its callbacks are its own poll's. A
// callback that ends the thread (pthread_exit) is the last. -EALREADY; -EBUSY this process forks its workers, which it
// does not with other threads: say options.threaded, make a starter, or have threads as workers; the errors of
// shoal_thread_start.
int shoal_executor_callback_thread(struct shoal_executor *ex);

// ---- in another process ----
SHOAL_INLINE uint64_t shoal_future_token(const struct shoal_future *f) {
  return (uint64_t)f->generation << 32 | f->job;
}
// -EINVAL: no job of this executor, or released.
int shoal_future_open(struct shoal_executor *ex, uint64_t token, struct shoal_future *out);

SHOAL_END
