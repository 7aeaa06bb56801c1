// What a process and its threads know of a heap: its place in it, its chunks, the threads' lists. A child of fork has
// the chunks, and begins anew with all else. [H5], [H6]: core/heap_internal.h.
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "core/backoff.h"
#include "core/error.h"
#include "core/heap_internal.h"

#define NAME "shoal.heap"
#define TYPE "shoal:heap"
#define CHUNK_TYPE "shoal:heap chunk"
#define CHUNK_MIN (UINT64_C(1) << 20)
#define ENTRIES_A_PAGE (SHOAL_PAGE_ / sizeof(struct shoal_page_shm))

// ---- threads of one process ----
// 0 free, or the epoch of its holder's process << 1, and 1 if somebody may sleep. One that is held in another epoch is
// held by a thread of the parent, that is by nobody.

void shoal_private_acquire_(shoal_atomic32 *lock) {
  uint32_t mine = shoal_self_()->epoch << 1, seen = shoal_load32_relaxed(lock), take = mine;
  for (uint32_t looks = 0;; looks++) {
    if (seen >> 1 != mine >> 1) {
      if (shoal_cas32_acquire(lock, &seen, take)) return;  // [H6] pairs with [H5]
    } else if (looks < SHOAL_SPIN_MAX) {
      shoal_pause();
    } else if (seen == (mine | 1) || shoal_cas32_relaxed(lock, &seen, mine | 1)) {
      shoal_futex_wait(lock, mine | 1, SHOAL_FOREVER);
      take = mine | 1;
    }
    seen = shoal_load32_relaxed(lock);
  }
}

void shoal_private_release_(shoal_atomic32 *lock) {
  if (shoal_exchange32_release(lock, 0) & 1) shoal_futex_wake(lock, 1);  // [H5] pairs with [H6]
}

static struct shoal_heap *heaps;  // of this process
static uint64_t views;            // it ever had
static shoal_atomic64 serials;
static shoal_atomic32 heaps_lock;
static pthread_key_t ends;  // its destructor is called when a thread ends
static int has_ends;
__thread struct shoal_local_ shoal_local_[SHOAL_LOCALS_];

// ---- places ----

static int try_place(struct shoal_heap *heap, uint32_t i, uint64_t who, uint64_t to) {
  if (!shoal_cas64_relaxed(&heap->shm->place[i], &who, to)) return 0;
  heap->place = i;
  shoal_store32_relaxed(&heap->owner, SHOAL_OWNER_(i, to));
  return 1;
}

// One that this process had, or a free one; or, `dead`, that of a dead process.
static int find_place(struct shoal_heap *heap, int dead) {
  uint64_t self = shoal_process_self_(), who;
  for (uint32_t i = 0; i < heap->places; i++) {
    who = shoal_load64_relaxed(&heap->shm->place[i]);
    if (SHOAL_WHO_ID_(who) == self && (who & SHOAL_IDLE_) && try_place(heap, i, who, who & ~SHOAL_IDLE_)) return 1;
  }
  for (uint32_t i = 0; i < heap->places; i++) {
    who = shoal_load64_relaxed(&heap->shm->place[i]);
    if (!SHOAL_WHO_ID_(who) && try_place(heap, i, who, (who & ~(SHOAL_IDLE_ - 1)) | self)) return 1;
    uint64_t next = ((who >> (SHOAL_PROCESS_BITS_ + 1)) + 1) << (SHOAL_PROCESS_BITS_ + 1) | self;
    if (dead && SHOAL_WHO_ID_(who) && shoal_process_gone_(SHOAL_WHO_ID_(who)) && try_place(heap, i, who, next))
      return 1;
  }
  return 0;
}

// Who only looks has one more, beyond those that the segment has.
static int is_beyond(const struct shoal_heap *heap) { return heap->place == heap->places; }
static int take_place(struct shoal_heap *heap) {
  if (find_place(heap, 0) || find_place(heap, 1)) return 0;
  if (heap->seg->looks && heap->places < SHOAL_PLACES_MAX_) {
    heap->place = heap->places;
    shoal_store32_relaxed(&heap->owner, SHOAL_OWNER_(heap->place, UINT64_C(0)));
    return 0;
  }
  return shoal_fail_(-EUSERS, "%u processes use the heap, all alive", heap->places);
}

// ---- chunks ----

static uint64_t pages_of(uint64_t size) {
  uint64_t all = size / SHOAL_PAGE_;
  return all - (all + ENTRIES_A_PAGE) / (ENTRIES_A_PAGE + 1);
}
static uint64_t size_for(uint64_t pages) {
  return (pages + (pages + ENTRIES_A_PAGE - 1) / ENTRIES_A_PAGE) * SHOAL_PAGE_;
}

// The pages, of all that a segment may have, in which the object lies.
struct stretch {
  uint64_t from, to;
};
static struct stretch pages_with(const struct shoal_heap *heap, const struct shoal_object *o) {
  uint64_t at = o->off - heap->seg->g.units_off;
  return (struct stretch){at / SHOAL_PAGE_, (at + o->size + SHOAL_PAGE_ - 1) / SHOAL_PAGE_};
}
uint64_t shoal_heap_most_(const struct shoal_heap *heap, const struct shoal_object *beside) {
  struct stretch a = pages_with(heap, &heap->object), b = pages_with(heap, beside);
  if (a.from > b.from) {
    struct stretch first = b;
    b = a;
    a = first;
  }
  uint64_t all = heap->seg->g.size_max / SHOAL_PAGE_, most = a.from;
  if (b.from > a.to && b.from - a.to > most) most = b.from - a.to;
  if (all > b.to && all - b.to > most) most = all - b.to;
  return pages_of(most * SHOAL_PAGE_) * SHOAL_PAGE_;
}

static int chunk_init(void *memory, uint64_t size, void *arg) {
  struct shoal_page_shm *page = memory;
  (void)arg;
  shoal_store32_relaxed(&page->pages, (uint32_t)pages_of(size));
  shoal_store64_relaxed(&page->owner, SHOAL_WORD_(1, FREE, 0));
  return 0;
}

struct chunk_name {
  char text[32];
};
static struct chunk_name chunk_name(uint32_t k) {
  struct chunk_name name;
  snprintf(name.text, sizeof name.text, NAME ".%u", k);
  return name;
}

static int attach(struct shoal_heap *heap, uint32_t k, struct shoal_object *object) {
  uint64_t pages = pages_of(object->size);
  if (object->off % SHOAL_PAGE_ || pages == 0 || pages > UINT32_MAX) {
    shoal_object_close(heap->seg, object);
    return shoal_fail_(-EPROTO, "chunk %u of the heap is damaged", k);
  }
  char *data = (char *)object->memory + (object->size / SHOAL_PAGE_ - pages) * SHOAL_PAGE_;
  heap->chunk[k] = (struct shoal_chunk_){data, object->memory, pages, *object};
  shoal_store32_release(&heap->chunks, k + 1);  // [H5] pairs with [H6]
  return 0;
}

static int look(struct shoal_heap *heap) {
  int rc = 0;
  for (uint32_t k = shoal_chunks_(heap); rc == 0 && k < SHOAL_HEAP_CHUNKS; k++) {
    struct shoal_object object;
    if (!shoal_load64_acquire(&heap->shm->chunk[k])) break;  // [H6] pairs with [H5]
    rc = shoal_object_open(heap->seg, chunk_name(k).text, CHUNK_TYPE, &object);
    if (rc == 0) rc = attach(heap, k, &object);
  }
  return rc;
}

int shoal_chunks_look_(struct shoal_heap *heap) {
  uint32_t k = shoal_chunks_(heap);
  if (k == SHOAL_HEAP_CHUNKS || !shoal_load64_relaxed(&heap->shm->chunk[k])) return 0;
  shoal_private_acquire_(&heap->lock);
  int rc = look(heap);
  shoal_private_release_(&heap->lock);
  return rc;
}

// As large as all before it, or as large as there is room for.
static int add_chunk(struct shoal_heap *heap, uint64_t pages) {
  uint32_t k = shoal_chunks_(heap);
  uint64_t need = size_for(pages), size = 0, none = 0;
  struct shoal_object object;
  if (k == SHOAL_HEAP_CHUNKS) return shoal_fail_(-ENOSPC, "no more than %u chunks", k);
  for (uint32_t i = 0; i < k; i++) size += heap->chunk[i].object.size;
  if (size < CHUNK_MIN) size = CHUNK_MIN;
  if (size < need) size = need;
  for (;;) {
    int rc = shoal_object_open_or_create(heap->seg, chunk_name(k).text, CHUNK_TYPE, size, chunk_init, NULL, &object);
    if (rc == 0) break;
    if (rc != -ENOSPC || size == need) return rc;
    size = size / 2 > need ? size / 2 / SHOAL_PAGE_ * SHOAL_PAGE_ : need;
  }
  // [H5] pairs with [H6]. Killed before it: the next who needs a chunk finds this one there.
  shoal_cas64_release(&heap->shm->chunk[k], &none, object.off);  // [H5]
  return attach(heap, k, &object);
}

int shoal_chunks_grow_(struct shoal_heap *heap, uint32_t seen, uint64_t pages) {
  if (pages > heap->seg->g.size_max / SHOAL_PAGE_ || pages > UINT32_MAX)
    return shoal_fail_(-ENOSPC, "%llu pages: the segment never holds so many", (unsigned long long)pages);
  shoal_private_acquire_(&heap->lock);
  int rc = look(heap);
  if (rc == 0 && shoal_chunks_(heap) <= seen) rc = add_chunk(heap, pages);
  shoal_private_release_(&heap->lock);
  return rc;
}

// ---- threads ----

// A child of fork: what its parent had in lists is its parent's.
static int renew(struct shoal_heap *heap) {
  uint32_t epoch = shoal_self_()->epoch;
  shoal_proc_id id;
  if (shoal_load32_relaxed(&heap->epoch) == epoch) return 0;
  int rc = shoal_proc_self(heap->seg, &id);
  if (rc == 0) rc = take_place(heap);
  if (rc) return rc;
  for (struct shoal_cache_ *c; (c = heap->caches); free(c)) heap->caches = c->next;
  for (unsigned k = 0; k < SHOAL_CLASSES_; k++) heap->slabs[k].n = heap->slabs[k].next = 0;
  shoal_store32_relaxed(&heap->epoch, epoch);
  return 0;
}

// One that no view has had; its threads look for it where they did (shoal_local_).
static uint64_t new_serial(uint64_t at) {
  return (shoal_add64_relaxed(&serials, 1) + 1) * SHOAL_LOCALS_ + at % SHOAL_LOCALS_;
}

void shoal_slab_ends_(struct shoal_heap *heap) {
  shoal_store64_relaxed(&heap->serial, new_serial(shoal_load64_relaxed(&heap->serial)));
}

static shoal_atomic64 no_word;
static const struct shoal_listed_ no_block = {NULL, &no_word};

static void forget_behind_tops(struct shoal_cache_ *c) {
  for (struct shoal_list_ *l = c->list; l < c->list + SHOAL_CLASSES_; l++)
    for (struct shoal_listed_ *i = l->end + 1; i > l->top; i--) *i = no_block;
}

static struct shoal_cache_ *new_cache(void) {
  struct shoal_cache_ *c = calloc(1, sizeof *c);
  if (!c) return NULL;
  for (unsigned k = 0; k < SHOAL_CLASSES_; k++) {
    struct shoal_listed_ *bottom = c->listed[k];
    *bottom = no_block;
    c->list[k] = (struct shoal_list_){bottom, bottom, bottom + shoal_class_[k].room, NULL};
  }
  c->last = c->list;
  return c;
}

static struct shoal_cache_ *cache_for(struct shoal_heap *heap, uint64_t thread) {
  struct shoal_cache_ *c = heap->caches;
  while (c && c->thread != thread) c = c->next;
  if (c) return c;
  for (c = heap->caches; c && c->thread;) c = c->next;
  if (!c && (c = new_cache())) {
    c->next = heap->caches;
    heap->caches = c;
  }
  if (!c) return NULL;
  c->owner = shoal_load32_relaxed(&heap->owner);
  c->allocated = SHOAL_WORD_(1, PROCESS, c->owner) - SHOAL_WORD_(0, CACHED, 0);
  c->freed = SHOAL_WORD_(1, CACHED, 0) - SHOAL_WORD_(0, PROCESS, c->owner);
  c->thread = thread;
  c->slab.bytes = 0;
  c->process = (uint32_t)SHOAL_WORD_(0, PROCESS, c->owner);
  return c;
}

struct shoal_cache_ *shoal_cache_join_(struct shoal_heap *heap, int *out) {
  const struct shoal_thread_ *t = shoal_self_();
  struct shoal_cache_ *c = NULL;
  shoal_private_acquire_(&heap->lock);
  int rc = renew(heap);
  uint64_t serial = shoal_load64_relaxed(&heap->serial);
  if (rc == 0 && !(c = cache_for(heap, t->id))) rc = shoal_fail_(-ENOMEM, "private memory");
  if (c && c->serial != serial) forget_behind_tops(c);
  if (c) c->serial = serial;
  shoal_private_release_(&heap->lock);
  if (rc) *out = rc;
  else shoal_local_[serial % SHOAL_LOCALS_] = (struct shoal_local_){serial, c, t->epoch};
  if (rc == 0) pthread_setspecific(ends, heap);
  return c;
}

static void thread_ends(void *unused) {
  const struct shoal_thread_ *t = shoal_self_();
  (void)unused;
  memset(shoal_local_, 0, sizeof shoal_local_);
  shoal_private_acquire_(&heaps_lock);
  for (struct shoal_heap *h = heaps; h; h = h->next) {
    if (shoal_load32_relaxed(&h->epoch) != t->epoch) continue;
    shoal_private_acquire_(&h->lock);
    for (struct shoal_cache_ *c = h->caches; c; c = c->next) {
      if (c->thread != t->id) continue;
      shoal_slab_flush_all_(h, c);
      c->thread = 0;
    }
    shoal_private_release_(&h->lock);
  }
  shoal_private_release_(&heaps_lock);
}

// ---- open and close ----

static void forget(struct shoal_heap *heap) {
  for (struct shoal_cache_ *c; (c = heap->caches); free(c)) heap->caches = c->next;
  for (unsigned k = 0; k < SHOAL_CLASSES_; k++) free(heap->slabs[k].slab);
  for (uint32_t k = shoal_chunks_(heap); k--;) shoal_object_close(heap->seg, &heap->chunk[k].object);
  if (heap->object.memory) shoal_object_close(heap->seg, &heap->object);
  free(heap);
}

static int attach_heap(struct shoal_heap *heap) {
  uint32_t places = heap->seg->g.participants;
  heap->places = places < SHOAL_PLACES_MAX_ ? places : SHOAL_PLACES_MAX_;
  uint64_t size = sizeof *heap->shm + heap->places * sizeof heap->shm->place[0];
  int rc = shoal_object_open_or_create(heap->seg, NAME, TYPE, size, NULL, NULL, &heap->object);
  if (rc) return rc;
  if (heap->object.size != size)
    return shoal_fail_(-EPROTO, "the heap has %llu bytes, not %llu", (unsigned long long)heap->object.size,
                       (unsigned long long)size);
  heap->shm = heap->object.memory;
  rc = look(heap);
  return rc ? rc : renew(heap);
}

static int open_locked(struct shoal_segment *seg, struct shoal_heap **out) {
  struct shoal_heap *h = heaps;
  while (h && h->segment != seg->serial) h = h->next;
  if (h) {
    h->opened++;
    *out = h;
    return 0;
  }
  if (!has_ends && pthread_key_create(&ends, thread_ends)) return shoal_fail_(-ENOMEM, "no more keys of threads");
  has_ends = 1;
  h = calloc(1, sizeof *h);
  if (!h) return shoal_fail_(-ENOMEM, "private memory");
  h->seg = seg;
  h->segment = seg->serial;
  shoal_store64_relaxed(&h->serial, new_serial(views++));
  h->opened = 1;
  int rc = attach_heap(h);
  if (rc) {
    forget(h);
    return rc;
  }
  h->next = heaps;
  heaps = *out = h;
  return 0;
}

int shoal_heap_open(struct shoal_segment *seg, struct shoal_heap **out) {
  if (!seg || !out) return shoal_fail_(-EINVAL, "a heap is of a segment");
  shoal_self_();
  shoal_private_acquire_(&heaps_lock);
  int rc = open_locked(seg, out);
  shoal_private_release_(&heaps_lock);
  return rc;
}

// A child that has not used it since fork has nothing in it to give up.
static void give_up(struct shoal_heap *heap) {
  if (shoal_load32_relaxed(&heap->epoch) != shoal_self_()->epoch) return;
  for (struct shoal_cache_ *c = heap->caches; c; c = c->next) shoal_slab_flush_all_(heap, c);
  shoal_slab_abandon_(heap);
  if (is_beyond(heap)) return;
  uint64_t who = shoal_load64_relaxed(&heap->shm->place[heap->place]);
  if (SHOAL_OWNER_(heap->place, who) == shoal_load32_relaxed(&heap->owner))
    shoal_cas64_relaxed(&heap->shm->place[heap->place], &who, who | SHOAL_IDLE_);
}

int shoal_heap_close(struct shoal_heap *heap) {
  int last = 0;
  struct shoal_heap **at;
  shoal_self_();
  shoal_private_acquire_(&heaps_lock);
  for (at = &heaps; *at && *at != heap;) at = &(*at)->next;
  int rc = *at ? 0 : shoal_fail_(-EINVAL, "the heap is not open");
  if (rc == 0 && (last = --heap->opened == 0)) *at = heap->next;
  shoal_private_release_(&heaps_lock);
  if (!last) return rc;
  give_up(heap);
  forget(heap);
  return 0;
}
