// tests/crash/executor_fixture.h: an executor without a pool, whose parts the scenarios play: worker 0, its successor
// and worker 1 who may be killed, worker 2 who is left, and the creator.
#pragma once

#include <errno.h>

#include "core/error.h"
#include "ipc/work/executor_internal.h"
#include "tests/crash/crash.h"

#define ID 7u

enum { RETRIES };  // T->word; the others are each file's

struct small {
  uint32_t id, in, out;
};

static struct shoal_segment *S;
static struct shoal_executor *X;
static struct shoal_future F;

static inline void make_with(struct shoal_executor_options o) {
  const struct shoal_segment_options options = {
      .size = 1100 << 10, .size_max = 1100 << 10, .participants = 16, .objects = 16};
  o.workers = 3, o.jobs = 16, o.producers = 8;
  shoal_spin_max_ = 3;
  T->word[RETRIES] = o.retries;
  OK(shoal_segment_create(NULL, &options, &S));
  OK(shoal_executor_make_(S, NULL, &o, NULL, &X));
  OK(shoal_queue_join(X->queue, SHOAL_PRODUCER));
}
static inline void end(void) {
  shoal_executor_detach(X);
  shoal_segment_close(S);
}

static inline void be_worker(void) { OK(shoal_executor_be_worker_(X, 0, 0)); }
static inline void op_work(void) { OK(shoal_executor_serve_(X, SHOAL_FOREVER)); }

// ---- who is left: worker 2, and what the creator does about worker 0, its successor, and worker 1 ----
static inline void work_all(void) {
  while (shoal_executor_serve_(X, SHOAL_TRY) >= 0) continue;
}
static inline void work_off(void) {
  OK(shoal_executor_be_worker_(X, 2, 0));
  work_all();
}
static inline void repair(void) {
  shoal_role_reap(&X->queue->wait);
  shoal_executor_ended_(X, 0, 0, -9);
}
static inline void heal(void) {
  repair();
  shoal_executor_ended_(X, 0, 1, -9);
  shoal_executor_ended_(X, 1, 0, -9);
  work_off();
}

// By force, beside who deals with its worker's end.
static inline void condemn_it(void) {
  int rc = shoal_future_cancel(&F, SHOAL_FORCE);
  CRASH_EXPECT(rc == 0 || rc == -EALREADY, "cancel answered %d", rc);
}
static inline void be_condemned(void) { crash_survivor(condemn_it); }

// Job ID of small pieces, healed: it ran, or it failed with its worker; at most once, or at least once with retries.
static inline void job_is_over_by(shoal_deadline deadline) {
  struct small s;
  struct shoal_failure failure = {.code = 0};
  heal();
  int rc = shoal_future_get(&F, &s, sizeof s, &failure, deadline);
  CRASH_EXPECT(rc == 0 || (rc == -EREMOTEIO && failure.code == -ENOTRECOVERABLE && !T->word[RETRIES]),
               "it ended with %d, %d", rc, failure.code);
  if (rc == 0) CRASH_EXPECT(s.out == 42 && T->taken[ID] >= 1, "%u, run %u times", s.out, T->taken[ID]);
  CRASH_EXPECT(T->word[RETRIES] || T->taken[ID] <= 1, "it ran %u times", T->taken[ID]);
  OK(shoal_future_release(&F));
}

// ---- scenarios ----

static inline int run(uint32_t id) {
  __atomic_fetch_add(&T->taken[id], 1, __ATOMIC_SEQ_CST);
  return 0;
}
SHOAL_TASK(small_job, struct small) {
  arg->out = 2 * arg->in;
  return run(arg->id);
}

static inline void make(uint32_t retries) { make_with((struct shoal_executor_options){.retries = retries}); }
#define EXECUTOR(id, text, ...) CRASH_SCENARIO(id, .name = "executor: " text, .cleanup = end, __VA_ARGS__)

static inline void no_block_is_lost(void) {
  struct shoal_heap_info info = {.blocks = 0};
  shoal_heap_reap(X->heap);
  OK(shoal_heap_info(X->heap, &info));
  CRASH_EXPECT(info.blocks == 0, "%lu blocks are left", info.blocks);
}
static inline void all_cells_are_free(void) {
  struct shoal_executor_info info;
  struct small s = {.id = 9, .in = 4};
  shoal_executor_reap(X);
  no_block_is_lost();
  OK(shoal_executor_info(X, &info));
  CRASH_EXPECT(info.jobs == 0, "%u cells are not free", info.jobs);
  for (int i = 0; i < 40; i++) {
    OK(SHOAL_SUBMIT_UNTIL(X, small_job, &s, SHOAL_TRY, NULL));
    work_off();
  }
  CRASH_EXPECT(T->taken[9] == 40, "%u of 40 later jobs have run", T->taken[9]);
}

static inline void with_nothing(void) { make(0); }
static inline void produce(void) { OK(shoal_queue_join(X->queue, SHOAL_PRODUCER)); }

static inline void run_it(void) { crash_survivor(work_off); }

static inline void op_succeed(void) {
  OK(shoal_executor_be_worker_(X, 0, 1));
  work_all();
}
static inline void have_repaired(void) { crash_survivor(repair); }
static inline void retries_only(void) { make(3); }
#define PAIR(id, text, ...) EXECUTOR(id, "pair, " text, .kind = CRASH_PAIR, __VA_ARGS__)
