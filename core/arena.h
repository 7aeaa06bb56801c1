// core/arena.h: jemalloc in a segment: the whole malloc interface, for one process, on memory that all can read.
//
// USE
//   struct shoal_arena *arena;
//   rc = shoal_arena_create(heap, &arena);
//   rc = shoal_arena_alloc(arena, 100, &p);                         // _calloc, _aligned, _realloc, _free, _usable
//   shoal_off off = shoal_segment_off(seg, p);                      // what another process can make an address of
//   rc = shoal_arena_destroy(arena);                                // all at once
//
// A jemalloc arena whose extents are blocks of the segment's heap (core/heap.h), carved by its extent hooks. What it
// knows of them is in this process's memory; in the segment are the bytes alone. So it is this process's, and others
// read. A target of its own, //core:arena: it needs jemalloc, 5.3 or later, as the process's heap.
//
// SAFETY   alloc, calloc, aligned, realloc, free, usable, info: any thread of the process that made it, together. A
//          child of fork has no arena (-EPERM). Freed twice, or by an address inside a block: undefined, as of malloc.
//          create, destroy: alone. Not in a signal handler.
// ORDERING none beyond that of whatever hands an offset to another process.
// CRASH    the process ends, at any instruction: its extents are heap blocks of a process that is gone, and given back
//          by the next sweep (shoal_heap_reap), whole. Who reads them then reads what another has by now: whether the
//          owner lives is for the reader to know. Where the heap makes a chunk it waits, without a deadline, for who
//          makes an object just then.
// HOSTILE  a peer that may write can change the bytes, and have allocations fail; what jemalloc believes it cannot
//          reach. Pages that the heap gives although they are the arena's already are not taken; those of another arena
//          of the process are, and jemalloc may end it then.
// COST     as jemalloc without a cache of the thread's own. Memory: of the segment nothing to begin with, then extents
//          of 2 MiB and up, each kept until destroy unless it is free as a whole.
#pragma once

#include "core/heap.h"

SHOAL_BEGIN

struct shoal_arena;  // private memory of its process

// The heap stays open as long as the arena. -ENOMEM private memory; -ENOSYS: jemalloc is not this process's heap, or
// older.
int shoal_arena_create(struct shoal_heap *heap, struct shoal_arena **out) SHOAL_MUST_CHECK;
// With all that is in it. -EPERM; -EBUSY jemalloc refuses, and the arena is as it was.
int shoal_arena_destroy(struct shoal_arena *arena);

// Each: -ENOSPC; -EPERM not the process that made it; and *out, *block as they were. `size`: bytes; 0: a block all the
// same. Aligned as malloc's.
int shoal_arena_alloc(struct shoal_arena *arena, uint64_t size, void **out) SHOAL_MUST_CHECK;
// Zeroed. -EOVERFLOW: n * size.
int shoal_arena_calloc(struct shoal_arena *arena, uint64_t n, uint64_t size, void **out) SHOAL_MUST_CHECK;
// `align`: a power of two up to SHOAL_HEAP_ALIGNMENT, else -EINVAL; more means nothing in other processes.
int shoal_arena_aligned(struct shoal_arena *arena, uint64_t size, uint64_t align, void **out) SHOAL_MUST_CHECK;
// *block NULL: allocates. -EINVAL: not of this arena.
int shoal_arena_realloc(struct shoal_arena *arena, void **block, uint64_t size) SHOAL_MUST_CHECK;
int shoal_arena_free(struct shoal_arena *arena, void *block);  // -EINVAL: not of this arena; NULL: 0
// How many bytes the block really has; 0: it is none of this arena's.
uint64_t shoal_arena_usable(struct shoal_arena *arena, const void *block);

struct shoal_arena_info {
  uint64_t held;     // bytes of the heap that it has
  uint32_t extents;  // blocks of the heap
};
int shoal_arena_info(struct shoal_arena *arena, struct shoal_arena_info *out);  // -EPERM

SHOAL_END
