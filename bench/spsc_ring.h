// bench/spsc_ring.h: ours, bare: ipc/queue/spsc.h.
#pragma once

#include "bench/harness/must.h"
#include "bench/harness/workloads.h"
#include "ipc/queue/spsc.h"

namespace bench {

template <class M>
struct Typed;
#define BENCH_TYPED_(name, M)                                                                                  \
  SHOAL_SPSC_TYPED(name, M)                                                                                    \
  template <>                                                                                                  \
  struct Typed<M> {                                                                                            \
    using Producer = name##_producer;                                                                          \
    using Consumer = name##_consumer;                                                                          \
    static uint64_t size(uint32_t n) { return name##_size(n); }                                                \
    static int init(shoal_spsc_shm *s, uint64_t bytes, uint32_t n) { return name##_init(s, bytes, n); }        \
    static int produce(Producer *p, shoal_spsc_shm *s, uint64_t bytes) { return name##_produce(p, s, bytes); } \
    static int consume(Consumer *c, shoal_spsc_shm *s, uint64_t bytes) { return name##_consume(c, s, bytes); } \
    static bool put(Producer *p, const M &m) { return name##_try_put(p, &m) == 0; }                            \
    static bool get(Consumer *c, M &m) { return name##_try_get(c, &m) == 0; }                                  \
    static unsigned put_n(Producer *p, const M *m, unsigned n) { return name##_try_put_n(p, m, n); }           \
    static unsigned get_n(Consumer *c, M *m, unsigned n) { return name##_try_get_n(c, m, n); }                 \
  };
BENCH_TYPED_(spsc8, Numbered<8>)
BENCH_TYPED_(spsc64, Numbered<64>)
#undef BENCH_TYPED_

template <class M, unsigned Capacity>
struct Spsc : Placed {
  using Message = M;
  using T = Typed<M>;
  static size_t bytes() { return T::size(Capacity); }
  static void make(void *memory) {
    must(T::init(static_cast<shoal_spsc_shm *>(memory), bytes(), Capacity), "spsc_init");
  }

  struct Producer {
    typename T::Producer role;
    Producer(void *memory, unsigned) {
      must(T::produce(&role, static_cast<shoal_spsc_shm *>(memory), bytes()), "spsc_produce");
    }
    bool put(const M &m) { return T::put(&role, m); }
    unsigned put_n(const M *m, unsigned n) { return T::put_n(&role, m, n); }
  };
  struct Consumer {
    typename T::Consumer role;
    Consumer(void *memory, unsigned) {
      must(T::consume(&role, static_cast<shoal_spsc_shm *>(memory), bytes()), "spsc_consume");
    }
    bool get(M &m) { return T::get(&role, m); }
    unsigned get_n(M *m, unsigned n) { return T::get_n(&role, m, n); }
  };
};

}  // namespace bench
