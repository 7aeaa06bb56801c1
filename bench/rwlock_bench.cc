// bench/rwlock_bench.cc: what does it cost that readers share a lock that outlives all of them, and who waits how long?
//
// absl::Mutex and nsync_mu do not live between processes: theirs are threads, which is in their favour.

#include <absl/synchronization/mutex.h>
#include <ck_rwlock.h>
#include <nsync.h>

#include <new>
#include <thread>

#include "bench/against/pthread_rwlock.h"
#include "bench/harness/must.h"
#include "bench/harness/pairs.h"
#include "bench/harness/workloads.h"
#include "bench/modules.h"
#include "sync/rwlock.h"

namespace bench {

namespace {

struct Shoal : Placed {
  shoal_rwlock lock;
  struct shoal_seat seats[16];
  void make() { must(shoal_rwlock_init(&lock, 16), "rwlock_init"); }
  void read() { must(shoal_rwlock_read_acquire(&lock, SHOAL_FOREVER), "read_acquire"); }
  void read_end() { must(shoal_rwlock_read_release(&lock), "read_release"); }
  void write() { must(shoal_rwlock_write_acquire(&lock, SHOAL_FOREVER), "write_acquire"); }
  void write_end() { must(shoal_rwlock_write_release(&lock), "write_release"); }
};

// Never sleeps: with more lanes than processors it waits for who is preempted.
struct Ck : Placed {
  ck_rwlock_t lock;
  void make() { ck_rwlock_init(&lock); }
  void read() { ck_rwlock_read_lock(&lock); }
  void read_end() { ck_rwlock_read_unlock(&lock); }
  void write() { ck_rwlock_write_lock(&lock); }
  void write_end() { ck_rwlock_write_unlock(&lock); }
};

struct Absl {
  static constexpr bool kThreads = true;
  absl::Mutex lock;
  void make() { new (&lock) absl::Mutex; }
  void read() { lock.ReaderLock(); }
  void read_end() { lock.ReaderUnlock(); }
  void write() { lock.WriterLock(); }
  void write_end() { lock.WriterUnlock(); }
};

struct Nsync {
  static constexpr bool kThreads = true;
  nsync::nsync_mu lock;
  void make() { nsync::nsync_mu_init(&lock); }
  void read() { nsync::nsync_mu_rlock(&lock); }
  void read_end() { nsync::nsync_mu_runlock(&lock); }
  void write() { nsync::nsync_mu_lock(&lock); }
  void write_end() { nsync::nsync_mu_unlock(&lock); }
};

template <class L>
struct alignas(64) Mirrored {
  L lock;
  alignas(64) uint64_t number, mirror;  // what the lock guards: equal whenever no writer is inside
};

struct Lap {
  uint64_t reads = 0, writes = 0, torn = 0, longest = 0;
};

template <class L, bool Timed, class Acquire>
void acquire(Lap &lap, Acquire &&acquire) {
  uint64_t from = Timed ? ticks() : 0;
  acquire();
  if (Timed) lap.longest = std::max(lap.longest, ticks() - from);
}

template <class L, bool Timed>
void read_once(Mirrored<L> *g, Lap &lap) {
  acquire<L, Timed>(lap, [&] { g->lock.read(); });
  touch(g->number);
  lap.torn += g->number != g->mirror;
  g->lock.read_end();
  lap.reads++;
}

template <class L, bool Timed>
void write_once(Mirrored<L> *g, Lap &lap) {
  acquire<L, Timed>(lap, [&] { g->lock.write(); });
  g->number++;
  touch(g->number);
  g->mirror++;
  g->lock.write_end();
  lap.writes++;
}

// One in `Each` is a write; 0: none, 1: all.
template <class L, unsigned Each, bool Timed>
void work(Lane &lane, Mirrored<L> *g) {
  std::thread([] {}).join();  // the C library is not to know that there is one thread only
  Lap lap;
  lane.start();
  do {
    for (unsigned k = 0; k < kLook; k++) {
      if (Each && k % Each == 0) write_once<L, Timed>(g, lap);
      else read_once<L, Timed>(g, lap);
    }
  } while (!lane.late());
  lane.stop(lap.reads + lap.writes);
  lane.tally().wrong = lap.torn;
  lane.tally().sum = lap.writes;
  lane.tally().stall = lap.longest;
}

template <class L, unsigned Each, bool Timed>
Outcome run_lanes(double seconds, unsigned lanes) {
  Arena arena(sizeof(Mirrored<L>));
  auto *g = static_cast<Mirrored<L> *>(arena.take(sizeof(Mirrored<L>)));
  g->lock.make();
  Outcome o =
      run(std::vector<Work>(lanes, [=](Lane &lane) { work<L, Each, Timed>(lane, g); }), {seconds, &arena, L::kThreads});
  uint64_t writes = 0, torn = 0;
  for (const Tally &t : o.lanes) writes += t.sum, torn += t.wrong;
  if (o.fault.empty() && !o.hung && (torn || writes != g->number || writes != g->mirror))
    o.fault = std::to_string(torn) + " read half a write; " + std::to_string(writes) + " writes, " +
              std::to_string(g->number) + " counted under the lock";
  return o;
}

uint64_t total(const Outcome &o) {
  uint64_t n = 0;
  for (const Tally &t : o.lanes) n += t.count;
  return n;
}

// ns a pair of one lane alone; millions of pairs a second of several together.
template <class L, unsigned Each, unsigned Lanes>
Measurement sharing(double seconds) {
  Measurement m;
  m.outcome = run_lanes<L, Each, false>(seconds, Lanes);
  if (m.outcome.hung) m.outcome.fault = "hung";
  double rate = static_cast<double>(total(m.outcome)) / m.outcome.seconds;
  m.values = {Lanes == 1 ? 1e9 / rate : rate / 1e6};
  return m;
}

constexpr unsigned kMixed = 8;  // one write to seven reads

template <class L, unsigned Lanes>
Measurement mixed(double seconds) {
  Measurement m = shared_out(run_lanes<L, kMixed, true>(seconds, Lanes));
  if (m.outcome.hung) m.values = {0, patience * 1e3, patience * 1e3};
  return m;
}

template <unsigned Each, unsigned Lanes>
std::vector<Contender> contenders() {
  return {{"shoal", Role::kOurs, sharing<Shoal, Each, Lanes>},
          {"pthread", Role::kPeer, sharing<PthreadRwlock, Each, Lanes>},
          {"ck_rwlock", Role::kPeer, sharing<Ck, Each, Lanes>},
          {"absl, threads", Role::kPeer, sharing<Absl, Each, Lanes>},
          {"nsync, threads", Role::kPeer, sharing<Nsync, Each, Lanes>}};
}

}  // namespace

void add_rwlock(Suite &suite) {
  Case read;
  read.name = "rwlock/read/uncontended";
  read.figures = {{"", "ns/pair", Better::kLower, "<= 0.8 x pthread", {{Target::kNamed, 1 / .8, "pthread"}}}};
  read.contenders = contenders<0, 1>();
  suite.add(read);

  Case write;
  write.name = "rwlock/write/uncontended";
  write.figures = {{"", "ns/pair", Better::kLower}};
  write.contenders = contenders<1, 1>();
  suite.add(write);

  Case together;
  together.name = "rwlock/read/2";
  together.figures = {{"", "M pair/s", Better::kHigher, ">= 2 x pthread", {{Target::kNamed, 2, "pthread"}}}};
  together.contenders = contenders<0, 2>();
  suite.add(together);

  Case two;
  two.name = "rwlock/mixed/2";
  two.figures = {{"", "M pair/s", Better::kHigher}};
  two.contenders = contenders<kMixed, 2>();
  suite.add(two);

  suite.add(crowd("rwlock/contended/8", {{"shoal", Role::kOurs, mixed<Shoal, 8>},
                                         {"pthread", Role::kPeer, mixed<PthreadRwlock, 8>},
                                         {"absl, threads", Role::kPeer, mixed<Absl, 8>},
                                         {"nsync, threads", Role::kPeer, mixed<Nsync, 8>},
                                         {"shoal, two lanes", Role::kLimit, mixed<Shoal, 2>}}));
}

}  // namespace bench
