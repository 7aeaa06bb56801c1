// bench/topic_bench.cc: what does a publisher pay for each subscriber?
//
// One lane publishes, the other has all the subscriptions, of one handle each, and reads in place on another
// processor. In turns: so many messages are published, timed; then all subscribers read them, not timed, so that
// nobody waits for anybody within the time that is taken; the median turn counts. Slots and subscribers' lines are on
// the other processor each time.

#include "bench/harness/must.h"
#include "bench/harness/workloads.h"
#include "bench/modules.h"
#include "ipc/queue/topic.h"

namespace bench {

namespace {

using M = Numbered<8>;
SHOAL_TOPIC_TYPED(numbers, M)

constexpr uint32_t kCapacity = 1024;
constexpr uint64_t kTurn = kCapacity / 2;  // messages
constexpr unsigned kSubscribersMax = 16;

struct Shared {
  alignas(128) std::atomic<uint64_t> published;
  alignas(128) std::atomic<uint64_t> read;
  alignas(128) std::atomic<uint64_t> word;  // for compare-and-sets
  alignas(128) char topic[1];
};

shoal_topic_options options() {
  shoal_topic_options o = {};
  o.capacity = kCapacity;
  o.element_size = sizeof(M);
  return o;
}
shoal_topic *attach(Shared *s) {
  shoal_topic_options o = options();
  shoal_topic *t;
  must(shoal_topic_attach_(s->topic, shoal_topic_size_(&o), sizeof(M), &t), "topic_attach");
  return t;
}

void read_all(Lane &lane, Shared *s, unsigned n) {
  shoal_topic *t[kSubscribersMax];
  for (unsigned i = 0; i < n; i++) {
    t[i] = attach(s);
    must(shoal_topic_subscribe(t[i], nullptr), "topic_subscribe");
  }
  uint64_t next = 0, wrong = 0;
  s->read = 1;
  lane.start();
  for (uint64_t to; (to = s->published.load(std::memory_order_acquire)) != UINT64_MAX;) {
    if (to == next) continue;
    for (unsigned i = 0; i < n; i++)
      for (uint64_t k = next; k < to; k++) {
        shoal_loan loan;
        must(shoal_topic_receive(t[i], &loan, SHOAL_FOREVER), "topic_receive");
        wrong += !static_cast<M *>(loan.data)->is(k);
        must(shoal_topic_release(t[i], &loan), "topic_release");
      }
    next = to;
    s->read.store(next + 1, std::memory_order_release);
  }
  lane.stop(next * n);
  lane.tally().wrong = wrong;
  for (unsigned i = 0; i < n; i++) must(shoal_topic_detach(t[i]), "topic_detach");
}

double ns_per_cas(Shared *s) {
  constexpr unsigned kTimes = 20000;
  uint64_t from = ticks();
  for (uint64_t i = 0; i < kTimes; i++) {
    uint64_t old = i;
    s->word.compare_exchange_strong(old, i + 1);
  }
  uint64_t spent = ticks() - from;
  s->word = 0;
  return static_cast<double>(spent) * ns_per_tick() / kTimes;
}

void publish_all(Lane &lane, Shared *s) {
  shoal_topic *t = attach(s);
  must(shoal_topic_join(t), "topic_join");
  while (s->read.load(std::memory_order_acquire) == 0) {
  }
  M m;
  uint64_t n = 0;
  std::vector<uint64_t> spent;  // in each turn
  spent.reserve(1 << 20);
  lane.start();
  do {
    uint64_t from = ticks();
    for (uint64_t k = 0; k < kTurn; k++) {
      m.set(n++);
      touch(m);
      must(numbers_publish(t, &m, SHOAL_TRY), "topic_publish");
    }
    if (spent.size() < spent.capacity()) spent.push_back(ticks() - from);
    s->published.store(n, std::memory_order_release);
    while (s->read.load(std::memory_order_acquire) != n + 1) {
    }
  } while (!lane.late());
  lane.stop(n);
  s->published.store(UINT64_MAX, std::memory_order_release);
  auto median = spent.begin() + static_cast<ptrdiff_t>(spent.size() / 2);
  std::nth_element(spent.begin(), median, spent.end());
  lane.tally().values[0] = static_cast<double>(*median) * ns_per_tick() / kTurn;
  lane.tally().values[1] = ns_per_cas(s);
  must(shoal_topic_detach(t), "topic_detach");
}

struct Cost {
  double publish, cas;  // ns
};
Cost cost(double seconds, unsigned subscribers, Outcome &outcome) {
  shoal_topic_options o = options();
  Arena arena(sizeof(Shared) + shoal_topic_size_(&o) + 4096);
  auto *s = static_cast<Shared *>(arena.take(sizeof(Shared) + shoal_topic_size_(&o)));
  must(shoal_topic_place_(s->topic, shoal_topic_size_(&o), &o), "topic_place");
  outcome = run({[=](Lane &lane) { publish_all(lane, s); }, [=](Lane &lane) { read_all(lane, s, subscribers); }},
                {seconds, &arena});
  if (outcome.hung) outcome.fault = "hung";
  if (outcome.fault.empty() &&
      (outcome.lanes[1].wrong || outcome.lanes[1].count != outcome.lanes[0].count * subscribers))
    outcome.fault = "a subscriber did not see every message in order";
  return {outcome.lanes[0].values[0], outcome.lanes[0].values[1]};
}

// ns a message; and in compare-and-sets a subscriber, what it costs more than without any.
template <unsigned Subscribers>
Measurement publisher(double seconds) {
  Measurement m;
  Outcome first;
  Cost none = cost(seconds / 2, 0, first);
  Cost with = cost(seconds / 2, Subscribers, m.outcome);
  if (m.outcome.fault.empty()) m.outcome.fault = first.fault;
  m.values = {with.publish, (with.publish - none.publish) / with.cas / Subscribers};
  return m;
}

template <unsigned Subscribers>
void add_case(Suite &suite, const char *name) {
  Case c;
  c.name = name;
  c.figures = {{"", "ns/msg", Better::kLower},
               {"/subscriber", "compare-and-sets", Better::kLower, "< 4", {{Target::kValue, 4}}}};
  c.contenders = {{"shoal", Role::kOurs, publisher<Subscribers>}};
  suite.add(c);
}

}  // namespace

void add_topic(Suite &suite) {
  add_case<1>(suite, "topic/1");
  add_case<4>(suite, "topic/4");
  add_case<16>(suite, "topic/16");
}

}  // namespace bench
