// What an executor asks of the pool that its workers are.
#pragma once

#include "core/futex.h"
#include "ipc/work/pool.h"

SHOAL_BEGIN

struct shoal_pool_hooks_ {
  // In a worker: an element, in place of options.task, to be given back by it. `incarnation`: how many workers this
  // place had before this one. 0, or what its task answered.
  int (*run)(void *arg, unsigned worker, uint32_t incarnation, struct shoal_loan *loan);
  // In the creator: that worker has ended, but for one at the end of the stream; its successor is not there yet. `code`
  // as shoal_process_exitcode.
  void (*ended)(void *arg, unsigned worker, uint32_t incarnation, int code);
  void *arg;
};

// SIGKILL to the worker of that place, if it is still that incarnation. 0, -ECHILD.
int shoal_pool_kill_(struct shoal_pool *pool, unsigned worker, uint32_t incarnation);

uint32_t shoal_pool_incarnation_(const struct shoal_pool *pool, unsigned worker);
unsigned shoal_pool_alive_(const struct shoal_pool *pool);
// Whether a worker's thread is dead and its process has not been taken note of.
int shoal_pool_dying_(const struct shoal_pool *pool);
// For who sleeps on something else as well: the words of workers that run, before `end`, as many as there is room for; when
// to look again at the latest, as others cannot be watched. 1: one has died: tend.
int shoal_pool_watch_(struct shoal_pool *pool, struct shoal_futex_entry *end, unsigned room, unsigned *n,
                      shoal_deadline *until);

SHOAL_END
