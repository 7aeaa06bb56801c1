// A consumer in another process doubles what it gets, until it gets the one that says: no more.
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.h"
#include "ipc/queue/queue.h"

struct item {
  double number;
  int none;
};
SHOAL_QUEUE_TYPED(items, struct item)

static int consume(struct shoal_queue *q) {
  struct item item;
  int rc;
  while ((rc = items_get(q, &item, SHOAL_FOREVER)) == 0 && !item.none) printf("%g\n", item.number * 2);
  fflush(stdout);
  return rc;
}

int main(void) {
  struct shoal_segment *seg;
  struct shoal_queue *q;
  int rc = shoal_segment_create(NULL, NULL, &seg), theirs = 0;
  if (rc == 0) rc = items_create(seg, "items", &(struct shoal_queue_options){.capacity = 8}, &q);
  if (rc) {
    fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
    return 1;
  }
  printf("%g\n", 0.375);
  fflush(stdout);
  if (fork() == 0) _exit(consume(q) != 0);
  rc = items_put(q, &(struct item){.number = 0.375}, SHOAL_FOREVER);
  if (rc == 0) rc = items_put(q, &(struct item){.none = 1}, SHOAL_FOREVER);
  wait(&theirs);
  shoal_queue_detach(q);
  shoal_segment_close(seg);
  return rc || theirs;
}
