// sync/seqlock.h: a value that is read without a store, beside a writer, who may die in the middle of it.
//
// USE
//   SHOAL_SEQLOCK_TYPED(quote, struct quote)
//
//   struct shoal_seqlock *s = ...quote_size() bytes of shared memory...;  quote_init(s, &first);  // once
//   rc = quote_load(s, &q);                                  // any reader: the whole value of one moment, not a mix of two
//   rc = quote_store(s, &q, SHOAL_FOREVER);                  // a writer
//
//   struct quote *draft;                                     // or in place: the value that is there, to be changed
//   rc = quote_begin(s, &draft, SHOAL_FOREVER);
//   draft->bid += 1;
//   rc = quote_commit(s);                                    // shoal_seqlock_cancel: as if never begun
//
// There are two copies, of versions n and n - 1 (the "latch"). A writer, who holds a robust word (core/robust.h), fills
// the older one with version n + 1 and publishes it by one store. A reader copies the younger one, and does so again if
// its place was filled anew meanwhile: not before version n + 2 is begun.
//
//   sequence   twice the version that is to be read; one more from when the next one's words are written
//
// SAFETY   load: any thread, in signal handlers, through a read-only mapping. store, begin, commit, cancel: any thread;
//          whoever has begun commits or cancels (-EPERM) and begins nothing more (-EDEADLK). The memory stays mapped
//          meanwhile. The draft is the writer's alone. The value is copied byte by byte: it has no pointers that mean
//          anything elsewhere.
// ORDERING [S1] the sequence is published after the words; pairs with [S2], who reads it before them.
//          [S3], [S4] are [W1], [W2] of core/words.h: each word is written after the sequence has said so; who reads
//          such a word in the older place sees, after it, a sequence that tells it to begin again. Released and
//          acquired word by word, so that no fence is needed that a sanitizer does not know; on x86-64 these are plain
//          moves.
//          [S5] pairs with [S2]: who reads that the next version is being written sees this one's words, which another
//          thread may have published: the store of one thread does not pass on what another's released.
// CRASH    a writer dies, at any instruction: readers read the last version that was published. The next writer begins
//          from that; nothing is in doubt, so nobody is told. Readers hold nothing.
// COST     load: two loads of the sequence, one of each word; again for each two versions that were published
//          meanwhile. It is never blocked, by a dead or stopped writer either, but has no bound beside writers who
//          never pause. store: what a lock costs, and a store a word; commit the same. Values of at most 24 bytes share
//          the sequence's line.
// SOURCE   Linux's seqcount_latch; Boehm, "Can Seqlocks Get Along with Programming Language Memory Models?", MSPC 2012.
#pragma once

#include "core/robust.h"
#include "core/words.h"
#include "sync/named.h"

SHOAL_BEGIN

#define SHOAL_SEQLOCK_MAX (UINT64_C(1) << 30)  // bytes of a value
#define SHOAL_SEQLOCK_SMALL_ 24u               // two such values and the sequence: a line

struct shoal_seqlock {
  struct shoal_robust writer;
  uint64_t kind;   // SHOAL_SEQLOCK_KIND_ until it is destroyed
  uint64_t size;   // of a value; constant until it is destroyed
  uint64_t draft;  // the version that the draft is a copy of; 0: none. Who has the word
  shoal_atomic64 sequence;
  uint64_t small_[7];  // both copies of a small value
} SHOAL_ALIGNED(64);
SHOAL_STATIC_ASSERT(sizeof(struct shoal_seqlock) == 128,
                    "two lines; then the copies, unless they are small, and the draft");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_seqlock, sequence) == 64, "readers keep off the writers' line");

// Bytes of a lock with values of `size` bytes; 0: none, or more than SHOAL_SEQLOCK_MAX.
uint64_t shoal_seqlock_size(uint64_t size);
// Any memory of that size, aligned to 64. `first`: the value, NULL: zeros. 0, -EINVAL, -ENOSYS, -ENOMEM.
int shoal_seqlock_init(struct shoal_seqlock *s, uint64_t size, const void *first) SHOAL_MUST_CHECK;
// -EBUSY: a writer has it, nothing changed. A destroyed one answers -EINVAL.
int shoal_seqlock_destroy(struct shoal_seqlock *s);
// Whether one stands in these `size` bytes: 0, -EPROTO.
int shoal_seqlock_check_(const struct shoal_seqlock *s, uint64_t size);
SHOAL_NAMED_(shoal_seqlock, uint64_t size, const void *first)  // _create, _open, _open_or_create, _close, _unlink
// The same, and its values have `size` bytes: -EBADMSG.
int shoal_seqlock_open_sized(struct shoal_segment *seg, const char *name, uint64_t size,
                             struct shoal_seqlock **out) SHOAL_MUST_CHECK;
int shoal_seqlock_open_or_create_sized(struct shoal_segment *seg, const char *name, uint64_t size, const void *first,
                                       struct shoal_seqlock **out) SHOAL_MUST_CHECK;

// The value that was current at some moment of the call: 0; -EBADMSG its size is another, -EINVAL. Never sleeps.
SHOAL_INLINE int shoal_seqlock_load(const struct shoal_seqlock *s, void *out, uint64_t size) SHOAL_MUST_CHECK;
// 0; -EDEADLK, -EBADMSG, -EINVAL; -EAGAIN (SHOAL_TRY), -ETIMEDOUT. Sleep, for writers only.
int shoal_seqlock_store(struct shoal_seqlock *s, const void *value, uint64_t size,
                        shoal_deadline deadline) SHOAL_MUST_CHECK;
int shoal_seqlock_begin(struct shoal_seqlock *s, uint64_t size, void **draft, shoal_deadline deadline) SHOAL_MUST_CHECK;
// 0; -EPERM: the caller has begun nothing; -EBADMSG: begun still.
int shoal_seqlock_commit(struct shoal_seqlock *s, uint64_t size);
int shoal_seqlock_cancel(struct shoal_seqlock *s);
// How many values were published, the first included: what a reader compares to learn that there is another.
SHOAL_INLINE uint64_t shoal_seqlock_version(const struct shoal_seqlock *s) {
  return shoal_load64_acquire(&s->sequence) / 2;  // [S2] pairs with [S1]
}

struct shoal_seqlock_info {
  uint64_t version, size;
  uint32_t writer;   // tid of who has begun; 0: nobody
  uint32_t waiters;  // 1: somebody may sleep
  uint32_t dead;     // 1: who had begun died, nobody has begun since
};
int shoal_seqlock_info(const struct shoal_seqlock *s, struct shoal_seqlock_info *out);

// ---- inline ----
#define SHOAL_SEQLOCK_KIND_ UINT64_C(0x6b636f6c716573)  // "seqlock"
int shoal_seqlock_refuse_(const struct shoal_seqlock *s, uint64_t size);

// The copy of `version`. From the caller's size, never from the shared one.
SHOAL_INLINE shoal_atomic64 *shoal_seqlock_copy_(const struct shoal_seqlock *s, uint64_t size, uint64_t version) {
  uint64_t place = version & 1, line = (size + 63) / 64 * 64, word = (size + 7) / 8;
  uintptr_t at =
      size <= SHOAL_SEQLOCK_SMALL_ ? (uintptr_t)(&s->sequence + 1 + place * word) : (uintptr_t)(s + 1) + place * line;
  return (shoal_atomic64 *)at;
}

SHOAL_INLINE int shoal_seqlock_load(const struct shoal_seqlock *s, void *out, uint64_t size) {
  if (SHOAL_UNLIKELY(__atomic_load_n(&s->size, __ATOMIC_RELAXED) != size)) {
    int rc = shoal_seqlock_refuse_(s, size);
    return rc ? rc : -EINVAL;  // never 0, as the compiler has to know of `out`
  }
  uint64_t stable;
  do {
    stable = shoal_load64_acquire(&s->sequence) & ~UINT64_C(1);  // [S2] pairs with [S1]
    shoal_words_read_(shoal_seqlock_copy_(s, size, stable / 2), out, size);
    // Again, if its place is being filled for stable + 4.
  } while (SHOAL_UNLIKELY(shoal_load64_relaxed(&s->sequence) - stable > 2));
  return 0;
}

// ---- typed ----
// clang-format off
#define SHOAL_SEQLOCK_TYPED(name, T) \
  SHOAL_INLINE uint64_t name##_size(void) { return shoal_seqlock_size(sizeof(T)); } \
  SHOAL_INLINE int name##_init(struct shoal_seqlock *s, const T *first) { return shoal_seqlock_init(s, sizeof(T), first); } \
  SHOAL_INLINE int name##_create(struct shoal_segment *seg, const char *as, const T *first, struct shoal_seqlock **out) { return shoal_seqlock_create(seg, as, sizeof(T), first, out); } \
  SHOAL_INLINE int name##_open(struct shoal_segment *seg, const char *as, struct shoal_seqlock **out) { return shoal_seqlock_open_sized(seg, as, sizeof(T), out); } \
  SHOAL_INLINE int name##_open_or_create(struct shoal_segment *seg, const char *as, const T *first, struct shoal_seqlock **out) { return shoal_seqlock_open_or_create_sized(seg, as, sizeof(T), first, out); } \
  SHOAL_INLINE int name##_load(const struct shoal_seqlock *s, T *out) { return shoal_seqlock_load(s, out, sizeof(T)); } \
  SHOAL_INLINE int name##_store(struct shoal_seqlock *s, const T *value, shoal_deadline deadline) { return shoal_seqlock_store(s, value, sizeof(T), deadline); } \
  SHOAL_INLINE int name##_begin(struct shoal_seqlock *s, T **draft, shoal_deadline deadline) { void *at = NULL; int rc = shoal_seqlock_begin(s, sizeof(T), &at, deadline); if (rc == 0) *draft = (T *)at; return rc; } \
  SHOAL_INLINE int name##_commit(struct shoal_seqlock *s) { return shoal_seqlock_commit(s, sizeof(T)); }
// clang-format on

SHOAL_END
