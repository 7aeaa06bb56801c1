#include "ipc/data/codec.h"

#include <msgpack/pack.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"

static int step(struct shoal_reader *r, struct shoal_value *v);

// ---- building ----

void shoal_packed_free(struct shoal_packed *m) {
  free(m->data);
  *m = (struct shoal_packed){0};
}

static void begin(struct shoal_packer *p, void *memory, uint64_t capacity, struct shoal_packed *grow) {
  p->data = memory;
  p->size = 0;
  p->capacity = capacity;
  p->grow = grow;
  p->error = 0;
  p->depth = 0;
  p->owed[0] = 1;
}
void shoal_packer_begin(struct shoal_packer *p, struct shoal_packed *m) {
  m->size = 0;
  begin(p, m->data, m->capacity, m);
}
void shoal_packer_place(struct shoal_packer *p, void *memory, uint64_t capacity) { begin(p, memory, capacity, NULL); }

static int grow_to(struct shoal_packer *p, uint64_t needed) {
  uint64_t capacity = p->capacity < 32 ? 64 : p->capacity * 2;
  if (capacity < needed) capacity = needed;
  void *data = realloc(p->data, capacity);
  if (!data) return shoal_fail_(-ENOMEM, "no memory for a message of %llu bytes", (unsigned long long)capacity);
  p->data = p->grow->data = data;
  p->capacity = p->grow->capacity = capacity;
  return 0;
}

static int write_to(void *packer, const char *bytes, size_t n) {
  struct shoal_packer *p = packer;
  if (p->grow && n > p->capacity - p->size) p->error = grow_to(p, p->size + n);
  if (p->error) return -1;
  if (n && p->size <= p->capacity && n <= p->capacity - p->size) memcpy(p->data + p->size, bytes, n);
  p->size += n;
  return 0;
}

// A place for one more value, and in it for `children`, if it is a list or a map.
static int take_place(struct shoal_packer *p, int has_children, uint64_t children) {
  if (p->error) return p->error;
  if (!p->owed[p->depth]) return p->error = shoal_fail_(-EINVAL, "a message is one value: many of them are a list");
  if (has_children && p->depth == SHOAL_CODEC_DEPTH)
    return p->error = shoal_fail_(-EOVERFLOW, "lists and maps more than %d deep", SHOAL_CODEC_DEPTH);
  p->owed[p->depth]--;
  if (children) p->owed[++p->depth] = children;
  while (p->depth && !p->owed[p->depth]) p->depth--;
  return 0;
}
static int too_long(struct shoal_packer *p, const char *what, uint64_t n) {
  if (!p->error && n > UINT32_MAX)
    p->error = shoal_fail_(-EOVERFLOW, "a %s of %llu: MessagePack counts to 2^32 - 1", what, (unsigned long long)n);
  return p->error;
}
static msgpack_packer by(struct shoal_packer *p) { return (msgpack_packer){p, write_to}; }

int shoal_packer_nil(struct shoal_packer *p) {
  msgpack_packer pk = by(p);
  if (take_place(p, 0, 0) == 0) msgpack_pack_nil(&pk);
  return p->error;
}
int shoal_packer_bool(struct shoal_packer *p, int yes) {
  msgpack_packer pk = by(p);
  if (take_place(p, 0, 0) == 0) (void)(yes ? msgpack_pack_true(&pk) : msgpack_pack_false(&pk));
  return p->error;
}
int shoal_packer_int(struct shoal_packer *p, int64_t n) {
  msgpack_packer pk = by(p);
  if (take_place(p, 0, 0) == 0) msgpack_pack_int64(&pk, n);
  return p->error;
}
int shoal_packer_uint(struct shoal_packer *p, uint64_t n) {
  msgpack_packer pk = by(p);
  if (take_place(p, 0, 0) == 0) msgpack_pack_uint64(&pk, n);
  return p->error;
}
int shoal_packer_float(struct shoal_packer *p, double f) {
  msgpack_packer pk = by(p);
  if (take_place(p, 0, 0) == 0) msgpack_pack_double(&pk, f);
  return p->error;
}
int shoal_packer_str(struct shoal_packer *p, const char *s, uint64_t length) {
  msgpack_packer pk = by(p);
  if (too_long(p, "str", length) == 0 && take_place(p, 0, 0) == 0 && msgpack_pack_str(&pk, length) == 0)
    msgpack_pack_str_body(&pk, s, length);
  return p->error;
}
int shoal_packer_bytes(struct shoal_packer *p, const void *bytes, uint64_t length) {
  msgpack_packer pk = by(p);
  if (too_long(p, "bytes", length) == 0 && take_place(p, 0, 0) == 0 && msgpack_pack_bin(&pk, length) == 0)
    msgpack_pack_bin_body(&pk, bytes, length);
  return p->error;
}
int shoal_packer_list(struct shoal_packer *p, uint64_t n) {
  msgpack_packer pk = by(p);
  if (too_long(p, "list", n) == 0 && take_place(p, 1, n) == 0) msgpack_pack_array(&pk, n);
  return p->error;
}
int shoal_packer_map(struct shoal_packer *p, uint64_t n) {
  msgpack_packer pk = by(p);
  if (too_long(p, "map", n) == 0 && take_place(p, 1, 2 * n) == 0) msgpack_pack_map(&pk, n);
  return p->error;
}

// How deep the lists and maps of a message go, which is checked by it.
static int depth_of(const void *value, uint64_t size, uint32_t *deepest) {
  struct shoal_reader r;
  struct shoal_value v;
  int rc = 0;
  *deepest = 0;
  shoal_reader_begin(&r, value, size);
  while (rc == 0 && (r.left[r.depth] || r.depth)) {
    if (r.left[r.depth]) rc = step(&r, &v);
    else r.depth--;
    if (r.depth > *deepest) *deepest = r.depth;
  }
  return rc ? rc : shoal_reader_end(&r);
}
int shoal_packer_packed(struct shoal_packer *p, const void *value, uint64_t size) {
  uint32_t deepest;
  if (p->error == 0) p->error = depth_of(value, size, &deepest);
  if (p->error == 0 && p->depth + deepest > SHOAL_CODEC_DEPTH)
    p->error = shoal_fail_(-EOVERFLOW, "lists and maps more than %d deep", SHOAL_CODEC_DEPTH);
  if (take_place(p, 0, 0) == 0) write_to(p, value, size);
  return p->error;
}

int shoal_packer_end(struct shoal_packer *p, uint64_t *size) {
  if (p->error) return p->error;
  if (p->depth || p->owed[0])
    return shoal_fail_(-EINVAL, "the message is not whole: %llu more at depth %u",
                       (unsigned long long)p->owed[p->depth], p->depth);
  if (size) *size = p->size;
  if (p->size > p->capacity)
    return shoal_fail_(-EMSGSIZE, "a message of %llu bytes, and room for %llu", (unsigned long long)p->size,
                       (unsigned long long)p->capacity);
  if (p->grow) p->grow->size = p->size;
  return 0;
}

// ---- reading ----

// What the format byte 0xc0 + i says: a type, and how many bytes of a number come behind it. FIXED_: an ext of 1 << i
// bytes.
enum { NEVER = 100, FLOAT32, SIGNED, FIXED };
static const struct {
  uint8_t type, width;
} formats[32] = {
    {SHOAL_VALUE_NIL, 0},
    {NEVER, 0},
    {SHOAL_VALUE_BOOL, 0},
    {SHOAL_VALUE_BOOL, 0},
    {SHOAL_VALUE_BYTES, 1},
    {SHOAL_VALUE_BYTES, 2},
    {SHOAL_VALUE_BYTES, 4},
    {SHOAL_VALUE_EXT, 1},
    {SHOAL_VALUE_EXT, 2},
    {SHOAL_VALUE_EXT, 4},
    {FLOAT32, 4},
    {SHOAL_VALUE_FLOAT, 8},
    {SHOAL_VALUE_UINT, 1},
    {SHOAL_VALUE_UINT, 2},
    {SHOAL_VALUE_UINT, 4},
    {SHOAL_VALUE_UINT, 8},
    {SIGNED, 1},
    {SIGNED, 2},
    {SIGNED, 4},
    {SIGNED, 8},
    {FIXED, 0},
    {FIXED, 0},
    {FIXED, 0},
    {FIXED, 0},
    {FIXED, 0},
    {SHOAL_VALUE_STR, 1},
    {SHOAL_VALUE_STR, 2},
    {SHOAL_VALUE_STR, 4},
    {SHOAL_VALUE_LIST, 2},
    {SHOAL_VALUE_LIST, 4},
    {SHOAL_VALUE_MAP, 2},
    {SHOAL_VALUE_MAP, 4},
};

// Read once: what it was when it was checked it is when it is used.
static uint8_t byte_at(const uint8_t *at) { return *(const volatile uint8_t *)at; }
static uint64_t number_at(const uint8_t *at, uint32_t width) {
  uint64_t n = 0;
  while (width--) n = n << 8 | byte_at(at++);
  return n;
}

static int cut(const struct shoal_reader *r) {
  return shoal_fail_(-EPROTO, "cut: %llu bytes are left, and more are promised",
                     (unsigned long long)(uint64_t)(r->end - r->at));
}

static void set_unsigned(struct shoal_value *v, uint64_t n) {
  v->type = n > INT64_MAX ? SHOAL_VALUE_UINT : SHOAL_VALUE_INT;
  v->u = n;
}
static void set_signed(struct shoal_value *v, uint64_t n, uint32_t width) {
  uint64_t sign = UINT64_C(1) << ((8 * width - 1) & 63);
  v->type = SHOAL_VALUE_INT;
  v->u = (n ^ sign) - sign;
}
static void set_float32(struct shoal_value *v, uint64_t n) {
  uint32_t bits = (uint32_t)n;
  float f;
  memcpy(&f, &bits, 4);
  v->type = SHOAL_VALUE_FLOAT;
  v->f = f;
}

// What follows from a format byte and its number. v->size: of the body, that of an ext with its number before it.
static int make(struct shoal_value *v, uint8_t format, uint32_t type, uint32_t width, uint64_t n) {
  v->type = type;
  switch (type) {
    case SHOAL_VALUE_BOOL: v->i = format & 1; break;
    case SHOAL_VALUE_UINT: set_unsigned(v, n); break;
    case SIGNED: set_signed(v, n, width); break;
    case FLOAT32: set_float32(v, n); break;
    case SHOAL_VALUE_FLOAT: memcpy(&v->f, &n, 8); break;
    case SHOAL_VALUE_STR:
    case SHOAL_VALUE_BYTES: v->size = n; break;
    case SHOAL_VALUE_LIST:
    case SHOAL_VALUE_MAP: v->count = n; break;
    case SHOAL_VALUE_EXT: v->size = n + 1; break;
    case FIXED:
      v->type = SHOAL_VALUE_EXT;
      v->size = (UINT64_C(1) << (format - 0xd4)) + 1;
      break;
    case NEVER: return shoal_fail_(-EPROTO, "0x%02x begins no value", format);
    default: break;  // nil
  }
  return 0;
}
// The head of the value at r->at. *length: its bytes.
static int head(const struct shoal_reader *r, struct shoal_value *v, uint64_t *length) {
  *v = (struct shoal_value){0};
  *length = 1;
  if (r->at == r->end) return cut(r);
  uint8_t format = byte_at(r->at);
  if (format < 0x80) return make(v, format, SHOAL_VALUE_UINT, 0, format);
  if (format < 0x90) return make(v, format, SHOAL_VALUE_MAP, 0, format & 0xf);
  if (format < 0xa0) return make(v, format, SHOAL_VALUE_LIST, 0, format & 0xf);
  if (format < 0xc0) return make(v, format, SHOAL_VALUE_STR, 0, format & 0x1f);
  if (format >= 0xe0) return make(v, format, SIGNED, 1, format);
  uint32_t type = formats[format - 0xc0].type, width = formats[format - 0xc0].width;
  *length += width;
  if (*length > (uint64_t)(r->end - r->at)) return cut(r);
  return make(v, format, type, width, number_at(r->at + 1, width));
}

// Puts the body of `v` behind a head of `length` bytes into it. *length: all of it.
static int body(const struct shoal_reader *r, struct shoal_value *v, uint64_t *length) {
  const uint8_t *at = r->at + *length;
  if (v->size > (uint64_t)(r->end - at)) return cut(r);
  *length += v->size;
  if (v->type == SHOAL_VALUE_EXT) {
    v->ext = (byte_at(at++) ^ 0x80) - 0x80;
    v->size--;
  }
  if (v->type == SHOAL_VALUE_STR || v->type == SHOAL_VALUE_BYTES || v->type == SHOAL_VALUE_EXT) v->data = at;
  return 0;
}

// Reads one value, and stands in it, if it is a list or a map. What has been promised is never more than there are
// bytes.
static int step(struct shoal_reader *r, struct shoal_value *v) {
  uint64_t length;
  int rc = head(r, v, &length);
  if (rc == 0) rc = body(r, v, &length);
  if (rc) return rc;
  int has_children = v->type == SHOAL_VALUE_LIST || v->type == SHOAL_VALUE_MAP;
  uint64_t children = v->type == SHOAL_VALUE_MAP ? 2 * v->count : has_children ? v->count : 0;
  if (r->owed - 1 + children > (uint64_t)(r->end - r->at) - length) return cut(r);
  if (has_children && r->depth == SHOAL_CODEC_DEPTH)
    return shoal_fail_(-EPROTO, "lists and maps more than %d deep", SHOAL_CODEC_DEPTH);
  r->at += length;
  r->owed += children - 1;
  r->left[r->depth]--;
  if (has_children) r->left[++r->depth] = children;
  return 0;
}
static int finish(struct shoal_reader *r) {
  struct shoal_value passed;
  int rc = 0;
  while (rc == 0 && r->depth > r->level) {
    if (r->left[r->depth]) rc = step(r, &passed);
    else r->depth--;
  }
  return rc;
}

void shoal_reader_begin(struct shoal_reader *r, const void *data, uint64_t size) {
  r->at = data;
  r->end = r->at + size;
  r->owed = r->left[0] = 1;
  r->level = r->depth = 0;
}
int shoal_reader_next(struct shoal_reader *r, struct shoal_value *out) {
  struct shoal_value v;
  int rc = finish(r);
  if (rc == 0 && !r->left[r->level]) return -EPIPE;
  if (rc == 0) rc = step(r, &v);
  if (rc == 0) *out = v;
  return rc;
}
int shoal_reader_raw(struct shoal_reader *r, const void **data, uint64_t *size) {
  struct shoal_value v;
  int rc = finish(r);
  const uint8_t *from = r->at;
  if (rc == 0) rc = shoal_reader_next(r, &v);
  if (rc == 0) rc = finish(r);
  if (rc) return rc;
  *data = from;
  *size = (uint64_t)(r->at - from);
  return 0;
}
int shoal_reader_enter(struct shoal_reader *r) {
  if (r->depth == r->level) return shoal_fail_(-EINVAL, "there is no list or map to enter");
  r->level++;
  return 0;
}
int shoal_reader_leave(struct shoal_reader *r) {
  if (!r->level) return shoal_fail_(-EINVAL, "no list or map was entered");
  r->level--;
  return 0;
}
int shoal_reader_end(struct shoal_reader *r) {
  struct shoal_value v;
  int rc;
  r->level = 0;
  while ((rc = shoal_reader_next(r, &v)) == 0) {
  }
  if (rc != -EPIPE) return rc;
  if (r->at == r->end) return 0;
  return shoal_fail_(-EPROTO, "%llu bytes behind the value", (unsigned long long)(uint64_t)(r->end - r->at));
}

const char *shoal_value_type_name(uint32_t type) {
  static const char *const names[] = {"nil", "bool", "int", "int", "float", "str", "bytes", "list", "map", "ext"};
  return type < sizeof names / sizeof *names ? names[type] : "no type";
}
