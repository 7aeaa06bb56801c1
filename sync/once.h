// sync/once.h: what is to be done once, by whoever comes first, in any process.
//
// USE
//   struct shoal_once *o = ...in shared memory...;  int rc = shoal_once_init(o);  // zeroed memory is one, too
//   static int load(void *arg) { ... return 0; }                             // not 0: it failed, and is not done
//   rc = shoal_once_run(o, load, table, SHOAL_FOREVER);                      // 0: it is done
//
// SAFETY   run: any thread of any process; `fn` runs in one at a time, the others wait for its end. Run from inside
//          `fn`: -EDEADLK. Not in signal handlers. The memory stays mapped while it runs. `fn` returns; a child of fork
//          that returns from it has -EPERM, and changes nothing.
// ORDERING [O1] done pairs with [O2] of whoever sees that it is: what `fn` wrote is seen; and what one that failed or
//          died wrote is seen by the next that runs (core/robust.h).
// CRASH    a runner dies, at any instruction: it is done, or the next in line runs `fn`, which may find what the dead
//          one left half-done; those who sleep are woken for it. A waiter that dies costs nobody a wake.
// COST     done: a load. Else a lock; those who waited pass one after the other.
// SOURCE   pthread_once, without what it cannot do: fail, die, be waited for until a deadline, live between processes.
#pragma once

#include "core/robust.h"
#include "sync/named.h"

SHOAL_BEGIN

enum {
  SHOAL_ONCE_NEW = 0,  // not done; it may be running
  SHOAL_ONCE_DONE = 1,
  SHOAL_ONCE_DESTROYED = 2
};

struct shoal_once {
  struct shoal_robust robust;  // who runs it, and writes the others
  shoal_atomic32 state;        // SHOAL_ONCE_*
  shoal_atomic32 runs, deaths;
  uint32_t reserved_[3];
} SHOAL_ALIGNED(64);
SHOAL_STATIC_ASSERT(sizeof(struct shoal_once) == 64, "a line");

// 0, -ENOSYS, -ENOMEM.
int shoal_once_init(struct shoal_once *once) SHOAL_MUST_CHECK;
// -EBUSY: running, or somebody waits for its end; nothing changed. Destroyed, it answers -EINVAL.
int shoal_once_destroy(struct shoal_once *once);
SHOAL_NAMED_(shoal_once)  // _create, _open, _open_or_create, _close, _unlink

// 0: it is done, by this call or another. What `fn` answered, if not 0: this call has run it, and it is not done.
// -EDEADLK the calling thread runs it already; -EINVAL; -EAGAIN (SHOAL_TRY), -ETIMEDOUT: another runs it still. Sleeps.
SHOAL_INLINE int shoal_once_run(struct shoal_once *once, int (*fn)(void *arg), void *arg,
                                shoal_deadline deadline) SHOAL_MUST_CHECK;

struct shoal_once_info {
  uint32_t state;   // SHOAL_ONCE_*
  uint32_t runner;  // tid; 0: it does not run
  uint32_t runs;    // how often it was begun
  uint32_t deaths;  // how many runners died at it, as far as somebody came after them
};
int shoal_once_info(const struct shoal_once *once, struct shoal_once_info *out);

// ---- inline ----
int shoal_once_run_slow_(struct shoal_once *once, int (*fn)(void *arg), void *arg, shoal_deadline deadline);

SHOAL_INLINE int shoal_once_run(struct shoal_once *once, int (*fn)(void *arg), void *arg, shoal_deadline deadline) {
  if (SHOAL_LIKELY(shoal_load32_acquire(&once->state) == SHOAL_ONCE_DONE)) return 0;  // [O2] pairs with [O1]
  return shoal_once_run_slow_(once, fn, arg, deadline);
}

SHOAL_END
