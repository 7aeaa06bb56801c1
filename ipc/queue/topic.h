// ipc/queue/topic.h: a named stream that every subscriber sees whole: one copy of each message, read where it lies.
//
// USE
//   struct price { char name[8]; double value; };
//   SHOAL_TOPIC_TYPED(prices, struct price)
//
//   struct shoal_topic *t;
//   int rc = prices_create(seg, "prices", &(struct shoal_topic_options){.capacity = 1024, .history = 16}, &t);
//   rc = prices_publish(t, &p, SHOAL_FOREVER);                // 0, -EPIPE: closed
//
//   rc = shoal_topic_subscribe(t, &(struct shoal_topic_subscription){.history = 16});    // a thread of any process
//   rc = prices_get(t, &p, shoal_after_ms(100));              // 0, -ETIMEDOUT, -EPIPE: nothing can come any more
//
//   struct shoal_loan loan;                                   // in place
//   rc = shoal_topic_receive(t, &loan, SHOAL_FOREVER);
//   look(loan.data);
//   shoal_topic_release(t, &loan);
//   shoal_topic_unsubscribe(t);
//
// A thread becomes a publisher with its first publish or reserve; it is a subscriber from subscribe to unsubscribe,
// once through each handle.
//
// SLOW     SHOAL_TOPIC_WAIT: publishers wait for this subscriber when it is a whole ring behind. SHOAL_TOPIC_DROP:
//          they do not; it goes on with the oldest message there is, and `missed` counts the others, a cancelled one
//          among them like any. While it holds a message in place, that one alone stays where it is: publishers that
//          have come round wait for the release.
// GROUP    subscribers that name the same group share its messages: each one goes to one of them. A dead member's
//          message goes to another, before newer ones. A group is there as long as it has members: the next to name it
//          begins it anew.
// SAFETY   a handle is shared by the threads of its process; every operation runs beside every other, in any process.
//          A loan and a subscription belong to their thread. create/open/detach of one handle: one thread, and no
//          operation beside a detach. After fork the child uses the handle as it is; it has none of its parent's
//          subscriptions and loans. In a signal handler: nothing.
// ORDERING what a thread wrote before a publish is seen by who receives the message. All subscribers see the same
//          order, that of the claims; messages of one publisher in the order in which they were published. A publish
//          that begins when subscribe has returned is received.
// CRASH    publish: killed before it returns: all subscribers have the message, or none. A reservation is cancelled;
//          its place is skipped. get, receive: the other subscribers read on; in a group another member has the message
//          (get: or it is gone with its process, if that was killed at the very end).
//          A dead subscriber is taken out by whoever finds that it must wait for it: nobody waits for the dead. The
//          last publisher left or died and all has been received: -EPIPE; a new publisher, and it goes on. Without
//          subscribers, publishers go on. A peer that is stopped inside an operation, not dead, keeps those behind it
//          waiting. One that is stopped as it joins or leaves a group, or takes a dead member out of one, is waited for
//          by who would do that, too: subscribe, unsubscribe and detach for a second, then -ETIMEDOUT, nothing changed;
//          a get or a publish that has to wait, and meets a dead member, until its deadline, with SHOAL_TRY for a
//          second, then -ETIMEDOUT: the dead one stays, and what it held. What is there for them meanwhile they have
//          within a second.
// CLOSE    subscribers receive what is there, then -EPIPE. In a group only when no other member holds a message that
//          could come back.
// COST     publish: a claim (compare-and-set) and a store, however many subscribers; every eighth of a ring, or more
//          often when they are slow, a load of each subscriber's line. receive and release: a load and an exchange of
//          one's own line; with DROP two exchanges; in a group two compare-and-sets and an exchange. Nobody asleep: no
//          system call.
// SOURCE   slots as in ipc/queue/mpmc.h; the reuse of a slot is Dekker's: publishers say what they want to overwrite
//          before they look who reads, readers say what they read before they look what is wanted
//          (tests/litmus/topic.pml).
#pragma once

#include <string.h>

#include "ipc/queue/queue.h"

SHOAL_BEGIN

enum { SHOAL_TOPIC_WAIT = 0, SHOAL_TOPIC_DROP = 1 };  // what becomes of a slow subscriber

#define SHOAL_TOPIC_GROUPS_MAX 64u
#define SHOAL_TOPIC_GROUP_NAME_MAX 31u  // bytes, without the final NUL
#define SHOAL_TOPIC_ALL UINT32_MAX      // of a history: all that is there

struct shoal_topic_options {  // zero: the default
  uint32_t capacity;          // messages, at least, in the ring: a power of two is taken. Must be given
  uint32_t element_size;      // bytes, up to 1 GiB. Must be given (typed forms fill it in)
  uint32_t history;           // so many are kept for late joiners, at most the capacity (0)
  uint32_t publishers;        // how many at a time (64, at most SHOAL_ROLES_MAX)
  uint32_t subscribers;       // the same
  uint32_t groups;            // names of groups at a time (8, at most SHOAL_TOPIC_GROUPS_MAX)
  const char *type;  // the name of the messages' type, up to 63 bytes; typed forms fill in theirs. NULL: not told
};

struct shoal_topic_subscription {  // zero: alone, from now on, publishers wait
  uint32_t history;   // begin so many messages back: the topic's options.history is there for certain, more perhaps
  uint32_t slow;      // SHOAL_TOPIC_WAIT or _DROP
  const char *group;  // NULL: alone. The first member's history and policy are the group's
};

struct shoal_topic;  // this process's handle

// ---- lifecycle ----
// `options` NULL: zeroes, so -EINVAL: no capacity. -EEXIST, -EINVAL, -ENAMETOOLONG, -ENOSPC, -ENOSYS, -ENOMEM
int shoal_topic_create(struct shoal_segment *seg, const char *name, const struct shoal_topic_options *options,
                       struct shoal_topic **out) SHOAL_MUST_CHECK;
// -ENOENT, -EBADMSG another type or element size, -EPROTO, -ENOSYS, -ENOMEM
int shoal_topic_open(struct shoal_segment *seg, const char *name, uint32_t element_size,
                     struct shoal_topic **out) SHOAL_MUST_CHECK;
// The same of messages of a type with that name; of another: -EBADMSG. NULL, or a topic that was made without one:
// nothing is asked. Typed forms do this, and open_or_create.
int shoal_topic_open_as(struct shoal_segment *seg, const char *name, const char *type, uint32_t element_size,
                        struct shoal_topic **out) SHOAL_MUST_CHECK;
// Of the one there the type's name has to be this, or -EBADMSG; its capacity, history and numbers of roles and groups
// are its own: info tells. Options of which no topic could be made open any.
int shoal_topic_open_or_create(struct shoal_segment *seg, const char *name, const struct shoal_topic_options *options,
                               struct shoal_topic **out) SHOAL_MUST_CHECK;
// The name. -ENOENT, -EBADMSG no topic's
int shoal_topic_unlink(struct shoal_segment *seg, const char *name);
// Ends the calling thread's subscription and role, and frees the handle. -EBUSY, nothing changed: another thread of
// this process publishes or subscribes through it. As unsubscribe: the handle is there still.
int shoal_topic_detach(struct shoal_topic *t);
// For everybody, for good. 0.
int shoal_topic_close(struct shoal_topic *t);

// ---- publishing ----
// Makes the calling thread a publisher: subscribers then know that somebody may still publish. publish and reserve do
// so by themselves. -EUSERS.
int shoal_topic_join(struct shoal_topic *t);
// Its reservations are cancelled. 0, also if it is none.
int shoal_topic_leave(struct shoal_topic *t);
// 0, -EAGAIN (SHOAL_TRY) or -ETIMEDOUT: a subscriber that is waited for is a ring behind, or (SHOAL_TRY, too) CRASH,
// above; -EPIPE, -EUSERS. Sleeps.
// Typed forms: -EBADMSG, its messages are of another size.
int shoal_topic_publish(struct shoal_topic *t, const void *element, shoal_deadline deadline);
// A slot to write, published by commit, given up by cancel. Errors as publish. A reservation holds up what is published
// behind it.
int shoal_topic_reserve(struct shoal_topic *t, struct shoal_loan *loan, shoal_deadline deadline);
// 0, at once. -EINVAL: no reservation (any more), -EPERM: another thread's; nothing changed.
int shoal_topic_commit(struct shoal_topic *t, struct shoal_loan *loan);
int shoal_topic_cancel(struct shoal_topic *t, struct shoal_loan *loan);

// ---- subscribing ----
// `how` may be NULL. -EBUSY: the thread subscribes already; -EUSERS: as many subscribers, or groups, as there may be,
// all alive; -EINVAL, -ENAMETOOLONG, -EBADMSG: the group has another policy. Waits for who joins or leaves a group at
// this moment: -ETIMEDOUT after a second.
int shoal_topic_subscribe(struct shoal_topic *t, const struct shoal_topic_subscription *how) SHOAL_MUST_CHECK;
// What a member of a group holds goes to another. 0, also if there is no subscription; a member: -ETIMEDOUT, it has all
// that it had (CRASH, above).
int shoal_topic_unsubscribe(struct shoal_topic *t);
// Copies the next message. 0, -EAGAIN (SHOAL_TRY) or -ETIMEDOUT (SHOAL_TRY, too: CRASH, above), -EPIPE; -EINVAL: the
// thread does not subscribe; -EBUSY: it holds a message. Sleeps.
int shoal_topic_get(struct shoal_topic *t, void *element, shoal_deadline deadline);
// The same in place, one at a time, with the same errors; only to be read: others read it, too. loan->redelivered:
// members that died with it.
int shoal_topic_receive(struct shoal_topic *t, struct shoal_loan *loan, shoal_deadline deadline);
// Done with it. 0, at once. -EINVAL: not held (any more), -EPERM: another thread's; nothing changed.
int shoal_topic_release(struct shoal_topic *t, struct shoal_loan *loan);
// It comes again: to the caller or, in a group, to any member. As release.
int shoal_topic_return(struct shoal_topic *t, struct shoal_loan *loan);

// ---- looking at it; all of it a snapshot ----
struct shoal_topic_info {
  uint32_t capacity, element_size, history;
  uint32_t publishers, subscribers, groups;  // live
  uint32_t publishers_max, subscribers_max, groups_max;
  uint32_t closed;
  uint64_t published;                                                 // positions given out so far, holes included
  uint64_t lag;                                                       // of the slowest subscriber, in messages
  uint64_t holes;                                                     // cancelled, or left by dead publishers
  uint64_t missed;                                                    // by slow subscribers, in all
  uint64_t redelivered;                                               // messages in the hands of members that died
  uint64_t wakes, woken, sleeps, rings, fences, late, reaped, joins;  // struct shoal_eventcount_counters
};
// By any thread, which gets no role by it, and waits for nobody. 0.
int shoal_topic_info(struct shoal_topic *t, struct shoal_topic_info *out);

struct shoal_topic_subscriber_info {
  uint32_t pid, tid;                           // pid 0: it has just come, or is being buried
  uint32_t slow;                               // SHOAL_TOPIC_*
  uint32_t holds;                              // 1: a message is in its hands
  uint64_t lag;                                // how many positions behind the last one given out
  uint64_t missed;                             // of a group: by all its members
  char group[SHOAL_TOPIC_GROUP_NAME_MAX + 1];  // "": alone
};
// Of place i, 0 .. subscribers_max - 1. -ENOENT: nobody there.
int shoal_topic_subscriber(struct shoal_topic *t, uint32_t i, struct shoal_topic_subscriber_info *out);

// ---- placed in memory of the caller's: what the named forms stand on ----
uint64_t shoal_topic_size_(const struct shoal_topic_options *options);  // bytes, 0: absurd
// Zeroed memory, aligned to 64.
int shoal_topic_place_(void *memory, uint64_t size, const struct shoal_topic_options *options) SHOAL_MUST_CHECK;
int shoal_topic_attach_(void *memory, uint64_t size, uint32_t element_size, struct shoal_topic **out) SHOAL_MUST_CHECK;

// ---- in shared memory ----
//   shoal_topic_shm, its roles | seats | groups | claims of group 0, 1 .. | slots
// Positions count from 0; position p lies in slot p % capacity, in lap p / capacity + 1. A slot's control word is that
// of ipc/queue/mpmc.h, lap:40 state:2 .. owner:12, but a message stays until the next lap:
//   HOLE or FULL(lap - 1) --claim--> WRITING(lap, me) --publish--> FULL(lap);  cancelled, or me died: HOLE(lap)
enum { SHOAL_TOPIC_HOLE_ = 0, SHOAL_TOPIC_WRITING_ = 1, SHOAL_TOPIC_FULL_ = 2 };

struct shoal_topic_shm {
  shoal_atomic32 magic;  // last, by who makes it; all else in this line is constant
  uint32_t element_size;
  uint32_t capacity;
  uint32_t history;
  uint32_t groups;
  uint32_t reserved_[11];
  char type[SHOAL_QUEUE_TYPE_MAX + 1];    // constant, too
  shoal_atomic64 tail SHOAL_ALIGNED(64);  // hint: all positions below are claimed; publishers
  // A publisher would overwrite what lies a ring before; only grows; publishers.
  shoal_atomic64 wanted SHOAL_ALIGNED(64);
  shoal_atomic64 limit;  // positions below may be claimed; only grows, never beyond `wanted`; publishers
  shoal_atomic32 top;    // no seat at or above was ever used; subscribers
  uint32_t reserved2_[11];
  struct shoal_robust lock SHOAL_ALIGNED(64);  // who joins or leaves a group
  shoal_atomic64 holes, missed, redelivered;   // counters
  struct shoal_eventcount wait;                // the roles follow
};
SHOAL_STATIC_ASSERT(sizeof(struct shoal_topic_shm) == 448, "seven lines; the roles follow");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_topic_shm, wanted) == 192, "what is read now and then keeps off the tail");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_topic_shm, wait) == 320, "the eventcount keeps its lines");

struct shoal_topic_seat_shm {  // of the consumer role in the same place; written by its owner, or its heir
  shoal_atomic64 hold;         // 0, or 1 + a position: nothing at or above it may be overwritten
  shoal_atomic64 cursor;       // the next position to look at; alone
  shoal_atomic64 hand;         // 0, or 1 + the position in its hands
  shoal_atomic64 missed;
  shoal_atomic32 slow;
  shoal_atomic32 group;  // 0, or 1 + which
  shoal_atomic32 entry;  // which claim of the group is in its hands
  uint32_t reserved_[5];
} SHOAL_ALIGNED(64);
SHOAL_STATIC_ASSERT(sizeof(struct shoal_topic_seat_shm) == 64, "a seat is a line");

struct shoal_topic_group_shm {
  // position:40 | claim:12 | owner:12: the next position, and by whom and where the last was claimed
  shoal_atomic64 cursor;
  shoal_atomic64 strays;  // SHOAL_STRAYS_ and a sequence, as in ipc/queue/mpmc.h
  uint64_t reserved_[6];
  shoal_atomic64 missed;
  shoal_atomic32 live;  // 1: it has members
  shoal_atomic32 slow;
  shoal_atomic64 name[4];  // a string; under the lock
  uint64_t reserved2_[2];
} SHOAL_ALIGNED(64);
SHOAL_STATIC_ASSERT(sizeof(struct shoal_topic_group_shm) == 128, "what members change, and what they read");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_topic_group_shm, missed) == 64, "two lines");

struct shoal_topic {  // private: nothing that decides about an address is read from shared memory
  struct shoal_eventcount_view wait;
  struct shoal_topic_shm *shm;
  struct shoal_topic_seat_shm *seats;
  struct shoal_topic_group_shm *group;
  shoal_atomic64 *claims;  // of group g: from g * claims_stride on, one for each seat
  char *slots;
  uint64_t mask;
  uint32_t shift, stride, element_size, history;
  uint32_t groups, claims_stride;
  uint32_t ahead;  // how far beyond the next position publishers ask for room
  uint32_t reserved_;
  struct shoal_segment *segment;  // NULL: placed
  struct shoal_object object;
};

int shoal_topic_misfit_(const struct shoal_topic *t, uint32_t size);

// NULL: zeroes.
SHOAL_INLINE struct shoal_topic_options shoal_topic_options_(const struct shoal_topic_options *options) {
  struct shoal_topic_options o;
  if (options) o = *options;
  else memset(&o, 0, sizeof o);
  return o;
}

SHOAL_END

// The same for messages of type T. Only forwards, with a constant size.
// clang-format off
#define SHOAL_TOPIC_TYPED(name, T) \
  SHOAL_STATIC_ASSERT(sizeof(#T) <= SHOAL_QUEUE_TYPE_MAX + 1, "the type's name is too long"); \
  SHOAL_INLINE int name##_create(struct shoal_segment *seg, const char *as, const struct shoal_topic_options *options, struct shoal_topic **out) { struct shoal_topic_options o = shoal_topic_options_(options); o.element_size = sizeof(T); if (!o.type) o.type = #T; return shoal_topic_create(seg, as, &o, out); } \
  SHOAL_INLINE int name##_open_or_create(struct shoal_segment *seg, const char *as, const struct shoal_topic_options *options, struct shoal_topic **out) { struct shoal_topic_options o = shoal_topic_options_(options); o.element_size = sizeof(T); if (!o.type) o.type = #T; return shoal_topic_open_or_create(seg, as, &o, out); } \
  SHOAL_INLINE int name##_open(struct shoal_segment *seg, const char *as, struct shoal_topic **out) { return shoal_topic_open_as(seg, as, #T, sizeof(T), out); } \
  SHOAL_INLINE int name##_publish(struct shoal_topic *t, const T *element, shoal_deadline deadline) { return t->element_size == sizeof(T) ? shoal_topic_publish(t, element, deadline) : shoal_topic_misfit_(t, sizeof(T)); } \
  SHOAL_INLINE int name##_get(struct shoal_topic *t, T *element, shoal_deadline deadline) { return t->element_size == sizeof(T) ? shoal_topic_get(t, element, deadline) : shoal_topic_misfit_(t, sizeof(T)); }
// clang-format on
