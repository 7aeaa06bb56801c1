// ipc/queue/role_lock.h: a lock that a role of sync/eventcount holds.
//
// Its word names the role, and the role's live word says whether its owner lives: nothing has to be enlisted to take
// it, and list_op_pending stays at the bell all the while.
//
//   word       owner:12 (a role, 0: free) | sequence:20
//   sleepers   0, or W: somebody may sleep for it, here
//
// The sequence grows whenever the lock is taken from the dead, or for the dead by an heir: who saw the word while its
// owner was alive, and then that the owner is dead, takes it only if nobody has looked after the dead meanwhile.
//
// USE
//   int rc = shoal_role_lock_acquire(&lock, view, me, deadline);     // list_op_pending at the bell
//   if (rc == -EOWNERDEAD) repair(); else if (rc) return rc;
//   ...
//   shoal_role_lock_release(&lock, view, me);
//
// SAFETY   any thread of any process, as the role that is its own. Not in a signal handler: what it interrupts may hold
//          the lock; that is seen (-EDEADLK).
// ORDERING [T1] release pairs with [T2] acquire: what was done under the lock is seen under it.
//          [S1] release, then the load of sleepers | [S2] sleepers, then the load of the word
//          A release is a store and may still be on its way when sleepers is read; whoever is about to sleep has the
//          fence run by all who run (shoal_fence_all), and looks once more. With SHOAL_EC_EXCHANGE both are
//          read-modify-writes.
// CRASH    its holder dies: one who sleeps for the lock is woken by the kernel, at the bell or at the live word, or
//          none sleeps; the next to come takes it and is told (-EOWNERDEAD). Who is woken for the lock and dies has one
//          sleeper of the bell woken, who looks, and so takes and releases the lock. A waiter that the bell wakes hands
//          that on: it rings.
// COST     uncontended: a compare-and-set and a store. A sleep: a membarrier besides.
// SOURCE   core/robust.h, without its list.
#pragma once

#include "sync/eventcount.h"

SHOAL_BEGIN

struct shoal_role_lock {
  shoal_atomic32 word;      // who takes it; its owner
  shoal_atomic32 sleepers;  // who is about to sleep; whoever finds nobody asleep
};
SHOAL_STATIC_ASSERT(sizeof(struct shoal_role_lock) == 8, "two words");

#define SHOAL_ROLE_LOCK_OWNER_ 0xfffu
SHOAL_STATIC_ASSERT(2 * SHOAL_ROLES_MAX <= SHOAL_ROLE_LOCK_OWNER_, "each role has a number");

int shoal_role_lock_acquire_slow_(struct shoal_role_lock *l, struct shoal_eventcount_view *view, uint32_t me, int heir,
                                  shoal_deadline deadline);
void shoal_role_lock_pass_on_(struct shoal_role_lock *l);

// 0, or held just as well -EOWNERDEAD: its last holder died with it. -ETIMEDOUT; -EDEADLK: the calling thread holds it.
// Sleeps, also with SHOAL_TRY: while those before it work, but for a second at most.
SHOAL_INLINE int shoal_role_lock_acquire(struct shoal_role_lock *l, struct shoal_eventcount_view *view, uint32_t me,
                                         shoal_deadline deadline) {
  shoal_prefetch_write(l);
  uint32_t word = shoal_load32_relaxed(&l->word);
  // [T2] pairs with [T1]
  if (SHOAL_LIKELY(!(word & SHOAL_ROLE_LOCK_OWNER_) && shoal_cas32_acquire(&l->word, &word, word | me))) return 0;
  return shoal_role_lock_acquire_slow_(l, view, me, 0, deadline);
}
// The same for a role that the caller looks after, and that may have held it when it died.
SHOAL_INLINE int shoal_role_lock_inherit(struct shoal_role_lock *l, struct shoal_eventcount_view *view, uint32_t role,
                                         shoal_deadline deadline) {
  return shoal_role_lock_acquire_slow_(l, view, role, 1, deadline);
}
SHOAL_INLINE void shoal_role_lock_release(struct shoal_role_lock *l, const struct shoal_eventcount_view *view,
                                          uint32_t me) {
  uint32_t word = shoal_load32_relaxed(&l->word);
  if (SHOAL_UNLIKELY((word & SHOAL_ROLE_LOCK_OWNER_) != me)) return;  // damage: it is not ours any more
  if (SHOAL_UNLIKELY(view->flags & SHOAL_EC_EXCHANGE)) shoal_exchange32_seq_cst(&l->word, word - me);  // [T1], [S1]
  else shoal_store32_release(&l->word, word - me);  // [T1] pairs with [T2]
  SHOAL_COMPILER_BARRIER();                         // [S1] pairs with [S2]
  if (SHOAL_UNLIKELY(shoal_load32_relaxed(&l->sleepers))) shoal_role_lock_pass_on_(l);
}

SHOAL_END
