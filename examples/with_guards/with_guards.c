// What can be held for a block: each by SHOAL_WITH, in one thread, and by acquire and release, in another.
#include <pthread.h>
#include <stdio.h>

#include "core/error.h"
#include "sync/with.h"

static int thread_number;

// Two thread bodies for one type.
#define BODIES(kind, name)                                                                                            \
  static void *kind##_with(void *object) {                                                                            \
    int rc;                                                                                                           \
    SHOAL_WITH (rc, (struct shoal_##kind *)object) printf("(Thread-%d) " name " acquired via with\n", thread_number); \
    return rc ? object : NULL;                                                                                        \
  }                                                                                                                   \
  static void *kind##_not_with(void *object) {                                                                        \
    int rc = shoal_##kind##_acquire(object, SHOAL_FOREVER);                                                           \
    if (rc) return object;                                                                                            \
    printf("(Thread-%d) " name " acquired directly\n", thread_number);                                                \
    return shoal_##kind##_release(object) ? object : NULL;                                                            \
  }
BODIES(lock, "lock")
BODIES(rlock, "rlock")
BODIES(monitor, "condition")
BODIES(semaphore, "semaphore")

// 0: the thread has run, and all went well.
static int in_thread(void *(*body)(void *), void *object) {
  pthread_t thread;
  void *failed;
  thread_number++;
  if (pthread_create(&thread, NULL, body, object)) return 1;
  return pthread_join(thread, &failed) || failed;
}

int main(void) {
  struct shoal_lock lock;
  struct shoal_rlock rlock;
  struct {
    struct shoal_condition it;
    struct shoal_seat seats[1];
  } condition;
  struct {
    struct shoal_semaphore it;
    struct shoal_permit permits[1];
  } semaphore;
  if (shoal_lock_init(&lock) || shoal_rlock_init(&rlock) || shoal_condition_init(&condition.it, 1) ||
      shoal_semaphore_init(&semaphore.it, 1, 0, 0)) {
    fprintf(stderr, "%s\n", shoal_reason());
    return 1;
  }
  struct shoal_monitor monitor = shoal_monitor_of(&condition.it, &rlock);
  return in_thread(lock_with, &lock) || in_thread(lock_not_with, &lock) ||              //
         in_thread(rlock_with, &rlock) || in_thread(rlock_not_with, &rlock) ||          //
         in_thread(monitor_with, &monitor) || in_thread(monitor_not_with, &monitor) ||  //
         in_thread(semaphore_with, &semaphore.it) || in_thread(semaphore_not_with, &semaphore.it);
}
