// core/futex.h: where every sleep of this library happens. All futexes are shared between processes.
#pragma once

#include "core/atomic.h"
#include "core/deadline.h"

SHOAL_BEGIN

// A sleeper that could miss a wake-up only by a fault it cannot see looks again this often.
#define SHOAL_RECHECK_NS INT64_C(1000000000)

// Sleeps while *word is `value`, until woken or `deadline`. 0 woken; -EAGAIN the word differs or a signal came;
// -ETIMEDOUT. Both 0 and -EAGAIN mean: look again.
int shoal_futex_wait(shoal_atomic32 *word, uint32_t value, shoal_deadline deadline);

// Wakes at most `n` sleepers; answers how many.
int shoal_futex_wake(shoal_atomic32 *word, int n);

// How many sleep there; changes nothing. For inspection, and for who must not take memory away from under sleepers.
int shoal_futex_sleepers(const shoal_atomic32 *word);

// Clears one bit of *word and wakes all who sleep there, in one step: nobody who saw the bit set can fall asleep
// between.
void shoal_futex_clear_and_wake(shoal_atomic32 *word, unsigned bit);

struct shoal_futex_entry {
  shoal_atomic32 *word;
  uint32_t value;
};
#define SHOAL_FUTEX_MANY 128

// Sleeps while every word has its value; they are queued and compared in order. The index of the word that woke it,
// -EAGAIN (a word differs, or a signal), -ETIMEDOUT. `n` is 1..SHOAL_FUTEX_MANY; `first` the index of the word to which
// wake-ups go that nothing is amiss with: without futex_waitv it sleeps there, and compares the others every 10 ms.
int shoal_futex_wait_many(const struct shoal_futex_entry *entries, unsigned n, unsigned first, shoal_deadline deadline);

// Whether there is a futex_waitv: kernels before 5.16 have none, nor has a process whose filter (seccomp) refuses it.
int shoal_futex_has_waitv(void);

// Every running thread of every registered process passes a full memory barrier before this returns: what the others
// had in their store buffers is visible. Pairs with nothing in the code of the others: it is their fence, at our
// expense. 0, or -ENOSYS where the kernel has no MEMBARRIER_CMD_GLOBAL_EXPEDITED (shoal_fence_all_register said so
// too).
int shoal_fence_all(void);
int shoal_fence_all_register(void);
// Of an object that was made where there is one, by a process that opens it: 0, or -ENOSYS, this one may not use it (a
// filter).
int shoal_fence_all_needed_(void);

SHOAL_END
