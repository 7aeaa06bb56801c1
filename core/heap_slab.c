// Small blocks: slabs, and the lists of threads. Whose word may change how: core/heap_internal.h, which explains [H1],
// [H2], [H3], [H4] as well.
#include <string.h>

#include "core/error.h"
#include "core/heap_internal.h"

// As many blocks as fit with their words before them; a block lies at the largest power of two that divides its size.
#define LOW(size) ((size) & -(size))
#define FIRST(size, n) (((n)*8u + LOW(size) - 1) / LOW(size) * LOW(size))
#define MOST(size) (SHOAL_SLAB_BYTES_ / ((size) + 8u))
#define COUNT(size) (FIRST(size, MOST(size)) + MOST(size) * (size) <= SHOAL_SLAB_BYTES_ ? MOST(size) : MOST(size) - 1)
#define ROOM(size) ((size) <= 512u ? SHOAL_LIST_ROOM_ : 32768u / (size))
#define CLASS(size)                                                                                     \
  {                                                                                                     \
    size##u, (uint32_t)(((UINT64_C(1) << 32) + size##u - 1) / size##u), FIRST(size##u, COUNT(size##u)), \
        COUNT(size##u), ROOM(size##u), {                                                                \
      0                                                                                                 \
    }                                                                                                   \
  }
const struct shoal_class_ shoal_class_[SHOAL_CLASSES_] = {
    CLASS(16),   CLASS(32),   CLASS(48),   CLASS(64),   CLASS(80),   CLASS(96),   CLASS(112),
    CLASS(128),  CLASS(160),  CLASS(192),  CLASS(224),  CLASS(256),  CLASS(320),  CLASS(384),
    CLASS(448),  CLASS(512),  CLASS(640),  CLASS(768),  CLASS(896),  CLASS(1024), CLASS(1280),
    CLASS(1536), CLASS(1792), CLASS(2048), CLASS(2560), CLASS(3072), CLASS(3584), CLASS(4096)};

#define LOOKS 8u  // at slabs, for blocks that were freed, before a new one is made

static uint64_t word_of_run(const struct shoal_chunk_ *c, uint64_t page) {
  return shoal_load64_acquire(&c->page[page].owner);  // [H2]
}
static int change_run(struct shoal_chunk_ *c, uint64_t page, uint64_t seen, unsigned kind, uint32_t owner) {
  return shoal_cas64_acq_rel(&c->page[page].owner, &seen, shoal_word_next_(seen, kind, owner));  // [H1], [H2]
}
static void change_block(shoal_atomic64 *word, uint64_t seen, unsigned kind) {
  shoal_store64_release(word, shoal_word_next_(seen, kind, 0));  // [H1]
}

unsigned shoal_slab_class_(const struct shoal_chunk_ *c, uint64_t page) {
  uint32_t tag = shoal_load32_relaxed(&c->page[page].tag), class_ = (tag >> 8) - 1;
  if (tag & 0xff || class_ >= SHOAL_CLASSES_ || c->pages - page < SHOAL_SLAB_PAGES_) return SHOAL_CLASSES_;
  return class_;
}

// ---- lists ----

// The first page of the slab that a block of ours is in.
static struct shoal_page_shm *slab_of(struct shoal_heap *heap, const void *block) {
  uint32_t chunks = shoal_chunks_(heap);
  for (uint32_t i = 0; i < chunks; i++) {
    struct shoal_chunk_ *c = &heap->chunk[i];
    uint64_t page = ((uintptr_t)block - (uintptr_t)c->data) / SHOAL_PAGE_;
    if (page >= c->pages) continue;
    uint32_t back = shoal_load32_relaxed(&c->page[page].tag) & 0xff;
    return back <= page ? &c->page[page - back] : NULL;
  }
  return NULL;
}

void shoal_slab_flush_(struct shoal_heap *heap, struct shoal_list_ *list, uint32_t n) {
  struct shoal_listed_ *first = list->bottom + 1;
  for (struct shoal_listed_ *i = first; i < first + n; i++) {
    uint64_t w = shoal_load64_relaxed(i->word);
    struct shoal_page_shm *slab = slab_of(heap, i->block);
    if (shoal_word_kind_(w) != CACHED) continue;
    change_block(i->word, w, FREE);
    if (slab) shoal_slab_returned_(slab);
  }
  list->top -= n;
  memmove(first, first + n, shoal_listed_n_(list) * sizeof *first);
}

void shoal_slab_flush_all_(struct shoal_heap *heap, struct shoal_cache_ *cache) {
  for (unsigned k = 0; k < SHOAL_CLASSES_; k++)
    shoal_slab_flush_(heap, &cache->list[k], shoal_listed_n_(&cache->list[k]));
}

// Moves FREE blocks of the slab into the list, until it is half full.
static void harvest(struct shoal_slab_ *s, const struct shoal_class_ *k, struct shoal_list_ *list) {
  char *slab = s->chunk->data + s->page * SHOAL_PAGE_;
  shoal_atomic64 *words = shoal_slab_words_(s->chunk, s->page);
  for (; s->at < k->count && shoal_listed_n_(list) < k->room / 2; s->at++) {
    uint64_t w = shoal_load64_acquire(&words[s->at]);  // [H2]
    if (shoal_word_kind_(w) != FREE) continue;
    change_block(&words[s->at], w, CACHED);
    *++list->top = (struct shoal_listed_){slab + k->first + (size_t)s->at * k->size, &words[s->at]};
  }
}

// Looks at some of this process's slabs.
static int collect(struct shoal_slabs_ *slabs, const struct shoal_class_ *k, struct shoal_list_ *list) {
  for (uint32_t i = 0; i < LOOKS && i < slabs->n; i++) {
    struct shoal_slab_ *s = &slabs->slab[slabs->next % slabs->n];
    shoal_atomic32 *returned = &s->chunk->page[s->page].returned;
    if (s->at == k->count && shoal_load32_relaxed(returned)) {
      shoal_exchange32_seq_cst(returned, 0);  // [H4] pairs with [H3]
      s->at = 0;
    }
    harvest(s, k, list);
    if (list->top != list->bottom) return 1;
    slabs->next = (slabs->next + 1) % slabs->n;
  }
  return 0;
}

// ---- slabs ----

static int note(struct shoal_slabs_ *slabs, struct shoal_chunk_ *c, uint64_t page) {
  if (slabs->n == slabs->room) {  // a fork in between finds the old one or the new one
    uint32_t room = slabs->room ? 2 * slabs->room : 16;
    struct shoal_slab_ *more = malloc(room * sizeof *more), *old = slabs->slab;
    if (!more) return shoal_fail_(-ENOMEM, "private memory");
    if (slabs->n) memcpy(more, old, slabs->n * sizeof *more);
    slabs->slab = more;
    slabs->room = room;
    free(old);
  }
  slabs->slab[slabs->n] = (struct shoal_slab_){c, page, 0};
  slabs->next = slabs->n++;
  return 0;
}

// Where the sequences of its blocks begin differs from life to life of these pages.
static void make(struct shoal_chunk_ *c, uint64_t page, unsigned class_, uint32_t owner) {
  shoal_atomic64 *words = shoal_slab_words_(c, page);
  uint64_t w = word_of_run(c, page);
  uint32_t begin = shoal_word_seq_(w) * UINT32_C(0x9e3779b1) + (uint32_t)page;
  for (uint32_t i = 0; i < shoal_class_[class_].count; i++)
    shoal_store64_relaxed(&words[i], SHOAL_WORD_(begin, FREE, 0));
  for (uint32_t i = 0; i < SHOAL_SLAB_PAGES_; i++) shoal_store32_relaxed(&c->page[page + i].tag, (class_ + 1) << 8 | i);
  shoal_store32_relaxed(&c->page[page].returned, 0);
  change_run(c, page, w, SLAB, owner);
}

static int is_empty(const struct shoal_chunk_ *c, uint64_t page, unsigned class_, int cached_too) {
  shoal_atomic64 *words = shoal_slab_words_(c, page);
  for (uint32_t i = 0; i < shoal_class_[class_].count; i++) {
    unsigned kind = shoal_word_kind_(shoal_load64_acquire(&words[i]));  // [H2]
    if (kind != FREE && !(cached_too && kind == CACHED)) return 0;
  }
  return 1;
}

int shoal_slab_reclaim_(struct shoal_chunk_ *c, uint64_t page, unsigned class_, uint64_t seen, uint32_t owner) {
  if (!is_empty(c, page, class_, 1) || !change_run(c, page, seen, PROCESS, owner)) return 0;
  shoal_run_free_(c, page);
  return 1;
}

// One that is in none of our lists.
static int dissolve_one(struct shoal_heap *heap, struct shoal_chunk_ *c, uint64_t page, unsigned class_,
                        uint32_t owner) {
  uint64_t w = word_of_run(c, page);
  if (shoal_word_kind_(w) != SLAB || shoal_word_owner_(w) != owner || !is_empty(c, page, class_, 0)) return 0;
  shoal_slab_ends_(heap);
  if (!change_run(c, page, w, PROCESS, owner)) return 0;
  shoal_run_free_(c, page);
  return 1;
}

int shoal_slab_dissolve_(struct shoal_heap *heap, struct shoal_cache_ *cache) {
  int freed = 0;
  shoal_private_acquire_(&heap->lock);
  shoal_slab_flush_all_(heap, cache);
  for (unsigned k = 0; k < SHOAL_CLASSES_; k++) {
    struct shoal_slabs_ *slabs = &heap->slabs[k];
    for (uint32_t i = slabs->n; i--;) {
      struct shoal_slab_ *s = &slabs->slab[i];
      s->at = 0;
      if (!dissolve_one(heap, s->chunk, s->page, k, cache->owner)) continue;
      *s = slabs->slab[--slabs->n];
      freed++;
    }
    slabs->next = 0;
  }
  shoal_private_release_(&heap->lock);
  return freed;
}

// ---- slabs that change hands ----

int shoal_slab_disown_(struct shoal_heap *heap, struct shoal_chunk_ *c, uint64_t page, unsigned class_, uint64_t seen) {
  if (!change_run(c, page, seen, SLAB, 0)) return 0;
  shoal_add32_relaxed(&heap->shm->abandoned[class_], 1);
  return 1;
}

void shoal_slab_abandon_(struct shoal_heap *heap) {
  uint32_t owner = shoal_load32_relaxed(&heap->owner);
  for (unsigned k = 0; k < SHOAL_CLASSES_; k++) {
    struct shoal_slabs_ *slabs = &heap->slabs[k];
    for (; slabs->n; slabs->n--) {
      struct shoal_slab_ *s = &slabs->slab[slabs->n - 1];
      uint64_t w = word_of_run(s->chunk, s->page);
      if (dissolve_one(heap, s->chunk, s->page, k, owner)) continue;
      if (shoal_word_kind_(w) == SLAB && shoal_word_owner_(w) == owner)
        shoal_slab_disown_(heap, s->chunk, s->page, k, w);
    }
  }
}

// One that was nobody's: what its former owner had in lists is FREE. Killed midway: the next owner goes on.
static void clear_lists(const struct shoal_chunk_ *c, uint64_t page, unsigned class_) {
  shoal_atomic64 *words = shoal_slab_words_(c, page);
  for (uint32_t i = 0; i < shoal_class_[class_].count; i++) {
    uint64_t w = shoal_load64_acquire(&words[i]);  // [H2]
    if (shoal_word_kind_(w) == CACHED) change_block(&words[i], w, FREE);
  }
}

static int adopt_in(struct shoal_heap *heap, struct shoal_chunk_ *c, unsigned class_, uint32_t owner) {
  for (uint64_t at = 0, n; at < c->pages; at += n) {
    uint64_t w = word_of_run(c, at);
    n = shoal_run_pages_(c, at);
    if (shoal_word_kind_(w) == INSIDE || n == 0) n = 1;
    if (shoal_word_kind_(w) != SLAB || SHOAL_PLACE_OF_(shoal_word_owner_(w)) || shoal_slab_class_(c, at) != class_ ||
        !change_run(c, at, w, SLAB, owner))
      continue;
    clear_lists(c, at, class_);
    return note(&heap->slabs[class_], c, at) == 0;
  }
  return 0;
}

static int adopt(struct shoal_heap *heap, unsigned class_, uint32_t owner) {
  shoal_atomic32 *hint = &heap->shm->abandoned[class_];
  uint32_t seen = shoal_load32_relaxed(hint), chunks = shoal_chunks_(heap);
  for (uint32_t i = 0; seen && i < chunks; i++)
    if (adopt_in(heap, &heap->chunk[i], class_, owner)) return 1;
  if (seen) shoal_cas32_relaxed(hint, &seen, 0);
  return 0;
}

int shoal_slab_refill_(struct shoal_heap *heap, struct shoal_cache_ *cache, unsigned class_) {
  const struct shoal_class_ *k = &shoal_class_[class_];
  struct shoal_list_ *list = &cache->list[class_];
  struct shoal_slabs_ *slabs = &heap->slabs[class_];
  struct shoal_chunk_ *c;
  uint64_t page;
  shoal_private_acquire_(&heap->lock);
  while (!collect(slabs, k, list) && adopt(heap, class_, cache->owner)) continue;
  shoal_private_release_(&heap->lock);
  if (list->top != list->bottom) return 0;
  int rc = shoal_run_claim_(heap, cache, SHOAL_SLAB_PAGES_, &c, &page);
  if (rc) return rc;
  make(c, page, class_, cache->owner);
  shoal_private_acquire_(&heap->lock);
  rc = note(slabs, c, page);
  if (rc == 0) collect(slabs, k, list);
  else dissolve_one(heap, c, page, class_, cache->owner);
  shoal_private_release_(&heap->lock);
  return rc;
}
