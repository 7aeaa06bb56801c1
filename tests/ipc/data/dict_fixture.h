// tests/ipc/data/dict_fixture.h: a dict in a segment of its own, and the account of the heap behind it.
#pragma once

#include "ipc/data/dict_internal.h"
#include "tests/ipc/data/fixture.h"

static struct shoal_dict *dict;

static inline void make(const struct shoal_segment_options *o, const struct shoal_dict_options *how) {
  CHECK(shoal_segment_create(NULL, o, &seg) == 0);
  CHECK(shoal_dict_create(seg, "d", how, &dict) == 0);
}
// One block an entry, and the table's.
static inline void assert_exact(void) {
  struct shoal_dict_info info;
  struct shoal_dict_snapshot all;
  struct shoal_dict_item item;
  uint64_t n = 0, bytes = 0;
  assert_int_equal(shoal_dict_snapshot(dict, &all, F), 0);
  while (shoal_dict_next(&all, &item)) n++, bytes += item.key_size + item.size;
  shoal_dict_snapshot_free(&all);
  assert_int_equal(shoal_dict_info(dict, &info), 0);
  assert_int_equal(info.entries, n);
  assert_int_equal(info.payload, bytes);
  assert_int_equal(shoal_dict_len(dict), n);
  assert_int_equal(heap_info().objects, n + (info.table != 0));
}
static inline void done(void) {
  assert_exact();
  CHECK(shoal_dict_close(dict) == 0);
  CHECK(shoal_dict_unlink(seg, "d") == 0);
  CHECK(heap_info().blocks == 0);
  CHECK(shoal_segment_close(seg) == 0);
}

static inline int set(const char *key, const char *value) {
  return shoal_dict_set(dict, key, strlen(key), value, strlen(value), F);
}
static inline const char *get(const char *key) {
  static char text[4096];
  uint64_t size;
  int rc = shoal_dict_get(dict, key, strlen(key), text, sizeof text - 1, &size);
  if (rc == -ENOENT) return NULL;
  CHECK(rc == 0 && size < sizeof text);
  text[size] = 0;
  return text;
}
