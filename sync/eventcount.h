// sync/eventcount.h: the one sleeping protocol, and the roles that say who lives ("the bell").
//
// An object that somebody may have to wait for - a queue - embeds a struct shoal_eventcount with a table of roles
// behind it. A role is one thread on one side (producer, consumer) of one object. Operations run on the object's own
// words; this is where they go when there is nothing to do, and what they look at before they leave.
//
// USE (ipc/queue/queue.c is the model)
//   int me = shoal_role_mine(&view, SHOAL_CONSUMER);                  // joins with the first use
//   void *pending = shoal_pending_set_(shoal_self_(), &view.shm->bell);
//   int rc = attempt(&op);
//   if (rc == -EAGAIN) rc = shoal_eventcount_wait(&view, SHOAL_CONSUMER, me, attempt, &op, deadline);
//   shoal_pending_restore_(shoal_self_(), pending);
//
// WORDS
//   ev[side]     those of that side sleep here. A sequence above three bits: W somebody may sleep, W2 more than one may, E a
//                sleeper waits for the claims of others to end.
//   done         the same for joiners, who watch as consumers do, and whose peers are the consumers. What may make them right
//                to wake is followed by a full barrier, then by the look at this word.
//   bell         0, or SHOAL_BELL_CLOSED; never an owner. Every operation points list_op_pending at it and every sleeper waits
//                on it too: a thread that dies inside an operation, asleep or just woken has the kernel wake one
//                sleeper here.
//   live         one robust word per role: the kernel marks it at the thread's death and wakes one sleeper of it.
//   busy         its owner is inside a call that may hold a claim.      holder   it may hold claims between calls (for good).
//
// THE PROTOCOL
//   sleeper  arm (sequence, W) - attempt - look for witnesses - futex_waitv on {bell, ev, witnesses}, a second at most.
//     Witnesses: the owner of the claim in the way; every role that is busy, a holder, or being emptied by another; one
//     live peer (none left: end of stream). The bell comes first: a wake that the kernel forwards changes no value, but
//     what it replaces has changed ev, which is compared after it. More witnesses than futex_waitv takes (126): a
//     window that moves with every sleep; the rest is bounded by the re-check after one second.
//     Woken by ev: attempt. By anything else, or a dead role is about: ring first, so that everybody looks again
//     (futex_waitv tells one index only: an ev may hide a bell).
//   waker    claim (a full barrier) - [W: bump] - publish - [W: bump, wake one and as many as were overtaken].
//     The first bump makes a sleeper that armed before the claim, and is not queued yet, look again if the waker dies.
//   reaper   a dead role is adopted (its word taken over, enlisted: one reaper at a time, and if that one dies the word
//     is marked again), emptied by the object's `recover`, and left as its owner would have left it. Any survivor may.
//
// ORDERING
//   [A1] arm, then the loads of the attempt   |  [C1] the claim's compare-and-set, then the load of ev
//     The attempt sees no claim: the claim, so the load of ev, comes later and sees W. It sees one: the load of ev may
//     have run before its publish left the store buffer. Then, and only then, the sleeper pays for the fence of all
//     running threads (shoal_fence_all), and looks once more. Objects whose publish has no claim (SHOAL_EC_UNCLAIMED)
//     pay on every sleep. Where the kernel has no such fence, the object is made with SHOAL_EC_EXCHANGE: publish is an
//     exchange.
//   [R4] a role's word dropped, after what it stood for is undone; pairs with [A4] its next owner's take
//     (core/robust.c).
//
// SAFETY   all functions from any thread of any process; after fork a child has no roles: it joins anew.
//          In a signal handler, whatever it interrupts: an operation with SHOAL_TRY if its thread has the role already
//          (it may reap the dead: core/robust.h says why that is harmless), in a process that has made no more handles
//          than SHOAL_ROLE_CACHE_: with more, the interrupted call may hold another handle's role. Not: join, leave, a
//          wait.
// CRASH    at any instruction: no survivor sleeps beside work. Within what the kernel promises at once, else in a
//          second.
// COST     nobody asleep: two stores to the thread's own robust head, two loads of one shared line. A sleep: one system
//          call; a wake: one. A role: 64 bytes.
// SOURCE   prototype of this house, modelled in Spin with one death (tests/litmus) and swept (tests/crash).
#pragma once

#include "core/backoff.h"
#include "core/futex.h"
#include "core/robust.h"

SHOAL_BEGIN

enum { SHOAL_PRODUCER = 0, SHOAL_CONSUMER = 1 };  // the sides
enum { SHOAL_JOINER = 2 };  // a third one to sleep on, without roles: until all that was put is done with

#define SHOAL_ROLES_MAX 1024u  // per side
#define SHOAL_ROLES_DEFAULT 64u

#define SHOAL_BELL_CLOSED FUTEX_WAITERS
#define SHOAL_EV_W_ 1u
#define SHOAL_EV_W2_ 2u
#define SHOAL_EV_E_ 4u
#define SHOAL_EV_SEQUENCE_ 8u

#define SHOAL_EC_UNCLAIMED 1u  // the object publishes without a claim: a fence on every sleep
#define SHOAL_EC_EXCHANGE 2u   // publish by exchange: the kernel of the creator has no shoal_fence_all
#define SHOAL_EC_AWAITS 4u     // a producer waits for each consumer, and watches it; none is left: it goes on

struct shoal_role {
  struct shoal_robust live;  // the owner, an adopter, the kernel; live.state: how long the owner spins;
                             // live.user_: its pace (ipc/queue/mpmc.c)
  shoal_atomic32 busy;       // the owner
  shoal_atomic32 holder;     // the owner
  shoal_atomic32 pid, tid;   // the owner, when it joins; tid 0 until then. An adopted role's word has another tid
  shoal_atomic64 handle;     // the owner: the view it joined through
} SHOAL_ALIGNED(64);
SHOAL_STATIC_ASSERT(sizeof(struct shoal_role) == 64, "a role is a line");

struct shoal_eventcount {
  shoal_atomic32 ev[2];    // sleepers arm, wakers bump
  shoal_atomic32 bell;     // shoal_eventcount_close, _reopen
  uint32_t flags;          // SHOAL_EC_*; constant after init
  shoal_atomic32 seen[2];  // 1 once somebody joined that side
  shoal_atomic32 top[2];   // no role of that side at or above this place was ever used
  uint32_t roles[2];       // size of the tables; constant after init
  shoal_atomic32 done;     // as ev, of the joiners
  uint32_t reserved_[5];
  struct shoal_eventcount_counters {  // everybody, on slow paths only
    shoal_atomic64 wakes;             // calls that woke, or tried to
    shoal_atomic64 woken;             // sleepers woken by them
    shoal_atomic64 sleeps;
    shoal_atomic64 rings;   // everybody was told to look again
    shoal_atomic64 fences;  // shoal_fence_all
    shoal_atomic64 late;    // results that only the re-check brought: should be 0
    shoal_atomic64 reaped;  // dead roles emptied
    shoal_atomic64 joins;
  } counters;
} SHOAL_ALIGNED(64);
SHOAL_STATIC_ASSERT(sizeof(struct shoal_eventcount) == 128, "two lines; the roles follow");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_eventcount, counters) == 64, "counters keep off the first line");

struct shoal_eventcount_view;

// What the object must tell. `side` is the sleeper's, `me` its role.
struct shoal_wait_ops {
  // Why its next attempt must fail: 0 there is nothing, the role that owns the claim in the way, or SHOAL_BLOCKER_NONE:
  // by now it need not fail.
  uint32_t (*blocker)(struct shoal_eventcount_view *view, int side);
  // Undoes or hands on what `role` holds. Nobody else changes it meanwhile. Its caller rings afterwards. 0; or, nothing
  // changed, why not by `deadline` (SHOAL_TRY: within a second): -ETIMEDOUT, -EDEADLK.
  int (*recover)(struct shoal_eventcount_view *view, uint32_t role, shoal_deadline deadline);
  // End of the stream: 1 if other roles hold claims that could come back if they died, and `me` holds none. May be
  // NULL.
  int (*held)(struct shoal_eventcount_view *view, uint32_t me);
  // The calling thread is about to have a role on `side`: 0, or why not. May be NULL.
  int (*join)(struct shoal_eventcount_view *view, int side);
  // When an attempt may have another result though nobody wakes it (CLOCK_MONOTONIC); INT64_MAX: never. May be NULL.
  int64_t (*due)(struct shoal_eventcount_view *view, int side);
  // Whether this handle has taken its role on `side` for the calling thread, as its private memory knows. NULL: there
  // is nothing private to a role, and the shared words are believed.
  int (*owns)(struct shoal_eventcount_view *view, int side);
};
#define SHOAL_BLOCKER_NONE UINT32_MAX

struct shoal_eventcount_view {  // private; the object embeds it in its handle
  struct shoal_eventcount *shm;
  struct shoal_role *roles;  // role r is roles[r - 1]: producers first, then consumers
  uint32_t count[2];
  uint32_t flags;
  // So often, at most, who has spun in vain yields the processor and attempts again before it arms; 0: never. While it
  // yields nobody has to wake it, and it looks at no death. For objects whose sleepers outnumber the processors: each
  // yield may last as long as the others run. The object sets it, after the attach.
  uint32_t yields;
  uint64_t id;  // of the handle, never used twice in a process
  const struct shoal_wait_ops *ops;
  // Nobody lives on `side`: 1 if somebody may still come. NULL: as long as nobody was ever there. The object sets it,
  // after the attach. Its answer may change with nobody ringing; then the re-check notices.
  int (*expected)(struct shoal_eventcount_view *view, int side);
};

// A limit of the spin budgets, and of the yields, in this process; 0: sleep at once. For tests.
extern uint32_t shoal_spin_max_;

// ---- lifecycle ----
// Bytes of an eventcount and its tables, a multiple of 64; 0: a count is 0 or above SHOAL_ROLES_MAX.
uint64_t shoal_eventcount_size(uint32_t producers, uint32_t consumers);
// Zeroed memory, aligned to 64. `flags`: SHOAL_EC_UNCLAIMED, _AWAITS. -EINVAL, -ENOSYS.
int shoal_eventcount_init(struct shoal_eventcount *shm, uint32_t producers, uint32_t consumers,
                          uint32_t flags) SHOAL_MUST_CHECK;
// Checks what stands there against the `size` bytes that may be used. -EPROTO, -ENOSYS.
int shoal_eventcount_attach(struct shoal_eventcount_view *view, struct shoal_eventcount *shm, uint64_t size,
                            const struct shoal_wait_ops *ops) SHOAL_MUST_CHECK;

// ---- roles: 1.. or a negative errno ----
// The calling thread's role on that side, joined if need be. -EUSERS: as many as the table holds live.
SHOAL_INLINE int shoal_role_mine(struct shoal_eventcount_view *view, int side);
// The same without joining: 0 if it has none.
uint32_t shoal_role_known(struct shoal_eventcount_view *view, int side);
// Makes the role what holds claims between calls: sleepers watch it from now on.
void shoal_role_hold(struct shoal_eventcount_view *view, uint32_t role);
// Gives back what the role holds, and the role. 0, also if the thread has none there; as `recover`, and nothing
// changed.
int shoal_role_leave(struct shoal_eventcount_view *view, int side);
// Live roles of a side; a snapshot.
uint32_t shoal_role_count(const struct shoal_eventcount_view *view, int side);
// 1: another thread of this process has a role through this handle.
int shoal_role_elsewhere_(const struct shoal_eventcount_view *view);
// Empties and frees the roles of the dead. Sleepers do so by themselves. How many; as `recover`, if none could be.
int shoal_role_reap(struct shoal_eventcount_view *view);

// ---- waiting; list_op_pending points at the bell ----
// `side` may be SHOAL_JOINER; `me` is then the thread's consumer role, or 0.
// After an attempt that answered -EAGAIN. What an attempt answers, -EPIPE (closed, or no peer is left, and nothing can
// come any more), -ETIMEDOUT; with SHOAL_TRY it does not sleep, but looks after the dead all the same: -EAGAIN; as
// `recover`.
int shoal_eventcount_wait(struct shoal_eventcount_view *view, int side, uint32_t me, int (*attempt)(void *op), void *op,
                          shoal_deadline deadline) SHOAL_MUST_CHECK;
// ---- the steps of a wait, for who waits for several things at once (ipc/queue/select.c); side by side, one for each ----
//   arm - settle - futex_waitv on the bells, then the events and the witnesses of all - woken - attempt, or arm again
//   Its role is a holder (shoal_role_hold): pending points at one bell only, so that the others who sleep at these
//   objects have to watch its liveness word. Who leaves with what it took elsewhere hands on.
struct shoal_sleeper_ {  // private; zeroed, but for what its user sets
  struct shoal_eventcount_view *view;
  int (*attempt)(void *op);
  void *op;
  int side;
  uint32_t me;
  shoal_deadline deadline;              // for `recover`
  int can_sleep;                        // not SHOAL_TRY
  struct shoal_futex_entry *witnesses;  // `n` of `room`, chosen by settle
  uint32_t n, room;
  // ---- the steps ----
  struct shoal_futex_entry bell, ev;
  int fenced;    // since it was armed, or need not be; also by its user, after it has armed
  int blocked;   // a live role's claim is in the way
  int ending;    // closed, or no peer is left
  int draining;  // the end has come, but for claims of others; they ring when they are done, once W and E are armed
  int armed_for_end;  // `draining` when it was armed: if it is not now, arm again instead of sleeping
  int rung;           // told the others once that it is closed
  int doubt;          // attempts fail that should not: its words are damaged. It sleeps for a moment only
};
void shoal_sleeper_arm_(struct shoal_sleeper_ *s);
// Attempts and looks until there is a result, or nothing that moves (-EAGAIN: sleep).
int shoal_sleeper_settle_(struct shoal_sleeper_ *s);
// After a sleep that somebody, or nobody for too long, ended. BY_EVENT: also by the event of another object, which may
// hide that it was woken here.
enum shoal_woken_ { SHOAL_WOKEN_BY_EVENT_, SHOAL_WOKEN_BY_DEATH_, SHOAL_WOKEN_LATE_ };
void shoal_sleeper_woken_(struct shoal_sleeper_ *s, enum shoal_woken_ by);
// No sleep of it goes on beyond this time (nanoseconds, CLOCK_MONOTONIC): the object may have something of itself then.
int64_t shoal_sleeper_due_(const struct shoal_sleeper_ *s);
// It slept, and leaves without taking anything here: if somebody may have woken it here since it armed, another is
// woken.
void shoal_sleeper_hand_on_(struct shoal_sleeper_ *s);

// For everybody, until it is reopened; rings.
void shoal_eventcount_close(struct shoal_eventcount_view *view);
// Takes the closing back; rings. 0: it is not closed.
int shoal_eventcount_reopen(struct shoal_eventcount_view *view);
// Everybody looks again.
void shoal_eventcount_ring(struct shoal_eventcount *shm);

// ---- what an operation does beside its own words ----
SHOAL_INLINE int shoal_eventcount_asleep_(const struct shoal_eventcount *shm, int side) {
  // [C1] comes after the claim's compare-and-set; pairs with [A1]
  return (shoal_load32_seq_cst(&shm->ev[side]) & SHOAL_EV_W_) != 0;
}
// After a consumer has finished with something: a producer sleeps for room, or a consumer for the end of others'
// claims.
SHOAL_INLINE int shoal_eventcount_asleep_for_room_(const struct shoal_eventcount *shm) {
  return ((shoal_load32_seq_cst(&shm->ev[SHOAL_PRODUCER]) & SHOAL_EV_W_) |       // [C1]
          (shoal_load32_seq_cst(&shm->ev[SHOAL_CONSUMER]) & SHOAL_EV_E_)) != 0;  // [C1]
}
SHOAL_INLINE int shoal_eventcount_closed(const struct shoal_eventcount *shm) {
  // [C2] pairs with [A2]: an operation whose claim comes after the closing is seen by nobody who was told of the end
  return shoal_load32_seq_cst(&shm->bell) != 0;
}
SHOAL_INLINE int shoal_eventcount_joiner_asleep_(const struct shoal_eventcount *shm) {
  return (shoal_load32_seq_cst(&shm->done) & SHOAL_EV_W_) != 0;  // [C1]
}
void shoal_eventcount_bump_(struct shoal_eventcount *shm, int side);
void shoal_eventcount_wake_(struct shoal_eventcount *shm, int side, int n);

SHOAL_INLINE struct shoal_role *shoal_role_at_(const struct shoal_eventcount_view *view, uint32_t role) {
  return &view->roles[role - 1];
}
SHOAL_INLINE int shoal_role_valid_(const struct shoal_eventcount_view *view, uint32_t role) {
  return role - 1 < view->count[0] + view->count[1];
}
// What is no role at all is not dead: nobody may act on it.
SHOAL_INLINE int shoal_role_is_dead(const struct shoal_eventcount_view *view, uint32_t role) {
  if (!shoal_role_valid_(view, role)) return 0;
  // [A5] pairs with the kernel's mark: what the dead wrote is seen
  return shoal_robust_is_dead(shoal_load32_acquire(&shoal_role_at_(view, role)->live.word));
}

// A thread's roles, found by the handle's id; what does not fit is found in the table itself, by tid.
struct shoal_role_cache_ {
  uint64_t id;
  uint32_t epoch;  // shoal_thread_'s when it was written: a child of fork finds nothing here
  uint16_t role[2];
  uint64_t user_[2];  // for the object, by side; only a hint: another handle may have left it
};
SHOAL_STATIC_ASSERT(sizeof(struct shoal_role_cache_) == 32, "two a line");
SHOAL_STATIC_ASSERT(2 * SHOAL_ROLES_MAX <= UINT16_MAX, "a role fits");
#define SHOAL_ROLE_CACHE_ 128  // twice what a select may wait for
extern __thread struct shoal_role_cache_ shoal_role_cache_[SHOAL_ROLE_CACHE_]
    __attribute__((tls_model("initial-exec")));
int shoal_role_find_(struct shoal_eventcount_view *view, int side);

// 0: it has none there, or this has to be looked up.
SHOAL_INLINE uint32_t shoal_role_cached_(const struct shoal_eventcount_view *view, int side) {
  const struct shoal_role_cache_ *e = &shoal_role_cache_[view->id % SHOAL_ROLE_CACHE_];
  return SHOAL_LIKELY(e->id == view->id && e->epoch == shoal_epoch()) ? e->role[side] : 0;
}
SHOAL_INLINE int shoal_role_mine(struct shoal_eventcount_view *view, int side) {
  uint32_t role = shoal_role_cached_(view, side);
  return SHOAL_LIKELY(role != 0) ? (int)role : shoal_role_find_(view, side);
}

SHOAL_END
