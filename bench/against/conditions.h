// bench/against/conditions.h: what others have to wait with, under a lock. pthread's, of glibc, lives between
// processes. absl::CondVar (libabsl-dev) and nsync_cv (libnsync-dev) do not: theirs are threads, which is in their
// favour. None of them tells of a death.
#pragma once

#include <absl/synchronization/mutex.h>
#include <nsync.h>
#include <pthread.h>

#include <new>

#include "bench/against/locks.h"

namespace bench {

struct PthreadCondition : Pthread<PTHREAD_MUTEX_STALLED> {
  pthread_cond_t changed;
  void make() {
    pthread_condattr_t shared;
    Pthread::make();
    pthread_condattr_init(&shared);
    pthread_condattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    check(pthread_cond_init(&changed, &shared), "pthread_cond_init");
  }
  void wait() { check(pthread_cond_wait(&changed, &lock), "pthread_cond_wait"); }
  void notify() { check(pthread_cond_signal(&changed), "pthread_cond_signal"); }
};

struct AbslCondition : AbslMutex {
  alignas(absl::CondVar) char changed_memory[sizeof(absl::CondVar)];
  absl::CondVar &changed() { return *reinterpret_cast<absl::CondVar *>(changed_memory); }
  void make() {
    AbslMutex::make();
    new (changed_memory) absl::CondVar;
  }
  void wait() { changed().Wait(&lock()); }
  void notify() { changed().Signal(); }
};

struct NsyncCondition : NsyncMutex {
  nsync::nsync_cv changed;
  void make() {
    NsyncMutex::make();
    nsync::nsync_cv_init(&changed);
  }
  void wait() { nsync::nsync_cv_wait(&changed, &lock); }
  void notify() { nsync::nsync_cv_signal(&changed); }
};

}  // namespace bench
