// bench/messages_bench.cc: how many messages of 8 bytes does a queue carry that processes share, beside what else there
// is for that?

#include "bench/against/iceoryx.h"
#include "bench/against/message_queues.h"
#include "bench/against/zeromq.h"
#include "bench/blocking_queue.h"
#include "bench/modules.h"

namespace bench {

namespace {

template <class Q, unsigned Producers, unsigned Consumers>
Measurement streams(double seconds) {
  return stream<Q>(seconds, Producers, Consumers);
}

// Threads of the library's, beside the lanes, have to run: a preemption is no disturbance.
template <class Q>
Measurement with_helpers(double seconds) {
  Measurement m = stream<Q>(seconds, 1, 1);
  m.outcome.preempted = 0;
  return m;
}

using Posix = Ended<PosixQueue<Number, kQueueCapacity>>;
using Boost = Ended<BoostQueue<Number, kQueueCapacity>>;
using Zero = Ended<ZeroMq<Number, kQueueCapacity>>;

Case of(const char *name) {
  Case c;
  c.name = name;
  c.figures = {{"", "M msg/s", Better::kHigher, ">= 15 x the best peer", {{Target::kBestPeer, 15}}}};
  return c;
}

template <uint32_t Kind>
Case one_to_one(const char *name) {
  Case c = of(name);
  c.contenders = {{"shoal", Role::kOurs, streams<BlockingQueue<Kind>, 1, 1>},
                  {"ZeroMQ ipc", Role::kPeer, with_helpers<Zero>},
                  {"iceoryx", Role::kPeer, with_helpers<Iceoryx<Number>>},
                  {"boost message_queue", Role::kPeer, streams<Boost, 1, 1>},
                  {"POSIX mq", Role::kPeer, streams<Posix, 1, 1>}};
  return c;
}

}  // namespace

void add_messages(Suite &suite) {
  suite.add(one_to_one<SHOAL_QUEUE_SPSC>("queue/8/spsc"));
  suite.add(one_to_one<SHOAL_QUEUE_MPMC>("queue/8/1p1c"));

  Case two = of("queue/8/2p2c");
  two.contenders = {{"shoal", Role::kOurs, streams<BlockingQueue<SHOAL_QUEUE_MPMC>, 2, 2>},
                    {"boost message_queue", Role::kPeer, streams<Boost, 2, 2>},
                    {"POSIX mq", Role::kPeer, streams<Posix, 2, 2>}};
  suite.add(two);
}

}  // namespace bench
