// One produces items, another consumes them: a semaphore counts those that are there. None at first, so the consumer
// waits; it is used up by who acquires it.
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#include "core/error.h"
#include "sync/semaphore.h"

static const int numbers[] = {193, 631, 770, 688, 16};
#define ROUNDS ((int)(sizeof numbers / sizeof *numbers))

static struct shoal_semaphore items;
static int item;

static int consume(void) {
  printf("consumer is waiting.\n");
  int rc = shoal_semaphore_acquire(&items, SHOAL_FOREVER);
  if (rc == 0) printf("Consumer notify : consumed item number %d\n", item);
  return rc;
}
static int produce(int number) {
  struct shoal_semaphore_info info;
  int rc;
  while ((rc = shoal_semaphore_info(&items, &info)) == 0 && !info.waiters) sched_yield();
  if (rc) return rc;
  item = number;
  printf("producer notify : produced item number %d\n", item);
  return shoal_semaphore_release(&items);
}

static void *consumer(void *rc) {
  *(int *)rc = consume();
  return NULL;
}

int main(void) {
  int rc = shoal_semaphore_init(&items, 0, 0, SHOAL_SEMAPHORE_CONSUMED), theirs;
  for (int i = 0; i < ROUNDS && rc == 0; i++) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, consumer, &theirs)) return 1;
    rc = produce(numbers[i]);
    pthread_join(thread, NULL);
    if (rc == 0) rc = theirs;
  }
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  else printf("program terminated\n");
  return rc != 0;
}
