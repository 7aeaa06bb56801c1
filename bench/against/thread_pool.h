// bench/against/thread_pool.h: the thread pool that everybody writes (and BS::thread_pool is): one queue of functions
// under a mutex, a condition, and a std::future for each task.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace bench {

class ThreadPool {
 public:
  ThreadPool(unsigned threads, const std::function<void(unsigned)> &before) {
    for (unsigned i = 0; i < threads; i++) threads_.emplace_back([this, before, i] { before(i), serve(); });
  }
  ~ThreadPool() {
    {
      std::lock_guard<std::mutex> guard(mutex_);
      ended_ = true;
    }
    some_.notify_all();
    for (std::thread &t : threads_) t.join();
  }
  ThreadPool(const ThreadPool &) = delete;
  ThreadPool &operator=(const ThreadPool &) = delete;

  template <class F>
  auto submit(F f) -> std::future<decltype(f())> {
    auto promise = std::make_shared<std::promise<decltype(f())>>();
    auto future = promise->get_future();
    {
      std::lock_guard<std::mutex> guard(mutex_);
      tasks_.emplace_back([promise, f] { promise->set_value(f()); });
    }
    some_.notify_one();
    return future;
  }

 private:
  void serve() {
    for (std::unique_lock<std::mutex> lock(mutex_);;) {
      some_.wait(lock, [this] { return ended_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      std::function<void()> task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable some_;
  std::deque<std::function<void()>> tasks_;
  bool ended_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace bench
