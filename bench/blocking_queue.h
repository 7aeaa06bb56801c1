// bench/blocking_queue.h: ours, as its users have it: ipc/queue/queue.h, by name in a segment; children of fork use its
// handle.
#pragma once

#include "bench/harness/must.h"
#include "bench/harness/workloads.h"
#include "ipc/queue/queue.h"

namespace bench {

constexpr unsigned kQueueCapacity = 1024;
using Number = Numbered<8>;

template <class M>
struct Typed_;
#define BENCH_TYPED_(name, M)                                                              \
  SHOAL_QUEUE_TYPED(name, M)                                                               \
  template <>                                                                              \
  struct Typed_<M> {                                                                       \
    static int create(shoal_segment *s, const shoal_queue_options *o, shoal_queue **q) {   \
      return name##_create(s, #name, o, q);                                                \
    }                                                                                      \
    static int put(shoal_queue *q, const M *m) { return name##_put(q, m, SHOAL_FOREVER); } \
    static int get(shoal_queue *q, M *m) { return name##_get(q, m, SHOAL_FOREVER); }       \
  };
BENCH_TYPED_(queue8, Numbered<8>)
BENCH_TYPED_(queue64, Numbered<64>)
#undef BENCH_TYPED_

template <uint32_t Kind, class M = Number>
struct BlockingQueue {
  using Message = M;
  static constexpr bool kThreads = false;
  struct Shared {
    shoal_segment *segment;
    shoal_queue *queue;
  };
  static size_t bytes() { return sizeof(Shared); }
  static void make(void *memory) {
    auto *s = static_cast<Shared *>(memory);
    shoal_segment_options small = {};
    small.flags = SHOAL_SEGMENT_PREFAULT;
    shoal_queue_options options = {};
    options.capacity = kQueueCapacity;
    options.kind = Kind;
    must(shoal_segment_create(nullptr, &small, &s->segment), "segment_create");
    must(Typed_<M>::create(s->segment, &options, &s->queue), "queue_create");
  }
  static void destroy(void *memory) {
    auto *s = static_cast<Shared *>(memory);
    must(shoal_queue_detach(s->queue), "queue_detach");
    must(shoal_segment_close(s->segment), "segment_close");
  }

  struct Producer {
    shoal_queue *q;
    Producer(void *memory, unsigned) : q(static_cast<Shared *>(memory)->queue) {
      must(shoal_queue_join(q, SHOAL_PRODUCER), "queue_join");
    }
    ~Producer() { shoal_queue_leave(q, SHOAL_PRODUCER); }
    bool put(const M &m) { return must(Typed_<M>::put(q, &m), "queue_put") == 0; }
  };
  struct Consumer {
    shoal_queue *q;
    Consumer(void *memory, unsigned) : q(static_cast<Shared *>(memory)->queue) {
      must(shoal_queue_join(q, SHOAL_CONSUMER), "queue_join");
    }
    ~Consumer() { shoal_queue_leave(q, SHOAL_CONSUMER); }
    bool get(M &m) {
      int rc = Typed_<M>::get(q, &m);
      return rc != -EPIPE && must(rc, "queue_get") == 0;
    }
  };
};

}  // namespace bench
