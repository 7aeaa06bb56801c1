// A heap as it is written down: every page in one run, every block somebody's or free, and what leads to it. [H2]:
// core/heap_internal.h.
#include <stdlib.h>

#include "core/error.h"
#include "core/heap_internal.h"

// A bit for each 16 bytes of the segment: some word may lead there.
struct marks {
  uint8_t *bit;
  uint64_t end;  // offset
};
static void mark(struct marks *m, shoal_off off) {
  if (off < m->end && off % 16 == 0) m->bit[off / 128] |= (uint8_t)(1 << off / 16 % 8);
}
// A reference is an offset, or what the containers make of one and a tag.
static void mark_words(struct marks *m, const void *at, uint64_t bytes) {
  const shoal_atomic64 *word = at;
  for (uint64_t i = 0; i < bytes / 8; i++) {
    uint64_t w = shoal_load64_relaxed(&word[i]);
    mark(m, w);
    mark(m, w >> 22 << 4);
  }
}

static int is_chunk(const struct shoal_heap *heap, uint32_t chunks, uint32_t entry) {
  uint32_t k = 0;
  while (k < chunks && heap->chunk[k].object.entry != entry) k++;
  return k < chunks;
}
// What objects have, but for the heap's own memory, of which only what is in use leads anywhere.
static void mark_objects(const struct shoal_heap *heap, uint32_t chunks, struct marks *m) {
  const struct shoal_segment *seg = heap->seg;
  uint32_t last = 0, skip = 1;
  for (uint64_t at = 0; seg->g.units_off + (at + 1) * SHOAL_UNIT_ <= m->end; at++) {
    uint32_t owner = shoal_load32_relaxed(&seg->owners[at]);
    if (owner != last) last = owner, skip = !owner || is_chunk(heap, chunks, owner - 1);
    if (!skip) mark_words(m, seg->units + at * SHOAL_UNIT_, SHOAL_UNIT_);
  }
}

// The owners at a place of which it is known: to ask whether a process is there costs more than all else.
struct judged {
  uint32_t alive, dead;  // 0: not yet
};

struct audit {
  struct shoal_heap *heap;
  const struct shoal_chunk_ *c;
  struct judged *judged;  // by place
  struct marks marks;     // none: what nothing leads to is not looked for
  int marking;            // at first; then it is counted
  struct shoal_heap_audit *out;
};

static shoal_off off_of(const struct audit *a, const void *at) {
  return (shoal_off)((const char *)at - a->heap->seg->base);
}
static void damaged(struct audit *a, const void *at) {
  if (!a->marking && !a->out->damaged++) a->out->damaged_at = off_of(a, at);
}

// After its word was read: who is alive had the place before.
static int is_gone(const struct audit *a, uint32_t owner, uint32_t place) {
  struct judged *j = &a->judged[place - 1];
  if (owner == j->alive || owner == j->dead) return owner == j->dead;
  uint64_t who = shoal_load64_relaxed(&a->heap->shm->place[place - 1]);
  int gone = SHOAL_OWNER_(place - 1, who) != owner || shoal_process_gone_(SHOAL_WHO_ID_(who));
  *(gone ? &j->dead : &j->alive) = owner;
  return gone;
}
static int is_of_the_dead(const struct audit *a, uint64_t w) {
  uint32_t owner = shoal_word_owner_(w), place = SHOAL_PLACE_OF_(owner);
  unsigned kind = shoal_word_kind_(w);
  if (kind == OBJECT) return shoal_directory_lost_(a->heap->seg, owner & 0xfffff, owner >> 20);
  if ((kind != PROCESS && kind != SLAB) || (kind == SLAB && place == 0)) return 0;
  return place == 0 || place > a->heap->places || is_gone(a, owner, place);
}

// What that word says is whose, a block or a whole run.
static void look_at(struct audit *a, uint64_t w, const char *data, uint64_t bytes, uint64_t *in_use, uint64_t n,
                    uint64_t *dead) {
  unsigned kind = shoal_word_kind_(w);
  int is_used = kind == PROCESS || kind == OBJECT, is_dead = is_of_the_dead(a, w);
  shoal_off off = off_of(a, data);
  if (a->marking) {
    if (is_used && !is_dead) mark_words(&a->marks, data, bytes);
    return;
  }
  *in_use += is_used ? n : 0;
  *dead += is_dead != 0;
  if (!a->marks.bit || kind != OBJECT || is_dead || a->marks.bit[off / 128] >> off / 16 % 8 & 1) return;
  a->out->unreferenced++;
  a->out->unreferenced_bytes += bytes;
}

// 0: it is none, whatever its word says, and no sweep takes it.
static int look_at_slab(struct audit *a, uint64_t page) {
  const char *slab = a->c->data + page * SHOAL_PAGE_;
  shoal_atomic64 *words = shoal_slab_words_(a->c, page);
  unsigned class_ = shoal_slab_class_(a->c, page);
  if (class_ >= SHOAL_CLASSES_) {
    damaged(a, slab);
    return 0;
  }
  const struct shoal_class_ *k = &shoal_class_[class_];
  if (!a->marking) a->out->slabs++;
  for (uint32_t i = 0; i < k->count; i++) {
    uint64_t w = shoal_load64_acquire(&words[i]);  // [H2]
    unsigned kind = shoal_word_kind_(w);
    if (kind == INSIDE || kind == SLAB || kind > CACHED) damaged(a, &words[i]);
    else look_at(a, w, slab + k->first + (uint64_t)i * k->size, k->size, &a->out->blocks, 1, &a->out->dead_blocks);
  }
  return 1;
}

// How many pages the run has that begins here, with what its owner was about to split off, or has joined.
static uint64_t look_at_run(struct audit *a, uint64_t at) {
  const struct shoal_chunk_ *c = a->c;
  const char *data = c->data + at * SHOAL_PAGE_;
  uint64_t w = shoal_load64_acquire(&c->page[at].owner), n = shoal_run_pages_(c, at), more;  // [H2]
  unsigned kind = shoal_word_kind_(w);
  if (kind == INSIDE || kind > SLAB || n == 0) {
    damaged(a, data);
    return 1;
  }
  for (uint64_t i = 1; i < n; i++)
    if (shoal_word_kind_(shoal_load64_acquire(&c->page[at + i].owner)) != INSIDE)  // [H2]
      damaged(a, data + i * SHOAL_PAGE_);
  if (kind == SLAB && !look_at_slab(a, at)) return n;
  while (kind == PROCESS && at + n < c->pages &&
         shoal_word_kind_(shoal_load64_acquire(&c->page[at + n].owner)) == INSIDE &&  // [H2]
         (more = shoal_run_pages_(c, at + n)))
    n += more;
  look_at(a, w, data, n * SHOAL_PAGE_, &a->out->held, n, &a->out->dead_runs);
  if (!a->marking && kind == FREE) a->out->free_pages += n;
  return n;
}

static void look_at_all(struct audit *a, uint32_t chunks) {
  for (uint32_t k = 0; k < chunks; k++) {
    a->c = &a->heap->chunk[k];
    for (uint64_t at = 0; at < a->c->pages;) at += look_at_run(a, at);
    if (!a->marking) a->out->pages += a->c->pages;
  }
}

static int mark_all(struct audit *a, uint32_t chunks) {
  struct shoal_segment *seg = a->heap->seg;
  a->marks.end = seg->g.units_off + shoal_segment_size_(seg);
  a->marks.bit = calloc(a->marks.end / 128 + 1, 1);
  if (!a->marks.bit) return -ENOMEM;
  mark_objects(a->heap, chunks, &a->marks);
  a->marking = 1;
  look_at_all(a, chunks);
  a->marking = 0;
  return 0;
}

static int audit(struct shoal_heap *heap, int marks, struct shoal_heap_audit *out) {
  struct shoal_heap_audit found = {.pages = 0};
  struct audit a = {.heap = heap, .out = &found};
  int rc = shoal_chunks_look_(heap);
  if (rc) return rc;
  uint32_t chunks = shoal_chunks_(heap);
  a.judged = calloc(heap->places, sizeof *a.judged);
  if (!a.judged || (marks && mark_all(&a, chunks))) {
    free(a.judged);
    return shoal_fail_(-ENOMEM, "private memory");
  }
  look_at_all(&a, chunks);
  free(a.marks.bit);
  free(a.judged);
  *out = found;
  return 0;
}
int shoal_heap_audit(struct shoal_heap *heap, struct shoal_heap_audit *out) { return audit(heap, 1, out); }
int shoal_heap_audit_words(struct shoal_heap *heap, struct shoal_heap_audit *out) { return audit(heap, 0, out); }
