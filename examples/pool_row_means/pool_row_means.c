// The mean of each row of a matrix in shared memory, a row a task: the task is told which row, and reads it where it
// lies.
#include <stdio.h>

#include "core/error.h"
#include "ipc/data/array.h"
#include "ipc/work/map.h"

#define ROWS 4
#define COLUMNS 10

SHOAL_ARRAY_TYPED(numbers, int)
static struct shoal_array matrix;  // the workers inherit the view

struct row {
  uint64_t which;
  double mean;
};
SHOAL_TASK(mean, struct row) {
  struct shoal_view row;
  int sum = 0, rc = shoal_array_row(&matrix, arg->which, &row);
  if (rc) return rc;
  for (uint64_t i = 0; i < row.length; i++) sum += *numbers_in(&row, i);
  arg->mean = sum / (double)row.length;
  return 0;
}

static int make(struct shoal_segment *seg) {
  static const int first[] = {0, 20, 50, 80};
  const struct shoal_array_options rows = {.columns = COLUMNS, .unlocked = 1};
  int rc = numbers_create(seg, "matrix", ROWS * COLUMNS, &rows, &matrix);
  for (int i = 0; rc == 0 && i < ROWS * COLUMNS; i++) numbers_data(&matrix)[i] = first[i / COLUMNS] + i % COLUMNS;
  return rc;
}

static int run(struct shoal_executor *ex) {
  struct row rows[ROWS];
  for (uint64_t r = 0; r < ROWS; r++) rows[r].which = r;
  int rc = SHOAL_MAP(ex, mean, rows, ROWS, NULL, SHOAL_FOREVER);
  for (int r = 0; rc == 0 && r < ROWS; r++) printf("%s%g", r ? ", " : "[", rows[r].mean);
  puts("]");
  return rc;
}

int main(void) {
  struct shoal_segment *seg = NULL;
  struct shoal_executor *ex = NULL;
  int rc = shoal_segment_create(NULL, NULL, &seg);
  if (rc == 0) rc = make(seg);
  if (rc == 0) rc = shoal_executor_create(seg, NULL, &(struct shoal_executor_options){.workers = 4}, &ex);
  if (rc == 0) rc = run(ex);
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  if (ex) shoal_executor_detach(ex);
  if (seg) shoal_segment_close(seg);
  return rc != 0;
}
