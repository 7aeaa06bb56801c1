// JSON to MessagePack and back: messages of no fixed type, as a shell writes and reads them.
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/shoal/message.h"

// ---- reading JSON ----

struct parse {
  const char *begin, *at, *end;
  struct shoal_packer *packer;  // NULL: only passes over it
  unsigned depth;
};

static int wrong(const struct parse *p, const char *what) {
  return shoal_fail_(-EINVAL, "no JSON at byte %zu: %s", (size_t)(p->at - p->begin), what);
}
static void skip(struct parse *p) {
  while (p->at < p->end && strchr(" \t\r\n", *p->at)) p->at++;
}
static int peek(struct parse *p) {
  skip(p);
  return p->at < p->end ? (unsigned char)*p->at : -1;
}

static int hex4(struct parse *p, uint32_t *out) {
  uint32_t n = 0;
  if (p->end - p->at < 4) return wrong(p, "\\u wants four digits");
  for (unsigned i = 0; i < 4; i++, p->at++) {
    const char *digits = "0123456789abcdefABCDEF", *d = *p->at ? strchr(digits, *p->at) : NULL;
    if (!d) return wrong(p, "\\u wants four digits");
    n = n << 4 | (uint32_t)(d - digits > 15 ? d - digits - 6 : d - digits);
  }
  *out = n;
  return 0;
}
static char *utf8(char *to, uint32_t c) {
  if (c < 0x80) *to++ = (char)c;
  else if (c < 0x800) *to++ = (char)(0xc0 | c >> 6), *to++ = (char)(0x80 | (c & 63));
  else if (c < 0x10000)
    *to++ = (char)(0xe0 | c >> 12), *to++ = (char)(0x80 | (c >> 6 & 63)), *to++ = (char)(0x80 | (c & 63));
  else
    *to++ = (char)(0xf0 | c >> 18), *to++ = (char)(0x80 | (c >> 12 & 63)), *to++ = (char)(0x80 | (c >> 6 & 63)),
    *to++ = (char)(0x80 | (c & 63));
  return to;
}
// Behind "\u". A lone \udc80..\udcff is a byte that was no UTF-8, as it is written here.
static int unicode(struct parse *p, char **to) {
  uint32_t c, low;
  int rc = hex4(p, &c);
  if (rc) return rc;
  if (c >= 0xdc80 && c <= 0xdcff) {
    *(*to)++ = (char)(c & 0xff);
    return 0;
  }
  if (c >= 0xd800 && c < 0xdc00) {
    if (p->end - p->at < 2 || p->at[0] != '\\' || p->at[1] != 'u') return wrong(p, "half of a pair");
    p->at += 2;
    if ((rc = hex4(p, &low))) return rc;
    if (low < 0xdc00 || low > 0xdfff) return wrong(p, "half of a pair");
    c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
  } else if (c >= 0xdc00 && c <= 0xdfff) return wrong(p, "half of a pair");
  *to = utf8(*to, c);
  return 0;
}

// The text of a string, whose opening quote was seen. `to` has room for what is left of the input.
static int unquote(struct parse *p, char *to, size_t *n) {
  static const char from[] = "\"\\/bfnrt", is[] = "\"\\/\b\f\n\r\t";
  char *begin = to;
  for (p->at++; p->at < p->end && *p->at != '"';) {
    unsigned char c = (unsigned char)*p->at++;
    if (c < 0x20) return wrong(p, "a control character in a string");
    if (c != '\\') {
      *to++ = (char)c;
      continue;
    }
    if (p->at == p->end) break;
    c = (unsigned char)*p->at++;
    const char *known = c ? strchr(from, c) : NULL;
    int rc = known ? 0 : c == 'u' ? unicode(p, &to) : wrong(p, "an unknown escape");
    if (rc) return rc;
    if (known) *to++ = is[known - from];
  }
  if (p->at == p->end) return wrong(p, "a string without an end");
  p->at++;
  *n = (size_t)(to - begin);
  return 0;
}
static int string(struct parse *p) {
  size_t n = 0;
  char *text = malloc((size_t)(p->end - p->at) + 1);
  if (!text) return shoal_fail_(-ENOMEM, "private memory");
  int rc = unquote(p, text, &n);
  if (rc == 0 && p->packer) rc = shoal_packer_str(p->packer, text, n);
  free(text);
  return rc;
}

static int number(struct parse *p) {
  char text[512], *end;
  size_t n = 0;
  while (p->at + n < p->end && strchr("+-.0123456789eE", p->at[n])) n++;
  if (n == 0 || n >= sizeof text) return wrong(p, "a value is wanted");
  memcpy(text, p->at, n);
  text[n] = 0;
  errno = 0;
  int whole = !strpbrk(text, ".eE");
  int64_t i = strtoll(text, &end, 10);
  int fits = whole && !errno && !*end;
  errno = 0;
  uint64_t u = fits || *text == '-' ? 0 : strtoull(text, &end, 10);
  int unsigned_fits = !fits && whole && *text != '-' && !errno && !*end;
  double f = strtod(text, &end);
  if (*end || *text == '+') return wrong(p, "no number");
  if (!isfinite(f)) return wrong(p, "the number is too large");
  p->at += n;
  if (!p->packer) return 0;
  return fits            ? shoal_packer_int(p->packer, i)
         : unsigned_fits ? shoal_packer_uint(p->packer, u)
                         : shoal_packer_float(p->packer, f);
}

static int word(struct parse *p) {
  static const char *const words[] = {"null", "false", "true"};
  for (int i = 0; i < 3; i++) {
    size_t n = strlen(words[i]);
    if ((size_t)(p->end - p->at) < n || memcmp(p->at, words[i], n) != 0) continue;
    p->at += n;
    if (!p->packer) return 0;
    return i ? shoal_packer_bool(p->packer, i == 2) : shoal_packer_nil(p->packer);
  }
  return number(p);
}

static int value(struct parse *p);
static int pair(struct parse *p) {
  if (peek(p) != '"') return wrong(p, "a key is a string");
  int rc = string(p);
  if (rc) return rc;
  if (peek(p) != ':') return wrong(p, "a colon is wanted");
  p->at++;
  return value(p);
}
// Through what stands between the brackets; how many.
static int elements(struct parse *p, int closing, uint64_t *n) {
  *n = 0;
  p->at++;
  if (peek(p) == closing) return p->at++, 0;
  for (;;) {
    int rc = closing == '}' ? pair(p) : value(p);
    if (rc) return rc;
    ++*n;
    int c = peek(p);
    if (c != ',' && c != closing) return wrong(p, "a comma or the end is wanted");
    p->at++;
    if (c == closing) return 0;
  }
}
// MessagePack tells first how many there are: they are counted, then packed.
static int container(struct parse *p, int closing) {
  uint64_t n;
  struct parse count = *p;
  count.packer = NULL;
  int rc = elements(&count, closing, &n);
  if (rc || !p->packer) return *p = count, rc;
  rc = closing == ']' ? shoal_packer_list(p->packer, n) : shoal_packer_map(p->packer, n);
  return rc ? rc : elements(p, closing, &n);
}
static int value(struct parse *p) {
  int c = peek(p), rc;
  if (c != '[' && c != '{') return c == '"' ? string(p) : word(p);
  if (p->depth == SHOAL_CODEC_DEPTH) return wrong(p, "nested too deeply");
  p->depth++;
  rc = container(p, c == '[' ? ']' : '}');
  p->depth--;
  return rc;
}

int tool_json_pack(const char *text, size_t n, struct shoal_packed *out) {
  struct shoal_packer packer;
  struct parse p = {text, text, text + n, NULL, 0};
  int rc = value(&p);
  if (rc == 0 && peek(&p) != -1) rc = wrong(&p, "more behind the value");
  if (rc) return rc;
  shoal_packer_begin(&packer, out);
  p = (struct parse){text, text, text + n, &packer, 0};
  rc = value(&p);
  int end = shoal_packer_end(&packer, NULL);
  return rc ? rc : end;
}

// ---- writing JSON ----

static void quote(FILE *out, const void *data, size_t n) {
  tool_json_bytes(&(struct tool_json){.out = out}, NULL, data, n);
}
static int key_of(FILE *out, const struct shoal_value *v) {
  if (v->type == SHOAL_VALUE_STR || v->type == SHOAL_VALUE_BYTES) return quote(out, v->data, v->size), 0;
  if (v->type == SHOAL_VALUE_INT) return fprintf(out, "\"%" PRId64 "\"", v->i), 0;
  if (v->type == SHOAL_VALUE_UINT) return fprintf(out, "\"%" PRIu64 "\"", v->u), 0;
  return shoal_fail_(-EPROTO, "a key of type %s, which JSON does not have", shoal_value_type_name(v->type));
}

// Whether it is printed without a point and an exponent, and would be read again as an integer.
static int looks_whole(double f) { return f > -1e17 && f < 1e17 && f == (double)(int64_t)f; }

static int print(FILE *out, struct shoal_reader *r, const struct shoal_value *v);
static int print_inside(FILE *out, struct shoal_reader *r, int is_map) {
  struct shoal_value v;
  int rc = shoal_reader_enter(r);
  fputc(is_map ? '{' : '[', out);
  for (uint64_t i = 0; rc == 0 && (rc = shoal_reader_next(r, &v)) == 0; i++) {
    int is_key = is_map && i % 2 == 0;
    if (i && !(is_map && i % 2)) fputc(',', out);
    rc = is_key ? key_of(out, &v) : print(out, r, &v);
    if (is_key) fputc(':', out);
  }
  fputc(is_map ? '}' : ']', out);
  return rc == -EPIPE ? shoal_reader_leave(r) : rc;
}
static int print(FILE *out, struct shoal_reader *r, const struct shoal_value *v) {
  struct tool_json j = {.out = out};
  switch (v->type) {
    case SHOAL_VALUE_NIL: return fputs("null", out), 0;
    case SHOAL_VALUE_BOOL: return fputs(v->i ? "true" : "false", out), 0;
    case SHOAL_VALUE_INT: return fprintf(out, "%" PRId64, v->i), 0;
    case SHOAL_VALUE_UINT: return fprintf(out, "%" PRIu64, v->u), 0;
    case SHOAL_VALUE_FLOAT: return tool_json_float(&j, NULL, v->f), fputs(looks_whole(v->f) ? ".0" : "", out), 0;
    case SHOAL_VALUE_STR:
    case SHOAL_VALUE_BYTES: return quote(out, v->data, v->size), 0;
    case SHOAL_VALUE_LIST:
    case SHOAL_VALUE_MAP: return print_inside(out, r, v->type == SHOAL_VALUE_MAP);
    default:
      fprintf(out, "{\"ext\":%d,\"data\":", (int)v->ext);
      quote(out, v->data, v->size);
      return fputc('}', out), 0;
  }
}

// Into memory first: what turns out to be no value has not been half written.
int tool_packed_json(const void *data, uint64_t size, FILE *out) {
  struct shoal_reader r;
  struct shoal_value v;
  char *text = NULL;
  size_t n = 0;
  FILE *memory = open_memstream(&text, &n);
  if (!memory) return shoal_fail_(-ENOMEM, "private memory");
  shoal_reader_begin(&r, data, size);
  int rc = shoal_reader_next(&r, &v);
  if (rc == 0) rc = print(memory, &r, &v);
  if (rc == 0) rc = shoal_reader_end(&r);
  if (fclose(memory)) rc = shoal_fail_(-ENOMEM, "private memory");
  if (rc == 0) fwrite(text, 1, n, out);
  free(text);
  return rc == -EPROTO && !*shoal_reason() ? shoal_fail_(rc, "the message is no MessagePack") : rc;
}
