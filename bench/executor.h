// bench/executor.h: an executor as its users have it, in a lane of its own.
#pragma once

#include <sched.h>

#include <algorithm>

#include "bench/harness/must.h"
#include "bench/harness/workloads.h"
#include "ipc/work/executor.h"
#include "ipc/work/future.h"
#include "ipc/work/map.h"

namespace bench {

// The calling thread on that processor of ours; or, and so all threads and processes that it makes, on both.
inline void sit_on(std::initializer_list<unsigned> which) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (unsigned i : which) CPU_SET(static_cast<size_t>(processors().at(i)), &set);
  must(-sched_setaffinity(0, sizeof set, &set), "sched_setaffinity");
}

// `workers` processes, worker i on the i'th of those processors, in turn.
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
    must(shoal_executor_create(segment_, nullptr, &options, &executor), "executor_create");
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
