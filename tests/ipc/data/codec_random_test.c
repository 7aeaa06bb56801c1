// Claims of ipc/data/codec, of bytes that nobody chose:
//   1 what it takes for a message, msgpack-c takes for one, with the same values; what it refuses, msgpack-c refuses
//   2 no access outside the bytes: a page that may not be touched lies behind them
//   3 what it takes, packed again in the shortest form, is taken, and says the same
//   4 bytes that another process changes while they are read: an answer, and no access outside
#include <msgpack/unpack.h>
#include <msgpack/zone.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "ipc/data/codec.h"
#include "tests/harness/drivers.h"

#define ROUNDS 300000u
#define BYTES 96u  // at most, of one input
#define PAGE 4096u

static uint64_t seed = 20261126;
static uint32_t random_below(uint32_t n) {  // xorshift64*
  seed ^= seed >> 12;
  seed ^= seed << 25;
  seed ^= seed >> 27;
  return (uint32_t)((seed * UINT64_C(2685821657736338717)) >> 33) % n;
}

// ---- inputs ----

static void build(struct shoal_packer *p, unsigned depth) {
  static const int64_t edges[] = {0, -1, -33, 127, 128, 255, 256, 65536, INT32_MIN, INT64_MIN, INT64_MAX};
  static const char text[] = "text that is as long as what it takes to need two bytes of head";
  uint32_t n = random_below(4);
  switch (random_below(depth < 4 ? 10 : 7)) {
    case 0: shoal_packer_nil(p); return;
    case 1: shoal_packer_bool(p, n & 1); return;
    case 2: shoal_packer_int(p, edges[random_below(sizeof edges / sizeof *edges)]); return;
    case 3: shoal_packer_uint(p, UINT64_MAX - n); return;
    case 4: shoal_packer_float(p, n * 0.3); return;
    case 5: shoal_packer_str(p, text, random_below(40)); return;
    case 6: shoal_packer_bytes(p, text, random_below(10)); return;
    case 7:
      shoal_packer_map(p, n);
      n *= 2;
      break;
    default: shoal_packer_list(p, n);
  }
  while (n--) build(p, depth + 1);
}
static uint64_t valid(uint8_t *out) {
  struct shoal_packer p;
  uint64_t size;
  do {
    shoal_packer_place(&p, out, BYTES);
    build(&p, 0);
  } while (shoal_packer_end(&p, &size));
  return size;
}
static uint8_t any_byte(void) {  // one of two begins something: what c1..df mean is rare otherwise
  return (uint8_t)(random_below(2) ? 0xc0 + random_below(32) : random_below(256));
}
static uint64_t mutate(uint8_t *b, uint64_t n) {
  for (uint32_t times = 1 + random_below(3); times--;) {
    uint64_t at = n ? random_below((uint32_t)n) : 0;
    switch (random_below(5)) {
      case 0: b[at] ^= (uint8_t)(1u << random_below(8)); break;
      case 1: b[at] = any_byte(); break;
      case 2: n = at; break;
      case 3:
        if (n < BYTES) memmove(b + at + 1, b + at, n++ - at), b[at] = any_byte();
        break;
      default:
        if (n) memmove(b + at, b + at + 1, --n - at);
    }
  }
  return n;
}
static uint64_t input(uint8_t *b) {
  uint64_t n;
  switch (random_below(4)) {
    case 0: return valid(b);
    case 1:
      n = random_below(BYTES);
      for (uint64_t i = 0; i < n; i++) b[i] = any_byte();
      return n;
    default: n = valid(b); return mutate(b, n);
  }
}

// ---- msgpack-c's opinion ----

static int same(struct shoal_reader *r, const msgpack_object *o);

static int same_inside(struct shoal_reader *r, const struct shoal_value *v, const msgpack_object *o) {
  int yes = shoal_reader_enter(r) == 0;
  if (v->type == SHOAL_VALUE_LIST) {
    yes = yes && o->type == MSGPACK_OBJECT_ARRAY && o->via.array.size == v->count;
    for (uint64_t i = 0; yes && i < v->count; i++) yes = same(r, &o->via.array.ptr[i]);
  } else {
    yes = yes && o->type == MSGPACK_OBJECT_MAP && o->via.map.size == v->count;
    for (uint64_t i = 0; yes && i < v->count; i++)
      yes = same(r, &o->via.map.ptr[i].key) && same(r, &o->via.map.ptr[i].val);
  }
  return yes && shoal_reader_leave(r) == 0;
}
static int is_at(const struct shoal_value *v, const char *theirs) { return !v->size || v->data == theirs; }
static int same(struct shoal_reader *r, const msgpack_object *o) {
  struct shoal_value v;
  double f;
  if (shoal_reader_next(r, &v)) return 0;
  switch (v.type) {
    case SHOAL_VALUE_NIL: return o->type == MSGPACK_OBJECT_NIL;
    case SHOAL_VALUE_BOOL: return o->type == MSGPACK_OBJECT_BOOLEAN && o->via.boolean == v.i;
    case SHOAL_VALUE_INT:
      return v.i < 0 ? o->type == MSGPACK_OBJECT_NEGATIVE_INTEGER && o->via.i64 == v.i
                     : o->type == MSGPACK_OBJECT_POSITIVE_INTEGER && o->via.u64 == v.u;
    case SHOAL_VALUE_UINT: return o->type == MSGPACK_OBJECT_POSITIVE_INTEGER && o->via.u64 == v.u;
    case SHOAL_VALUE_FLOAT:
      f = o->via.f64;
      return (o->type == MSGPACK_OBJECT_FLOAT64 || o->type == MSGPACK_OBJECT_FLOAT32) &&
             (memcmp(&f, &v.f, 8) == 0 || (f != f && v.f != v.f));
    case SHOAL_VALUE_STR:
      return o->type == MSGPACK_OBJECT_STR && o->via.str.size == v.size && is_at(&v, o->via.str.ptr);
    case SHOAL_VALUE_BYTES:
      return o->type == MSGPACK_OBJECT_BIN && o->via.bin.size == v.size && is_at(&v, o->via.bin.ptr);
    case SHOAL_VALUE_EXT:
      return o->type == MSGPACK_OBJECT_EXT && o->via.ext.size == v.size && o->via.ext.type == v.ext &&
             is_at(&v, o->via.ext.ptr);
    default: return same_inside(r, &v, o);
  }
}

// It allocates what a list promises before it looks for it, and knows 32 levels: both are kept from it.
static int may_ask(const uint8_t *b, uint64_t n) {
  uint32_t lists = 0;
  for (uint64_t i = 0; i < n; i++) {
    if (b[i] == 0xdd || b[i] == 0xdf) return 0;
    lists += (b[i] >= 0x80 && b[i] < 0xa0) || b[i] == 0xdc || b[i] == 0xde;
  }
  return lists < 30;
}
static void agree(const uint8_t *b, uint64_t n, int taken) {
  msgpack_zone zone;
  msgpack_object o;
  struct shoal_reader r;
  size_t off = 0;
  CHECK(msgpack_zone_init(&zone, 256));
  int theirs = msgpack_unpack((const char *)b, n, &off, &zone, &o);
  int whole = theirs == MSGPACK_UNPACK_SUCCESS || (theirs == MSGPACK_UNPACK_EXTRA_BYTES && off == n);
  CHECK(whole == taken);
  shoal_reader_begin(&r, b, n);
  if (taken) CHECK(same(&r, &o) && shoal_reader_end(&r) == 0);
  msgpack_zone_destroy(&zone);
}

// ---- the shortest form of a message ----

static void copy_value(struct shoal_reader *r, struct shoal_packer *p) {
  struct shoal_value v;
  uint64_t children;
  CHECK(shoal_reader_next(r, &v) == 0);
  switch (v.type) {
    case SHOAL_VALUE_NIL: shoal_packer_nil(p); return;
    case SHOAL_VALUE_BOOL: shoal_packer_bool(p, (int)v.i); return;
    case SHOAL_VALUE_INT: shoal_packer_int(p, v.i); return;
    case SHOAL_VALUE_UINT: shoal_packer_uint(p, v.u); return;
    case SHOAL_VALUE_FLOAT: shoal_packer_float(p, v.f); return;
    case SHOAL_VALUE_STR: shoal_packer_str(p, v.data, v.size); return;
    case SHOAL_VALUE_BYTES: shoal_packer_bytes(p, v.data, v.size); return;
    case SHOAL_VALUE_EXT: shoal_packer_nil(p); return;
    case SHOAL_VALUE_LIST: shoal_packer_list(p, children = v.count); break;
    default: shoal_packer_map(p, v.count), children = 2 * v.count;
  }
  CHECK(shoal_reader_enter(r) == 0);
  while (children--) copy_value(r, p);
  CHECK(shoal_reader_leave(r) == 0);
}
static void again(const uint8_t *b, uint64_t n, struct shoal_packed *shorter) {
  struct shoal_packer p;
  struct shoal_reader r, mine;
  shoal_reader_begin(&r, b, n);
  shoal_packer_begin(&p, shorter);
  copy_value(&r, &p);
  CHECK(shoal_packer_end(&p, NULL) == 0 && shoal_reader_end(&r) == 0);
  shoal_reader_begin(&mine, shorter->data, shorter->size);
  CHECK(shoal_reader_end(&mine) == 0);
}

// Every way to read; whether it is a message.
static int read_all(const uint8_t *b, uint64_t n, FILE *out) {
  struct shoal_reader r;
  int i, j, rc;
  double f;
  const void *s, *v;
  size_t length, size;
  char text[8];
  shoal_reader_begin(&r, b, n);
  rc = shoal_reader_end(&r);
  CHECK(rc == 0 || rc == -EPROTO);
  rewind(out);
  int printed = shoal_packed_print(b, n, out);
  CHECK(printed == 0 || printed == -EPROTO);
  (void)!shoal_unpack(b, n, "[i f s *]", &i, &f, &s, &length);
  (void)!shoal_unpack(b, n, "{s?:[v *], s:{s:z}}", "", &v, &size, "text", "t", text, sizeof text);
  (void)!shoal_unpack(b, n, "[[[i *] *] i *]", &i, &j);
  return rc == 0;
}

static void test_any_bytes(void **state) {
  uint32_t taken = 0, asked = 0;
  struct shoal_packed shorter = {0};
  uint8_t *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), made[BYTES + 1];
  FILE *out = fmemopen(NULL, 1 << 16, "w+");
  (void)state;
  assert_true(pages != MAP_FAILED && out);
  assert_int_equal(mprotect(pages + PAGE, PAGE, PROT_NONE), 0);
  for (uint32_t k = 0; k < ROUNDS; k++) {
    uint64_t n = input(made);
    uint8_t *b = pages + PAGE - n;
    memcpy(b, made, n);
    int yes = read_all(b, n, out);
    taken += (uint32_t)yes;
    if (yes) again(b, n, &shorter);
    if (may_ask(b, n)) agree(b, n, yes), asked++;
  }
  assert_true(taken > ROUNDS / 4 && taken < ROUNDS * 3 / 4);  // both are seen
  assert_true(asked > ROUNDS / 2);
  shoal_packed_free(&shorter);
  fclose(out);
  munmap(pages, 2 * PAGE);
}

// ---- 4 ----

static void scribble(void *memory, unsigned i) {
  volatile uint8_t *b = memory;
  (void)i;
  for (;;) {
    uint8_t made[BYTES + 1];
    uint64_t n = input(made);
    for (uint64_t k = 0; k < n; k++) b[PAGE - BYTES + k] = made[k];
  }
}
static void test_bytes_that_change(void **state) {
  struct arena arena;
  FILE *out = fmemopen(NULL, 1 << 16, "w+");
  (void)state;
  arena_make(&arena, 2 * PAGE);
  uint8_t *b = arena.memory;
  struct peer p = peer_start(&arena, scribble, 0);
  assert_int_equal(mprotect(b + PAGE, PAGE, PROT_NONE), 0);
  for (uint32_t k = 0; k < ROUNDS; k++) {
    uint64_t n = random_below(BYTES + 1);
    read_all(b + PAGE - n, n, out);
  }
  peer_kill(&p);
  arena_free(&arena);
  fclose(out);
}

int main(void) {
  watchdog(240);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_any_bytes),
      cmocka_unit_test(test_bytes_that_change),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
