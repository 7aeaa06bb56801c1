// ipc/data/list_internal.h: what a list holds in its segment.
//
//   head   kind, root | lock, intent
//   row    a block: seq, length | words, a power of two of them, of which `length` count
//
// INTENT of who has the lock (lock.state):
//   SET     word[slot] := word; `old` is ended                     else `fresh` is ended
//   ADD     length := slot + 1, and word[slot] before it           else `fresh` is ended
//   CHANGE  root and length := those `then`                        else what was given is ended again
//     a new row is given (`fresh`), or the row stays. From word `give.phase` / 2 on values are given, one by one, up to
//     `add_to`; give.ref: the last of them. Published, what word[drop.phase / 2, drop_to) of the last row led to is
//     ended, one by one, and that row, if there is a new one. Never published, the same with what was given (`undo`),
//     and the new row.
#pragma once

#include "core/robust.h"
#include "ipc/data/item_internal.h"
#include "ipc/data/list.h"

SHOAL_BEGIN

enum { SHOAL_LIST_IDLE_, SHOAL_LIST_SET_, SHOAL_LIST_CHANGE_, SHOAL_LIST_ADD_ };

struct shoal_list_shm {
  uint64_t kind;
  shoal_atomic64 root;  // where its block is, in 16 bytes:42 | log2 of its words:6 | how many roots before it:16
  uint64_t unused_[6];
  // Who has the lock.
  struct shoal_robust lock SHOAL_ALIGNED(64);  // lock.state: the intent
  uint64_t slot, word;
  uint64_t was, then, length_then;
  struct shoal_block_ref fresh, old;
  uint64_t drop_to;
  struct shoal_sweep_shm give, undo, drop;
};
SHOAL_STATIC_ASSERT(offsetof(struct shoal_list_shm, lock) == 64, "readers keep off the writers' lines");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_list_shm, fresh) == 144, "layout");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_list_shm, give) == 184, "layout");
SHOAL_STATIC_ASSERT(sizeof(struct shoal_list_shm) == 256, "four lines");

#define SHOAL_LIST_KIND_ UINT64_C(0x7473696c6c616f68)  // "hoallist"

struct shoal_row_shm {
  shoal_atomic32 seq;  // the life of its block
  uint32_t unused_;
  shoal_atomic64 length;
  uint64_t unused2_[6];
  shoal_atomic64 word[];
};
SHOAL_STATIC_ASSERT(sizeof(struct shoal_row_shm) == 64, "words begin at a line");

struct shoal_list {
  struct shoal_keep_ keep;
  struct shoal_list_shm *shm;
  uint32_t named;  // close closes the object
  struct shoal_object object;
};

#define SHOAL_ROW_LOG_MIN_ 3u
#define SHOAL_ROW_LOG_MAX_ 40u

struct shoal_row_ {           // private: where the words are, as a root said it
  struct shoal_row_shm *shm;  // NULL: there are none
  uint64_t room, length, root;
  uint32_t seq;
};
// 0, or -EPROTO.
int shoal_list_row_(struct shoal_list *l, uint64_t root, struct shoal_row_ *r);
SHOAL_INLINE int shoal_list_look_(struct shoal_list *l, struct shoal_row_ *r) {
  return shoal_list_row_(l, shoal_load64_acquire(&l->shm->root), r);  // [V4] pairs with [V3]
}
SHOAL_INLINE int shoal_row_is_current_(const struct shoal_list *l, const struct shoal_row_ *r) {
  return SHOAL_LIKELY(shoal_load64_acquire(&l->shm->root) == r->root &&            // [V4]
                      (!r->shm || shoal_load32_acquire(&r->shm->seq) == r->seq));  // [V4]
}

SHOAL_INLINE int shoal_list_damaged_(void) { return shoal_fail_(-EPROTO, "the list is damaged"); }
// An index of a slice, counted from the front: 0 to `length`.
SHOAL_INLINE uint64_t shoal_list_bounded_(int64_t index, uint64_t length) {
  if (index < 0) index = (uint64_t) - (index + 1) >= length ? 0 : index + (int64_t)length;
  return (uint64_t)index < length ? (uint64_t)index : length;
}
// Whether its value is these bytes. Nobody changes it meanwhile.
SHOAL_INLINE int shoal_list_is_equal_(const struct shoal_item_ *it, const void *value, uint64_t size) {
  return it->value == size && !it->nested && (!size || memcmp(shoal_item_value_(it), value, size) == 0);
}

// ---- values that are containers; ipc/data/nested.c says which (ipc/data/list.c) ----
int shoal_list_open_at_(struct shoal_segment *seg, const struct shoal_handle_shm *h, struct shoal_list **out);
// 0; -ERANGE, -EPROTO, -EBADMSG: bytes.
int shoal_list_handle_(struct shoal_list *l, int64_t index, struct shoal_handle_shm *out);
// As shoal_list_insert; `replaces`: as shoal_list_set.
int shoal_list_nest_(struct shoal_list *l, int64_t index, int replaces, const struct shoal_object *inner, uint32_t type,
                     shoal_deadline deadline);
// As shoal_list_pop. It is opened before it goes.
int shoal_list_take_(struct shoal_list *l, int64_t index,
                     int (*open)(struct shoal_keep_ *k, const struct shoal_handle_shm *h, void **out), void **out,
                     shoal_deadline deadline);

// ---- ipc/data/list_change.c ----
// The lock, repaired. The codes of a write; not in a callback: -EDEADLK.
int shoal_list_lock_(struct shoal_list *l, shoal_deadline deadline);
// The same, and the row, which may be written to.
int shoal_list_begin_(struct shoal_list *l, struct shoal_row_ *row, shoal_deadline deadline);
void shoal_list_unlock_(struct shoal_list *l);
// With the lock: [from, from + drop) become the `n` items, which are this process's, and freed if it fails.
int shoal_list_change_(struct shoal_list *l, const struct shoal_row_ *row, uint64_t from, uint64_t drop,
                       struct shoal_item_shm *const *items, uint64_t n);
// With the lock: the word of `slot` leads to the item from here on.
int shoal_list_put_(struct shoal_list *l, const struct shoal_row_ *row, uint64_t slot, struct shoal_item_shm *item);
// With the lock: the same values, in the order of these words.
int shoal_list_reorder_(struct shoal_list *l, const struct shoal_row_ *row, const uint64_t *words);

SHOAL_END
