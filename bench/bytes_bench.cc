// bench/bytes_bench.cc: what does it cost to hand a message of any length over: copied in and out, in place, through a
// pipe?

#include <sys/socket.h>

#include "bench/against/pipe.h"
#include "bench/harness/copies.h"
#include "bench/harness/limits.h"
#include "bench/harness/must.h"
#include "bench/harness/sleepers.h"
#include "bench/modules.h"
#include "ipc/queue/pipe.h"

namespace bench {

namespace {

// ---- ours ----

struct Shared {
  shoal_segment *segment;
  shoal_pipe *ends[2];
};

// A one-way pipe; its messages are M, copied.
template <class M>
struct Ours {
  using Message = M;
  static constexpr bool kThreads = false;
  static constexpr unsigned kDepth = sizeof(M) <= 256 ? 1024 : 16;  // messages on their way
  static size_t bytes() { return sizeof(Shared); }
  static void make(void *memory) {
    auto *s = static_cast<Shared *>(memory);
    shoal_segment_options options = {};
    options.size = 64 << 20;
    shoal_pipe_options pipe = {};
    pipe.capacity = kDepth;
    must(shoal_segment_create(nullptr, &options, &s->segment), "segment_create");
    must(shoal_pipe_create(s->segment, nullptr, &pipe, s->ends), "pipe_create");
  }
  static void destroy(void *memory) {
    auto *s = static_cast<Shared *>(memory);
    for (auto &end : s->ends) must(shoal_pipe_close(&end), "pipe_close");
    must(shoal_segment_close(s->segment), "segment_close");
  }

  struct Producer {
    shoal_pipe *p;
    Producer(void *memory, unsigned) : p(static_cast<Shared *>(memory)->ends[1]) {
      must(shoal_pipe_join(p, SHOAL_PRODUCER), "pipe_join");
    }
    ~Producer() { shoal_queue_leave(p->out, SHOAL_PRODUCER); }
    bool put(const M &m) { return must(shoal_pipe_send(p, &m, sizeof m, SHOAL_FOREVER), "pipe_send") == 0; }
  };
  struct Consumer {
    shoal_pipe *p;
    // What is on its way lies in blocks of their own, and each faults when it is first touched: here, not once the
    // clock runs.
    Consumer(void *memory, unsigned) : p(static_cast<Shared *>(memory)->ends[0]) {
      must(shoal_pipe_join(p, SHOAL_CONSUMER), "pipe_join");
      while (kDepth < kWarm && !shoal_queue_full(p->in)) sched_yield();
    }
    ~Consumer() { shoal_queue_leave(p->in, SHOAL_CONSUMER); }
    bool get(M &m) {
      uint64_t size;
      int rc = shoal_pipe_recv(p, &m, sizeof m, &size, SHOAL_FOREVER);
      return rc != -EPIPE && must(rc, "pipe_recv") == 0;
    }
  };
};

// ---- peers: a stream of bytes, read and written until a message is through ----

template <class M, bool kSockets>
struct Stream : Placed {
  using Message = M;
  static size_t bytes() { return sizeof(int[2]); }
  static void make(void *memory) {
    auto *ends = static_cast<int *>(memory);
    if (kSockets ? socketpair(AF_UNIX, SOCK_STREAM, 0, ends) : pipe(ends))
      throw std::system_error(errno, std::generic_category(), "pipe");
  }
  static void destroy(void *memory) {
    for (int i = 0; i < 2; i++) close(static_cast<int *>(memory)[i]);
  }
  static constexpr uint64_t kEnd = UINT64_MAX;

  struct Producer {
    int end;
    std::unique_ptr<M> last = std::make_unique<M>();
    Producer(void *memory, unsigned) : end(static_cast<int *>(memory)[1]) {}
    ~Producer() {
      last->set(kEnd);
      put(*last);
    }
    bool put(const M &m) {
      for (size_t done = 0; done < sizeof m;) {
        ssize_t n = write(end, reinterpret_cast<const char *>(&m) + done, sizeof m - done);
        if (n <= 0) return false;
        done += static_cast<size_t>(n);
      }
      return true;
    }
  };
  struct Consumer {
    int end;
    bool ended = false;
    Consumer(void *memory, unsigned) : end(static_cast<int *>(memory)[0]) {}
    bool get(M &m) {
      if (ended) return false;
      for (size_t done = 0; done < sizeof m;) {
        ssize_t n = read(end, reinterpret_cast<char *>(&m) + done, sizeof m - done);
        if (n <= 0) throw std::system_error(errno, std::generic_category(), "read");
        done += static_cast<size_t>(n);
      }
      ended = m.is(kEnd);
      return !ended;
    }
  };
};

// ---- peers: ranks of MPI, in programs of their own ----

struct Mpi {
  std::string name;
  std::vector<std::string> launch;
  const char *program;  // beside ours
};
const Mpi kOpenMpi = {
    "Open MPI", {"mpirun.openmpi", "--allow-run-as-root", "--bind-to", "none", "-n", "2"}, "openmpi_peer"};
const Mpi kMpich = {"MPICH", {"mpirun.mpich", "-n", "2"}, "mpich_peer"};

std::string beside_us(const std::string &program) {
  char path[4096];
  ssize_t n = readlink("/proc/self/exe", path, sizeof path);
  if (n < 0 || n == sizeof path) throw std::system_error(errno, std::generic_category(), "/proc/self/exe");
  std::string ours(path, static_cast<size_t>(n));
  return ours.substr(0, ours.rfind('/') + 1) + program;
}

template <size_t Bytes>
Contender ranks(const Mpi &mpi) {
  return {mpi.name, Role::kPeer, [mpi](double seconds) {
            std::vector<std::string> command = mpi.launch;
            command.push_back(beside_us(mpi.program));
            command.push_back(std::to_string(Bytes));
            return copies_result(run(std::move(command), {seconds}), Bytes);
          }};
}

template <size_t Bytes>
void add_copy(Suite &suite, const char *name, const Figure &figure) {
  using Copied = Numbered<Bytes>;
  Case c;
  c.name = name;
  c.figures = {figure};
  c.contenders = {{"shoal", Role::kOurs, copies<Ours<Copied>>},
                  {"pipe", Role::kPeer, copies<Stream<Copied, false>>},
                  {"socketpair", Role::kPeer, copies<Stream<Copied, true>>},
                  ranks<Bytes>(kOpenMpi),
                  ranks<Bytes>(kMpich)};
  suite.add(c);
}

// ---- in place: reserved, its ends written, received, its ends read, released; ns a message ----

template <size_t Bytes>
Measurement in_place(double seconds) {
  Arena arena(sizeof(Shared) + 4096);
  Made<Ours<Numbered<Bytes>>> made(arena);
  auto *s = static_cast<Shared *>(made.memory());
  Measurement m;
  m.outcome = run({[&](Lane &lane) {
                    uint64_t n = 0, wrong = 0;
                    auto one = [&] {
                      shoal_loan loan;
                      must(shoal_pipe_reserve(s->ends[1], Bytes, &loan, SHOAL_FOREVER), "pipe_reserve");
                      static_cast<uint64_t *>(loan.data)[0] = n;
                      must(shoal_pipe_commit(s->ends[1], &loan), "pipe_commit");
                      must(shoal_pipe_receive(s->ends[0], &loan, SHOAL_FOREVER), "pipe_receive");
                      wrong += static_cast<uint64_t *>(loan.data)[0] != n++ || loan.size != Bytes;
                      must(shoal_pipe_release(s->ends[0], &loan), "pipe_release");
                    };
                    for (int i = 0; i < 1000; i++) one();
                    n = 0;
                    lane.start();
                    do
                      for (int i = 0; i < 100; i++) one();
                    while (!lane.late());
                    lane.stop(n);
                    lane.tally().wrong = wrong;
                  }},
                  {seconds, &arena});
  Outcome &o = m.outcome;
  if (o.fault.empty() && o.lanes[0].wrong) o.fault = "another message came";
  m.values = {o.seconds * 1e9 / static_cast<double>(o.lanes[0].count)};
  return m;
}

}  // namespace

void add_bytes(Suite &suite) {
  const Figure shown = {"", "MB/s", Better::kHigher};
  const Figure asked = {"", "MB/s", Better::kHigher, ">= 1.0 of the best peer", {{Target::kBestPeer, 1.0}}};
  add_copy<256>(suite, "bytes/copy/256", shown);
  add_copy<4 << 10>(suite, "bytes/copy/4Ki", shown);
  add_copy<64 << 10>(suite, "bytes/copy/64Ki", asked);
  add_copy<1 << 20>(suite, "bytes/copy/1Mi", asked);

  Case place;
  place.name = "bytes/inplace/64M";
  place.figures = {{"", "ns", Better::kLower, "<= 1.2 x that of 1 KiB, 1 MiB", {{Target::kBestPeer, 1 / 1.2}}}};
  place.contenders = {{"64 MiB", Role::kOurs, in_place<64 << 20>},
                      {"1 KiB", Role::kPeer, in_place<1 << 10>},
                      {"64 KiB", Role::kPeer, in_place<64 << 10>},
                      {"1 MiB", Role::kPeer, in_place<1 << 20>}};
  suite.add(place);
}

void add_pipe(Suite &suite) {
  using M = Numbered<8>;
  Case rtt;
  rtt.name = "pipe/rtt";
  rtt.figures = {{"/p50", "ns", Better::kLower, ">= 20 x pipe(2)", {{Target::kBestPeer, 20}}},
                 {"/p99.9", "ns", Better::kLower}};
  rtt.contenders = {{"shoal", Role::kOurs, round_trip<Ours<M>>}, {"pipe", Role::kPeer, round_trip<Pipe<M>>}};
  suite.add(rtt);

  Case small;
  small.name = "pipe/stream/8";
  small.figures = {{"", "M msg/s", Better::kHigher, ">= 20 x pipe(2)", {{Target::kBestPeer, 20}}}};
  small.contenders = {{"shoal", Role::kOurs, [](double seconds) { return stream<Ours<M>>(seconds, 1, 1); }},
                      {"pipe", Role::kPeer, [](double seconds) { return stream<Pipe<M>>(seconds, 1, 1); }}};
  suite.add(small);

  Case sleeping;
  sleeping.name = "pipe/sleeping";
  sleeping.figures = {{"", "us", Better::kLower, "<= 1.15 x raw futex", {{Target::kLimit, 1 / 1.15}}}};
  sleeping.contenders = {{"shoal", Role::kOurs, sleeping_round_trip<Ours<M>>},
                         {"pipe", Role::kPeer, sleeping_round_trip<Pipe<M>>},
                         {"raw futex", Role::kLimit, sleeping_round_trip<RawFutex>}};
  suite.add(sleeping);
}

}  // namespace bench
