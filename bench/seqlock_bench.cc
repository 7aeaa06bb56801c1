// bench/seqlock_bench.cc: what does a snapshot cost, do readers scale beside a writer, and do they come through when it
// never pauses?

#include <ck_sequence.h>
#include <unistd.h>

#include <cstring>

#include "bench/against/pthread_rwlock.h"
#include "bench/harness/must.h"
#include "bench/harness/pairs.h"
#include "bench/modules.h"
#include "sync/seqlock.h"

namespace bench {

namespace {

constexpr useconds_t kPauseUs = 200;  // of a writer that does pause

template <size_t Bytes>
struct Value {
  uint64_t words[Bytes / 8];
  void set(uint64_t n) {
    for (uint64_t &w : words) w = n;
  }
  bool whole() const {
    uint64_t difference = 0;
    for (uint64_t w : words) difference |= w ^ words[0];
    return difference == 0;
  }
};

template <size_t Bytes>
struct Shoal {
  using V = Value<Bytes>;
  shoal_seqlock lock;
  alignas(64) char copies[3 * ((Bytes + 63) / 64 * 64)];
  void make() { must(shoal_seqlock_init(&lock, sizeof(V), nullptr), "seqlock_init"); }
  void load(V *out) { must(shoal_seqlock_load(&lock, out, sizeof(V)), "seqlock_load"); }
  void store(const V *value) { must(shoal_seqlock_store(&lock, value, sizeof(V), SHOAL_FOREVER), "seqlock_store"); }
};

// One writer: it needs no lock. Its readers wait for a writer that is preempted, or dead.
template <size_t Bytes>
struct Ck {
  using V = Value<Bytes>;
  ck_sequence_t sequence;
  alignas(64) V value;
  void make() { ck_sequence_init(&sequence); }
  void load(V *out) {
    unsigned version;
    do {
      version = ck_sequence_read_begin(&sequence);
      memcpy(out, &value, sizeof(V));
    } while (ck_sequence_read_retry(&sequence, version));
  }
  void store(const V *from) {
    ck_sequence_write_begin(&sequence);
    memcpy(&value, from, sizeof(V));
    ck_sequence_write_end(&sequence);
  }
};

template <size_t Bytes>
struct Pthread {
  using V = Value<Bytes>;
  PthreadRwlock lock;
  alignas(64) V value;
  void make() { lock.make(); }
  void load(V *out) {
    lock.read();
    memcpy(out, &value, sizeof(V));
    lock.read_end();
  }
  void store(const V *from) {
    lock.write();
    memcpy(&value, from, sizeof(V));
    lock.write_end();
  }
};

// The value, without anything that would make it whole.
template <size_t Bytes>
struct Copy {
  using V = Value<Bytes>;
  alignas(64) V value;
  void make() {}
  void load(V *out) { memcpy(out, &value, sizeof(V)); }
  void store(const V *from) { memcpy(&value, from, sizeof(V)); }
};

template <class L>
void reader(Lane &lane, L *l, unsigned writers) {
  typename L::V value;
  uint64_t n = 0, wrong = 0, last = 0;
  lane.start();
  do {
    for (unsigned k = 0; k < kLook; k++, n++) {
      l->load(&value);
      touch(value);
      if (writers == 0) continue;
      wrong += !value.whole() || value.words[0] < last;
      last = value.words[0];
    }
  } while (!lane.late());
  lane.stop(n);
  lane.tally().wrong = wrong;
}

template <class L>
void writer(Lane &lane, L *l, bool pauses) {
  typename L::V value;
  uint64_t n = 0;
  lane.start();
  do {
    for (unsigned k = 0; k < (pauses ? 1 : kLook); k++) {
      value.set(++n);
      touch(value);
      l->store(&value);
    }
    if (pauses) usleep(kPauseUs);
  } while (!lane.late());
  lane.stop(n);
}

enum class Writer { kNone, kPauses, kNever };  // kNever pauses

// Millions of loads a second of all readers, stores of the writer; ns for a lane that is alone.
template <class L, unsigned Readers, Writer W>
Measurement loads(double seconds) {
  Arena arena(sizeof(L));
  auto *l = static_cast<L *>(arena.take(sizeof(L)));
  l->make();
  std::vector<Work> lanes(Readers, [=](Lane &lane) { reader(lane, l, W != Writer::kNone); });
  if (W != Writer::kNone) lanes.push_back([=](Lane &lane) { writer(lane, l, W == Writer::kPauses); });
  Measurement m;
  m.outcome = run(lanes, {seconds, &arena});
  Outcome &o = m.outcome;
  uint64_t n = 0, wrong = 0;
  for (unsigned i = 0; i < Readers; i++) n += o.lanes[i].count, wrong += o.lanes[i].wrong;
  if (o.hung) o.fault = "hung";
  if (o.fault.empty() && wrong) o.fault = std::to_string(wrong) + " values were mixed, or older than the one before";
  double rate = static_cast<double>(n) / o.seconds / 1e6;
  double stores = W == Writer::kNone ? 0 : static_cast<double>(o.lanes[Readers].count) / o.seconds / 1e6;
  m.values = {lanes.size() == 1 ? 1e3 / rate : rate, stores};
  return m;
}

template <class L>
Measurement stores(double seconds) {
  Arena arena(sizeof(L));
  auto *l = static_cast<L *>(arena.take(sizeof(L)));
  l->make();
  Measurement m;
  m.outcome = run({[=](Lane &lane) { writer(lane, l, false); }}, {seconds, &arena});
  if (m.outcome.hung) m.outcome.fault = "hung";
  m.values = {m.outcome.seconds * 1e9 / static_cast<double>(m.outcome.lanes[0].count)};
  return m;
}

// Among writers: the draft is theirs from begin to commit.
struct Drafted : Placed {
  shoal_seqlock lock;
  alignas(64) char room[64];
  void make() {
    must(shoal_seqlock_size(8) <= sizeof lock + sizeof room ? 0 : -ENOSPC, "seqlock_size");
    must(shoal_seqlock_init(&lock, 8, nullptr), "seqlock_init");
  }
  void acquire() {
    void *draft;
    must(shoal_seqlock_begin(&lock, 8, &draft, SHOAL_FOREVER), "seqlock_begin");
    ++*static_cast<uint64_t *>(draft);
  }
  void release() { must(shoal_seqlock_commit(&lock, 8), "seqlock_commit"); }
};

template <size_t Bytes, unsigned Readers, Writer W>
std::vector<Contender> contenders() {
  return {{"shoal", Role::kOurs, loads<Shoal<Bytes>, Readers, W>},
          {"ck_sequence", Role::kPeer, loads<Ck<Bytes>, Readers, W>},
          {"pthread_rwlock", Role::kPeer, loads<Pthread<Bytes>, Readers, W>}};
}

template <size_t Bytes>
void add_busy(Suite &suite) {
  Case busy;
  busy.name = "seqlock/busy/" + std::to_string(Bytes);
  busy.figures = {{"", "M load/s", Better::kHigher}, {"/stores", "M store/s", Better::kHigher}};
  busy.contenders = contenders<Bytes, 1, Writer::kNever>();
  suite.add(busy);
}

}  // namespace

void add_seqlock(Suite &suite) {
  Case alone;
  alone.name = "seqlock/load/64";
  alone.figures = {{"", "ns", Better::kLower}};
  alone.contenders = contenders<64, 1, Writer::kNone>();
  alone.contenders.push_back({"a copy", Role::kLimit, loads<Copy<64>, 1, Writer::kNone>});
  suite.add(alone);

  Case store;
  store.name = "seqlock/store/64";
  store.figures = {{"", "ns", Better::kLower}};
  store.contenders = {{"shoal", Role::kOurs, stores<Shoal<64>>},
                      {"ck_sequence, no lock", Role::kPeer, stores<Ck<64>>},
                      {"pthread_rwlock", Role::kPeer, stores<Pthread<64>>}};
  suite.add(store);

  Case two;
  two.name = "seqlock/load/64/2";
  two.figures = {{"", "M load/s", Better::kHigher, ">= 1.8 of 1 reader", {{Target::kLimit, 1.8}}}};
  two.contenders = contenders<64, 2, Writer::kPauses>();
  two.contenders.push_back({"1 reader", Role::kLimit, loads<Shoal<64>, 1, Writer::kPauses>});
  suite.add(two);

  add_busy<64>(suite);
  add_busy<1024>(suite);
  suite.add(crowd("seqlock/contended/8", {{"shoal", Role::kOurs, pairs<Drafted, 8, true>},
                                          {"shoal, two lanes", Role::kLimit, pairs<Drafted, 2, true>}}));
}

}  // namespace bench
