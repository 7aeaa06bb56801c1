// bench/against/ck_barrier.h: Concurrency Kit's barriers (libck-dev). They spin, and only spin.
#pragma once

#include <array>

#include "bench/harness/lanes.h"

extern "C" {
#define CK_SPINLOCK_H  // all its locks, of which the barrier needs one and C++ refuses some
#include <spinlock/fas.h>

#include <ck_barrier.h>
}

namespace bench {

constexpr unsigned kCkPartiesMax = 8;

struct CkCentralized {
  ck_barrier_centralized_t barrier = CK_BARRIER_CENTRALIZED_INITIALIZER;
  unsigned n;
  explicit CkCentralized(unsigned n) : n(n) {}
  struct Party {
    CkCentralized &s;
    ck_barrier_centralized_state_t state = CK_BARRIER_CENTRALIZED_STATE_INITIALIZER;
    Party(CkCentralized &s, const Lane &) : s(s) {}
    void wait() { ck_barrier_centralized(&s.barrier, &state, s.n); }
  };
};

// It holds pointers: the lanes were forked when the memory was mapped, and have it at one address.
struct CkDissemination {
  std::array<ck_barrier_dissemination_t, kCkPartiesMax> barrier;
  std::array<std::array<ck_barrier_dissemination_flag_t, 8>, kCkPartiesMax> flags;
  explicit CkDissemination(unsigned n) {
    std::array<ck_barrier_dissemination_flag_t *, kCkPartiesMax> rows;
    for (unsigned i = 0; i < kCkPartiesMax; i++) rows[i] = flags[i].data();
    ck_barrier_dissemination_init(barrier.data(), rows.data(), n);
  }
  struct Party {
    CkDissemination &s;
    ck_barrier_dissemination_state_t state;
    Party(CkDissemination &s, const Lane &) : s(s) { ck_barrier_dissemination_subscribe(s.barrier.data(), &state); }
    void wait() { ck_barrier_dissemination(s.barrier.data(), &state); }
  };
};

}  // namespace bench
