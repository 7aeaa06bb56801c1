// sync/with.h: holds an object for a block, and lets go of it on every way out.
//
// USE
//   int rc;
//   SHOAL_WITH(rc, lock) {                                   // waits for ever
//     if (rc == -EOWNERDEAD) ...repair, consistent...        // held just as well
//     if (found) return 1;                                   // let go of, as by break, goto, continue, an exception
//   }
//   if (rc && rc != -EOWNERDEAD) return rc;                  // not acquired: the block did not run
//
//   SHOAL_WITH_UNTIL(rc, lock, shoal_after_ms(20)) { ... }   // or SHOAL_TRY
//
//   while (more()) {
//     SHOAL_HOLD(rc, lock);                                  // until the end of the block that it stands in
//     if (rc) break;
//     if (nothing()) continue;                               // of the while
//   }
//
// `rc` is an int of the caller's, set before the block runs. SHOAL_WITH is a loop that runs once, to the compiler too:
// `break` and `continue` inside leave that block, not a loop around it. Where they should mean an outer loop, use
// SHOAL_HOLD. The object must not be released inside the block by other means.
//
//   lock, rlock     held; in each other, too
//   semaphore       one permit, given back on the way out: also one of SHOAL_SEMAPHORE_CONSUMED, which is then only lent. Its
//                   holder's death leaves nothing in doubt: `rc` is never -EOWNERDEAD
//   monitor         a condition and its lock (sync/monitor.h): the lock is held, and the block may wait for the condition.
//                   A condition alone does not know its lock, so it cannot be held. Where a wait in the block has lost
//                   the lock (-ENOTRECOVERABLE, -EDEADLK), leaving it lets go of nothing
//   holdable        what the rooms above have: the member `hold` of the view of a value or an array, `&a.hold`
//
// A TYPE is known here by one line of SHOAL_WITH_KINDS_ and its header's #include: (name, acquire, release), for
// `struct name *`. acquire takes the object and a deadline, and answers 0 or -EOWNERDEAD if it is held; release takes
// the object. A type whose functions are not like that, or that can be held in two ways, adds a pair of inline
// functions to its header and, if it needs one, a struct to tell the ways apart, never defined: sync/rwlock.h has
// shoal_reading(l) and shoal_writing(l).
//
// COST     a call more than what one would write by hand.
// SOURCE   Linux include/linux/cleanup.h (guard, scoped_guard).
#pragma once

#include "sync/lock.h"
#include "sync/monitor.h"
#include "sync/rlock.h"
#include "sync/rwlock.h"
#include "sync/semaphore.h"

// Of an object that this room does not know: the first member of a process's own view of it. The functions are the
// view's.
struct shoal_holdable {
  int (*acquire)(struct shoal_holdable *it, shoal_deadline deadline);  // 0 or, held just as well, -EOWNERDEAD
  int (*release)(struct shoal_holdable *it);
};
SHOAL_INLINE int shoal_holdable_acquire_(struct shoal_holdable *it, shoal_deadline deadline) {
  return it->acquire(it, deadline);
}
SHOAL_INLINE int shoal_holdable_release_(struct shoal_holdable *it) { return it->release(it); }

#define SHOAL_WITH_KINDS_(X)                                                        \
  X(shoal_lock, shoal_lock_acquire, shoal_lock_release)                             \
  X(shoal_rlock, shoal_rlock_acquire, shoal_rlock_release)                          \
  X(shoal_semaphore, shoal_semaphore_acquire, shoal_semaphore_release)              \
  X(shoal_monitor, shoal_monitor_acquire, shoal_monitor_release)                    \
  X(shoal_holdable, shoal_holdable_acquire_, shoal_holdable_release_)               \
  X(shoal_rwlock_reading, shoal_rwlock_reading_enter_, shoal_rwlock_reading_leave_) \
  X(shoal_rwlock_writing, shoal_rwlock_writing_enter_, shoal_rwlock_writing_leave_)

#define SHOAL_WITH(rc, object) SHOAL_WITH_UNTIL (rc, object, SHOAL_FOREVER)
#define SHOAL_WITH_UNTIL(rc, object, deadline) SHOAL_WITH_BLOCK_(__COUNTER__, rc, object, deadline)

#define SHOAL_HOLD(rc, object) SHOAL_HOLD_UNTIL(rc, object, SHOAL_FOREVER)
#define SHOAL_HOLD_UNTIL(rc, object, deadline) SHOAL_WITH_HERE_(__COUNTER__, rc, object, deadline)

// ---- internals ----
struct shoal_with_ {
  void (*leave)(void *object);  // NULL: not held
  void *object;
};
SHOAL_INLINE void shoal_with_leave_(struct shoal_with_ *g) {
  void (*leave)(void *) = g->leave;
  g->leave = NULL;
  if (leave) leave(g->object);
}

#define SHOAL_WITH_GUARD_(guard, rc, object, deadline)                           \
  struct shoal_with_ guard __attribute__((unused, cleanup(shoal_with_leave_))) = \
      SHOAL_WITH_ENTER_(object)((object), (deadline), &(rc))
#define SHOAL_WITH_LOOP_(guard, rc, object, deadline) \
  for (SHOAL_WITH_GUARD_(guard, rc, object, deadline); guard.leave; shoal_with_leave_(&guard))
// Each guard has a name of its own: blocks may stand in each other.
#define SHOAL_WITH_BLOCK_(n, rc, object, deadline) SHOAL_WITH_BLOCK_N_(n, rc, object, deadline)
#define SHOAL_WITH_BLOCK_N_(n, rc, object, deadline) SHOAL_WITH_LOOP_(shoal_with_##n##_, rc, object, deadline)
#define SHOAL_WITH_HERE_(n, rc, object, deadline) SHOAL_WITH_HERE_N_(n, rc, object, deadline)
#define SHOAL_WITH_HERE_N_(n, rc, object, deadline) SHOAL_WITH_GUARD_(shoal_with_##n##_, rc, object, deadline)

#ifdef __cplusplus
#define SHOAL_WITH_NAME_(name) shoal_with_enter_
#define SHOAL_WITH_ENTER_(object) shoal_with_enter_
#else
#define SHOAL_WITH_NAME_(name) name##_with_
#define SHOAL_WITH_CHOICE_(name, acquire, release) struct name * : name##_with_,
#define SHOAL_WITH_ENTER_(object) \
  _Generic((object), SHOAL_WITH_KINDS_(SHOAL_WITH_CHOICE_) default : "not what can be held for a block")
#endif

#define SHOAL_WITH_DEFINE_(name, acquire, release)                                                                 \
  SHOAL_INLINE void name##_with_leave_(void *object) { (void)release((struct name *)object); }                     \
  SHOAL_INLINE struct shoal_with_ SHOAL_WITH_NAME_(name)(struct name * object, shoal_deadline deadline, int *rc) { \
    *rc = acquire(object, deadline);                                                                               \
    struct shoal_with_ g = {*rc == 0 || *rc == -EOWNERDEAD ? name##_with_leave_ : NULL, object};                   \
    return g;                                                                                                      \
  }
SHOAL_WITH_KINDS_(SHOAL_WITH_DEFINE_)
