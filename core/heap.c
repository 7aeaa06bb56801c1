// Blocks: allocated, found by their address, freed, handed to objects. [H1], [H2], [H3], [H4]: core/heap_internal.h.
#include "core/heap.h"

#include <string.h>

#include "core/directory_internal.h"
#include "core/error.h"
#include "core/heap_internal.h"

// ---- which block ----

static struct shoal_chunk_ *chunk_of(struct shoal_heap *heap, const void *block) {
  uint32_t chunks = shoal_chunks_(heap);
  for (uint32_t i = chunks; i--;) {  // the last is the largest
    struct shoal_chunk_ *c = &heap->chunk[i];
    if ((uintptr_t)block - (uintptr_t)c->data < c->pages * SHOAL_PAGE_) return c;
  }
  return NULL;
}

// `at`: the block's distance from its slab. Whatever the pages say, the word is inside the slab, and the slab in its
// chunk.
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

static int find(struct shoal_heap *heap, const void *block, struct shoal_spot_ *out) {
  struct shoal_chunk_ *c = chunk_of(heap, block);
  if (!c) {  // it may be in one that another process has made
    int rc = shoal_chunks_look_(heap);
    if (rc) return rc;
    c = chunk_of(heap, block);
  }
  return c && find_in(c, block, out) ? 0 : no_block();
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

// 1: *out, the last block of the thread's list; 0: that is not as it was left, or there is none.
SHOAL_INLINE int pop(struct shoal_cache_ *cache, unsigned class_, void **out) {
  struct shoal_list_ *list = &cache->list[class_];
  struct shoal_listed_ *item = list->top;
  uint64_t w = shoal_load64_relaxed(item->word);
  if (SHOAL_UNLIKELY((uint32_t)w != (uint32_t)SHOAL_WORD_(0, CACHED, 0))) return 0;
  list->top = item - 1;
  cache->last = list;
  shoal_store64_release(item->word, w + cache->allocated);  // [H1]
  *out = item->block;
  return 1;
}

static int alloc_small(struct shoal_heap *heap, struct shoal_cache_ *cache, unsigned class_, void **out) {
  struct shoal_list_ *list = &cache->list[class_];
  while (!pop(cache, class_, out)) {
    int rc = 0;
    if (list->top != list->bottom) list->top--;
    else rc = shoal_slab_refill_(heap, cache, class_);
    if (rc) return rc;
  }
  return 0;
}

static void note_recent(struct shoal_cache_ *cache, uint32_t from, struct shoal_recent_ r) {
  memmove(cache->recent + 1, cache->recent, from * sizeof r);
  cache->recent[0] = r;
}
// The run that this thread was given last, of those that somebody has freed: warm, and found without a walk.
static int claim_recent(struct shoal_cache_ *cache, uint64_t n, struct shoal_chunk_ **chunk, uint64_t *page) {
  for (uint32_t i = 0; i < SHOAL_RECENT_ && cache->recent[i].chunk; i++) {
    struct shoal_recent_ r = cache->recent[i];
    shoal_atomic64 *word = &r.chunk->page[r.page].owner;
    uint64_t w = shoal_load64_relaxed(word), have = shoal_run_pages_(r.chunk, r.page);
    if (shoal_word_kind_(w) != FREE || have < n || have > n + n / 4 + 1) continue;
    if (!shoal_cas64_acq_rel(word, &w, shoal_word_next_(w, PROCESS, cache->owner))) continue;  // [H1], [H2]
    if (shoal_run_pages_(r.chunk, r.page) != have) {
      shoal_run_free_(r.chunk, r.page);
      continue;
    }
    note_recent(cache, i, r);
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
    note_recent(cache, SHOAL_RECENT_ - 1, (struct shoal_recent_){c, page});
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

SHOAL_NOINLINE static int alloc_slowly(struct shoal_heap *heap, uint64_t size, uint64_t align, void **out) {
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

void *shoal_heap_take_(struct shoal_heap *heap, uint64_t size) {
  struct shoal_cache_ *cache;
  void *block;
  if (SHOAL_LIKELY(size <= SHOAL_HEAP_SMALL && shoal_cache_known_(heap, &cache) && pop(cache, class_of(size), &block)))
    return block;
  return NULL;
}
int shoal_heap_alloc_(struct shoal_heap *heap, uint64_t size, void **out) { return alloc_slowly(heap, size, 1, out); }

int shoal_heap_alloc_aligned(struct shoal_heap *heap, uint64_t size, uint64_t align, void **out) {
  if (align == 0 || align & (align - 1) || align > SHOAL_HEAP_ALIGNMENT)
    return shoal_fail_(-EINVAL, "%llu is no power of two up to %u", (unsigned long long)align, SHOAL_HEAP_ALIGNMENT);
  return alloc_slowly(heap, size, align, out);
}

// ---- free ----

static void push(struct shoal_heap *heap, struct shoal_cache_ *cache, unsigned class_, void *block,
                 shoal_atomic64 *word) {
  struct shoal_list_ *list = &cache->list[class_];
  if (list->top == list->end) shoal_slab_flush_(heap, list, shoal_listed_n_(list) / 2);
  *++list->top = (struct shoal_listed_){block, word};
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

struct own {  // a slab of this process
  uint64_t page, word;
  unsigned class_;
};
// Where a small block's word is, if it lies in the same chunk as the last one, in a slab of this process: nobody else
// may change the word while the block is this process's. Else NULL.
SHOAL_INLINE shoal_atomic64 *find_own(const struct shoal_cache_ *cache, const void *block, struct own *out) {
  uint64_t at = (uintptr_t)block - (uintptr_t)cache->data, page = at / SHOAL_PAGE_;
  if (SHOAL_UNLIKELY(at >= cache->bytes)) return NULL;
  uint32_t tag = shoal_load32_relaxed(&cache->page[page].tag), class_ = (tag >> 8) - 1;
  page -= tag & 0xff;
  if (SHOAL_UNLIKELY(class_ >= SHOAL_CLASSES_ || page >= cache->slabs_end)) return NULL;
  *out = (struct own){page, shoal_load64_relaxed(&cache->page[page].owner), class_};
  if (SHOAL_UNLIKELY((uint32_t)out->word != (uint32_t)mine(cache, SLAB))) return NULL;
  const struct shoal_class_ *k = &shoal_class_[class_];
  uint64_t scaled = (uint64_t)((uint32_t)(at - page * SHOAL_PAGE_) - k->first) * k->reciprocal;
  uint32_t i = (uint32_t)(scaled >> 32);  // and what is left of it is less than a block's, if a block begins there
  if (SHOAL_UNLIKELY(i >= k->count || (uint32_t)scaled >= k->reciprocal)) return NULL;
  return (shoal_atomic64 *)(void *)(cache->data + page * SHOAL_PAGE_) + i;
}

static void remember(struct shoal_cache_ *cache, const struct shoal_chunk_ *c) {
  cache->data = c->data;
  cache->bytes = c->pages * SHOAL_PAGE_;
  cache->page = c->page;
  cache->slabs_end = c->pages < SHOAL_SLAB_PAGES_ ? 0 : c->pages - SHOAL_SLAB_PAGES_ + 1;
}

SHOAL_NOINLINE static int free_slowly(struct shoal_heap *heap, void *block) {
  int rc = 0;
  struct shoal_spot_ s;
  struct shoal_cache_ *cache = shoal_cache_of_(heap, &rc);
  if (!cache) return rc;
  rc = find(heap, block, &s);
  if (rc) return rc;
  remember(cache, s.chunk);
  uint64_t w = shoal_load64_relaxed(s.word);
  while (shoal_word_kind_(w) == PROCESS) {
    if (end(heap, cache, &s, block, w)) return 0;
    w = shoal_load64_relaxed(s.word);
  }
  return not_to_be_freed(w);
}

// The same, if it lies in the slab that the last one did. 1: *word; 0: it does not.
SHOAL_INLINE int find_own_again(const struct shoal_cache_ *cache, const void *block, shoal_atomic64 **word) {
  uint64_t at = (uintptr_t)block - (uintptr_t)cache->slab.first;
  if (SHOAL_UNLIKELY(at >= cache->slab.bytes || shoal_load64_relaxed(cache->slab.run) != cache->slab.word)) return 0;
  uint64_t scaled = at * cache->slab.reciprocal;
  *word = cache->slab.words + (scaled >> 32);
  return SHOAL_LIKELY((uint32_t)scaled < cache->slab.reciprocal);
}
static void remember_slab(struct shoal_cache_ *cache, const struct own *o) {
  const struct shoal_class_ *k = &shoal_class_[o->class_];
  char *slab = cache->data + o->page * SHOAL_PAGE_;
  cache->slab.first = slab + k->first;
  cache->slab.bytes = (uint64_t)k->count * k->size;
  cache->slab.words = (shoal_atomic64 *)(void *)slab;
  cache->slab.run = &cache->page[o->page].owner;
  cache->slab.word = o->word;
  cache->slab.list = &cache->list[o->class_];
  cache->slab.reciprocal = k->reciprocal;
}

// 1: freed; 0: it is not this process's, or there is no room in the list.
SHOAL_INLINE int free_own(const struct shoal_cache_ *cache, struct shoal_list_ *list, void *block,
                          shoal_atomic64 *word) {
  struct shoal_listed_ *top = list->top;
  uint64_t w = shoal_load64_relaxed(word);
  if (SHOAL_UNLIKELY((uint32_t)w != cache->process || top == list->end)) return 0;
  list->top = top + 1;
  top[1] = (struct shoal_listed_){block, word};
  shoal_store64_release(word, w + cache->freed);  // [H1]
  return 1;
}

SHOAL_NOINLINE static int free_elsewhere(struct shoal_heap *heap, struct shoal_cache_ *cache, void *block) {
  struct own o;
  shoal_atomic64 *word = find_own(cache, block, &o);
  if (SHOAL_UNLIKELY(!word)) return free_slowly(heap, block);
  remember_slab(cache, &o);
  return SHOAL_LIKELY(free_own(cache, cache->slab.list, block, word)) ? 0 : free_slowly(heap, block);
}

// 1: freed, the block that stands, with its word, behind the top of the list that the last one came from. 0: it is
// another, or not this process's.
SHOAL_INLINE int free_last(const struct shoal_cache_ *cache, const void *block) {
  struct shoal_list_ *list = cache->last;
  struct shoal_listed_ *item = list->top + 1;
  if (item->block != block) return 0;
  uint64_t w = shoal_load64_relaxed(item->word);
  if (SHOAL_UNLIKELY((uint32_t)w != cache->process)) return 0;
  list->top = item;
  shoal_store64_release(item->word, w + cache->freed);  // [H1]
  return 1;
}

int shoal_heap_free(struct shoal_heap *heap, void *block) {
  struct shoal_cache_ *cache;
  if (SHOAL_UNLIKELY(!shoal_cache_known_(heap, &cache))) return free_slowly(heap, block);
  if (SHOAL_LIKELY(free_last(cache, block))) return 0;
  shoal_atomic64 *word;
  if (SHOAL_UNLIKELY(!find_own_again(cache, block, &word))) return free_elsewhere(heap, cache, block);
  return SHOAL_LIKELY(free_own(cache, cache->slab.list, block, word)) ? 0 : free_slowly(heap, block);
}

// ---- size ----

uint64_t shoal_heap_usable(struct shoal_heap *heap, const void *block) {
  struct shoal_spot_ s;
  if (find(heap, block, &s)) return 0;
  unsigned kind = shoal_word_kind_(shoal_load64_relaxed(s.word));
  return kind == PROCESS || kind == OBJECT ? usable(&s) : 0;
}

int shoal_heap_realloc(struct shoal_heap *heap, void **block, uint64_t size) {
  void *moved = NULL;
  if (!*block) return shoal_heap_alloc(heap, size, block);
  uint64_t have = shoal_heap_usable(heap, *block);
  if (have == 0) return no_block();
  if (size <= have && (size > have / 2 || have <= 64)) return 0;
  int rc = shoal_heap_alloc(heap, size, &moved);
  if (!moved) return size <= have ? 0 : rc;
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

// The place last: killed between, no block is named that this was not given for.
static void name_block(struct shoal_heap *heap, const void *block, uint64_t given, struct shoal_block_ref *ref) {
  ref->seq = shoal_word_seq_(given);
  ref->reserved_ = 0;
  SHOAL_COMPILER_BARRIER();
  __atomic_store_n(&ref->off, shoal_segment_off(heap->seg, block), __ATOMIC_RELAXED);
}

// A small block of this process's own slab, which nobody else changes. 0: it is none.
static int give_own(struct shoal_heap *heap, const struct shoal_cache_ *cache, void *block, uint32_t entry,
                    uint32_t generation, struct shoal_block_ref *ref) {
  struct own o;
  shoal_atomic64 *word = find_own(cache, block, &o);
  if (SHOAL_UNLIKELY(!word)) return 0;
  uint64_t w = shoal_load64_relaxed(word), given = word_of(shoal_word_seq_(w) + 1, entry, generation);
  if (SHOAL_UNLIKELY((uint32_t)w != cache->process)) return 0;
  name_block(heap, block, given, ref);
  shoal_store64_release(word, given);  // [H1] pairs with [H2]
  return 1;
}

// Of a block of this process's: its word, what that is, and will be when it is the object's; *ref.
static int begin_to_give(struct shoal_heap *heap, void *block, uint32_t entry, uint32_t generation,
                         struct shoal_block_ref *ref, struct shoal_spot_ *s, uint64_t *w, uint64_t *given) {
  int rc = 0;
  struct shoal_cache_ *cache = shoal_cache_of_(heap, &rc);
  if (!cache) return rc ? rc : -ENOMEM;
  rc = find(heap, block, s);
  if (rc) return rc;
  *w = shoal_load64_relaxed(s->word);
  *given = word_of(shoal_word_seq_(*w) + 1, entry, generation);
  if ((uint32_t)*w != cache->process) return shoal_fail_(-EINVAL, "the block is not this process's");
  name_block(heap, block, *given, ref);
  return 0;
}

int shoal_block_give_(struct shoal_heap *heap, void *block, uint32_t entry, uint32_t generation,
                      struct shoal_block_ref *ref) {
  struct shoal_spot_ s;
  uint64_t w, given;
  int rc = 0;
  struct shoal_cache_ *cache = shoal_cache_of_(heap, &rc);
  if (!cache) return rc;
  if (give_own(heap, cache, block, entry, generation, ref)) return 0;
  rc = begin_to_give(heap, block, entry, generation, ref, &s, &w, &given);
  if (rc) return rc;
  remember(cache, s.chunk);
  // [H1] pairs with [H2]: what is in the block, and in *ref, is seen by who finds it the object's
  if (!shoal_cas64_release(s.word, &w, given)) return shoal_fail_(-EINVAL, "the block was freed meanwhile");  // [H1]
  return 0;
}

int shoal_block_give_tied_(struct shoal_heap *heap, void *block, const struct shoal_object *holder,
                           const struct shoal_object *held, struct shoal_block_ref *ref) {
  struct shoal_spot_ s;
  uint64_t w, given;
  int rc = begin_to_give(heap, block, holder->entry, holder->generation, ref, &s, &w, &given);
  return rc ? rc : shoal_object_tie_(heap->seg, held, holder, s.word, w, given);
}

static int not_the_objects(void) { return shoal_fail_(-ENOENT, "the block is not the object's any more"); }

// 0: the block of *ref, the word that it has while it is the object's, and where it is here.
static int find_ref(struct shoal_heap *heap, const struct shoal_block_ref *ref, uint32_t entry, uint32_t generation,
                    struct shoal_spot_ *s, uint64_t *w, char **data) {
  shoal_off off = *(const volatile shoal_off *)&ref->off;
  *w = word_of(*(const volatile uint32_t *)&ref->seq, entry, generation);
  if (off < heap->seg->g.units_off || off >= heap->seg->g.length) return not_the_objects();
  *data = heap->seg->base + off;
  int rc = find(heap, *data, s);
  if (rc) return rc == -EINVAL ? not_the_objects() : rc;  // what cannot be looked at may be the object's still
  return shoal_load64_acquire(s->word) == *w ? 0 : not_the_objects();  // [H2]
}

int shoal_block_at_(struct shoal_heap *heap, const struct shoal_block_ref *ref, uint32_t entry, uint32_t generation,
                    void **data, uint64_t *size) {
  struct shoal_spot_ s;
  uint64_t w, bytes;
  char *at;
  int rc = find_ref(heap, ref, entry, generation, &s, &w, &at);
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
  rc = find_ref(heap, ref, entry, generation, &s, &w, &at);
  if (rc) return rc;
  // [H1], [H2]
  return shoal_cas64_acq_rel(s.word, &w, shoal_word_next_(w, PROCESS, cache->owner)) ? 0 : not_the_objects();
}

void shoal_block_prefetch_(struct shoal_heap *heap, const void *block) {
  const struct shoal_chunk_ *c = chunk_of(heap, block);
  if (!c) return;
  uint64_t at = (uintptr_t)block - (uintptr_t)c->data, page = at / SHOAL_PAGE_;
  uint32_t tag = shoal_load32_relaxed(&c->page[page].tag), back = tag & 0xff, class_ = (tag >> 8) - 1;
  if (class_ >= SHOAL_CLASSES_ || back > page) return;
  const struct shoal_class_ *k = &shoal_class_[class_];
  uint32_t from = (uint32_t)(at - (page - back) * SHOAL_PAGE_) - k->first;
  shoal_prefetch_write(&shoal_slab_words_(c, page - back)[(uint64_t)from * k->reciprocal >> 32]);
  shoal_prefetch_write(&c->page[page - back].owner);
}

int shoal_block_end_(struct shoal_heap *heap, const struct shoal_block_ref *ref, uint32_t entry, uint32_t generation) {
  int rc = 0;
  struct shoal_spot_ s;
  uint64_t w;
  char *at;
  struct shoal_cache_ *cache = shoal_cache_of_(heap, &rc);
  if (!cache) return rc;
  rc = find_ref(heap, ref, entry, generation, &s, &w, &at);
  if (rc) return rc;
  remember(cache, s.chunk);
  return end(heap, cache, &s, at, w) ? 0 : not_the_objects();
}

int shoal_block_end_alone_(struct shoal_heap *heap, const struct shoal_block_ref *ref, uint32_t entry,
                           uint32_t generation) {
  struct shoal_cache_ *cache = NULL;
  struct own o;
  shoal_off off = *(const volatile shoal_off *)&ref->off;
  uint64_t w = word_of(*(const volatile uint32_t *)&ref->seq, entry, generation);
  char *block = (char *)((uintptr_t)heap->seg->base + off);  // `off` may be anything
  shoal_atomic64 *word = SHOAL_LIKELY(shoal_cache_known_(heap, &cache)) ? find_own(cache, block, &o) : NULL;
  if (SHOAL_UNLIKELY(!word || shoal_load64_acquire(word) != w))  // [H2]
    return shoal_block_end_(heap, ref, entry, generation);
  shoal_store64_release(word, shoal_word_next_(w, CACHED, 0));  // [H1]
  push(heap, cache, o.class_, block, word);
  return 0;
}
