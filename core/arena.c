#include "core/arena.h"

#include <jemalloc/jemalloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/error.h"
#include "core/robust.h"

#define EXTENTS_MAX 65536u  // each at least 2 MiB, but for the first

struct extent_ {  // as jemalloc has it; the heap's block around it
  char *at;
  uint64_t length;
  void *block;
  uint64_t held;  // bytes of the block
};
struct shoal_arena {
  extent_hooks_t hooks;  // first: what jemalloc hands to its hooks
  struct shoal_heap *heap;
  unsigned index;
  uint32_t epoch;  // of its process
  int flags;
  pthread_mutex_t lock;  // of what follows
  uint32_t count;
  uint64_t held;
  struct extent_ *extents;  // not by malloc: the hooks run inside of it
};

static struct shoal_arena *arena_of(extent_hooks_t *hooks) { return SHOAL_EMBEDS(hooks, struct shoal_arena, hooks); }

// ---- hooks ----

// Whether some of it is in an extent already: the heap's words were scribbled over, and jemalloc would not survive to
// have it twice.
static int overlaps(const struct shoal_arena *a, const char *at, uint64_t length) {
  uint32_t i = 0;
  while (i < a->count && (a->extents[i].at + a->extents[i].length <= at || at + length <= a->extents[i].at)) i++;
  return i < a->count;
}
static void *extent_take(struct shoal_arena *a, size_t size, size_t align) {
  void *block = NULL;
  uint64_t more = align > SHOAL_HEAP_ALIGNMENT ? align - SHOAL_HEAP_ALIGNMENT : 0;
  if (a->count == EXTENTS_MAX || size > UINT64_MAX - more ||
      shoal_heap_alloc_aligned(a->heap, size + more, SHOAL_HEAP_ALIGNMENT, &block))
    return NULL;
  char *at = (char *)(((uintptr_t)block + align - 1) & ~(uintptr_t)(align - 1));
  if (overlaps(a, at, size)) return NULL;
  struct extent_ taken = {at, size, block, shoal_heap_usable(a->heap, block)};
  a->extents[a->count++] = taken;
  a->held += taken.held;
  return at;
}
static void *hook_alloc(extent_hooks_t *hooks, void *wanted, size_t size, size_t align, bool *zero, bool *commit,
                        unsigned index) {
  struct shoal_arena *a = arena_of(hooks);
  (void)index;
  if (wanted || a->epoch != shoal_epoch()) return NULL;
  pthread_mutex_lock(&a->lock);
  void *at = extent_take(a, size, align);
  pthread_mutex_unlock(&a->lock);
  if (at && *zero) memset(at, 0, size);
  *commit = true;
  return at;
}

static uint32_t extent_with(const struct shoal_arena *a, const void *at) {
  uint32_t i = 0;
  while (i < a->count && (uint64_t)((const char *)at - a->extents[i].at) >= a->extents[i].length) i++;
  return i;
}
static void extent_give(struct shoal_arena *a, uint32_t i) {
  a->held -= a->extents[i].held;
  (void)shoal_heap_free(a->heap, a->extents[i].block);
  a->extents[i] = a->extents[--a->count];
}
// True: jemalloc keeps it, as what is only a part of a block.
static bool hook_dalloc(extent_hooks_t *hooks, void *at, size_t size, bool committed, unsigned index) {
  struct shoal_arena *a = arena_of(hooks);
  (void)committed, (void)index;
  if (a->epoch != shoal_epoch()) return true;
  pthread_mutex_lock(&a->lock);
  uint32_t i = extent_with(a, at);
  bool kept = i == a->count || a->extents[i].at != at || a->extents[i].length != size;
  if (!kept) extent_give(a, i);
  pthread_mutex_unlock(&a->lock);
  return kept;
}

static bool hook_split(extent_hooks_t *hooks, void *at, size_t size, size_t a, size_t b, bool committed,
                       unsigned index) {
  (void)hooks, (void)at, (void)size, (void)a, (void)b, (void)committed, (void)index;
  return false;
}
// Neighbours of one block only: what goes back goes as it came.
static bool hook_merge(extent_hooks_t *hooks, void *at, size_t size, void *other, size_t other_size, bool committed,
                       unsigned index) {
  struct shoal_arena *a = arena_of(hooks);
  (void)size, (void)other_size, (void)committed, (void)index;
  if (a->epoch != shoal_epoch()) return true;  // a child of fork: a thread that it has not may have the lock
  pthread_mutex_lock(&a->lock);
  bool apart = extent_with(a, at) != extent_with(a, other);
  pthread_mutex_unlock(&a->lock);
  return apart;
}

// ---- the arena ----

static int is_mine(const struct shoal_arena *a) {
  return a->epoch == shoal_epoch() ? 0 : shoal_fail_(-EPERM, "an arena is of the process that made it");
}

static void end(struct shoal_arena *a) {
  while (a->count) extent_give(a, a->count - 1);
  munmap(a->extents, EXTENTS_MAX * sizeof *a->extents);
  pthread_mutex_destroy(&a->lock);
  free(a);
}

// Of jemalloc since 5.3, which its header does not show. By "arenas.create" what it knows of an arena would be in the
// first of its extents: pointers that it follows, also to the hooks, where others may write; and which a child of fork
// would initialise anew.
struct config {
  extent_hooks_t *hooks;
  bool knows_by_hooks;
};
static int jemalloc_arena(struct shoal_arena *a) {
  struct config config = {&a->hooks, false};
  size_t size = sizeof a->index;
  int rc = mallctl("experimental.arenas_create_ext", &a->index, &size, &config, sizeof config);
  if (rc == EAGAIN || rc == ENOMEM) return shoal_fail_(-ENOMEM, "private memory of jemalloc's");
  if (rc) return shoal_fail_(-ENOSYS, "jemalloc: experimental.arenas_create_ext: %s", strerror(rc));
  a->flags = MALLOCX_ARENA(a->index) | MALLOCX_TCACHE_NONE;
  return 0;
}

int shoal_arena_create(struct shoal_heap *heap, struct shoal_arena **out) {
  struct shoal_arena *a = calloc(1, sizeof *a);
  if (!a) return shoal_fail_(-ENOMEM, "private memory");
  a->hooks = (extent_hooks_t){.alloc = hook_alloc, .dalloc = hook_dalloc, .split = hook_split, .merge = hook_merge};
  a->heap = heap;
  a->epoch = shoal_self_()->epoch;  // of a child of fork, too, that has done nothing here yet
  pthread_mutex_init(&a->lock, NULL);
  a->extents = mmap(NULL, EXTENTS_MAX * sizeof *a->extents, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (a->extents == MAP_FAILED) {
    free(a);
    return shoal_fail_(-ENOMEM, "private memory");
  }
  int rc = jemalloc_arena(a);
  if (rc) end(a);
  else *out = a;
  return rc;
}

int shoal_arena_destroy(struct shoal_arena *a) {
  char name[32];
  int rc = is_mine(a);
  if (rc) return rc;
  snprintf(name, sizeof name, "arena.%u.destroy", a->index);
  rc = mallctl(name, NULL, NULL, NULL, 0);
  if (rc) return shoal_fail_(-EBUSY, "jemalloc: %s: %s", name, strerror(rc));
  end(a);
  return 0;
}

// ---- blocks ----

static int has(struct shoal_arena *a, const void *block) {
  pthread_mutex_lock(&a->lock);
  int there = extent_with(a, block) < a->count;
  pthread_mutex_unlock(&a->lock);
  return there;
}
static int no_block(void) { return shoal_fail_(-EINVAL, "no block of this arena"); }

static int allocate(struct shoal_arena *a, uint64_t size, int flags, void **out) {
  int rc = is_mine(a);
  if (rc) return rc;
  void *block = size <= PTRDIFF_MAX ? mallocx(size ? size : 1, a->flags | flags) : NULL;
  if (!block) return shoal_fail_(-ENOSPC, "no %lu bytes in a row", (unsigned long)size);
  *out = block;
  return 0;
}

int shoal_arena_alloc(struct shoal_arena *a, uint64_t size, void **out) { return allocate(a, size, 0, out); }

int shoal_arena_calloc(struct shoal_arena *a, uint64_t n, uint64_t size, void **out) {
  uint64_t bytes;
  if (__builtin_mul_overflow(n, size, &bytes)) return shoal_fail_(-EOVERFLOW, "n * size");
  return allocate(a, bytes, MALLOCX_ZERO, out);
}

int shoal_arena_aligned(struct shoal_arena *a, uint64_t size, uint64_t align, void **out) {
  if (!align || (align & (align - 1)) || align > SHOAL_HEAP_ALIGNMENT)
    return shoal_fail_(-EINVAL, "alignment %lu", (unsigned long)align);
  return allocate(a, size, MALLOCX_ALIGN(align), out);
}

int shoal_arena_realloc(struct shoal_arena *a, void **block, uint64_t size) {
  int rc = is_mine(a);
  if (rc) return rc;
  if (!*block) return shoal_arena_alloc(a, size, block);
  if (!has(a, *block)) return no_block();
  void *moved = size <= PTRDIFF_MAX ? rallocx(*block, size ? size : 1, a->flags) : NULL;
  if (!moved) return shoal_fail_(-ENOSPC, "no %lu bytes in a row", (unsigned long)size);
  *block = moved;
  return 0;
}

int shoal_arena_free(struct shoal_arena *a, void *block) {
  int rc = is_mine(a);
  if (rc || !block) return rc;
  if (!has(a, block)) return no_block();
  dallocx(block, a->flags);
  return 0;
}

uint64_t shoal_arena_usable(struct shoal_arena *a, const void *block) {
  return block && a->epoch == shoal_epoch() && has(a, block) ? sallocx(block, a->flags) : 0;
}

int shoal_arena_info(struct shoal_arena *a, struct shoal_arena_info *out) {
  int rc = is_mine(a);
  if (rc) return rc;
  pthread_mutex_lock(&a->lock);
  *out = (struct shoal_arena_info){a->held, a->count};
  pthread_mutex_unlock(&a->lock);
  return 0;
}
