// sync/barrier.h: a point that all parties reach before any goes on, and where nobody waits for the dead.
//
// USE
//   struct shoal_barrier *b = ...shoal_barrier_size(4) bytes of shared memory...;
//   int rc = shoal_barrier_init(b, 4, NULL);                          // once
//
//   rc = shoal_barrier_join(b);                                       // each party: from now on its death is noticed
//   while (rc == 0 && work()) {
//     rc = shoal_barrier_wait(b, SHOAL_FOREVER, &index);              // -EPIPE: a party died, gave up, or aborted it
//     if (rc == 0 && index == 0) report();                            // one of the four
//   }
//   shoal_barrier_leave(b);                                           // an exit without it is a death
//
// PARTIES  a thread is a party from its join, or its first wait, until it leaves or dies. There are as many places as
//          parties: another thread may take one that was left. Each place is waited for, also one that nobody has taken
//          yet.
// TURNS    a turn is completed when all have arrived; the next begins at once, also while some still return from the
//          last. It is broken if one of them gives up (its deadline passes), dies, fails in the action, or if anybody
//          aborts it. A broken barrier answers -EPIPE to all until somebody resets it.
// ACTION   run by the last to arrive, when all have and none has gone on. All parties of a turn name the same, or none
//          does.
// SAFETY   every call: any thread of any process that maps the memory, together; init before, destroy after everything
//          else. The memory stays mapped until the party has left. A child of fork is no party. Not in signal handlers.
// ORDERING [B1] an arrival pairs with [B2] the return of all others: what each did before is seen by each after.
// CRASH    killed at any instruction, between two turns too: all who wait, and all who come until the reset, have
//          -EPIPE. With SHOAL_BARRIER_DROP the others go on without it: its place is waited for no more (until a
//          newcomer takes it, who takes those never taken first), and the turn starts over among those who live, unseen
//          by them. Who dies in the action breaks it, too; with SHOAL_BARRIER_DROP another runs it again: it is to be
//          such that this does no harm. A turn all have arrived in may be completed, or broken, if one of them dies
//          then: it is the same for all. A reset whose caller dies in it is ended by who comes next.
// COST     no system call while the others come soon: a compare-and-set of one line, which carries everything; a few
//          stores to lines of one's own. Then the processor is given to others a few times; then a sleep. 64 bytes a
//          party.
// SOURCE   the sense-reversing centralized barrier (Hensgen, Finkel and Manber; Mellor-Crummey and Scott, TOCS 1991);
//          the behaviour is that of Python's threading.Barrier.
#pragma once

#include "sync/named.h"
#include "sync/seat.h"

SHOAL_BEGIN

#define SHOAL_BARRIER_MAX 1023u  // parties

#define SHOAL_BARRIER_DROP 1u  // who dies, or leaves, is waited for no more

// Why it is broken; 0: it is not.
enum {
  SHOAL_BARRIER_ABORTED = 1,
  SHOAL_BARRIER_TIMED_OUT = 2,
  SHOAL_BARRIER_DIED = 3,   // a party
  SHOAL_BARRIER_FAILED = 4  // the action
};

struct shoal_barrier {
  union {
    shoal_atomic64 word;      // everybody, by compare-and-set: see sync/barrier.c
    shoal_atomic32 half_[2];  // [1]: the turn, which sleepers compare
  };
  shoal_atomic32 gate;     // sync/gate.h
  shoal_atomic32 culprit;  // tid of who broke it last; for those who ask
  uint32_t parties;        // places; constant after init, like the rest; bounded wherever it is read
  uint32_t flags;
  int64_t timeout_ns;
  uint64_t reserved_[4];
  struct shoal_seats seats;  // event: SHOAL_BARRIER_DROPPED_; record: the turn its party waits in, if it does
} SHOAL_ALIGNED(64);
SHOAL_STATIC_ASSERT(sizeof(struct shoal_barrier) == 128, "the seats follow on lines of their own");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_barrier, seats) == 64, "a turn moves one line");

struct shoal_barrier_options {
  uint32_t flags;      // SHOAL_BARRIER_DROP
  int64_t timeout_ns;  // of waits for ever, which then are not; 0: none
};

// Bytes of a barrier of so many parties; 0: none, or more than SHOAL_BARRIER_MAX.
uint64_t shoal_barrier_size(uint32_t parties);
// 0, -EINVAL, -ENOSYS, -ENOMEM. `options` may be NULL.
int shoal_barrier_init(struct shoal_barrier *b, uint32_t parties,
                       const struct shoal_barrier_options *options) SHOAL_MUST_CHECK;
// -EBUSY: somebody waits or acts, or another living party has not left; nothing changed. The caller leaves. -EINVAL:
// destroyed already.
int shoal_barrier_destroy(struct shoal_barrier *b);
// `options` may be NULL.
SHOAL_NAMED_(shoal_barrier, uint32_t parties, const struct shoal_barrier_options *options)
// 0, -EPROTO: what stands there is no barrier, or does not fit.
int shoal_barrier_check_(const void *memory, uint64_t size);

// Makes the calling thread a party, if it is none. 0; -EUSERS: all places are taken, by the living; -EINVAL.
int shoal_barrier_join(struct shoal_barrier *b) SHOAL_MUST_CHECK;
// Gives the place back: the others wait for who takes it, or, with SHOAL_BARRIER_DROP, do without. 0, also if it has
// none. -EDEADLK: within the action.
int shoal_barrier_leave(struct shoal_barrier *b);

// Waits until all have arrived; joins. 0, and `*index`, if not NULL: 0 .. parties - 1, another for each, 0 for the last
// to arrive. -ETIMEDOUT: the caller's deadline has passed, and the barrier is broken, unless the caller is a newcomer
// and the others' action still runs; -EPIPE broken, or reset meanwhile. SHOAL_TRY: does not arrive unless it is the
// last, else -EAGAIN; a newcomer has joined all the same: it is waited for, its exit is a death, and where it took a
// dropped place the turn starts over. -EUSERS, -EINVAL as join. Sleeps.
int shoal_barrier_wait(struct shoal_barrier *b, shoal_deadline deadline, uint32_t *index) SHOAL_MUST_CHECK;
// The same; the last to arrive runs action(arg) before any goes on. If that answers anything but 0 the barrier is
// broken, and that is its caller's answer. A deadline of others that passes meanwhile breaks it, too. -EDEADLK: a wait
// within the action.
int shoal_barrier_wait_action(struct shoal_barrier *b, shoal_deadline deadline, int (*action)(void *arg), void *arg,
                              uint32_t *index) SHOAL_MUST_CHECK;

// Breaks it: all who wait, or come, have -EPIPE until it is reset. Anybody may. 0, also if it is broken; -EINVAL.
int shoal_barrier_abort(struct shoal_barrier *b);
// As new, whole or broken: those who wait have -EPIPE, places of the dead can be taken. Anybody may. 0, -EINVAL.
int shoal_barrier_reset(struct shoal_barrier *b);

struct shoal_barrier_info {
  uint32_t places;   // as made
  uint32_t parties;  // how many are waited for: fewer only with SHOAL_BARRIER_DROP
  uint32_t waiting;  // have arrived
  uint32_t broken;   // SHOAL_BARRIER_*
  uint32_t culprit;  // tid of who broke it
};
// A snapshot. 0, -EINVAL.
int shoal_barrier_info(const struct shoal_barrier *b, struct shoal_barrier_info *out);

enum {
  SHOAL_PARTY_NONE = 0,     // nobody has the place; it is waited for
  SHOAL_PARTY_DROPPED = 1,  // nobody has it, and nobody waits for it
  SHOAL_PARTY_AWAY = 2,     // has not arrived
  SHOAL_PARTY_WAITS = 3,    // has arrived
  SHOAL_PARTY_ACTS = 4,     // has arrived, and runs the action
  SHOAL_PARTY_DEAD = 5      // died, and nobody has noticed yet
};
struct shoal_barrier_party {
  uint32_t state;  // SHOAL_PARTY_*
  uint32_t tid;    // 0: nobody's
};
// Who has the place, and whether it has arrived: `place` 0 .. places - 1. A snapshot. 0, -EINVAL.
int shoal_barrier_party(const struct shoal_barrier *b, uint32_t place, struct shoal_barrier_party *out);

#define SHOAL_BARRIER_DROPPED_ 1u

SHOAL_END
