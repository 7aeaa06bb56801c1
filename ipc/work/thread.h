// ipc/work/thread.h: threads, with the life cycle and the calls of processes; values of which each thread has its own.
//
// USE
//   static int work(void *arg) { ... return 0; }
//   struct shoal_thread t;                                    // stays where it is until close
//   int rc = shoal_thread_start(&t, work, arg, NULL);
//   rc = shoal_thread_join(&t, shoal_after_s(5));            // 0, -ETIMEDOUT
//   rc = shoal_thread_result(&t, &answer);
//   shoal_thread_close(&t);
//
//   SHOAL_LOCAL_TYPED(counters, struct counter)
//   rc = counters_create(&local, NULL);
//   counters_get(&local)->n++;                                // this thread's own, zeroed at first
//
// The process ends when main returns and all threads that are no daemons have ended: exit() and shoal_process_exit wait
// for them. A daemon ends with the process, wherever it is. Every lock, queue and pipe of this library is used by
// threads with the same calls as by processes; a thread is a participant of its own in each segment it uses.
//
// SAFETY   any thread, together; close: when no other uses the struct. A child of fork has none of its parent's
//          threads, and gets -ECHILD for their structs; what was a thread there is the main thread here.
// ORDERING what was written before a start is seen by the thread; what the thread wrote, by who has joined it or seen
//          that it is not alive: [E1], [E2].
// CRASH    a thread does not die alone: what kills it kills the process. One that ends by pthread_exit or
//          pthread_cancel has ended; its result is -ENOTRECOVERABLE.
// COST     start: pthread_create and a lock. join: one futex, however many wait. A local value: pthread_getspecific.
#pragma once

#include <pthread.h>
#include <sys/types.h>

#include "core/atomic.h"
#include "core/deadline.h"
#include "core/error.h"

SHOAL_BEGIN

struct shoal_thread {  // private memory; all but ident, daemon and name is internal
  uint64_t ident;      // never another's in this process; 0: not started
  int daemon;
  shoal_atomic32 state, tid;
  pid_t process;
  int result;
  pthread_t handle;
  int (*work)(void *arg);
  void *arg;
  int (*run)(struct shoal_thread *self);
  struct shoal_thread *next;
  char name[SHOAL_NAME_MAX + 1];
};

enum shoal_thread_daemon { SHOAL_DAEMON_INHERIT, SHOAL_DAEMON, SHOAL_NO_DAEMON };

struct shoal_thread_options {       // zero: the default
  const char *name;                 // Thread-N; the kernel shows its first 15 bytes
  enum shoal_thread_daemon daemon;  // as who starts it; the main thread is none
  uint64_t stack;                   // bytes, a multiple of pages; the system's default
};

// Runs work(arg) in a new thread. -EINVAL, -ENAMETOOLONG; -EUSERS the system has no room for more.
int shoal_thread_start(struct shoal_thread *t, int (*work)(void *arg), void *arg,
                       const struct shoal_thread_options *options) SHOAL_MUST_CHECK;
// Runs run(t), for a struct of yours that embeds it: SHOAL_EMBEDS of core/base.h.
int shoal_thread_start_run(struct shoal_thread *t, int (*run)(struct shoal_thread *self),
                           const struct shoal_thread_options *options) SHOAL_MUST_CHECK;

// Waits until it has ended and is nothing any more, in no segment either; again and again, by as many as like. 0,
// -EAGAIN, -ETIMEDOUT; -EDEADLK it is the caller; -EINVAL not started, or closed; -ECHILD a thread of another process.
int shoal_thread_join(struct shoal_thread *t, shoal_deadline deadline);
// 1 it runs, 0 it has ended. From here on none sleeps; -EINVAL and -ECHILD as join.
int shoal_thread_is_alive(struct shoal_thread *t);
// 0 and *result: what it answered. -EAGAIN it runs.
int shoal_thread_result(struct shoal_thread *t, int *result);
// The struct is the caller's again. -EBUSY it runs.
int shoal_thread_close(struct shoal_thread *t);

// The calling thread; one that shoal_thread_start did not make has a name, too: MainThread, or Foreign-N. Valid in it
// only.
const struct shoal_thread *shoal_thread_current(void);
const struct shoal_thread *shoal_thread_main(void);
SHOAL_INLINE uint64_t shoal_thread_ident(void) { return shoal_thread_current()->ident; }

struct shoal_thread_info {
  uint64_t ident;
  uint32_t tid;  // as the kernel has it; 0: it has not begun
  int daemon;
  char name[SHOAL_NAME_MAX + 1];
};
// Calls `each` for the main thread and every one that shoal_thread_start made and that runs, in the order of their
// starts. Stops at its first non-zero answer and returns it. -ENOMEM.
int shoal_thread_enumerate(int (*each)(const struct shoal_thread_info *, void *arg), void *arg);
unsigned shoal_thread_active_count(void);  // how many that would be

// ---- values of which each thread has its own ----

struct shoal_local {  // one for all threads; private memory
  pthread_key_t key;
  uint64_t size;
  void (*destroy)(void *value);
  shoal_atomic32 lock;
  struct shoal_local_value_ *values;
};

// `destroy`, if not NULL, is called with each value, by the thread whose it is when that ends, or by close. -EUSERS.
int shoal_local_create(struct shoal_local *local, uint64_t size, void (*destroy)(void *value)) SHOAL_MUST_CHECK;
// Does not sleep. The calling thread's, aligned to 16 bytes, zeroed when it is first asked for. NULL: there is no
// memory.
void *shoal_local_get(struct shoal_local *local);
// All values end. No thread that has one ends meanwhile.
void shoal_local_close(struct shoal_local *local);

#define SHOAL_LOCAL_TYPED(name, T)                                                          \
  SHOAL_INLINE int name##_create(struct shoal_local *local, void (*destroy)(void *value)) { \
    return shoal_local_create(local, sizeof(T), destroy);                                   \
  }                                                                                         \
  SHOAL_INLINE T *name##_get(struct shoal_local *local) { return (T *)shoal_local_get(local); }

SHOAL_END
