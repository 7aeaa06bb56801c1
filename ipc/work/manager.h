// ipc/work/manager.h: all that is shared, by name, in one segment: Python's Manager, without a server in between.
//
// USE
//   struct shoal_manager *m;
//   struct shoal_dict *d;
//   struct shoal_lock *lock;
//   rc = shoal_manager_open_or_create("game", NULL, &m);             // NULL instead of "game": for me and the children I fork
//   rc = shoal_manager_dict(m, "scores", NULL, &d);                  // opened or, if there is none, made
//   rc = shoal_manager_lock(m, NULL, &lock);                         // without a name: the manager gives it one
//   rc = shoal_dict_set(d, ...);                                     // as ever: ipc/data/dict.h
//   rc = shoal_manager_each(m, each, arg);                           // what there is
//   rc = shoal_manager_close(m);                                     // mine: all that this process got of it
//   rc = shoal_manager_unlink("game");                               // the name
//
// A manager is a segment and an account of what this process has got of it. What a getter answers is a view like that
// of the type's own open_or_create, with its codes and its rules about options; it ends with shoal_manager_drop or
// shoal_manager_close, not with the type's own close. Each call gives another view. Of values, arrays, vectors and
// texts, whose views are plain structs, the caller has a copy.
//
// SAFETY   every call but close: any thread of any process, together. drop: no other thread uses that view, or asks for
//          its name. close: one thread, when no other of its process uses the manager, or anything got of it. Not in a
//          signal handler. A child of fork uses, drops and closes what its parent had got, each for itself.
// ORDERING [N1] what was got is noted after it is whole; pairs with [N2], who drops or closes it.
// CRASH    at any instruction: those of core/directory.h and of the types. A number of a nameless object may be left
//          out. What a killed process had made without a name stays, under the name that it was given, until somebody
//          removes it.
// HOSTILE  contents: what is listed is what the directory says, and its types; texts end, lengths are bounded.
// LIMITS   of objects, of their bytes, of who may use it: shoal_segment_options, -ENOSPC and -EUSERS beyond;
//          shoal_manager_info.
// COST     a getter: the type's open, and one note in private memory of some 700 bytes, used again after a drop.
// SOURCE   own.
#pragma once

#include "ipc/data/dict.h"
#include "ipc/data/list.h"
#include "ipc/data/namespace.h"
#include "ipc/data/text.h"
#include "ipc/data/value.h"
#include "ipc/data/vector.h"
#include "ipc/queue/pipe.h"
#include "ipc/queue/topic.h"
#include "sync/barrier.h"
#include "sync/condition.h"
#include "sync/event.h"
#include "sync/once.h"
#include "sync/rlock.h"
#include "sync/rwlock.h"
#include "sync/semaphore.h"

SHOAL_BEGIN

struct shoal_manager;  // this process's

struct shoal_manager_shm {  // "shoal.manager" in the directory
  uint64_t kind;            // constant
  shoal_atomic64 nameless;  // how many objects were given a name; whoever makes one
  uint64_t reserved_[6];
};
SHOAL_STATIC_ASSERT(sizeof(struct shoal_manager_shm) == 64, "a line");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_manager_shm, nameless) == 8, "layout");
#define SHOAL_MANAGER_KIND_ UINT64_C(0x726567616e616d0a)

// ---- lifecycle: the codes of shoal_segment_create, _open and _open_or_create; -EPROTO damaged ----
int shoal_manager_create(const char *name, const struct shoal_segment_options *options,
                         struct shoal_manager **out) SHOAL_MUST_CHECK;
int shoal_manager_open(const char *name, struct shoal_manager **out) SHOAL_MUST_CHECK;
int shoal_manager_open_or_create(const char *name, const struct shoal_segment_options *options,
                                 struct shoal_manager **out) SHOAL_MUST_CHECK;
// Of a segment that the caller has open, and that close leaves open. It may hold anything else, too.
int shoal_manager_on(struct shoal_segment *seg, struct shoal_manager **out) SHOAL_MUST_CHECK;
// Drops all that this process got, then closes the segment. -EBUSY: something is in use - a lock is held, another
// thread has a role in a queue - or another thread is a participant: that, and the manager, stay; the rest is dropped.
int shoal_manager_close(struct shoal_manager *m);
int shoal_manager_unlink(const char *name);  // -ENOENT; who has it open goes on
struct shoal_segment *shoal_manager_segment(const struct shoal_manager *m);

// ---- getters ----
// `name`: 1..SHOAL_NAME_MAX bytes; -EINVAL: one that begins with "shoal." NULL: a new object, which gets a name like
// "#dict-7" (shoal_manager_name; names with # in front are the manager's) that anybody may open it by; its name goes
// when its maker drops it or closes the manager. -ENOMEM, and: those of shoal_x_open_or_create.
int shoal_manager_dict(struct shoal_manager *m, const char *name, const struct shoal_dict_options *options,
                       struct shoal_dict **out) SHOAL_MUST_CHECK;
int shoal_manager_namespace(struct shoal_manager *m, const char *name, struct shoal_namespace **out) SHOAL_MUST_CHECK;
int shoal_manager_list(struct shoal_manager *m, const char *name, struct shoal_list **out) SHOAL_MUST_CHECK;
int shoal_manager_value(struct shoal_manager *m, const char *name, const char *type, uint64_t size,
                        const struct shoal_array_options *options, struct shoal_array *out) SHOAL_MUST_CHECK;
int shoal_manager_array(struct shoal_manager *m, const char *name, const char *type, uint64_t size, uint64_t count,
                        const struct shoal_array_options *options, struct shoal_array *out) SHOAL_MUST_CHECK;
int shoal_manager_vector(struct shoal_manager *m, const char *name, const char *type, uint64_t size,
                         const struct shoal_vector_options *options, struct shoal_vector *out) SHOAL_MUST_CHECK;
int shoal_manager_text(struct shoal_manager *m, const char *name, uint64_t capacity, const char *first,
                       struct shoal_text *out) SHOAL_MUST_CHECK;
int shoal_manager_queue(struct shoal_manager *m, const char *name, const struct shoal_queue_options *options,
                        struct shoal_queue **out) SHOAL_MUST_CHECK;
int shoal_manager_topic(struct shoal_manager *m, const char *name, const struct shoal_topic_options *options,
                        struct shoal_topic **out) SHOAL_MUST_CHECK;
int shoal_manager_lock(struct shoal_manager *m, const char *name, struct shoal_lock **out) SHOAL_MUST_CHECK;
int shoal_manager_rlock(struct shoal_manager *m, const char *name, struct shoal_rlock **out) SHOAL_MUST_CHECK;
int shoal_manager_rwlock(struct shoal_manager *m, const char *name, uint32_t threads,
                         struct shoal_rwlock **out) SHOAL_MUST_CHECK;
int shoal_manager_condition(struct shoal_manager *m, const char *name, uint32_t threads,
                            struct shoal_condition **out) SHOAL_MUST_CHECK;
int shoal_manager_semaphore(struct shoal_manager *m, const char *name, uint32_t value, uint32_t bound, uint32_t flags,
                            struct shoal_semaphore **out) SHOAL_MUST_CHECK;
int shoal_manager_event(struct shoal_manager *m, const char *name, struct shoal_event **out) SHOAL_MUST_CHECK;
int shoal_manager_barrier(struct shoal_manager *m, const char *name, uint32_t parties,
                          const struct shoal_barrier_options *options, struct shoal_barrier **out) SHOAL_MUST_CHECK;
int shoal_manager_once(struct shoal_manager *m, const char *name, struct shoal_once **out) SHOAL_MUST_CHECK;
int shoal_manager_seqlock(struct shoal_manager *m, const char *name, uint64_t size, const void *first,
                          struct shoal_seqlock **out) SHOAL_MUST_CHECK;
// Both ends of a new pipe (-EEXIST), or one of one that is there. They are the caller's: shoal_pipe_give,
// shoal_pipe_close, before the manager is closed. A pipe without a name is for the caller and the children it forks.
int shoal_manager_pipe(struct shoal_manager *m, const char *name, const struct shoal_pipe_options *options,
                       struct shoal_pipe *ends[2]) SHOAL_MUST_CHECK;
int shoal_manager_pipe_end(struct shoal_manager *m, const char *name, uint32_t element_size, uint32_t side,
                           struct shoal_pipe **out) SHOAL_MUST_CHECK;

// ---- what was got ----
// `it`: the pointer that the getter gave; a value's or array's `data`, a vector's `shm`, a text's `lock`. -EINVAL: not
// got of this manager by this process; -EBUSY: in use, as the type's close says it.
int shoal_manager_drop(struct shoal_manager *m, const void *it);
// Its name in the directory, with a final NUL. -EINVAL.
int shoal_manager_name(struct shoal_manager *m, const void *it, char name[SHOAL_NAME_MAX + 1]);

// ---- what there is, whoever made it ----
#define SHOAL_MANAGER_TEXT_MAX 95u
struct shoal_manager_item {
  char name[SHOAL_NAME_MAX + 1];
  char type[SHOAL_TYPE_MAX + 1];          // "dict", "lock", "queue:8": bytes of an element, ...
  uint64_t size;                          // bytes of the object, without what it has of the heap
  char text[SHOAL_MANAGER_TEXT_MAX + 1];  // "3 entries", "held by 77"; "" of types that the manager does not know
};
// Stops at the first answer of `each` that is not 0, and returns it. What comes and goes meanwhile is listed or not.
// What the library has for itself is not listed. Waits for no owner of what is listed; as it opens and closes that, it
// may for the directory's lock, and for who makes the heap just then, while that one lives.
int shoal_manager_each(struct shoal_manager *m, int (*each)(const struct shoal_manager_item *item, void *arg),
                       void *arg);
// -ENOENT; -EINVAL: no name.
int shoal_manager_find(struct shoal_manager *m, const char *name, struct shoal_manager_item *out);
// Removes the name, of whatever type. Who has the object open goes on; its memory returns when the last of them has
// gone. -ENOENT; -EPERM: the library's own.
int shoal_manager_remove(struct shoal_manager *m, const char *name);

struct shoal_manager_info {
  uint64_t size, size_max, used;            // bytes for objects: there, at most, given to them
  uint32_t objects, objects_max;            // the library's included
  uint32_t participants, participants_max;  // threads that use it
  uint32_t got;                             // views that this process has
  uint32_t reserved_;
  uint64_t nameless;  // how many objects were made without a name
};
int shoal_manager_info(struct shoal_manager *m, struct shoal_manager_info *out);

SHOAL_END
