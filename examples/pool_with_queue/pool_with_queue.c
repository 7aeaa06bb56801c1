// Two tasks of a pool talk through a queue: one writes letters, the other reads until there are no more.
#include <stdio.h>
#include <string.h>

#include "core/error.h"
#include "ipc/work/future.h"

struct letter {
  char c;
};
SHOAL_QUEUE_TYPED(letters, struct letter)
static struct shoal_queue *queue;  // made before the workers, who inherit it

struct text {
  char text[16];
};
SHOAL_TASK(writer, struct text) {
  for (const char *c = arg->text; *c; c++) {
    int rc = letters_put(queue, &(struct letter){*c}, SHOAL_FOREVER);
    if (rc) return rc;
  }
  return shoal_queue_close(queue);
}
SHOAL_TASK(reader, struct text) {
  struct letter letter;
  int rc;
  for (size_t n = 0; (rc = letters_get(queue, &letter, SHOAL_FOREVER)) == 0; n++)
    if (n + 1 < sizeof arg->text) arg->text[n] = letter.c;
  return rc == -EPIPE ? 0 : rc;
}

static int run(struct shoal_executor *ex) {
  struct text in = {"itcast"}, out = {""};
  struct shoal_future writing, reading;
  int rc = SHOAL_SUBMIT(ex, reader, &out, &reading);
  if (rc == 0) rc = SHOAL_SUBMIT(ex, writer, &in, &writing);
  if (rc == 0) rc = shoal_future_get(&writing, NULL, 0, NULL, SHOAL_FOREVER);
  if (rc == 0) rc = shoal_future_get(&reading, &out, sizeof out, NULL, SHOAL_FOREVER);
  for (const char *c = out.text; rc == 0 && *c; c++) printf("the reader got %c\n", *c);
  if (rc == 0) puts("End");
  return rc;
}

int main(void) {
  struct shoal_segment *seg = NULL;
  struct shoal_executor *ex = NULL;
  int rc = shoal_segment_create(NULL, NULL, &seg);
  if (rc == 0) rc = letters_create(seg, "letters", &(struct shoal_queue_options){.capacity = 4}, &queue);
  if (rc == 0) rc = shoal_executor_create(seg, NULL, &(struct shoal_executor_options){.workers = 4}, &ex);
  if (rc == 0) rc = run(ex);
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  if (ex) shoal_executor_detach(ex);
  if (queue) shoal_queue_detach(queue);
  if (seg) shoal_segment_close(seg);
  return rc != 0;
}
