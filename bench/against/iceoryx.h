// bench/against/iceoryx.h: iceoryx (libiceoryx-posh-dev), a publisher and one subscriber, who looks all the time. What
// lives for all its users (RouDi) runs in a process of its own for as long as one measurement.
#pragma once

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <iceoryx_hoofs/log/logmanager.hpp>
#include <iceoryx_posh/internal/roudi/roudi.hpp>
#include <iceoryx_posh/popo/publisher.hpp>
#include <iceoryx_posh/popo/subscriber.hpp>
#include <iceoryx_posh/roudi/iceoryx_roudi_components.hpp>
#include <iceoryx_posh/runtime/posh_runtime.hpp>
#include <stdexcept>
#include <system_error>

#include "bench/harness/workloads.h"

namespace bench {

class IceoryxServer {
 public:
  static void quiet() {
    iox::log::LogManager::GetLogManager().SetDefaultLogLevel(iox::log::LogLevel::kError,
                                                             iox::log::LogLevelOutput::kHideLogLevel);
  }
  // Runs until nobody holds the other end of `stop`.
  static void serve(int ready, int stop) {
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(nowhere, STDOUT_FILENO), dup2(nowhere, STDERR_FILENO);  // it tells what it does
    quiet();
    iox::mepoo::MePooConfig pools;
    pools.addMemPool({128, 4096});
    auto group = iox::posix::PosixGroup::getGroupOfCurrentProcess().getName();
    iox::RouDiConfig_t config;
    config.m_sharedMemorySegments.push_back({group, group, pools});
    iox::roudi::IceOryxRouDiComponents components(config);
    iox::roudi::RouDi roudi(components.rouDiMemoryManager, components.portManager,
                            iox::roudi::RouDi::RoudiStartupParameters{iox::roudi::MonitoringMode::OFF, false});
    char byte = 1;
    if (write(ready, &byte, 1) != 1) return;
    while (read(stop, &byte, 1) < 0 && errno == EINTR) {
    }
  }

  IceoryxServer() {
    int ready[2], stop[2];
    if (pipe(ready) || pipe(stop)) throw std::system_error(errno, std::generic_category(), "pipe");
    child_ = fork();
    if (child_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (child_ == 0) {
      close(ready[0]), close(stop[1]);
      serve(ready[1], stop[0]);
      _exit(0);
    }
    close(ready[1]), close(stop[0]);
    char byte;
    ssize_t n = read(ready[0], &byte, 1);
    close(ready[0]);
    stop_ = stop[1];
    if (n != 1) throw std::runtime_error("iceoryx's RouDi does not start; does another one run?");
  }
  ~IceoryxServer() {
    close(stop_);
    waitpid(child_, nullptr, 0);
  }
  IceoryxServer(const IceoryxServer &) = delete;
  IceoryxServer &operator=(const IceoryxServer &) = delete;

 private:
  pid_t child_;
  int stop_;
};

template <class M>
struct Iceoryx : Placed {
  using Message = M;
  static size_t bytes() { return sizeof(IceoryxServer); }
  static void make(void *memory) { new (memory) IceoryxServer; }
  static void destroy(void *memory) { static_cast<IceoryxServer *>(memory)->~IceoryxServer(); }

  static iox::capro::ServiceDescription service() { return {"bench", "queue", "8"}; }
  template <class Options>
  static Options begin(const iox::RuntimeName_t &name, Options options) {
    IceoryxServer::quiet();
    iox::runtime::PoshRuntime::initRuntime(name);
    return options;
  }

  struct Producer {
    iox::popo::Publisher<M> publisher;
    static iox::popo::PublisherOptions options() {
      iox::popo::PublisherOptions o;
      o.subscriberTooSlowPolicy = iox::popo::ConsumerTooSlowPolicy::WAIT_FOR_CONSUMER;
      return o;
    }
    Producer(void *, unsigned) : publisher(service(), begin("producer", options())) {
      while (!publisher.hasSubscribers()) usleep(1000);
    }
    bool put(const M &m) { return !publisher.publishCopyOf(m).has_error(); }
  };
  struct Consumer {
    iox::popo::Subscriber<M> subscriber;
    static iox::popo::SubscriberOptions options() {
      iox::popo::SubscriberOptions o;
      o.queueFullPolicy = iox::popo::QueueFullPolicy::BLOCK_PRODUCER;
      return o;
    }
    Consumer(void *, unsigned) : subscriber(service(), begin("consumer", options())) {
      while (subscriber.getSubscriptionState() != iox::SubscribeState::SUBSCRIBED) usleep(1000);
    }
    bool get(M &m) {
      auto taken = subscriber.take();
      if (taken.has_error()) return false;
      m = *taken.value();
      return true;
    }
  };
};

}  // namespace bench
