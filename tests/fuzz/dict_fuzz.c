// A dict and a list in a segment whose words are edited before they are opened and while they are used: each call
// answers, and what it shows is there.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "ipc/data/dict.h"
#include "ipc/data/list.h"
#include "tests/fuzz/fuzz.h"

#define KEYS 40
#define VALUE_MAX 300

static uint64_t sum;  // of all that was shown
static void touch(const void *bytes, uint64_t size) {
  for (uint64_t i = 0; i < size; i++) sum += ((const uint8_t *)bytes)[i];
}

void stage_make(struct shoal_segment *seg) {
  struct shoal_dict *d;
  struct shoal_list *l;
  char value[VALUE_MAX] = "value";
  FUZZ_CHECK(shoal_dict_create(seg, "dict", NULL, &d) == 0 && shoal_list_create(seg, "list", &l) == 0);
  for (uint32_t i = 0; i < 12; i++) {
    FUZZ_CHECK(shoal_dict_set(d, &i, sizeof i, value, 7 * i, SHOAL_TRY) == 0);
    FUZZ_CHECK(shoal_list_append(l, value, 9 * i, SHOAL_TRY) == 0);
  }
  FUZZ_CHECK(shoal_dict_close(d) == 0 && shoal_list_close(l) == 0);
}

// Of what it is shown it touches no more than it was told is there.
static int change(struct shoal_dict_change *c, void *arg) {
  static char other[50];
  struct script *s = arg;
  if (c->value && script_below(s, 4)) memset(c->value, 'x', c->size);
  else c->value = other, c->size = script_below(s, sizeof other);
  return (int)script_below(s, 3);
}
static void all_of_dict(struct shoal_dict *d, shoal_deadline until) {
  struct shoal_dict_snapshot all;
  struct shoal_dict_item item;
  struct shoal_dict_info info;
  if (shoal_dict_snapshot(d, &all, until)) return;
  while (shoal_dict_next(&all, &item)) touch(item.key, item.key_size), touch(item.value, item.size);
  shoal_dict_snapshot_free(&all);
  (void)shoal_dict_info(d, &info);
}
static void many_of_dict(struct script *s, struct shoal_dict *d) {
  static char values[20][VALUE_MAX];
  struct shoal_dict_want wants[20];
  uint32_t keys[20];
  for (unsigned i = 0; i < 20; i++) {
    keys[i] = script_below(s, KEYS);
    wants[i] = (struct shoal_dict_want){.key = &keys[i], .key_size = 4, .buffer = values[i], .capacity = VALUE_MAX};
  }
  (void)shoal_dict_get_n(d, wants, 20);
  for (unsigned i = 0; i < 20; i++)
    if (wants[i].rc == 0) touch(values[i], wants[i].size);
}
static void any_of_dict(struct shoal_dict *d, shoal_deadline until) {
  struct shoal_dict_item item;
  void *memory = NULL;
  int rc = shoal_dict_popitem(d, &memory, &item, until);
  if (rc == 0 || rc == -EBADMSG) touch(item.key, item.key_size);
  if (rc == 0) touch(item.value, item.size);
  free(memory);
}
static void set_many_of_dict(struct script *s, struct shoal_dict *d, shoal_deadline until) {
  struct shoal_dict_item items[20];
  char value[VALUE_MAX] = "";
  uint32_t keys[20];
  uint64_t done = 0;
  for (unsigned i = 0; i < 20; i++) {
    keys[i] = script_below(s, KEYS);
    items[i] = (struct shoal_dict_item){&keys[i], 4, value, script_below(s, VALUE_MAX)};
  }
  int rc = shoal_dict_set_n(d, items, 20, &done, until);
  FUZZ_CHECK(done <= 20 && (rc != 0) == (done < 20));
}
static void rarely_of_dict(struct script *s, struct shoal_dict *d, uint32_t key, uint32_t what, shoal_deadline until) {
  char value[VALUE_MAX] = "value";
  uint64_t n;
  void *copy;
  if (what % 4 == 0) (void)shoal_dict_clear(d, until);
  else if (what < 128) sum += shoal_dict_len(d);
  else switch (what / 4 % 5) {
      case 0: any_of_dict(d, until); break;
      case 1:
        if (shoal_dict_pop_alloc(d, &key, 4, &copy, &n, until) == 0) touch(copy, n), free(copy);
        break;
      case 2: (void)shoal_dict_compare_and_set(d, &key, 4, value, 7 * key, "new", 3, until); break;
      case 3: (void)shoal_dict_compare_and_set(d, &key, 4, NULL, 0, value, 7 * key, until); break;
      default: set_many_of_dict(s, d, until);
    }
}
static void use_dict(struct script *s, struct shoal_dict *d) {
  uint32_t key = script_below(s, KEYS), what = script_below(s, 11);
  shoal_deadline until = stage_until(s);
  uint64_t n, version;
  char value[VALUE_MAX] = "";
  void *copy;
  switch (what) {
    case 0:
      if (shoal_dict_get(d, &key, 4, value, sizeof value, &n) == 0) touch(value, n);
      break;
    case 1:
      if (shoal_dict_get_alloc(d, &key, 4, &copy, &n) == 0) touch(copy, n), free(copy);
      break;
    case 2: (void)shoal_dict_set(d, &key, 4, value, script_below(s, VALUE_MAX), until); break;
    case 3: (void)shoal_dict_remove(d, &key, 4, until); break;
    case 4: (void)shoal_dict_update(d, &key, 4, change, s, until); break;
    case 5: (void)shoal_dict_pop(d, &key, 4, value, sizeof value, &n, until); break;
    case 6:
      if (shoal_dict_get_versioned(d, &key, 4, value, sizeof value, &n, &version) == 0)
        (void)shoal_dict_set_if(d, &key, 4, version, value, n, until);
      break;
    case 7: (void)shoal_dict_setdefault(d, &key, 4, "new", 3, value, sizeof value, &n, until); break;
    case 8: rarely_of_dict(s, d, key, (uint32_t)script_take(s, 1), until); break;
    case 9: many_of_dict(s, d); break;
    default: all_of_dict(d, until);
  }
}

static int backwards(const struct iovec *a, const struct iovec *b, void *arg) {
  (void)arg;
  touch(a->iov_base, a->iov_len), touch(b->iov_base, b->iov_len);
  return a->iov_len < b->iov_len ? 1 : a->iov_len > b->iov_len ? -1 : 0;
}
static void all_of_list(struct script *s, struct shoal_list *l, shoal_deadline until) {
  struct shoal_list_slice slice;
  struct iovec value;
  int64_t from = script_below(s, 20);
  if (shoal_list_slice(l, from, from + script_below(s, 20), &slice, until)) return;
  while (shoal_list_next(&slice, &value)) touch(value.iov_base, value.iov_len);
  shoal_list_slice_free(&slice);
}
static int change_value(struct shoal_list_change *c, void *arg) {
  touch(c->value, c->size);
  return (int)script_below(arg, 4) - 1;
}
static void rarely_of_list(struct shoal_list *l, int64_t index, uint32_t what, shoal_deadline until) {
  struct shoal_list_info info;
  char value[VALUE_MAX] = "value";
  uint64_t n;
  void *copy;
  if (what % 4 == 0) (void)shoal_list_clear(l, until);
  else if (what < 128) (void)shoal_list_info(l, &info);
  else switch (what / 4 % 5) {
      case 0: (void)shoal_list_remove(l, value, 9 * (what % 32), until); break;
      case 1: (void)shoal_list_count(l, value, 9 * (what % 32), &n, until); break;
      case 2:
        if (shoal_list_pop_alloc(l, index, &copy, &n, until) == 0) touch(copy, n), free(copy);
        break;
      case 3: (void)shoal_list_delete(l, index, until); break;
      default: (void)shoal_list_repeat(l, what % 4, until);
    }
}
static void use_list(struct script *s, struct shoal_list *l) {
  int64_t index = (int8_t)script_take(s, 1);
  char value[VALUE_MAX] = "";
  struct iovec some[3] = {{value, 3}, {value, script_below(s, VALUE_MAX)}, {value, 0}};
  uint32_t what = script_below(s, 11);
  shoal_deadline until = stage_until(s);
  uint64_t n;
  void *copy;
  switch (what) {
    case 0:
      if (shoal_list_get(l, index, value, sizeof value, &n) == 0) touch(value, n);
      break;
    case 1:
      if (shoal_list_get_alloc(l, index, &copy, &n) == 0) touch(copy, n), free(copy);
      break;
    case 2: (void)shoal_list_append(l, value, some[1].iov_len, until); break;
    case 3: (void)shoal_list_insert(l, index, value, some[1].iov_len, until); break;
    case 4: (void)shoal_list_set(l, index, value, some[1].iov_len, until); break;
    case 5: (void)shoal_list_pop(l, index, value, sizeof value, &n, until); break;
    case 6: (void)shoal_list_replace(l, index, index + 4, some, script_below(s, 4), until); break;
    case 7:
      (void)(script_below(s, 2) ? shoal_list_reverse(l, until) : shoal_list_sort(l, backwards, NULL, until));
      break;
    case 8:
      (void)shoal_list_index(l, value, 9, 0, &n, until);
      rarely_of_list(l, index, (uint32_t)script_take(s, 1), until);
      break;
    case 9:
      (void)(script_below(s, 2) ? shoal_list_update(l, index, change_value, s, until)
                                : shoal_list_compare_and_set(l, index, value, 3, "new", 3, until));
      break;
    default: all_of_list(s, l, until);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct script s = {data, data + size};
  struct shoal_dict *d = NULL;
  struct shoal_list *l = NULL;
  struct shoal_segment *seg = stage_take(&s);
  (void)!shoal_dict_open(seg, "dict", &d);
  (void)!shoal_list_open(seg, "list", &l);
  while (stage_left(&s)) {
    uint32_t what = script_below(&s, 8);
    if (what < 2) stage_edit(&s);
    else if (what < 5 && d) use_dict(&s, d);
    else if (l) use_list(&s, l);
  }
  if (d) (void)shoal_dict_close(d);
  if (l) (void)shoal_list_close(l);
  stage_close();
  return 0;
}
