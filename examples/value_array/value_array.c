// A number and an array that a child changes.
#include <stdio.h>

#include "core/error.h"
#include "ipc/data/value.h"
#include "ipc/work/process.h"

SHOAL_VALUE_TYPED(real, double)
SHOAL_ARRAY_TYPED(ints, int)

struct shared {
  struct shoal_array num, arr;
};

static int f(void *arg) {
  struct shared *s = arg;
  int rc = real_set(&s->num, &(double){3.14}, SHOAL_FOREVER);
  for (uint64_t i = 0; rc == 0 && i < s->arr.length; i++) {
    int x;
    rc = ints_get(&s->arr, i, &x, SHOAL_FOREVER);
    if (rc == 0) rc = ints_set(&s->arr, i, &(int){-x}, SHOAL_FOREVER);
  }
  return rc != 0;
}

static int run_child(struct shared *s) {
  struct shoal_process p;
  int code = 1, rc = shoal_process_start(&p, f, s, NULL);
  if (rc == 0) rc = shoal_process_join(&p, SHOAL_FOREVER);
  if (rc == 0) rc = shoal_process_exitcode(&p, &code);
  if (rc == 0) rc = shoal_process_close(&p);
  return rc ? rc : code ? shoal_fail_(-ECHILD, "the child answered %d", code) : 0;
}

static int show(struct shared *s) {
  double x;
  int all[10];
  int rc = real_get(&s->num, &x, SHOAL_FOREVER);
  if (rc == 0) rc = ints_read(&s->arr, 0, 1, 10, all, SHOAL_FOREVER);
  if (rc) return rc;
  printf("%g\n", x);
  for (int i = 0; i < 10; i++) printf("%s%d", i ? ", " : "[", all[i]);
  puts("]");
  return 0;
}

int main(void) {
  static const int range[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  struct shoal_segment *seg = NULL;
  struct shared s;
  int rc = shoal_segment_create(NULL, NULL, &seg);
  if (rc == 0) rc = real_create(seg, NULL, NULL, &s.num);
  if (rc == 0) rc = ints_create(seg, NULL, 10, &(struct shoal_array_options){.first = range}, &s.arr);
  if (rc == 0) printf("%.1f\n", *real_data(&s.num));
  fflush(stdout);
  if (rc == 0) rc = run_child(&s);
  if (rc == 0) rc = show(&s);
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  if (seg) shoal_segment_close(seg);
  return rc != 0;
}
