// What shoal_pack and shoal_unpack make of a format.
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "ipc/data/codec.h"

// NOLINTBEGIN(clang-analyzer-valist.Uninitialized): it loses sight of a va_list that is passed on by its address
struct format {
  const char *text, *at;
  va_list *args;
};

static int wrong(const struct format *f, const char *why) {
  return shoal_fail_(-EINVAL, "format \"%s\", at %d: %s", f->text, (int)(f->at - f->text), why);
}
static char peek(struct format *f) {
  while (*f->at && strchr(" ,:\t\n", *f->at)) f->at++;
  return *f->at;
}
// One value's letters are passed over: a letter, or all up to the bracket that closes what it opens.
static int pass_value(struct format *f) {
  char open[SHOAL_CODEC_DEPTH + 1];
  unsigned depth = 0;
  do {
    char c = peek(f);
    if (!c) return wrong(f, "a bracket is not closed");
    if (c == '[' || c == '{') {
      if (depth > SHOAL_CODEC_DEPTH) return wrong(f, "too deep");
      open[depth++] = c == '[' ? ']' : '}';
    } else if (c == ']' || c == '}') {
      if (!depth || open[--depth] != c) return wrong(f, "this bracket closes nothing");
    }
    f->at++;
  } while (depth);
  return 0;
}
// How many values come before the bracket `close`; f stays where it is.
static int count(struct format *f, char close, uint64_t *n) {
  const char *from = f->at;
  int rc = 0;
  for (*n = 0; rc == 0 && peek(f) != close; ++*n) rc = pass_value(f);
  f->at = from;
  return rc;
}

// It is one value, and its brackets match.
static int check(struct format *f) {
  int rc = peek(f) ? pass_value(f) : wrong(f, "no value");
  if (rc == 0 && peek(f)) rc = wrong(f, "a message is one value: many of them are a [list]");
  f->at = f->text;
  return rc;
}

// ---- packing ----

static int pack_list(struct format *f, struct shoal_packer *p) {
  uint64_t n;
  int rc = count(f, ']', &n);
  return rc ? rc : shoal_packer_list(p, n);
}
static int pack_map(struct format *f, struct shoal_packer *p) {
  uint64_t n;
  int rc = count(f, '}', &n);
  if (rc == 0 && n % 2) rc = wrong(f, "a key without a value");
  return rc ? rc : shoal_packer_map(p, n / 2);
}
static int pack_string(struct format *f, struct shoal_packer *p) {
  const char *s = va_arg(*f->args, const char *);
  return s ? shoal_packer_str(p, s, strlen(s)) : wrong(f, "NULL");
}
static int pack_sized(struct format *f, struct shoal_packer *p, char letter) {
  const void *data = va_arg(*f->args, const void *);
  size_t size = va_arg(*f->args, size_t);
  if (!data && size) return wrong(f, "NULL");
  if (letter == 'S') return shoal_packer_str(p, data, size);
  if (letter == 'y') return shoal_packer_bytes(p, data, size);
  return shoal_packer_packed(p, data, size);
}
static int pack_letter(struct format *f, struct shoal_packer *p, char letter) {
  switch (letter) {
    case 'n': return shoal_packer_nil(p);
    case 'b': return shoal_packer_bool(p, va_arg(*f->args, int));
    case 'i': return shoal_packer_int(p, va_arg(*f->args, int));
    case 'u': return shoal_packer_uint(p, va_arg(*f->args, unsigned));
    case 'I': return shoal_packer_int(p, va_arg(*f->args, int64_t));
    case 'U': return shoal_packer_uint(p, va_arg(*f->args, uint64_t));
    case 'f': return shoal_packer_float(p, va_arg(*f->args, double));
    case 's': return pack_string(f, p);
    case 'S':
    case 'y':
    case 'v': return pack_sized(f, p, letter);
    default: return wrong(f, "no letter that packs");
  }
}
static int pack_all(struct format *f, struct shoal_packer *p) {
  int rc = check(f);
  for (char c; rc == 0 && (c = peek(f));) {
    if (c == ']' || c == '}') rc = 0;
    else if (c != '[' && c != '{') rc = pack_letter(f, p, c);
    f->at += rc == 0;
    if (c == '[') rc = pack_list(f, p);
    if (c == '{') rc = pack_map(f, p);
  }
  return rc;
}
static int pack_once(struct shoal_packer *p, const char *format, va_list args) {
  va_list copy;
  va_copy(copy, args);
  struct format f = {format, format, &copy};
  int rc = pack_all(&f, p);
  va_end(copy);
  return rc;
}

int shoal_vpack_into(void *memory, uint64_t capacity, uint64_t *size, const char *format, va_list args) {
  struct shoal_packer p;
  shoal_packer_place(&p, NULL, 0);
  int rc = pack_once(&p, format, args);
  if (rc) return rc;
  uint64_t needed = p.size;
  if (memory && needed <= capacity) {
    shoal_packer_place(&p, memory, capacity);
    rc = pack_once(&p, format, args);
    if (rc == 0 && p.size != needed) rc = shoal_fail_(-EINVAL, "an argument changed while it was packed");
    if (rc) return rc;
  }
  if (size) *size = needed;
  if (!memory || needed <= capacity) return 0;
  return shoal_fail_(-EMSGSIZE, "a message of %llu bytes, and room for %llu", (unsigned long long)needed,
                     (unsigned long long)capacity);
}
int shoal_pack_into(void *memory, uint64_t capacity, uint64_t *size, const char *format, ...) {
  va_list args;
  va_start(args, format);
  int rc = shoal_vpack_into(memory, capacity, size, format, args);
  va_end(args);
  return rc;
}

int shoal_vpack(struct shoal_packed *m, const char *format, va_list args) {
  struct shoal_packer p;
  shoal_packer_place(&p, NULL, 0);
  int rc = pack_once(&p, format, args);
  if (rc) return rc;
  if (p.size > m->capacity) {
    void *data = realloc(m->data, p.size);
    if (!data) return shoal_fail_(-ENOMEM, "no memory for a message of %llu bytes", (unsigned long long)p.size);
    m->data = data;
    m->capacity = p.size;
  }
  return shoal_vpack_into(m->data, m->capacity, &m->size, format, args);
}
int shoal_pack(struct shoal_packed *m, const char *format, ...) {
  va_list args;
  va_start(args, format);
  int rc = shoal_vpack(m, format, args);
  va_end(args);
  return rc;
}

// ---- unpacking ----

struct unpacking {
  struct format f;
  int store;               // 0: only looks whether all fits
  struct shoal_reader *r;  // NULL: the key is not there, so arguments are passed over
};

static int mismatch(const struct unpacking *u, const char *wanted, const struct shoal_value *v) {
  return shoal_fail_(-EBADMSG, "format \"%s\", at %d: a value of type %s, not %s", u->f.text,
                     (int)(u->f.at - u->f.text), shoal_value_type_name(v->type), wanted);
}
static int no_room(const struct unpacking *u, const char *sign, uint64_t n) {
  return shoal_fail_(-EOVERFLOW, "format \"%s\", at %d: no room for %s%llu", u->f.text, (int)(u->f.at - u->f.text),
                     sign, (unsigned long long)n);
}

static int next(struct unpacking *u, struct shoal_value *v) {
  *v = (struct shoal_value){0};
  int rc = u->r ? shoal_reader_next(u->r, v) : 0;
  if (rc != -EPIPE) return rc;
  return shoal_fail_(-EBADMSG, "format \"%s\", at %d: the list has ended", u->f.text, (int)(u->f.at - u->f.text));
}
static int next_of(struct unpacking *u, uint32_t type, struct shoal_value *v) {
  int rc = next(u, v);
  return rc == 0 && u->r && v->type != type ? mismatch(u, shoal_value_type_name(type), v) : rc;
}
static int next_int(struct unpacking *u, int64_t least, uint64_t most, struct shoal_value *v) {
  int rc = next(u, v);
  if (rc || !u->r) return rc;
  if (v->type == SHOAL_VALUE_INT && v->i < 0) return v->i < least ? no_room(u, "-", -(uint64_t)v->i) : 0;
  if (v->type != SHOAL_VALUE_INT && v->type != SHOAL_VALUE_UINT) return mismatch(u, "int", v);
  return v->u > most ? no_room(u, "", v->u) : 0;
}
static int next_float(struct unpacking *u, double *f) {
  const int64_t exact = INT64_C(1) << 53;
  struct shoal_value v;
  int rc = next(u, &v);
  if (rc || !u->r) return rc;
  *f = v.f;
  if (v.type == SHOAL_VALUE_FLOAT) return 0;
  if (v.type == SHOAL_VALUE_UINT) return no_room(u, "", v.u);
  if (v.type != SHOAL_VALUE_INT) return mismatch(u, "float", &v);
  if (v.i > exact || v.i < -exact) return no_room(u, v.i < 0 ? "-" : "", v.i < 0 ? -(uint64_t)v.i : v.u);
  *f = (double)v.i;
  return 0;
}

static int stores(const struct unpacking *u) { return u->store && u->r; }
#define STORE(T, value)                        \
  do {                                         \
    T *out_ = va_arg(*u->f.args, T *);         \
    if (rc == 0 && stores(u)) *out_ = (value); \
  } while (0)

static int unpack_copy(struct unpacking *u) {
  char *to = va_arg(*u->f.args, char *);
  size_t capacity = va_arg(*u->f.args, size_t);
  struct shoal_value v;
  int rc = next_of(u, SHOAL_VALUE_STR, &v);
  if (rc || !u->r) return rc;
  if (v.size >= capacity) return no_room(u, "a str of ", v.size);
  if (v.size && memchr(v.data, 0, v.size)) return mismatch(u, "a str without a NUL", &v);
  if (u->store) {
    if (v.size) memcpy(to, v.data, v.size);
    to[v.size] = 0;
  }
  return 0;
}
static int unpack_bytes(struct unpacking *u, char letter) {
  struct shoal_value v;
  int rc;
  if (letter == 'v') {
    v = (struct shoal_value){0};
    rc = u->r ? shoal_reader_raw(u->r, &v.data, &v.size) : 0;
    if (rc == -EPIPE) rc = next(u, &v);
  } else {
    rc = next_of(u, letter == 'y' ? SHOAL_VALUE_BYTES : SHOAL_VALUE_STR, &v);
  }
  STORE(const void *, v.data);
  STORE(size_t, v.size);
  return rc;
}
static int unpack_float(struct unpacking *u) {
  double f = 0;
  int rc = next_float(u, &f);
  STORE(double, f);
  return rc;
}
static int unpack_int(struct unpacking *u, char letter) {
  struct shoal_value v;
  int rc;
  switch (letter) {
    case 'i':
      rc = next_int(u, INT_MIN, INT_MAX, &v);
      STORE(int, (int)v.i);
      return rc;
    case 'u':
      rc = next_int(u, 0, UINT_MAX, &v);
      STORE(unsigned, (unsigned)v.u);
      return rc;
    case 'I':
      rc = next_int(u, INT64_MIN, INT64_MAX, &v);
      STORE(int64_t, v.i);
      return rc;
    default:
      rc = next_int(u, 0, UINT64_MAX, &v);
      STORE(uint64_t, v.u);
      return rc;
  }
}
static int unpack_bool(struct unpacking *u) {
  struct shoal_value v;
  int rc = next_of(u, SHOAL_VALUE_BOOL, &v);
  STORE(int, (int)v.i);
  return rc;
}
static int unpack_letter(struct unpacking *u, char letter) {
  struct shoal_value v;
  switch (letter) {
    case 'n': return next_of(u, SHOAL_VALUE_NIL, &v);
    case 'x': return next(u, &v);
    case 'b': return unpack_bool(u);
    case 'i':
    case 'u':
    case 'I':
    case 'U': return unpack_int(u, letter);
    case 'f': return unpack_float(u);
    case 's':
    case 'S':
    case 'y':
    case 'v': return unpack_bytes(u, letter);
    case 'z': return unpack_copy(u);
    default: return wrong(&u->f, "no letter that unpacks");
  }
}

static int unpack_value(struct unpacking *u);

static int unpack_list(struct unpacking *u) {
  struct shoal_value v;
  char c;
  int rc = next_of(u, SHOAL_VALUE_LIST, &v);
  if (rc == 0 && u->r) shoal_reader_enter(u->r);
  u->f.at += rc == 0;
  while (rc == 0 && (c = peek(&u->f)) != ']' && c != '*') rc = unpack_value(u);
  if (rc) return rc;
  if (c == '*') {
    u->f.at++;
    if (peek(&u->f) != ']') return wrong(&u->f, "* stands at the end of a list");
  } else if (u->r && u->r->left[u->r->level]) {
    return shoal_fail_(-EBADMSG, "format \"%s\", at %d: the list has %llu more", u->f.text, (int)(u->f.at - u->f.text),
                       (unsigned long long)u->r->left[u->r->level]);
  }
  if (u->r) shoal_reader_leave(u->r);
  return 0;
}

// Behind the key: the reader stands before its value.
static int find(struct shoal_reader *r, const char *key) {
  struct shoal_value v;
  int rc;
  while ((rc = shoal_reader_next(r, &v)) == 0) {
    if (v.type == SHOAL_VALUE_STR && v.size == strlen(key) && memcmp(v.data, key, v.size) == 0) return 0;
    if ((rc = shoal_reader_next(r, &v)) != 0) break;
  }
  return rc == -EPIPE ? shoal_fail_(-ENOENT, "the map has no \"%s\"", key) : rc;
}
// One key and its value; the reader stays at the map's beginning.
static int unpack_pair(struct unpacking *u) {
  struct shoal_reader *whole = u->r, r;
  const char *key;
  if (*u->f.at++ != 's') return wrong(&u->f, "a key is an s");
  int optional = peek(&u->f) == '?';
  u->f.at += optional;
  key = va_arg(*u->f.args, const char *);
  if (!key) return wrong(&u->f, "NULL");
  if (peek(&u->f) == '}') return wrong(&u->f, "a key without a value");
  if (whole) {
    r = *whole;
    int rc = find(&r, key);
    if (rc && (rc != -ENOENT || !optional)) return rc;
    u->r = rc ? NULL : &r;
  }
  int rc = unpack_value(u);
  u->r = whole;
  return rc;
}
static int unpack_map(struct unpacking *u) {
  struct shoal_value v;
  int rc = next_of(u, SHOAL_VALUE_MAP, &v);
  if (rc == 0 && u->r) shoal_reader_enter(u->r);
  u->f.at += rc == 0;
  while (rc == 0 && peek(&u->f) != '}') rc = unpack_pair(u);
  if (rc == 0 && u->r) shoal_reader_leave(u->r);
  return rc;
}
static int unpack_value(struct unpacking *u) {
  char c = peek(&u->f);
  int rc = c == '[' ? unpack_list(u) : c == '{' ? unpack_map(u) : unpack_letter(u, c);
  u->f.at += rc == 0;
  return rc;
}

static int unpack_once(const void *data, uint64_t size, const char *format, va_list args, int store) {
  struct shoal_reader r;
  va_list copy;
  va_copy(copy, args);
  struct unpacking u = {{format, format, &copy}, store, &r};
  shoal_reader_begin(&r, data, size);
  int rc = check(&u.f);
  if (rc == 0) rc = unpack_value(&u);
  if (rc == 0) rc = shoal_reader_end(&r);
  va_end(copy);
  return rc;
}
int shoal_vunpack(const void *data, uint64_t size, const char *format, va_list args) {
  int rc = unpack_once(data, size, format, args, 0);
  return rc ? rc : unpack_once(data, size, format, args, 1);
}
int shoal_unpack(const void *data, uint64_t size, const char *format, ...) {
  va_list args;
  va_start(args, format);
  int rc = shoal_vunpack(data, size, format, args);
  va_end(args);
  return rc;
}
// NOLINTEND(clang-analyzer-valist.Uninitialized)
