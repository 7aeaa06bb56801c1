// bench/harness/workloads.h: what is done to a queue, the same for ours and for all peers.
//
// A queue is a type Q with
//   using Message;                       static constexpr bool kThreads;   // lives only inside one process
//   static size_t bytes();               static void make(void *memory);   // zeroed memory, aligned to a page
//                                        static void destroy(void *memory);
//   struct Producer { Producer(void *memory, unsigned index); bool put(const Message &); };
//   struct Consumer { Consumer(void *memory, unsigned index); bool get(Message &); };
// and, for batches, unsigned put_n(const Message *, unsigned) and unsigned get_n(Message *, unsigned).
// put and get answer false, put_n and get_n less, when it is full or empty; the workload then waits and tries again. A
// queue whose put and get block never answers so.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include "bench/harness/suite.h"

namespace bench {

// What most queues are: nothing but the shared memory they lie in.
struct Placed {
  static constexpr bool kThreads = false;
  static void destroy(void *) {}
};

// A Q in the arena.
template <class Q>
class Made {
 public:
  explicit Made(Arena &arena) : memory_(arena.take(Q::bytes())) { Q::make(memory_); }
  ~Made() { Q::destroy(memory_); }
  Made(const Made &) = delete;
  Made &operator=(const Made &) = delete;
  void *memory() const { return memory_; }

 private:
  void *memory_;
};

// A message of `Bytes` whose first and last words say which one it is.
template <size_t Bytes>
struct Numbered {
  uint64_t words[Bytes / 8];
  void set(uint64_t number) {
    words[0] = number;
    words[Bytes / 8 - 1] = number;
  }
  uint64_t number() const { return words[0]; }
  bool is(uint64_t number) const { return words[0] == number && words[Bytes / 8 - 1] == number; }
};

// The compiler must believe that all of `value` is read and written here.
template <class T>
inline void touch(T &value) {
  asm volatile("" : "+m"(value));
}

// ---- stream: producers send as fast as they can, consumers receive as fast as they can ----

constexpr unsigned kLook = 2048;      // messages between two looks at the clock
constexpr unsigned kStallGrain = 16;  // messages between two looks for a stall

inline uint64_t tagged(unsigned producer, uint64_t number) { return uint64_t{producer} << 56 | number; }

// The longest time that `kStallGrain` messages took.
class StallWatch {
 public:
  explicit StallWatch(Lane &lane) : lane_(lane) {}
  void begin() { last_ = ticks(); }
  void look() {
    uint64_t now = ticks();
    lane_.tally().stall = std::max(lane_.tally().stall, now - last_);
    last_ = now;
  }

 private:
  Lane &lane_;
  uint64_t last_ = 0;
};

template <class Q>
void produce(Lane &lane, void *memory, unsigned index) {
  typename Q::Producer out(memory, index);
  typename Q::Message m;
  Backoff backoff(lane);
  StallWatch watch(lane);
  uint64_t number = 0, sum = 0;
  lane.start();
  watch.begin();
  do {
    for (unsigned k = 0; k < kLook; k++) {
      m.set(tagged(index, number));
      touch(m);
      while (!out.put(m)) backoff.wait();
      sum += tagged(index, number++);
      if (number % kStallGrain == 0 && lane.crowded()) watch.look();
    }
  } while (!lane.late());
  lane.finish();
  lane.stop(number);
  lane.tally().sum = sum;
}

template <class Q>
void consume(Lane &lane, void *memory, unsigned index, unsigned producers) {
  typename Q::Consumer in(memory, index);
  typename Q::Message m;
  Backoff backoff(lane);
  StallWatch watch(lane);
  std::array<uint64_t, kLanesMax> next{};  // of each producer: numbers only rise, and by one if we are alone
  uint64_t count = 0, sum = 0, wrong = 0;
  bool alone = !lane.crowded() && producers == 1;
  lane.start();
  watch.begin();
  for (;;) {
    if (!in.get(m)) {
      if (lane.finished() < producers) {
        backoff.wait();
        continue;
      }
      if (!in.get(m)) break;
    }
    touch(m);
    uint64_t number = m.number() & ~(uint64_t{0xff} << 56), from = m.number() >> 56;
    if (from >= producers || !m.is(m.number()) || (alone ? number != next[from] : number < next[from])) wrong++;
    else next[from] = number + 1;
    sum += m.number();
    if (++count % kStallGrain == 0 && lane.crowded()) watch.look();
  }
  lane.stop(count);
  lane.tally().sum = sum;
  lane.tally().wrong = wrong;
}

// The same in batches, for one producer and one consumer.
template <class Q, unsigned Batch>
void produce_batches(Lane &lane, void *memory) {
  typename Q::Producer out(memory, 0);
  typename Q::Message m[Batch];
  Backoff backoff(lane);
  uint64_t number = 0, sum = 0;
  lane.start();
  do {
    for (unsigned k = 0; k < kLook; k += Batch) {
      for (unsigned i = 0; i < Batch; i++) m[i].set(number), sum += number++;
      touch(m);
      for (unsigned done = 0; done < Batch;) {
        unsigned n = out.put_n(m + done, Batch - done);
        if (n == 0) backoff.wait();
        done += n;
      }
    }
  } while (!lane.late());
  lane.finish();
  lane.stop(number);
  lane.tally().sum = sum;
}

template <class Q, unsigned Batch>
void consume_batches(Lane &lane, void *memory) {
  typename Q::Consumer in(memory, 0);
  typename Q::Message m[Batch];
  Backoff backoff(lane);
  uint64_t count = 0, sum = 0, wrong = 0;
  lane.start();
  for (;;) {
    unsigned n = in.get_n(m, Batch);
    if (n == 0) {
      if (!lane.finished()) {
        backoff.wait();
        continue;
      }
      n = in.get_n(m, Batch);
      if (n == 0) break;
    }
    touch(m);
    for (unsigned i = 0; i < n; i++) wrong += !m[i].is(count), count++, sum += m[i].number();
  }
  lane.stop(count);
  lane.tally().sum = sum;
  lane.tally().wrong = wrong;
}

// Millions of messages a second, and the longest stall in ms. Everything sent has come once, whole, in order.
inline Measurement stream_result(Outcome o, unsigned producers) {
  Measurement m;
  if (o.hung) {
    m.values = {0, patience * 1e3};
    m.outcome = std::move(o);
    return m;
  }
  uint64_t sent = 0, got = 0, difference = 0, wrong = 0, stall = 0;
  for (size_t i = 0; i < o.lanes.size(); i++) {
    (i < producers ? sent : got) += o.lanes[i].count;
    difference += i < producers ? o.lanes[i].sum : -o.lanes[i].sum;
    wrong += o.lanes[i].wrong;
    stall = std::max(stall, o.lanes[i].stall);
  }
  if (o.fault.empty() && (sent != got || difference || wrong))
    o.fault = "sent " + std::to_string(sent) + ", received " + std::to_string(got) + ", " + std::to_string(wrong) +
              " torn or out of order, sums " + (difference ? "differ" : "agree");
  m.values = {static_cast<double>(got) / o.seconds / 1e6, static_cast<double>(stall) * ns_per_tick() / 1e6};
  m.outcome = std::move(o);
  return m;
}

template <class Q>
Measurement stream(double seconds, unsigned producers, unsigned consumers) {
  Arena arena(Q::bytes() + 4096);
  Made<Q> made(arena);
  void *memory = made.memory();
  std::vector<Work> lanes;
  for (unsigned i = 0; i < producers; i++) lanes.push_back([=](Lane &lane) { produce<Q>(lane, memory, i); });
  for (unsigned i = 0; i < consumers; i++) lanes.push_back([=](Lane &lane) { consume<Q>(lane, memory, i, producers); });
  return stream_result(run(lanes, {seconds, &arena, Q::kThreads}), producers);
}

template <class Q, unsigned Batch>
Measurement stream_batches(double seconds) {
  Arena arena(Q::bytes() + 4096);
  Made<Q> made(arena);
  void *memory = made.memory();
  auto producer = [=](Lane &lane) { produce_batches<Q, Batch>(lane, memory); };
  auto consumer = [=](Lane &lane) { consume_batches<Q, Batch>(lane, memory); };
  return stream_result(run({producer, consumer}, {seconds, &arena, Q::kThreads}), 1);
}

// ---- round trip: one message there and one back, nothing else on the way; nobody sleeps ----

// p50 and p99.9 in ns.
inline Measurement round_trip_result(Outcome o) {
  Measurement m;
  if (o.hung) o.fault = "a round trip hung";
  if (o.fault.empty() && o.lanes[0].wrong) o.fault = "an answer was not that of its question";
  m.values = {o.lanes[0].values[0], o.lanes[0].values[1]};
  m.outcome = std::move(o);
  return m;
}

inline void note_percentiles(Lane &lane, std::vector<uint32_t> &taken) {
  auto at = [&](double p) {
    auto nth = taken.begin() + static_cast<ptrdiff_t>(p * static_cast<double>(taken.size() - 1));
    std::nth_element(taken.begin(), nth, taken.end());
    return *nth * ns_per_tick();
  };
  lane.tally().values[0] = at(.5);
  lane.tally().values[1] = at(.999);
}

constexpr uint64_t kLast = UINT64_MAX - 1;  // the answering side ends

template <class Q>
void ask(Lane &lane, void *there, void *back) {
  typename Q::Producer out(there, 0);
  typename Q::Consumer in(back, 0);
  typename Q::Message question, answer;
  std::vector<uint32_t> taken(1 << 21);
  uint64_t n = 0, wrong = 0;
  auto send = [&](uint64_t number) {
    question.set(number);
    touch(question);
    while (!out.put(question)) {
    }
  };
  lane.start();
  uint64_t from = ticks();
  do {
    send(n);
    while (!in.get(answer)) {
    }
    touch(answer);
    wrong += !answer.is(n);
    uint64_t now = ticks();
    taken[n++] = static_cast<uint32_t>(std::min<uint64_t>(now - from, UINT32_MAX));
    from = now;
  } while (!lane.late() && n < taken.size());
  lane.stop(n);
  lane.tally().wrong = wrong;
  send(kLast);
  taken.resize(n);
  note_percentiles(lane, taken);
}

template <class Q>
void answer(Lane &lane, void *there, void *back) {
  typename Q::Consumer in(there, 0);
  typename Q::Producer out(back, 0);
  typename Q::Message m;
  uint64_t n = 0;
  lane.start();
  for (;; n++) {
    while (!in.get(m)) {
    }
    touch(m);
    if (m.is(kLast)) break;
    while (!out.put(m)) {
    }
  }
  lane.stop(n);
}

template <class Q>
Measurement round_trip(double seconds) {
  Arena arena(2 * Q::bytes() + 2 * 4096);
  Made<Q> there(arena), back(arena);
  auto asks = [&](Lane &lane) { ask<Q>(lane, there.memory(), back.memory()); };
  auto answers = [&](Lane &lane) { answer<Q>(lane, there.memory(), back.memory()); };
  return round_trip_result(run({asks, answers}, {seconds, &arena, Q::kThreads}));
}

}  // namespace bench
