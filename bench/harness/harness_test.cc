// bench/harness/harness_test.cc. Claims: a queue that loses, doubles, swaps or tears a message is found out; so are a
// worker that fails and one that hangs; a sound queue is not. A row compares with the best peer, within repetitions,
// and says whether each kind of target holds. Names are quoted in JSON; rows that were written are read again as they
// were, and what is none is refused. The page is well-formed, has every row, and no script.

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

std::vector<Row> rows_of_all_kinds() {
  std::vector<Row> rows;
  const char *const names[] = {"ring/rtt/8/p50",     "ring/rtt/8/p99.9",  "mpmc/stream/8/1p1c",
                               "mpmc/stream/8/2p2c", "bytes/copy/64Ki",   "bytes/copy/1Mi",
                               "topic/1/subscriber", "a <b> \"c\" & \\d", "condition/nobody waits"};
  for (const char *name : names) {
    Row r = row(rows.size() % 2 ? Better::kLower : Better::kHigher, {{Target::kBestPeer, 2}}, {4, 4, 8});
    r.name = name, r.pingpong = {500, 400, 600};
    r.repetitions = 21, r.measured = 84, r.dropped = 3, r.kept = 1;
    r.machine = "a <machine>", r.date = "2026-11-27", r.how = "21 repetitions";
    rows.push_back(r);
  }
  rows.push_back(row(Better::kHigher, {}, {0, 0, 0}));  // a hang, no target
  rows.back().best_peer = "", rows.back().peers.clear();
  return rows;
}

bool refused(const std::string &json) {
  try {
    rows_of(json);
  } catch (const std::runtime_error &) {
    return true;
  }
  return false;
}

void test_rows_are_read_again() {
  std::vector<Row> rows = rows_of_all_kinds(), again = rows_of(json(rows));
  expect(again.size() == rows.size(), "as many");
  expect(json(again) == json(rows), "the same JSON");
  expect(table(again) == table(rows), "the same table");
  expect(page(again) == page(rows), "the same page");
  expect(rows_of("[]").empty(), "none");
  for (const char *wrong :
       {"", "{}", "[", "[1]", "[{}]", "[{\"case\": \"x\"}]", "[] ]", "[\"", "[[[[[[[[[[[[[[[[[[[[[", "nul"})
    expect(refused(wrong), wrong);
}

// Every tag is closed by its like; "<" and "&" stand for nothing else.
bool well_formed(const std::string &xml) {
  std::vector<std::string> open;
  for (size_t at = xml.find_first_of("<&"); at != std::string::npos; at = xml.find_first_of("<&", at + 1)) {
    if (xml[at] == '&') {
      size_t end = xml.find(';', at);
      if (end == std::string::npos || end - at > 5) return false;
      continue;
    }
    size_t end = xml.find('>', at);
    if (end == std::string::npos) return false;
    if (xml[at + 1] == '!' || xml[end - 1] == '/') continue;
    bool closes = xml[at + 1] == '/';
    size_t from = at + 1 + closes;
    std::string name = xml.substr(from, xml.find_first_of(" >\n", from) - from);
    if (!closes) open.push_back(name);
    else if (open.empty() || open.back() != name) return false;
    else open.pop_back();
  }
  return open.empty();
}

void test_page() {
  expect(well_formed("<a><b/>&lt;</a>") && !well_formed("<a><b></a>") && !well_formed("<a>&</a>"),
         "what is well-formed");
  std::vector<Row> rows = rows_of_all_kinds();
  std::string text = page(rows);
  expect(well_formed(text), "the page is well-formed");
  for (const Row &r : rows) {
    std::string name = r.name == "a <b> \"c\" & \\d" ? "a &lt;b&gt; &quot;c&quot; &amp; \\d" : r.name;
    expect(text.find("<td>" + name + "</td>") != std::string::npos, (r.name + " is in the table").c_str());
    expect(text.find(name + "</h3>") != std::string::npos || text.find("<h3>" + name) != std::string::npos,
           (r.name + " has a plot").c_str());
  }
  expect(text.find("a &lt;machine&gt;") != std::string::npos && text.find("2026-11-27") != std::string::npos,
         "where and when");
  expect(text.find("By the number of processes") != std::string::npos, "by processes");
  expect(text.find("By the size of a message") != std::string::npos, "by size");
  expect(text.find("<script") == std::string::npos && text.find("http") == text.find("http://www.w3.org"),
         "whole by itself");
  expect(text.find("nan") == std::string::npos && text.find("inf\"") == std::string::npos, "no place is nowhere");
  expect(well_formed(page({})), "a page of nothing");
}

}  // namespace

}  // namespace bench

int main() {
  bench::patience = 250;  // others may use the processors
  bench::test_flaws_are_found();
  bench::test_one_lane();
  bench::test_rows();
  bench::test_json();
  bench::test_rows_are_read_again();
  bench::test_page();
  bench::test_hang_is_found();
  printf("%d failed\n", bench::failures);
  return bench::failures != 0;
}
