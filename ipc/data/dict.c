// A dict: found, read, changed. [D1]..[D4]: ipc/data/dict.h.
#include "ipc/data/dict.h"

#include <stdlib.h>

#include "ipc/data/dict_internal.h"

struct key {
  const void *bytes;
  uint64_t hash;
  uint32_t size;
};
struct found {
  struct shoal_table_ table;
  shoal_atomic64 *at;
  uint64_t word;
  struct shoal_item_ item;
};

static int damaged(void) { return shoal_fail_(-EPROTO, "the dict is damaged"); }
static int not_there(const struct shoal_dict *d) {
  if (SHOAL_LIKELY(__atomic_load_n(&d->shm->kind, __ATOMIC_RELAXED) == SHOAL_DICT_KIND_)) return -ENOENT;
  return shoal_fail_(-EINVAL, "the dict has been destroyed");
}

SHOAL_INLINE struct key key_of(const struct shoal_dict *d, const void *bytes, uint64_t size) {
  struct key k = {bytes, shoal_hash_(d->seed, bytes, size), (uint32_t)size};
  return k;
}
static uint32_t stripe_of(const struct shoal_dict *d, const struct key *k) {
  return (uint32_t)(k->hash >> 40) & (d->stripes - 1);
}
static int is_too_long(uint64_t key_size) { return key_size > UINT32_MAX; }
static int too_long(uint64_t size) { return shoal_fail_(-EOVERFLOW, "a key of %llu bytes", (unsigned long long)size); }

// ---- find ----

// 1: this word leads to the key; 0: to another. Again, if it changed meanwhile. -EAGAIN: it is no longer in the table.
static int is_it(struct shoal_dict *d, const struct key *k, struct found *f) {
  for (unsigned tries = 0; tries < 64; tries++) {
    f->word = shoal_load64_acquire(f->at);  // [D2] pairs with [D1]
    if (((f->word >> 10 ^ k->hash >> 52) & 0xfff) || f->word <= SHOAL_ITEM_REMOVED_) return 0;
    __builtin_prefetch(d->keep.base + shoal_item_off_(f->word) + SHOAL_CACHE_LINE);  // most are longer than a line
    int rc = shoal_item_look_(&d->keep, f->word, &f->item), changing = !rc && f->item.head & SHOAL_ITEM_CHANGING_;
    if (SHOAL_UNLIKELY(rc || (changing && f->item.value > SHOAL_DICT_BESIDE_))) {
      if (shoal_load64_relaxed(f->at) != f->word) tries = 0;  // no damage: it has changed
      continue;
    }
    if (SHOAL_UNLIKELY(changing)) f->item.beside = d->shm->stripe[stripe_of(d, k)].beside;
    int same = shoal_item_has_key_(&f->item, k->bytes, k->size);
    if (shoal_item_is_whole_(&f->item, f->at, f->word)) return same;
    tries = 0;
  }
  return shoal_table_is_current_(d, &f->table) ? damaged() : -EAGAIN;
}

// Which words of a bucket may lead to the key, a bit each; *ends: one leads nowhere, so no search goes on behind it.
SHOAL_INLINE unsigned candidates(const shoal_atomic64 *bucket, uint64_t hash, unsigned *ends) {
  uint64_t fragment = hash >> 52 << 10;
  unsigned match = 0, none = 0;
#pragma GCC unroll 8
  for (unsigned i = 0; i < SHOAL_BUCKET_; i++) {
    uint64_t word = shoal_load64_relaxed(&bucket[i]);
    match |= (unsigned)(((word ^ fragment) & SHOAL_ITEM_FRAGMENT_) == 0) << i;
    none |= word == SHOAL_ITEM_NONE_;
  }
  *ends = none;
  return match;
}

// 1: found; 0: not in this bucket. -EAGAIN, -EPROTO.
SHOAL_INLINE int find_in(struct shoal_dict *d, const struct key *k, struct found *f, shoal_atomic64 *bucket,
                         unsigned *ends) {
  unsigned match = candidates(bucket, k->hash, ends);
  for (; match; match &= match - 1) {
    f->at = &bucket[__builtin_ctz(match)];
    int rc = is_it(d, k, f);
    if (rc) return rc;
  }
  return 0;
}

// 0; -ENOENT, -EPROTO. It was whole, and of this key, at some moment.
static int find(struct shoal_dict *d, const struct key *k, struct found *f) {
  do {
    int rc = shoal_dict_table_(d, &f->table);
    if (SHOAL_UNLIKELY(rc)) return rc;
    if (!f->table.shm) return not_there(d);
    uint64_t mask = f->table.mask, at = shoal_table_home_(k->hash, mask);
    unsigned ends = 0;
    for (uint64_t i = 0; i <= mask && !ends; i += SHOAL_BUCKET_, at = (at + SHOAL_BUCKET_) & mask) {
      rc = find_in(d, k, f, &f->table.shm->word[at], &ends);
      if (SHOAL_LIKELY(rc == 1 && shoal_table_is_current_(d, &f->table))) return 0;
      if (rc == -EPROTO) return rc;
      if (rc) break;
    }
  } while (SHOAL_UNLIKELY(!shoal_table_is_current_(d, &f->table)));
  return not_there(d);
}

// ---- the common case: one word of its bucket matches the key, and leads to it ----
// Without calls and without a branch that cannot be foretold, so that the processor begins the next search before this
// one's lines have come.

// A hint: which words of a bucket match.
SHOAL_INLINE unsigned hints(const shoal_atomic64 *bucket, uint64_t hash) {
#ifdef SHOAL_WORDS_IN_PAIRS_
  const __m128i mask = _mm_set1_epi32(SHOAL_ITEM_FRAGMENT_), fragment = _mm_set1_epi32((int)(hash >> 52 << 10));
  const __m128 *at = (const __m128 *)(const void *)bucket;
  __m128i a = _mm_castps_si128(_mm_shuffle_ps(at[0], at[1], 0x88));  // the lower halves of four words
  __m128i b = _mm_castps_si128(_mm_shuffle_ps(at[2], at[3], 0x88));
  a = _mm_cmpeq_epi32(_mm_and_si128(a, mask), fragment);
  b = _mm_cmpeq_epi32(_mm_and_si128(b, mask), fragment);
  return (unsigned)_mm_movemask_epi8(_mm_packs_epi16(_mm_packs_epi32(a, b), _mm_setzero_si128()));
#else
  unsigned ends;
  return candidates(bucket, hash, &ends);
#endif
}

// 1: f->word, which may have been of the key, or lead nowhere; 0: look for it in full.
SHOAL_INLINE int guess(struct shoal_dict *d, const struct key *k, struct found *f) {
  if (SHOAL_UNLIKELY(!shoal_table_expect_(d, &f->table))) return 0;
  shoal_atomic64 *bucket = &f->table.shm->word[shoal_table_home_(k->hash, f->table.mask)];
  unsigned match = hints(bucket, k->hash);
  if (SHOAL_UNLIKELY(!match)) return 0;
  f->at = &bucket[__builtin_ctzll(match)];
  f->word = shoal_load64_acquire(f->at);  // [D2] pairs with [D1]
  return 1;
}

// 1: f->item was of the key, if is_whole() says so after all that is read of it, and its value is bytes, `most` at
// most; 0: look for it in full.
SHOAL_INLINE int find_at_once(struct shoal_dict *d, const struct key *k, uint64_t most, struct found *f) {
  if (SHOAL_UNLIKELY(!guess(d, k, f))) return 0;
  __builtin_prefetch(d->keep.base + shoal_item_off_(f->word) + SHOAL_CACHE_LINE);
  return SHOAL_LIKELY(shoal_item_expect_(&d->keep, f->word, k->size, most, &f->item) &&
                      shoal_item_has_key_(&f->item, k->bytes, k->size));
}

// ---- what is on its way before it is asked for ----

static void prefetch(const struct shoal_dict *d, const struct key *k) {  // the bucket, to be read
  struct shoal_table_ t;
  if (shoal_table_expect_(d, &t)) __builtin_prefetch(&t.shm->word[shoal_table_home_(k->hash, t.mask)]);
}
static void prefetch_to_write(const struct shoal_dict *d, const struct key *k) {
  struct shoal_table_ t;
  if (shoal_table_expect_(d, &t)) shoal_prefetch_write(&t.shm->word[shoal_table_home_(k->hash, t.mask)]);
}
SHOAL_INLINE const char *prefetch_item(const struct shoal_dict *d, const struct found *f) {
  const char *item = d->keep.base + shoal_item_off_(f->word);
  __builtin_prefetch(item);
  __builtin_prefetch(item + SHOAL_CACHE_LINE);
  return item;
}
// What a search and a change of the key touch.
static void expect(struct shoal_dict *d, const struct key *k) {
  struct found f;
  if (guess(d, k, &f)) shoal_block_prefetch_(d->keep.heap, prefetch_item(d, &f));
}

// All that was read of it since was of that moment.
SHOAL_INLINE int is_whole(const struct shoal_dict *d, const struct found *f) {
  return shoal_item_is_whole_(&f->item, f->at, f->word) && shoal_table_is_current_(d, &f->table);
}

// ---- read ----

static uint64_t version_of(const struct found *f) {
  uint64_t place = shoal_item_off_(f->word) >> 4;  // beyond 64 GiB it has more than 32 bits
  uint64_t changes = (f->item.head & SHOAL_ITEM_CHANGES_) / SHOAL_ITEM_CHANGED_;
  // A value that is being changed is what it will be.
  if (f->item.head & SHOAL_ITEM_CHANGING_) changes++;
  return (f->item.seq + (place >> 32) * UINT64_C(0x9e3779b1) + (changes << 22)) << 32 | (uint32_t)place;
}

SHOAL_NOINLINE static int get_in_full(struct shoal_dict *d, const void *key, uint64_t key_size, void *buffer,
                                      uint64_t capacity, uint64_t *size, uint64_t *version) {
  if (SHOAL_UNLIKELY(is_too_long(key_size))) return not_there(d);
  struct key k = key_of(d, key, key_size);
  struct found f;
  do {
    int rc = find(d, &k, &f);
    if (rc) return rc;
    if (f.item.value <= capacity) shoal_words_read_(shoal_item_value_(&f.item), buffer, f.item.value);
  } while (SHOAL_UNLIKELY(!is_whole(d, &f)));
  if (version) *version = version_of(&f);
  if (SHOAL_UNLIKELY(f.item.nested)) return shoal_item_is_nested_(&f.item);
  if (size) *size = f.item.value;
  return f.item.value <= capacity ? 0 : -EMSGSIZE;
}
// 1: f->item was of the key, and its value is in the buffer; 0: look for it in full. What has to wait for the bucket,
// or for the item, waits in the processor's queues, which are short: the fewer such instructions, the more gets are
// under way at once. So all of an item that may be read is bounded by one comparison, before it is there, by what there
// can be at most; its word of now and then says of which life it is, without the tag.
#define AT_ONCE 1024u  // bytes of a key, and of a value: what is longer is mostly copying
SHOAL_INLINE int get_at_once(struct shoal_dict *d, struct key k, void *buffer, uint64_t capacity, struct found *f) {
  if (SHOAL_UNLIKELY(!guess(d, &k, f))) return 0;
  uint64_t most = capacity < AT_ONCE ? capacity : AT_ONCE, need = shoal_item_size_(k.size, most);
  uint64_t known = shoal_load64_acquire(&d->keep.known), place = f->word >> 22;  // [I6] pairs with [I5]
  if (SHOAL_UNLIKELY(known < need || place - 1 >= (known - need) / 16)) return 0;
  struct shoal_item_shm *it = (struct shoal_item_shm *)(void *)(d->keep.base + place * 16);
  f->item.shm = it;
  f->item.nested = 0;
  f->item.beside = NULL;
  f->item.seq = shoal_load32_acquire(&it->seq);  // [I2] pairs with [I1]
  f->item.key = shoal_load32_acquire(&it->key);  // [I2]
  if (SHOAL_UNLIKELY(f->item.key != k.size)) return 0;
  f->item.head = shoal_load64_acquire(&it->head);  // [I2], [I8] pairs with [I7]
  f->item.value = shoal_item_plain_(f->item.head);
  if (SHOAL_UNLIKELY(f->item.value > most || !shoal_item_has_key_(&f->item, k.bytes, k.size))) return 0;
  shoal_words_read_(shoal_item_key_(it) + shoal_padded_(k.size) / 8, buffer, f->item.value);
  return is_whole(d, f);
}
int shoal_dict_get_versioned(struct shoal_dict *d, const void *key, uint64_t key_size, void *buffer, uint64_t capacity,
                             uint64_t *size, uint64_t *version) {
  struct found f;
  if (SHOAL_UNLIKELY(key_size > AT_ONCE || !get_at_once(d, key_of(d, key, key_size), buffer, capacity, &f)))
    return get_in_full(d, key, key_size, buffer, capacity, size, version);
  if (size) *size = f.item.value;
  if (version) *version = version_of(&f);
  return 0;
}
int shoal_dict_get(struct shoal_dict *d, const void *key, uint64_t key_size, void *buffer, uint64_t capacity,
                   uint64_t *size) {
  struct found f;
  if (SHOAL_UNLIKELY(key_size > AT_ONCE || !get_at_once(d, key_of(d, key, key_size), buffer, capacity, &f)))
    return get_in_full(d, key, key_size, buffer, capacity, size, NULL);
  if (size) *size = f.item.value;
  return 0;
}

// Of many the lines are on their way together: first all buckets, then all items.
#define TOGETHER 16u
static uint64_t get_together(struct shoal_dict *d, struct shoal_dict_want *wants, unsigned n) {
  struct key keys[TOGETHER];
  uint64_t got = 0;
  struct found f;
  for (unsigned i = 0; i < n; i++) {
    keys[i] = key_of(d, wants[i].key, wants[i].key_size <= AT_ONCE ? wants[i].key_size : 0);  // else hashed later
    prefetch(d, &keys[i]);
  }
  for (unsigned i = 0; i < n; i++)
    if (guess(d, &keys[i], &f)) prefetch_item(d, &f);
  for (unsigned i = 0; i < n; i++) {
    struct shoal_dict_want *w = &wants[i];
    if (SHOAL_LIKELY(w->key_size <= AT_ONCE && get_at_once(d, keys[i], w->buffer, w->capacity, &f)))
      w->rc = 0, w->size = f.item.value;
    else w->rc = get_in_full(d, w->key, w->key_size, w->buffer, w->capacity, &w->size, NULL);
    got += w->rc == 0;
  }
  return got;
}
uint64_t shoal_dict_get_n(struct shoal_dict *d, struct shoal_dict_want *wants, uint64_t n) {
  uint64_t got = 0, some;
  for (; n; n -= some, wants += some) got += get_together(d, wants, (unsigned)(some = n < TOGETHER ? n : TOGETHER));
  return got;
}

int shoal_dict_get_alloc(struct shoal_dict *d, const void *key, uint64_t key_size, void **value, uint64_t *size) {
  if (SHOAL_UNLIKELY(is_too_long(key_size))) return not_there(d);
  struct key k = key_of(d, key, key_size);
  struct found f;
  for (;;) {
    void *copy = NULL;
    int rc = find(d, &k, &f);
    if (rc) return rc;
    rc = f.item.nested ? shoal_item_is_nested_(&f.item) : shoal_item_copy_(&f.item, &copy);
    if (is_whole(d, &f)) {
      if (rc == 0) *value = copy;
      if (rc == 0 && size) *size = f.item.value;
      return rc;
    }
    free(copy);
  }
}

int shoal_dict_contains(struct shoal_dict *d, const void *key, uint64_t key_size) {
  struct key k = key_of(d, key, is_too_long(key_size) ? 0 : key_size);
  struct found f;
  int rc = is_too_long(key_size) ? not_there(d) : find(d, &k, &f);
  return rc == -ENOENT ? 0 : rc ? rc : 1;
}

uint64_t shoal_dict_len(struct shoal_dict *d) { return shoal_dict_entries_(d); }

// ---- one key, under its stripe ----

struct op {
  struct shoal_dict *d;
  struct shoal_dict_stripe_shm *s;
  uint32_t stripe;
  uint32_t reserved;  // a word of the table, by `used`
  int there;
  struct key k;
  struct found f;
};

// Of the table's words one is NONE for this one alone. `tight`: as long as a search ends.
static int reserve(struct op *o, int tight) {
  if (!o->f.table.shm) return 0;
  uint64_t words = o->f.table.mask + 1, most = tight ? words - 1 : shoal_table_limit_(words);
  o->reserved = shoal_add64_relaxed(&o->d->shm->used, 1) < most;
  if (o->reserved) return 1;
  shoal_add64_relaxed(&o->d->shm->used, UINT64_MAX);
  return 0;
}
static void finish(struct op *o) {
  if (o->reserved) shoal_add64_relaxed(&o->d->shm->used, UINT64_MAX);
  shoal_dict_unlock_(o->d, o->stripe);
}

// As for an item, of the table, to which a change writes a word.
static int is_over_mine(const struct op *o) {
  const struct shoal_table_ *t = &o->f.table;
  return t->shm && SHOAL_UNLIKELY(shoal_robust_owns_some_of_(t->shm, shoal_table_size_(t)));
}

// 0: the stripe is the caller's; o->there, or, if it `adds`, there is room for one more. A word of the table may be
// changed, unless it adds and is there: put() looks. Ended by finish().
static int begin_with(struct op *o, struct shoal_dict *d, const struct key *k, int adds, shoal_deadline deadline) {
  o->d = d;
  o->k = *k;
  o->stripe = stripe_of(d, k);
  o->s = &d->shm->stripe[o->stripe];
  o->reserved = 0;
  o->f.at = NULL;  // field by field: all of it at once is a loop in microcode
  o->f.word = 0;
  for (int tries = 0, full = 0; tries < 1000; tries++) {
    int rc = shoal_dict_lock_(d, o->stripe, deadline);
    if (SHOAL_UNLIKELY(rc)) return rc;
    rc = find_at_once(d, &o->k, d->keep.size_max, &o->f) && is_whole(d, &o->f) ? 0 : find(d, &o->k, &o->f);
    o->there = rc == 0;
    if ((rc == 0 ? !adds : rc == -ENOENT) && is_over_mine(o)) rc = damaged();
    if (rc == 0 || (rc == -ENOENT && (!adds || reserve(o, full)))) return 0;
    finish(o);
    if (rc != -ENOENT || full) return full ? full : rc;
    full = shoal_dict_resize_(d, 1, deadline);
  }
  return damaged();
}

static int begin(struct op *o, struct shoal_dict *d, const void *key, uint64_t key_size, int adds,
                 shoal_deadline deadline) {
  if (SHOAL_UNLIKELY(is_too_long(key_size))) return too_long(key_size);
  struct key k = key_of(d, key, key_size);
  expect(d, &k);
  return begin_with(o, d, &k, adds, deadline);
}

static uint64_t bytes_of(const struct op *o) { return (uint64_t)o->f.item.key + o->f.item.value; }

static void intend(struct op *o, uint32_t state, uint64_t entries, uint64_t bytes) {
  struct shoal_dict_stripe_shm *s = o->s;
  s->slot = (uint64_t)(o->f.at - o->f.table.shm->word);
  s->word = UINT64_MAX;  // no word is
  s->was = o->f.word;
  s->entries_then = shoal_load64_relaxed(&s->entries) + entries;
  s->bytes_then = shoal_load64_relaxed(&s->bytes) + bytes;
  s->fresh = (struct shoal_block_ref){.off = 0};
  s->old = o->there ? shoal_item_ref_(&o->f.item, o->f.word) : s->fresh;
  SHOAL_COMPILER_BARRIER();
  s->lock.state = state;
  SHOAL_COMPILER_BARRIER();
}

// Makes the first word on the key's way that is nobody's lead to it.
static int add(struct op *o, uint64_t word) {
  const struct shoal_table_ *t = &o->f.table;
  uint64_t at = shoal_table_home_(o->k.hash, t->mask);
  for (uint64_t i = 0; i <= t->mask; i++, at = (at + 1) & t->mask) {
    uint64_t now = shoal_load64_relaxed(&t->shm->word[at]);
    if (now > SHOAL_ITEM_REMOVED_) continue;
    o->s->slot = at;
    SHOAL_COMPILER_BARRIER();
    if (!shoal_cas64_acq_rel(&t->shm->word[at], &now, word)) continue;  // [D1] pairs with [D2]
    if (now == SHOAL_ITEM_NONE_) o->reserved = 0;
    return 0;
  }
  return damaged();
}

// The item, this process's, is the key's from here on; else it is freed.
static int put(struct op *o, struct shoal_item_shm *it, uint64_t size) {
  struct shoal_dict *d = o->d;
  uint64_t bytes = o->k.size + size;
  if (o->there && is_over_mine(o)) return (void)shoal_heap_free(d->keep.heap, it), damaged();
  intend(o, o->there ? SHOAL_DICT_REPLACE_ : SHOAL_DICT_ADD_, !o->there, o->there ? bytes - bytes_of(o) : bytes);
  int rc = shoal_item_give_(&d->keep, it, &o->s->fresh);
  if (SHOAL_UNLIKELY(rc)) {
    o->s->lock.state = SHOAL_DICT_IDLE_;
    (void)shoal_heap_free(d->keep.heap, it);
    return rc;
  }
  uint64_t word = shoal_item_word_(o->s->fresh.off, o->k.hash, o->s->fresh.seq);
  o->s->word = word;
  SHOAL_COMPILER_BARRIER();
  if (o->there) shoal_store64_release(o->f.at, word);  // [D1]
  else rc = add(o, word);
  SHOAL_COMPILER_BARRIER();
  if (rc == 0) (void)shoal_dict_settle_(d, o->s);
  return rc;
}

static int may_overwrite(const struct found *f, uint64_t size) {
  return f->item.value == size && size <= SHOAL_DICT_BESIDE_ && shoal_item_may_change_(f->item.head);
}
static int is_over(const struct shoal_dict *d, const struct found *f) {
  return shoal_dict_is_over_(d, f->item.shm, shoal_item_size_(f->item.key, f->item.value));
}
// Not if is_over(), which may be asked before there is a stripe.
static int overwrite(struct shoal_dict_stripe_shm *s, const struct found *f, const void *value, uint64_t size) {
  shoal_words_write_(s->beside, value, size);
  s->old = shoal_item_ref_(&f->item, f->word);
  s->was = f->item.head;
  SHOAL_COMPILER_BARRIER();
  s->lock.state = SHOAL_DICT_OVERWRITE_;
  SHOAL_COMPILER_BARRIER();
  shoal_dict_overwrite_(s, f->item.shm, f->item.key, f->item.head);
  return 0;
}

static void drop(struct op *o) {
  intend(o, SHOAL_DICT_REMOVE_, UINT64_MAX, UINT64_C(0) - bytes_of(o));
  shoal_store64_release(o->f.at, SHOAL_ITEM_REMOVED_);  // [D1]
  SHOAL_COMPILER_BARRIER();
  (void)shoal_dict_settle_(o->d, o->s);
}

// After a removal, and only if nobody has to be waited for: a table that is mostly empty gets smaller.
static void finish_smaller(struct op *o) {
  uint64_t words = o->f.table.mask + 1, here = shoal_load64_relaxed(&o->s->entries);
  struct shoal_dict *d = o->d;
  int may_shrink = shoal_table_limit_(words / 2) >= d->capacity && words > 8 && here * d->stripes < words / 8;
  finish(o);
  if (SHOAL_UNLIKELY(may_shrink && shoal_dict_entries_(d) + 1 < words / 8)) (void)shoal_dict_resize_(d, 1, SHOAL_TRY);
}

// ---- write ----

static int make(struct shoal_dict *d, const void *key, uint64_t key_size, const void *value, uint64_t size,
                struct shoal_item_shm **out) {
  if (SHOAL_UNLIKELY(is_too_long(key_size))) return too_long(key_size);
  return shoal_item_make_(&d->keep, key, (uint32_t)key_size, value, size, out);
}
static void unmake(struct shoal_dict *d, struct shoal_item_shm *it) { (void)shoal_heap_free(d->keep.heap, it); }

// The item becomes the key's, or is freed.
static int set(struct shoal_dict *d, const struct key *k, struct shoal_item_shm *it, const void *value, uint64_t size,
               shoal_deadline deadline) {
  struct op o;
  int rc = begin_with(&o, d, k, 1, deadline), in_place = rc == 0 && o.there && may_overwrite(&o.f, size);
  if (rc || in_place) unmake(d, it);
  if (SHOAL_UNLIKELY(rc)) return rc;
  if (in_place) rc = is_over(d, &o.f) ? damaged() : overwrite(o.s, &o.f, value, size);
  else rc = put(&o, it, size);
  finish(&o);
  return rc;
}

// 0: it has the value; 1: it has to be set, as if nothing had been.
static int set_at_once(struct shoal_dict *d, const struct key *k, const void *value, uint64_t size,
                       shoal_deadline deadline) {
  struct found f;
  uint32_t stripe = stripe_of(d, k);
  if (size > SHOAL_DICT_BESIDE_ || !find_at_once(d, k, size, &f) || !may_overwrite(&f, size) || is_over(d, &f))
    return 1;
  int rc = shoal_dict_lock_(d, stripe, deadline);
  if (SHOAL_UNLIKELY(rc)) return rc;
  rc = SHOAL_LIKELY(is_whole(d, &f)) ? overwrite(&d->shm->stripe[stripe], &f, value, size) : 1;
  shoal_dict_unlock_(d, stripe);
  return rc;
}
int shoal_dict_set(struct shoal_dict *d, const void *key, uint64_t key_size, const void *value, uint64_t size,
                   shoal_deadline deadline) {
  struct shoal_item_shm *it = NULL;
  if (SHOAL_UNLIKELY(is_too_long(key_size))) return too_long(key_size);
  struct key k = key_of(d, key, key_size);
  if (size > SHOAL_DICT_BESIDE_) prefetch_to_write(d, &k);  // while its item is written
  int rc = set_at_once(d, &k, value, size, deadline);
  if (SHOAL_LIKELY(rc <= 0)) return rc;
  rc = make(d, key, key_size, value, size, &it);
  if (SHOAL_UNLIKELY(rc)) return rc;
  expect(d, &k);
  return set(d, &k, it, value, size, deadline);
}

// The key has that value from here on; or nothing is changed.
static int change_it(struct op *o, const void *value, uint64_t size) {
  struct shoal_item_shm *it = NULL;
  if (o->there && may_overwrite(&o->f, size))
    return is_over(o->d, &o->f) ? damaged() : overwrite(o->s, &o->f, value, size);
  int rc = make(o->d, o->k.bytes, o->k.size, value, size, &it);
  return rc ? rc : put(o, it, size);
}

// 0; -EMSGSIZE, -EBADMSG. Nobody changes it meanwhile.
static int copy_out(const struct op *o, void *buffer, uint64_t capacity, uint64_t *size) {
  if (o->f.item.nested) return shoal_item_is_nested_(&o->f.item);
  if (size) *size = o->f.item.value;
  if (o->f.item.value > capacity) return -EMSGSIZE;
  shoal_words_read_(shoal_item_value_(&o->f.item), buffer, o->f.item.value);
  return 0;
}

int shoal_dict_setdefault(struct shoal_dict *d, const void *key, uint64_t key_size, const void *value, uint64_t size,
                          void *buffer, uint64_t capacity, uint64_t *found, shoal_deadline deadline) {
  struct shoal_item_shm *it = NULL;
  struct op o;
  int rc = shoal_dict_get(d, key, key_size, buffer, capacity, found);
  if (rc != -ENOENT) return rc ? rc : 1;
  rc = make(d, key, key_size, value, size, &it);
  if (rc) return rc;
  rc = begin(&o, d, key, key_size, 1, deadline);
  if (rc || o.there) unmake(d, it);
  if (rc) return rc;
  if (o.there) rc = copy_out(&o, buffer, capacity, found);
  else rc = put(&o, it, size);
  finish(&o);
  return rc ? rc : o.there;
}

int shoal_dict_pop(struct shoal_dict *d, const void *key, uint64_t key_size, void *buffer, uint64_t capacity,
                   uint64_t *size, shoal_deadline deadline) {
  struct op o;
  int rc = begin(&o, d, key, key_size, 0, deadline);
  if (rc) return rc;
  rc = o.there ? copy_out(&o, buffer, capacity, size) : not_there(d);
  if (rc == 0) drop(&o);
  finish_smaller(&o);
  return rc;
}

int shoal_dict_pop_alloc(struct shoal_dict *d, const void *key, uint64_t key_size, void **value, uint64_t *size,
                         shoal_deadline deadline) {
  struct op o;
  void *copy = NULL;
  int rc = begin(&o, d, key, key_size, 0, deadline);
  if (rc) return rc;
  rc = !o.there          ? not_there(d)
       : o.f.item.nested ? shoal_item_is_nested_(&o.f.item)
                         : shoal_item_copy_(&o.f.item, &copy);
  if (rc == 0) *value = copy;
  if (rc == 0 && size) *size = o.f.item.value;
  if (rc == 0) drop(&o);
  finish_smaller(&o);
  return rc;
}

int shoal_dict_remove(struct shoal_dict *d, const void *key, uint64_t key_size, shoal_deadline deadline) {
  struct op o;
  int rc = begin(&o, d, key, key_size, 0, deadline);
  if (rc) return rc;
  if (o.there) drop(&o);
  else rc = not_there(d);
  finish_smaller(&o);
  return rc;
}

// ---- any entry ----

// A key, from malloc, that was there a moment ago, of bytes or, `nested`, of a container; -ENOENT: none was met from
// one end to the other.
static int any_key(struct shoal_dict *d, int nested, void **key, uint32_t *size) {
  struct found f;
  int rc = shoal_dict_table_(d, &f.table);
  if (rc) return rc;
  uint64_t mask = f.table.mask, at = shoal_load64_relaxed(&d->next);
  for (uint64_t i = 0; f.table.shm && i <= mask; i++, at++) {
    f.at = &f.table.shm->word[at & mask];
    f.word = shoal_load64_acquire(f.at);  // [D2]
    if (f.word <= SHOAL_ITEM_REMOVED_ || shoal_item_look_(&d->keep, f.word, &f.item)) continue;
    if (!f.item.nested != !nested) continue;
    void *copy = malloc(f.item.key + UINT64_C(1));
    if (copy) shoal_words_read_(shoal_item_key_(f.item.shm), copy, f.item.key);
    if (is_whole(d, &f)) {
      if (!copy) return shoal_fail_(-ENOMEM, "a key of %u bytes", f.item.key);
      *key = copy;
      *size = f.item.key;
      shoal_store64_relaxed(&d->next, at & mask);
      return 0;
    }
    free(copy);
  }
  return not_there(d);
}

// 0; -EBADMSG, and the key only: the value is a container. Nobody changes it meanwhile.
static int copy_both(const struct op *o, void **memory, struct shoal_dict_item *item) {
  uint64_t key = o->f.item.key, value = o->f.item.nested ? 0 : o->f.item.value;
  char *copy = malloc(shoal_padded_(key) + value + 1);
  if (!copy) return shoal_fail_(-ENOMEM, "%llu bytes", (unsigned long long)(key + value));
  shoal_words_read_(shoal_item_key_(o->f.item.shm), copy, key);
  shoal_words_read_(shoal_item_value_(&o->f.item), copy + shoal_padded_(key), value);
  copy[shoal_padded_(key) + value] = 0;
  *memory = copy;
  *item = (struct shoal_dict_item){copy, key, o->f.item.nested ? NULL : copy + shoal_padded_(key), value};
  return o->f.item.nested ? shoal_item_is_nested_(&o->f.item) : 0;
}

// 0; SHOAL_DICT_OTHER: that key has gone, or leads to a container by now.
static int pop_key(struct shoal_dict *d, const void *key, uint32_t key_size, void **memory,
                   struct shoal_dict_item *item, shoal_deadline deadline) {
  struct op o;
  int rc = begin(&o, d, key, key_size, 0, deadline);
  if (rc) return rc;
  rc = o.there && !o.f.item.nested ? copy_both(&o, memory, item) : SHOAL_DICT_OTHER;
  if (rc == 0) drop(&o);
  finish_smaller(&o);
  return rc;
}

// While nobody writes: only then is there certainly nothing, or nothing but containers.
static int pop_any_alone(struct shoal_dict *d, void **memory, struct shoal_dict_item *item, shoal_deadline deadline) {
  struct op o = {.d = d};
  void *key = NULL;
  uint32_t size = 0;
  int rc = shoal_dict_lock_all_(d, deadline);
  if (rc) return rc;
  rc = shoal_dict_entries_(d) ? any_key(d, 0, &key, &size) : not_there(d);
  if (rc == -ENOENT && shoal_dict_entries_(d)) {
    rc = any_key(d, 1, &key, &size);
    if (rc == -ENOENT) rc = damaged();
  }
  if (rc == 0) {
    o.k = key_of(d, key, size);
    o.s = &d->shm->stripe[stripe_of(d, &o.k)];
    rc = find(d, &o.k, &o.f);
    o.there = rc == 0;
    if (rc == -ENOENT || (rc == 0 && is_over_mine(&o))) rc = damaged();
    if (rc == 0) rc = copy_both(&o, memory, item);
    if (rc == 0) drop(&o);
  }
  shoal_dict_unlock_all_(d);
  free(key);
  return rc;
}

int shoal_dict_popitem(struct shoal_dict *d, void **memory, struct shoal_dict_item *item, shoal_deadline deadline) {
  int rc = SHOAL_DICT_OTHER;
  for (int tries = 0; rc == SHOAL_DICT_OTHER && tries < 64; tries++) {
    void *key = NULL;
    uint32_t size = 0;
    rc = any_key(d, 0, &key, &size);
    if (rc == 0) rc = pop_key(d, key, size, memory, item, deadline);
    free(key);
  }
  return rc == SHOAL_DICT_OTHER || rc == -ENOENT ? pop_any_alone(d, memory, item, deadline) : rc;
}

// ---- compare and set ----

struct expected {
  const void *value;  // NULL: by version
  uint64_t size, version;
};
static int is_expected(const struct op *o, const struct expected *e) {
  if (!o->there || (!e->value && !e->version)) return !o->there && !e->value && !e->version;
  if (!e->value) return version_of(&o->f) == e->version;
  if (o->f.item.value != e->size || o->f.item.nested) return 0;
  const shoal_atomic64 *at = shoal_item_value_(&o->f.item);
  for (uint64_t i = 0; i < e->size; i += 8) {
    uint64_t n = e->size - i < 8 ? e->size - i : 8, word = shoal_load64_relaxed(&at[i / 8]);
    if (memcmp(&word, (const char *)e->value + i, n) != 0) return 0;
  }
  return 1;
}

static int set_expected(struct shoal_dict *d, const void *key, uint64_t key_size, const struct expected *e,
                        const void *value, uint64_t size, shoal_deadline deadline) {
  struct op o;
  int rc = begin(&o, d, key, key_size, !e->value && !e->version, deadline);
  if (rc) return rc;
  rc = is_expected(&o, e) ? change_it(&o, value, size) : SHOAL_DICT_OTHER;
  finish(&o);
  return rc;
}
int shoal_dict_set_if(struct shoal_dict *d, const void *key, uint64_t key_size, uint64_t version, const void *value,
                      uint64_t size, shoal_deadline deadline) {
  return set_expected(d, key, key_size, &(struct expected){.version = version}, value, size, deadline);
}
int shoal_dict_compare_and_set(struct shoal_dict *d, const void *key, uint64_t key_size, const void *old,
                               uint64_t old_size, const void *value, uint64_t size, shoal_deadline deadline) {
  return set_expected(d, key, key_size, &(struct expected){.value = old, .size = old_size}, value, size, deadline);
}

// ---- update ----

// What `change` decides of it. `copy`, from malloc, is what it sees.
static int decide(struct op *o, int (*change)(struct shoal_dict_change *, void *), void *arg,
                  struct shoal_dict_change *c, void **copy) {
  int rc = o->there && o->f.item.nested ? shoal_item_is_nested_(&o->f.item) : 0;
  if (rc == 0 && o->there) rc = shoal_item_copy_(&o->f.item, copy);
  if (rc) return rc;
  *c = (struct shoal_dict_change){*copy, o->there ? o->f.item.value : 0};
  shoal_inside_++;
  rc = change(c, arg);
  shoal_inside_--;
  return rc > SHOAL_DICT_REMOVE ? shoal_fail_(-EINVAL, "the callback answered %d", rc) : rc;
}

int shoal_dict_update(struct shoal_dict *d, const void *key, uint64_t key_size,
                      int (*change)(struct shoal_dict_change *c, void *arg), void *arg, shoal_deadline deadline) {
  struct shoal_dict_change c;
  struct op o;
  void *copy = NULL;
  int rc = begin(&o, d, key, key_size, 1, deadline);
  if (rc) return rc;
  int how = decide(&o, change, arg, &c, &copy);
  rc = how < 0 ? how : 0;
  if (how == SHOAL_DICT_SET) rc = change_it(&o, c.value, c.size);
  if (how == SHOAL_DICT_REMOVE && o.there && is_over_mine(&o)) rc = damaged();
  else if (how == SHOAL_DICT_REMOVE && o.there) drop(&o);
  free(copy);
  if (how == SHOAL_DICT_REMOVE) finish_smaller(&o);
  else finish(&o);
  return rc;
}

// ---- values that are containers (ipc/data/nested.c) ----

int shoal_dict_handle_(struct shoal_dict *d, const void *key, uint64_t key_size, struct shoal_handle_shm *out) {
  if (SHOAL_UNLIKELY(is_too_long(key_size))) return not_there(d);
  struct key k = key_of(d, key, key_size);
  struct found f;
  int rc;
  do {
    rc = find(d, &k, &f);
    if (rc) return rc;
    rc = shoal_item_handle_(&f.item, out);
  } while (SHOAL_UNLIKELY(!is_whole(d, &f)));
  return rc;
}

int shoal_dict_nest_(struct shoal_dict *d, const void *key, uint64_t key_size, const struct shoal_object *inner,
                     uint32_t type, int anew, shoal_deadline deadline) {
  struct shoal_item_shm *it = NULL;
  struct op o;
  if (is_too_long(key_size)) return too_long(key_size);
  int rc = shoal_item_nest_(&d->keep, key, (uint32_t)key_size, inner, type, &it);
  if (rc) return rc;
  rc = begin(&o, d, key, key_size, 1, deadline);
  if (rc || (anew && o.there)) unmake(d, it);
  if (rc) return rc;
  rc = anew && o.there ? SHOAL_DICT_OTHER : put(&o, it, sizeof(struct shoal_handle_shm));
  finish(&o);
  return rc;
}

int shoal_dict_take_(struct shoal_dict *d, const void *key, uint64_t key_size,
                     int (*open)(struct shoal_keep_ *k, const struct shoal_handle_shm *h, void **out), void **out,
                     shoal_deadline deadline) {
  struct shoal_handle_shm h;
  struct op o;
  int rc = begin(&o, d, key, key_size, 0, deadline);
  if (rc) return rc;
  rc = o.there ? shoal_item_handle_(&o.f.item, &h) : not_there(d);
  if (rc == 0) rc = open(&d->keep, &h, out);
  if (rc == 0) drop(&o);
  finish_smaller(&o);
  return rc;
}

// ---- many ----

static int make_all(struct shoal_dict *d, const struct shoal_dict_item *items, uint64_t n,
                    struct shoal_item_shm **all) {
  int rc = 0;
  uint64_t i = 0;
  for (; i < n && !rc; i += !rc) rc = make(d, items[i].key, items[i].key_size, items[i].value, items[i].size, &all[i]);
  while (rc && i--) unmake(d, all[i]);
  return rc;
}

// How many of them are not there; one that comes twice counts twice.
static int missing(struct shoal_dict *d, const struct shoal_dict_item *items, uint64_t n, uint64_t *out) {
  *out = 0;
  for (uint64_t i = 0; i < n; i++) {
    struct found f;
    struct key k = key_of(d, items[i].key, items[i].key_size);
    int rc = find(d, &k, &f);
    if (rc && rc != -ENOENT) return rc;
    *out += rc != 0;
  }
  return 0;
}
static int has_room(struct shoal_dict *d, uint64_t n, int tight) {
  struct shoal_table_ t;
  if (shoal_table_look_(d, &t) <= 0) return 0;
  uint64_t words = t.mask + 1, most = tight ? words - 1 : shoal_table_limit_(words);
  return n <= most && shoal_load64_relaxed(&d->shm->used) <= most - n;
}
// The table that all of them need, so that want of memory ends it before the first is set.
static int make_room(struct shoal_dict *d, const struct shoal_dict_item *items, uint64_t n, shoal_deadline deadline) {
  uint64_t more;
  if (SHOAL_LIKELY(has_room(d, n, 0))) return 0;
  int rc = missing(d, items, n, &more);
  if (rc || more == 0 || has_room(d, more, 0)) return rc;
  rc = shoal_dict_resize_(d, more, deadline);
  return rc == -ENOSPC && has_room(d, more, 1) ? 0 : rc;
}

int shoal_dict_set_n(struct shoal_dict *d, const struct shoal_dict_item *items, uint64_t n, uint64_t *done,
                     shoal_deadline deadline) {
  struct shoal_item_shm **all = calloc(n ? n : 1, sizeof(struct shoal_item_shm *));
  uint64_t i = 0;
  *done = 0;
  if (!all) return shoal_fail_(-ENOMEM, "%llu entries", (unsigned long long)n);
  int rc = make_all(d, items, n, all), made = rc == 0;
  if (rc == 0) rc = make_room(d, items, n, deadline);
  while (i < n && !rc) {
    struct key keys[TOGETHER];
    uint64_t from = i, end = n - i < TOGETHER ? n : i + TOGETHER;
    for (uint64_t k = from; k < end; k++) {
      keys[k - from] = key_of(d, items[k].key, items[k].key_size);
      prefetch_to_write(d, &keys[k - from]);
    }
    for (uint64_t k = from; k < end; k++) expect(d, &keys[k - from]);
    for (; i < end && !rc; i++) {
      rc = set(d, &keys[i - from], all[i], items[i].value, items[i].size, deadline);
      *done += !rc;
    }
  }
  for (; made && i < n; i++) unmake(d, all[i]);
  free(all);
  return rc;
}
