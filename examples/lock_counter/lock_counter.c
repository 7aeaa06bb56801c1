// Two that change one number, 100,000 times up and down: under a lock, and without one. First threads, then processes.
//
// Without a lock an update is lost when both have read before either writes. That may happen, or not; here each waits
// until both have read, so that it happens each time, and the one that writes first has counted for nothing.
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.h"
#include "sync/lock.h"

#define COUNT 100000
#define RACES 1000

struct shared {
  int64_t with_lock;
  shoal_atomic64 without_lock;
  shoal_atomic32 have_read, have_written;
};
static struct shoal_lock *lock;
static struct shared *shared;

static int count_with_lock(int by) {
  int rc = 0;
  for (int i = 0; i < COUNT && rc == 0; i++) {
    rc = shoal_lock_acquire(lock, SHOAL_FOREVER);
    if (rc) break;
    shared->with_lock += by;
    rc = shoal_lock_release(lock);
  }
  return rc;
}

static void wait_for(shoal_atomic32 *word, uint32_t n) {
  while (shoal_load32_acquire(word) < n) sched_yield();
}
static void count_without_lock(int by) {
  for (uint32_t i = 0; i < RACES; i++) {
    wait_for(&shared->have_written, 2 * i);
    uint64_t read = shoal_load64_relaxed(&shared->without_lock);
    shoal_add32_seq_cst(&shared->have_read, 1);
    wait_for(&shared->have_read, 2 * i + 2);
    if (by < 0) wait_for(&shared->have_written, 2 * i + 1);  // the other has written
    shoal_store64_relaxed(&shared->without_lock, read + (uint64_t)by);
    shoal_add32_seq_cst(&shared->have_written, 1);
  }
}

static int count(int by) {
  int rc = count_with_lock(by);
  count_without_lock(by);
  return rc;
}
static void *increment(void *arg) {
  *(int *)arg = count(+1);
  return NULL;
}

static int by_threads(void) {
  pthread_t other;
  int theirs = -EAGAIN;
  if (pthread_create(&other, NULL, increment, &theirs)) return -EAGAIN;
  int ours = count(-1);
  pthread_join(other, NULL);
  return ours ? ours : theirs;
}
static int by_processes(void) {
  int status = 1;
  pid_t other = fork();
  if (other < 0) return -EAGAIN;
  if (other == 0) _exit(count(+1) != 0);
  int ours = count(-1);
  waitpid(other, &status, 0);
  return ours ? ours : status ? -ECHILD : 0;
}

static int show(const char *who, int (*run)(void)) {
  *shared = (struct shared){0};
  int rc = run();
  if (rc) return rc;
  printf("%s:\n", who);
  printf("the value of shared variable with lock management is %lld\n", (long long)shared->with_lock);
  printf("the value of shared variable with race condition is %lld\n",
         (long long)shoal_load64_relaxed(&shared->without_lock));
  fflush(stdout);
  return 0;
}

int main(void) {
  struct shoal_segment *seg;
  struct shoal_object object;
  int rc = shoal_segment_create(NULL, NULL, &seg);
  if (rc == 0) rc = shoal_lock_create(seg, "lock", &lock);
  if (rc == 0) rc = shoal_object_create(seg, "numbers", "numbers", sizeof *shared, NULL, NULL, &object);
  if (rc == 0) shared = object.memory;
  if (rc == 0) rc = show("threads", by_threads);
  if (rc == 0) rc = show("processes", by_processes);
  if (rc == 0) rc = shoal_segment_close(seg);
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  return rc != 0;
}
