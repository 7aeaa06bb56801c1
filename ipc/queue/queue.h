// ipc/queue/queue.h: what a user opens by name: a bounded, blocking, closable queue of fixed-size elements between
// processes.
//
// USE
//   struct word { char text[32]; uint32_t count; };
//   SHOAL_QUEUE_TYPED(word_queue, struct word)
//
//   struct shoal_queue *q;
//   int rc = word_queue_create(seg, "words", &(struct shoal_queue_options){.capacity = 1024}, &q);
//   rc = word_queue_put(q, &w, SHOAL_FOREVER);               // 0, -EPIPE: closed, or nobody is left to read
//   rc = word_queue_get(q, &w, shoal_after_ms(100));         // 0, -ETIMEDOUT, -EPIPE: nothing can come any more
//   shoal_queue_close(q);                                     // for everybody: what is in it is still delivered
//   shoal_queue_detach(q);                                    // mine
//
//   struct shoal_loan loan;                                   // two-phase: if this process dies before the release,
//   rc = shoal_queue_receive(q, &loan, SHOAL_FOREVER);        // another consumer receives the message
//   work(loan.data);
//   shoal_queue_release(q, &loan);
//
// A thread becomes a producer with its first put or reserve, a consumer with its first get or receive.
//
// SAFETY   a handle is shared by the threads of its process; every operation runs beside every other, in any process. A
//          loan belongs to the thread that took it. create/open/detach of one handle: one thread, and no operation
//          beside a detach. After fork the child uses the handle as it is, with roles of its own; it holds none of its
//          parent's loans. In a signal handler: put, get with SHOAL_TRY, if the thread is a producer, a consumer
//          already.
// ORDERING what a thread wrote before a put is seen by the thread that gets the message. Messages of one producer are
//          received in the order in which they were put, but for those that come again (below).
// LINEAR   FIFO, LIFO, PRIORITY: each operation takes effect at one moment between its call and its return. MPMC, too,
//          at its claim, but that a get may find nothing (-EAGAIN, or it waits) while the put of the oldest message has
//          not returned (a reservation: been committed), whatever others have put behind it; and a put no room while
//          the get of what stood in the place whose turn it is has not (in hand: been released), or a hole is there,
//          whatever others have got. Either also while something is being given back. Who has heard by other means that
//          a message was put waits for it, or takes FIFO.
// CRASH    put    killed before it returns: the message is in the queue, or it never was. A reservation is cancelled.
//          get    killed before it returns: the message is received by another, or (killed at the very end) gone with its
//                 process. Whoever must not lose it that way uses receive and release.
//          A message that was given back, or whose consumer's death has been noticed (by whoever finds nothing else to
//          do, at the latest one lap later), is redelivered before newer ones; `redelivered` says how often consumers
//          died with it. With options.drop it is dropped and counted.
//          A thread with both roles is a peer of its own: it waits for itself where all others have gone; who has put
//          its last leaves (shoal_queue_leave) before it gets for ever.
//          Before the first producer has joined, a get waits for one, though the process that was to be it was killed
//          before it joined; so does, for the first consumer, a put that finds the queue full. Who minds selects with
//          shoal_on_process(pid), too; or joins for it before the fork (shoal_queue_join), and leaves when it has
//          joined or ended. The last producer left or died and nothing is left that could be received: -EPIPE. The last
//          consumer left or died and the queue is full: -EPIPE.
//          A peer that is stopped inside an operation, not dead, keeps those behind it waiting.
// CLOSE    a put that answered 0 is delivered, also one that overlaps the close. A get answers -EPIPE when all of it
//          has been received and released: while another consumer still holds a message, which it could die with, a get
//          waits (not if the caller itself holds one). Why -EPIPE - closed, or nobody there any more -
//          shoal_queue_info().closed tells.
// KINDS    FIFO: as MPMC, but it holds exactly `capacity`, and may grow. LIFO: the last put is the first received.
//          PRIORITY: the smallest key is; among equals the first put. All three work under a lock
//          (ipc/queue/role_lock.h): every operation, also one that does not wait, waits for those that are inside; with
//          SHOAL_TRY for a second at most, then -ETIMEDOUT: somebody is stopped there, or the lock is damaged. What
//          ends a loan waits a second at most, too: then release, cancel and return are done all the same, and make
//          room, or a message, once that one goes on; a commit, and under a lease release, return and extend, answer
//          -ETIMEDOUT, nothing changed, and can be tried again; so do leave and detach. A dead one's role is emptied by
//          whoever meets it, as a part of that call: a wait ends when its time is over, SHOAL_TRY and a join after a
//          second, with -ETIMEDOUT, and the role stays the dead one's. A get under a lease that has its copy goes in
//          once more, for which it waits as long as it may, a second at least, then -ETIMEDOUT: the message comes again
//          when its lease is over. So does one that moves a message to dead letters. Joinable, it is got all the same,
//          its lease running since it was received, as task_done would end what stayed in hand; and what was to be
//          moved is delivered once more. Order is that of put's or commit's moment; nobody is held up by a reservation.
//          A message that comes again is, FIFO and LIFO, the next to be received, PRIORITY the first of its equals; its
//          key is that of its first put, whatever was changed in place. In a signal handler: nothing (-EDEADLK if it
//          interrupts the queue itself).
// OVERFLOW DROP_OLDEST: of MPMC and FIFO the oldest message gives way, of LIFO the one at the bottom, of PRIORITY the
//          one that would be received last of those inside, whatever the key of the new one. What is in hands never
//          does: a put to MPMC waits while its oldest is, or is still being put; to the others while all are. A lease
//          that has run out is no hand: a put that would wait for it takes the message back first (LEASE), then drops
//          it. A growing queue drops from the end of the segment on, and answers -ENOSPC, without waiting, when all is
//          in hands. `discarded` counts: of FIFO, LIFO and PRIORITY each, whoever was killed when, but
//          one that a process was killed with only when another has gone in;
//          of MPMC it may lack what a process died with. Not with SPSC: its consumer claims nothing, so that no
//          producer can know what it is reading.
// GROWING  options.grow: a queue that is full doubles; it never shrinks. Its memory is the segment's and goes with the
//          queue. A put that finds the segment full answers -ENOSPC, whatever its deadline; it does not wait for room
//          (but: OVERFLOW).
// LEASE    options.lease_ns, .delivery_max: deliveries that end without a release count (`redelivered`), whether by
//          death, by return or because the lease has run out; one more than delivery_max is none: the message goes to
//          dead letters, at least once (killed on the way, or barred by one who is stopped inside: once more each
//          time), or is delivered all the same while they have no room. With a lease, a message may be in two hands;
//          only one of them can release it, and what the other reads in place after that may be the next message:
//          whoever is late learns it from release or extend. A get is over at once, so it has none. FIFO, LIFO,
//          PRIORITY, growing: what comes again has its place in their order, as after a death. Not with SPSC, where
//          there is nobody else to deliver to, nor with drop.
// SPSC     the kind for one producer and one consumer at a time: several times the throughput. What a dead consumer
//          held, or had not taken, is seen again by the thread that becomes consumer after it. One loan a side at a
//          time, and no put or get beside it (-EBUSY). In a signal handler: nothing.
// COST     nobody asleep: no system call. A put and a get: a claim and a store each. See ipc/queue/README.md for
//          figures.
// SOURCE   ipc/queue/mpmc.h, ipc/queue/spsc.h or ipc/queue/ordered.h, under sync/eventcount.h.
#pragma once

#include <string.h>

#include "core/directory.h"
#include "ipc/queue/mpmc.h"
#include "ipc/queue/ordered.h"
#include "ipc/queue/spsc.h"

SHOAL_BEGIN

enum { SHOAL_QUEUE_MPMC = 0, SHOAL_QUEUE_SPSC = 1 };                            // kinds
enum { SHOAL_QUEUE_FIFO = 2, SHOAL_QUEUE_LIFO = 3, SHOAL_QUEUE_PRIORITY = 4 };  // kinds, too

// What a put does that finds no room. Closed, or (but for DROP_OLDEST) nobody left to read: -EPIPE all the same.
enum {
  SHOAL_OVERFLOW_WAIT = 0,
  SHOAL_OVERFLOW_REFUSE = 1,       // -EAGAIN at once, whatever the deadline
  SHOAL_OVERFLOW_DROP_NEWEST = 2,  // what was to be put is dropped: SHOAL_DROPPED at once
  SHOAL_OVERFLOW_DROP_OLDEST = 3,  // another is dropped in its stead (OVERFLOW, above); waits only for hands. Not SPSC
};
enum { SHOAL_DROPPED = 1 };  // a put's answer: no error, and nothing was put

#define SHOAL_QUEUE_TYPE_MAX 63  // bytes of a type's name, without the final NUL

struct shoal_queue_options {  // zero: the default
  uint32_t capacity;          // elements, at least: a power of two; SPSC takes more before it is full; FIFO, LIFO and
                              // PRIORITY: exactly. Must be given
  uint32_t element_size;      // bytes, up to 1 GiB. Must be given (typed forms fill it in)
  uint32_t kind;              // SHOAL_QUEUE_MPMC, or _SPSC: one producer and one consumer at a time; or below
  uint32_t producers;         // how many at a time (64, at most SHOAL_ROLES_MAX; SPSC: 1)
  uint32_t consumers;
  uint32_t drop;          // 1: a dead consumer's message is dropped. Not with SPSC
  uint32_t bytes;         // 1: messages of any length, ipc/queue/message.h; element_size is 0 then. In a segment only.
                          // PRIORITY: the key is sent with it
  uint32_t grow;          // 1: it grows when it is full. Not with SPSC; MPMC is then FIFO; capacity: a power of two
  uint32_t overflow;      // SHOAL_OVERFLOW_*
  uint32_t joinable;      // 1: what is got is in hand until task_done. Not with SPSC
  uint32_t delivery_max;  // delivered so often, and not released: dropped, or moved; at most 1,023; 0: no limit
  uint64_t lease_ns;      // a received message not released within it (1 ms at least) comes again; 0: only after deaths
  const char *dead_letters;    // where it is moved: a queue of this segment, of the same element type. NULL: dropped
  struct shoal_queue_key key;  // PRIORITY of elements, and only that. Must be given (SHOAL_PRIORITY_TYPED fills it in)
  const char *type;            // the name of the elements' type (typed forms fill in theirs). NULL: not told. Copied
};

struct shoal_queue;  // this process's handle; below, for the inline forms only

// ---- lifecycle ----
// `options` NULL: zeroes, so -EINVAL: no capacity. -EEXIST, -EINVAL, -ENAMETOOLONG, -ENOSPC, -ENOSYS, -ENOMEM
int shoal_queue_create(struct shoal_segment *seg, const char *name, const struct shoal_queue_options *options,
                       struct shoal_queue **out) SHOAL_MUST_CHECK;
// `element_size` 0: of byte messages. -ENOENT, -EBADMSG no queue, or another element size (its type's name is not asked
// for: any of the same size opens), -EPROTO, -ENOSYS, -ENOMEM
int shoal_queue_open(struct shoal_segment *seg, const char *name, uint32_t element_size,
                     struct shoal_queue **out) SHOAL_MUST_CHECK;
// The same of elements of a type with that name, as it is written in the program; of another: -EBADMSG. NULL, or a
// queue that was made without one: nothing is asked. Typed forms do this.
int shoal_queue_open_as(struct shoal_segment *seg, const char *name, const char *type, uint32_t element_size,
                        struct shoal_queue **out) SHOAL_MUST_CHECK;
// The same of kind PRIORITY, by that key; by another: -EBADMSG.
int shoal_queue_open_by_(struct shoal_segment *seg, const char *name, const char *type, uint32_t element_size,
                         struct shoal_queue_key key, struct shoal_queue **out) SHOAL_MUST_CHECK;
// Of the one there kind, overflow, joinable, lease_ns, delivery_max, drop and dead_letters have to be these, and the
// type's name (as open_as has it), or -EBADMSG; its capacity, growing and numbers of roles are its own. Options of
// which no queue could be made open any.
int shoal_queue_open_or_create(struct shoal_segment *seg, const char *name, const struct shoal_queue_options *options,
                               struct shoal_queue **out) SHOAL_MUST_CHECK;
// The name. -ENOENT, -EBADMSG no queue's
int shoal_queue_unlink(struct shoal_segment *seg, const char *name);
// Leaves the calling thread's roles and frees the handle. -EBUSY, nothing changed: another thread of this process has a
// role through it. As leave: the handle is there still, and the role that it could not leave; one that it could is
// gone.
int shoal_queue_detach(struct shoal_queue *q);
// For everybody, until somebody reopens it. 0.
int shoal_queue_close(struct shoal_queue *q);
// For everybody: puts go in again, gets wait again. Who slept through a closing that was taken back at once sleeps on;
// who was told of the end was told. -EINVAL: it is not closed.
int shoal_queue_reopen(struct shoal_queue *q);
// The calling thread's role on `side`, SHOAL_PRODUCER or SHOAL_CONSUMER. put, get and the like join by themselves.
// -EUSERS, -ETIMEDOUT (KINDS, above).
int shoal_queue_join(struct shoal_queue *q, int side);
// Its loans of that side are returned, or cancelled; no death is counted, nothing dropped. 0. FIFO, LIFO, PRIORITY:
// -ETIMEDOUT (KINDS, above); -EDEADLK, it interrupts the queue itself: it has its role and its loans still.
int shoal_queue_leave(struct shoal_queue *q, int side);

// ---- whole elements; sleep until the deadline ----
// 0, -EAGAIN (SHOAL_TRY) or -ETIMEDOUT, -EPIPE, -EUSERS. Growing: -ENOSPC. Typed forms: -EBADMSG, its elements are of
// another size; all forms: -EBADMSG, it carries byte messages. options.overflow: a put may answer SHOAL_DROPPED too.
int shoal_queue_put(struct shoal_queue *q, const void *element, shoal_deadline deadline);
int shoal_queue_get(struct shoal_queue *q, void *element, shoal_deadline deadline);
// As many of `n` as go without waiting, once the first has gone: 1..n, or an error and none. -EINVAL: n is 0.
// DROP_NEWEST: how many went in, 0..n; the others are dropped. DROP_OLDEST: all go in; those that give way may be among
// them.
int shoal_queue_put_n(struct shoal_queue *q, const void *elements, uint32_t n, shoal_deadline deadline);
int shoal_queue_get_n(struct shoal_queue *q, void *elements, uint32_t n, shoal_deadline deadline);
// A copy of the message that a get would have had at some moment of the call; nothing is taken. Errors as get. SPSC:
// the consumer's. FIFO, LIFO, PRIORITY: copied under the lock.
int shoal_queue_peek(struct shoal_queue *q, void *element, shoal_deadline deadline);
// Drops what is inside and in nobody's hands; what comes in meanwhile may go too. How many, or -EUSERS, -EBUSY,
// -ETIMEDOUT. SPSC: the consumer's.
int shoal_queue_clear(struct shoal_queue *q);

// ---- joinable: a message is unfinished from its put until somebody who got it says that it is done with ----
// A get leaves the message in the hands of its thread: if that dies, another gets it; if it leaves, too. What is
// unfinished takes room: who puts into a full queue while it has the messages in hand that make it full waits for
// itself. The oldest message in the hand of the calling thread (FIFO, LIFO, PRIORITY: the one that it got first) is
// done with. -EINVAL: it has none, task_done was called once too often; or not joinable. -ETIMEDOUT, nothing changed:
// another has got one of those that it had, whose lease had run out; once for each. What was received in place is
// released as ever: that is the same.
int shoal_queue_task_done(struct shoal_queue *q);
// Sleeps until there was a moment in which nothing was unfinished, nor being put. 0, -EAGAIN (SHOAL_TRY) or -ETIMEDOUT;
// -EPIPE: no consumer is left, and something is; -EDEADLK: the caller itself has it, or is the only consumer; -EINVAL:
// not joinable.
int shoal_queue_join_tasks(struct shoal_queue *q, shoal_deadline deadline);

// ---- in place ----
struct shoal_loan {      // private memory; cleared when given back
  void *data;            // element_size bytes in the segment
  uint64_t token;        // which slot
  uint32_t role;         // whose
  uint32_t redelivered;  // consumers that died with this message in hand (SPSC: 1, the last one may have)
  uint64_t size;         // bytes at `data`
  int64_t key;           // of a byte message, kind PRIORITY: its place from commit on; received: what it was
  uint64_t block_;       // of a byte message under a lease: which block, in which of its lives; 0: none
  uint32_t life_;
  uint32_t handle_;  // the queue's, here
};
// -EBUSY: kind SPSC, and one is out already.
// A slot to write, delivered by commit, given up by cancel. Errors as put (DROP_NEWEST: -EAGAIN, as there is nothing
// yet to drop). A reservation holds up what is put behind it.
int shoal_queue_reserve(struct shoal_queue *q, struct shoal_loan *loan, shoal_deadline deadline);
// -EINVAL: no reservation (any more), -EPERM: another thread's, or another handle's; nothing changed. A commit to FIFO,
// LIFO or PRIORITY: -ETIMEDOUT after a second, somebody is stopped inside (KINDS, above): try again, or cancel; of
// bytes, the size that was asked for is now the most that there is room for.
int shoal_queue_commit(struct shoal_queue *q, struct shoal_loan *loan);
int shoal_queue_cancel(struct shoal_queue *q, struct shoal_loan *loan);
// A message to read (or to change) in place; release ends it, return makes it the next to be received. Errors as get.
int shoal_queue_receive(struct shoal_queue *q, struct shoal_loan *loan, shoal_deadline deadline);
int shoal_queue_release(struct shoal_queue *q, struct shoal_loan *loan);
int shoal_queue_return(struct shoal_queue *q, struct shoal_loan *loan);
// options.lease_ns: the lease begins anew. It, release and return answer -ETIMEDOUT if it has run out and another has
// the message, or will: then nothing was changed. Run out, but not yet taken, counts as in time. -EINVAL: the queue
// gives no leases. FIFO, LIFO, PRIORITY: also where somebody is stopped inside (KINDS, above); tried again before it
// runs out, they count.
int shoal_queue_extend(struct shoal_queue *q, struct shoal_loan *loan);

// ---- looking at it ----
struct shoal_queue_info {
  uint32_t capacity, element_size, kind, drop;  // element_size 0: byte messages
  uint64_t size;                  // messages in nobody's hands (SPSC: a lent one counts); an estimate while others work
  uint32_t producers, consumers;  // live
  uint32_t producers_max, consumers_max;
  uint32_t closed, full;                                              // full: a put would find no room
  uint64_t holes, redelivered, dropped;                               // left by dead producers; by dead consumers
  uint64_t wakes, woken, sleeps, rings, fences, late, reaped, joins;  // struct shoal_eventcount_counters
  struct shoal_queue_key key;
  uint32_t grow, grown;  // how often
  uint64_t remade;       // the order, after a death inside, or the end of a loan beside one who was stopped there
  uint32_t overflow, joinable;
  uint32_t delivery_max, reserved_;
  uint64_t lease_ns, expired, buried;  // leases that ran out; moved to dead letters
  uint64_t held;                       // joinable: messages in hands. With size: what is unfinished
  uint64_t discarded;  // by options.overflow, by clear. May lack what a process died with (OVERFLOW, above)
  // Since it was made, as the ring's positions say it, at no cost to who puts: places taken for messages, those given
  // up and holes among them (kinds FIFO, LIFO, PRIORITY: one that was reserved counts twice; LIFO: one that came again,
  // too; and one for each `remade`); and of these, what is not in the queue any more: received, in hands, never filled.
  // `gone` is exact while nobody else works, an estimate otherwise.
  uint64_t put, gone;
  char type[SHOAL_QUEUE_TYPE_MAX + 1];  // of its elements, by name; "": not told
};
// A snapshot, by any thread, which gets no role by it, and waits for nobody. 0.
int shoal_queue_info(struct shoal_queue *q, struct shoal_queue_info *out);
// Of the same, messages; 1 or 0. Exact while nobody else works. While others do: FIFO, LIFO, PRIORITY: what was so at
// one moment of the call (one word, changed under the lock; `full`, and after a death inside until somebody has gone
// in: about). MPMC, SPSC: of no one moment, as slot after slot, or position after position, is looked at: what moves
// meanwhile is counted twice or not at all, so 2 where there never was more than 1, or "empty" where there always was
// one. What is in hands is not counted, but takes room; a loan that ended beside one who was stopped inside (KINDS,
// above) is, for these, in hand until somebody has gone in.
int64_t shoal_queue_size(struct shoal_queue *q);
int shoal_queue_empty(struct shoal_queue *q);
int shoal_queue_full(struct shoal_queue *q);

// ---- placed in memory of the caller's: what the named forms stand on ----
uint64_t shoal_queue_size_(const struct shoal_queue_options *options);  // bytes, 0: absurd
// Zeroed memory, aligned to 64.
int shoal_queue_place_(void *memory, uint64_t size, const struct shoal_queue_options *options) SHOAL_MUST_CHECK;
int shoal_queue_attach_(void *memory, uint64_t size, uint32_t element_size, struct shoal_queue **out) SHOAL_MUST_CHECK;
struct shoal_queue_shm {
  shoal_atomic32 magic;  // last, by who makes it; all else is constant
  uint32_t kind;
  uint32_t element_size;
  uint32_t ring;  // bytes from here to the ring
  uint32_t overflow;
  uint32_t joinable;
  uint64_t extra;  // bytes from here to its struct shoal_queue_extra_shm; 0: none
  uint32_t reserved_[6];
  shoal_atomic64 discarded;  // who drops
  char type[SHOAL_QUEUE_TYPE_MAX + 1];
  struct shoal_eventcount wait;  // the roles follow, then the ring
};
SHOAL_STATIC_ASSERT(sizeof(struct shoal_queue_shm) == 256, "four lines; the roles follow");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_queue_shm, type) == 64, "the name has a line");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_queue_shm, wait) == 128, "the eventcount keeps its lines");

struct shoal_queue_extra_shm {  // of leases; their words, one a slot, follow
  shoal_atomic64 next;          // no lease runs out before; who has looked at all
  shoal_atomic64 expired, buried;
  uint64_t lease_ns;  // constant after init, as are the next two
  uint32_t delivery_max;
  uint32_t reserved_[7];
  char dead_letters[64];
};
SHOAL_STATIC_ASSERT(sizeof(struct shoal_queue_extra_shm) == 128, "two lines; the words follow");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_queue_extra_shm, dead_letters) == 64, "the name has a line");
SHOAL_STATIC_ASSERT(SHOAL_NAME_MAX < 64, "a name and its end");

struct shoal_queue_taken_ {  // a guess, where its thread's oldest message in hand stands; the kind knows how
  uint64_t from, last;
  uint32_t tid, count;
} SHOAL_ALIGNED(64);
struct shoal_queue_attempts_ {  // of a struct shoal_queue_op_: 0, -EAGAIN, -EPIPE, -EBUSY
  int (*put)(void *op), (*get)(void *op), (*put_n)(void *op), (*get_n)(void *op);
  int (*reserve)(void *op), (*receive)(void *op);
  int (*send)(void *op), (*recv)(void *op);  // of byte messages
};

struct shoal_queue {
  struct shoal_eventcount_view wait;  // first: what points at it is seen to hold the handle, by leak checkers too
  struct shoal_mpmc ring;             // of kind MPMC
  struct shoal_ordered ordered;       // of kinds FIFO, LIFO, PRIORITY
  const struct shoal_queue_kind_ *ops;
  uint32_t kind;
  uint32_t element_size;  // 0: byte messages
  uint32_t slot_size;     // of what lies in the ring
  uint32_t borrowed;      // `object` is another's to close
  uint32_t puts, gets;    // the kind, whose put, get goes inline; UINT32_MAX: attempt.put, .get
  uint32_t overflow, joinable;
  uint32_t leased, delivery_max;
  int64_t lease_ns;
  struct shoal_queue_extra_shm *extra;
  shoal_atomic64 *until;
  struct shoal_queue *dead;
  struct shoal_queue_taken_ *taken;      // of joinable ones, by consumer
  struct shoal_queue_attempts_ attempt;  // the kind's, under its policies
  struct shoal_queue_shm *shm;
  struct shoal_segment *segment;  // NULL: placed
  struct shoal_object object;
  struct shoal_heap *heap;      // of byte messages
  struct shoal_queue *mate;     // whoever joins this one joins it too, on the other side, if that is free
  shoal_atomic64 *keeper[2];    // of kind SPSC: the process that is still to take the role of a side; NULL: not told
  struct shoal_spsc_shm *spsc;  // of kind SPSC: the ring
  // of kind SPSC: the two roles, each for the thread that has it
  struct {
    struct shoal_spsc_producer ring;
    uint32_t lent;  // a reservation is out
    uint32_t tid;   // whose the role is; 0: nobody's here
  } producer SHOAL_ALIGNED(64);
  struct {
    struct shoal_spsc_consumer ring;
    uint32_t lent;  // a message is out
    uint32_t tid;
    uint64_t first;  // the first message of this owner: the last one may have died with it
    uint64_t told;   // `released` when a sleeping producer was last told
  } consumer SHOAL_ALIGNED(64);
  uint64_t spsc_bytes;   // of the ring; here it fills a gap,
  uint64_t message_max;  // and so does this: bytes
};

// ---- inline: what put and get do when nobody has to wait ----
// A put that was begun comes to nothing, and says so to who may wait for it. `rc`.
int shoal_queue_spsc_refused_(struct shoal_queue *q, int rc);
int shoal_queue_misfit_(const struct shoal_queue *q, uint32_t size);
void shoal_queue_spsc_released_(struct shoal_queue *q);

// Kind SPSC has no claim. Its producer says which message it is about to publish, in its word `busy`: as long as the
// consumer has not had that one, a put may be on its way, and who was told of the closing waits for it. Whoever sleeps
// or closes has the fence run here (shoal_fence_all), or these are full barriers (SHOAL_EC_EXCHANGE). Nor is
// list_op_pending set: who may sleep on either side is one thread, and it watches the other's live word.
SHOAL_INLINE void shoal_queue_spsc_begin_(struct shoal_queue *q, uint64_t n) {  // up to `n` are about to be published
  shoal_store32_relaxed(&q->wait.roles[0].busy, (uint32_t)(q->producer.ring.next + n));
}
SHOAL_INLINE void shoal_queue_spsc_barrier_(struct shoal_queue *q, struct shoal_role *role) {
  // [C1] pairs with [A1], [C2] pairs with [A2] in sync/eventcount.h
  if (SHOAL_UNLIKELY(q->wait.flags & SHOAL_EC_EXCHANGE)) shoal_add32_seq_cst(&role->busy, 0);
  SHOAL_COMPILER_BARRIER();
}

// 0, -EAGAIN, -EPIPE, -EBUSY
SHOAL_INLINE int shoal_queue_put_spsc_(struct shoal_queue *q, uint32_t me, const void *element, uint32_t size) {
  struct shoal_eventcount *ec = q->wait.shm;
  struct shoal_role *role = q->wait.roles;
  (void)me;
  if (SHOAL_UNLIKELY(q->producer.lent)) return -EBUSY;
  shoal_queue_spsc_begin_(q, 1);
  shoal_queue_spsc_barrier_(q, role);
  if (SHOAL_UNLIKELY(shoal_eventcount_closed(ec))) return shoal_queue_spsc_refused_(q, -EPIPE);
  int rc = shoal_spsc_put_(&q->producer.ring, element, shoal_spsc_shape_(size));
  if (SHOAL_UNLIKELY(rc)) return shoal_queue_spsc_refused_(q, rc);
  shoal_queue_spsc_barrier_(q, role);
  if (SHOAL_UNLIKELY(shoal_eventcount_asleep_(ec, SHOAL_CONSUMER))) shoal_eventcount_wake_(ec, SHOAL_CONSUMER, 1);
  return 0;
}

// 0, -EAGAIN, -EBUSY
SHOAL_INLINE int shoal_queue_get_spsc_(struct shoal_queue *q, uint32_t me, void *element, uint32_t size) {
  struct shoal_role *role = q->wait.roles + 1;
  (void)me;
  if (SHOAL_UNLIKELY(q->consumer.lent)) return -EBUSY;
  int rc = shoal_spsc_get_(&q->consumer.ring, element, shoal_spsc_shape_(size));
  shoal_queue_spsc_barrier_(q, role);
  if (SHOAL_UNLIKELY(shoal_eventcount_asleep_(q->wait.shm, SHOAL_PRODUCER))) shoal_queue_spsc_released_(q);
  return rc;
}

// Kind MPMC, in the place that the hint names: neither a loop nor a call beside the compare-and-set, which waits for
// every store before it. All that calls something ends the call: _any_ does the whole of it, _claimed_ all from the
// claim on, _told_ what is left when it is through.
int shoal_queue_put_any_(struct shoal_queue *q, const void *element, uint32_t size, shoal_deadline deadline);
int shoal_queue_get_any_(struct shoal_queue *q, void *element, uint32_t size, shoal_deadline deadline);
int shoal_queue_put_claimed_(struct shoal_queue *q, uint64_t at, const void *element, void *pending);
int shoal_queue_get_claimed_(struct shoal_queue *q, uint32_t me, uint64_t at, void *element, void *pending);
int shoal_queue_put_told_(struct shoal_queue *q, uint64_t at, void *pending);
int shoal_queue_get_told_(struct shoal_queue *q, uint64_t at, void *pending);

SHOAL_INLINE int shoal_queue_put_(struct shoal_queue *q, const void *element, uint32_t size, shoal_deadline deadline) {
  struct shoal_eventcount *ec = q->wait.shm;
  uint32_t me = shoal_role_cached_(&q->wait, SHOAL_PRODUCER);
  // a handle does not know its type, and more than fits would be written past the slot
  if (SHOAL_UNLIKELY((q->element_size != size) | (me == 0) | (q->puts > SHOAL_QUEUE_SPSC)))
    return shoal_queue_put_any_(q, element, size, deadline);
  if (SHOAL_UNLIKELY(q->puts == SHOAL_QUEUE_SPSC)) {
    int rc = shoal_queue_put_spsc_(q, me, element, size);
    return SHOAL_LIKELY(rc != -EAGAIN) ? rc : shoal_queue_put_any_(q, element, size, deadline);
  }
  struct shoal_thread_ *t = &shoal_thread_;
  void *pending = shoal_pending_set_(t, &q->wait.shm->bell);
  struct shoal_claim claim;
  if (SHOAL_LIKELY(shoal_mpmc_claim_put_here(&q->ring, me, size, &claim))) {  // [C1] of sync/eventcount.h
    if (SHOAL_UNLIKELY(shoal_eventcount_asleep_(ec, SHOAL_CONSUMER) | shoal_eventcount_closed(ec)))
      return shoal_queue_put_claimed_(q, claim.at, element, pending);
    memcpy(shoal_claim_data(&claim, size), element, size);
    shoal_mpmc_publish(&q->ring, &claim);
    if (SHOAL_UNLIKELY(shoal_eventcount_asleep_(ec, SHOAL_CONSUMER)))
      return shoal_queue_put_told_(q, claim.at, pending);
    shoal_pending_restore_(t, pending);
    return 0;
  }
  shoal_pending_restore_(t, pending);
  return shoal_queue_put_any_(q, element, size, deadline);
}

SHOAL_INLINE int shoal_queue_get_(struct shoal_queue *q, void *element, uint32_t size, shoal_deadline deadline) {
  struct shoal_eventcount *ec = q->wait.shm;
  uint32_t me = shoal_role_cached_(&q->wait, SHOAL_CONSUMER);
  if (SHOAL_UNLIKELY((q->element_size != size) | (me == 0) | (q->gets > SHOAL_QUEUE_SPSC)))
    return shoal_queue_get_any_(q, element, size, deadline);
  if (SHOAL_UNLIKELY(q->gets == SHOAL_QUEUE_SPSC)) {
    int rc = shoal_queue_get_spsc_(q, me, element, size);
    return SHOAL_LIKELY(rc != -EAGAIN) ? rc : shoal_queue_get_any_(q, element, size, deadline);
  }
  struct shoal_thread_ *t = &shoal_thread_;
  void *pending = shoal_pending_set_(t, &q->wait.shm->bell);
  struct shoal_role *role = shoal_role_at_(&q->wait, me);
  uint32_t busy = shoal_load32_relaxed(&role->busy);
  struct shoal_claim claim;
  shoal_store32_relaxed(&role->busy, busy + 1);  // seen by whoever sees the claim: that is a full barrier
  if (SHOAL_LIKELY(shoal_mpmc_claim_get_here(&q->ring, me, size, &claim))) {  // [C1] of sync/eventcount.h
    if (SHOAL_UNLIKELY(shoal_eventcount_asleep_(ec, SHOAL_PRODUCER)))
      return shoal_queue_get_claimed_(q, me, claim.at, element, pending);
    memcpy(element, shoal_claim_data(&claim, size), size);
    shoal_mpmc_commit(&q->ring, &claim);
    // [R6] pairs with [A6] in sync/eventcount.c: whoever sees the role idle sees the slot freed
    shoal_store32_release(&role->busy, busy);
    if (SHOAL_UNLIKELY(shoal_eventcount_asleep_for_room_(ec))) return shoal_queue_get_told_(q, claim.at, pending);
    shoal_pending_restore_(t, pending);
    return 0;
  }
  shoal_store32_relaxed(&role->busy, busy);
  shoal_pending_restore_(t, pending);
  return shoal_queue_get_any_(q, element, size, deadline);
}

// NULL: zeroes.
SHOAL_INLINE struct shoal_queue_options shoal_queue_options_(const struct shoal_queue_options *options) {
  struct shoal_queue_options o;
  if (options) o = *options;
  else memset(&o, 0, sizeof o);
  return o;
}

SHOAL_END

// The same for elements of type T. Only forwards, with a constant size. The type's name is T as it is spelt (`struct
// item` in C is not `item` in C++), or options.type: who told another opens it with shoal_queue_open_as.
// clang-format off
#define SHOAL_QUEUE_TYPED(name, T) \
  SHOAL_STATIC_ASSERT(sizeof(#T) <= SHOAL_QUEUE_TYPE_MAX + 1, "the type's name is too long"); \
  SHOAL_INLINE int name##_create(struct shoal_segment *seg, const char *as, const struct shoal_queue_options *options, struct shoal_queue **out) { struct shoal_queue_options o = shoal_queue_options_(options); o.element_size = sizeof(T); if (!o.type) o.type = #T; return shoal_queue_create(seg, as, &o, out); } \
  SHOAL_INLINE int name##_open_or_create(struct shoal_segment *seg, const char *as, const struct shoal_queue_options *options, struct shoal_queue **out) { struct shoal_queue_options o = shoal_queue_options_(options); o.element_size = sizeof(T); if (!o.type) o.type = #T; return shoal_queue_open_or_create(seg, as, &o, out); } \
  SHOAL_INLINE int name##_open(struct shoal_segment *seg, const char *as, struct shoal_queue **out) { return shoal_queue_open_as(seg, as, #T, sizeof(T), out); } \
  SHOAL_QUEUE_TYPED_USE_(name, T)
#define SHOAL_QUEUE_TYPED_USE_(name, T) \
  SHOAL_INLINE int name##_put(struct shoal_queue *q, const T *element, shoal_deadline deadline) { return shoal_queue_put_(q, element, sizeof(T), deadline); } \
  SHOAL_INLINE int name##_get(struct shoal_queue *q, T *element, shoal_deadline deadline) { return shoal_queue_get_(q, element, sizeof(T), deadline); } \
  SHOAL_INLINE int name##_put_n(struct shoal_queue *q, const T *elements, uint32_t n, shoal_deadline deadline) { return q->element_size == sizeof(T) ? shoal_queue_put_n(q, elements, n, deadline) : shoal_queue_misfit_(q, sizeof(T)); } \
  SHOAL_INLINE int name##_get_n(struct shoal_queue *q, T *elements, uint32_t n, shoal_deadline deadline) { return q->element_size == sizeof(T) ? shoal_queue_get_n(q, elements, n, deadline) : shoal_queue_misfit_(q, sizeof(T)); } \
  SHOAL_INLINE int name##_peek(struct shoal_queue *q, T *element, shoal_deadline deadline) { return q->element_size == sizeof(T) ? shoal_queue_peek(q, element, deadline) : shoal_queue_misfit_(q, sizeof(T)); }
// Of kind PRIORITY, by a member of T: the smallest first. Who opens it must mean the same member.
#define SHOAL_PRIORITY_TYPED(name, T, member) \
  SHOAL_STATIC_ASSERT(sizeof(#T) <= SHOAL_QUEUE_TYPE_MAX + 1, "the type's name is too long"); \
  SHOAL_INLINE struct shoal_queue_key name##_key(void) { struct shoal_queue_key key = {SHOAL_KEY_TYPE(__typeof__(((T *)0)->member)), (uint32_t)offsetof(T, member)}; return key; } \
  SHOAL_INLINE struct shoal_queue_options name##_options_(const struct shoal_queue_options *options) { struct shoal_queue_options o = shoal_queue_options_(options); o.element_size = sizeof(T); if (!o.type) o.type = #T; o.kind = SHOAL_QUEUE_PRIORITY; o.key = name##_key(); return o; } \
  SHOAL_INLINE int name##_create(struct shoal_segment *seg, const char *as, const struct shoal_queue_options *options, struct shoal_queue **out) { struct shoal_queue_options o = name##_options_(options); return shoal_queue_create(seg, as, &o, out); } \
  SHOAL_INLINE int name##_open_or_create(struct shoal_segment *seg, const char *as, const struct shoal_queue_options *options, struct shoal_queue **out) { struct shoal_queue_options o = name##_options_(options); return shoal_queue_open_or_create(seg, as, &o, out); } \
  SHOAL_INLINE int name##_open(struct shoal_segment *seg, const char *as, struct shoal_queue **out) { return shoal_queue_open_by_(seg, as, #T, sizeof(T), name##_key(), out); } \
  SHOAL_QUEUE_TYPED_USE_(name, T)
// clang-format on
