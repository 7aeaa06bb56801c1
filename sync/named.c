#include "sync/named.h"

#include "core/error.h"
#include "core/reach.h"
#include "core/robust.h"

void shoal_named_note_(const struct shoal_object *object) { shoal_reach_note_(object->memory, object->size); }

static int impossible(const struct shoal_kind_ *kind) {
  return shoal_fail_(-EINVAL, "there is no %s of that size", kind->type);
}

// 0, or closes what turned out to be unfit.
static int fit(struct shoal_segment *seg, const char *name, const struct shoal_kind_ *kind, struct shoal_object *object,
               struct shoal_object *out) {
  int rc = object->size >= kind->least ? 0 : shoal_fail_(-EPROTO, "\"%s\" is too small for a %s", name, kind->type);
  if (rc == 0 && kind->check) rc = kind->check(object->memory, object->size);
  if (rc) {
    (void)shoal_object_close(seg, object);
    return rc;
  }
  shoal_named_note_(object);
  *out = *object;
  return 0;
}

int shoal_named_begin_(struct shoal_segment *seg, const char *name, const struct shoal_kind_ *kind, uint64_t size,
                       struct shoal_object *out) {
  return size < kind->least ? impossible(kind) : shoal_object_begin_(seg, name, kind->type, size, out);
}

int shoal_named_open_(struct shoal_segment *seg, const char *name, const struct shoal_kind_ *kind,
                      struct shoal_object *out) {
  struct shoal_object object;
  int rc = shoal_object_open(seg, name, kind->type, &object);
  return rc ? rc : fit(seg, name, kind, &object, out);
}

int shoal_named_open_or_begin_(struct shoal_segment *seg, const char *name, const struct shoal_kind_ *kind,
                               uint64_t size, struct shoal_object *out) {
  struct shoal_object object;
  if (size < kind->least) return impossible(kind);
  int rc = shoal_object_open_or_begin_(seg, name, kind->type, size, &object);
  if (rc == 0 && object.size != size) {
    (void)shoal_object_close(seg, &object);
    return shoal_fail_(-EBADMSG, "\"%s\" was made with other parameters: it has another size", name);
  }
  if (rc == 0) return fit(seg, name, kind, &object, out);
  if (rc == 1) *out = object;
  return rc;
}

int shoal_named_close_(struct shoal_segment *seg, const void *it) {
  struct shoal_object object;
  int rc = shoal_object_at(seg, it, &object);
  if (rc) return rc;
  if (shoal_robust_owns_in_(object.memory, object.size, NULL))
    return shoal_fail_(-EBUSY, "this thread holds the object, or sits in it");
  const void *memory = object.memory;
  rc = shoal_object_close(seg, &object);
  if (rc == 0) shoal_reach_forget_(memory);
  return rc;
}

int shoal_named_unlink_(struct shoal_segment *seg, const char *name, const struct shoal_kind_ *kind) {
  return shoal_object_remove_typed(seg, name, kind->type);
}
