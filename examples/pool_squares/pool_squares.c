// A pool maps a function over an array: results in their order, in place.
#include <inttypes.h>
#include <stdio.h>

#include "core/error.h"
#include "ipc/work/map.h"

struct number {
  int64_t x, result;
};
SHOAL_TASK(square, struct number) {
  arg->result = arg->x * arg->x;
  return 0;
}
SHOAL_TASK(self_power, struct number) {
  arg->result = 1;
  for (int64_t i = 0; i < arg->x; i++) arg->result *= arg->x;
  return 0;
}

static void print(const struct number *numbers, int n) {
  for (int i = 0; i < n; i++) printf("%s%" PRId64, i ? ", " : "[", numbers[i].result);
  puts("]");
}

static int run(struct shoal_executor *ex) {
  struct number three[] = {{1, 0}, {2, 0}, {3, 0}}, ten[10];
  for (int i = 0; i < 10; i++) ten[i].x = i;
  int rc = SHOAL_MAP(ex, square, three, 3, NULL, SHOAL_FOREVER);
  if (rc == 0) print(three, 3);
  if (rc == 0) rc = SHOAL_MAP(ex, self_power, ten, 10, NULL, SHOAL_FOREVER);
  if (rc == 0) print(ten, 10);
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
