// A dict's stripes and tables. [D1]..[D4]: ipc/data/dict.h; the intents: ipc/data/dict_internal.h.
#include <stdlib.h>

#include "core/futex.h"
#include "ipc/data/dict_internal.h"

static int damaged(void) { return shoal_fail_(-EPROTO, "the dict is damaged"); }

int shoal_table_look_(struct shoal_dict *d, struct shoal_table_ *t) {
  uint64_t root = shoal_load64_acquire(&d->shm->root);  // [D4] pairs with [D3]
  unsigned log = SHOAL_ROOT_LOG_(root);
  *t = (struct shoal_table_){.root = root};
  if (!SHOAL_ROOT_OFF_(root)) return 0;
  if (log < SHOAL_TABLE_LOG_MIN_ || log > SHOAL_TABLE_LOG_MAX_) return -1;
  t->mask = (UINT64_C(1) << log) - 1;
  t->shm = shoal_keep_at_(&d->keep, SHOAL_ROOT_OFF_(root), shoal_table_size_(t));
  if (!t->shm || shoal_dict_is_in_(d, t->shm, shoal_table_size_(t))) return -1;
  t->seq = shoal_load32_acquire(&t->shm->seq);  // [D4]
  shoal_store64_release(&d->sound, root);       // [I5] pairs with [I6]
  return 1;
}
int shoal_dict_table_(struct shoal_dict *d, struct shoal_table_ *t) {
  return SHOAL_UNLIKELY(shoal_table_look_(d, t) < 0) ? damaged() : 0;
}

// ---- a stripe ----

static int is_done(const struct shoal_dict_stripe_shm *s, uint32_t state, const struct shoal_table_ *t) {
  uint64_t slot = s->slot;
  if (!t->shm || slot > t->mask) return 0;
  uint64_t now = shoal_load64_relaxed(&t->shm->word[slot]);
  return state == SHOAL_DICT_REMOVE_ ? now != s->was : now == s->word;
}

// What was intended is done, or never was.
static int settle(struct shoal_dict *d, struct shoal_dict_stripe_shm *s, int done) {
  if (done) {
    shoal_store64_relaxed(&s->entries, s->entries_then);
    shoal_store64_relaxed(&s->bytes, s->bytes_then);
  }
  int rc = shoal_item_end_(&d->keep, done ? &s->old : &s->fresh);
  if (!rc) shoal_dict_idle_(s);
  return rc;
}
int shoal_dict_settle_(struct shoal_dict *d, struct shoal_dict_stripe_shm *s) { return settle(d, s, 1); }

// A value that a dead one was changing. Before its head said so nobody has seen the new one: it stays what it was.
static int overwrite(struct shoal_dict *d, struct shoal_dict_stripe_shm *s) {
  struct shoal_block_ref ref = shoal_ref_read_(&s->old);
  uint64_t was = __atomic_load_n(&s->was, __ATOMIC_RELAXED), bytes = was & SHOAL_ITEM_BYTES_;
  struct shoal_item_shm *it = ref.off % 16 ? NULL : shoal_keep_at_(&d->keep, ref.off, sizeof *it);
  if (!it || bytes > SHOAL_DICT_BESIDE_ || !shoal_item_may_change_(was) || shoal_load32_relaxed(&it->seq) != ref.seq)
    return damaged();
  uint64_t head = shoal_load64_relaxed(&it->head);
  uint32_t key = shoal_load32_relaxed(&it->key);
  uint64_t size = shoal_item_size_(key, bytes);
  if (head == was || head == was + SHOAL_ITEM_CHANGED_) {
    shoal_dict_idle_(s);
    return 0;
  }
  if (head != (was | SHOAL_ITEM_CHANGING_) || !shoal_keep_at_(&d->keep, ref.off, size) ||
      shoal_dict_is_over_(d, it, size))
    return damaged();
  shoal_dict_overwrite_(s, it, key, was);
  return 0;
}

static int repair(struct shoal_dict *d, struct shoal_dict_stripe_shm *s) {
  struct shoal_table_ t;
  uint32_t state = s->lock.state;
  if (state == SHOAL_DICT_OVERWRITE_) return overwrite(d, s);
  int rc = shoal_dict_table_(d, &t);
  return rc ? rc : settle(d, s, is_done(s, state, &t));
}

static int is_destroyed(const struct shoal_dict *d) {
  return __atomic_load_n(&d->shm->kind, __ATOMIC_RELAXED) != SHOAL_DICT_KIND_;
}

static int lock_one(struct shoal_dict *d, uint32_t i, shoal_deadline deadline) {
  struct shoal_dict_stripe_shm *s = &d->shm->stripe[i];
  int rc = shoal_robust_acquire_(&s->lock, deadline);
  if (SHOAL_UNLIKELY(rc && rc != -EOWNERDEAD)) return rc;
  rc = SHOAL_UNLIKELY(is_destroyed(d)) ? shoal_fail_(-EINVAL, "the dict has been destroyed") : 0;
  if (SHOAL_UNLIKELY(s->lock.state != SHOAL_DICT_IDLE_) && !rc) rc = repair(d, s);
  if (SHOAL_UNLIKELY(rc)) shoal_robust_release_(&s->lock);
  return rc;
}

void shoal_dict_unlock_(struct shoal_dict *d, uint32_t stripe) { shoal_robust_release_(&d->shm->stripe[stripe].lock); }

// Whose table is in the middle of a change is dead: the living would have this stripe.
int shoal_dict_lock_(struct shoal_dict *d, uint32_t stripe, shoal_deadline deadline) {
  if (SHOAL_UNLIKELY(shoal_inside_)) return shoal_fail_(-EDEADLK, "the callback of an update would change a dict");
  for (;;) {
    int rc = lock_one(d, stripe, deadline);
    if (SHOAL_UNLIKELY(rc) || SHOAL_LIKELY(!shoal_load32_relaxed(&d->shm->moving))) return rc;
    shoal_dict_unlock_(d, stripe);
    rc = shoal_dict_lock_all_(d, deadline);
    if (rc) return rc;
    shoal_dict_unlock_all_(d);
  }
}

// ---- a table that is another's, or nobody's ----

uint64_t shoal_dict_entries_(const struct shoal_dict *d) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < d->stripes; i++) sum += shoal_load64_relaxed(&d->shm->stripe[i].entries);
  return sum;
}

// All that the last table led to is ended, and nothing is counted.
static int end_cleared(struct shoal_dict *d) {
  uint64_t was = d->shm->was;
  unsigned log = SHOAL_ROOT_LOG_(was);
  for (uint32_t i = 0; i < d->stripes; i++) {
    shoal_store64_relaxed(&d->shm->stripe[i].entries, 0);
    shoal_store64_relaxed(&d->shm->stripe[i].bytes, 0);
  }
  if (log < SHOAL_TABLE_LOG_MIN_ || log > SHOAL_TABLE_LOG_MAX_) return 0;
  struct shoal_table_shm *t = shoal_keep_at_(&d->keep, SHOAL_ROOT_OFF_(was), sizeof *t + (UINT64_C(8) << log));
  return t ? shoal_sweep_run_(&d->keep, &d->shm->sweep, t->word, UINT64_C(1) << log) : 0;
}

// Under all stripes. What was intended with the table is done, or never was.
static int end_move(struct shoal_dict *d) {
  struct shoal_dict_shm *shm = d->shm;
  int done = shoal_load64_relaxed(&shm->root) == shm->then;
  int rc = done && shoal_load32_relaxed(&shm->moving) == SHOAL_DICT_CLEAR_ ? end_cleared(d) : 0;
  if (rc == 0) rc = shoal_keep_end_(&d->keep, done ? &shm->old : &shm->fresh);
  if (rc) return rc;
  if (done) shoal_store64_relaxed(&shm->used, shoal_dict_entries_(d));
  SHOAL_COMPILER_BARRIER();
  shoal_store32_relaxed(&shm->moving, SHOAL_DICT_STILL_);
  SHOAL_COMPILER_BARRIER();
  return 0;
}

int shoal_dict_lock_all_(struct shoal_dict *d, shoal_deadline deadline) {
  int rc = shoal_inside_ ? shoal_fail_(-EDEADLK, "the callback of an update would lock a dict") : 0;
  uint32_t i = 0;
  for (; i < d->stripes && !rc; i += !rc) rc = lock_one(d, i, deadline);
  if (rc == 0 && shoal_load32_relaxed(&d->shm->moving)) rc = end_move(d);
  if (rc)
    while (i--) shoal_dict_unlock_(d, i);
  return rc;
}

void shoal_dict_unlock_all_(struct shoal_dict *d) {
  for (uint32_t i = d->stripes; i--;) shoal_dict_unlock_(d, i);
}

// ---- under all stripes: another table ----

static void place(struct shoal_table_shm *to, uint64_t mask, uint64_t hash, uint64_t word) {
  uint64_t at = shoal_table_home_(hash, mask);
  while (shoal_load64_relaxed(&to->word[at])) at = (at + 1) & mask;
  shoal_store64_relaxed(&to->word[at], word);
}

// 0; -EPROTO: a word leads nowhere, or there are more of them than have room.
static int copy_words(struct shoal_dict *d, const struct shoal_table_ *from, struct shoal_table_shm *to,
                      uint64_t mask) {
  uint64_t copied = 0;
  for (uint64_t i = 0; i <= mask; i++) shoal_store64_relaxed(&to->word[i], SHOAL_ITEM_NONE_);
  for (uint64_t i = 0; from->shm && i <= from->mask; i++) {
    uint64_t word = shoal_load64_relaxed(&from->shm->word[i]);
    struct shoal_item_ it;
    if (word <= SHOAL_ITEM_REMOVED_) continue;
    if (shoal_item_look_(&d->keep, word, &it) || ++copied > mask) return damaged();
    place(to, mask, shoal_hash_(d->seed, shoal_item_key_(it.shm), it.key), word);
  }
  return 0;
}

// `block` NULL: no table. Else it holds 1 << log words.
static int publish(struct shoal_dict *d, const struct shoal_table_ *old, void *block, unsigned log, uint32_t how) {
  struct shoal_dict_shm *shm = d->shm;
  shoal_off off = block ? shoal_segment_off(d->keep.seg, block) : 0;
  shm->was = old->root;
  shm->then = off >> 4 << 22 | (uint64_t)(block ? log : 0) << 16 | ((old->root + 1) & 0xffff);
  shm->fresh = (struct shoal_block_ref){.off = 0};
  shm->old = (struct shoal_block_ref){SHOAL_ROOT_OFF_(old->root), old->seq, 0};
  shm->sweep.phase = 0;
  SHOAL_COMPILER_BARRIER();
  shoal_store32_relaxed(&shm->moving, how);
  SHOAL_COMPILER_BARRIER();
  int rc = block ? shoal_keep_give_(&d->keep, block, &shm->fresh) : 0;
  if (rc) shoal_store32_relaxed(&shm->moving, SHOAL_DICT_STILL_);
  if (rc) return rc;
  shoal_store64_release(&shm->root, shm->then);  // [D3] pairs with [D4]
  SHOAL_COMPILER_BARRIER();
  return end_move(d);
}

static int move_to(struct shoal_dict *d, const struct shoal_table_ *old, unsigned log) {
  void *block = NULL;
  int rc = shoal_heap_alloc_aligned(d->keep.heap, sizeof(struct shoal_table_shm) + (UINT64_C(8) << log),
                                    SHOAL_CACHE_LINE, &block);
  if (rc) return rc;
  rc = copy_words(d, old, block, (UINT64_C(1) << log) - 1);
  if (rc == 0) rc = publish(d, old, block, log, SHOAL_DICT_MOVE_);
  else shoal_heap_free(d->keep.heap, block);
  return rc;
}

static int resize(struct shoal_dict *d, uint64_t more) {
  struct shoal_table_ t;
  uint64_t n = shoal_dict_entries_(d) + more;
  unsigned log = shoal_table_log_(n - more + 1, n > d->capacity ? n : d->capacity);
  int rc = shoal_dict_table_(d, &t);
  if (rc) return rc;
  uint64_t words = t.mask + 1;
  int is_full = !t.shm || shoal_load64_relaxed(&d->shm->used) + more > shoal_table_limit_(words);
  int is_sparse = t.shm && n < words / 8 && log < SHOAL_ROOT_LOG_(t.root);
  return is_full || is_sparse ? move_to(d, &t, log) : 0;  // else another has done it
}

int shoal_dict_resize_(struct shoal_dict *d, uint64_t more, shoal_deadline deadline) {
  int rc = shoal_dict_lock_all_(d, deadline);
  if (rc) return rc;
  rc = resize(d, more);
  shoal_dict_unlock_all_(d);
  return rc;
}

// ---- clear ----

static int clear(struct shoal_dict *d) {
  struct shoal_table_ t;
  int rc = shoal_dict_table_(d, &t);
  return rc || !t.shm ? rc : publish(d, &t, NULL, 0, SHOAL_DICT_CLEAR_);
}

int shoal_dict_clear(struct shoal_dict *d, shoal_deadline deadline) {
  int rc = shoal_dict_lock_all_(d, deadline);
  if (rc) return rc;
  rc = clear(d);
  shoal_dict_unlock_all_(d);
  return rc;
}

int shoal_dict_destroy(struct shoal_dict *d, shoal_deadline deadline) {
  int rc = shoal_dict_lock_all_(d, deadline);
  if (rc) return rc;
  rc = clear(d);
  if (rc == 0) __atomic_store_n(&d->shm->kind, 0, __ATOMIC_RELAXED);
  shoal_dict_unlock_all_(d);
  return rc ? rc : shoal_dict_close(d);
}

// ---- all of one moment ----

struct record {
  uint64_t key, value;  // bytes, NESTED: it is a handle; then they, each to 8 bytes
};

// Calls `each` for every item. Under all stripes.
static int walk(struct shoal_dict *d, void (*each)(struct shoal_dict_snapshot *, const struct shoal_item_ *),
                struct shoal_dict_snapshot *s) {
  struct shoal_table_ t;
  int rc = shoal_dict_table_(d, &t);
  for (uint64_t i = 0; !rc && t.shm && i <= t.mask; i++) {
    uint64_t word = shoal_load64_relaxed(&t.shm->word[i]);
    struct shoal_item_ it;
    if (word <= SHOAL_ITEM_REMOVED_) continue;
    if (shoal_item_look_(&d->keep, word, &it)) rc = damaged();
    else each(s, &it);
  }
  return rc;
}

static uint64_t record_size(const struct shoal_item_ *it) {
  return sizeof(struct record) + shoal_padded_(it->key) + shoal_padded_(it->value);
}
static void measure(struct shoal_dict_snapshot *s, const struct shoal_item_ *it) { s->length += record_size(it); }
static void copy(struct shoal_dict_snapshot *s, const struct shoal_item_ *it) {
  struct record r = {it->key, it->value | (uint64_t)it->nested << 63};
  if (!s->bytes || record_size(it) > s->length - s->at) return;  // its length has changed: a peer scribbles
  char *to = s->bytes + s->at;
  memcpy(to, &r, sizeof r);
  shoal_words_read_(shoal_item_key_(it->shm), to + sizeof r, it->key);
  shoal_words_read_(shoal_item_value_(it), to + sizeof r + shoal_padded_(it->key), it->value);
  s->at += record_size(it);
  s->entries++;
}

static int take_all(struct shoal_dict *d, struct shoal_dict_snapshot *s) {
  int rc = walk(d, measure, s);
  if (rc) return rc;
  if (s->length && !(s->bytes = malloc(s->length)))
    return shoal_fail_(-ENOMEM, "%llu bytes", (unsigned long long)s->length);
  rc = walk(d, copy, s);
  s->length = s->at;
  s->at = 0;
  return rc;
}

int shoal_dict_snapshot(struct shoal_dict *d, struct shoal_dict_snapshot *out, shoal_deadline deadline) {
  struct shoal_dict_snapshot s = {.bytes = NULL};
  int rc = shoal_dict_lock_all_(d, deadline);
  if (rc) return rc;
  rc = take_all(d, &s);
  shoal_dict_unlock_all_(d);
  if (rc) free(s.bytes);
  else *out = s;
  return rc;
}

int shoal_dict_next(struct shoal_dict_snapshot *s, struct shoal_dict_item *item) {
  struct record r;
  if (s->at >= s->length) return 0;
  memcpy(&r, s->bytes + s->at, sizeof r);
  const char *key = s->bytes + s->at + sizeof r;
  s->nested = (uint32_t)(r.value >> 63);
  r.value &= ~SHOAL_ITEM_NESTED_;
  *item = (struct shoal_dict_item){key, r.key, key + shoal_padded_(r.key), r.value};
  s->at += sizeof r + shoal_padded_(r.key) + shoal_padded_(r.value);
  return 1;
}

void shoal_dict_snapshot_free(struct shoal_dict_snapshot *s) {
  free(s->bytes);
  *s = (struct shoal_dict_snapshot){.bytes = NULL};
}

// ---- what there is ----

int shoal_dict_info(struct shoal_dict *d, struct shoal_dict_info *out) {
  struct shoal_table_ t;
  struct shoal_dict_info info = {.stripes = d->stripes};
  int rc = shoal_dict_table_(d, &t);
  if (rc) return rc;
  info.tables = t.root & 0xffff;
  if (t.shm) info.table = shoal_table_size_(&t);
  if (t.shm) info.capacity = shoal_table_limit_(t.mask + 1);
  for (uint32_t i = 0; i < d->stripes; i++) {
    const struct shoal_dict_stripe_shm *s = &d->shm->stripe[i];
    uint32_t word = shoal_load32_relaxed(&s->lock.word);
    info.entries += shoal_load64_relaxed(&s->entries);
    info.payload += shoal_load64_relaxed(&s->bytes);
    info.writers += shoal_robust_owner(word) != 0;
    info.waiting += (word & FUTEX_WAITERS) != 0;
    info.dead += shoal_robust_is_dead(word) && !shoal_robust_owner(word);
  }
  info.holders = shoal_object_ties_(d->keep.seg, &d->object);
  info.blocks = info.payload + info.entries * sizeof(struct shoal_item_shm);
  *out = info;
  return 0;
}
