// ipc/queue/queue_internal.h: what a kind of queue tells the queue: one table for each, in queue_<kind>.c.
//
// The queue knows names, roles, deadlines and loans; a kind knows its ring, and what is told to sleepers when (the
// protocol of sync/eventcount.h). Everything here runs with list_op_pending at the queue's bell, unless said otherwise.
#pragma once

#include <sys/uio.h>

#include "core/identity.h"
#include "ipc/queue/queue.h"

SHOAL_BEGIN

struct shoal_queue_op_ {  // one call
  struct shoal_queue *q;
  uint32_t me, n, done;
  shoal_deadline deadline;  // the call's: also of waits that are no waiting for a message or a place
  const char *in;
  char *out;
  struct shoal_loan loan;  // data and token: the kind; the rest: the queue
  uint64_t size;           // of a byte message: sent, or received
  uint64_t room;           // at `out`
  uint32_t fits;           // 1: what has no room there is not to be received
  int64_t key;             // of it, kind PRIORITY
  void *block;             // what a message to be sent lies in; NULL: short enough for its slot
  struct iovec *messages;  // of several: `n`, of which the first `done` have gone
  int rc;                  // of a peek: what it came to
  struct shoal_case *of;   // of a select: where its user is told size and key
};

enum shoal_queue_end_ { SHOAL_COMMIT_, SHOAL_CANCEL_, SHOAL_RELEASE_, SHOAL_RETURN_ };
SHOAL_INLINE int shoal_queue_side_(enum shoal_queue_end_ how) {
  return how == SHOAL_COMMIT_ || how == SHOAL_CANCEL_ ? SHOAL_PRODUCER : SHOAL_CONSUMER;
}

struct shoal_queue_kind_ {
  const char *name;
  uint32_t roles;       // by default, of each side
  uint32_t wait_flags;  // of its eventcount
  uint32_t evicts;      // 1: a message can give way to a put
  uint32_t holds;       // 1: its claims outlive a call, so its roles are watched from the first loan on
  const struct shoal_wait_ops *wait;
  // ---- making it; no roles, no pending ----
  const char *(*refuses)(const struct shoal_queue_options *o);  // NULL, or what of the options makes no sense
  uint64_t (*size)(const struct shoal_queue_options *o);        // of the ring in bytes; 0: absurd
  int (*init)(void *ring, uint64_t size, const struct shoal_queue_options *o);
  int (*attach)(struct shoal_queue *q, void *ring, uint64_t size);  // sets q->element_size
  // ---- attempts, of a struct shoal_queue_op_: 0, -EAGAIN, -EPIPE, -EBUSY ----
  int (*put)(void *op), (*get)(void *op), (*put_n)(void *op), (*get_n)(void *op);
  // As put and get, without an op; get: without a policy. NULL: there is none.
  int (*put_one)(struct shoal_queue *q, uint32_t me, const void *element, shoal_deadline deadline);
  int (*get_one)(struct shoal_queue *q, uint32_t me, void *element, shoal_deadline deadline);
  int (*reserve)(void *op), (*receive)(void *op);
  int (*send)(void *op), (*recv)(void *op);  // byte messages; NULL: it carries none
  int (*evict)(void *op);  // receives what stands where the next put belongs; NULL: the attempts see to it
  int (*peek)(void *op);   // copies the next message to op->out, takes nothing
  int (*drop)(void *op);  // the next message, which is in nobody's hands, is over in one step; NULL: receive and finish
  // Whether a put, or a get, would go now; takes nothing: 0, -EAGAIN, -EPIPE, -EBUSY; -ETIMEDOUT, by whom stands
  // inside. NULL: wait->blocker tells.
  int (*ready)(struct shoal_queue *q, int side, uint32_t me, shoal_deadline deadline);
  // ---- joinable; NULL: cannot be. `done` as shoal_mpmc_is_done; `keep` notes what was got and stays in hand; `in_hand` finds
  // the first of that, and forgets it: data, token and redelivered of the loan. 0: there is none ----
  int (*done)(struct shoal_queue *q, uint32_t *owner);
  void (*keep)(struct shoal_queue *q, struct shoal_queue_taken_ *taken, const struct shoal_loan *loan);
  int (*in_hand)(struct shoal_queue *q, struct shoal_queue_taken_ *taken, struct shoal_loan *loan);
  uint64_t (*held)(struct shoal_queue *q, uint32_t me);  // claims of `me`; or (0) messages in any hands
  // ---- leases; NULL: it gives none. `counts`: given back counts as delivered in vain. -ETIMEDOUT: another has it; -EBUSY, nothing
  // changed: nobody gets inside before the deadline, nor within a second, and (extend) it is the caller's still ----
  int (*receive_leased)(void *op);
  int (*finish_leased)(struct shoal_queue *q, const struct shoal_loan *loan, enum shoal_queue_end_ how, uint32_t counts,
                       shoal_deadline deadline);
  int (*extend)(struct shoal_queue *q, const struct shoal_loan *loan);
  // Nobody gets inside to give it back: its lease is over now, and it is in nobody's hand. NULL: all get inside.
  void (*let_go)(struct shoal_queue *q, const struct shoal_loan *loan);
  // ---- loans; `loan` is what the caller believes to hold ----
  // 1, 0; -EDEADLK: the thread has been interrupted where it cannot end.
  int (*is_lent)(struct shoal_queue *q, int side, const struct shoal_loan *loan);
  // 0; -ETIMEDOUT, nothing changed: a commit, and somebody is stopped inside.
  int (*finish)(struct shoal_queue *q, const struct shoal_loan *loan, enum shoal_queue_end_ how);
  void *(*slot)(struct shoal_queue *q, const struct shoal_loan *loan, int side);  // of what is lent
  // ---- no pending ----
  // Gives back what it holds: to leave is no death. 0; -ETIMEDOUT, -EDEADLK, nothing changed: nobody gets inside.
  int (*leave)(struct shoal_queue *q, int side, uint32_t me);
  void (*info)(struct shoal_queue *q, struct shoal_queue_info *out);
};

extern const struct shoal_queue_kind_ shoal_queue_mpmc_, shoal_queue_spsc_;
extern const struct shoal_queue_kind_ shoal_queue_fifo_, shoal_queue_lifo_, shoal_queue_priority_;

// ---- queue.c, for others of this room ----
// Part of an object that another closes.
int shoal_queue_attach_at_(void *memory, uint64_t size, uint32_t element_size, struct shoal_segment *seg,
                           const struct shoal_object *object, struct shoal_queue **out) SHOAL_MUST_CHECK;
// NULL, or what of a type's name makes no sense.
const char *shoal_queue_type_refused_(const char *type, uint32_t element_size);
// -EBADMSG: both are told, and are not the same. `has` is in the segment.
int shoal_queue_type_differs_(const char has[SHOAL_QUEUE_TYPE_MAX + 1], const char *type);
// Joins, points list_op_pending at the bell, attempts, waits. 0, or a negative errno; op->me is the role. `holds`: it
// may keep a claim. A producer under a policy that waits for no room does not, but for who is inside it does.
int shoal_queue_run_(struct shoal_queue_op_ *op, int side, uint32_t holds, int (*attempt)(void *),
                     shoal_deadline deadline);
int shoal_queue_lend_(struct shoal_queue *q, int side, int (*attempt)(void *), struct shoal_loan *loan,
                      shoal_deadline deadline);
// Attempts that take nothing: whether a get, or a put, would go now.
int shoal_queue_would_get_(void *op);
int shoal_queue_would_put_(void *op);
// The role of `side` of this one, not that of its mate.
int shoal_queue_join_alone_(struct shoal_queue *q, int side);
int shoal_queue_finish_(struct shoal_queue *q, struct shoal_loan *loan, enum shoal_queue_end_ how);

// ---- message.c: what a kind does with a slot of byte messages ----
int shoal_message_attach_(struct shoal_queue *q);
// Writes the message, and makes its block the queue's. -EPROTO, nothing changed: the block is not ours.
int shoal_message_fill_(const struct shoal_queue_op_ *op, void *slot);
// Copies it out and ends its block: from here on it was received. -EMSGSIZE, nothing changed: no room for op->size
// bytes; -EPROTO: no sound message, and its block has ended.
int shoal_message_take_(struct shoal_queue_op_ *op, void *slot);
// The same, and nothing ends. `racing`: another may take it meanwhile, and what was copied is thrown away then.
int shoal_message_copy_(struct shoal_queue_op_ *op, const void *slot, int racing);
// Whether it would be copied to op->out: 0, -EMSGSIZE, -EPROTO.
int shoal_message_fits_(struct shoal_queue_op_ *op, const void *slot, uint32_t *in_block);
// -EBADMSG, -EMSGSIZE: such a message can never be sent there.
int shoal_message_check_(const struct shoal_queue *q, uint64_t size);
// -EBADMSG: no byte messages; -EINVAL: they have no keys.
int shoal_message_has_no_key_(const struct shoal_queue *q);
// The loan of a slot becomes that of the message. -ENOENT: its block is gone; -EPROTO: no message. Nothing has ended
// then; what block there is, the loan has.
int shoal_message_resolve_(const struct shoal_queue *q, struct shoal_loan *loan);
// An attempt: receives, and resolves. -EPROTO: it was damaged, and is gone.
int shoal_message_receive_(void *op);
// The block of a resolved loan ends, if it is that still: 0, -ENOENT.
int shoal_message_end_lent_(const struct shoal_queue *q, const struct shoal_loan *loan);
// A block for op->size bytes, filled with op->in, unless it is short; and what was not sent. -EMSGSIZE, -ENOSPC,
// -EBADMSG.
int shoal_message_prepare_(struct shoal_queue_op_ *op);
void shoal_message_drop_(struct shoal_queue_op_ *op);
// Before the loan of its slot ends. -EINVAL: it has grown.
int shoal_message_finish_(struct shoal_queue *q, const struct shoal_loan *loan, enum shoal_queue_end_ how);
void shoal_message_end_(const struct shoal_queue *q, const void *slot);
int shoal_message_is_there_(const struct shoal_queue *q, const void *slot);
extern const struct shoal_payload_ops shoal_message_payload_;
extern const struct shoal_ordered_payload_ shoal_message_in_cell_;

SHOAL_INLINE struct shoal_queue *shoal_queue_of_(struct shoal_eventcount_view *view) {
  return SHOAL_EMBEDS(view, struct shoal_queue, wait);
}

// ---- pipe.c ----
// A keeper's word: how often it has changed, so that none that was seen is met again, and the process; 0: nobody.
SHOAL_INLINE shoal_process_id_ shoal_keeper_(uint64_t word) {
  return word & ((UINT64_C(1) << SHOAL_PROCESS_BITS_) - 1);
}
SHOAL_INLINE uint64_t shoal_keeper_next_(uint64_t word, shoal_process_id_ process) {
  return ((word >> SHOAL_PROCESS_BITS_) + 1) << SHOAL_PROCESS_BITS_ | process;
}

// ---- queue_mpmc.c ----
void shoal_queue_freed_(struct shoal_queue *q, uint64_t at);  // a slot: told to who sleeps for it
// Around what makes the message at `at` one in nobody's hands again: told to who sleeps for it.
void shoal_queue_gives_back_(struct shoal_queue *q);
void shoal_queue_is_back_(struct shoal_queue *q, uint64_t at);
// Kind MPMC, without a policy: a get that has the next element shown while it is claimed. Killed in `use`, which is to
// be short, another gets it. Unlike a loan it outlives no call: who sleeps need not watch all who have ever had one.
int shoal_queue_use_(struct shoal_queue *q, void (*use)(void *arg, const void *element), void *arg,
                     shoal_deadline deadline);

// ---- queue_policy.c ----
// NULL, or what of the policies makes no sense.
const char *shoal_queue_policy_refuses_(const struct shoal_queue_kind_ *kind, const struct shoal_queue_options *o);
// From the shared words: -EPROTO.
int shoal_queue_policy_attach_(struct shoal_queue *q, uint64_t size);
void shoal_queue_policy_info_(struct shoal_queue *q, struct shoal_queue_info *out);
void shoal_queue_policy_detach_(struct shoal_queue *q);
void shoal_queue_gave_back_(struct shoal_queue *q, uint32_t me);  // all that it had got
// What was received in the stead of a get: got, so in hand until task_done, if that is to be, else released; or not, so
// given back, and never in the hand that task_done ends. No pending.
int shoal_queue_got_(struct shoal_queue *q, struct shoal_loan *loan);
void shoal_queue_not_got_(struct shoal_queue *q, struct shoal_loan *loan);
// After something in a joinable queue was done with by role `me`.
void shoal_queue_done_(struct shoal_queue *q, uint32_t me);
void shoal_queue_discarded_(struct shoal_queue *q, uint64_t n);
int shoal_queue_peek_once_(void *op);  // an attempt
// Who finds no room does not wait, with these.
SHOAL_INLINE shoal_deadline shoal_queue_patience_(const struct shoal_queue *q, shoal_deadline deadline) {
  int none = q->overflow == SHOAL_OVERFLOW_REFUSE || q->overflow == SHOAL_OVERFLOW_DROP_NEWEST;
  return none ? SHOAL_TRY : deadline;
}

// ---- queue_lease.c ----
int64_t shoal_queue_due_(struct shoal_queue *q);
// When who sleeps on `side` is to look: to a put that drops the oldest what has run out is room.
SHOAL_INLINE int64_t shoal_queue_wakes_(struct shoal_queue *q, int side) {
  int drops = side == SHOAL_PRODUCER && q->overflow == SHOAL_OVERFLOW_DROP_OLDEST;
  return side == SHOAL_CONSUMER || drops ? shoal_queue_due_(q) : INT64_MAX;
}
// 1: it was time, and it looked.
int shoal_queue_look_due_(struct shoal_queue *q, uint32_t me);
void shoal_queue_forget_(struct shoal_queue *q, uint32_t me);
int shoal_queue_get_leased_(void *op);
int shoal_queue_recv_leased_(void *op);
// Back before newer ones, and no delivery was in vain.
void shoal_queue_unreceive_(struct shoal_queue_op_ *op);
// The end of what op->loan has: 0; 1, another has it by now; -ETIMEDOUT: it stays leased, and comes again.
int shoal_queue_ended_(struct shoal_queue_op_ *op, enum shoal_queue_end_ how, uint32_t counts);
// Moves it to dead letters, or drops it, if it was delivered too often: 1. 0: it is to be delivered, joinable also
// where it could not be ended: what stayed in hand there, task_done would end; -ETIMEDOUT: as ended.
int shoal_queue_bury_(struct shoal_queue_op_ *op);
int shoal_queue_run_out_(uint64_t at);  // -ETIMEDOUT
// Whether what was read of it since was of it: a lease may have run out meanwhile. If so, it runs anew.
int shoal_queue_is_still_(struct shoal_queue *q, const struct shoal_loan *loan);
// Of the mpmc ring.
int shoal_queue_receive_from_ring_(void *op);
int shoal_queue_finish_in_ring_(struct shoal_queue *q, const struct shoal_loan *loan, enum shoal_queue_end_ how,
                                uint32_t counts, shoal_deadline deadline);
int shoal_queue_extend_in_ring_(struct shoal_queue *q, const struct shoal_loan *loan);
uint64_t shoal_queue_extra_size_(const struct shoal_queue_options *o);  // 0: none
void shoal_queue_extra_init_(struct shoal_queue_extra_shm *extra, const struct shoal_queue_options *o);
int shoal_queue_extra_attach_(struct shoal_queue *q, uint64_t off, uint64_t size);  // -EPROTO

// 0, -ETIMEDOUT: its lease had run out, or it is a commit, and nobody gets inside; -EBUSY: under a lease, nobody does.
SHOAL_INLINE int shoal_queue_end_(struct shoal_queue *q, const struct shoal_loan *loan, enum shoal_queue_end_ how) {
  if (q->leased && shoal_queue_side_(how) == SHOAL_CONSUMER) return q->ops->finish_leased(q, loan, how, 1, SHOAL_TRY);
  return q->ops->finish(q, loan, how);
}

// A child of fork comes to hold what it has inherited, and the thread is a participant of the segment, before it has a
// role.
SHOAL_INLINE int shoal_queue_confirm_(struct shoal_queue *q) {
  return q->segment ? shoal_object_confirm(q->segment, &q->object) : 0;
}

SHOAL_END
