#include "sync/lock.h"

#include <string.h>

#include "core/error.h"
#include "core/futex.h"

// Beside SHOAL_LOCK_* in robust.state: it is attached to an order. Set at any time, by anybody; never cleared.
#define ORDERED 0x100u

static uint32_t whole_state(const struct shoal_lock *lock) {
  // [N4] pairs with [N3]: where its order is, and the order
  return __atomic_load_n(&lock->robust.state, __ATOMIC_ACQUIRE);
}
static uint32_t state_of(const struct shoal_lock *lock) { return whole_state(lock) & ~ORDERED; }
static int is_ordered(const struct shoal_lock *lock) { return (whole_state(lock) & ORDERED) != 0; }
static void set_state(struct shoal_lock *lock, uint32_t state) {
  uint32_t old = whole_state(lock);
  while (!__atomic_compare_exchange_n(&lock->robust.state, &old, (old & ORDERED) | state, 0, __ATOMIC_RELAXED,
                                      __ATOMIC_RELAXED))
    continue;
}
static uint32_t owner_of(const struct shoal_lock *lock) {
  return shoal_robust_owner(shoal_load32_relaxed(&lock->robust.word));
}

static int not_mine(const struct shoal_lock *lock) {
  uint32_t owner = owner_of(lock);
  if (owner == shoal_self_()->tid) return 0;
  return owner ? shoal_fail_(-EPERM, "the lock is held by thread %s", shoal_thread_name_(owner).text)
               : shoal_fail_(-EPERM, "nobody holds the lock");
}

int shoal_lock_init(struct shoal_lock *lock) {
  int rc = shoal_robust_check();
  if (rc == 0) memset(lock, 0, sizeof *lock);
  return rc;
}

int shoal_lock_destroy(struct shoal_lock *lock) {
  int rc = shoal_robust_acquire_(&lock->robust, SHOAL_TRY);
  if (rc && rc != -EOWNERDEAD)
    return shoal_fail_(-EBUSY, "the lock is held by thread %s", shoal_thread_name_(owner_of(lock)).text);
  if (rc && state_of(lock) == SHOAL_LOCK_CONSISTENT) set_state(lock, SHOAL_LOCK_INCONSISTENT);
  rc = 0;
  if (shoal_futex_sleepers(&lock->robust.word)) rc = shoal_fail_(-EBUSY, "somebody waits for the lock");
  else if (state_of(lock) == SHOAL_LOCK_DESTROYED) rc = shoal_fail_(-EINVAL, "the lock has been destroyed");
  else set_state(lock, SHOAL_LOCK_DESTROYED);
  shoal_robust_release_(&lock->robust);  // wakes who sleeps
  return rc;
}

int shoal_lock_attach(struct shoal_lock *lock, struct shoal_lock_order *order, const char *name) {
  int rc = shoal_ordered_attach_(&lock->ordered, order, name);
  if (rc == 0) __atomic_fetch_or(&lock->robust.state, ORDERED, __ATOMIC_RELEASE);  // [N3] pairs with [N4]
  return rc;
}

int shoal_lock_acquire_slow_(struct shoal_robust *r, struct shoal_thread_ *t, shoal_deadline deadline) {
  struct shoal_lock *lock = (struct shoal_lock *)r;
  if (!is_ordered(lock) || shoal_deadline_is_try(deadline) || owner_of(lock) == t->tid)
    return shoal_robust_acquire_slow_(r, t, deadline);
  int rc = shoal_ordered_enter_(&lock->ordered, 1);
  if (rc) return rc;
  rc = shoal_ordered_wait_(&lock->ordered, r, t, deadline);
  if (rc && rc != -EOWNERDEAD) shoal_ordered_leave_(&lock->ordered);
  return rc;
}

static int refuse(struct shoal_lock *lock, uint32_t state) {
  if (is_ordered(lock)) shoal_ordered_leave_(&lock->ordered);
  shoal_robust_release_(&lock->robust);  // wakes the next, who will be told as well
  if (state == SHOAL_LOCK_NOTRECOVERABLE)
    return shoal_fail_(-ENOTRECOVERABLE, "released without consistent after its holder's death");
  return shoal_fail_(-EINVAL, state == SHOAL_LOCK_DESTROYED ? "the lock has been destroyed" : "not a lock");
}

int shoal_lock_acquired_(struct shoal_lock *lock, int rc, shoal_deadline deadline) {
  struct shoal_thread_ *t = shoal_self_();
  if (rc == -EDEADLK && owner_of(lock) == t->tid)  // else the order has said why
    return shoal_fail_(rc, "the calling thread, %s, holds the lock", shoal_thread_name_(t->tid).text);
  if (rc && rc != -EOWNERDEAD) return rc;
  uint32_t state = state_of(lock);
  if (state != SHOAL_LOCK_CONSISTENT && state != SHOAL_LOCK_INCONSISTENT) return refuse(lock, state);
  int in_doubt = rc || state == SHOAL_LOCK_INCONSISTENT;
  if (in_doubt) set_state(lock, SHOAL_LOCK_INCONSISTENT);
  rc = is_ordered(lock) ? shoal_ordered_enter_(&lock->ordered, !shoal_deadline_is_try(deadline)) : 0;
  if (rc) {
    shoal_robust_release_(&lock->robust);  // in doubt as it was
    return rc;
  }
  return in_doubt ? shoal_fail_(-EOWNERDEAD, "the lock's holder died") : 0;
}

int shoal_lock_release_slow_(struct shoal_lock *lock) {
  int rc = not_mine(lock);
  if (rc) return rc;
  if (state_of(lock) == SHOAL_LOCK_INCONSISTENT) set_state(lock, SHOAL_LOCK_NOTRECOVERABLE);
  if (is_ordered(lock)) shoal_ordered_leave_(&lock->ordered);
  shoal_robust_release_(&lock->robust);
  return 0;
}

void shoal_lock_pass_on_(struct shoal_lock *lock) {
  if (is_ordered(lock)) shoal_ordered_leave_(&lock->ordered);
  shoal_robust_release_(&lock->robust);
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

int shoal_lock_check_(const void *memory, uint64_t size) {
  (void)size;
  return state_of(memory) <= SHOAL_LOCK_DESTROYED ? 0 : shoal_fail_(-EPROTO, "not a lock, or a damaged one");
}

SHOAL_NAMED_DEFINE_(shoal_lock, "lock", shoal_lock_check_, sizeof(struct shoal_lock), shoal_lock_init(it))
