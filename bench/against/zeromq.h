// bench/against/zeromq.h: ZeroMQ (libzmq3-dev), PUSH to PULL over ipc://. Each end has a thread of the library's beside it, which may
// run on both processors.
#pragma once

#include <zmq.h>

#include <cstdio>
#include <stdexcept>

#include "bench/against/message_queues.h"

namespace bench {

template <class M, unsigned Capacity>
struct ZeroMq : Placed {
  using Message = M;
  struct Shared {
    char endpoint[64];  // in the abstract namespace: no file
    std::atomic<int> met;
  };
  static size_t bytes() { return sizeof(Shared); }
  static void make(void *memory) {
    snprintf(static_cast<Shared *>(memory)->endpoint, sizeof Shared::endpoint, "ipc://@%s", unused_name().c_str() + 1);
  }

  class Socket {
   public:
    Socket(int type, int limit, int (*attach)(void *, const char *), void *memory) {
      for (int processor : processors()) zmq_ctx_set(context_, ZMQ_THREAD_AFFINITY_CPU_ADD, processor);
      socket_ = zmq_socket(context_, type);
      int capacity = Capacity;
      if (!socket_ || zmq_setsockopt(socket_, limit, &capacity, sizeof capacity) ||
          attach(socket_, static_cast<Shared *>(memory)->endpoint))
        fail("zmq_socket");
    }
    ~Socket() {  // what was sent still goes out
      zmq_close(socket_);
      zmq_ctx_term(context_);
    }
    Socket(const Socket &) = delete;
    Socket &operator=(const Socket &) = delete;
    [[noreturn]] static void fail(const char *what) {
      throw std::runtime_error(std::string(what) + ": " + zmq_strerror(zmq_errno()));
    }

   protected:
    void *context_ = zmq_ctx_new(), *socket_ = nullptr;
  };

  // Neither begins before they know each other: the first message says that they do. Nobody spins until then: the library's
  // threads must run.
  struct Producer : Socket {
    Producer(void *memory, unsigned) : Socket(ZMQ_PUSH, ZMQ_SNDHWM, zmq_connect, memory) {
      put({});
      while (!static_cast<Shared *>(memory)->met.load(std::memory_order_relaxed)) usleep(1000);
    }
    bool put(const M &m) {
      if (zmq_send(this->socket_, &m, sizeof m, 0) == sizeof m) return true;
      this->fail("zmq_send");
    }
  };
  struct Consumer : Socket {
    Consumer(void *memory, unsigned) : Socket(ZMQ_PULL, ZMQ_RCVHWM, zmq_bind, memory) {
      M hello;
      get(hello);
      static_cast<Shared *>(memory)->met.store(1, std::memory_order_relaxed);
    }
    bool get(M &m) {
      if (zmq_recv(this->socket_, &m, sizeof m, 0) == sizeof m) return true;
      this->fail("zmq_recv");
    }
  };
};

}  // namespace bench
