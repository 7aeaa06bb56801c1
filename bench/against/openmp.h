// bench/against/openmp.h: a loop of OpenMP, by threads of one process.
#pragma once

#include <cstdint>

namespace bench {

// `before` is called once by each of the threads, with its number; then 0..n-1 are added up, as often as `more` answers
// true.
uint64_t openmp_sums(unsigned threads, uint64_t n, void (*before)(unsigned), bool (*more)(void *), void *arg);

}  // namespace bench
