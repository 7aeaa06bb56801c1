// Claims of ipc/data/codec:
//   1 what is packed comes back the same, at the edges of each type
//   2 the bytes are those of the MessagePack specification, the shortest for a value; every other form is read
//   3 a message that is cut, at any byte, is refused; so is what stands behind a whole one
//   4 what is nested too deep, or promises more than there is, is refused at once
//   5 a value of another type, a list of another length, a number without room: refused with a reason, nothing stored
//   6 a map is looked up by its keys, in any order; what is optional may be missing
//   7 a format that makes no sense is refused, and nothing is written
//   8 built step by step: an error stays; more or fewer values than promised are refused
//   9 values are printed as Python prints them
// Random and hostile bytes: codec_random_test.c.
#include "ipc/data/codec.h"

#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/error.h"
#include "tests/harness/drivers.h"

static struct shoal_packed m;

static void pack(const char *format, ...) {
  va_list args;
  va_start(args, format);
  int rc = shoal_vpack(&m, format, args);
  va_end(args);
  if (rc) fail_msg("\"%s\": %s: %s", format, shoal_strerror(rc), shoal_reason());
}
static uint64_t from_hex(const char *hex, uint8_t *out) {
  uint64_t n = 0;
  for (; *hex; hex += 2) {
    char two[3] = {hex[0], hex[1], 0};
    out[n++] = (uint8_t)strtoul(two, NULL, 16);
  }
  return n;
}
static void expect_beginning(const char *hex) {
  uint8_t bytes[64];
  uint64_t n = from_hex(hex, bytes);
  assert_true(m.size >= n);
  if (memcmp(m.data, bytes, n) == 0) return;
  char was[64] = "";
  for (uint64_t i = 0; i < n && i < 16; i++) snprintf(was + 2 * i, 3, "%02x", ((uint8_t *)m.data)[i]);
  fail_msg("%s, not %s", was, hex);
}
static void expect_bytes(const char *hex) {
  expect_beginning(hex);
  assert_int_equal(m.size, strlen(hex) / 2);
}
static struct shoal_value first_of(const void *data, uint64_t size) {
  struct shoal_reader r;
  struct shoal_value v;
  shoal_reader_begin(&r, data, size);
  assert_int_equal(shoal_reader_next(&r, &v), 0);
  return v;
}
static struct shoal_value value_of_hex(const char *hex) {
  static uint8_t bytes[64];  // what it gives may lie in here
  return first_of(bytes, from_hex(hex, bytes));
}
static int refusal(const void *data, uint64_t size) {
  struct shoal_reader r;
  shoal_reader_begin(&r, data, size);
  int rc = shoal_reader_end(&r);
  char *text = NULL;
  size_t length = 0;
  FILE *out = open_memstream(&text, &length);
  assert_int_equal(shoal_packed_print(data, size, out), rc);
  fclose(out);
  if (rc) assert_int_equal(length, 0);
  free(text);
  assert_int_equal(shoal_unpack(data, size, "x"), rc);
  return rc;
}
static void expect_reason(const char *part) {
  if (!strstr(shoal_reason(), part)) fail_msg("reason: \"%s\", without \"%s\"", shoal_reason(), part);
}
#define REFUSED(code, why, call)   \
  do {                             \
    shoal_reason_clear();          \
    assert_int_equal(call, -code); \
    expect_reason(why);            \
  } while (0)

// ---- 1 ----

static void test_numbers(void **state) {
  static const int64_t signeds[] = {0,          1,           -1,        INT64_MIN, INT64_MAX, INT32_MIN, INT32_MAX,
                                    UINT32_MAX, -2147483649, INT16_MIN, INT8_MIN,  -33,       -32,       127,
                                    128,        255,         256,       65535,     65536};
  static const uint64_t unsigneds[] = {0, 1, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX};
  (void)state;
  for (unsigned i = 0; i < sizeof signeds / sizeof *signeds; i++) {
    int64_t n;
    pack("I", signeds[i]);
    assert_int_equal(shoal_unpack(m.data, m.size, "I", &n), 0);
    assert_true(n == signeds[i]);
  }
  for (unsigned i = 0; i < sizeof unsigneds / sizeof *unsigneds; i++) {
    uint64_t n;
    pack("U", unsigneds[i]);
    assert_int_equal(shoal_unpack(m.data, m.size, "U", &n), 0);
    assert_true(n == unsigneds[i]);
    assert_int_equal(first_of(m.data, m.size).type, n > INT64_MAX ? SHOAL_VALUE_UINT : SHOAL_VALUE_INT);
  }
  int i[2], yes[2];
  unsigned u;
  pack("[i i u b b]", INT_MIN, INT_MAX, UINT_MAX, 0, -7);
  assert_int_equal(shoal_unpack(m.data, m.size, "[i i u b b]", &i[0], &i[1], &u, &yes[0], &yes[1]), 0);
  assert_true(i[0] == INT_MIN && i[1] == INT_MAX && u == UINT_MAX && yes[0] == 0 && yes[1] == 1);
}

static void test_floats(void **state) {
  uint64_t odd = UINT64_C(0xfff8000000000123);  // a NaN with something in it
  double nan_of_ours, f;
  (void)state;
  memcpy(&nan_of_ours, &odd, 8);
  const double values[] = {0.0, -0.0, 1.5, -1e308, 5e-324, INFINITY, -INFINITY, NAN, nan_of_ours};
  for (unsigned i = 0; i < sizeof values / sizeof *values; i++) {
    pack("f", values[i]);
    assert_int_equal(shoal_unpack(m.data, m.size, "f", &f), 0);
    assert_memory_equal(&f, &values[i], 8);
  }
  pack("[i I]", -3, INT64_C(1) << 53);  // what other languages make of whole floats
  double g;
  assert_int_equal(shoal_unpack(m.data, m.size, "[f f]", &f, &g), 0);
  assert_true(f == -3 && g == 9007199254740992.0);
}

static void test_strings(void **state) {
  static char big[70000], copy[70001];
  const uint64_t sizes[] = {0, 1, 31, 32, 255, 256, 65535, 65536, sizeof big};
  (void)state;
  for (unsigned i = 0; i < sizeof big; i++) big[i] = (char)(i * 7);  // NULs among them
  for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    const char *s;
    const void *y;
    size_t n, k;
    pack("[S y]", big, (size_t)sizes[i], big, (size_t)sizes[i]);
    assert_int_equal(shoal_unpack(m.data, m.size, "[S y]", &s, &n, &y, &k), 0);
    assert_true(n == sizes[i] && k == sizes[i]);
    assert_memory_equal(s, big, n);
    assert_memory_equal(y, big, k);
  }
  memset(big, 'x', sizeof big);
  pack("S", big, sizeof big);
  assert_int_equal(shoal_unpack(m.data, m.size, "z", copy, sizeof copy), 0);
  assert_int_equal(strlen(copy), sizeof big);
  REFUSED(EOVERFLOW, "a str of 70000", shoal_unpack(m.data, m.size, "z", copy, sizeof copy - 1));
  pack("S", "a\0b", (size_t)3);
  REFUSED(EBADMSG, "NUL", shoal_unpack(m.data, m.size, "z", copy, sizeof copy));
  pack("[S y]", NULL, (size_t)0, NULL, (size_t)0);
  expect_bytes("92a0c400");
}

static void test_nested(void **state) {
  struct shoal_packed inner = {0};
  int a, b, c;
  const void *v;
  size_t n;
  (void)state;
  assert_int_equal(shoal_pack(&inner, "{s:[i,{}], i:[]}", "k", 1, 2), 0);
  pack("[[[i]], v, {s:v}, n]", 7, inner.data, (size_t)inner.size, "again", inner.data, (size_t)inner.size);
  assert_int_equal(shoal_unpack(m.data, m.size, "[[[i]], {s:[i,x]}, {s:v}, n]", &a, "k", &b, "again", &v, &n), 0);
  assert_true(a == 7 && b == 1 && n == inner.size);
  assert_memory_equal(v, inner.data, n);
  assert_int_equal(shoal_unpack(v, n, "{s:[i *]}", "k", &c), 0);
  assert_int_equal(c, 1);
  shoal_packed_free(&inner);
}

// ---- 2 ----

static void test_bytes_of_scalars(void **state) {
  // clang-format off
  static const struct {
    int64_t n;
    const char *hex;
  } ints[] = {
      {0, "00"}, {127, "7f"}, {128, "cc80"}, {255, "ccff"},
      {256, "cd0100"}, {65535, "cdffff"}, {65536, "ce00010000"}, {UINT32_MAX, "ceffffffff"},
      {INT64_C(1) << 32, "cf0000000100000000"}, {INT64_MAX, "cf7fffffffffffffff"}, {-1, "ff"}, {-32, "e0"},
      {-33, "d0df"}, {-128, "d080"}, {-129, "d1ff7f"}, {-32768, "d18000"},
      {-32769, "d2ffff7fff"}, {INT32_MIN, "d280000000"}, {INT64_C(-2147483649), "d3ffffffff7fffffff"},
      {INT64_MIN, "d38000000000000000"}};
  // clang-format on
  (void)state;
  for (unsigned i = 0; i < sizeof ints / sizeof *ints; i++) {
    pack("I", ints[i].n);
    expect_bytes(ints[i].hex);
  }
  pack("U", UINT64_MAX), expect_bytes("cfffffffffffffffff");
  pack("n"), expect_bytes("c0");
  pack("b", 0), expect_bytes("c2");
  pack("b", 1), expect_bytes("c3");
  pack("f", 1.0), expect_bytes("cb3ff0000000000000");
  pack("f", -0.0), expect_bytes("cb8000000000000000");
  pack("[i n s]", 42, "hello"), expect_bytes("932ac0a568656c6c6f");
  pack("{s:b, s:i}", "compact", 1, "schema", 0),
      expect_bytes("82a7636f6d70616374c3a6736368656d6100");  // of msgpack.org
}

static void test_bytes_of_lengths(void **state) {
  static const struct {
    uint64_t n;
    const char *str, *bytes, *list, *map;
  } heads[] = {{0, "a0", "c400", "90", "80"},
               {1, "a1", "c401", "91", "81"},
               {15, "af", "c40f", "9f", "8f"},
               {16, "b0", "c410", "dc0010", "de0010"},
               {31, "bf", "c41f", "dc001f", "de001f"},
               {32, "d920", "c420", "dc0020", "de0020"},
               {255, "d9ff", "c4ff", "dc00ff", "de00ff"},
               {256, "da0100", "c50100", "dc0100", "de0100"},
               {65535, "daffff", "c5ffff", "dcffff", "deffff"},
               {65536, "db00010000", "c600010000", "dd00010000", "df00010000"}};
  static const char zeroes[65536];
  (void)state;
  for (unsigned i = 0; i < sizeof heads / sizeof *heads; i++) {
    struct shoal_packer p;
    uint64_t n = heads[i].n;
    pack("S", zeroes, (size_t)n), expect_beginning(heads[i].str);
    pack("y", zeroes, (size_t)n), expect_beginning(heads[i].bytes);
    assert_int_equal(m.size, n + strlen(heads[i].bytes) / 2);
    for (int map = 0; map < 2; map++) {
      shoal_packer_begin(&p, &m);
      if (map) shoal_packer_map(&p, n);
      else shoal_packer_list(&p, n);
      for (uint64_t k = 0; k < (map ? 2 * n : n); k++) shoal_packer_nil(&p);
      assert_int_equal(shoal_packer_end(&p, NULL), 0);
      expect_beginning(map ? heads[i].map : heads[i].list);
      assert_int_equal(first_of(m.data, m.size).count, n);
      assert_int_equal(refusal(m.data, m.size), 0);
    }
  }
}

static void test_other_forms_are_read(void **state) {
  static const char *const ones[] = {"01",   "cc01",   "cd0001",     "ce00000001",        "cf0000000000000001",
                                     "d001", "d10001", "d200000001", "d30000000000000001"};
  static const char *const minus[] = {"ff", "d0ff", "d1ffff", "d2ffffffff", "d3ffffffffffffffff"};
  static const char *const exts[] = {"d4fe07", "c701fe07", "c80001fe07", "c900000001fe07"};
  (void)state;
  for (unsigned i = 0; i < sizeof ones / sizeof *ones; i++) {
    struct shoal_value v = value_of_hex(ones[i]);
    assert_true(v.type == SHOAL_VALUE_INT && v.i == 1);
  }
  for (unsigned i = 0; i < sizeof minus / sizeof *minus; i++) {
    struct shoal_value v = value_of_hex(minus[i]);
    assert_true(v.type == SHOAL_VALUE_INT && v.i == -1);
  }
  for (unsigned i = 0; i < sizeof exts / sizeof *exts; i++) {
    struct shoal_value v = value_of_hex(exts[i]);
    assert_true(v.type == SHOAL_VALUE_EXT && v.ext == -2 && v.size == 1 && *(const uint8_t *)v.data == 7);
  }
  struct shoal_value v = value_of_hex("cabfc00000");
  assert_true(v.type == SHOAL_VALUE_FLOAT && v.f == -1.5);
  v = value_of_hex("d8050102030405060708090a0b0c0d0e0f10");
  assert_true(v.type == SHOAL_VALUE_EXT && v.ext == 5 && v.size == 16);
  v = value_of_hex("d90161");
  assert_true(v.type == SHOAL_VALUE_STR && v.size == 1);
  v = value_of_hex("dd0000000101");
  assert_true(v.type == SHOAL_VALUE_LIST && v.count == 1);
  assert_string_equal(shoal_value_type_name(v.type), "list");
  assert_string_equal(shoal_value_type_name(99), "no type");
}

// ---- 3, 4 ----

static void test_cut_at_every_byte(void **state) {
  static char text[300];
  struct shoal_packed whole = {0};
  (void)state;
  memset(text, 'x', sizeof text - 1);
  assert_int_equal(shoal_pack(&whole, "[n b i I U f s s y {s:[i], i:{}}]", 1, 300, INT64_MIN, UINT64_MAX, 0.1, "short",
                              text, text, (size_t)256, "key", 1, 2),
                   0);
  assert_int_equal(refusal(whole.data, whole.size), 0);
  for (uint64_t n = 0; n < whole.size; n++) {
    uint8_t *exact = malloc(n ? n : 1);  // so that AddressSanitizer sees a byte too far
    memcpy(exact, whole.data, n);
    REFUSED(EPROTO, "cut", refusal(exact, n));
    free(exact);
  }
  uint8_t *more = calloc(1, whole.size + 1);
  memcpy(more, whole.data, whole.size);
  REFUSED(EPROTO, "1 bytes behind", refusal(more, whole.size + 1));
  free(more);
  shoal_packed_free(&whole);
  REFUSED(EPROTO, "0xc1", refusal("\xc1", 1));
}

static void test_depth(void **state) {
  static uint8_t deep[1 << 20];
  struct shoal_packer p;
  (void)state;
  memset(deep, 0x91, sizeof deep);
  deep[SHOAL_CODEC_DEPTH] = 0xc0;
  assert_int_equal(refusal(deep, SHOAL_CODEC_DEPTH + 1), 0);
  deep[SHOAL_CODEC_DEPTH] = 0x90;
  REFUSED(EPROTO, "deep", refusal(deep, SHOAL_CODEC_DEPTH + 1));
  memset(deep, 0x91, sizeof deep);
  REFUSED(EPROTO, "deep", refusal(deep, sizeof deep));
  memset(deep, 0x81, sizeof deep);
  REFUSED(EPROTO, "deep", refusal(deep, sizeof deep));

  shoal_packer_begin(&p, &m);
  for (int i = 0; i < SHOAL_CODEC_DEPTH; i++) assert_int_equal(shoal_packer_list(&p, 1), 0);
  REFUSED(EOVERFLOW, "deep", shoal_packer_list(&p, 0));
  deep[1] = 0xc0;  // a value that would be one too deep
  deep[0] = 0x91;
  shoal_packer_begin(&p, &m);
  for (int i = 0; i < SHOAL_CODEC_DEPTH; i++) assert_int_equal(shoal_packer_list(&p, 1), 0);
  REFUSED(EOVERFLOW, "deep", shoal_packer_packed(&p, deep, 2));
  char format[2 * SHOAL_CODEC_DEPTH + 5] = "";
  for (int i = 0; i <= SHOAL_CODEC_DEPTH; i++) format[i] = '[', format[2 * SHOAL_CODEC_DEPTH + 1 - i] = ']';
  REFUSED(EOVERFLOW, "deep", shoal_pack(&m, format));
  memset(format, '[', sizeof format - 1);
  REFUSED(EINVAL, "too deep", shoal_pack(&m, format));
}

// The count of a list is told only if there is a byte for each: it may be allocated for.
static int last_told(const char *hex) {
  struct shoal_reader r;
  struct shoal_value v;
  uint8_t bytes[64];
  int rc;
  shoal_reader_begin(&r, bytes, from_hex(hex, bytes));
  while ((rc = shoal_reader_next(&r, &v)) == 0 && shoal_reader_enter(&r) == 0) {
  }
  return rc;
}
static void test_promises(void **state) {
  static const char *const bombs[] = {
      "ddffffffff", "dfffffffff", "dbffffffff", "c6ffffffff",   "c9ffffffff01",
      "dcffff",     "deffff",     "92c0",       "81c0",         "929201",
      "d401",       "9392c0c0",   "9291c0",     "c90000000201", "9f9f9f9fc0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0"};
  (void)state;
  for (unsigned i = 0; i < sizeof bombs / sizeof *bombs; i++) {
    uint8_t bytes[64];
    uint64_t n = from_hex(bombs[i], bytes);
    REFUSED(EPROTO, "cut", refusal(bytes, n));
    REFUSED(EPROTO, "cut", last_told(bombs[i]));
  }
}

// ---- 5 ----

static void test_mismatches(void **state) {
  int i = 11, j = 12;
  int64_t I = 13;
  unsigned u = 14;
  double f = 15;
  const char *s = NULL;
  size_t n = 16;
  (void)state;
  pack("[i n s]", 42, "hello");
#define UNPACK(format, ...) shoal_unpack(m.data, m.size, format, ##__VA_ARGS__)
  REFUSED(EBADMSG, "at 3: a value of type nil, not str", UNPACK("[i s s]", &i, &s, &n, &s, &n));
  REFUSED(EBADMSG, "at 5: a value of type str, not int", UNPACK("[i n i]", &i, &j));
  REFUSED(EBADMSG, "not bytes", UNPACK("[i n y]", &i, &s, &n));
  REFUSED(EBADMSG, "a value of type int, not bool", UNPACK("[b n x]", &i));
  REFUSED(EBADMSG, "a value of type int, not nil", UNPACK("[n n x]"));
  REFUSED(EBADMSG, "a value of type nil, not float", UNPACK("[i f x]", &i, &f));
  REFUSED(EBADMSG, "a value of type list, not int", UNPACK("i", &i));
  REFUSED(EBADMSG, "a value of type list, not map", UNPACK("{s:i}", "k", &i));
  REFUSED(EBADMSG, "a value of type int, not list", UNPACK("[[i] n s]", &i, &s, &n));
  REFUSED(EBADMSG, "the list has ended", UNPACK("[i n s i]", &i, &s, &n, &j));
  REFUSED(EBADMSG, "the list has ended", UNPACK("[i n s v]", &i, &s, &n, &s, &n));
  REFUSED(EBADMSG, "the list has 1 more", UNPACK("[i n]", &i));
  REFUSED(EBADMSG, "the list has 3 more", UNPACK("[]"));
  assert_int_equal(UNPACK("[i *]", &j), 0);
  assert_int_equal(j, 42);
  j = 12;
  assert_true(UNPACK("[*]") == 0 && UNPACK("x") == 0);
  pack("[I I U]", INT64_C(-2147483649), INT64_C(9007199254740993), UINT64_MAX);
  REFUSED(EOVERFLOW, "no room for -2147483649", UNPACK("[i x x]", &i));
  REFUSED(EOVERFLOW, "no room for -2147483649", UNPACK("[u x x]", &u));
  REFUSED(EOVERFLOW, "no room for -2147483649", UNPACK("[U x x]", &u));
  REFUSED(EOVERFLOW, "no room for 9007199254740993", UNPACK("[x u x]", &u));
  REFUSED(EOVERFLOW, "no room for 9007199254740993", UNPACK("[x f x]", &f));
  REFUSED(EOVERFLOW, "no room for 18446744073709551615", UNPACK("[x x I]", &I));
  REFUSED(EOVERFLOW, "no room for 18446744073709551615", UNPACK("[x x f]", &f));
  REFUSED(EOVERFLOW, "no room for 18446744073709551615", UNPACK("[f x i]", &f, &i));
  assert_true(i == 11 && j == 12 && I == 13 && u == 14 && f == 15 && s == NULL && n == 16);
}

// ---- 6 ----

static void test_maps(void **state) {
  int a = 1, b = 2, c = 3;
  const char *s = NULL;
  size_t n = 0;
  (void)state;
  pack("{s:i, i:i, s:{s:i}, s:[i i], s:i}", "a", 10, 5, 50, "in", "b", 20, "list", 7, 8, "a", 11);
  assert_int_equal(UNPACK("{s:[i i], s:{s:i}, s:i}", "list", &b, &c, "in", "b", &b, "a", &a), 0);
  assert_true(a == 10 && b == 20 && c == 8);
  assert_int_equal(UNPACK("{}"), 0);
  a = b = c = 0;
  assert_int_equal(UNPACK("{s?:i, s?:[i {s:s} f *], s:{s?:i}, s:i}", "no", &a, "none", &b, "x", &s, &n, NULL, "in",
                          "no", &b, "a", &c),
                   0);
  assert_true(a == 0 && b == 0 && c == 10 && s == NULL);
  REFUSED(ENOENT, "no \"A\"", UNPACK("{s:i, s:i}", "a", &a, "A", &b));
  REFUSED(ENOENT, "no \"\"", UNPACK("{s:i}", "", &a));
  REFUSED(EBADMSG, "not int", UNPACK("{s?:i}", "in", &a));
  REFUSED(EINVAL, "a key is an s", UNPACK("{i:i}", &a, &b));
  REFUSED(EINVAL, "a key without a value", UNPACK("{s}", "a"));
  REFUSED(EINVAL, "NULL", UNPACK("{s:i}", NULL, &a));
  REFUSED(EINVAL, "no letter", UNPACK("{s?:?}", "no", &a));
  assert_int_equal(a, 0);
}

// ---- 7 ----

static void test_formats(void **state) {
  static const struct {
    const char *format, *why;
  } wrong[] = {{"", "no value"},    {" ,:", "no value"},    {"n n", "one value"}, {"n]", "one value"},
               {"]", "closes"},     {"[", "not closed"},    {"[n", "not closed"}, {"[n}", "closes nothing"},
               {"[{]}", "closes"},  {"[[n]", "not closed"}, {"n?", "one value"},  {"[]]", "one value"},
               {"{n", "not closed"}};
  int i = 5;
  (void)state;
  pack("i", 1);
  for (unsigned k = 0; k < sizeof wrong / sizeof *wrong; k++) {
    REFUSED(EINVAL, wrong[k].why, shoal_pack(&m, wrong[k].format));
    REFUSED(EINVAL, wrong[k].why, shoal_unpack(m.data, m.size, wrong[k].format));
  }
  REFUSED(EINVAL, "at 1: no letter that packs", shoal_pack(&m, "[q]"));
  REFUSED(EINVAL, "no letter that packs", shoal_pack(&m, "[i z]", 1));
  REFUSED(EINVAL, "no letter that packs", shoal_pack(&m, "[i *]", 1));
  REFUSED(EINVAL, "no letter that unpacks", UNPACK("q", &i));
  REFUSED(EINVAL, "a key without a value", shoal_pack(&m, "{n n n}"));
  REFUSED(EINVAL, "NULL", shoal_pack(&m, "[i s]", 1, NULL));
  REFUSED(EINVAL, "NULL", shoal_pack(&m, "[i y]", 1, NULL, (size_t)1));
  REFUSED(EPROTO, "cut", shoal_pack(&m, "[i v]", 1, "\x91", (size_t)1));
  REFUSED(EPROTO, "behind", shoal_pack(&m, "[v]", "\xc0\xc0", (size_t)2));
  REFUSED(EPROTO, "cut", shoal_pack(&m, "v", NULL, (size_t)0));
  expect_bytes("01");  // as it was
  pack("[]");
  REFUSED(EINVAL, "end of a list", UNPACK("[* n]"));
  REFUSED(EOVERFLOW, "MessagePack", shoal_pack(&m, "S", "x", (size_t)UINT32_MAX + 1));
  expect_bytes("90");
}

static void test_into_a_place(void **state) {
  char place[16];
  uint64_t size = 0;
  (void)state;
  memset(place, 'x', sizeof place);
  REFUSED(EMSGSIZE, "9 bytes, and room for 8", shoal_pack_into(place, 8, &size, "[i n s]", 42, "hello"));
  assert_int_equal(size, 9);
  for (unsigned i = 0; i < sizeof place; i++) assert_int_equal(place[i], 'x');
  assert_true(shoal_pack_into(NULL, 0, &size, "[i n]", 42) == 0 && size == 3);
  assert_int_equal(shoal_pack_into(place, 9, &size, "[i n s]", 42, "hello"), 0);
  assert_int_equal(size, 9);
  assert_int_equal(place[9], 'x');
  assert_int_equal(shoal_pack_into(place, 9, NULL, "[i n s]", 42, "hello"), 0);
  assert_memory_equal(place, "\x93\x2a\xc0\xa5hello", 9);
}

// ---- 8 ----

static void test_built_step_by_step(void **state) {
  struct shoal_packer p;
  uint64_t size;
  char place[4];
  (void)state;
  shoal_packer_begin(&p, &m);
  assert_int_equal(shoal_packer_map(&p, 1), 0);
  assert_int_equal(shoal_packer_str(&p, "k", 1), 0);
  assert_int_equal(shoal_packer_list(&p, 3), 0);
  REFUSED(EINVAL, "not whole: 3 more at depth 2", shoal_packer_end(&p, &size));
  shoal_packer_int(&p, 1), shoal_packer_bool(&p, 1), shoal_packer_float(&p, 0.5);
  assert_int_equal(shoal_packer_end(&p, &size), 0);
  expect_bytes("81a16b9301c3cb3fe0000000000000");
  assert_int_equal(size, m.size);
  REFUSED(EINVAL, "one value", shoal_packer_nil(&p));
  shoal_reason_clear();
  assert_true(shoal_packer_uint(&p, 1) == -EINVAL && shoal_packer_end(&p, &size) == -EINVAL);  // it stays
  shoal_packer_begin(&p, &m);
  REFUSED(EINVAL, "not whole", shoal_packer_end(&p, &size));
  REFUSED(EOVERFLOW, "2^32", shoal_packer_list(&p, UINT64_C(1) << 32));
  shoal_packer_begin(&p, &m);
  REFUSED(EOVERFLOW, "2^32", shoal_packer_map(&p, UINT64_MAX));
  shoal_packer_begin(&p, &m);
  REFUSED(EOVERFLOW, "2^32", shoal_packer_bytes(&p, place, UINT64_C(1) << 32));
  shoal_packer_place(&p, place, sizeof place);
  shoal_packer_bytes(&p, "12345", 5);
  REFUSED(EMSGSIZE, "7 bytes, and room for 4", shoal_packer_end(&p, &size));
  assert_int_equal(size, 7);
}

static void test_reader(void **state) {
  struct shoal_reader r, again;
  struct shoal_value v;
  const void *raw;
  uint64_t size;
  (void)state;
  pack("[i [i [n n]] {} s]", 1, 2, "end");
  shoal_reader_begin(&r, m.data, m.size);
  REFUSED(EINVAL, "no list or map to enter", shoal_reader_enter(&r));
  REFUSED(EINVAL, "was entered", shoal_reader_leave(&r));
  assert_int_equal(shoal_reader_next(&r, &v), 0);
  assert_true(v.type == SHOAL_VALUE_LIST && v.count == 4);
  assert_int_equal(shoal_reader_enter(&r), 0);
  assert_int_equal(shoal_reader_next(&r, &v), 0);
  again = r;
  assert_int_equal(shoal_reader_raw(&r, &raw, &size), 0);
  assert_int_equal(size, 5);
  assert_memory_equal(raw, "\x92\x02\x92\xc0\xc0", 5);
  assert_int_equal(shoal_reader_next(&r, &v), 0);
  assert_int_equal(shoal_reader_enter(&r), 0);
  assert_int_equal(shoal_reader_next(&r, &v), -EPIPE);
  assert_int_equal(shoal_reader_raw(&r, &raw, &size), -EPIPE);
  assert_int_equal(shoal_reader_leave(&r), 0);
  assert_int_equal(shoal_reader_next(&r, &v), 0);
  assert_true(v.type == SHOAL_VALUE_STR && v.size == 3);
  assert_int_equal(shoal_reader_next(&r, &v), -EPIPE);
  assert_int_equal(shoal_reader_end(&r), 0);
  assert_int_equal(shoal_reader_next(&again, &v), 0);  // entered, left in the middle
  assert_int_equal(shoal_reader_enter(&again), 0);
  assert_int_equal(shoal_reader_next(&again, &v), 0);
  assert_int_equal(v.i, 2);
  assert_int_equal(shoal_reader_leave(&again), 0);
  assert_int_equal(shoal_reader_next(&again, &v), 0);
  assert_int_equal(v.type, SHOAL_VALUE_MAP);
  assert_int_equal(shoal_reader_end(&again), 0);
}

// ---- 9 ----

static void expect_text(const char *text) {
  char *was = NULL;
  size_t n;
  FILE *out = open_memstream(&was, &n);
  assert_int_equal(shoal_packed_print(m.data, m.size, out), 0);
  fclose(out);
  assert_string_equal(was, text);
  free(was);
}
static void test_printed(void **state) {
  // clang-format off
  static const struct {
    double f;
    const char *text;
  } floats[] = {
      {0.0, "0.0"}, {-0.0, "-0.0"}, {100, "100.0"}, {0.1, "0.1"},
      {1.0 / 3, "0.3333333333333333"}, {0.0001, "0.0001"}, {0.00001, "1e-05"}, {1e15, "1000000000000000.0"},
      {1e16, "1e+16"}, {123456789012345680.0, "1.2345678901234568e+17"}, {-1.25e-7, "-1.25e-07"}, {5e-324, "5e-324"},
      {1.7976931348623157e308, "1.7976931348623157e+308"}, {1234567890123456.7, "1234567890123456.8"},
      {INFINITY, "inf"}, {-INFINITY, "-inf"}, {NAN, "nan"}};
  // clang-format on
  (void)state;
  for (unsigned i = 0; i < sizeof floats / sizeof *floats; i++) pack("f", floats[i].f), expect_text(floats[i].text);
  pack("[i n s]", 42, "hello"), expect_text("[42, None, 'hello']");
  pack("{s:[b b], i:{}, n:[]}", "a", 1, 0, -5), expect_text("{'a': [True, False], -5: {}, None: []}");
  pack("[I U]", INT64_MIN, UINT64_MAX), expect_text("[-9223372036854775808, 18446744073709551615]");
  pack("[s s s]", "it's", "\"", "'\""), expect_text("[\"it's\", '\"', '\\'\"']");
  pack("s", "a\tb\nc\rd\\e\x01\x7f"), expect_text("'a\\tb\\nc\\rd\\\\e\\x01\\x7f'");
  pack("S", "\0", (size_t)1), expect_text("'\\x00'");
  pack("s", "\xc3\xa4\xe4\xbd\xa0\xf0\x9f\x90\x9f"), expect_text("'\xc3\xa4\xe4\xbd\xa0\xf0\x9f\x90\x9f'");
  pack("s", "\xc3(\xff\xed\xa0\x80\xc0\xaf\xf4\x90\x80\x80\xe4\xbd"),  // no UTF-8
      expect_text("'\\xc3(\\xff\\xed\\xa0\\x80\\xc0\\xaf\\xf4\\x90\\x80\\x80\\xe4\\xbd'");
  pack("y", "\xc3\xa4'\n", (size_t)4), expect_text("b\"\\xc3\\xa4'\\n\"");
  pack("v", "\xd4\xff\x41", (size_t)3), expect_text("ExtType(code=-1, data=b'A')");
}

static int free_all(void **state) { return (void)state, shoal_packed_free(&m), 0; }

int main(void) {
  watchdog(120);
#define TEST(name) cmocka_unit_test(test_##name)
  const struct CMUnitTest tests[] = {TEST(numbers),
                                     TEST(floats),
                                     TEST(strings),
                                     TEST(nested),
                                     TEST(bytes_of_scalars),
                                     TEST(bytes_of_lengths),
                                     TEST(other_forms_are_read),
                                     TEST(cut_at_every_byte),
                                     TEST(depth),
                                     TEST(promises),
                                     TEST(mismatches),
                                     TEST(maps),
                                     TEST(formats),
                                     TEST(into_a_place),
                                     TEST(built_step_by_step),
                                     TEST(reader),
                                     TEST(printed)};
  return cmocka_run_group_tests(tests, NULL, free_all);
}
