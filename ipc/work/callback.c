// Callbacks: in whoever polls, or finds a job over; or in one thread.
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "core/error.h"
#include "core/futex.h"
#include "core/heap_internal.h"
#include "core/robust.h"
#include "ipc/work/executor_internal.h"

// shoal_executor.news: what is said to the thread that runs them. It sleeps on ASLEEP, which only it says; who says
// NEWS then wakes it.
enum { NO_NEWS, NEWS, ASLEEP };

// ---- the list ----

// A child of fork has its parent's list, perhaps half changed, and the lock perhaps as another thread of the parent
// held it: those calls are the parent's to make.
static void lock_callbacks(struct shoal_executor *ex) {
  uint32_t epoch = shoal_self_()->epoch;  // whose first call this may be in here: the lock knows threads by it
  shoal_private_acquire_(&ex->callbacks_lock);
  if (ex->callbacks_epoch == epoch && ex->callbacks_end) return;
  ex->callbacks_epoch = epoch;
  ex->callbacks = ex->called = NULL;
  ex->callbacks_end = &ex->callbacks;
  shoal_store32_relaxed(&ex->callbacks_n, 0);
}
static void unlock_callbacks(struct shoal_executor *ex) { shoal_private_release_(&ex->callbacks_lock); }

static int is_due(struct shoal_callback_ *c) {
  return shoal_future_over_(&c->future) && (!c->map || !shoal_map_next_(c->map, &c->future));
}

static struct shoal_callback_ *take_out(struct shoal_executor *ex, struct shoal_callback_ **at) {
  struct shoal_callback_ *c = *at;
  *at = c->next;
  if (!c->next) ex->callbacks_end = at;
  shoal_add32_relaxed(&ex->callbacks_n, UINT32_MAX);
  return c;
}

// The first that is due, or the first of `all`, taken out of the list; NULL: there is none.
static struct shoal_callback_ *take_due(struct shoal_executor *ex, int all) {
  struct shoal_callback_ *c = NULL;
  lock_callbacks(ex);
  struct shoal_callback_ **at = &ex->callbacks;
  while (*at && !all && !is_due(*at)) at = &(*at)->next;
  if (*at) c = take_out(ex, at);
  if (c && c->map) {
    c->tid = shoal_self_()->tid;
    c->next = ex->called;
    ex->called = c;
  }
  unlock_callbacks(ex);
  return c;
}

static void add(struct shoal_executor *ex, struct shoal_callback_ *c) {
  lock_callbacks(ex);
  *ex->callbacks_end = c;
  ex->callbacks_end = &c->next;
  shoal_add32_relaxed(&ex->callbacks_n, 1);
  unlock_callbacks(ex);
}

int shoal_callbacks_have_thread_(const struct shoal_executor *ex) {
  uint32_t whose = shoal_load32_relaxed(&ex->caller_epoch);
  return whose && whose == shoal_epoch();
}

// The map may be no more.
static void has_run(struct shoal_executor *ex, const struct shoal_callback_ *c) {
  lock_callbacks(ex);
  struct shoal_callback_ **at = &ex->called;
  while (*at && *at != c) at = &(*at)->next;
  if (*at) *at = c->next;
  shoal_add32_relaxed(&ex->calls_ended, 1);
  int awaited = ex->calls_awaited;
  ex->calls_awaited = 0;
  unlock_callbacks(ex);
  if (awaited) shoal_futex_wake(&ex->calls_ended, INT_MAX);
}

struct run {
  struct shoal_executor *ex;
  struct shoal_callback_ *c;
};
// Also of one that ended its thread.
static void end_run(void *arg) {
  struct run *r = arg;
  if (r->c->map) has_run(r->ex, r->c);
  free(r->c);
}
static void run(struct shoal_executor *ex, struct shoal_callback_ *c) {
  struct run r = {ex, c};
  pthread_cleanup_push(end_run, &r);
  if (c->map) c->map_call(c->map, c->arg);
  else c->call(&c->future, c->arg);
  pthread_cleanup_pop(1);
}
// Until there is a thread for that.
static int run_due(struct shoal_executor *ex) {
  int n = 0;
  for (struct shoal_callback_ *c; !shoal_callbacks_have_thread_(ex) && (c = take_due(ex, 0)); n++) run(ex, c);
  return n;
}
// In that thread. Of `all`, those that are there now: what they ask for is in vain, too.
static void run_here(struct shoal_executor *ex, int all) {
  uint32_t left = all ? shoal_load32_relaxed(&ex->callbacks_n) : UINT32_MAX;
  for (struct shoal_callback_ *c; left && (c = take_due(ex, all)); left -= all != 0) run(ex, c);
}

// The futures that are waited for, `most` at a time.
static unsigned awaited(struct shoal_executor *ex, struct shoal_future *out, unsigned most) {
  unsigned n = 0;
  lock_callbacks(ex);
  for (struct shoal_callback_ *c = ex->callbacks; c && n < most; c = c->next) out[n++] = c->future;
  unlock_callbacks(ex);
  return n;
}

void shoal_callbacks_dispose_(struct shoal_executor *ex) {
  for (struct shoal_callback_ *c = ex->callbacks_epoch == shoal_epoch() ? ex->callbacks : NULL, *next; c; c = next) {
    next = c->next;
    free(c);
  }
}

// ---- in one thread ----

static void tell_caller(struct shoal_executor *ex) {
  // [V1] pairs with [V2]: it has yet to look, or sleeps and is woken
  if (shoal_exchange32_seq_cst(&ex->news, NEWS) == ASLEEP) shoal_futex_wake(&ex->news, 1);
}

// Until one is due, or there is another. <0: those that are there never will be.
static int sleep_until_due(struct shoal_executor *ex) {
  struct shoal_future futures[SHOAL_EXECUTOR_WORDS_ - 1];
  struct shoal_futex_entry entries[SHOAL_EXECUTOR_WORDS_];
  unsigned n = awaited(ex, futures, SHOAL_EXECUTOR_WORDS_ - 1);
  int rc = n ? shoal_executor_care_(ex) : 0;
  if (rc) return rc;
  // of those that it does not sleep on, one may be over, too
  shoal_deadline until = SHOAL_FOREVER;
  if (shoal_load32_relaxed(&ex->callbacks_n) > n) until = shoal_executor_slice_(until);
  if (shoal_futures_arm_(futures, NULL, n, entries + 1, &until) < n) return 0;
  uint32_t none = NO_NEWS;
  if (!shoal_cas32_seq_cst(&ex->news, &none, ASLEEP)) return 0;  // [V2] pairs with [V1]
  entries[0] = (struct shoal_futex_entry){&ex->news, ASLEEP};
  if (n) shoal_executor_sleep_(ex, entries, n + 1, until);
  else shoal_futex_wait(&ex->news, ASLEEP, until);
  return 0;
}

static int call_back(void *arg) {
  struct shoal_executor *ex = arg;
  for (int all = 0;;) {
    (void)shoal_exchange32_seq_cst(&ex->news, NO_NEWS);  // [V2]: what was said by then is seen below
    int ends = (int)shoal_load32_relaxed(&ex->caller_ends);
    run_here(ex, all);
    if (ends) return 0;
    all = sleep_until_due(ex) < 0;
  }
}

// The program's signals are for its own threads; what the thread itself does wrong is for it.
static int start_caller(struct shoal_executor *ex) {
  static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
  struct shoal_thread_options o = {.name = "shoal-callbacks", .daemon = SHOAL_DAEMON};
  sigset_t none, before;
  sigfillset(&none);
  for (unsigned i = 0; i < sizeof own / sizeof *own; i++) sigdelset(&none, own[i]);
  pthread_sigmask(SIG_SETMASK, &none, &before);
  int rc = shoal_thread_start(&ex->caller, call_back, ex, &o);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return rc;
}

int shoal_executor_callback_thread(struct shoal_executor *ex) {
  uint32_t epoch = shoal_self_()->epoch, was = shoal_load32_relaxed(&ex->caller_epoch);
  shoal_proc_id self;
  int rc = shoal_proc_self(ex->seg, &self);
  if (rc) return rc;
  if (ex->creator == self && shoal_load32_relaxed(&ex->shm->forks))  // by whichever handle
    return shoal_fail_(-EBUSY, "a thread for callbacks, in a process that forks its workers");
  if (was == epoch || !shoal_cas32_relaxed(&ex->caller_epoch, &was, epoch))
    return shoal_fail_(-EALREADY, "a thread runs the callbacks already");
  shoal_store32_relaxed(&ex->caller_ends, 0);
  shoal_store32_relaxed(&ex->news, NEWS);
  rc = start_caller(ex);
  if (rc) shoal_store32_relaxed(&ex->caller_epoch, 0);
  return rc;
}

int shoal_callbacks_end_(struct shoal_executor *ex) {
  if (!shoal_callbacks_have_thread_(ex)) return 0;
  if (shoal_thread_current() == &ex->caller) return shoal_fail_(-EDEADLK, "a callback waits for its own thread");
  shoal_store32_relaxed(&ex->caller_ends, 1);
  tell_caller(ex);
  int rc;
  while ((rc = shoal_thread_join(&ex->caller, shoal_executor_slice_(SHOAL_FOREVER))) == -ETIMEDOUT)
    if (shoal_executor_is_creator_(ex)) (void)shoal_executor_terminate(ex, SHOAL_TRY);
  if (!rc) rc = shoal_thread_close(&ex->caller);
  shoal_store32_relaxed(&ex->caller_epoch, 0);
  return rc ? rc : 1;
}

// ---- asked for, and run ----

int shoal_future_on_done(const struct shoal_future *f, void (*call)(const struct shoal_future *, void *), void *arg) {
  struct shoal_executor *ex = f->executor;
  if (!shoal_future_look_(f)) return shoal_future_released_();
  if (!call) return shoal_fail_(-EINVAL, "no callback");
  struct shoal_callback_ *c = malloc(sizeof *c);
  if (!c) return shoal_fail_(-ENOMEM, "no memory for a callback");
  *c = (struct shoal_callback_){.future = *f, .call = call, .arg = arg};
  add(ex, c);
  if (shoal_callbacks_have_thread_(ex)) tell_caller(ex);
  return 0;
}

int shoal_callbacks_of_map_(struct shoal_executor *ex, struct shoal_map *map, void (*call)(struct shoal_map *, void *),
                            void *arg) {
  struct shoal_callback_ *c = malloc(sizeof *c);
  if (!c) return shoal_fail_(-ENOMEM, "no memory for a callback");
  *c = (struct shoal_callback_){.future = {ex, UINT32_MAX, 0}, .map = map, .map_call = call, .arg = arg};
  add(ex, c);
  if (shoal_callbacks_have_thread_(ex)) tell_caller(ex);
  return 0;
}

// Whether another thread runs one of the map's.
static int is_called(const struct shoal_executor *ex, const struct shoal_map *map) {
  const struct shoal_callback_ *c = ex->called;
  while (c && (c->map != map || c->tid == shoal_self_()->tid)) c = c->next;
  return c != NULL;
}

void shoal_callbacks_drop_(struct shoal_executor *ex, const struct shoal_map *map) {
  for (;;) {
    lock_callbacks(ex);
    for (struct shoal_callback_ **at = &ex->callbacks; *at;)
      if ((*at)->map == map) free(take_out(ex, at));
      else at = &(*at)->next;
    uint32_t ended = shoal_load32_relaxed(&ex->calls_ended);
    int wait = is_called(ex, map);
    if (wait) ex->calls_awaited = 1;
    unlock_callbacks(ex);
    if (!wait) return;
    (void)shoal_executor_care_(ex);  // what it waits for may be ours to mend
    shoal_futex_wait(&ex->calls_ended, ended, shoal_executor_slice_(SHOAL_FOREVER));
  }
}

void shoal_future_called_(struct shoal_executor *ex) { run_due(ex); }

int shoal_executor_poll(struct shoal_executor *ex, shoal_deadline deadline) {
  struct shoal_future futures[SHOAL_FUTEX_MANY];
  for (;;) {
    int ran = run_due(ex);
    if (shoal_callbacks_have_thread_(ex)) return ran;
    unsigned n = awaited(ex, futures, SHOAL_FUTEX_MANY);
    if (ran || !n) return ran;
    // of those that it does not sleep on, one may be over, too
    shoal_deadline until = n == SHOAL_FUTEX_MANY ? shoal_executor_slice_(deadline) : deadline;
    int rc = shoal_futures_wait_any_(futures, NULL, n, until);
    if (rc && (rc != -ETIMEDOUT || shoal_deadline_passed(deadline))) return rc;
  }
}
