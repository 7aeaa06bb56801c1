// What all of sync's objects share. Claims: who gives up at its deadline, tries in vain, or destroys what is in use,
// dies wherever it does and takes nothing along: who waited before it, and whoever comes, go on. Who dies destroying
// leaves a whole object, or none.
#include <errno.h>

#include "sync/event.h"
#include "sync/once.h"
#include "sync/rlock.h"
#include "sync/rwlock.h"
#include "sync/semaphore.h"
#include "sync/seqlock.h"
#include "tests/crash/crash.h"

// An object, and what it is to have it.
struct kind {
  int (*init)(void);
  int (*enter)(shoal_deadline deadline);
  int (*leave)(void);
  int (*destroy)(void);
  int level;  // nobody has it: it is there for all once somebody has left
};

#define O(type) ((struct type *)T->raw)

static int lock_init(void) { return shoal_lock_init(O(shoal_lock)); }
static int lock_enter(shoal_deadline d) { return shoal_lock_acquire(O(shoal_lock), d); }
static int lock_leave(void) { return shoal_lock_release(O(shoal_lock)); }
static int lock_destroy(void) { return shoal_lock_destroy(O(shoal_lock)); }

static int rlock_init(void) { return shoal_rlock_init(O(shoal_rlock)); }
static int rlock_enter(shoal_deadline d) { return shoal_rlock_acquire(O(shoal_rlock), d); }
static int rlock_leave(void) { return shoal_rlock_release(O(shoal_rlock)); }
static int rlock_destroy(void) { return shoal_rlock_destroy(O(shoal_rlock)); }

static int permit_init(void) { return shoal_semaphore_init(O(shoal_semaphore), 1, 1, 0); }
static int item_init(void) { return shoal_semaphore_init(O(shoal_semaphore), 1, 1, SHOAL_SEMAPHORE_CONSUMED); }
static int semaphore_enter(shoal_deadline d) { return shoal_semaphore_acquire(O(shoal_semaphore), d); }
static int semaphore_leave(void) { return shoal_semaphore_release(O(shoal_semaphore)); }
static int semaphore_destroy(void) { return shoal_semaphore_destroy(O(shoal_semaphore)); }

static int event_init(void) { return shoal_event_init(O(shoal_event)); }
static int event_enter(shoal_deadline d) { return shoal_event_wait(O(shoal_event), d); }
static int event_leave(void) { return shoal_event_set(O(shoal_event)); }
static int event_destroy(void) { return shoal_event_destroy(O(shoal_event)); }

static int at_the_gate(void *first) {
  if (first) crash_gate();
  return 0;
}
static int once_init(void) { return shoal_once_init(O(shoal_once)); }
static int once_enter(shoal_deadline d) { return shoal_once_run(O(shoal_once), at_the_gate, NULL, d); }
static int once_leave(void) { return 0; }
static int once_destroy(void) { return shoal_once_destroy(O(shoal_once)); }

static int seqlock_init(void) { return shoal_seqlock_init(O(shoal_seqlock), 64, NULL); }
static int seqlock_enter(shoal_deadline d) {
  void *draft;
  return shoal_seqlock_begin(O(shoal_seqlock), 64, &draft, d);
}
static int seqlock_leave(void) { return shoal_seqlock_cancel(O(shoal_seqlock)); }
static int seqlock_destroy(void) { return shoal_seqlock_destroy(O(shoal_seqlock)); }

static int rwlock_init(void) { return shoal_rwlock_init(O(shoal_rwlock), 8); }
static int rwlock_enter(shoal_deadline d) { return shoal_rwlock_write_acquire(O(shoal_rwlock), d); }
static int rwlock_leave(void) { return shoal_rwlock_write_release(O(shoal_rwlock)); }
static int rwlock_destroy(void) { return shoal_rwlock_destroy(O(shoal_rwlock)); }

#define KIND(what) what##_init, what##_enter, what##_leave, what##_destroy, 0
static const struct kind lock = {KIND(lock)}, rlock = {KIND(rlock)}, once = {KIND(once)}, rwlock = {KIND(rwlock)},
                         seqlock = {KIND(seqlock)},
                         permit = {permit_init, semaphore_enter, semaphore_leave, semaphore_destroy, 0},
                         item = {item_init, semaphore_enter, semaphore_leave, semaphore_destroy, 0},
                         event = {event_init, event_enter, event_leave, event_destroy, .level = 1};
static const struct kind *of;  // the scenario's

static void expect(int rc, int wanted, const char *what) { CRASH_EXPECT(rc == wanted, "%s answered %d", what, rc); }

// ---- one has it, another waits ----
static void use(void) {
  expect(of->enter(SHOAL_FOREVER), 0, "enter");
  expect(of->leave(), 0, "leave");
}
static void user(int i) {
  (void)i;
  use();
}
static void holder(int i) {
  (void)i;
  if (of == &once) {
    expect(shoal_once_run(O(shoal_once), at_the_gate, T, SHOAL_FOREVER), 0, "run");
    return;
  }
  if (!of->level) expect(of->enter(SHOAL_FOREVER), 0, "enter");
  crash_gate();
  expect(of->leave(), 0, "leave");
}
static void in_use(const struct kind *k) {
  of = k;
  expect(of->init(), 0, "init");
  crash_actor(holder, 0);
  crash_at_gate(1);
  crash_asleep(crash_actor(user, 0));
}
static void all_go_on(void) {
  crash_open_gate();
  CRASH_UNTIL(crash_all_finished(), "who waited sleeps on");
  crash_survivor(use);
}

static void give_up(void) { expect(of->enter(shoal_after_s(600)), -ETIMEDOUT, "a deadline that passed"); }
// The first word of each: who waits sleeps there.
static void its_deadline_passes(void) { crash_deadline_passes(T->raw); }
static void in_vain(void) {
  expect(of->enter(SHOAL_TRY), -EAGAIN, "a try in vain");
  expect(of->destroy(), -EBUSY, "destroy");
}

// ---- nobody has it ----
static void unused(const struct kind *k) {
  of = k;
  expect(of->init(), 0, "init");
}
static void destroy(void) { expect(of->destroy(), 0, "destroy"); }
static void destroyed_or_whole(void) {
  int rc = of->destroy();
  CRASH_EXPECT(rc == 0 || rc == -EINVAL, "destroyed again: %d", rc);
  expect(of->destroy(), -EINVAL, "destroyed");
}

#define SETUP(id)                                \
  static void id##_in_use(void) { in_use(&id); } \
  static void id##_unused(void) { unused(&id); }
#define LATE(id, text)                                                                                    \
  CRASH_SCENARIO(late_##id, .name = text ": given up at a deadline, one before it", .setup = id##_in_use, \
                 .op = give_up, .asleep = its_deadline_passes, .check = all_go_on)
#define VAIN(id, text)                                                                                      \
  CRASH_SCENARIO(vain_##id, .name = text ": tried and destroyed in vain, one asleep", .setup = id##_in_use, \
                 .op = in_vain, .check = all_go_on)
#define GONE(id, text)                                                                       \
  CRASH_SCENARIO(gone_##id, .name = text ": destroyed", .setup = id##_unused, .op = destroy, \
                 .check = destroyed_or_whole)
SETUP(lock)
SETUP(rlock)
SETUP(permit)
SETUP(item)
SETUP(event)
SETUP(once)
SETUP(seqlock)
SETUP(rwlock)
LATE(lock, "lock");
VAIN(lock, "lock");
GONE(lock, "lock");
LATE(rlock, "rlock");
VAIN(rlock, "rlock");
GONE(rlock, "rlock");
LATE(permit, "semaphore");
VAIN(permit, "semaphore");
GONE(permit, "semaphore");
LATE(item, "items");
VAIN(item, "items");
GONE(item, "items");
LATE(event, "event");
VAIN(event, "event");
GONE(event, "event");
LATE(once, "once");
VAIN(once, "once");
GONE(once, "once");
LATE(seqlock, "seqlock");
VAIN(seqlock, "seqlock");
GONE(seqlock, "seqlock");
VAIN(rwlock, "rwlock");
GONE(rwlock, "rwlock");
