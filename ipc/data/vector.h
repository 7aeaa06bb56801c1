// ipc/data/vector.h: an array that grows while others read it.
//
// USE
//   SHOAL_VECTOR_TYPED(samples, struct sample)
//
//   struct shoal_vector v;
//   rc = samples_create(seg, "log", NULL, &v);                      // or _open, _open_or_create; NULL: no name, for my children
//   rc = samples_append(&v, &s, &index, SHOAL_FOREVER);             // any process; behind all that are there
//   for (uint64_t i = 0, n = shoal_vector_length(&v); i < n; i++) {
//     struct sample *at;
//     rc = samples_at(&v, i, &at);                                  // the same place for ever
//   }
//   rc = shoal_vector_close(&v);
//
// Elements lie in chunks, each as large as all before it; a chunk never moves and never goes before the vector does. So
// a reader needs no lock, maps nothing anew, and keeps its pointers.
//
//   kind size first limit | type's name | writer | count, where the chunks are | chunk 0      chunk 1, 2, 4 ... times as large:
//                                                                                             parts of the object
//
// SAFETY   all but close: any thread of any process, together. What several change in one element is theirs to order
//          (ipc/data/number.h). A view is one process's; a child of fork inherits it. close: alone.
// ORDERING [G1] the count is published after the elements, and where their chunk is; pairs with [G2], who reads it
//          before them.
// CRASH    append, extend, grow: killed at any instruction, all of them are there, or none; the next begins from that,
//          and is told nothing. A chunk that was made is found again. Readers hold nothing.
// HOSTILE  contents: places and lengths are checked against this process's own. A peer that may write can make calls
//          fail or wait, and give other elements; never an access outside the segment, nor an append over a word that
//          the calling thread holds. Of what `at` lends that is not looked at: who writes there while it holds others'
//          locks trusts its peers.
// COST     at: a load of the count, one of private memory; the first time in each chunk, a look where it is. append:
//          what a lock costs, and a copy. A chunk: an object of the segment's (shoal_segment_options.objects).
#pragma once

#include <string.h>

#include "core/directory.h"
#include "core/robust.h"

SHOAL_BEGIN

#define SHOAL_VECTOR_TYPE_MAX 63  // bytes of an element type's name, without the final NUL
#define SHOAL_VECTOR_CHUNKS 40u
#define SHOAL_VECTOR_KIND_ UINT64_C(0x726f746365760a)

struct shoal_vector_shm {  // NOLINT(clang-analyzer-optin.performance.Padding): lines apart
  // The creator, and nobody afterwards.
  uint64_t kind;
  uint64_t size;   // bytes of an element
  uint64_t first;  // elements of chunk 0, and of chunk 1: a power of two
  uint64_t limit;  // elements
  uint64_t reserved_[4];
  char type[SHOAL_VECTOR_TYPE_MAX + 1];
  struct shoal_robust writer SHOAL_ALIGNED(SHOAL_CACHE_LINE);
  // Who has the writer word.
  shoal_atomic64 count SHOAL_ALIGNED(SHOAL_CACHE_LINE);  // never goes back
  shoal_atomic64 chunk[SHOAL_VECTOR_CHUNKS];             // offsets; of chunk 0, which is behind this, none
  uint64_t reserved2_[7];
};
SHOAL_STATIC_ASSERT(sizeof(struct shoal_vector_shm) == 576, "layout");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_vector_shm, writer) == 128, "layout");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_vector_shm, count) == 192, "layout");

struct shoal_vector {  // this process's view
  struct shoal_vector_shm *shm;
  uint64_t size, limit;  // bytes of an element; elements, at most
  uint64_t shift_;       // log2 of `first`
  struct shoal_segment *seg_;
  struct shoal_object object_;
  char *chunk_[SHOAL_VECTOR_CHUNKS];  // as far as they were needed
};

struct shoal_vector_options {  // zero: the default
  uint64_t first;              // elements there is room for to begin with (64); rounded up to a power of two
  uint64_t limit;              // elements, at most (2^39 times as many as to begin with, or 64 TiB)
};

// `name` NULL: for the caller and the children it forks. -EINVAL, -ENAMETOOLONG, and the codes of shoal_object_create.
int shoal_vector_create(struct shoal_segment *seg, const char *name, const char *type, uint64_t size,
                        const struct shoal_vector_options *options, struct shoal_vector *out) SHOAL_MUST_CHECK;
// -ENOENT; -EBADMSG no vector, or one of another type or size; -EPROTO damaged.
int shoal_vector_open(struct shoal_segment *seg, const char *name, const char *type, uint64_t size,
                      struct shoal_vector *out) SHOAL_MUST_CHECK;
// The options count only if it makes it. Sleeps while somebody alive is making it.
int shoal_vector_open_or_create(struct shoal_segment *seg, const char *name, const char *type, uint64_t size,
                                const struct shoal_vector_options *options, struct shoal_vector *out) SHOAL_MUST_CHECK;
int shoal_vector_close(struct shoal_vector *v);  // -EINVAL: not open; -EBUSY: the calling thread holds it
int shoal_vector_unlink(struct shoal_segment *seg, const char *name);  // -ENOENT, -EBADMSG

// How many there are. Never fewer than before.
SHOAL_INLINE uint64_t shoal_vector_length(const struct shoal_vector *v) {
  return shoal_load64_acquire(&v->shm->count);  // [G2] pairs with [G1]
}
// -ERANGE; -EPROTO damaged. Never sleeps.
SHOAL_INLINE int shoal_vector_at(struct shoal_vector *v, uint64_t index, void **out) SHOAL_MUST_CHECK;
// A copy, without a lock: what others write to it meanwhile may be seen in part.
int shoal_vector_get(struct shoal_vector *v, uint64_t index, void *out) SHOAL_MUST_CHECK;

// Each: -ENOSPC the segment is full, of objects too, or the vector is at its limit; -EUSERS; -EAGAIN (SHOAL_TRY),
// -ETIMEDOUT; -EDEADLK; -EPROTO damaged; and nothing changed. May sleep for other writers.
// *index, if not NULL: where it is.
int shoal_vector_append(struct shoal_vector *v, const void *value, uint64_t *index,
                        shoal_deadline deadline) SHOAL_MUST_CHECK;
// `n` at once, beside each other; seen together. *index: of the first.
int shoal_vector_extend(struct shoal_vector *v, const void *values, uint64_t n, uint64_t *index,
                        shoal_deadline deadline) SHOAL_MUST_CHECK;
// Zeros, until there are `count`. If there are as many: 0.
int shoal_vector_grow(struct shoal_vector *v, uint64_t count, shoal_deadline deadline) SHOAL_MUST_CHECK;

struct shoal_vector_info {
  char type[SHOAL_VECTOR_TYPE_MAX + 1];
  uint64_t size, length, limit;
  uint64_t bytes;   // of its chunks, and itself
  uint32_t writer;  // tid of who appends; 0: nobody
  uint32_t chunks;
};
int shoal_vector_info(const struct shoal_vector *v, struct shoal_vector_info *out);

// ---- inline ----
int shoal_vector_beyond_(uint64_t index, uint64_t length);  // -ERANGE
// Where the chunk is, which then is known: 0, -EPROTO.
int shoal_vector_chunk_(struct shoal_vector *v, unsigned chunk, char **out);

SHOAL_INLINE unsigned shoal_vector_chunk_of_(const struct shoal_vector *v, uint64_t index) {
  uint64_t times = index >> v->shift_;
  return times ? 64 - (unsigned)__builtin_clzll(times) : 0;
}
// The first of the chunk's, and, of all but chunk 0, how many there are.
SHOAL_INLINE uint64_t shoal_vector_first_(const struct shoal_vector *v, unsigned chunk) {
  return chunk ? UINT64_C(1) << (v->shift_ + chunk - 1) : 0;
}

SHOAL_INLINE int shoal_vector_at(struct shoal_vector *v, uint64_t index, void **out) {
  uint64_t length = shoal_vector_length(v);
  if (SHOAL_UNLIKELY(index >= length || index >= v->limit)) return shoal_vector_beyond_(index, length);
  unsigned k = shoal_vector_chunk_of_(v, index);
  char *chunk = __atomic_load_n(&v->chunk_[k], __ATOMIC_RELAXED);
  if (SHOAL_UNLIKELY(!chunk)) {
    int rc = shoal_vector_chunk_(v, k, &chunk);
    if (rc) return rc;
  }
  *out = chunk + (index - shoal_vector_first_(v, k)) * v->size;
  return 0;
}

// ---- typed ----
// clang-format off
#define SHOAL_VECTOR_TYPED(name, T) \
  SHOAL_STATIC_ASSERT(sizeof(#T) <= SHOAL_VECTOR_TYPE_MAX + 1, "the type's name is too long"); \
  SHOAL_INLINE int name##_create(struct shoal_segment *seg, const char *as, const struct shoal_vector_options *o, struct shoal_vector *out) { return shoal_vector_create(seg, as, #T, sizeof(T), o, out); } \
  SHOAL_INLINE int name##_open(struct shoal_segment *seg, const char *as, struct shoal_vector *out) { return shoal_vector_open(seg, as, #T, sizeof(T), out); } \
  SHOAL_INLINE int name##_open_or_create(struct shoal_segment *seg, const char *as, const struct shoal_vector_options *o, struct shoal_vector *out) { return shoal_vector_open_or_create(seg, as, #T, sizeof(T), o, out); } \
  SHOAL_INLINE int name##_at(struct shoal_vector *v, uint64_t index, T **out) { void *at = NULL; int rc = shoal_vector_at(v, index, &at); if (rc == 0) *out = (T *)at; return rc; } \
  SHOAL_INLINE int name##_get(struct shoal_vector *v, uint64_t index, T *out) { return shoal_vector_get(v, index, out); } \
  SHOAL_INLINE int name##_append(struct shoal_vector *v, const T *value, uint64_t *index, shoal_deadline deadline) { return shoal_vector_append(v, value, index, deadline); } \
  SHOAL_INLINE int name##_extend(struct shoal_vector *v, const T *values, uint64_t n, uint64_t *index, shoal_deadline deadline) { return shoal_vector_extend(v, values, n, index, deadline); }
// clang-format on

SHOAL_END
