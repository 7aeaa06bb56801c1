#include "ipc/data/packed.h"

#include <stdlib.h>

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
