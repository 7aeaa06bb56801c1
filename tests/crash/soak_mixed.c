// tests/crash/soak_mixed.c: all of sync's objects in each process at once. A worker goes from one to the next at
// random, several held at a time, in the one order in which they may be: once, rwlock, lock, rlock, permit. Whatever it
// holds when it is killed, the others go on; a pair of numbers under each lock is equal whenever nobody is inside.
#include <errno.h>
#include <string.h>

#include "sync/barrier.h"
#include "sync/condition.h"
#include "sync/event.h"
#include "sync/once.h"
#include "sync/rlock.h"
#include "sync/rwlock.h"
#include "sync/semaphore.h"
#include "tests/crash/soak.h"

#define WORKERS 6
#define SEATS (4 * WORKERS)  // of the condition: a dead one's is taken while another has its number (sync/seat.h)
#define PERMITS 2
#define PARTIES 2
struct pair {
  volatile uint64_t a, b;
};
static struct mix {
  struct shoal_lock lock;
  struct shoal_rlock rlock;
  struct shoal_once once;
  struct shoal_event event;
  struct pair under_lock, under_rlock, under_rwlock;
  volatile uint64_t steps[WORKERS];
  struct {
    struct shoal_semaphore semaphore;
    struct shoal_permit permits[PERMITS];
  };
  struct {
    struct shoal_condition condition;
    struct shoal_seat waiters[SEATS];
  };
  struct {
    struct shoal_rwlock rwlock;
    struct shoal_seat readers[WORKERS - 1];
  };
  struct {
    struct shoal_barrier barrier;
    struct shoal_seat parties[PARTIES];
  };
} * mix;

static void expect(int rc, const char *what) { SOAK_EXPECT(rc == 0, "%s: %d", what, rc); }

static void begin(void) {
  struct shoal_barrier_options drop = {.flags = SHOAL_BARRIER_DROP};
  if (!mix) mix = soak_shared(sizeof *mix);
  memset((void *)mix, 0, sizeof *mix);
  expect(shoal_lock_init(&mix->lock), "init");
  expect(shoal_rlock_init(&mix->rlock), "init");
  expect(shoal_once_init(&mix->once), "init");
  expect(shoal_event_init(&mix->event), "init");
  expect(shoal_semaphore_init(&mix->semaphore, PERMITS, PERMITS, 0), "init");
  expect(shoal_condition_init(&mix->condition, SEATS), "init");
  expect(shoal_rwlock_init(&mix->rwlock, WORKERS - 1), "init");
  expect(shoal_barrier_init(&mix->barrier, PARTIES, &drop), "init");
}

// What others are awaited for is awaited for a while only: they may all be elsewhere.
static shoal_deadline a_while(void) { return soak_below(4) ? shoal_after_us(soak_below(500)) : SHOAL_TRY; }

static int entered(int rc, struct pair *p, int (*consistent)(void)) {
  if (soak_gave_up(rc)) return 0;
  SOAK_EXPECT(rc == 0 || rc == -EOWNERDEAD, "acquire: %d", rc);
  if (rc == -EOWNERDEAD) {
    p->b = p->a;
    expect(consistent(), "consistent");
  }
  SOAK_EXPECT(p->a == p->b, "half-done, and not told");
  return 1;
}
static void change(struct pair *p) {
  p->a++;
  soak_linger();
  p->b++;
}
static int lock_consistent(void) { return shoal_lock_consistent(&mix->lock); }
static int rlock_consistent(void) { return shoal_rlock_consistent(&mix->rlock); }
static int rwlock_consistent(void) { return shoal_rwlock_consistent(&mix->rwlock); }

// ---- each with what may be held inside ----
static void meet(void) {
  int rc = shoal_barrier_wait(&mix->barrier, a_while(), NULL);
  SOAK_EXPECT(rc == 0 || rc == -EPIPE || rc == -EUSERS || soak_gave_up(rc), "barrier: %d", rc);
  if (rc == -EPIPE || rc == -ETIMEDOUT) expect(shoal_barrier_reset(&mix->barrier), "reset");
  if (soak_below(4) == 0) expect(shoal_barrier_leave(&mix->barrier), "leave");
}
static void a_permit(void) {
  int rc = shoal_semaphore_acquire(&mix->semaphore, soak_deadline());
  if (soak_gave_up(rc)) return;
  expect(rc, "acquire");
  if (soak_below(4) == 0) meet();
  expect(shoal_semaphore_release(&mix->semaphore), "release");
}
static void under_the_rlock(void) {
  if (!entered(shoal_rlock_acquire(&mix->rlock, soak_deadline()), &mix->under_rlock, rlock_consistent)) return;
  int deep = soak_below(2) && shoal_rlock_acquire(&mix->rlock, SHOAL_FOREVER) == 0;
  change(&mix->under_rlock);
  if (soak_below(2)) a_permit();
  if (deep) expect(shoal_rlock_release(&mix->rlock), "release");
  expect(shoal_rlock_release(&mix->rlock), "release");
}
// However it ends the lock is held.
static void wait_a_while(void) {
  int rc = shoal_condition_wait(&mix->condition, &mix->lock, a_while());
  entered(soak_gave_up(rc) ? 0 : rc, &mix->under_lock, lock_consistent);
}
static void under_the_lock(void) {
  if (!entered(shoal_lock_acquire(&mix->lock, soak_deadline()), &mix->under_lock, lock_consistent)) return;
  change(&mix->under_lock);
  switch (soak_below(4)) {
    case 0: under_the_rlock(); break;
    case 1: expect(shoal_condition_notify(&mix->condition, &mix->lock, 1 + soak_below(2)), "notify"); break;
    case 2: wait_a_while(); break;
    default: break;
  }
  expect(shoal_lock_release(&mix->lock), "release");
}
static void reading(void) {
  int rc = shoal_rwlock_read_acquire(&mix->rwlock, soak_deadline());
  if (!entered(rc, &mix->under_rwlock, rwlock_consistent)) return;
  if (soak_below(2)) under_the_lock();
  expect(shoal_rwlock_read_release(&mix->rwlock), "read_release");
}
static void writing(void) {
  int rc = shoal_rwlock_write_acquire(&mix->rwlock, soak_deadline());
  if (!entered(rc, &mix->under_rwlock, rwlock_consistent)) return;
  change(&mix->under_rwlock);
  if (soak_below(2)) under_the_lock();
  expect(shoal_rwlock_write_release(&mix->rwlock), "write_release");
}
static int act(void *arg) {
  (void)arg;
  under_the_lock();
  return -ECANCELED;  // so that the next runs it, too
}
static void run_once(void) {
  int rc = shoal_once_run(&mix->once, act, NULL, soak_deadline());
  SOAK_EXPECT(rc == -ECANCELED || soak_gave_up(rc), "run: %d", rc);
}
static void pulse(void) {
  int rc = soak_below(2) ? shoal_event_set(&mix->event) : shoal_event_clear(&mix->event);
  expect(rc, "set or clear");
  rc = shoal_event_wait(&mix->event, a_while());
  SOAK_EXPECT(rc == 0 || soak_gave_up(rc), "wait: %d", rc);
}

static void work(uint32_t id, int seat) {
  static void (*const things[])(void) = {under_the_lock, under_the_rlock, reading, writing, a_permit,
                                         meet,           run_once,        pulse};
  (void)id;
  for (;; mix->steps[seat]++) things[soak_below(sizeof things / sizeof *things)]();
}
static uint64_t progress(void) {
  uint64_t n = 0;
  for (int seat = 0; seat < WORKERS; seat++) n += mix->steps[seat];
  return n;
}

static void destroyed(void) {
  expect(shoal_lock_destroy(&mix->lock), "lock_destroy");
  expect(shoal_rlock_destroy(&mix->rlock), "rlock_destroy");
  expect(shoal_rwlock_destroy(&mix->rwlock), "rwlock_destroy");
  expect(shoal_semaphore_destroy(&mix->semaphore), "semaphore_destroy");
  expect(shoal_condition_destroy(&mix->condition), "condition_destroy");
  expect(shoal_event_destroy(&mix->event), "event_destroy");
  expect(shoal_once_destroy(&mix->once), "once_destroy");
  expect(shoal_barrier_destroy(&mix->barrier), "barrier_destroy");
}
static void end(void) {
  for (int seat = 0; seat < WORKERS; seat++) soak_kill(seat);
  struct shoal_semaphore_info info = {0};
  expect(shoal_semaphore_info(&mix->semaphore, &info), "info");
  if (info.value < PERMITS) soak.lost += PERMITS - info.value;
  if (info.value > PERMITS) soak.doubled += info.value - PERMITS;
  under_the_lock();
  under_the_rlock();
  reading();
  writing();
  run_once();
  expect(shoal_barrier_reset(&mix->barrier), "reset");
  destroyed();
  soak.done += progress();
}
const struct soak_room soak_mixed = {"mixed", WORKERS, begin, work, progress, NULL, end, NULL, NULL};
