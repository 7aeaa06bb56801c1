#include "bench/against/openmp.h"

#include <omp.h>

namespace bench {

uint64_t openmp_sums(unsigned threads, uint64_t n, void (*before)(unsigned), bool (*more)(void *), void *arg) {
  uint64_t total = 0;
  omp_set_dynamic(0);
  omp_set_num_threads(static_cast<int>(threads));
#pragma omp parallel
  before(static_cast<unsigned>(omp_get_thread_num()));
  do {
    uint64_t sum = 0;
#pragma omp parallel for schedule(dynamic, 1) reduction(+ : sum)
    for (uint64_t i = 0; i < n; i++) {
      uint64_t touched = i;
      asm volatile("" : "+m"(touched));
      sum += touched;
    }
    total += sum;
  } while (more(arg));
  return total;
}

}  // namespace bench
