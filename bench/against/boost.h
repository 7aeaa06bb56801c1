// bench/against/boost.h: Boost.Lockfree (libboost-dev). With a capacity fixed at compile time both queues hold indices
// instead of pointers, so they live between processes.
#pragma once

#include <boost/lockfree/queue.hpp>
#include <boost/lockfree/spsc_queue.hpp>
#include <new>

#include "bench/harness/workloads.h"

namespace bench {

template <class Q, class M>
struct Boost : Placed {
  using Message = M;
  static size_t bytes() { return sizeof(Q); }
  static void make(void *memory) { new (memory) Q; }

  struct Producer {
    Q *q;
    Producer(void *memory, unsigned) : q(static_cast<Q *>(memory)) {}
    bool put(const M &m) { return q->push(m); }
    unsigned put_n(const M *m, unsigned n) { return static_cast<unsigned>(q->push(m, n)); }
  };
  struct Consumer {
    Q *q;
    Consumer(void *memory, unsigned) : q(static_cast<Q *>(memory)) {}
    bool get(M &m) { return q->pop(m); }
    unsigned get_n(M *m, unsigned n) { return static_cast<unsigned>(q->pop(m, n)); }
  };
};

template <class M, unsigned Capacity>
using BoostSpsc = Boost<boost::lockfree::spsc_queue<M, boost::lockfree::capacity<Capacity>>, M>;
template <class M, unsigned Capacity>
using BoostMpmc = Boost<boost::lockfree::queue<M, boost::lockfree::capacity<Capacity>>, M>;

}  // namespace bench
