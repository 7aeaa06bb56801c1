// sync/gate.h: where threads wait for something to become true, so that no death swallows a wake.
//
// A gate is a futex word whose owner part is always 0: SHOAL_GATE_W, somebody may sleep here, and one bit for its
// object. That makes the kernel pass wakes on: a thread that points list_op_pending at such a word and dies - asleep,
// just woken, or between making something true and waking - has the kernel wake one sleeper there (robust-futexes.rst,
// "pending").
//
// USE (sync/semaphore.c is the model)
//   void *pending = shoal_pending_set_(t, &obj->gate);                    // before anything others may wait for becomes true
//   ...make it true: a sequentially consistent read-modify-write...
//   if (shoal_gate_asleep_(&obj->gate)) shoal_gate_wake_(&obj->gate, n);  // n may go on
//   shoal_pending_restore_(t, pending);
//
//   int rc = shoal_gate_wait_(&obj->gate, &ops, op, deadline);             // pending set, too
//
// THE BATON A wake is for one who may go on. Whoever was woken and finds more than it takes, or leaves without taking
//   (deadline, error), passes it on: it wakes another. So it does not matter whom the kernel woke, or how often. What
//   is left over after taking only the object can see: it wakes one more when shoal_gate_wait_ has answered.
//   W stays until the kernel itself has cleared it and woken all (shoal_futex_clear_and_wake).
// STATE  What an attempt looks at and the gate does not tell, `watch` adds with the value that the attempt failed on.
//   Else one who has failed and is not asleep yet could fall asleep beside it: the wake went to another, who was
//   killed, and when the kernel passed it on nobody was there; or the gate was rung and armed again. Nobody needs to
//   wake on such a word.
// WATCHING What a holder's death makes true nobody makes true by an operation. `watch` adds each word that the kernel
//   would mark then (sync/seat.h, a robust word), also those that are free now: who holds them later is watched, too,
//   although nobody tells the sleepers. The kernel wakes one of those who sleep on a word; that one rings, so that all
//   look again.
// ORDERING [G1] arm, then attempt    |  [G2] make it true, then asleep?
//          Both sequentially consistent: one sees the other.
// COST     nobody asleep: a load. A sleep, a wake: a system call.
// SOURCE   the futex protocol of glibc's and musl's robust mutexes, where the word is the lock; core/robust.c is its
//          twin.
#pragma once

#include "core/futex.h"
#include "core/robust.h"

SHOAL_BEGIN

#define SHOAL_GATE_W FUTEX_WAITERS
#define SHOAL_GATE_FLAG FUTEX_OWNER_DIED  // the object's; to the kernel, no owner either

struct shoal_watch_ {
  uint32_t n;
  uint32_t late;                                       // nobody woke the last sleep for SHOAL_RECHECK_NS
  struct shoal_futex_entry entries[SHOAL_FUTEX_MANY];  // [0] is the gate
};
// Whether `word` could be added: more than SHOAL_FUTEX_MANY are left to the re-check.
int shoal_watch_add_(struct shoal_watch_ *w, shoal_atomic32 *word, uint32_t value);

// What shoal_gate_wait_ asks of the object.
struct shoal_gate_ops_ {
  // Takes what it can. Any answer but -EAGAIN ends the wait.
  int (*attempt)(void *op);
  // Before a sleep, after an attempt that failed: deals with the dead, and adds to `w` what it would be wrong to sleep
  // past (STATE, WATCHING); 1: attempt again first. With `w` NULL, when a wait ends in which there was a sleep: a wake
  // may have been for a death, too, so deals with the dead again. NULL: the gate tells all.
  int (*watch)(void *op, struct shoal_watch_ *w);
};

// Attempts, spins briefly, sleeps, until there is an answer, or `deadline`: -EAGAIN for SHOAL_TRY, -ETIMEDOUT. The
// caller has pointed list_op_pending at the gate.
int shoal_gate_wait_(shoal_atomic32 *gate, const struct shoal_gate_ops_ *ops, void *op, shoal_deadline deadline);
// The same without the spin, for an object that has spun in a way of its own. Not for SHOAL_TRY.
int shoal_gate_sleep_(shoal_atomic32 *gate, const struct shoal_gate_ops_ *ops, void *op, shoal_deadline deadline);

// What a sleep at the gate compares with; the attempt comes after it.
uint32_t shoal_gate_arm_(shoal_atomic32 *gate);
SHOAL_INLINE int shoal_gate_asleep_(const shoal_atomic32 *gate) {
  return (shoal_load32_seq_cst(gate) & SHOAL_GATE_W) != 0;  // [G2] pairs with [G1]
}
// Wakes `n`; if there are fewer, all who only think of sleeping look again.
void shoal_gate_wake_(shoal_atomic32 *gate, int n);
// Everybody looks again.
void shoal_gate_ring_(shoal_atomic32 *gate);

SHOAL_END
