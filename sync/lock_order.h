// sync/lock_order.h: tells of locks that are taken in an order which can deadlock, before they do.
//
// USE
//   #include "sync/lock.h"
//   struct shoal_lock_order *order;
//   int rc = shoal_lock_order_create(seg, "order", SHOAL_LOCK_ORDER_STRICT, 0, &order);
//   rc = shoal_lock_attach(accounts, order, "accounts");       // every process may: twice is once
//   rc = shoal_lock_attach(journal, order, "journal");
//   ...acquire and release as ever...
//   rc = shoal_lock_acquire(accounts, SHOAL_FOREVER);          // -EDEADLK, and shoal_reason() says:
//     // thread 812 (clerk) holds "journal" and wants "accounts", but "accounts" was held when "journal" was acquired
//
// Opt-in, for tests and for programs that would rather be told. Locks that are not attached do not notice it.
//
// ORDER    A name stands for one lock, or for many of a kind. When a thread that holds one acquires another, "held,
//          then acquired" is noted in a graph that all processes share. What would close a cycle there is reported -
//          also when nobody waits, and years before two threads meet - and, with SHOAL_LOCK_ORDER_STRICT, refused:
//          -EDEADLK, nothing acquired. Else it is counted, and goes on. Two locks of one name at a time are a cycle:
//          nothing orders them. A try (SHOAL_TRY) waits for nobody and is never refused; what it got counts as held.
// DEADLOCK A thread that is about to wait for ever, for a holder that waits for ever, and so on back to itself:
//          -EDEADLK, strict or not, nothing acquired; the others go on when that thread lets go. Attached locks only,
//          32 at most.
//
// SAFETY   any thread of any process. A lock and its order lie in one mapping - one segment - and the order outlives
//          the locks. A child of fork holds none of its parent's locks.
// ORDERING [W1] a wait is told, then the others' are looked at: of those that close a circle together one sees it
//          whole.
// CRASH    the graph has no cycle, at any instruction: an edge is one bit, set under a robust word after a look. Who
//          dies holding locks leaves nothing here; who dies waiting leaves a seat, which is reaped when seats run
//          short.
// COST     an acquisition while others are held: a load for each; for what was never seen before, a search. Waiting: a
//          seat. 64 bytes a thread that has waited, and 3 KiB.
// SOURCE   Linux lockdep (the graph of kinds, not of instances); Chandy, Misra and Haas (who waits for whom).
#pragma once

#include "core/robust.h"
#include "sync/named.h"
#include "sync/seat.h"

SHOAL_BEGIN

#define SHOAL_LOCK_ORDER_NAMES 64u
#define SHOAL_LOCK_ORDER_NAME_MAX 31  // bytes, without the final NUL
#define SHOAL_LOCK_ORDER_TEXT 240

#define SHOAL_LOCK_ORDER_STRICT 1u

struct shoal_lock_order {
  struct shoal_robust writer;  // who owns it adds names and edges, and writes `last`
  uint32_t flags;              // constant after init
  shoal_atomic32 names;        // how many; upwards only
  uint64_t magic_;             // constant; 0 when destroyed
  uint64_t unused_;
  shoal_atomic64 cycles, deadlocks, untracked;   // anybody
  shoal_atomic64 after[SHOAL_LOCK_ORDER_NAMES];  // bit j of after[i]: i was held when j was acquired
  char name[SHOAL_LOCK_ORDER_NAMES][SHOAL_LOCK_ORDER_NAME_MAX + 1];  // constant from when `names` counts it
  shoal_atomic64 last[SHOAL_LOCK_ORDER_TEXT / 8];                    // text; a reader may see a mixture
  struct shoal_seats seats;                                          // threads that wait for ever; the table follows
} SHOAL_ALIGNED(64);
SHOAL_STATIC_ASSERT(offsetof(struct shoal_lock_order, cycles) == 64, "layout");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_lock_order, seats) % 64 == 0, "layout");

// Bytes, for so many threads that wait at a time (0: SHOAL_SEATS_DEFAULT); 0: too many.
uint64_t shoal_lock_order_size(uint32_t threads);
// 0, -EINVAL, -ENOSYS, -ENOMEM.
int shoal_lock_order_init(struct shoal_lock_order *order, uint32_t flags, uint32_t threads) SHOAL_MUST_CHECK;
// When no lock is attached any more. -EINVAL: destroyed already.
int shoal_lock_order_destroy(struct shoal_lock_order *order);
SHOAL_NAMED_(shoal_lock_order, uint32_t flags, uint32_t threads)

// `report` is called by a thread of this process that has met a cycle or a deadlock, with `what` in a line; it may hold
// attached locks then. NULL: nobody is told but by codes and counters. Set before threads are.
void shoal_lock_order_report(void (*report)(const char *what, void *arg), void *arg);

struct shoal_lock_order_info {
  uint64_t cycles, deadlocks;  // met so far
  uint64_t untracked;          // acquisitions and waits that found no room to be remembered
  uint32_t names, edges;
  char last[SHOAL_LOCK_ORDER_TEXT];  // what was reported last, "" if nothing
};
int shoal_lock_order_info(const struct shoal_lock_order *order, struct shoal_lock_order_info *out);

// ---- for objects that may be attached: they embed one, on a line of their own that begins with them ----
struct shoal_ordered_ {
  shoal_atomic64 place;  // of the order, from here on, in lines; the name's number below. 0: not attached
};
// 0; -EINVAL, -ENAMETOOLONG, -ENOSPC as many names as there can be, -EEXIST attached otherwise.
int shoal_ordered_attach_(struct shoal_ordered_ *o, struct shoal_lock_order *order, const char *name);
// The calling thread acquires it, or is about to, and `waits` for it or would have. 0, also if it has entered already;
// or -EDEADLK: it must not.
int shoal_ordered_enter_(const struct shoal_ordered_ *o, int waits);
// It does not hold it any more, or has not got it.
void shoal_ordered_leave_(const struct shoal_ordered_ *o);
// As shoal_robust_acquire_slow_, for one that was entered; or -EDEADLK.
int shoal_ordered_wait_(const struct shoal_ordered_ *o, struct shoal_robust *r, struct shoal_thread_ *t,
                        shoal_deadline deadline);

SHOAL_END
