// bench/harness/lanes.h: processes (or threads) that start together, each on a processor of its own.
//
// USE
//   Outcome o = run({produce, consume}, {.seconds = 0.05, .memory = &arena});
//   void produce(Lane &lane) {
//     ...take the role...
//     lane.start();                       // calibrates, waits for all; the clock runs
//     do ... while (!lane.late());
//     lane.stop(messages);                // the clock stands still; what follows is not timed
//     ...check...
//   }
//
// Lanes 0 and 1 exchange two cache lines before the clock starts (the calibration): what this machine, at this moment
// and between these two processors, takes at least for a message and its answer. A lane alone is given a partner for
// that.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "bench/harness/clock.h"

namespace bench {

constexpr unsigned kLanesMax = 16;
inline double patience = 20;  // seconds; a measurement that takes so much longer than planned is ended by SIGKILL

// Memory that all lanes of a measurement share; zeroed, fresh for each one, so that no contender keeps a lucky
// placement.
class Arena {
 public:
  explicit Arena(size_t bytes);
  ~Arena();
  Arena(const Arena &) = delete;
  Arena &operator=(const Arena &) = delete;
  void *take(size_t bytes);  // on a page of its own
  void populate() const;     // maps all pages in this process

 private:
  char *base_;
  size_t size_, used_ = 0;
};

struct alignas(128) Tally {  // written by one lane, read when all have ended
  uint64_t start, stop;      // ticks
  uint64_t count;            // what it moved
  uint64_t sum;              // of what it moved, modulo 2^64
  uint64_t wrong;            // messages that were not what had to come
  uint64_t stall;            // ticks: the longest wait
  uint64_t preempted;        // involuntary context switches
  uint64_t slept;            // voluntary ones
  double values[4];          // what a workload measures itself
};

struct Board;  // shared by the lanes of a measurement

class Lane {
 public:
  Lane(unsigned index, unsigned lanes, Board *board, const Arena *memory, double seconds);

  void start();
  void stop(uint64_t count);
  bool late() const { return ticks() >= deadline_; }

  // For workloads whose consumers end when the producers have: said once by each producer, after its last message.
  void finish();
  unsigned finished() const;

  bool crowded() const;  // more lanes than processors
  Tally &tally();
  const unsigned index;

 private:
  void calibrate();
  unsigned lanes_;
  Board *board_;
  const Arena *memory_;
  double seconds_;
  uint64_t deadline_ = 0;
};

// What a lane does when nothing moves: a pause; if lanes share a processor it then lets others run.
class Backoff {
 public:
  explicit Backoff(const Lane &lane) : crowded_(lane.crowded()) {}
  void wait();
  void reset() { spins_ = 0; }

 private:
  bool crowded_;
  unsigned spins_ = 0;
};

struct Plan {
  double seconds;
  const Arena *memory = nullptr;
  bool threads = false;  // of one process, for what cannot live between processes
};

struct Outcome {
  std::vector<Tally> lanes;
  double pingpong = 0;     // ns, the median round trip of the calibration
  uint64_t preempted = 0;  // involuntary switches of all lanes; 0 if lanes share processors, where they mean nothing
  uint64_t stolen = 0;     // time the hypervisor took from our processors, in clock ticks
  bool hung = false;       // ended by SIGKILL
  std::string fault;       // a lane failed; empty: none did
  double seconds = 0;      // from the first start to the last stop
};

using Work = std::function<void(Lane &)>;
Outcome run(const std::vector<Work> &lanes, const Plan &plan);

// The same with two processes that a command starts (mpirun): it is given one argument more, the measurement's place,
// with which each of them calls `enter`. They have no memory in common but what they make.
Outcome run(std::vector<std::string> command, const Plan &plan);
void enter(const std::string &place, unsigned index, const Work &work);

// Two cache lines, both ways, `rounds` times: one side sends and stamps, the other answers.
class alignas(128) PingPong {
 public:
  double send(unsigned rounds);  // the median, ns
  void answer(unsigned rounds);

 private:
  alignas(128) std::atomic<uint64_t> ping_{0};
  alignas(128) std::atomic<uint64_t> pong_{0};
};

// The processors to run on: the first two this process may use.
const std::vector<int> &processors();

}  // namespace bench
