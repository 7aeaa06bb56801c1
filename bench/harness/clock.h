// bench/harness/clock.h: a clock that costs as little as the thing it times.
#pragma once

#include <time.h>

#include <cstdint>

#ifdef __x86_64__
#include <x86intrin.h>
#endif

namespace bench {

inline double now_ns() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

// A counter of constant rate, the same on all processors.
inline uint64_t ticks() {
#if defined __x86_64__
  return __rdtsc();
#elif defined __aarch64__
  uint64_t t;
  asm volatile("mrs %0, cntvct_el0" : "=r"(t));
  return t;
#else
  return static_cast<uint64_t>(now_ns());
#endif
}

// Measured at the first call (20 ms); processes forked later know it already.
double ns_per_tick();

inline void pause() {
#if defined __x86_64__
  _mm_pause();
#elif defined __aarch64__
  asm volatile("isb" ::: "memory");
#endif
}

}  // namespace bench
