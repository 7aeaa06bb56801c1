// sync/monitor.h: a condition and the lock it goes with, in one hand.
//
// USE
//   #include "sync/with.h"
//   struct shoal_monitor m = shoal_monitor_of(condition, lock);     // or an rlock
//   int rc;
//   SHOAL_WITH (rc, &m) {                                           // sync/with.h: holds the lock
//     if (rc == -EOWNERDEAD) ...repair, consistent...
//     while (items == 0 && rc == 0) rc = shoal_monitor_wait(&m, SHOAL_FOREVER);
//     if (rc == 0) items--, shoal_monitor_notify(&m, 1);
//   }
//
// This process's view of the two, to be copied and thrown away: nothing of it is shared, and there is nothing to
// destroy.
// SAFETY, ORDERING, CRASH, COST  those of sync/condition.h and of its lock.
#pragma once

#include "sync/condition.h"

SHOAL_BEGIN

struct shoal_monitor {
  struct shoal_condition *condition;
  struct shoal_condition_lock_ lock;
};

// struct shoal_monitor shoal_monitor_of(condition, lock)
#define shoal_monitor_of(condition, lock) shoal_monitor_((condition), SHOAL_CONDITION_LOCK_(lock))
SHOAL_INLINE struct shoal_monitor shoal_monitor_(struct shoal_condition *c, struct shoal_condition_lock_ lock) {
  struct shoal_monitor m = {c, lock};
  return m;
}

// As of shoal_lock_acquire, or shoal_rlock_acquire.
SHOAL_INLINE int shoal_monitor_acquire(struct shoal_monitor *m, shoal_deadline deadline) SHOAL_MUST_CHECK;
SHOAL_INLINE int shoal_monitor_acquire(struct shoal_monitor *m, shoal_deadline deadline) {
  return m->lock.recursive ? shoal_rlock_acquire((struct shoal_rlock *)m->lock.lock, deadline)
                           : shoal_lock_acquire(m->lock.lock, deadline);
}
SHOAL_INLINE int shoal_monitor_release(struct shoal_monitor *m) {
  return m->lock.recursive ? shoal_rlock_release((struct shoal_rlock *)m->lock.lock) : shoal_lock_release(m->lock.lock);
}
// What the lock guards is in order again.
SHOAL_INLINE int shoal_monitor_consistent(struct shoal_monitor *m) { return shoal_lock_consistent(m->lock.lock); }

// As of shoal_condition_wait, and its other functions.
SHOAL_INLINE int shoal_monitor_wait(struct shoal_monitor *m, shoal_deadline deadline) SHOAL_MUST_CHECK;
SHOAL_INLINE int shoal_monitor_wait(struct shoal_monitor *m, shoal_deadline deadline) {
  return shoal_condition_wait_(m->condition, m->lock, deadline);
}
SHOAL_INLINE int shoal_monitor_wait_for(struct shoal_monitor *m, int (*predicate)(void *), void *arg,
                                        shoal_deadline deadline) SHOAL_MUST_CHECK;
SHOAL_INLINE int shoal_monitor_wait_for(struct shoal_monitor *m, int (*predicate)(void *), void *arg,
                                        shoal_deadline deadline) {
  return shoal_condition_wait_for_(m->condition, m->lock, predicate, arg, deadline);
}
SHOAL_INLINE int shoal_monitor_notify(struct shoal_monitor *m, uint32_t n) {
  return shoal_condition_notify_(m->condition, m->lock, n);
}
SHOAL_INLINE int shoal_monitor_notify_all(struct shoal_monitor *m) {
  return shoal_condition_notify_(m->condition, m->lock, SHOAL_CONDITION_ALL_);
}

SHOAL_END
