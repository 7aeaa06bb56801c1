// bench/dict_bench.cc: what does a dict in shared memory cost, which no death damages and no reader waits in, beside a
// private hash table without any lock, and beside a shared one under a mutex; and do two read twice as much as one?

#include <deque>
#include <memory>
#include <string>

#include "bench/against/dict_servers.h"
#include "bench/against/dicts.h"
#include "bench/harness/must.h"
#include "bench/harness/workloads.h"
#include "bench/modules.h"
#include "core/heap.h"
#include "ipc/data/dict.h"
#include "ipc/data/list.h"

namespace bench {

namespace {

constexpr uint64_t kEntries = 1 << 20;
constexpr size_t kPayload = sizeof(DictKey) + sizeof(DictValue);

struct Shoal {
  static constexpr bool kThreads = false, kFar = false;
  shoal_segment *seg = nullptr;
  shoal_dict *dict = nullptr;
  explicit Shoal(size_t) {
    shoal_segment_options options{};
    options.size_max = uint64_t{1} << 30;
    options.flags = SHOAL_SEGMENT_HUGE;
    must(shoal_segment_create(nullptr, &options, &seg), "segment_create");
    must(shoal_dict_create(seg, "dict", nullptr, &dict), "dict_create");
  }
  bool get(const DictKey &k, DictValue &v) {
    uint64_t size;
    return shoal_dict_get(dict, &k, sizeof k, &v, sizeof v, &size) == 0;
  }
  void set(const DictKey &k, const DictValue &v) {
    must(shoal_dict_set(dict, &k, sizeof k, &v, sizeof v, SHOAL_FOREVER), "dict_set");
  }
};

DictKey key(uint64_t n) { return {{n * 0x9e3779b97f4a7c15, n}}; }
DictValue value(uint64_t n) { return {{n, n, n, n, n, n, n, n}}; }

template <class D>
auto fill(D &d, int) -> decltype(d.fill(kEntries, key, value)) {
  d.fill(kEntries, key, value);
}
template <class D>
void fill(D &d, char) {
  for (uint64_t n = 0; n < kEntries; n++) d.set(key(n), value(n));
}

// With a million entries; made once, used by all cases.
template <class D>
D &filled() {
  static std::unique_ptr<D> d;
  if (!d) {
    d = std::make_unique<D>(kEntries);
    fill(*d, 0);
  }
  return *d;
}

uint64_t next(uint64_t &random) {
  random ^= random << 13, random ^= random >> 7;
  return random ^= random << 17;
}

// `sets` of a hundred operations are sets.
template <class D>
void use(Lane &lane, D *dict, unsigned sets) {
  uint64_t n = 0, wrong = 0, random = 88172645463325252 + lane.index;
  DictValue v;
  for (uint64_t k = 0; k < (D::kFar ? 1 : kEntries); k++)
    wrong += !dict->get(key(k), v);  // a lane is born without the pages, or with none that is its own to write to
  for (uint64_t k = 0; k < (D::kFar || !sets ? 0 : kEntries); k++) dict->set(key(k), value(k));
  lane.start();
  do {
    for (unsigned k = 0; k < kLook / 8; k++, n++) {
      uint64_t which = next(random) % kEntries;
      if (sets && random >> 32 < sets * (uint64_t{1} << 32) / 100) {
        dict->set(key(which), value(which));
      } else {
        bool found = dict->get(key(which), v);
        touch(v);
        wrong += !found || v.word[0] != which || v.word[7] != which;
      }
    }
  } while (!lane.late());
  lane.stop(n);
  lane.tally().wrong = wrong;
}

// The same, kTogether at a time: gets, or sets.
constexpr unsigned kTogether = 32;
template <bool Sets>
void use_together(Lane &lane, Shoal *dict) {
  uint64_t n = 0, wrong = 0, random = 88172645463325252 + lane.index, which[kTogether];
  DictKey keys[kTogether];
  DictValue values[kTogether];
  shoal_dict_want wants[kTogether];
  shoal_dict_item items[kTogether];
  for (unsigned i = 0; i < kTogether; i++) {
    wants[i] = {&keys[i], sizeof keys[i], &values[i], sizeof values[i], 0, 0};
    items[i] = {&keys[i], sizeof keys[i], &values[i], sizeof values[i]};
  }
  for (uint64_t k = 0; k < kEntries; k++) wrong += !dict->get(key(k), values[0]);
  for (uint64_t k = 0; k < (Sets ? kEntries : 0); k++) dict->set(key(k), value(k));
  lane.start();
  do {
    for (unsigned k = 0; k < kLook / 8; k += kTogether, n += kTogether) {
      for (unsigned i = 0; i < kTogether; i++) which[i] = next(random) % kEntries, keys[i] = key(which[i]);
      if (Sets) {
        uint64_t done = 0;
        for (unsigned i = 0; i < kTogether; i++) values[i] = value(which[i]);
        must(shoal_dict_set_n(dict->dict, items, kTogether, &done, SHOAL_FOREVER), "dict_set_n");
        continue;
      }
      wrong += shoal_dict_get_n(dict->dict, wants, kTogether) != kTogether;
      for (unsigned i = 0; i < kTogether; i++) wrong += values[i].word[0] != which[i] || values[i].word[7] != which[i];
    }
  } while (!lane.late());
  lane.stop(n);
  lane.tally().wrong = wrong;
}

// Millions of operations a second, of all lanes.
Measurement millions(double seconds, const std::vector<Work> &lanes, bool threads) {
  Measurement m;
  m.outcome = run(lanes, {seconds, nullptr, threads});
  Outcome &o = m.outcome;
  uint64_t sum = 0, wrong = 0;
  for (auto &lane : o.lanes) sum += lane.count, wrong += lane.wrong;
  if (o.hung) o.fault = "hung";
  if (o.fault.empty() && wrong) o.fault = std::to_string(wrong) + " values were wrong or missing";
  m.values = {static_cast<double>(sum) / o.seconds / 1e6};
  return m;
}
template <class D, unsigned Sets, unsigned Lanes>
Measurement million(double seconds) {
  D *dict = &filled<D>();
  return millions(seconds, std::vector<Work>(Lanes, [=](Lane &lane) { use(lane, dict, Sets); }), D::kThreads);
}
// One lane, which is in the same kind of process for all: a private table's can only be a thread. A server's is a
// client.
template <class D, unsigned Sets>
Measurement alone(double seconds) {
  D *dict = &filled<D>();
  return millions(seconds, {[=](Lane &lane) { use(lane, dict, Sets); }}, !D::kFar);
}
template <bool Sets>
Measurement together(double seconds) {
  Shoal *dict = &filled<Shoal>();
  return millions(seconds, {[=](Lane &lane) { use_together<Sets>(lane, dict); }}, true);
}

// The same of Python's, one process.
Measurement python(double seconds) {
  static auto manager = std::make_unique<PythonManager>(kEntries);
  Measurement m;
  m.outcome = run({[&](Lane &lane) {
                    lane.start();
                    lane.stop(manager->gets(seconds));
                  }},
                  {seconds});
  if (m.outcome.hung) m.outcome.fault = "hung";
  m.values = {static_cast<double>(m.outcome.lanes[0].count) / m.outcome.seconds / 1e6};
  return m;
}

uint64_t used(const Shoal &d) {
  shoal_heap *heap;
  struct shoal_heap_info info {};
  must(shoal_heap_open(d.seg, &heap), "heap_open");
  must(shoal_heap_info(heap, &info), "heap_info");
  must(shoal_heap_close(heap), "heap_close");
  return info.used;
}
// Bytes of the heap in use, by those of keys and values: of one that was filled and nothing more.
Measurement overhead(double) {
  Shoal d(kEntries);
  Measurement m;
  fill(d, 0);
  m.outcome.lanes.resize(1);
  double entry = static_cast<double>(used(d)) / static_cast<double>(kEntries);
  must(shoal_dict_close(d.dict), "dict_close");
  must(shoal_segment_close(d.seg), "segment_close");
  m.values = {entry, entry / kPayload};
  return m;
}

// ---- list ----

constexpr size_t kList = 4096;

struct ShoalList {
  shoal_segment *seg = nullptr;
  shoal_list *list = nullptr;
  ShoalList() {
    must(shoal_segment_create(nullptr, nullptr, &seg), "segment_create");
    must(shoal_list_create(seg, "list", &list), "list_create");
  }
  ~ShoalList() {
    shoal_list_close(list);
    (void)shoal_segment_close(seg);
  }
  ShoalList(const ShoalList &) = delete;
  ShoalList &operator=(const ShoalList &) = delete;
  void append(const DictValue &v) { must(shoal_list_append(list, &v, sizeof v, SHOAL_FOREVER), "list_append"); }
  size_t size() { return shoal_list_len(list); }
  void clear() { must(shoal_list_clear(list, SHOAL_FOREVER), "list_clear"); }
};
struct Deque {
  std::deque<std::string> list;
  void append(const DictValue &v) { list.emplace_back(reinterpret_cast<const char *>(&v), sizeof v); }
  size_t size() { return list.size(); }
  void clear() { list.clear(); }
};

template <class L>
void append(Lane &lane) {
  L list;
  uint64_t n = 0, wrong = 0;
  lane.start();
  do {
    for (size_t k = 0; k < kList; k++, n++) list.append(value(n));
    wrong += list.size() != kList;
    list.clear();
  } while (!lane.late());
  lane.stop(n);
  lane.tally().wrong = wrong;
}
template <class L>
Measurement appends(double seconds) {
  Measurement m;
  m.outcome = run({append<L>}, {seconds});
  Outcome &o = m.outcome;
  if (o.hung) o.fault = "hung";
  if (o.fault.empty() && o.lanes[0].wrong) o.fault = "values were lost";
  m.values = {static_cast<double>(o.lanes[0].count) / o.seconds / 1e6};
  return m;
}

// Each repetition begins with a look at every entry.
constexpr int kFew = 5;
constexpr double kSeconds = .2;

void add_few(Suite &suite, std::string name, Figure figure, std::vector<Contender> contenders) {
  Case c;
  c.name = std::move(name);
  c.figures = {std::move(figure)};
  c.contenders = std::move(contenders);
  c.repetitions = kFew;
  c.seconds = kSeconds;
  suite.add(std::move(c));
}

Figure millions_of_operations(std::string promise = {}, std::vector<Target> targets = {}) {
  return {"", "M op/s", Better::kHigher, std::move(promise), std::move(targets)};
}

void add_one_by_one(Suite &suite) {
  add_few(suite, "dict/get/1",
          millions_of_operations(">= 0.6 x absl in huge pages, 4 x boost, 2 x lmdb, 50 x redis, 500 x python",
                                 {{Target::kNamed, .6, "absl (private, huge pages)"},  // ours are
                                  {Target::kNamed, 4, "boost, mutex"},
                                  {Target::kNamed, 2, "lmdb"},
                                  {Target::kNamed, 50, "redis"},
                                  {Target::kNamed, 500, "python manager"}}),
          {{"shoal", Role::kOurs, alone<Shoal, 0>},
           {"absl (private)", Role::kPeer, alone<FlatHashMap, 0>},
           {"absl (private, huge pages)", Role::kPeer, alone<FlatHashMapHuge, 0>},
           {"boost, mutex", Role::kPeer, alone<BoostDict, 0>},
           {"lmdb", Role::kPeer, alone<Lmdb, 0>},
           {"redis", Role::kPeer, alone<Redis, 0>},
           {"python manager", Role::kPeer, python}});
  add_few(suite, "dict/get/2", millions_of_operations(">= 1.7 x one", {{Target::kLimit, 1.7}}),
          {{"shoal", Role::kOurs, million<Shoal, 0, 2>},
           {"boost, mutex", Role::kPeer, million<BoostDict, 0, 2>},
           {"shoal, one", Role::kLimit, million<Shoal, 0, 1>}});
  add_few(suite, "dict/set",
          millions_of_operations(">= 0.35 x absl in huge pages", {{Target::kNamed, .35, "absl (private, huge pages)"}}),
          {{"shoal", Role::kOurs, alone<Shoal, 100>},
           {"absl (private)", Role::kPeer, alone<FlatHashMap, 100>},
           {"absl (private, huge pages)", Role::kPeer, alone<FlatHashMapHuge, 100>},
           {"boost, mutex", Role::kPeer, alone<BoostDict, 100>}});
}

template <bool Sets>
void add_together(Suite &suite, std::string name) {
  constexpr unsigned kSets = Sets ? 100 : 0;  // of a hundred
  add_few(suite, std::move(name), millions_of_operations(),
          {{"shoal", Role::kOurs, together<Sets>},
           {"shoal, one at a time", Role::kPeer, alone<Shoal, kSets>},
           {"absl (private)", Role::kPeer, alone<FlatHashMap, kSets>},
           {"absl (private, huge pages)", Role::kPeer, alone<FlatHashMapHuge, kSets>}});
}

}  // namespace

void add_dict(Suite &suite) {
  add_one_by_one(suite);
  add_together<false>(suite, "dict/get_n/32");
  add_together<true>(suite, "dict/set_n/32");
  add_few(suite, "dict/mixed/2", millions_of_operations(">= 4 x boost", {{Target::kNamed, 4, "boost, mutex"}}),
          {{"shoal", Role::kOurs, million<Shoal, 5, 2>},
           {"boost, mutex", Role::kPeer, million<BoostDict, 5, 2>},
           {"lmdb", Role::kPeer, million<Lmdb, 5, 2>},
           {"redis", Role::kPeer, million<Redis, 5, 2>}});

  Case memory;
  memory.name = "dict/memory";
  memory.figures = {{"/entry", "bytes", Better::kLower},
                    {"/payload", "x payload", Better::kLower, "<= 1.6", {{Target::kValue, 1.6}}}};
  memory.contenders = {{"shoal", Role::kOurs, overhead}};
  memory.repetitions = 1;
  suite.add(memory);

  Case list;
  list.name = "list/append";
  list.figures = {millions_of_operations(">= 0.3 x deque", {{Target::kNamed, .3, "std::deque (private)"}})};
  list.contenders = {{"shoal", Role::kOurs, appends<ShoalList>}, {"std::deque (private)", Role::kPeer, appends<Deque>}};
  suite.add(list);
}

}  // namespace bench
