// tests/ipc/data/list_fixture.h: a list, and its heap's account at its end.
#pragma once

#include "ipc/data/list_internal.h"
#include "tests/ipc/data/fixture.h"

static struct shoal_list *list;

static inline void make(const struct shoal_segment_options *o) {
  CHECK(shoal_segment_create(NULL, o, &seg) == 0);
  CHECK(shoal_list_create(seg, "l", &list) == 0);
}
static inline void assert_exact(void) {
  struct shoal_list_info info;
  struct shoal_list_slice all;
  assert_int_equal(shoal_list_slice(list, 0, SHOAL_LIST_END, &all, F), 0);
  assert_int_equal(shoal_list_info(list, &info), 0);
  assert_int_equal(info.length, all.values);
  assert_int_equal(shoal_list_len(list), all.values);
  shoal_list_slice_free(&all);
  assert_int_equal(heap_info().objects, info.length + (info.row != 0));
}
static inline void done(void) {
  assert_exact();
  CHECK(shoal_list_close(list) == 0);
  CHECK(shoal_list_unlink(seg, "l") == 0);
  CHECK(heap_info().blocks == 0);
  CHECK(shoal_segment_close(seg) == 0);
}

static inline int append(const char *text) { return shoal_list_append(list, text, strlen(text), F); }
// "a b c"
static inline const char *shown(int64_t from, int64_t to) {
  static char text[4096];
  struct shoal_list_slice s;
  struct iovec v;
  size_t n = 0;
  CHECK(shoal_list_slice(list, from, to, &s, F) == 0);
  while (shoal_list_next(&s, &v))
    n += (size_t)snprintf(text + n, sizeof text - n, "%s%.*s", n ? " " : "", (int)v.iov_len, (char *)v.iov_base);
  shoal_list_slice_free(&s);
  text[n] = 0;
  return text;
}
#define ALL shown(0, SHOAL_LIST_END)

static inline int one_more(struct shoal_list_change *c, void *arg) {
  uint64_t n;
  (void)arg;
  memcpy(&n, c->value, 8);
  n++;
  memcpy(c->value, &n, 8);
  return SHOAL_LIST_SET;
}
