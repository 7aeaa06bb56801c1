// bench/executor.h: an executor as its users have it, in a lane of its own.
#pragma once

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

#include "bench/harness/must.h"
#include "bench/harness/workloads.h"
#include "ipc/work/executor.h"
#include "ipc/work/future.h"

namespace bench {

// The calling thread on that processor of ours; or, and so all threads and processes that it makes, on both.
inline void sit_on(std::initializer_list<unsigned> which) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (unsigned i : which) CPU_SET(static_cast<size_t>(processors().at(i)), &set);
  must(-sched_setaffinity(0, sizeof set, &set), "sched_setaffinity");
}

// How many workers have begun, in memory that they share with who waits for `all` of them.
class Begun {
 public:
  explicit Begun(uint32_t all) : all_(all) {}
  static int note(void *arg, unsigned) {  // an initializer
    auto *b = static_cast<Begun *>(arg);
    if (b->n_.fetch_add(1) + 1 == b->all_) syscall(SYS_futex, &b->n_, FUTEX_WAKE, 1, nullptr, nullptr, 0);
    return 0;
  }
  void reset() { n_.store(0); }
  void await() {
    for (uint32_t is; (is = n_.load()) < all_;) syscall(SYS_futex, &n_, FUTEX_WAIT, is, nullptr, nullptr, 0);
  }

 private:
  const uint32_t all_;
  std::atomic<uint32_t> n_{0};
};

// All of them have begun: what is measured is no start. `workers` processes, worker i on the i'th of those processors,
// in turn.
class Office {
 public:
  explicit Office(unsigned workers, std::initializer_list<unsigned> where = {0, 1}) {
    shoal_segment_options small = {};
    small.flags = SHOAL_SEGMENT_PREFAULT;
    must(shoal_segment_create(nullptr, &small, &segment_), "segment_create");
    uint16_t numbers[2];
    shoal_executor_options options = {};
    for (unsigned i : where) numbers[options.processor_count++] = static_cast<uint16_t>(processors().at(i));
    options.workers = workers;
    options.processors = numbers;
    auto *begun = new (arena_.take(sizeof(Begun))) Begun(workers);
    options.init = Begun::note;
    options.arg = begun;
    must(shoal_executor_create(segment_, nullptr, &options, &executor), "executor_create");
    begun->await();
  }
  ~Office() {
    shoal_executor_shutdown(executor, 0, SHOAL_FOREVER);
    shoal_executor_detach(executor);
    shoal_segment_close(segment_);
  }
  Office(const Office &) = delete;
  Office &operator=(const Office &) = delete;

  pid_t worker(unsigned i) const {
    struct shoal_executor_worker w;
    must(shoal_executor_worker(executor, i, &w), "executor_worker");
    return w.pid;
  }

  shoal_executor *executor = nullptr;

 private:
  Arena arena_{4096};
  shoal_segment *segment_ = nullptr;
};

// A lane that has processes or threads of its own beside it: it is not alone on its processor, and being preempted says
// nothing.
inline Outcome in_a_lane(double seconds, const Work &work, bool threads = false) {
  Outcome o = run({work}, {seconds, nullptr, threads});
  o.preempted = 0;
  if (o.hung) o.fault = "hung";
  else if (o.fault.empty() && o.lanes[0].wrong) o.fault = std::to_string(o.lanes[0].wrong) + " wrong results";
  return o;
}

// Millions a second of what the lane has counted.
inline Measurement rate(Outcome &&o) {
  Measurement m;
  double seconds = static_cast<double>(o.lanes[0].stop - o.lanes[0].start) * ns_per_tick() / 1e9;
  m.values = {static_cast<double>(o.lanes[0].count) / seconds / 1e6};
  m.outcome = std::move(o);
  return m;
}

// The values that the lane has noted.
inline Measurement noted(Outcome &&o, unsigned n) {
  Measurement m;
  m.values.assign(o.lanes[0].values, o.lanes[0].values + n);
  m.outcome = std::move(o);
  return m;
}

}  // namespace bench
