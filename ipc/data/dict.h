// ipc/data/dict.h: keys and values of any bytes and size, in a segment: Python's dict, without a server in between.
//
// USE
//   struct shoal_dict *d;
//   rc = shoal_dict_open_or_create(seg, "words", NULL, &d);
//   rc = shoal_dict_set(d, "apple", 5, &count, sizeof count, SHOAL_FOREVER);
//   rc = shoal_dict_get(d, "apple", 5, &count, sizeof count, &size);            // -ENOENT; never waits for anybody
//   rc = shoal_dict_update(d, "apple", 5, add_one, NULL, SHOAL_FOREVER);        // nobody else changes it meanwhile
//   rc = shoal_dict_snapshot(d, &all, SHOAL_FOREVER);                           // all of one moment
//   while (shoal_dict_next(&all, &item)) ...item.key, item.key_size, item.value, item.size...
//   shoal_dict_snapshot_free(&all);
//   rc = shoal_dict_close(d);                                                   // mine
//   rc = shoal_dict_unlink(seg, "words");                                       // the name
//
// A table of words, each of which leads to a block of the segment's heap with a key and its value
// (ipc/data/item_internal.h). To set a key is to write a new block and to publish it by one store of its word; or, of
// as many bytes as are there and up to 64, to write them beside, to say so by one store of the block's head, and to
// copy them: whoever reads meanwhile reads what stands beside. Writers of one key have a robust word in common, one of
// `stripes`; the table grows and shrinks under all of them.
//
// SAFETY   every call but close and destroy: any thread of any process, together. Not in a signal handler. Inside the
//          callback of an update this thread may read any dict, but take no snapshot, and change none (-EDEADLK). A
//          child of fork uses what its parent has open; if it does not write, it calls shoal_proc_self first, else the
//          dict goes with its parent.
// ORDERING [D1] a word of the table is published after the block; pairs with [D2]. [D3] a table is published after its
//          words; pairs with [D4]. The point at which each takes effect: setdefault, remove, pop: the store of the
//          word; set, update, set_if, compare_and_set: that, or of the block's head; clear: the store of the root; get,
//          contains: their last look at the word, or, of what is not there, some moment at which they passed its place.
//          A snapshot: all of it while its caller has all stripes.
// CRASH    at any instruction a key has its old value or its new one; the block of the other is freed by whoever has
//          the stripe next, who finds in it what was to be done: the heap has nothing that the dict does not lead to.
//          Nobody is told, as nothing is in doubt. A clear that was published is ended by the next writer. Who reads
//          waits for nobody, living, stopped or dead; who writes waits for a living or stopped writer of the same
//          stripe, or of a table that grows.
// HOSTILE  contents: whatever the words say, nothing outside the segment is touched; damage is -EPROTO, or a key that
//          is missing.
// LIMITS   a key: 4 GiB; a value: what the segment holds.
// COST     get: a hash, the root, a word, the block: two cache lines that are not shared by all, and the value. set:
//          the same and the stripe's three, and two locked instructions; unless it is in place, a block allocated,
//          given and ended: about three lines more. An entry: 16 bytes of head, key and value rounded to 8, the heap's
//          rounding and 8 bytes of overhead; the table: 11 to 22 bytes an entry. A dict: 64 KiB of address space, 12.5
//          KiB with 64 stripes. len: a line for each stripe.
// SOURCE   own. The validated read: Linux's seqcounts.
#pragma once

#include "core/deadline.h"
#include "core/directory.h"
#include "core/segment.h"

SHOAL_BEGIN

#define SHOAL_DICT_STRIPES_MAX 64u
#define SHOAL_DICT_ABSENT 0u  // the version of what is not there
#define SHOAL_DICT_OTHER 1    // an answer: it was not as the caller expected, and nothing was changed

struct shoal_dict;  // this process's view

struct shoal_dict_options {  // zero: the default
  uint64_t capacity;  // entries for which it has room as soon as it has any, and that it keeps (8). -ENOSPC: never
  uint32_t stripes;   // writers at a time: a power of two up to SHOAL_DICT_STRIPES_MAX (64)
};

// ---- by name ----
// `name` NULL: one without a name, to be the value of another (ipc/data/nested.h); stripes: 8, unless the options say.
// -EEXIST, -ENOSPC, -EINVAL no such number of stripes, and the codes of shoal_object_create; -ENOMEM private memory.
int shoal_dict_create(struct shoal_segment *seg, const char *name, const struct shoal_dict_options *options,
                      struct shoal_dict **out) SHOAL_MUST_CHECK;
// -ENOENT; -EBADMSG an object of another type; -EPROTO damaged.
int shoal_dict_open(struct shoal_segment *seg, const char *name, struct shoal_dict **out) SHOAL_MUST_CHECK;
// Opens what is there as it was made; the options count only if it makes it.
int shoal_dict_open_or_create(struct shoal_segment *seg, const char *name, const struct shoal_dict_options *options,
                              struct shoal_dict **out) SHOAL_MUST_CHECK;
// The view is gone; no other thread of this process uses it. -EINVAL: this process does not have it open.
int shoal_dict_close(struct shoal_dict *d);
// Its entries are freed when all have closed it, by the next sweep of the heap. -ENOENT, -EBADMSG.
int shoal_dict_unlink(struct shoal_segment *seg, const char *name);

// ---- in an object of the caller's ----
// Bytes; 0: no such options.
uint64_t shoal_dict_size(const struct shoal_dict_options *options);
// `memory`: that many bytes inside of `object`, aligned to 64, which the caller keeps open. Its entries are the
// object's. -EINVAL: it does not lie there, or no such options; -ENOSPC, -EUSERS, -ENOMEM: no heap.
int shoal_dict_init(struct shoal_segment *seg, const struct shoal_object *object, void *memory,
                    const struct shoal_dict_options *options, struct shoal_dict **out) SHOAL_MUST_CHECK;
// Another process's view of it, closed by shoal_dict_close. -EPROTO.
int shoal_dict_attach(struct shoal_segment *seg, const struct shoal_object *object, void *memory,
                      struct shoal_dict **out) SHOAL_MUST_CHECK;
// Frees all of it, and the view; other views answer -EINVAL from here on. Waits for all writers: the codes of
// shoal_dict_clear, and then nothing is freed.
int shoal_dict_destroy(struct shoal_dict *d, shoal_deadline deadline);

// ---- read: never waits ----
// Copies the value to `buffer`; *size: its bytes; NULL, as wherever a value, a message or a result is got: not asked
// for. 0; -ENOENT; -EMSGSIZE it has more than `capacity`, *size says how many, and the buffer may hold some; -EBADMSG
// it is a container (ipc/data/nested.h); -EINVAL destroyed; -EPROTO damaged.
int shoal_dict_get(struct shoal_dict *d, const void *key, uint64_t key_size, void *buffer, uint64_t capacity,
                   uint64_t *size);
// The same, and its version: another one after each change of this key; the same again not before its memory has been
// another entry's, or table's, 2^22 times.
int shoal_dict_get_versioned(struct shoal_dict *d, const void *key, uint64_t key_size, void *buffer, uint64_t capacity,
                             uint64_t *size, uint64_t *version);
// Into memory from malloc, which the caller frees; a zero byte follows the value. The codes of shoal_dict_get; -ENOMEM.
int shoal_dict_get_alloc(struct shoal_dict *d, const void *key, uint64_t key_size, void **value,
                         uint64_t *size) SHOAL_MUST_CHECK;
struct shoal_dict_want {  // one of many that are asked for together
  const void *key;
  uint64_t key_size;
  void *buffer;
  uint64_t capacity;  // bytes of the buffer
  uint64_t size;      // the answer, as of shoal_dict_get
  int rc;
};
// As many gets, each of its own moment, whose lines are on their way together: of entries that are in no cache several
// times as many in the same time. Of each, rc and size are what shoal_dict_get says. How many were there and fit: rc 0.
// Any n; never waits.
uint64_t shoal_dict_get_n(struct shoal_dict *d, struct shoal_dict_want *wants, uint64_t n);
int shoal_dict_contains(struct shoal_dict *d, const void *key, uint64_t key_size);  // 1, 0; -EINVAL destroyed, -EPROTO
// How many entries. What others do meanwhile is counted or not.
uint64_t shoal_dict_len(struct shoal_dict *d);

// ---- write: sleeps for writers of the same stripe only ----
// All: 0, -EAGAIN (SHOAL_TRY), -ETIMEDOUT; -ENOSPC, -EUSERS, -ENOMEM; -EMSGSIZE, -EOVERFLOW a value or key too large;
// -EDEADLK in a callback; -EINVAL destroyed; -EPROTO. Nothing is changed then.
int shoal_dict_set(struct shoal_dict *d, const void *key, uint64_t key_size, const void *value, uint64_t size,
                   shoal_deadline deadline);
// If the key is there, 1, and its value as get says it (-EMSGSIZE); else it is set: 0.
int shoal_dict_setdefault(struct shoal_dict *d, const void *key, uint64_t key_size, const void *value, uint64_t size,
                          void *buffer, uint64_t capacity, uint64_t *found, shoal_deadline deadline);
// Takes the value out. -ENOENT; -EMSGSIZE: it is there still, *size says how large it is.
int shoal_dict_pop(struct shoal_dict *d, const void *key, uint64_t key_size, void *buffer, uint64_t capacity,
                   uint64_t *size, shoal_deadline deadline);
// The same into memory from malloc, which the caller frees; a zero byte follows the value. -ENOMEM: it is there still.
int shoal_dict_pop_alloc(struct shoal_dict *d, const void *key, uint64_t key_size, void **value, uint64_t *size,
                         shoal_deadline deadline) SHOAL_MUST_CHECK;
int shoal_dict_remove(struct shoal_dict *d, const void *key, uint64_t key_size, shoal_deadline deadline);  // -ENOENT
// These two look at what is there first, and so allocate, if they have to, while they keep others from the stripe.
// Sets it if its version is still `version` (SHOAL_DICT_ABSENT: if it is not there). SHOAL_DICT_OTHER.
int shoal_dict_set_if(struct shoal_dict *d, const void *key, uint64_t key_size, uint64_t version, const void *value,
                      uint64_t size, shoal_deadline deadline);
// Sets it if its value is `old` (NULL: if it is not there). SHOAL_DICT_OTHER.
int shoal_dict_compare_and_set(struct shoal_dict *d, const void *key, uint64_t key_size, const void *old,
                               uint64_t old_size, const void *value, uint64_t size, shoal_deadline deadline);

// What an update sees and decides.
struct shoal_dict_change {
  void *value;    // a copy of what is there, NULL: nothing. To be changed in place, or to be pointed at other bytes
  uint64_t size;  // of it
};
enum { SHOAL_DICT_SET = 0, SHOAL_DICT_KEEP = 1, SHOAL_DICT_REMOVE = 2 };
// `change` answers one of these, or a negative code, which keeps what is there and is the answer. Called once, while
// nobody else changes this key; it has to come back. KEEP: 0, REMOVE of what is not there: 0. -EINVAL: it answered what
// is none of these; -EBADMSG: a container is there. Nothing is changed then.
int shoal_dict_update(struct shoal_dict *d, const void *key, uint64_t key_size,
                      int (*change)(struct shoal_dict_change *c, void *arg), void *arg, shoal_deadline deadline);

struct shoal_dict_item {
  const void *key;
  uint64_t key_size;
  const void *value;
  uint64_t size;
};
// Takes out any entry whose value is bytes. Key and value lie in *memory, from malloc, which the caller frees. -ENOENT:
// there was no entry at all, at a moment when nobody wrote; -EBADMSG: there were none but containers then: *memory is
// the key of one only, which is there still (ipc/data/nested.h: pop it by that). Past containers it looks for the next:
// with many, that takes its time.
int shoal_dict_popitem(struct shoal_dict *d, void **memory, struct shoal_dict_item *item,
                       shoal_deadline deadline) SHOAL_MUST_CHECK;
// Python's update: sets many, each of them atomically, in this order. Their memory is allocated before the first, and
// the table that they need, a key that comes twice counted twice: -ENOSPC and nothing is changed. *done: how many were
// set, if a deadline or damage came between, or others had taken the room meanwhile.
int shoal_dict_set_n(struct shoal_dict *d, const struct shoal_dict_item *items, uint64_t n, uint64_t *done,
                     shoal_deadline deadline);
// Removes all at one moment, and frees the table. Readers see all or nothing.
int shoal_dict_clear(struct shoal_dict *d, shoal_deadline deadline);

// ---- all of one moment ----
struct shoal_dict_snapshot {  // a copy in private memory
  char *bytes;
  uint64_t length, at, entries;
  uint32_t nested;  // the last item's value is a container (ipc/data/nested.h)
};
// Copied while nobody writes: under all stripes. In no order. -ENOMEM; -EAGAIN, -ETIMEDOUT, -EDEADLK, -EINVAL, -EPROTO
// as of a write.
int shoal_dict_snapshot(struct shoal_dict *d, struct shoal_dict_snapshot *out,
                        shoal_deadline deadline) SHOAL_MUST_CHECK;
int shoal_dict_next(struct shoal_dict_snapshot *s, struct shoal_dict_item *item);  // 1; 0: there is no more
void shoal_dict_snapshot_free(struct shoal_dict_snapshot *s);

struct shoal_dict_info {
  uint64_t entries;
  uint64_t payload;   // bytes of keys and values
  uint64_t blocks;    // bytes of their blocks, without the heap's rounding
  uint64_t table;     // bytes of the table
  uint64_t capacity;  // entries it holds before it grows
  uint64_t tables;    // how often it has grown, shrunk, been cleared; its low 16 bits
  uint32_t stripes;
  uint32_t writers;  // stripes that somebody has at this moment
  uint32_t waiting;  // stripes at which somebody may sleep
  uint32_t dead;     // stripes whose holder died, which nobody has taken since
  uint32_t holders;  // entries of other containers that lead to it (ipc/data/nested.h)
};
int shoal_dict_info(struct shoal_dict *d, struct shoal_dict_info *out);  // never waits; -EPROTO damaged

SHOAL_END
