// What the files of a pool know of each other, and what an executor asks of the pool that its workers are.
#pragma once

#include <poll.h>

#include "core/directory.h"
#include "core/futex.h"
#include "core/robust.h"
#include "ipc/work/pool.h"
#include "ipc/work/process.h"
#include "ipc/work/task.h"
#include "ipc/work/thread.h"

SHOAL_BEGIN

struct shoal_pool_hooks_ {
  // In a worker, in place of options.task: takes an element, until the deadline, and runs it. `incarnation`: how many
  // workers this place had before this one. 0 done, 1 failed, 2: there was nothing to run; <0 as a get's.
  int (*run)(void *arg, unsigned worker, uint32_t incarnation, shoal_deadline deadline);
  // In the creator: that worker has ended, but for one at the end of the stream; its successor is not there yet. `code`
  // as shoal_process_exitcode.
  void (*ended)(void *arg, unsigned worker, uint32_t incarnation, int code);
  void *arg;
  int threads;           // workers are threads of the creator
  unsigned workers_max;  // that it may be resized to; 0: options.workers
  // For workers that are no copies of the creator: the task of a struct shoal_pool_birth_ that they run, and the object
  // that they need beside the pool's.
  const char *task;
  const struct shoal_object *object;
};

// SIGKILL to the worker of that place, if it is still that incarnation. 0, -ECHILD.
int shoal_pool_kill_(struct shoal_pool *pool, unsigned worker, uint32_t incarnation);

uint32_t shoal_pool_incarnation_(const struct shoal_pool *pool, unsigned worker);
unsigned shoal_pool_alive_(const struct shoal_pool *pool);
// From now on so many are wanted: starts them; those that are too many end after what they run, once they look: they
// are to be woken. How many are too many, or the errors of a start.
int shoal_pool_resize_(struct shoal_pool *pool, unsigned workers);
// Whether a worker's thread is dead and its process has not been taken note of.
int shoal_pool_dying_(const struct shoal_pool *pool);
// For who sleeps on something else as well: the words of workers that run, before `end`, as many as there is room for;
// when to look again at the latest, as others cannot be watched. 1: one has died: tend.
int shoal_pool_watch_(struct shoal_pool *pool, struct shoal_futex_entry *end, unsigned room, unsigned *n,
                      shoal_deadline *until);

// ---- in the segment ----
enum {
  SHOAL_WORKER_STARTING_,
  SHOAL_WORKER_READY_,
  SHOAL_WORKER_AT_END_,
  SHOAL_WORKER_INIT_FAILED_,
  SHOAL_WORKER_REFUSED_,
  SHOAL_WORKER_RECYCLED_,
  SHOAL_WORKER_RETIRED_
};

#define SHOAL_MESSAGE_WORDS_ 14

struct shoal_worker_failure_shm {
  shoal_atomic64 at_ns;
  shoal_atomic32 code, attempt;
  shoal_atomic64 message[SHOAL_MESSAGE_WORDS_];
};
SHOAL_STATIC_ASSERT(sizeof(struct shoal_worker_failure_shm) == 128, "two lines");
SHOAL_STATIC_ASSERT(sizeof(((struct shoal_failure *)0)->message) == sizeof(uint64_t[SHOAL_MESSAGE_WORDS_]),
                    "a message and its words");

struct shoal_pool_shm {    // before the workers' own
  shoal_atomic32 surplus;  // the creator, when there are more workers than are wanted; a worker takes one off, and ends
  uint32_t reserved_[15];
} SHOAL_ALIGNED(64);
SHOAL_STATIC_ASSERT(sizeof(struct shoal_pool_shm) == 64, "a line");

struct shoal_worker_shm {  // written by the worker of this place; `state` also by the creator, while there is none
  shoal_atomic64 done, failed;
  shoal_atomic64 began_ns;  // CLOCK_MONOTONIC; 0 no task
  shoal_atomic64 told;      // failures; the last of them is failures[told % 2], whole whenever its teller is killed
  shoal_atomic32 error;     // why it went, if the state says so
  shoal_atomic32 state;
  uint32_t reserved_[6];
  struct shoal_robust live;  // the worker, from its first instruction; the kernel at its death
  uint32_t reserved2_[6];
  struct shoal_worker_failure_shm failures[2];
} SHOAL_ALIGNED(64);
SHOAL_STATIC_ASSERT(sizeof(struct shoal_worker_shm) == 384, "a line that is written for each task, and five");

// ---- told to a worker that is no copy of the creator ----
struct shoal_pool_birth_ {
  struct shoal_named_place_ {
    uint64_t off, size;
    uint32_t entry, generation;
  } pool, queue, other;  // objects; `other`: the hooks'
  uint64_t tasks_max, memory_max;
  int64_t age_max_ns;
  uint64_t init, finalize, init_size;  // shoal_task_word_, or 0
  uint32_t place, workers, incarnation, element_size, deliveries_max, reserved_;
  char name[SHOAL_NAME_MAX + 1];
  char task[128];
};
SHOAL_STATIC_ASSERT(sizeof(struct shoal_pool_birth_) == 336, "no holes");

// ---- in a process ----
struct shoal_pool_worker_ {  // who works there, as it knows itself
  struct shoal_pool *pool;
  unsigned place;
  uint32_t incarnation;  // workers started here before
  void *argument;        // its copy of initial.argument; of a thread the creator's, to be freed when that has ended
};

struct shoal_initial_ {                      // what every worker begins and ends with
  const struct shoal_task *init, *finalize;  // NULL: none
  const void *argument;                      // behind the workers' places, in the pool's object
  uint64_t size;
};

struct shoal_place_of_worker_ {
  struct shoal_process process;  // one of the two
  struct shoal_thread thread;
  struct shoal_pool_worker_ worker;
  uint64_t restarts;
  uint32_t incarnation;
  int64_t since_ns;  // it was started; or `dying`: its thread was seen dead, its process not yet
  int dying;
  enum { SHOAL_PLACE_EMPTY_, SHOAL_PLACE_VACANT_, SHOAL_PLACE_OUTWORN_, SHOAL_PLACE_WORKING_, SHOAL_PLACE_ENDED_ } is;
};

struct shoal_pool {
  struct shoal_segment *seg;
  struct shoal_object object;
  struct shoal_pool_shm *header;
  struct shoal_worker_shm *shared;
  struct shoal_queue *queue;
  struct shoal_queue *standing;  // the same one: through this handle the creator stands for workers that are dead
  const struct shoal_task *task;
  struct shoal_initial_ initial;
  struct shoal_pool_options options;
  pid_t creator;
  unsigned workers, target;  // places; workers that are wanted
  enum shoal_start_method method;
  struct shoal_object queue_object;  // if they are started as no copies
  int stopping;                      // terminate: nobody is replaced
  unsigned watched;                  // more workers than can be slept on: where to go on
  int64_t tended_ns, *recent;        // when workers were restarted, within options.restarts_within_ns
  unsigned recent_n, recent_room;
  uint64_t restarts, recycled;
  int broken;
  char reason[128];
  char name[SHOAL_NAME_MAX + 1];
  struct pollfd *sentinels;
  uint16_t *processors;  // a copy
  struct shoal_place_of_worker_ places[];
};

SHOAL_INLINE int shoal_pool_of_threads_(const struct shoal_pool *pool) {
  return pool->options.hooks_ && pool->options.hooks_->threads;
}

// ---- pool_place.c: places, by the creator ----
// Starts a worker there. Errors of the start.
int shoal_place_start_(struct shoal_pool *pool, unsigned i);
void shoal_place_name_(const struct shoal_pool *pool, unsigned i, char *out);  // SHOAL_NAME_MAX + 1 bytes
// The calling thread, its worker, works on its processor from now on. -EINVAL.
int shoal_place_bind_(const struct shoal_pool *pool, unsigned i);
// Until one of them may have ended. 0, or poll's error.
int shoal_places_wait_(struct shoal_pool *pool, shoal_deadline deadline);
// 1: what worked there, when shoal_places_wait_ last looked, has ended, and is nothing any more. `code` as
// shoal_process_exitcode; a thread's is 0.
int shoal_place_has_ended_(struct shoal_pool *pool, unsigned i, int *code);
void shoal_place_signal_(struct shoal_pool *pool, unsigned i, int signal);  // SIGTERM, SIGKILL; not to threads

// How its workers start. -EINVAL: not so, or not on those processors; -ENOTSUP.
int shoal_pool_choose_method_(struct shoal_pool *pool);

// ---- pool_initial.c ----
// What the options name; the argument is the caller's. The codes of shoal_pool_create.
int shoal_initial_find_(const struct shoal_pool_options *options, struct shoal_initial_ *out);
void shoal_initial_tell_(const struct shoal_pool *pool, struct shoal_pool_birth_ *birth);
int shoal_initial_told_(const struct shoal_pool_birth_ *birth, struct shoal_pool *pool);
// In a worker, before its first task and after its last, by function or by task. What the first answered; -ENOMEM.
int shoal_initial_begin_(struct shoal_pool_worker_ *worker);
void shoal_initial_end_(const struct shoal_pool_worker_ *worker);

// ---- pool_worker.c ----
// In a worker that is no copy: a pool as far as a worker needs one, and who it is. Opens what was told. Errors of that;
// or it has refused.
int shoal_pool_born_(const struct shoal_pool_birth_ *birth, struct shoal_pool **pool,
                     struct shoal_pool_worker_ *worker);
// It cannot be one: breaks the pool, and answers the exit code.
int shoal_pool_refuse_(const struct shoal_pool_worker_ *worker, int rc);
// What was told, open.
int shoal_pool_told_(const struct shoal_named_place_ *told, struct shoal_object *out);
// What a struct shoal_pool_worker_ does, from its first instruction; its exit code.
int shoal_pool_be_worker_(void *worker);

SHOAL_END
