// bench/semaphore_bench.cc: what does a permit cost that its holder's death gives back, and an event that is mostly
// set?

#include "bench/against/locks.h"
#include "bench/harness/must.h"
#include "bench/harness/pairs.h"
#include "bench/harness/sleepers.h"
#include "bench/modules.h"
#include "sync/event.h"
#include "sync/semaphore.h"

namespace bench {

namespace {

template <uint32_t Flags>
struct Semaphore : Placed {
  shoal_semaphore semaphore;
  shoal_permit permits[1];
  void make() { must(shoal_semaphore_init(&semaphore, 1, 1, Flags), "semaphore_init"); }
  void acquire() { must(shoal_semaphore_acquire(&semaphore, SHOAL_FOREVER), "semaphore_acquire"); }
  void release() { must(shoal_semaphore_release(&semaphore), "semaphore_release"); }
};
using Held = Semaphore<0>;
using Consumed = Semaphore<SHOAL_SEMAPHORE_CONSUMED>;

// One message at a time, behind what tells that it is there.
template <class S>
struct Behind {
  using Message = Numbered<8>;
  static constexpr bool kThreads = S::kThreads;
  struct Shared {
    S sign;
    Message message;
  };
  static size_t bytes() { return sizeof(Shared); }
  static void make(void *memory) { static_cast<Shared *>(memory)->sign.make(); }
  static void destroy(void *) {}

  struct Producer {
    Shared *s;
    Producer(void *memory, unsigned) : s(static_cast<Shared *>(memory)) {}
    bool put(const Message &m) {
      s->message = m;
      touch(s->message);
      s->sign.put();
      return true;
    }
  };
  struct Consumer {
    Shared *s;
    Consumer(void *memory, unsigned) : s(static_cast<Shared *>(memory)) {}
    bool get(Message &m) {
      s->sign.get();
      touch(s->message);
      m = s->message;
      return true;
    }
  };
};

struct Counted : Placed {
  shoal_semaphore items;
  void make() { must(shoal_semaphore_init(&items, 0, 0, SHOAL_SEMAPHORE_CONSUMED), "semaphore_init"); }
  void put() { must(shoal_semaphore_release(&items), "semaphore_release"); }
  void get() { must(shoal_semaphore_acquire(&items, SHOAL_FOREVER), "semaphore_acquire"); }
};
struct PosixCounted : Placed {
  sem_t items;
  void make() { PosixSemaphore::check(sem_init(&items, 1, 0), "sem_init"); }
  void put() { PosixSemaphore::check(sem_post(&items), "sem_post"); }
  void get() { PosixSemaphore::check(sem_wait(&items), "sem_wait"); }
};
struct Event : Placed {
  shoal_event event;
  void make() { must(shoal_event_init(&event), "event_init"); }
  void put() { must(shoal_event_set(&event), "event_set"); }
  void get() {
    must(shoal_event_wait(&event, SHOAL_FOREVER), "event_wait");
    must(shoal_event_clear(&event), "event_clear");
  }
};

// ---- an event that is set ----

struct WaitSet : Event {
  void make() {
    Event::make();
    put();
  }
  void acquire() { must(shoal_event_wait(&event, SHOAL_FOREVER), "event_wait"); }
  void release() {}
};
struct SetSet : WaitSet {
  void acquire() { put(); }
};
// The same when it has been cleared before.
template <class E>
struct Cleared : E {
  void make() {
    E::make();
    must(shoal_event_clear(&this->event), "event_clear");
    E::put();
  }
};
struct OneExchange : Placed {
  std::atomic<uint64_t> word;
  void make() {}
  void acquire() { word.exchange(1); }
  void release() {}
};
struct OneLoad : Placed {
  std::atomic<uint64_t> word;
  void make() {}
  void acquire() { word.load(std::memory_order_acquire); }
  void release() {}
};

// One at a time, by an event that says that it is free again: who finds it taken waits. Whoever clears it looks again,
// so that nobody sleeps beside what a clear has hidden.
struct TakenEvent : Event {
  std::atomic<uint32_t> taken;
  bool take() { return !taken.exchange(1, std::memory_order_acq_rel); }
  void acquire() {
    while (!take()) {
      must(shoal_event_clear(&event), "event_clear");
      if (take()) return;
      must(shoal_event_wait(&event, SHOAL_FOREVER), "event_wait");
    }
  }
  void release() {
    taken.store(0, std::memory_order_release);
    put();
  }
};

void add_case(Suite &suite, const char *name, Figure figure, std::vector<Contender> contenders) {
  Case c;
  c.name = name;
  c.figures = {std::move(figure)};
  c.contenders = std::move(contenders);
  suite.add(c);
}

Figure handover() { return {"", "us", Better::kLower, "<= 1.1 x raw futex", {{Target::kLimit, 1 / 1.1}}}; }

}  // namespace

void add_semaphore(Suite &suite) {
  add_case(suite, "semaphore/uncontended", nanoseconds("<= 0.8 x sem_t", {{Target::kNamed, 1 / .8, "sem_t"}}),
           {{"shoal", Role::kOurs, pairs<Held, 1>},
            {"shoal, consumed", Role::kPeer, pairs<Consumed, 1>},
            {"sem_t", Role::kPeer, pairs<PosixSemaphore, 1>}});
  add_case(suite, "semaphore/contended", millions("", {}),
           {{"shoal", Role::kOurs, pairs<Held, 2>},
            {"shoal, consumed", Role::kPeer, pairs<Consumed, 2>},
            {"sem_t", Role::kPeer, pairs<PosixSemaphore, 2>}});
  suite.add(crowd("semaphore/contended/8", {{"shoal", Role::kOurs, pairs<Held, 8, true>},
                                            {"shoal, consumed", Role::kPeer, pairs<Consumed, 8, true>},
                                            {"sem_t", Role::kPeer, pairs<PosixSemaphore, 8, true>},
                                            {"shoal, two lanes", Role::kLimit, pairs<Held, 2, true>}}));
  add_case(suite, "semaphore/handover", handover(),
           {{"shoal", Role::kOurs, sleeping_round_trip<Behind<Counted>>},
            {"sem_t", Role::kPeer, sleeping_round_trip<Behind<PosixCounted>>},
            {"raw futex", Role::kLimit, sleeping_round_trip<RawFutex>}});
  add_case(suite, "event/handover", handover(),
           {{"shoal", Role::kOurs, sleeping_round_trip<Behind<Event>>},
            {"raw futex", Role::kLimit, sleeping_round_trip<RawFutex>}});
  suite.add(crowd("event/contended/8", {{"shoal", Role::kOurs, pairs<TakenEvent, 8, true>},
                                        {"shoal, two lanes", Role::kLimit, pairs<TakenEvent, 2, true>}}));
  // no system call, no read-modify-write: far below the cheapest of those
  Figure without = {"", "ns", Better::kLower, "<= 1/3 x an exchange", {{Target::kNamed, 3, "an exchange"}}};
  add_case(suite, "event/wait", without,
           {{"shoal", Role::kOurs, pairs<WaitSet, 1>},
            {"an exchange", Role::kPeer, pairs<OneExchange, 1>},
            {"a load", Role::kLimit, pairs<OneLoad, 1>}});
  add_case(suite, "event/set", without,
           {{"shoal", Role::kOurs, pairs<SetSet, 1>},
            {"shoal, once cleared", Role::kPeer, pairs<Cleared<SetSet>, 1>},
            {"an exchange", Role::kPeer, pairs<OneExchange, 1>},
            {"a load", Role::kLimit, pairs<OneLoad, 1>}});
}

}  // namespace bench
