// bench/condition_bench.cc: what does it cost that no death swallows a notification, and who waits how long for one?

#include "bench/against/conditions.h"
#include "bench/harness/must.h"
#include "bench/harness/pairs.h"
#include "bench/harness/sleepers.h"
#include "bench/modules.h"
#include "sync/condition.h"

namespace bench {

namespace {

constexpr uint32_t kPlaces = 16;

struct Shoal : Placed {
  shoal_lock lock;
  shoal_condition changed;
  shoal_seat seats[kPlaces];
  void make() {
    must(shoal_lock_init(&lock), "lock_init");
    must(shoal_condition_init(&changed, kPlaces), "condition_init");
  }
  void acquire() { must(shoal_lock_acquire(&lock, SHOAL_FOREVER), "lock_acquire"); }
  void release() { must(shoal_lock_release(&lock), "lock_release"); }
  void wait() { must(shoal_condition_wait(&changed, &lock, SHOAL_FOREVER), "condition_wait"); }
  void notify() { must(shoal_condition_notify(&changed, &lock, 1), "condition_notify"); }
};

// What the tutorials do with a condition: one message at a time, handed over under the lock.
template <class C>
struct Box {
  using Message = Numbered<8>;
  static constexpr bool kThreads = C::kThreads;
  struct Shared {
    C condition;
    Message message;
    bool full;
  };
  static size_t bytes() { return sizeof(Shared); }
  static void make(void *memory) { static_cast<Shared *>(memory)->condition.make(); }
  static void destroy(void *) {}

  struct Producer {
    Shared *s;
    Producer(void *memory, unsigned) : s(static_cast<Shared *>(memory)) {}
    bool put(const Message &m) {
      s->condition.acquire();
      s->message = m;
      s->full = true;
      s->condition.notify();
      s->condition.release();
      return true;
    }
  };
  struct Consumer {
    Shared *s;
    Consumer(void *memory, unsigned) : s(static_cast<Shared *>(memory)) {}
    bool get(Message &m) {
      s->condition.acquire();
      while (!s->full) s->condition.wait();
      m = s->message;
      s->full = false;
      s->condition.release();
      return true;
    }
  };
};

// One at a time, by a condition: who finds it taken waits to be notified.
template <class C>
struct Taken : C {
  bool taken;
  void acquire() {
    C::acquire();
    while (taken) C::wait();
    taken = true;
    C::release();
  }
  void release() {
    C::acquire();
    taken = false;
    C::notify();
    C::release();
  }
};

void add_unnoticed(Suite &suite) {
  Case c;
  c.name = "condition/nobody waits";
  c.figures = {nanoseconds("", {})};
  c.contenders = {{"shoal", Role::kOurs, pairs<Taken<Shoal>, 1>},
                  {"pthread", Role::kPeer, pairs<Taken<PthreadCondition>, 1>},
                  {"absl (threads)", Role::kPeer, pairs<Taken<AbslCondition>, 1>},
                  {"nsync (threads)", Role::kPeer, pairs<Taken<NsyncCondition>, 1>}};
  suite.add(c);
}

void add_handover(Suite &suite) {
  Case c;
  c.name = "condition/handover";
  c.figures = {{"", "us", Better::kLower, "<= 1.1 x raw futex", {{Target::kLimit, 1 / 1.1}}}};
  c.contenders = {{"shoal", Role::kOurs, sleeping_round_trip<Box<Shoal>>},
                  {"pthread", Role::kPeer, sleeping_round_trip<Box<PthreadCondition>>},
                  {"absl (threads)", Role::kPeer, sleeping_round_trip<Box<AbslCondition>>},
                  {"nsync (threads)", Role::kPeer, sleeping_round_trip<Box<NsyncCondition>>},
                  {"raw futex", Role::kLimit, sleeping_round_trip<RawFutex>}};
  suite.add(c);
}

}  // namespace

void add_condition(Suite &suite) {
  add_unnoticed(suite);
  add_handover(suite);
  suite.add(crowd("condition/contended/8", {{"shoal", Role::kOurs, pairs<Taken<Shoal>, 8, true>},
                                            {"pthread", Role::kPeer, pairs<Taken<PthreadCondition>, 8, true>},
                                            {"absl (threads)", Role::kPeer, pairs<Taken<AbslCondition>, 8, true>},
                                            {"nsync (threads)", Role::kPeer, pairs<Taken<NsyncCondition>, 8, true>},
                                            {"shoal, two lanes", Role::kLimit, pairs<Taken<Shoal>, 2, true>}}));
}

}  // namespace bench
