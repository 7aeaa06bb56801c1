// bench/against/locks.h: what others have for one at a time. glibc's, Boost.Interprocess' (libboost-dev) and
// Concurrency Kit's spinlocks (libck-dev) live between processes. absl::Mutex (libabsl-dev) and nsync_mu (libnsync-dev)
// do not: theirs are threads, which is in their favour. Of all these only glibc's robust mutex tells of a holder's
// death.
#pragma once

#include <absl/synchronization/mutex.h>
#include <nsync.h>
#include <pthread.h>
#include <semaphore.h>
#include <spinlock/fas.h>
#include <spinlock/ticket.h>

#include <boost/interprocess/sync/interprocess_mutex.hpp>
#include <boost/interprocess/sync/interprocess_recursive_mutex.hpp>
#include <cerrno>
#include <new>
#include <system_error>

#include "bench/harness/workloads.h"

namespace bench {

template <int Robust, int Type = PTHREAD_MUTEX_NORMAL>
struct Pthread : Placed {
  pthread_mutex_t lock;
  static void check(int error, const char *what) {
    if (error) throw std::system_error(error, std::generic_category(), what);
  }
  void make() {
    pthread_mutexattr_t shared;
    pthread_mutexattr_init(&shared);
    pthread_mutexattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&shared, Robust);
    pthread_mutexattr_settype(&shared, Type);
    check(pthread_mutex_init(&lock, &shared), "pthread_mutex_init");
  }
  void acquire() { check(pthread_mutex_lock(&lock), "pthread_mutex_lock"); }
  void release() { check(pthread_mutex_unlock(&lock), "pthread_mutex_unlock"); }
};

struct PosixSemaphore : Placed {
  sem_t lock;
  static void check(int rc, const char *what) {
    if (rc) throw std::system_error(errno, std::generic_category(), what);
  }
  void make() { check(sem_init(&lock, 1, 1), "sem_init"); }
  void acquire() { check(sem_wait(&lock), "sem_wait"); }
  void release() { check(sem_post(&lock), "sem_post"); }
};

template <class Mutex>
struct BoostMutex : Placed {
  alignas(Mutex) char memory[sizeof(Mutex)];
  Mutex &lock() { return *reinterpret_cast<Mutex *>(memory); }
  void make() { new (memory) Mutex; }
  void acquire() { lock().lock(); }
  void release() { lock().unlock(); }
};

// Never sleep: with more lanes than processors they wait for who is preempted.
struct CkFas : Placed {
  ck_spinlock_fas_t lock;
  void make() { ck_spinlock_fas_init(&lock); }
  void acquire() { ck_spinlock_fas_lock(&lock); }
  void release() { ck_spinlock_fas_unlock(&lock); }
};
struct CkTicket : Placed {
  ck_spinlock_ticket_t lock;
  void make() { ck_spinlock_ticket_init(&lock); }
  void acquire() { ck_spinlock_ticket_lock(&lock); }
  void release() { ck_spinlock_ticket_unlock(&lock); }
};

struct AbslMutex {
  static constexpr bool kThreads = true;
  alignas(absl::Mutex) char memory[sizeof(absl::Mutex)];
  absl::Mutex &lock() { return *reinterpret_cast<absl::Mutex *>(memory); }
  void make() { new (memory) absl::Mutex; }
  void acquire() { lock().Lock(); }
  void release() { lock().Unlock(); }
};
struct NsyncMutex {
  static constexpr bool kThreads = true;
  nsync::nsync_mu lock;
  void make() { nsync::nsync_mu_init(&lock); }
  void acquire() { nsync::nsync_mu_lock(&lock); }
  void release() { nsync::nsync_mu_unlock(&lock); }
};

}  // namespace bench
