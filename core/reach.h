// core/reach.h: how far memory may be touched, whatever a number that stands in it says.
//
// An object with a table behind it says in shared memory how many entries it has, and who may write there may say more.
// What may be touched is not asked of the object: of one that this process has open by name it is known, noted in
// memory of its own when it was opened (sync/named.h); of any other the kernel is asked what is mapped behind it.
//
// USE
//   uint64_t bytes = shoal_reach_(table, (uint64_t)count * sizeof *table);  // as many of these as may be touched
//
// SAFETY   any thread; in a signal handler, too. What is noted is inherited by fork.
// COST     the same again, or fewer: five loads of private memory; a call more for one of two objects in a set. Else a
//          look at what is noted, or a system call a page.
// SOURCE   that the kernel tells by rt_sigprocmask what it can read: Abseil, debugging/internal/address_is_readable.
#pragma once

#include "core/atomic.h"

SHOAL_BEGIN

struct shoal_reach_cache_ {
  const void *from;
  uint64_t bytes;
  uint64_t changes;
};
#define SHOAL_REACH_SETS_ 16
extern __thread struct shoal_reach_cache_ shoal_reach_cache_[SHOAL_REACH_SETS_][2]
    __attribute__((tls_model("initial-exec")));  // the one asked for last stands first
extern shoal_atomic64 shoal_reach_changes_;      // of what is noted

uint64_t shoal_reach_slow_(const void *from, uint64_t bytes);
// Objects stand a line, a page or a power of two apart, mostly: Fibonacci hashing spreads those best (Knuth, 6.4).
SHOAL_INLINE struct shoal_reach_cache_ *shoal_reach_set_(const void *from) {
  return shoal_reach_cache_[(uintptr_t)from * UINT64_C(0x9e3779b97f4a7c15) >> 60];
}
SHOAL_STATIC_ASSERT(SHOAL_REACH_SETS_ == 1 << (64 - 60), "as many as the hash has values");

// A signal handler may have put another there between any two of these loads, but is done with it by the next one.
SHOAL_INLINE int shoal_reach_known_(const struct shoal_reach_cache_ *e, const void *from, uint64_t bytes) {
  if (e->from != from) return 0;
  SHOAL_COMPILER_BARRIER();
  int enough = bytes <= e->bytes && e->changes == shoal_load64_relaxed(&shoal_reach_changes_);
  SHOAL_COMPILER_BARRIER();
  return enough && e->from == from;
}

// How many of `bytes` from `from` may be touched: aligned to 8, and behind the head of its object.
SHOAL_INLINE uint64_t shoal_reach_(const void *from, uint64_t bytes) {
  return SHOAL_LIKELY(shoal_reach_known_(shoal_reach_set_(from), from, bytes)) ? bytes : shoal_reach_slow_(from, bytes);
}

// This process has an object of `size` bytes open there, or has it open no more. Twice noted is twice forgotten. What
// does not fit the table is not noted: the kernel is asked.
void shoal_reach_note_(const void *memory, uint64_t size);
void shoal_reach_forget_(const void *memory);
void shoal_reach_forget_all_(const void *base, uint64_t length);  // of a mapping that goes

// How many of `bytes` from `from` the kernel can read. Nothing is remembered.
uint64_t shoal_readable_(const void *from, uint64_t bytes);
// Whether the kernel can write the word, which it leaves as it is.
int shoal_writable_(const shoal_atomic32 *word);

SHOAL_END
