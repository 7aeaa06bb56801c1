#include "ipc/data/text.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/error.h"

#define KIND "text"
#define UL(x) ((unsigned long)(x))

// What the seqlock holds: the length, the bytes, room for a NUL.
struct content {
  uint64_t length;
  char bytes[];
};
static uint64_t content_size(uint64_t capacity) { return sizeof(struct content) + capacity + 1; }

uint64_t shoal_text_bytes(uint64_t capacity) {
  return capacity && capacity <= SHOAL_TEXT_MAX ? shoal_seqlock_size(content_size(capacity)) : 0;
}

static int too_long(uint64_t n, uint64_t capacity) {
  return shoal_fail_(-EMSGSIZE, "%lu bytes into a text of %lu", UL(n), UL(capacity));
}

// ---- made, found ----

static int check(uint64_t capacity, const char *first) {
  if (!shoal_text_bytes(capacity)) return shoal_fail_(-EINVAL, "a text of %lu bytes", UL(capacity));
  return first && strnlen(first, capacity + 1) > capacity ? too_long(strlen(first), capacity) : 0;
}

int shoal_text_init(void *memory, uint64_t capacity, const char *first, struct shoal_text *out) {
  struct shoal_text t = {memory, capacity};
  int rc = check(capacity, first);
  if (rc == 0) rc = shoal_seqlock_init(t.lock, content_size(capacity), NULL);
  if (rc == 0 && first) rc = shoal_text_set(&t, first, strlen(first), SHOAL_TRY);
  if (rc == 0) *out = t;
  return rc;
}

int shoal_text_attach(void *memory, uint64_t bytes, uint64_t capacity, struct shoal_text *out) {
  struct shoal_seqlock *lock = memory;
  int rc = shoal_seqlock_check_(lock, bytes);
  if (rc) return rc;
  uint64_t size = __atomic_load_n(&lock->size, __ATOMIC_RELAXED), has = size - content_size(0);
  uint64_t needed = size > content_size(0) ? shoal_text_bytes(has) : 0;
  if (!needed || needed > bytes) return shoal_fail_(-EPROTO, "no text");
  if (capacity && capacity != has)
    return shoal_fail_(-EBADMSG, "it has room for %lu bytes, not %lu", UL(has), UL(capacity));
  *out = (struct shoal_text){lock, has};
  return 0;
}

// `begun`: 1 this process makes it.
static int complete(struct shoal_segment *seg, struct shoal_object *object, int begun, uint64_t capacity,
                    const char *first, struct shoal_text *out) {
  struct shoal_text t = {NULL, 0};
  int rc;
  if (begun) {
    rc = shoal_object_end_(seg, object, shoal_text_init(object->memory, capacity, first, &t));
  } else {
    rc = shoal_text_attach(object->memory, object->size, capacity, &t);
    if (rc) (void)shoal_object_close(seg, object);
  }
  if (rc == 0) *out = t;
  return rc;
}

int shoal_text_create(struct shoal_segment *seg, const char *name, uint64_t capacity, const char *first,
                      struct shoal_text *out) {
  struct shoal_object object;
  int rc = check(capacity, first);
  if (rc == 0) rc = shoal_object_begin_(seg, name, KIND, shoal_text_bytes(capacity), &object);
  return rc ? rc : complete(seg, &object, 1, capacity, first, out);
}

int shoal_text_open(struct shoal_segment *seg, const char *name, uint64_t capacity, struct shoal_text *out) {
  struct shoal_object object;
  int rc = shoal_object_open(seg, name, KIND, &object);
  return rc ? rc : complete(seg, &object, 0, capacity, NULL, out);
}

int shoal_text_open_or_create(struct shoal_segment *seg, const char *name, uint64_t capacity, const char *first,
                              struct shoal_text *out) {
  struct shoal_object object = {.memory = NULL};
  int rc = check(capacity, first);
  if (rc == 0) rc = shoal_object_open_or_begin_(seg, name, KIND, shoal_text_bytes(capacity), &object);
  return rc < 0 ? rc : complete(seg, &object, rc, capacity, first, out);
}

int shoal_text_close(struct shoal_segment *seg, struct shoal_text *t) {
  if (!t->lock) return shoal_fail_(-EINVAL, "not open");
  int rc = shoal_named_close_(seg, t->lock);
  if (rc == 0) *t = (struct shoal_text){NULL, 0};
  return rc;
}

int shoal_text_unlink(struct shoal_segment *seg, const char *name) {
  return shoal_object_remove_typed(seg, name, KIND);
}

// ---- readers: as shoal_seqlock_load, but only the bytes that are there ----

static int is_there(const struct shoal_text *t) {
  uint64_t size = content_size(t->capacity);
  return __atomic_load_n(&t->lock->size, __ATOMIC_RELAXED) == size ? 0 : shoal_seqlock_refuse_(t->lock, size);
}

// Of one moment: the length, and up to `room` bytes.
static uint64_t snapshot(const struct shoal_text *t, char *out, uint64_t room) {
  const struct shoal_seqlock *s = t->lock;
  uint64_t stable, length;
  do {
    stable = shoal_load64_acquire(&s->sequence) & ~UINT64_C(1);  // [S2] of sync/seqlock.h
    const shoal_atomic64 *copy = shoal_seqlock_copy_(s, content_size(t->capacity), stable / 2);
    length = shoal_load64_acquire(copy);  // [S4] of sync/seqlock.h
    if (length > t->capacity) length = t->capacity;
    if (length <= room) shoal_words_read_(copy + 1, out, length);
  } while (shoal_load64_relaxed(&s->sequence) - stable > 2);
  return length;
}

int shoal_text_get(const struct shoal_text *t, char *out, uint64_t size, uint64_t *length) {
  int rc = size ? is_there(t) : shoal_fail_(-EINVAL, "no room for a NUL");
  if (rc) return rc;
  uint64_t n = snapshot(t, out, size - 1);
  if (length) *length = n;
  out[n < size ? n : 0] = 0;
  return n < size ? 0 : shoal_fail_(-EMSGSIZE, "a string of %lu bytes", UL(n));
}

uint64_t shoal_text_length(const struct shoal_text *t) { return is_there(t) ? 0 : snapshot(t, NULL, 0); }

// ---- writers ----

int shoal_text_update(const struct shoal_text *t,
                      int (*change)(char *bytes, uint64_t *length, uint64_t capacity, void *arg), void *arg,
                      shoal_deadline deadline) {
  void *at = NULL;
  uint64_t size = content_size(t->capacity);
  int rc = shoal_seqlock_begin(t->lock, size, &at, deadline);
  if (rc) return rc;
  struct content *draft = at;
  uint64_t length = __atomic_load_n(&draft->length, __ATOMIC_RELAXED);
  if (length > t->capacity) length = t->capacity;
  rc = change(draft->bytes, &length, t->capacity, arg);
  if (rc == 0 && length > t->capacity) rc = too_long(length, t->capacity);
  if (rc) {
    (void)shoal_seqlock_cancel(t->lock);
    return rc;
  }
  draft->length = length;
  return shoal_seqlock_commit(t->lock, size);
}

struct more {
  const void *bytes;
  uint64_t n;
  int behind;  // 1: what is there
};
static int put(char *bytes, uint64_t *length, uint64_t capacity, void *arg) {
  const struct more *m = arg;
  uint64_t from = m->behind ? *length : 0;
  if (m->n > capacity - from) return too_long(from + m->n, capacity);
  if (m->n) memcpy(bytes + from, m->bytes, m->n);
  *length = from + m->n;
  return 0;
}
int shoal_text_set(const struct shoal_text *t, const void *bytes, uint64_t n, shoal_deadline deadline) {
  struct more m = {bytes, n, 0};
  return n > t->capacity ? too_long(n, t->capacity) : shoal_text_update(t, put, &m, deadline);
}
int shoal_text_append(const struct shoal_text *t, const void *bytes, uint64_t n, shoal_deadline deadline) {
  struct more m = {bytes, n, 1};
  return n > t->capacity ? too_long(n, t->capacity) : shoal_text_update(t, put, &m, deadline);
}

struct formatted {
  const char *format;
  va_list args;
};
static int format(char *bytes, uint64_t *length, uint64_t capacity, void *arg) {
  struct formatted *f = arg;
  int n = vsnprintf(bytes, capacity + 1, f->format, f->args);
  if (n < 0) return shoal_fail_(-EINVAL, "the format: %m");
  *length = (uint64_t)n;
  return 0;
}
int shoal_text_printf(const struct shoal_text *t, shoal_deadline deadline, const char *format_, ...) {
  struct formatted f = {.format = format_};
  va_start(f.args, format_);
  int rc = shoal_text_update(t, format, &f, deadline);
  va_end(f.args);
  return rc;
}

int shoal_text_info(const struct shoal_text *t, struct shoal_text_info *out) {
  struct shoal_seqlock_info s;
  int rc = shoal_seqlock_info(t->lock, &s);
  if (rc == 0) *out = (struct shoal_text_info){t->capacity, shoal_text_length(t), s.version, s.writer};
  return rc;
}
