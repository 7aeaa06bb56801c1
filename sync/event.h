// sync/event.h: something that has happened, or not; whoever waits for it goes on when it has.
//
// USE
//   struct shoal_event *e = ...in shared memory...;  int rc = shoal_event_init(e);   // once; or _create, by name
//   rc = shoal_event_wait(e, SHOAL_FOREVER);                                         // here
//   shoal_event_set(e);                                                              // there: all go on until cleared
//   shoal_event_clear(e);
//
// WORDS    half[0] is a gate (sync/gate.h): W, somebody may sleep; SHOAL_GATE_FLAG, it is set. half[1] counts how often
//          it was set. One compare-and-set changes both, so that whoever waits when it is set, and cleared at once,
//          goes on.
// SAFETY   every operation from any thread of any process; set, and clear, also in a signal handler, if its thread has
//          used this library before. init before, destroy after everything else.
//          -ENOSYS to open: this process may not use membarrier, and nobody has cleared it yet. Of an event in memory
//          of the caller's nobody asks: there a process that may not is to make it.
// ORDERING [E1] set pairs with [E2] wait, is_set: what was written before is seen after.
//          [E3] what is written, then: is it set already?   |  [E4] clear, then what is read
//          Of "x = 1, set" and "clear, read x, wait" of the one who clears, one must see the other, though a set that
//          finds it set changes nothing. Until it has been cleared once, such a set is a load; the first clear makes
//          all running threads pass a barrier (shoal_fence_all), once for good; from then on such a set passes one
//          itself.
// CRASH    nothing is held. A setter killed before it has woken everybody: the kernel wakes one (list_op_pending points
//          at the gate), who wakes all. No clear leaves such sleepers behind: it wakes them first.
// COST     wait when it is set, set when it is set and has never been cleared: a load, and two of
//          the thread's own. 64 bytes.
// SOURCE   of this house.
#pragma once

#include "sync/gate.h"
#include "sync/named.h"

SHOAL_BEGIN

#define SHOAL_EVENT_SET_ ((uint64_t)SHOAL_GATE_FLAG)
#define SHOAL_EVENT_W_ ((uint64_t)SHOAL_GATE_W)
#define SHOAL_EVENT_CLEARED_ (UINT64_C(1) << 32)  // somebody has cleared it, ever
#define SHOAL_EVENT_ONE_ (UINT64_C(2) << 32)      // of the count
#define SHOAL_EVENT_KIND_ 0x7f4a7c15u             // what stands here; anything else is no event, or no longer
#define SHOAL_EVENT_KIND_DESTROYED_ 0x7f4a7c16u

struct shoal_event {
  union {
    shoal_atomic64 word;
    shoal_atomic32 half[2];  // the lower one is what threads sleep at
  };
  uint32_t kind;          // constant between init and destroy
  shoal_atomic32 fenced;  // 1: whoever sets has seen SHOAL_EVENT_CLEARED_, or is through
  uint32_t reserved_[12];
} SHOAL_ALIGNED(64);
SHOAL_STATIC_ASSERT(sizeof(struct shoal_event) == 64, "a line");
SHOAL_STATIC_ASSERT(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "half[0] is the lower one");

// 0, -ENOSYS, -ENOMEM.
int shoal_event_init(struct shoal_event *e) SHOAL_MUST_CHECK;
// -EBUSY: somebody sleeps; nothing changed. A destroyed one answers -EINVAL to everything.
int shoal_event_destroy(struct shoal_event *e);
SHOAL_NAMED_(shoal_event)  // _create, _open, _open_or_create, _close, _unlink
// Of what stands in `size` bytes: 0, or -EPROTO, it is no event; -ENOSYS.
int shoal_event_check_(const void *memory, uint64_t size) SHOAL_MUST_CHECK;

// 0: it is set, or was while we waited. -EAGAIN (SHOAL_TRY), -ETIMEDOUT, -EINVAL. Sleeps.
SHOAL_INLINE int shoal_event_wait(struct shoal_event *e, shoal_deadline deadline) SHOAL_MUST_CHECK;
// 0, -EINVAL.
SHOAL_INLINE int shoal_event_set(struct shoal_event *e);
int shoal_event_clear(struct shoal_event *e);
SHOAL_INLINE int shoal_event_is_set(const struct shoal_event *e);

struct shoal_event_info {
  uint32_t set;
  uint32_t waiters;  // asleep
  uint32_t sets;     // how often it was set; modulo 2^31
};
// -EINVAL: no event.
int shoal_event_info(const struct shoal_event *e, struct shoal_event_info *out);

// ---- the steps of a wait, for who waits for several things at once (ipc/queue/select.c) ----
//   begin - look - arm - look - futex_waitv on the words - look - end
struct shoal_event_op_ {  // private
  struct shoal_event *e;
  uint32_t sets;  // the upper half when the wait began, CLEARED left out
  uint32_t gate;  // as it was armed
  uint64_t word;  // as last seen
};
// 0, -EINVAL.
int shoal_event_begin_(struct shoal_event_op_ *op, struct shoal_event *e);
void shoal_event_arm_(struct shoal_event_op_ *op);
int shoal_event_look_(void *op);  // 0: it is set, or was since begin; -EAGAIN
// The gate, and the count: set, cleared, and the gate armed again by another, only the count tells.
void shoal_event_words_(const struct shoal_event_op_ *op, struct shoal_futex_entry words[2]);
// After a look, however the wait ends: W beside SET means that its setter has not woken everybody, and may be dead.
void shoal_event_end_(struct shoal_event_op_ *op);

// ---- inline ----
int shoal_event_wait_slow_(struct shoal_event *e, shoal_deadline deadline);
int shoal_event_set_slow_(struct shoal_event *e);

SHOAL_INLINE int shoal_event_is_set(const struct shoal_event *e) {
  return (shoal_load64_acquire(&e->word) & SHOAL_EVENT_SET_) != 0;  // [E2] pairs with [E1]
}
SHOAL_INLINE int shoal_event_wait(struct shoal_event *e, shoal_deadline deadline) {
  return SHOAL_LIKELY(shoal_event_is_set(e)) ? 0 : shoal_event_wait_slow_(e, deadline);
}
SHOAL_INLINE int shoal_event_set(struct shoal_event *e) {
  const uint64_t matters = SHOAL_EVENT_CLEARED_ | SHOAL_EVENT_SET_ | SHOAL_EVENT_W_;
  (void)shoal_self_();  // its process has registered: the fence of the first clear reaches it
  SHOAL_COMPILER_BARRIER();
  // [E3] pairs with [E4]
  if (SHOAL_LIKELY((shoal_load64_seq_cst(&e->word) & matters) == SHOAL_EVENT_SET_)) return 0;
  return shoal_event_set_slow_(e);
}

SHOAL_END
