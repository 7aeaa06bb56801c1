// bench/lock_bench.cc: what does it cost that a lock outlives its holder?

#include <pthread.h>
#include <semaphore.h>

#include <cerrno>
#include <system_error>
#include <thread>

#include "bench/harness/must.h"
#include "bench/harness/workloads.h"
#include "bench/modules.h"
#include "sync/lock.h"

namespace bench {

namespace {

void check(int error, const char *what) {
  if (error) throw std::system_error(error, std::generic_category(), what);
}

struct Shoal {
  shoal_lock lock;
  void make() { must(shoal_lock_init(&lock), "lock_init"); }
  void acquire() { must(shoal_lock_acquire(&lock, SHOAL_FOREVER), "lock_acquire"); }
  void release() { must(shoal_lock_release(&lock), "lock_release"); }
};

template <int Robust>
struct Pthread {
  pthread_mutex_t lock;
  void make() {
    pthread_mutexattr_t shared;
    pthread_mutexattr_init(&shared);
    pthread_mutexattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&shared, Robust);
    check(pthread_mutex_init(&lock, &shared), "pthread_mutex_init");
  }
  void acquire() { check(pthread_mutex_lock(&lock), "pthread_mutex_lock"); }
  void release() { check(pthread_mutex_unlock(&lock), "pthread_mutex_unlock"); }
};

struct Semaphore {
  sem_t lock;
  void make() { check(sem_init(&lock, 1, 1) ? errno : 0, "sem_init"); }
  void acquire() { check(sem_wait(&lock) ? errno : 0, "sem_wait"); }
  void release() { check(sem_post(&lock) ? errno : 0, "sem_post"); }
};

// A compare-and-set and an exchange: no lock can do with less. Never contended here.
struct Floor {
  std::atomic<uint32_t> lock;
  void make() {}
  void acquire() {
    uint32_t free = 0;
    while (!lock.compare_exchange_strong(free, 1, std::memory_order_acquire, std::memory_order_relaxed)) free = 0;
  }
  void release() { lock.exchange(0, std::memory_order_release); }
};

template <class L>
struct Guarded {
  alignas(64) L lock;
  alignas(64) uint64_t pairs;  // what the lock guards
};

template <class L>
void pair_up(Lane &lane, Guarded<L> *g) {
  std::thread([] {}).join();  // the C library is not to know that there is one thread only
  uint64_t n = 0;
  lane.start();
  do {
    for (unsigned k = 0; k < kLook; k++, n++) {
      g->lock.acquire();
      touch(g->pairs);
      g->pairs++;
      touch(g->pairs);
      g->lock.release();
    }
  } while (!lane.late());
  lane.stop(n);
}

// ns a pair of one lane alone; millions of pairs a second of several together.
template <class L>
Measurement pairs(double seconds, unsigned lanes) {
  Arena arena(sizeof(Guarded<L>));
  auto *g = static_cast<Guarded<L> *>(arena.take(sizeof(Guarded<L>)));
  g->lock.make();
  Measurement m;
  m.outcome = run(std::vector<Work>(lanes, [=](Lane &lane) { pair_up(lane, g); }), {seconds, &arena});
  uint64_t n = 0;
  for (const Tally &t : m.outcome.lanes) n += t.count;
  if (m.outcome.hung) m.outcome.fault = "hung";
  if (m.outcome.fault.empty() && n != g->pairs)
    m.outcome.fault = std::to_string(n) + " pairs, " + std::to_string(g->pairs) + " counted under the lock";
  double rate = static_cast<double>(n) / m.outcome.seconds;
  m.values = {lanes == 1 ? 1e9 / rate : rate / 1e6};
  return m;
}

template <class L, unsigned Lanes>
Measurement pairs_of(double seconds) {
  return pairs<L>(seconds, Lanes);
}

template <unsigned Lanes>
std::vector<Contender> contenders() {
  return {{"shoal", Role::kOurs, pairs_of<Shoal, Lanes>},
          {"pthread", Role::kPeer, pairs_of<Pthread<PTHREAD_MUTEX_STALLED>, Lanes>},
          {"pthread robust", Role::kPeer, pairs_of<Pthread<PTHREAD_MUTEX_ROBUST>, Lanes>},
          {"sem_t", Role::kPeer, pairs_of<Semaphore, Lanes>}};
}

}  // namespace

void add_lock(Suite &suite) {
  Case alone;
  alone.name = "lock/uncontended";
  alone.figures = {{"", "ns/pair", Better::kLower, "<= 1.05 x pthread", {{Target::kNamed, 1 / 1.05, "pthread"}}}};
  alone.contenders = contenders<1>();
  alone.contenders.push_back({"CAS and exchange", Role::kLimit, pairs_of<Floor, 1>});
  suite.add(alone);

  Case two;
  two.name = "lock/contended";
  two.figures = {
      {"", "M pair/s", Better::kHigher, ">= 1.3 x pthread robust", {{Target::kNamed, 1.3, "pthread robust"}}}};
  two.contenders = contenders<2>();
  suite.add(two);
}

}  // namespace bench
