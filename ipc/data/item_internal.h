// ipc/data/item_internal.h: a key and a value in a block of the heap, and the word that leads to it.
//
//   block   seq | bytes of the key || head | key, to 8 bytes | value, to 8 bytes
//   head    a handle?:1 | being changed?:1 | how often it was:10 | bytes of the value:52
//   word    where the block is, in 16 bytes:42 | of the hash:12 | low bits of seq:10          0: nothing; 1: removed
//
// A block is written while it is its process's, then given to the container's object, then published by one store of a
// word. Its key is not changed while it is; its value is, by as many bytes, if the container has room beside it for
// what it is to be, whole: from when the head says so until it says that it was, the value is what stands there. Who
// reads takes no lock: the word, the block, then the word, seq and the head again. All unchanged: what was read is one
// value, of one life of that block. The memory of a block that was freed stays mapped.
//
// ORDERING
//   [I1] every word of a block is released when it is written; pairs with [I2], who reads it acquired (of keys and
//        values they are [W1], [W2] of core/words.h): a reader of a later life sees, after it, that the word which led
//        it here was changed before that life began.
//   [I3] a block's life is written, and the block, before the word that leads to it is published; pairs with [I4].
//   [I5] how far memory was seen to reach; pairs with [I6].
//   [I7] the head says that the value is being changed after what it is to be stands beside it, and before a word of it is;
//        and that it was, after all are, and before another stands there; pairs with [I8].
#pragma once

#include "core/directory.h"
#include "core/error.h"
#include "core/heap.h"
#include "core/words.h"

SHOAL_BEGIN

struct shoal_item_shm {  // who has the block, before it is published
  shoal_atomic32 seq;    // the life of the block, as the heap counts
  shoal_atomic32 key;    // bytes
  shoal_atomic64 head;   // of the value; who has the container's lock changes it
};
SHOAL_STATIC_ASSERT(sizeof(struct shoal_item_shm) == 16, "before its key");

#define SHOAL_ITEM_NESTED_ (UINT64_C(1) << 63)
#define SHOAL_ITEM_CHANGING_ (UINT64_C(1) << 62)
#define SHOAL_ITEM_CHANGED_ (UINT64_C(1) << 52)            // once
#define SHOAL_ITEM_CHANGES_ (SHOAL_ITEM_CHANGED_ * 0x3ff)  // as often as can be
#define SHOAL_ITEM_BYTES_ (SHOAL_ITEM_CHANGED_ - 1)
struct shoal_handle_shm {  // the value that is another container: an object without a name, tied to the item's block
  uint32_t entry, generation;
  uint32_t type;  // enum shoal_nested_type
  uint32_t unused_;
};
SHOAL_STATIC_ASSERT(sizeof(struct shoal_handle_shm) == 16, "two words");

#define SHOAL_ITEM_NONE_ UINT64_C(0)
#define SHOAL_ITEM_REMOVED_ UINT64_C(1)
#define SHOAL_ITEM_TAG_ UINT64_C(0x3ff)
#define SHOAL_ITEM_FRAGMENT_ UINT64_C(0x3ffc00)

SHOAL_INLINE uint64_t shoal_item_word_(shoal_off off, uint64_t hash, uint32_t seq) {
  return off >> 4 << 22 | (hash >> 52) << 10 | (seq & SHOAL_ITEM_TAG_);
}
SHOAL_INLINE shoal_off shoal_item_off_(uint64_t word) { return word >> 22 << 4; }
SHOAL_INLINE uint64_t shoal_padded_(uint64_t bytes) { return (bytes + 7) & ~UINT64_C(7); }
SHOAL_INLINE uint64_t shoal_item_size_(uint64_t key, uint64_t value) {
  return sizeof(struct shoal_item_shm) + shoal_padded_(key) + shoal_padded_(value);
}

extern __thread uint32_t shoal_inside_;  // callbacks, which change no container

// ---- private: where a container's blocks are, and whose ----
struct shoal_keep_ {
  struct shoal_segment *seg;
  struct shoal_heap *heap;
  char *base;            // address of offset 0
  uint64_t first;        // below this offset there is no block, but what the segment is made of
  shoal_atomic64 known;  // below this offset all is mapped
  uint64_t size_max;
  uint32_t entry, generation;  // of the object
};
int shoal_keep_open_(struct shoal_keep_ *k, struct shoal_segment *seg, const struct shoal_object *object);
int shoal_keep_close_(struct shoal_keep_ *k);
// 0, or -EINVAL: `size` bytes at `memory`, aligned to 64, are not in the object.
int shoal_keep_place_(const struct shoal_object *object, const void *memory, uint64_t size);
void *shoal_keep_at_slow_(struct shoal_keep_ *k, shoal_off off, uint64_t size);
// The address of `size` bytes at `off`, at 16 bytes; NULL: not wholly where blocks are.
SHOAL_INLINE void *shoal_keep_at_(struct shoal_keep_ *k, shoal_off off, uint64_t size) {
  uint64_t known = shoal_load64_acquire(&k->known);  // [I6] pairs with [I5]
  if (SHOAL_LIKELY(off - k->first < known - k->first && size <= known - off)) return k->base + off;
  return shoal_keep_at_slow_(k, off, size);
}

// A reference in shared memory, each word read once.
SHOAL_INLINE struct shoal_block_ref shoal_ref_read_(const struct shoal_block_ref *ref) {
  struct shoal_block_ref r = {__atomic_load_n(&ref->off, __ATOMIC_RELAXED),
                              __atomic_load_n(&ref->seq, __ATOMIC_RELAXED), 0};
  return r;
}
// Gives the block, whose first word becomes its life. *ref, in the intent of whoever has the lock, is written first.
int shoal_keep_give_(struct shoal_keep_ *k, void *block, struct shoal_block_ref *ref);
// Ends it, if it is the object's still. 0; or why that cannot be known.
int shoal_keep_end_(struct shoal_keep_ *k, const struct shoal_block_ref *ref);

// ---- items ----
// The same of an item. Of one that is a handle: what it leads to is held by it, from here on; -ELOOP, -EMLINK, -EINVAL,
// -ENOMEM.
int shoal_item_give_(struct shoal_keep_ *k, struct shoal_item_shm *it, struct shoal_block_ref *ref);
// And no longer held, and freed if nobody else does.
int shoal_item_end_(struct shoal_keep_ *k, const struct shoal_block_ref *ref);
SHOAL_INLINE shoal_atomic64 *shoal_item_key_(struct shoal_item_shm *it) { return (shoal_atomic64 *)(void *)(it + 1); }
// A block of this process's with that key and value in it. -ENOSPC, -EUSERS, -ENOMEM.
int shoal_item_make_(struct shoal_keep_ *k, const void *key, uint32_t key_size, const void *value, uint64_t size,
                     struct shoal_item_shm **out) SHOAL_MUST_CHECK;
// One whose value is that object, of that type.
int shoal_item_nest_(struct shoal_keep_ *k, const void *key, uint32_t key_size, const struct shoal_object *inner,
                     uint32_t type, struct shoal_item_shm **out) SHOAL_MUST_CHECK;

struct shoal_item_ {  // what a word led to; private, to be confirmed
  struct shoal_item_shm *shm;
  const shoal_atomic64 *beside;  // where its value is while it is being changed; NULL: in it
  uint64_t head, value;          // value: bytes
  uint32_t seq, key;
  uint32_t nested;  // 1: a handle
};
// 0: the lengths are inside the segment, and its life is the word's. -EAGAIN: not so; the word has changed, or is
// damaged.
SHOAL_INLINE int shoal_item_look_(struct shoal_keep_ *k, uint64_t word, struct shoal_item_ *out) {
  shoal_off off = shoal_item_off_(word);
  struct shoal_item_shm *it = (struct shoal_item_shm *)shoal_keep_at_(k, off, sizeof *it);
  if (SHOAL_UNLIKELY(!it)) return -EAGAIN;
  out->shm = it;
  out->seq = shoal_load32_acquire(&it->seq);    // [I2]
  out->key = shoal_load32_acquire(&it->key);    // [I2]
  out->head = shoal_load64_acquire(&it->head);  // [I2], [I8] pairs with [I7]
  out->nested = (uint32_t)(out->head >> 63);
  out->value = out->head & SHOAL_ITEM_BYTES_;
  out->beside = NULL;
  if (SHOAL_UNLIKELY(((out->seq ^ word) & SHOAL_ITEM_TAG_) || out->value > k->size_max)) return -EAGAIN;
  return shoal_keep_at_(k, off, shoal_item_size_(out->key, out->value)) ? 0 : -EAGAIN;
}
// Whether the value may be changed where it is: it is no handle, is not being changed, and was not too often. Who has
// stood since the first of so many changes is not to take the next for it.
SHOAL_INLINE int shoal_item_may_change_(uint64_t head) {
  return !(head & (SHOAL_ITEM_NESTED_ | SHOAL_ITEM_CHANGING_)) && (head & SHOAL_ITEM_CHANGES_) != SHOAL_ITEM_CHANGES_;
}
// Bytes of the value; more than any has: it is a handle, or being changed.
SHOAL_INLINE uint64_t shoal_item_plain_(uint64_t head) { return head & ~SHOAL_ITEM_CHANGES_; }
// The same without a call, of an item that a reader may expect: 1; 0: it is no such one, or lies where this process has
// not yet looked. `key`: bytes of its key; `most`: bytes of a value that is no handle and not being changed, at most
// the segment's.
SHOAL_INLINE int shoal_item_expect_(const struct shoal_keep_ *k, uint64_t word, uint32_t key, uint64_t most,
                                    struct shoal_item_ *out) {
  shoal_off off = shoal_item_off_(word);
  uint64_t known = shoal_load64_acquire(&k->known);  // [I6] pairs with [I5]
  struct shoal_item_shm *it = (struct shoal_item_shm *)(void *)(k->base + off);
  if (SHOAL_UNLIKELY(off - k->first >= known - k->first || known - off < sizeof *it)) return 0;
  out->shm = it;
  out->seq = shoal_load32_acquire(&it->seq);    // [I2]
  out->key = shoal_load32_acquire(&it->key);    // [I2]
  out->head = shoal_load64_acquire(&it->head);  // [I2], [I8] pairs with [I7]
  out->value = shoal_item_plain_(out->head);
  out->nested = 0;
  out->beside = NULL;
  if (SHOAL_UNLIKELY(((out->seq ^ word) & SHOAL_ITEM_TAG_) || out->key != key || out->value > most)) return 0;
  return SHOAL_LIKELY(shoal_item_size_(key, out->value) <= known - off);
}
SHOAL_INLINE shoal_atomic64 *shoal_item_words_(struct shoal_item_shm *it, uint32_t key) {  // of its value
  return shoal_item_key_(it) + shoal_padded_(key) / 8;
}
SHOAL_INLINE const shoal_atomic64 *shoal_item_value_(const struct shoal_item_ *i) {
  return SHOAL_UNLIKELY(i->beside != NULL) ? i->beside : shoal_item_words_(i->shm, i->key);
}
SHOAL_INLINE int shoal_item_has_word_(const shoal_atomic64 *at, const char *from, uint64_t bytes) {
  uint64_t word = 0;
  memcpy(&word, from, bytes);
  return shoal_load64_acquire(at) == word;  // [I2]
}
SHOAL_INLINE int shoal_item_has_pair_(const shoal_atomic64 *at, const char *from) {
#ifdef SHOAL_WORDS_IN_PAIRS_
  __m128i is = _mm_loadu_si128((const __m128i *)(const void *)at);
  SHOAL_COMPILER_BARRIER();  // [I2]
  __m128i same = _mm_cmpeq_epi8(is, _mm_loadu_si128((const __m128i *)(const void *)from));
  return _mm_movemask_epi8(same) == 0xffff;
#else
  return shoal_item_has_word_(at, from, 8) && shoal_item_has_word_(at + 1, from + 8, 8);
#endif
}
SHOAL_INLINE int shoal_item_has_key_(const struct shoal_item_ *i, const void *key, uint32_t size) {
  const shoal_atomic64 *words = shoal_item_key_(i->shm);
  const char *from = (const char *)key;
  uint64_t at = 0;  // counted as core/words.h counts
  if (i->key != size) return 0;
  for (; at + 16 <= size; at += 16) {
    if (!shoal_item_has_pair_(words + at / 8, from + at)) return 0;
    __asm__("" : "+r"(at));
  }
  if (SHOAL_LIKELY(at == size)) return 1;
  if (at + 8 <= size) {
    if (!shoal_item_has_word_(words + at / 8, from + at, 8)) return 0;
    at += 8;
  }
  return at == size || shoal_item_has_word_(words + at / 8, from + at, size - at);
}
// Whether it was of one life, and one value, all the time since it was looked at: `at` has led there before.
SHOAL_INLINE int shoal_item_is_whole_(const struct shoal_item_ *i, const shoal_atomic64 *at, uint64_t word) {
  return SHOAL_LIKELY(shoal_load64_acquire(at) == word &&               // [I4] pairs with [I3]
                      shoal_load32_acquire(&i->shm->seq) == i->seq &&   // [I4]
                      shoal_load64_acquire(&i->shm->head) == i->head);  // [I8]
}
SHOAL_INLINE struct shoal_block_ref shoal_item_ref_(const struct shoal_item_ *i, uint64_t word) {
  struct shoal_block_ref r = {shoal_item_off_(word), i->seq, 0};
  return r;
}
// An enum shoal_nested_type and its type in the directory, a static text; what is none: 0, "container"
// (ipc/data/nested.c).
const char *shoal_nested_name_(uint32_t type);
uint32_t shoal_nested_type_(const char *name);
// -EBADMSG: the value is a container, no bytes.
int shoal_item_is_nested_(const struct shoal_item_ *i);
// What the item's value is, to be confirmed. -EBADMSG: bytes.
int shoal_item_handle_(const struct shoal_item_ *i, struct shoal_handle_shm *out);
// A copy of its value in malloc's memory, a byte longer than it is.
int shoal_item_copy_(const struct shoal_item_ *i, void **out) SHOAL_MUST_CHECK;

// ---- hash: wyhash's folded multiplication (Wang Yi, public domain), 16 bytes a turn ----
SHOAL_INLINE uint64_t shoal_hash_fold_(uint64_t a, uint64_t b) {
  __extension__ typedef unsigned __int128 wide;
  wide r = (wide)a * b;
  return (uint64_t)r ^ (uint64_t)(r >> 64);
}
SHOAL_INLINE uint64_t shoal_hash_read_(const char *p, uint64_t bytes) {  // 4 or 8
  uint64_t v = 0;
  memcpy(&v, p, bytes);
  return v;
}
SHOAL_INLINE uint64_t shoal_hash_(uint64_t seed, const void *key, uint64_t size) {
  const uint64_t k0 = UINT64_C(0xa0761d6478bd642f), k1 = UINT64_C(0xe7037ed1a0b428db);
  const char *p = (const char *)key;
  uint64_t h = seed ^ k0, n = size, a = 0, b = 0;
  for (; n > 16; n -= 16, p += 16) h = shoal_hash_fold_(shoal_hash_read_(p, 8) ^ k0, shoal_hash_read_(p + 8, 8) ^ h);
  if (n >= 8) a = shoal_hash_read_(p, 8), b = shoal_hash_read_(p + n - 8, 8);
  else if (n >= 4) a = shoal_hash_read_(p, 4), b = shoal_hash_read_(p + n - 4, 4);
  else if (n) a = (uint64_t)(uint8_t)p[0] << 16 | (uint64_t)(uint8_t)p[n >> 1] << 8 | (uint8_t)p[n - 1];
  return shoal_hash_fold_(k1 ^ size, shoal_hash_fold_(a ^ k0, b ^ h));
}

// ---- ending many: one after another, whoever is killed between ----
// The holder's intent. `phase`: twice the number of the word that is next; one more: `ref` says what it led to.
struct shoal_sweep_shm {
  uint64_t phase;
  struct shoal_block_ref ref;
};
SHOAL_STATIC_ASSERT(sizeof(struct shoal_sweep_shm) == 24, "layout");
// Ends what words phase / 2 up to `n` of `words` lead to. Nobody else changes them. 0, as shoal_keep_end_.
int shoal_sweep_run_(struct shoal_keep_ *k, struct shoal_sweep_shm *s, const shoal_atomic64 *words, uint64_t n);

SHOAL_END
