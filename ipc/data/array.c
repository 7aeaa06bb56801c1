#include "ipc/data/array.h"

#include "core/error.h"

#define UL(x) ((unsigned long)(x))

// ---- what is there, and what was asked for ----

struct shape {  // private: read once, or the caller's
  char type[SHOAL_ARRAY_TYPE_MAX + 1];
  uint64_t size, count, columns, guard;
};

static uint64_t lines(uint64_t bytes) { return (bytes + 63) / 64 * 64; }

uint64_t shoal_array_bytes(uint64_t size, uint64_t count) {
  uint64_t bytes;
  if (!size || !count || __builtin_mul_overflow(size, count, &bytes) || bytes > SHOAL_ARRAY_MAX || size > bytes)
    return 0;
  return sizeof(struct shoal_array_shm) + lines(bytes) + lines(size);
}

static int shape_make(const char *type, uint64_t size, uint64_t count, const struct shoal_array_options *o,
                      struct shape *out) {
  *out = (struct shape){.size = size, .count = count, .columns = o->columns};
  if (!type || !*type) return shoal_fail_(-EINVAL, "an element's type has a name");
  if (strnlen(type, SHOAL_ARRAY_TYPE_MAX + 1) > SHOAL_ARRAY_TYPE_MAX)
    return shoal_fail_(-ENAMETOOLONG, "a type's name of more than %d bytes", SHOAL_ARRAY_TYPE_MAX);
  memcpy(out->type, type, strlen(type));
  if (!shoal_array_bytes(size, count))
    return shoal_fail_(-EINVAL, "%lu elements of %lu bytes: 1 at least of each, and %lu bytes at most", UL(count),
                       UL(size), UL(SHOAL_ARRAY_MAX));
  if (o->columns && count % o->columns) return shoal_fail_(-EINVAL, "%lu is no multiple of a row", UL(count));
  if (o->lock && o->unlocked) return shoal_fail_(-EINVAL, "a lock, and none");
  return 0;
}

// One look at the shared words, and then no more.
static int shape_read(const struct shoal_array_shm *shm, uint64_t bytes, struct shape *out) {
  if (bytes < sizeof *shm) return shoal_fail_(-EPROTO, "too small for an array");
  if (shoal_load64_relaxed(&shm->kind) != SHOAL_ARRAY_KIND_)
    return shoal_fail_(-EPROTO, "no array, or one that was destroyed");
  out->size = __atomic_load_n(&shm->size, __ATOMIC_RELAXED);
  out->count = __atomic_load_n(&shm->count, __ATOMIC_RELAXED);
  out->columns = __atomic_load_n(&shm->columns, __ATOMIC_RELAXED);
  out->guard = __atomic_load_n(&shm->guard, __ATOMIC_RELAXED);
  memcpy(out->type, shm->type, sizeof out->type);
  out->type[SHOAL_ARRAY_TYPE_MAX] = 0;
  uint64_t needed = shoal_array_bytes(out->size, out->count);
  if (!needed || needed > bytes || (out->columns && out->count % out->columns))
    return shoal_fail_(-EPROTO, "%lu elements of %lu bytes do not fit", UL(out->count), UL(out->size));
  return 0;
}

static int is_as_asked(const struct shape *is, const char *type, uint64_t size, uint64_t count) {
  if (!type) return shoal_fail_(-EINVAL, "an element's type has a name");
  if (strcmp(is->type, type) == 0 && is->size == size && (!count || is->count == count)) return 0;
  return shoal_fail_(-EBADMSG, "it is %lu of %s (%lu bytes), not %lu of %s (%lu bytes)", UL(is->count), is->type,
                     UL(is->size), UL(count ? count : is->count), type, UL(size));
}

// ---- the view ----

static int hold_acquire(struct shoal_holdable *it, shoal_deadline deadline) {
  return shoal_array_acquire(SHOAL_EMBEDS(it, struct shoal_array, hold), deadline);
}
static int hold_release(struct shoal_holdable *it) {
  return shoal_array_release(SHOAL_EMBEDS(it, struct shoal_array, hold));
}

static void view(struct shoal_array_shm *shm, const struct shape *s, struct shoal_lock *lock, struct shoal_array *out) {
  char *data = (char *)(shm + 1);
  *out = (struct shoal_array){.hold = {hold_acquire, hold_release},
                              .data = data,
                              .length = s->count,
                              .size = s->size,
                              .columns = s->columns,
                              .shm = shm,
                              .lock_ = lock,
                              .undo_ = data + lines(s->size * s->count),
                              .fd_ = -1};
}

// In zeroed memory. `guard`: what tells others of a given lock.
static int place(struct shoal_array_shm *shm, const struct shape *s, uint64_t guard,
                 const struct shoal_array_options *o, struct shoal_array *out) {
  struct shoal_lock *lock = o->unlocked ? NULL : o->lock ? o->lock : &shm->lock;
  int rc = lock == &shm->lock ? shoal_lock_init(lock) : lock ? shoal_lock_check_(lock, sizeof *lock) : 0;
  if (rc) return rc;
  shm->size = s->size;
  shm->count = s->count;
  shm->columns = s->columns;
  shm->guard = o->unlocked ? SHOAL_ARRAY_NO_LOCK_ : o->lock ? guard : SHOAL_ARRAY_OWN_LOCK_;
  memcpy(shm->type, s->type, sizeof shm->type);
  if (o->first) memcpy(shm + 1, o->first, s->size * s->count);
  shoal_store64_relaxed(&shm->kind, SHOAL_ARRAY_KIND_);
  view(shm, s, lock, out);
  return 0;
}

static const struct shoal_array_options defaults;

int shoal_array_init(void *memory, const char *type, uint64_t size, uint64_t count, const struct shoal_array_options *o,
                     struct shoal_array *out) {
  struct shape s;
  if (!o) o = &defaults;
  int rc = shape_make(type, size, count, o, &s);
  if (rc == 0 && (uintptr_t)memory % SHOAL_CACHE_LINE) rc = shoal_fail_(-EINVAL, "memory that is not aligned to lines");
  if (rc) return rc;
  memset(memory, 0, shoal_array_bytes(size, count));
  return place(memory, &s, SHOAL_ARRAY_GIVEN_LOCK_, o, out);
}

int shoal_array_attach(void *memory, uint64_t bytes, const char *type, uint64_t size, uint64_t count,
                       struct shoal_lock *lock, struct shoal_array *out) {
  struct shoal_array_shm *shm = memory;
  struct shape s;
  int rc = shape_read(shm, bytes, &s);
  if (rc == 0) rc = is_as_asked(&s, type, size, count);
  if (rc) return rc;
  if (s.guard == SHOAL_ARRAY_NO_LOCK_) lock = NULL;
  else if (s.guard == SHOAL_ARRAY_OWN_LOCK_) lock = &shm->lock;
  else if (!lock) return shoal_fail_(-EINVAL, "its lock is to be given here, too");
  if (lock) rc = shoal_lock_check_(lock, sizeof *lock);
  if (rc == 0) view(shm, &s, lock, out);
  return rc;
}

int shoal_array_destroy(struct shoal_array *a) {
  int rc = 0;
  if (a->fd_ >= 0) return shoal_fail_(-EINVAL, "an array in a file is closed, and its file unlinked");
  if (a->lock_ == &a->shm->lock) rc = shoal_lock_destroy(a->lock_);
  else if (a->lock_ && shoal_robust_owner(shoal_load32_relaxed(&a->lock_->robust.word)))
    rc = shoal_fail_(-EBUSY, "its lock is held");
  if (rc) return rc;
  shoal_store64_relaxed(&a->shm->kind, 0);
  *a = (struct shoal_array){.fd_ = -1};
  return 0;
}

// ---- by name ----

static int guard_of(struct shoal_segment *seg, const struct shoal_array_options *o, uint64_t *guard) {
  *guard = o->lock ? shoal_segment_off(seg, o->lock) : 0;
  return !o->lock || *guard ? 0 : shoal_fail_(-EINVAL, "the given lock is not in the segment");
}

// `begun`: 1 this process makes it. Else what was found is judged, and closed if it is not what was asked for.
static int complete(struct shoal_segment *seg, struct shoal_object *object, int begun, const struct shape *s,
                    uint64_t guard, const struct shoal_array_options *o, struct shoal_array *out) {
  struct shoal_array a = {.fd_ = -1};
  if (!begun) {
    uint64_t off = __atomic_load_n(&((struct shoal_array_shm *)object->memory)->guard, __ATOMIC_RELAXED);
    struct shoal_lock *lock =
        off > SHOAL_ARRAY_GIVEN_LOCK_ && off % SHOAL_CACHE_LINE == 0 ? shoal_segment_at(seg, off, sizeof *lock) : NULL;
    int rc = shoal_array_attach(object->memory, object->size, s->type, s->size, s->count, lock, &a);
    if (rc) (void)shoal_object_close(seg, object);
    else *out = a;
    return rc;
  }
  int rc = shoal_object_end_(seg, object, place(object->memory, s, guard, o, &a));
  if (rc == 0) *out = a;
  return rc;
}

int shoal_array_make_(struct shoal_segment *seg, const char *name, const char *kind, const char *type, uint64_t size,
                      uint64_t count, const struct shoal_array_options *o, struct shoal_array *out) {
  struct shoal_object object;
  struct shape s;
  uint64_t guard = 0;
  if (!o) o = &defaults;
  int rc = shape_make(type, size, count, o, &s);
  if (rc == 0) rc = guard_of(seg, o, &guard);
  if (rc == 0) rc = shoal_object_begin_(seg, name, kind, shoal_array_bytes(size, count), &object);
  return rc ? rc : complete(seg, &object, 1, &s, guard, o, out);
}

int shoal_array_find_(struct shoal_segment *seg, const char *name, const char *kind, const char *type, uint64_t size,
                      uint64_t count, struct shoal_array *out) {
  struct shoal_object object;
  struct shape s;
  int rc = shape_make(type, size, count ? count : 1, &defaults, &s);
  s.count = count;
  if (rc == 0) rc = shoal_object_open(seg, name, kind, &object);
  return rc ? rc : complete(seg, &object, 0, &s, 0, &defaults, out);
}

int shoal_array_find_or_make_(struct shoal_segment *seg, const char *name, const char *kind, const char *type,
                              uint64_t size, uint64_t count, const struct shoal_array_options *o,
                              struct shoal_array *out) {
  struct shoal_object object = {.memory = NULL};
  struct shape s;
  uint64_t guard = 0;
  if (!o) o = &defaults;
  int rc = shape_make(type, size, count, o, &s);
  if (rc == 0) rc = guard_of(seg, o, &guard);
  if (rc == 0) rc = shoal_object_open_or_begin_(seg, name, kind, shoal_array_bytes(size, count), &object);
  return rc < 0 ? rc : complete(seg, &object, rc, &s, guard, o, out);
}

#define KIND "array"
int shoal_array_create(struct shoal_segment *seg, const char *name, const char *type, uint64_t size, uint64_t count,
                       const struct shoal_array_options *o, struct shoal_array *out) {
  return shoal_array_make_(seg, name, KIND, type, size, count, o, out);
}
int shoal_array_open(struct shoal_segment *seg, const char *name, const char *type, uint64_t size, uint64_t count,
                     struct shoal_array *out) {
  return shoal_array_find_(seg, name, KIND, type, size, count, out);
}
int shoal_array_open_or_create(struct shoal_segment *seg, const char *name, const char *type, uint64_t size,
                               uint64_t count, const struct shoal_array_options *o, struct shoal_array *out) {
  return shoal_array_find_or_make_(seg, name, KIND, type, size, count, o, out);
}
int shoal_array_close(struct shoal_segment *seg, struct shoal_array *a) {
  int rc = a->shm ? shoal_named_close_(seg, a->shm) : shoal_fail_(-EINVAL, "not open");
  if (rc == 0) *a = (struct shoal_array){.fd_ = -1};
  return rc;
}
int shoal_array_unlink(struct shoal_segment *seg, const char *name) {
  return shoal_object_remove_typed(seg, name, KIND);
}

// ---- its lock ----

// What a set that was killed has overwritten. Killed in here: it is done again.
static void roll_back(const struct shoal_array *a) {
  uint64_t at = shoal_load64_relaxed(&a->shm->undo) - 1;
  if (at < a->length) memcpy((char *)a->data + at * a->size, a->undo_, a->size);
  SHOAL_COMPILER_BARRIER();
  shoal_store64_relaxed(&a->shm->undo, 0);
}

// If no block and no range was under way, the element that was is whole again, and all is in order.
int shoal_array_acquired_(const struct shoal_array *a, int rc) {
  if (rc && rc != -EOWNERDEAD) return rc;
  if (shoal_load64_relaxed(&a->shm->undo)) roll_back(a);
  if (rc == 0 || a->lock_ != &a->shm->lock || shoal_load64_relaxed(&a->shm->inside)) return rc;
  return shoal_lock_consistent(a->lock_);
}

int shoal_array_unlocked_(void) { return shoal_fail_(-EINVAL, "it was made without a lock"); }

static int is_held(const struct shoal_lock *lock) {
  return shoal_robust_owner(shoal_load32_relaxed(&lock->robust.word)) == shoal_self_()->tid;
}

// A lock in an order comes here, too: its block has ended as any.
int shoal_array_release_slow_(const struct shoal_array *a) {
  struct shoal_lock_info info;
  if (!a->lock_) return shoal_array_unlocked_();
  int in_order = is_held(a->lock_) && shoal_lock_info(a->lock_, &info) == 0 && info.state == SHOAL_LOCK_CONSISTENT;
  SHOAL_COMPILER_BARRIER();
  if (in_order) shoal_store64_relaxed(&a->shm->inside, 0);
  SHOAL_COMPILER_BARRIER();
  return shoal_lock_release(a->lock_);
}

int shoal_array_consistent(const struct shoal_array *a) {
  return a->lock_ ? shoal_lock_consistent(a->lock_) : shoal_array_unlocked_();
}

// For one call: not held for what is in doubt, nor taken again by who holds it.
static int enter(const struct shoal_array *a, shoal_deadline deadline, int *taken) {
  int rc = 0;
  *taken = 0;
  if (!a->lock_) return 0;
  if (is_held(a->lock_)) {
    if (shoal_load64_relaxed(&a->shm->undo)) roll_back(a);  // under a given lock that was acquired elsewhere
    return 0;
  }
  rc = shoal_lock_acquire(a->lock_, deadline);
  if (SHOAL_UNLIKELY(rc != 0 || shoal_load64_relaxed(&a->shm->undo) != 0)) rc = shoal_array_acquired_(a, rc);
  *taken = rc == 0;
  if (rc != -EOWNERDEAD) return rc;
  shoal_lock_pass_on_(a->lock_);
  return shoal_fail_(rc, "who held its lock died: repair it within SHOAL_WITH, then shoal_array_consistent");
}
static void leave(const struct shoal_array *a, int taken) {
  if (taken) (void)shoal_lock_release(a->lock_);
}

// ---- elements ----

int shoal_array_beyond_(const struct shoal_array *a, uint64_t index) {
  return shoal_fail_(-ERANGE, "index %lu of %lu", UL(index), UL(a->length));
}

// Elements as long as a word are read and written whole.
static void copy_out(void *to, const void *from, uint64_t size) {
  switch (size) {
    case 1: *(uint8_t *)to = __atomic_load_n((const uint8_t *)from, __ATOMIC_RELAXED); break;
    case 2: {
      uint16_t v = __atomic_load_n((const uint16_t *)from, __ATOMIC_RELAXED);
      memcpy(to, &v, sizeof v);
      break;
    }
    case 4: {
      uint32_t v = __atomic_load_n((const uint32_t *)from, __ATOMIC_RELAXED);
      memcpy(to, &v, sizeof v);
      break;
    }
    case 8: {
      uint64_t v = __atomic_load_n((const uint64_t *)from, __ATOMIC_RELAXED);
      memcpy(to, &v, sizeof v);
      break;
    }
    default: memcpy(to, from, size);
  }
}
static int copy_word(void *to, const void *from, uint64_t size) {
  uint64_t v = 0;
  if (size <= sizeof v) memcpy(&v, from, size);
  switch (size) {
    case 1: __atomic_store_n((uint8_t *)to, (uint8_t)v, __ATOMIC_RELAXED); return 1;
    case 2: __atomic_store_n((uint16_t *)to, (uint16_t)v, __ATOMIC_RELAXED); return 1;
    case 4: __atomic_store_n((uint32_t *)to, (uint32_t)v, __ATOMIC_RELAXED); return 1;
    case 8: __atomic_store_n((uint64_t *)to, v, __ATOMIC_RELAXED); return 1;
    default: return 0;
  }
}

// Killed at any instruction: the element is the old one, the new one, or the old one is in `undo`.
static void overwrite(const struct shoal_array *a, uint64_t index, const void *value) {
  char *at = (char *)a->data + index * a->size;
  if (copy_word(at, value, a->size)) return;
  if (!a->lock_) {
    memcpy(at, value, a->size);
    return;
  }
  memcpy(a->undo_, at, a->size);
  SHOAL_COMPILER_BARRIER();
  shoal_store64_relaxed(&a->shm->undo, index + 1);
  SHOAL_COMPILER_BARRIER();
  memcpy(at, value, a->size);
  SHOAL_COMPILER_BARRIER();
  shoal_store64_relaxed(&a->shm->undo, 0);
}

int shoal_array_get(const struct shoal_array *a, uint64_t index, void *out, shoal_deadline deadline) {
  int taken, rc = index < a->length ? enter(a, deadline, &taken) : shoal_array_beyond_(a, index);
  if (rc) return rc;
  copy_out(out, (char *)a->data + index * a->size, a->size);
  leave(a, taken);
  return 0;
}

int shoal_array_set(const struct shoal_array *a, uint64_t index, const void *value, shoal_deadline deadline) {
  int taken, rc = index < a->length ? enter(a, deadline, &taken) : shoal_array_beyond_(a, index);
  if (rc) return rc;
  overwrite(a, index, value);
  leave(a, taken);
  return 0;
}

// ---- ranges ----

static int range_check(const struct shoal_array *a, uint64_t from, int64_t step, uint64_t n) {
  int64_t way, last;
  if (n == 0 && from <= a->length) return 0;
  if (from < a->length && n <= INT64_MAX && !__builtin_mul_overflow((int64_t)(n - 1), step, &way) &&
      !__builtin_add_overflow((int64_t)from, way, &last) && last >= 0 && (uint64_t)last < a->length)
    return 0;
  return shoal_fail_(-ERANGE, "%lu elements from %lu, by %ld, of %lu", UL(n), UL(from), (long)step, UL(a->length));
}

static void *element(const struct shoal_array *a, uint64_t from, int64_t step, uint64_t i) {
  return (char *)a->data + (from + i * (uint64_t)step) * a->size;
}

int shoal_array_read(const struct shoal_array *a, uint64_t from, int64_t step, uint64_t n, void *out,
                     shoal_deadline deadline) {
  int taken, rc = range_check(a, from, step, n);
  if (rc == 0) rc = enter(a, deadline, &taken);
  if (rc) return rc;
  for (uint64_t i = 0; i < n; i++) copy_out((char *)out + i * a->size, element(a, from, step, i), a->size);
  leave(a, taken);
  return 0;
}

// `advance`: bytes of `values` from one element to the next. Killed in it: the next block is told.
static int write_range(const struct shoal_array *a, uint64_t from, int64_t step, uint64_t n, const char *values,
                       uint64_t advance, shoal_deadline deadline) {
  int taken, rc = range_check(a, from, step, n);
  if (rc == 0) rc = enter(a, deadline, &taken);
  if (rc) return rc;
  if (taken) shoal_store64_relaxed(&a->shm->inside, 1);
  SHOAL_COMPILER_BARRIER();
  for (uint64_t i = 0; i < n; i++, values += advance) {
    void *at = element(a, from, step, i);
    if (!copy_word(at, values, a->size)) memcpy(at, values, a->size);
  }
  SHOAL_COMPILER_BARRIER();
  if (taken) shoal_store64_relaxed(&a->shm->inside, 0);
  SHOAL_COMPILER_BARRIER();
  leave(a, taken);
  return 0;
}
int shoal_array_write(const struct shoal_array *a, uint64_t from, int64_t step, uint64_t n, const void *values,
                      shoal_deadline deadline) {
  return write_range(a, from, step, n, values, a->size, deadline);
}
int shoal_array_fill(const struct shoal_array *a, uint64_t from, uint64_t n, const void *value,
                     shoal_deadline deadline) {
  return write_range(a, from, 1, n, value, 0, deadline);
}

// ---- views ----

int shoal_array_view(const struct shoal_array *a, uint64_t from, int64_t step, uint64_t n, struct shoal_view *out) {
  int rc = range_check(a, from, step, n);
  if (n < 2) step = 0;  // whatever it is, nothing lies there
  if (rc == 0) *out = (struct shoal_view){element(a, from, step, 0), n, step * (int64_t)a->size, a->size};
  return rc;
}

static int in_rows(const struct shoal_array *a, uint64_t which, uint64_t of, const char *what) {
  if (!a->columns) return shoal_fail_(-EINVAL, "an array without rows");
  return which < of ? 0 : shoal_fail_(-ERANGE, "%s %lu of %lu", what, UL(which), UL(of));
}
int shoal_array_row(const struct shoal_array *a, uint64_t row, struct shoal_view *out) {
  int rc = in_rows(a, row, a->columns ? a->length / a->columns : 0, "row");
  return rc ? rc : shoal_array_view(a, row * a->columns, 1, a->columns, out);
}
int shoal_array_column(const struct shoal_array *a, uint64_t column, struct shoal_view *out) {
  int rc = in_rows(a, column, a->columns, "column");
  return rc ? rc : shoal_array_view(a, column, (int64_t)a->columns, a->length / a->columns, out);
}

int shoal_array_info(const struct shoal_array *a, struct shoal_array_info *out) {
  struct shoal_array_info info = {.size = a->size, .count = a->length, .columns = a->columns};
  memcpy(info.type, a->shm->type, sizeof info.type);
  info.type[SHOAL_ARRAY_TYPE_MAX] = 0;
  info.bytes = shoal_array_bytes(a->size, a->length);
  info.locked = !a->lock_ ? 0 : a->lock_ == &a->shm->lock ? 1 : 2;
  if (a->lock_) (void)shoal_lock_info(a->lock_, &info.lock);
  *out = info;
  return 0;
}
