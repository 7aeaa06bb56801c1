// Callbacks collect results as tasks end, in any order; they run in this process, when it asks for that. A map keeps
// the order.
#include <stdio.h>
#include <stdlib.h>

#include "core/error.h"
#include "ipc/work/map.h"

struct job {
  int n, result;
};
SHOAL_TASK(square, struct job) {
  arg->result = arg->n * arg->n;
  return 0;
}

struct list {
  int n, items[6], rc;
};
static void append(const struct shoal_future *f, void *arg) {
  struct list *list = arg;
  struct job job;
  int rc = shoal_future_get(f, &job, sizeof job, NULL, SHOAL_TRY);
  if (rc == 0) list->items[list->n++] = job.result;
  else list->rc = rc;
}
static int smaller(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

static int run(struct shoal_executor *ex) {
  struct shoal_future f[6];
  struct list list = {.n = 0};
  struct job four[] = {{3, 0}, {4, 0}, {5, 0}, {1, 0}};
  struct shoal_map *map;
  int rc = 0;
  for (int i = 0; rc == 0 && i < 6; i++) {
    rc = SHOAL_SUBMIT(ex, square, (&(struct job){i, 0}), &f[i]);
    if (rc == 0) rc = shoal_future_on_done(&f[i], append, &list);
  }
  while (rc >= 0 && list.rc == 0 && list.n < 6) rc = shoal_executor_poll(ex, SHOAL_FOREVER);
  if (rc >= 0) rc = list.rc;
  qsort(list.items, 6, sizeof(int), smaller);  // which came first is chance
  for (int i = 0; i < 6; i++) printf("%s%d", i ? ", " : "[", list.items[i]);
  puts("]");
  for (int i = 0; rc == 0 && i < 6; i++) rc = shoal_future_release(&f[i]);
  if (rc == 0) rc = SHOAL_MAP_ASYNC(ex, square, four, 4, 1, &map);
  if (rc) return rc;
  rc = shoal_map_get(map, NULL, SHOAL_FOREVER);
  for (int i = 0; rc == 0 && i < 4; i++) printf("%s%d", i ? ", " : "[", four[i].result);
  puts("]");
  shoal_map_end(map);
  return rc;
}

int main(void) {
  struct shoal_segment *seg = NULL;
  struct shoal_executor *ex = NULL;
  int rc = shoal_segment_create(NULL, NULL, &seg);
  if (rc == 0) rc = shoal_executor_create(seg, NULL, &(struct shoal_executor_options){.workers = 4}, &ex);
  if (rc == 0) rc = run(ex);
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  if (ex) shoal_executor_detach(ex);
  if (seg) shoal_segment_close(seg);
  return rc != 0;
}
