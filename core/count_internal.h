// core/count_internal.h: what is counted of a participant, and static tracepoints, side by side where they are due.
//
// Counted is what is rare: nothing of it lies on a path that neither sleeps, wakes, nor finds a dead one. How many
// messages went through a queue say the positions of its ring (struct shoal_queue_info).
//
// A participant's counts stand in a line of its slot which it alone writes, with plain stores. A line is never set
// back: who takes the slot next counts on from there, and has noted where it began. So the sum over all slots is the
// segment's, since it was made, the dead and those who left included; nothing has to be folded into it when a slot is
// reaped, so nothing can be lost or doubled by who is killed at that.
//
// TRACEPOINTS   provider "shoal", notes for perf, bpftrace and systemtap (tools/shoal/README.md), a nop each. Without
//          <sys/sdt.h>, which musl's compiler does not see, there are none.
//            block(word, until_ns)      about to sleep on it, or on it first; CLOCK_MONOTONIC
//            wake(word, asked, woken)   the kernel was told to wake so many, and woke so many
//            claim(word)                what a dead thread had - a role, a seat - is another's to undo
//            owner_died(word)           a lock is taken whose owner died with it
//            skip(at)                   a place is passed over, or free again, whose writer died
//            redeliver(at)              a message comes again, whose receiver died
//            reap(word)                 a dead participant's slot is free
#pragma once

#include "core/atomic.h"

#if defined __has_include && !defined SHOAL_UNCOUNTED_
#if __has_include(<sys/sdt.h>)
#define SHOAL_TRACED_ 1
#include <sys/sdt.h>
#endif
#endif
#ifndef SHOAL_TRACED_
#define STAP_PROBE1(provider, name, a) ((void)(a))
#define STAP_PROBE2(provider, name, a, b) ((void)(a), (void)(b))
#define STAP_PROBE3(provider, name, a, b, c) ((void)(a), (void)(b), (void)(c))
#endif

SHOAL_BEGIN

// As the members of struct shoal_counters (core/segment.h).
enum shoal_count_ {
  SHOAL_COUNT_BLOCKS_,
  SHOAL_COUNT_WAKES_,
  SHOAL_COUNT_WOKEN_,
  SHOAL_COUNT_CLAIMS_,
  SHOAL_COUNT_OWNER_DEATHS_,
  SHOAL_COUNT_SKIPS_,
  SHOAL_COUNT_REDELIVERIES_,
  SHOAL_COUNT_REAPS_,
  SHOAL_COUNTS_
};

// Adds to the calling thread's own count in the segment that `at` lies in. If it is no participant there - it has only
// used what another thread has opened - or has used more than eight segments, nothing is counted. What a signal handler
// counts may be lost. Keeps errno.
#ifndef SHOAL_UNCOUNTED_
void shoal_count_(const void *at, enum shoal_count_ which, uint64_t n);
#else  // what it would be without, for bench/count_bench.cc
SHOAL_INLINE void shoal_count_(const void *at, enum shoal_count_ which, uint64_t n) { (void)at, (void)which, (void)n; }
#endif

SHOAL_INLINE void shoal_note_claim_(const shoal_atomic32 *word) {
  STAP_PROBE1(shoal, claim, word);
  shoal_count_(word, SHOAL_COUNT_CLAIMS_, 1);
}
SHOAL_INLINE void shoal_note_owner_died_(const shoal_atomic32 *word) {
  STAP_PROBE1(shoal, owner_died, word);
  shoal_count_(word, SHOAL_COUNT_OWNER_DEATHS_, 1);
}
SHOAL_INLINE void shoal_note_skip_(const void *at) {
  STAP_PROBE1(shoal, skip, at);
  shoal_count_(at, SHOAL_COUNT_SKIPS_, 1);
}
SHOAL_INLINE void shoal_note_redeliver_(const void *at) {
  STAP_PROBE1(shoal, redeliver, at);
  shoal_count_(at, SHOAL_COUNT_REDELIVERIES_, 1);
}

SHOAL_END
