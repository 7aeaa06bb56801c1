// bench/against/message_queues.h: queues of messages between processes: POSIX's, in the kernel, and
// Boost.Interprocess's (libboost-dev), under a mutex in shared memory. Both ends block; each producer ends with a
// message that ends one consumer.
#pragma once

#include <fcntl.h>
#include <mqueue.h>
#include <unistd.h>

#include <boost/interprocess/ipc/message_queue.hpp>
#include <cerrno>
#include <fstream>
#include <new>
#include <system_error>

#include "bench/harness/workloads.h"

namespace bench {

// Q is a queue as in workloads.h whose get blocks and never ends: Ended<Q> ends.
template <class Q>
struct Ended : Q {
  using Message = typename Q::Message;
  static constexpr uint64_t kEnd = UINT64_MAX;

  struct Producer : Q::Producer {
    using Q::Producer::Producer;
    ~Producer() {
      Message m;
      m.set(kEnd);
      this->put(m);
    }
  };
  struct Consumer : Q::Consumer {
    bool ended = false;
    using Q::Consumer::Consumer;
    bool get(Message &m) {
      if (!ended) Q::Consumer::get(m);
      ended = ended || m.is(kEnd);
      return !ended;
    }
  };
};

inline std::string unused_name() {
  static unsigned n;
  return "/shoal-bench-" + std::to_string(getpid()) + "-" + std::to_string(n++);
}

template <class M, unsigned Capacity>
struct PosixQueue : Placed {
  using Message = M;
  static size_t bytes() { return sizeof(mqd_t); }

  // `Capacity` messages, or as many as this user may have.
  static mqd_t open_new(long capacity) {
    mq_attr attr = {};
    attr.mq_maxmsg = capacity;
    attr.mq_msgsize = sizeof(M);
    std::string name = unused_name();
    mqd_t q = mq_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &attr);
    if (q >= 0) mq_unlink(name.c_str());
    return q;
  }
  static void make(void *memory) {
    mqd_t q = open_new(Capacity);
    long most = 10;
    if (q < 0 && std::ifstream("/proc/sys/fs/mqueue/msg_max") >> most) q = open_new(most);
    if (q < 0) throw std::system_error(errno, std::generic_category(), "mq_open");
    *static_cast<mqd_t *>(memory) = q;
  }
  static void destroy(void *memory) { mq_close(*static_cast<mqd_t *>(memory)); }

  struct Producer {
    mqd_t q;
    Producer(void *memory, unsigned) : q(*static_cast<mqd_t *>(memory)) {}
    bool put(const M &m) {
      if (mq_send(q, reinterpret_cast<const char *>(&m), sizeof m, 0) == 0) return true;
      throw std::system_error(errno, std::generic_category(), "mq_send");
    }
  };
  struct Consumer {
    mqd_t q;
    Consumer(void *memory, unsigned) : q(*static_cast<mqd_t *>(memory)) {}
    bool get(M &m) {
      if (mq_receive(q, reinterpret_cast<char *>(&m), sizeof m, nullptr) == sizeof m) return true;
      throw std::system_error(errno, std::generic_category(), "mq_receive");
    }
  };
};

template <class M, unsigned Capacity>
struct BoostQueue : Placed {
  using Message = M;
  using Queue = boost::interprocess::message_queue;
  static size_t bytes() { return sizeof(Queue); }
  static Queue *at(void *memory) { return static_cast<Queue *>(memory); }
  static void make(void *memory) {  // the lanes inherit the mapping
    std::string name = unused_name().substr(1);
    new (memory) Queue(boost::interprocess::create_only, name.c_str(), Capacity, sizeof(M));
    Queue::remove(name.c_str());
  }
  static void destroy(void *memory) { at(memory)->~Queue(); }

  struct Producer {
    Queue *q;
    Producer(void *memory, unsigned) : q(at(memory)) {}
    bool put(const M &m) { return q->send(&m, sizeof m, 0), true; }
  };
  struct Consumer {
    Queue *q;
    Consumer(void *memory, unsigned) : q(at(memory)) {}
    bool get(M &m) {
      size_t size;
      unsigned priority;
      return q->receive(&m, sizeof m, size, priority), true;
    }
  };
};

}  // namespace bench
