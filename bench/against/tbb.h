// bench/against/tbb.h: Intel's threading building blocks, by threads of one process.
#pragma once

#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>
#include <tbb/task_group.h>
#include <tbb/task_scheduler_observer.h>

#include <atomic>

#include "bench/executor.h"

namespace bench {

// Two threads, of which the caller is one, a processor each.
class Tbb : public tbb::task_scheduler_observer {
 public:
  Tbb() : tbb::task_scheduler_observer(arena), limit_(tbb::global_control::max_allowed_parallelism, 2) {
    observe(true);
  }
  ~Tbb() override { observe(false); }
  void on_scheduler_entry(bool) override {
    sit_on({static_cast<unsigned>(tbb::this_task_arena::current_thread_index()) % 2});
  }
  tbb::task_arena arena{2};

 private:
  tbb::global_control limit_;
};

}  // namespace bench
