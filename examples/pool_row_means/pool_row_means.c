// The mean of each row of a matrix, a row a task.
#include <stdio.h>

#include "core/error.h"
#include "ipc/work/map.h"

struct row {
  int numbers[10];
  double mean;
};
SHOAL_TASK(mean, struct row) {
  int sum = 0;
  for (int i = 0; i < 10; i++) sum += arg->numbers[i];
  arg->mean = sum / 10.0;
  return 0;
}

static int run(struct shoal_executor *ex) {
  static const int first[] = {0, 20, 50, 80};
  struct row rows[4];
  for (int r = 0; r < 4; r++)
    for (int i = 0; i < 10; i++) rows[r].numbers[i] = first[r] + i;
  int rc = SHOAL_MAP(ex, mean, rows, 4, NULL, SHOAL_FOREVER);
  for (int r = 0; rc == 0 && r < 4; r++) printf("%s%g", r ? ", " : "[", rows[r].mean);
  puts("]");
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
