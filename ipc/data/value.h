// ipc/data/value.h: one value of any C type in shared memory.
//
// USE
//   SHOAL_VALUE_TYPED(account, struct account)
//
//   struct shoal_array v;
//   rc = account_create(seg, "balance", NULL, &v);                  // or _open, _open_or_create; NULL: no name, for my children
//   rc = account_set(&v, &(struct account){100}, SHOAL_FOREVER);    // killed in it: the old one, or the new one
//   SHOAL_WITH(rc, &v.hold) { account_data(&v)->euros -= 10; }      // as of an array: look at -EOWNERDEAD
//   shoal_int64_add(counter_data(&c), 1);                           // ipc/data/number.h: needs no lock
//
// A value is an array of one, of a type of its own in the directory; its view is a struct shoal_array, and all that
// ipc/data/array.h has for one. Read without ever waiting, beside writers: sync/seqlock.h.
//
// SAFETY, ORDERING, CRASH, HOSTILE, COST  those of ipc/data/array.h.
#pragma once

#include "ipc/data/array.h"

SHOAL_BEGIN

// options->columns counts for nothing.
int shoal_value_create(struct shoal_segment *seg, const char *name, const char *type, uint64_t size,
                       const struct shoal_array_options *options, struct shoal_array *out) SHOAL_MUST_CHECK;
// -EBADMSG: no value, or one of another type or size.
int shoal_value_open(struct shoal_segment *seg, const char *name, const char *type, uint64_t size,
                     struct shoal_array *out) SHOAL_MUST_CHECK;
int shoal_value_open_or_create(struct shoal_segment *seg, const char *name, const char *type, uint64_t size,
                               const struct shoal_array_options *options, struct shoal_array *out) SHOAL_MUST_CHECK;
int shoal_value_close(struct shoal_segment *seg, struct shoal_array *v);  // the codes of shoal_array_close
int shoal_value_unlink(struct shoal_segment *seg, const char *name);      // -ENOENT, -EBADMSG

SHOAL_INLINE int shoal_value_get(const struct shoal_array *v, void *out, shoal_deadline deadline) {
  return shoal_array_get(v, 0, out, deadline);
}
SHOAL_INLINE int shoal_value_set(const struct shoal_array *v, const void *value, shoal_deadline deadline) {
  return shoal_array_set(v, 0, value, deadline);
}

struct shoal_array_options shoal_value_options_(const struct shoal_array_options *o);  // without columns; NULL: zeroes

// clang-format off
#define SHOAL_VALUE_TYPED(name, T) \
  SHOAL_STATIC_ASSERT(sizeof(#T) <= SHOAL_ARRAY_TYPE_MAX + 1, "the type's name is too long"); \
  SHOAL_INLINE uint64_t name##_bytes(void) { return shoal_array_bytes(sizeof(T), 1); } \
  SHOAL_INLINE int name##_init(void *memory, const struct shoal_array_options *o, struct shoal_array *out) { struct shoal_array_options own = shoal_value_options_(o); return shoal_array_init(memory, #T, sizeof(T), 1, &own, out); } \
  SHOAL_INLINE int name##_attach(void *memory, uint64_t bytes, struct shoal_lock *lock, struct shoal_array *out) { return shoal_array_attach(memory, bytes, #T, sizeof(T), 1, lock, out); } \
  SHOAL_INLINE int name##_create(struct shoal_segment *seg, const char *as, const struct shoal_array_options *o, struct shoal_array *out) { return shoal_value_create(seg, as, #T, sizeof(T), o, out); } \
  SHOAL_INLINE int name##_open(struct shoal_segment *seg, const char *as, struct shoal_array *out) { return shoal_value_open(seg, as, #T, sizeof(T), out); } \
  SHOAL_INLINE int name##_open_or_create(struct shoal_segment *seg, const char *as, const struct shoal_array_options *o, struct shoal_array *out) { return shoal_value_open_or_create(seg, as, #T, sizeof(T), o, out); } \
  SHOAL_INLINE T *name##_data(const struct shoal_array *v) { return (T *)v->data; } \
  SHOAL_INLINE int name##_get(const struct shoal_array *v, T *out, shoal_deadline deadline) { return shoal_array_get(v, 0, out, deadline); } \
  SHOAL_INLINE int name##_set(const struct shoal_array *v, const T *value, shoal_deadline deadline) { return shoal_array_set(v, 0, value, deadline); }
// clang-format on

SHOAL_END
