// core/heap.h: blocks of memory of any size, in a segment, that any process frees.
//
// USE
//   struct shoal_heap *heap;
//   rc = shoal_heap_open(seg, &heap);                        // a segment has one; made by the first to open it
//   rc = shoal_heap_alloc(heap, 100, &block);                // this process's
//   shoal_off off = shoal_segment_off(seg, block);           // what another process can make an address of
//   ...there... rc = shoal_heap_free(heap, shoal_segment_at(seg, off, 100));
//   rc = shoal_heap_close(heap);
//
// A block belongs to the process that allocated it, and goes with it; or to an object of the segment
// (shoal_block_give_), and goes with that. Which of the two is one word, changed by one compare-and-set, so at every
// instant it has one owner. The heap takes memory of the segment in chunks ("shoal.heap.0" and so on in the directory),
// each as large as all before it, and keeps them.
//
// SAFETY   every call but close: any thread of any process, together. Not in a signal handler. A block handed to
//          another process by its offset stays the allocator's: who may still use it when that process dies is for the
//          caller to say. A child of fork has its own blocks, and may free its parent's; the parent's stay the
//          parent's. close: one thread, when no other of its process uses this heap. A block freed twice is refused,
//          unless it was allocated again between the two, or two threads free it at the same moment.
// ORDERING what was written to a block before it was freed, given or ended is seen by whoever has it next: [H1], [H2]
//          of core/heap_internal.h.
// CRASH    at any instruction a block is free, or somebody's. What a dead process had is given back by the next sweep
//          (shoal_heap_reap, or an allocation that finds nothing else), which anybody does; two at once do it once.
//          Nobody waits for another process but for one that creates a chunk, while it lives.
//          A process that is stopped is in nobody's way.
// HOSTILE  contents: lengths and positions are checked against this process's own copy of where the chunks are. A peer
//          that may write can make calls fail, memory leak, or two blocks overlap; never an access outside the segment.
// COST     up to 4096 bytes: a list of the thread's own and one store, 8 bytes of overhead a block, 64 KiB a class and
//          process. Larger: whole pages, 32 bytes each of overhead; one compare-and-set if something of that size was
//          freed lately, whatever the size; else a walk over runs of pages. A freed small block's memory is for blocks
//          of its class and process until that runs out of memory, reaps, closes or ends.
#pragma once

#include "core/directory.h"
#include "core/segment.h"

SHOAL_BEGIN

#define SHOAL_HEAP_SMALL 4096u      // bytes: up to here a block shares its pages with others
#define SHOAL_HEAP_ALIGNMENT 4096u  // bytes, at most: a segment's addresses have no more in common in all processes
#define SHOAL_HEAP_CHUNKS 64u       // at most

struct shoal_heap;  // this process's view

// The heap of this segment, made if there is none. Opened n times it is closed n times. -ENOSPC; -EUSERS: more
// processes than the segment has participants; -EBADMSG, -EPROTO: "shoal.heap" is something else; -ENOMEM; -EINVAL: no
// segment. Waits, without a deadline, for who makes it just then, while that one lives.
int shoal_heap_open(struct shoal_segment *seg, struct shoal_heap **out) SHOAL_MUST_CHECK;
// The last close forgets the view. Blocks of this process stay until it ends, or somebody frees them. -EINVAL: it is
// not open.
int shoal_heap_close(struct shoal_heap *heap);

// A block of at least `size` bytes (0: a block all the same), not zeroed; at 16 bytes, from 4096 bytes on at a page.
// -ENOSPC: neither the heap nor the segment has so many in a row; -EUSERS, -ENOMEM.
SHOAL_INLINE int shoal_heap_alloc(struct shoal_heap *heap, uint64_t size, void **out) SHOAL_MUST_CHECK;
// `align`: a power of two up to SHOAL_HEAP_ALIGNMENT, else -EINVAL.
int shoal_heap_alloc_aligned(struct shoal_heap *heap, uint64_t size, uint64_t align, void **out) SHOAL_MUST_CHECK;
// Makes *block hold `size` bytes. It stays where it is, and whose it is, if it has so many and not twice as many, or if
// it has so many and no other can be had; else it moves, and is this process's from here on. *block NULL: allocates.
// The codes of alloc; -EINVAL: no block, or, if it would move, an object's. On failure *block is as it was.
int shoal_heap_realloc(struct shoal_heap *heap, void **block, uint64_t size) SHOAL_MUST_CHECK;
// Any process. -EINVAL, and nothing changed: not a block, freed already, or an object's.
int shoal_heap_free(struct shoal_heap *heap, void *block);
// How many bytes the block really has; 0: it is none.
uint64_t shoal_heap_usable(struct shoal_heap *heap, const void *block);

// Gives back what processes had that are gone, and objects that are no more; and this process's own memory that waits
// for small blocks and holds none. How many blocks and runs were given back; or -EUSERS, -ENOMEM, or the codes of
// shoal_object_open: a chunk is damaged. Waits as alloc does.
int shoal_heap_reap(struct shoal_heap *heap);

struct shoal_heap_info {
  uint64_t size;     // bytes of pages that the heap has
  uint64_t used;     // of those, bytes of pages in use, for small blocks too
  uint64_t largest;  // bytes of the largest run of free pages, neighbours together
  uint64_t blocks;   // somebody's
  uint64_t held;     // bytes of them
  uint32_t objects;  // of the blocks, how many belong to objects
  uint32_t slabs;    // runs of 64 KiB for small blocks
  uint32_t chunks;
  uint32_t processes;  // that have a place in it, dead ones not reaped included
};
// Exact when nobody else is at work. The codes of shoal_object_open: a chunk is damaged.
int shoal_heap_info(struct shoal_heap *heap, struct shoal_heap_info *out);

struct shoal_heap_audit {
  uint64_t pages, free_pages;  // that the heap has
  uint64_t held;               // pages that are somebody's, in runs that are one block
  uint64_t blocks;             // small ones that are somebody's
  uint32_t slabs;
  uint32_t unused_;
  // Runs, slabs among them, and small blocks of processes that are gone and of objects that are no more:
  // shoal_heap_reap gives them back. A damaged slab is not among them.
  uint64_t dead_runs, dead_blocks;
  uint64_t damaged;      // pages and blocks of which the heap's words make no sense: nobody gets them
  shoal_off damaged_at;  // the first one, or its word
  // Blocks of objects that are there, to which no word of the segment leads; bytes of them. What holds such a block may
  // be in private memory (a loan). A word that only looks like a reference counts as one: there may be more.
  uint64_t unreferenced, unreferenced_bytes;
};
// Reads all of the segment that is in use, and changes nothing of the heap; a chunk that this process has not used yet
// is opened, as by shoal_object_open, with its codes and its wait. It has no deadline: waits, too, for a thread of this
// process that makes a chunk or reaps. Exact when nobody else is at work: what changes meanwhile may look damaged, or
// unreferenced. Killed at any instruction, what it had opened is given back with its process. -ENOMEM; -EPROTO: a chunk
// is none.
int shoal_heap_audit(struct shoal_heap *heap, struct shoal_heap_audit *out);
// The same of the heap's own words alone, in a fraction of the time; `unreferenced` and its bytes stay 0.
int shoal_heap_audit_words(struct shoal_heap *heap, struct shoal_heap_audit *out);

// ---- for what carries blocks: which block, in which of its lives ----
struct shoal_block_ref {
  shoal_off off;
  uint32_t seq;
  uint32_t reserved_;  // 0
};
SHOAL_STATIC_ASSERT(sizeof(struct shoal_block_ref) == 16, "layout");

// The block, this process's, is the object's from here on (its entry and generation in the directory). *ref, which may
// lie in the segment, is written before: killed after the change, the object has a block that *ref leads to. -EINVAL.
int shoal_block_give_(struct shoal_heap *heap, void *block, uint32_t entry, uint32_t generation,
                      struct shoal_block_ref *ref) SHOAL_MUST_CHECK;
// The same, and as long as it is the holder's, `held` is there, too: the codes of shoal_object_tie_. Only the two's
// entries and generations are looked at.
int shoal_block_give_tied_(struct shoal_heap *heap, void *block, const struct shoal_object *holder,
                           const struct shoal_object *held, struct shoal_block_ref *ref) SHOAL_MUST_CHECK;
// Where it is, if it is the object's, still. -ENOENT: not any more. It stays readable while it is the object's.
int shoal_block_at_(struct shoal_heap *heap, const struct shoal_block_ref *ref, uint32_t entry, uint32_t generation,
                    void **data, uint64_t *usable) SHOAL_MUST_CHECK;
// It is this process's from here on, to be freed as any. -ENOENT: it is not the object's, or somebody was faster.
int shoal_block_take_(struct shoal_heap *heap, const struct shoal_block_ref *ref, uint32_t entry,
                      uint32_t generation) SHOAL_MUST_CHECK;
// Has what shoal_block_end_ of that block will read brought here meanwhile. A hint; any address.
void shoal_block_prefetch_(struct shoal_heap *heap, const void *block);
// It is free from here on. -ENOENT.
int shoal_block_end_(struct shoal_heap *heap, const struct shoal_block_ref *ref, uint32_t entry, uint32_t generation);
// The same, by who excludes all others that could end or take it.
int shoal_block_end_alone_(struct shoal_heap *heap, const struct shoal_block_ref *ref, uint32_t entry,
                           uint32_t generation);

// ---- internals ----
// Bytes that no block can ever have more of, where this object stays.
uint64_t shoal_heap_most_(const struct shoal_heap *heap, const struct shoal_object *beside);
void *shoal_heap_take_(struct shoal_heap *heap, uint64_t size);  // NULL: not from this thread's list
int shoal_heap_alloc_(struct shoal_heap *heap, uint64_t size, void **out);
// The block comes back in a register: what is passed by its address goes through memory.
SHOAL_INLINE int shoal_heap_alloc(struct shoal_heap *heap, uint64_t size, void **out) {
  void *block = shoal_heap_take_(heap, size);
  if (SHOAL_UNLIKELY(!block)) return shoal_heap_alloc_(heap, size, out);
  *out = block;
  return 0;
}

SHOAL_END
