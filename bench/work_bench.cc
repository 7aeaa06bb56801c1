// bench/work_bench.cc: what a task costs that does nothing: as one of a million indices, as one of a thousand futures,
// as a call; of one process, two, and 64; and what an executor costs that has nothing to do.

#include <fstream>
#include <future>
#include <vector>

#include "bench/against/openmp.h"
#include "bench/against/python.h"
#include "bench/against/tbb.h"
#include "bench/against/thread_pool.h"
#include "bench/executor.h"
#include "bench/harness/sleepers.h"
#include "bench/modules.h"
#include "bench/mpmc_ring.h"
#include "bench/spsc_ring.h"
#include "ipc/work/map.h"

namespace bench {

struct BenchRange {
  shoal_range range;
  uint64_t sum;
};
SHOAL_TASK(bench_add_up, BenchRange) {
  uint64_t sum = 0;
  for (uint64_t i = arg->range.begin; i < arg->range.end; i++) {
    uint64_t touched = i;
    touch(touched);
    sum += touched;
  }
  arg->sum += sum;
  return 0;
}

struct BenchSquare {
  uint64_t in, out;
};
SHOAL_TASK(bench_square, BenchSquare) {
  arg->out = arg->in * arg->in;
  return 0;
}

namespace {

// ---- for_each: indices ----

constexpr uint64_t kIndices = 1 << 20;
constexpr uint64_t kSum = kIndices * (kIndices - 1) / 2;

void gather_sum(void *argument, const void *part) {
  static_cast<BenchRange *>(argument)->sum += static_cast<const BenchRange *>(part)->sum;
}

void each_of_ours(Lane &lane) {
  Office office(2);
  shoal_for_each_options options = {};
  options.gather = gather_sum;
  uint64_t n = 0, wrong = 0;
  lane.start();
  do {
    BenchRange r = {};
    must(SHOAL_FOR_EACH(office.executor, bench_add_up, &r, kIndices, &options, nullptr, SHOAL_FOREVER), "for_each");
    wrong += r.sum != kSum;
    n += kIndices;
  } while (!lane.late());
  lane.stop(n);
  lane.tally().wrong = wrong;
}

void each_of_openmp(Lane &lane) {
  struct Loop {
    Lane *lane;
    uint64_t n = 0;
  } loop = {&lane};
  lane.start();
  uint64_t sum = openmp_sums(
      2, kIndices, [](unsigned thread) { sit_on({thread}); },
      [](void *arg) {
        auto *l = static_cast<Loop *>(arg);
        return ++l->n, !l->lane->late();
      },
      &loop);
  lane.stop(loop.n * kIndices);
  lane.tally().wrong = sum != loop.n * kSum;
}

void each_of_tbb(Lane &lane) {
  sit_on({0, 1});
  Tbb tbb;
  struct alignas(64) Part {
    uint64_t sum = 0;
  } parts[2];
  uint64_t n = 0;
  lane.start();
  do {
    tbb.arena.execute([&] {
      tbb::parallel_for(
          tbb::blocked_range<uint64_t>(0, kIndices, 1),
          [&](const tbb::blocked_range<uint64_t> &r) {
            uint64_t &sum = parts[tbb::this_task_arena::current_thread_index() & 1].sum;
            for (uint64_t i = r.begin(); i != r.end(); ++i) {
              uint64_t touched = i;
              touch(touched);
              sum += touched;
            }
          },
          tbb::simple_partitioner());
    });
    n += kIndices;
  } while (!lane.late());
  lane.stop(n);
  lane.tally().wrong = parts[0].sum + parts[1].sum != n / kIndices * kSum;
}

// ---- async: a thousand futures at a time ----

constexpr unsigned kWindow = 1000;
// Before the clock starts, whoever is measured: workers are born, take their first page faults, learn how long to look.
constexpr double kWarmNs = 300e6;

// `window` adds to `n` what it has done.
template <class F>
void measure_warm(Lane &lane, const uint64_t &n, F window) {
  for (uint64_t from = ticks(); static_cast<double>(ticks() - from) * ns_per_tick() < kWarmNs;) window();
  lane.start();
  uint64_t before = n;
  do window();
  while (!lane.late());
  lane.stop(n - before);
}

template <unsigned Workers>
void futures_of_ours(Lane &lane) {
  Office office(Workers);
  std::vector<shoal_future> futures(kWindow);
  uint64_t n = 0, wrong = 0;
  auto window = [&] {
    for (uint64_t i = 0; i < kWindow; i++) {
      BenchSquare s = {n + i, 0};
      must(SHOAL_SUBMIT(office.executor, bench_square, &s, &futures[i]), "submit");
    }
    for (uint64_t i = 0; i < kWindow; i++) {
      BenchSquare s = {};
      must(shoal_future_get(&futures[i], &s, sizeof s, nullptr, SHOAL_FOREVER), "get");
      must(shoal_future_release(&futures[i]), "release");
      wrong += s.out != (n + i) * (n + i);
    }
    n += kWindow;
  };
  measure_warm(lane, n, window);
  lane.tally().wrong = wrong;
}

void futures_of_pool(Lane &lane) {
  ThreadPool pool(2, [](unsigned i) { sit_on({i}); });
  std::vector<std::future<uint64_t>> futures(kWindow);
  uint64_t n = 0, wrong = 0;
  auto window = [&] {
    for (uint64_t i = 0; i < kWindow; i++) futures[i] = pool.submit([in = n + i] { return in * in; });
    for (uint64_t i = 0; i < kWindow; i++) wrong += futures[i].get() != (n + i) * (n + i);
    n += kWindow;
  };
  measure_warm(lane, n, window);
  lane.tally().wrong = wrong;
}

void group_of_tbb(Lane &lane) {
  sit_on({0, 1});
  Tbb tbb;
  std::vector<uint64_t> squares(kWindow);
  uint64_t n = 0, wrong = 0;
  auto window = [&] {
    tbb.arena.execute([&] {
      tbb::task_group group;
      for (uint64_t i = 0; i < kWindow; i++) group.run([&squares, i, in = n + i] { squares[i] = in * in; });
      group.wait();
    });
    for (uint64_t i = 0; i < kWindow; i++) wrong += squares[i] != (n + i) * (n + i);
    n += kWindow;
  };
  measure_warm(lane, n, window);
  lane.tally().wrong = wrong;
}

// ---- apply: a call ----

uint64_t call(const Office &office, uint64_t in) {
  BenchSquare s = {in, 0};
  must(SHOAL_APPLY(office.executor, bench_square, &s, nullptr, SHOAL_FOREVER), "apply");
  return s.out;
}

void apply_awake(Lane &lane) {
  Office office(1, {1});
  std::vector<uint32_t> taken(1 << 20);
  uint64_t n = 0, wrong = 0;
  lane.start();
  for (uint64_t i = 0; i < 1000; i++) wrong += call(office, i) != i * i;
  uint64_t from = ticks();
  do {
    wrong += call(office, n) != n * n;
    uint64_t now = ticks();
    taken[n++] = static_cast<uint32_t>(std::min<uint64_t>(now - from, UINT32_MAX));
    from = now;
  } while (!lane.late() && n < taken.size());
  lane.stop(n);
  lane.tally().wrong = wrong;
  taken.resize(n);
  note_percentiles(lane, taken);
}

uint64_t sleeps_of(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  uint64_t n = 0;
  for (std::string word; status >> word;)
    if (word == "voluntary_ctxt_switches:") status >> n;
  return n;
}

// A worker looks for a while before it sleeps, for less than one rest: the raw futex's processor idles for less time
// than ours.
constexpr unsigned kRests = 4;

void apply_asleep(Lane &lane) {
  Office office(1, {1});
  std::vector<double> taken;
  uint64_t wrong = 0;
  call(office, 1);
  lane.start();
  uint64_t slept = sleeps_of(office.worker(0));
  do {
    rest(kRests);
    uint64_t from = ticks(), in = taken.size();
    wrong += call(office, in) != in * in;
    taken.push_back(static_cast<double>(ticks() - from) * ns_per_tick());
  } while (!lane.late());
  lane.stop(taken.size());
  if (sleeps_of(office.worker(0)) - slept < taken.size() * 8 / 10) wrong++;
  lane.tally().wrong = wrong;
  lane.tally().values[0] = spread(std::move(taken)).median / 1e3;
}

// ---- Python ----

void python(Lane &lane) {
  sit_on({0, 1});
  lane.start();
  run_python(&lane.tally().values[0], &lane.tally().values[1]);
  lane.tally().values[0] /= 1e6;
  lane.stop(1);
}

void map_of_ours(Lane &lane) {
  Office office(2);
  std::vector<BenchSquare> squares(4000);
  uint64_t n = 0, wrong = 0;
  lane.start();
  do {
    for (uint64_t i = 0; i < squares.size(); i++) squares[i] = {n + i, 0};
    struct shoal_map *map = nullptr;
    must(SHOAL_MAP_ASYNC(office.executor, bench_square, squares.data(), squares.size(), 1, &map), "map_async");
    must(shoal_map_get(map, nullptr, SHOAL_FOREVER), "map_get");
    must(shoal_map_end(map), "map_end");
    for (uint64_t i = 0; i < squares.size(); i++) wrong += squares[i].out != (n + i) * (n + i);
    n += squares.size();
  } while (!lane.late());
  lane.stop(n);
  lane.tally().wrong = wrong;
}

// ---- idle ----

constexpr double kIdleSeconds = 3;

double processor_time(pid_t pid) {  // us
  clockid_t clock;
  timespec t;
  if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &t)) throw std::runtime_error("clock_getcpuclockid");
  return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_nsec) / 1e3;
}

void idle(Lane &lane) {
  Office office(2);
  std::vector<pid_t> all = {getpid(), office.worker(0), office.worker(1)};
  auto sum = [&] {
    double used = 0;
    for (pid_t pid : all) used += processor_time(pid);
    return used;
  };
  for (uint64_t i = 0; i < 100; i++) call(office, i);
  lane.start();
  double before = sum();
  must(shoal_executor_tend(office.executor, shoal_after_ns(static_cast<int64_t>(kIdleSeconds * 1e9))), "tend");
  double used = sum() - before;
  lane.stop(1);
  lane.tally().wrong = call(office, 3) != 9;
  lane.tally().values[0] = used / kIdleSeconds;
}

// ---- cases ----

using Body = void (*)(Lane &);

Contender rated(const char *name, Role role, Body work, bool threads = false) {
  return {name, role, [=](double seconds) { return rate(in_a_lane(seconds, work, threads)); }};
}
Contender noting(const char *name, Role role, Body work, unsigned values) {
  return {name, role, [=](double seconds) { return noted(in_a_lane(seconds, work), values); }};
}
Measurement python_map(double seconds) { return noted(in_a_lane(seconds, python), 1); }
Measurement python_apply(double seconds) {
  Measurement m = noted(in_a_lane(seconds, python), 2);
  m.values.erase(m.values.begin());
  return m;
}
Measurement ours_apply(double seconds) {
  Measurement m = noted(in_a_lane(seconds, apply_awake), 1);
  m.values[0] /= 1e3;
  return m;
}

Case of(const char *name, std::vector<Figure> figures, std::vector<Contender> contenders) {
  Case c;
  c.name = name;
  c.figures = std::move(figures);
  c.contenders = std::move(contenders);
  c.repetitions = 11;  // each starts processes
  return c;
}
Figure tasks(std::string promise, std::vector<Target> targets) {
  return {"", "M tasks/s", Better::kHigher, std::move(promise), std::move(targets)};
}

}  // namespace

void add_work(Suite &suite) {
  suite.add(of("work/for_each", {tasks(">= 1.0 x OpenMP dynamic,1, TBB", {{Target::kBestPeer, 1}})},
               {rated("shoal", Role::kOurs, each_of_ours), rated("OpenMP dynamic,1", Role::kPeer, each_of_openmp, true),
                rated("TBB parallel_for", Role::kPeer, each_of_tbb, true)}));
  suite.add(
      of("work/async/1000", {tasks(">= 3 x TBB task_group, thread pool", {{Target::kBestPeer, 3}})},
         {rated("shoal", Role::kOurs, futures_of_ours<2>), rated("TBB task_group", Role::kPeer, group_of_tbb, true),
          rated("thread pool", Role::kPeer, futures_of_pool, true)}));
  suite.add(
      of("work/workers/64", {tasks(">= 0.7 of 2 workers", {{Target::kLimit, .7}})},
         {rated("shoal", Role::kOurs, futures_of_ours<64>), rated("2 workers", Role::kLimit, futures_of_ours<2>)}));
  suite.add(of("work/apply/awake",
               {{"/p50", "ns", Better::kLower, "<= 2.0 x the bare ring", {{Target::kLimit, 1 / 2.0}}},
                {"/p99.9", "ns", Better::kLower}},
               {noting("shoal", Role::kOurs, apply_awake, 2),
                {"the bare spsc ring", Role::kPeer, round_trip<Spsc<Numbered<8>, 1024>>},
                {"the bare ring", Role::kLimit, round_trip<Mpmc<Numbered<8>, 1024>>}}));
  suite.add(of("work/apply/asleep", {{"", "us", Better::kLower, "<= 1.2 x raw futex", {{Target::kLimit, 1 / 1.2}}}},
               {noting("shoal", Role::kOurs, apply_asleep, 1),
                {"raw futex", Role::kLimit, sleeping_round_trip<RawFutex, kRests - 1>}}));

  Case map = of("work/python/map", {tasks(">= 500 x Python, chunk 1", {{Target::kBestPeer, 500}})},
                {rated("shoal", Role::kOurs, map_of_ours), {"Python Pool", Role::kPeer, python_map}});
  Case apply = of("work/python/apply", {{"", "us", Better::kLower, ">= 200 x Python", {{Target::kBestPeer, 200}}}},
                  {{"shoal", Role::kOurs, ours_apply}, {"Python Pool", Role::kPeer, python_apply}});
  map.repetitions = apply.repetitions = 5;
  suite.add(map);
  suite.add(apply);

  Case nothing =
      of("work/idle", {{"", "us CPU/s", Better::kLower, "<= 1000 (0.1 % of a processor)", {{Target::kValue, 1000}}}},
         {noting("shoal", Role::kOurs, idle, 1)});
  nothing.repetitions = 1;
  nothing.seconds = kIdleSeconds;
  suite.add(nothing);
}

}  // namespace bench
