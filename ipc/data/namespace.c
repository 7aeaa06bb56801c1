#include "ipc/data/namespace.h"

#include "ipc/data/dict_internal.h"
#include "ipc/data/nested.h"

#define TYPE "namespace"
static const struct shoal_dict_options options = {.stripes = 8};

// A namespace is seen as the dict that it is.
static struct shoal_dict *dict_of(struct shoal_namespace *ns) { return (struct shoal_dict *)ns; }
struct shoal_dict *shoal_namespace_dict(struct shoal_namespace *ns) {
  return dict_of(ns);
}
static struct shoal_dict **as_dict(struct shoal_namespace **out) { return (struct shoal_dict **)(void *)out; }

int shoal_namespace_create(struct shoal_segment *seg, const char *name, struct shoal_namespace **out) {
  return shoal_dict_create_as_(seg, name, TYPE, &options, as_dict(out));
}
int shoal_namespace_open(struct shoal_segment *seg, const char *name, struct shoal_namespace **out) {
  return shoal_dict_open_as_(seg, name, TYPE, as_dict(out));
}
int shoal_namespace_open_or_create(struct shoal_segment *seg, const char *name, struct shoal_namespace **out) {
  return shoal_dict_open_or_create_as_(seg, name, TYPE, &options, as_dict(out));
}
int shoal_namespace_close(struct shoal_namespace *ns) { return shoal_dict_close(dict_of(ns)); }
int shoal_namespace_unlink(struct shoal_segment *seg, const char *name) {
  return shoal_object_remove_typed(seg, name, TYPE);
}

// 0, and its length.
static int check(const char *attribute, uint64_t *length) {
  *length = strnlen(attribute, SHOAL_ATTRIBUTE_MAX + 1);
  if (*length == 0) return shoal_fail_(-EINVAL, "an attribute without a name");
  if (*length > SHOAL_ATTRIBUTE_MAX)
    return shoal_fail_(-ENAMETOOLONG, "an attribute's name has at most %u bytes", SHOAL_ATTRIBUTE_MAX);
  return 0;
}

int shoal_namespace_set(struct shoal_namespace *ns, const char *attribute, const void *value, uint64_t size,
                        shoal_deadline deadline) {
  uint64_t n;
  int rc = check(attribute, &n);
  return rc ? rc : shoal_dict_set(dict_of(ns), attribute, n, value, size, deadline);
}
int shoal_namespace_get(struct shoal_namespace *ns, const char *attribute, void *buffer, uint64_t capacity,
                        uint64_t *size) {
  uint64_t n;
  int rc = check(attribute, &n);
  return rc ? rc : shoal_dict_get(dict_of(ns), attribute, n, buffer, capacity, size);
}
int shoal_namespace_get_alloc(struct shoal_namespace *ns, const char *attribute, void **value, uint64_t *size) {
  uint64_t n;
  int rc = check(attribute, &n);
  return rc ? rc : shoal_dict_get_alloc(dict_of(ns), attribute, n, value, size);
}
int shoal_namespace_has(struct shoal_namespace *ns, const char *attribute) {
  uint64_t n;
  int rc = check(attribute, &n);
  return rc ? rc : shoal_dict_contains(dict_of(ns), attribute, n);
}
int shoal_namespace_delete(struct shoal_namespace *ns, const char *attribute, shoal_deadline deadline) {
  uint64_t n;
  int rc = check(attribute, &n);
  return rc ? rc : shoal_dict_remove(dict_of(ns), attribute, n, deadline);
}

int shoal_namespace_list(struct shoal_namespace *ns,
                         int (*each)(const char *attribute, int type, const void *value, uint64_t size, void *arg),
                         void *arg, shoal_deadline deadline) {
  struct shoal_dict_snapshot all;
  struct shoal_dict_item item;
  int rc = shoal_dict_snapshot(dict_of(ns), &all, deadline);
  if (rc) return rc;
  while (!rc && shoal_dict_next(&all, &item)) {
    char attribute[SHOAL_ATTRIBUTE_MAX + 1];
    if (item.key_size > SHOAL_ATTRIBUTE_MAX) continue;  // nobody sets such a one
    memcpy(attribute, item.key, item.key_size);
    attribute[item.key_size] = 0;
    int type = shoal_dict_next_type(&all, &item);
    rc = type < 0 ? type : each(attribute, type, item.value, item.size, arg);
  }
  shoal_dict_snapshot_free(&all);
  return rc;
}

int shoal_namespace_info(struct shoal_namespace *ns, struct shoal_dict_info *out) {
  return shoal_dict_info(dict_of(ns), out);
}
