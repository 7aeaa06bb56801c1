// bench/against/pthread_rwlock.h: glibc's lock of many readers or one writer, between processes.
#pragma once

#include <pthread.h>

#include <system_error>

#include "bench/harness/workloads.h"

namespace bench {

struct PthreadRwlock : Placed {
  pthread_rwlock_t lock;
  static void check(int error, const char *what) {
    if (error) throw std::system_error(error, std::generic_category(), what);
  }
  void make() {
    pthread_rwlockattr_t shared;
    pthread_rwlockattr_init(&shared);
    pthread_rwlockattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    check(pthread_rwlock_init(&lock, &shared), "pthread_rwlock_init");
  }
  void read() { check(pthread_rwlock_rdlock(&lock), "pthread_rwlock_rdlock"); }
  void read_end() { check(pthread_rwlock_unlock(&lock), "pthread_rwlock_unlock"); }
  void write() { check(pthread_rwlock_wrlock(&lock), "pthread_rwlock_wrlock"); }
  void write_end() { check(pthread_rwlock_unlock(&lock), "pthread_rwlock_unlock"); }
};

}  // namespace bench
