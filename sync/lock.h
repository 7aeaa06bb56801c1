// sync/lock.h: a lock between processes that outlives its holder.
//
// USE
//   struct shoal_lock *l = ...in shared memory...;  int rc = shoal_lock_init(l);   // once
//   rc = shoal_lock_acquire(l, SHOAL_FOREVER);
//   if (rc == -EOWNERDEAD) { repair(); rc = shoal_lock_consistent(l); }     // held, but its last holder died with it
//   if (rc) return rc;
//   ...
//   shoal_lock_release(l);
//
// SAFETY   acquire and release from any thread of any process; release only by the holder (-EPERM). Not recursive
//          (-EDEADLK). A child of fork holds none of its parent's locks. Not in signal handlers. The memory stays
//          mapped while the lock is held. init before, destroy after everything else. attach at any time.
// ORDERING [L1] acquire pairs with [L2] release: what the last holder wrote is seen; and what a dead one wrote.
// CRASH    a holder dies, at any instruction: the next taker has the lock and -EOWNERDEAD. It repairs what the lock
//          guards and says so (consistent). If it dies before, the next has -EOWNERDEAD again; if it releases before,
//          the lock is -ENOTRECOVERABLE for all, those who sleep now included. A waiter that dies, or dies just woken,
//          costs nobody a wake.
// COST     uncontended pair: two compare-and-sets. Contended: a spin, then one system call a sleep and a
//          wake. A lock in an order (sync/lock_order.h) costs more, all others nothing for that.
// SOURCE   core/robust.h.
#pragma once

#include "core/robust.h"
#include "sync/lock_order.h"
#include "sync/named.h"

SHOAL_BEGIN

enum {
  SHOAL_LOCK_CONSISTENT = 0,
  SHOAL_LOCK_INCONSISTENT = 1,
  SHOAL_LOCK_NOTRECOVERABLE = 2,
  SHOAL_LOCK_DESTROYED = 3
};

struct shoal_lock {
  struct shoal_robust robust;  // robust.state: SHOAL_LOCK_*, written by the holder; and whether it is attached
  struct shoal_ordered_ ordered;
  uint64_t reserved_[2];
} SHOAL_ALIGNED(64);
SHOAL_STATIC_ASSERT(sizeof(struct shoal_lock) == 64, "a line");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_lock, robust) == 0, "a lock is found by its word");

// 0, -ENOSYS, -ENOMEM.
int shoal_lock_init(struct shoal_lock *lock) SHOAL_MUST_CHECK;
// -EBUSY: held, or somebody sleeps for it; nothing changed. A destroyed lock answers -EINVAL.
int shoal_lock_destroy(struct shoal_lock *lock);
SHOAL_NAMED_(shoal_lock)  // _create, _open, _open_or_create, _close, _unlink

// 0 or, held just as well, -EOWNERDEAD; -EDEADLK, -ENOTRECOVERABLE, -EINVAL; -EAGAIN (SHOAL_TRY), -ETIMEDOUT. Sleeps.
SHOAL_INLINE int shoal_lock_acquire(struct shoal_lock *lock, shoal_deadline deadline) SHOAL_MUST_CHECK;
// 0; -EPERM: not the caller's.
SHOAL_INLINE int shoal_lock_release(struct shoal_lock *lock);
// From now on its acquisitions are checked by `order`, of the same mapping, under that name. Again: 0. -EEXIST in
// another one, or by another name; -ENOSPC, -ENAMETOOLONG, -EINVAL.
int shoal_lock_attach(struct shoal_lock *lock, struct shoal_lock_order *order, const char *name) SHOAL_MUST_CHECK;
// What it guards is in order again. 0; -EPERM not the caller's, -EINVAL it was never in doubt.
int shoal_lock_consistent(struct shoal_lock *lock);

struct shoal_lock_info {
  uint32_t owner;    // tid; 0: free
  uint32_t waiters;  // 1: somebody may sleep
  uint32_t dead;     // 1: its holder died, nobody has taken it since
  uint32_t state;    // SHOAL_LOCK_*
};
int shoal_lock_info(const struct shoal_lock *lock, struct shoal_lock_info *out);

// Only the owner: lets go of it as it is, so what is in doubt stays so, and the next has -EOWNERDEAD again.
void shoal_lock_pass_on_(struct shoal_lock *lock);
// 0, or -EPROTO: no lock is there.
int shoal_lock_check_(const void *memory, uint64_t size);

// ---- inline ----
// `r` is the lock's: its word was not free at once.
int shoal_lock_acquire_slow_(struct shoal_robust *r, struct shoal_thread_ *t, shoal_deadline deadline);
// All that is not the plain case. `rc`: what taking the word answered.
int shoal_lock_acquired_(struct shoal_lock *lock, int rc, shoal_deadline deadline);
int shoal_lock_release_slow_(struct shoal_lock *lock);

// Consistent, and in no order.
SHOAL_INLINE int shoal_lock_is_plain_(const struct shoal_lock *lock) {
  return __atomic_load_n(&lock->robust.state, __ATOMIC_RELAXED) == SHOAL_LOCK_CONSISTENT;
}

SHOAL_INLINE int shoal_lock_acquire(struct shoal_lock *lock, shoal_deadline deadline) {
  // [L1] is [A1] of core/robust.h
  int rc = shoal_robust_acquire_by_(&lock->robust, deadline, shoal_lock_acquire_slow_);
  if (SHOAL_LIKELY(rc == 0 && shoal_lock_is_plain_(lock))) return 0;
  return shoal_lock_acquired_(lock, rc, deadline);
}

SHOAL_INLINE int shoal_lock_release(struct shoal_lock *lock) {
  struct shoal_thread_ *t = shoal_self_();
  uint32_t word = shoal_load32_relaxed(&lock->robust.word);
  if (SHOAL_UNLIKELY(shoal_robust_owner(word) != t->tid || !shoal_lock_is_plain_(lock)))
    return shoal_lock_release_slow_(lock);
  shoal_robust_release_as_(&lock->robust, t);  // [L2] is [R1] of core/robust.h
  return 0;
}

SHOAL_END
