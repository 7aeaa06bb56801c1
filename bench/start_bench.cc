// bench/start_bench.cc: how long until somebody works: a process from a large parent, two workers, the successor of a
// killed one; in forks of a tiny process, each waited for.

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/executor.h"
#include "bench/modules.h"
#include "ipc/work/process.h"

namespace bench {

struct BenchNothing {
  uint64_t n;
};
SHOAL_TASK(bench_nothing, BenchNothing) {
  arg->n++;
  return 0;
}

namespace {

constexpr size_t kLarge = size_t{1} << 30;

// A parent that has touched so many bytes.
class Ballast {
 public:
  explicit Ballast(size_t bytes) : bytes_(bytes) {
    if (!bytes) return;
    memory_ = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory_ == MAP_FAILED) throw std::bad_alloc();
    madvise(memory_, bytes, MADV_NOHUGEPAGE);
    if (madvise(memory_, bytes, MADV_POPULATE_WRITE)) throw std::runtime_error("madvise");
  }
  ~Ballast() {
    if (bytes_) munmap(memory_, bytes_);
  }
  Ballast(const Ballast &) = delete;
  Ballast &operator=(const Ballast &) = delete;

 private:
  size_t bytes_;
  void *memory_ = nullptr;
};

void note_median(Lane &lane, std::vector<double> taken, double scale) {
  lane.tally().values[0] = spread(std::move(taken)).median * scale;
}

// Calls `once` until it is late; the median in us.
template <class F>
void time_each(Lane &lane, F once) {
  std::vector<double> taken;
  once();
  lane.start();
  do {
    uint64_t from = ticks();
    once();
    taken.push_back(static_cast<double>(ticks() - from) * ns_per_tick());
  } while (!lane.late());
  lane.stop(taken.size());
  note_median(lane, std::move(taken), 1e-3);
}

void fork_and_wait() {
  int status = 0;
  pid_t pid = fork();
  if (pid == 0) _exit(0);
  if (pid < 0 || waitpid(pid, &status, 0) != pid || status) throw std::runtime_error("fork");
}
template <size_t Bytes>
void forks(Lane &lane) {
  sit_on({0, 1});
  Ballast ballast(Bytes);
  time_each(lane, fork_and_wait);
}

void start_and_join() {
  shoal_context context = {};
  context.method = SHOAL_START_STARTER;
  shoal_process_options options = {};
  options.context = &context;
  shoal_process p;
  BenchNothing nothing = {};
  int code = -1;
  must(shoal_process_start_task(&p, "bench_nothing", &nothing, sizeof nothing, &options), "process_start");
  must(shoal_process_join(&p, SHOAL_FOREVER), "process_join");
  must(shoal_process_exitcode(&p, &code), "process_exitcode");
  must(-code, "the child's exit code");
  must(shoal_process_close(&p), "process_close");
}
void starts(Lane &lane) {
  sit_on({0, 1});
  Ballast ballast(kLarge);
  must(shoal_starter_make(), "starter_make");
  time_each(lane, start_and_join);
  must(shoal_starter_end(), "starter_end");
}

// ---- a pool ----

void pools(Lane &lane) {
  sit_on({0, 1});
  Arena arena(4096);
  auto *begun = new (arena.take(sizeof(Begun))) Begun(2);
  shoal_segment *segment = nullptr;
  must(shoal_segment_create(nullptr, nullptr, &segment), "segment_create");
  std::vector<double> taken;
  lane.start();
  do {
    shoal_executor_options options = {};
    shoal_executor *executor = nullptr;
    options.workers = 2;
    options.init = Begun::note;
    options.arg = begun;
    begun->reset();
    uint64_t from = ticks();
    must(shoal_executor_create(segment, nullptr, &options, &executor), "executor_create");
    begun->await();
    taken.push_back(static_cast<double>(ticks() - from) * ns_per_tick());
    must(shoal_executor_shutdown(executor, 0, SHOAL_FOREVER), "shutdown");
    must(shoal_executor_detach(executor), "detach");
  } while (!lane.late());
  lane.stop(taken.size());
  note_median(lane, std::move(taken), 1e-3);
}

void deaths(Lane &lane) {
  sit_on({0, 1});
  Office office(1);
  std::vector<double> taken;
  uint64_t wrong = 0;
  BenchNothing nothing = {};
  must(SHOAL_APPLY(office.executor, bench_nothing, &nothing, nullptr, SHOAL_FOREVER), "apply");
  lane.start();
  do {
    pid_t victim = office.worker(0);
    uint64_t from = ticks();
    must(kill(victim, SIGKILL), "kill");
    must(shoal_executor_tend(office.executor, SHOAL_TRY), "tend");
    must(SHOAL_APPLY(office.executor, bench_nothing, &nothing, nullptr, SHOAL_FOREVER), "apply");
    taken.push_back(static_cast<double>(ticks() - from) * ns_per_tick());
    wrong += office.worker(0) == victim;
  } while (!lane.late());
  lane.stop(taken.size());
  wrong += nothing.n != 1 + taken.size();
  lane.tally().wrong = wrong;
  note_median(lane, std::move(taken), 1e-3);
}

using Body = void (*)(Lane &);
Contender timed(const char *name, Role role, Body work) {
  return {name, role, [=](double seconds) { return noted(in_a_lane(seconds, work), 1); }};
}
Case in_forks(const char *name, double most, const char *promise, std::vector<Contender> contenders) {
  Case c;
  c.name = name;
  c.figures = {{"", "us", Better::kLower, promise, {{Target::kLimit, 1 / most}}}};
  c.contenders = std::move(contenders);
  c.contenders.push_back(timed("fork of a tiny process", Role::kLimit, forks<0>));
  c.repetitions = 11;
  return c;
}

}  // namespace

void add_start(Suite &suite) {
  Case large = in_forks("work/start/starter", 1.3, "<= 1.3 x the limit, from 1 GiB",
                        {timed("shoal", Role::kOurs, starts), timed("fork of 1 GiB", Role::kPeer, forks<kLarge>)});
  large.repetitions = 7;
  suite.add(large);
  suite.add(in_forks("work/pool/ready", 4, "<= 4 x the limit", {timed("shoal", Role::kOurs, pools)}));
  suite.add(in_forks("work/pool/replace", 6, "<= 6 x the limit", {timed("shoal", Role::kOurs, deaths)}));
}

}  // namespace bench
