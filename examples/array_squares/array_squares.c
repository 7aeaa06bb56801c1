// Much data in shared memory: a child squares an array in place, under its lock, without copying it.
#include <stdio.h>

#include "core/error.h"
#include "ipc/data/value.h"
#include "ipc/work/process.h"

SHOAL_VALUE_TYPED(real, double)
SHOAL_ARRAY_TYPED(ints, int)

// By name, as any process finds them.
static int f(void *arg) {
  struct shoal_segment *seg = arg;
  struct shoal_array n, a;
  int rc = real_open(seg, "num", &n);
  if (rc == 0) rc = ints_open(seg, "arr", 10, &a);
  if (rc == 0) rc = real_set(&n, &(double){3.1415926}, SHOAL_FOREVER);
  if (rc) return 1;
  SHOAL_WITH (rc, &a.hold) {
    if (rc) break;
    for (uint64_t i = 0; i < a.length; i++) ints_data(&a)[i] *= ints_data(&a)[i];
  }
  return rc != 0;
}

static int run_child(struct shoal_segment *seg) {
  struct shoal_process p;
  int code = 1, rc = shoal_process_start(&p, f, seg, NULL);
  if (rc == 0) rc = shoal_process_join(&p, SHOAL_FOREVER);
  if (rc == 0) rc = shoal_process_exitcode(&p, &code);
  if (rc == 0) rc = shoal_process_close(&p);
  return rc ? rc : code ? shoal_fail_(-ECHILD, "the child answered %d", code) : 0;
}

int main(void) {
  static const int range[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  struct shoal_segment *seg = NULL;
  struct shoal_array num, arr;
  int rc = shoal_segment_create(NULL, NULL, &seg);
  if (rc == 0) rc = real_create(seg, "num", NULL, &num);
  if (rc == 0) rc = ints_create(seg, "arr", 10, &(struct shoal_array_options){.first = range}, &arr);
  if (rc == 0) rc = run_child(seg);
  if (rc == 0) printf("%.7f\n", *real_data(&num));
  for (int i = 0; rc == 0 && i < 10; i++) printf("%s%d%s", i ? ", " : "[", ints_data(&arr)[i], i < 9 ? "" : "]\n");
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  if (seg) shoal_segment_close(seg);
  return rc != 0;
}
