// bench/against/rte.h: DPDK's rte_ring (libdpdk-dev), in its single and its default (multi) forms. It needs nothing
// else of DPDK: rte_ring_init places it in any memory.
#pragma once

#include <rte_config.h>
#include <rte_ring.h>
#include <rte_ring_elem.h>

#include <stdexcept>

#include "bench/harness/workloads.h"

namespace bench {

template <class M, unsigned Capacity, unsigned Flags>
struct Rte : Placed {
  using Message = M;
  static size_t bytes() { return static_cast<size_t>(rte_ring_get_memsize_elem(sizeof(M), Capacity)); }
  static void make(void *memory) {
    if (rte_ring_init(static_cast<rte_ring *>(memory), "bench", Capacity, Flags))
      throw std::runtime_error("rte_ring_init");
  }

  struct Producer {
    rte_ring *q;
    Producer(void *memory, unsigned) : q(static_cast<rte_ring *>(memory)) {}
    bool put(const M &m) {
      if constexpr (Flags != 0) return rte_ring_sp_enqueue_elem(q, const_cast<M *>(&m), sizeof m) == 0;
      else return rte_ring_mp_enqueue_elem(q, const_cast<M *>(&m), sizeof m) == 0;
    }
    unsigned put_n(const M *m, unsigned n) { return rte_ring_sp_enqueue_burst_elem(q, m, sizeof *m, n, nullptr); }
  };
  struct Consumer {
    rte_ring *q;
    Consumer(void *memory, unsigned) : q(static_cast<rte_ring *>(memory)) {}
    bool get(M &m) {
      if constexpr (Flags != 0) return rte_ring_sc_dequeue_elem(q, &m, sizeof m) == 0;
      else return rte_ring_mc_dequeue_elem(q, &m, sizeof m) == 0;
    }
    unsigned get_n(M *m, unsigned n) { return rte_ring_sc_dequeue_burst_elem(q, m, sizeof *m, n, nullptr); }
  };
};

template <class M, unsigned Capacity>
using RteSpsc = Rte<M, Capacity, RING_F_SP_ENQ | RING_F_SC_DEQ>;
template <class M, unsigned Capacity>
using RteMpmc = Rte<M, Capacity, 0>;

}  // namespace bench
