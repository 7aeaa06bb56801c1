// bench/barrier_bench.cc: how many turns a second, when each party has a processor, and when they share two?

#include <pthread.h>

#include <array>
#include <boost/interprocess/sync/interprocess_condition.hpp>
#include <boost/interprocess/sync/interprocess_mutex.hpp>
#include <boost/interprocess/sync/scoped_lock.hpp>
#include <cerrno>
#include <new>
#include <system_error>

#include "bench/against/ck_barrier.h"
#include "bench/harness/must.h"
#include "bench/harness/pairs.h"
#include "bench/harness/workloads.h"
#include "bench/modules.h"
#include "sync/barrier.h"

namespace bench {

namespace {

constexpr unsigned kPartiesMax = 8;

// Each lane has a Party of the Shared barrier.

struct Shoal {
  union {
    shoal_barrier barrier;
    char room[sizeof(shoal_barrier) + kPartiesMax * sizeof(shoal_seat)];
  };
  explicit Shoal(unsigned n) { must(shoal_barrier_init(&barrier, n, nullptr), "barrier_init"); }
  struct Party {
    shoal_barrier *barrier;
    Party(Shoal &s, const Lane &) : barrier(&s.barrier) { must(shoal_barrier_join(barrier), "barrier_join"); }
    ~Party() { shoal_barrier_leave(barrier); }
    void wait() { must(shoal_barrier_wait(barrier, SHOAL_FOREVER, nullptr), "barrier_wait"); }
  };
};

struct Pthread {
  pthread_barrier_t barrier;
  explicit Pthread(unsigned n) {
    pthread_barrierattr_t shared;
    pthread_barrierattr_init(&shared);
    pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    int error = pthread_barrier_init(&barrier, &shared, n);
    if (error) throw std::system_error(error, std::generic_category(), "pthread_barrier_init");
  }
  struct Party {
    pthread_barrier_t *barrier;
    Party(Pthread &s, const Lane &) : barrier(&s.barrier) {}
    void wait() { pthread_barrier_wait(barrier); }
  };
};

// Boost has none for processes: what its users write, on its mutex and condition.
struct Boost {
  boost::interprocess::interprocess_mutex mutex;
  boost::interprocess::interprocess_condition changed;
  unsigned n, left;
  uint64_t turn = 0;
  explicit Boost(unsigned n) : n(n), left(n) {}
  struct Party {
    Boost &s;
    Party(Boost &s, const Lane &) : s(s) {}
    void wait() {
      boost::interprocess::scoped_lock<boost::interprocess::interprocess_mutex> lock(s.mutex);
      uint64_t turn = s.turn;
      if (--s.left == 0) {
        s.left = s.n;
        s.turn++;
        s.changed.notify_all();
      }
      while (turn == s.turn) s.changed.wait(lock);
    }
  };
};

// A line each, and nothing else: who has arrived says so there, and looks at all others. Knows no death and no sleep.
struct Flags {
  struct alignas(128) Flag {
    std::atomic<uint64_t> turn;
  };
  std::array<Flag, kPartiesMax> flags = {};
  unsigned n;
  explicit Flags(unsigned n) : n(n) {}
  struct Party {
    Flags &s;
    const Lane &lane;
    uint64_t turn = 0;
    Party(Flags &s, const Lane &lane) : s(s), lane(lane) {}
    void wait() {
      s.flags[lane.index].turn.store(++turn, std::memory_order_release);
      Backoff backoff(lane);
      for (unsigned i = 0; i < s.n; i++)
        while (s.flags[i].turn.load(std::memory_order_acquire) < turn) backoff.wait();
    }
  };
};

template <class B>
struct Shared {
  alignas(128) B barrier;
  struct alignas(128) Line {
    std::atomic<uint64_t> turn;
  };
  std::array<Line, kPartiesMax> at = {};  // what each has arrived for
  alignas(128) std::atomic<uint64_t> last{0};
  explicit Shared(unsigned n) : barrier(n) {}
};

constexpr uint64_t kCheck = 64;  // every so many turns the others are looked at: that costs their lines

template <class B>
void take_turns(Lane &lane, Shared<B> *s, unsigned n) {
  typename B::Party party(s->barrier, lane);
  uint64_t turn = 0, wrong = 0, longest = 0, from;
  lane.start();
  from = ticks();
  for (;;) {
    turn++;
    s->at[lane.index].turn.store(turn, std::memory_order_relaxed);
    if (lane.index == 0 && lane.late() && !s->last.load(std::memory_order_relaxed))
      s->last.store(turn, std::memory_order_relaxed);
    party.wait();
    uint64_t now = ticks();
    longest = std::max(longest, now - from);
    from = now;
    if (turn % kCheck == 0)
      for (unsigned i = 0; i < n; i++) wrong += s->at[i].turn.load(std::memory_order_relaxed) - turn > 1;
    if (s->last.load(std::memory_order_relaxed) == turn) break;
  }
  lane.stop(turn);
  lane.tally().wrong = wrong;
  lane.tally().stall = longest;
}

// Thousands of turns a second; the longest turn, in microseconds.
template <class B, unsigned N>
Measurement turns(double seconds) {
  Arena arena(sizeof(Shared<B>));
  auto *s = new (arena.take(sizeof(Shared<B>))) Shared<B>(N);
  Measurement m;
  m.outcome = run(std::vector<Work>(N, [=](Lane &lane) { take_turns(lane, s, N); }), {seconds, &arena});
  Outcome &o = m.outcome;
  if (o.hung) o.fault = "hung";
  uint64_t longest = 0;
  for (const Tally &t : o.lanes) {
    if (o.fault.empty() && (t.wrong || t.count != o.lanes[0].count)) o.fault = "one went on before all had arrived";
    longest = std::max(longest, t.stall);
  }
  m.values = {static_cast<double>(o.lanes[0].count) / o.seconds / 1e3,
              static_cast<double>(longest) * ns_per_tick() / 1e3};
  return m;
}

// Millions of passages a second, of all parties together.
template <class B, unsigned N>
Measurement passages(double seconds) {
  return shared_out(turns<B, N>(seconds).outcome);
}

template <unsigned N>
Case case_of(const char *name, double least, const char *promise) {
  Case c;
  c.name = name;
  c.figures = {{"", "k turns/s", Better::kHigher, promise, {{Target::kNamed, least, "pthread"}}},
               {"/longest", "us", Better::kLower}};
  c.contenders = {{"shoal", Role::kOurs, turns<Shoal, N>},
                  {"pthread", Role::kPeer, turns<Pthread, N>},
                  {"boost", Role::kPeer, turns<Boost, N>},
                  {"flags", Role::kLimit, turns<Flags, N>}};
  return c;
}

}  // namespace

void add_barrier(Suite &suite) {
  Case two = case_of<2>("barrier/2", 6, ">= 6 x pthread");
  two.contenders.push_back({"ck centralized", Role::kPeer, turns<CkCentralized, 2>});
  two.contenders.push_back({"ck dissemination", Role::kPeer, turns<CkDissemination, 2>});
  suite.add(two);
  suite.add(case_of<4>("barrier/4", 1.5, ">= 1.5 x pthread"));
  suite.add(case_of<8>("barrier/8", 1.5, ">= 1.5 x pthread"));
  // No half of two lanes: those have a processor each, and of eight all but the last sleep, so a passage is a switch.
  Case all = crowd("barrier/contended/8", {{"shoal", Role::kOurs, passages<Shoal, 8>},
                                           {"pthread", Role::kPeer, passages<Pthread, 8>},
                                           {"shoal, two lanes", Role::kLimit, passages<Shoal, 2>}});
  all.figures[0] = millions(">= 1.5 x pthread", {{Target::kNamed, 1.5, "pthread"}});
  suite.add(all);
}

}  // namespace bench
