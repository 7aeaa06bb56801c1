// bench/mpmc_ring.h: ours, bare: ipc/queue/mpmc.h with the roles it needs, and nobody who sleeps.
#pragma once

#include "bench/harness/must.h"
#include "bench/harness/workloads.h"
#include "ipc/queue/mpmc.h"

namespace bench {

template <class M, unsigned Capacity>
struct Mpmc : Placed {
  using Message = M;
  static constexpr uint32_t kRoles = kLanesMax;
  static uint64_t waiting() { return shoal_eventcount_size(kRoles, kRoles); }
  static size_t bytes() { return waiting() + shoal_mpmc_size(Capacity, sizeof(M)); }
  static auto *eventcount(void *memory) { return static_cast<shoal_eventcount *>(memory); }
  static auto *ring(void *memory) {
    return reinterpret_cast<shoal_mpmc_shm *>(static_cast<char *>(memory) + waiting());
  }
  static void make(void *memory) {
    must(shoal_eventcount_init(eventcount(memory), kRoles, kRoles, 0), "eventcount_init");
    must(shoal_mpmc_init(ring(memory), Capacity, sizeof(M), 0), "mpmc_init");
  }

  struct View {
    shoal_eventcount_view view;
    shoal_mpmc mpmc;
    uint32_t me;
    View(void *memory, int side) {
      static const shoal_wait_ops kNobodyDies = {};
      must(shoal_eventcount_attach(&view, eventcount(memory), waiting(), &kNobodyDies), "eventcount_attach");
      must(shoal_mpmc_attach(&mpmc, ring(memory), bytes() - waiting(), &view), "mpmc_attach");
      me = static_cast<uint32_t>(must(shoal_role_mine(&view, side), "role"));
    }
    View(const View &) = delete;
    View &operator=(const View &) = delete;
  };
  struct Producer : View {
    Producer(void *memory, unsigned) : View(memory, SHOAL_PRODUCER) {}
    bool put(const M &m) {
      shoal_claim claim;
      if (!shoal_mpmc_claim_put(&this->mpmc, this->me, sizeof m, &claim)) return false;
      memcpy(shoal_claim_data(&claim, sizeof m), &m, sizeof m);
      shoal_mpmc_publish(&this->mpmc, &claim);
      return true;
    }
  };
  struct Consumer : View {
    Consumer(void *memory, unsigned) : View(memory, SHOAL_CONSUMER) {}
    bool get(M &m) {
      shoal_claim claim;
      if (!shoal_mpmc_claim_get(&this->mpmc, this->me, sizeof m, &claim)) return false;
      memcpy(&m, shoal_claim_data(&claim, sizeof m), sizeof m);
      shoal_mpmc_commit(&this->mpmc, &claim);
      return true;
    }
  };
};

}  // namespace bench
