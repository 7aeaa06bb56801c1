#include "ipc/data/packed.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// Packs what follows the format into `m`, in `rc`.
#define PACK(m, rc, format)                 \
  do {                                      \
    va_list args;                           \
    va_start(args, format);                 \
    (rc) = shoal_vpack(&(m), format, args); \
    va_end(args);                           \
  } while (0)
// The same, of `m` into what follows it.
#define UNPACK(m, rc, format)                                 \
  do {                                                        \
    va_list args;                                             \
    va_start(args, format);                                   \
    (rc) = shoal_vunpack((m)->data, (m)->size, format, args); \
    va_end(args);                                             \
  } while (0)

// The value, from malloc, is m's from here on.
static void keep(struct shoal_packed *m, void *value, uint64_t size) {
  shoal_packed_free(m);
  *m = (struct shoal_packed){value, size, size + 1};
}

int shoal_dict_set_packed(struct shoal_dict *d, const void *key, uint64_t key_size, shoal_deadline deadline,
                          const char *format, ...) {
  struct shoal_packed m = {.data = NULL};
  int rc;
  PACK(m, rc, format);
  if (rc == 0) rc = shoal_dict_set(d, key, key_size, m.data, m.size, deadline);
  shoal_packed_free(&m);
  return rc;
}
int shoal_dict_get_packed(struct shoal_dict *d, const void *key, uint64_t key_size, struct shoal_packed *m,
                          const char *format, ...) {
  void *value = NULL;
  uint64_t size = 0;
  int rc = shoal_dict_get_alloc(d, key, key_size, &value, &size);
  if (rc) return rc;
  keep(m, value, size);
  UNPACK(m, rc, format);
  return rc;
}

int shoal_dict_setdefault_packed(struct shoal_dict *d, const void *key, uint64_t key_size, struct shoal_packed *m,
                                 shoal_deadline deadline, const char *format, ...) {
  struct shoal_packed fresh = {.data = NULL};
  int rc;
  PACK(fresh, rc, format);
  while (rc == 0) {  // until one of the two answers: another may set it, or take it away, between them
    void *value = NULL;
    uint64_t size = 0;
    rc = shoal_dict_get_alloc(d, key, key_size, &value, &size);
    if (rc == 0) keep(m, value, size);
    if (rc != -ENOENT) {
      rc = rc ? rc : 1;
      break;
    }
    rc = shoal_dict_compare_and_set(d, key, key_size, NULL, 0, fresh.data, fresh.size, deadline);
    if (rc != SHOAL_DICT_OTHER) break;
    rc = 0;
  }
  shoal_packed_free(&fresh);
  return rc;
}
int shoal_dict_pop_packed(struct shoal_dict *d, const void *key, uint64_t key_size, struct shoal_packed *m,
                          shoal_deadline deadline, const char *format, ...) {
  void *value = NULL;
  uint64_t size = 0;
  int rc = shoal_dict_pop_alloc(d, key, key_size, &value, &size, deadline);
  if (rc) return rc;
  keep(m, value, size);
  UNPACK(m, rc, format);
  return rc;
}

int shoal_namespace_set_packed(struct shoal_namespace *ns, const char *attribute, shoal_deadline deadline,
                               const char *format, ...) {
  struct shoal_packed m = {.data = NULL};
  int rc;
  PACK(m, rc, format);
  if (rc == 0) rc = shoal_namespace_set(ns, attribute, m.data, m.size, deadline);
  shoal_packed_free(&m);
  return rc;
}
int shoal_namespace_get_packed(struct shoal_namespace *ns, const char *attribute, struct shoal_packed *m,
                               const char *format, ...) {
  void *value = NULL;
  uint64_t size = 0;
  int rc = shoal_namespace_get_alloc(ns, attribute, &value, &size);
  if (rc) return rc;
  keep(m, value, size);
  UNPACK(m, rc, format);
  return rc;
}

int shoal_list_append_packed(struct shoal_list *l, shoal_deadline deadline, const char *format, ...) {
  struct shoal_packed m = {.data = NULL};
  int rc;
  PACK(m, rc, format);
  if (rc == 0) rc = shoal_list_append(l, m.data, m.size, deadline);
  shoal_packed_free(&m);
  return rc;
}
int shoal_list_set_packed(struct shoal_list *l, int64_t index, shoal_deadline deadline, const char *format, ...) {
  struct shoal_packed m = {.data = NULL};
  int rc;
  PACK(m, rc, format);
  if (rc == 0) rc = shoal_list_set(l, index, m.data, m.size, deadline);
  shoal_packed_free(&m);
  return rc;
}
int shoal_list_get_packed(struct shoal_list *l, int64_t index, struct shoal_packed *m, const char *format, ...) {
  void *value = NULL;
  uint64_t size = 0;
  int rc = shoal_list_get_alloc(l, index, &value, &size);
  if (rc) return rc;
  keep(m, value, size);
  UNPACK(m, rc, format);
  return rc;
}

int shoal_list_insert_packed(struct shoal_list *l, int64_t index, shoal_deadline deadline, const char *format, ...) {
  struct shoal_packed m = {.data = NULL};
  int rc;
  PACK(m, rc, format);
  if (rc == 0) rc = shoal_list_insert(l, index, m.data, m.size, deadline);
  shoal_packed_free(&m);
  return rc;
}
int shoal_list_pop_packed(struct shoal_list *l, int64_t index, struct shoal_packed *m, shoal_deadline deadline,
                          const char *format, ...) {
  void *value = NULL;
  uint64_t size = 0;
  int rc = shoal_list_pop_alloc(l, index, &value, &size, deadline);
  if (rc) return rc;
  keep(m, value, size);
  UNPACK(m, rc, format);
  return rc;
}

// Each value of the packed list m, in its bytes.
static int extend(struct shoal_list *l, const struct shoal_packed *m, shoal_deadline deadline) {
  struct shoal_reader r;
  struct shoal_value v;
  shoal_reader_begin(&r, m->data, m->size);
  int rc = shoal_reader_next(&r, &v);
  if (rc == 0 && v.type != SHOAL_VALUE_LIST) rc = shoal_fail_(-EINVAL, "the format makes no list");
  if (rc == 0) rc = shoal_reader_enter(&r);
  if (rc) return rc;
  struct iovec *values = calloc(v.count ? v.count : 1, sizeof *values);
  if (!values) return shoal_fail_(-ENOMEM, "%llu values", (unsigned long long)v.count);
  for (uint64_t i = 0; i < v.count && !rc; i++) {
    const void *data = NULL;
    uint64_t size = 0;
    rc = shoal_reader_raw(&r, &data, &size);
    values[i] = (struct iovec){(void *)(uintptr_t)data, size};
  }
  if (rc == 0) rc = shoal_list_extend(l, values, v.count, deadline);
  free(values);
  return rc;
}
int shoal_list_extend_packed(struct shoal_list *l, shoal_deadline deadline, const char *format, ...) {
  struct shoal_packed m = {.data = NULL};
  int rc;
  PACK(m, rc, format);
  if (rc == 0) rc = extend(l, &m, deadline);
  shoal_packed_free(&m);
  return rc;
}

int shoal_list_remove_packed(struct shoal_list *l, shoal_deadline deadline, const char *format, ...) {
  struct shoal_packed m = {.data = NULL};
  int rc;
  PACK(m, rc, format);
  if (rc == 0) rc = shoal_list_remove(l, m.data, m.size, deadline);
  shoal_packed_free(&m);
  return rc;
}
int shoal_list_index_packed(struct shoal_list *l, int64_t from, uint64_t *index, shoal_deadline deadline,
                            const char *format, ...) {
  struct shoal_packed m = {.data = NULL};
  int rc;
  PACK(m, rc, format);
  if (rc == 0) rc = shoal_list_index(l, m.data, m.size, from, index, deadline);
  shoal_packed_free(&m);
  return rc;
}
int shoal_list_count_packed(struct shoal_list *l, uint64_t *n, shoal_deadline deadline, const char *format, ...) {
  struct shoal_packed m = {.data = NULL};
  int rc;
  PACK(m, rc, format);
  if (rc == 0) rc = shoal_list_count(l, m.data, m.size, n, deadline);
  shoal_packed_free(&m);
  return rc;
}
int shoal_list_contains_packed(struct shoal_list *l, shoal_deadline deadline, const char *format, ...) {
  struct shoal_packed m = {.data = NULL};
  int rc;
  PACK(m, rc, format);
  if (rc == 0) rc = shoal_list_contains(l, m.data, m.size, deadline);
  shoal_packed_free(&m);
  return rc;
}

// ---- order ----

static int sign(int above, int below) { return above - below; }
static int by_bytes(const struct shoal_value *a, const struct shoal_value *b) {
  uint64_t n = a->size < b->size ? a->size : b->size;
  int c = n ? memcmp(a->data, b->data, n) : 0;
  return c ? c : sign(a->size > b->size, a->size < b->size);
}
static int by_float(double a, double b) {
  if (isnan(a) || isnan(b)) return sign(isnan(a) != 0, isnan(b) != 0);
  return sign(a > b, a < b);
}
// An int, which is u if it is above INT64_MAX, and a float: by what is before the point, then by what is behind it.
static int int_to_float(const struct shoal_value *a, double f) {
  const double limit = 9223372036854775808.0;  // 2^63
  if (isnan(f)) return -1;
  if (a->type == SHOAL_VALUE_UINT) {
    if (f < limit || f >= 2 * limit) return f < limit ? 1 : -1;
    return sign(a->u > (uint64_t)f, a->u < (uint64_t)f);
  }
  if (f < -limit || f >= limit) return f < 0 ? 1 : -1;
  int64_t whole = (int64_t)f;
  double rest = f - (double)whole;
  return a->i != whole ? sign(a->i > whole, a->i < whole) : sign(rest<0, rest> 0);
}
static int by_number(const struct shoal_value *a, const struct shoal_value *b) {
  if (a->type == SHOAL_VALUE_FLOAT) return b->type == SHOAL_VALUE_FLOAT ? by_float(a->f, b->f) : -int_to_float(b, a->f);
  if (b->type == SHOAL_VALUE_FLOAT) return int_to_float(a, b->f);
  int above = a->type == SHOAL_VALUE_UINT, below = b->type == SHOAL_VALUE_UINT;
  if (above && below) return sign(a->u > b->u, a->u < b->u);
  return above || below ? sign(above, below) : sign(a->i > b->i, a->i < b->i);
}

// Of what is compared with each other: bools and all numbers are one kind.
static unsigned kind_of(const struct shoal_value *v) {
  return v->type >= SHOAL_VALUE_BOOL && v->type <= SHOAL_VALUE_FLOAT ? SHOAL_VALUE_BOOL : v->type;
}
// But for what is inside a list or a map.
static int by_value(const struct shoal_value *a, const struct shoal_value *b) {
  unsigned of_a = kind_of(a), of_b = kind_of(b);
  if (of_a != of_b) return sign(of_a > of_b, of_a < of_b);
  switch (of_a) {
    case SHOAL_VALUE_BOOL: return by_number(a, b);
    case SHOAL_VALUE_STR:
    case SHOAL_VALUE_BYTES: return by_bytes(a, b);
    case SHOAL_VALUE_EXT: return a->ext != b->ext ? sign(a->ext > b->ext, a->ext < b->ext) : by_bytes(a, b);
    default: return 0;
  }
}

// Both are walked step by step: the first that differs decides; the end of a list comes before any value, damage behind
// all.
int shoal_packed_compare(const struct iovec *a, const struct iovec *b, void *unused) {
  struct shoal_reader of_a, of_b;
  unsigned depth = 0;
  (void)unused;
  shoal_reader_begin(&of_a, a->iov_base, a->iov_len);
  shoal_reader_begin(&of_b, b->iov_base, b->iov_len);
  for (;;) {
    struct shoal_value va, vb;
    int ra = shoal_reader_next(&of_a, &va), rb = shoal_reader_next(&of_b, &vb);
    int order = ra || rb ? sign(ra && ra != -EPIPE, rb && rb != -EPIPE) : by_value(&va, &vb);
    if (order == 0 && (ra == -EPIPE) != (rb == -EPIPE)) order = ra ? -1 : 1;
    if (order || (ra && ra != -EPIPE)) return order;
    if (ra == 0 && (va.type == SHOAL_VALUE_LIST || va.type == SHOAL_VALUE_MAP)) {
      (void)shoal_reader_enter(&of_a), (void)shoal_reader_enter(&of_b);
      depth++;
    }
    if (ra == 0) continue;
    if (depth-- == 0) return 0;
    (void)shoal_reader_leave(&of_a), (void)shoal_reader_leave(&of_b);
  }
}
