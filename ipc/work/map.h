// ipc/work/map.h: one task on many arguments.
//
// USE
//   struct square squares[1000];
//   rc = SHOAL_MAP(ex, square, squares, 1000, NULL, SHOAL_FOREVER);           // results in place
//
//   rc = SHOAL_MAP_ASYNC(ex, square, squares, 1000, 0, &map);                 // 0: chunks of a good size
//   rc = shoal_map_get(map, &failure, SHOAL_FOREVER);                         // now they are there
//   shoal_map_end(map);
//   rc = shoal_map_on_done(map, tell, NULL);                                  // or: tell(map, NULL) is called then
//
//   static int input(void *arg, void *item) { ... return 1; }                 // 0: that was the last
//   rc = SHOAL_IMAP(ex, square, input, NULL, NULL, &it);
//   while ((rc = shoal_imap_next(it, &s, sizeof s, NULL, SHOAL_FOREVER)) != -ENOENT) ...
//   shoal_imap_end(it);
//
//   struct rows { struct shoal_range range; ... };
//   SHOAL_TASK(sum_rows, struct rows) { for (uint64_t i = arg->range.begin; i < arg->range.end; i++) ...; return 0; }
//   rc = SHOAL_FOR_EACH(ex, sum_rows, &rows, n, NULL, NULL, SHOAL_FOREVER);
//
//   struct power { double base, exponent, result; };                          // several arguments: a tuple
//   SHOAL_TASK(power, struct power) { arg->result = pow(arg->base, arg->exponent); return 0; }
//   struct power tuples[] = {{2, 5, 0}, {3, 2, 0}, {10, 3, 0}};
//   rc = SHOAL_STARMAP(ex, power, tuples, 3, NULL, SHOAL_FOREVER);            // tuples[0].result is 32
//
// An array that lies in the segment is worked on where it lies; another is copied into chunks, and back.
//
// SAFETY   a struct shoal_map or shoal_imap: one thread at a time; but wait, ready and successful of a map together
//          with what its callback does in another, except end. The array is the map's until the end.
// CRASH    what ipc/work/executor.h says of jobs holds of chunks: a worker's death fails its chunk, or, with retries,
//          the chunk goes on behind the last struct that was done. Their owner dies: chunks that have been submitted
//          run. for_each: the owner killed, or the executor broken meanwhile, 64 bytes of the heap are the executor's
//          until its end. What for_each gathers counts each index once, whoever dies.
// COST     a job: one submit and one get. A chunk is one; but where the chunks of the last map of this task have taken
//          a worker less than 20 us each, so many as take that travel in one job, 16 at most, fewer near the end. Not
//          in executors with retries, dead letters or a time limit, which are each chunk's own. for_each: a
//          compare-and-set for each range that a worker claims, which is a share of what is left.
#pragma once

#include "ipc/work/future.h"

SHOAL_BEGIN

// ---- map ----
struct shoal_map;
// `chunk`: structs that fail together, or more, so that there are no more jobs than a quarter of options.jobs; 0: about
// four chunks for each worker. Chunks are not to wait for one another: a worker may have both. `size`: of one struct.
// Errors of submit; then nothing runs any more, but what has begun. Sleeps while the queue has no room.
// -EINVAL: no array; 2^31 structs or more in one chunk, as asked for, or as the array is so long.
int shoal_map_async(struct shoal_executor *ex, const struct shoal_task *task, void *array, uint64_t n, uint64_t size,
                    uint64_t chunk, struct shoal_map **out) SHOAL_MUST_CHECK;
// Waits for all, and copies the results into the array. 0; -EREMOTEIO: some failed, and the first of them is *failure
// and shoal_reason(), its `element` the index; what did not fail is there, but for the rest of a chunk whose worker
// died. -ECANCELED, -EAGAIN, -ETIMEDOUT, and shoal_future_get's errors.
int shoal_map_get(struct shoal_map *map, struct shoal_failure *failure, shoal_deadline deadline) SHOAL_MUST_CHECK;
// Waits for all, and copies nothing: whether some have failed is get's to say. 0, -EAGAIN, -ETIMEDOUT; -EPIPE,
// -ENOTRECOVERABLE as shoal_future_get.
int shoal_map_wait(struct shoal_map *map, shoal_deadline deadline) SHOAL_MUST_CHECK;
int shoal_map_ready(const struct shoal_map *map);       // 1, 0
int shoal_map_successful(const struct shoal_map *map);  // 1, 0, -EAGAIN: not ready
// `call` runs once, when all is over, as those of shoal_future_on_done do, in their places (by one thread also when
// nothing runs any more). What came of it, shoal_map_get tells there. Several of a map begin in the order in which they
// were asked for; one that is the only one may end the map, which then is nobody else's. It returns, or ends its
// thread; it does not jump out. -EINVAL no `call`; -ENOMEM. Does not sleep.
int shoal_map_on_done(struct shoal_map *map, void (*call)(struct shoal_map *map, void *arg), void *arg);
// What has not begun is cancelled; what has goes on, with what travels in the same job, if need be in the array (of the
// segment). Callbacks that have not begun are not called any more; waits for one that another thread runs, looking
// after the workers meanwhile: two that end each other's maps wait for ever.
int shoal_map_end(struct shoal_map *map);
// Both; the deadline is that of the submits, too: what has not begun by then is cancelled.
int shoal_map(struct shoal_executor *ex, const char *task, void *array, uint64_t n, uint64_t size,
              struct shoal_failure *failure, shoal_deadline deadline);
int shoal_map_task(struct shoal_executor *ex, const struct shoal_task *task, void *array, uint64_t n, uint64_t size,
                   struct shoal_failure *failure, shoal_deadline deadline);

#define SHOAL_MAP(ex, task, array, n, failure, deadline) \
  shoal_map_task(ex, &task##_task_, (1 ? (array) : task##_type_), n, sizeof *task##_type_, failure, deadline)
#define SHOAL_MAP_ASYNC(ex, task, array, n, chunk, out) \
  shoal_map_async(ex, &task##_task_, (1 ? (array) : task##_type_), n, sizeof *task##_type_, chunk, out)

// A struct of several arguments is a typed tuple of them: the same calls, by the names that are looked for.
#define SHOAL_STARMAP(ex, task, tuples, n, failure, deadline) SHOAL_MAP(ex, task, tuples, n, failure, deadline)
#define SHOAL_STARMAP_ASYNC(ex, task, tuples, n, chunk, out) SHOAL_MAP_ASYNC(ex, task, tuples, n, chunk, out)

// ---- imap: results one by one, of an input of any length, in bounded memory ----
struct shoal_imap;
struct shoal_imap_options {  // zero: the default
  uint32_t window;           // arguments that are out at a time, their results included (4 chunks a worker)
  uint32_t unordered;        // 1: as their chunks complete; 0: in the order of the input
  uint32_t chunk;            // arguments that travel in one job, one after another, at most `window` (1)
};
// `next` writes the next argument: 1 it has, 0 there are no more, <0 an error that shoal_imap_next answers. It is
// called by shoal_imap_next, no more than `window` arguments ahead of what that has given out, whatever the chunk: a
// chunk begins when all of it has been asked for, or the input has ended. -EINVAL no `next`, or a window that makes no
// sense; -ENOMEM; -EBADMSG.
int shoal_imap_begin(struct shoal_executor *ex, const struct shoal_task *task, uint64_t size,
                     int (*next)(void *arg, void *item), void *arg, const struct shoal_imap_options *options,
                     struct shoal_imap **out) SHOAL_MUST_CHECK;
// 0, -ENOENT there are no more. -EREMOTEIO: that one has failed, and the next call has the next; failure->element:
// which of the input. Of a chunk, the first that failed, and each behind it, whose result is lost though it may have
// been done: the failure is that of the first; those before it have results, all of them when their worker died after
// the last. A chunk shares a time limit and its retries. -EAGAIN, -ETIMEDOUT: none is ready; errors of get, of `next`;
// of submit, when all that had been submitted has been given out.
int shoal_imap_next(struct shoal_imap *it, void *out, uint64_t size, struct shoal_failure *failure,
                    shoal_deadline deadline);
// What has not begun is cancelled.
int shoal_imap_end(struct shoal_imap *it);
#define SHOAL_IMAP(ex, task, next, arg, options, out) \
  shoal_imap_begin(ex, &task##_task_, sizeof *task##_type_, next, arg, options, out)

// ---- for_each: a task on ranges of 0..n-1, which the workers claim themselves ----
struct shoal_range {
  uint64_t begin, end;  // not `end`
};
struct shoal_for_each_options {  // zero: the default
  uint64_t grain;                // indices that a range has at least (1)
  // In the caller, at the end, for each worker's copy of the argument, or each range's.
  void (*gather)(void *argument, const void *part);
};
// The task's struct begins with a struct shoal_range, which tells what to do; the task is called for many ranges, in
// each worker on that worker's copy of the argument. 0; -EREMOTEIO: one has failed; ranges not claimed by then are not
// done. Retries: what a dead worker had claimed is done again, by another. What is gathered counts each index once,
// all the same: with retries and `gather` there are eight ranges for each worker, at most, and each begins on a copy of
// its own; an executor's dead letter of one has two structs, as it was submitted and as the last attempt left it. At
// the deadline, -ETIMEDOUT: no more are claimed; it returns when those that were are done. -EBADMSG; -EINVAL no
// argument; errors of submit: each range is a job of options.jobs then, up to a quarter of them (-ENOSPC where many do
// so within one another).
int shoal_for_each_task(struct shoal_executor *ex, const struct shoal_task *task, void *argument, uint64_t size,
                        uint64_t n, const struct shoal_for_each_options *options, struct shoal_failure *failure,
                        shoal_deadline deadline);
#define SHOAL_FOR_EACH(ex, task, argument, n, options, failure, deadline)                                            \
  shoal_for_each_task(ex, &task##_task_, (1 ? (argument) : task##_type_), sizeof *task##_type_, n, options, failure, \
                      deadline)

SHOAL_END
