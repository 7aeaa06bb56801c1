// core/deadline.h: a point in time until which a call may sleep.
//
// USE
//   shoal_queue_get(q, &msg, SHOAL_TRY);                  // never sleeps
//   shoal_queue_get(q, &msg, shoal_after_ms(20));         // at most 20 ms from now
//   shoal_queue_get(q, &msg, SHOAL_FOREVER);
//
// A deadline is absolute (CLOCK_MONOTONIC), so a loop of waits never computes it again; and a type of its own, so that
// a bare number cannot be passed where seconds, milliseconds or nanoseconds could be meant.
#pragma once

#include <time.h>

#include "core/base.h"

#ifndef CLOCK_MONOTONIC
#error "shoal needs POSIX: compile with -pthread, -std=gnu11 or -D_GNU_SOURCE, not with a bare -std=c11"
#endif

SHOAL_BEGIN

typedef struct {
  int64_t ns;  // CLOCK_MONOTONIC; INT64_MAX: for ever; 0: do not wait
} shoal_deadline;

#ifdef __cplusplus
#define SHOAL_FOREVER (shoal_deadline{INT64_MAX})
#define SHOAL_TRY (shoal_deadline{0})
#else
#define SHOAL_FOREVER ((shoal_deadline){INT64_MAX})
#define SHOAL_TRY ((shoal_deadline){0})
#endif

static inline int64_t shoal_now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

// The deadline `ns` nanoseconds from now. Zero or less has passed already, yet is not SHOAL_TRY: a wait that would
// sleep answers -ETIMEDOUT, not -EAGAIN. What would overflow is for ever.
static inline shoal_deadline shoal_after_ns(int64_t ns) {
  shoal_deadline d = {shoal_now_ns()};
  if (ns > INT64_MAX - d.ns) d.ns = INT64_MAX;
  else if (ns > 0) d.ns += ns;
  return d;
}
static inline shoal_deadline shoal_after_scaled_(int64_t n, int64_t unit) {
  return shoal_after_ns(n > INT64_MAX / unit ? INT64_MAX : n < 0 ? 0 : n * unit);
}
static inline shoal_deadline shoal_after_us(int64_t us) { return shoal_after_scaled_(us, 1000); }
static inline shoal_deadline shoal_after_ms(int64_t ms) { return shoal_after_scaled_(ms, 1000000); }
static inline shoal_deadline shoal_after_s(int64_t s) { return shoal_after_scaled_(s, INT64_C(1000000000)); }

static inline int shoal_deadline_is_try(shoal_deadline d) { return d.ns == 0; }
static inline int shoal_deadline_is_forever(shoal_deadline d) { return d.ns == INT64_MAX; }
static inline int shoal_deadline_passed(shoal_deadline d) { return d.ns != INT64_MAX && shoal_now_ns() >= d.ns; }

// What a call that had to give up at `d` answers: -EAGAIN for a try, -ETIMEDOUT otherwise.
static inline int shoal_deadline_error(shoal_deadline d) { return shoal_deadline_is_try(d) ? -EAGAIN : -ETIMEDOUT; }

SHOAL_END
