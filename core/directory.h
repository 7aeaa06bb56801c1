// core/directory.h: named, typed objects in a segment.
//
// USE
//   static int init(void *memory, uint64_t size, void *arg) { ... return 0; }
//   rc = shoal_object_create(seg, "jobs", "queue:job", size, init, arg, &object);
//   rc = shoal_object_open(seg, "jobs", "queue:job", &object);
//   ...object.memory...
//   rc = shoal_object_close(seg, &object);                            // mine
//   rc = shoal_object_remove(seg, "jobs");                            // the name
//
// SAFETY   every call: any thread of any process, together. `init` runs in the creator alone, outside any lock; it may
//          create other objects. Objects are the process's: any of its threads may use and close what one has opened. A
//          child of fork holds what its parent had open, from its first use of the segment (shoal_object_confirm).
// ORDERING creating publishes by one compare-and-set [D1], which pairs with [D2] of whoever finds the object: what init
//          wrote is seen. The point at which each takes effect: create, that compare-and-set; remove, its store [F3];
//          open, its last look at the state [F2].
// CRASH    create: at any instruction before it is published, it never was: a reaper, or the next to create that name,
//          gives name and memory back. remove: it is there, or it is gone. Changes of the table are serialised by one
//          robust word: whoever takes it after a death finds in each entry how far it came.
//          A thread that is stopped (SIGSTOP) while it holds that word holds up all who create and remove, not who
//          open.
// COST     open and close: 1 us, no system call, no lock. create: 2 us and zeroing; a scan for space only where the
//          last one ended. 100,000 objects: 34 MiB of tables.
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

// Makes an object of `size` bytes, growing the segment if need be. Nobody sees it before `init` has answered 0; if init
// fails, or its process is killed at any instruction, it never was. `init` may be NULL. `name` NULL: without a name,
// for the creator and the children it forks; gone with the last of them. -EEXIST (there is one, or somebody alive is
// creating it), -ENOSPC, -EINVAL, -ENAMETOOLONG, -EUSERS, or init's answer.
int shoal_object_create(struct shoal_segment *seg, const char *name, const char *type, uint64_t size,
                        int (*init)(void *memory, uint64_t size, void *arg), void *arg,
                        struct shoal_object *out) SHOAL_MUST_CHECK;
// -ENOENT; -EBADMSG another type; -EUSERS. Takes no lock.
int shoal_object_open(struct shoal_segment *seg, const char *name, const char *type,
                      struct shoal_object *out) SHOAL_MUST_CHECK;
// Opens it or, if there is none, makes it. Sleeps while somebody alive is making it.
int shoal_object_open_or_create(struct shoal_segment *seg, const char *name, const char *type, uint64_t size,
                                int (*init)(void *memory, uint64_t size, void *arg), void *arg,
                                struct shoal_object *out) SHOAL_MUST_CHECK;
// For a child of fork, which inherits what its parent has open: whether that is still its to use. -ENOENT: the parent
// closed it, and it was removed and freed, before the child first used the segment.
int shoal_object_confirm(struct shoal_segment *seg, const struct shoal_object *object);
// This process needs it no longer: once for each create or open. Its memory is reused only when the name has been
// removed and every process that created, opened or inherited it has closed it or died. -EINVAL: not open.
int shoal_object_close(struct shoal_segment *seg, struct shoal_object *object);
// The object that begins at `address`, whoever has it open: close says whether this process has. -EINVAL: there is
// none.
int shoal_object_at(struct shoal_segment *seg, const void *address, struct shoal_object *out) SHOAL_MUST_CHECK;
// Removes the name. -ENOENT. Sleeps while others change the directory, as create does.
int shoal_object_remove(struct shoal_segment *seg, const char *name);
// The same, of an object of that type only, or, if it ends in ':', of a type that begins so: -EBADMSG another one.
int shoal_object_remove_typed(struct shoal_segment *seg, const char *name, const char *type);

// ---- creating in two steps, for an initialisation that takes more than `init` does ----
// As shoal_object_create up to `init`: nobody but the caller sees the object, until shoal_object_end_.
int shoal_object_begin_(struct shoal_segment *seg, const char *name, const char *type, uint64_t size,
                        struct shoal_object *out) SHOAL_MUST_CHECK;
// 0: opened; 1: begun, as there is none. Sleeps while somebody alive is making it.
int shoal_object_open_or_begin_(struct shoal_segment *seg, const char *name, const char *type, uint64_t size,
                                struct shoal_object *out) SHOAL_MUST_CHECK;
// The thread that began it. `rc`, what its initialisation answered: 0 publishes it, all else takes it back. Answers rc,
// or why it could not be published.
int shoal_object_end_(struct shoal_segment *seg, const struct shoal_object *object, int rc) SHOAL_MUST_CHECK;

// ---- told of by another process, which has it open meanwhile ----
// This process has it open, too. -ENOENT: it is no more; -EINVAL, -EUSERS, -ENOSPC.
int shoal_object_hold_(struct shoal_segment *seg, const struct shoal_object *object) SHOAL_MUST_CHECK;

// ---- parts ----
// More memory, zeroed, for an object that is open: part `which` of it, which is there from now on, the same for all,
// for as long as the object, and is freed with it. If it is there already, that one. One thread at a time for one
// object; killed at any instruction, the part is there, or it is not. The answer is not to be closed. -ENOSPC, -EUSERS;
// -EPROTO: it would lie over a word that the calling thread holds.
int shoal_object_part_(struct shoal_segment *seg, const struct shoal_object *whole, uint32_t which, uint64_t size,
                       struct shoal_object *out) SHOAL_MUST_CHECK;

// ---- ties: an object without a name that is there while words in the segment have values (core/tie.c) ----
#define SHOAL_TIES_ 32u  // at a time
// As shoal_object_begin_ without a name, with room for ties behind `size` bytes: `out->size` is all of it.
int shoal_object_begin_tied_(struct shoal_segment *seg, const char *type, uint64_t size,
                             struct shoal_object *out) SHOAL_MUST_CHECK;
// Whoever has changed such a word calls it: what nobody holds any more is freed now, not by the next reaper. 1: that
// may have held others, which shoal_object_all_untied_ frees: it looks at all objects, so once after many.
int shoal_object_untied_(struct shoal_segment *seg, uint32_t entry) SHOAL_MUST_CHECK;
void shoal_object_all_untied_(struct shoal_segment *seg);
uint32_t shoal_object_ties_(struct shoal_segment *seg, const struct shoal_object *object);  // how many are in force
// This process has the object of that entry open. -ENOENT it is no more; -EBADMSG another type; -EPROTO, -EINVAL,
// -EUSERS, -ENOSPC.
int shoal_object_open_at_(struct shoal_segment *seg, uint32_t entry, uint32_t generation, const char *type,
                          struct shoal_object *out) SHOAL_MUST_CHECK;

struct shoal_object_info {
  char name[SHOAL_NAME_MAX + 1];
  char type[SHOAL_TYPE_MAX + 1];
  uint64_t size;
  shoal_off off;
};
// Calls `each` for every name, in no order, until it answers other than 0, and answers that. Takes no lock: what comes
// or goes meanwhile may be told of or not; each is told as it was at one moment.
int shoal_object_list(struct shoal_segment *seg, int (*each)(const struct shoal_object_info *, void *), void *arg);

SHOAL_END
