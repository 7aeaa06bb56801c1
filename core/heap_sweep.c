// What the dead have left, and what there is. [H1], [H2], [H3], [H4]: core/heap_internal.h.
//
// A place whose process is gone gets its next generation first: from then on every word of the last one is a dead
// one's, for whoever looks, however far this sweep comes. A word is read before its place: who is alive had the place
// before.
#include "core/heap_internal.h"

#define GENERATION_UNIT (SHOAL_IDLE_ << 1)

static void retire_places(struct shoal_heap *heap) {
  for (uint32_t i = 0; i < heap->places; i++) {
    uint64_t who = shoal_load64_relaxed(&heap->shm->place[i]);
    if (!SHOAL_WHO_ID_(who) || !shoal_process_gone_(SHOAL_WHO_ID_(who))) continue;
    shoal_cas64_relaxed(&heap->shm->place[i], &who, (who & ~(GENERATION_UNIT - 1)) + GENERATION_UNIT);
  }
}

static int is_dead(struct shoal_heap *heap, uint32_t owner) {
  uint32_t place = SHOAL_PLACE_OF_(owner);
  if (place == 0 || place > heap->places) return place != 0 && owner != shoal_load32_relaxed(&heap->owner);
  uint64_t who = shoal_load64_relaxed(&heap->shm->place[place - 1]);
  return SHOAL_OWNER_(place - 1, who) != owner;
}

static int is_doomed(struct shoal_heap *heap, uint64_t w) {
  uint32_t owner = shoal_word_owner_(w);
  if (shoal_word_kind_(w) == PROCESS) return is_dead(heap, owner);
  return shoal_word_kind_(w) == OBJECT && shoal_directory_lost_(heap->seg, owner & 0xfffff, owner >> 20);
}

// By way of the sweeper, since the dead may have left it in two.
static int sweep_run(struct shoal_chunk_ *c, uint64_t page, uint64_t w, uint32_t owner) {
  if (!shoal_cas64_acq_rel(&c->page[page].owner, &w, shoal_word_next_(w, PROCESS, owner))) return 0;  // [H1], [H2]
  shoal_run_mend_(c, page);
  shoal_run_free_(c, page);
  return 1;
}

// A block's word was seen while the slab was what it is: a change of the slab's own word tells of a later life.
static int sweep_block(struct shoal_page_shm *slab, uint64_t seen, shoal_atomic64 *word, uint64_t w) {
  if (shoal_load64_acquire(&slab->owner) != seen) return 0;                    // [H2]
  if (!shoal_cas64_seq_cst(word, &w, shoal_word_next_(w, FREE, 0))) return 0;  // [H1], [H3]
  shoal_slab_returned_(slab);
  return 1;
}

static int sweep_slab(struct shoal_heap *heap, struct shoal_chunk_ *c, uint64_t page, uint64_t seen, uint32_t owner) {
  struct shoal_page_shm *slab = &c->page[page];
  shoal_atomic64 *words = shoal_slab_words_(c, page);
  unsigned class_ = shoal_slab_class_(c, page);
  int freed = 0;
  if (class_ >= SHOAL_CLASSES_) return 0;
  for (uint32_t i = 0; i < shoal_class_[class_].count; i++) {
    uint64_t w = shoal_load64_acquire(&words[i]);  // [H2]
    if (is_doomed(heap, w)) freed += sweep_block(slab, seen, &words[i], w);
  }
  uint32_t had = shoal_word_owner_(seen);
  if (SHOAL_PLACE_OF_(had) && !is_dead(heap, had)) return freed;
  if (shoal_slab_reclaim_(c, page, class_, seen, owner)) return freed + 1;
  if (SHOAL_PLACE_OF_(had)) shoal_slab_disown_(heap, c, page, class_, seen);
  return freed;
}

// What begins at this page. Again, if a slab changed hands under the look.
static int sweep_at(struct shoal_heap *heap, struct shoal_chunk_ *c, uint64_t page, uint32_t owner) {
  int freed = 0;
  uint64_t w = shoal_load64_acquire(&c->page[page].owner), now = w;  // [H2]
  do {
    w = now;
    if (shoal_word_kind_(w) == SLAB) freed += sweep_slab(heap, c, page, w, owner);
    else if (is_doomed(heap, w)) freed += sweep_run(c, page, w, owner);
    now = shoal_load64_acquire(&c->page[page].owner);  // [H2]
  } while (now != w && shoal_word_kind_(now) == SLAB && SHOAL_PLACE_OF_(shoal_word_owner_(now)));
  return freed;
}

// Not beside this process's own changes of slabs. Another process's may become pages while it looks: see sweep_block.
int shoal_heap_sweep_(struct shoal_heap *heap, uint32_t owner) {
  uint32_t chunks = shoal_chunks_(heap);
  int freed = 0;
  shoal_private_acquire_(&heap->lock);
  retire_places(heap);
  for (uint32_t i = 0; i < chunks; i++) {
    struct shoal_chunk_ *c = &heap->chunk[i];
    for (uint64_t at = 0, n; at < c->pages; at += n) {
      uint64_t w = shoal_load64_acquire(&c->page[at].owner);  // [H2]
      n = shoal_run_pages_(c, at);
      if (shoal_word_kind_(w) == INSIDE || n == 0) n = 1;
      if (shoal_word_kind_(w) > FREE) freed += sweep_at(heap, c, at, owner);
    }
  }
  shoal_private_release_(&heap->lock);
  return freed;
}

int shoal_heap_reap(struct shoal_heap *heap) {
  int rc = 0;
  struct shoal_cache_ *cache = shoal_cache_of_(heap, &rc);
  if (!cache) return rc;
  shoal_proc_reap_(heap->seg, 1);  // objects of the dead go first
  rc = shoal_chunks_look_(heap);
  if (rc) return rc;
  int freed = shoal_heap_sweep_(heap, cache->owner);
  return freed + shoal_slab_dissolve_(heap, cache);
}

// ---- what there is ----

static void count(struct shoal_heap_info *info, uint64_t w, uint64_t bytes) {
  unsigned kind = shoal_word_kind_(w);
  if (kind != PROCESS && kind != OBJECT) return;
  info->blocks++;
  info->held += bytes;
  info->objects += kind == OBJECT;
}

static void count_run(const struct shoal_chunk_ *c, uint64_t page, uint64_t w, uint64_t n,
                      struct shoal_heap_info *info) {
  info->used += n * SHOAL_PAGE_;
  count(info, w, n * SHOAL_PAGE_);
  unsigned class_ = shoal_word_kind_(w) == SLAB ? shoal_slab_class_(c, page) : SHOAL_CLASSES_;
  if (class_ == SHOAL_CLASSES_) return;
  info->slabs++;
  for (uint32_t i = 0; i < shoal_class_[class_].count; i++)
    count(info, shoal_load64_acquire(&shoal_slab_words_(c, page)[i]), shoal_class_[class_].size);  // [H2]
}

static void count_chunk(const struct shoal_chunk_ *c, struct shoal_heap_info *info) {
  uint64_t together = 0;
  for (uint64_t at = 0, n; at < c->pages; at += n) {
    uint64_t w = shoal_load64_acquire(&c->page[at].owner);  // [H2]
    n = shoal_run_pages_(c, at);
    if (shoal_word_kind_(w) == INSIDE || n == 0) n = 1;
    together = shoal_word_kind_(w) == FREE ? together + n : 0;
    if (together * SHOAL_PAGE_ > info->largest) info->largest = together * SHOAL_PAGE_;
    if (shoal_word_kind_(w) > FREE) count_run(c, at, w, n, info);
  }
  info->size += c->pages * SHOAL_PAGE_;
}

int shoal_heap_info(struct shoal_heap *heap, struct shoal_heap_info *out) {
  struct shoal_heap_info info = {.size = 0};
  int rc = shoal_chunks_look_(heap);
  if (rc) return rc;
  info.chunks = shoal_chunks_(heap);
  shoal_private_acquire_(&heap->lock);
  for (uint32_t i = 0; i < info.chunks; i++) count_chunk(&heap->chunk[i], &info);
  shoal_private_release_(&heap->lock);
  for (uint32_t i = 0; i < heap->places; i++)
    info.processes += SHOAL_WHO_ID_(shoal_load64_relaxed(&heap->shm->place[i])) != 0;
  *out = info;
  return 0;
}
