// ipc/queue/ordered_internal.h: cells and places, for ipc/queue/ordered.c, _layout.c and _heap.c. Under the lock.
#pragma once

#include <string.h>

#include "ipc/queue/ordered.h"

SHOAL_BEGIN

#define SHOAL_ORDERED_WAYS_ 8u  // the heap's branches: the keys below a place are a line

SHOAL_INLINE uint32_t shoal_cell_offset_(uint32_t element_size) {
  return element_size <= 40 ? (uint32_t)sizeof(struct shoal_cell_shm) : 64;
}

// Of the chunk that number `i` lies in, which is its place there by then.
SHOAL_INLINE const struct shoal_ordered_chunk_ *shoal_ordered_chunk_of_(const struct shoal_ordered *o, uint32_t *i) {
  if (SHOAL_LIKELY(*i < o->capacity)) return &o->chunk[0];
  uint32_t k = 32 - (uint32_t)__builtin_clz(*i >> o->shift);
  *i -= o->capacity << (k - 1);
  return &o->chunk[k];
}
SHOAL_INLINE struct shoal_cell_shm *shoal_cell_at_(const struct shoal_ordered *o, uint32_t c) {
  const struct shoal_ordered_chunk_ *chunk = shoal_ordered_chunk_of_(o, &c);
  return (struct shoal_cell_shm *)(void *)(chunk->cells + (uint64_t)c * o->stride);
}

SHOAL_INLINE shoal_atomic64 *shoal_until_at_(const struct shoal_ordered *o, uint32_t c) {
  const struct shoal_ordered_chunk_ *chunk = shoal_ordered_chunk_of_(o, &c);
  return chunk->until + c;
}

struct shoal_entry_ {  // of the heap
  uint64_t key, seq;
  uint32_t cell;
};
SHOAL_INLINE struct shoal_entry_ shoal_entry_of_(const struct shoal_ordered *o, uint32_t c) {
  const struct shoal_cell_shm *cell = shoal_cell_at_(o, c);
  return (struct shoal_entry_){shoal_load64_relaxed(&cell->key), shoal_load64_relaxed(&cell->seq), c};
}

// ---- ordered_layout.c: chunks that others have added, up to `chunks`, are known from here on, if they are sound ----
void shoal_ordered_know_(struct shoal_ordered *o, uint32_t chunks);
SHOAL_INLINE void shoal_ordered_look_for_chunks_(struct shoal_ordered *o) {
  uint32_t chunks = shoal_load32_relaxed(&o->shm->chunks);
  if (SHOAL_UNLIKELY(chunks != shoal_load32_relaxed(&o->known)) && o->grow) shoal_ordered_know_(o, chunks);
}

// ---- ordered_heap.c: `n` messages are in the heap, those in front of it included ----
// 0: it is damaged.
int shoal_ordered_heap_insert_(struct shoal_ordered *o, uint32_t n, struct shoal_entry_ e);
int shoal_ordered_heap_remove_(struct shoal_ordered *o, uint32_t n);
int shoal_ordered_heap_remove_last_(struct shoal_ordered *o, uint32_t n);  // of one that evicts
// The cell of the first, of the last; any number, if it is damaged.
uint32_t shoal_ordered_heap_first_(const struct shoal_ordered *o);
uint32_t shoal_ordered_heap_last_(const struct shoal_ordered *o, uint32_t n);  // of one that evicts
// Of a list of cells (number + 1, chained by `next`).
void shoal_ordered_heap_remake_(struct shoal_ordered *o, uint32_t list, uint32_t n);
// The key of an element: as unsigned numbers, in its order.
uint64_t shoal_ordered_heap_key_(uint32_t type, const char *at);

SHOAL_END
