// What is done under the lock, and what its words say to who has not got it.
#include "core/count_internal.h"
#include "core/error.h"
#include "ipc/queue/ordered_internal.h"

#define NONE 0u  // of a list, where a cell is its number + 1

// ---- cells and places ----

uint32_t shoal_ordered_cells(const struct shoal_ordered *o) {
  return o->capacity << shoal_load32_acquire(&o->known);  // [K2] pairs with [K1]: the chunks' addresses are there
}

static char *data_of(const struct shoal_ordered *o, struct shoal_cell_shm *cell) {
  return (char *)cell + shoal_cell_offset_(o->element_size);
}
void *shoal_ordered_data(const struct shoal_ordered *o, uint32_t c) { return data_of(o, shoal_cell_at_(o, c)); }

static uint32_t word_of(uint32_t state, uint32_t deaths, uint32_t owner) { return state << 22 | deaths << 12 | owner; }
static uint32_t state_of(uint32_t word) { return word >> 22 & 3; }
static uint32_t deaths_of(uint32_t word) { return word >> 12 & SHOAL_CELL_DEATHS_MAX_; }
static uint32_t owner_of(uint32_t word) { return word & 0xfff; }
static uint32_t word_at(const struct shoal_ordered *o, uint32_t c) {
  return shoal_load32_relaxed(&shoal_cell_at_(o, c)->word);
}
// The point at which an operation happens: what it wrote before is in memory if it is killed after.
static void set_word(struct shoal_cell_shm *cell, uint32_t word) {
  SHOAL_COMPILER_BARRIER();
  shoal_store32_release(&cell->word, word);  // [J1] pairs with [J2]: all that was done inside before
  SHOAL_COMPILER_BARRIER();
}
static uint32_t next_of(const struct shoal_ordered *o, uint32_t c) {
  return shoal_load32_relaxed(&shoal_cell_at_(o, c)->next);
}
static void set_next(const struct shoal_ordered *o, uint32_t c, uint32_t next) {
  shoal_store32_relaxed(&shoal_cell_at_(o, c)->next, next);
}
// In a stack from whose bottom messages give way, the cell above each: what has nothing above it may say anything.
static uint32_t above_of(const struct shoal_ordered *o, uint32_t c) {
  return (uint32_t)shoal_load64_relaxed(&shoal_cell_at_(o, c)->key);
}
static void set_above(const struct shoal_ordered *o, uint32_t c, uint32_t above) {
  if (o->evicts && o->by == SHOAL_ORDERED_LIFO) shoal_store64_relaxed(&shoal_cell_at_(o, c)->key, above);
}
static uint64_t seq_of(const struct shoal_ordered *o, uint32_t c) {
  return shoal_load64_relaxed(&shoal_cell_at_(o, c)->seq);
}

static void add(shoal_atomic32 *n, uint32_t k) { shoal_store32_relaxed(n, shoal_load32_relaxed(n) + k); }
static void count(shoal_atomic64 *n) { shoal_store64_relaxed(n, shoal_load64_relaxed(n) + 1); }
// The cell's number is used up once its word says what it is: killed between, remake does that.
static void new_seq(const struct shoal_ordered *o, struct shoal_cell_shm *cell) {
  shoal_store64_relaxed(&cell->seq, shoal_load64_relaxed(&o->shm->seq));
}

// ---- the lists ----

static void chain(const struct shoal_ordered *o, uint32_t before, uint32_t c) {
  if (before) set_next(o, before - 1, c + 1);
}
// Two lists, sorted by sequence, made one: rising, or falling.
static uint32_t merge(const struct shoal_ordered *o, uint32_t a, uint32_t b, int falling) {
  uint32_t first = NONE, last = NONE;
  while (a && b) {
    uint32_t *from = (seq_of(o, b - 1) < seq_of(o, a - 1)) != falling ? &b : &a, c = *from - 1;
    *from = next_of(o, c);
    if (*from > shoal_ordered_cells(o)) *from = NONE;  // damage
    chain(o, last, c);
    last = c + 1;
    if (!first) first = last;
  }
  if (last) set_next(o, last - 1, a ? a : b);
  return first ? first : a ? a : b;
}
static uint32_t sorted(const struct shoal_ordered *o, uint32_t list, int falling) {
  uint32_t runs[32] = {NONE}, i, c;
  while ((c = list)) {
    list = next_of(o, c - 1);
    if (list > shoal_ordered_cells(o)) list = NONE;  // damage
    set_next(o, c - 1, NONE);
    for (i = 0; i < 31 && runs[i]; i++) {
      c = merge(o, runs[i], c, falling);
      runs[i] = NONE;
    }
    runs[i] = c;
  }
  for (i = 0, list = NONE; i < 32; i++) list = merge(o, runs[i], list, falling);
  return list;
}

// ---- the index ----

// `cell` is cell `c`, here and below: each time that it is looked up costs as much as what is done to it. 0: it is
// damaged.
static int insert(struct shoal_ordered *o, uint32_t c, struct shoal_cell_shm *cell, enum shoal_ordered_how how) {
  struct shoal_ordered_shm *s = o->shm;
  uint32_t n = shoal_load32_relaxed(&s->count), cells = shoal_ordered_cells(o);
  uint32_t first = shoal_load32_relaxed(&s->first), last = shoal_load32_relaxed(&s->last);
  if (n >= cells || first > cells || last > cells || !first != !last) return 0;
  if (o->by == SHOAL_ORDERED_PRIORITY) {
    if (!shoal_ordered_heap_insert_(o, n, shoal_entry_of_(o, c))) return 0;
  } else if (o->by == SHOAL_ORDERED_LIFO || how == SHOAL_ORDERED_AGAIN || !first) {
    shoal_store32_relaxed(&cell->next, first);
    shoal_store32_relaxed(&s->first, c + 1);
    if (!first) shoal_store32_relaxed(&s->last, c + 1);
    else set_above(o, first - 1, c + 1);
  } else {
    shoal_store32_relaxed(&cell->next, NONE);
    set_next(o, last - 1, c + 1);
    shoal_store32_relaxed(&s->last, c + 1);
  }
  shoal_store32_relaxed(&s->count, n + 1);
  return 1;
}

// Takes out the next one, which is `cell`. 0: it is damaged.
static int remove_next(struct shoal_ordered *o, const struct shoal_cell_shm *cell) {
  struct shoal_ordered_shm *s = o->shm;
  uint32_t n = shoal_load32_relaxed(&s->count);
  if (n - 1 >= shoal_ordered_cells(o)) return 0;
  shoal_store32_relaxed(&s->count, n - 1);
  if (o->by == SHOAL_ORDERED_PRIORITY) return shoal_ordered_heap_remove_(o, n);
  uint32_t first = shoal_load32_relaxed(&cell->next);
  shoal_store32_relaxed(&s->first, first);
  if (!first) shoal_store32_relaxed(&s->last, NONE);
  return 1;
}

static void put_on(shoal_atomic32 *list, uint32_t c, struct shoal_cell_shm *cell) {
  shoal_store32_relaxed(&cell->next, shoal_load32_relaxed(list));
  shoal_store32_relaxed(list, c + 1);
}

static void end_payload(const struct shoal_ordered *o, uint32_t c) {
  if (o->payload) o->payload->end(o, shoal_ordered_data(o, c));
}
static int is_there(const struct shoal_ordered *o, uint32_t c) {
  return !o->payload || o->payload->is_there(o, shoal_ordered_data(o, c));
}

// What the cells say, but for a claim of nobody's. One that is free may have been filled, but not made ready.
static uint32_t healed(struct shoal_ordered *o, uint32_t c) {
  uint32_t word = shoal_load32_acquire(&shoal_cell_at_(o, c)->word), state = state_of(word);  // [N2]
  if (state == SHOAL_CELL_FREE_) end_payload(o, c);
  if (state == SHOAL_CELL_FREE_ || state == SHOAL_CELL_READY_ || shoal_role_valid_(o->view, owner_of(word)))
    return state;
  state = state == SHOAL_CELL_READING_ && is_there(o, c) ? SHOAL_CELL_READY_ : SHOAL_CELL_FREE_;
  if (state == SHOAL_CELL_FREE_) end_payload(o, c);
  set_word(shoal_cell_at_(o, c), word_of(state, deaths_of(word), 0));
  return state;
}

// The message that gives way has done so if its cell is free: then it counts, once, whoever was killed at what point of
// it.
static void settle_eviction(struct shoal_ordered *o) {
  struct shoal_ordered_shm *s = o->shm;
  uint64_t evicting = shoal_load64_relaxed(&s->evicting);
  uint32_t c = (uint32_t)evicting - 1;
  if (SHOAL_LIKELY(!evicting)) return;
  int is_free = c < shoal_ordered_cells(o) && state_of(word_at(o, c)) == SHOAL_CELL_FREE_;
  if (is_free && (uint32_t)shoal_load64_relaxed(&s->evicted) != evicting >> 32) count(&s->evicted);
  SHOAL_COMPILER_BARRIER();
  shoal_store64_relaxed(&s->evicting, 0);
  SHOAL_COMPILER_BARRIER();  // before the cell is anything else
}

static void list_of(struct shoal_ordered *o, uint32_t list) {
  uint32_t last = list = sorted(o, list, o->by == SHOAL_ORDERED_LIFO), cells = shoal_ordered_cells(o);
  shoal_store32_relaxed(&o->shm->first, list);
  for (uint32_t i = 0, next; i < cells && last && (next = next_of(o, last - 1)) && next <= cells; i++) {
    set_above(o, next - 1, last);
    last = next;
  }
  shoal_store32_relaxed(&o->shm->last, last);
}

// The index, the free cells and the counts, from what the cells say. Killed on the way: the next one begins anew.
static SHOAL_NOINLINE void remake(struct shoal_ordered *o) {
  struct shoal_ordered_shm *s = o->shm;
  uint32_t cells = shoal_ordered_cells(o), used = shoal_load32_relaxed(&s->used);
  uint32_t n[4] = {0};
  shoal_atomic32 ready = {NONE}, unused = {NONE};
  shoal_exchange32_seq_cst(&s->ended, 0);  // [N2] pairs with [N1]
  count(&s->seq);                          // [J1]: the dead one may have used that number, and told nobody
  SHOAL_COMPILER_BARRIER();
  settle_eviction(o);
  if (used > cells) shoal_store32_relaxed(&s->used, used = cells);
  for (uint32_t c = used; c--;) {
    uint32_t state = healed(o, c);
    n[state]++;
    if (state == SHOAL_CELL_READY_) put_on(&ready, c, shoal_cell_at_(o, c));
    else if (state == SHOAL_CELL_FREE_) put_on(&unused, c, shoal_cell_at_(o, c));
  }
  if (o->by == SHOAL_ORDERED_PRIORITY) shoal_ordered_heap_remake_(o, ready.v_, n[SHOAL_CELL_READY_]);
  else list_of(o, ready.v_);
  shoal_store32_relaxed(&s->free, unused.v_);
  shoal_store32_relaxed(&s->count, n[SHOAL_CELL_READY_]);
  shoal_store32_relaxed(&s->lent, n[SHOAL_CELL_WRITING_] + n[SHOAL_CELL_READING_]);
  shoal_store32_release(&s->writing, n[SHOAL_CELL_WRITING_]);  // [O1] pairs with [O2]
  count(&s->remade);
}

// ---- the lock ----

static int entered(struct shoal_ordered *o, int rc) {
  if (rc && rc != -EOWNERDEAD) return rc;
  shoal_ordered_look_for_chunks_(o);
  if (SHOAL_UNLIKELY(rc || shoal_ordered_is_stale(o))) remake(o);
  return 0;
}
int shoal_ordered_enter(struct shoal_ordered *o, uint32_t me, shoal_deadline deadline) {
  return entered(o, shoal_role_lock_acquire(&o->shm->lock, o->view, me, deadline));
}
int shoal_ordered_inherit(struct shoal_ordered *o, uint32_t role, shoal_deadline deadline) {
  return entered(o, shoal_role_lock_inherit(&o->shm->lock, o->view, role, deadline));
}
void shoal_ordered_leave(struct shoal_ordered *o, uint32_t me) { shoal_role_lock_release(&o->shm->lock, o->view, me); }

// ---- inside ----

// The message that is next or, `last`, the one that gives way.
static int find(struct shoal_ordered *o, int last, uint32_t *cell) {
  struct shoal_ordered_shm *s = o->shm;
  uint32_t cells = shoal_ordered_cells(o);
  for (int again = 0; again < 2; again++) {
    uint32_t n = shoal_load32_relaxed(&s->count);
    if (!n) return -EAGAIN;
    uint32_t c = o->by != SHOAL_ORDERED_PRIORITY ? shoal_load32_relaxed(last ? &s->last : &s->first) - 1
                 : last                          ? shoal_ordered_heap_last_(o, n)
                                                 : shoal_ordered_heap_first_(o);
    if (n <= cells && c < cells && state_of(word_at(o, c)) == SHOAL_CELL_READY_) {
      *cell = c;
      return 0;
    }
    remake(o);
  }
  return shoal_fail_(-EPROTO, "the queue's cells are damaged");
}
int shoal_ordered_next(struct shoal_ordered *o, uint32_t *cell) { return find(o, 0, cell); }

// 0: it is damaged.
static int remove_bottom(struct shoal_ordered *o, uint32_t c, uint32_t n) {
  struct shoal_ordered_shm *s = o->shm;
  uint32_t above = n > 1 ? above_of(o, c) : NONE;
  if (n > 1 ? above - 1 >= shoal_ordered_cells(o) || next_of(o, above - 1) != c + 1
            : shoal_load32_relaxed(&s->first) != c + 1)
    return 0;
  if (above) set_next(o, above - 1, NONE);
  else shoal_store32_relaxed(&s->first, NONE);
  shoal_store32_relaxed(&s->last, above);
  return 1;
}
static int remove_last(struct shoal_ordered *o, uint32_t c, const struct shoal_cell_shm *cell) {
  uint32_t n = shoal_load32_relaxed(&o->shm->count);
  if (o->by == SHOAL_ORDERED_FIFO) return remove_next(o, cell);
  if (n - 1 >= shoal_ordered_cells(o)) return 0;
  shoal_store32_relaxed(&o->shm->count, n - 1);
  return o->by == SHOAL_ORDERED_PRIORITY ? shoal_ordered_heap_remove_last_(o, n) : remove_bottom(o, c, n);
}

// What is found damaged on the way is made anew, and the cell is among the free ones.
int shoal_ordered_evict(struct shoal_ordered *o, uint32_t *cell) {
  struct shoal_ordered_shm *s = o->shm;
  uint32_t c = 0;
  int rc = find(o, o->by != SHOAL_ORDERED_FIFO, &c);
  if (rc) return rc;
  struct shoal_cell_shm *at = shoal_cell_at_(o, c);
  uint32_t counted = (uint32_t)shoal_load64_relaxed(&s->evicted) + 1;
  shoal_store64_relaxed(&s->evicting, (uint64_t)counted << 32 | (c + 1));
  set_word(at, word_of(SHOAL_CELL_FREE_, 0, 0));
  end_payload(o, c);
  if (!remove_last(o, c, at)) {
    remake(o);
    return -EAGAIN;
  }
  settle_eviction(o);
  *cell = c;
  return 0;
}

int shoal_ordered_take(struct shoal_ordered *o, uint32_t *cell) {
  struct shoal_ordered_shm *s = o->shm;
  uint32_t cells = shoal_ordered_cells(o);
  for (int again = 0; again < 2; again++) {
    uint32_t c = shoal_load32_relaxed(&s->free), used = shoal_load32_relaxed(&s->used);
    if (!c) {
      if (used < cells) {
        shoal_store32_relaxed(&s->used, used + 1);
        *cell = used;
        return 0;
      }
      uint64_t taken = (uint64_t)shoal_load32_relaxed(&s->count) + shoal_load32_relaxed(&s->lent);
      if (taken >= cells) return o->evicts && !o->grow ? shoal_ordered_evict(o, cell) : -EAGAIN;
      remake(o);  // some are in no list
      continue;
    }
    if (c <= cells && state_of(word_at(o, c - 1)) == SHOAL_CELL_FREE_) {
      shoal_store32_relaxed(&s->free, next_of(o, c - 1));
      *cell = c - 1;
      return 0;
    }
    remake(o);
  }
  return -EAGAIN;
}

// Takes the lent cell, whose word was `word`, from the counts, once it counts as what it is now.
static void unlend(struct shoal_ordered *o, uint32_t word) {
  uint32_t state = state_of(word);
  if (state != SHOAL_CELL_WRITING_ && state != SHOAL_CELL_READING_) return;
  add(&o->shm->lent, UINT32_MAX);
  if (state == SHOAL_CELL_READING_) return;
  shoal_store32_release(&o->shm->writing, shoal_load32_relaxed(&o->shm->writing) - 1);  // [O1] pairs with [O2]
}

static void make_ready(struct shoal_ordered *o, uint32_t c, struct shoal_cell_shm *cell, enum shoal_ordered_how how,
                       uint32_t deaths) {
  uint32_t was = shoal_load32_relaxed(&cell->word);
  if (how == SHOAL_ORDERED_NEW && o->by == SHOAL_ORDERED_PRIORITY)
    shoal_store64_relaxed(&cell->key, shoal_ordered_heap_key_(o->key.type, data_of(o, cell) + o->key.offset));
  int renewed = how == SHOAL_ORDERED_NEW || o->by == SHOAL_ORDERED_LIFO;
  if (renewed) new_seq(o, cell);
  set_word(cell, word_of(SHOAL_CELL_READY_, deaths < SHOAL_CELL_DEATHS_MAX_ ? deaths : SHOAL_CELL_DEATHS_MAX_, 0));
  if (renewed) count(&o->shm->seq);  // [J1]
  if (SHOAL_LIKELY(insert(o, c, cell, how))) unlend(o, was);
  else remake(o);
}
void shoal_ordered_ready(struct shoal_ordered *o, uint32_t c, enum shoal_ordered_how how, uint32_t deaths) {
  make_ready(o, c, shoal_cell_at_(o, c), how, deaths);
}

void shoal_ordered_reserve(struct shoal_ordered *o, uint32_t c, uint32_t me) {
  struct shoal_cell_shm *cell = shoal_cell_at_(o, c);
  new_seq(o, cell);
  set_word(cell, word_of(SHOAL_CELL_WRITING_, 0, me));
  count(&o->shm->seq);  // [J1]
  add(&o->shm->lent, 1);
  add(&o->shm->writing, 1);
}

void shoal_ordered_receive(struct shoal_ordered *o, uint32_t c, uint32_t me) {
  struct shoal_cell_shm *cell = shoal_cell_at_(o, c);
  set_word(cell, word_of(SHOAL_CELL_READING_, deaths_of(shoal_load32_relaxed(&cell->word)), me));
  add(&o->shm->lent, 1);
  if (!remove_next(o, cell)) remake(o);
}

static void vacate(struct shoal_ordered *o, uint32_t c, struct shoal_cell_shm *cell) {
  uint32_t was = shoal_load32_relaxed(&cell->word);
  set_word(cell, word_of(SHOAL_CELL_FREE_, 0, 0));
  if (state_of(was) == SHOAL_CELL_READY_ && !remove_next(o, cell)) {
    remake(o);
    return;
  }
  unlend(o, was);
  put_on(&o->shm->free, c, cell);
}
void shoal_ordered_free(struct shoal_ordered *o, uint32_t c) { vacate(o, c, shoal_cell_at_(o, c)); }

// A call of memcpy costs as much as all the rest, and the compiler shall not make one of this.
static void copy(void *to, const void *from, uint32_t size) {
  if (SHOAL_UNLIKELY(size % sizeof(uint64_t) || size > 64)) {
    memcpy(to, from, size);
    return;
  }
  for (uint32_t i = 0; i < size; i += sizeof(uint64_t)) {
    uint64_t word;
    memcpy(&word, (const char *)from + i, sizeof word);
    __asm__("" : "+r"(word));
    memcpy((char *)to + i, &word, sizeof word);
  }
}
static void bump(const struct shoal_ordered *o, int side) {
  if (SHOAL_UNLIKELY(shoal_eventcount_asleep_(o->view->shm, side))) shoal_eventcount_bump_(o->view->shm, side);
}

__attribute__((flatten)) int shoal_ordered_put(struct shoal_ordered *o, uint32_t me, const void *element,
                                               shoal_deadline deadline) {
  uint32_t c;
  int rc = shoal_ordered_enter(o, me, deadline);
  if (SHOAL_UNLIKELY(rc)) return rc;
  rc = SHOAL_UNLIKELY(shoal_eventcount_closed(o->view->shm)) ? -EPIPE : shoal_ordered_take(o, &c);
  if (SHOAL_LIKELY(!rc)) {
    bump(o, SHOAL_CONSUMER);
    if (SHOAL_UNLIKELY(o->evicts)) bump(o, SHOAL_PRODUCER);  // to whom a message is room
    struct shoal_cell_shm *cell = shoal_cell_at_(o, c);
    copy(data_of(o, cell), element, o->element_size);
    make_ready(o, c, cell, SHOAL_ORDERED_NEW, 0);
  }
  shoal_ordered_leave(o, me);
  return rc;
}
__attribute__((flatten)) int shoal_ordered_get(struct shoal_ordered *o, uint32_t me, void *element,
                                               shoal_deadline deadline) {
  uint32_t c;
  int rc = shoal_ordered_enter(o, me, deadline);
  if (SHOAL_UNLIKELY(rc)) return rc;
  rc = shoal_ordered_next(o, &c);
  if (SHOAL_LIKELY(!rc)) {
    bump(o, SHOAL_PRODUCER);
    // as bump_for_room() of queue_ordered.c
    if (SHOAL_UNLIKELY(shoal_load32_relaxed(&o->view->shm->ev[SHOAL_CONSUMER]) & SHOAL_EV_E_)) bump(o, SHOAL_CONSUMER);
    struct shoal_cell_shm *cell = shoal_cell_at_(o, c);
    copy(element, data_of(o, cell), o->element_size);
    vacate(o, c, cell);
  }
  shoal_ordered_leave(o, me);
  return rc;
}

// 1: it is to be ready again.
static int empty_cell(struct shoal_ordered *o, uint32_t c, uint32_t word, int dead) {
  if (state_of(word) == SHOAL_CELL_WRITING_) {
    end_payload(o, c);
    shoal_ordered_free(o, c);
    if (dead) count(&o->shm->holes), shoal_note_skip_(shoal_cell_at_(o, c));
  } else if (state_of(word) == SHOAL_CELL_READING_ && dead && !is_there(o, c)) {
    shoal_ordered_free(o, c);
  } else if (state_of(word) == SHOAL_CELL_READING_ && dead && o->drop) {
    end_payload(o, c);
    shoal_ordered_free(o, c);
    count(&o->shm->dropped);
  } else if (state_of(word) == SHOAL_CELL_READING_) {
    if (dead) count(&o->shm->redelivered), shoal_note_redeliver_(shoal_cell_at_(o, c));
    return 1;
  }
  return 0;
}
// What nobody has in hands any more, as a list: ready again in its order, not in that of its cells.
static void again(struct shoal_ordered *o, uint32_t list, uint32_t n, uint32_t deaths) {
  uint32_t cells = shoal_ordered_cells(o), next;
  for (list = sorted(o, list, o->by != SHOAL_ORDERED_LIFO); list && list <= cells && n--; list = next) {
    next = next_of(o, list - 1);
    shoal_ordered_ready(o, list - 1, SHOAL_ORDERED_AGAIN, deaths_of(word_at(o, list - 1)) + deaths);
  }
}
static uint32_t lent_cells(const struct shoal_ordered *o) {
  uint32_t cells = shoal_ordered_cells(o), used = shoal_load32_relaxed(&o->shm->used), n = 0;
  for (uint32_t c = used < cells ? used : cells; c--;) {
    uint32_t state = state_of(word_at(o, c));
    n += state == SHOAL_CELL_WRITING_ || state == SHOAL_CELL_READING_;
  }
  return n;
}
void shoal_ordered_empty(struct shoal_ordered *o, uint32_t role, int dead) {
  uint32_t cells = shoal_ordered_cells(o), used = shoal_load32_relaxed(&o->shm->used), list = NONE, n = 0;
  if (!shoal_load32_relaxed(&o->shm->lent)) return;
  if (dead && lent_cells(o) != shoal_load32_relaxed(&o->shm->lent))
    remake(o);  // it ended one outside, and did not say so
  for (uint32_t c = used < cells ? used : cells; c--;) {
    uint32_t word = word_at(o, c);
    if (owner_of(word) != role || !empty_cell(o, c, word, dead)) continue;
    set_next(o, c, list);
    list = c + 1;
    n++;
  }
  again(o, list, n, dead != 0);
}

void shoal_ordered_lease(struct shoal_ordered *o, uint32_t c, int64_t ns) {
  shoal_store64_relaxed(shoal_until_at_(o, c), (uint64_t)ns);
}
// One whose block is gone was received, and its holder killed as it released it: whoever inherits from that frees the
// cell.
uint32_t shoal_ordered_take_back(struct shoal_ordered *o, int64_t now, int64_t *next) {
  uint32_t cells = shoal_ordered_cells(o), used = shoal_load32_relaxed(&o->shm->used), list = NONE, n = 0;
  if (!shoal_load32_relaxed(&o->shm->lent)) return 0;
  for (uint32_t c = used < cells ? used : cells; c--;) {
    uint32_t word = word_at(o, c);
    if (state_of(word) != SHOAL_CELL_READING_ || !is_there(o, c)) continue;
    int64_t end = (int64_t)shoal_load64_relaxed(shoal_until_at_(o, c));
    if (end > now) {
      if (end < *next) *next = end;
      continue;
    }
    set_next(o, c, list);
    list = c + 1;
    n++;
  }
  again(o, list, n, 1);
  return n;
}

// ---- anywhere ----

void shoal_ordered_end_outside(struct shoal_ordered *o, uint32_t c, int again, uint32_t deaths) {
  struct shoal_cell_shm *cell = shoal_cell_at_(o, c);
  if (again && o->by == SHOAL_ORDERED_LIFO) new_seq(o, cell);
  if (deaths > SHOAL_CELL_DEATHS_MAX_) deaths = SHOAL_CELL_DEATHS_MAX_;
  set_word(cell, again ? word_of(SHOAL_CELL_READY_, deaths, 0) : word_of(SHOAL_CELL_FREE_, 0, 0));
  shoal_store32_release(&o->shm->ended, 1);  // [N1] pairs with [N2]
}

#define RUN_OUT (UINT64_C(1) << 63)  // of a lease's time: before all others
uint64_t shoal_ordered_until(const struct shoal_ordered *o, uint32_t c) {
  return shoal_load64_relaxed(shoal_until_at_(o, c));
}
int shoal_ordered_run_out(const struct shoal_ordered *o, uint32_t c, uint64_t until) {
  return shoal_cas64_relaxed(shoal_until_at_(o, c), &until, RUN_OUT);
}
static int is_let_go(const struct shoal_ordered *o, uint32_t c) {
  return o->leases && shoal_ordered_until(o, c) == RUN_OUT;
}

uint64_t shoal_ordered_token(const struct shoal_ordered *o, uint32_t c) { return seq_of(o, c) << 32 | c; }

int shoal_ordered_holds(const struct shoal_ordered *o, uint32_t me, uint64_t token, uint32_t state, uint32_t *deaths) {
  uint32_t c = (uint32_t)token;
  if (c >= shoal_ordered_cells(o)) return 0;
  uint32_t word = word_at(o, c);
  *deaths = deaths_of(word);
  return state_of(word) == state && owner_of(word) == me && shoal_ordered_token(o, c) == token;
}

uint32_t shoal_ordered_writer(const struct shoal_ordered *o) {
  uint32_t cells = shoal_ordered_cells(o), used = shoal_load32_relaxed(&o->shm->used);
  for (uint32_t c = used < cells ? used : cells; c--;) {
    // [O3] pairs with [J1]: who has committed is seen inside, or to have left
    uint32_t word = shoal_load32_acquire(&shoal_cell_at_(o, c)->word);
    if (state_of(word) == SHOAL_CELL_WRITING_) return owner_of(word);
  }
  return 0;
}

int shoal_ordered_held(const struct shoal_ordered *o, uint32_t me) {
  uint32_t cells = shoal_ordered_cells(o), used = shoal_load32_relaxed(&o->shm->used);
  int held = 0;
  for (uint32_t c = used < cells ? used : cells; c--;) {
    uint32_t word = word_at(o, c);
    if (state_of(word) != SHOAL_CELL_READING_) continue;
    if (owner_of(word) == me) return 0;
    held = 1;
  }
  return held;
}

// ---- joinable: looks from outside ----

#define LOOKS_MAX 16  // in a row at which all was free, but something had been put: whoever finishes that looks, too

// The cells of this moment; what this process learns of them here it forgets again, for it is not inside.
static struct shoal_ordered all_of(const struct shoal_ordered *o) {
  struct shoal_ordered all;
  uint32_t known = shoal_load32_acquire(&o->known);  // [K2]
  memcpy(&all, o, offsetof(struct shoal_ordered, known));
  memcpy(all.chunk, o->chunk, (known + 1) * sizeof *all.chunk);
  shoal_store32_relaxed(&all.known, known);
  shoal_ordered_look_for_chunks_(&all);
  return all;
}

static int all_free(const struct shoal_ordered *o, uint32_t *owner) {
  uint32_t cells = shoal_ordered_cells(o), used = shoal_load32_relaxed(&o->shm->used);
  for (uint32_t c = used < cells ? used : cells; c--;) {
    uint32_t word = shoal_load32_seq_cst(&shoal_cell_at_(o, c)->word);  // [J2]; [A1]'s second half, sync/eventcount.h
    *owner = owner_of(word);
    if (state_of(word) != SHOAL_CELL_FREE_) return 0;
  }
  return 1;
}
int shoal_ordered_is_done(const struct shoal_ordered *o, uint32_t *owner) {
  for (int i = 0; i < LOOKS_MAX; i++) {
    uint64_t before = shoal_load64_seq_cst(&o->shm->seq);  // [J2] before the cells
    struct shoal_ordered all = all_of(o);
    if (!all_free(&all, owner)) return 0;
    if (shoal_load64_seq_cst(&o->shm->seq) == before) return 1;  // [J2] after them
  }
  *owner = SHOAL_BLOCKER_NONE;
  return 0;
}

uint64_t shoal_ordered_count_held(const struct shoal_ordered *o, uint32_t me) {
  struct shoal_ordered all = all_of(o);
  uint32_t cells = shoal_ordered_cells(&all), used = shoal_load32_relaxed(&o->shm->used);
  uint64_t n = 0;
  for (uint32_t c = used < cells ? used : cells; c--;) {
    uint32_t word = word_at(&all, c);
    int is_read = state_of(word) == SHOAL_CELL_READING_;
    n += me ? owner_of(word) == me && !(is_read && is_let_go(&all, c)) : owner_of(word) && is_read;
  }
  return n;
}

void shoal_ordered_chain_(const struct shoal_ordered *o, uint64_t before, uint64_t token) {
  set_next(o, (uint32_t)before, (uint32_t)token + 1);
}
int shoal_ordered_chained_(const struct shoal_ordered *o, uint32_t me, uint64_t before, uint64_t *token) {
  uint32_t next = next_of(o, (uint32_t)before), deaths;
  if (next - 1 >= shoal_ordered_cells(o)) return 0;
  *token = shoal_ordered_token(o, next - 1);
  return shoal_ordered_holds(o, me, *token, SHOAL_CELL_READING_, &deaths);
}
int shoal_ordered_in_hand(const struct shoal_ordered *o, uint32_t me, uint64_t *token) {
  uint32_t cells = shoal_ordered_cells(o), used = shoal_load32_relaxed(&o->shm->used);
  uint64_t least = UINT64_MAX;
  for (uint32_t c = used < cells ? used : cells; c--;) {
    uint32_t word = word_at(o, c);
    if (state_of(word) != SHOAL_CELL_READING_ || owner_of(word) != me || is_let_go(o, c)) continue;
    uint64_t age = o->leases ? shoal_load64_relaxed(shoal_until_at_(o, c)) : seq_of(o, c);
    if (age >= least) continue;
    least = age;
    *token = shoal_ordered_token(o, c);
  }
  return least != UINT64_MAX;
}
