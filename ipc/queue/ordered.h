// ipc/queue/ordered.h: messages under one lock, received first in first out, last in first out, or by a key: what
// SHOAL_QUEUE_FIFO, _LIFO and _PRIORITY stand on.
//
// A message lies in a cell. The cell's word says all there is to know of it, and each change of it is one store:
//
//   word = state:2 | deaths:10 | owner:12         owner: a role of sync/eventcount, 0 nobody
//
//   FREE --reserve--> WRITING(me) --commit--> READY --receive--> READING(me) --release--> FREE
//     \------------------- put -------------------/ \------------------- get -------------/
//   WRITING --cancelled, or its owner died--> FREE      READING --returned, or its owner died--> READY
//
// Which cell is next says an index: a list (FIFO, LIFO), or a heap of {key, sequence, cell} with eight branches and, in
// front of it, the first few in order. It is no more than a copy: whoever takes the lock from a dead holder makes it
// anew from the cells.
//
// USE (ipc/queue/queue_ordered.c)
//   rc = shoal_ordered_enter(o, me, deadline);
//   rc = shoal_ordered_take(o, &cell);                        // a free one
//   memcpy(shoal_ordered_data(o, cell), &x, sizeof x);
//   shoal_ordered_ready(o, cell, SHOAL_ORDERED_NEW, 0);
//   shoal_ordered_leave(o, me);
//
// SAFETY   everything between enter and leave, but for what says otherwise. init before, once.
// ORDERING [T1] and [T2] of ipc/queue/role_lock.h: what was done to a cell under the lock, or before it by its owner.
//          Looks without the lock: [O1] a message counts as ready before it no longer counts as reserved, pairs with
//          [O2]; [O3], with [J1]: whose reservation is seen to have ended is seen inside, or has counted it.
//          [N1] a claim ends from outside, then `ended` says so; pairs with [N2]: who makes all anew clears it, then
//          looks.
//          [J1] the sequence moves on behind the cell that left FREE, before the lock is given up; pairs with [J2]: who
//          sees all cells free, and the sequence as it was before, has seen a moment at which they were.
// CRASH    in a put: the message is ready, or its cell is free. In a get: it is ready, or it was received. The index,
//          the list of free cells and all counts are made anew: n log n steps for n messages, some 100 ns each.
//          A claim that ended from outside: as if inside, but that the counts have it until somebody enters, or
//          inherits from who was killed before it could say so.
//          Killed while one gives way: it is there, or its cell is free and it was counted; `evicting` says which.
// COST     FIFO, LIFO: a constant. PRIORITY: log n, to base 8, for a get; for a put less; a constant for what comes
//          before all that is there, and is received before it is five messages behind. A cell: 24 bytes, and the
//          element: 32 for up to 8, 64 for up to 40; above, the element begins on a line of its own. PRIORITY: 24 bytes
//          more. With options.evicts its heap has two ends and two branches: log n to base 2.
// SOURCE   a d-ary heap, a min-max heap (Atkinson et al., 1986) and a merge sort of the books.
#pragma once

#include "ipc/queue/role_lock.h"

SHOAL_BEGIN

#define SHOAL_ORDERED_CAPACITY_MAX (UINT32_C(1) << 30)
#define SHOAL_ORDERED_ELEMENT_MAX (UINT32_C(1) << 30)

// What a message is sorted by: a member of the element. Smaller comes first; NaN after all numbers, -0 with 0.
struct shoal_queue_key {
  uint32_t type;    // SHOAL_KEY_*
  uint32_t offset;  // bytes from the start of the element
};
#define SHOAL_KEY_UNSIGNED_ 0x100u
#define SHOAL_KEY_SIGNED_ 0x200u
#define SHOAL_KEY_FLOAT_ 0x300u
enum shoal_key_type {
  SHOAL_KEY_NONE = 0,
  SHOAL_KEY_U8 = 0x101,
  SHOAL_KEY_U16 = 0x102,
  SHOAL_KEY_U32 = 0x104,
  SHOAL_KEY_U64 = 0x108,
  SHOAL_KEY_I8 = 0x201,
  SHOAL_KEY_I16 = 0x202,
  SHOAL_KEY_I32 = 0x204,
  SHOAL_KEY_I64 = 0x208,
  SHOAL_KEY_F32 = 0x304,
  SHOAL_KEY_F64 = 0x308,
};
// The same for an arithmetic type T.
#define SHOAL_KEY_TYPE(T)                           \
  ((uint32_t)((T)1.5 != (T)1 ? SHOAL_KEY_FLOAT_     \
              : (T)-1 > (T)0 ? SHOAL_KEY_UNSIGNED_  \
                             : SHOAL_KEY_SIGNED_) | \
   (uint32_t)sizeof(T))

enum shoal_ordered_by { SHOAL_ORDERED_FIFO = 1, SHOAL_ORDERED_LIFO = 2, SHOAL_ORDERED_PRIORITY = 3 };

enum { SHOAL_CELL_FREE_ = 0, SHOAL_CELL_WRITING_ = 1, SHOAL_CELL_READY_ = 2, SHOAL_CELL_READING_ = 3 };
#define SHOAL_CELL_DEATHS_MAX_ 1023u

struct shoal_cell_shm {
  shoal_atomic32 word;  // who holds the lock
  shoal_atomic32 next;  // of a list: the cell behind it + 1, 0 none; who holds the lock
  shoal_atomic64 key;   // as the heap compares it; who makes it ready. LIFO that evicts: the cell above, as `next`
  shoal_atomic64 seq;   // when it was made ready, or reserved
};
SHOAL_STATIC_ASSERT(sizeof(struct shoal_cell_shm) == 24, "40 bytes are left of a line");

struct shoal_place_shm {  // of the heap, beside its key; who holds the lock
  shoal_atomic64 seq;
  shoal_atomic32 cell;
  uint32_t reserved_;
};
SHOAL_STATIC_ASSERT(sizeof(struct shoal_place_shm) == 16, "four are a line");

struct shoal_front_shm {  // before all that is in the heap; who holds the lock
  shoal_atomic64 key, seq;
  shoal_atomic32 cell;
  uint32_t reserved_;
};
SHOAL_STATIC_ASSERT(sizeof(struct shoal_front_shm) == 24, "layout");
#define SHOAL_ORDERED_FRONT_ 5u

// Chunk 0 lies behind the header and has `capacity` cells; chunk k has as many as all before it.
#define SHOAL_ORDERED_CHUNKS_ 31u

struct shoal_ordered_shm {
  struct shoal_role_lock lock SHOAL_ALIGNED(64);  // the rest of the line: who holds it
  shoal_atomic32 count;                           // READY
  shoal_atomic32 lent, writing;                   // WRITING or READING; WRITING
  shoal_atomic32 first, last;                     // of the list: cell + 1
  shoal_atomic32 free;                            // the list of free cells
  shoal_atomic32 used;                            // cells at or above it were never used
  shoal_atomic32 chunks;                          // how many beside chunk 0
  shoal_atomic64 seq;                             // the next one; moves on after the cell that has it is one
  shoal_atomic32 fronts;                          // how many are in front of the heap
  shoal_atomic32 ended;  // 1: claims have ended from outside, which nothing here knows yet; who ends them
  uint32_t capacity SHOAL_ALIGNED(64);  // constant after init, as are all of this line
  uint32_t element_size, by, drop, grow;
  uint32_t key_type, key_offset;
  uint32_t leases;  // 1: behind the cells of each chunk, a word a cell: `until`
  uint32_t evicts;  // 1: without a free cell a message gives way
  uint32_t reserved_[7];
  shoal_atomic64 holes, redelivered, dropped, remade;  // counters: who holds the lock
  shoal_atomic64 chunk[SHOAL_ORDERED_CHUNKS_];         // offsets in the segment: who holds the lock
  shoal_atomic64 evicted;                              // counter: who holds the lock
  shoal_atomic64 evicting;  // 0, or 1 + the cell that gives way, and above it 32 bits of what `evicted` is to be then
  uint64_t reserved2_[3];
  struct shoal_front_shm front[SHOAL_ORDERED_FRONT_];  // the last of them comes first
  uint64_t reserved3_;
};
SHOAL_STATIC_ASSERT(sizeof(struct shoal_ordered_shm) == 576, "nine lines; the keys and places follow, then the cells");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_ordered_shm, front) == 448, "two lines");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_ordered_shm, seq) == 40, "what every operation touches is one line");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_ordered_shm, capacity) == 64, "constants keep off it");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_ordered_shm, holes) == 128, "layout");

struct shoal_ordered_chunk_ {
  shoal_atomic64 *keys;  // of the places; NULL: no heap
  struct shoal_place_shm *places;
  char *cells;            // NULL: not known to this process
  shoal_atomic64 *until;  // of leases: when the delivery of a cell is over; who holds the lock. NULL: there are none
};

struct shoal_ordered;
struct shoal_ordered_payload_ {  // of elements that stand for something outside: a block of the heap; under the lock
  void (*end)(const struct shoal_ordered *o, const void *payload);  // it is freed, unless it was
  // 0: whoever died with it in hand had received it.
  int (*is_there)(const struct shoal_ordered *o, const void *payload);
};

struct shoal_ordered {  // private: nothing that decides about an address is read from shared memory
  struct shoal_ordered_shm *shm;
  struct shoal_eventcount_view *view;  // whose roles the owners are
  struct shoal_segment *segment;       // NULL: placed, does not grow
  uint32_t by, capacity, shift;        // shift: of a growing one, capacity is 1 << shift
  uint32_t stride, element_size;
  uint32_t drop, grow, leases, evicts;
  struct shoal_queue_key key;
  const struct shoal_ordered_payload_ *payload;  // NULL: they are all there is
  shoal_atomic32 known;                          // chunks beside chunk 0; under the lock
  struct shoal_ordered_chunk_ chunk[SHOAL_ORDERED_CHUNKS_ + 1];
};

struct shoal_ordered_options {
  uint32_t capacity, element_size, by, drop, grow;
  struct shoal_queue_key key;
  uint32_t leases, evicts;
};

// ---- lifecycle ----
// NULL, or what is wrong with a key for such elements.
const char *shoal_queue_key_refused_(struct shoal_queue_key key, uint32_t element_size);
uint64_t shoal_ordered_size(const struct shoal_ordered_options *o);  // bytes, 0: absurd
// Zeroed memory, aligned to 64; as large as shoal_ordered_size says. 0.
int shoal_ordered_init(struct shoal_ordered_shm *shm, const struct shoal_ordered_options *o) SHOAL_MUST_CHECK;
// -EPROTO
int shoal_ordered_attach(struct shoal_ordered *o, struct shoal_ordered_shm *shm, uint64_t size, uint32_t by,
                         struct shoal_eventcount_view *view) SHOAL_MUST_CHECK;
// Bytes of chunk k.
uint64_t shoal_ordered_chunk_size_(const struct shoal_ordered *o, uint32_t k);

// ---- the lock; list_op_pending at the bell ----
// 0, -ETIMEDOUT, -EDEADLK. After a death the index is made anew first.
int shoal_ordered_enter(struct shoal_ordered *o, uint32_t me, shoal_deadline deadline) SHOAL_MUST_CHECK;
int shoal_ordered_inherit(struct shoal_ordered *o, uint32_t role, shoal_deadline deadline) SHOAL_MUST_CHECK;
void shoal_ordered_leave(struct shoal_ordered *o, uint32_t me);

// ---- inside ----
// A free cell; if it evicts and does not grow, that of the message that gives way, if need be. -EAGAIN: none.
int shoal_ordered_take(struct shoal_ordered *o, uint32_t *cell) SHOAL_MUST_CHECK;
// The cell of the message that gives way, free and counted: FIFO the next, LIFO the one at the bottom, PRIORITY the one
// that would be received last. -EAGAIN: none is in nobody's hands; -EPROTO.
int shoal_ordered_evict(struct shoal_ordered *o, uint32_t *cell) SHOAL_MUST_CHECK;
// The cell of the next message. -EAGAIN: none; -EPROTO: the cells are damaged.
int shoal_ordered_next(struct shoal_ordered *o, uint32_t *cell) SHOAL_MUST_CHECK;
enum shoal_ordered_how { SHOAL_ORDERED_NEW, SHOAL_ORDERED_AGAIN };
// A cell that is free or a claim: it is a message from here on, behind its equals (NEW) or before all that may come
// next.
void shoal_ordered_ready(struct shoal_ordered *o, uint32_t cell, enum shoal_ordered_how how, uint32_t deaths);
// Lends a free cell, or the next message, to `me`.
void shoal_ordered_reserve(struct shoal_ordered *o, uint32_t cell, uint32_t me);
void shoal_ordered_receive(struct shoal_ordered *o, uint32_t cell, uint32_t me);
// The next message, or a claim: it was received, or never was one.
void shoal_ordered_free(struct shoal_ordered *o, uint32_t cell);
// Whole calls, from enter to leave, that bump who sleeps. 0; -EAGAIN: no free cell, no message; -EPIPE: closed; as
// enter.
int shoal_ordered_put(struct shoal_ordered *o, uint32_t me, const void *element, shoal_deadline deadline);
int shoal_ordered_get(struct shoal_ordered *o, uint32_t me, void *element, shoal_deadline deadline);
// All that `role` holds: given back (`dead` 0), or as its death has it.
void shoal_ordered_empty(struct shoal_ordered *o, uint32_t role, int dead);
// With leases: what a claim's holder has is over at `ns`; until then it is the only one that may end it.
void shoal_ordered_lease(struct shoal_ordered *o, uint32_t cell, int64_t ns);
// All whose time is over at `now` are messages again, delivered once more in vain: how many; when the next will be:
// `*next`.
uint32_t shoal_ordered_take_back(struct shoal_ordered *o, int64_t now, int64_t *next);
// The chunk behind the last is at `off`; -EPROTO: it is not in the segment.
int shoal_ordered_add(struct shoal_ordered *o, uint64_t off) SHOAL_MUST_CHECK;

// ---- anywhere ----
// For its owner, who cannot get inside: a claim that nobody else may end (no lease) is over, and what lay in it free;
// or (`again`) it is a message again, in its place, LIFO the next one. Who enters next counts it. Its caller rings.
void shoal_ordered_end_outside(struct shoal_ordered *o, uint32_t cell, int again, uint32_t deaths);
// The lease of a claim whose time was `until` is over, unless it has another by now: it is in nobody's hand, and the
// next to take back what has run out makes it a message again. 0: it has.
int shoal_ordered_run_out(const struct shoal_ordered *o, uint32_t cell, uint64_t until);
uint64_t shoal_ordered_until(const struct shoal_ordered *o, uint32_t cell);
SHOAL_INLINE int shoal_ordered_is_stale(const struct shoal_ordered *o) {  // the counts are
  return shoal_load32_relaxed(&o->shm->ended) != 0;
}
void *shoal_ordered_data(const struct shoal_ordered *o, uint32_t cell);
// Tells a loan from all others: cell | 32 bits of the sequence.
uint64_t shoal_ordered_token(const struct shoal_ordered *o, uint32_t cell);
// Whether `me` holds it in `state`; how often its consumers died.
int shoal_ordered_holds(const struct shoal_ordered *o, uint32_t me, uint64_t token, uint32_t state, uint32_t *deaths);
uint32_t shoal_ordered_cells(const struct shoal_ordered *o);         // as many as this process knows of
uint32_t shoal_ordered_writer(const struct shoal_ordered *o);        // a role that has reserved, 0: none
int shoal_ordered_held(const struct shoal_ordered *o, uint32_t me);  // see struct shoal_wait_ops
// As shoal_mpmc_is_done and _count_held, in all cells, also those that this process has not met yet.
int shoal_ordered_is_done(const struct shoal_ordered *o, uint32_t *owner);
uint64_t shoal_ordered_count_held(const struct shoal_ordered *o, uint32_t me);
// Messages in the hands of `me`, chained as it pleases: while they are there, nobody else uses their words `next`.
// Tokens.
void shoal_ordered_chain_(const struct shoal_ordered *o, uint64_t before, uint64_t token);
int shoal_ordered_chained_(const struct shoal_ordered *o, uint32_t me, uint64_t before, uint64_t *token);  // 0: none
// The oldest; with leases the one whose time is over first. 0: none
int shoal_ordered_in_hand(const struct shoal_ordered *o, uint32_t me, uint64_t *token);

SHOAL_END
