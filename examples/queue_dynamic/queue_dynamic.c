// A child puts a list of an int, nothing and a string into a queue; its parent prints what came, and takes it apart.
#include <stdio.h>

#include "core/error.h"
#include "ipc/queue/packed.h"
#include "ipc/work/process.h"

static int put_list(void *q) { return shoal_queue_put_packed(q, SHOAL_FOREVER, "[i n s]", 42, "hello"); }

static int run(struct shoal_queue *q, struct shoal_packed *m) {
  struct shoal_process p;
  const char *s;
  size_t length;
  int i, rc = shoal_process_start(&p, put_list, q, NULL);
  if (rc) return rc;
  rc = shoal_queue_get_packed(q, SHOAL_FOREVER, m, "[i n s]", &i, &s, &length);
  if (rc == 0) rc = shoal_packed_print(m->data, m->size, stdout);
  if (rc == 0) printf("\n%d, nothing, and \"%.*s\", in %d bytes\n", i, (int)length, s, (int)m->size);
  int joined = shoal_process_join(&p, SHOAL_FOREVER);
  shoal_process_close(&p);
  return rc ? rc : joined;
}

int main(void) {
  struct shoal_segment *seg = NULL;
  struct shoal_packed m = {0};
  struct shoal_queue *q;
  int rc = shoal_segment_create(NULL, NULL, &seg);
  if (rc == 0) rc = shoal_queue_create(seg, "values", &(struct shoal_queue_options){.capacity = 8, .bytes = 1}, &q);
  if (rc == 0) rc = run(q, &m);
  if (rc == 0) rc = shoal_queue_detach(q);
  if (seg) shoal_segment_close(seg);
  shoal_packed_free(&m);
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  return rc != 0;
}
