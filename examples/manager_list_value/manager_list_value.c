// A process fills a dict, reverses a list and sets a value, all of which lie in one segment; its parent prints them.
#include <stdio.h>
#include <string.h>

#include "core/error.h"
#include "ipc/data/dict.h"
#include "ipc/data/list.h"
#include "ipc/data/value.h"
#include "ipc/work/process.h"

SHOAL_VALUE_TYPED(number, int)

struct shared {
  struct shoal_dict *d;
  struct shoal_list *l;
  struct shoal_array t;
};

static const char *const person[][2] = {{"name", "Li Lei"}, {"age", "18"}, {"sex", "Male"}, {"address", "Yantai"}};
enum { FACTS = sizeof person / sizeof *person };

static int change(void *arg) {
  struct shared *s = arg;
  int rc = 0, three = 3;
  for (int i = 0; i < FACTS && rc == 0; i++)
    rc = shoal_dict_set(s->d, person[i][0], strlen(person[i][0]), person[i][1], strlen(person[i][1]), SHOAL_FOREVER);
  if (rc == 0) rc = shoal_list_reverse(s->l, SHOAL_FOREVER);
  return rc ? rc : number_set(&s->t, &three, SHOAL_FOREVER);
}

static int in_a_process(struct shared *s) {
  struct shoal_process p;
  int rc = shoal_process_start(&p, change, s, NULL);
  if (rc) return rc;
  rc = shoal_process_join(&p, SHOAL_FOREVER);
  shoal_process_close(&p);
  return rc;
}

static int print_list(struct shoal_list *l) {
  struct shoal_list_slice all;
  struct iovec v;
  int rc = shoal_list_slice(l, 0, SHOAL_LIST_END, &all, SHOAL_FOREVER), n = 0;
  if (rc) return rc;
  for (; shoal_list_next(&all, &v); n++) printf("%s%d", n ? ", " : "[", *(int *)v.iov_base);
  printf("]\n");
  shoal_list_slice_free(&all);
  return 0;
}

static int print(struct shared *s) {
  int number;
  for (int i = 0; i < FACTS; i++) {
    char text[32];
    uint64_t size;
    int rc = shoal_dict_get(s->d, person[i][0], strlen(person[i][0]), text, sizeof text, &size);
    if (rc) return rc;
    printf("('%s', '%.*s')\n", person[i][0], (int)size, text);
  }
  int rc = print_list(s->l);
  if (rc == 0) rc = number_get(&s->t, &number, SHOAL_FOREVER);
  if (rc == 0) printf("%d\n", number);
  return rc;
}

static int fill(struct shoal_list *l) {
  int rc = 0;
  for (int i = 0; i < 10 && rc == 0; i++) rc = shoal_list_append(l, &i, sizeof i, SHOAL_FOREVER);
  return rc;
}

int main(void) {
  struct shoal_segment *seg = NULL;
  struct shared s = {.d = NULL};
  int rc = shoal_segment_create(NULL, NULL, &seg);
  if (rc == 0) rc = shoal_dict_create(seg, "d", NULL, &s.d);
  if (rc == 0) rc = shoal_list_create(seg, "l", &s.l);
  if (rc == 0) rc = number_create(seg, "t", NULL, &s.t);
  if (rc == 0) rc = fill(s.l);
  if (rc == 0) rc = in_a_process(&s);
  if (rc == 0) rc = print(&s);
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  if (s.t.data) shoal_value_close(seg, &s.t);
  if (s.l) shoal_list_close(s.l);
  if (s.d) shoal_dict_close(s.d);
  if (seg) shoal_segment_close(seg);
  return rc != 0;
}
