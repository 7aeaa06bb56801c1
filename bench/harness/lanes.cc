#include "bench/harness/lanes.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <new>
#include <system_error>
#include <thread>

namespace bench {

namespace {

constexpr unsigned kCalibrationRounds = 3000;

[[noreturn]] void die(const char *what) { throw std::system_error(errno, std::generic_category(), what); }

double measure_ns_per_tick() {
  double from = now_ns();
  uint64_t first = ticks();
  while (now_ns() - from < 20e6) pause();
  return (now_ns() - from) / static_cast<double>(ticks() - first);
}

std::vector<int> find_processors() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set)) die("sched_getaffinity");
  std::vector<int> found;
  for (int i = 0; i < CPU_SETSIZE && found.size() < 2; i++)
    if (CPU_ISSET(i, &set)) found.push_back(i);
  return found;
}

void pin(unsigned lane) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processors()[lane % processors().size()], &set);
  if (sched_setaffinity(0, sizeof set, &set)) die("sched_setaffinity");
}

uint64_t stolen_ticks() {
  std::ifstream stat("/proc/stat");
  std::string name;
  uint64_t field[8] = {};
  stat >> name;
  for (uint64_t &f : field) stat >> f;
  return field[7];
}

void spin_until(const std::atomic<uint32_t> &word, uint32_t value, bool yield) {
  while (word.load(std::memory_order_acquire) < value)
    if (yield) sched_yield();
}

}  // namespace

double ns_per_tick() {
  static const double ratio = measure_ns_per_tick();
  return ratio;
}

const std::vector<int> &processors() {
  static const std::vector<int> found = find_processors();
  return found;
}

// ---- memory ----

Arena::Arena(size_t bytes) : size_((bytes + 4095) & ~size_t{4095}) {
  void *p = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) die("mmap");
  base_ = static_cast<char *>(p);
}

Arena::~Arena() { munmap(base_, size_); }

void *Arena::take(size_t bytes) {
  bytes = (bytes + 4095) & ~size_t{4095};
  if (bytes > size_ - used_) throw std::bad_alloc();
  used_ += bytes;
  return base_ + used_ - bytes;
}

void Arena::populate() const {
  if (madvise(base_, size_, MADV_POPULATE_WRITE)) die("madvise");
}

// ---- calibration ----

double PingPong::send(unsigned rounds) {
  std::vector<uint64_t> taken(rounds);
  uint64_t base = pong_.load(std::memory_order_relaxed);
  for (unsigned i = 0; i < rounds; i++) {
    uint64_t from = ticks();
    ping_.store(base + i + 1, std::memory_order_release);
    while (pong_.load(std::memory_order_acquire) != base + i + 1) {
    }
    taken[i] = ticks() - from;
  }
  std::nth_element(taken.begin(), taken.begin() + rounds / 2, taken.end());
  return static_cast<double>(taken[rounds / 2]) * ns_per_tick();
}

void PingPong::answer(unsigned rounds) {
  uint64_t base = pong_.load(std::memory_order_relaxed);
  for (unsigned i = 0; i < rounds; i++) {
    while (ping_.load(std::memory_order_acquire) != base + i + 1) {
    }
    pong_.store(base + i + 1, std::memory_order_release);
  }
}

// ---- lanes ----

struct Board {
  PingPong pingpong;
  alignas(128) std::atomic<uint32_t> paired{0};
  alignas(128) std::atomic<uint32_t> ready{0};
  alignas(128) std::atomic<uint32_t> finished{0};
  alignas(128) pthread_barrier_t gate;  // where those sleep who do not calibrate
  double calibration = 0;
  unsigned lanes;
  double seconds;
  Tally tallies[kLanesMax] = {};

  Board(unsigned lanes, double seconds) : lanes(lanes), seconds(seconds) {
    pthread_barrierattr_t shared;
    pthread_barrierattr_init(&shared);
    pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(&gate, &shared, lanes);
  }
};

Lane::Lane(unsigned index, unsigned lanes, Board *board, const Arena *memory, double seconds)
    : index(index), lanes_(lanes), board_(board), memory_(memory), seconds_(seconds) {}

bool Lane::crowded() const { return lanes_ > processors().size(); }
Tally &Lane::tally() { return board_->tallies[index]; }
void Lane::finish() { board_->finished.fetch_add(1, std::memory_order_acq_rel); }
unsigned Lane::finished() const { return board_->finished.load(std::memory_order_acquire); }

void Lane::calibrate() {
  board_->paired.fetch_add(1, std::memory_order_acq_rel);
  spin_until(board_->paired, 2, true);  // the other one may have made workers that are to begin on this processor
  if (index == 0) board_->calibration = board_->pingpong.send(kCalibrationRounds);
  else board_->pingpong.answer(kCalibrationRounds);
}

void Lane::start() {
  if (memory_) memory_->populate();
  if (index < 2) calibrate();
  pthread_barrier_wait(&board_->gate);
  rusage usage;
  getrusage(RUSAGE_THREAD, &usage);
  tally().preempted = static_cast<uint64_t>(usage.ru_nivcsw);
  tally().slept = static_cast<uint64_t>(usage.ru_nvcsw);
  board_->ready.fetch_add(1, std::memory_order_acq_rel);
  spin_until(board_->ready, lanes_, crowded());
  tally().start = ticks();
  deadline_ = tally().start + static_cast<uint64_t>(seconds_ * 1e9 / ns_per_tick());
}

void Lane::stop(uint64_t count) {
  tally().stop = ticks();
  rusage usage;
  getrusage(RUSAGE_THREAD, &usage);
  tally().preempted = static_cast<uint64_t>(usage.ru_nivcsw) - tally().preempted;
  tally().slept = static_cast<uint64_t>(usage.ru_nvcsw) - tally().slept;
  tally().count = count;
}

void Backoff::wait() {
  pause();
  if (crowded_ && ++spins_ == 64) {
    spins_ = 0;
    sched_yield();
  }
}

// ---- a measurement ----

namespace {

void enter_board(const Work &work, unsigned index, Board *board, const Arena *memory) {
  pin(index);
  Lane lane(index, board->lanes, board, memory, board->seconds);
  work(lane);
}

// The board in a file without a name, which others can open while we live.
class SharedBoard {
 public:
  SharedBoard(unsigned lanes, double seconds) : fd_(memfd_create("bench", MFD_CLOEXEC)) {
    if (fd_ < 0 || ftruncate(fd_, sizeof(Board))) die("memfd_create");
    board_ = new (map(fd_)) Board(lanes, seconds);
  }
  ~SharedBoard() {
    munmap(board_, sizeof(Board));
    close(fd_);
  }
  SharedBoard(const SharedBoard &) = delete;
  SharedBoard &operator=(const SharedBoard &) = delete;
  Board *get() const { return board_; }
  std::string place() const { return "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(fd_); }

  static void *map(int fd) {
    void *p = mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) die("mmap");
    return p;
  }

 private:
  int fd_;
  Board *board_;
};

// A child that does `body` and tells its failure by its exit code; it dies with us.
pid_t spawn(const std::function<void()> &body) {
  pid_t parent = getpid(), child = fork();
  if (child < 0) die("fork");
  if (child) return child;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  try {
    body();
    _exit(0);
  } catch (const std::exception &e) {
    fprintf(stderr, "bench: %s\n", e.what());
    _exit(1);
  }
}

// A worker that has been started and not yet been waited for.
struct Child {
  pid_t pid;
  int fd;  // readable when it has ended
};

Child start_child(const std::function<void()> &body) {
  pid_t pid = spawn(body);
  int fd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (fd < 0) die("pidfd_open");
  return {pid, fd};
}

// Waits for all. If one fails or time is up the others are killed.
void collect(std::vector<Child> children, double seconds, Outcome *out) {
  double until = now_ns() + seconds * 1e9;
  auto kill_all = [&] {
    for (const Child &c : children) kill(c.pid, SIGKILL);
  };
  while (!children.empty()) {
    std::vector<pollfd> polled;
    for (const Child &c : children) polled.push_back({c.fd, POLLIN, 0});
    int left = static_cast<int>(std::max(0.0, (until - now_ns()) / 1e6) + 1);
    int n = poll(polled.data(), polled.size(), out->hung ? -1 : left);
    if (n < 0 && errno != EINTR) die("poll");
    if (n == 0) {
      out->hung = true;
      kill_all();
    }
    for (size_t i = polled.size(); n > 0 && i-- > 0;) {
      if (!polled[i].revents) continue;
      int status;
      if (waitpid(children[i].pid, &status, 0) < 0) die("waitpid");
      close(children[i].fd);
      children.erase(children.begin() + static_cast<ptrdiff_t>(i));
      if (status == 0 || out->hung || !out->fault.empty()) continue;
      out->fault = "a worker failed, wait status " + std::to_string(status);
      kill_all();
    }
  }
}

void summarize(const Board &board, Outcome *out) {
  uint64_t first = UINT64_MAX, last = 0;
  for (unsigned i = 0; i < board.lanes; i++) {
    const Tally &t = board.tallies[i];
    out->lanes.push_back(t);
    if (!t.stop) continue;
    first = std::min(first, t.start);
    last = std::max(last, t.stop);
    if (board.lanes <= processors().size()) out->preempted += t.preempted;
  }
  if (last > first) out->seconds = static_cast<double>(last - first) * ns_per_tick() / 1e9;
  out->pingpong = board.calibration;
}

// Starts the lanes, waits for them, and says what became of them.
Outcome measure(const Board &board, const std::function<std::vector<Child>()> &start) {
  if (processors().size() < 2) throw std::runtime_error("two processors are needed");
  ns_per_tick();
  fflush(nullptr);
  Outcome out;
  uint64_t stolen = stolen_ticks();
  collect(start(), board.seconds + patience, &out);
  out.stolen = stolen_ticks() - stolen;
  summarize(board, &out);
  return out;
}

std::vector<Child> start_threads(const std::vector<Work> &lanes, Board *board, const Arena *memory) {
  return {start_child([=] {
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < lanes.size(); i++) threads.emplace_back([=] { enter_board(lanes[i], i, board, memory); });
    for (std::thread &t : threads) t.join();
  })};
}

std::vector<Child> start_processes(const std::vector<Work> &lanes, Board *board, const Arena *memory) {
  std::vector<Child> children;
  for (unsigned i = 0; i < lanes.size(); i++)
    children.push_back(start_child([&] { enter_board(lanes[i], i, board, memory); }));
  return children;
}

std::vector<Child> start_command(const std::vector<std::string> &command) {
  return {start_child([&] {
    std::vector<char *> arguments;
    for (const std::string &word : command) arguments.push_back(const_cast<char *>(word.c_str()));
    arguments.push_back(nullptr);
    int nothing = open("/dev/null", O_RDONLY);
    if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0) die("/dev/null");
    execvp(arguments[0], arguments.data());
    die(arguments[0]);
  })};
}

}  // namespace

Outcome run(const std::vector<Work> &work, const Plan &plan) {
  std::vector<Work> lanes = work;
  if (lanes.size() == 1) lanes.push_back([](Lane &lane) { lane.start(); });
  unsigned n = static_cast<unsigned>(lanes.size());
  if (n > kLanesMax) throw std::length_error("too many lanes");

  Arena arena(sizeof(Board));
  Board *board = new (arena.take(sizeof(Board))) Board(n, plan.seconds);
  return measure(*board, [&] { return (plan.threads ? start_threads : start_processes)(lanes, board, plan.memory); });
}

Outcome run(std::vector<std::string> command, const Plan &plan) {
  SharedBoard board(2, plan.seconds);
  command.push_back(board.place());
  return measure(*board.get(), [&] { return start_command(command); });
}

void enter(const std::string &place, unsigned index, const Work &work) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // of the launcher, or who stands in for it
  int fd = open(place.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) die(place.c_str());
  auto *board = static_cast<Board *>(SharedBoard::map(fd));
  close(fd);
  alarm(static_cast<unsigned>(board->seconds + patience) + 1);  // a launcher that was killed may leave us behind
  ns_per_tick();
  enter_board(work, index, board, nullptr);
}

}  // namespace bench
