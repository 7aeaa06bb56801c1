// Values of several types, some under one lock of the caller's: an int, a bool, a string, an array, an array of
// structs.
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>

#include "core/error.h"
#include "ipc/data/value.h"
#include "ipc/work/process.h"

struct point {
  double x, y;
};
SHOAL_VALUE_TYPED(number, int)
SHOAL_VALUE_TYPED(truth, bool)
SHOAL_ARRAY_TYPED(chars, char)
SHOAL_ARRAY_TYPED(ints, int)
SHOAL_ARRAY_TYPED(points, struct point)

struct shared {
  struct shoal_lock *lock;
  struct shoal_array n, b, s, arr, a;
};

static void upper(const struct shoal_array *s) {
  for (uint64_t i = 0; i < s->length; i++) chars_data(s)[i] = (char)toupper(chars_data(s)[i]);
}
static void square(const struct shoal_array *a) {
  for (struct point *p = points_data(a); p < points_data(a) + a->length; p++) p->x *= p->x, p->y *= p->y;
}

static int modify(void *arg) {
  struct shared *d = arg;
  int rc;
  SHOAL_WITH (rc, &d->n.hold) *number_data(&d->n) *= *number_data(&d->n);
  if (rc == 0) rc = truth_set(&d->b, &(bool){true}, SHOAL_FOREVER);
  if (rc == 0) rc = ints_set(&d->arr, 0, &(int){10}, SHOAL_FOREVER);
  if (rc) return 1;
  SHOAL_WITH (rc, d->lock) {  // of s and a
    upper(&d->s);
    square(&d->a);
  }
  return rc != 0;
}

static int make(struct shoal_segment *seg, struct shared *d) {
  static const struct point corners[] = {{1.875, -6.25}, {-5.75, 2.0}};
  static const int range[] = {0, 1, 2, 3, 4}, seven = 7;
  int rc = shoal_lock_create(seg, "lock", &d->lock);
  const struct shoal_array_options plain = {.unlocked = 1}, text = {.lock = d->lock, .first = "hello world"};
  if (rc == 0) rc = number_create(seg, NULL, &(struct shoal_array_options){.first = &seven}, &d->n);
  if (rc == 0) rc = truth_create(seg, NULL, &plain, &d->b);
  if (rc == 0) rc = chars_create(seg, NULL, sizeof "hello world", &text, &d->s);
  if (rc == 0) rc = ints_create(seg, NULL, 5, &(struct shoal_array_options){.first = range}, &d->arr);
  const struct shoal_array_options points = {.lock = d->lock, .first = corners};
  return rc ? rc : points_create(seg, NULL, 2, &points, &d->a);
}

static int run_child(struct shared *d) {
  struct shoal_process p;
  int code = 1, rc = shoal_process_start(&p, modify, d, NULL);
  if (rc == 0) rc = shoal_process_join(&p, SHOAL_FOREVER);
  if (rc == 0) rc = shoal_process_exitcode(&p, &code);
  if (rc == 0) rc = shoal_process_close(&p);
  return rc ? rc : code ? shoal_fail_(-ECHILD, "the child answered %d", code) : 0;
}

static const char *real(double x, char *text) {  // as Python has it
  sprintf(text, x == (int)x ? "%.1f" : "%.10g", x);
  return text;
}
static void show(const struct shared *d) {
  char x[32], y[32];
  printf("%d\n%s\n%s\n", *number_data(&d->n), *truth_data(&d->b) ? "True" : "False", chars_data(&d->s));
  for (int i = 0; i < 5; i++) printf("%s%d", i ? ", " : "[", ints_data(&d->arr)[i]);
  printf("]\n[");
  for (const struct point *p = points_data(&d->a); p < points_data(&d->a) + 2; p++)
    printf("%s(%s, %s)", p == points_data(&d->a) ? "" : ", ", real(p->x, x), real(p->y, y));
  puts("]");
}

int main(void) {
  struct shoal_segment *seg = NULL;
  struct shared d;
  int rc = shoal_segment_create(NULL, NULL, &seg);
  if (rc == 0) rc = make(seg, &d);
  if (rc == 0) rc = run_child(&d);
  if (rc == 0) show(&d);
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  if (seg) shoal_segment_close(seg);
  return rc != 0;
}
