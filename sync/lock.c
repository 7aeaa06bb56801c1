#include "sync/lock.h"

#include <string.h>

#include "core/error.h"

static uint32_t state_of(const struct shoal_lock *lock) {
  return __atomic_load_n(&lock->robust.state, __ATOMIC_RELAXED);
}
static void set_state(struct shoal_lock *lock, uint32_t state) {
  __atomic_store_n(&lock->robust.state, state, __ATOMIC_RELAXED);
}
static uint32_t owner_of(const struct shoal_lock *lock) {
  return shoal_robust_owner(shoal_load32_relaxed(&lock->robust.word));
}

static int not_mine(const struct shoal_lock *lock) {
  uint32_t owner = owner_of(lock);
  if (owner == shoal_self_()->tid) return 0;
  return owner ? shoal_fail_(-EPERM, "the lock is held by thread %u", owner)
               : shoal_fail_(-EPERM, "nobody holds the lock");
}

int shoal_lock_init(struct shoal_lock *lock) {
  int rc = shoal_robust_check();
  if (rc == 0) memset(lock, 0, sizeof *lock);
  return rc;
}

int shoal_lock_destroy(struct shoal_lock *lock) {
  int rc = shoal_robust_acquire_(&lock->robust, SHOAL_TRY);
  if (rc && rc != -EOWNERDEAD) return shoal_fail_(-EBUSY, "the lock is held by thread %u", owner_of(lock));
  int twice = state_of(lock) == SHOAL_LOCK_DESTROYED;
  set_state(lock, SHOAL_LOCK_DESTROYED);
  shoal_robust_release_(&lock->robust);
  return twice ? shoal_fail_(-EINVAL, "the lock has been destroyed") : 0;
}

// All that is not the plain case. `rc`: what taking the word answered.
int shoal_lock_acquired_(struct shoal_lock *lock, int rc) {
  if (rc == -EDEADLK) return shoal_fail_(rc, "the calling thread, %u, holds the lock", shoal_self_()->tid);
  if (rc && rc != -EOWNERDEAD) return rc;
  uint32_t state = state_of(lock);
  if (state == SHOAL_LOCK_CONSISTENT || state == SHOAL_LOCK_INCONSISTENT) {
    set_state(lock, SHOAL_LOCK_INCONSISTENT);
    return shoal_fail_(-EOWNERDEAD, "the lock's holder died");
  }
  shoal_robust_release_(&lock->robust);  // wakes the next, who will be told as well
  if (state == SHOAL_LOCK_NOTRECOVERABLE)
    return shoal_fail_(-ENOTRECOVERABLE, "released without shoal_lock_consistent after its holder's death");
  return shoal_fail_(-EINVAL, state == SHOAL_LOCK_DESTROYED ? "the lock has been destroyed" : "not a lock");
}

int shoal_lock_release_slow_(struct shoal_lock *lock) {
  int rc = not_mine(lock);
  if (rc) return rc;
  if (state_of(lock) == SHOAL_LOCK_INCONSISTENT) set_state(lock, SHOAL_LOCK_NOTRECOVERABLE);
  shoal_robust_release_(&lock->robust);
  return 0;
}

int shoal_lock_consistent(struct shoal_lock *lock) {
  int rc = not_mine(lock);
  if (rc) return rc;
  if (state_of(lock) != SHOAL_LOCK_INCONSISTENT) return shoal_fail_(-EINVAL, "what the lock guards is not in doubt");
  set_state(lock, SHOAL_LOCK_CONSISTENT);
  return 0;
}

int shoal_lock_info(const struct shoal_lock *lock, struct shoal_lock_info *out) {
  uint32_t word = shoal_load32_relaxed(&lock->robust.word);
  *out = (struct shoal_lock_info){.owner = shoal_robust_owner(word),
                                  .waiters = (word & FUTEX_WAITERS) != 0,
                                  .dead = shoal_robust_is_dead(word) && !shoal_robust_owner(word),
                                  .state = state_of(lock)};
  return 0;
}
