// A key and a value in a block. [I1], [I2], [I3], [I4], [I5], [I6]: ipc/data/item_internal.h.
#include <stdlib.h>

#include "core/segment_internal.h"
#include "ipc/data/item_internal.h"

__thread uint32_t shoal_inside_;

// ---- where ----

int shoal_keep_open_(struct shoal_keep_ *k, struct shoal_segment *seg, const struct shoal_object *object) {
  int rc = shoal_heap_open(seg, &k->heap);
  if (rc) return rc;
  k->seg = seg;
  k->base = (char *)object->memory - object->off;
  k->first = seg->g.units_off;
  k->size_max = seg->g.size_max;
  k->entry = object->entry;
  k->generation = object->generation;
  shoal_store64_release(&k->known, object->off + object->size);  // [I5] pairs with [I6]
  return 0;
}

int shoal_keep_place_(const struct shoal_object *object, const void *memory, uint64_t size) {
  uint64_t at = (uint64_t)((const char *)memory - (const char *)object->memory);
  if (at <= object->size && size <= object->size - at && (uintptr_t)memory % SHOAL_CACHE_LINE == 0) return 0;
  return shoal_fail_(-EINVAL, "%llu bytes, aligned to %u, do not lie in the object there", (unsigned long long)size,
                     SHOAL_CACHE_LINE);
}

int shoal_keep_close_(struct shoal_keep_ *k) { return shoal_heap_close(k->heap); }

void *shoal_keep_at_slow_(struct shoal_keep_ *k, shoal_off off, uint64_t size) {
  char *at = off < k->first ? NULL : shoal_segment_at(k->seg, off, size);
  uint64_t known = shoal_load64_relaxed(&k->known), all = k->seg->g.units_off + shoal_load64_relaxed(&k->seg->size);
  while (at && known < all && !shoal_cas64_acq_rel(&k->known, &known, all)) continue;  // [I5]
  return at;
}

// ---- whose ----

int shoal_keep_give_(struct shoal_keep_ *k, void *block, struct shoal_block_ref *ref) {
  int rc = shoal_block_give_(k->heap, block, k->entry, k->generation, ref);
  if (rc) return rc;
  shoal_store32_release((shoal_atomic32 *)block, ref->seq);  // [I1], [I3]
  SHOAL_COMPILER_BARRIER();
  return 0;
}

int shoal_keep_end_(struct shoal_keep_ *k, const struct shoal_block_ref *ref) {
  struct shoal_block_ref r = shoal_ref_read_(ref);
  int rc = r.off ? shoal_block_end_alone_(k->heap, &r, k->entry, k->generation) : 0;
  return rc == -ENOENT ? 0 : rc;
}

// ---- items ----

int shoal_item_make_(struct shoal_keep_ *k, const void *key, uint32_t key_size, const void *value, uint64_t size,
                     struct shoal_item_shm **out) {
  void *block = NULL;
  if (size > k->size_max)
    return shoal_fail_(-EMSGSIZE, "%llu bytes: the segment never holds more than %llu", (unsigned long long)size,
                       (unsigned long long)k->size_max);
  int rc = shoal_heap_alloc(k->heap, shoal_item_size_(key_size, size), &block);
  if (rc) return rc;
  struct shoal_item_shm *it = block;
  shoal_store32_release(&it->key, key_size);  // [I1]
  shoal_store64_release(&it->head, size);     // [I1]
  shoal_words_write_(shoal_item_key_(it), key, key_size);
  shoal_words_write_(shoal_item_key_(it) + shoal_padded_(key_size) / 8, value, size);
  *out = it;
  return 0;
}

int shoal_item_nest_(struct shoal_keep_ *k, const void *key, uint32_t key_size, const struct shoal_object *inner,
                     uint32_t type, struct shoal_item_shm **out) {
  struct shoal_handle_shm h = {inner->entry, inner->generation, type, 0};
  int rc = shoal_item_make_(k, key, key_size, &h, sizeof h, out);
  if (rc == 0) shoal_store64_release(&(*out)->head, sizeof h | SHOAL_ITEM_NESTED_);  // [I1]
  return rc;
}

// ---- items that are handles ----

int shoal_item_is_nested_(const struct shoal_item_ *i) {
  struct shoal_handle_shm h;
  int rc = shoal_item_handle_(i, &h);
  return rc ? rc : shoal_fail_(-EBADMSG, "the value is no bytes, but a %s", shoal_nested_name_(h.type));
}
int shoal_item_handle_(const struct shoal_item_ *i, struct shoal_handle_shm *out) {
  if (!i->nested || i->value != sizeof *out) return shoal_fail_(-EBADMSG, "the value is bytes, no container");
  shoal_words_read_(shoal_item_value_(i), out, sizeof *out);
  return 0;
}

// What the block at `off` says that it is: 1, a handle. Whether it still is one, who has its life at hand says.
static int peek(struct shoal_keep_ *k, shoal_off off, struct shoal_handle_shm *h) {
  struct shoal_item_shm *it = off % 8 ? NULL : shoal_keep_at_(k, off, sizeof *it);
  if (!it || shoal_load64_relaxed(&it->head) != (sizeof *h | SHOAL_ITEM_NESTED_)) return 0;
  uint32_t key = shoal_load32_relaxed(&it->key);
  if (!shoal_keep_at_(k, off, shoal_item_size_(key, sizeof *h))) return 0;
  shoal_words_read_(shoal_item_key_(it) + shoal_padded_(key) / 8, h, sizeof *h);
  return 1;
}

static int give_nested(struct shoal_keep_ *k, struct shoal_item_shm *it, const struct shoal_handle_shm *h,
                       struct shoal_block_ref *ref) {
  struct shoal_object outer = {.entry = k->entry, .generation = k->generation};
  struct shoal_object inner = {.entry = h->entry, .generation = h->generation};
  int rc = shoal_block_give_tied_(k->heap, it, &outer, &inner, ref);
  if (rc) return rc;
  shoal_store32_release(&it->seq, ref->seq);  // [I1], [I3]
  SHOAL_COMPILER_BARRIER();
  return 0;
}
int shoal_item_give_(struct shoal_keep_ *k, struct shoal_item_shm *it, struct shoal_block_ref *ref) {
  struct shoal_handle_shm h;
  if (SHOAL_UNLIKELY(shoal_load64_relaxed(&it->head) & SHOAL_ITEM_NESTED_) &&
      peek(k, shoal_segment_off(k->seg, it), &h))
    return give_nested(k, it, &h, ref);
  if (SHOAL_LIKELY(shoal_keep_give_(k, it, ref) == 0)) return 0;
  return shoal_fail_(-EPROTO, "the heap is damaged: it says that our block is not ours");
}

// By a compare-and-set: a plain store would still be on its way when untied looks whether others are there [F6].
static int end_nested(struct shoal_keep_ *k, const struct shoal_block_ref *ref, const struct shoal_handle_shm *h,
                      int *held) {
  int rc = shoal_block_end_(k->heap, ref, k->entry, k->generation);
  if (rc && rc != -ENOENT) return rc;
  *held |= shoal_object_untied_(k->seg, h->entry);
  return 0;
}
// *held becomes 1: what it led to may have held others, which are still to go.
static int end_item(struct shoal_keep_ *k, const struct shoal_block_ref *ref, int *held) {
  struct shoal_block_ref r = shoal_ref_read_(ref);
  struct shoal_handle_shm h;
  if (SHOAL_UNLIKELY(r.off && peek(k, r.off, &h))) return end_nested(k, &r, &h, held);
  return shoal_keep_end_(k, &r);
}
int shoal_item_end_(struct shoal_keep_ *k, const struct shoal_block_ref *ref) {
  int held = 0, rc = end_item(k, ref, &held);
  if (SHOAL_UNLIKELY(held)) shoal_object_all_untied_(k->seg);
  return rc;
}

int shoal_item_copy_(const struct shoal_item_ *i, void **out) {
  char *copy = malloc(i->value + 1);
  if (!copy) return shoal_fail_(-ENOMEM, "%llu bytes", (unsigned long long)i->value);
  shoal_words_read_(shoal_item_value_(i), copy, i->value);
  copy[i->value] = 0;
  *out = copy;
  return 0;
}

// ---- ending many ----

// What the word leads to, if anything, in *ref. 1: it is no handle.
static int note(struct shoal_keep_ *k, uint64_t word, struct shoal_block_ref *ref) {
  struct shoal_item_ i;
  *ref = (struct shoal_block_ref){.off = 0};
  if (word <= SHOAL_ITEM_REMOVED_ || shoal_item_look_(k, word, &i)) return 1;
  *ref = shoal_item_ref_(&i, word);
  return !i.nested;
}
static void come_to(struct shoal_sweep_shm *s, uint64_t phase) {
  SHOAL_COMPILER_BARRIER();
  __atomic_store_n(&s->phase, phase, __ATOMIC_RELAXED);
  SHOAL_COMPILER_BARRIER();
}

int shoal_sweep_run_(struct shoal_keep_ *k, struct shoal_sweep_shm *s, const shoal_atomic64 *words, uint64_t n) {
  uint64_t phase = __atomic_load_n(&s->phase, __ATOMIC_RELAXED);
  int rc = 0, held = (int)(phase & 1);  // what a dead one was ending may have
  for (; phase / 2 < n && !rc; phase++) {
    int plain = 0;
    if (!(phase & 1)) {
      plain = note(k, shoal_load64_relaxed(&words[phase / 2]), &s->ref);
      come_to(s, ++phase);
    }
    rc = plain ? shoal_keep_end_(k, &s->ref) : end_item(k, &s->ref, &held);
    if (SHOAL_UNLIKELY(held) && (rc || phase + 1 == 2 * n)) shoal_object_all_untied_(k->seg);
    if (rc == 0) come_to(s, phase + 1);
  }
  return rc;
}
