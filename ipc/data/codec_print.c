// Values as Python's repr prints them.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "ipc/data/codec.h"

// The shortest digits that read back as f, and the power of ten of the first.
static int digits_of(double f, char digits[24]) {
  char text[40];
  int precision = 0;
  do snprintf(text, sizeof text, "%.*e", precision, f);
  while (strtod(text, NULL) != f && ++precision < 17);
  char *e = strchr(text, 'e');
  *e = 0;
  snprintf(digits, 24, "%c%.17s", text[0], text[1] ? text + 2 : "");
  return (int)strtol(e + 1, NULL, 10);
}
static void print_float(double f, FILE *out) {
  char digits[24];
  if (signbit(f) && !isnan(f)) fputc('-', out);
  if (isnan(f) || isinf(f)) {
    fputs(isnan(f) ? "nan" : "inf", out);
    return;
  }
  int power = digits_of(fabs(f), digits), n = (int)strlen(digits);
  if (power < -4 || power >= 16) {
    fprintf(out, "%c%s%se%c%02d", *digits, n > 1 ? "." : "", digits + 1, power < 0 ? '-' : '+', abs(power));
    return;
  }
  for (int i = power < 0 ? power : 0; i < n || i <= power + 1; i++) {
    if (i == power + 1) fputc('.', out);
    fputc(i < 0 || i >= n ? '0' : digits[i], out);
  }
}

// How many bytes the UTF-8 character at `s` has, of `n` at most; 0: it is none, or none that prints.
static uint64_t character(const uint8_t *s, uint64_t n) {
  static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  uint8_t first = *s;
  if (first < 0x80) return first >= 0x20 && first != 0x7f;
  uint64_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || length > n) return 0;
  uint32_t c = first & (0x7fu >> length);
  for (uint64_t i = 1; i < length; i++) {
    if ((s[i] & 0xc0) != 0x80) return 0;
    c = c << 6 | (s[i] & 0x3f);
  }
  int surrogate = c >= 0xd800 && c < 0xe000;
  return c < least[length] || c < 0xa1 || c > 0x10ffff || surrogate ? 0 : length;
}
static void print_escaped(uint8_t c, FILE *out) {
  static const char escaped[] = "\tt\nn\rr\\\\";
  const char *at = c ? strchr(escaped, c) : NULL;
  if (at && (at - escaped) % 2 == 0) fprintf(out, "\\%c", at[1]);
  else fprintf(out, "\\x%02x", c);
}
static void print_quoted(const struct shoal_value *v, int wide, FILE *out) {
  const uint8_t *s = v->data;
  uint8_t quote = v->size && memchr(s, '\'', v->size) && !memchr(s, '"', v->size) ? '"' : '\'';
  fputc(quote, out);
  for (uint64_t i = 0, n; i < v->size; i += n ? n : 1) {
    n = s[i] < 0x80 || wide ? character(s + i, v->size - i) : 0;
    if (s[i] == quote) fprintf(out, "\\%c", quote);
    else if (n && s[i] != '\\') fwrite(s + i, 1, n, out);
    else print_escaped(s[i], out);
  }
  fputc(quote, out);
}

static int print_value(struct shoal_reader *r, FILE *out);

static int print_inside(struct shoal_reader *r, const struct shoal_value *v, FILE *out) {
  int map = v->type == SHOAL_VALUE_MAP, rc = shoal_reader_enter(r);
  fputc(map ? '{' : '[', out);
  for (uint64_t i = 0, n = map ? 2 * v->count : v->count; rc == 0 && i < n; i++) {
    if (i) fputs(map && i % 2 ? ": " : ", ", out);
    rc = print_value(r, out);
  }
  fputc(map ? '}' : ']', out);
  return rc ? rc : shoal_reader_leave(r);
}
static int print_value(struct shoal_reader *r, FILE *out) {
  struct shoal_value v;
  int rc = shoal_reader_next(r, &v);
  if (rc) return rc;
  switch (v.type) {
    case SHOAL_VALUE_NIL: fputs("None", out); break;
    case SHOAL_VALUE_BOOL: fputs(v.i ? "True" : "False", out); break;
    case SHOAL_VALUE_INT: fprintf(out, "%lld", (long long)v.i); break;
    case SHOAL_VALUE_UINT: fprintf(out, "%llu", (unsigned long long)v.u); break;
    case SHOAL_VALUE_FLOAT: print_float(v.f, out); break;
    case SHOAL_VALUE_STR: print_quoted(&v, 1, out); break;
    case SHOAL_VALUE_BYTES:
      fputc('b', out);
      print_quoted(&v, 0, out);
      break;
    case SHOAL_VALUE_EXT:
      fprintf(out, "ExtType(code=%d, data=b", v.ext);
      print_quoted(&v, 0, out);
      fputc(')', out);
      break;
    default: return print_inside(r, &v, out);
  }
  return 0;
}

int shoal_packed_print(const void *data, uint64_t size, FILE *out) {
  struct shoal_reader r;
  shoal_reader_begin(&r, data, size);
  int rc = shoal_reader_end(&r);
  if (rc) return rc;
  shoal_reader_begin(&r, data, size);
  return print_value(&r, out);
}
