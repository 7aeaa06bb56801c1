// bench/against/ck.h: Concurrency Kit's ck_ring (libck-dev). Its slots hold any type; the multi-producer form waits
// inside for a producer that has claimed and not published yet.
#pragma once

#include <ck_pr.h>

#include <new>

#include "bench/harness/workloads.h"

#define false 0  // it returns `false` for a null pointer, which C++ refuses
#include <ck_ring.h>
#undef false

namespace bench {

template <class M, unsigned Capacity>
struct CkShared {
  ck_ring ring;
  alignas(128) M slots[Capacity];
};

template <class M, unsigned Capacity>
struct CkRing : Placed {
  using Message = M;
  using Shared = CkShared<M, Capacity>;
  static size_t bytes() { return sizeof(Shared); }
  static void make(void *memory) { ck_ring_init(&static_cast<Shared *>(memory)->ring, Capacity); }
};

template <class M, unsigned Capacity>
struct CkSpsc : CkRing<M, Capacity> {
  using Shared = CkShared<M, Capacity>;
  struct Producer {
    Shared *q;
    Producer(void *memory, unsigned) : q(static_cast<Shared *>(memory)) {}
    bool put(const M &m) { return _ck_ring_enqueue_sp(&q->ring, q->slots, &m, sizeof m, nullptr); }
  };
  struct Consumer {
    Shared *q;
    Consumer(void *memory, unsigned) : q(static_cast<Shared *>(memory)) {}
    bool get(M &m) { return _ck_ring_dequeue_sc(&q->ring, q->slots, &m, sizeof m); }
  };
};

template <class M, unsigned Capacity>
struct CkMpmc : CkRing<M, Capacity> {
  using Shared = CkShared<M, Capacity>;
  struct Producer {
    Shared *q;
    Producer(void *memory, unsigned) : q(static_cast<Shared *>(memory)) {}
    bool put(const M &m) { return _ck_ring_enqueue_mp(&q->ring, q->slots, &m, sizeof m, nullptr); }
  };
  struct Consumer {
    Shared *q;
    Consumer(void *memory, unsigned) : q(static_cast<Shared *>(memory)) {}
    bool get(M &m) { return _ck_ring_dequeue_mc(&q->ring, q->slots, &m, sizeof m); }
  };
};

}  // namespace bench
