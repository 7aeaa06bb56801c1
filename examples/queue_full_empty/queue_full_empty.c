// What a queue of three answers when it has no more, or no more room; how much is in it; and a put that gives up.
#include <stdio.h>

#include "core/error.h"
#include "ipc/queue/queue.h"

struct text {
  char text[32];
};
SHOAL_QUEUE_TYPED(texts, struct text)

static int make(struct shoal_segment *seg, const char *name, uint32_t capacity, struct shoal_queue **q) {
  return texts_create(seg, name, &(struct shoal_queue_options){.capacity = capacity, .kind = SHOAL_QUEUE_FIFO}, q);
}
static int put(struct shoal_queue *q, const char *text, shoal_deadline deadline) {
  struct text t = {""};
  snprintf(t.text, sizeof t.text, "%s", text);
  return texts_put(q, &t, deadline);
}
static int put_three(struct shoal_queue *q) {
  int rc = put(q, "python", SHOAL_FOREVER);
  if (rc == 0) rc = put(q, "-", SHOAL_FOREVER);
  return rc ? rc : put(q, "100", SHOAL_FOREVER);
}

static int empty(struct shoal_queue *q) {  // taken out four times
  struct text t;
  int rc = put_three(q);
  for (int i = 0; i < 4 && rc == 0; i++) {
    rc = texts_get(q, &t, SHOAL_TRY);
    if (rc == 0) printf("%s\n", t.text);
  }
  if (rc == -EAGAIN) printf("queue.Empty\n");
  return rc == -EAGAIN ? 0 : rc;
}
static int full(struct shoal_queue *q) {  // put in four times
  int rc = put_three(q);
  if (rc == 0) rc = put(q, "stay hungry, stay foolish", SHOAL_TRY);
  if (rc == -EAGAIN) printf("queue.Full\n");
  return rc == -EAGAIN ? 0 : rc;
}

static const char *yes_or_no(int x) { return x ? "True" : "False"; }
static int sizes(struct shoal_queue *q) {
  struct text t;
  int rc = put(q, "string", SHOAL_FOREVER);
  if (rc) return rc;
  printf("%ld\n", (long)shoal_queue_size(q));
  rc = texts_get(q, &t, SHOAL_FOREVER);
  if (rc == 0) printf("%s\n", yes_or_no(shoal_queue_empty(q)));
  return rc;
}
static int of_one(struct shoal_queue *q) {
  int rc = put(q, "a", SHOAL_FOREVER);
  if (rc == 0) printf("%s\n", yes_or_no(shoal_queue_full(q)));
  if (rc == 0) rc = put(q, "b", shoal_after_ms(200));
  if (rc == -ETIMEDOUT) printf("Full: after its deadline\n");
  return rc == -ETIMEDOUT ? 0 : rc;
}

int main(void) {
  static int (*const parts[])(struct shoal_queue *) = {empty, full, sizes, of_one};
  static const char *const names[] = {"empty", "full", "sizes", "one"};
  struct shoal_segment *seg;
  int rc = shoal_segment_create(NULL, NULL, &seg);
  if (rc == 0) {
    for (int i = 0; i < 4 && rc == 0; i++) {
      struct shoal_queue *q;
      rc = make(seg, names[i], i < 3 ? 3 : 1, &q);
      if (rc) break;
      rc = parts[i](q);
      shoal_queue_detach(q);
    }
    shoal_segment_close(seg);
  }
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  return rc != 0;
}
