// bench/harness/pairs.h: acquire, add one, release, and again: what is done to all that lets one in at a time.
//
// A lock is a type L with
//   static constexpr bool kThreads;   // lives only inside one process
//   void make(); void acquire(); void release();     // in zeroed memory
// or, what runs a function while it lets nobody else in, one with
//   template <class F> void run(F f);
#pragma once

#include <thread>

#include "bench/harness/workloads.h"

namespace bench {

template <class L>
struct Guarded {
  alignas(64) L lock;
  alignas(64) uint64_t pairs;  // what the lock guards
};

template <class L, class F>
auto inside(L &lock, F f) -> decltype(lock.run(f)) {
  lock.run(f);
}
template <class L, class F>
auto inside(L &lock, F f) -> decltype(lock.acquire()) {
  lock.acquire();
  f();
  lock.release();
}

// `Watched`: notes the longest time from one acquisition to the next.
template <class L, bool Watched>
void pair_up(Lane &lane, Guarded<L> *g) {
  std::thread([] {}).join();  // the C library is not to know that there is one thread only
  uint64_t n = 0;
  lane.start();
  uint64_t last = ticks(), longest = 0;
  do {
    for (unsigned k = 0; k < kLook; k++, n++) {
      inside(g->lock, [g] {
        touch(g->pairs);
        g->pairs++;
        touch(g->pairs);
      });
      if (!Watched) continue;
      uint64_t now = ticks();
      longest = std::max(longest, now - last);
      last = now;
    }
  } while (!lane.late());
  lane.stop(n);
  lane.tally().stall = longest;
}

// Millions a second of all lanes together; the largest share as a multiple of the smallest; the longest wait, ms.
inline Measurement shared_out(Outcome &&outcome) {
  uint64_t n = 0, least = UINT64_MAX, most = 0, longest = 0;
  for (const Tally &t : outcome.lanes) {
    n += t.count;
    least = std::min(least, t.count);
    most = std::max(most, t.count);
    longest = std::max(longest, t.stall);
  }
  Measurement m;
  m.values = {static_cast<double>(n) / outcome.seconds / 1e6,
              static_cast<double>(most) / static_cast<double>(std::max<uint64_t>(least, 1)),
              static_cast<double>(longest) * ns_per_tick() / 1e6};
  m.outcome = std::move(outcome);
  return m;
}

// ns a pair of one lane alone; millions of pairs a second of several together. Watched, as shared_out.
template <class L, unsigned Lanes, bool Watched = false>
Measurement pairs(double seconds) {
  Arena arena(sizeof(Guarded<L>));
  auto *g = static_cast<Guarded<L> *>(arena.take(sizeof(Guarded<L>)));
  g->lock.make();
  Measurement m;
  m.outcome =
      run(std::vector<Work>(Lanes, [=](Lane &lane) { pair_up<L, Watched>(lane, g); }), {seconds, &arena, L::kThreads});
  uint64_t n = 0;
  for (const Tally &t : m.outcome.lanes) n += t.count;
  if (m.outcome.hung) m.outcome.fault = "hung";
  if (m.outcome.fault.empty() && n != g->pairs)
    m.outcome.fault = std::to_string(n) + " pairs, " + std::to_string(g->pairs) + " counted under the lock";
  if (Watched) return shared_out(std::move(m.outcome));
  double rate = static_cast<double>(n) / m.outcome.seconds;
  m.values = {Lanes == 1 ? 1e9 / rate : rate / 1e6};
  return m;
}

inline Figure nanoseconds(std::string promise, std::vector<Target> targets) {
  return {"", "ns/pair", Better::kLower, std::move(promise), std::move(targets)};
}
inline Figure millions(std::string promise, std::vector<Target> targets) {
  return {"", "M pair/s", Better::kHigher, std::move(promise), std::move(targets)};
}

// Eight on two processors: what gets through, how it is shared out, and how long one may wait. The limit: two of them.
// One long measurement of each, so that shares are those of the whole of it; 5 s for all contenders together, if the
// usual case takes 1 s for each.
inline Case crowd(std::string name, std::vector<Contender> contenders) {
  Case c;
  c.name = std::move(name);
  c.figures = {millions(">= half of two lanes", {{Target::kLimit, .5}}),
               {"/shares", "largest/smallest", Better::kLower, "<= 4", {{Target::kValue, 4}}},
               {"/longest", "ms", Better::kLower}};
  c.repetitions = 1;
  c.stretch = 5.0 * kRepetitions / static_cast<double>(contenders.size());
  c.contenders = std::move(contenders);
  return c;
}

}  // namespace bench
