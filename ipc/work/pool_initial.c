// What a worker does before its first task and after its last: functions, or tasks on a copy of an argument.
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "ipc/work/pool_internal.h"

// ---- in the creator ----

static int find(const char *name, uint64_t size, const struct shoal_task **out) {
  *out = NULL;
  int rc = name ? shoal_task_find(name, out) : 0;
  if (rc || !name) return rc;
  if (!(*out)->bytes && (*out)->size != size)
    return shoal_fail_(-EBADMSG, "task %s takes a %s of %llu bytes, not %llu", name, (*out)->type,
                       (unsigned long long)(*out)->size, (unsigned long long)size);
  return shoal_task_word_(*out) ? 0 : shoal_fail_(-ENOMEM, "no memory for the words of tasks");
}

int shoal_initial_find_(const struct shoal_pool_options *o, struct shoal_initial_ *out) {
  int tasks = o->init_task || o->finalize_task;
  if (tasks && (o->init || o->finalize))
    return shoal_fail_(-EINVAL, "a worker begins and ends by functions, or by tasks");
  if (o->init_size && !tasks) return shoal_fail_(-EINVAL, "an argument, and no init_task");
  if (o->init_size && !o->init_argument) return shoal_fail_(-EINVAL, "no argument for init_task");
  *out = (struct shoal_initial_){.argument = o->init_argument, .size = o->init_size};
  int rc = find(o->init_task, o->init_size, &out->init);
  return rc ? rc : find(o->finalize_task, o->init_size, &out->finalize);
}

void shoal_initial_tell_(const struct shoal_pool *pool, struct shoal_pool_birth_ *b) {
  const struct shoal_initial_ *initial = &pool->initial;
  if (initial->init) b->init = shoal_task_word_(initial->init);
  if (initial->finalize) b->finalize = shoal_task_word_(initial->finalize);
  b->init_size = initial->size;
}

// ---- in a worker ----

int shoal_initial_told_(const struct shoal_pool_birth_ *b, struct shoal_pool *pool) {
  uint64_t before = sizeof *pool->header + pool->workers * sizeof *pool->shared;
  if (pool->object.size - before < b->init_size)
    return shoal_fail_(-EPROTO, "an argument of %llu bytes", (unsigned long long)b->init_size);
  pool->initial = (struct shoal_initial_){b->init ? shoal_task_of_(b->init) : NULL,
                                          b->finalize ? shoal_task_of_(b->finalize) : NULL,
                                          pool->shared + pool->workers, b->init_size};
  if (!b->init == !pool->initial.init && !b->finalize == !pool->initial.finalize) return 0;
  return shoal_fail_(-ENOENT, "the workers' program has no such init_task");
}

static int no_result(const struct shoal_bytes *bytes, uint64_t size, void **out) {
  (void)bytes, (void)size, (void)out;
  return shoal_fail_(-ENOTSUP, "nobody gets the result of an init_task");
}
static int run(const struct shoal_task *task, void *argument, uint64_t size) {
  struct shoal_bytes bytes = {argument, size, no_result};
  return task->run(task->bytes ? (void *)&bytes : argument);
}

int shoal_initial_begin_(struct shoal_pool_worker_ *w) {
  const struct shoal_pool_options *o = &w->pool->options;
  const struct shoal_initial_ *initial = &w->pool->initial;
  shoal_reason_clear();
  if (o->init) return o->init(o->init_arg, w->place);
  if (!initial->init && !initial->finalize) return 0;
  w->argument = malloc(initial->size ? initial->size : 1);
  if (!w->argument) return shoal_fail_(-ENOMEM, "an argument of %llu bytes", (unsigned long long)initial->size);
  memcpy(w->argument, initial->argument, initial->size);
  return initial->init ? run(initial->init, w->argument, initial->size) : 0;
}

void shoal_initial_end_(const struct shoal_pool_worker_ *w) {
  const struct shoal_pool_options *o = &w->pool->options;
  const struct shoal_initial_ *initial = &w->pool->initial;
  if (o->finalize) o->finalize(o->init_arg, w->place);
  if (initial->finalize) (void)run(initial->finalize, w->argument, initial->size);
}
