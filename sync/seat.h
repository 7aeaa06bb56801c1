// sync/seat.h: a thread's own line in an object, which tells the others whether it lives.
//
// An object that must know who holds something of it - a read lock, a place in line, a party's arrival - has a table of
// seats behind it. A thread takes a seat with its first use and keeps it. It *sits* while it matters to others that it
// lives: then the seat's live word is enlisted (core/robust.h), and the kernel marks it at the thread's death and wakes
// one who sleeps on it. Taking a seat costs a scan; sitting and rising a few stores to the thread's own line.
//
// USE
//   struct shoal_seat *seat = shoal_seat_mine_(t, &obj->seats);   // NULL: none is free; reap, and ask once more
//   shoal_seat_sit_(t, seat);
//   ...what it holds is written in the seat...
//   shoal_seat_rise_(t, seat);                                    // record, op and event are 0 again by now
//   n = shoal_seat_reap_(&obj->seats, recover, arg);               // empties the seats of the dead
//
// WORDS
//   live        0, or TID | FUTEX_WAITERS of who sits; marked by the kernel; of an heir while it empties a dead one's seat
//   live.user_  whose seat it is: shoal_thread_'s id, which no later thread with the same tid has. A seat whose owner
//               is no more, and did not sit, is taken over as it is: its words are 0.
//   event record op spare, live.state   the object's. Written by the owner, or its heir, unless the object
//               says otherwise
//
// SAFETY   any thread of any process that maps the object. A child of fork has no seat, nor has a program after exec.
//          Whoever sits has the object's memory in its robust list: it stays mapped until it has risen. The table is
//          found behind struct shoal_seats, which is the last member of its object.
// CRASH    reaping: an heir at a time adopts the word, undoes, frees. If it dies, its own death marks the word again.
//          Whoever died without sitting counts as alive until its parent has waited for it, and as long as another
//          thread has its number: after exec, its own. Such a seat is another's late, at worst -EUSERS says so.
// COST     mine: two loads of thread-local memory, one of the table's head and one of the seat. 64 bytes a seat.
#pragma once

#include "core/reach.h"
#include "core/robust.h"

SHOAL_BEGIN

#define SHOAL_SEATS_DEFAULT 64u
#define SHOAL_SEATS_MAX 1024u

struct shoal_seat {
  struct shoal_robust live;  // live.user_: shoal_seat_find_, its owner and heirs
  shoal_atomic32 event;
  shoal_atomic32 spare;
  shoal_atomic64 record;
  shoal_atomic64 op;
} SHOAL_ALIGNED(64);
SHOAL_STATIC_ASSERT(sizeof(struct shoal_seat) == 64, "a seat is a line");

struct shoal_seats {
  shoal_atomic32 top;  // no seat at or above this place was ever taken
  uint32_t count;      // constant after init; read once, and bounded (core/reach.h), wherever it is used
  uint32_t reserved_[14];
} SHOAL_ALIGNED(64);
SHOAL_STATIC_ASSERT(sizeof(struct shoal_seats) == 64, "the seats follow on lines of their own");

// Bytes of `count` seats, without struct shoal_seats; 0 is SHOAL_SEATS_DEFAULT. 0: more than SHOAL_SEATS_MAX.
uint64_t shoal_seats_size_(uint32_t count);
// Zeroed memory. 0, -EINVAL, -ENOSYS, -ENOMEM.
int shoal_seats_init_(struct shoal_seats *s, uint32_t count) SHOAL_MUST_CHECK;

SHOAL_INLINE struct shoal_seat *shoal_seat_at_(const struct shoal_seats *s, uint32_t i) {
  return (struct shoal_seat *)(uintptr_t)(s + 1) + i;
}
// As the object says, which may be a lie.
SHOAL_INLINE uint32_t shoal_seats_said_(const struct shoal_seats *s) {
  uint32_t count = __atomic_load_n(&s->count, __ATOMIC_RELAXED);
  return count < SHOAL_SEATS_MAX ? count : SHOAL_SEATS_MAX;
}
SHOAL_INLINE uint32_t shoal_seats_count_(const struct shoal_seats *s) {
  return (uint32_t)(shoal_reach_(s + 1, shoal_seats_said_(s) * sizeof(struct shoal_seat)) / sizeof(struct shoal_seat));
}
// How many seats to look at.
SHOAL_INLINE uint32_t shoal_seats_top_(const struct shoal_seats *s) {
  // [A1] pairs with [R1] in sync/seat.c: the seats below were taken. Both sequentially consistent, as is an exchange
  // that sits down: who does not see what was stored before this look is seen by it
  uint32_t top = shoal_load32_seq_cst(&s->top), count = shoal_seats_count_(s);
  return top < count ? top : count;
}

// The calling thread's seat, without taking one: NULL.
struct shoal_seat *shoal_seat_known_(struct shoal_seats *s);
// Takes one; NULL: there is none that belongs to nobody. Those of the dead that sat are to be reaped first.
struct shoal_seat *shoal_seat_find_(struct shoal_seats *s);
// The same, but none that the object does not like; NULL: it likes all.
struct shoal_seat *shoal_seat_find_if_(struct shoal_seats *s, int (*likes)(const struct shoal_seat *seat));

struct shoal_seat_cache_ {
  const struct shoal_seats *seats;
  uint32_t index;
};
#define SHOAL_SEAT_CACHE_ 32
extern __thread struct shoal_seat_cache_ shoal_seat_cache_[SHOAL_SEAT_CACHE_]
    __attribute__((tls_model("initial-exec")));
SHOAL_INLINE struct shoal_seat_cache_ *shoal_seat_cached_(const struct shoal_seats *s) {
  return &shoal_seat_cache_[((uintptr_t)s >> 6) % SHOAL_SEAT_CACHE_];
}

SHOAL_INLINE uint64_t shoal_seat_owner_(const struct shoal_seat *seat) {
  return shoal_load64_relaxed(&seat->live.user_);
}

// `t` is shoal_self_(). The thread's seat if it is remembered, else NULL: shoal_seat_known_ looks for it. The memory
// may be another object's by now, with fewer seats: one that is not the thread's is not remembered. What is, has been
// touched before.
SHOAL_INLINE struct shoal_seat *shoal_seat_recall_(struct shoal_thread_ *t, struct shoal_seats *s) {
  const struct shoal_seat_cache_ *e = shoal_seat_cached_(s);
  if (SHOAL_UNLIKELY(e->seats != s || e->index >= shoal_seats_said_(s))) return NULL;
  struct shoal_seat *seat = shoal_seat_at_(s, e->index);
  return SHOAL_LIKELY(shoal_seat_owner_(seat) == t->id) ? seat : NULL;
}
// The same, and takes one if need be.
SHOAL_INLINE struct shoal_seat *shoal_seat_mine_(struct shoal_thread_ *t, struct shoal_seats *s) {
  struct shoal_seat *seat = shoal_seat_recall_(t, s);
  return SHOAL_LIKELY(seat != NULL) ? seat : shoal_seat_find_(s);
}

// The owner. Killed at any instruction: not seated, or marked. No barrier: who must be seen sitting before it looks at
// something adds its own. list_op_pending is put back as it was.
SHOAL_INLINE void shoal_seat_sit_(struct shoal_thread_ *t, struct shoal_seat *seat) {
  void *pending = shoal_pending_set_(t, &seat->live.word);
  shoal_store32_relaxed(&seat->live.word, t->tid | FUTEX_WAITERS);
  SHOAL_COMPILER_BARRIER();
  shoal_robust_enlist_(t, &seat->live);
  shoal_pending_restore_(t, pending);
}
// The owner. Wakes nobody: shoal_seat_leave_ does.
SHOAL_INLINE void shoal_seat_rise_(struct shoal_thread_ *t, struct shoal_seat *seat) {
  void *pending = shoal_pending_set_(t, &seat->live.word);
  shoal_robust_delist_(t, &seat->live);
  // [R2] pairs with [A2] of who finds it empty: what it stood for is undone
  shoal_store32_release(&seat->live.word, 0);
  shoal_pending_restore_(t, pending);
}
// The same from a seat on which nobody sleeps: list_op_pending stays where it is. Killed between: enlisted, and empty.
SHOAL_INLINE void shoal_seat_rise_unwatched_(struct shoal_thread_ *t, struct shoal_seat *seat) {
  shoal_store32_release(&seat->live.word, 0);  // [R2]
  SHOAL_COMPILER_BARRIER();
  shoal_robust_delist_(t, &seat->live);
}
// Rises, wakes all who watch the seat, and gives it up, for another thread to take. For good-byes.
void shoal_seat_leave_(struct shoal_seats *s, struct shoal_seat *seat);

SHOAL_INLINE int shoal_seat_taken_(uint32_t word) { return word != 0; }
SHOAL_INLINE uint32_t shoal_seat_word_(const struct shoal_seat *seat) {
  // [A2] pairs with [R2], and with the kernel's mark: what its owner wrote before is seen
  return shoal_load32_acquire(&seat->live.word);
}
// Its owner died sitting, and nobody has undone that yet.
SHOAL_INLINE int shoal_seat_is_dead_(uint32_t word) { return shoal_robust_is_dead(word) && !shoal_robust_owner(word); }

// Adopts each dead seat, calls `recover`, which leaves event, record and op 0, and frees it; wakes all who watch it.
// How many. Two at once: each seat by one of them.
int shoal_seat_reap_(struct shoal_seats *s, void (*recover)(struct shoal_seat *seat, void *arg), void *arg);
// The same with one seat: whether it was dead, and the caller its heir.
int shoal_seat_reap_one_(struct shoal_seat *seat, void (*recover)(struct shoal_seat *seat, void *arg), void *arg);

// Threads that sit; a snapshot.
uint32_t shoal_seats_sitting_(const struct shoal_seats *s);

SHOAL_END
