// One appends items to a list and says so by an event, which it sets and clears at once; another waits for the event
// and pops them. Though it is cleared before the waiter has moved, nobody who waited when it was set sleeps on.
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#include "core/error.h"
#include "sync/event.h"
#include "sync/with.h"

static const int numbers[] = {204, 98, 90, 3, 162, 208, 97, 233};
#define ITEMS ((int)(sizeof numbers / sizeof *numbers))

static struct shoal_event event;
static struct shoal_lock lock;  // of the list
static int list[ITEMS], length;

static int somebody_waits(void) {
  struct shoal_event_info info;
  int rc;
  while ((rc = shoal_event_info(&event, &info)) == 0 && !info.waiters) sched_yield();
  return rc;
}

static int produce(void) {
  int rc = 0;
  for (int i = 0; i < ITEMS && rc == 0; i++) {
    rc = somebody_waits();
    if (rc) break;
    SHOAL_HOLD(rc, &lock);
    if (rc) break;
    list[length++] = numbers[i];
    printf("Producer notify : item N° %d appended to list by Thread-1\n", numbers[i]);
    printf("Producer notify : event set by Thread-1\n");
    rc = shoal_event_set(&event);
    printf("Produce notify : event cleared by Thread-1\n");
    if (rc == 0) rc = shoal_event_clear(&event);
  }
  return rc;
}
static int consume(void) {
  int rc = 0;
  for (int i = 0; i < ITEMS && rc == 0; i++) {
    rc = shoal_event_wait(&event, SHOAL_FOREVER);
    if (rc) break;
    SHOAL_WITH (rc, &lock) printf("Consumer notify : %d popped from list by Thread-2\n", list[--length]);
  }
  return rc;
}

static void *consumer(void *rc) {
  *(int *)rc = consume();
  return NULL;
}

int main(void) {
  pthread_t thread;
  int theirs = 0, rc = shoal_event_init(&event);
  if (rc == 0) rc = shoal_lock_init(&lock);
  if (rc == 0) {
    if (pthread_create(&thread, NULL, consumer, &theirs)) return 1;
    rc = produce();
    pthread_join(thread, NULL);
    if (rc == 0) rc = theirs;
  }
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  return rc != 0;
}
