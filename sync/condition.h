// sync/condition.h: to wait, under a lock, until another says that something has changed.
//
// USE
//   struct shoal_condition *c = ...shoal_condition_size(0) bytes of shared memory...;
//   int rc = shoal_condition_init(c, 0);                    // once; or shoal_condition_create, by name
//
//   rc = shoal_lock_acquire(l, SHOAL_FOREVER);              // or an rlock, released wholly while the thread waits
//   while (rc == 0 && items == 0) rc = shoal_condition_wait(c, l, SHOAL_FOREVER);
//   if (rc == -EOWNERDEAD) ...held all the same: see sync/lock.h...
//
//   items++;  shoal_condition_notify(c, l, 1);  shoal_lock_release(l);      // held, too
//
// SAFETY   wait, wait_for and notify: any thread of any process, holding the lock, the same one for all who wait at a
//          time. info: anybody. One place is needed by each living thread that has ever waited. Not in signal handlers.
//          init before, destroy after everything else. The memory stays mapped while the thread waits.
// FAIRNESS a notification goes to the one that has waited longest. Who then gets the lock first is the lock's affair.
// SPURIOUS a wait may end without a notification, but hardly ever does: after a death - what a dead one was notified
//          of, and had nobody behind it to be given to, ends the next wait, or two deaths notify one too many - or when
//          the lock is in doubt. So look again, in a loop, or use wait_for.
// ORDERING [C1] falling asleep, then the look at the line | [C2] leaving it, then the look at who stands behind. Both
//          sequentially consistent: who falls asleep sees that the one before it has left, or is seen asleep and told.
//          [C3] a seat's ticket is written before it is in line; pairs with [C4] who finds it there.
//          [C5] a grant pairs with [C6] the one it is for: what the notifier did, though it holds no lock, is seen.
// CRASH    nothing of the condition needs repair. A notification is given to a thread (its event: granted) and is its
//          own until it has the lock again and has left the line: if it dies before, asleep, woken or inside the lock,
//          the next oldest is notified in its place. A notifier that dies has made some notifications and not the
//          others; those made wake. It died holding the lock, so the next taker has -EOWNERDEAD, and should notify all
//          once it has repaired. A waiter that finds its lock so holds it, and is told. Whoever dies holding the lock
//          before it has notified leaves all who wait asleep, until somebody takes the lock. They look at it once a
//          second: who finds it left by the dead, or given up, ends its wait as if notified.
// COST     notify, nobody waits: five loads. A wait: eight stores, an exchange, a compare-and-set or two, the lock's
//          pair; a system call to sleep and one to wake, none if it is notified while it spins. 64 bytes a place; every
//          look at the line reads a line of each place ever taken; notify(n) looks n times.
// SOURCE   the queue is that of POSIX condition variables with a FIFO policy; each waiter watches the one before it, as
//          in the lock of Craig, Landin and Hagersten, for its death instead of its release.
#pragma once

#include "sync/named.h"
#include "sync/rlock.h"
#include "sync/seat.h"

SHOAL_BEGIN

// Who waits holds a seat. What its words are:
//   event   0 out of line | AWAKE | ASLEEP | GRANTED, below
//   record  its ticket: who entered the line before whom. Written by its owner, under the lock
#define SHOAL_CONDITION_ASLEEP_ FUTEX_WAITERS                      // waits, and may sleep: to change it is to wake it
#define SHOAL_CONDITION_AWAKE_ (FUTEX_WAITERS | FUTEX_OWNER_DIED)  // waits, and looks at the line before it sleeps
#define SHOAL_CONDITION_GRANTED_ FUTEX_OWNER_DIED                  // notified. To the kernel none of them has an owner

struct shoal_condition {
  shoal_atomic64 tickets;  // the last one given; by whoever holds the lock
  shoal_atomic64 served;   // nobody with this or an older ticket waits for a notification; by whoever holds the lock
  uint32_t magic;          // constant until it is destroyed
  uint32_t reserved_[11];
  struct shoal_seats seats;
} SHOAL_ALIGNED(64);
SHOAL_STATIC_ASSERT(sizeof(struct shoal_condition) == 128, "the seats follow on lines of their own");

// Bytes for `threads` that wait, 0: SHOAL_SEATS_DEFAULT; 0 if they are more than SHOAL_SEATS_MAX.
uint64_t shoal_condition_size(uint32_t threads);
// 0, -EINVAL too many, -ENOSYS, -ENOMEM.
int shoal_condition_init(struct shoal_condition *c, uint32_t threads) SHOAL_MUST_CHECK;
// -EBUSY: somebody is in line, nothing changed. A destroyed condition answers -EINVAL.
int shoal_condition_destroy(struct shoal_condition *c);
SHOAL_NAMED_(shoal_condition, uint32_t threads)  // _create, _open, _open_or_create, _close, _unlink
// 0, -EPROTO: what stands there is no condition, or does not fit.
int shoal_condition_check_(const void *memory, uint64_t size);

// What a condition waits with, by the pointer's type: SHOAL_CONDITION_LOCK_ makes it.
struct shoal_condition_lock_ {
  struct shoal_lock *lock;
  uint32_t recursive;  // it is an rlock's
};

// int shoal_condition_wait(c, lock, shoal_deadline deadline)
// Releases the lock, sleeps until it is notified or `deadline`, and takes the lock again, for however long that takes.
// The lock is held: 0 notified; -ETIMEDOUT, or -EAGAIN for SHOAL_TRY, which lets others have the lock, too; -EOWNERDEAD
// as of shoal_lock_acquire, notified or not. It is not: -ENOTRECOVERABLE as of shoal_lock_acquire; all who wait end
// like that; -EDEADLK of its order, and the next is notified instead. Nothing was done: -EPERM the lock is not the
// caller's, -EINVAL no condition, or the lock is in doubt, -EUSERS no place.
#define shoal_condition_wait(c, lock, deadline) shoal_condition_wait_((c), SHOAL_CONDITION_LOCK_(lock), (deadline))

// int shoal_condition_wait_for(c, lock, int (*predicate)(void *), void *arg, shoal_deadline deadline)
// Waits until predicate(arg), called with the lock held, is not 0. Answers as wait; 0: it holds.
#define shoal_condition_wait_for(c, lock, predicate, arg, deadline) \
  shoal_condition_wait_for_((c), SHOAL_CONDITION_LOCK_(lock), (predicate), (arg), (deadline))

// int shoal_condition_notify(c, lock, uint32_t n), notify_all(c, lock)
// Notifies the `n` that have waited longest, fewer if they are not so many. 0; -EPERM the lock is not the caller's,
// -EINVAL.
#define shoal_condition_notify(c, lock, n) shoal_condition_notify_((c), SHOAL_CONDITION_LOCK_(lock), (n))
#define shoal_condition_notify_all(c, lock) \
  shoal_condition_notify_((c), SHOAL_CONDITION_LOCK_(lock), SHOAL_CONDITION_ALL_)
#define SHOAL_CONDITION_ALL_ UINT32_MAX

struct shoal_condition_info {
  uint32_t waiters;  // wait for a notification
  uint32_t granted;  // notified, and do not yet have the lock again
  uint32_t dead;     // died in line, nobody has looked since
  uint32_t places;   // of threads that may wait
  uint64_t waits;    // ever begun
};
// A snapshot. 0, -EINVAL.
int shoal_condition_info(const struct shoal_condition *c, struct shoal_condition_info *out);

int shoal_condition_wait_(struct shoal_condition *c, struct shoal_condition_lock_ lock,
                          shoal_deadline deadline) SHOAL_MUST_CHECK;
int shoal_condition_wait_for_(struct shoal_condition *c, struct shoal_condition_lock_ lock, int (*predicate)(void *),
                              void *arg, shoal_deadline deadline) SHOAL_MUST_CHECK;
int shoal_condition_notify_(struct shoal_condition *c, struct shoal_condition_lock_ lock, uint32_t n);

SHOAL_INLINE struct shoal_condition_lock_ shoal_condition_lock_(struct shoal_lock *lock) {
  struct shoal_condition_lock_ l = {lock, 0};
  return l;
}
SHOAL_INLINE struct shoal_condition_lock_ shoal_condition_rlock_(struct shoal_rlock *lock) {
  struct shoal_condition_lock_ l = {&lock->lock, 1};
  return l;
}

SHOAL_END

#ifdef __cplusplus
inline struct shoal_condition_lock_ shoal_condition_with_(struct shoal_lock *l) { return shoal_condition_lock_(l); }
inline struct shoal_condition_lock_ shoal_condition_with_(struct shoal_rlock *l) { return shoal_condition_rlock_(l); }
#define SHOAL_CONDITION_LOCK_(lock) shoal_condition_with_(lock)
#else
#define SHOAL_CONDITION_LOCK_(lock) \
  _Generic((lock), struct shoal_lock * : shoal_condition_lock_, struct shoal_rlock * : shoal_condition_rlock_)(lock)
#endif
