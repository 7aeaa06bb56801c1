// One process writes letters to a queue, another reads them. The reader needs no end message and nobody to kill it:
// when the queue is closed, and all of it has been read, its next get says so.
#include <stdio.h>

#include "core/error.h"
#include "ipc/queue/queue.h"
#include "ipc/work/process.h"
#include "sync/semaphore.h"

SHOAL_QUEUE_TYPED(letters, char)

struct desk {
  struct shoal_segment *seg;
  struct shoal_queue *q;
  struct shoal_semaphore *printed;  // a letter has been read: the writer's lines and the reader's take turns
};

static int say(int rc) {
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  return rc != 0;
}

static int write_letters(void *arg) {
  struct desk *d = arg;
  int rc = 0;
  printf("Process to write: Process-1\n");
  for (char letter = 'A'; letter <= 'C' && rc == 0; letter++) {
    printf("Put %c to queue...\n", letter);
    fflush(stdout);
    rc = letters_put(d->q, &letter, SHOAL_FOREVER);
    if (rc == 0) rc = shoal_semaphore_acquire(d->printed, SHOAL_FOREVER);
  }
  return say(rc);
}

static int read_letters(void *arg) {
  struct desk *d = arg;
  char letter;
  int rc;
  while ((rc = letters_get(d->q, &letter, SHOAL_FOREVER)) == 0) {
    printf("Get %c from queue.\n", letter);
    fflush(stdout);
    rc = shoal_semaphore_release(d->printed);
    if (rc) break;
  }
  printf("Process-2: %s\n", shoal_strerror(rc));
  return rc != -EPIPE;
}

static int run(struct desk *d) {
  struct shoal_process writer, reader;
  int rc = shoal_process_start(&reader, read_letters, d, NULL);
  if (rc) return rc;
  rc = shoal_process_start(&writer, write_letters, d, NULL);
  if (rc == 0) {
    rc = shoal_process_join(&writer, SHOAL_FOREVER);
    shoal_process_close(&writer);
  }
  shoal_queue_close(d->q);
  int joined = shoal_process_join(&reader, SHOAL_FOREVER);
  shoal_process_close(&reader);
  return rc ? rc : joined;
}

int main(void) {
  struct desk d;
  int rc = shoal_segment_create(NULL, NULL, &d.seg);
  if (rc) return say(rc);
  rc = letters_create(d.seg, "letters", &(struct shoal_queue_options){.capacity = 8}, &d.q);
  if (rc == 0) rc = shoal_semaphore_create(d.seg, "printed", 0, 0, SHOAL_SEMAPHORE_CONSUMED, &d.printed);
  if (rc == 0) rc = run(&d);
  if (rc == 0) rc = shoal_semaphore_close(d.seg, d.printed);
  if (rc == 0) rc = shoal_queue_detach(d.q);
  shoal_segment_close(d.seg);
  return say(rc);
}
