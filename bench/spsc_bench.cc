// bench/spsc_bench.cc: how close does a message between two processes come to what two cache lines can do, and do
// single puts stream as fast as others' batches?

#include "bench/against/boost.h"
#include "bench/against/ck.h"
#include "bench/against/moodycamel.h"
#include "bench/against/pipe.h"
#include "bench/against/rte.h"
#include "bench/harness/limits.h"
#include "bench/harness/workloads.h"
#include "bench/modules.h"
#include "bench/spsc_ring.h"

namespace bench {

namespace {

// Round trips.
template <size_t Bytes>
Case round_trips() {
  using M = Numbered<Bytes>;
  constexpr unsigned kCapacity = 1024;
  Case c;
  c.name = "spsc/rtt/" + std::to_string(Bytes);
  c.figures = {{"/p50",
                "ns",
                Better::kLower,
                "<= 1.3 x two lines, >= 1.35 x best peer",
                {{Target::kLimit, 1 / 1.3}, {Target::kBestPeer, 1.35}}},
               {"/p99.9", "ns", Better::kLower}};
  c.contenders = {{"shoal", Role::kOurs, round_trip<Spsc<M, kCapacity>>},
                  {"ck_ring", Role::kPeer, round_trip<CkSpsc<M, kCapacity>>},
                  {"rte_ring", Role::kPeer, round_trip<RteSpsc<M, kCapacity>>},
                  {"boost spsc_queue", Role::kPeer, round_trip<BoostSpsc<M, kCapacity>>},
                  {"readerwriterqueue (threads)", Role::kPeer, round_trip<MoodycamelSpsc<M, kCapacity>>},
                  {"pipe", Role::kPeer, round_trip<Pipe<M>>},
                  {"two lines", Role::kLimit, round_trip<Mailbox>}};
  return c;
}

template <class Q>
Measurement stream_1p1c(double seconds) {
  return stream<Q>(seconds, 1, 1);
}

template <size_t Bytes, unsigned Capacity>
Case singles() {
  using M = Numbered<Bytes>;
  constexpr bool kDeepLines = Bytes == 64 && Capacity == 16384;
  Case c;
  c.name = "spsc/stream/" + std::to_string(Bytes) + "/single/" + std::to_string(Capacity);
  c.figures = {{"",
                "M msg/s",
                Better::kHigher,
                kDeepLines ? ">= 2 x best peer" : ">= 1.5 x best peer",
                {{Target::kBestPeer, kDeepLines ? 2 : 1.5}}}};
  c.contenders = {{"shoal", Role::kOurs, stream_1p1c<Spsc<M, Capacity>>},
                  {"ck_ring", Role::kPeer, stream_1p1c<CkSpsc<M, Capacity>>},
                  {"rte_ring", Role::kPeer, stream_1p1c<RteSpsc<M, Capacity>>},
                  {"boost spsc_queue", Role::kPeer, stream_1p1c<BoostSpsc<M, Capacity>>},
                  {"readerwriterqueue (threads)", Role::kPeer, stream_1p1c<MoodycamelSpsc<M, Capacity>>}};
  if (Bytes == 64) c.contenders.push_back({"lines", Role::kLimit, stream_batches<Lines<Capacity>, 32>});
  return c;
}

template <size_t Bytes, unsigned Capacity>
Case batches() {
  using M = Numbered<Bytes>;
  constexpr unsigned kBatch = 32;
  Case c;
  c.name = "spsc/stream/" + std::to_string(Bytes) + "/batch" + std::to_string(kBatch) + "/" + std::to_string(Capacity);
  c.figures = {{"", "M msg/s", Better::kHigher, ">= 1 x best peer", {{Target::kBestPeer, 1}}}};
  c.contenders = {{"shoal", Role::kOurs, stream_batches<Spsc<M, Capacity>, kBatch>},
                  {"rte_ring burst", Role::kPeer, stream_batches<RteSpsc<M, Capacity>, kBatch>},
                  {"boost spsc_queue bulk", Role::kPeer, stream_batches<BoostSpsc<M, Capacity>, kBatch>}};
  if (Bytes == 64) {
    c.figures[0].promise += ", >= 0.8 of lines";
    c.figures[0].targets.push_back({Target::kLimit, 0.8});
    c.contenders.push_back({"lines", Role::kLimit, stream_batches<Lines<Capacity>, kBatch>});
  }
  return c;
}

}  // namespace

void add_spsc(Suite &suite) {
  suite.add(round_trips<8>());
  suite.add(round_trips<64>());
  suite.add(singles<8, 1024>());
  suite.add(singles<8, 16384>());
  suite.add(singles<64, 1024>());
  suite.add(singles<64, 16384>());
  suite.add(batches<8, 1024>());
  suite.add(batches<8, 16384>());
  suite.add(batches<64, 1024>());
  suite.add(batches<64, 16384>());
}

}  // namespace bench
