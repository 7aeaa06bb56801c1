// Blocks: allocated, found by their address, freed, handed to objects. [H1], [H2], [H3], [H4]: core/heap_internal.h.
#include "core/heap.h"

#include <string.h>

#include "core/error.h"
#include "core/heap_internal.h"

// ---- which block ----

static struct shoal_chunk_ *chunk_of(struct shoal_heap *heap, const void *block, uint32_t *cached) {
  uint32_t chunks = shoal_chunks_(heap);
  struct shoal_chunk_ *c = &heap->chunk[*cached];
  if (SHOAL_LIKELY(*cached < chunks && (uintptr_t)block - (uintptr_t)c->data < c->pages * SHOAL_PAGE_)) return c;
  for (uint32_t i = 0; i < chunks; i++) {
    c = &heap->chunk[i];
    if ((uintptr_t)block - (uintptr_t)c->data >= c->pages * SHOAL_PAGE_) continue;
    *cached = i;
    return c;
  }
  return NULL;
}

// `at`: the block's distance from its slab. Whatever the pages say, the word is inside the slab, and the slab in its chunk.
static int find_small(struct shoal_chunk_ *c, uint64_t page, uint64_t at, struct shoal_spot_ *out) {
  uint32_t tag = shoal_load32_relaxed(&c->page[page].tag), back = tag & 0xff, class_ = (tag >> 8) - 1;
  if (class_ >= SHOAL_CLASSES_ || back >= SHOAL_SLAB_PAGES_ || back > page) return 0;
  page -= back;
  at += back * SHOAL_PAGE_;
  uint64_t slab = shoal_load64_acquire(&c->page[page].owner);  // [H2]
  const struct shoal_class_ *k = &shoal_class_[class_];
  uint32_t from = (uint32_t)at - k->first, i = (uint32_t)((uint64_t)from * k->reciprocal >> 32);
  if (shoal_word_kind_(slab) != SLAB || shoal_slab_class_(c, page) != class_ || at < k->first || i >= k->count ||
      i * k->size != from)
    return 0;
  *out = (struct shoal_spot_){c, page, &shoal_slab_words_(c, page)[i], slab, class_};
  return 1;
}

static int find_in(struct shoal_chunk_ *c, const void *block, struct shoal_spot_ *out) {
  uint64_t at = (uintptr_t)block - (uintptr_t)c->data, page = at / SHOAL_PAGE_, in_page = at % SHOAL_PAGE_;
  uint64_t w = shoal_load64_acquire(&c->page[page].owner);  // [H2]
  unsigned kind = shoal_word_kind_(w);
  if (kind == SLAB || kind == INSIDE) return find_small(c, page, in_page, out);
  if (in_page || kind == CACHED) return 0;
  *out = (struct shoal_spot_){c, page, &c->page[page].owner, 0, SHOAL_CLASSES_};
  return 1;
}

static int no_block(void) { return shoal_fail_(-EINVAL, "no block of this heap begins there"); }

// The chunk may be one that another process has made.
SHOAL_NOINLINE static int find_anew(struct shoal_heap *heap, const void *block, uint32_t *cached,
                                    struct shoal_spot_ *out) {
  int rc = shoal_chunks_look_(heap);
  if (rc) return rc;
  struct shoal_chunk_ *c = chunk_of(heap, block, cached);
  return c && find_in(c, block, out) ? 0 : no_block();
}

SHOAL_INLINE int find(struct shoal_heap *heap, const void *block, uint32_t *cached, struct shoal_spot_ *out) {
  struct shoal_chunk_ *c = chunk_of(heap, block, cached);
  return SHOAL_LIKELY(c && find_in(c, block, out)) ? 0 : find_anew(heap, block, cached, out);
}

static uint64_t usable(const struct shoal_spot_ *s) {
  if (s->class_ < SHOAL_CLASSES_) return shoal_class_[s->class_].size;
  return shoal_run_pages_(s->chunk, s->page) * SHOAL_PAGE_;
}

SHOAL_INLINE uint64_t mine(const struct shoal_cache_ *cache, unsigned kind) {
  return SHOAL_WORD_(0, kind, cache->owner);
}

// ---- allocate ----

SHOAL_INLINE unsigned class_of(uint64_t size) {
  if (size <= 128) return size ? (unsigned)(size - 1) / 16 : 0;
  unsigned top = 63 - (unsigned)__builtin_clzll(size - 1);  // 7..11: four classes to each power of two
  return (top - 7) * 4 + 8 + (unsigned)((size - 1) >> (top - 2) & 3);
}

SHOAL_INLINE int alloc_small(struct shoal_heap *heap, struct shoal_cache_ *cache, unsigned class_, void **out) {
  struct shoal_list_ *list = &cache->list[class_];
  for (;;) {
    while (SHOAL_LIKELY(list->n)) {
      struct shoal_listed_ item = list->item[--list->n];
      uint64_t w = shoal_load64_relaxed(item.word);
      if (SHOAL_UNLIKELY(shoal_word_kind_(w) != CACHED)) continue;  // not as we left it: no block of ours
      shoal_store64_release(item.word, shoal_word_next_(w, PROCESS, cache->owner));  // [H1]
      *out = item.block;
      return 0;
    }
    int rc = shoal_slab_refill_(heap, cache, class_);
    if (rc) return rc;
  }
}

// One of the runs that this thread had lately, if somebody has freed it: warm, and found without a walk.
static int claim_recent(struct shoal_cache_ *cache, uint64_t n, struct shoal_chunk_ **chunk, uint64_t *page) {
  for (uint32_t i = 0; i < SHOAL_RECENT_; i++) {
    struct shoal_recent_ r = cache->recent[(cache->oldest + i) % SHOAL_RECENT_];
    if (!r.chunk) continue;
    shoal_atomic64 *word = &r.chunk->page[r.page].owner;
    uint64_t w = shoal_load64_relaxed(word), have = shoal_run_pages_(r.chunk, r.page);
    if (shoal_word_kind_(w) != FREE || have < n || have > n + n / 4 + 1) continue;
    if (!shoal_cas64_acq_rel(word, &w, shoal_word_next_(w, PROCESS, cache->owner))) continue;  // [H1], [H2]
    if (shoal_run_pages_(r.chunk, r.page) != have) {
      shoal_run_free_(r.chunk, r.page);
      continue;
    }
    cache->oldest = (cache->oldest + i + 1) % SHOAL_RECENT_;
    *chunk = r.chunk;
    *page = r.page;
    return 1;
  }
  return 0;
}

static int alloc_pages(struct shoal_heap *heap, struct shoal_cache_ *cache, uint64_t n, void **out) {
  struct shoal_chunk_ *c = NULL;
  uint64_t page = 0;
  if (!claim_recent(cache, n, &c, &page)) {
    int rc = shoal_run_claim_(heap, cache, n, &c, &page);
    if (rc) return rc;
    cache->recent[cache->oldest] = (struct shoal_recent_){c, page};
    cache->oldest = (cache->oldest + 1) % SHOAL_RECENT_;
  }
  *out = c->data + page * SHOAL_PAGE_;
  return 0;
}

// In pages of its own; a small one where no slab can be made, too.
static int alloc_otherwise(struct shoal_heap *heap, struct shoal_cache_ *cache, uint64_t size, void **out) {
  if (size > heap->seg->g.size_max)
    return shoal_fail_(-ENOSPC, "%llu bytes: size_max is %llu", (unsigned long long)size,
                       (unsigned long long)heap->seg->g.size_max);
  return alloc_pages(heap, cache, size ? (size + SHOAL_PAGE_ - 1) / SHOAL_PAGE_ : 1, out);
}

int shoal_heap_alloc(struct shoal_heap *heap, uint64_t size, void **out) {
  int rc = 0;
  struct shoal_cache_ *cache = shoal_cache_of_(heap, &rc);
  if (SHOAL_UNLIKELY(!cache)) return rc;
  if (SHOAL_LIKELY(size <= SHOAL_HEAP_SMALL)) {
    rc = alloc_small(heap, cache, class_of(size), out);
    if (SHOAL_LIKELY(rc != -ENOSPC)) return rc;
  }
  return alloc_otherwise(heap, cache, size, out);
}

int shoal_heap_alloc_aligned(struct shoal_heap *heap, uint64_t size, uint64_t align, void **out) {
  if (align == 0 || align & (align - 1) || align > SHOAL_HEAP_ALIGNMENT)
    return shoal_fail_(-EINVAL, "%llu is no power of two up to %u", (unsigned long long)align, SHOAL_HEAP_ALIGNMENT);
  int rc = 0;
  struct shoal_cache_ *cache = shoal_cache_of_(heap, &rc);
  if (!cache) return rc;
  if (size <= SHOAL_HEAP_SMALL) {
    unsigned class_ = class_of(size);
    while (shoal_class_[class_].size % align) class_++;
    rc = alloc_small(heap, cache, class_, out);
    if (rc != -ENOSPC) return rc;
  }
  return alloc_otherwise(heap, cache, size, out);
}

// ---- free ----

SHOAL_INLINE void push(struct shoal_heap *heap, struct shoal_cache_ *cache, unsigned class_, void *block,
                       shoal_atomic64 *word) {
  struct shoal_list_ *list = &cache->list[class_];
  if (SHOAL_UNLIKELY(list->n >= shoal_class_[class_].room)) shoal_slab_flush_(heap, list, list->n / 2);
  list->item[list->n++] = (struct shoal_listed_){block, word};
}

static int is_slab_of(const struct shoal_cache_ *cache, const struct shoal_spot_ *s) {
  return ((s->slab ^ mine(cache, SLAB)) & UINT32_MAX) == 0;
}

// The block, whose word was seen as `w`, is free. 0: another was faster.
static int end(struct shoal_heap *heap, struct shoal_cache_ *cache, const struct shoal_spot_ *s, void *block,
               uint64_t w) {
  int listed = s->class_ < SHOAL_CLASSES_ && is_slab_of(cache, s);
  if (!shoal_cas64_seq_cst(s->word, &w, shoal_word_next_(w, listed ? CACHED : FREE, 0))) return 0;  // [H1], [H3]
  if (listed) push(heap, cache, s->class_, block, s->word);
  else if (s->class_ < SHOAL_CLASSES_) shoal_slab_returned_(&s->chunk->page[s->page]);
  return 1;
}

static int not_to_be_freed(uint64_t w) {
  if (shoal_word_kind_(w) == OBJECT) return shoal_fail_(-EINVAL, "the block belongs to an object");
  return shoal_fail_(-EINVAL, "the block is free already");
}

SHOAL_NOINLINE static int free_slowly(struct shoal_heap *heap, struct shoal_cache_ *cache, void *block) {
  struct shoal_spot_ s;
  int rc = find(heap, block, &cache->chunk, &s);
  if (rc) return rc;
  uint64_t w = shoal_load64_relaxed(s.word);
  while (shoal_word_kind_(w) == PROCESS) {
    if (end(heap, cache, &s, block, w)) return 0;
    w = shoal_load64_relaxed(s.word);
  }
  return not_to_be_freed(w);
}

// The word of a small block, if it is this process's, and its slab as well: nobody else may change either. Else NULL.
SHOAL_INLINE shoal_atomic64 *find_own(struct shoal_heap *heap, struct shoal_cache_ *cache, const void *block,
                                      unsigned *class_) {
  const struct shoal_chunk_ *c = &heap->chunk[cache->chunk];
  uint64_t at = (uintptr_t)block - (uintptr_t)c->data, page = at / SHOAL_PAGE_;
  if (SHOAL_UNLIKELY(cache->chunk >= shoal_chunks_(heap) || page >= c->pages)) return NULL;
  uint32_t tag = shoal_load32_relaxed(&c->page[page].tag), back = tag & 0xff;
  *class_ = (tag >> 8) - 1;
  if (SHOAL_UNLIKELY(*class_ >= SHOAL_CLASSES_ || back > page || c->pages - (page - back) < SHOAL_SLAB_PAGES_))
    return NULL;
  page -= back;
  if (SHOAL_UNLIKELY((uint32_t)shoal_load64_relaxed(&c->page[page].owner) != (uint32_t)mine(cache, SLAB))) return NULL;
  const struct shoal_class_ *k = &shoal_class_[*class_];
  uint32_t from = (uint32_t)(at - page * SHOAL_PAGE_) - k->first;
  uint32_t i = (uint32_t)((uint64_t)from * k->reciprocal >> 32);
  if (SHOAL_UNLIKELY(i >= k->count || i * k->size != from)) return NULL;
  return &shoal_slab_words_(c, page)[i];
}

int shoal_heap_free(struct shoal_heap *heap, void *block) {
  int rc = 0;
  unsigned class_;
  struct shoal_cache_ *cache = shoal_cache_of_(heap, &rc);
  if (SHOAL_UNLIKELY(!cache)) return rc;
  shoal_atomic64 *word = find_own(heap, cache, block, &class_);
  if (SHOAL_UNLIKELY(!word)) return free_slowly(heap, cache, block);
  uint64_t w = shoal_load64_relaxed(word);
  if (SHOAL_UNLIKELY((uint32_t)w != (uint32_t)mine(cache, PROCESS))) return free_slowly(heap, cache, block);
  shoal_store64_release(word, shoal_word_next_(w, CACHED, 0));  // [H1]
  push(heap, cache, class_, block, word);
  return 0;
}

// ---- size ----

uint64_t shoal_heap_usable(struct shoal_heap *heap, const void *block) {
  struct shoal_spot_ s;
  uint32_t cached = 0;
  if (find(heap, block, &cached, &s)) return 0;
  unsigned kind = shoal_word_kind_(shoal_load64_relaxed(s.word));
  return kind == PROCESS || kind == OBJECT ? usable(&s) : 0;
}

int shoal_heap_realloc(struct shoal_heap *heap, void **block, uint64_t size) {
  void *moved;
  if (!*block) return shoal_heap_alloc(heap, size, block);
  uint64_t have = shoal_heap_usable(heap, *block);
  if (have == 0) return no_block();
  if (size <= have && (size > have / 2 || have <= 64)) return 0;
  int rc = shoal_heap_alloc(heap, size, &moved);
  if (rc) return rc;
  memcpy(moved, *block, have < size ? have : size);
  rc = shoal_heap_free(heap, *block);
  if (rc) {
    shoal_heap_free(heap, moved);
    return rc;
  }
  *block = moved;
  return 0;
}

// ---- blocks of objects ----

static uint64_t word_of(uint32_t seq, uint32_t entry, uint32_t generation) {
  return SHOAL_WORD_(seq, OBJECT, SHOAL_OBJECT_OWNER_(entry & 0xfffff, generation));
}

int shoal_block_give_(struct shoal_heap *heap, void *block, uint32_t entry, uint32_t generation,
                      struct shoal_block_ref *ref) {
  int rc = 0;
  struct shoal_spot_ s;
  struct shoal_cache_ *cache = shoal_cache_of_(heap, &rc);
  if (!cache) return rc;
  rc = find(heap, block, &cache->chunk, &s);
  if (rc) return rc;
  uint64_t w = shoal_load64_relaxed(s.word), given = word_of(shoal_word_seq_(w) + 1, entry, generation);
  if ((uint32_t)w != (uint32_t)mine(cache, PROCESS)) return shoal_fail_(-EINVAL, "the block is not this process's");
  *ref = (struct shoal_block_ref){shoal_segment_off(heap->seg, block), shoal_word_seq_(given), 0};
  // [H1] pairs with [H2]: what is in the block, and in *ref, is seen by who finds it the object's
  if (!shoal_cas64_release(s.word, &w, given)) return shoal_fail_(-EINVAL, "the block was freed meanwhile");  // [H1]
  return 0;
}

static int not_the_objects(void) { return shoal_fail_(-ENOENT, "the block is not the object's any more"); }

// 0: the block of *ref, the word that it has while it is the object's, and where it is here.
static int find_ref(struct shoal_heap *heap, uint32_t *cached, const struct shoal_block_ref *ref, uint32_t entry,
                    uint32_t generation, struct shoal_spot_ *s, uint64_t *w, char **data) {
  shoal_off off = *(const volatile shoal_off *)&ref->off;
  *w = word_of(*(const volatile uint32_t *)&ref->seq, entry, generation);
  if (off < heap->seg->g.units_off || off >= heap->seg->g.length) return not_the_objects();
  *data = heap->seg->base + off;
  if (find(heap, *data, cached, s)) return not_the_objects();
  return shoal_load64_acquire(s->word) == *w ? 0 : not_the_objects();  // [H2]
}

int shoal_block_at_(struct shoal_heap *heap, const struct shoal_block_ref *ref, uint32_t entry, uint32_t generation,
                    void **data, uint64_t *size) {
  struct shoal_spot_ s;
  uint64_t w, bytes;
  char *at;
  uint32_t cached = 0;
  int rc = find_ref(heap, &cached, ref, entry, generation, &s, &w, &at);
  if (rc) return rc;
  bytes = usable(&s);
  if (bytes == 0 || shoal_load64_acquire(s.word) != w) return not_the_objects();  // [H2]
  *data = at;
  *size = bytes;
  return 0;
}

int shoal_block_take_(struct shoal_heap *heap, const struct shoal_block_ref *ref, uint32_t entry, uint32_t generation) {
  int rc = 0;
  struct shoal_spot_ s;
  uint64_t w;
  char *at;
  struct shoal_cache_ *cache = shoal_cache_of_(heap, &rc);
  if (!cache) return rc;
  rc = find_ref(heap, &cache->chunk, ref, entry, generation, &s, &w, &at);
  if (rc) return rc;
  // [H1], [H2]
  return shoal_cas64_acq_rel(s.word, &w, shoal_word_next_(w, PROCESS, cache->owner)) ? 0 : not_the_objects();
}

int shoal_block_end_(struct shoal_heap *heap, const struct shoal_block_ref *ref, uint32_t entry, uint32_t generation) {
  int rc = 0;
  struct shoal_spot_ s;
  uint64_t w;
  char *at;
  struct shoal_cache_ *cache = shoal_cache_of_(heap, &rc);
  if (!cache) return rc;
  rc = find_ref(heap, &cache->chunk, ref, entry, generation, &s, &w, &at);
  if (rc) return rc;
  return end(heap, cache, &s, at, w) ? 0 : not_the_objects();
}
