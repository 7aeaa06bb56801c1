// bench/harness/limits.h: what the machine itself can do, to compare with.
#pragma once

#include "bench/harness/workloads.h"

namespace bench {

// One line, the message itself being the sign that it has come: with one each way, no message and its answer can be
// faster between these two processors. Only for round trips, where nothing is overwritten.
struct Mailbox : Placed {
  using Message = Numbered<8>;
  static size_t bytes() { return 128; }
  static void make(void *) {}

  struct Producer {
    std::atomic<uint64_t> *line;
    Producer(void *memory, unsigned) : line(static_cast<std::atomic<uint64_t> *>(memory)) {}
    bool put(const Message &m) {
      line->store(m.number() + 1, std::memory_order_release);
      return true;
    }
  };

  struct Consumer {
    std::atomic<uint64_t> *line;
    uint64_t seen = 0;
    Consumer(void *memory, unsigned) : line(static_cast<std::atomic<uint64_t> *>(memory)) {}
    bool get(Message &m) {
      uint64_t v = line->load(std::memory_order_acquire);
      if (v == seen) return false;
      seen = v;
      m.set(v - 1);
      return true;
    }
  };
};

// Whole lines copied through a shared buffer of `Capacity`, handed over many at a time by one count each way: the least
// that any ring of this size must do.
template <unsigned Capacity>
struct Lines : Placed {
  using Message = Numbered<64>;
  static constexpr uint64_t kPart = Capacity / 4 < 512 ? Capacity / 4 : 512;
  static_assert(kLook % kPart == 0, "a producer ends with a whole part");

  struct Shared {
    alignas(128) std::atomic<uint64_t> written;
    alignas(128) std::atomic<uint64_t> read;
    alignas(128) Message lines[Capacity];
  };
  static size_t bytes() { return sizeof(Shared); }
  static void make(void *) {}

  struct Producer {
    Shared *shared;
    uint64_t at = 0, limit = Capacity;
    Producer(void *memory, unsigned) : shared(static_cast<Shared *>(memory)) {}
    unsigned put_n(const Message *m, unsigned n) {
      if (at + n > limit) {
        limit = shared->read.load(std::memory_order_acquire) + Capacity;
        if (at + n > limit) return 0;
      }
      std::copy(m, m + n, shared->lines + at % Capacity);
      at += n;
      if (at % kPart == 0) shared->written.store(at, std::memory_order_release);
      return n;
    }
  };

  struct Consumer {
    Shared *shared;
    uint64_t at = 0, limit = 0;
    Consumer(void *memory, unsigned) : shared(static_cast<Shared *>(memory)) {}
    unsigned get_n(Message *m, unsigned n) {
      if (at == limit) {
        limit = shared->written.load(std::memory_order_acquire);
        if (at == limit) return 0;
      }
      std::copy(shared->lines + at % Capacity, shared->lines + at % Capacity + n, m);
      at += n;
      if (at % kPart == 0) shared->read.store(at, std::memory_order_release);
      return n;
    }
  };
};

}  // namespace bench
