// Runs of pages: found, split, joined. What order makes them safe: core/heap_internal.h, which explains [H1], [H2] as
// well.
#include "core/error.h"
#include "core/heap_internal.h"

static void set_pages(struct shoal_chunk_ *c, uint64_t page, uint64_t n) {
  shoal_store32_release(&c->page[page].pages, (uint32_t)n);  // [H1]
}
static uint64_t word_at(const struct shoal_chunk_ *c, uint64_t page) {
  return shoal_load64_acquire(&c->page[page].owner);  // [H2]
}
static void change(struct shoal_chunk_ *c, uint64_t page, unsigned kind) {
  uint64_t w = shoal_load64_relaxed(&c->page[page].owner);
  shoal_store64_release(&c->page[page].owner, shoal_word_next_(w, kind, 0));  // [H1]
}

void shoal_run_free_(struct shoal_chunk_ *c, uint64_t page) { change(c, page, FREE); }

static void split(struct shoal_chunk_ *c, uint64_t page, uint64_t have, uint64_t n) {
  set_pages(c, page + n, have - n);
  set_pages(c, page, n);
  change(c, page + n, FREE);
}

static void join(struct shoal_chunk_ *c, uint64_t page, uint64_t have, uint64_t more) {
  change(c, page + have, INSIDE);
  set_pages(c, page, have + more);
}

void shoal_run_mend_(struct shoal_chunk_ *c, uint64_t page) {
  uint64_t n = shoal_run_pages_(c, page), more;
  if (n == 0) return;
  while (page + n < c->pages && shoal_word_kind_(word_at(c, page + n)) == INSIDE) {
    more = shoal_run_pages_(c, page + n);
    if (more == 0) return;
    n += more;
    set_pages(c, page, n);
  }
}

static int claim(struct shoal_chunk_ *c, uint64_t page, uint64_t w, uint32_t owner) {
  return shoal_word_kind_(w) == FREE &&
         shoal_cas64_acq_rel(&c->page[page].owner, &w, shoal_word_next_(w, PROCESS, owner));  // [H1], [H2]
}

// A claimed run, `have` pages long, becomes n pages long, or is free again. 1: it is large enough.
static int trim(struct shoal_chunk_ *c, uint64_t page, uint64_t have, uint64_t n) {
  if (have > n) split(c, page, have, n);
  if (have >= n) return 1;
  shoal_run_free_(c, page);
  return 0;
}

static int claim_whole(struct shoal_chunk_ *c, uint64_t page, uint64_t w, uint32_t owner, uint64_t n) {
  return claim(c, page, w, owner) && trim(c, page, shoal_run_pages_(c, page), n);
}

// Claims a run and the free ones behind it, until they are n pages.
static int claim_joined(struct shoal_chunk_ *c, uint64_t page, uint64_t w, uint32_t owner, uint64_t n) {
  if (!claim(c, page, w, owner)) return 0;
  uint64_t have = shoal_run_pages_(c, page), more, end;
  while (have && have < n && (end = page + have) < c->pages && claim(c, end, word_at(c, end), owner)) {
    more = shoal_run_pages_(c, end);
    if (more == 0) {
      shoal_run_free_(c, end);
      break;
    }
    join(c, page, have, more);
    have += more;
  }
  return trim(c, page, have, n);
}

// The first run of n pages that begins in from..to, or -1.
static int64_t walk(struct shoal_chunk_ *c, uint64_t from, uint64_t to, uint64_t n, uint32_t owner, int joining) {
  for (uint64_t at = from; at < to;) {
    uint64_t w = word_at(c, at), have = shoal_run_pages_(c, at);
    unsigned kind = shoal_word_kind_(w);
    if (kind == FREE && have >= n && claim_whole(c, at, w, owner, n)) return (int64_t)at;
    if (kind == FREE && joining && have < n && have && claim_joined(c, at, w, owner, n)) return (int64_t)at;
    if (kind == FREE && joining) have = shoal_run_pages_(c, at);
    at += kind == INSIDE || have == 0 ? 1 : have;
  }
  return -1;
}

#define HINT_BITS 40

static int find(struct shoal_heap *heap, uint32_t owner, uint64_t n, int joining, struct shoal_chunk_ **chunk,
                uint64_t *page) {
  uint32_t chunks = shoal_chunks_(heap);
  uint64_t hint = shoal_load64_relaxed(&heap->hint), from = hint & ((UINT64_C(1) << HINT_BITS) - 1);
  uint32_t first = (uint32_t)(hint >> HINT_BITS);
  if (first >= chunks || from >= heap->chunk[first].pages ||
      shoal_word_kind_(word_at(&heap->chunk[first], from)) == INSIDE)
    from = 0;
  for (uint32_t i = 0; i <= chunks && chunks; i++) {  // the first chunk twice: from the hint on, and up to it
    uint32_t k = (first + i) % chunks;
    struct shoal_chunk_ *c = &heap->chunk[k];
    int64_t at = walk(c, i == 0 ? from : 0, i == chunks ? from : c->pages, n, owner, joining);
    if (at < 0) continue;
    shoal_store64_relaxed(&heap->hint, k * (UINT64_C(1) << HINT_BITS) + (uint64_t)at + n);
    *chunk = c;
    *page = (uint64_t)at;
    return 1;
  }
  return 0;
}

int shoal_run_find_(struct shoal_heap *heap, uint32_t owner, uint64_t n, struct shoal_chunk_ **chunk, uint64_t *page) {
  return find(heap, owner, n, 0, chunk, page) || find(heap, owner, n, 1, chunk, page);
}

static int full(uint64_t n) { return shoal_fail_(-ENOSPC, "no %llu pages in a row", (unsigned long long)n); }

// Of what the dead have left, and of this process's own memory that waits for small blocks. 1: claimed.
static int find_swept(struct shoal_heap *heap, struct shoal_cache_ *cache, uint64_t n, struct shoal_chunk_ **chunk,
                      uint64_t *page) {
  int freed = shoal_heap_sweep_(heap, cache->owner);
  freed += shoal_slab_dissolve_(heap, cache);
  return freed > 0 && shoal_run_find_(heap, cache->owner, n, chunk, page);
}

int shoal_run_claim_(struct shoal_heap *heap, struct shoal_cache_ *cache, uint64_t n, struct shoal_chunk_ **chunk,
                     uint64_t *page) {
  int rc = 0;
  while (rc == 0) {
    uint32_t seen = shoal_chunks_(heap);
    if (shoal_run_find_(heap, cache->owner, n, chunk, page) || find_swept(heap, cache, n, chunk, page)) return 0;
    if (n > heap->seg->g.size_max / SHOAL_PAGE_) return full(n);
    rc = shoal_chunks_grow_(heap, seen, n);
  }
  if (rc != -ENOSPC) return rc;
  shoal_proc_reap_(heap->seg, 1);  // objects of the dead are no more: their blocks can be swept
  return find_swept(heap, cache, n, chunk, page) ? 0 : rc;
}
