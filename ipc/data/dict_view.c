// Where a dict lies, and what a process knows of it.
#include <stdlib.h>

#include "core/reach.h"
#include "core/segment_internal.h"
#include "ipc/data/dict_internal.h"

// ---- a view ----

static int stripes_of(const struct shoal_dict_options *o) {
  uint32_t n = o && o->stripes ? o->stripes : SHOAL_DICT_STRIPES_MAX;
  return n & (n - 1) || n > SHOAL_DICT_STRIPES_MAX ? 0 : (int)n;
}
static int no_stripes(const struct shoal_dict_options *options) {
  return shoal_fail_(-EINVAL, "%u stripes: a power of two, at most %u", options->stripes, SHOAL_DICT_STRIPES_MAX);
}
uint64_t shoal_dict_size(const struct shoal_dict_options *options) {
  uint64_t n = (uint64_t)stripes_of(options);
  return n ? sizeof(struct shoal_dict_shm) + n * sizeof(struct shoal_dict_stripe_shm) : 0;
}

// What says nothing about where keys lie to who does not see the segment.
static uint64_t seed_of(const struct shoal_object *object) {
  uint64_t mixed[3] = {(uint64_t)shoal_now_ns(), (uintptr_t)object->memory, object->off};
  return shoal_hash_(0, mixed, sizeof mixed);
}

// 0, or -ENOSPC: no table of the segment's ever has room for so many.
static int check_capacity(struct shoal_segment *seg, uint64_t capacity) {
  uint64_t words = UINT64_C(1) << shoal_table_log_(0, capacity), most = seg->g.size_max;
  if (shoal_table_limit_(words) >= capacity && sizeof(struct shoal_table_shm) + 8 * words <= most) return 0;
  return shoal_fail_(-ENOSPC, "a table for %llu entries: size_max is %llu", (unsigned long long)capacity,
                     (unsigned long long)most);
}
static int write_head(struct shoal_segment *seg, struct shoal_dict_shm *shm, const struct shoal_object *object,
                      const struct shoal_dict_options *options) {
  int rc = shoal_robust_check();
  if (rc == 0 && options) rc = check_capacity(seg, options->capacity);
  if (rc) return rc;
  memset(shm, 0, shoal_dict_size(options));
  shm->seed = seed_of(object);
  shm->capacity = options && options->capacity ? options->capacity : 8;
  shm->stripes = (uint32_t)stripes_of(options);
  shm->kind = SHOAL_DICT_KIND_;
  return 0;
}

static int view(struct shoal_segment *seg, const struct shoal_object *object, void *memory, uint32_t named,
                struct shoal_dict **out) {
  struct shoal_dict_shm *shm = memory;
  uint64_t room = object->size - (uint64_t)((char *)memory - (char *)object->memory);
  int fits = room >= sizeof *shm && room <= object->size;
  uint32_t stripes = fits ? __atomic_load_n(&shm->stripes, __ATOMIC_RELAXED) : 0;
  struct shoal_dict_options made = {.stripes = stripes};
  if (!stripes || !shoal_dict_size(&made) || shoal_dict_size(&made) > room ||
      __atomic_load_n(&shm->kind, __ATOMIC_RELAXED) != SHOAL_DICT_KIND_)
    return shoal_fail_(-EPROTO, "no dict is there");
  struct shoal_dict *d = calloc(1, sizeof *d);
  if (!d) return shoal_fail_(-ENOMEM, "private memory");
  int rc = shoal_robust_check();
  if (rc == 0) rc = shoal_keep_open_(&d->keep, seg, object);
  if (rc) {
    free(d);
    return rc;
  }
  d->shm = shm;
  d->seed = __atomic_load_n(&shm->seed, __ATOMIC_RELAXED);
  d->capacity = __atomic_load_n(&shm->capacity, __ATOMIC_RELAXED);
  d->stripes = stripes;
  d->named = named;
  d->object = *object;
  *out = d;
  return 0;
}

int shoal_dict_attach(struct shoal_segment *seg, const struct shoal_object *object, void *memory,
                      struct shoal_dict **out) {
  return view(seg, object, memory, 0, out);
}
int shoal_dict_init(struct shoal_segment *seg, const struct shoal_object *object, void *memory,
                    const struct shoal_dict_options *options, struct shoal_dict **out) {
  if (!stripes_of(options)) return no_stripes(options);
  int rc = shoal_keep_place_(object, memory, shoal_dict_size(options));
  if (rc == 0) rc = write_head(seg, memory, object, options);
  return rc ? rc : view(seg, object, memory, 0, out);
}

static int forget(struct shoal_dict *d) {
  int rc = shoal_keep_close_(&d->keep);
  free(d);
  return rc;
}
int shoal_dict_close(struct shoal_dict *d) {
  int rc = d->named ? shoal_object_close(d->keep.seg, &d->object) : 0;
  if (rc) return rc;
  if (d->named) shoal_reach_forget_(d->object.memory);
  return forget(d);
}

// ---- by name ----

static int view_named(struct shoal_segment *seg, struct shoal_object *object, const char *type,
                      struct shoal_dict **out) {
  int rc = view(seg, object, object->memory, 1, out);
  if (rc) (void)shoal_object_close(seg, object);
  else shoal_reach_note_(object->memory, object->size);
  if (rc == 0) (*out)->is_a = shoal_nested_type_(type);
  return rc;
}
static int begun(struct shoal_segment *seg, struct shoal_object *object, const char *type,
                 const struct shoal_dict_options *options, struct shoal_dict **out) {
  struct shoal_dict *d = NULL;
  int rc = write_head(seg, object->memory, object, options);
  if (rc == 0) rc = view(seg, object, object->memory, 1, &d);  // who cannot have a heap leaves no name behind
  if (rc == 0) d->is_a = shoal_nested_type_(type);
  rc = shoal_object_end_(seg, object, rc);
  if (rc) {
    if (d) forget(d);
    return rc;
  }
  shoal_reach_note_(object->memory, object->size);
  *out = d;
  return 0;
}

int shoal_dict_create_as_(struct shoal_segment *seg, const char *name, const char *type,
                          const struct shoal_dict_options *options, struct shoal_dict **out) {
  struct shoal_object object;
  struct shoal_dict_options inner = options ? *options : (struct shoal_dict_options){.stripes = 0};
  if (!stripes_of(options)) return no_stripes(options);
  if (!name && !inner.stripes) inner.stripes = 8;  // of small ones there are many
  uint64_t size = shoal_dict_size(&inner);
  int rc =
      name ? shoal_object_begin_(seg, name, type, size, &object) : shoal_object_begin_tied_(seg, type, size, &object);
  return rc ? rc : begun(seg, &object, type, &inner, out);
}
int shoal_dict_open_as_(struct shoal_segment *seg, const char *name, const char *type, struct shoal_dict **out) {
  struct shoal_object object;
  int rc = shoal_object_open(seg, name, type, &object);
  return rc ? rc : view_named(seg, &object, type, out);
}
int shoal_dict_open_or_create_as_(struct shoal_segment *seg, const char *name, const char *type,
                                  const struct shoal_dict_options *options, struct shoal_dict **out) {
  struct shoal_object object;
  if (!stripes_of(options)) return no_stripes(options);
  int rc = shoal_object_open_or_begin_(seg, name, type, shoal_dict_size(options), &object);
  if (rc == 1) return begun(seg, &object, type, options, out);
  return rc ? rc : view_named(seg, &object, type, out);
}
int shoal_dict_open_at_(struct shoal_segment *seg, const struct shoal_handle_shm *h, const char *type,
                        struct shoal_dict **out) {
  struct shoal_object object;
  int rc = shoal_object_open_at_(seg, h->entry, h->generation, type, &object);
  return rc ? rc : view_named(seg, &object, type, out);
}

#define TYPE "dict"
int shoal_dict_create(struct shoal_segment *seg, const char *name, const struct shoal_dict_options *options,
                      struct shoal_dict **out) {
  return shoal_dict_create_as_(seg, name, TYPE, options, out);
}
int shoal_dict_open(struct shoal_segment *seg, const char *name, struct shoal_dict **out) {
  return shoal_dict_open_as_(seg, name, TYPE, out);
}
int shoal_dict_open_or_create(struct shoal_segment *seg, const char *name, const struct shoal_dict_options *options,
                              struct shoal_dict **out) {
  return shoal_dict_open_or_create_as_(seg, name, TYPE, options, out);
}
int shoal_dict_unlink(struct shoal_segment *seg, const char *name) {
  return shoal_object_remove_typed(seg, name, TYPE);
}
