// An event loop of the program's own polls descriptors. A thread for each selector sleeps in futex_waitv in its stead,
// and writes to an eventfd; it has no roles, and takes nothing.
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/error.h"
#include "ipc/queue/select_internal.h"

enum { IDLE, ARMED, DISARMED, ENDED };  // state: all but IDLE set by who arms, IDLE by the thread

struct shoal_selector {
  int fd;
  uint32_t epoch;
  pthread_t thread;
  shoal_atomic32 state;  // one of the words that the thread sleeps on
  uint32_t n;            // of s.entries
  struct shoal_select_ s;
};

static void become(struct shoal_selector *f, uint32_t state) {
  shoal_store32_release(&f->state, state);  // [L1] pairs with [L2]: what to sleep on; that nobody does
  shoal_futex_wake(&f->state, INT32_MAX);
}

// A wake-up is for who takes something: it is handed on at once, whatever the loop does when it hears of it.
static void sleep_for(struct shoal_selector *f) {
  uint64_t one = 1;
  int64_t end = shoal_after_ns(SHOAL_RECHECK_NS).ns, recheck = end;
  if (f->s.soon.ns < end) end = f->s.soon.ns;
  for (uint32_t k = 0; k < f->s.queues; k++) {
    int64_t due = shoal_sleeper_due_(&f->s.sources[f->s.queue_at[k]].queue.sleeper);
    if (due < end) end = due;
  }
  int woke = shoal_futex_wait_many(f->s.entries, f->n, shoal_select_first_(&f->s, f->n), (shoal_deadline){end});
  shoal_select_woken_(&f->s, woke == -ETIMEDOUT && end != recheck ? -EAGAIN : woke);
  uint32_t armed = ARMED;
  if (!shoal_cas32_acq_rel(&f->state, &armed, DISARMED)) return;  // [L2] pairs with [L1]
  if (write(f->fd, &one, sizeof one) < 0) return;                 // full: it is readable
}

static void *run(void *arg) {
  struct shoal_selector *f = arg;
  shoal_self_();
  for (;;) {
    uint32_t state = shoal_load32_acquire(&f->state);  // [L2] pairs with [L1]
    if (state == ENDED) return NULL;
    if (state == ARMED) sleep_for(f);
    else if (state == DISARMED) become(f, IDLE);
    else shoal_futex_wait(&f->state, IDLE, SHOAL_FOREVER);
  }
}

static int start(struct shoal_selector *f) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int rc = pthread_create(&f->thread, NULL, run, f);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return rc ? shoal_fail_(-ENOMEM, "no thread for a selector") : 0;
}

int shoal_selector_open(struct shoal_selector **out) {
  struct shoal_selector *f = calloc(1, sizeof *f);
  int rc = f ? shoal_robust_check() : shoal_fail_(-ENOMEM, "no memory for a selector");
  if (rc == 0 && (f->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0) rc = shoal_fail_(-ENOSPC, "eventfd: %m");
  if (rc) {
    free(f);
    return rc;
  }
  f->epoch = (shoal_self_(), shoal_epoch());
  rc = start(f);
  if (rc == 0) {
    *out = f;
    return 0;
  }
  close(f->fd);
  free(f);
  return rc;
}

int shoal_selector_fd(const struct shoal_selector *f) { return f->fd; }

// The thread sleeps at none of the queues any more when this returns.
static void disarm(struct shoal_selector *f) {
  uint32_t state = ARMED;
  if (shoal_cas32_acq_rel(&f->state, &state, DISARMED)) shoal_futex_wake(&f->state, INT32_MAX);                 // [L2]
  while ((state = shoal_load32_acquire(&f->state)) != IDLE) shoal_futex_wait(&f->state, state, SHOAL_FOREVER);  // [L2]
}

int shoal_selector_arm(struct shoal_selector *f, struct shoal_case *cases, uint32_t n) {
  uint64_t told;
  if (f->epoch != shoal_epoch()) return shoal_fail_(-EPERM, "the selector of another process");
  disarm(f);
  if (read(f->fd, &told, sizeof told) < 0) told = 0;
  int rc = shoal_select_prepare_(&f->s, cases, n, &f->n);
  if (rc != -EAGAIN) return rc < 0 ? rc : 1;
  f->s.entries[f->s.words - 1] = (struct shoal_futex_entry){&f->state, ARMED};
  become(f, ARMED);
  return 0;
}

int shoal_selector_close(struct shoal_selector *f) {
  if (f->epoch == shoal_epoch()) {
    disarm(f);
    become(f, ENDED);
    pthread_join(f->thread, NULL);
  }
  close(f->fd);
  free(f);
  return 0;
}
