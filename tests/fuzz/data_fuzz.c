// Arrays, a value, numbers, a vector, a text, and containers inside one another, in a segment whose words are edited
// before they are opened and while they are used: each call answers, and what it shows is there.
#include <stdlib.h>
#include <string.h>

#include "ipc/data/nested.h"
#include "ipc/data/number.h"
#include "ipc/data/text.h"
#include "ipc/data/value.h"
#include "ipc/data/vector.h"
#include "tests/fuzz/fuzz.h"

#define COUNT 24u
#define COLUMNS 6u
#define TEXT 60u
#define NUMBERS 40u

struct element {
  uint64_t word[3];
};
SHOAL_ARRAY_TYPED(elements, struct element)
SHOAL_VALUE_TYPED(number, double)
SHOAL_VECTOR_TYPED(samples, struct element)

static uint64_t sum;  // of all that was shown
static void touch(const void *bytes, uint64_t size) {
  for (uint64_t i = 0; i < size; i++) sum += ((const uint8_t *)bytes)[i];
}

static struct {
  struct shoal_array array, value;
  struct shoal_vector vector;
  struct shoal_text text;
  struct shoal_dict *dict[3];  // the first has a name; of the others, and of these, what was opened last
  struct shoal_list *list[2];
  struct shoal_namespace *namespace;
} opened;

// ---- before ----

void stage_make(struct shoal_segment *seg) {
  struct shoal_array_options rows = {.columns = COLUMNS};
  struct element some[20] = {{{1, 2, 3}}};
  struct shoal_dict *outer, *in;
  struct shoal_list *l;
  struct shoal_namespace *ns;
  FUZZ_CHECK(elements_create(seg, "array", COUNT, &rows, &opened.array) == 0 &&
             number_create(seg, "value", NULL, &opened.value) == 0);
  FUZZ_CHECK(samples_create(seg, "vector", &(struct shoal_vector_options){.first = 4}, &opened.vector) == 0);
  FUZZ_CHECK(samples_extend(&opened.vector, some, 20, NULL, SHOAL_TRY) == 0);
  FUZZ_CHECK(shoal_text_create(seg, "text", TEXT, "a string", &opened.text) == 0);
  FUZZ_CHECK(shoal_dict_create(seg, "dict", &(struct shoal_dict_options){.stripes = 2}, &outer) == 0);
  FUZZ_CHECK(shoal_dict_setdefault_dict(outer, "a", 1, NULL, &in, SHOAL_TRY) == 0);
  FUZZ_CHECK(shoal_dict_setdefault_list(in, "b", 1, &l, SHOAL_TRY) == 0 &&
             shoal_list_append(l, "deep", 4, SHOAL_TRY) == 0);
  FUZZ_CHECK(shoal_dict_set_list(outer, "c", 1, l, SHOAL_TRY) == 0);
  FUZZ_CHECK(shoal_dict_setdefault_namespace(outer, "d", 1, &ns, SHOAL_TRY) == 0 &&
             shoal_list_append_namespace(l, ns, SHOAL_TRY) == 0);
  FUZZ_CHECK(shoal_dict_set(outer, "e", 1, "bytes", 5, SHOAL_TRY) == 0);
  FUZZ_CHECK(shoal_namespace_close(ns) == 0 && shoal_list_close(l) == 0 && shoal_dict_close(in) == 0 &&
             shoal_dict_close(outer) == 0);
  FUZZ_CHECK(shoal_text_close(seg, &opened.text) == 0 && shoal_vector_close(&opened.vector) == 0);
  FUZZ_CHECK(shoal_array_close(seg, &opened.value) == 0 && shoal_array_close(seg, &opened.array) == 0);
}

// ---- arrays, values, numbers ----

static uint64_t index_of(struct script *s) {
  return script_below(s, 8) ? script_below(s, 2 * COUNT) : script_take(s, 8);
}
static void touch_view(const struct shoal_view *v) {
  for (uint64_t i = 0; i < v->length; i++) touch(shoal_view_at(v, i), v->size);
}
static void use_array(struct script *s, struct shoal_array *a) {
  struct element some[COUNT] = {{{7, 8, 9}}};
  struct shoal_array_info info;
  struct shoal_view v;
  uint64_t from = index_of(s), n = script_below(s, COUNT + 1);
  int64_t step = (int8_t)script_take(s, 1);
  void *at = NULL;
  int rc;
  switch (script_below(s, 9)) {
    case 0:
      if (shoal_array_get(a, from, some, SHOAL_TRY) == 0) touch(some, a->size);
      break;
    case 1: (void)!shoal_array_set(a, from, some, SHOAL_TRY); break;
    case 2:
      if (shoal_array_read(a, from, step, n, some, SHOAL_TRY) == 0) touch(some, n * a->size);
      break;
    case 3: (void)!shoal_array_write(a, from, step, n, some, SHOAL_TRY); break;
    case 4: (void)!shoal_array_fill(a, from, n, some, SHOAL_TRY); break;
    case 5:
      rc = shoal_array_acquire(a, SHOAL_TRY);
      if (rc == -EOWNERDEAD) (void)shoal_array_consistent(a);
      if (rc == 0 || rc == -EOWNERDEAD) {
        if (shoal_array_at(a, from, &at) == 0) memset(at, 'x', a->size);
        if (script_below(s, 4) == 0) stage_edit(s);
        (void)shoal_array_release(a);
      }
      break;
    case 6:
      if (shoal_array_view(a, from, step, n, &v) == 0) touch_view(&v);
      break;
    case 7:
      if ((n % 2 ? shoal_array_row(a, from, &v) : shoal_array_column(a, from, &v)) == 0) touch_view(&v);
      break;
    default:
      if (shoal_array_info(a, &info) == 0) touch(info.type, strlen(info.type));
  }
}
static void use_number(struct script *s) {
  uint64_t by = script_take(s, 8);
  double real = (double)(int64_t)by, seen = 1;
  void *at = NULL;
  if (!opened.array.shm || shoal_array_at(&opened.array, index_of(s), &at)) return;
  int64_t *whole = at, old = 3;
  switch (script_below(s, 8)) {
    case 0: sum += (uint64_t)shoal_int64_add(whole, (int64_t)by); break;
    case 1: sum += (uint64_t)shoal_int64_min(whole, (int64_t)by); break;
    case 2: sum += (uint64_t)shoal_int64_max(whole, (int64_t)by); break;
    case 3: sum += (uint64_t)shoal_int64_cas(whole, &old, (int64_t)by); break;
    case 4: sum += shoal_double_add(at, real) > 0; break;
    case 5: sum += shoal_double_min(at, real) > 0; break;
    case 6: sum += shoal_double_max(at, real) > 0; break;
    default: sum += (uint64_t)shoal_double_cas(at, &seen, real);
  }
}

// ---- vectors, texts ----

static void use_vector(struct script *s, struct shoal_vector *v) {
  static const struct element some[NUMBERS] = {{{4, 5, 6}}};
  struct shoal_vector_info info;
  struct element one;
  void *at = NULL;
  uint64_t index = script_below(s, 4) ? script_below(s, 120) : script_take(s, 8);
  switch (script_below(s, 6)) {
    case 0:
      if (shoal_vector_get(v, index, &one) == 0) touch(&one, sizeof one);
      break;
    case 1:
      if (shoal_vector_at(v, index, &at) == 0) touch(at, v->size), memset(at, 'v', v->size);
      break;
    case 2: (void)!samples_append(v, some, NULL, SHOAL_TRY); break;
    case 3: (void)!samples_extend(v, some, script_below(s, NUMBERS), &index, SHOAL_TRY); break;
    case 4: (void)!shoal_vector_grow(v, index % 300, SHOAL_TRY); break;
    default:
      if (shoal_vector_info(v, &info) == 0) touch(info.type, strlen(info.type));
  }
}

static int change(char *bytes, uint64_t *length, uint64_t capacity, void *arg) {
  uint32_t n = script_below(arg, TEXT + 4);
  touch(bytes, *length);
  memset(bytes, 'c', n < capacity ? n : capacity);
  *length = n;
  return script_below(arg, 3) ? 0 : -ECANCELED;
}
static void use_text(struct script *s, struct shoal_text *t) {
  char some[2 * TEXT + 1], copy[2 * TEXT];
  uint64_t n = script_below(s, sizeof copy), length = 0;
  struct shoal_text_info info;
  memset(some, 't', sizeof some);
  switch (script_below(s, 6)) {
    case 0:
      if (shoal_text_get(t, copy, n, &length) == 0) touch(copy, length + 1);
      break;
    case 1: (void)!shoal_text_set(t, some, n, SHOAL_TRY); break;
    case 2: (void)!shoal_text_append(t, some, n, SHOAL_TRY); break;
    case 3: (void)!shoal_text_printf(t, SHOAL_TRY, "%.*s of %lu", (int)n, some, (unsigned long)n); break;
    case 4: (void)!shoal_text_update(t, change, s, SHOAL_TRY); break;
    default: (void)!shoal_text_info(t, &info), sum += shoal_text_length(t);
  }
}

// ---- containers inside one another ----

static void take_dict(struct script *s, struct shoal_dict *d, int rc) {
  struct shoal_dict **slot = &opened.dict[1 + script_below(s, 2)];
  if (rc < 0) return;
  if (*slot) (void)shoal_dict_close(*slot);
  *slot = d;
}
static void take_list(struct script *s, struct shoal_list *l, int rc) {
  struct shoal_list **slot = &opened.list[script_below(s, 2)];
  if (rc < 0) return;
  if (*slot) (void)shoal_list_close(*slot);
  *slot = l;
}
static void take_namespace(struct shoal_namespace *ns, int rc) {
  if (rc < 0) return;
  if (opened.namespace) (void)shoal_namespace_close(opened.namespace);
  opened.namespace = ns;
}
static void open_handle(struct script *s, struct shoal_segment *seg, int type, const void *value, uint64_t size) {
  struct shoal_dict *d = NULL;
  struct shoal_list *l = NULL;
  struct shoal_namespace *ns = NULL;
  int rc = -1;
  if (type == SHOAL_NESTED_DICT) rc = shoal_nested_open_dict(seg, value, size, &d), take_dict(s, d, rc);
  if (type == SHOAL_NESTED_LIST) rc = shoal_nested_open_list(seg, value, size, &l), take_list(s, l, rc);
  if (type == SHOAL_NESTED_NAMESPACE) rc = shoal_nested_open_namespace(seg, value, size, &ns), take_namespace(ns, rc);
  sum += (uint64_t)rc;
}
static void walk_dict(struct script *s, struct shoal_segment *seg, struct shoal_dict *d) {
  struct shoal_dict_snapshot all;
  struct shoal_dict_item item;
  if (shoal_dict_snapshot(d, &all, SHOAL_TRY)) return;
  while (shoal_dict_next(&all, &item)) {
    touch(item.key, item.key_size), touch(item.value, item.size);
    if (script_below(s, 3) == 0) open_handle(s, seg, shoal_dict_next_type(&all, &item), item.value, item.size);
  }
  shoal_dict_snapshot_free(&all);
}
static void walk_list(struct script *s, struct shoal_segment *seg, struct shoal_list *l) {
  struct shoal_list_slice all;
  struct iovec v;
  if (shoal_list_slice(l, 0, SHOAL_LIST_END, &all, SHOAL_TRY)) return;
  while (shoal_list_next(&all, &v)) {
    touch(v.iov_base, v.iov_len);
    if (script_below(s, 3) == 0) open_handle(s, seg, shoal_list_next_type(&all, &v), v.iov_base, v.iov_len);
  }
  shoal_list_slice_free(&all);
}
static void use_dict(struct script *s, struct shoal_segment *seg, struct shoal_dict *d) {
  char key = (char)('a' + script_below(s, 6)), text[32];
  struct shoal_dict *in = opened.dict[1 + script_below(s, 2)];
  struct shoal_list *l = opened.list[script_below(s, 2)];
  struct shoal_namespace *ns = opened.namespace;
  uint64_t n;
  int rc;
  switch (script_below(s, 14)) {
    case 0: rc = shoal_dict_get_dict(d, &key, 1, &in), take_dict(s, in, rc); break;
    case 1: rc = shoal_dict_get_list(d, &key, 1, &l), take_list(s, l, rc); break;
    case 2: rc = shoal_dict_get_namespace(d, &key, 1, &ns), take_namespace(ns, rc); break;
    case 3: rc = shoal_dict_setdefault_dict(d, &key, 1, NULL, &in, SHOAL_TRY), take_dict(s, in, rc); break;
    case 4: rc = shoal_dict_setdefault_list(d, &key, 1, &l, SHOAL_TRY), take_list(s, l, rc); break;
    case 5: rc = shoal_dict_setdefault_namespace(d, &key, 1, &ns, SHOAL_TRY), take_namespace(ns, rc); break;
    case 6: rc = shoal_dict_pop_dict(d, &key, 1, &in, SHOAL_TRY), take_dict(s, in, rc); break;
    case 7: rc = shoal_dict_pop_list(d, &key, 1, &l, SHOAL_TRY), take_list(s, l, rc); break;
    case 8:
      if (in) (void)shoal_dict_set_dict(d, &key, 1, in, SHOAL_TRY);
      break;
    case 9:
      if (l) (void)shoal_dict_set_list(d, &key, 1, l, SHOAL_TRY);
      break;
    case 10:
      if (ns) (void)shoal_dict_set_namespace(d, &key, 1, ns, SHOAL_TRY);
      break;
    case 11:
      (void)(script_below(s, 4) ? shoal_dict_remove(d, &key, 1, SHOAL_TRY) : shoal_dict_clear(d, SHOAL_TRY));
      break;
    case 12:
      (void)shoal_dict_set(d, &key, 1, "bytes", script_below(s, 6), SHOAL_TRY);
      if (shoal_dict_get(d, &key, 1, text, sizeof text, &n) == 0) touch(text, n);
      sum += (uint64_t)shoal_dict_type(d, &key, 1);
      break;
    default: walk_dict(s, seg, d);
  }
}
static void use_list(struct script *s, struct shoal_segment *seg, struct shoal_list *l) {
  struct shoal_list *in = opened.list[script_below(s, 2)];
  struct shoal_dict *d = opened.dict[1 + script_below(s, 2)];
  struct shoal_namespace *ns = opened.namespace;
  int64_t index = (int8_t)script_below(s, 8) - 4;
  int rc;
  switch (script_below(s, 10)) {
    case 0: rc = shoal_list_get_dict(l, index, &d), take_dict(s, d, rc); break;
    case 1: rc = shoal_list_get_list(l, index, &in), take_list(s, in, rc); break;
    case 2: rc = shoal_list_pop_list(l, index, &in, SHOAL_TRY), take_list(s, in, rc); break;
    case 3:
      if (d) (void)shoal_list_append_dict(l, d, SHOAL_TRY);
      break;
    case 4:
      if (in) (void)shoal_list_insert_list(l, index, in, SHOAL_TRY);
      break;
    case 5:
      if (ns) (void)shoal_list_set_namespace(l, index, ns, SHOAL_TRY);
      break;
    case 6: (void)(script_below(s, 4) ? shoal_list_delete(l, index, SHOAL_TRY) : shoal_list_clear(l, SHOAL_TRY)); break;
    case 7: (void)(script_below(s, 2) ? shoal_list_reverse(l, SHOAL_TRY) : shoal_list_repeat(l, 2, SHOAL_TRY)); break;
    case 8: (void)shoal_list_append(l, "bytes", 5, SHOAL_TRY), sum += (uint64_t)shoal_list_type(l, index); break;
    default: walk_list(s, seg, l);
  }
}
static void use_nested(struct script *s, struct shoal_segment *seg) {
  uint32_t which = script_below(s, 6);
  if (which < 3 && opened.dict[which]) use_dict(s, seg, opened.dict[which]);
  if (which >= 3 && which < 5 && opened.list[which - 3]) use_list(s, seg, opened.list[which - 3]);
  if (which == 5 && opened.namespace) use_dict(s, seg, shoal_namespace_dict(opened.namespace));
}

// ---- a script ----

static void open_all(struct shoal_segment *seg) {
  memset(&opened, 0, sizeof opened);
  (void)!elements_open(seg, "array", COUNT, &opened.array);
  (void)!number_open(seg, "value", &opened.value);
  (void)!samples_open(seg, "vector", &opened.vector);
  (void)!shoal_text_open(seg, "text", TEXT, &opened.text);
  (void)!shoal_dict_open(seg, "dict", &opened.dict[0]);
}
static void close_all(struct shoal_segment *seg) {
  if (opened.namespace) (void)shoal_namespace_close(opened.namespace);
  for (unsigned i = 0; i < 2; i++)
    if (opened.list[i]) (void)shoal_list_close(opened.list[i]);
  for (unsigned i = 3; i--;)
    if (opened.dict[i]) (void)shoal_dict_close(opened.dict[i]);
  if (opened.text.lock) (void)shoal_text_close(seg, &opened.text);
  if (opened.vector.shm) (void)shoal_vector_close(&opened.vector);
  if (opened.value.shm) (void)shoal_array_close(seg, &opened.value);
  if (opened.array.shm) (void)shoal_array_close(seg, &opened.array);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct script s = {data, data + size};
  struct shoal_segment *seg = stage_take(&s);
  open_all(seg);
  while (stage_left(&s)) {
    switch (script_below(&s, 10)) {
      case 0:
      case 1: stage_edit(&s); break;
      case 2:
        if (opened.array.shm) use_array(&s, &opened.array);
        break;
      case 3:
        if (opened.value.shm) use_array(&s, &opened.value);
        break;
      case 4: use_number(&s); break;
      case 5:
        if (opened.vector.shm) use_vector(&s, &opened.vector);
        break;
      case 6:
        if (opened.text.lock) use_text(&s, &opened.text);
        break;
      default: use_nested(&s, seg);
    }
  }
  close_all(seg);
  stage_close();
  return 0;
}
