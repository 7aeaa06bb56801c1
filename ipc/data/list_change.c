// A list's lock, and what is done with it. [V1]..[V4]: ipc/data/list.h; the intents: ipc/data/list_internal.h.
#include "ipc/data/list_internal.h"

#define OFF(root) ((root) >> 22 << 4)
#define LOG(root) ((unsigned)((root) >> 16) & 63u)

int shoal_list_row_(struct shoal_list *l, uint64_t root, struct shoal_row_ *r) {
  *r = (struct shoal_row_){.root = root};
  if (!OFF(root)) return 0;
  if (LOG(root) < SHOAL_ROW_LOG_MIN_ || LOG(root) > SHOAL_ROW_LOG_MAX_) return shoal_list_damaged_();
  r->room = UINT64_C(1) << LOG(root);
  r->shm = shoal_keep_at_(&l->keep, OFF(root), sizeof *r->shm + 8 * r->room);
  if (!r->shm) return shoal_list_damaged_();
  r->seq = shoal_load32_acquire(&r->shm->seq);        // [V4] pairs with [V3]
  r->length = shoal_load64_acquire(&r->shm->length);  // [V2] pairs with [V1]
  if (r->length > r->room) r->length = r->room;       // a row of another life, or damage
  return 0;
}

// ---- repair ----

static int is_set(struct shoal_list *l) {
  struct shoal_row_ r;
  uint64_t slot = l->shm->slot;
  if (shoal_list_look_(l, &r) || slot >= r.length) return 0;
  return shoal_load64_relaxed(&r.shm->word[slot]) == l->shm->word;
}
static int is_changed(struct shoal_list *l) {
  struct shoal_row_ r;
  if (shoal_list_look_(l, &r) || r.root != l->shm->then) return 0;
  return r.length == l->shm->length_then;
}

static int is_added(struct shoal_list *l) {
  struct shoal_row_ r;
  return shoal_list_look_(l, &r) == 0 && r.length == l->shm->slot + 1;
}

static uint64_t at_most(uint64_t n, uint64_t most) { return n < most ? n : most; }

// What the last row had, and this one has not.
static int end_dropped(struct shoal_list *l) {
  struct shoal_list_shm *shm = l->shm;
  struct shoal_row_ r;
  int rc = shoal_list_row_(l, shm->was, &r);
  if (rc || !r.shm) return rc;
  rc = shoal_sweep_run_(&l->keep, &shm->drop, r.shm->word, at_most(shm->drop_to, r.room));
  return rc ? rc : shoal_keep_end_(&l->keep, &shm->old);
}

// What was given for a row that was never published.
static int end_given(struct shoal_list *l) {
  struct shoal_list_shm *shm = l->shm;
  struct shoal_row_ r;
  uint64_t phase = __atomic_load_n(&shm->give.phase, __ATOMIC_RELAXED);
  int rc = phase & 1 ? shoal_item_end_(&l->keep, &shm->give.ref) : 0;
  if (rc == 0) rc = shoal_list_row_(l, shm->then, &r);
  if (rc == 0 && r.shm) rc = shoal_sweep_run_(&l->keep, &shm->undo, r.shm->word, at_most(phase / 2, r.room));
  return rc ? rc : shoal_keep_end_(&l->keep, &shm->fresh);
}

static int settle(struct shoal_list *l, uint32_t state) {
  struct shoal_list_shm *shm = l->shm;
  int rc;
  if (state == SHOAL_LIST_SET_) rc = shoal_item_end_(&l->keep, is_set(l) ? &shm->old : &shm->fresh);
  else if (state == SHOAL_LIST_ADD_) rc = is_added(l) ? 0 : shoal_item_end_(&l->keep, &shm->fresh);
  else rc = is_changed(l) ? end_dropped(l) : end_given(l);
  if (rc) return rc;
  SHOAL_COMPILER_BARRIER();
  shm->lock.state = SHOAL_LIST_IDLE_;
  SHOAL_COMPILER_BARRIER();
  return 0;
}

int shoal_list_lock_(struct shoal_list *l, shoal_deadline deadline) {
  struct shoal_list_shm *shm = l->shm;
  if (SHOAL_UNLIKELY(shoal_inside_)) return shoal_fail_(-EDEADLK, "a callback would change a list");
  int rc = shoal_robust_acquire_(&shm->lock, deadline);
  if (SHOAL_UNLIKELY(rc && rc != -EOWNERDEAD)) return rc;
  rc = __atomic_load_n(&shm->kind, __ATOMIC_RELAXED) == SHOAL_LIST_KIND_
           ? 0
           : shoal_fail_(-EINVAL, "the list has been destroyed");
  if (SHOAL_UNLIKELY(shm->lock.state != SHOAL_LIST_IDLE_) && !rc) rc = settle(l, shm->lock.state);
  if (SHOAL_UNLIKELY(rc)) shoal_list_unlock_(l);
  return rc;
}
void shoal_list_unlock_(struct shoal_list *l) { shoal_robust_release_(&l->shm->lock); }

// The row is written to: not over what this thread holds, whose links it believes.
int shoal_list_begin_(struct shoal_list *l, struct shoal_row_ *row, shoal_deadline deadline) {
  int rc = shoal_list_lock_(l, deadline);
  if (rc) return rc;
  rc = shoal_list_look_(l, row);
  if (!rc && row->shm && SHOAL_UNLIKELY(shoal_robust_owns_some_of_(row->shm, sizeof *row->shm + 8 * row->room)))
    rc = shoal_list_damaged_();
  if (rc) shoal_list_unlock_(l);
  return rc;
}

static void intend(struct shoal_list *l, uint32_t state) {
  SHOAL_COMPILER_BARRIER();
  l->shm->lock.state = state;
  SHOAL_COMPILER_BARRIER();
}

// ---- one value ----

int shoal_list_put_(struct shoal_list *l, const struct shoal_row_ *row, uint64_t slot, struct shoal_item_shm *item) {
  struct shoal_list_shm *shm = l->shm;
  shoal_atomic64 *at = &row->shm->word[slot];
  uint64_t was = shoal_load64_relaxed(at);
  struct shoal_item_ it;
  if (shoal_item_look_(&l->keep, was, &it)) {
    (void)shoal_heap_free(l->keep.heap, item);
    return shoal_list_damaged_();
  }
  shm->slot = slot;
  shm->word = UINT64_MAX;  // no word is
  shm->fresh = (struct shoal_block_ref){.off = 0};
  shm->old = shoal_item_ref_(&it, was);
  intend(l, SHOAL_LIST_SET_);
  int rc = shoal_item_give_(&l->keep, item, &shm->fresh);
  if (rc) {
    intend(l, SHOAL_LIST_IDLE_);
    (void)shoal_heap_free(l->keep.heap, item);
    return rc;
  }
  shm->word = shoal_item_word_(shm->fresh.off, 0, shm->fresh.seq);
  SHOAL_COMPILER_BARRIER();
  shoal_store64_release(at, shm->word);  // [V1] pairs with [V2]
  SHOAL_COMPILER_BARRIER();
  (void)settle(l, SHOAL_LIST_SET_);
  return 0;
}

// Behind the last; the row has room.
static int add(struct shoal_list *l, const struct shoal_row_ *row, struct shoal_item_shm *item) {
  struct shoal_list_shm *shm = l->shm;
  shm->slot = row->length;
  shm->fresh = (struct shoal_block_ref){.off = 0};
  intend(l, SHOAL_LIST_ADD_);
  int rc = shoal_item_give_(&l->keep, item, &shm->fresh);
  if (SHOAL_UNLIKELY(rc)) {
    intend(l, SHOAL_LIST_IDLE_);
    (void)shoal_heap_free(l->keep.heap, item);
    return rc;
  }
  shoal_store64_relaxed(&row->shm->word[row->length], shoal_item_word_(shm->fresh.off, 0, shm->fresh.seq));
  shoal_store64_release(&row->shm->length, row->length + 1);  // [V1] pairs with [V2]
  intend(l, SHOAL_LIST_IDLE_);
  return 0;
}

// ---- several ----

static unsigned log_for(uint64_t n) {
  unsigned log = SHOAL_ROW_LOG_MIN_;
  while (log < SHOAL_ROW_LOG_MAX_ && UINT64_C(1) << log < n) log++;
  return log;
}

struct change {
  const struct shoal_row_ *row;
  uint64_t from, drop, n, length;  // length: then
  struct shoal_item_shm *const *items;
  struct shoal_row_shm *fresh;  // a new row, or NULL: in place
  unsigned log;
};

// In place: only the end changes, and it fits.
static int may_be_in_place(const struct change *c) {
  const struct shoal_row_ *r = c->row;
  return r->shm && c->from + c->drop == r->length && !(c->drop && c->n) && c->length <= r->room;
}
static int is_much_too_large(const struct change *c) { return c->row->room > 8 && c->length < c->row->room / 8; }

static int make_row(struct shoal_list *l, struct change *c) {
  void *block = NULL;
  const struct shoal_row_ *r = c->row;
  c->log = log_for(c->length);
  int rc = shoal_heap_alloc_aligned(l->keep.heap, sizeof *c->fresh + (UINT64_C(8) << c->log), SHOAL_CACHE_LINE, &block);
  if (rc) return rc;
  c->fresh = block;
  shoal_store64_relaxed(&c->fresh->length, c->length);
  for (uint64_t i = 0; i < c->from; i++)
    shoal_store64_relaxed(&c->fresh->word[i], shoal_load64_relaxed(&r->shm->word[i]));
  for (uint64_t i = c->from + c->drop, to = c->from + c->n; i < r->length; i++, to++)
    shoal_store64_relaxed(&c->fresh->word[to], shoal_load64_relaxed(&r->shm->word[i]));
  return 0;
}

static void intend_change(struct shoal_list *l, const struct change *c) {
  struct shoal_list_shm *shm = l->shm;
  uint64_t root = c->row->root, off = c->fresh ? shoal_segment_off(l->keep.seg, c->fresh) : 0;
  int moves = c->fresh || !c->length;
  struct shoal_block_ref none = {.off = 0}, old = {OFF(root), c->row->seq, 0};
  shm->was = root;
  shm->then = moves ? off >> 4 << 22 | (uint64_t)c->log << 16 | ((root + 1) & 0xffff) : root;
  shm->length_then = c->length;
  shm->fresh = none;
  shm->old = moves ? old : none;
  shm->give.phase = shm->undo.phase = 2 * c->from;
  shm->drop.phase = 2 * c->from;
  shm->drop_to = c->from + c->drop;
  intend(l, SHOAL_LIST_CHANGE_);
}

static int give_all(struct shoal_list *l, const struct change *c, shoal_atomic64 *words, uint64_t *given) {
  struct shoal_sweep_shm *give = &l->shm->give;
  for (*given = 0; *given < c->n; ++*given) {
    give->ref = (struct shoal_block_ref){.off = 0};
    SHOAL_COMPILER_BARRIER();
    give->phase = 2 * (c->from + *given) + 1;
    SHOAL_COMPILER_BARRIER();
    int rc = shoal_item_give_(&l->keep, c->items[*given], &give->ref);
    if (rc) give->ref = (struct shoal_block_ref){.off = 0};  // else its end, refused, is the reason that is told
    if (rc) return rc;
    shoal_store64_relaxed(&words[c->from + *given], shoal_item_word_(give->ref.off, 0, give->ref.seq));
    SHOAL_COMPILER_BARRIER();
    give->phase = 2 * (c->from + *given + 1);
    SHOAL_COMPILER_BARRIER();
  }
  return 0;
}

static void drop_items(struct shoal_list *l, struct shoal_item_shm *const *items, uint64_t from, uint64_t to) {
  for (uint64_t i = from; i < to; i++) (void)shoal_heap_free(l->keep.heap, items[i]);
}

static int run(struct shoal_list *l, const struct change *c) {
  struct shoal_list_shm *shm = l->shm;
  uint64_t given = 0;
  intend_change(l, c);
  int rc = c->fresh ? shoal_block_give_(l->keep.heap, c->fresh, l->keep.entry, l->keep.generation, &shm->fresh) : 0;
  if (rc) (void)shoal_heap_free(l->keep.heap, c->fresh), rc = shoal_list_damaged_();
  else if (c->n) rc = give_all(l, c, c->fresh ? c->fresh->word : c->row->shm->word, &given);
  if (rc) {
    drop_items(l, c->items, given, c->n);
    (void)settle(l, SHOAL_LIST_CHANGE_);
    return rc;
  }
  // [V3] Not before all its words: who has seen this root 65,536 changes ago would take what lay there for them.
  if (c->fresh) shoal_store32_release(&c->fresh->seq, shm->fresh.seq);
  if (shm->then != c->row->root) shoal_store64_release(&shm->root, shm->then);  // [V3] pairs with [V4]
  else shoal_store64_release(&c->row->shm->length, c->length);                  // [V1]
  SHOAL_COMPILER_BARRIER();
  (void)settle(l, SHOAL_LIST_CHANGE_);
  return 0;
}

int shoal_list_change_(struct shoal_list *l, const struct shoal_row_ *row, uint64_t from, uint64_t drop,
                       struct shoal_item_shm *const *items, uint64_t n) {
  struct change c = {.row = row, .from = from, .drop = drop, .n = n, .length = row->length - drop + n, .items = items};
  if (!drop && !n) return 0;
  int in_place = may_be_in_place(&c), too_large = is_much_too_large(&c);
  if (!drop && n == 1 && in_place && !too_large) return add(l, row, items[0]);
  int rc = c.length && (!in_place || too_large) ? make_row(l, &c) : 0;
  if (rc && !in_place) {  // else the row stays larger than it need be
    drop_items(l, items, 0, n);
    return rc;
  }
  return run(l, &c);
}

int shoal_list_reorder_(struct shoal_list *l, const struct shoal_row_ *row, const uint64_t *words) {
  struct change c = {.row = row, .from = row->length, .length = row->length};
  int rc = make_row(l, &c);
  if (rc) return rc;
  for (uint64_t i = 0; i < row->length; i++) shoal_store64_relaxed(&c.fresh->word[i], words[i]);
  return run(l, &c);
}
