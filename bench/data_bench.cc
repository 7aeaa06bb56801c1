// bench/data_bench.cc: does a number in a shared array change at the speed of the instruction, and what does a value's
// lock cost beyond the lock?

#include <atomic>

#include "bench/harness/must.h"
#include "bench/harness/pairs.h"
#include "bench/modules.h"
#include "ipc/data/array.h"
#include "ipc/data/number.h"

namespace bench {

namespace {

constexpr uint64_t kElements = 16;  // within the first cache: the instruction is measured, not the memory

struct Numbers {
  alignas(64) char memory[1024];
  alignas(64) std::atomic<int64_t> bare[kElements];
  alignas(64) std::atomic<double> reals[kElements];
};

SHOAL_ARRAY_TYPED(int64s, int64_t)
SHOAL_ARRAY_TYPED(doubles, double)

// Ours: bounds-checked.
struct Shoal {
  shoal_array a;
  explicit Shoal(Numbers *n) {
    shoal_array_options none = {};
    none.unlocked = 1;
    must(int64s_init(n->memory, kElements, &none, &a), "array_init");
  }
  void add(uint64_t i) {
    int64_t *at = nullptr;
    must(int64s_at(&a, i, &at), "array_at");
    (void)shoal_int64_add(at, 1);
  }
  int64_t at(uint64_t i) const { return int64s_data(&a)[i]; }
};
struct Bare {
  Numbers *n;
  explicit Bare(Numbers *numbers) : n(numbers) {}
  void add(uint64_t i) { n->bare[i].fetch_add(1, std::memory_order_acq_rel); }
  int64_t at(uint64_t i) const { return n->bare[i].load(); }
};
struct ShoalReal {
  shoal_array a;
  explicit ShoalReal(Numbers *n) {
    shoal_array_options none = {};
    none.unlocked = 1;
    must(doubles_init(n->memory, kElements, &none, &a), "array_init");
  }
  void add(uint64_t i) {
    double *at = nullptr;
    must(doubles_at(&a, i, &at), "array_at");
    (void)shoal_double_add(at, 1);
  }
  int64_t at(uint64_t i) const { return static_cast<int64_t>(doubles_data(&a)[i]); }
};
struct BareReal {
  Numbers *n;
  explicit BareReal(Numbers *numbers) : n(numbers) {}
  void add(uint64_t i) {
    double old = n->reals[i].load(std::memory_order_acquire);
    while (!n->reals[i].compare_exchange_weak(old, old + 1, std::memory_order_acq_rel)) continue;
  }
  int64_t at(uint64_t i) const { return static_cast<int64_t>(n->reals[i].load()); }
};

template <class A>
void add_up(Lane &lane, A *a) {
  uint64_t n = 0;
  lane.start();
  do {
    for (unsigned k = 0; k < kLook; k++, n++) {
      uint64_t i = n % kElements;
      touch(i);
      a->add(i);
    }
  } while (!lane.late());
  lane.stop(n);
}

template <class A>
Measurement adds(double seconds) {
  Arena arena(sizeof(Numbers));
  A a(static_cast<Numbers *>(arena.take(sizeof(Numbers))));
  Measurement m;
  m.outcome = run({[&](Lane &lane) { add_up(lane, &a); }}, {seconds, &arena});
  uint64_t n = m.outcome.lanes[0].count, counted = 0;
  for (uint64_t i = 0; i < kElements; i++) counted += static_cast<uint64_t>(a.at(i));
  if (m.outcome.hung) m.outcome.fault = "hung";
  if (m.outcome.fault.empty() && n != counted)
    m.outcome.fault = std::to_string(n) + " adds, " + std::to_string(counted) + " counted";
  m.values = {m.outcome.seconds * 1e9 / static_cast<double>(n)};
  return m;
}

// ---- a value's block ----
struct Lock : Placed {
  shoal_lock lock;
  void make() { must(shoal_lock_init(&lock), "lock_init"); }
  void acquire() { must(shoal_lock_acquire(&lock, SHOAL_FOREVER), "lock_acquire"); }
  void release() { must(shoal_lock_release(&lock), "lock_release"); }
};
struct Value : Placed {
  shoal_array value;
  alignas(64) char memory[512];
  void make() { must(int64s_init(memory, 1, nullptr, &value), "array_init"); }
  void acquire() { must(shoal_array_acquire(&value, SHOAL_FOREVER), "array_acquire"); }
  void release() { must(shoal_array_release(&value), "array_release"); }
};

Case of(const char *name, Figure figure, std::vector<Contender> contenders) {
  Case c;
  c.name = name;
  c.figures = {std::move(figure)};
  c.contenders = std::move(contenders);
  return c;
}
Figure as_the_instruction() {
  return {"", "ns", Better::kLower, "<= 1.05 x the instruction", {{Target::kLimit, 1 / 1.05}}};
}

}  // namespace

void add_data(Suite &suite) {
  suite.add(of("array/add", as_the_instruction(),
               {{"shoal", Role::kOurs, adds<Shoal>}, {"lock xadd", Role::kLimit, adds<Bare>}}));
  suite.add(of("array/add/double", as_the_instruction(),
               {{"shoal", Role::kOurs, adds<ShoalReal>}, {"compare-and-set", Role::kLimit, adds<BareReal>}}));
  suite.add(of("value/lock", nanoseconds("<= 1.05 x the lock", {{Target::kLimit, 1 / 1.05}}),
               {{"shoal", Role::kOurs, pairs<Value, 1>}, {"the lock", Role::kLimit, pairs<Lock, 1>}}));
}

}  // namespace bench
