// Where cells and places lie, in how many chunks.
#include "core/error.h"
#include "core/segment.h"
#include "ipc/queue/ordered_internal.h"

#define LINES(n) (((n) + 63) & ~UINT64_C(63))
#define WAYS SHOAL_ORDERED_WAYS_

static uint32_t stride_of(uint32_t element_size) {
  if (element_size <= 8) return 32;
  return element_size <= 40 ? 64 : (uint32_t)LINES(64 + (uint64_t)element_size);
}
static uint64_t keys_size(uint64_t n) { return LINES((n + WAYS) * sizeof(shoal_atomic64)); }
static uint64_t places_size(uint32_t by, uint64_t n) {
  return by == SHOAL_ORDERED_PRIORITY ? keys_size(n) + LINES((n + WAYS) * sizeof(struct shoal_place_shm)) : 0;
}
static uint64_t leases_size(uint32_t leases, uint64_t n) { return leases ? LINES(n * sizeof(shoal_atomic64)) : 0; }
static uint32_t cells_of(const struct shoal_ordered *o, uint32_t k) { return k ? o->capacity << (k - 1) : o->capacity; }

// ---- keys ----

const char *shoal_queue_key_refused_(struct shoal_queue_key key, uint32_t element_size) {
  uint32_t size = key.type & 0xff, kind = key.type & ~UINT32_C(0xff);
  if (key.type == SHOAL_KEY_NONE) return "options.key is not given";
  int is_integer =
      (kind == SHOAL_KEY_UNSIGNED_ || kind == SHOAL_KEY_SIGNED_) && (size == 1 || size == 2 || size == 4 || size == 8);
  if (!is_integer && !(kind == SHOAL_KEY_FLOAT_ && (size == 4 || size == 8))) return "options.key.type is none";
  return key.offset > element_size || size > element_size - key.offset ? "options.key lies outside the element" : NULL;
}

// ---- lifecycle ----

uint64_t shoal_ordered_size(const struct shoal_ordered_options *o) {
  if (o->capacity - 1 >= SHOAL_ORDERED_CAPACITY_MAX || o->element_size - 1 >= SHOAL_ORDERED_ELEMENT_MAX) return 0;
  return sizeof(struct shoal_ordered_shm) + places_size(o->by, o->capacity) +
         LINES((uint64_t)o->capacity * stride_of(o->element_size)) + leases_size(o->leases, o->capacity);
}

static uint32_t power_of_two(uint32_t n) {
  uint32_t p = 1;
  while (p < n) p *= 2;
  return p;
}

int shoal_ordered_init(struct shoal_ordered_shm *shm, const struct shoal_ordered_options *o) {
  shm->capacity = o->capacity;
  shm->element_size = o->element_size;
  shm->by = o->by;
  shm->drop = o->drop != 0;
  shm->grow = o->grow != 0;
  shm->key_type = o->key.type;
  shm->key_offset = o->key.offset;
  shm->leases = o->leases != 0;
  shm->evicts = o->evicts != 0;
  return 0;
}

static struct shoal_ordered_chunk_ chunk_at(const struct shoal_ordered *o, void *memory, uint32_t k) {
  uint64_t places = places_size(o->by, cells_of(o, k)), cells = LINES((uint64_t)cells_of(o, k) * o->stride);
  return (struct shoal_ordered_chunk_){
      places ? memory : NULL, places ? (void *)((char *)memory + keys_size(cells_of(o, k))) : NULL,
      (char *)memory + places, o->leases ? (void *)((char *)memory + places + cells) : NULL};
}
uint64_t shoal_ordered_chunk_size_(const struct shoal_ordered *o, uint32_t k) {
  uint64_t n = cells_of(o, k);
  return places_size(o->by, n) + LINES(n * o->stride) + leases_size(o->leases, n);
}

int shoal_ordered_attach(struct shoal_ordered *o, struct shoal_ordered_shm *shm, uint64_t size, uint32_t by,
                         struct shoal_eventcount_view *view) {
  if (size < sizeof *shm) return shoal_fail_(-EPROTO, "no room for cells");
  struct shoal_ordered_options has = {
      __atomic_load_n(&shm->capacity, __ATOMIC_RELAXED),
      __atomic_load_n(&shm->element_size, __ATOMIC_RELAXED),
      __atomic_load_n(&shm->by, __ATOMIC_RELAXED),
      __atomic_load_n(&shm->drop, __ATOMIC_RELAXED),
      __atomic_load_n(&shm->grow, __ATOMIC_RELAXED),
      {__atomic_load_n(&shm->key_type, __ATOMIC_RELAXED), __atomic_load_n(&shm->key_offset, __ATOMIC_RELAXED)},
      __atomic_load_n(&shm->leases, __ATOMIC_RELAXED),
      __atomic_load_n(&shm->evicts, __ATOMIC_RELAXED)};
  uint64_t needed = shoal_ordered_size(&has);
  if (has.by != by || !needed || needed > size || (has.grow && has.capacity != power_of_two(has.capacity)))
    return shoal_fail_(-EPROTO, "%u elements of %u bytes do not fit", has.capacity, has.element_size);
  if (by == SHOAL_ORDERED_PRIORITY && shoal_queue_key_refused_(has.key, has.element_size))
    return shoal_fail_(-EPROTO, "a key %x at %u of %u bytes", has.key.type, has.key.offset, has.element_size);
  *o = (struct shoal_ordered){.shm = shm,
                              .view = view,
                              .by = by,
                              .capacity = has.capacity,
                              .shift = 31 - (uint32_t)__builtin_clz(has.capacity),
                              .stride = stride_of(has.element_size),
                              .element_size = has.element_size,
                              .drop = has.drop,
                              .grow = has.grow,
                              .leases = has.leases,
                              .evicts = has.evicts,
                              .key = has.key};
  o->chunk[0] = chunk_at(o, shm + 1, 0);
  return 0;
}

// ---- growing ----

static int know(struct shoal_ordered *o, uint32_t k, uint64_t off) {
  void *memory = o->segment && off % 64 == 0 && cells_of(o, k) <= SHOAL_ORDERED_CAPACITY_MAX / 2
                     ? shoal_segment_at(o->segment, off, shoal_ordered_chunk_size_(o, k))
                     : NULL;
  if (!memory) return shoal_fail_(-EPROTO, "chunk %u lies outside the segment", k);
  o->chunk[k] = chunk_at(o, memory, k);
  shoal_store32_release(&o->known, k);  // [K1] pairs with [K2]: other threads of this process
  return 0;
}

int shoal_ordered_add(struct shoal_ordered *o, uint64_t off) {
  uint32_t k = shoal_load32_relaxed(&o->known) + 1;
  int rc = know(o, k, off);
  if (rc) return rc;
  shoal_store64_relaxed(&o->shm->chunk[k - 1], off);
  SHOAL_COMPILER_BARRIER();  // killed between: the chunk is found again, by its name
  shoal_store32_relaxed(&o->shm->chunks, k);
  return 0;
}

void shoal_ordered_know_(struct shoal_ordered *o, uint32_t chunks) {
  for (uint32_t k; (k = shoal_load32_relaxed(&o->known)) < chunks && k < SHOAL_ORDERED_CHUNKS_;)
    if (know(o, k + 1, shoal_load64_relaxed(&o->shm->chunk[k]))) return;
}
