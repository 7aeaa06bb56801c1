// core/atomic.h: 32- and 64-bit atomics with the memory order in the name.
//
// The types are plain structs, so that a shared struct has the same layout in C and C++ and no access to an atomic can
// be written by mistake without naming its order. Each use of acquire, release or seq_cst carries a label in the code
// around it: [R1] pairs with [A1].
#pragma once

#include "core/base.h"

typedef struct {
  uint32_t v_;
} shoal_atomic32;
typedef struct {
  uint64_t v_;
} SHOAL_ALIGNED(8) shoal_atomic64;

// clang-format off
#define SHOAL_ATOMIC_DEFINE_(bits) /* only forwards to the compiler's builtins */                                             \
  SHOAL_INLINE uint##bits##_t shoal_load##bits##_relaxed(const shoal_atomic##bits *a) { return __atomic_load_n(&a->v_, __ATOMIC_RELAXED); } \
  SHOAL_INLINE uint##bits##_t shoal_load##bits##_acquire(const shoal_atomic##bits *a) { return __atomic_load_n(&a->v_, __ATOMIC_ACQUIRE); } \
  SHOAL_INLINE uint##bits##_t shoal_load##bits##_seq_cst(const shoal_atomic##bits *a) { return __atomic_load_n(&a->v_, __ATOMIC_SEQ_CST); } \
  SHOAL_INLINE void shoal_store##bits##_relaxed(shoal_atomic##bits *a, uint##bits##_t v) { __atomic_store_n(&a->v_, v, __ATOMIC_RELAXED); } \
  SHOAL_INLINE void shoal_store##bits##_release(shoal_atomic##bits *a, uint##bits##_t v) { __atomic_store_n(&a->v_, v, __ATOMIC_RELEASE); } \
  SHOAL_INLINE void shoal_store##bits##_seq_cst(shoal_atomic##bits *a, uint##bits##_t v) { __atomic_store_n(&a->v_, v, __ATOMIC_SEQ_CST); } \
  SHOAL_INLINE uint##bits##_t shoal_exchange##bits##_release(shoal_atomic##bits *a, uint##bits##_t v) { return __atomic_exchange_n(&a->v_, v, __ATOMIC_RELEASE); } \
  SHOAL_INLINE uint##bits##_t shoal_exchange##bits##_seq_cst(shoal_atomic##bits *a, uint##bits##_t v) { return __atomic_exchange_n(&a->v_, v, __ATOMIC_SEQ_CST); } \
  SHOAL_INLINE uint##bits##_t shoal_add##bits##_relaxed(shoal_atomic##bits *a, uint##bits##_t v) { return __atomic_fetch_add(&a->v_, v, __ATOMIC_RELAXED); } \
  SHOAL_INLINE uint##bits##_t shoal_add##bits##_seq_cst(shoal_atomic##bits *a, uint##bits##_t v) { return __atomic_fetch_add(&a->v_, v, __ATOMIC_SEQ_CST); } \
  SHOAL_INLINE uint##bits##_t shoal_or##bits##_seq_cst(shoal_atomic##bits *a, uint##bits##_t v) { return __atomic_fetch_or(&a->v_, v, __ATOMIC_SEQ_CST); } \
  SHOAL_INLINE int shoal_cas##bits##_relaxed(shoal_atomic##bits *a, uint##bits##_t *old, uint##bits##_t v) { return __atomic_compare_exchange_n(&a->v_, old, v, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED); } \
  SHOAL_INLINE int shoal_cas##bits##_acquire(shoal_atomic##bits *a, uint##bits##_t *old, uint##bits##_t v) { return __atomic_compare_exchange_n(&a->v_, old, v, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED); } \
  SHOAL_INLINE int shoal_cas##bits##_release(shoal_atomic##bits *a, uint##bits##_t *old, uint##bits##_t v) { return __atomic_compare_exchange_n(&a->v_, old, v, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED); } \
  SHOAL_INLINE int shoal_cas##bits##_acq_rel(shoal_atomic##bits *a, uint##bits##_t *old, uint##bits##_t v) { return __atomic_compare_exchange_n(&a->v_, old, v, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE); } \
  SHOAL_INLINE int shoal_cas##bits##_seq_cst(shoal_atomic##bits *a, uint##bits##_t *old, uint##bits##_t v) { return __atomic_compare_exchange_n(&a->v_, old, v, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); }
// clang-format on

SHOAL_ATOMIC_DEFINE_(32)
SHOAL_ATOMIC_DEFINE_(64)

// A compare-and-set takes *old, and stores there what it found when it fails (returns 0).
