// ipc/data/list.h: values of any bytes and size in an order, in a segment: Python's list, without a server in between.
//
// USE
//   struct shoal_list *l;
//   rc = shoal_list_open_or_create(seg, "lines", &l);
//   rc = shoal_list_append(l, text, strlen(text), SHOAL_FOREVER);
//   rc = shoal_list_get(l, -1, buffer, sizeof buffer, &size);                  // the last; never waits for anybody
//   rc = shoal_list_pop(l, 0, buffer, sizeof buffer, &size, SHOAL_FOREVER);
//   rc = shoal_list_slice(l, 0, SHOAL_LIST_END, &all, SHOAL_FOREVER);          // all of one moment
//   while (shoal_list_next(&all, &value)) ...value.iov_base, value.iov_len...
//   shoal_list_slice_free(&all);
//   rc = shoal_list_close(l);                                                  // mine
//
// A row of words, each of which leads to a block of the segment's heap with a value (ipc/data/item_internal.h). What
// changes the end, or one value, is done in place; all else makes a new row, which one store of the root publishes. An
// index below 0 counts from the end, as in Python.
//
// SAFETY   every call but close and destroy: any thread of any process, together. Not in a signal handler. Inside a
//          callback this thread may read any container, but not index, slice or snapshot it, and change none
//          (-EDEADLK). A child of fork: as ipc/data/dict.h.
// ORDERING [V1] a word, or the length, is published after the block; pairs with [V2]. [V3] a row is published after its
//          words; pairs with [V4]. Each change takes effect with one store: of a word (set), the length (the end), or
//          the root. get: with its last look at the word.
// CRASH    at any instruction the list is as it was before the operation, or as after it; whoever has the lock next
//          frees what the other needed: the heap has nothing that the list does not lead to. Who reads waits for
//          nobody; who writes, slices, searches or sorts waits for a living or stopped one that does the same.
// HOSTILE  contents: nothing outside the segment is touched; damage is -EPROTO.
// COST     get: the root, the row's head, a word, the block. append, pop of the last, set: a lock pair, a block given
//          or ended. insert and pop elsewhere, reverse, sort: the row, copied: 8 bytes a value. A value: 16 bytes of
//          head, its bytes rounded to 8, the heap's rounding and 8 bytes; 8 to 16 bytes of the row.
// SOURCE   own.
#pragma once

#include <sys/uio.h>

#include "core/deadline.h"
#include "core/directory.h"
#include "core/segment.h"

SHOAL_BEGIN

#define SHOAL_LIST_END INT64_MAX  // of a slice

struct shoal_list;  // this process's view

// `name` NULL: one without a name, to be the value of another (ipc/data/nested.h).
// -EEXIST, -ENOSPC, -ENOMEM, and the codes of shoal_object_create.
int shoal_list_create(struct shoal_segment *seg, const char *name, struct shoal_list **out) SHOAL_MUST_CHECK;
// -ENOENT; -EBADMSG an object of another type; -EPROTO damaged.
int shoal_list_open(struct shoal_segment *seg, const char *name, struct shoal_list **out) SHOAL_MUST_CHECK;
int shoal_list_open_or_create(struct shoal_segment *seg, const char *name, struct shoal_list **out) SHOAL_MUST_CHECK;
// The view is gone; no other thread of this process uses it. -EINVAL: this process does not have it open.
int shoal_list_close(struct shoal_list *l);
// Its values are freed when all have closed it, by the next sweep of the heap. -ENOENT, -EBADMSG.
int shoal_list_unlink(struct shoal_segment *seg, const char *name);

// ---- in an object of the caller's: as shoal_dict_init, shoal_dict_attach, shoal_dict_destroy ----
uint64_t shoal_list_size(void);
int shoal_list_init(struct shoal_segment *seg, const struct shoal_object *object, void *memory,
                    struct shoal_list **out) SHOAL_MUST_CHECK;
int shoal_list_attach(struct shoal_segment *seg, const struct shoal_object *object, void *memory,
                      struct shoal_list **out) SHOAL_MUST_CHECK;
int shoal_list_destroy(struct shoal_list *l, shoal_deadline deadline);

// ---- read: never waits ----
uint64_t shoal_list_len(struct shoal_list *l);
// Copies the value to `buffer`; *size: its bytes. 0; -ERANGE there is no such index; -EMSGSIZE it has more than
// `capacity`, *size says how many; -EBADMSG it is a container (ipc/data/nested.h); -EPROTO damaged; -EINVAL destroyed.
int shoal_list_get(struct shoal_list *l, int64_t index, void *buffer, uint64_t capacity, uint64_t *size);
// Into memory from malloc, which the caller frees; a zero byte follows the value. The codes of shoal_list_get; -ENOMEM.
int shoal_list_get_alloc(struct shoal_list *l, int64_t index, void **value, uint64_t *size) SHOAL_MUST_CHECK;

// ---- write: sleeps for the lock ----
// All: 0, -EAGAIN (SHOAL_TRY), -ETIMEDOUT; -ENOSPC, -EUSERS, -ENOMEM; -EMSGSIZE; -EDEADLK in a callback; -EINVAL
// destroyed; -EPROTO. Nothing is changed then. Where no block can be had the end can still be dropped (pop, delete,
// update, replace by nothing), and all (clear); what goes from elsewhere needs a row: -ENOSPC.
int shoal_list_append(struct shoal_list *l, const void *value, uint64_t size, shoal_deadline deadline);
// All of them at one moment.
int shoal_list_extend(struct shoal_list *l, const struct iovec *values, uint64_t n, shoal_deadline deadline);
// Before the value that has this index; an index outside is one of the two ends, as in Python.
int shoal_list_insert(struct shoal_list *l, int64_t index, const void *value, uint64_t size, shoal_deadline deadline);
// -ERANGE.
int shoal_list_set(struct shoal_list *l, int64_t index, const void *value, uint64_t size, shoal_deadline deadline);
#define SHOAL_LIST_OTHER 1  // an answer: it was not as the caller expected, and nothing was changed
// Sets it if its value is `old`. SHOAL_LIST_OTHER: it is another, or a container; -ERANGE; -EINVAL `old` is NULL, and
// not empty.
int shoal_list_compare_and_set(struct shoal_list *l, int64_t index, const void *old, uint64_t old_size,
                               const void *value, uint64_t size, shoal_deadline deadline);
struct shoal_list_change {  // what an update sees and decides
  void *value;              // a copy of what is there. To be changed in place, or to be pointed at other bytes
  uint64_t size;            // of it
};
enum { SHOAL_LIST_SET = 0, SHOAL_LIST_KEEP = 1, SHOAL_LIST_REMOVE = 2 };
// `change` answers one of these, or a negative code, which keeps what is there and is the answer. Called once, while
// nobody else changes the list; it has to come back. -ERANGE, -EBADMSG a container: it is not called. -EINVAL: it
// answered what is none of these, and nothing is changed.
int shoal_list_update(struct shoal_list *l, int64_t index, int (*change)(struct shoal_list_change *c, void *arg),
                      void *arg, shoal_deadline deadline);
// Takes it out. -ERANGE; -EMSGSIZE: it is there still, *size says how large it is.
int shoal_list_pop(struct shoal_list *l, int64_t index, void *buffer, uint64_t capacity, uint64_t *size,
                   shoal_deadline deadline);
// The same into memory from malloc, which the caller frees; a zero byte follows the value. -ENOMEM: it is there still.
int shoal_list_pop_alloc(struct shoal_list *l, int64_t index, void **value, uint64_t *size,
                         shoal_deadline deadline) SHOAL_MUST_CHECK;
int shoal_list_delete(struct shoal_list *l, int64_t index, shoal_deadline deadline);  // del l[index]: -ERANGE
// The first value that has these bytes. -ENOENT.
int shoal_list_remove(struct shoal_list *l, const void *value, uint64_t size, shoal_deadline deadline);
// Python's l *= times, at one moment; 0: as clear. -EMLINK: a value is a container that so many entries cannot lead to.
// -ENOSPC: if all of it is more than the segment can ever hold, at once; else, where other things fill it, heap and
// segment may have grown.
int shoal_list_repeat(struct shoal_list *l, uint64_t times, shoal_deadline deadline);
// Python's l[from:to] = values, at one moment; bounds outside are the ends. n = 0: removes them.
int shoal_list_replace(struct shoal_list *l, int64_t from, int64_t to, const struct iovec *values, uint64_t n,
                       shoal_deadline deadline);
int shoal_list_clear(struct shoal_list *l, shoal_deadline deadline);
int shoal_list_reverse(struct shoal_list *l, shoal_deadline deadline);
// Sorts, stably: `compare` answers below, above or 0; NULL: by bytes, as memcmp, what others begin with before those;
// of values that are packed, which have another order, shoal_packed_compare (ipc/data/packed.h). It has to come back;
// -EINVAL if its answers make no order, -EBADMSG if a value is a container: the list is as it was.
int shoal_list_sort(struct shoal_list *l, int (*compare)(const struct iovec *a, const struct iovec *b, void *arg),
                    void *arg, shoal_deadline deadline);

// ---- all of one moment: under the lock ----
// All: -EAGAIN, -ETIMEDOUT, -EDEADLK, -EINVAL, -EPROTO as of a write.
// *index: of the first value from `from` on that has these bytes. -ENOENT.
int shoal_list_index(struct shoal_list *l, const void *value, uint64_t size, int64_t from, uint64_t *index,
                     shoal_deadline deadline);
int shoal_list_contains(struct shoal_list *l, const void *value, uint64_t size, shoal_deadline deadline);  // 1, 0
int shoal_list_count(struct shoal_list *l, const void *value, uint64_t size, uint64_t *n, shoal_deadline deadline);
struct shoal_list_slice {  // a copy in private memory
  char *bytes;
  uint64_t length, at, values;
  uint32_t nested;  // the last value is a container (ipc/data/nested.h)
};
// A copy of from, from + 1, ... to - 1; below 0 counted from the end, and what is outside is an end, as in Python.
// -ENOMEM.
int shoal_list_slice(struct shoal_list *l, int64_t from, int64_t to, struct shoal_list_slice *out,
                     shoal_deadline deadline) SHOAL_MUST_CHECK;
int shoal_list_next(struct shoal_list_slice *s, struct iovec *value);  // 1; 0: there is no more
void shoal_list_slice_free(struct shoal_list_slice *s);

struct shoal_list_info {
  uint64_t length;
  uint64_t capacity;  // values that the row holds
  uint64_t row;       // bytes of the row
  uint32_t owner;     // tid of who has the lock; 0: nobody
  uint32_t waiting;   // 1: somebody may sleep for it
  uint32_t dead;      // 1: its holder died, nobody has taken it since
  uint32_t holders;   // entries of other containers that lead to it (ipc/data/nested.h)
};
int shoal_list_info(struct shoal_list *l, struct shoal_list_info *out);  // never waits; -EPROTO damaged

SHOAL_END
