// ipc/queue/role_lock.h: a lock that a role of sync/eventcount holds.
//
// Its word names the role, and the role's live word says whether its owner lives: nothing has to be enlisted to take it, and
// list_op_pending stays at the bell all the while.
//
//   word   owner:12 (a role, 0: free) | sequence:19 | W:1 somebody may sleep for it
//
// The sequence grows whenever the lock is taken from the dead, or for the dead by an heir: who saw the word while its owner
// was alive, and then that the owner is dead, takes it only if nobody has looked after the dead meanwhile.
//
// USE
//   int rc = shoal_role_lock_acquire(&lock, view, me, deadline);     // list_op_pending at the bell
//   if (rc == -EOWNERDEAD) repair(); else if (rc) return rc;
//   ...
//   shoal_role_lock_release(&lock, me);
//
// SAFETY   any thread of any process, as the role that is its own. Not in a signal handler: what it interrupts may hold the
//          lock; that is seen (-EDEADLK).
// ORDERING [T1] release pairs with [T2] acquire: what was done under the lock is seen under it.
// CRASH    its holder dies: one who sleeps for the lock is woken by the kernel, at the bell or at the live word, or none
//          sleeps; the next to come takes it and is told (-EOWNERDEAD). Who is woken for the lock and dies has one sleeper of
//          the bell woken, who looks, and so takes and releases the lock. A waiter that the bell wakes hands that on: it rings.
// COST     uncontended: two compare-and-sets.
// SOURCE   core/robust.h, without its list.
#pragma once

#include "sync/eventcount.h"

SHOAL_BEGIN

struct shoal_role_lock {
  shoal_atomic32 word;
};
SHOAL_STATIC_ASSERT(sizeof(struct shoal_role_lock) == 4, "a word");

#define SHOAL_ROLE_LOCK_OWNER_ 0xfffu
SHOAL_STATIC_ASSERT(2 * SHOAL_ROLES_MAX <= SHOAL_ROLE_LOCK_OWNER_, "each role has a number");

int shoal_role_lock_acquire_slow_(struct shoal_role_lock *l, struct shoal_eventcount_view *view, uint32_t me, int heir,
                                  shoal_deadline deadline);
void shoal_role_lock_release_slow_(struct shoal_role_lock *l, uint32_t me);

// 0, or held just as well -EOWNERDEAD: its last holder died with it. -ETIMEDOUT; -EDEADLK: the calling thread holds it.
// Sleeps, also with SHOAL_TRY: for as long as those before it work.
SHOAL_INLINE int shoal_role_lock_acquire(struct shoal_role_lock *l, struct shoal_eventcount_view *view, uint32_t me,
                                         shoal_deadline deadline) {
  shoal_prefetch_write(l);
  uint32_t word = shoal_load32_relaxed(&l->word);
  // [T2] pairs with [T1]
  if (SHOAL_LIKELY(!(word & SHOAL_ROLE_LOCK_OWNER_) && shoal_cas32_acquire(&l->word, &word, word | me))) return 0;
  return shoal_role_lock_acquire_slow_(l, view, me, 0, deadline);
}
// For a role that the caller looks after, and that may have held it when it died: 0, -EOWNERDEAD, -EDEADLK.
SHOAL_INLINE int shoal_role_lock_inherit(struct shoal_role_lock *l, struct shoal_eventcount_view *view, uint32_t role) {
  return shoal_role_lock_acquire_slow_(l, view, role, 1, SHOAL_FOREVER);
}
SHOAL_INLINE void shoal_role_lock_release(struct shoal_role_lock *l, uint32_t me) {
  uint32_t word = shoal_load32_relaxed(&l->word) & ~FUTEX_WAITERS;
  // [T1] pairs with [T2]; nobody who sets W meanwhile is overlooked
  if (SHOAL_UNLIKELY(!shoal_cas32_seq_cst(&l->word, &word, word & ~SHOAL_ROLE_LOCK_OWNER_)))
    shoal_role_lock_release_slow_(l, me);
}

SHOAL_END
