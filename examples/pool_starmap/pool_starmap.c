// A function of several arguments over many tuples of them: a tuple is a struct, with room for the result. At once, and
// in the background, a chunk of two tuples at a time.
#include <inttypes.h>
#include <stdio.h>

#include "core/error.h"
#include "ipc/work/map.h"

struct power {
  int64_t base, exponent, result;
};
SHOAL_TASK(power, struct power) {
  arg->result = 1;
  for (int64_t i = 0; i < arg->exponent; i++) arg->result *= arg->base;
  return 0;
}

static void print(const struct power *tuples, int n) {
  for (int i = 0; i < n; i++) printf("%s%" PRId64, i ? ", " : "[", tuples[i].result);
  puts("]");
}

static int run(struct shoal_executor *ex) {
  struct power tuples[] = {{2, 5, 0}, {3, 2, 0}, {10, 3, 0}};
  struct shoal_map *map;
  int rc = SHOAL_STARMAP(ex, power, tuples, 3, NULL, SHOAL_FOREVER);
  if (rc) return rc;
  print(tuples, 3);
  for (int i = 0; i < 3; i++) tuples[i].exponent++;
  rc = SHOAL_STARMAP_ASYNC(ex, power, tuples, 3, 2, &map);
  if (rc) return rc;
  rc = shoal_map_get(map, NULL, SHOAL_FOREVER);
  if (rc == 0) print(tuples, 3);
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
