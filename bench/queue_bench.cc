// bench/queue_bench.cc: what does it cost that a queue's users may sleep: when they do, when they need not, and when
// there is nothing to do at all?

#include <unistd.h>

#include "bench/against/pipe.h"
#include "bench/blocking_queue.h"
#include "bench/harness/sleepers.h"
#include "bench/modules.h"
#include "bench/mpmc_ring.h"
#include "bench/spsc_ring.h"

namespace bench {

namespace {

using M = Number;
using Queue = BlockingQueue<SHOAL_QUEUE_MPMC>;

// ---- idle: a receiver waits, nothing comes for long ----

constexpr double kIdleSeconds = 3;

template <class Q>
void wait_idle(Lane &lane, void *memory) {
  typename Q::Consumer in(memory, 0);
  M m;
  timespec before, after;
  lane.start();
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
  bool got = in.get(m);
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
  lane.stop(got && m.is(1));
  double used = static_cast<double>(after.tv_sec - before.tv_sec) * 1e6 +
                static_cast<double>(after.tv_nsec - before.tv_nsec) / 1e3;
  lane.tally().values[0] = used / kIdleSeconds;
}

template <class Q>
void send_late(Lane &lane, void *memory) {
  typename Q::Producer out(memory, 0);
  M m;
  m.set(1);
  lane.start();
  while (!lane.late()) usleep(10000);
  out.put(m);
  lane.stop(1);
}

template <class Q>
Measurement idle(double seconds) {
  Arena arena(Q::bytes());
  Made<Q> made(arena);
  Measurement m;
  m.outcome = run(
      {[&](Lane &lane) { wait_idle<Q>(lane, made.memory()); }, [&](Lane &lane) { send_late<Q>(lane, made.memory()); }},
      {seconds, &arena});
  m.outcome.preempted = 0;  // one who sleeps has nothing to lose
  if (m.outcome.hung) m.outcome.fault = "the message never came";
  if (m.outcome.fault.empty() && m.outcome.lanes[0].count != 1) m.outcome.fault = "another message came";
  m.values = {m.outcome.lanes[0].values[0]};
  return m;
}

template <class Q>
Measurement stream_1p1c(double seconds) {
  return stream<Q>(seconds, 1, 1);
}

// Of kind SPSC, beside the ring that it stands on.
template <class M>
void add_spsc_queue(Suite &suite) {
  using Queue = BlockingQueue<SHOAL_QUEUE_SPSC, M>;
  using Ring = Spsc<M, kQueueCapacity>;
  std::string bytes = std::to_string(sizeof(M));
  Case stream;
  stream.name = "queue/spsc/stream/" + bytes;
  stream.figures = {{"", "M msg/s", Better::kHigher, ">= 0.9 of the bare ring", {{Target::kLimit, 0.9}}}};
  stream.contenders = {{"shoal", Role::kOurs, stream_1p1c<Queue>}, {"the bare ring", Role::kLimit, stream_1p1c<Ring>}};
  suite.add(stream);
  if (sizeof(M) > 8) return;

  Case rtt;
  rtt.name = "queue/spsc/rtt/" + bytes;
  rtt.figures = {{"/p50", "ns", Better::kLower, "<= 1.15 x the bare ring", {{Target::kLimit, 1 / 1.15}}},
                 {"/p99.9", "ns", Better::kLower}};
  rtt.contenders = {{"shoal", Role::kOurs, round_trip<Queue>}, {"the bare ring", Role::kLimit, round_trip<Ring>}};
  suite.add(rtt);
}

}  // namespace

void add_queue(Suite &suite) {
  Case sleeping;
  sleeping.name = "queue/blocking/rtt";
  sleeping.figures = {{"", "us", Better::kLower, "<= 1.15 x raw futex", {{Target::kLimit, 1 / 1.15}}}};
  sleeping.contenders = {{"shoal", Role::kOurs, sleeping_round_trip<Queue>},
                         {"pipe", Role::kPeer, sleeping_round_trip<Pipe<M>>},
                         {"raw futex", Role::kLimit, sleeping_round_trip<RawFutex>}};
  suite.add(sleeping);

  Case awake;
  awake.name = "queue/blocking/stream";
  awake.figures = {{"", "M msg/s", Better::kHigher, ">= 0.8 of the bare ring", {{Target::kLimit, 0.8}}}};
  awake.contenders = {{"shoal", Role::kOurs, stream_1p1c<Queue>},
                      {"pipe", Role::kPeer, stream_1p1c<Pipe<M>>},
                      {"the bare ring", Role::kLimit, stream_1p1c<Mpmc<M, kQueueCapacity>>}};
  suite.add(awake);

  add_spsc_queue<Number>(suite);
  add_spsc_queue<Numbered<64>>(suite);

  Case nothing;
  nothing.name = "queue/blocking/idle";
  nothing.figures = {{"", "us CPU/s", Better::kLower, "<= 1000 (0.1 % of a processor)", {{Target::kValue, 1000}}}};
  nothing.contenders = {{"shoal", Role::kOurs, idle<Queue>}, {"pipe", Role::kPeer, idle<Pipe<M>>}};
  nothing.repetitions = 1;
  nothing.seconds = kIdleSeconds;
  suite.add(nothing);
}

}  // namespace bench
