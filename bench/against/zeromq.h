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
    std::atomic<int> met, ended;
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

  // Neither begins before they know each other: the first message says that they do. Nobody spins until then: the
  // library's threads must run. Nor does the producer's end go before all has come: the other one, if it is at its
  // limit by then, would forget what the kernel still has for it, the end among that.
  struct Producer : Socket {
    Shared *shared_;
    static void await(const std::atomic<int> &flag) {
      while (!flag.load(std::memory_order_relaxed)) usleep(1000);
    }
    Producer(void *memory, unsigned)
        : Socket(ZMQ_PUSH, ZMQ_SNDHWM, zmq_connect, memory), shared_(static_cast<Shared *>(memory)) {
      put({});
      await(shared_->met);
    }
    ~Producer() { await(shared_->ended); }
    bool put(const M &m) {
      if (zmq_send(this->socket_, &m, sizeof m, 0) == sizeof m) return true;
      this->fail("zmq_send");
    }
  };
  struct Consumer : Socket {
    Shared *shared_;
    Consumer(void *memory, unsigned)
        : Socket(ZMQ_PULL, ZMQ_RCVHWM, zmq_bind, memory), shared_(static_cast<Shared *>(memory)) {
      M hello;
      get(hello);
      shared_->met.store(1, std::memory_order_relaxed);
    }
    ~Consumer() { shared_->ended.store(1, std::memory_order_relaxed); }
    bool get(M &m) {
      if (zmq_recv(this->socket_, &m, sizeof m, 0) == sizeof m) return true;
      this->fail("zmq_recv");
    }
  };
};

}  // namespace bench
