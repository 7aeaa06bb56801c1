// bench/against/moodycamel.h: moodycamel's queues (libreaderwriterqueue-dev, libconcurrentqueue-dev). They hold
// pointers to blocks on the heap, so they run between threads of one process, which is in their favour. So is this:
// ConcurrentQueue is used with tokens and grows without bound, so its producers never wait (bounded, its producers can
// starve each other of blocks for good). The queue itself lies on the heap too: the process of the threads has it by
// fork.
#pragma once

#include <concurrentqueue/concurrentqueue.h>
#include <readerwriterqueue/readerwriterqueue.h>

#include "bench/harness/workloads.h"

namespace bench {

template <class M, unsigned Capacity>
struct MoodycamelSpsc {
  using Message = M;
  using Q = moodycamel::ReaderWriterQueue<M>;
  static constexpr bool kThreads = true;
  static size_t bytes() { return sizeof(Q *); }
  static void make(void *memory) { *static_cast<Q **>(memory) = new Q(Capacity); }
  static void destroy(void *memory) { delete *static_cast<Q **>(memory); }

  struct Producer {
    Q *q;
    Producer(void *memory, unsigned) : q(*static_cast<Q **>(memory)) {}
    bool put(const M &m) { return q->try_enqueue(m); }
  };
  struct Consumer {
    Q *q;
    Consumer(void *memory, unsigned) : q(*static_cast<Q **>(memory)) {}
    bool get(M &m) { return q->try_dequeue(m); }
  };
};

template <class M, unsigned Capacity>
struct MoodycamelMpmc {
  using Message = M;
  using Q = moodycamel::ConcurrentQueue<M>;
  static constexpr bool kThreads = true;
  static size_t bytes() { return sizeof(Q *); }
  static void make(void *memory) { *static_cast<Q **>(memory) = new Q(Capacity, kLanesMax, 0); }
  static void destroy(void *memory) { delete *static_cast<Q **>(memory); }

  struct Producer {
    Q *q;
    moodycamel::ProducerToken token;
    Producer(void *memory, unsigned) : q(*static_cast<Q **>(memory)), token(*q) {}
    bool put(const M &m) { return q->enqueue(token, m); }
  };
  struct Consumer {
    Q *q;
    moodycamel::ConsumerToken token;
    Consumer(void *memory, unsigned) : q(*static_cast<Q **>(memory)), token(*q) {}
    bool get(M &m) { return q->try_dequeue(token, m); }
  };
};

}  // namespace bench
