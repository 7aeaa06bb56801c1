// One thread appends items to a queue, another pops them and says when it is done with one. So that the order is always
// the same, the producer waits for that each time.
#include <pthread.h>
#include <stdio.h>

#include "core/error.h"
#include "ipc/queue/queue.h"

SHOAL_QUEUE_TYPED(numbers, int)

static const int items[] = {68, 101, 64, 193, 234, 135, 186, 135, 217, 87};
#define ITEMS (sizeof items / sizeof *items)

static void *consume(void *queue) {
  int item;
  while (numbers_get(queue, &item, SHOAL_FOREVER) == 0) {
    printf("Consumer notify : %d popped from queue by Thread-2\n", item);
    if (shoal_queue_task_done(queue)) break;
  }
  shoal_queue_leave(queue, SHOAL_CONSUMER);
  return NULL;
}

static int produce(struct shoal_queue *q) {
  int rc = 0;
  for (size_t i = 0; i < ITEMS && rc == 0; i++) {
    printf("Producer notify : item N° %d appended to queue by Thread-1\n", items[i]);
    rc = numbers_put(q, &items[i], SHOAL_FOREVER);
    if (rc == 0) rc = shoal_queue_join_tasks(q, SHOAL_FOREVER);
  }
  return rc;
}

int main(void) {
  struct shoal_segment *seg;
  struct shoal_queue *q;
  pthread_t consumer;
  int rc = shoal_segment_create(NULL, NULL, &seg);
  if (rc == 0) rc = numbers_create(seg, "items", &(struct shoal_queue_options){.capacity = 4, .joinable = 1}, &q);
  if (rc || pthread_create(&consumer, NULL, consume, q)) {
    fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
    return 1;
  }
  rc = produce(q);
  shoal_queue_close(q);
  pthread_join(consumer, NULL);
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  shoal_queue_detach(q);
  shoal_segment_close(seg);
  return rc != 0;
}
