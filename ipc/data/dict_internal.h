// ipc/data/dict_internal.h: what a dict holds in its segment.
//
//   head      root, what a change of the table left | used
//   stripes   three lines each: a robust word and the intent of who has it; what a value is to be that is changed in
//             its item
//   table     a block: seq | words, a power of two of them, in buckets of a line; a key's bucket is its hash; then the
//             next, up to one with an empty word
//
// A word of the table is NONE, REMOVED, or leads to an item. NONE becomes something for good: so what was passed once
// on the way to a key stays passed, until another table is published. A stripe's holder changes the words of its own
// keys by stores, and makes words its own, NONE or REMOVED before, by compare-and-set.
//
// INTENT of a stripe (lock.state): what is being done. Done, if the word is what it was to become:
//   ADD      slot := word          else `fresh` is ended
//   REPLACE  slot := word, not was; `old` is ended          else `fresh` is ended
//   REMOVE   slot no longer was; `old` is ended
//   OVERWRITE  the value of the item `old`, whose head `was`, is what stands `beside`: copied again, if its head says CHANGING;
//              else it is done, or never was
// INTENT of the table, under all stripes: root := `then`; `old` is ended, and what it led to if it was CLEARed; else
// `fresh` is. Whoever gets a stripe finds no other's intent of the table but a dead one's, and has it ended under all
// stripes, first.
//
// `used` is never less than the words of the table that are not NONE: it is raised before, lowered after.
#pragma once

#include "core/robust.h"
#include "ipc/data/dict.h"
#include "ipc/data/item_internal.h"

SHOAL_BEGIN

// A stripe's intent; the table's.
enum { SHOAL_DICT_IDLE_, SHOAL_DICT_ADD_, SHOAL_DICT_REPLACE_, SHOAL_DICT_REMOVE_, SHOAL_DICT_OVERWRITE_ };
enum { SHOAL_DICT_STILL_, SHOAL_DICT_MOVE_, SHOAL_DICT_CLEAR_ };

#define SHOAL_DICT_BESIDE_ 64u  // bytes of a value that is changed in its item, at most

struct shoal_dict_stripe_shm {  // who has the lock
  struct shoal_robust lock;     // lock.state: the intent
  uint64_t slot, word, was;
  shoal_atomic64 entries, bytes;      // bytes: of keys and values
  uint64_t entries_then, bytes_then;  // if it is done
  struct shoal_block_ref fresh, old;
  shoal_atomic64 beside[SHOAL_DICT_BESIDE_ / 8];
} SHOAL_ALIGNED(64);
SHOAL_STATIC_ASSERT(sizeof(struct shoal_dict_stripe_shm) == 192, "three lines");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_dict_stripe_shm, entries) == 64, "the intent's place lies beside the lock");

struct shoal_dict_shm {
  // Constant until it is destroyed.
  uint64_t kind;
  uint64_t seed;
  uint64_t capacity;
  uint32_t stripes;
  uint32_t unused_;
  // Who has all stripes.
  shoal_atomic64 root;    // where its block is, in 16 bytes:42 | log2 of its words:6 | how many roots before it:16
  shoal_atomic32 moving;  // the table's intent; known to every writer by its look at the root's line
  uint32_t unused2_;
  uint64_t was, then;  // the root before, and if it is done
  struct shoal_block_ref fresh, old;
  struct shoal_sweep_shm sweep;
  // Whoever adds.
  shoal_atomic64 used SHOAL_ALIGNED(64);
  uint64_t unused3_[7];
  struct shoal_dict_stripe_shm stripe[];
};
SHOAL_STATIC_ASSERT(offsetof(struct shoal_dict_shm, root) == 32, "layout");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_dict_shm, then) == 56, "layout");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_dict_shm, sweep) == 96, "layout");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_dict_shm, used) == 128, "layout");
SHOAL_STATIC_ASSERT(sizeof(struct shoal_dict_shm) == 192, "layout");

#define SHOAL_DICT_KIND_ UINT64_C(0x746369646c616f68)  // "hoaldict"

struct shoal_table_shm {
  shoal_atomic32 seq;  // the life of its block
  uint32_t unused_[15];
  shoal_atomic64 word[];
};
SHOAL_STATIC_ASSERT(sizeof(struct shoal_table_shm) == 64, "words begin at a line");

struct shoal_dict {
  struct shoal_keep_ keep;
  struct shoal_dict_shm *shm;
  uint64_t seed, capacity;
  uint32_t stripes;
  uint32_t named;       // close closes the object
  uint32_t is_a;        // enum shoal_nested_type: a dict or a namespace
  shoal_atomic64 next;  // where popitem looks first; any value is correct
  struct shoal_object object;
  shoal_atomic64 sound;  // a hint: the last root that was found to lead to a table inside the segment, for good
};

#define SHOAL_ROOT_OFF_(root) ((root) >> 22 << 4)
#define SHOAL_ROOT_LOG_(root) ((unsigned)((root) >> 16) & 63u)
#define SHOAL_TABLE_LOG_MIN_ 3u
#define SHOAL_TABLE_LOG_MAX_ 40u

struct shoal_table_ {           // private: where the words are, as a root said it
  struct shoal_table_shm *shm;  // NULL: there are none
  uint64_t mask, root;
  uint32_t seq;
};
SHOAL_INLINE uint64_t shoal_table_size_(const struct shoal_table_ *t) { return sizeof *t->shm + 8 * (t->mask + 1); }
// Without a call, where this view has looked before: 1; 0: else.
SHOAL_INLINE int shoal_table_expect_(const struct shoal_dict *d, struct shoal_table_ *t) {
  uint64_t root = shoal_load64_acquire(&d->shm->root);                             // [D4] pairs with [D3]
  if (SHOAL_UNLIKELY(root != shoal_load64_acquire(&d->sound) || !root)) return 0;  // [I6] pairs with [I5]
  t->shm = (struct shoal_table_shm *)(void *)(d->keep.base + SHOAL_ROOT_OFF_(root));
  t->mask = (UINT64_C(1) << SHOAL_ROOT_LOG_(root)) - 1;
  t->root = root;
  t->seq = shoal_load32_acquire(&t->shm->seq);  // [D4]
  return 1;
}
// 1: there are words; 0: there are none; -1: nothing that can be a table.
int shoal_table_look_(struct shoal_dict *d, struct shoal_table_ *t);
// 0, or -EPROTO: nothing that can be a table.
int shoal_dict_table_(struct shoal_dict *d, struct shoal_table_ *t);
SHOAL_INLINE int shoal_table_is_current_(const struct shoal_dict *d, const struct shoal_table_ *t) {
  return SHOAL_LIKELY(shoal_load64_acquire(&d->shm->root) == t->root &&            // [D4] pairs with [D3]
                      (!t->shm || shoal_load32_acquire(&t->shm->seq) == t->seq));  // [D4]
}
#define SHOAL_BUCKET_ 8u  // words: a line
SHOAL_INLINE uint64_t shoal_table_home_(uint64_t hash, uint64_t mask) {
  return hash & mask & ~(uint64_t)(SHOAL_BUCKET_ - 1);
}
SHOAL_INLINE uint64_t shoal_table_limit_(uint64_t words) { return words / 4 * 3; }
// Words for `n` entries: at most half of them, and room for `capacity` before it grows.
SHOAL_INLINE unsigned shoal_table_log_(uint64_t n, uint64_t capacity) {
  unsigned log = SHOAL_TABLE_LOG_MIN_;
  while (log < SHOAL_TABLE_LOG_MAX_ &&
         ((UINT64_C(1) << log) / 2 < n || shoal_table_limit_(UINT64_C(1) << log) < capacity))
    log++;
  return log;
}

// ---- by name, as an object of another type (ipc/data/dict_view.c) ----
int shoal_dict_create_as_(struct shoal_segment *seg, const char *name, const char *type,
                          const struct shoal_dict_options *options, struct shoal_dict **out);
int shoal_dict_open_as_(struct shoal_segment *seg, const char *name, const char *type, struct shoal_dict **out);
int shoal_dict_open_or_create_as_(struct shoal_segment *seg, const char *name, const char *type,
                                  const struct shoal_dict_options *options, struct shoal_dict **out);

int shoal_dict_open_at_(struct shoal_segment *seg, const struct shoal_handle_shm *h, const char *type,
                        struct shoal_dict **out);

// ---- values that are containers; ipc/data/nested.c says which (ipc/data/dict.c) ----
// 0; -ENOENT, -EPROTO, -EBADMSG: bytes.
int shoal_dict_handle_(struct shoal_dict *d, const void *key, uint64_t key_size, struct shoal_handle_shm *out);
// As shoal_dict_set. `anew`: only of what is not there, else SHOAL_DICT_OTHER.
int shoal_dict_nest_(struct shoal_dict *d, const void *key, uint64_t key_size, const struct shoal_object *inner,
                     uint32_t type, int anew, shoal_deadline deadline);
// As shoal_dict_pop. It is opened before it goes.
int shoal_dict_take_(struct shoal_dict *d, const void *key, uint64_t key_size,
                     int (*open)(struct shoal_keep_ *k, const struct shoal_handle_shm *h, void **out), void **out,
                     shoal_deadline deadline);

// ---- locks (ipc/data/dict_table.c) ----
// The stripe, repaired. Not in a callback: -EDEADLK.
int shoal_dict_lock_(struct shoal_dict *d, uint32_t stripe, shoal_deadline deadline);
void shoal_dict_unlock_(struct shoal_dict *d, uint32_t stripe);
int shoal_dict_lock_all_(struct shoal_dict *d, shoal_deadline deadline);
void shoal_dict_unlock_all_(struct shoal_dict *d);
// Whether these bytes, not 0, are some of the dict's own; or of a word of the calling thread: not to be written to as
// an item.
SHOAL_INLINE int shoal_dict_is_in_(const struct shoal_dict *d, const void *at, uint64_t bytes) {
  uint64_t all = sizeof *d->shm + d->stripes * sizeof *d->shm->stripe;
  return (uintptr_t)at + bytes - (uintptr_t)d->shm - 1 < all + bytes - 1;
}
SHOAL_INLINE int shoal_dict_is_over_(const struct shoal_dict *d, const void *at, uint64_t bytes) {
  return SHOAL_UNLIKELY(shoal_dict_is_in_(d, at, bytes) || shoal_robust_owns_some_of_(at, bytes));
}
// The intent is ended: all of it is done before, and nothing of what comes next.
SHOAL_INLINE void shoal_dict_idle_(struct shoal_dict_stripe_shm *s) {
  SHOAL_COMPILER_BARRIER();
  s->lock.state = SHOAL_DICT_IDLE_;
  SHOAL_COMPILER_BARRIER();
}
// What is to be done with `it`, whose key has that many bytes, and whose head was that one: all that OVERWRITE means.
SHOAL_INLINE void shoal_dict_overwrite_(struct shoal_dict_stripe_shm *s, struct shoal_item_shm *it, uint32_t key,
                                        uint64_t head) {
  char value[SHOAL_DICT_BESIDE_];
  uint64_t size = head & SHOAL_ITEM_BYTES_;
  shoal_words_read_(s->beside, value, size);
  shoal_store64_release(&it->head, head | SHOAL_ITEM_CHANGING_);  // [I7] pairs with [I8]: who reads reads beside it
  shoal_words_write_(shoal_item_words_(it, key), value, size);
  shoal_store64_release(&it->head, head + SHOAL_ITEM_CHANGED_);  // [I7]
  shoal_dict_idle_(s);
}
// What the stripe's intent says is done: it is counted, and what it replaced is ended.
int shoal_dict_settle_(struct shoal_dict *d, struct shoal_dict_stripe_shm *s);

// ---- tables ----
// Another table, of the size that the entries want and `more`, at least one, than there are. Without a stripe.
int shoal_dict_resize_(struct shoal_dict *d, uint64_t more, shoal_deadline deadline);
uint64_t shoal_dict_entries_(const struct shoal_dict *d);

SHOAL_END
