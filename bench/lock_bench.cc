// bench/lock_bench.cc: what does it cost that a lock outlives its holder, and who waits how long for it?

#include "bench/against/locks.h"
#include "bench/harness/must.h"
#include "bench/harness/pairs.h"
#include "bench/modules.h"
#include "sync/once.h"
#include "sync/rlock.h"

namespace bench {

namespace {

struct Lock : Placed {
  shoal_lock lock;
  void make() { must(shoal_lock_init(&lock), "lock_init"); }
  void acquire() { must(shoal_lock_acquire(&lock, SHOAL_FOREVER), "lock_acquire"); }
  void release() { must(shoal_lock_release(&lock), "lock_release"); }
};
struct Rlock : Placed {
  shoal_rlock lock;
  void make() { must(shoal_rlock_init(&lock), "rlock_init"); }
  void acquire() { must(shoal_rlock_acquire(&lock, SHOAL_FOREVER), "rlock_acquire"); }
  void release() { must(shoal_rlock_release(&lock), "rlock_release"); }
};
// In the memory of whoever measures: every acquisition of it is looked at, and none is in the way of another.
struct Ordered : Lock {
  alignas(64) char memory[8192];
  void make() {
    auto *order = reinterpret_cast<shoal_lock_order *>(memory);
    Lock::make();
    must(shoal_lock_order_size(8) <= sizeof memory ? 0 : -ENOSPC, "lock_order_size");
    must(shoal_lock_order_init(order, 0, 8), "lock_order_init");
    must(shoal_lock_attach(&lock, order, "bench"), "lock_attach");
  }
};

// What fails is not done, and is run again by whoever comes next.
struct Once : Placed {
  shoal_once once;
  void make() { must(shoal_once_init(&once), "once_init"); }
  template <class F>
  void run(F f) {
    auto fails = [](void *f) { return (*static_cast<F *>(f))(), 1; };
    must(shoal_once_run(&once, fails, &f, SHOAL_FOREVER) == 1 ? 0 : -EPROTO, "once_run");
  }
};

// A compare-and-set and an exchange: no lock can do with less. Never contended here.
struct Floor : Placed {
  std::atomic<uint32_t> lock;
  void make() {}
  void acquire() {
    uint32_t free = 0;
    while (!lock.compare_exchange_strong(free, 1, std::memory_order_acquire, std::memory_order_relaxed)) free = 0;
  }
  void release() { lock.exchange(0, std::memory_order_release); }
};

// Acquired once more by its holder.
template <class L>
struct Again : L {
  void acquire() {
    L::acquire();
    L::acquire();
  }
  void release() {
    L::release();
    L::release();
  }
};

using Plain = Pthread<PTHREAD_MUTEX_STALLED>;
using Robust = Pthread<PTHREAD_MUTEX_ROBUST>;
using Recursive = Pthread<PTHREAD_MUTEX_STALLED, PTHREAD_MUTEX_RECURSIVE>;
using RobustRecursive = Pthread<PTHREAD_MUTEX_ROBUST, PTHREAD_MUTEX_RECURSIVE>;
using Boost_ = BoostMutex<boost::interprocess::interprocess_mutex>;
using BoostRecursive = BoostMutex<boost::interprocess::interprocess_recursive_mutex>;

template <unsigned Lanes>
std::vector<Contender> locks() {
  return {{"shoal", Role::kOurs, pairs<Lock, Lanes>},
          {"pthread", Role::kPeer, pairs<Plain, Lanes>},
          {"pthread robust", Role::kPeer, pairs<Robust, Lanes>},
          {"sem_t", Role::kPeer, pairs<PosixSemaphore, Lanes>},
          {"boost interprocess_mutex", Role::kPeer, pairs<Boost_, Lanes>},
          {"ck spinlock_fas", Role::kPeer, pairs<CkFas, Lanes>},
          {"ck spinlock_ticket", Role::kPeer, pairs<CkTicket, Lanes>},
          {"absl::Mutex (threads)", Role::kPeer, pairs<AbslMutex, Lanes>},
          {"nsync_mu (threads)", Role::kPeer, pairs<NsyncMutex, Lanes>}};
}
template <unsigned Lanes>
std::vector<Contender> rlocks() {
  return {{"shoal", Role::kOurs, pairs<Rlock, Lanes>},
          {"pthread recursive", Role::kPeer, pairs<Recursive, Lanes>},
          {"pthread robust recursive", Role::kPeer, pairs<RobustRecursive, Lanes>},
          {"boost interprocess_recursive_mutex", Role::kPeer, pairs<BoostRecursive, Lanes>}};
}

void add_case(Suite &suite, const char *name, std::vector<Figure> figures, std::vector<Contender> contenders) {
  Case c;
  c.name = name;
  c.figures = std::move(figures);
  c.contenders = std::move(contenders);
  suite.add(c);
}

}  // namespace

void add_lock(Suite &suite) {
  std::vector<Contender> alone = locks<1>();
  alone.push_back({"shoal, in an order", Role::kPeer, pairs<Ordered, 1>});
  alone.push_back({"CAS and exchange", Role::kLimit, pairs<Floor, 1>});
  add_case(suite, "lock/uncontended", {nanoseconds("<= 1.05 x pthread", {{Target::kNamed, 1 / 1.05, "pthread"}})},
           alone);
  add_case(suite, "lock/contended",
           {millions(">= 1.3 x pthread robust, 1 x pthread",
                     {{Target::kNamed, 1.3, "pthread robust"}, {Target::kNamed, 1, "pthread"}})},
           locks<2>());
  suite.add(crowd("lock/contended/8", {{"shoal", Role::kOurs, pairs<Lock, 8, true>},
                                       {"pthread", Role::kPeer, pairs<Plain, 8, true>},
                                       {"pthread robust", Role::kPeer, pairs<Robust, 8, true>},
                                       {"shoal, two lanes", Role::kLimit, pairs<Lock, 2, true>}}));
  Figure as_recursive = nanoseconds("<= 1.1 x pthread recursive", {{Target::kNamed, 1 / 1.1, "pthread recursive"}});
  add_case(suite, "rlock/uncontended", {as_recursive}, rlocks<1>());
  add_case(suite, "rlock/again", {as_recursive},
           {{"shoal", Role::kOurs, pairs<Again<Rlock>, 1>},
            {"pthread recursive", Role::kPeer, pairs<Again<Recursive>, 1>},
            {"pthread robust recursive", Role::kPeer, pairs<Again<RobustRecursive>, 1>}});
  add_case(suite, "rlock/contended", {millions(">= 1 x pthread recursive", {{Target::kNamed, 1, "pthread recursive"}})},
           rlocks<2>());
  suite.add(crowd("rlock/contended/8", {{"shoal", Role::kOurs, pairs<Rlock, 8, true>},
                                        {"pthread recursive", Role::kPeer, pairs<Recursive, 8, true>},
                                        {"pthread robust recursive", Role::kPeer, pairs<RobustRecursive, 8, true>},
                                        {"shoal, two lanes", Role::kLimit, pairs<Rlock, 2, true>}}));
  suite.add(crowd("once/contended/8", {{"shoal", Role::kOurs, pairs<Once, 8, true>},
                                       {"shoal, two lanes", Role::kLimit, pairs<Once, 2, true>}}));
}

}  // namespace bench
