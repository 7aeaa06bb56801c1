// ipc/queue/mpmc.h: a bounded ring for many producers and many consumers, any of whom may vanish at any instruction.
//
// Each slot's control word says all there is to know: which lap, in what state, whose. One compare-and-set claims a
// slot, one release store publishes or frees it. head and tail are hints: whoever finds them behind walks on.
//
//   ctl  = lap:40 | state:2 | deaths:10 | owner:12        owner: a role of sync/eventcount, 0 nobody
//
//   EMPTY(lap) -claim_put-> WRITING(lap, me) -publish-> FULL(lap) -claim_get-> READING(lap, me) -commit-> EMPTY(lap+1)
//                             \- cancelled, or me died:                          \- returned, or me died: a stray,
//                                EMPTY(lap+1), a hole                               READING(lap, 0); taken again:
//                                                                                   READING(lap, another)
// A stray keeps its place behind the head; the word `strays` sends consumers to look for it. `deaths` counts, up to
// 1,023, the consumers that died with the message in hand.
//
// USE (ipc/queue/queue.h; a ring does not sleep, and is nothing without the roles of an eventcount)
//   struct shoal_claim claim;
//   if (!shoal_mpmc_claim_put(&ring, me, sizeof(T), &claim)) ...full...
//   *(T *)shoal_claim_data(&claim, sizeof(T)) = x;
//   shoal_mpmc_publish(&ring, &claim);
//
// SAFETY   everything from any thread of any process, at the same time; a claim belongs to its role. init before, once.
// ORDERING [P1] publish, release, pairs with [G1] claim_get: the payload is there.
//          [F1] commit, release, pairs with [W1] claim_put: the payload has been read.
//          Claims are sequentially consistent: the sleeping protocol of sync/eventcount leans on them.
// CRASH    a producer: before its claim nothing, after it a hole that whoever comes by skips, after publish a message.
//          a consumer: before its claim nothing; after it the message is a stray once the role is reaped (or dropped,
//          by the ring's policy); after commit it was received. Reaped by any survivor, each step a compare-and-set.
//          a peer that is stopped, not dead, in between: those behind it wait.
// PACE     who finds that another claims beside it at this moment keeps away for a while, if that is seen to let the
//          other do a stretch of messages: two that take turns move lines back and forth for each one. So does who has
//          caught up with the other side of a stream (not: of a back and forth). Up to some ten microseconds, under
//          full load only.
// COST     claim: a load of the hint, of the slot and a compare-and-set; publish: a store. 16 bytes a slot for up to 8
//          bytes of payload, 32 for 24, 64 for 56; above, a line for the control word and the payload on lines of its
//          own.
// SOURCE   a Vyukov queue whose sequence number became a state and an owner.
#pragma once

#include <string.h>

#include "sync/eventcount.h"

SHOAL_BEGIN

#define SHOAL_MPMC_CAPACITY_MAX (UINT32_C(1) << 30)
#define SHOAL_MPMC_ELEMENT_MAX (UINT32_C(1) << 30)
#define SHOAL_MPMC_INLINE_MAX 56u  // payloads up to this share a line with their control word

enum { SHOAL_SLOT_EMPTY_ = 0, SHOAL_SLOT_WRITING_ = 1, SHOAL_SLOT_FULL_ = 2, SHOAL_SLOT_READING_ = 3 };
#define SHOAL_SLOT_LAP_ (UINT64_C(1) << 24)
#define SHOAL_SLOT_DEATH_ (UINT64_C(1) << 12)
#define SHOAL_SLOT_DEATHS_MAX_ 1023u
#define SHOAL_STRAYS_ 1u  // there may be strays; the sequence above it counts how often one was made

struct shoal_mpmc_shm {
  shoal_atomic64 tail SHOAL_ALIGNED(64);  // hint: no position below is EMPTY in its lap; producers
  shoal_atomic64 head SHOAL_ALIGNED(64);  // hint: no position below is FULL or still to come; consumers
  shoal_atomic64 strays;                  // SHOAL_STRAYS_ and a sequence; who makes one, and who found none
  uint32_t capacity SHOAL_ALIGNED(64);    // constant after init, as are the next two
  uint32_t element_size;
  uint32_t drop;  // a dead consumer's message is dropped, not redelivered
  uint32_t reserved_;
  shoal_atomic64 holes, redelivered, dropped;  // counters, whoever recovers
};
SHOAL_STATIC_ASSERT(sizeof(struct shoal_mpmc_shm) == 192, "three lines; the slots follow");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_mpmc_shm, head) == 64, "producers and consumers keep apart");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_mpmc_shm, capacity) == 128, "constants keep off the hints");

struct shoal_mpmc;
struct shoal_payload_ops {  // of payloads that stand for something outside the ring: a block of the heap
  // A place given up, or a message dropped: what it stands for is freed, unless it was, or *ctl is not `c` any more.
  void (*end)(const struct shoal_mpmc *ring, const void *payload, const shoal_atomic64 *ctl, uint64_t c);
  // 0: whoever died with the message in hand had received it.
  int (*is_there)(const struct shoal_mpmc *ring, const void *payload);
};

struct shoal_mpmc {  // private: nothing that decides about an address is read from shared memory
  struct shoal_mpmc_shm *shm;
  char *slots;
  uint64_t mask;
  uint32_t shift;   // capacity is 1 << shift
  uint32_t stride;  // bytes from slot to slot
  uint32_t element_size;
  uint32_t drop;
  uint32_t exchange;                         // publish by exchange
  uint32_t patient;                          // 1: who puts does much else besides, so keep off sooner; of long rings
  const struct shoal_eventcount_view *view;  // whose roles the owners are
  const struct shoal_payload_ops *payload;   // NULL: they are all there is
};

// ---- lifecycle ----
// Bytes for `capacity` elements (rounded up to a power of two, two at least) of `element_size`; 0: absurd.
uint64_t shoal_mpmc_size(uint64_t capacity, uint64_t element_size);
// Zeroed memory, aligned to 64. -EINVAL.
int shoal_mpmc_init(struct shoal_mpmc_shm *shm, uint64_t capacity, uint64_t element_size,
                    uint32_t drop) SHOAL_MUST_CHECK;
// Checks what stands there against the `size` bytes that may be used. -EPROTO.
int shoal_mpmc_attach(struct shoal_mpmc *ring, struct shoal_mpmc_shm *shm, uint64_t size,
                      const struct shoal_eventcount_view *view) SHOAL_MUST_CHECK;

// ---- slots ----
struct shoal_claim {  // private: a slot that is the caller's
  uint64_t at;        // its position: how many were claimed before it
  uint64_t lap;       // as it stands in the control word
  shoal_atomic64 *ctl;
};

SHOAL_INLINE uint32_t shoal_mpmc_offset_(uint32_t size) { return size <= SHOAL_MPMC_INLINE_MAX ? 8 : 64; }
SHOAL_INLINE uint32_t shoal_mpmc_stride_(uint32_t size) {
  if (size <= 8) return 16;
  if (size <= 24) return 32;
  return size <= SHOAL_MPMC_INLINE_MAX ? 64 : 64 + ((size + 63) & ~63u);
}
SHOAL_INLINE uint64_t shoal_slot_(uint32_t state, uint32_t owner) { return (uint64_t)state << 22 | owner; }
SHOAL_INLINE uint64_t shoal_slot_lap_(uint64_t c) { return c & ~(SHOAL_SLOT_LAP_ - 1); }
SHOAL_INLINE uint32_t shoal_slot_state_(uint64_t c) { return (uint32_t)(c >> 22) & 3; }
SHOAL_INLINE uint32_t shoal_slot_owner_(uint64_t c) { return (uint32_t)c & 0xfff; }
SHOAL_INLINE uint32_t shoal_slot_deaths_(uint64_t c) { return (uint32_t)(c >> 12) & SHOAL_SLOT_DEATHS_MAX_; }
// Laps by which a slot is ahead of `lap`; both wrap at 2^40.
SHOAL_INLINE int64_t shoal_slot_ahead_(uint64_t c, uint64_t lap) { return (int64_t)(c - lap) >> 24; }

SHOAL_INLINE struct shoal_claim shoal_mpmc_at(const struct shoal_mpmc *ring, uint64_t at, uint32_t stride) {
  struct shoal_claim claim;
  claim.at = at;
  claim.lap = (at >> ring->shift) * SHOAL_SLOT_LAP_;
  claim.ctl = (shoal_atomic64 *)(void *)(ring->slots + (at & ring->mask) * stride);
  return claim;
}
SHOAL_INLINE void *shoal_claim_data(const struct shoal_claim *claim, uint32_t size) {
  return (char *)claim->ctl + shoal_mpmc_offset_(size);
}

// `size` is the ring's element size: given again because the compiler may know it.

// ---- put ----
// Claims the next position; 0 if every slot is taken.
SHOAL_INLINE int shoal_mpmc_claim_put(const struct shoal_mpmc *ring, uint32_t me, uint32_t size,
                                      struct shoal_claim *claim);
SHOAL_INLINE void shoal_mpmc_publish(const struct shoal_mpmc *ring, const struct shoal_claim *claim);
// Gives a claimed position up: consumers skip it.
SHOAL_INLINE void shoal_mpmc_cancel(const struct shoal_mpmc *ring, const struct shoal_claim *claim);
// Messages ready just behind `at`, places free just behind it: puts, or gets, that overtook it. No more than can sleep.
int shoal_mpmc_messages_behind(const struct shoal_mpmc *ring, uint64_t at);
int shoal_mpmc_places_behind(const struct shoal_mpmc *ring, uint64_t at);

// ---- get ----
SHOAL_INLINE int shoal_mpmc_claim_get(const struct shoal_mpmc *ring, uint32_t me, uint32_t size,
                                      struct shoal_claim *claim);
SHOAL_INLINE void shoal_mpmc_commit(const struct shoal_mpmc *ring, const struct shoal_claim *claim);
// Claims to read what stands in the place that the next put needs; 0 if there is room, or that is in somebody's hands.
int shoal_mpmc_claim_oldest(const struct shoal_mpmc *ring, uint32_t me, struct shoal_claim *claim);
// 1: nothing is inside, in a hand, or being put. 0: something is, and `*owner` has it: a role, 0 nobody,
// SHOAL_BLOCKER_NONE: it has changed meanwhile.
int shoal_mpmc_is_done(const struct shoal_mpmc *ring, uint32_t *owner);
// The first message in the hands of `me` from position `from` on, round the ring; 0: it has none.
int shoal_mpmc_in_hand(const struct shoal_mpmc *ring, uint32_t me, uint64_t from, uint64_t *at);
// Claims of `me`; or (0) messages in anybody's hands.
uint64_t shoal_mpmc_count_held(const struct shoal_mpmc *ring, uint32_t me);
// Has what claim_get would have claimed at some moment copied; 0 if there was nothing. Claims nothing. Another may take
// it, and a third overwrite it, under the copier's hands: then it is called again, and what it made of it was nothing.
int shoal_mpmc_peek(const struct shoal_mpmc *ring, void (*copy)(void *arg, const void *payload), void *arg);
// `in` at 8 bytes.
void shoal_copy_racing_(void *out, const void *in, uint64_t n);
// Makes a claimed message a stray: the next consumer has it.
void shoal_mpmc_return(const struct shoal_mpmc *ring, const struct shoal_claim *claim);

// ---- both ----
// Returns, or cancels, all that its owner `me` has claimed.
void shoal_mpmc_give_back(const struct shoal_mpmc *ring, uint32_t me);

// ---- after a death, before a sleep: see struct shoal_wait_ops ----
uint32_t shoal_mpmc_blocker(const struct shoal_mpmc *ring, int side);
void shoal_mpmc_recover(const struct shoal_mpmc *ring, uint32_t role);
int shoal_mpmc_held(const struct shoal_mpmc *ring, uint32_t me);
// Whether there is something to claim, strays looked for.
int shoal_mpmc_readable(const struct shoal_mpmc *ring);
// 1 if `me` holds position `at` in `state`; how often its consumers died.
int shoal_mpmc_holds(const struct shoal_mpmc *ring, uint32_t me, uint64_t at, uint32_t state, uint32_t *deaths);
// Messages that nobody has claimed; an estimate while others work.
uint64_t shoal_mpmc_count(const struct shoal_mpmc *ring);
// The position that the next put would claim: as many have been claimed since the ring was made.
uint64_t shoal_mpmc_claimed(const struct shoal_mpmc *ring);

// ---- inline ----
void shoal_mpmc_tell_of_strays_(const struct shoal_mpmc *ring);
int shoal_mpmc_claim_stray_(const struct shoal_mpmc *ring, uint32_t me, struct shoal_claim *claim);
void shoal_mpmc_skip_(const struct shoal_mpmc *ring, shoal_atomic64 *ctl, uint64_t c);
// `at`, or the hint after a while if that is further.
uint64_t shoal_mpmc_give_way_(const struct shoal_mpmc *ring, uint32_t me, const shoal_atomic64 *hint, uint64_t at);
// 1: it has kept off for a while, in which the other side moved its hint.
int shoal_mpmc_keep_off_(const struct shoal_mpmc *ring, uint32_t me, const shoal_atomic64 *others, uint64_t at);

// Only a hint: a store that comes late may set it back, and the next claimer forward again.
SHOAL_INLINE void shoal_mpmc_hint_(shoal_atomic64 *hint, uint64_t to) {
  if (shoal_load64_relaxed(hint) < to) shoal_store64_relaxed(hint, to);
}
SHOAL_INLINE uint32_t shoal_mpmc_stride_of_(const struct shoal_mpmc *ring, uint32_t size) {
  return __builtin_constant_p(size) ? shoal_mpmc_stride_(size) : ring->stride;
}
// The next position worth a look when `at` was claimed by somebody, its slot being `ahead` laps further by now.
// Putting: all positions are claimed in order, so on from the last that was claimed there (EMPTY: one lap before).
SHOAL_INLINE uint64_t shoal_mpmc_past_put_(const struct shoal_mpmc *ring, uint64_t at, int64_t ahead, uint32_t state) {
  return at + ((uint64_t)(ahead - (state == SHOAL_SLOT_EMPTY_)) << ring->shift) + 1;
}
// Getting: who reads there has passed all before. Otherwise only this is known: the oldest message is less than a lap
// before the last position claimed - which may be a hole, made out of order.
SHOAL_INLINE uint64_t shoal_mpmc_past_get_(const struct shoal_mpmc *ring, uint64_t at, int64_t ahead, uint32_t state) {
  ahead -= state == SHOAL_SLOT_READING_ ? 0 : state == SHOAL_SLOT_EMPTY_ ? 2 : 1;
  return at + ((uint64_t)(ahead > 0 ? ahead : 0) << ring->shift) + 1;
}

// Asks, once a line, for the one that will be needed eight lines later (of a short ring four), if the other side had
// left it, and the two behind it, when this one last looked: nearer to where the other side is, it would be taken away
// from under its hands. A look takes the other side's hint away, too, so it is made when all that was known is asked
// for, and once in sixteen lines.
SHOAL_INLINE uint32_t shoal_mpmc_per_line_(uint32_t stride) {
  return stride < SHOAL_CACHE_LINE ? SHOAL_CACHE_LINE / stride : 1;
}
SHOAL_INLINE int shoal_mpmc_is_short_(const struct shoal_mpmc *ring, uint32_t stride) {
  return ring->mask < UINT64_C(128) * shoal_mpmc_per_line_(stride) - 1;
}
SHOAL_INLINE void shoal_mpmc_look_ahead_(const struct shoal_mpmc *ring, int side, uint64_t at, uint32_t stride) {
  uint64_t each = shoal_mpmc_per_line_(stride);  // messages
  if (at % each) return;
  uint64_t *left = &shoal_role_cache_[ring->view->id % SHOAL_ROLE_CACHE_].user_[side];
  uint64_t need = at + (shoal_mpmc_is_short_(ring, stride) ? 4 : 8) * each, end = need + 2 * each;
  if (SHOAL_UNLIKELY(end > *left)) {
    if (at % (16 * each)) return;
    *left = side == SHOAL_CONSUMER ? shoal_load64_relaxed(&ring->shm->tail)
                                   : shoal_load64_relaxed(&ring->shm->head) + ring->mask + 1;
    if (end > *left) return;
  }
  shoal_prefetch_write(ring->slots + (need & ring->mask) * stride);
}

// Claims position `at` if it stands as `side` needs it; 0, and `*c` is what stands there instead.
SHOAL_INLINE int shoal_mpmc_take_(const struct shoal_mpmc *ring, int side, uint32_t me, uint32_t size, uint64_t at,
                                  uint64_t *c, struct shoal_claim *claim) {
  uint32_t from = side == SHOAL_PRODUCER ? SHOAL_SLOT_EMPTY_ : SHOAL_SLOT_FULL_;
  uint32_t to = side == SHOAL_PRODUCER ? SHOAL_SLOT_WRITING_ : SHOAL_SLOT_READING_;
  *claim = shoal_mpmc_at(ring, at, shoal_mpmc_stride_of_(ring, size));
  *c = shoal_load64_seq_cst(claim->ctl);  // [A1]'s second half, sync/eventcount.h
  if (SHOAL_UNLIKELY(*c != (claim->lap | shoal_slot_(from, 0)))) return 0;
  // [W1] pairs with [F1], [G1] pairs with [P1]; sequentially consistent for [C1] of sync/eventcount.h. Puts are ordered
  // by it, and gets.
  if (SHOAL_UNLIKELY(!shoal_cas64_seq_cst(claim->ctl, c, claim->lap | shoal_slot_(to, me)))) return 0;
  shoal_mpmc_hint_(side == SHOAL_PRODUCER ? &ring->shm->tail : &ring->shm->head, at + 1);
  shoal_mpmc_look_ahead_(ring, side, at, shoal_mpmc_stride_of_(ring, size));
  return 1;
}
// The same where the hint says, and no other.
SHOAL_INLINE int shoal_mpmc_claim_put_here(const struct shoal_mpmc *ring, uint32_t me, uint32_t size,
                                           struct shoal_claim *claim) {
  uint64_t c;
  return shoal_mpmc_take_(ring, SHOAL_PRODUCER, me, size, shoal_load64_relaxed(&ring->shm->tail), &c, claim);
}
// After so many steps of one walk its words are damaged: laps that go round in a circle, a hint beyond the end of
// numbers.
SHOAL_INLINE int shoal_mpmc_lost_(const struct shoal_mpmc *ring, uint64_t steps) {
  return steps > 4 * ring->mask + 1024;
}

SHOAL_INLINE int shoal_mpmc_claim_put(const struct shoal_mpmc *ring, uint32_t me, uint32_t size,
                                      struct shoal_claim *claim) {
  shoal_atomic64 *tail = &ring->shm->tail;
  uint64_t met = 0;  // others who put
  for (uint64_t t = shoal_load64_relaxed(tail);;) {
    uint64_t c;
    if (SHOAL_LIKELY(shoal_mpmc_take_(ring, SHOAL_PRODUCER, me, size, t, &c, claim))) return 1;
    int64_t ahead = shoal_slot_ahead_(c, claim->lap);
    uint32_t state = shoal_slot_state_(c);
    if (ahead > 0 || (ahead == 0 && state != SHOAL_SLOT_EMPTY_)) {  // claimed, perhaps laps ago: on to what may be free
      t = shoal_mpmc_past_put_(ring, t, ahead, state);
      if (!met++) t = shoal_mpmc_give_way_(ring, me, tail, t);
      if (SHOAL_UNLIKELY(shoal_mpmc_lost_(ring, met))) return 0;
      continue;
    }
    if (state == SHOAL_SLOT_WRITING_ && shoal_role_is_dead(ring->view, shoal_slot_owner_(c))) {
      shoal_mpmc_skip_(ring, claim->ctl, c);
      continue;
    }
    uint64_t now = shoal_load64_relaxed(tail);
    if (now <= t && !shoal_mpmc_keep_off_(ring, me, &ring->shm->head, t)) return 0;
    t = now > t ? now : t;
  }
}

SHOAL_INLINE void shoal_mpmc_set_(const struct shoal_mpmc *ring, const struct shoal_claim *claim, uint64_t c) {
  if (SHOAL_UNLIKELY(ring->exchange)) shoal_exchange64_seq_cst(claim->ctl, c);  // [P1] [F1], and a full barrier
  else shoal_store64_release(claim->ctl, c);  // [P1] pairs with [G1], [F1] pairs with [W1]
  SHOAL_COMPILER_BARRIER();                   // the load of ev stays behind it
}
SHOAL_INLINE void shoal_mpmc_publish(const struct shoal_mpmc *ring, const struct shoal_claim *claim) {
  shoal_mpmc_set_(ring, claim, claim->lap | shoal_slot_(SHOAL_SLOT_FULL_, 0));
}
SHOAL_INLINE void shoal_mpmc_cancel(const struct shoal_mpmc *ring, const struct shoal_claim *claim) {
  shoal_mpmc_set_(ring, claim, claim->lap + SHOAL_SLOT_LAP_);
}
SHOAL_INLINE void shoal_mpmc_commit(const struct shoal_mpmc *ring, const struct shoal_claim *claim) {
  shoal_mpmc_set_(ring, claim, claim->lap + SHOAL_SLOT_LAP_);
}

SHOAL_INLINE int shoal_mpmc_claim_get_here(const struct shoal_mpmc *ring, uint32_t me, uint32_t size,
                                           struct shoal_claim *claim) {
  uint64_t c;
  if (SHOAL_UNLIKELY(shoal_load64_seq_cst(&ring->shm->strays) & SHOAL_STRAYS_)) return 0;  // [A1]'s second half
  return shoal_mpmc_take_(ring, SHOAL_CONSUMER, me, size, shoal_load64_relaxed(&ring->shm->head), &c, claim);
}

// Two loads. 1: the place at the hint awaits its message, and no stray is told of. 0 says nothing.
SHOAL_INLINE int shoal_mpmc_looks_empty(const struct shoal_mpmc *ring) {
  struct shoal_claim claim = shoal_mpmc_at(ring, shoal_load64_relaxed(&ring->shm->head), ring->stride);
  return shoal_load64_relaxed(claim.ctl) == (claim.lap | shoal_slot_(SHOAL_SLOT_EMPTY_, 0)) &&
         !(shoal_load64_relaxed(&ring->shm->strays) & SHOAL_STRAYS_);
}

SHOAL_INLINE int shoal_mpmc_claim_get(const struct shoal_mpmc *ring, uint32_t me, uint32_t size,
                                      struct shoal_claim *claim) {
  shoal_atomic64 *head = &ring->shm->head;
  uint64_t met = 0;  // others who get
  // [A1]'s second half: a stray made after the arming wakes its sleeper
  if (SHOAL_UNLIKELY(shoal_load64_seq_cst(&ring->shm->strays) & SHOAL_STRAYS_)) {
    struct shoal_claim stray;  // of its own: so that `claim` may live in registers
    if (shoal_mpmc_claim_stray_(ring, me, &stray)) return *claim = stray, 1;
  }
  for (uint64_t h = shoal_load64_relaxed(head);;) {
    uint64_t c;
    if (SHOAL_LIKELY(shoal_mpmc_take_(ring, SHOAL_CONSUMER, me, size, h, &c, claim))) return 1;
    int64_t ahead = shoal_slot_ahead_(c, claim->lap);
    uint32_t state = shoal_slot_state_(c);
    if (ahead > 0 || (ahead == 0 && state == SHOAL_SLOT_READING_)) {  // received, or being received: on
      h = shoal_mpmc_past_get_(ring, h, ahead, state);
      if (!met++) h = shoal_mpmc_give_way_(ring, me, head, h);
      if (SHOAL_UNLIKELY(shoal_mpmc_lost_(ring, met))) return 0;
      continue;
    }
    if (ahead == 0 && state == SHOAL_SLOT_WRITING_ && shoal_role_is_dead(ring->view, shoal_slot_owner_(c))) {
      shoal_mpmc_skip_(ring, claim->ctl, c);
      continue;
    }
    uint64_t now = shoal_load64_relaxed(head);
    if (now <= h && !shoal_mpmc_keep_off_(ring, me, &ring->shm->tail, h)) return 0;
    h = now > h ? now : h;
  }
}

SHOAL_END
