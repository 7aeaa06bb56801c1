// tests/core/heap_fixture.h: the heap of a small segment, and its account.
#pragma once

#include "core/heap_internal.h"
#include "tests/core/support.h"

static const struct shoal_segment_options small = {
    .size = 64 << 10, .size_max = 8 << 20, .participants = 24, .objects = 32};

static inline struct shoal_heap *heap_of(struct shoal_segment *seg) {
  struct shoal_heap *heap = NULL;
  MUST(shoal_heap_open(seg, &heap) == 0);
  return heap;
}
static inline void *alloc(struct shoal_heap *heap, uint64_t size) {
  void *block = NULL;
  MUST(shoal_heap_alloc(heap, size, &block) == 0);
  return block;
}
static inline struct shoal_heap_info info(struct shoal_heap *heap) {
  struct shoal_heap_info i;
  MUST(shoal_heap_info(heap, &i) == 0);
  return i;
}
static inline struct shoal_heap_audit audit(struct shoal_heap *heap) {
  struct shoal_heap_audit a;
  MUST(shoal_heap_audit(heap, &a) == 0);
  MUST(!a.damaged);
  return a;
}
// Nothing is held: after a reap all pages are free, and there is nobody's left.
static inline void assert_empty(struct shoal_heap *heap) {
  MUST(shoal_heap_reap(heap) >= 0);
  struct shoal_heap_audit a = audit(heap);
  assert_int_equal(a.dead_runs + a.dead_blocks, 0);
  assert_int_equal(a.blocks, 0);
  assert_int_equal(a.held, 0);
  assert_int_equal(a.free_pages, a.pages);
}
static inline void done(struct shoal_segment *seg, struct shoal_heap *heap) {
  assert_empty(heap);
  assert_ok(shoal_heap_close(heap));
  assert_ok(shoal_segment_close(seg));
}

// Every page of the segment's heap, in blocks of one size; how many there were.
static inline unsigned fill(struct shoal_heap *heap, uint64_t size, void **blocks, unsigned most) {
  unsigned n = 0;
  int rc = 0;
  while (n < most && (rc = shoal_heap_alloc(heap, size, &blocks[n])) == 0) memset(blocks[n++], 1, size ? 1 : 0);
  MUST(rc == -ENOSPC);
  return n;
}
