// bench/mpmc_bench.cc: what does it cost a ring that its users may be killed anywhere, and does anybody wait when one
// of them loses its processor in the middle of an operation?

#include "bench/against/boost.h"
#include "bench/against/ck.h"
#include "bench/against/moodycamel.h"
#include "bench/against/rte.h"
#include "bench/modules.h"
#include "bench/mpmc_ring.h"

namespace bench {

namespace {

Case streams(unsigned each) {
  using M = Numbered<8>;
  constexpr unsigned kCapacity = 1024;
  auto of = [each](auto measure) { return [=](double seconds) { return measure(seconds, each, each); }; };
  std::string n = std::to_string(each);
  Case c;
  c.name = "mpmc/stream/8/" + n + "p" + n + "c";
  c.figures = {{"", "M msg/s", Better::kHigher, ">= 1.3 x best peer", {{Target::kBestPeer, 1.3}}}};
  if (each == 4) {
    c.figures.push_back({"/stall", "ms", Better::kLower, "never > 100 ms", {{Target::kValue, 100}}});
    c.stretch = 3;
  }
  c.contenders = {{"shoal", Role::kOurs, of(stream<Mpmc<M, kCapacity>>)},
                  {"ck_ring", Role::kPeer, of(stream<CkMpmc<M, kCapacity>>)},
                  {"rte_ring", Role::kPeer, of(stream<RteMpmc<M, kCapacity>>)},
                  {"boost queue", Role::kPeer, of(stream<BoostMpmc<M, kCapacity>>)},
                  {"concurrentqueue (threads)", Role::kPeer, of(stream<MoodycamelMpmc<M, kCapacity>>)}};
  return c;
}

}  // namespace

void add_mpmc(Suite &suite) {
  for (unsigned each : {1, 2, 4}) suite.add(streams(each));
}

}  // namespace bench
