// ipc/data/number.h: numbers in shared memory that several change at once, without a lock.
//
// USE
//   int32_t *hits = hits_data(&array);                              // any number in shared memory, aligned to its size
//   int32_t before = shoal_int32_add(&hits[7], 1);
//   double largest = shoal_double_max(&peak, x);                    // each answers what was there before
//   if (shoal_uint64_cas(&state, &expected, next)) ...              // 0: it was not *expected, which it is now
//
// For N in int32, int64, uint32, uint64, double: shoal_N_load, _store, _exchange, _add, _min, _max, _cas.
//
// SAFETY   any thread of any process, together; in signal handlers.
// ORDERING [V1] a change releases what was written before it, and acquires what was written before the change that it
//          sees: [V1] pairs with [V1], and with [V2], a load. A store is [V1], too.
// CRASH    killed at any instruction: it was changed, or it was not.
// COST     add of a whole number, exchange, cas: the instruction. min, max: a load if nothing changes. add of a double,
//          min, max: a load and a compare-and-set, again for each change by others meanwhile.
// NUMBERS  whole ones wrap around. A double that is no number changes nothing as min or max of a number, and is
//          replaced by any; -0.0 and 0.0 are equal; cas compares doubles bit by bit.
#pragma once

#include <string.h>

#include "core/base.h"

SHOAL_BEGIN

// clang-format off
#define SHOAL_NUMBER_WHOLE_(N, T) /* only forwards to the compiler's builtins */ \
  SHOAL_INLINE T shoal_##N##_load(const T *at) { return __atomic_load_n(at, __ATOMIC_ACQUIRE); /* [V2] */ } \
  SHOAL_INLINE void shoal_##N##_store(T *at, T v) { __atomic_store_n(at, v, __ATOMIC_RELEASE); /* [V1] */ } \
  SHOAL_INLINE T shoal_##N##_exchange(T *at, T v) { return __atomic_exchange_n(at, v, __ATOMIC_ACQ_REL); /* [V1] */ } \
  SHOAL_INLINE T shoal_##N##_add(T *at, T by) { return __atomic_fetch_add(at, by, __ATOMIC_ACQ_REL); /* [V1] */ } \
  SHOAL_INLINE int shoal_##N##_cas(T *at, T *expected, T v) { return __atomic_compare_exchange_n(at, expected, v, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE); /* [V1] */ } \
  SHOAL_INLINE T shoal_##N##_min(T *at, T v) { T old = shoal_##N##_load(at); while (v < old && !shoal_##N##_cas(at, &old, v)) continue; return old; } \
  SHOAL_INLINE T shoal_##N##_max(T *at, T v) { T old = shoal_##N##_load(at); while (v > old && !shoal_##N##_cas(at, &old, v)) continue; return old; }
SHOAL_NUMBER_WHOLE_(int32, int32_t)
SHOAL_NUMBER_WHOLE_(int64, int64_t)
SHOAL_NUMBER_WHOLE_(uint32, uint32_t)
SHOAL_NUMBER_WHOLE_(uint64, uint64_t)
// clang-format on

// ---- a double: its bits, in a word ----
SHOAL_STATIC_ASSERT(sizeof(double) == sizeof(uint64_t), "a word");
typedef uint64_t __attribute__((may_alias)) shoal_double_bits_;
SHOAL_INLINE uint64_t shoal_bits_of_(double v) {
  uint64_t bits;
  memcpy(&bits, &v, sizeof bits);
  return bits;
}
SHOAL_INLINE double shoal_double_of_(uint64_t bits) {
  double v;
  memcpy(&v, &bits, sizeof v);
  return v;
}

SHOAL_INLINE double shoal_double_load(const double *at) {
  return shoal_double_of_(__atomic_load_n((const shoal_double_bits_ *)at, __ATOMIC_ACQUIRE));  // [V2]
}
SHOAL_INLINE void shoal_double_store(double *at, double v) {
  __atomic_store_n((shoal_double_bits_ *)at, shoal_bits_of_(v), __ATOMIC_RELEASE);  // [V1]
}
SHOAL_INLINE double shoal_double_exchange(double *at, double v) {
  return shoal_double_of_(__atomic_exchange_n((shoal_double_bits_ *)at, shoal_bits_of_(v), __ATOMIC_ACQ_REL));  // [V1]
}
SHOAL_INLINE int shoal_double_cas(double *at, double *expected, double v) {
  shoal_double_bits_ *word = (shoal_double_bits_ *)at;
  uint64_t old = shoal_bits_of_(*expected), bits = shoal_bits_of_(v);
  // [V1], [V2]
  int same = __atomic_compare_exchange_n(word, &old, bits, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
  *expected = shoal_double_of_(old);
  return same;
}
SHOAL_INLINE double shoal_double_add(double *at, double by) {
  double old = shoal_double_load(at);
  while (!shoal_double_cas(at, &old, old + by)) continue;
  return old;
}
SHOAL_INLINE double shoal_double_min(double *at, double v) {
  double old = shoal_double_load(at);
  while ((v < old || (old != old && v == v)) && !shoal_double_cas(at, &old, v)) continue;
  return old;
}
SHOAL_INLINE double shoal_double_max(double *at, double v) {
  double old = shoal_double_load(at);
  while ((v > old || (old != old && v == v)) && !shoal_double_cas(at, &old, v)) continue;
  return old;
}

SHOAL_END
