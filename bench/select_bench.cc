// bench/select_bench.cc: what does it cost to get from the one of many queues that has a message, beside a get from a
// queue that is known to have one? In uncontended compare-and-sets, measured in between.

#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <string>

#include "bench/harness/must.h"
#include "bench/harness/workloads.h"
#include "bench/modules.h"
#include "ipc/queue/select.h"

namespace bench {

namespace {

SHOAL_QUEUE_TYPED(select_numbers, uint64_t)
SHOAL_SELECT_TYPED(select_numbers, uint64_t)

// Queues in a segment; children of fork use the handles.
template <unsigned N>
struct Queues {
  struct Shared {
    shoal_segment *segment;
    shoal_queue *queues[N];
  };
  static size_t bytes() { return sizeof(Shared); }
  static void make(void *memory) {
    auto *s = static_cast<Shared *>(memory);
    shoal_queue_options options = {};
    options.capacity = 16;
    must(shoal_segment_create(nullptr, nullptr, &s->segment), "segment_create");
    for (unsigned i = 0; i < N; i++) {
      std::string name = "numbers " + std::to_string(i);
      must(select_numbers_create(s->segment, name.c_str(), &options, &s->queues[i]), "queue_create");
    }
  }
  static void destroy(void *memory) {
    auto *s = static_cast<Shared *>(memory);
    for (shoal_queue *q : s->queues) must(shoal_queue_detach(q), "queue_detach");
    must(shoal_segment_close(s->segment), "segment_close");
  }

  Shared *s;
  uint64_t got = 0;
  shoal_case cases[N];
  explicit Queues(void *memory) : s(static_cast<Shared *>(memory)) {
    for (unsigned i = 0; i < N; i++) cases[i] = select_numbers_on_get(s->queues[i], &got);
  }
  void put(unsigned i, uint64_t v) { must(select_numbers_put(s->queues[i], &v, SHOAL_TRY), "queue_put"); }
  uint64_t get(unsigned i) {
    must(select_numbers_get(s->queues[i], &got, SHOAL_TRY), "queue_get");
    return got;
  }
  uint64_t get_any() {
    must(shoal_select(cases, N, SHOAL_FOREVER), "select");
    return got;
  }
};

// The last source is a pipe of ours.
template <unsigned N>
struct QueuesAndPipe {
  struct Shared {
    typename Queues<N - 1>::Shared queues;
    shoal_pipe *ends[2];
  };
  static size_t bytes() { return sizeof(Shared); }
  static void make(void *memory) {
    auto *s = static_cast<Shared *>(memory);
    Queues<N - 1>::make(&s->queues);
    must(shoal_pipe_create(s->queues.segment, nullptr, nullptr, s->ends), "pipe_create");
  }
  static void destroy(void *memory) {
    auto *s = static_cast<Shared *>(memory);
    for (shoal_pipe *&end : s->ends) must(shoal_pipe_close(&end), "pipe_close");
    Queues<N - 1>::destroy(&s->queues);
  }

  Shared *s;
  Queues<N - 1> queues;
  uint64_t got = 0, size = 0;
  shoal_case cases[N];
  explicit QueuesAndPipe(void *memory) : s(static_cast<Shared *>(memory)), queues(&s->queues) {
    for (unsigned i = 0; i + 1 < N; i++) cases[i] = select_numbers_on_get(s->queues.queues[i], &got);
    cases[N - 1] = shoal_on_pipe_recv(s->ends[0], &got, sizeof got, &size);
  }
  void put(unsigned i, uint64_t v) {
    if (i + 1 < N) queues.put(i, v);
    else must(shoal_pipe_send(s->ends[1], &v, sizeof v, SHOAL_TRY), "pipe_send");
  }
  uint64_t get(unsigned i) {
    if (i + 1 < N) return queues.get(i);
    must(shoal_pipe_recv(s->ends[0], &got, sizeof got, &size, SHOAL_TRY), "pipe_recv");
    return got;
  }
  uint64_t get_any() {
    must(shoal_select(cases, N, SHOAL_FOREVER), "select");
    return got;
  }
};

template <unsigned N>
struct Pipes {
  struct Shared {
    int fds[N][2];
  };
  static size_t bytes() { return sizeof(Shared); }
  static void make(void *memory) {
    for (auto &fds : static_cast<Shared *>(memory)->fds) check(pipe(fds) == 0);
  }
  static void destroy(void *memory) {
    for (auto &fds : static_cast<Shared *>(memory)->fds) close(fds[0]), close(fds[1]);
  }
  static void check(bool good) {
    if (!good) throw std::runtime_error("a pipe");
  }

  Shared *s;
  pollfd polled[N];
  explicit Pipes(void *memory) : s(static_cast<Shared *>(memory)) {
    for (unsigned i = 0; i < N; i++) polled[i] = {s->fds[i][0], POLLIN, 0};
  }
  void put(unsigned i, uint64_t v) { check(write(s->fds[i][1], &v, sizeof v) == sizeof v); }
  uint64_t get(unsigned i) {
    uint64_t v;
    check(read(s->fds[i][0], &v, sizeof v) == sizeof v);
    return v;
  }
  uint64_t get_any() {
    check(poll(polled, N, -1) == 1);
    unsigned i = 0;
    while (!polled[i].revents) i++;
    return get(i);
  }
};

constexpr unsigned kRound = 512;

// Ticks for a round; the median of all rounds: a preempted one counts as one.
class Rounds {
 public:
  template <class Body>
  void time(Body body) {
    uint64_t before = ticks();
    for (unsigned i = 0; i < kRound; i++) body(i);
    ticks_.push_back(static_cast<double>(ticks() - before));
  }
  double median() { return spread(ticks_).median; }

 private:
  std::vector<double> ticks_;
};

// Whose turn it is hops about, so that half of them are looked at in vain, in the mean.
template <class Many, unsigned N>
void hop(Lane &lane, void *memory) {
  Many many(memory);
  std::atomic<uint64_t> word{0};
  Rounds any, known, cas;
  uint64_t n = 0, right = 0;
  for (unsigned i = 0; i < N; i++) {  // who joins reads files below /proc
    many.put(i, i);
    many.get_any();
  }
  lane.start();
  do {
    any.time([&](unsigned i) {
      many.put((i * 37 + 1) % N, i);
      right += many.get_any() == i;
    });
    known.time([&](unsigned i) {
      many.put((i * 37 + 1) % N, i);
      right += many.get((i * 37 + 1) % N) == i;
    });
    cas.time([&](unsigned) {
      uint64_t old = word.load(std::memory_order_relaxed);
      word.compare_exchange_strong(old, old + 1);
    });
    n += 2 * kRound;
  } while (!lane.late());
  lane.stop(right == n ? n : 0);
  lane.tally().values[0] = (any.median() - known.median()) / cas.median();
}

template <class Many, unsigned N>
Measurement added(double seconds) {
  Arena arena(Many::bytes());
  Made<Many> made(arena);
  Measurement m;
  m.outcome = run({[&](Lane &lane) { hop<Many, N>(lane, made.memory()); }}, {seconds, &arena});
  if (m.outcome.hung) m.outcome.fault = "hung";
  if (m.outcome.fault.empty() && !m.outcome.lanes[0].count) m.outcome.fault = "another message came";
  m.values = {m.outcome.lanes[0].values[0], m.outcome.lanes[0].values[0] / N};
  return m;
}

// All of it is promised for a few sources only: of many, what each costs.
template <class Many, unsigned N>
Case case_of(const std::string &name, double most, double most_each) {
  Case c;
  c.name = name;
  c.figures = {{"/added", "CAS", Better::kLower}, {"/added/source", "CAS", Better::kLower}};
  if (most > 0) {
    c.figures[0].promise = "<= 12 compare-and-sets";
    c.figures[0].targets = {{Target::kValue, most}};
  }
  c.figures[1].promise = "<= 4 compare-and-sets a source";
  c.figures[1].targets = {{Target::kValue, most_each}};
  c.contenders = {{"shoal", Role::kOurs, added<Many, N>}, {"pipes, poll", Role::kPeer, added<Pipes<N>, N>}};
  return c;
}

}  // namespace

void add_select(Suite &suite) {
  suite.add(case_of<Queues<2>, 2>("select/2", 12, 4));
  suite.add(case_of<QueuesAndPipe<2>, 2>("select/pipe/2", 12, 4));
  suite.add(case_of<Queues<64>, 64>("select/64", 0, 4));
}

}  // namespace bench
