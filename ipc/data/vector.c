#include "ipc/data/vector.h"

#include "core/error.h"
#include "sync/named.h"

#define KIND "vector"
#define UL(x) ((unsigned long)(x))
#define BYTES_MAX (UINT64_C(1) << 46)

struct shape {  // private: read once, or the caller's
  char type[SHOAL_VECTOR_TYPE_MAX + 1];
  uint64_t size, first, limit;
};

static uint64_t bytes_of(const struct shape *s) { return sizeof(struct shoal_vector_shm) + s->first * s->size; }
static uint64_t most_of(uint64_t first, uint64_t size) {
  uint64_t by_chunks = first << (SHOAL_VECTOR_CHUNKS - 1), by_bytes = BYTES_MAX / size;
  return by_chunks < by_bytes ? by_chunks : by_bytes;
}

// A whole number of chunks: 2^39 of the smallest come to no more than 2^63.
static int is_possible(uint64_t size, uint64_t first) {
  return size && first && (first & (first - 1)) == 0 && first <= UINT64_C(1) << 24 && size <= BYTES_MAX / first;
}

static int shape_make(const char *type, uint64_t size, const struct shoal_vector_options *o, struct shape *out) {
  uint64_t first = 1, wanted = o && o->first ? o->first : 64;
  *out = (struct shape){.size = size};
  if (!type || !*type) return shoal_fail_(-EINVAL, "an element's type has a name");
  if (strnlen(type, SHOAL_VECTOR_TYPE_MAX + 1) > SHOAL_VECTOR_TYPE_MAX)
    return shoal_fail_(-ENAMETOOLONG, "a type's name of more than %d bytes", SHOAL_VECTOR_TYPE_MAX);
  memcpy(out->type, type, strlen(type));
  while (first < wanted && first <= UINT64_C(1) << 24) first *= 2;
  if (!is_possible(size, first)) return shoal_fail_(-EINVAL, "%lu elements of %lu bytes", UL(wanted), UL(size));
  out->first = first;
  out->limit = most_of(first, size);
  if (o && o->limit && o->limit < out->limit) out->limit = o->limit;
  return 0;
}

static int shape_read(const struct shoal_vector_shm *shm, uint64_t bytes, struct shape *out) {
  if (bytes < sizeof *shm || __atomic_load_n(&shm->kind, __ATOMIC_RELAXED) != SHOAL_VECTOR_KIND_)
    return shoal_fail_(-EPROTO, "no vector");
  out->size = __atomic_load_n(&shm->size, __ATOMIC_RELAXED);
  out->first = __atomic_load_n(&shm->first, __ATOMIC_RELAXED);
  out->limit = __atomic_load_n(&shm->limit, __ATOMIC_RELAXED);
  memcpy(out->type, shm->type, sizeof out->type);
  out->type[SHOAL_VECTOR_TYPE_MAX] = 0;
  if (is_possible(out->size, out->first) && bytes_of(out) <= bytes && out->limit <= most_of(out->first, out->size))
    return 0;
  return shoal_fail_(-EPROTO, "%lu elements of %lu bytes do not fit", UL(out->first), UL(out->size));
}

static void view(struct shoal_segment *seg, const struct shoal_object *object, const struct shape *s,
                 struct shoal_vector *out) {
  *out = (struct shoal_vector){.shm = object->memory,
                               .size = s->size,
                               .limit = s->limit,
                               .shift_ = (uint64_t)__builtin_ctzll(s->first),
                               .seg_ = seg,
                               .object_ = *object};
  out->chunk_[0] = (char *)(out->shm + 1);
}

// ---- by name ----

static int found(struct shoal_segment *seg, struct shoal_object *object, const struct shape *asked,
                 struct shoal_vector *out) {
  struct shape is;
  int rc = shape_read(object->memory, object->size, &is);
  if (rc == 0 && (strcmp(is.type, asked->type) != 0 || is.size != asked->size))
    rc = shoal_fail_(-EBADMSG, "it is of %s (%lu bytes), not of %s (%lu bytes)", is.type, UL(is.size), asked->type,
                     UL(asked->size));
  if (rc) (void)shoal_object_close(seg, object);
  else view(seg, object, &is, out);
  return rc;
}

static int made(struct shoal_segment *seg, struct shoal_object *object, const struct shape *s,
                struct shoal_vector *out) {
  struct shoal_vector_shm *shm = object->memory;
  if (!shm) return shoal_fail_(-EPROTO, "it lies nowhere");
  shm->kind = SHOAL_VECTOR_KIND_;
  shm->size = s->size;
  shm->first = s->first;
  shm->limit = s->limit;
  memcpy(shm->type, s->type, sizeof shm->type);
  int rc = shoal_object_end_(seg, object, 0);
  if (rc == 0) view(seg, object, s, out);
  return rc;
}

int shoal_vector_create(struct shoal_segment *seg, const char *name, const char *type, uint64_t size,
                        const struct shoal_vector_options *o, struct shoal_vector *out) {
  struct shoal_object object;
  struct shape s;
  int rc = shape_make(type, size, o, &s);
  if (rc == 0) rc = shoal_object_begin_(seg, name, KIND, bytes_of(&s), &object);
  return rc ? rc : made(seg, &object, &s, out);
}

int shoal_vector_open(struct shoal_segment *seg, const char *name, const char *type, uint64_t size,
                      struct shoal_vector *out) {
  struct shoal_object object;
  struct shape s;
  int rc = shape_make(type, size, &(struct shoal_vector_options){.first = 1}, &s);
  if (rc == 0) rc = shoal_object_open(seg, name, KIND, &object);
  return rc ? rc : found(seg, &object, &s, out);
}

int shoal_vector_open_or_create(struct shoal_segment *seg, const char *name, const char *type, uint64_t size,
                                const struct shoal_vector_options *o, struct shoal_vector *out) {
  struct shoal_object object = {.memory = NULL};
  struct shape s;
  int rc = shape_make(type, size, o, &s);
  if (rc == 0) rc = shoal_object_open_or_begin_(seg, name, KIND, bytes_of(&s), &object);
  if (rc < 0) return rc;
  return rc ? made(seg, &object, &s, out) : found(seg, &object, &s, out);
}

int shoal_vector_close(struct shoal_vector *v) {
  if (!v->shm) return shoal_fail_(-EINVAL, "not open");
  int rc = shoal_named_close_(v->seg_, v->shm);
  if (rc == 0) *v = (struct shoal_vector){.shm = NULL};
  return rc;
}

int shoal_vector_unlink(struct shoal_segment *seg, const char *name) {
  return shoal_object_remove_typed(seg, name, KIND);
}

// ---- readers ----

int shoal_vector_beyond_(uint64_t index, uint64_t length) {
  return shoal_fail_(-ERANGE, "index %lu of %lu", UL(index), UL(length));
}

int shoal_vector_chunk_(struct shoal_vector *v, unsigned chunk, char **out) {
  // Behind [G2], or under the writer word.
  shoal_off off = chunk < SHOAL_VECTOR_CHUNKS ? shoal_load64_relaxed(&v->shm->chunk[chunk]) : 0;
  uint64_t bytes = shoal_vector_first_(v, chunk) * v->size;
  char *at = off % SHOAL_CACHE_LINE == 0 ? shoal_segment_at(v->seg_, off, bytes) : NULL, *self = (char *)v->shm;
  // Nor over the vector itself: who writes elements holds the writer word, whose links are believed.
  if (at && at < self + sizeof *v->shm && self < at + bytes) at = NULL;
  if (!at) return shoal_fail_(-EPROTO, "chunk %u is nowhere", chunk);
  __atomic_store_n(&v->chunk_[chunk], at, __ATOMIC_RELAXED);
  *out = at;
  return 0;
}

int shoal_vector_get(struct shoal_vector *v, uint64_t index, void *out) {
  void *at = NULL;
  int rc = shoal_vector_at(v, index, &at);
  if (rc == 0) memcpy(out, at, v->size);
  return rc;
}

// ---- writers ----

// Under the writer word. Killed before the store: the part is found again.
static int chunk_make(struct shoal_vector *v, unsigned k, char **out) {
  struct shoal_object part;
  int rc = shoal_object_part_(v->seg_, &v->object_, k, shoal_vector_first_(v, k) * v->size, &part);
  if (rc) return rc;
  shoal_store64_relaxed(&v->shm->chunk[k], part.off);  // seen by who sees the count: [G1]
  return shoal_vector_chunk_(v, k, out);
}
static int chunk_for(struct shoal_vector *v, unsigned k, char **out) {
  if (k >= SHOAL_VECTOR_CHUNKS) return shoal_fail_(-EPROTO, "its count is damaged");
  *out = __atomic_load_n(&v->chunk_[k], __ATOMIC_RELAXED);
  if (*out) return 0;
  return shoal_load64_relaxed(&v->shm->chunk[k]) ? shoal_vector_chunk_(v, k, out) : chunk_make(v, k, out);
}

// Elements from `from` on, `values` NULL: zeros. Nobody sees them.
static int fill(struct shoal_vector *v, uint64_t from, uint64_t n, const char *values) {
  while (n) {
    char *chunk;
    unsigned k = shoal_vector_chunk_of_(v, from);
    uint64_t begin = shoal_vector_first_(v, k), here = (UINT64_C(1) << (v->shift_ + k)) - from;
    int rc = chunk_for(v, k, &chunk);
    if (rc) return rc;
    if (here > n) here = n;
    char *at = chunk + (from - begin) * v->size;
    if (shoal_robust_owns_some_of_(at, here * v->size))
      return shoal_fail_(-EPROTO, "chunk %u lies over what this thread holds", k);
    if (values) memcpy(at, values, here * v->size), values += here * v->size;
    else memset(at, 0, here * v->size);
    from += here;
    n -= here;
  }
  return 0;
}

static int take(struct shoal_vector *v, shoal_deadline deadline) {
  int rc = shoal_robust_acquire_(&v->shm->writer, deadline);
  if (rc == -EDEADLK) return shoal_fail_(rc, "the calling thread, %u, appends", shoal_self_()->tid);
  return rc == -EOWNERDEAD ? 0 : rc;  // what a dead one left is behind the count
}

static int add(struct shoal_vector *v, uint64_t had, uint64_t n, const void *values) {
  int rc = had > v->limit || n > v->limit - had ? shoal_fail_(-ENOSPC, "no more than %lu elements", UL(v->limit)) : 0;
  if (rc == 0) rc = fill(v, had, n, values);
  if (rc == 0)
    shoal_store64_release(&v->shm->count, had + n);  // [G1] pairs with [G2]. Killed before it: nothing was added
  return rc;
}

int shoal_vector_extend(struct shoal_vector *v, const void *values, uint64_t n, uint64_t *index,
                        shoal_deadline deadline) {
  int rc = take(v, deadline);
  if (rc) return rc;
  uint64_t had = shoal_load64_relaxed(&v->shm->count);
  rc = add(v, had, n, values);
  shoal_robust_release_(&v->shm->writer);
  if (rc == 0 && index) *index = had;
  return rc;
}

int shoal_vector_append(struct shoal_vector *v, const void *value, uint64_t *index, shoal_deadline deadline) {
  return shoal_vector_extend(v, value, 1, index, deadline);
}

int shoal_vector_grow(struct shoal_vector *v, uint64_t count, shoal_deadline deadline) {
  int rc = take(v, deadline);
  if (rc) return rc;
  uint64_t had = shoal_load64_relaxed(&v->shm->count);
  if (count > had) rc = add(v, had, count - had, NULL);
  shoal_robust_release_(&v->shm->writer);
  return rc;
}

int shoal_vector_info(const struct shoal_vector *v, struct shoal_vector_info *out) {
  struct shoal_vector_info info = {.size = v->size, .length = shoal_vector_length(v), .limit = v->limit};
  memcpy(info.type, v->shm->type, sizeof info.type);
  info.type[SHOAL_VECTOR_TYPE_MAX] = 0;
  info.chunks = 1;
  while (info.chunks < SHOAL_VECTOR_CHUNKS && shoal_load64_relaxed(&v->shm->chunk[info.chunks])) info.chunks++;
  info.bytes = sizeof *v->shm + (v->size << (v->shift_ + info.chunks - 1));
  info.writer = shoal_robust_owner(shoal_load32_relaxed(&v->shm->writer.word));
  *out = info;
  return 0;
}
