// bench/harness/sleepers.h: how long it takes that somebody who sleeps is told, and tells the other, who sleeps by
// then, too.
//
// Q is a queue of one message, as in workloads.h, whose get blocks.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench/harness/workloads.h"

namespace bench {

// One word and the system call: nobody can sleep and be woken with less. For one message at a time.
struct RawFutex : Placed {
  using Message = Numbered<8>;
  struct Shared {
    std::atomic<uint32_t> sent;
    std::atomic<uint64_t> number;
  };
  static size_t bytes() { return sizeof(Shared); }
  static void make(void *) {}

  struct Producer {
    Shared *s;
    Producer(void *memory, unsigned) : s(static_cast<Shared *>(memory)) {}
    bool put(const Message &m) {
      s->number.store(m.number(), std::memory_order_relaxed);
      s->sent.fetch_add(1, std::memory_order_release);
      syscall(SYS_futex, &s->sent, FUTEX_WAKE, 1, nullptr, nullptr, 0);
      return true;
    }
  };
  struct Consumer {
    Shared *s;
    uint32_t received = 0;
    Consumer(void *memory, unsigned) : s(static_cast<Shared *>(memory)) {}
    bool get(Message &m) {
      while (s->sent.load(std::memory_order_acquire) == received)
        syscall(SYS_futex, &s->sent, FUTEX_WAIT, received, nullptr, nullptr, 0);
      received++;
      m.set(s->number.load(std::memory_order_relaxed));
      return true;
    }
  };
};

// ---- sleeping round trip: each message finds its receiver asleep ----

constexpr double kRestNs = 60e3;  // before each message: so long that the other side has given up spinning

inline void rest(unsigned times = 1) {
  uint64_t until = ticks() + static_cast<uint64_t>(times * kRestNs / ns_per_tick());
  while (ticks() < until) pause();
}

// A message carries when it was sent. The answer's time is set back by what its question took: its receiver sees the
// sum. `Rests` before each question: a processor that has idled for longer wakes up more slowly.
template <class Q, unsigned Rests>
void ask_sleeper(Lane &lane, void *there, void *back) {
  typename Q::Producer out(there, 0);
  typename Q::Consumer in(back, 0);
  std::vector<double> taken;
  taken.reserve(1 << 20);
  Numbered<8> m;
  lane.start();
  do {
    rest(Rests);
    m.set(ticks());
    out.put(m);
    in.get(m);
    taken.push_back(static_cast<double>(ticks() - m.number()) * ns_per_tick());
  } while (!lane.late() && taken.size() < taken.capacity());
  lane.stop(taken.size());
  rest();
  m.set(kLast);
  out.put(m);
  lane.tally().values[0] = spread(std::move(taken)).median / 1e3;
}

template <class Q>
void answer_asleep(Lane &lane, void *there, void *back) {
  typename Q::Consumer in(there, 0);
  typename Q::Producer out(back, 0);
  uint64_t n = 0;
  Numbered<8> m;
  lane.start();
  for (;; n++) {
    in.get(m);
    if (m.is(kLast)) break;
    uint64_t took = ticks() - m.number();
    rest();
    m.set(ticks() - took);
    out.put(m);
  }
  lane.stop(n);
}

template <class Q, unsigned Rests = 1>
Measurement sleeping_round_trip(double seconds) {
  Arena arena(2 * Q::bytes() + 2 * 4096);
  Made<Q> there(arena), back(arena);
  Measurement m;
  m.outcome = run({[&](Lane &lane) { ask_sleeper<Q, Rests>(lane, there.memory(), back.memory()); },
                   [&](Lane &lane) { answer_asleep<Q>(lane, there.memory(), back.memory()); }},
                  {seconds, &arena, Q::kThreads});
  Outcome &o = m.outcome;
  if (o.hung) o.fault = "a round trip hung";
  if (o.fault.empty() && o.lanes[0].count != o.lanes[1].count) o.fault = "questions and answers differ in number";
  for (const Tally &t : o.lanes)
    if (o.fault.empty() && !o.preempted && t.slept < t.count * 9 / 10)
      o.fault =
          std::to_string(t.slept) + " sleeps in " + std::to_string(t.count) + " waits: this is no sleeping round trip";
  m.values = {o.lanes[0].values[0]};
  return m;
}

}  // namespace bench
