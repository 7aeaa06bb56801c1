// Many futures at a time.
#include <stdlib.h>

#include "core/backoff.h"
#include "core/error.h"
#include "core/futex.h"
#include "ipc/work/executor_internal.h"

// `order` NULL: all of them, as they stand.
static const struct shoal_future *at(const struct shoal_future *futures, const unsigned *order, unsigned i) {
  return &futures[order ? order[i] : i];
}

unsigned shoal_futures_arm_(const struct shoal_future *futures, const unsigned *order, unsigned n,
                            struct shoal_futex_entry *entries, shoal_deadline *until) {
  unsigned armed = 0;
  for (unsigned i = 0; i < n && armed < SHOAL_EXECUTOR_WORDS_; i++) {
    const struct shoal_future *f = at(futures, order, i);
    uint64_t s = shoal_future_arm_(f);
    if (!s) return 0;
    shoal_job_kill_(f->executor, s);
    shoal_job_waits_(f->executor, f->job, s);
    *until = shoal_future_until_(f, s, *until);
    entries[armed++] = (struct shoal_futex_entry){shoal_job_futex_(&f->executor->cells[f->job]), (uint32_t)s};
  }
  return armed;
}

static int any_over(const struct shoal_future *futures, const unsigned *order, unsigned n) {
  for (unsigned i = 0; i < n; i++)
    if (shoal_future_over_(at(futures, order, i))) return 1;
  return 0;
}

// In a worker: runs one of them that nobody has begun.
static int run_one(const struct shoal_future *futures, const unsigned *order, unsigned n) {
  if (!shoal_executor_current()) return 0;
  for (unsigned i = 0; i < n; i++) {
    const struct shoal_future *f = at(futures, order, i);
    if (shoal_executor_run_here_(f->executor, f->job, shoal_future_look_(f))) return 1;
  }
  return 0;
}

static int care(const struct shoal_future *futures, const unsigned *order, unsigned n) {
  int rc = 0;
  for (unsigned i = 0; i < n && !rc; i++) {
    struct shoal_executor *ex = at(futures, order, i)->executor;
    shoal_job_kill_(ex, shoal_future_look_(at(futures, order, i)));  // or the creator sleeps first
    if (i == 0 || ex != at(futures, order, i - 1)->executor) rc = shoal_executor_care_(ex);
  }
  return rc;
}

// Not all may be slept on, or looked after, at once.
static int must_slice(const struct shoal_future *futures, const unsigned *order, unsigned n) {
  for (unsigned i = 1; i < n; i++)
    if (at(futures, order, i)->executor != at(futures, order, 0)->executor) return 1;
  return n > SHOAL_EXECUTOR_WORDS_;
}

int shoal_futures_wait_any_(const struct shoal_future *futures, const unsigned *order, unsigned n,
                            shoal_deadline deadline) {
  struct shoal_futex_entry entries[SHOAL_EXECUTOR_WORDS_];
  for (;;) {
    if (any_over(futures, order, n)) return 0;
    if (!shoal_deadline_is_try(deadline) && run_one(futures, order, n)) continue;
    int rc = care(futures, order, n);
    if (rc) return any_over(futures, order, n) ? 0 : rc;
    if (shoal_deadline_is_try(deadline)) return -EAGAIN;
    if (shoal_deadline_passed(deadline)) return -ETIMEDOUT;
    for (uint32_t k = 0; k < SHOAL_SPIN_MAX && k < shoal_spin_max_ && !shoal_future_over_(at(futures, order, 0)); k++)
      shoal_pause();
    shoal_deadline until = must_slice(futures, order, n) ? shoal_executor_slice_(deadline) : deadline;
    unsigned armed = shoal_futures_arm_(futures, order, n, entries, &until);
    if (armed) shoal_executor_sleep_(at(futures, order, 0)->executor, entries, armed, until);
  }
}

// ---- wait ----

// Cancelled is not failed, as in Python.
static int have_failed(const struct shoal_future *f) {
  uint64_t s = shoal_future_look_(f);
  uint32_t state = shoal_job_state_of_(s);
  return !s || (shoal_job_over_(s) && state != SHOAL_JOB_DONE_ && state != SHOAL_JOB_CANCELLED_);
}

static int enough(const struct shoal_future *futures, unsigned n, enum shoal_wait_for what, unsigned *done) {
  unsigned failed = 0;
  *done = 0;
  for (unsigned i = 0; i < n; i++) {
    if (!shoal_future_over_(&futures[i])) continue;
    ++*done;
    failed += have_failed(&futures[i]) != 0;
  }
  return *done == n || (what == SHOAL_FIRST_DONE && *done) || (what == SHOAL_FIRST_FAILED && failed);
}

// The indices of those that are not over.
static unsigned rest_of(const struct shoal_future *futures, unsigned n, unsigned *order) {
  unsigned rest = 0;
  for (unsigned i = 0; i < n; i++)
    if (!shoal_future_over_(&futures[i])) order[rest++] = i;
  return rest;
}

int shoal_future_wait(const struct shoal_future *futures, unsigned n, enum shoal_wait_for what,
                      shoal_deadline deadline) {
  if (n > INT32_MAX) return shoal_fail_(-EINVAL, "%u futures", n);
  if (what > SHOAL_FIRST_FAILED) return shoal_fail_(-EINVAL, "wait for %d", (int)what);
  unsigned done, *order = n ? malloc(n * sizeof *order) : NULL;
  if (n && !order) return shoal_fail_(-ENOMEM, "no memory for %u futures", n);
  int rc = 0;
  while (!enough(futures, n, what, &done) && !rc) {
    unsigned rest = rest_of(futures, n, order);
    if (rest) rc = shoal_futures_wait_any_(futures, order, what == SHOAL_ALL_DONE ? 1 : rest, deadline);
  }
  free(order);
  if (n && shoal_load32_relaxed(&futures[0].executor->callbacks_n)) shoal_future_called_(futures[0].executor);
  return rc ? rc : (int)done;
}

// ---- as they complete ----

int shoal_completed_begin(struct shoal_completed *c, const struct shoal_future *futures, unsigned n) {
  unsigned *order = malloc((n ? n : 1) * sizeof *order);
  if (!order) return shoal_fail_(-ENOMEM, "no memory for %u futures", n);
  for (unsigned i = 0; i < n; i++) order[i] = i;
  *c = (struct shoal_completed){futures, n, n, 0, order};
  return 0;
}

// Moves those that are over to the front of the rest.
static void sort_out(struct shoal_completed *c) {
  for (unsigned i = c->n - c->left; i < c->n; i++) {
    unsigned is = c->order[i];
    if (!shoal_future_over_(&c->futures[is])) continue;
    unsigned first = c->n - c->left--;
    c->order[i] = c->order[first];
    c->order[first] = is;
  }
}

int shoal_completed_next(struct shoal_completed *c, unsigned *index, shoal_deadline deadline) {
  if (c->next == c->n) return -ENOENT;
  if (c->next == c->n - c->left) sort_out(c);
  if (c->next == c->n - c->left) {
    int rc = shoal_futures_wait_any_(c->futures, c->order + c->next, c->left, deadline);
    if (rc) return rc;
    sort_out(c);
  }
  *index = c->order[c->next++];
  return 0;
}

void shoal_completed_end(struct shoal_completed *c) {
  free(c->order);
  *c = (struct shoal_completed){0};
}

// ---- as a case of a select ----

static int look_for_select(const void *future) {
  const struct shoal_future *f = future;
  int rc = shoal_future_done(f);
  if (rc > 0) return 0;
  if (rc == 0) rc = shoal_executor_care_(f->executor);
  if (rc == 0) shoal_job_waits_(f->executor, f->job, shoal_future_look_(f));
  return rc ? rc : -EAGAIN;
}

// In a worker: runs it, if nobody has begun it.
static int help_for_select(const void *future) {
  const struct shoal_future *f = future;
  return shoal_executor_run_here_(f->executor, f->job, shoal_future_look_(f));
}

// Its own word last: where the kernel has no futex_waitv, it is slept on.
static unsigned arm_for_select(const void *future, struct shoal_futex_entry *entries, unsigned room,
                               shoal_deadline *until) {
  const struct shoal_future *f = future;
  uint64_t s = shoal_future_arm_(f);
  unsigned n = s && room > 2 ? shoal_executor_arm_(f->executor, entries, room - 1, until) : 0;
  if (!s || (!n && room > 2)) return 0;
  *until = shoal_future_until_(f, s, *until);
  entries[n] = (struct shoal_futex_entry){shoal_job_futex_(&f->executor->cells[f->job]), (uint32_t)s};
  return n + 1;
}

const struct shoal_word_source_ shoal_future_source_ = {look_for_select, arm_for_select, help_for_select};
