// core/directory.h: named, typed objects in a segment.
//
// USE
//   static int init(void *memory, uint64_t size, void *arg) { ... return 0; }
//   rc = shoal_object_create(seg, "jobs", "queue:job", size, init, arg, &object);
//   rc = shoal_object_open(seg, "jobs", "queue:job", &object);
#pragma once

#include "core/segment.h"

SHOAL_BEGIN

#define SHOAL_TYPE_MAX 31  // bytes of a type's name, without the final NUL

struct shoal_object {  // what the caller knows of one; private memory
  void *memory;        // zeroed before init, aligned to lines (to pages from 4 KiB on)
  uint64_t size;
  shoal_off off;
  uint32_t entry;       // its place in the directory
  uint32_t generation;  // tells it from a later object in that place
};

// Makes an object of `size` bytes: nobody sees it before `init` has answered 0. If init fails, or its process is killed at
// any instruction, it never was. `init` may be NULL. -EEXIST, -ENOSPC, -EINVAL, -ENAMETOOLONG, or init's answer.
int shoal_object_create(struct shoal_segment *seg, const char *name, const char *type, uint64_t size,
                        int (*init)(void *memory, uint64_t size, void *arg), void *arg,
                        struct shoal_object *out) SHOAL_MUST_CHECK;
// -ENOENT; -EBADMSG another type. Takes no lock.
int shoal_object_open(struct shoal_segment *seg, const char *name, const char *type,
                      struct shoal_object *out) SHOAL_MUST_CHECK;
// Opens it or, if there is none, makes it. Sleeps while somebody alive is making it.
int shoal_object_open_or_create(struct shoal_segment *seg, const char *name, const char *type, uint64_t size,
                                int (*init)(void *memory, uint64_t size, void *arg), void *arg,
                                struct shoal_object *out) SHOAL_MUST_CHECK;
// For a child of fork, which inherits what its parent has open: whether that is still its to use. -ENOENT: the parent
// closed it, and it was removed and freed, before the child first used the segment.
int shoal_object_confirm(struct shoal_segment *seg, const struct shoal_object *object);
// This process needs it no longer. Its memory is reused only when the name has been removed and every process that
// created or opened it has closed it or died.
int shoal_object_close(struct shoal_segment *seg, struct shoal_object *object);
// Removes the name. -ENOENT.
int shoal_object_remove(struct shoal_segment *seg, const char *name);

struct shoal_object_info {
  char name[SHOAL_NAME_MAX + 1];
  char type[SHOAL_TYPE_MAX + 1];
  uint64_t size;
  shoal_off off;
};
int shoal_object_list(struct shoal_segment *seg, int (*each)(const struct shoal_object_info *, void *), void *arg);

SHOAL_END
