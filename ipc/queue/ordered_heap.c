// The heap of a priority queue, and what stands in front of it: the first few, in order, so that a message which comes
// before all others never enters it.
#include "ipc/queue/ordered_internal.h"

#define WAYS SHOAL_ORDERED_WAYS_
#define FRONT SHOAL_ORDERED_FRONT_

// ---- keys ----

static uint64_t float_key(double x) {
  uint64_t bits;
  if (x != x) return UINT64_MAX;
  x += 0.0;  // -0 is 0
  memcpy(&bits, &x, sizeof bits);
  return bits >> 63 ? ~bits : bits | UINT64_C(1) << 63;
}
uint64_t shoal_ordered_heap_key_(uint32_t type, const char *at) {
  uint32_t size = type & 0xff, kind = type & ~UINT32_C(0xff);
  uint64_t bits = 0;
  if (kind == SHOAL_KEY_FLOAT_ && size == 4) {
    float x;
    memcpy(&x, at, sizeof x);
    return float_key((double)x);
  }
  if (kind == SHOAL_KEY_FLOAT_) {
    double x;
    memcpy(&x, at, sizeof x);
    return float_key(x);
  }
  memcpy(&bits, at, size);  // little-endian, as core/segment_internal.h asserts
  if (kind == SHOAL_KEY_UNSIGNED_) return bits;
  uint32_t unused = 64 - 8 * size;
  return (uint64_t)((int64_t)(bits << unused) >> unused) ^ UINT64_C(1) << 63;
}

// ---- places: place i stands WAYS - 1 behind i in its chunk ----

static shoal_atomic64 *key_at(const struct shoal_ordered *o, uint32_t i) {
  const struct shoal_ordered_chunk_ *chunk = shoal_ordered_chunk_of_(o, &i);
  return chunk->keys + WAYS - 1 + i;
}
static struct shoal_place_shm *place_at(const struct shoal_ordered *o, uint32_t i) {
  const struct shoal_ordered_chunk_ *chunk = shoal_ordered_chunk_of_(o, &i);
  return chunk->places + WAYS - 1 + i;
}
static int is_before(struct shoal_entry_ a, struct shoal_entry_ b) {
  return a.key != b.key ? a.key < b.key : a.seq < b.seq;
}
static uint64_t place_seq(const struct shoal_ordered *o, uint32_t i) {
  return shoal_load64_relaxed(&place_at(o, i)->seq);
}
static void set_place(const struct shoal_ordered *o, uint32_t i, struct shoal_entry_ e) {
  struct shoal_place_shm *p = place_at(o, i);
  shoal_store64_relaxed(key_at(o, i), e.key);
  shoal_store64_relaxed(&p->seq, e.seq);
  shoal_store32_relaxed(&p->cell, e.cell);
}
static struct shoal_entry_ entry_at(const struct shoal_ordered *o, uint32_t i) {
  const struct shoal_place_shm *p = place_at(o, i);
  return (struct shoal_entry_){shoal_load64_relaxed(key_at(o, i)), shoal_load64_relaxed(&p->seq),
                               shoal_load32_relaxed(&p->cell)};
}
static void rise(const struct shoal_ordered *o, uint32_t i, struct shoal_entry_ e) {
  for (; i; i = (i - 1) / WAYS) {
    struct shoal_entry_ above = entry_at(o, (i - 1) / WAYS);
    if (!is_before(e, above)) break;
    set_place(o, i, above);
  }
  set_place(o, i, e);
}

// The keys of places c, c + 1, ... below `n`, of one parent: how many.
static uint32_t keys_of(const struct shoal_ordered *o, uint32_t c, uint32_t n, uint64_t key[WAYS]) {
  if (SHOAL_LIKELY(n - c >= WAYS && c + WAYS <= o->capacity)) {
    const shoal_atomic64 *line = key_at(o, c);
    shoal_prefetch_write(line);  // one of them is about to change: not to be fetched twice
#pragma GCC unroll 8
    for (uint32_t k = 0; k < WAYS; k++) key[k] = shoal_load64_relaxed(line + k);
    return WAYS;
  }
  uint32_t many = n - c < WAYS ? n - c : WAYS;
  for (uint32_t k = 0; k < WAYS; k++) key[k] = k < many ? shoal_load64_relaxed(key_at(o, c + k)) : UINT64_MAX;
  return many;
}
// The first of them. No branch hangs on a key unless two are equal.
static uint32_t least_of(const struct shoal_ordered *o, uint32_t c, uint32_t n) {
  uint64_t key[WAYS];
  uint32_t many = keys_of(o, c, n, key), equal = 0;
  uint64_t least = key[0];
#pragma GCC unroll 8
  for (uint32_t k = 1; k < WAYS; k++) least = key[k] < least ? key[k] : least;
#pragma GCC unroll 8
  for (uint32_t k = 0; k < WAYS; k++) equal |= (uint32_t)(key[k] == least) << k;
  equal &= (1u << many) - 1;
  uint32_t best = c + (uint32_t)__builtin_ctz(equal);
  while (SHOAL_UNLIKELY(equal &= equal - 1)) {
    uint32_t other = c + (uint32_t)__builtin_ctz(equal);
    if (place_seq(o, other) < place_seq(o, best)) best = other;
  }
  return best;
}
// Asks for the keys two steps down while those one step down are compared: near the leaves they lie with another
// process, often.
static void fetch_below(const struct shoal_ordered *o, uint64_t child, uint32_t n) {
  uint64_t below = WAYS * child + 1, end = below + (uint64_t)WAYS * WAYS;
  if (end > n || end > o->capacity) return;
  for (uint32_t k = 0; k < WAYS; k++) __builtin_prefetch(key_at(o, (uint32_t)below + k * WAYS));
}
static void sink(const struct shoal_ordered *o, uint32_t i, uint32_t n, struct shoal_entry_ e) {
  for (uint64_t child; (child = WAYS * (uint64_t)i + 1) < n;) {
    fetch_below(o, child, n);
    uint32_t best = least_of(o, (uint32_t)child, n);
    shoal_prefetch_write(place_at(o, best));
    struct shoal_entry_ b = entry_at(o, best);
    if (!is_before(b, e)) break;
    set_place(o, i, b);
    i = best;
  }
  set_place(o, i, e);
}

// ---- the heap with two ends: levels in turn hold the first and the last of all that is below; two branches ----

static int is_low(uint32_t i) {
  return __builtin_clz(i + 1) & 1;
}  // a level of the first ones: those of place 0, 3 to 6, ..
// Of two entries of a low level, or of a high one: whether `a` belongs above.
static int is_above(int low, struct shoal_entry_ a, struct shoal_entry_ b) {
  return low ? is_before(a, b) : is_before(b, a);
}
static void rise_between(const struct shoal_ordered *o, uint32_t i, struct shoal_entry_ e) {
  int low = is_low(i);
  if (i) {
    struct shoal_entry_ above = entry_at(o, (i - 1) / 2);
    if (is_above(!low, e, above)) {
      set_place(o, i, above);
      i = (i - 1) / 2;
      low = !low;
    }
  }
  for (; i > 2; i = (i - 3) / 4) {
    struct shoal_entry_ above = entry_at(o, (i - 3) / 4);
    if (!is_above(low, e, above)) break;
    set_place(o, i, above);
  }
  set_place(o, i, e);
}
// Of places from..to below `n`, which of them belongs above all others and `best`.
static void choose(const struct shoal_ordered *o, int low, uint64_t from, uint64_t to, uint32_t n, uint32_t *best) {
  for (uint64_t k = from; k <= to && k < n; k++)
    if (!*best || is_above(low, entry_at(o, (uint32_t)k), entry_at(o, *best))) *best = (uint32_t)k;
}
static void sink_between(const struct shoal_ordered *o, uint32_t i, uint32_t n, struct shoal_entry_ e) {
  int low = is_low(i), below_next = 1;
  while (below_next) {
    uint32_t best = 0;
    uint64_t child = 2 * (uint64_t)i + 1;
    choose(o, low, child, child + 1, n, &best);
    choose(o, low, 2 * child + 1, 2 * child + 4, n, &best);
    struct shoal_entry_ b = best ? entry_at(o, best) : e;
    if (!best || !is_above(low, b, e)) break;
    set_place(o, i, b);
    i = best;
    below_next = best > child + 1;
    struct shoal_entry_ between = entry_at(o, (i - 1) / 2);
    if (below_next && is_above(low, between, e)) {
      set_place(o, (i - 1) / 2, e);
      e = between;
    }
  }
  set_place(o, i, e);
}
static void put_in(const struct shoal_ordered *o, uint32_t i, struct shoal_entry_ e) {
  if (o->evicts) rise_between(o, i, e);
  else rise(o, i, e);
}
static void fill(const struct shoal_ordered *o, uint32_t i, uint32_t n, struct shoal_entry_ e) {
  if (o->evicts) sink_between(o, i, n, e);
  else sink(o, i, n, e);
}
// Of `n`, at least one.
static uint32_t last_place(const struct shoal_ordered *o, uint32_t n) {
  if (n < 3) return n - 1;
  return is_before(entry_at(o, 1), entry_at(o, 2)) ? 2 : 1;
}

// Asks for the cell that will be received when the front is: it was written long ago.
static void fetch_first(const struct shoal_ordered *o) {
  uint32_t c = shoal_load32_relaxed(&place_at(o, 0)->cell);
  if (c < shoal_ordered_cells(o)) shoal_prefetch_write(shoal_cell_at_(o, c));
}

// ---- the front: the last of it comes first ----

static struct shoal_entry_ front_at(const struct shoal_ordered *o, uint32_t i) {
  const struct shoal_front_shm *f = &o->shm->front[i];
  return (struct shoal_entry_){shoal_load64_relaxed(&f->key), shoal_load64_relaxed(&f->seq),
                               shoal_load32_relaxed(&f->cell)};
}
static void set_front(const struct shoal_ordered *o, uint32_t i, struct shoal_entry_ e) {
  struct shoal_front_shm *f = &o->shm->front[i];
  shoal_store64_relaxed(&f->key, e.key);
  shoal_store64_relaxed(&f->seq, e.seq);
  shoal_store32_relaxed(&f->cell, e.cell);
}

// It is full: all move up, and the entry that comes last, of these and `e`, goes into the heap.
static struct shoal_entry_ push_out(const struct shoal_ordered *o, struct shoal_entry_ e) {
  struct shoal_entry_ out = front_at(o, 0);
  uint32_t i = 0;
  if (!is_before(e, out)) return e;
  for (; i + 1 < FRONT; i++) {
    struct shoal_entry_ f = front_at(o, i + 1);
    if (!is_before(e, f)) break;
    set_front(o, i, f);
  }
  set_front(o, i, e);
  return out;
}
static void put_in_front(const struct shoal_ordered *o, uint32_t many, struct shoal_entry_ e) {
  uint32_t i = many;
  for (; i; i--) {
    struct shoal_entry_ f = front_at(o, i - 1);
    if (is_before(e, f)) break;
    set_front(o, i, f);
  }
  set_front(o, i, e);
  shoal_store32_relaxed(&o->shm->fronts, many + 1);
}

int shoal_ordered_heap_insert_(struct shoal_ordered *o, uint32_t n, struct shoal_entry_ e) {
  uint32_t many = shoal_load32_relaxed(&o->shm->fronts);
  if (many > FRONT || many > n) return 0;
  if (n > many && !is_before(e, entry_at(o, 0))) {
    put_in(o, n - many, e);
  } else if (many < FRONT) {
    put_in_front(o, many, e);
  } else {
    put_in(o, n - many, push_out(o, e));
  }
  return 1;
}

int shoal_ordered_heap_remove_(struct shoal_ordered *o, uint32_t n) {
  uint32_t many = shoal_load32_relaxed(&o->shm->fronts);
  if (many > FRONT || many > n) return 0;
  if (many) {
    shoal_store32_relaxed(&o->shm->fronts, many - 1);
    return 1;
  }
  if (n > 1) fill(o, 0, n - 1, entry_at(o, n - 1));
  fetch_first(o);
  return 1;
}

uint32_t shoal_ordered_heap_first_(const struct shoal_ordered *o) {
  uint32_t many = shoal_load32_relaxed(&o->shm->fronts);
  if (many - 1 < FRONT) return shoal_load32_relaxed(&o->shm->front[many - 1].cell);
  return shoal_load32_relaxed(&place_at(o, 0)->cell);
}

// All that stands in front comes before all that does not.
uint32_t shoal_ordered_heap_last_(const struct shoal_ordered *o, uint32_t n) {
  uint32_t many = shoal_load32_relaxed(&o->shm->fronts);
  if (many > FRONT || many > n || n > shoal_ordered_cells(o)) return UINT32_MAX;
  if (many == n) return shoal_load32_relaxed(&o->shm->front[0].cell);
  return shoal_load32_relaxed(&place_at(o, last_place(o, n - many))->cell);
}
int shoal_ordered_heap_remove_last_(struct shoal_ordered *o, uint32_t n) {
  uint32_t many = shoal_load32_relaxed(&o->shm->fronts), left = n - many - 1;
  if (many > FRONT || many > n) return 0;
  if (many == n) {
    for (uint32_t i = 0; i + 1 < many; i++) set_front(o, i, front_at(o, i + 1));
    shoal_store32_relaxed(&o->shm->fronts, many - 1);
    return 1;
  }
  uint32_t i = last_place(o, left + 1);
  if (i < left) fill(o, i, left, entry_at(o, left));
  return 1;
}

void shoal_ordered_heap_remake_(struct shoal_ordered *o, uint32_t list, uint32_t n) {
  uint32_t i = 0;
  for (; list && i < n; list = shoal_load32_relaxed(&shoal_cell_at_(o, list - 1)->next)) {
    if (list > shoal_ordered_cells(o)) break;
    set_place(o, i++, shoal_entry_of_(o, list - 1));
  }
  for (uint32_t k = i > 1 ? (i - 2) / (o->evicts ? 2 : WAYS) + 1 : 0; k--;) fill(o, k, i, entry_at(o, k));
  shoal_store32_relaxed(&o->shm->fronts, 0);
}
