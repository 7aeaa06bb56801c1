// ipc/data/array.h: arrays of any C type in shared memory, whose elements change whole or not at all.
//
// USE
//   SHOAL_ARRAY_TYPED(points, struct point)
//
//   struct shoal_array a;
//   rc = points_create(seg, "corners", 100, NULL, &a);              // or _open, _open_or_create; NULL: no name, for my children
//   rc = points_set(&a, 7, &(struct point){1, 2}, SHOAL_FOREVER);    // -ERANGE, -EBADMSG (at open): refused, with a reason
//   points_data(&a)[7].x = 3;                                        // raw: a pointer, a.length of them
//   SHOAL_WITH(rc, &a.hold) {                                        // several at once
//     if (rc == -EOWNERDEAD) { ...repair...; rc = shoal_array_consistent(&a); }
//     ...
//   }
//   struct shoal_view row;
//   rc = shoal_array_row(&a, 3, &row);                               // pointer, length, stride: hand it to who works on it
//   rc = shoal_array_close(seg, &a);
//
// A struct shoal_array is a view of this process: private memory, to be copied at will, and inherited by fork. All
// bounds are in it, checked when it was made; none is read from the segment again.
//
//   kind size count columns guard | type's name | lock | inside undo | elements ... | what a set overwrites: an element
//
// SAFETY   get, set, read, write, fill: any thread of any process, together. With a lock (the default) each holds it,
//          unless its thread does already. Without one an element of 1, 2, 4 or 8 bytes is still read and written
//          whole; others are not. data and views take no lock: see ipc/data/number.h for what several may do at once.
//          init, destroy: alone.
// ORDERING what was written under the lock is seen under the lock: [L1], [L2] of sync/lock.h. Without a lock, none.
// CRASH    a set is killed, at any instruction: the element is the old one or the new one, at the latest for whoever
//          has the lock next; nobody is told. In a block, a write or a fill: the next block has -EOWNERDEAD, repairs
//          and says so (consistent); until then get, set, read, write and fill answer -EOWNERDEAD and do nothing. A
//          block that ends without consistent makes the array -ENOTRECOVERABLE, raw access aside. Of a given lock every
//          death is told, since it guards other things, too; what a set has left is undone all the same, by the next
//          call here: so repair within a block of the array, which undoes it first, not under the lock alone.
// HOSTILE  contents: a peer that may write can make calls fail, wait, or give other elements; never an access outside.
// COST     set of up to 8 bytes: the lock and a store; more: three copies. 256 bytes and an element beside the
//          elements.
#pragma once

#include <string.h>

#include "sync/with.h"

SHOAL_BEGIN

#define SHOAL_ARRAY_TYPE_MAX 63              // bytes of an element type's name, without the final NUL
#define SHOAL_ARRAY_MAX (UINT64_C(1) << 46)  // bytes of all elements
#define SHOAL_ARRAY_KIND_ UINT64_C(0x79617272610a)

// The creator writes the first two lines, and nobody afterwards.
struct shoal_array_shm {  // NOLINT(clang-analyzer-optin.performance.Padding): lines apart
  shoal_atomic64 kind;    // SHOAL_ARRAY_KIND_ until it is destroyed
  uint64_t size;          // bytes of an element
  uint64_t count;         // of the elements
  uint64_t columns;       // elements of a row; 0: it has no rows
  uint64_t guard;         // SHOAL_ARRAY_*_, or the offset of a given lock in its segment
  uint64_t reserved_[3];
  char type[SHOAL_ARRAY_TYPE_MAX + 1];
  struct shoal_lock lock;  // if it is the array's own
  // Who holds the lock.
  shoal_atomic64 inside SHOAL_ALIGNED(SHOAL_CACHE_LINE);  // 1: more than one set may be half done
  shoal_atomic64 undo;  // an index + 1: what it overwrites is behind the elements; 0: nothing
};
SHOAL_STATIC_ASSERT(sizeof(struct shoal_array_shm) == 256, "layout");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_array_shm, type) == 64, "layout");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_array_shm, lock) == 128, "layout");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_array_shm, inside) == 192, "layout");

struct shoal_array {
  struct shoal_holdable hold;  // SHOAL_WITH(rc, &a.hold)
  void *data;                  // the elements
  uint64_t length;             // of them
  uint64_t size;               // bytes of each
  uint64_t columns;            // of a row; 0: it has no rows
  struct shoal_array_shm *shm;
  struct shoal_lock *lock_;  // NULL: none. Acquired as it is, its holder's death would not be told
  void *undo_;
  uint64_t mapped_;  // of a file (ipc/data/array_file.h): bytes
  int fd_;
};

struct shoal_array_options {  // zero: the default
  struct shoal_lock *lock;    // a given one; NULL: its own
  uint32_t unlocked;          // 1: none at all
  uint64_t columns;           // elements of a row, which `count` is a multiple of; 0: no rows
  const void *first;          // the elements to begin with; NULL: zeros
};

// ---- by name, or without one ----
// `name` NULL: for the caller and the children it forks. `type`: the element type's name; `size`: its bytes. A given
// lock lies in the same segment, and stays open in every process as long as the array. -EINVAL, -ENAMETOOLONG, and the
// codes of shoal_object_create.
int shoal_array_create(struct shoal_segment *seg, const char *name, const char *type, uint64_t size, uint64_t count,
                       const struct shoal_array_options *options, struct shoal_array *out) SHOAL_MUST_CHECK;
// `count` 0: as many as there are. -ENOENT; -EBADMSG no array, or one of another type, size or count; -EPROTO damaged.
int shoal_array_open(struct shoal_segment *seg, const char *name, const char *type, uint64_t size, uint64_t count,
                     struct shoal_array *out) SHOAL_MUST_CHECK;
// The options count only if it makes it. Sleeps while somebody alive is making it.
int shoal_array_open_or_create(struct shoal_segment *seg, const char *name, const char *type, uint64_t size,
                               uint64_t count, const struct shoal_array_options *options,
                               struct shoal_array *out) SHOAL_MUST_CHECK;
// -EBUSY: the calling thread holds its lock. -EINVAL: not open.
int shoal_array_close(struct shoal_segment *seg, struct shoal_array *a);
int shoal_array_unlink(struct shoal_segment *seg, const char *name);  // -ENOENT, -EBADMSG

// ---- placed ----
// Bytes of shared memory, aligned to 64, for `count` elements; 0: none, or more than SHOAL_ARRAY_MAX.
uint64_t shoal_array_bytes(uint64_t size, uint64_t count);
int shoal_array_init(void *memory, const char *type, uint64_t size, uint64_t count,
                     const struct shoal_array_options *options, struct shoal_array *out) SHOAL_MUST_CHECK;
// What stands in these `bytes`, in another process; `lock`: the given one, as this process sees it. -EPROTO, -EBADMSG,
// -EINVAL.
int shoal_array_attach(void *memory, uint64_t bytes, const char *type, uint64_t size, uint64_t count,
                       struct shoal_lock *lock, struct shoal_array *out) SHOAL_MUST_CHECK;
// -EBUSY: its lock is held, -EINVAL: it is in a file, and nothing changed. Afterwards nobody attaches.
int shoal_array_destroy(struct shoal_array *a);

// ---- elements; `deadline`: for the lock ----
// All: -ERANGE; -EOWNERDEAD see CRASH; -ENOTRECOVERABLE; -EAGAIN (SHOAL_TRY), -ETIMEDOUT; may sleep.
int shoal_array_get(const struct shoal_array *a, uint64_t index, void *out, shoal_deadline deadline) SHOAL_MUST_CHECK;
int shoal_array_set(const struct shoal_array *a, uint64_t index, const void *value,
                    shoal_deadline deadline) SHOAL_MUST_CHECK;
// `n` elements: from, from + step, ...; step may be negative, or 0. Packed in `out` and `values`.
int shoal_array_read(const struct shoal_array *a, uint64_t from, int64_t step, uint64_t n, void *out,
                     shoal_deadline deadline) SHOAL_MUST_CHECK;
int shoal_array_write(const struct shoal_array *a, uint64_t from, int64_t step, uint64_t n, const void *values,
                      shoal_deadline deadline) SHOAL_MUST_CHECK;
int shoal_array_fill(const struct shoal_array *a, uint64_t from, uint64_t n, const void *value,
                     shoal_deadline deadline) SHOAL_MUST_CHECK;
// Where it is, without a lock. -ERANGE. Never sleeps.
SHOAL_INLINE int shoal_array_at(const struct shoal_array *a, uint64_t index, void **out) SHOAL_MUST_CHECK;

// ---- its lock ----
// What SHOAL_WITH(rc, &a.hold) does. 0 or, held just as well, -EOWNERDEAD; -EINVAL it has none, -EDEADLK; and the
// above.
SHOAL_INLINE int shoal_array_acquire(const struct shoal_array *a, shoal_deadline deadline) SHOAL_MUST_CHECK;
SHOAL_INLINE int shoal_array_release(const struct shoal_array *a);  // -EPERM: not the caller's
int shoal_array_consistent(const struct shoal_array *a);            // -EPERM; -EINVAL: it has no lock, or is in order

struct shoal_array_info {
  char type[SHOAL_ARRAY_TYPE_MAX + 1];
  uint64_t size, count, columns, bytes;  // of one, how many, of a row, in all
  uint32_t locked;                       // 0: it has no lock, 1: its own, 2: a given one
  struct shoal_lock_info lock;           // zeros: none
};
int shoal_array_info(const struct shoal_array *a, struct shoal_array_info *out);

// ---- views: elements at a distance, without a lock; valid as long as the array is open in this process ----
struct shoal_view {
  void *data;
  uint64_t length;
  int64_t stride;  // bytes from one to the next
  uint64_t size;   // bytes of an element
};
// As read. -ERANGE.
int shoal_array_view(const struct shoal_array *a, uint64_t from, int64_t step, uint64_t n,
                     struct shoal_view *out) SHOAL_MUST_CHECK;
// -ERANGE: no such row, column; -EINVAL: it has no rows.
int shoal_array_row(const struct shoal_array *a, uint64_t row, struct shoal_view *out) SHOAL_MUST_CHECK;
int shoal_array_column(const struct shoal_array *a, uint64_t column, struct shoal_view *out) SHOAL_MUST_CHECK;
// NULL: beyond the end.
SHOAL_INLINE void *shoal_view_at(const struct shoal_view *v, uint64_t index) {
  return SHOAL_LIKELY(index < v->length) ? (char *)v->data + (int64_t)index * v->stride : NULL;
}

// ---- inline ----
enum { SHOAL_ARRAY_NO_LOCK_ = 0, SHOAL_ARRAY_OWN_LOCK_ = 1, SHOAL_ARRAY_GIVEN_LOCK_ = 2 };
int shoal_array_beyond_(const struct shoal_array *a, uint64_t index);  // -ERANGE
// All but the plain case. `rc`: what the lock answered.
int shoal_array_acquired_(const struct shoal_array *a, int rc);
int shoal_array_unlocked_(void);  // -EINVAL
int shoal_array_release_slow_(const struct shoal_array *a);
// As the three by name: `kind` is the object's type in the directory.
int shoal_array_make_(struct shoal_segment *seg, const char *name, const char *kind, const char *type, uint64_t size,
                      uint64_t count, const struct shoal_array_options *options, struct shoal_array *out);
int shoal_array_find_(struct shoal_segment *seg, const char *name, const char *kind, const char *type, uint64_t size,
                      uint64_t count, struct shoal_array *out);
int shoal_array_find_or_make_(struct shoal_segment *seg, const char *name, const char *kind, const char *type,
                              uint64_t size, uint64_t count, const struct shoal_array_options *options,
                              struct shoal_array *out);

SHOAL_INLINE int shoal_array_at(const struct shoal_array *a, uint64_t index, void **out) {
  if (SHOAL_UNLIKELY(index >= a->length)) return shoal_array_beyond_(a, index);
  *out = (char *)a->data + index * a->size;
  return 0;
}

SHOAL_INLINE int shoal_array_acquire(const struct shoal_array *a, shoal_deadline deadline) {
  if (SHOAL_UNLIKELY(!a->lock_)) return shoal_array_unlocked_();
  int rc = shoal_lock_acquire(a->lock_, deadline);
  if (SHOAL_UNLIKELY(rc != 0 || shoal_load64_relaxed(&a->shm->undo) != 0)) rc = shoal_array_acquired_(a, rc);
  // Before the block changes anything: killed in it, its end is told.
  if (SHOAL_LIKELY(rc == 0 || rc == -EOWNERDEAD)) shoal_store64_relaxed(&a->shm->inside, 1);
  SHOAL_COMPILER_BARRIER();
  return rc;
}
SHOAL_INLINE int shoal_array_release(const struct shoal_array *a) {
  struct shoal_lock *lock = a->lock_;
  struct shoal_thread_ *t = shoal_self_();
  if (SHOAL_UNLIKELY(!lock || shoal_robust_owner(shoal_load32_relaxed(&lock->robust.word)) != t->tid ||
                     !shoal_lock_is_plain_(lock)))
    return shoal_array_release_slow_(a);
  SHOAL_COMPILER_BARRIER();  // what the block changed, and then that it has ended
  shoal_store64_relaxed(&a->shm->inside, 0);
  SHOAL_COMPILER_BARRIER();
  shoal_robust_release_as_(&lock->robust, t);  // [L2] of sync/lock.h
  return 0;
}

// ---- typed ----
// clang-format off
#define SHOAL_ARRAY_TYPED(name, T) \
  SHOAL_STATIC_ASSERT(sizeof(#T) <= SHOAL_ARRAY_TYPE_MAX + 1, "the type's name is too long"); \
  SHOAL_INLINE uint64_t name##_bytes(uint64_t count) { return shoal_array_bytes(sizeof(T), count); } \
  SHOAL_INLINE int name##_init(void *memory, uint64_t count, const struct shoal_array_options *o, struct shoal_array *out) { return shoal_array_init(memory, #T, sizeof(T), count, o, out); } \
  SHOAL_INLINE int name##_attach(void *memory, uint64_t bytes, uint64_t count, struct shoal_lock *lock, struct shoal_array *out) { return shoal_array_attach(memory, bytes, #T, sizeof(T), count, lock, out); } \
  SHOAL_INLINE int name##_create(struct shoal_segment *seg, const char *as, uint64_t count, const struct shoal_array_options *o, struct shoal_array *out) { return shoal_array_create(seg, as, #T, sizeof(T), count, o, out); } \
  SHOAL_INLINE int name##_open(struct shoal_segment *seg, const char *as, uint64_t count, struct shoal_array *out) { return shoal_array_open(seg, as, #T, sizeof(T), count, out); } \
  SHOAL_INLINE int name##_open_or_create(struct shoal_segment *seg, const char *as, uint64_t count, const struct shoal_array_options *o, struct shoal_array *out) { return shoal_array_open_or_create(seg, as, #T, sizeof(T), count, o, out); } \
  SHOAL_INLINE T *name##_data(const struct shoal_array *a) { return (T *)a->data; } \
  SHOAL_INLINE int name##_at(const struct shoal_array *a, uint64_t index, T **out) { void *at = NULL; int rc = shoal_array_at(a, index, &at); if (rc == 0) *out = (T *)at; return rc; } \
  SHOAL_INLINE int name##_get(const struct shoal_array *a, uint64_t index, T *out, shoal_deadline deadline) { return shoal_array_get(a, index, out, deadline); } \
  SHOAL_INLINE int name##_set(const struct shoal_array *a, uint64_t index, const T *value, shoal_deadline deadline) { return shoal_array_set(a, index, value, deadline); } \
  SHOAL_INLINE int name##_read(const struct shoal_array *a, uint64_t from, int64_t step, uint64_t n, T *out, shoal_deadline deadline) { return shoal_array_read(a, from, step, n, out, deadline); } \
  SHOAL_INLINE int name##_write(const struct shoal_array *a, uint64_t from, int64_t step, uint64_t n, const T *values, shoal_deadline deadline) { return shoal_array_write(a, from, step, n, values, deadline); } \
  SHOAL_INLINE int name##_fill(const struct shoal_array *a, uint64_t from, uint64_t n, const T *value, shoal_deadline deadline) { return shoal_array_fill(a, from, n, value, deadline); } \
  SHOAL_INLINE T *name##_in(const struct shoal_view *v, uint64_t index) { return (T *)shoal_view_at(v, index); }
// clang-format on

SHOAL_END
