#include "ipc/data/nested.h"

#include "ipc/data/dict_internal.h"
#include "ipc/data/list_internal.h"

#define TYPES 4u
static const char *const names[TYPES] = {"container", "dict", "list", "namespace"};
const char *shoal_nested_name_(uint32_t type) { return names[type < TYPES ? type : 0]; }
uint32_t shoal_nested_type_(const char *name) {
  uint32_t type = TYPES - 1;
  while (type && strcmp(names[type], name) != 0) type--;
  return type;
}

// ---- what is put ----

struct inner {
  const struct shoal_object *object;
  const struct shoal_keep_ *keep;
  uint32_t named, type;
};
static struct inner a_dict(const struct shoal_dict *d) {
  return (struct inner){&d->object, &d->keep, d->named, d->is_a};  // a namespace's stays one
}
static struct inner a_list(const struct shoal_list *l) {
  return (struct inner){&l->object, &l->keep, l->named, SHOAL_NESTED_LIST};
}
static struct inner a_namespace(struct shoal_namespace *ns) { return a_dict(shoal_namespace_dict(ns)); }
static int check(const struct shoal_keep_ *outer, const struct inner *inner) {
  if (outer->seg != inner->keep->seg) return shoal_fail_(-EINVAL, "it is in another segment");
  return inner->named ? 0 : shoal_fail_(-EINVAL, "it lies in another object: only what has its own is inside others");
}

static int put(struct shoal_dict *d, const void *key, uint64_t key_size, struct inner inner, int anew,
               shoal_deadline deadline) {
  int rc = check(&d->keep, &inner);
  return rc ? rc : shoal_dict_nest_(d, key, key_size, inner.object, inner.type, anew, deadline);
}
int shoal_dict_set_dict(struct shoal_dict *d, const void *key, uint64_t key_size, struct shoal_dict *inner,
                        shoal_deadline deadline) {
  return put(d, key, key_size, a_dict(inner), 0, deadline);
}
int shoal_dict_set_list(struct shoal_dict *d, const void *key, uint64_t key_size, struct shoal_list *inner,
                        shoal_deadline deadline) {
  return put(d, key, key_size, a_list(inner), 0, deadline);
}
int shoal_dict_set_namespace(struct shoal_dict *d, const void *key, uint64_t key_size, struct shoal_namespace *inner,
                             shoal_deadline deadline) {
  return put(d, key, key_size, a_namespace(inner), 0, deadline);
}

static int put_in(struct shoal_list *l, int64_t index, int replaces, struct inner inner, shoal_deadline deadline) {
  int rc = check(&l->keep, &inner);
  return rc ? rc : shoal_list_nest_(l, index, replaces, inner.object, inner.type, deadline);
}
int shoal_list_append_dict(struct shoal_list *l, struct shoal_dict *inner, shoal_deadline deadline) {
  return put_in(l, SHOAL_LIST_END, 0, a_dict(inner), deadline);
}
int shoal_list_append_list(struct shoal_list *l, struct shoal_list *inner, shoal_deadline deadline) {
  return put_in(l, SHOAL_LIST_END, 0, a_list(inner), deadline);
}
int shoal_list_append_namespace(struct shoal_list *l, struct shoal_namespace *inner, shoal_deadline deadline) {
  return put_in(l, SHOAL_LIST_END, 0, a_namespace(inner), deadline);
}
int shoal_list_insert_dict(struct shoal_list *l, int64_t index, struct shoal_dict *inner, shoal_deadline deadline) {
  return put_in(l, index, 0, a_dict(inner), deadline);
}
int shoal_list_insert_list(struct shoal_list *l, int64_t index, struct shoal_list *inner, shoal_deadline deadline) {
  return put_in(l, index, 0, a_list(inner), deadline);
}
int shoal_list_insert_namespace(struct shoal_list *l, int64_t index, struct shoal_namespace *inner,
                                shoal_deadline deadline) {
  return put_in(l, index, 0, a_namespace(inner), deadline);
}
int shoal_list_set_dict(struct shoal_list *l, int64_t index, struct shoal_dict *inner, shoal_deadline deadline) {
  return put_in(l, index, 1, a_dict(inner), deadline);
}
int shoal_list_set_list(struct shoal_list *l, int64_t index, struct shoal_list *inner, shoal_deadline deadline) {
  return put_in(l, index, 1, a_list(inner), deadline);
}
int shoal_list_set_namespace(struct shoal_list *l, int64_t index, struct shoal_namespace *inner,
                             shoal_deadline deadline) {
  return put_in(l, index, 1, a_namespace(inner), deadline);
}

// ---- what is opened ----

static int is_a(const struct shoal_handle_shm *h, uint32_t type) {
  if (h->type == type) return 0;
  return shoal_fail_(-EBADMSG, "it is a %s, no %s", shoal_nested_name_(h->type), shoal_nested_name_(type));
}
static int open_as(struct shoal_keep_ *k, const struct shoal_handle_shm *h, uint32_t type, void **out) {
  struct shoal_dict *d = NULL;
  int rc = is_a(h, type);
  if (rc == 0) rc = shoal_dict_open_at_(k->seg, h, names[type], &d);
  if (rc == 0) *out = d;
  return rc;
}
static int open_dict(struct shoal_keep_ *k, const struct shoal_handle_shm *h, void **out) {
  return open_as(k, h, SHOAL_NESTED_DICT, out);
}
static int open_namespace(struct shoal_keep_ *k, const struct shoal_handle_shm *h, void **out) {
  return open_as(k, h, SHOAL_NESTED_NAMESPACE, out);
}
static int open_list(struct shoal_keep_ *k, const struct shoal_handle_shm *h, void **out) {
  struct shoal_list *l = NULL;
  int rc = is_a(h, SHOAL_NESTED_LIST);
  if (rc == 0) rc = shoal_list_open_at_(k->seg, h, &l);
  if (rc == 0) *out = l;
  return rc;
}

// What was led to and is no more was removed between the two looks: so there is something else to be found, or damage.
#define LOOKS 1000
static int damaged(void) { return shoal_fail_(-EPROTO, "an entry leads to a container that is no more"); }

static int get(struct shoal_dict *d, const void *key, uint64_t key_size,
               int (*open)(struct shoal_keep_ *, const struct shoal_handle_shm *, void **), void **out) {
  for (int looks = 0; looks < LOOKS; looks++) {
    struct shoal_handle_shm h;
    int rc = shoal_dict_handle_(d, key, key_size, &h);
    if (rc) return rc;
    rc = open(&d->keep, &h, out);
    if (rc != -ENOENT) return rc;
  }
  return damaged();
}
int shoal_dict_get_dict(struct shoal_dict *d, const void *key, uint64_t key_size, struct shoal_dict **out) {
  return get(d, key, key_size, open_dict, (void **)out);
}
int shoal_dict_get_list(struct shoal_dict *d, const void *key, uint64_t key_size, struct shoal_list **out) {
  return get(d, key, key_size, open_list, (void **)out);
}
int shoal_dict_get_namespace(struct shoal_dict *d, const void *key, uint64_t key_size, struct shoal_namespace **out) {
  return get(d, key, key_size, open_namespace, (void **)out);
}

static int get_in(struct shoal_list *l, int64_t index,
                  int (*open)(struct shoal_keep_ *, const struct shoal_handle_shm *, void **), void **out) {
  for (int looks = 0; looks < LOOKS; looks++) {
    struct shoal_handle_shm h;
    int rc = shoal_list_handle_(l, index, &h);
    if (rc) return rc;
    rc = open(&l->keep, &h, out);
    if (rc != -ENOENT) return rc;
  }
  return damaged();
}
int shoal_list_get_dict(struct shoal_list *l, int64_t index, struct shoal_dict **out) {
  return get_in(l, index, open_dict, (void **)out);
}
int shoal_list_get_list(struct shoal_list *l, int64_t index, struct shoal_list **out) {
  return get_in(l, index, open_list, (void **)out);
}
int shoal_list_get_namespace(struct shoal_list *l, int64_t index, struct shoal_namespace **out) {
  return get_in(l, index, open_namespace, (void **)out);
}

int shoal_dict_pop_dict(struct shoal_dict *d, const void *key, uint64_t key_size, struct shoal_dict **out,
                        shoal_deadline deadline) {
  return shoal_dict_take_(d, key, key_size, open_dict, (void **)out, deadline);
}
int shoal_dict_pop_list(struct shoal_dict *d, const void *key, uint64_t key_size, struct shoal_list **out,
                        shoal_deadline deadline) {
  return shoal_dict_take_(d, key, key_size, open_list, (void **)out, deadline);
}
int shoal_dict_pop_namespace(struct shoal_dict *d, const void *key, uint64_t key_size, struct shoal_namespace **out,
                             shoal_deadline deadline) {
  return shoal_dict_take_(d, key, key_size, open_namespace, (void **)out, deadline);
}
int shoal_list_pop_dict(struct shoal_list *l, int64_t index, struct shoal_dict **out, shoal_deadline deadline) {
  void *got = NULL;
  int rc = shoal_list_take_(l, index, open_dict, &got, deadline);
  if (rc == 0) *out = got;
  else if (got) (void)shoal_dict_close(got);
  return rc;
}
int shoal_list_pop_list(struct shoal_list *l, int64_t index, struct shoal_list **out, shoal_deadline deadline) {
  void *got = NULL;
  int rc = shoal_list_take_(l, index, open_list, &got, deadline);
  if (rc == 0) *out = got;
  else if (got) (void)shoal_list_close(got);
  return rc;
}
int shoal_list_pop_namespace(struct shoal_list *l, int64_t index, struct shoal_namespace **out,
                             shoal_deadline deadline) {
  void *got = NULL;
  int rc = shoal_list_take_(l, index, open_namespace, &got, deadline);
  if (rc == 0) *out = got;
  else if (got) (void)shoal_namespace_close(got);
  return rc;
}

// ---- or made ----

// Until one of the two answers: another may put it there, or take it away, between them.
int shoal_dict_setdefault_dict(struct shoal_dict *d, const void *key, uint64_t key_size,
                               const struct shoal_dict_options *options, struct shoal_dict **out,
                               shoal_deadline deadline) {
  for (;;) {
    struct shoal_dict *made = NULL;
    int rc = shoal_dict_get_dict(d, key, key_size, out);
    if (rc != -ENOENT) return rc ? rc : 1;
    rc = shoal_dict_create(d->keep.seg, NULL, options, &made);
    if (rc) return rc;
    rc = put(d, key, key_size, a_dict(made), 1, deadline);
    if (rc == 0) *out = made;
    else (void)shoal_dict_close(made);
    if (rc != SHOAL_DICT_OTHER) return rc;
  }
}
int shoal_dict_setdefault_list(struct shoal_dict *d, const void *key, uint64_t key_size, struct shoal_list **out,
                               shoal_deadline deadline) {
  for (;;) {
    struct shoal_list *made = NULL;
    int rc = shoal_dict_get_list(d, key, key_size, out);
    if (rc != -ENOENT) return rc ? rc : 1;
    rc = shoal_list_create(d->keep.seg, NULL, &made);
    if (rc) return rc;
    rc = put(d, key, key_size, a_list(made), 1, deadline);
    if (rc == 0) *out = made;
    else (void)shoal_list_close(made);
    if (rc != SHOAL_DICT_OTHER) return rc;
  }
}

int shoal_dict_setdefault_namespace(struct shoal_dict *d, const void *key, uint64_t key_size,
                                    struct shoal_namespace **out, shoal_deadline deadline) {
  for (;;) {
    struct shoal_namespace *made = NULL;
    int rc = shoal_dict_get_namespace(d, key, key_size, out);
    if (rc != -ENOENT) return rc ? rc : 1;
    rc = shoal_namespace_create(d->keep.seg, NULL, &made);
    if (rc) return rc;
    rc = put(d, key, key_size, a_namespace(made), 1, deadline);
    if (rc == 0) *out = made;
    else (void)shoal_namespace_close(made);
    if (rc != SHOAL_DICT_OTHER) return rc;
  }
}

// ---- types ----

static int type_of(int rc, const struct shoal_handle_shm *h) {
  if (rc == -EBADMSG) return SHOAL_NESTED_NOT;
  if (rc) return rc;
  return h->type && h->type < TYPES ? (int)h->type : damaged();
}
int shoal_dict_type(struct shoal_dict *d, const void *key, uint64_t key_size) {
  struct shoal_handle_shm h;
  int rc = shoal_dict_handle_(d, key, key_size, &h);
  return type_of(rc, &h);
}
int shoal_list_type(struct shoal_list *l, int64_t index) {
  struct shoal_handle_shm h;
  int rc = shoal_list_handle_(l, index, &h);
  return type_of(rc, &h);
}

// ---- copies of handles ----

static int read_handle(const void *value, uint64_t size, struct shoal_handle_shm *h) {
  if (size != sizeof *h)
    return shoal_fail_(-EINVAL, "a handle has %u bytes, not %llu", (unsigned)sizeof *h, (unsigned long long)size);
  memcpy(h, value, sizeof *h);
  return 0;
}
static int copied_type(uint32_t nested, const void *value, uint64_t size) {
  struct shoal_handle_shm h;
  if (!nested) return SHOAL_NESTED_NOT;
  int rc = read_handle(value, size, &h);
  return type_of(rc, &h);
}
int shoal_dict_next_type(const struct shoal_dict_snapshot *s, const struct shoal_dict_item *item) {
  return copied_type(s->nested, item->value, item->size);
}
int shoal_list_next_type(const struct shoal_list_slice *s, const struct iovec *value) {
  return copied_type(s->nested, value->iov_base, value->iov_len);
}
static int open_copy(struct shoal_segment *seg, const void *value, uint64_t size,
                     int (*open)(struct shoal_keep_ *, const struct shoal_handle_shm *, void **), void **out) {
  struct shoal_handle_shm h;
  struct shoal_keep_ k = {.seg = seg};
  int rc = read_handle(value, size, &h);
  return rc ? rc : open(&k, &h, out);
}
int shoal_nested_open_dict(struct shoal_segment *seg, const void *value, uint64_t size, struct shoal_dict **out) {
  return open_copy(seg, value, size, open_dict, (void **)out);
}
int shoal_nested_open_list(struct shoal_segment *seg, const void *value, uint64_t size, struct shoal_list **out) {
  return open_copy(seg, value, size, open_list, (void **)out);
}
int shoal_nested_open_namespace(struct shoal_segment *seg, const void *value, uint64_t size,
                                struct shoal_namespace **out) {
  return open_copy(seg, value, size, open_namespace, (void **)out);
}
