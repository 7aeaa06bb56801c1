// core/base.h: the words every other header uses.
#pragma once

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define SHOAL_BEGIN extern "C" {
#define SHOAL_END }
#define SHOAL_STATIC_ASSERT(x, why) static_assert(x, why)
#else
#define SHOAL_BEGIN
#define SHOAL_END
#define SHOAL_STATIC_ASSERT(x, why) _Static_assert(x, why)
#endif

#define SHOAL_CACHE_LINE 64
#define SHOAL_ALIGNED(n) __attribute__((aligned(n)))
#define SHOAL_INLINE static inline __attribute__((always_inline, unused))
#define SHOAL_NOINLINE __attribute__((noinline))
#define SHOAL_NO_TSAN __attribute__((no_sanitize("thread")))
#define SHOAL_MUST_CHECK __attribute__((warn_unused_result))
#define SHOAL_PRINTF(f, a) __attribute__((format(printf, f, a)))
// The struct of type T whose `member` is at `address`.
#define SHOAL_EMBEDS(address, T, member) ((T *)(void *)((char *)(address)-offsetof(T, member)))
#define SHOAL_LIKELY(x) __builtin_expect(!!(x), 1)
#define SHOAL_UNLIKELY(x) __builtin_expect(!!(x), 0)

// Keeps the compiler, not the processor, from moving memory accesses across it: what a thread wrote before is in
// memory, in this order, if it is killed after.
#define SHOAL_COMPILER_BARRIER() __asm__ volatile("" ::: "memory")

// Asks for the line at `at`, any address, to be brought here for writing. A hint.
SHOAL_INLINE void shoal_prefetch_write(const void *at) {
#ifdef __x86_64__
  // The builtin asks for reading unless told of the processor.
  __asm__ volatile("prefetchw %0" : : "m"(*(const char *)at));
#else
  __builtin_prefetch(at, 1, 3);
#endif
}

#define SHOAL_NAME_MAX 63  // bytes of a segment's, object's or participant's name, without the final NUL
