// sync/rlock.h: a lock that its holder may take again.
//
// USE
//   struct shoal_rlock *l = ...in shared memory...;  int rc = shoal_rlock_init(l);  // once; or shoal_rlock_create, by name
//   rc = shoal_rlock_acquire(l, SHOAL_FOREVER);
//   if (rc == -EOWNERDEAD) { repair(); rc = shoal_rlock_consistent(l); }    // held, but its last holder died with it
//   if (rc) return rc;
//   ...what calls others that acquire it, too...
//   shoal_rlock_release(l);                                                    // as often as acquired
//
// SAFETY   as of sync/lock.h, but that a holder acquires again at once. It is free when the holder has released as
//          often.
// ORDERING as of sync/lock.h. The depth is the holder's: nobody else reads it, but shoal_rlock_info.
// CRASH    as of sync/lock.h. However often a dead holder had acquired it, its heir holds it once: it writes
//          the depth anew, and reads nothing of what the dead left there. Who releases wholly has left it at once.
// COST     uncontended pair: as a lock, and two loads. Acquired again: two loads, a store.
// SOURCE   sync/lock.h.
#pragma once

#include "sync/lock.h"

SHOAL_BEGIN

struct shoal_rlock {
  struct shoal_lock lock;  // robust.user_: the depth less one, the holder's
};
SHOAL_STATIC_ASSERT(sizeof(struct shoal_rlock) == 64, "a line");

#define SHOAL_RLOCK_DEPTH_MAX UINT32_MAX

// 0, -ENOSYS, -ENOMEM.
int shoal_rlock_init(struct shoal_rlock *l) SHOAL_MUST_CHECK;
// -EBUSY: held, or somebody sleeps for it; nothing changed. A destroyed lock answers -EINVAL.
int shoal_rlock_destroy(struct shoal_rlock *l);
SHOAL_NAMED_(shoal_rlock)  // _create, _open, _open_or_create, _close, _unlink

// 0 or, held just as well, -EOWNERDEAD; -ENOTRECOVERABLE, -EINVAL, -EOVERFLOW held too often already; -EAGAIN
// (SHOAL_TRY), -ETIMEDOUT; -EDEADLK, of its order only. Sleeps.
SHOAL_INLINE int shoal_rlock_acquire(struct shoal_rlock *l, shoal_deadline deadline) SHOAL_MUST_CHECK;
// 0; -EPERM: not the caller's.
SHOAL_INLINE int shoal_rlock_release(struct shoal_rlock *l);
// What it guards is in order again. 0; -EPERM not the caller's, -EINVAL it was never in doubt.
int shoal_rlock_consistent(struct shoal_rlock *l);
// As shoal_lock_attach. Acquired again, it is not looked at again.
int shoal_rlock_attach(struct shoal_rlock *l, struct shoal_lock_order *order, const char *name) SHOAL_MUST_CHECK;

struct shoal_rlock_info {
  uint32_t owner;    // tid; 0: free
  uint32_t depth;    // how often the owner has acquired it
  uint32_t waiters;  // 1: somebody may sleep
  uint32_t dead;     // 1: its holder died, nobody has taken it since
  uint32_t state;    // SHOAL_LOCK_*
};
int shoal_rlock_info(const struct shoal_rlock *l, struct shoal_rlock_info *out);

// ---- for a wait that lets go of the lock meanwhile ----
// Releases it wholly: how often it was acquired; 0: not the caller's, and shoal_reason() says so.
uint32_t shoal_rlock_unlock_all_(struct shoal_rlock *l);
// Acquires it, for ever, as often as that at once. As shoal_rlock_acquire.
int shoal_rlock_lock_again_(struct shoal_rlock *l, uint32_t depth) SHOAL_MUST_CHECK;

// ---- inline ----
int shoal_rlock_acquired_(struct shoal_rlock *l, int rc, shoal_deadline deadline);
int shoal_rlock_acquire_again_(struct shoal_rlock *l);
int shoal_rlock_release_slow_(struct shoal_rlock *l);

// One less is what stands there: who acquires a free lock has nothing to write.
SHOAL_INLINE uint32_t shoal_rlock_depth_(const struct shoal_rlock *l) {
  return (uint32_t)shoal_load64_relaxed(&l->lock.robust.user_) + 1;
}
SHOAL_INLINE void shoal_rlock_set_depth_(struct shoal_rlock *l, uint32_t depth) {
  shoal_store64_relaxed(&l->lock.robust.user_, depth - 1);
}

SHOAL_INLINE int shoal_rlock_acquire(struct shoal_rlock *l, shoal_deadline deadline) {
  uint32_t word = shoal_load32_relaxed(&l->lock.robust.word);
  if (shoal_robust_owner(word) == shoal_self_()->tid) return shoal_rlock_acquire_again_(l);
  // [L1] is [A1] of core/robust.h
  int rc = shoal_robust_acquire_by_(&l->lock.robust, deadline, shoal_lock_acquire_slow_);
  if (SHOAL_LIKELY(rc == 0 && shoal_lock_is_plain_(&l->lock))) return 0;
  return shoal_rlock_acquired_(l, rc, deadline);
}

SHOAL_INLINE int shoal_rlock_release(struct shoal_rlock *l) {
  struct shoal_thread_ *t = shoal_self_();
  uint32_t word = shoal_load32_relaxed(&l->lock.robust.word);
  if (SHOAL_UNLIKELY(shoal_robust_owner(word) != t->tid || shoal_rlock_depth_(l) != 1 ||
                     !shoal_lock_is_plain_(&l->lock)))
    return shoal_rlock_release_slow_(l);
  shoal_robust_release_as_(&l->lock.robust, t);  // [L2] is [R1] of core/robust.h
  return 0;
}

SHOAL_END
