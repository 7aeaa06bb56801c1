// ipc/queue/topic_internal.h: what the parts of a topic tell each other.
//
//   topic.c             names, roles, deadlines, loans; what it looks like from outside
//   topic_slots.c       claiming, publishing; who may be overwritten; what publishers wait for
//   topic_subscriber.c  one that reads alone
//   topic_group.c       members that share
//
// Everything here runs with list_op_pending at the topic's bell.
#pragma once

#include "ipc/queue/topic.h"

SHOAL_BEGIN

enum { SHOAL_TOPIC_TRIES_ = 1, SHOAL_TOPIC_HELD_ = 2, SHOAL_TOPIC_STRAY_ = 3 };  // states of a group's claim; 0: free

struct shoal_topic_op_ {  // one call
  struct shoal_topic *t;
  uint32_t me;
  const void *in;
  void *out;
  struct shoal_claim claim;
  uint32_t deaths;
  uint32_t look;  // 1: only whether there is a message to be taken; what cannot be received any more is passed over
};

// ---- topic.c, for ipc/queue/select.c ----
// The calling thread's role: as a publisher it joins, as a subscriber it is one. -EUSERS; -EINVAL: it does not
// subscribe.
int shoal_topic_mine_(struct shoal_topic *t, int side);
// Attempts, of a struct shoal_topic_op_: 0, -EAGAIN, -EPIPE; -EBUSY: it holds a message.
int shoal_topic_publish_once_(void *op);
int shoal_topic_get_once_(void *op);
int shoal_topic_would_publish_(void *op);
int shoal_topic_would_get_(void *op);

SHOAL_INLINE struct shoal_topic *shoal_topic_of_(struct shoal_eventcount_view *view) {
  return SHOAL_EMBEDS(view, struct shoal_topic, wait);
}
SHOAL_INLINE uint64_t shoal_topic_capacity_(const struct shoal_topic *t) { return t->mask + 1; }
SHOAL_INLINE struct shoal_claim shoal_topic_at_(const struct shoal_topic *t, uint64_t at) {
  struct shoal_claim claim;
  claim.at = at;
  claim.lap = ((at >> t->shift) + 1) * SHOAL_SLOT_LAP_;
  claim.ctl = (shoal_atomic64 *)(void *)(t->slots + (at & t->mask) * t->stride);
  return claim;
}
SHOAL_INLINE void *shoal_topic_data_(const struct shoal_topic *t, const struct shoal_claim *claim) {
  return shoal_claim_data(claim, t->element_size);
}
// After so many steps of one walk its words are damaged: laps that go round in a circle, positions that are nowhere
// near.
SHOAL_INLINE int shoal_topic_lost_(const struct shoal_topic *t, uint64_t steps) { return steps > 4 * t->mask + 1024; }
// `me` is a role on the consumers' side.
SHOAL_INLINE struct shoal_topic_seat_shm *shoal_topic_seat_(const struct shoal_topic *t, uint32_t me) {
  return &t->seats[me - 1 - t->wait.count[SHOAL_PRODUCER]];
}
SHOAL_INLINE uint32_t shoal_topic_role_(const struct shoal_topic *t, uint32_t seat) {
  return 1 + t->wait.count[SHOAL_PRODUCER] + seat;
}
SHOAL_INLINE uint32_t shoal_topic_top_(const struct shoal_topic *t) {
  uint32_t top = shoal_load32_seq_cst(&t->shm->top);  // [O2] pairs with [O1]
  return top < t->wait.count[SHOAL_CONSUMER] ? top : t->wait.count[SHOAL_CONSUMER];
}
// The oldest position that nobody wants to overwrite.
SHOAL_INLINE uint64_t shoal_topic_oldest_(const struct shoal_topic *t) {
  return shoal_load64_seq_cst(&t->shm->wanted) - shoal_topic_capacity_(t);  // [O1]'s second half
}

// ---- topic_slots.c ----
// 0, -EAGAIN, -EPIPE: op->claim is op->me's.
int shoal_topic_claim_(struct shoal_topic_op_ *op);
// Makes a claimed position a message, or a hole.
void shoal_topic_finish_(const struct shoal_topic *t, const struct shoal_claim *claim, uint32_t state);
void shoal_topic_skip_(const struct shoal_topic *t, const struct shoal_claim *claim, uint64_t c);
uint64_t shoal_topic_tail_(const struct shoal_topic *t);  // the next position to be claimed
uint32_t shoal_topic_blocker_of_publish_(const struct shoal_topic *t);
void shoal_topic_recover_publisher_(const struct shoal_topic *t, uint32_t role);
// After a subscriber's exchange, which made room, perhaps, or ended a claim.
void shoal_topic_passed_(const struct shoal_topic *t);

// What is the least that somebody reads, or may still read, of what a publisher wants.
struct shoal_topic_least_ {
  uint64_t at;
  uint32_t role;  // who; 0: nobody in particular
};
SHOAL_INLINE void shoal_topic_consider_(struct shoal_topic_least_ *least, uint64_t at, uint32_t role) {
  if (at < least->at) *least = (struct shoal_topic_least_){at, role};
}

// ---- topic_subscriber.c ----
int shoal_topic_next_(struct shoal_topic_op_ *op);  // 0: op->claim is in op->me's hands, or op->look; -EAGAIN
int shoal_topic_subscribe_(struct shoal_topic *t, uint32_t me, const struct shoal_topic_subscription *how);
// Takes a seat's place among the messages; it holds up publishers there until the caller changes that.
uint64_t shoal_topic_start_(const struct shoal_topic *t, struct shoal_topic_seat_shm *seat, uint32_t history);
void shoal_topic_hold_(const struct shoal_topic *t, struct shoal_topic_seat_shm *seat, uint64_t hold);
void shoal_topic_end_(struct shoal_topic *t, uint32_t me, uint64_t at, int again);  // of what is in its hands
int shoal_topic_in_hand_(const struct shoal_topic *t, uint32_t me, uint64_t at);
// As shoal_topic_group_leave_.
int shoal_topic_unsubscribe_(struct shoal_topic *t, uint32_t me, int died, shoal_deadline deadline);
// How many positions from `at` on are gone, or about to be; its slot is `ahead` laps further. 0: so many have not been
// claimed; what says so is damaged.
uint64_t shoal_topic_missed_(const struct shoal_topic *t, uint64_t at, int64_t ahead);
// At position `at`: 0 there is nothing, the role in the way, SHOAL_BLOCKER_NONE.
uint32_t shoal_topic_blocker_at_(const struct shoal_topic *t, uint64_t at);
uint32_t shoal_topic_blocker_of_get_(const struct shoal_topic *t, uint32_t me);

// ---- topic_group.c; `g`: which group, in bounds ----
int shoal_topic_group_next_(struct shoal_topic_op_ *op, uint32_t g);
// Both -ETIMEDOUT, nothing changed: somebody stands in such a change, for a second, or (leave) beyond the deadline.
int shoal_topic_group_join_(struct shoal_topic *t, uint32_t me, const struct shoal_topic_subscription *how);
int shoal_topic_group_leave_(struct shoal_topic *t, uint32_t me, uint32_t g, int died, shoal_deadline deadline);
// Who came to take a dead member out now would wait for one who stands in a change of groups.
int shoal_topic_group_is_barred_(const struct shoal_topic *t);
void shoal_topic_group_end_(const struct shoal_topic *t, uint32_t g, uint32_t entry, int again);
int shoal_topic_group_in_hand_(const struct shoal_topic *t, uint32_t g, uint32_t me, uint32_t entry, uint64_t at);
int shoal_topic_group_held_(const struct shoal_topic *t, uint32_t g, uint32_t me);
uint64_t shoal_topic_group_cursor_(const struct shoal_topic *t, uint32_t g);
uint32_t shoal_topic_group_blocker_(const struct shoal_topic *t, uint32_t g);
void shoal_topic_group_least_(const struct shoal_topic *t, uint32_t g, struct shoal_topic_least_ *least);

// Which group a seat is in: 0 alone, or 1 + an index in bounds.
SHOAL_INLINE uint32_t shoal_topic_group_of_(const struct shoal_topic *t, const struct shoal_topic_seat_shm *seat) {
  uint32_t g = shoal_load32_relaxed(&seat->group);
  return g <= t->groups ? g : 0;
}

SHOAL_END
