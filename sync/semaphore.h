// sync/semaphore.h: permits that threads of any process take and give back, and that the dead give back, too.
//
// USE
//   struct shoal_semaphore *s = ...shoal_semaphore_size(2, 0) bytes of shared memory, aligned to 64...;
//   int rc = shoal_semaphore_init(s, 2, 2, 0);             // once: two permits, never more; or _create, by name
//   rc = shoal_semaphore_acquire(s, SHOAL_FOREVER);
//   ...at most two are here; who is killed here gives its permit back...
//   rc = shoal_semaphore_release(s);
//
//   rc = shoal_semaphore_init(items, 0, 0, SHOAL_SEMAPHORE_CONSUMED);    // producers release, consumers acquire
//
// A PERMIT is a robust word of its own (core/robust.h): free, or held by the thread whose TID it is. Acquiring takes a
//          free one, so what a death does to it is what it does to a lock: the kernel marks the word and wakes one who
//          sleeps on it, and there is nothing to count, to undo or to repair. A thread takes again the permit that it
//          had last, for that line is still its own. A permit of SHOAL_SEMAPHORE_CONSUMED is used up when it is
//          acquired: such a semaphore is one number.
// BOUND    the most permits there can be. A release by a thread that holds none adds one, as Python's does, up to the
//          bound: a bounded semaphore is one whose bound is its value. Beyond it: -EOVERFLOW. Who acquires here and
//          lets another thread release wants SHOAL_SEMAPHORE_CONSUMED, where nobody holds anything.
// SAFETY   every operation from any thread of any process. A child of fork holds none of its parent's permits. Release
//          of a CONSUMED one also in a signal handler, if its thread has used this library before. The memory stays
//          mapped while a permit is held; where a process has mapped it twice, a thread keeps to one of the two. init
//          before, destroy after everything else.
//          -ENOSYS to open: this process may not use membarrier, and nobody has slept here yet. Of an object in memory
//          of the caller's nobody asks: there a process that may not is to make it.
// ORDERING [P1] a release pairs with [P2] the acquisition of the same permit: what was written before is seen after.
//          [P3] give back, then: does anybody sleep?   |  [P4] arm the gate, then: is a permit free?
//          Until somebody has slept here the first is a store and a load, and the first sleeper makes all running
//          threads pass a barrier between them (shoal_fence_all), once for good; from then on whoever releases passes
//          one itself.
// CRASH    acquire: the word is not the victim's, or it is marked. release: it is marked, or free and list_op_pending
//          points at it, so that the kernel wakes one of those who sleep on it. Asleep, or just woken: at the gate
//          (sync/gate.h). Who takes one while others sleep, and sees another free, wakes one more: so no wake is lost
//          with a thread that was about to take a permit which then another took.
// COST     uncontended pair: one compare-and-set; one more barrier once somebody has slept here. Sleeping costs a look
//          at every permit. 64 bytes, and 64 for each permit that can be held.
// SOURCE   of this house. Modelled in tests/litmus/semaphore.pml.
#pragma once

#include "sync/gate.h"
#include "sync/named.h"

SHOAL_BEGIN

#define SHOAL_SEMAPHORE_CONSUMED 1u      // init: a permit acquired is used up; a death returns nothing
#define SHOAL_SEMAPHORE_HELD_MAX 1024u   // permits that can be held
#define SHOAL_SEMAPHORE_MAX 0x7fffffffu  // permits that are consumed
#define SHOAL_SEMAPHORE_HOLDERS 16u      // that info names

#define SHOAL_SEMAPHORE_KIND_HELD_ 0x9e3779b1u  // what stands here; anything else is no semaphore, or no longer
#define SHOAL_SEMAPHORE_KIND_CONSUMED_ 0x9e3779b2u
#define SHOAL_SEMAPHORE_KIND_DESTROYED_ 0x9e3779b3u

struct shoal_permit {
  struct shoal_robust robust;  // who takes it, who holds it, the kernel
  uint64_t reserved_[3];
} SHOAL_ALIGNED(64);
SHOAL_STATIC_ASSERT(sizeof(struct shoal_permit) == 64, "a permit is a line");

struct shoal_semaphore {
  shoal_atomic32 gate;      // sleepers; SHOAL_GATE_FLAG: somebody has slept here
  shoal_atomic32 permits;   // held ones: how many there are, free or not; consumed ones: how many are left
  uint32_t kind, bound;     // constant between init and destroy
  shoal_atomic32 fenced;    // 1: whoever releases has seen SHOAL_GATE_FLAG, or is through
  shoal_atomic32 returned;  // permits that a death gave back: who took them
  uint32_t reserved_[10];
} SHOAL_ALIGNED(64);
SHOAL_STATIC_ASSERT(sizeof(struct shoal_semaphore) == 64, "the permits follow on lines of their own");

// Bytes for at most `bound` permits; 0: too many, or none at all. With SHOAL_SEMAPHORE_CONSUMED `bound` does not
// matter.
uint64_t shoal_semaphore_size(uint32_t bound, uint32_t flags);
// `bound` 0: as `value`, or SHOAL_SEMAPHORE_MAX if they are consumed. 0, -EINVAL, -ENOSYS, -ENOMEM.
int shoal_semaphore_init(struct shoal_semaphore *s, uint32_t value, uint32_t bound, uint32_t flags) SHOAL_MUST_CHECK;
// -EBUSY: one is held, or somebody sleeps; nothing changed. A destroyed one answers -EINVAL to everything.
int shoal_semaphore_destroy(struct shoal_semaphore *s);
// _create, _open, _open_or_create, _close (-EBUSY: the calling thread holds a permit), _unlink
SHOAL_NAMED_(shoal_semaphore, uint32_t value, uint32_t bound, uint32_t flags)
// Of what stands in `size` bytes: 0, or -EPROTO, it is no semaphore of that size; -ENOSYS.
int shoal_semaphore_check_(const void *memory, uint64_t size) SHOAL_MUST_CHECK;

// 0; -EAGAIN (SHOAL_TRY), -ETIMEDOUT, -EINVAL. Sleeps.
SHOAL_INLINE int shoal_semaphore_acquire(struct shoal_semaphore *s, shoal_deadline deadline) SHOAL_MUST_CHECK;
// 0; -EOVERFLOW: there would be more than its bound, nothing changed; -EINVAL.
SHOAL_INLINE int shoal_semaphore_release(struct shoal_semaphore *s);
// The same, n times at once: all or none.
int shoal_semaphore_release_n(struct shoal_semaphore *s, uint32_t n);

struct shoal_semaphore_info {
  uint32_t value;    // permits that can be had now
  uint32_t held;     // by the living; 0 if they are consumed
  uint32_t waiters;  // asleep
  uint32_t bound;
  uint32_t returned;  // permits of the dead that others have taken since
  uint32_t flags;
  uint32_t holders[SHOAL_SEMAPHORE_HOLDERS];  // tids, one a permit, of the first that are held; 0 behind the last
};
// A snapshot. -EINVAL: no semaphore.
int shoal_semaphore_info(const struct shoal_semaphore *s, struct shoal_semaphore_info *out);

// ---- the steps of a wait, for who waits for several things at once (ipc/queue/select.c); list_op_pending at the gate ----
//   begin - attempt - arm - attempt - watch - futex_waitv on the gate and what is watched - woken - attempt
struct shoal_semaphore_op_ {  // private
  struct shoal_semaphore *s;
  uint32_t gate;  // as it was armed
  uint32_t late;  // nobody has woken the last sleep for SHOAL_RECHECK_NS
};
// 0, -EINVAL.
int shoal_semaphore_begin_(struct shoal_semaphore_op_ *op, struct shoal_semaphore *s);
int shoal_semaphore_attempt_(struct shoal_semaphore_op_ *op);  // 0: it has one; -EAGAIN
int shoal_semaphore_look_(struct shoal_semaphore_op_ *op);     // 0: one can be had; -EAGAIN
void shoal_semaphore_arm_(struct shoal_semaphore_op_ *op);
// w: the gate, their number, then the permits that somebody may die with, as many as there is room for. 1: attempt
// again.
int shoal_semaphore_watch_(struct shoal_semaphore_op_ *op, struct shoal_watch_ *w);
// At once, whatever the sleeper goes on to take: what woke it may have been meant for another, too.
void shoal_semaphore_woken_(struct shoal_semaphore_op_ *op, int late);

// ---- inline ----
int shoal_semaphore_acquire_slow_(struct shoal_semaphore *s, shoal_deadline deadline);
int shoal_semaphore_taken_(struct shoal_semaphore *s, void *pending);
int shoal_semaphore_released_(struct shoal_semaphore *s, void *pending);

struct shoal_permit_hint_ {
  const struct shoal_semaphore *s;
  uint32_t index;
};
#define SHOAL_PERMIT_HINTS_ 8
extern __thread struct shoal_permit_hint_ shoal_permit_hints_[SHOAL_PERMIT_HINTS_]
    __attribute__((tls_model("initial-exec")));

SHOAL_INLINE struct shoal_permit_hint_ *shoal_permit_hint_at_(const struct shoal_semaphore *s) {
  return &shoal_permit_hints_[((uintptr_t)s >> 6) % SHOAL_PERMIT_HINTS_];
}
SHOAL_INLINE struct shoal_permit *shoal_permit_at_(const struct shoal_semaphore *s, uint32_t i) {
  uintptr_t behind = (uintptr_t)(s + 1);
  // Where one of consumed permits stands alone, the compiler would warn of what is never run.
  __asm__("" : "+r"(behind));
  return (struct shoal_permit *)behind + i;
}
// The permit that this thread had last, if there is such a one by now.
SHOAL_INLINE struct shoal_permit *shoal_permit_hinted_(const struct shoal_semaphore *s) {
  const struct shoal_permit_hint_ *hint = shoal_permit_hint_at_(s);
  int usable = hint->s == s && hint->index < shoal_load32_relaxed(&s->permits) &&
               __atomic_load_n(&s->kind, __ATOMIC_RELAXED) == SHOAL_SEMAPHORE_KIND_HELD_;
  return SHOAL_LIKELY(usable) ? shoal_permit_at_(s, hint->index) : NULL;
}

SHOAL_INLINE int shoal_semaphore_acquire(struct shoal_semaphore *s, shoal_deadline deadline) {
  struct shoal_permit *p = shoal_permit_hinted_(s);
  if (SHOAL_UNLIKELY(!p)) return shoal_semaphore_acquire_slow_(s, deadline);
  struct shoal_thread_ *t = shoal_self_();
  void *pending = shoal_pending_set_(t, &p->robust.word);
  uint32_t word = 0;
  // [P2] pairs with [P1]
  if (SHOAL_UNLIKELY(!shoal_cas32_seq_cst(&p->robust.word, &word, t->tid | FUTEX_WAITERS))) {
    shoal_pending_restore_(t, pending);
    return shoal_semaphore_acquire_slow_(s, deadline);
  }
  shoal_robust_enlist_(t, &p->robust);
  if (SHOAL_UNLIKELY(shoal_gate_asleep_(&s->gate))) return shoal_semaphore_taken_(s, pending);
  if (SHOAL_UNLIKELY(pending != NULL)) shoal_pending_restore_(t, pending);
  return 0;
}

SHOAL_INLINE int shoal_semaphore_release(struct shoal_semaphore *s) {
  struct shoal_permit *p = shoal_permit_hinted_(s);
  struct shoal_thread_ *t = shoal_self_();
  if (SHOAL_UNLIKELY(!p || shoal_load32_relaxed(&p->robust.word) != (t->tid | FUTEX_WAITERS)))
    return shoal_semaphore_release_n(s, 1);
  void *pending = t->head->pending;
  if (SHOAL_LIKELY(pending == shoal_robust_entry_(&p->robust.word))) pending = NULL;
  else shoal_pending_set_(t, &p->robust.word);
  shoal_robust_delist_(t, &p->robust);
  shoal_store32_release(&p->robust.word, 0);  // [P1] pairs with [P2]
  SHOAL_COMPILER_BARRIER();
  // [P3] pairs with [P4]
  if (SHOAL_UNLIKELY(shoal_load32_seq_cst(&s->gate))) return shoal_semaphore_released_(s, pending);
  shoal_pending_restore_(t, pending);
  return 0;
}

SHOAL_END
