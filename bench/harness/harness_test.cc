// bench/harness/harness_test.cc. Claims: a queue that loses, doubles, swaps or tears a message is found out; so are a worker that
// fails and one that hangs; a sound queue is not. A row compares with the best peer, within repetitions, and says whether each
// kind of target holds. Names are quoted in JSON.

#include <cstdio>
#include <stdexcept>

#include "bench/harness/workloads.h"

namespace bench {

namespace {

int failures = 0;

void expect(bool holds, const char *what) {
  if (holds) return;
  failures++;
  printf("FAILED %s\n", what);
}

enum Flaw { kSound, kLoses, kDoubles, kSwaps, kTears, kThrows };

// A ring that makes one mistake, at message 1,000.
template <Flaw F>
struct Ring : Placed {
  using Message = Numbered<64>;
  static constexpr uint64_t kCapacity = 256, kMistake = 1000;
  struct Shared {
    alignas(128) std::atomic<uint64_t> written;
    alignas(128) std::atomic<uint64_t> read;
    alignas(128) Message slots[kCapacity];
  };
  static size_t bytes() { return sizeof(Shared); }
  static void make(void *) {}

  struct Producer {
    Shared *q;
    uint64_t calls = 0;
    Producer(void *memory, unsigned) : q(static_cast<Shared *>(memory)) {}
    bool put(const Message &m) {
      uint64_t at = q->written.load(std::memory_order_relaxed);
      if (at + 2 > q->read.load(std::memory_order_acquire) + kCapacity) return false;
      bool now = ++calls == kMistake;
      if (F == kThrows && now) throw std::runtime_error("as it should");
      if (F == kLoses && now) return true;
      q->slots[at++ % kCapacity] = m;
      if (F == kTears && now) q->slots[(at - 1) % kCapacity].words[7]++;
      if (F == kDoubles && now) q->slots[at++ % kCapacity] = m;
      q->written.store(at, std::memory_order_release);
      return true;
    }
  };
  struct Consumer {
    Shared *q;
    Consumer(void *memory, unsigned) : q(static_cast<Shared *>(memory)) {}
    bool get(Message &m) {
      uint64_t at = q->read.load(std::memory_order_relaxed), end = q->written.load(std::memory_order_acquire);
      if (at == end) return false;
      if (F == kSwaps && at + 1 < end && at >= kMistake && !swapped) {
        std::swap(q->slots[at % kCapacity], q->slots[(at + 1) % kCapacity]);
        swapped = true;
      }
      m = q->slots[at % kCapacity];
      q->read.store(at + 1, std::memory_order_release);
      return true;
    }
    bool swapped = false;
  };
};

constexpr double kShort = 0.01;

template <Flaw F>
std::string fault() {
  return stream<Ring<F>>(kShort, 1, 1).outcome.fault;
}

void test_flaws_are_found() {
  expect(fault<kSound>().empty(), "a sound queue has no fault");
  expect(!fault<kLoses>().empty(), "a lost message is found");
  expect(!fault<kDoubles>().empty(), "a doubled message is found");
  expect(!fault<kSwaps>().empty(), "swapped messages are found");
  expect(!fault<kTears>().empty(), "a torn message is found");
  expect(!fault<kThrows>().empty(), "a worker that fails is found, and its partner does not go on");
}

void test_hang_is_found() {
  auto hangs = [](Lane &lane) {
    lane.start();
    for (;;) pause();
  };
  patience = 1;
  expect(run({hangs, hangs}, {kShort}).hung, "lanes that do not end are ended");
}

void test_one_lane() {
  Outcome o = run({[](Lane &lane) { lane.start(), lane.stop(7); }}, {kShort});
  expect(!o.hung && o.fault.empty() && o.lanes[0].count == 7, "a lane alone runs and is read");
  expect(o.pingpong > 0, "there is a calibration");
}

Row row(Better better, std::vector<Target> targets, std::vector<double> ours) {
  Case c;
  c.name = "x";
  c.figures = {{"/y", "z", better, "words", std::move(targets)}};
  c.contenders = {
      {"slow", Role::kPeer, {}}, {"us", Role::kOurs, {}}, {"fast", Role::kPeer, {}}, {"limit", Role::kLimit, {}}};
  return judge(c, 0, {{1, 1, 2}, std::move(ours), {2, 2, 4}, {8, 8, 16}});
}

void test_rows() {
  Row r = row(Better::kHigher, {{Target::kBestPeer, 2}, {Target::kLimit, .5}, {Target::kNamed, 4, "slow"}}, {4, 4, 8});
  expect(r.name == "x/y" && r.best_peer == "fast" && r.limit_name == "limit", "the best peer is the fast one");
  expect(r.ratios["fast"] == 2 && r.ratios["slow"] == 4 && r.ratios["limit"] == .5, "ratios are within repetitions");
  expect(r.judged && r.met, "what holds is met");
  expect(r.ours.median == 4 && r.ours.min == 4 && r.ours.max == 8, "the spread");
  expect(!row(Better::kHigher, {{Target::kBestPeer, 2}, {Target::kLimit, .51}}, {4, 4, 8}).met, "one missed is missed");
  r = row(Better::kLower, {{Target::kBestPeer, 2}}, {.5, .5, 1});
  expect(r.best_peer == "slow" && r.ratios["slow"] == 2 && r.met, "less is better");
  expect(row(Better::kLower, {{Target::kValue, 8}}, {4, 4, 8}).met, "never above");
  expect(!row(Better::kLower, {{Target::kValue, 7}}, {4, 4, 8}).met, "once above is missed");
  expect(!row(Better::kLower, {}, {4, 4, 8}).judged, "no target, no verdict");
}

void test_json() {
  Row r = row(Better::kHigher, {{Target::kBestPeer, 2}}, {4, 4, 8});
  r.name = "a \"b\" \\c";
  std::string text = json({r});
  expect(text.find("\"case\": \"a \\\"b\\\" \\\\c\"") != std::string::npos, "names are quoted");
  expect(text.find("\"ratio_best_peer\": 2,") != std::string::npos, "numbers are bare");
  expect(text.find("\"ok\": true") != std::string::npos, "verdict");
  expect(json({row(Better::kHigher, {}, {4, 4, 8})}).find("\"ok\": null") != std::string::npos, "no verdict is null");
}

}  // namespace

}  // namespace bench

int main() {
  bench::patience = 250;  // others may use the processors
  bench::test_flaws_are_found();
  bench::test_one_lane();
  bench::test_rows();
  bench::test_json();
  bench::test_hang_is_found();
  printf("%d failed\n", bench::failures);
  return bench::failures != 0;
}
