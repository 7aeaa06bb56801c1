// A buffer of ten items between two processes. Who fills it waits while it is full, who empties it while there is
// nothing: each lets go of the lock only when it waits, and tells the other when there is something to do again.
#include <sched.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.h"
#include "sync/with.h"

#define ROOM 10
#define ITEMS 20

static struct shoal_monitor monitor;
static int *items;

static int is_full(void) { return *items == ROOM; }
static int not_full(void *arg) { return (void)arg, !is_full(); }
static int not_empty(void *arg) { return (void)arg, *items > 0; }

static int wait_for_room(void) {
  printf("Producer notify : items produced are %d\n", *items);
  printf("Producer notify : stop the production!!\n");
  return shoal_monitor_wait_for(&monitor, not_full, NULL, SHOAL_FOREVER);
}
static int produce(void) {
  int rc;
  SHOAL_WITH (rc, &monitor) {
    for (int i = 0; i < ITEMS && rc == 0; i++) {
      if (is_full()) rc = wait_for_room();
      if (rc) break;
      (*items)++;
      printf("Producer notify : total items produced %d\n", *items);
      if (is_full()) rc = shoal_monitor_notify(&monitor, 1);
    }
  }
  return rc;
}

static int wait_for_items(void) {
  printf("Consumer notify : no item to consume\n");
  return shoal_monitor_wait_for(&monitor, not_empty, NULL, SHOAL_FOREVER);
}
static int consume(void) {
  int rc;
  SHOAL_WITH (rc, &monitor) {
    for (int i = 0; i < ITEMS && rc == 0; i++) {
      if (*items == 0) rc = wait_for_items();
      if (rc) break;
      (*items)--;
      printf("Consumer notify : consumed 1 item\n");
      printf("Consumer notify : items to consume are %d\n", *items);
      if (*items == 0) rc = shoal_monitor_notify(&monitor, 1);
    }
  }
  return rc;
}

// The consumer comes first, and finds nothing.
static int run(void) {
  struct shoal_condition_info info = {0};
  int status = 1, rc;
  pid_t consumer = fork();
  if (consumer < 0) return -errno;
  if (consumer == 0) _exit(consume() != 0);
  while ((rc = shoal_condition_info(monitor.condition, &info)) == 0 && !info.waiters) sched_yield();
  if (rc == 0) rc = produce();
  waitpid(consumer, &status, 0);
  return rc ? rc : status ? -ECHILD : 0;
}

int main(void) {
  struct shoal_segment *seg;
  struct shoal_condition *condition;
  struct shoal_lock *lock;
  struct shoal_object object;
  setvbuf(stdout, NULL, _IOLBF, 0);  // the lines of both, in the order in which they were written
  int rc = shoal_segment_create(NULL, NULL, &seg);
  if (rc == 0) rc = shoal_lock_create(seg, "lock", &lock);
  if (rc == 0) rc = shoal_condition_create(seg, "condition", 2, &condition);
  if (rc == 0) rc = shoal_object_create(seg, "items", "items", sizeof *items, NULL, NULL, &object);
  if (rc == 0) {
    monitor = shoal_monitor_of(condition, lock);
    items = object.memory;
    rc = run();
  }
  if (rc == 0) rc = shoal_segment_close(seg);
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  return rc != 0;
}
