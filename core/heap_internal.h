// core/heap_internal.h: what a heap holds in its segment, and what a process knows of it.
//
//   "shoal.heap"      where the chunks are; the places of processes
//   "shoal.heap.K"    a chunk:  | 32 bytes for each page | pages of 4 KiB |
//   run               pages in a row. Its first page's entry has its length and its owner; the others' are INSIDE.
//   slab              a run of 16 pages:  | a word for each block | blocks of one size |
//
// A WORD says whose a run is, or a block of a slab:  sequence:32 | kind:4 | owner:28. Every change raises the sequence,
// so a word that was seen once is never met again in another life.
//
//   INSIDE    not the first page of its run                       FREE      anybody's: one compare-and-set claims it
//   PROCESS   of the process with that place, and its generation  OBJECT    of that directory entry, and its generation
//   SLAB      a run for small blocks, which that process alone allocates; place 0: nobody does
//   CACHED    (a block) free, and in a list of the process whose slab it is
//
// INVARIANT  a page is INSIDE unless a run begins there. If the page behind the end of a run is INSIDE, it and what it
//            says of its length are that run's: who splits or joins may be killed there, and who claims the run after
//            him takes it in.
//   split  the rest's length; my length [commit]; the rest becomes FREE
//   join   (both claimed) the second becomes INSIDE; my length [commit]
// So a look at every page finds each run once, and a walk from run to run may at most miss what changes under it.
//
// SLABS  Of its slab's blocks a process makes FREE ones CACHED, then PROCESS, by stores, and PROCESS ones OBJECT; who
//        ends a block that only it may end (the object's lock) makes that CACHED, too: nobody else may. All else is
//        compare-and-set. Whoever frees a block of another's slab makes it FREE, then marks the slab as `returned`,
//        beside the pages: the slab may be another run by then. A mark that was not made because its maker died is no
//        loss of memory: when a process finds nothing else, it looks at all words.
// What is in a thread's list is CACHED; when its process is dead, CACHED means FREE.
//
// ORDERING
//   [H1] pairs with [H2]: what was done to a block or run before its word changed is seen by who then has it.
//   [H3] pairs with [H4]: word := FREE, then returned? against returned := 0, then the words: one sees the other.
//   [H5] pairs with [H6]: what a chunk, or a list of this process, holds is seen by who finds it.
#pragma once

#include "core/heap.h"
#include "core/segment_internal.h"

SHOAL_BEGIN

enum shoal_block_kind_ { INSIDE, FREE, PROCESS, OBJECT, SLAB, CACHED };

#define SHOAL_WORD_(seq, kind, owner) ((uint64_t)(uint32_t)(seq) << 32 | (uint64_t)(kind) << 28 | (uint64_t)(owner))
SHOAL_INLINE uint32_t shoal_word_seq_(uint64_t w) { return (uint32_t)(w >> 32); }
SHOAL_INLINE unsigned shoal_word_kind_(uint64_t w) { return (unsigned)(w >> 28) & 15u; }
SHOAL_INLINE uint32_t shoal_word_owner_(uint64_t w) { return (uint32_t)w & 0xfffffffu; }
SHOAL_INLINE uint64_t shoal_word_next_(uint64_t w, unsigned kind, uint32_t owner) {
  return SHOAL_WORD_(shoal_word_seq_(w) + 1, kind, owner);
}

#define SHOAL_PLACES_MAX_ 65535u                            // 16 bits of an owner, 0 is nobody
#define SHOAL_PLACE_OF_(owner) ((uint32_t)(owner)&0xffffu)  // place + 1; above it 12 bits of its generation
#define SHOAL_OWNER_(place, who) (((uint32_t)((who) >> 45) & 0xfffu) << 16 | ((place) + 1))
#define SHOAL_IDLE_ (UINT64_C(1) << SHOAL_PROCESS_BITS_)  // a place whose process has closed its view
#define SHOAL_WHO_ID_(who) ((who) & (SHOAL_IDLE_ - 1))
#define SHOAL_OBJECT_OWNER_(entry, generation) (((uint32_t)(generation)&0xffu) << 20 | (entry))

#define SHOAL_SLAB_PAGES_ 16u
#define SHOAL_SLAB_BYTES_ 65536u
#define SHOAL_CLASSES_ 28u

// One page. Who owns the run that it is in writes it, but for `returned`: anybody.
struct shoal_page_shm {
  shoal_atomic64 owner;     // a word
  shoal_atomic32 pages;     // of the run that begins here
  shoal_atomic32 tag;       // in a slab: (class + 1) << 8 | how many pages before it the slab begins
  shoal_atomic32 returned;  // of a slab that begins here: somebody has freed a block of it
  uint32_t unused_[3];
};
SHOAL_STATIC_ASSERT(sizeof(struct shoal_page_shm) == 32, "layout");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_page_shm, returned) == 16, "layout");

struct shoal_heap_shm {
  shoal_atomic64 chunk[SHOAL_HEAP_CHUNKS];  // 0, or where "shoal.heap.K" is; who has it open
  shoal_atomic32 abandoned[32];             // by class: at least this many slabs became nobody's since it was 0. A hint
  shoal_atomic64 place[];                   // generation:19 | idle:1 | process:44, or no process: free
};
SHOAL_STATIC_ASSERT(offsetof(struct shoal_heap_shm, abandoned) == 512, "layout");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_heap_shm, place) == 640, "layout");

// ---- private memory ----

struct shoal_class_ {
  uint32_t size, reciprocal;  // reciprocal: 2^32 / size, rounded up
  uint32_t first, count;      // in a slab: where the first block is, and how many there are
  uint32_t room;              // of a thread's list
  uint32_t unused_[3];
};
extern const struct shoal_class_ shoal_class_[SHOAL_CLASSES_];

struct shoal_chunk_ {
  char *data;
  struct shoal_page_shm *page;
  uint64_t pages;
  struct shoal_object object;
};

#define SHOAL_LIST_ROOM_ 64u
struct shoal_listed_ {
  void *block;
  shoal_atomic64 *word;
};
// Blocks that are CACHED: hints, the words decide. Behind the top stands what was there before, each with its own word,
// until a slab ends (shoal_slab_ends_). A power of two in size.
struct shoal_list_ {
  struct shoal_listed_ *top, *bottom, *end;  // the last one; before the first, and behind the end, what is no block
  void *unused_;
};
SHOAL_INLINE uint32_t shoal_listed_n_(const struct shoal_list_ *l) { return (uint32_t)(l->top - l->bottom); }

#define SHOAL_RECENT_ 16u
struct shoal_cache_ {         // a thread's, of one heap
  uint64_t allocated, freed;  // what a word gains by its own process
  struct shoal_list_ *last;   // that the last block came from
  uint32_t process;           // the lower half of a word of this process's
  struct {                    // that its last freed block was of, as long as its run has this word
    char *first;              // block, and so many bytes of blocks
    uint64_t bytes;
    shoal_atomic64 *words, *run;
    uint64_t word;
    struct shoal_list_ *list;
    uint32_t reciprocal;  // its class's
  } slab;
  // Where its last block was.
  char *data;
  uint64_t bytes;
  struct shoal_page_shm *page;
  uint64_t slabs_end;  // of the pages at which a slab may begin
  uint32_t owner;      // of this process's words
  uint64_t serial;     // of its heap, when it last joined
  uint64_t thread;     // 0: it has ended, another may have this
  struct shoal_cache_ *next;
  struct shoal_recent_ {  // runs that it handed out lately, the last one first
    struct shoal_chunk_ *chunk;
    uint64_t page;
  } recent[SHOAL_RECENT_];
  struct shoal_list_ list[SHOAL_CLASSES_];
  struct shoal_listed_ listed[SHOAL_CLASSES_][SHOAL_LIST_ROOM_ + 2];
};

struct shoal_slab_ {
  struct shoal_chunk_ *chunk;
  uint64_t page;
  uint32_t at;  // its words before this one were looked at
};
struct shoal_slabs_ {
  struct shoal_slab_ *slab;
  uint32_t n, room, next;
};

struct shoal_heap {
  struct shoal_segment *seg;
  struct shoal_heap_shm *shm;
  shoal_atomic64 serial;  // tells it from every other view this process ever had, and from itself before a slab ended
  uint64_t segment;       // the serial of its segment
  struct shoal_object object;
  struct shoal_heap *next;
  uint32_t opened, places;
  uint32_t place;
  shoal_atomic32 owner;   // of this process's words; 0: no place yet
  shoal_atomic32 epoch;   // of the process whose place and lists these are
  shoal_atomic32 lock;    // of the lists, the slabs, the chunks; see shoal_private_acquire_
  shoal_atomic32 chunks;  // that are known
  shoal_atomic64 hint;    // where to look first, chunk << 40 | page; any value is correct
  struct shoal_chunk_ chunk[SHOAL_HEAP_CHUNKS];
  struct shoal_slabs_ slabs[SHOAL_CLASSES_];
  struct shoal_cache_ *caches;
};

struct shoal_spot_ {  // a block or a run, found by its address
  struct shoal_chunk_ *chunk;
  uint64_t page;  // the first of its run
  shoal_atomic64 *word;
  uint64_t slab;    // the run's word, if it is a slab
  unsigned class_;  // SHOAL_CLASSES_: whole pages
};

// ---- threads of one process exclude each other; a child of fork is not shut out by one that stayed behind ----
void shoal_private_acquire_(shoal_atomic32 *lock);
void shoal_private_release_(shoal_atomic32 *lock);

// ---- the view (core/heap_view.c) ----
// The calling thread's lists, or NULL, with the reason noted and *rc set.
struct shoal_cache_ *shoal_cache_join_(struct shoal_heap *heap, int *rc);
struct shoal_local_ {
  uint64_t serial;
  struct shoal_cache_ *cache;
  uint32_t epoch;
} SHOAL_ALIGNED(32);  // found without a multiplication
#define SHOAL_LOCALS_ 4u
extern __thread struct shoal_local_ shoal_local_[SHOAL_LOCALS_];
// 1: *out, which are there; 0: the thread has not joined.
SHOAL_INLINE int shoal_cache_known_(const struct shoal_heap *heap, struct shoal_cache_ **out) {
  uint64_t serial = shoal_load64_relaxed(&heap->serial);
  const struct shoal_local_ *l = &shoal_local_[serial % SHOAL_LOCALS_];
  if (SHOAL_UNLIKELY(l->serial != serial || l->epoch != shoal_epoch())) return 0;
  *out = l->cache;
  return 1;
}
SHOAL_INLINE struct shoal_cache_ *shoal_cache_of_(struct shoal_heap *heap, int *rc) {
  struct shoal_cache_ *cache;
  return SHOAL_LIKELY(shoal_cache_known_(heap, &cache)) ? cache : shoal_cache_join_(heap, rc);
}
// Before one of this view's slabs is none any more: its threads join anew, and forget what stands behind the tops of
// their lists. Its pages may be anybody's: what was a block's word there may look like one.
void shoal_slab_ends_(struct shoal_heap *heap);
// Takes notice of chunks that others made. 0, or why one cannot be used.
int shoal_chunks_look_(struct shoal_heap *heap);
// One more chunk, unless there are more than `seen`: of `pages` at least.
int shoal_chunks_grow_(struct shoal_heap *heap, uint32_t seen, uint64_t pages);
SHOAL_INLINE uint32_t shoal_chunks_(struct shoal_heap *heap) {
  return shoal_load32_acquire(&heap->chunks);  // [H6]
}

// ---- runs (core/heap_pages.c) ----
SHOAL_INLINE uint64_t shoal_run_pages_(const struct shoal_chunk_ *c, uint64_t page) {  // 0: not to be believed
  uint64_t n = shoal_load32_relaxed(&c->page[page].pages);
  return n <= c->pages - page ? n : 0;
}
// Claims `n` pages in a row for this process. -ENOSPC.
int shoal_run_claim_(struct shoal_heap *heap, struct shoal_cache_ *cache, uint64_t n, struct shoal_chunk_ **chunk,
                     uint64_t *page);
// The same of what is there, neighbours joined: without a new chunk, and nothing swept. 1: claimed.
int shoal_run_find_(struct shoal_heap *heap, uint32_t owner, uint64_t n, struct shoal_chunk_ **chunk, uint64_t *page);
// The run, which is the caller's (its word is PROCESS), takes in what a dead owner had split off or joined.
void shoal_run_mend_(struct shoal_chunk_ *chunk, uint64_t page);
// The caller's run is FREE.
void shoal_run_free_(struct shoal_chunk_ *chunk, uint64_t page);

// ---- slabs (core/heap_slab.c) ----
SHOAL_INLINE shoal_atomic64 *shoal_slab_words_(const struct shoal_chunk_ *c, uint64_t page) {
  return (shoal_atomic64 *)(void *)(c->data + page * SHOAL_PAGE_);
}
// The class of a slab that begins at this page, as its pages say; SHOAL_CLASSES_: it cannot be one.
unsigned shoal_slab_class_(const struct shoal_chunk_ *c, uint64_t page);
// Puts blocks into the thread's list. -ENOSPC.
int shoal_slab_refill_(struct shoal_heap *heap, struct shoal_cache_ *cache, unsigned class_);
// The list's `n` oldest blocks are FREE again.
void shoal_slab_flush_(struct shoal_heap *heap, struct shoal_list_ *list, uint32_t n);
void shoal_slab_flush_all_(struct shoal_heap *heap, struct shoal_cache_ *cache);
// This process's slabs that hold no block, nor have one in a list, are runs again; the others' words are looked at
// anew.
int shoal_slab_dissolve_(struct shoal_heap *heap, struct shoal_cache_ *cache);
// All slabs of this view are nobody's. The lists are empty.
void shoal_slab_abandon_(struct shoal_heap *heap);
// A slab of nobody, or of a dead process, without a block, is a run again. `seen`: its word; `owner`: the caller. 1: it
// is.
int shoal_slab_reclaim_(struct shoal_chunk_ *chunk, uint64_t page, unsigned class_, uint64_t seen, uint32_t owner);
// It is nobody's from here on. 1: done.
int shoal_slab_disown_(struct shoal_heap *heap, struct shoal_chunk_ *chunk, uint64_t page, unsigned class_,
                       uint64_t seen);
SHOAL_INLINE void shoal_slab_returned_(struct shoal_page_shm *slab) {
  // [H3] pairs with [H4]; the word's compare-and-set came before
  if (!shoal_load32_seq_cst(&slab->returned)) shoal_store32_seq_cst(&slab->returned, 1);  // [H3]
}

// ---- the dead (core/heap_sweep.c) ----
// Gives back what is of processes that are gone, and of objects that are no more. How many blocks and runs.
int shoal_heap_sweep_(struct shoal_heap *heap, uint32_t owner);

SHOAL_END
