// A list: read, changed, put in order. [V1]..[V4]: ipc/data/list.h.
#include "ipc/data/list.h"

#include <stdlib.h>

#include "core/futex.h"
#include "core/reach.h"
#include "ipc/data/list_internal.h"

static int damaged(void) { return shoal_fail_(-EPROTO, "the list is damaged"); }
static int is_destroyed(const struct shoal_list *l) {
  return __atomic_load_n(&l->shm->kind, __ATOMIC_RELAXED) != SHOAL_LIST_KIND_;
}
static int no_index(const struct shoal_list *l, int64_t index, uint64_t length) {
  if (is_destroyed(l)) return shoal_fail_(-EINVAL, "the list has been destroyed");
  return shoal_fail_(-ERANGE, "index %lld of %llu values", (long long)index, (unsigned long long)length);
}

// From the front; `length` or more: there is no such value.
static uint64_t from_front(int64_t index, uint64_t length) {
  return index < 0 ? (uint64_t)index + length : (uint64_t)index;  // below the front: beyond any length
}
static uint64_t bounded(int64_t index, uint64_t length) {
  if (index < 0) index = (uint64_t) - (index + 1) >= length ? 0 : index + (int64_t)length;
  return (uint64_t)index < length ? (uint64_t)index : length;
}

// ---- read ----

struct found {
  struct shoal_row_ row;
  shoal_atomic64 *at;
  uint64_t word, index;
  int from_end;
  struct shoal_item_ item;
};

// 0: what was there, to be confirmed; -ERANGE, -EINVAL, -EPROTO.
static int find(struct shoal_list *l, int64_t index, struct found *f) {
  for (unsigned tries = 0; tries < 64; tries++) {
    int rc = shoal_list_look_(l, &f->row);
    if (rc) return rc;
    uint64_t i = from_front(index, f->row.length);
    if (i >= f->row.length) {
      if (!shoal_row_is_current_(l, &f->row)) {
        tries = 0;
        continue;
      }
      return no_index(l, index, f->row.length);
    }
    f->index = i;
    f->from_end = index < 0;
    f->at = &f->row.shm->word[i];
    f->word = shoal_load64_acquire(f->at);  // [V2] pairs with [V1]
    if (!shoal_item_look_(&l->keep, f->word, &f->item)) return 0;
    if (f->word != shoal_load64_acquire(f->at) || !shoal_row_is_current_(l, &f->row)) tries = 0;  // [V2]
  }
  return damaged();
}
// What is dropped from the end leaves its word as it was: its block may be another's before the word is. So the length
// comes first.
static int is_whole(const struct shoal_list *l, const struct found *f) {
  uint64_t now = f->row.shm ? shoal_load64_acquire(&f->row.shm->length) : 0;  // [V2] pairs with [V1]
  if (now > f->row.room) now = f->row.room;  // damage, or another life: as shoal_list_row_ has taken it
  if (f->from_end ? now != f->row.length : f->index >= now) return 0;
  return shoal_item_is_whole_(&f->item, f->at, f->word) && shoal_row_is_current_(l, &f->row);
}

uint64_t shoal_list_len(struct shoal_list *l) {
  struct shoal_row_ r;
  do {
    if (shoal_list_look_(l, &r)) return 0;
  } while (SHOAL_UNLIKELY(!shoal_row_is_current_(l, &r)));
  return r.length;
}

int shoal_list_get(struct shoal_list *l, int64_t index, void *buffer, uint64_t capacity, uint64_t *size) {
  struct found f;
  do {
    int rc = find(l, index, &f);
    if (rc) return rc;
    if (f.item.value <= capacity) shoal_words_read_(shoal_item_value_(&f.item), buffer, f.item.value);
  } while (SHOAL_UNLIKELY(!is_whole(l, &f)));
  if (f.item.nested) return shoal_item_is_nested_(&f.item);
  *size = f.item.value;
  return f.item.value <= capacity ? 0 : -EMSGSIZE;
}

int shoal_list_get_alloc(struct shoal_list *l, int64_t index, void **value, uint64_t *size) {
  struct found f;
  for (;;) {
    void *copy = NULL;
    int rc = find(l, index, &f);
    if (rc) return rc;
    rc = f.item.nested ? shoal_item_is_nested_(&f.item) : shoal_item_copy_(&f.item, &copy);
    if (is_whole(l, &f)) {
      if (rc == 0) *value = copy;
      if (rc == 0) *size = f.item.value;
      return rc;
    }
    free(copy);
  }
}

// ---- write ----

// The row is written to: not over what this thread holds, whose links it believes.
static int begin(struct shoal_list *l, struct shoal_row_ *row, shoal_deadline deadline) {
  int rc = shoal_list_lock_(l, deadline);
  if (rc) return rc;
  rc = shoal_list_look_(l, row);
  if (!rc && row->shm && SHOAL_UNLIKELY(shoal_robust_owns_some_of_(row->shm, sizeof *row->shm + 8 * row->room)))
    rc = damaged();
  if (rc) shoal_list_unlock_(l);
  return rc;
}
// The same, at the value that has this index. Also -ERANGE.
static int begin_at(struct shoal_list *l, int64_t index, struct shoal_row_ *row, uint64_t *i, shoal_deadline deadline) {
  int rc = begin(l, row, deadline);
  if (rc) return rc;
  *i = from_front(index, row->length);
  if (*i < row->length) return 0;
  rc = no_index(l, index, row->length);
  shoal_list_unlock_(l);
  return rc;
}

static int make(struct shoal_list *l, const void *value, uint64_t size, struct shoal_item_shm **out) {
  return shoal_item_make_(&l->keep, NULL, 0, value, size, out);
}
static void unmake(struct shoal_list *l, struct shoal_item_shm *it) { (void)shoal_heap_free(l->keep.heap, it); }

static int make_all(struct shoal_list *l, const struct iovec *values, uint64_t n, struct shoal_item_shm **all) {
  int rc = 0;
  uint64_t i = 0;
  for (; i < n && !rc; i += !rc) rc = make(l, values[i].iov_base, values[i].iov_len, &all[i]);
  while (rc && i--) unmake(l, all[i]);
  return rc;
}

// [from, to), as Python bounds them, become these.
static int replace(struct shoal_list *l, int64_t from, int64_t to, struct shoal_item_shm *const *items, uint64_t n,
                   shoal_deadline deadline) {
  struct shoal_row_ row;
  int rc = begin(l, &row, deadline);
  if (rc) {
    for (uint64_t i = 0; i < n; i++) unmake(l, items[i]);
    return rc;
  }
  uint64_t first = bounded(from, row.length), end = bounded(to, row.length);
  rc = shoal_list_change_(l, &row, first, end > first ? end - first : 0, items, n);
  shoal_list_unlock_(l);
  return rc;
}

int shoal_list_replace(struct shoal_list *l, int64_t from, int64_t to, const struct iovec *values, uint64_t n,
                       shoal_deadline deadline) {
  struct shoal_item_shm **all = calloc(n ? n : 1, sizeof(struct shoal_item_shm *));
  if (!all) return shoal_fail_(-ENOMEM, "%llu values", (unsigned long long)n);
  int rc = make_all(l, values, n, all);
  if (rc == 0) rc = replace(l, from, to, all, n, deadline);
  free(all);
  return rc;
}
int shoal_list_extend(struct shoal_list *l, const struct iovec *values, uint64_t n, shoal_deadline deadline) {
  return shoal_list_replace(l, SHOAL_LIST_END, SHOAL_LIST_END, values, n, deadline);
}
int shoal_list_insert(struct shoal_list *l, int64_t index, const void *value, uint64_t size, shoal_deadline deadline) {
  struct shoal_item_shm *it = NULL;
  int rc = make(l, value, size, &it);
  return rc ? rc : replace(l, index, INT64_MIN, &it, 1, deadline);
}
int shoal_list_append(struct shoal_list *l, const void *value, uint64_t size, shoal_deadline deadline) {
  return shoal_list_insert(l, SHOAL_LIST_END, value, size, deadline);
}
int shoal_list_clear(struct shoal_list *l, shoal_deadline deadline) {
  return replace(l, 0, SHOAL_LIST_END, NULL, 0, deadline);
}

static int set(struct shoal_list *l, int64_t index, struct shoal_item_shm *it, shoal_deadline deadline) {
  struct shoal_row_ row;
  uint64_t i;
  int rc = begin_at(l, index, &row, &i, deadline);
  if (rc) {
    unmake(l, it);
    return rc;
  }
  rc = shoal_list_put_(l, &row, i, it);
  shoal_list_unlock_(l);
  return rc;
}
int shoal_list_set(struct shoal_list *l, int64_t index, const void *value, uint64_t size, shoal_deadline deadline) {
  struct shoal_item_shm *it = NULL;
  int rc = make(l, value, size, &it);
  return rc ? rc : set(l, index, it, deadline);
}

static int is_equal(const struct shoal_item_ *it, const void *value, uint64_t size) {
  return it->value == size && !it->nested && (!size || memcmp(shoal_item_value_(it), value, size) == 0);
}

// `it` is put there if what is there is `old`, else freed.
static int put_if(struct shoal_list *l, const struct shoal_row_ *row, uint64_t i, const void *old, uint64_t old_size,
                  struct shoal_item_shm *it) {
  struct shoal_item_ now;
  int rc = shoal_item_look_(&l->keep, shoal_load64_relaxed(&row->shm->word[i]), &now) ? damaged() : 0;
  if (rc == 0 && is_equal(&now, old, old_size)) return shoal_list_put_(l, row, i, it);
  unmake(l, it);
  return rc ? rc : SHOAL_LIST_OTHER;
}
int shoal_list_compare_and_set(struct shoal_list *l, int64_t index, const void *old, uint64_t old_size,
                               const void *value, uint64_t size, shoal_deadline deadline) {
  struct shoal_item_shm *it = NULL;
  struct shoal_row_ row;
  uint64_t i;
  if (!old && old_size) return shoal_fail_(-EINVAL, "%llu bytes at NULL", (unsigned long long)old_size);
  int rc = make(l, value, size, &it);
  if (rc) return rc;
  rc = begin_at(l, index, &row, &i, deadline);
  if (rc) {
    unmake(l, it);
    return rc;
  }
  rc = put_if(l, &row, i, old, old_size, it);
  shoal_list_unlock_(l);
  return rc;
}

// What `change` decides of the value, a copy of which it sees.
static int decide(struct shoal_list *l, const struct shoal_row_ *row, uint64_t i,
                  int (*change)(struct shoal_list_change *, void *), void *arg, struct shoal_list_change *c,
                  void **copy) {
  struct shoal_item_ it;
  if (shoal_item_look_(&l->keep, shoal_load64_relaxed(&row->shm->word[i]), &it)) return damaged();
  int rc = it.nested ? shoal_item_is_nested_(&it) : shoal_item_copy_(&it, copy);
  if (rc) return rc;
  *c = (struct shoal_list_change){*copy, it.value};
  shoal_inside_++;
  rc = change(c, arg);
  shoal_inside_--;
  return rc > SHOAL_LIST_REMOVE ? shoal_fail_(-EINVAL, "the callback answered %d", rc) : rc;
}
static int update(struct shoal_list *l, const struct shoal_row_ *row, uint64_t i,
                  int (*change)(struct shoal_list_change *, void *), void *arg) {
  struct shoal_item_shm *it = NULL;
  struct shoal_list_change c;
  void *copy = NULL;
  int how = decide(l, row, i, change, arg, &c, &copy), rc = how < 0 ? how : 0;
  if (how == SHOAL_LIST_SET) rc = make(l, c.value, c.size, &it);
  if (how == SHOAL_LIST_SET && rc == 0) rc = shoal_list_put_(l, row, i, it);
  if (how == SHOAL_LIST_REMOVE) rc = shoal_list_change_(l, row, i, 1, NULL, 0);
  free(copy);
  return rc;
}
int shoal_list_update(struct shoal_list *l, int64_t index, int (*change)(struct shoal_list_change *c, void *arg),
                      void *arg, shoal_deadline deadline) {
  struct shoal_row_ row;
  uint64_t i;
  int rc = begin_at(l, index, &row, &i, deadline);
  if (rc) return rc;
  rc = update(l, &row, i, change, arg);
  shoal_list_unlock_(l);
  return rc;
}

static int pop(struct shoal_list *l, const struct shoal_row_ *row, uint64_t i, void *buffer, uint64_t capacity,
               uint64_t *size) {
  struct shoal_item_ it;
  if (shoal_item_look_(&l->keep, shoal_load64_relaxed(&row->shm->word[i]), &it)) return damaged();
  if (it.nested) return shoal_item_is_nested_(&it);
  *size = it.value;
  if (it.value > capacity) return -EMSGSIZE;
  shoal_words_read_(shoal_item_value_(&it), buffer, it.value);
  return shoal_list_change_(l, row, i, 1, NULL, 0);
}
int shoal_list_pop(struct shoal_list *l, int64_t index, void *buffer, uint64_t capacity, uint64_t *size,
                   shoal_deadline deadline) {
  struct shoal_row_ row;
  uint64_t i;
  int rc = begin_at(l, index, &row, &i, deadline);
  if (rc) return rc;
  rc = pop(l, &row, i, buffer, capacity, size);
  shoal_list_unlock_(l);
  return rc;
}

static int pop_copy(struct shoal_list *l, const struct shoal_row_ *row, uint64_t i, void **value, uint64_t *size) {
  struct shoal_item_ it;
  void *copy = NULL;
  if (shoal_item_look_(&l->keep, shoal_load64_relaxed(&row->shm->word[i]), &it)) return damaged();
  int rc = it.nested ? shoal_item_is_nested_(&it) : shoal_item_copy_(&it, &copy);
  if (rc == 0) rc = shoal_list_change_(l, row, i, 1, NULL, 0);
  if (rc == 0) *value = copy, *size = it.value;
  else free(copy);
  return rc;
}
int shoal_list_pop_alloc(struct shoal_list *l, int64_t index, void **value, uint64_t *size, shoal_deadline deadline) {
  struct shoal_row_ row;
  uint64_t i;
  int rc = begin_at(l, index, &row, &i, deadline);
  if (rc) return rc;
  rc = pop_copy(l, &row, i, value, size);
  shoal_list_unlock_(l);
  return rc;
}
int shoal_list_delete(struct shoal_list *l, int64_t index, shoal_deadline deadline) {
  struct shoal_row_ row;
  uint64_t i;
  int rc = begin_at(l, index, &row, &i, deadline);
  if (rc) return rc;
  rc = shoal_list_change_(l, &row, i, 1, NULL, 0);
  shoal_list_unlock_(l);
  return rc;
}

// One more entry as this one.
static int make_again(struct shoal_list *l, uint64_t word, struct shoal_item_shm **out) {
  struct shoal_item_ it;
  struct shoal_handle_shm h;
  if (shoal_item_look_(&l->keep, word, &it)) return damaged();
  if (!it.nested) return make(l, shoal_item_value_(&it), it.value, out);
  int rc = shoal_item_handle_(&it, &h);
  struct shoal_object inner = {.entry = h.entry, .generation = h.generation};
  return rc ? rc : shoal_item_nest_(&l->keep, NULL, 0, &inner, h.type, out);
}
// Bytes of the items that the row leads to.
static int weigh(struct shoal_list *l, const struct shoal_row_ *row, uint64_t *bytes) {
  *bytes = 0;
  for (uint64_t i = 0; i < row->length; i++) {
    struct shoal_item_ it;
    if (shoal_item_look_(&l->keep, shoal_load64_relaxed(&row->shm->word[i]), &it)) return damaged();
    *bytes += shoal_item_size_(0, it.value);
    if (*bytes > l->keep.size_max) return damaged();
  }
  return 0;
}
// What the segment can never hold is refused before anything is made: what has grown does not shrink.
static int repeat(struct shoal_list *l, const struct shoal_row_ *row, uint64_t times) {
  uint64_t bytes, n = 0;
  if (times == 0 || row->length == 0) return shoal_list_change_(l, row, 0, row->length, NULL, 0);
  int rc = weigh(l, row, &bytes);
  if (rc) return rc;
  if (times > l->keep.size_max / bytes)
    return shoal_fail_(-ENOSPC, "%llu times %llu values", (unsigned long long)times, (unsigned long long)row->length);
  struct shoal_item_shm **all = calloc((times - 1) * row->length + 1, sizeof(struct shoal_item_shm *));
  if (!all)
    rc = shoal_fail_(-ENOMEM, "%llu times %llu values", (unsigned long long)times, (unsigned long long)row->length);
  for (; n < (times - 1) * row->length && !rc; n += !rc)
    rc = make_again(l, shoal_load64_relaxed(&row->shm->word[n % row->length]), &all[n]);
  if (rc == 0) rc = shoal_list_change_(l, row, row->length, 0, all, n);
  else
    while (n--) unmake(l, all[n]);
  free(all);
  return rc;
}
int shoal_list_repeat(struct shoal_list *l, uint64_t times, shoal_deadline deadline) {
  struct shoal_row_ row;
  int rc = begin(l, &row, deadline);
  if (rc) return rc;
  rc = repeat(l, &row, times);
  shoal_list_unlock_(l);
  return rc;
}

// ---- values that are containers (ipc/data/nested.c) ----

int shoal_list_handle_(struct shoal_list *l, int64_t index, struct shoal_handle_shm *out) {
  struct found f;
  int rc;
  do {
    rc = find(l, index, &f);
    if (rc) return rc;
    rc = shoal_item_handle_(&f.item, out);
  } while (SHOAL_UNLIKELY(!is_whole(l, &f)));
  return rc;
}

int shoal_list_nest_(struct shoal_list *l, int64_t index, int replaces, const struct shoal_object *inner, uint32_t type,
                     shoal_deadline deadline) {
  struct shoal_item_shm *it = NULL;
  int rc = shoal_item_nest_(&l->keep, NULL, 0, inner, type, &it);
  if (rc) return rc;
  return replaces ? set(l, index, it, deadline) : replace(l, index, INT64_MIN, &it, 1, deadline);
}

static int take(struct shoal_list *l, const struct shoal_row_ *row, uint64_t i,
                int (*open)(struct shoal_keep_ *, const struct shoal_handle_shm *, void **), void **out) {
  struct shoal_item_ it;
  struct shoal_handle_shm h;
  if (shoal_item_look_(&l->keep, shoal_load64_relaxed(&row->shm->word[i]), &it)) return damaged();
  int rc = shoal_item_handle_(&it, &h);
  if (rc == 0) rc = open(&l->keep, &h, out);
  return rc ? rc : shoal_list_change_(l, row, i, 1, NULL, 0);
}
int shoal_list_take_(struct shoal_list *l, int64_t index,
                     int (*open)(struct shoal_keep_ *k, const struct shoal_handle_shm *h, void **out), void **out,
                     shoal_deadline deadline) {
  struct shoal_row_ row;
  uint64_t i;
  int rc = begin_at(l, index, &row, &i, deadline);
  if (rc) return rc;
  rc = take(l, &row, i, open, out);
  shoal_list_unlock_(l);
  return rc;
}

// ---- in another order ----

struct place {
  struct iovec value;
  uint64_t word;
  uint32_t nested;
};
struct order {
  int (*compare)(const struct iovec *, const struct iovec *, void *);
  void *arg;
};

static int by_bytes(const struct iovec *a, const struct iovec *b, void *arg) {
  size_t n = a->iov_len < b->iov_len ? a->iov_len : b->iov_len;
  int c = n ? memcmp(a->iov_base, b->iov_base, n) : 0;
  (void)arg;
  return c ? c : (a->iov_len > b->iov_len) - (a->iov_len < b->iov_len);
}

// Merges, whatever the callback says: each place is passed on once.
static void merge(struct place *to, const struct place *a, uint64_t na, const struct place *b, uint64_t nb,
                  const struct order *o) {
  while (na && nb) {
    if (o->compare(&a->value, &b->value, o->arg) <= 0) *to++ = *a++, na--;
    else *to++ = *b++, nb--;
  }
  while (na--) *to++ = *a++;
  while (nb--) *to++ = *b++;
}
// In `p` or in `q`, of the same size: which.
static struct place *merge_sort(struct place *p, struct place *q, uint64_t n, const struct order *o) {
  for (uint64_t width = 1; width < n; width *= 2) {
    for (uint64_t i = 0; i < n; i += 2 * width) {
      uint64_t na = n - i < width ? n - i : width, nb = n - i - na < width ? n - i - na : width;
      merge(q + i, p + i, na, p + i + na, nb, o);
    }
    struct place *sorted = q;
    q = p, p = sorted;
  }
  return p;
}

static int look_at_all(struct shoal_list *l, const struct shoal_row_ *row, struct place *p) {
  for (uint64_t i = 0; i < row->length; i++) {
    struct shoal_item_ it;
    p[i].word = shoal_load64_relaxed(&row->shm->word[i]);
    if (shoal_item_look_(&l->keep, p[i].word, &it)) return damaged();
    p[i].value = (struct iovec){(void *)(uintptr_t)shoal_item_value_(&it), it.value};
    p[i].nested = it.nested;
  }
  return 0;
}

static int publish_order(struct shoal_list *l, const struct shoal_row_ *row, const struct place *p) {
  uint64_t *words = malloc(8 * row->length);
  if (!words) return shoal_fail_(-ENOMEM, "%llu values", (unsigned long long)row->length);
  for (uint64_t i = 0; i < row->length; i++) words[i] = p[i].word;
  int rc = shoal_list_reorder_(l, row, words);
  free(words);
  return rc;
}

static int sort(struct shoal_list *l, const struct shoal_row_ *row, struct place *p, const struct order *o) {
  int rc = look_at_all(l, row, p);
  for (uint64_t i = 0; i < row->length && !rc; i++)
    if (p[i].nested) rc = shoal_fail_(-EBADMSG, "value %llu is a container: they have no order", (unsigned long long)i);
  if (rc) return rc;
  shoal_inside_++;
  struct place *s = merge_sort(p, p + row->length, row->length, o);
  for (uint64_t i = 1; i < row->length && !rc; i++)
    if (o->compare(&s[i - 1].value, &s[i].value, o->arg) > 0) rc = -EINVAL;
  shoal_inside_--;
  return rc ? shoal_fail_(rc, "the callback's answers make no order") : publish_order(l, row, s);
}

int shoal_list_sort(struct shoal_list *l, int (*compare)(const struct iovec *a, const struct iovec *b, void *arg),
                    void *arg, shoal_deadline deadline) {
  struct order o = {compare ? compare : by_bytes, arg};
  struct shoal_row_ row;
  int rc = begin(l, &row, deadline);
  if (rc) return rc;
  if (row.length > 1) {
    struct place *p = malloc(2 * row.length * sizeof *p);
    rc = p ? sort(l, &row, p, &o) : shoal_fail_(-ENOMEM, "%llu values", (unsigned long long)row.length);
    free(p);
  }
  shoal_list_unlock_(l);
  return rc;
}

static int reverse(struct shoal_list *l, const struct shoal_row_ *row) {
  uint64_t *words = malloc(8 * row->length);
  if (!words) return shoal_fail_(-ENOMEM, "%llu values", (unsigned long long)row->length);
  for (uint64_t i = 0; i < row->length; i++) words[i] = shoal_load64_relaxed(&row->shm->word[row->length - 1 - i]);
  int rc = shoal_list_reorder_(l, row, words);
  free(words);
  return rc;
}
int shoal_list_reverse(struct shoal_list *l, shoal_deadline deadline) {
  struct shoal_row_ row;
  int rc = begin(l, &row, deadline);
  if (rc) return rc;
  if (row.length > 1) rc = reverse(l, &row);
  shoal_list_unlock_(l);
  return rc;
}

// ---- all of one moment ----

// The first from *i on: 0, and *i is its index; -ENOENT, -EPROTO.
static int seek(struct shoal_list *l, const struct shoal_row_ *row, const void *value, uint64_t size, uint64_t *i) {
  for (; *i < row->length; ++*i) {
    struct shoal_item_ it;
    if (shoal_item_look_(&l->keep, shoal_load64_relaxed(&row->shm->word[*i]), &it)) return damaged();
    if (is_equal(&it, value, size)) return 0;
  }
  return -ENOENT;
}

int shoal_list_index(struct shoal_list *l, const void *value, uint64_t size, int64_t from, uint64_t *index,
                     shoal_deadline deadline) {
  struct shoal_row_ row;
  int rc = begin(l, &row, deadline);
  if (rc) return rc;
  uint64_t i = bounded(from, row.length);
  rc = seek(l, &row, value, size, &i);
  shoal_list_unlock_(l);
  if (rc == 0) *index = i;
  return rc;
}
int shoal_list_contains(struct shoal_list *l, const void *value, uint64_t size, shoal_deadline deadline) {
  uint64_t index;
  int rc = shoal_list_index(l, value, size, 0, &index, deadline);
  return rc == -ENOENT ? 0 : rc ? rc : 1;
}
int shoal_list_count(struct shoal_list *l, const void *value, uint64_t size, uint64_t *n, shoal_deadline deadline) {
  struct shoal_row_ row;
  uint64_t found = 0;
  int rc = begin(l, &row, deadline);
  if (rc) return rc;
  for (uint64_t i = 0; (rc = seek(l, &row, value, size, &i)) == 0; i++) found++;
  shoal_list_unlock_(l);
  if (rc != -ENOENT) return rc;
  *n = found;
  return 0;
}
int shoal_list_remove(struct shoal_list *l, const void *value, uint64_t size, shoal_deadline deadline) {
  struct shoal_row_ row;
  uint64_t i = 0;
  int rc = begin(l, &row, deadline);
  if (rc) return rc;
  rc = seek(l, &row, value, size, &i);
  if (rc == 0) rc = shoal_list_change_(l, &row, i, 1, NULL, 0);
  shoal_list_unlock_(l);
  return rc;
}

static uint64_t record_size(uint64_t value) { return 8 + shoal_padded_(value); }

static int copy_places(const struct place *p, uint64_t n, struct shoal_list_slice *s) {
  for (uint64_t i = 0; i < n; i++)  // one long value may be led to by many scribbled words
    if (__builtin_add_overflow(s->length, record_size(p[i].value.iov_len), &s->length)) return damaged();
  if (s->length && !(s->bytes = malloc(s->length)))
    return shoal_fail_(-ENOMEM, "%llu bytes", (unsigned long long)s->length);
  char *to = s->bytes;
  for (uint64_t i = 0; i < n && to; i++) {
    uint64_t size = p[i].value.iov_len;
    uint64_t head = size | (p[i].nested ? SHOAL_ITEM_NESTED_ : 0);
    memcpy(to, &head, 8);
    shoal_words_read_(p[i].value.iov_base, to + 8, size);
    to += record_size(size);
  }
  s->values = n;
  return 0;
}

static int slice(struct shoal_list *l, const struct shoal_row_ *row, uint64_t from, uint64_t to,
                 struct shoal_list_slice *s) {
  struct place *p = calloc(row->length ? row->length : 1, sizeof *p);
  if (!p) return shoal_fail_(-ENOMEM, "%llu values", (unsigned long long)row->length);
  int rc = look_at_all(l, row, p);
  if (rc == 0 && to > from) rc = copy_places(p + from, to - from, s);
  free(p);
  return rc;
}

int shoal_list_slice(struct shoal_list *l, int64_t from, int64_t to, struct shoal_list_slice *out,
                     shoal_deadline deadline) {
  struct shoal_list_slice s = {.bytes = NULL};
  struct shoal_row_ row;
  int rc = begin(l, &row, deadline);
  if (rc) return rc;
  rc = slice(l, &row, bounded(from, row.length), bounded(to, row.length), &s);
  shoal_list_unlock_(l);
  if (rc == 0) *out = s;
  return rc;
}
int shoal_list_next(struct shoal_list_slice *s, struct iovec *value) {
  uint64_t size;
  if (s->at >= s->length) return 0;
  memcpy(&size, s->bytes + s->at, 8);
  s->nested = size & SHOAL_ITEM_NESTED_ ? 1 : 0;
  size &= ~SHOAL_ITEM_NESTED_;
  *value = (struct iovec){s->bytes + s->at + 8, size};
  s->at += record_size(size);
  return 1;
}
void shoal_list_slice_free(struct shoal_list_slice *s) {
  free(s->bytes);
  *s = (struct shoal_list_slice){.bytes = NULL};
}

int shoal_list_info(struct shoal_list *l, struct shoal_list_info *out) {
  struct shoal_row_ r;
  uint32_t word = shoal_load32_relaxed(&l->shm->lock.word);
  int rc = shoal_list_look_(l, &r);
  if (rc) return rc;
  *out = (struct shoal_list_info){.length = r.length,
                                  .capacity = r.room,
                                  .row = r.shm ? sizeof *r.shm + 8 * r.room : 0,
                                  .owner = shoal_robust_owner(word),
                                  .waiting = (word & FUTEX_WAITERS) != 0,
                                  .dead = shoal_robust_is_dead(word) && !shoal_robust_owner(word),
                                  .holders = shoal_object_ties_(l->keep.seg, &l->object)};
  return 0;
}

// ---- a view ----

uint64_t shoal_list_size(void) { return sizeof(struct shoal_list_shm); }

static int write_head(struct shoal_list_shm *shm) {
  int rc = shoal_robust_check();
  if (rc) return rc;
  memset(shm, 0, sizeof *shm);
  shm->kind = SHOAL_LIST_KIND_;
  return 0;
}

static int view(struct shoal_segment *seg, const struct shoal_object *object, void *memory, uint32_t named,
                struct shoal_list **out) {
  struct shoal_list_shm *shm = memory;
  uint64_t room = object->size - (uint64_t)((char *)memory - (char *)object->memory);
  if (room < sizeof *shm || room > object->size || __atomic_load_n(&shm->kind, __ATOMIC_RELAXED) != SHOAL_LIST_KIND_)
    return shoal_fail_(-EPROTO, "no list is there");
  struct shoal_list *l = calloc(1, sizeof *l);
  if (!l) return shoal_fail_(-ENOMEM, "private memory");
  int rc = shoal_robust_check();
  if (rc == 0) rc = shoal_keep_open_(&l->keep, seg, object);
  if (rc) {
    free(l);
    return rc;
  }
  l->shm = shm;
  l->named = named;
  l->object = *object;
  *out = l;
  return 0;
}

int shoal_list_attach(struct shoal_segment *seg, const struct shoal_object *object, void *memory,
                      struct shoal_list **out) {
  return view(seg, object, memory, 0, out);
}
int shoal_list_init(struct shoal_segment *seg, const struct shoal_object *object, void *memory,
                    struct shoal_list **out) {
  int rc = shoal_keep_place_(object, memory, sizeof(struct shoal_list_shm));
  if (rc == 0) rc = write_head(memory);
  return rc ? rc : view(seg, object, memory, 0, out);
}

static int forget(struct shoal_list *l) {
  int rc = shoal_keep_close_(&l->keep);
  free(l);
  return rc;
}
int shoal_list_close(struct shoal_list *l) {
  int rc = l->named ? shoal_object_close(l->keep.seg, &l->object) : 0;
  if (rc) return rc;
  if (l->named) shoal_reach_forget_(l->object.memory);
  return forget(l);
}

int shoal_list_destroy(struct shoal_list *l, shoal_deadline deadline) {
  struct shoal_row_ row;
  int rc = begin(l, &row, deadline);
  if (rc) return rc;
  rc = shoal_list_change_(l, &row, 0, row.length, NULL, 0);
  if (rc == 0) __atomic_store_n(&l->shm->kind, 0, __ATOMIC_RELAXED);
  shoal_list_unlock_(l);
  return rc ? rc : shoal_list_close(l);
}

// ---- by name ----

#define TYPE "list"

static int view_named(struct shoal_segment *seg, struct shoal_object *object, struct shoal_list **out) {
  int rc = view(seg, object, object->memory, 1, out);
  if (rc) (void)shoal_object_close(seg, object);
  else shoal_reach_note_(object->memory, object->size);
  return rc;
}
static int begun(struct shoal_segment *seg, struct shoal_object *object, struct shoal_list **out) {
  struct shoal_list *l = NULL;
  int rc = write_head(object->memory);
  if (rc == 0) rc = view(seg, object, object->memory, 1, &l);  // who cannot have a heap leaves no name behind
  rc = shoal_object_end_(seg, object, rc);
  if (rc) {
    if (l) forget(l);
    return rc;
  }
  shoal_reach_note_(object->memory, object->size);
  *out = l;
  return 0;
}
int shoal_list_create(struct shoal_segment *seg, const char *name, struct shoal_list **out) {
  struct shoal_object object;
  int rc = name ? shoal_object_begin_(seg, name, TYPE, sizeof(struct shoal_list_shm), &object)
                : shoal_object_begin_tied_(seg, TYPE, sizeof(struct shoal_list_shm), &object);
  return rc ? rc : begun(seg, &object, out);
}
int shoal_list_open(struct shoal_segment *seg, const char *name, struct shoal_list **out) {
  struct shoal_object object;
  int rc = shoal_object_open(seg, name, TYPE, &object);
  return rc ? rc : view_named(seg, &object, out);
}
int shoal_list_open_or_create(struct shoal_segment *seg, const char *name, struct shoal_list **out) {
  struct shoal_object object;
  int rc = shoal_object_open_or_begin_(seg, name, TYPE, sizeof(struct shoal_list_shm), &object);
  if (rc == 1) return begun(seg, &object, out);
  return rc ? rc : view_named(seg, &object, out);
}
int shoal_list_open_at_(struct shoal_segment *seg, const struct shoal_handle_shm *h, struct shoal_list **out) {
  struct shoal_object object;
  int rc = shoal_object_open_at_(seg, h->entry, h->generation, TYPE, &object);
  return rc ? rc : view_named(seg, &object, out);
}
int shoal_list_unlink(struct shoal_segment *seg, const char *name) {
  return shoal_object_remove_typed(seg, name, TYPE);
}
