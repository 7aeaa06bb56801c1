#include "sync/rlock.h"

#include "core/error.h"

static int mine(const struct shoal_rlock *l) {
  return shoal_robust_owner(shoal_load32_relaxed(&l->lock.robust.word)) == shoal_self_()->tid;
}

int shoal_rlock_init(struct shoal_rlock *l) { return shoal_lock_init(&l->lock); }
int shoal_rlock_destroy(struct shoal_rlock *l) { return shoal_lock_destroy(&l->lock); }
int shoal_rlock_consistent(struct shoal_rlock *l) { return shoal_lock_consistent(&l->lock); }
int shoal_rlock_attach(struct shoal_rlock *l, struct shoal_lock_order *order, const char *name) {
  return shoal_lock_attach(&l->lock, order, name);
}

int shoal_rlock_acquire_again_(struct shoal_rlock *l) {
  uint32_t depth = shoal_rlock_depth_(l);
  if (depth == SHOAL_RLOCK_DEPTH_MAX) return shoal_fail_(-EOVERFLOW, "the lock is held %u times", depth);
  shoal_rlock_set_depth_(l, depth + 1);
  return 0;
}

int shoal_rlock_acquired_(struct shoal_rlock *l, int rc, shoal_deadline deadline) {
  rc = shoal_lock_acquired_(&l->lock, rc, deadline);
  if (rc == 0 || rc == -EOWNERDEAD) shoal_rlock_set_depth_(l, 1);
  return rc;
}

int shoal_rlock_release_slow_(struct shoal_rlock *l) {
  uint32_t depth = shoal_rlock_depth_(l);
  if (!mine(l) || depth <= 1) return shoal_lock_release(&l->lock);
  shoal_rlock_set_depth_(l, depth - 1);
  return 0;
}

uint32_t shoal_rlock_unlock_all_(struct shoal_rlock *l) {
  uint32_t depth = shoal_rlock_depth_(l);
  if (mine(l)) shoal_rlock_set_depth_(l, 1);
  return shoal_lock_release(&l->lock) ? 0 : depth;
}

int shoal_rlock_lock_again_(struct shoal_rlock *l, uint32_t depth) {
  int rc = shoal_rlock_acquire(l, SHOAL_FOREVER);
  if (rc == 0 || rc == -EOWNERDEAD) shoal_rlock_set_depth_(l, depth);
  return rc;
}

int shoal_rlock_info(const struct shoal_rlock *l, struct shoal_rlock_info *out) {
  struct shoal_lock_info lock;
  int rc = shoal_lock_info(&l->lock, &lock);
  *out = (struct shoal_rlock_info){.owner = lock.owner,
                                   .depth = lock.owner ? shoal_rlock_depth_(l) : 0,
                                   .waiters = lock.waiters,
                                   .dead = lock.dead,
                                   .state = lock.state};
  return rc;
}

SHOAL_NAMED_DEFINE_(shoal_rlock, "rlock", shoal_lock_check_, sizeof(struct shoal_rlock), shoal_rlock_init(it))
