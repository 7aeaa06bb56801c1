// tests/ipc/data/dict_fixture.h: a dict in a segment of its own, and the account of the heap behind it.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
// cmocka wants those above first
#include <cmocka.h>

#include "core/heap.h"
#include "ipc/data/dict_internal.h"
#include "tests/harness/stage.h"

#define F SHOAL_FOREVER

static const struct shoal_segment_options small = {
    .size = 256 << 10, .size_max = 64 << 20, .participants = 32, .objects = 32};
static struct shoal_segment *seg;
static struct shoal_dict *dict;

static inline void make(const struct shoal_segment_options *o, const struct shoal_dict_options *how) {
  CHECK(shoal_segment_create(NULL, o, &seg) == 0);
  CHECK(shoal_dict_create(seg, "d", how, &dict) == 0);
}
static inline struct shoal_heap_info heap_info(void) {
  struct shoal_heap_info info;
  struct shoal_heap *heap;
  CHECK(shoal_heap_open(seg, &heap) == 0);
  CHECK(shoal_heap_reap(heap) >= 0);
  CHECK(shoal_heap_info(heap, &info) == 0);
  CHECK(shoal_heap_close(heap) == 0);
  return info;
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

static inline uint32_t rnd(uint32_t *state) {
  *state ^= *state << 13, *state ^= *state >> 17;
  return *state ^= *state << 5;
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
