// bench/against/pipe.h: pipe(2). Both ends block; a producer ends with a message that says so.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

#include "bench/harness/workloads.h"

namespace bench {

template <class M>
struct Pipe : Placed {
  using Message = M;
  struct Shared {
    int ends[2];
  };
  static size_t bytes() { return sizeof(Shared); }
  static void make(void *memory) {
    if (pipe(static_cast<Shared *>(memory)->ends)) throw std::system_error(errno, std::generic_category(), "pipe");
  }
  static void destroy(void *memory) {
    for (int end : static_cast<Shared *>(memory)->ends) close(end);
  }

  static constexpr uint64_t kEnd = UINT64_MAX;

  struct Producer {
    int end;
    Producer(void *memory, unsigned) : end(static_cast<Shared *>(memory)->ends[1]) {}
    ~Producer() {
      M m;
      m.set(kEnd);
      if (write(end, &m, sizeof m) != sizeof m) perror("bench: write");
    }
    bool put(const M &m) {
      if (write(end, &m, sizeof m) == sizeof m) return true;
      throw std::system_error(errno, std::generic_category(), "write");
    }
  };
  struct Consumer {
    int end;
    bool ended = false;
    Consumer(void *memory, unsigned) : end(static_cast<Shared *>(memory)->ends[0]) {}
    bool get(M &m) {
      if (ended) return false;
      if (read(end, &m, sizeof m) != sizeof m) throw std::system_error(errno, std::generic_category(), "read");
      ended = m.is(kEnd);
      return !ended;
    }
  };
};

}  // namespace bench
