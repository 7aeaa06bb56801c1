// bench/harness/copies.h: messages copied in and out: one sends as fast as it can, the other receives; megabytes a
// second.
#pragma once

#include "bench/harness/workloads.h"

namespace bench {

constexpr unsigned kWarm = 200;  // messages before the clock starts: all memory has been touched

template <class Q>
void send_copies(Lane &lane, void *memory) {
  typename Q::Producer out(memory, 0);
  auto m = std::make_unique<typename Q::Message>();
  std::memset(static_cast<void *>(m.get()), 1, sizeof *m);
  for (unsigned i = 0; i < kWarm; i++) out.put(*m);
  uint64_t n = 0;
  lane.start();
  do {
    m->set(n++);
    out.put(*m);
  } while (!lane.late());
  lane.stop(n);
}

template <class Q>
void receive_copies(Lane &lane, void *memory) {
  typename Q::Consumer in(memory, 0);
  auto m = std::make_unique<typename Q::Message>();
  std::memset(static_cast<void *>(m.get()), 1, sizeof *m);
  for (unsigned i = 0; i < kWarm; i++) in.get(*m);
  uint64_t n = 0, wrong = 0;
  lane.start();
  while (in.get(*m)) wrong += !m->is(n++);
  lane.stop(n);
  lane.tally().wrong = wrong;
}

inline Measurement copies_result(Outcome o, size_t bytes) {
  Measurement m;
  if (o.hung) o.fault = "a message never came";
  if (o.fault.empty() && (o.lanes[1].wrong || o.lanes[0].count != o.lanes[1].count)) o.fault = "other messages came";
  m.values = {static_cast<double>(o.lanes[1].count) * static_cast<double>(bytes) / o.seconds / 1e6};
  m.outcome = std::move(o);
  return m;
}

template <class Q>
Measurement copies(double seconds) {
  Arena arena(Q::bytes() + 4096);
  Made<Q> made(arena);
  return copies_result(run({[&](Lane &lane) { send_copies<Q>(lane, made.memory()); },
                            [&](Lane &lane) { receive_copies<Q>(lane, made.memory()); }},
                           {seconds, &arena}),
                       sizeof(typename Q::Message));
}

}  // namespace bench
