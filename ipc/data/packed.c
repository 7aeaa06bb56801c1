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
