// bench/ordered_bench.cc: what does it cost that a stack and a heap of messages are shared, and survive their users?
// Against the ones of the standard library that a process has for itself.

#include <queue>
#include <stack>

#include "bench/harness/must.h"
#include "bench/harness/workloads.h"
#include "bench/modules.h"
#include "ipc/queue/queue.h"

namespace bench {

namespace {

struct Item {
  uint64_t key, value;
  bool operator>(const Item &other) const { return key > other.key; }
};

// ---- ours, two processes; theirs, one ----

template <uint32_t Kind>
struct Shared : Placed {
  shoal_segment *segment;
  shoal_queue *queue;
  explicit Shared(uint32_t depth) {
    shoal_segment_options prefault = {};
    prefault.flags = SHOAL_SEGMENT_PREFAULT;
    shoal_queue_options options = {};
    options.capacity = depth + 16;
    options.element_size = sizeof(Item);
    options.kind = Kind;
    if (Kind == SHOAL_QUEUE_PRIORITY) options.key.type = SHOAL_KEY_U64;
    must(shoal_segment_create(nullptr, &prefault, &segment), "segment_create");
    must(shoal_queue_create(segment, "items", &options, &queue), "queue_create");
  }
  ~Shared() {
    shoal_queue_detach(queue);
    shoal_segment_close(segment);
  }
  void put(const Item &item) { must(shoal_queue_put_(queue, &item, sizeof item, SHOAL_FOREVER), "queue_put"); }
  Item get() {
    Item item;
    must(shoal_queue_get_(queue, &item, sizeof item, SHOAL_FOREVER), "queue_get");
    return item;
  }
};

struct PrivateHeap {
  std::priority_queue<Item, std::vector<Item>, std::greater<Item>> heap;
  explicit PrivateHeap(uint32_t) {}
  void put(const Item &item) { heap.push(item); }
  Item get() {
    Item item = heap.top();
    heap.pop();
    return item;
  }
};
struct PrivateStack {
  std::stack<Item, std::vector<Item>> stack;
  explicit PrivateStack(uint32_t) {}
  void put(const Item &item) { stack.push(item); }
  Item get() {
    Item item = stack.top();
    stack.pop();
    return item;
  }
};

struct Random {
  uint64_t state;
  uint64_t operator()() {
    state ^= state << 13, state ^= state >> 7;
    return state ^= state << 17;
  }
};

// Pairs before the clock runs: a child of fork has its pages mapped, or copied, by then.
constexpr unsigned kBefore = 30000;

// It holds `depth` items all the while: put one with a random key, take the next.
template <class Q>
void put_and_get(Lane &lane, Q *q) {
  Random random{lane.index * UINT64_C(0x9e3779b97f4a7c15) + 88172645463325252u};
  uint64_t n = 0, sum = 0, wrong = 0;
  auto pair = [&] {
    uint64_t key = random();
    q->put({key, ~key});
    Item item = q->get();
    touch(item);
    wrong += item.value != ~item.key;
    sum += key - item.key;
  };
  for (unsigned k = 0; k < kBefore; k++) pair();
  lane.start();
  do {
    for (unsigned k = 0; k < kLook / 8; k++, n++) pair();
  } while (!lane.late());
  lane.stop(n);
  lane.tally().sum = sum;
  lane.tally().wrong = wrong;
}

// Millions of pairs of all lanes together. What was put and what was taken differ by what is left.
template <class Q, unsigned Lanes, uint32_t Depth>
Measurement depth(double seconds) {
  Arena arena(4096);
  Q q(Depth);
  Random random{12345};
  uint64_t left = 0;
  for (uint32_t i = 0; i < Depth; i++) {
    uint64_t key = random();
    left += key;
    q.put({key, ~key});
  }
  Measurement m;
  m.outcome = run(std::vector<Work>(Lanes, [&q](Lane &lane) { put_and_get<Q>(lane, &q); }), {seconds, &arena});
  uint64_t n = 0, wrong = 0;
  for (const Tally &t : m.outcome.lanes) n += t.count, wrong += t.wrong, left += t.sum;
  if (m.outcome.hung) m.outcome.fault = "hung";
  if constexpr (!std::is_base_of<Placed, Q>::value) left = 0;  // what a lane did to its copy is gone with it
  else
    for (uint32_t i = 0; i < Depth; i++) left -= q.get().key;
  if (m.outcome.fault.empty() && (wrong || left)) m.outcome.fault = "an item was torn, lost or doubled";
  m.values = {static_cast<double>(n) / m.outcome.seconds / 1e6};
  return m;
}

template <class Q, class Peer, uint32_t Depth>
Case at_depth(const std::string &name, const std::string &peer) {
  Case c;
  c.name = name;
  c.figures = {{"", "M pair/s", Better::kHigher, ">= 0.25 of the private one", {{Target::kNamed, .25, peer}}}};
  c.contenders = {{"shoal", Role::kOurs, depth<Q, 2, Depth>},
                  {"shoal, one process", Role::kPeer, depth<Q, 1, Depth>},
                  {peer, Role::kPeer, depth<Peer, 1, Depth>}};
  c.repetitions = 7;
  c.seconds = .2;
  return c;
}

// How many times as long a pair takes at a thousand times the depth, by one process.
template <class Q>
Measurement growth(double seconds) {
  Measurement few = depth<Q, 1, 100>(seconds / 2), many = depth<Q, 1, 100000>(seconds / 2);
  if (many.outcome.fault.empty()) many.outcome.fault = few.outcome.fault;
  many.values = {few.values[0] / many.values[0]};
  return many;
}
template <class Q, class Peer>
Case growing(const std::string &name, const std::string &peer) {
  Case c;
  c.name = name;
  c.figures = {{"", "times", Better::kLower, "<= log 100,000 / log 100", {{Target::kValue, 2.5}}}};
  c.contenders = {{"shoal", Role::kOurs, growth<Q>}, {peer, Role::kPeer, growth<Peer>}};
  c.repetitions = 7;
  c.seconds = .2;
  return c;
}

}  // namespace

void add_ordered(Suite &suite) {
  using Heap = Shared<SHOAL_QUEUE_PRIORITY>;
  using Stack = Shared<SHOAL_QUEUE_LIFO>;
  suite.add(at_depth<Heap, PrivateHeap, 100000>("priority/depth/100000", "std::priority_queue"));
  suite.add(at_depth<Heap, PrivateHeap, 100>("priority/depth/100", "std::priority_queue"));
  suite.add(at_depth<Stack, PrivateStack, 100000>("lifo/depth/100000", "std::stack"));
  suite.add(at_depth<Stack, PrivateStack, 100>("lifo/depth/100", "std::stack"));
  suite.add(growing<Heap, PrivateHeap>("priority/growth", "std::priority_queue"));
  suite.add(growing<Stack, PrivateStack>("lifo/growth", "std::stack"));
}

}  // namespace bench
