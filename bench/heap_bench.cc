// bench/heap_bench.cc: what does a block cost that any process frees and no death loses, and does a large one cost more
// than a small one when its memory was used before?

#include <memory>
#include <vector>

#include "bench/against/heaps.h"
#include "bench/harness/must.h"
#include "bench/harness/workloads.h"
#include "bench/modules.h"
#include "core/heap.h"

namespace bench {

namespace {

constexpr size_t kMemory = size_t{64} << 20;  // of the peers that need some
constexpr size_t kSmall = 64;
constexpr unsigned kOnTheWay = 1024;  // blocks, from one lane to the other

struct Shoal {
  static constexpr bool kThreads = false;
  shoal_segment *seg = nullptr;
  shoal_heap *heap = nullptr;
  Shoal(void *, size_t) {
    must(shoal_segment_create(nullptr, nullptr, &seg), "segment_create");
    must(shoal_heap_open(seg, &heap), "heap_open");
  }
  ~Shoal() {
    shoal_heap_close(heap);
    (void)shoal_segment_close(seg);
  }
  Shoal(const Shoal &) = delete;
  Shoal &operator=(const Shoal &) = delete;
  void *alloc(size_t bytes) {
    void *block = nullptr;
    must(shoal_heap_alloc(heap, bytes, &block), "heap_alloc");
    return block;
  }
  void free(void *block) { must(shoal_heap_free(heap, block), "heap_free"); }
  uint64_t say(void *block) { return shoal_segment_off(seg, block); }
  void *find(uint64_t said) { return shoal_segment_at(seg, said, kSmall); }
};

template <class H>
void again(Lane &lane, H *heap, size_t bytes) {
  auto touched = [&] {
    auto *block = static_cast<char *>(heap->alloc(bytes));
    block[0] = block[bytes - 1] = 1;
    touch(*block);
    heap->free(block);
  };
  for (unsigned i = 0; i < 64; i++) touched();  // what is used from here on was used before
  uint64_t n = 0;
  lane.start();
  do {
    for (unsigned k = 0; k < kLook; k++, n++) touched();
  } while (!lane.late());
  lane.stop(n);
}

// ns for an alloc and a free of one lane alone.
template <class H, size_t Bytes>
Measurement alone(double seconds) {
  Arena arena(kMemory);
  H heap(arena.take(kMemory), kMemory);
  Measurement m;
  m.outcome = run({[&](Lane &lane) { again(lane, &heap, Bytes); }}, {seconds, &arena, H::kThreads});
  if (m.outcome.hung) m.outcome.fault = "hung";
  m.values = {m.outcome.seconds * 1e9 / static_cast<double>(m.outcome.lanes[0].count)};
  return m;
}

// A place for each block on its way: 0, or what the other lane needs to find it. The same for all.
struct Way {
  alignas(64) std::atomic<uint64_t> block[kOnTheWay];
};

template <class H>
void makes(Lane &lane, H *heap, Way *way) {
  heap->free(heap->alloc(kSmall));
  uint64_t n = 0;
  Backoff backoff(lane);
  lane.start();
  do {
    for (unsigned k = 0; k < kLook; k++, n++) {
      auto *block = static_cast<uint64_t *>(heap->alloc(kSmall));
      *block = n;
      auto &place = way->block[n % kOnTheWay];
      while (place.load(std::memory_order_acquire)) backoff.wait();
      place.store(heap->say(block), std::memory_order_release);
      backoff.reset();
    }
  } while (!lane.late());
  lane.finish();
  lane.stop(n);
}

template <class H>
void frees(Lane &lane, H *heap, Way *way) {
  heap->free(heap->alloc(kSmall));
  uint64_t n = 0, wrong = 0, said;
  Backoff backoff(lane);
  lane.start();
  for (;;) {
    auto &place = way->block[n % kOnTheWay];
    bool finished = lane.finished();
    if (!(said = place.load(std::memory_order_acquire))) {
      if (finished) break;
      backoff.wait();
      continue;
    }
    place.store(0, std::memory_order_release);
    auto *block = static_cast<uint64_t *>(heap->find(said));
    wrong += *block != n++;
    heap->free(block);
    backoff.reset();
  }
  lane.stop(n);
  lane.tally().wrong = wrong;
}

// Millions of blocks a second that one lane allocates and the other frees.
template <class H>
Measurement remote(double seconds) {
  Arena arena(kMemory + sizeof(Way));
  H heap(arena.take(kMemory), kMemory);
  auto *way = static_cast<Way *>(arena.take(sizeof(Way)));
  Measurement m;
  m.outcome = run({[&](Lane &lane) { makes(lane, &heap, way); }, [&](Lane &lane) { frees(lane, &heap, way); }},
                  {seconds, &arena, H::kThreads});
  Outcome &o = m.outcome;
  if (o.hung) o.fault = "hung";
  if (o.fault.empty() && (o.lanes[0].count != o.lanes[1].count || o.lanes[1].wrong)) o.fault = "blocks were mixed up";
  m.values = {static_cast<double>(o.lanes[1].count) / o.seconds / 1e6};
  return m;
}

// The most pages in use while blocks of 16 bytes to 4 KiB come and go at random, by what was asked for and not freed.
Measurement fragmentation(double) {
  constexpr unsigned kPlaces = 1 << 16;
  constexpr uint64_t kOperations = 10000000;
  struct Held {
    void *block;
    size_t bytes;
  };
  Shoal heap(nullptr, 0);
  std::vector<Held> held(kPlaces);
  uint64_t random = 88172645463325252, live = 0, peak = 0, used = 0;
  for (uint64_t n = 0; n < kOperations; n++) {
    random ^= random << 13, random ^= random >> 7, random ^= random << 17;
    Held &h = held[random % kPlaces];
    if (h.block) {
      heap.free(h.block), live -= h.bytes, h.block = nullptr;
    } else {
      h.bytes = (size_t{16} << (random >> 32) % 8) + (random >> 40) % (size_t{16} << (random >> 32) % 8);
      h.block = heap.alloc(h.bytes), live += h.bytes;
    }
    if (n % 250000) continue;
    if (live > peak) peak = live;  // of the same moments as what is in use
    struct shoal_heap_info info {};
    must(shoal_heap_info(heap.heap, &info), "heap_info");
    if (info.used > used) used = info.used;
  }
  for (Held &h : held)
    if (h.block) heap.free(h.block);
  Measurement m;
  m.outcome.lanes.resize(1);
  m.values = {static_cast<double>(used) / static_cast<double>(peak)};
  return m;
}

template <size_t Bytes>
void add_small(Suite &suite) {
  Case small;
  small.name = "heap/small/" + std::to_string(Bytes);
  small.figures = {{"",
                    "ns",
                    Better::kLower,
                    "<= 1.2 x jemalloc, boost / 30",
                    {{Target::kNamed, 1 / 1.2, "jemalloc"}, {Target::kNamed, 30, "boost managed"}}}};
  small.contenders = {{"shoal", Role::kOurs, alone<Shoal, Bytes>},
                      {"jemalloc", Role::kPeer, alone<Jemalloc, Bytes>},
                      {"glibc", Role::kPeer, alone<Glibc, Bytes>},
                      {"boost managed", Role::kPeer, alone<BoostManaged, Bytes>}};
  suite.add(small);
}

template <size_t Bytes>
void add_large(Suite &suite) {
  Case large;
  large.name = "heap/large/" + std::to_string(Bytes);
  large.figures = {{"", "ns", Better::kLower, "<= 1.2 x 64 KiB", {{Target::kLimit, 1 / 1.2}}}};
  large.contenders = {{"shoal", Role::kOurs, alone<Shoal, Bytes>},
                      {"jemalloc", Role::kPeer, alone<Jemalloc, Bytes>},
                      {"glibc", Role::kPeer, alone<Glibc, Bytes>},
                      {"shoal, 64 KiB", Role::kLimit, alone<Shoal, 64 << 10>}};
  suite.add(large);
}

}  // namespace

void add_heap(Suite &suite) {
  add_small<kSmall>(suite);
  add_small<4096>(suite);

  Case between;
  between.name = "heap/remote/64";
  between.figures = {{"", "M block/s", Better::kHigher, ">= 5 x boost", {{Target::kNamed, 5, "boost managed"}}}};
  between.contenders = {{"shoal", Role::kOurs, remote<Shoal>},
                        {"jemalloc (threads)", Role::kPeer, remote<Jemalloc>},
                        {"glibc (threads)", Role::kPeer, remote<Glibc>},
                        {"boost managed", Role::kPeer, remote<BoostManaged>}};
  suite.add(between);

  Case random;
  random.name = "heap/fragmentation";
  random.figures = {{"", "x live", Better::kLower, "<= 1.25", {{Target::kValue, 1.25}}}};
  random.contenders = {{"shoal", Role::kOurs, fragmentation}};
  random.repetitions = 1;
  suite.add(random);

  add_large<1 << 20>(suite);
  add_large<64 << 20>(suite);
}

}  // namespace bench
