// sync/named.h: objects of this room by name, in a segment.
//
// USE
//   #include "sync/lock.h"                                    // or another of this room
//   struct shoal_lock *lock;
//   int rc = shoal_lock_create(seg, "accounts", &lock);            // or _open, or _open_or_create
//   rc = shoal_lock_acquire(lock, SHOAL_FOREVER);
//   rc = shoal_lock_close(seg, lock);                          // mine
//   rc = shoal_lock_unlink(seg, "accounts");                   // the name
//
// An object is closed by its address: the directory knows what lies there. A type has these five functions by two
// lines, one in its header and one in its source, the same parameters behind both that shoal_x_init takes:
//   SHOAL_NAMED_(shoal_condition, uint32_t threads)
//   SHOAL_NAMED_DEFINE_(shoal_condition, "condition", shoal_condition_check_, shoal_condition_size(threads),
//                       shoal_condition_init(it, threads), uint32_t threads)
//
//   create          -EEXIST, -ENOSPC, what init answers, and the codes of shoal_object_create
//   open            -ENOENT; -EBADMSG an object of another type; -EPROTO too small, or what `check` answers
//                   (-ENOSYS: this process may not use membarrier, which the object relies on)
//   open_or_create  opens what is there as it was made - its parameters count only if it makes it - and sleeps while
//                   somebody alive is making it. -EBADMSG: it is there, of another size than these parameters ask for
//   close           -EBUSY: the calling thread holds it, or sits in it. -EINVAL: not open. No other thread of this
//                   process uses it: its memory may be another object's when the name has gone
//   unlink          -ENOENT, -EBADMSG. Who has it open goes on
//
// SAFETY, ORDERING, CRASH, COST  those of core/directory.h. To acquire, wait and release is no use of the segment: a
// child of fork that relies on what it inherited calls shoal_proc_self first, else the object goes with its parent.
#pragma once

#include "core/directory.h"

SHOAL_BEGIN

struct shoal_kind_ {  // constant
  const char *type;
  uint64_t least;                                   // bytes
  int (*check)(const void *memory, uint64_t size);  // 0; -EPROTO: damaged, or does not fit; -ENOSYS. May be NULL
};

int shoal_named_begin_(struct shoal_segment *seg, const char *name, const struct shoal_kind_ *kind, uint64_t size,
                       struct shoal_object *out);
// 0: opened; 1: begun. Both beginnings end with shoal_object_end_.
int shoal_named_open_or_begin_(struct shoal_segment *seg, const char *name, const struct shoal_kind_ *kind,
                               uint64_t size, struct shoal_object *out);
int shoal_named_open_(struct shoal_segment *seg, const char *name, const struct shoal_kind_ *kind,
                      struct shoal_object *out);
// This process has it open from now on: what shoal_reach_ knows.
void shoal_named_note_(const struct shoal_object *object);
int shoal_named_close_(struct shoal_segment *seg, const void *it);
int shoal_named_unlink_(struct shoal_segment *seg, const char *name, const struct shoal_kind_ *kind);

// SHOAL_NAMED_(x, parameters...). `x`: a struct, and what its functions begin with. Two forms beneath: to drop the
// comma before no parameters is no standard C, and whoever includes this may compile with -Wpedantic.
#define SHOAL_NAMED_(...) SHOAL_NAMED_PICK_(__VA_ARGS__, MORE, MORE, MORE, MORE, MORE, NONE, )(__VA_ARGS__)
#define SHOAL_NAMED_PICK_(x, p1, p2, p3, p4, p5, which, ...) SHOAL_NAMED_##which##_
#define SHOAL_NAMED_NONE_(x)                                                                            \
  int x##_create(struct shoal_segment *seg, const char *name, struct x **out) SHOAL_MUST_CHECK;         \
  int x##_open_or_create(struct shoal_segment *seg, const char *name, struct x **out) SHOAL_MUST_CHECK; \
  SHOAL_NAMED_SAME_(x)
#define SHOAL_NAMED_MORE_(x, ...)                                                                                    \
  int x##_create(struct shoal_segment *seg, const char *name, __VA_ARGS__, struct x **out) SHOAL_MUST_CHECK;         \
  int x##_open_or_create(struct shoal_segment *seg, const char *name, __VA_ARGS__, struct x **out) SHOAL_MUST_CHECK; \
  SHOAL_NAMED_SAME_(x)
#define SHOAL_NAMED_SAME_(x)                                                                  \
  int x##_open(struct shoal_segment *seg, const char *name, struct x **out) SHOAL_MUST_CHECK; \
  int x##_close(struct shoal_segment *seg, struct x *it);                                     \
  int x##_unlink(struct shoal_segment *seg, const char *name);

// `as`: the type's name in the directory. `size` and `init` are expressions of the parameters, and of `it`, the new
// object, which is zeroed. Only forwards.
#define SHOAL_NAMED_DEFINE_(x, as, check, size, init, ...)                                             \
  static const struct shoal_kind_ x##_kind_ = {as, sizeof(struct x), check};                           \
  int x##_create(struct shoal_segment *seg, const char *name, ##__VA_ARGS__, struct x **out) {         \
    struct shoal_object object = {.memory = NULL};                                                     \
    int rc = shoal_named_begin_(seg, name, &x##_kind_, size, &object);                                 \
    struct x *it = object.memory;                                                                      \
    if (rc == 0) rc = shoal_object_end_(seg, &object, init);                                           \
    if (rc == 0) shoal_named_note_(&object);                                                           \
    if (rc == 0) *out = it;                                                                            \
    return rc;                                                                                         \
  }                                                                                                    \
  int x##_open(struct shoal_segment *seg, const char *name, struct x **out) {                          \
    struct shoal_object object;                                                                        \
    int rc = shoal_named_open_(seg, name, &x##_kind_, &object);                                        \
    if (rc == 0) *out = object.memory;                                                                 \
    return rc;                                                                                         \
  }                                                                                                    \
  int x##_open_or_create(struct shoal_segment *seg, const char *name, ##__VA_ARGS__, struct x **out) { \
    struct shoal_object object = {.memory = NULL};                                                     \
    int rc = shoal_named_open_or_begin_(seg, name, &x##_kind_, size, &object);                         \
    struct x *it = object.memory;                                                                      \
    int begun = rc == 1;                                                                               \
    if (begun) rc = shoal_object_end_(seg, &object, init);                                             \
    if (rc == 0 && begun) shoal_named_note_(&object);                                                  \
    if (rc == 0) *out = it;                                                                            \
    return rc;                                                                                         \
  }                                                                                                    \
  int x##_close(struct shoal_segment *seg, struct x *it) { return shoal_named_close_(seg, it); }       \
  int x##_unlink(struct shoal_segment *seg, const char *name) { return shoal_named_unlink_(seg, name, &x##_kind_); }

SHOAL_END
