// All of a list under its lock: sorted, reversed, searched, copied.
#include <stdlib.h>

#include "ipc/data/list_internal.h"

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
    if (shoal_item_look_(&l->keep, p[i].word, &it)) return shoal_list_damaged_();
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
  int rc = shoal_list_begin_(l, &row, deadline);
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
  int rc = shoal_list_begin_(l, &row, deadline);
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
    if (shoal_item_look_(&l->keep, shoal_load64_relaxed(&row->shm->word[*i]), &it)) return shoal_list_damaged_();
    if (shoal_list_is_equal_(&it, value, size)) return 0;
  }
  return -ENOENT;
}

int shoal_list_index(struct shoal_list *l, const void *value, uint64_t size, int64_t from, uint64_t *index,
                     shoal_deadline deadline) {
  struct shoal_row_ row;
  int rc = shoal_list_begin_(l, &row, deadline);
  if (rc) return rc;
  uint64_t i = shoal_list_bounded_(from, row.length);
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
  int rc = shoal_list_begin_(l, &row, deadline);
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
  int rc = shoal_list_begin_(l, &row, deadline);
  if (rc) return rc;
  rc = seek(l, &row, value, size, &i);
  if (rc == 0) rc = shoal_list_change_(l, &row, i, 1, NULL, 0);
  shoal_list_unlock_(l);
  return rc;
}

static uint64_t record_size(uint64_t value) { return 8 + shoal_padded_(value); }

static int copy_places(const struct place *p, uint64_t n, struct shoal_list_slice *s) {
  for (uint64_t i = 0; i < n; i++)  // one long value may be led to by many scribbled words
    if (__builtin_add_overflow(s->length, record_size(p[i].value.iov_len), &s->length)) return shoal_list_damaged_();
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
  int rc = shoal_list_begin_(l, &row, deadline);
  if (rc) return rc;
  rc = slice(l, &row, shoal_list_bounded_(from, row.length), shoal_list_bounded_(to, row.length), &s);
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
