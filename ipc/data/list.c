// A list: read and changed, value by value. [V1]..[V4]: ipc/data/list.h.
#include <stdlib.h>

#include "ipc/data/list_internal.h"

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
  return shoal_list_damaged_();
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
  if (size) *size = f.item.value;
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
      if (rc == 0 && size) *size = f.item.value;
      return rc;
    }
    free(copy);
  }
}

// ---- write ----

// The same, at the value that has this index. Also -ERANGE.
static int begin_at(struct shoal_list *l, int64_t index, struct shoal_row_ *row, uint64_t *i, shoal_deadline deadline) {
  int rc = shoal_list_begin_(l, row, deadline);
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
  int rc = shoal_list_begin_(l, &row, deadline);
  if (rc) {
    for (uint64_t i = 0; i < n; i++) unmake(l, items[i]);
    return rc;
  }
  uint64_t first = shoal_list_bounded_(from, row.length), end = shoal_list_bounded_(to, row.length);
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

// `it` is put there if what is there is `old`, else freed.
static int put_if(struct shoal_list *l, const struct shoal_row_ *row, uint64_t i, const void *old, uint64_t old_size,
                  struct shoal_item_shm *it) {
  struct shoal_item_ now;
  int rc = shoal_item_look_(&l->keep, shoal_load64_relaxed(&row->shm->word[i]), &now) ? shoal_list_damaged_() : 0;
  if (rc == 0 && shoal_list_is_equal_(&now, old, old_size)) return shoal_list_put_(l, row, i, it);
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
  if (shoal_item_look_(&l->keep, shoal_load64_relaxed(&row->shm->word[i]), &it)) return shoal_list_damaged_();
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
  if (shoal_item_look_(&l->keep, shoal_load64_relaxed(&row->shm->word[i]), &it)) return shoal_list_damaged_();
  if (it.nested) return shoal_item_is_nested_(&it);
  if (size) *size = it.value;
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
  if (shoal_item_look_(&l->keep, shoal_load64_relaxed(&row->shm->word[i]), &it)) return shoal_list_damaged_();
  int rc = it.nested ? shoal_item_is_nested_(&it) : shoal_item_copy_(&it, &copy);
  if (rc == 0) rc = shoal_list_change_(l, row, i, 1, NULL, 0);
  if (rc == 0) *value = copy;
  else free(copy);
  if (rc == 0 && size) *size = it.value;
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
  if (shoal_item_look_(&l->keep, word, &it)) return shoal_list_damaged_();
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
    if (shoal_item_look_(&l->keep, shoal_load64_relaxed(&row->shm->word[i]), &it)) return shoal_list_damaged_();
    *bytes += shoal_item_size_(0, it.value);
    if (*bytes > l->keep.size_max) return shoal_list_damaged_();
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
  int rc = shoal_list_begin_(l, &row, deadline);
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
  if (shoal_item_look_(&l->keep, shoal_load64_relaxed(&row->shm->word[i]), &it)) return shoal_list_damaged_();
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
