// bench/count_bench.cc: what does it cost that a participant counts its sleeps and wakes, and has tracepoints there;
// and those who neither sleep nor wake, in whose way a counter may be all the same?

#include "bench/harness/must.h"
#include "bench/harness/sleepers.h"
#include "bench/modules.h"
#include "bench/twin.h"
#include "core/directory.h"
#include "core/futex.h"
#include "core/proc.h"

namespace bench {

namespace {

// As RawFutex, by the library's own calls, on words of a segment in which both sides are participants.
struct Counted : RawFutex {
  struct Words {
    shoal_atomic32 sent;
    shoal_atomic64 number;
  };
  static shoal_segment *segment() {
    static shoal_segment *made = [] {
      shoal_segment *seg = nullptr;
      must(shoal_segment_create(nullptr, nullptr, &seg), "segment_create");
      return seg;
    }();
    return made;
  }
  static size_t bytes() { return sizeof(shoal_object); }
  static void make(void *memory) {
    auto *object = static_cast<shoal_object *>(memory);
    must(shoal_object_create(segment(), nullptr, "bench", sizeof(Words), nullptr, nullptr, object), "object_create");
  }
  static void destroy(void *memory) { shoal_object_close(segment(), static_cast<shoal_object *>(memory)); }
  static Words *joined(void *memory) {
    shoal_proc_id me;
    must(shoal_proc_self(segment(), &me), "proc_self");
    return static_cast<Words *>(static_cast<shoal_object *>(memory)->memory);
  }

  struct Producer {
    Words *w;
    Producer(void *memory, unsigned) : w(joined(memory)) {}
    bool put(const Message &m) {
      shoal_store64_relaxed(&w->number, m.number());
      shoal_add32_seq_cst(&w->sent, 1);
      shoal_futex_wake(&w->sent, 1);
      return true;
    }
  };
  struct Consumer {
    Words *w;
    uint32_t received = 0;
    Consumer(void *memory, unsigned) : w(joined(memory)) {}
    bool get(Message &m) {
      while (shoal_load32_acquire(&w->sent) == received) shoal_futex_wait(&w->sent, received, SHOAL_FOREVER);
      received++;
      m.set(shoal_load64_relaxed(&w->number));
      return true;
    }
  };
};

// One lane, a fast path of one of the two copies of the library.
using Path = int (*twin::*)(void *, uint64_t);
template <const twin *Of, Path path>
void use(Lane &lane) {
  void *made = Of->make();
  uint64_t n = 0;
  must(made ? 0 : -ENOMEM, "twin");
  lane.start();
  for (; !lane.late(); n += kLook) must((Of->*path)(made, kLook), "twin");
  lane.stop(n);
  Of->end(made);
}
template <const twin *Of, Path path>
Measurement paths(double seconds) {
  Measurement m;
  m.outcome = run({use<Of, path>}, {seconds});
  m.values = {m.outcome.seconds * 1e9 / static_cast<double>(std::max<uint64_t>(m.outcome.lanes[0].count, 1))};
  return m;
}
template <Path path>
Case beside(const char *name) {
  Case c;
  c.name = name;
  c.figures = {{"", "ns/pair", Better::kLower, "<= 1.01 x without counters", {{Target::kLimit, 1 / 1.01}}}};
  c.contenders = {{"shoal", Role::kOurs, paths<&twin_counted, path>},
                  {"without counters", Role::kLimit, paths<&twin_uncounted, path>}};
  return c;
}

}  // namespace

void add_count(Suite &suite) {
  suite.add(beside<&twin::lock_pairs>("count/lock"));
  suite.add(beside<&twin::queue_pairs>("count/queue"));
  Case asleep;
  asleep.name = "count/asleep";
  asleep.figures = {{"", "us", Better::kLower, "<= 1.01 x raw futex", {{Target::kLimit, 1 / 1.01}}}};
  asleep.contenders = {{"shoal", Role::kOurs, sleeping_round_trip<Counted>},
                       {"raw futex", Role::kLimit, sleeping_round_trip<RawFutex>}};
  suite.add(asleep);
}

}  // namespace bench
