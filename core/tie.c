// Objects that live as long as words have values: what a block of a heap refers to lives as long as the block is its
// object's.
//
// A tie names a word, the value that keeps it in force, and the object that the word is of. It is written before the
// word gets that value, under the directory's lock; what the word says then decides, at every instant, and needs no one
// to count: whoever is killed before it becomes that value has tied nothing, whoever changes it has untied.
//
// ORDERING [F6] the word changes, then records of users are looked at [F4]; against a record that goes [F5], then the
//          word is looked at [F7]; [F6] pairs with [F7]: of who unties and who closes last at least one sees that
//          nobody is left.
//          [D4], [F2]: core/directory.c.
#include <stdlib.h>
#include <string.h>

#include "core/directory.h"
#include "core/directory_internal.h"
#include "core/error.h"

#define STATE SHOAL_ENTRY_STATE_
#define GENERATION SHOAL_ENTRY_GENERATION_

static uint64_t state_of(struct shoal_segment *seg, uint32_t at) {
  return shoal_load64_seq_cst(&seg->entries[at].state);  // [F2]
}
static int is_there(struct shoal_segment *seg, uint32_t at, uint32_t generation) {
  uint64_t w = at < seg->g.entries ? state_of(seg, at) : 0;
  return GENERATION(w) == generation && (STATE(w) == SHOAL_ENTRY_LIVE_ || STATE(w) == SHOAL_ENTRY_REMOVED_);
}

// The object's ties; NULL: it has none.
static struct shoal_tie_shm *ties_of(struct shoal_segment *seg, uint32_t at) {
  struct shoal_entry_shm *e = &seg->entries[at];
  if (!(shoal_load64_relaxed(&e->whole) & SHOAL_TIED_)) return NULL;
  uint64_t off = shoal_load64_relaxed(&e->off), size = shoal_load64_relaxed(&e->size);
  char *memory = size >= SHOAL_TIES_BYTES_ && size % 8 == 0 && off % 8 == 0 ? shoal_segment_at(seg, off, size) : NULL;
  return memory ? (struct shoal_tie_shm *)(void *)(memory + size - SHOAL_TIES_BYTES_) : NULL;
}

// The holder's entry + 1; 0: not in force.
static uint32_t holder_of(struct shoal_segment *seg, const struct shoal_tie_shm *t) {
  uint64_t off = shoal_load64_relaxed(&t->word), holder = shoal_load64_relaxed(&t->holder);
  if (!off || off % 8) return 0;
  const shoal_atomic64 *word = (const shoal_atomic64 *)(void *)shoal_segment_at(seg, off, 8);
  if (!word || shoal_load64_seq_cst(word) != shoal_load64_relaxed(&t->value)) return 0;  // [F7] pairs with [F6]
  return is_there(seg, (uint32_t)holder - 1, (uint32_t)(holder >> 32)) ? (uint32_t)holder : 0;
}

uint32_t shoal_tie_holder_(struct shoal_segment *seg, uint32_t entry) {
  const struct shoal_tie_shm *t = ties_of(seg, entry);
  uint32_t holder = 0;
  for (uint32_t i = 0; t && i < SHOAL_TIES_ && !holder; i++) holder = holder_of(seg, &t[i]);
  return holder;
}
uint32_t shoal_object_ties_(struct shoal_segment *seg, const struct shoal_object *object) {
  const struct shoal_tie_shm *t = object->entry < seg->g.entries ? ties_of(seg, object->entry) : NULL;
  uint32_t n = 0;
  for (uint32_t i = 0; t && i < SHOAL_TIES_; i++) n += holder_of(seg, &t[i]) != 0;
  return n;
}

// ---- to tie ----

// Notes what holds `at` and has not been seen; how many are in the queue then.
static uint32_t note_holders(struct shoal_segment *seg, uint32_t at, uint32_t *queue, uint8_t *seen, uint32_t n) {
  const struct shoal_tie_shm *t = ties_of(seg, at);
  for (uint32_t i = 0; t && i < SHOAL_TIES_; i++) {
    uint32_t holder = holder_of(seg, &t[i]);
    if (!holder || seen[holder - 1]) continue;
    seen[holder - 1] = 1;
    queue[n++] = holder - 1;
  }
  return n;
}

// 0; -ELOOP: `object` is `holder`, or holds it, by however many between. Nobody ties meanwhile.
static int check_loop(struct shoal_segment *seg, uint32_t object, uint32_t holder) {
  if (object == holder) return shoal_fail_(-ELOOP, "it would be inside itself");
  if (!(shoal_load64_relaxed(&seg->entries[object].whole) & SHOAL_HOLDS_)) return 0;  // it never held anything
  if (!shoal_tie_holder_(seg, holder)) return 0;
  uint32_t *queue = calloc(seg->g.entries, sizeof *queue + 1), n = 1;
  if (!queue) return shoal_fail_(-ENOMEM, "private memory");
  uint8_t *seen = (uint8_t *)(queue + seg->g.entries);
  queue[0] = holder;
  seen[holder] = 1;
  for (uint32_t i = 0; i < n && !seen[object]; i++) n = note_holders(seg, queue[i], queue, seen, n);
  int loops = seen[object];
  free(queue);
  return loops ? shoal_fail_(-ELOOP, "it would be inside itself, by way of others") : 0;
}

// One that is not in force, and will not be while its word is the caller's.
static int take_tie(struct shoal_segment *seg, uint32_t at, const struct shoal_object *holder, shoal_off word,
                    uint64_t value) {
  struct shoal_tie_shm *t = ties_of(seg, at);
  if (!t)
    return shoal_fail_(-EINVAL, "it was made with a name, or in another object: only what has none is inside others");
  for (uint32_t i = 0; i < SHOAL_TIES_; i++) {
    if (holder_of(seg, &t[i])) continue;
    shoal_store64_relaxed(&t[i].word, 0);  // never in force: no value meets a word that it was not written for
    SHOAL_COMPILER_BARRIER();
    shoal_store64_relaxed(&t[i].value, value);
    shoal_store64_relaxed(&t[i].holder, SHOAL_WHOLE_(holder->entry, holder->generation));
    SHOAL_COMPILER_BARRIER();
    shoal_store64_relaxed(&t[i].word, word);
    return 0;
  }
  return shoal_fail_(-EMLINK, "%u entries lead to it, and no more can", SHOAL_TIES_);
}

// Once it is in force, the holder is one that holds: who frees it looks at what was tied to it.
static void mark_holder(struct shoal_segment *seg, uint32_t at) {
  shoal_atomic64 *whole = &seg->entries[at].whole;
  shoal_store64_relaxed(whole, shoal_load64_relaxed(whole) | SHOAL_HOLDS_);
}

static int tie(struct shoal_segment *seg, const struct shoal_object *object, const struct shoal_object *holder,
               shoal_atomic64 *word, uint64_t from, uint64_t to) {
  if (!is_there(seg, object->entry, object->generation) || !is_there(seg, holder->entry, holder->generation))
    return shoal_fail_(-EINVAL, "one of the two is no more");
  int rc = check_loop(seg, object->entry, holder->entry);
  if (rc == 0) rc = take_tie(seg, object->entry, holder, shoal_segment_off(seg, word), to);
  if (rc) return rc;
  mark_holder(seg, holder->entry);
  // [F6] pairs with [F7]: it is tied from here on
  return shoal_cas64_seq_cst(word, &from, to) ? 0 : shoal_fail_(-EPROTO, "the block was freed meanwhile");  // [F6]
}
int shoal_object_tie_(struct shoal_segment *seg, const struct shoal_object *object, const struct shoal_object *holder,
                      shoal_atomic64 *word, uint64_t from, uint64_t to) {
  int rc = shoal_directory_acquire_(seg);
  if (rc) return rc;
  rc = tie(seg, object, holder, word, from, to);
  shoal_directory_release_(seg);
  return rc;
}

int shoal_object_untied_(struct shoal_segment *seg, uint32_t entry) {
  return entry < seg->g.entries && shoal_directory_free_(seg, entry);
}
void shoal_object_all_untied_(struct shoal_segment *seg) { shoal_directory_tidy_(seg); }

// ---- opened by its place ----

// Held, so nobody changes what its entry says.
static int look_at(struct shoal_segment *seg, const char *type, struct shoal_object *o) {
  const struct shoal_entry_shm *e = &seg->entries[o->entry];
  char is[SHOAL_TYPE_MAX + 1] = "";
  for (unsigned i = 0; i < 4; i++) {
    uint64_t word = shoal_load64_acquire(&e->type[i]);  // [D4]
    memcpy(is + UINT64_C(8) * i, &word, 8);
  }
  is[SHOAL_TYPE_MAX] = 0;
  if (strcmp(is, type) != 0) return shoal_fail_(-EBADMSG, "it is a %s, no %s", is, type);
  o->off = shoal_load64_acquire(&e->off);    // [D4]
  o->size = shoal_load64_acquire(&e->size);  // [D4]
  o->memory = o->size ? shoal_run_at_(seg, o->off, o->size) : NULL;
  return o->memory ? 0 : shoal_fail_(-EPROTO, "it is nowhere in the segment");
}
int shoal_object_open_at_(struct shoal_segment *seg, uint32_t entry, uint32_t generation, const char *type,
                          struct shoal_object *out) {
  struct shoal_object o = {.entry = entry, .generation = generation};
  int rc = shoal_object_hold_(seg, &o);
  if (rc) return rc;
  rc = look_at(seg, type, &o);
  if (rc) (void)shoal_object_close(seg, &o);
  else *out = o;
  return rc;
}
