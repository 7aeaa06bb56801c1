// A hash table with open addressing, changed under the segment's writer word, read without it.
//
//   EMPTY     never used, or nothing behind it: ends every search     FREE      searches go on behind it
//   CREATING  its creator, and nobody else, works on it               LIVE      to be found
//   REMOVED   without a name; its memory waits for those who use it
//
//   EMPTY, FREE -> CREATING -> LIVE -> REMOVED -> FREE,   CREATING -> FREE (init failed, or its creator died),
//   CREATING -> REMOVED (made without a name),            FREE -> EMPTY where no search for an entry that lives passes
//
// A LIVE entry never moves, and no entry between its hash and its place is EMPTY while it lives: a search that runs
// beside any change finds it. What is FREE and lies on no such way turns EMPTY at once, so searches stay short for
// ever.
//
// ORDERING
//   [D1] pairs with [D2]: what init wrote, and off and size, are seen by whoever finds the entry LIVE.
//   [D3] pairs with [D4]: a reader that sees a word of a later name sees, after it, a later state: it never takes one
//        object's name with another's place.
//   [F2], [F3]: see core/reference.c.
#include "core/directory.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "core/deadline.h"
#include "core/directory_internal.h"
#include "core/error.h"
#include "core/futex.h"

#define EMPTY SHOAL_ENTRY_EMPTY_
#define FREE SHOAL_ENTRY_FREE_
#define CREATING SHOAL_ENTRY_CREATING_
#define LIVE SHOAL_ENTRY_LIVE_
#define REMOVED SHOAL_ENTRY_REMOVED_
#define STATE SHOAL_ENTRY_STATE_
#define WAITED UINT64_C(8)  // somebody sleeps until CREATING has ended
#define GENERATION SHOAL_ENTRY_GENERATION_
#define CREATOR(w) ((shoal_proc_id)((w) >> 32))
#define MAKE(state, generation, creator) \
  ((uint64_t)(creator) << 32 | (uint64_t)((generation)&0xfffffffu) << 4 | (uint64_t)(state))

struct label {  // a name or type as the entry holds it: padded with zeros
  uint64_t name[8], type[4];
  uint64_t whole;  // of what it is a part, 0: of nothing
};

static int label_make(const char *name, const char *type, struct label *out) {
  *out = (struct label){{0}, {0}, 0};
  if (!name || !*name) return shoal_fail_(-EINVAL, "an object has a name");
  if (!type) return shoal_fail_(-EINVAL, "an object has a type");
  if (strnlen(name, SHOAL_NAME_MAX + 1) > SHOAL_NAME_MAX)
    return shoal_fail_(-ENAMETOOLONG, "a name of more than %d bytes", SHOAL_NAME_MAX);
  if (strnlen(type, SHOAL_TYPE_MAX + 1) > SHOAL_TYPE_MAX)
    return shoal_fail_(-ENAMETOOLONG, "a type of more than %d bytes", SHOAL_TYPE_MAX);
  memcpy(out->name, name, strlen(name));
  memcpy(out->type, type, strlen(type));
  return 0;
}

static int is_nameless(const struct label *l) { return *(const char *)l->name == 0; }

// What nobody can look for, under hashes that differ.
static int label_make_nameless(const char *type, struct label *out) {
  int rc = label_make("-", type, out);
  out->name[0] = 0;
  out->name[1] = (uint64_t)shoal_now_ns();
  return rc;
}

static uint32_t hash_of(const uint64_t *name) {
  uint64_t h = UINT64_C(0x9e3779b97f4a7c15);
  for (unsigned i = 0; i < 8; i++) {
    h = (h ^ name[i]) * UINT64_C(0xff51afd7ed558ccd);
    h ^= h >> 32;
  }
  return (uint32_t)h;
}

// ---- reading ----

struct view {  // a coherent copy of an entry
  uint32_t entry;
  uint64_t state, off, size;
  struct label label;
};

static void view_entry(struct shoal_segment *seg, uint32_t at, struct view *v) {
  struct shoal_entry_shm *e = &seg->entries[at];
  v->entry = at;
  v->state = shoal_load64_acquire(&e->state);  // [D2]
  for (;;) {
    v->off = shoal_load64_acquire(&e->off);                                                 // [D4]
    v->size = shoal_load64_acquire(&e->size);                                               // [D4]
    for (unsigned i = 0; i < 8; i++) v->label.name[i] = shoal_load64_acquire(&e->name[i]);  // [D4]
    for (unsigned i = 0; i < 4; i++) v->label.type[i] = shoal_load64_acquire(&e->type[i]);  // [D4]
    uint64_t now = shoal_load64_acquire(&e->state);                                         // [D2]
    if (now == v->state) return;
    v->state = now;
  }
}

static unsigned state_at(struct shoal_segment *seg, uint32_t at) {
  return STATE(shoal_load64_acquire(&seg->entries[at].state));  // [D2]
}

// The entry of that name that is in one of `states` (bits). With `place`: also where a new one of that name would go.
static int find(struct shoal_segment *seg, const uint64_t *name, unsigned states, struct view *v, int64_t *place) {
  uint32_t mask = seg->g.entries - 1, at = hash_of(name) & mask;
  if (place) *place = -1;
  for (uint32_t i = 0; i <= mask; i++, at = (at + 1) & mask) {
    unsigned state = state_at(seg, at);
    if (place && *place < 0 && state <= FREE) *place = at;
    if (state == EMPTY) return 0;
    if (!(states >> state & 1)) continue;
    view_entry(seg, at, v);
    if ((states >> STATE(v->state) & 1) && memcmp(v->label.name, name, sizeof v->label.name) == 0) return 1;
  }
  return 0;
}

// ---- changing, under the writer word ----

static void set_used(struct shoal_segment *seg, uint32_t n) { shoal_store32_relaxed(&seg->header->objects_used, n); }
static uint32_t used(struct shoal_segment *seg) { return shoal_load32_relaxed(&seg->header->objects_used); }

// How far before its place the search for that entry begins.
static uint32_t reach_of(struct shoal_segment *seg, uint32_t at) {
  uint64_t name[8];
  for (unsigned i = 0; i < 8; i++) name[i] = shoal_load64_relaxed(&seg->entries[at].name[i]);
  return (at - hash_of(name)) & (seg->g.entries - 1);
}

// Places are counted from `at` on. Where the search for the entry at `place` begins, or `first`, if that is before it;
// only what can be found is searched for.
static int64_t earlier(struct shoal_segment *seg, uint32_t at, int64_t place, int64_t first) {
  uint32_t entry = (at + (uint32_t)place) & (seg->g.entries - 1);
  unsigned state = state_at(seg, entry);
  if (state != CREATING && state != LIVE) return first;
  int64_t begins = place - reach_of(seg, entry);
  return begins < first ? begins : first;
}

// FREE entries from `at` to `back` places before it turn EMPTY if no search has to pass them.
static void shorten(struct shoal_segment *seg, uint32_t at, uint32_t back) {
  uint32_t mask = seg->g.entries - 1;
  int64_t first = INT64_MAX;  // where the searches for what lies behind a place begin
  for (uint32_t i = 1; i <= mask && state_at(seg, (at + i) & mask) != EMPTY; i++) first = earlier(seg, at, i, first);
  for (int64_t i = 0; i >= -(int64_t)back; i--) {
    struct shoal_entry_shm *e = &seg->entries[(at + (uint32_t)i) & mask];
    uint64_t w = shoal_load64_relaxed(&e->state);
    if (STATE(w) == FREE && first > i) shoal_store64_relaxed(&e->state, MAKE(EMPTY, GENERATION(w), 0));
    first = earlier(seg, at, i, first);
  }
}

// Gives the run back, then the entry. Killed between any two steps: the state still says what is to be done, and doing
// it again harms nobody, since only words that name this entry are cleared.
static void free_one(struct shoal_segment *seg, uint32_t at) {
  struct shoal_entry_shm *e = &seg->entries[at];
  uint64_t off = shoal_load64_relaxed(&e->off), size = shoal_load64_relaxed(&e->size);
  if (off >= seg->g.units_off)
    shoal_space_mark_(seg, (off - seg->g.units_off) / SHOAL_UNIT_, shoal_units_(size), at + 1, 0);
  uint64_t old = shoal_load64_relaxed(&e->state);
  while (!shoal_cas64_seq_cst(&e->state, &old, MAKE(FREE, GENERATION(old), 0))) continue;  // [F3]
  if (old & WAITED) shoal_futex_wake((shoal_atomic32 *)&e->state, INT_MAX);
  set_used(seg, used(seg) - 1);
  shorten(seg, at, reach_of(seg, at));
}

// The entry + 1 of what it is a part of, and goes with; 0: of nothing that is there.
static uint32_t whole_of(struct shoal_segment *seg, uint32_t at) {
  uint64_t whole = shoal_load64_relaxed(&seg->entries[at].whole) & ~SHOAL_MARKS_;
  uint32_t entry = (uint32_t)whole - 1;
  if (!whole || entry >= seg->g.entries) return 0;
  uint64_t w = shoal_load64_acquire(&seg->entries[entry].state);  // [D2]
  return GENERATION(w) == whole >> 32 && (STATE(w) == LIVE || STATE(w) == REMOVED) ? (uint32_t)whole : 0;
}

// The entry + 1 of one that keeps it: what it is a part of, or is tied to. 0: none does.
static uint32_t keeper_of(struct shoal_segment *seg, uint32_t at) {
  uint32_t whole = whole_of(seg, at);
  return whole ? whole : shoal_tie_holder_(seg, at);
}

// Whether somebody must free the entry: its creator died, or it is removed, the last user has gone, and nothing keeps
// it.
static int to_be_freed(struct shoal_segment *seg, uint32_t at) {
  uint64_t w = shoal_load64_acquire(&seg->entries[at].state);  // [D2]
  if (STATE(w) == CREATING) return !shoal_proc_alive(seg, CREATOR(w), 0);
  return STATE(w) == REMOVED && !shoal_reference_any_(seg, at) && !keeper_of(seg, at);
}

// 1: it kept others, or did once: tidy() is to come, best without the lock. Killed before that: a reaper finds them.
static int free_entry(struct shoal_segment *seg, uint32_t at) {
  uint64_t whole = shoal_load64_relaxed(&seg->entries[at].whole);
  free_one(seg, at);
  return (whole & (SHOAL_PARTS_ | SHOAL_HOLDS_)) != 0;
}

// ---- all that is to be freed ----
// Of each object without a name one keeper is noted, in private memory: when that has gone, another is sought. So what
// goes together takes time in proportion to what there is, however deep; and who is not `locked` takes the lock for one
// at a time.

struct notes {
  uint32_t *first;  // by keeper: entry + 1 of the first that it keeps; NULL: no memory for notes
  uint32_t *next;   // by what is kept: of the next
};

static void note(struct shoal_segment *seg, struct notes *n, uint32_t at) {
  uint32_t keeper = state_at(seg, at) == REMOVED ? keeper_of(seg, at) : 0;
  if (!keeper) return;
  n->next[at] = n->first[keeper - 1];
  n->first[keeper - 1] = at + 1;
}

// What it kept comes before what is to be done.
static uint32_t kept_by(struct notes *n, uint32_t at, uint32_t todo) {
  uint32_t kept = n->first ? n->first[at] : 0;
  if (kept) n->first[at] = 0;
  while (kept) {
    uint32_t next = n->next[kept - 1];
    n->next[kept - 1] = todo;
    todo = kept;
    kept = next;
  }
  return todo;
}

// As free_entry, of one that is to be freed.
static int free_doomed(struct shoal_segment *seg, uint32_t at, int locked) {
  if (!to_be_freed(seg, at) || (!locked && shoal_directory_acquire_(seg))) return 0;
  int kept = (locked || to_be_freed(seg, at)) && free_entry(seg, at);
  if (!locked) shoal_directory_release_(seg);
  return kept;
}

// It, if it is to be freed, then what it kept, if nothing else does, and so on.
static int free_down(struct shoal_segment *seg, struct notes *n, uint32_t at, int locked) {
  if (!free_doomed(seg, at, locked)) return 0;
  for (uint32_t todo = kept_by(n, at, 0); todo;) {
    uint32_t kept = todo - 1;
    todo = n->next[kept];
    if (free_doomed(seg, kept, locked)) todo = kept_by(n, kept, todo);
    else note(seg, n, kept);
  }
  return 1;
}

// Again, if what was freed kept others: they may have come to be kept by it after the notes were made.
static void tidy(struct shoal_segment *seg, int locked) {
  uint32_t entries = seg->g.entries;
  for (int again = 1; again;) {
    // NOLINTNEXTLINE(clang-analyzer-optin.portability.UnixAPI): there are entries
    struct notes n = {calloc(2 * (size_t)entries, sizeof *n.first), NULL};
    if (n.first) n.next = n.first + entries;
    for (uint32_t at = 0; at < entries && n.first; at++) note(seg, &n, at);
    again = 0;
    for (uint32_t at = 0; at < entries; at++) again |= free_down(seg, &n, at, locked);
    free(n.first);
  }
}

int shoal_directory_acquire_(struct shoal_segment *seg) {
  // in a copy nobody would give it back who lives and had it at that moment
  int rc = shoal_robust_acquire_(&seg->header->writer, seg->looks ? SHOAL_TRY : SHOAL_FOREVER);
  if (rc == 0) return 0;
  if (rc != -EOWNERDEAD) return shoal_fail_(rc, "the directory's writer word");
  uint32_t n = 0;  // its last owner died on the way: every entry says how far it came, only the count may be wrong
  for (uint32_t at = seg->g.entries; at--;) {
    n += state_at(seg, at) >= CREATING;
    if (state_at(seg, at) == FREE) shorten(seg, at, 0);
  }
  set_used(seg, n);
  tidy(seg, 1);
  return 0;
}
void shoal_directory_release_(struct shoal_segment *seg) { shoal_robust_release_(&seg->header->writer); }

void shoal_directory_tidy_(struct shoal_segment *seg) {
  int dead = shoal_robust_is_dead(shoal_load32_relaxed(&seg->header->writer.word)), needed = 0;
  if (dead && shoal_directory_acquire_(seg) == 0) shoal_directory_release_(seg);  // repaired
  for (uint32_t at = 0; at < seg->g.entries && !needed; at++) needed = to_be_freed(seg, at);
  if (needed) tidy(seg, 0);
}

int shoal_directory_free_(struct shoal_segment *seg, uint32_t at) {
  uint64_t w = shoal_load64_seq_cst(&seg->entries[at].state);  // [F2]
  if (STATE(w) != REMOVED || shoal_reference_any_(seg, at) || shoal_directory_acquire_(seg)) return 0;
  int kept = to_be_freed(seg, at) && free_entry(seg, at);
  shoal_directory_release_(seg);
  return kept;
}
void shoal_directory_freed_(struct shoal_segment *seg, uint32_t at) {
  if (shoal_directory_free_(seg, at)) tidy(seg, 0);
}

int shoal_directory_has_(struct shoal_segment *seg, uint32_t at, uint32_t generation) {
  uint64_t w = shoal_load64_seq_cst(&seg->entries[at].state);  // [F2]
  if (GENERATION(w) != generation) return 0;
  if (STATE(w) != REMOVED) return STATE(w) == LIVE;
  if (shoal_directory_acquire_(seg)) return 0;  // whoever was about to free it has done so now, or will see our record
  w = shoal_load64_seq_cst(&seg->entries[at].state);  // [F2]
  shoal_directory_release_(seg);
  return GENERATION(w) == generation && STATE(w) == REMOVED;
}

int shoal_directory_lost_(struct shoal_segment *seg, uint32_t at, uint32_t low) {
  if (at >= seg->g.entries) return 1;
  uint64_t w = shoal_load64_acquire(&seg->entries[at].state);  // [D2]
  return STATE(w) < CREATING || ((GENERATION(w) ^ low) & 0xff) != 0;
}

// ---- create ----

// The entry tells its run before the first owner word does: see core/space.c.
static uint64_t claim_entry(struct shoal_segment *seg, uint32_t at, uint64_t run, const struct label *l, uint64_t size,
                            shoal_proc_id id) {
  struct shoal_entry_shm *e = &seg->entries[at];
  uint64_t w = MAKE(CREATING, GENERATION(shoal_load64_relaxed(&e->state)) + 1, id);
  for (unsigned i = 0; i < 8; i++) shoal_store64_release(&e->name[i], l->name[i]);  // [D3] pairs with [D4]
  for (unsigned i = 0; i < 4; i++) shoal_store64_release(&e->type[i], l->type[i]);  // [D3]
  shoal_store64_release(&e->off, seg->g.units_off + run * SHOAL_UNIT_);             // [D3]
  shoal_store64_release(&e->size, size);                                            // [D3]
  shoal_store64_release(&e->whole, l->whole);                                       // [D3]
  if ((uint32_t)l->whole) {
    shoal_atomic64 *parts = &seg->entries[(uint32_t)l->whole - 1].whole;
    shoal_store64_relaxed(parts, shoal_load64_relaxed(parts) | SHOAL_PARTS_);
  }
  shoal_store64_release(&e->state, w);  // [D1] pairs with [D2]
  shoal_space_mark_(seg, run, shoal_units_(size), 0, at + 1);
  set_used(seg, used(seg) + 1);
  return w;
}

struct claimed {  // an entry in creation
  uint32_t at;
  unsigned becomes;  // LIVE, or without a name at once REMOVED: it is for those who hold it
  uint64_t state;    // as it is until its creator ends it, but for WAITED
  uint64_t stained;  // bytes that may not be zero
  int kept;          // somebody's was freed for it, who kept others
};

#define NO_RUN 1

// 0, -EEXIST, -ENOSPC no more names, NO_RUN. Under the writer word.
static int claim(struct shoal_segment *seg, const struct label *l, uint64_t size, shoal_proc_id id,
                 struct claimed *out) {
  struct view v;
  int64_t place;
  while (find(seg, l->name, is_nameless(l) ? 0 : 1u << CREATING | 1u << LIVE, &v, &place)) {
    if (STATE(v.state) == LIVE || shoal_proc_alive(seg, CREATOR(v.state), 1))
      return shoal_fail_(-EEXIST, "\"%.63s\"", (const char *)l->name);
    out->kept |= free_entry(seg, v.entry);
  }
  if (used(seg) >= seg->g.objects || place < 0) return shoal_fail_(-ENOSPC, "no more than %u objects", seg->g.objects);
  int64_t run = shoal_space_find_(seg, shoal_units_(size), size >= SHOAL_PAGE_ ? SHOAL_PAGE_ / SHOAL_UNIT_ : 1);
  if (run < 0) return NO_RUN;
  out->at = (uint32_t)place;
  out->becomes = is_nameless(l) ? REMOVED : LIVE;
  out->stained = shoal_space_use_(seg, (uint64_t)run, shoal_units_(size));
  out->state = claim_entry(seg, out->at, (uint64_t)run, l, size, id);
  return 0;
}

// Makes the segment larger than the `seen` bytes that were too few: twice as large, or as little as will do.
static int grow_for(struct shoal_segment *seg, uint64_t seen, uint64_t size) {
  uint64_t most = seg->g.size_max, need = size + 2 * SHOAL_PAGE_;
  if (shoal_segment_size_(seg) > seen) return 0;
  if (seen == most)
    return shoal_fail_(-ENOSPC, "no %llu bytes in a row, and the segment is at its size_max", (unsigned long long)size);
  if (need > most - seen) need = most - seen;
  uint64_t twice = seen < most / 2 ? seen * 2 : most;
  if (twice > seen + need && shoal_segment_grow(seg, twice) == 0) return 0;
  return shoal_segment_grow(seg, seen + need);
}

// Claims, growing the segment and reaping the dead as needed.
static int claim_or_grow(struct shoal_segment *seg, const struct label *l, uint64_t size, shoal_proc_id id,
                         struct claimed *out) {
  for (int reaped = 0;;) {
    uint64_t seen = shoal_segment_size_(seg);
    int rc = shoal_directory_acquire_(seg);
    if (rc) return rc;
    rc = claim(seg, l, size, id, out);
    shoal_directory_release_(seg);
    if (out->kept) tidy(seg, 0);
    out->kept = 0;
    if (rc == NO_RUN) {
      rc = grow_for(seg, seen, size);
      if (rc == 0) continue;
    }
    if (rc != -ENOSPC || reaped++) return rc;
    shoal_proc_reap_(seg, 1);
  }
}

static int still_ours(struct shoal_segment *seg, const struct claimed *c, uint64_t *state) {
  *state = shoal_load64_relaxed(&seg->entries[c->at].state);
  return (*state & ~WAITED) == c->state;
}

static int not_ours(void) { return shoal_fail_(-EPERM, "its creator left the segment while creating it"); }

static void roll_back(struct shoal_segment *seg, const struct claimed *c) {
  uint64_t w;
  if (shoal_directory_acquire_(seg)) return;
  int kept = still_ours(seg, c, &w) && free_entry(seg, c->at);
  shoal_directory_release_(seg);
  if (kept) tidy(seg, 0);
}

// Killed before the compare-and-set: a dead creator's entry, to be rolled back. After it: an object.
static int publish(struct shoal_segment *seg, const struct claimed *c) {
  struct shoal_entry_shm *e = &seg->entries[c->at];
  uint32_t generation = GENERATION(c->state), record;
  uint64_t w;
  int rc = shoal_reference_add_(seg, c->at, &record);
  if (rc) return rc;
  rc = shoal_held_add_(seg, c->at, generation, record);
  if (rc) {
    shoal_reference_drop_(seg, record);
    return rc;
  }
  while (still_ours(seg, c, &w)) {
    if (!shoal_cas64_release(&e->state, &w, MAKE(c->becomes, generation, 0))) continue;  // [D1]
    if (w & WAITED) shoal_futex_wake((shoal_atomic32 *)&e->state, INT_MAX);
    return 0;
  }
  shoal_held_drop_(seg, c->at, generation);
  return not_ours();
}

static int begin(struct shoal_segment *seg, const struct label *l, uint64_t size, struct shoal_object *out) {
  shoal_proc_id id;
  struct claimed c = {.at = 0};
  int rc = size ? 0 : shoal_fail_(-EINVAL, "an object has a size");
  if (rc == 0 && size > seg->g.size_max)
    rc = shoal_fail_(-ENOSPC, "%llu bytes: size_max is %llu", (unsigned long long)size,
                     (unsigned long long)seg->g.size_max);
  if (rc == 0) rc = shoal_proc_self(seg, &id);
  if (rc == 0) rc = claim_or_grow(seg, l, size, id, &c);
  if (rc) return rc;
  shoal_off off = shoal_load64_relaxed(&seg->entries[c.at].off);
  struct shoal_object object = {shoal_segment_at(seg, off, size), size, off, c.at, GENERATION(c.state)};
  if (!object.memory || shoal_robust_owns_some_of_(object.memory, size))
    return shoal_object_end_(seg, &object, shoal_fail_(-EPROTO, "the directory is damaged"));
  memset(object.memory, 0, c.stained < size ? c.stained : size);
  *out = object;
  return 0;
}

int shoal_object_begin_(struct shoal_segment *seg, const char *name, const char *type, uint64_t size,
                        struct shoal_object *out) {
  struct label l;
  int rc = name ? label_make(name, type, &l) : label_make_nameless(type, &l);
  return rc ? rc : begin(seg, &l, size, out);
}

int shoal_object_begin_tied_(struct shoal_segment *seg, const char *type, uint64_t size, struct shoal_object *out) {
  struct label l;
  int rc = label_make_nameless(type, &l);
  l.whole = SHOAL_TIED_;
  return rc ? rc : begin(seg, &l, (size + 7) / 8 * 8 + SHOAL_TIES_BYTES_, out);
}

int shoal_object_end_(struct shoal_segment *seg, const struct shoal_object *object, int rc) {
  uint64_t state = shoal_load64_relaxed(&seg->entries[object->entry].state) & ~WAITED;
  unsigned becomes = shoal_load64_relaxed(&seg->entries[object->entry].name[0]) ? LIVE : REMOVED;
  struct claimed c = {.at = object->entry, .becomes = becomes, .state = state};
  if (STATE(state) != CREATING || GENERATION(state) != object->generation) return not_ours();
  if (rc == 0) rc = publish(seg, &c);
  if (rc) roll_back(seg, &c);
  return rc;
}

int shoal_object_create(struct shoal_segment *seg, const char *name, const char *type, uint64_t size,
                        int (*init)(void *, uint64_t, void *), void *arg, struct shoal_object *out) {
  struct shoal_object object;
  int rc = shoal_object_begin_(seg, name, type, size, &object);
  if (rc == 0) rc = shoal_object_end_(seg, &object, init ? init(object.memory, size, arg) : 0);
  if (rc == 0) *out = object;
  return rc;
}

// ---- parts ----

static int find_part(struct shoal_segment *seg, const struct label *l, uint64_t size, struct shoal_object *out) {
  struct view v;
  for (uint32_t at = 0; at < seg->g.entries; at++) {
    if ((shoal_load64_relaxed(&seg->entries[at].whole) & ~SHOAL_MARKS_) != l->whole || state_at(seg, at) != REMOVED)
      continue;
    view_entry(seg, at, &v);
    void *memory = shoal_run_at_(seg, v.off, v.size);
    if (v.label.name[2] != l->name[2] || v.size != size || !memory) continue;
    *out = (struct shoal_object){memory, v.size, v.off, v.entry, GENERATION(v.state)};
    return 1;
  }
  return 0;
}

// As publish, but nobody holds it: what it goes with is held.
int shoal_object_part_(struct shoal_segment *seg, const struct shoal_object *whole, uint32_t which, uint64_t size,
                       struct shoal_object *out) {
  struct label l;
  int rc = label_make_nameless("part", &l);
  if (rc) return rc;
  l.name[2] = (uint64_t)which + 1;
  l.whole = SHOAL_WHOLE_(whole->entry, whole->generation);
  if (find_part(seg, &l, size, out))
    return shoal_robust_owns_some_of_(out->memory, size) ? shoal_fail_(-EPROTO, "the directory is damaged") : 0;
  rc = begin(seg, &l, size, out);
  if (rc) return rc;
  shoal_atomic64 *state = &seg->entries[out->entry].state;
  uint64_t w = shoal_load64_relaxed(state);
  while (STATE(w) == CREATING && GENERATION(w) == out->generation)
    if (shoal_cas64_release(state, &w, MAKE(REMOVED, out->generation, 0))) return 0;  // [D1]
  return not_ours();
}

// ---- open, close, remove ----

static int wrong_type(const struct view *v, const char *type) {
  return shoal_fail_(-EBADMSG, "\"%.63s\" is of type \"%.31s\", not \"%s\"", (const char *)v->label.name,
                     (const char *)v->label.type, type);
}

int shoal_object_open(struct shoal_segment *seg, const char *name, const char *type, struct shoal_object *out) {
  struct label l;
  struct view v;
  shoal_proc_id id;
  uint32_t record;
  int rc = label_make(name, type, &l);
  if (rc == 0) rc = shoal_proc_self(seg, &id);
  while (rc == 0) {
    if (!find(seg, l.name, 1u << LIVE, &v, NULL)) return shoal_fail_(-ENOENT, "no object \"%s\"", name);
    if (memcmp(v.label.type, l.type, sizeof l.type) != 0) return wrong_type(&v, type);
    void *memory = shoal_run_at_(seg, v.off, v.size);
    if (!memory || v.size == 0) return shoal_fail_(-EPROTO, "\"%s\" is nowhere in the segment", name);
    rc = shoal_reference_add_(seg, v.entry, &record);
    if (rc) break;
    if (shoal_load64_seq_cst(&seg->entries[v.entry].state) == v.state) {  // [F2] still there, and now it stays
      rc = shoal_held_add_(seg, v.entry, GENERATION(v.state), record);
      if (rc == 0) {
        *out = (struct shoal_object){memory, v.size, v.off, v.entry, GENERATION(v.state)};
        return 0;
      }
    }
    shoal_reference_drop_(seg, record);
    shoal_directory_freed_(seg, v.entry);
  }
  return rc;
}

// Sleeps while somebody alive is creating that name. Its death wakes one sleeper; who creates next wakes the others.
static void wait_for_creator(struct shoal_segment *seg, const struct label *l) {
  struct view v;
  struct shoal_futex_entry words[2];
  if (!find(seg, l->name, 1u << CREATING, &v, NULL)) return;
  shoal_atomic64 *state = &seg->entries[v.entry].state;
  if (!(v.state & WAITED) && !shoal_cas64_relaxed(state, &v.state, v.state | WAITED)) return;
  if (!shoal_proc_witness_(seg, CREATOR(v.state), &words[1])) return;
  words[0] = (struct shoal_futex_entry){(shoal_atomic32 *)state, (uint32_t)(v.state | WAITED)};
  shoal_futex_wait_many(words, 2, 0, shoal_after_ns(SHOAL_RECHECK_NS));
}

static int open_or_begin(struct shoal_segment *seg, const char *name, const char *type, uint64_t size,
                         struct shoal_object *out) {
  struct label l;
  int rc = label_make(name, type, &l);
  while (rc == 0) {
    rc = shoal_object_open(seg, name, type, out);
    if (rc != -ENOENT) return rc;
    rc = shoal_object_begin_(seg, name, type, size, out);
    if (rc == 0) return 1;
    if (rc != -EEXIST) return rc;
    wait_for_creator(seg, &l);
    rc = 0;
  }
  return rc;
}

int shoal_object_open_or_begin_(struct shoal_segment *seg, const char *name, const char *type, uint64_t size,
                                struct shoal_object *out) {
  struct shoal_kept_reason_ kept;
  shoal_reason_keep_(&kept);
  int rc = open_or_begin(seg, name, type, size, out);
  if (rc >= 0) shoal_reason_restore_(&kept);
  return rc;
}

int shoal_object_open_or_create(struct shoal_segment *seg, const char *name, const char *type, uint64_t size,
                                int (*init)(void *, uint64_t, void *), void *arg, struct shoal_object *out) {
  struct shoal_object object = {.memory = NULL};
  int rc = shoal_object_open_or_begin_(seg, name, type, size, &object);
  if (rc == 1) rc = shoal_object_end_(seg, &object, init ? init(object.memory, size, arg) : 0);
  if (rc == 0) *out = object;
  return rc;
}

int shoal_object_close(struct shoal_segment *seg, struct shoal_object *object) {
  int rc = shoal_held_drop_(seg, object->entry, object->generation);
  if (rc == 0) *object = (struct shoal_object){.memory = NULL};
  return rc;
}

int shoal_object_at(struct shoal_segment *seg, const void *address, struct shoal_object *out) {
  shoal_off off = shoal_segment_off(seg, address);
  uint64_t unit = (off - seg->g.units_off) / SHOAL_UNIT_;
  uint32_t owner = 0;
  struct view v;
  if (off >= seg->g.units_off && unit < shoal_segment_size_(seg) / SHOAL_UNIT_)
    owner = shoal_load32_relaxed(&seg->owners[unit]);
  if (owner == 0 || owner > seg->g.entries) return shoal_fail_(-EINVAL, "no object is there");
  view_entry(seg, owner - 1, &v);
  if ((STATE(v.state) != LIVE && STATE(v.state) != REMOVED) || v.off != off)
    return shoal_fail_(-EINVAL, "no object begins there");
  *out = (struct shoal_object){seg->base + off, v.size, off, owner - 1, GENERATION(v.state)};
  return 0;
}

// Whether `wanted` is the object's type, or, ending in ':', what its type begins with.
static int is_of_type(const struct view *v, const char *wanted) {
  const char *type = (const char *)v->label.type;
  size_t n = strlen(wanted);
  return strncmp(type, wanted, n && wanted[n - 1] == ':' ? n : sizeof v->label.type) == 0;
}

// `type` NULL: any.
static int remove_object(struct shoal_segment *seg, const char *name, const char *type) {
  struct label l;
  struct view v;
  int kept = 0, rc = label_make(name, type ? type : "", &l);
  if (rc == 0) rc = shoal_directory_acquire_(seg);
  if (rc) return rc;
  if (!find(seg, l.name, 1u << LIVE, &v, NULL)) {
    rc = shoal_fail_(-ENOENT, "no object \"%s\"", name);
  } else if (type && !is_of_type(&v, type)) {
    rc = wrong_type(&v, type);
  } else {
    // [F3] pairs with [F2]. Killed after it: removed; its memory is freed by its last user, or by a reaper.
    shoal_store64_seq_cst(&seg->entries[v.entry].state, MAKE(REMOVED, GENERATION(v.state), 0));
    kept = to_be_freed(seg, v.entry) && free_entry(seg, v.entry);
  }
  shoal_directory_release_(seg);
  if (kept) tidy(seg, 0);
  return rc;
}

int shoal_object_remove(struct shoal_segment *seg, const char *name) { return remove_object(seg, name, NULL); }

int shoal_object_remove_typed(struct shoal_segment *seg, const char *name, const char *type) {
  return type ? remove_object(seg, name, type) : shoal_fail_(-EINVAL, "an object has a type");
}

int shoal_object_confirm(struct shoal_segment *seg, const struct shoal_object *object) {
  shoal_proc_id id;
  int rc = shoal_proc_self(seg, &id);
  return rc ? rc : shoal_held_confirm_(seg, object->entry, object->generation);
}

// ---- who is there ----

int shoal_object_list(struct shoal_segment *seg, int (*each)(const struct shoal_object_info *, void *), void *arg) {
  for (uint32_t at = 0; at < seg->g.entries; at++) {
    struct view v;
    if (state_at(seg, at) != LIVE) continue;
    view_entry(seg, at, &v);
    if (STATE(v.state) != LIVE) continue;
    struct shoal_object_info info = {.size = v.size, .off = v.off};
    memcpy(info.name, v.label.name, SHOAL_NAME_MAX);
    memcpy(info.type, v.label.type, SHOAL_TYPE_MAX);
    int rc = each(&info, arg);
    if (rc) return rc;
  }
  return 0;
}
