// sync/rwlock.h: many readers or one writer, between processes, of which none is waited for after its death.
//
// USE
//   struct shoal_rwlock *l = ...shoal_rwlock_size(0) bytes of shared memory...;
//   int rc = shoal_rwlock_init(l, 0);                              // once; or shoal_rwlock_create, by name
//   rc = shoal_rwlock_read_acquire(l, SHOAL_FOREVER);          // or write_acquire
//   if (rc == -EOWNERDEAD) { repair(); rc = shoal_rwlock_consistent(l); }  // held alone: a writer died inside
//   if (rc) return rc;
//   ...
//   shoal_rwlock_read_release(l);                                  // or write_release
//
// A reader has a seat (sync/seat.h) and sits in it while it reads: it stores to no line that other readers use. A
// writer takes a robust word (core/robust.h), shuts the door, and waits for one seated reader after the other. A reader
// that finds the door shut rises and waits at the writer's word like a writer; when it has the word it sits down and
// gives the word on. So neither side starves the other.
//
// SAFETY   everything from any thread of any process; releases only by who acquired (-EPERM). A thread that reads may
//          read again, writers waiting or not, and releases as often. A writer that would read, and a reader that would
//          write, is refused (-EDEADLK). A child of fork holds nothing. Not in signal handlers. The memory stays mapped
//          while the lock is held. init before, destroy after everything else. SHOAL_TRY may answer -EAGAIN because of
//          another's try. -ENOSYS to open: this process may not use membarrier. Of a lock in memory of the caller's
//          nobody asks: there a process that may not is to make it.
//          A reader for whom there is no seat has the lock alone, as a writer has.
// ORDERING [W1] the writer shuts the door, then looks at the seats
//          [B1] the reader sits down, then looks at the door
//            All sequentially consistent: one sees the other.
//          [W2] the writer says that it will sleep, then looks at the seat
//          [B2] the reader rises, then looks at the door
//            The reader has no barrier between the two: the writer pays for it (shoal_fence_all), once before it
//            sleeps. Where the kernel has no such fence the reader rises with an exchange (SHOAL_RWLOCK_EXCHANGE_).
//          [W3] the door is opened: what was written is seen; pairs with [B1]. [B2] pairs with [W1] of the next writer:
//          what is written then was not read before.
// CRASH    a reader dies: its seat is marked, who waits for it is woken, nothing is in doubt. A writer dies that
//          waited: the same. One that was inside, or a reader that had the lock alone: the next taker has -EOWNERDEAD
//          and the lock alone, a reader too; it repairs what the lock guards and says so (consistent). If it dies
//          before, the next has -EOWNERDEAD again; if it releases before, the lock is -ENOTRECOVERABLE for all, those
//          who sleep now included.
// COST     read pair: an exchange, eleven stores to the thread's own lines, two loads of one line that only writers
//          change. write pair: two compare-and-sets, an exchange, a look at each seat that was ever taken. A writer
//          that sleeps: a system call for the fence, one for the sleep, one in each reader that leaves meanwhile. A
//          thread for whom there is no seat asks the kernel at each acquire which of those who have one live still.
// SOURCE   readers' own lines: Linux's percpu-rwsem and lglocks, ck_brlock, folly::SharedMutex; the writer's fence:
//          percpu-rwsem.
#pragma once

#include <errno.h>

#include "core/futex.h"
#include "sync/named.h"
#include "sync/seat.h"

SHOAL_BEGIN

// The door. Changed by who has the writer's word.
enum {
  SHOAL_RWLOCK_OPEN = 0x72770000,  // readers come in
  SHOAL_RWLOCK_CLOSING,            // a writer waits for those inside
  SHOAL_RWLOCK_AWAITED,            // and may be asleep
  SHOAL_RWLOCK_WRITING,            // somebody is inside alone
  SHOAL_RWLOCK_IN_DOUBT,           // since a death; nobody has said yet that what it guards is in order
  SHOAL_RWLOCK_NOTRECOVERABLE,     // released in doubt
  SHOAL_RWLOCK_DESTROYED
};
#define SHOAL_RWLOCK_READERS 16u   // that info names
#define SHOAL_RWLOCK_EXCHANGE_ 1u  // flags: no shoal_fence_all here

struct shoal_rwlock {
  struct shoal_robust writer;  // writer.state: 0 held by a writer; n: by a reader, n deep. Who has the word
  shoal_atomic32 door;
  uint32_t flags;  // constant after init
  uint32_t reserved_[4];
  struct shoal_seats seats;  // a seat's live.state: how much deeper than once its owner reads
};
SHOAL_STATIC_ASSERT(sizeof(struct shoal_rwlock) == 128, "two lines; the seats follow");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_rwlock, door) == 40, "beside the word");

// Bytes of a lock for so many threads that read; 0 is SHOAL_SEATS_DEFAULT. 0: more than SHOAL_SEATS_MAX.
uint64_t shoal_rwlock_size(uint32_t threads);
// Any memory of that size, aligned to 64. 0, -EINVAL, -ENOSYS, -ENOMEM.
int shoal_rwlock_init(struct shoal_rwlock *l, uint32_t threads) SHOAL_MUST_CHECK;
// -EBUSY: held, nothing changed. A destroyed lock answers -EINVAL.
int shoal_rwlock_destroy(struct shoal_rwlock *l);
// Whether a lock stands in these `size` bytes: 0, -EPROTO; -ENOSYS.
int shoal_rwlock_check_(const struct shoal_rwlock *l, uint64_t size);
SHOAL_NAMED_(shoal_rwlock, uint32_t threads)  // _create, _open, _open_or_create, _close, _unlink

// 0 or, held by the caller alone, -EOWNERDEAD; -EDEADLK, -ENOTRECOVERABLE, -EINVAL; -EAGAIN (SHOAL_TRY), -ETIMEDOUT.
// Sleep. -EOVERFLOW: the thread reads 2^32 deep, or 2^32 - 1 where it has no seat.
SHOAL_INLINE int shoal_rwlock_read_acquire(struct shoal_rwlock *l, shoal_deadline deadline) SHOAL_MUST_CHECK;
int shoal_rwlock_write_acquire(struct shoal_rwlock *l, shoal_deadline deadline) SHOAL_MUST_CHECK;
// 0; -EPERM: the caller does not read, does not write.
SHOAL_INLINE int shoal_rwlock_read_release(struct shoal_rwlock *l);
SHOAL_INLINE int shoal_rwlock_write_release(struct shoal_rwlock *l);
// A writer goes on as a reader; nobody has written in between. 0; -EPERM; -EINVAL what it guards is in doubt.
int shoal_rwlock_downgrade(struct shoal_rwlock *l);
// What it guards is in order again; the caller has it alone still. 0; -EPERM; -EINVAL it was never in doubt.
int shoal_rwlock_consistent(struct shoal_rwlock *l);
// The calling thread will not read for long: its seat is for another. 0; -EBUSY: it reads.
int shoal_rwlock_leave(struct shoal_rwlock *l);

// For a block (sync/with.h): SHOAL_WITH (rc, shoal_reading(l)) { ... }, or shoal_writing(l), which may downgrade
// inside.
struct shoal_rwlock_reading;
struct shoal_rwlock_writing;
SHOAL_INLINE struct shoal_rwlock_reading *shoal_reading(struct shoal_rwlock *l) {
  return (struct shoal_rwlock_reading *)l;
}
SHOAL_INLINE struct shoal_rwlock_writing *shoal_writing(struct shoal_rwlock *l) {
  return (struct shoal_rwlock_writing *)l;
}

struct shoal_rwlock_info {
  uint32_t writer;                        // tid of who is inside alone, or is about to be; 0: nobody
  uint32_t readers;                       // threads that read; a snapshot
  uint32_t waiters;                       // 1: somebody may sleep
  uint32_t dead;                          // 1: who had it alone died, nobody has taken it since
  uint32_t state;                         // SHOAL_RWLOCK_*
  uint32_t reader[SHOAL_RWLOCK_READERS];  // tids of the first so many that read; 0 behind the last
};
int shoal_rwlock_info(const struct shoal_rwlock *l, struct shoal_rwlock_info *out);

// ---- inline ----
int shoal_rwlock_read_again_(struct shoal_rwlock *l, shoal_deadline deadline);
int shoal_rwlock_turned_away_(struct shoal_rwlock *l, struct shoal_seat *seat, shoal_deadline deadline);
int shoal_rwlock_read_release_slow_(struct shoal_rwlock *l);
int shoal_rwlock_write_release_slow_(struct shoal_rwlock *l);

SHOAL_INLINE int shoal_rwlock_reads_(const struct shoal_thread_ *t, const struct shoal_seat *seat) {
  return shoal_load32_relaxed(&seat->live.word) == (t->tid | FUTEX_WAITERS);
}

// As shoal_seat_sit_, with a barrier.
SHOAL_INLINE void shoal_rwlock_sit_(struct shoal_thread_ *t, struct shoal_seat *seat) {
  void *pending = shoal_pending_set_(t, &seat->live.word);
  shoal_exchange32_seq_cst(&seat->live.word, t->tid | FUTEX_WAITERS);  // [B1] pairs with [W1], [W3]
  shoal_robust_enlist_(t, &seat->live);
  shoal_pending_restore_(t, pending);
}
// Killed before the wake: pending points at a word without an owner, and the kernel wakes.
SHOAL_INLINE void shoal_rwlock_rise_(struct shoal_rwlock *l, struct shoal_thread_ *t, struct shoal_seat *seat) {
  void *pending = shoal_pending_set_(t, &seat->live.word);
  shoal_robust_delist_(t, &seat->live);
  if (SHOAL_UNLIKELY(l->flags & SHOAL_RWLOCK_EXCHANGE_)) shoal_exchange32_seq_cst(&seat->live.word, 0);  // [B2]
  else shoal_store32_release(&seat->live.word, 0);  // [B2] pairs with [W1], [W2]
  SHOAL_COMPILER_BARRIER();                         // [B2] the look is after it
  if (SHOAL_UNLIKELY(shoal_load32_seq_cst(&l->door) == SHOAL_RWLOCK_AWAITED)) shoal_futex_wake(&seat->live.word, 1);
  shoal_pending_restore_(t, pending);
}

// Linearized by the look at the door.
SHOAL_INLINE int shoal_rwlock_read_acquire(struct shoal_rwlock *l, shoal_deadline deadline) {
  struct shoal_thread_ *t = shoal_self_();
  struct shoal_seat *seat = shoal_seat_recall_(t, &l->seats);
  if (SHOAL_UNLIKELY(!seat || shoal_rwlock_reads_(t, seat))) return shoal_rwlock_read_again_(l, deadline);
  shoal_rwlock_sit_(t, seat);
  if (SHOAL_LIKELY(shoal_load32_seq_cst(&l->door) == SHOAL_RWLOCK_OPEN)) return 0;  // [B1]
  return shoal_rwlock_turned_away_(l, seat, deadline);
}

SHOAL_INLINE int shoal_rwlock_read_release(struct shoal_rwlock *l) {
  struct shoal_thread_ *t = shoal_self_();
  struct shoal_seat *seat = shoal_seat_recall_(t, &l->seats);
  if (SHOAL_UNLIKELY(!seat || !shoal_rwlock_reads_(t, seat) || seat->live.state))
    return shoal_rwlock_read_release_slow_(l);
  shoal_rwlock_rise_(l, t, seat);
  return 0;
}

// Killed between the two steps: the word is marked, the door is open: nothing is in doubt.
SHOAL_INLINE int shoal_rwlock_write_release(struct shoal_rwlock *l) {
  struct shoal_thread_ *t = shoal_self_();
  if (SHOAL_UNLIKELY(shoal_robust_owner(shoal_load32_relaxed(&l->writer.word)) != t->tid || l->writer.state ||
                     shoal_load32_relaxed(&l->door) != SHOAL_RWLOCK_WRITING))
    return shoal_rwlock_write_release_slow_(l);
  shoal_store32_release(&l->door, SHOAL_RWLOCK_OPEN);  // [W3] pairs with [B1]
  shoal_robust_release_as_(&l->writer, t);
  return 0;
}

// ---- for a block ----
SHOAL_INLINE int shoal_rwlock_reading_enter_(struct shoal_rwlock_reading *l, shoal_deadline deadline) {
  return shoal_rwlock_read_acquire((struct shoal_rwlock *)l, deadline);
}
SHOAL_INLINE int shoal_rwlock_reading_leave_(struct shoal_rwlock_reading *l) {
  return shoal_rwlock_read_release((struct shoal_rwlock *)l);
}
SHOAL_INLINE int shoal_rwlock_writing_enter_(struct shoal_rwlock_writing *l, shoal_deadline deadline) {
  return shoal_rwlock_write_acquire((struct shoal_rwlock *)l, deadline);
}
// What was entered as a writer may be left as a reader.
SHOAL_INLINE int shoal_rwlock_writing_leave_(struct shoal_rwlock_writing *l) {
  int rc = shoal_rwlock_write_release((struct shoal_rwlock *)l);
  return rc == -EPERM ? shoal_rwlock_read_release((struct shoal_rwlock *)l) : rc;
}

SHOAL_END
