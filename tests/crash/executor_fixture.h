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

#define OK(call)                                                               \
  do {                                                                         \
    int rc_ = (call);                                                          \
    CRASH_EXPECT(rc_ >= 0, "%s answered %d (%s)", #call, rc_, shoal_reason()); \
  } while (0)

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
