// bench/memory_bench.cc: what does a queue take of its segment, what a message that waits in it, and does that grow
// with the number of messages that pass?

#include <sched.h>

#include "bench/harness/must.h"
#include "bench/harness/workloads.h"
#include "bench/modules.h"
#include "ipc/queue/message.h"
#include "ipc/queue/topic.h"

namespace bench {

namespace {

constexpr uint32_t kSmall = 1 << 10, kLarge = 1 << 14;  // messages, of two queues of a kind
constexpr uint64_t kPassed = 10000000;                  // messages

// ---- what carries them; put and get answer -EAGAIN ----

template <uint32_t Kind>
struct Elements {
  shoal_queue *q;
  static constexpr uint32_t kBytes = 8;
  void create(shoal_segment *segment, uint32_t capacity) {
    shoal_queue_options o = {};
    o.capacity = capacity;
    o.element_size = kBytes;
    o.kind = Kind;
    if (Kind == SHOAL_QUEUE_PRIORITY) o.key = {SHOAL_KEY_U64, 0};
    must(shoal_queue_create(segment, nullptr, &o, &q), "queue_create");
  }
  void begin(int side) { must(shoal_queue_join(q, side), "queue_join"); }
  int put(uint64_t word) { return shoal_queue_put(q, &word, SHOAL_TRY); }
  int get(uint64_t *word) { return shoal_queue_get(q, word, SHOAL_TRY); }
};

struct Bytes {
  shoal_queue *q;
  static constexpr uint32_t kBytes = 1000;
  void create(shoal_segment *segment, uint32_t capacity) {
    shoal_queue_options o = {};
    o.capacity = capacity;
    o.bytes = 1;
    must(shoal_queue_create(segment, nullptr, &o, &q), "queue_create");
  }
  void begin(int side) { must(shoal_queue_join(q, side), "queue_join"); }
  int put(uint64_t word) {
    uint64_t message[kBytes / 8] = {word};
    return shoal_queue_send(q, message, sizeof message, SHOAL_TRY);
  }
  int get(uint64_t *word) {
    uint64_t message[kBytes / 8], size;
    int rc = shoal_queue_recv(q, message, sizeof message, &size, SHOAL_TRY);
    *word = message[0];
    return rc;
  }
};

struct Topic {
  shoal_topic *t;
  static constexpr uint32_t kBytes = 8;
  void create(shoal_segment *segment, uint32_t capacity) {
    shoal_topic_options o = {};
    o.capacity = capacity;
    o.element_size = kBytes;
    must(shoal_topic_create(segment, nullptr, &o, &t), "topic_create");
  }
  void begin(int side) {
    must(side == SHOAL_PRODUCER ? shoal_topic_join(t) : shoal_topic_subscribe(t, nullptr), "topic_subscribe");
  }
  int put(uint64_t word) { return shoal_topic_publish(t, &word, SHOAL_TRY); }
  int get(uint64_t *word) { return shoal_topic_get(t, word, SHOAL_TRY); }
};

// ---- what is used of a segment; of its heap, what is in use ----

struct Segment {
  shoal_segment *segment;
  shoal_heap *heap;
  Segment() {
    shoal_segment_options o = {};
    o.size = 64 << 20;
    must(shoal_segment_create(nullptr, &o, &segment), "segment_create");
    must(shoal_heap_open(segment, &heap), "heap_open");
  }
  ~Segment() {
    shoal_heap_close(heap);
    shoal_segment_close(segment);
  }
  Segment(const Segment &) = delete;
  Segment &operator=(const Segment &) = delete;

  uint64_t heap_used() const {
    struct shoal_heap_info info;
    must(shoal_heap_info(heap, &info), "heap_info");
    return info.used;
  }
  uint64_t used() const {
    struct shoal_segment_info all;
    struct shoal_heap_info info;
    must(shoal_segment_info(segment, &all), "segment_info");
    must(shoal_heap_info(heap, &info), "heap_info");
    return all.used - info.size + info.used;
  }
};

// ---- a queue, and a message ----

template <class C>
uint64_t cost_of(const Segment &s, uint32_t capacity, C *out) {
  uint64_t before = s.used();
  out->create(s.segment, capacity);
  return s.used() - before;
}

template <class C>
Measurement cost(double seconds) {
  Measurement m;
  m.outcome = run({[](Lane &lane) {
                    Segment s;
                    C first, small, large;
                    cost_of(s, 1, &first);  // what the segment has once
                    double one = static_cast<double>(cost_of(s, kSmall, &small));
                    double other = static_cast<double>(cost_of(s, kLarge, &large));
                    double message = (other - one) / (kLarge - kSmall), empty = static_cast<double>(s.heap_used());
                    lane.start();
                    large.begin(SHOAL_CONSUMER);
                    for (uint32_t i = 0; i < kLarge; i++)
                      if (int rc = large.put(i)) must_not(rc, "put");
                    lane.stop(kLarge);
                    double blocks = (static_cast<double>(s.heap_used()) - empty) / kLarge;
                    lane.tally().values[0] = message + blocks;
                    lane.tally().values[1] = one - message * kSmall;
                  }},
                  {seconds});
  m.values = {m.outcome.lanes[0].values[0], m.outcome.lanes[0].values[1]};
  return m;
}

// ---- many messages pass, from one process to another ----

template <class C>
struct Passing {
  Segment s;
  C c;
  std::atomic<int> phase;  // 1 the receiver is there, 2 it was full once
};

uint64_t word_of(uint64_t n) { return n * UINT64_C(0x9e3779b97f4a7c15); }  // keys come in no order

void await(const std::atomic<int> &phase, int value) {
  while (phase.load(std::memory_order_acquire) < value) sched_yield();
}

template <class C>
void send_all(Lane &lane, Passing<C> *p) {
  Backoff backoff(lane);
  uint64_t sum = 0;
  p->c.begin(SHOAL_PRODUCER);
  await(p->phase, 1);
  while (p->c.put(0) == 0) {
  }
  p->phase.store(2, std::memory_order_release);
  lane.start();
  for (uint64_t n = 0; n < kPassed; n++) {
    sum += word_of(n);
    while (int rc = p->c.put(word_of(n))) rc == -EAGAIN ? backoff.wait() : must_not(rc, "put");
  }
  lane.stop(kPassed);
  lane.tally().sum = sum;
}

template <class C>
void receive_all(Lane &lane, Passing<C> *p) {
  Backoff backoff(lane);
  uint64_t word, sum = 0;
  p->c.begin(SHOAL_CONSUMER);
  p->phase.store(1, std::memory_order_release);
  await(p->phase, 2);
  while (p->c.get(&word) == 0) {
  }
  double before = static_cast<double>(p->s.used());
  lane.start();
  for (uint64_t n = 0; n < kPassed; n++) {
    while (int rc = p->c.get(&word)) rc == -EAGAIN ? backoff.wait() : must_not(rc, "get");
    sum += word;
  }
  lane.stop(kPassed);
  lane.tally().sum = sum;
  lane.tally().values[0] = before;
  lane.tally().values[1] = static_cast<double>(p->s.used());
}

template <class C>
Measurement pass(double seconds) {
  Arena arena(sizeof(Passing<C>));
  auto *p = new (arena.take(sizeof(Passing<C>))) Passing<C>();
  p->c.create(p->s.segment, kSmall);
  Measurement m;
  m.outcome = run({[=](Lane &lane) { send_all(lane, p); }, [=](Lane &lane) { receive_all(lane, p); }}, {seconds});
  p->~Passing<C>();
  Outcome &o = m.outcome;
  o.preempted = 0;  // time is not what is measured
  if (o.hung) o.fault = "a message never came";
  if (o.fault.empty() && o.lanes[0].sum != o.lanes[1].sum) o.fault = "other messages came";
  double before = o.lanes[1].values[0], after = o.lanes[1].values[1];
  m.values = {before, after, after - before};
  return m;
}

template <class C>
void add_kind(Suite &suite, const std::string &name) {
  Case c;
  c.name = "memory/" + name;
  c.figures = {{"/message", "bytes", Better::kLower}, {"/queue", "bytes", Better::kLower}};
  c.contenders = {{"shoal", Role::kOurs, cost<C>}};
  c.repetitions = 1;
  suite.add(c);

  Case passed;
  passed.name = "memory/" + name + "/10M";
  passed.figures = {{"/before", "bytes", Better::kLower},
                    {"/after", "bytes", Better::kLower},
                    {"/growth", "bytes", Better::kLower, "none", {{Target::kValue, 0}}}};
  passed.contenders = {{"shoal", Role::kOurs, pass<C>}};
  passed.repetitions = 1;
  passed.seconds = 60;  // at most, before it counts as hung
  suite.add(passed);
}

}  // namespace

void add_memory(Suite &suite) {
  add_kind<Elements<SHOAL_QUEUE_MPMC>>(suite, "mpmc");
  add_kind<Elements<SHOAL_QUEUE_SPSC>>(suite, "spsc");
  add_kind<Elements<SHOAL_QUEUE_FIFO>>(suite, "fifo");
  add_kind<Elements<SHOAL_QUEUE_LIFO>>(suite, "lifo");
  add_kind<Elements<SHOAL_QUEUE_PRIORITY>>(suite, "priority");
  add_kind<Bytes>(suite, "bytes");
  add_kind<Topic>(suite, "topic");
}

}  // namespace bench
