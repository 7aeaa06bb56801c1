// What ipc/data/dict.h claims, of one process:
// - every call does what Python's dict does, against a private model, while the table grows, shrinks and is cleared
// - the heap holds one block an entry, and one for the table; when the dict has gone, none
// - what makes no sense is refused, with its code, and nothing is changed by it; a full segment, too
#include "core/segment_internal.h"
#include "ipc/data/nested.h"
#include "tests/ipc/data/dict_fixture.h"

// ---- one process ----

// Nor do the first dict of a segment, which makes the heap, and one that is not there yet.
static void test_a_missing_key_has_no_reason(void **state) {
  (void)state;
  struct shoal_dict *other;
  uint64_t size;
  shoal_reason_clear();
  make(&small, NULL);
  assert_string_equal(shoal_reason(), "");
  assert_int_equal(shoal_dict_get(dict, "x", 1, NULL, 0, &size), -ENOENT);
  assert_string_equal(shoal_reason(), "");
  assert_int_equal(shoal_dict_open_or_create(seg, "e", NULL, &other), 0);
  assert_string_equal(shoal_reason(), "");
  assert_int_equal(shoal_dict_close(other), 0);
  assert_int_equal(shoal_dict_unlink(seg, "e"), 0);
  done();
}

static void test_set_get_remove(void **state) {
  (void)state;
  char text[64];
  uint64_t size, version, version2;
  void *copy;
  make(&small, NULL);
  assert_null(get("a"));
  assert_int_equal(shoal_dict_len(dict), 0);
  assert_int_equal(set("a", "one"), 0);
  assert_int_equal(set("", "nothing"), 0);
  assert_string_equal(get("a"), "one");
  assert_string_equal(get(""), "nothing");
  assert_int_equal(shoal_dict_contains(dict, "a", 1), 1);
  assert_int_equal(shoal_dict_contains(dict, "b", 1), 0);
  assert_int_equal(shoal_dict_get_versioned(dict, "a", 1, text, 64, &size, &version), 0);
  assert_int_equal(set("a", ""), 0);
  assert_string_equal(get("a"), "");
  assert_int_equal(shoal_dict_get_versioned(dict, "a", 1, text, 64, &size, &version2), 0);
  assert_int_not_equal(version, version2);
  assert_int_equal(shoal_dict_len(dict), 2);
  assert_int_equal(shoal_dict_get_alloc(dict, "", 0, &copy, &size), 0);
  assert_string_equal(copy, "nothing");
  free(copy);
  assert_int_equal(shoal_dict_get(dict, "", 0, text, 6, &size), -EMSGSIZE);
  assert_int_equal(size, 7);
  assert_int_equal(shoal_dict_pop(dict, "", 0, text, 6, &size, F), -EMSGSIZE);
  assert_int_equal(shoal_dict_pop(dict, "", 0, text, 7, &size, F), 0);
  assert_memory_equal(text, "nothing", 7);
  assert_int_equal(shoal_dict_pop(dict, "", 0, text, 7, &size, F), -ENOENT);
  assert_int_equal(shoal_dict_remove(dict, "a", 1, F), 0);
  assert_int_equal(shoal_dict_remove(dict, "a", 1, F), -ENOENT);
  assert_int_equal(shoal_dict_len(dict), 0);
  done();
}

static void test_a_size_need_not_be_asked_for(void **state) {
  (void)state;
  char text[8] = "";
  uint64_t version;
  void *copy = NULL;
  make(&small, NULL);
  assert_int_equal(shoal_dict_setdefault(dict, "a", 1, "one", 3, text, 8, NULL, F), 0);
  assert_int_equal(shoal_dict_setdefault(dict, "a", 1, "two", 3, text, 8, NULL, F), 1);
  assert_string_equal(text, "one");
  assert_int_equal(shoal_dict_get(dict, "a", 1, text, 8, NULL), 0);
  assert_int_equal(shoal_dict_get(dict, "a", 1, text, 2, NULL), -EMSGSIZE);
  assert_int_equal(shoal_dict_get_versioned(dict, "a", 1, text, 8, NULL, &version), 0);
  assert_int_equal(shoal_dict_get_alloc(dict, "a", 1, &copy, NULL), 0);
  assert_string_equal(copy, "one");
  free(copy);
  assert_int_equal(shoal_dict_pop(dict, "a", 1, text, 2, NULL, F), -EMSGSIZE);
  assert_int_equal(shoal_dict_pop(dict, "a", 1, text, 8, NULL, F), 0);
  assert_int_equal(set("b", "two"), 0);
  assert_int_equal(shoal_dict_pop_alloc(dict, "b", 1, &copy, NULL, F), 0);
  assert_string_equal(copy, "two");
  free(copy);
  done();
}

static void test_compound(void **state) {
  (void)state;
  char text[8];
  uint64_t size, version;
  make(&small, NULL);
  assert_int_equal(shoal_dict_setdefault(dict, "k", 1, "x", 1, text, 8, &size, F), 0);
  assert_int_equal(shoal_dict_setdefault(dict, "k", 1, "y", 1, text, 8, &size, F), 1);
  assert_int_equal(text[0], 'x');
  assert_int_equal(shoal_dict_setdefault(dict, "k", 1, "y", 1, text, 0, &size, F), -EMSGSIZE);
  assert_int_equal(shoal_dict_set_if(dict, "k", 1, SHOAL_DICT_ABSENT, "z", 1, F), SHOAL_DICT_OTHER);
  assert_int_equal(shoal_dict_set_if(dict, "n", 1, SHOAL_DICT_ABSENT, "z", 1, F), 0);
  assert_int_equal(shoal_dict_get_versioned(dict, "k", 1, text, 8, &size, &version), 0);
  assert_int_equal(shoal_dict_set_if(dict, "k", 1, version, "12345678", 8, F), 0);
  assert_int_equal(shoal_dict_set_if(dict, "k", 1, version, "z", 1, F), SHOAL_DICT_OTHER);
  assert_int_equal(shoal_dict_set_if(dict, "q", 1, version, "z", 1, F), SHOAL_DICT_OTHER);
  assert_int_equal(shoal_dict_compare_and_set(dict, "k", 1, "12345679", 8, "z", 1, F), SHOAL_DICT_OTHER);
  assert_int_equal(shoal_dict_compare_and_set(dict, "k", 1, "1234567", 7, "z", 1, F), SHOAL_DICT_OTHER);
  assert_int_equal(shoal_dict_compare_and_set(dict, "k", 1, NULL, 0, "z", 1, F), SHOAL_DICT_OTHER);
  assert_int_equal(shoal_dict_compare_and_set(dict, "k", 1, "12345678", 8, "z", 1, F), 0);
  assert_int_equal(shoal_dict_compare_and_set(dict, "w", 1, NULL, 0, "w", 1, F), 0);
  assert_string_equal(get("k"), "z");
  assert_string_equal(get("w"), "w");
  assert_int_equal(shoal_dict_len(dict), 3);
  done();
}

struct wish {
  int answer;
  const char *value;
  int seen;
};
static int wished(struct shoal_dict_change *c, void *arg) {
  struct wish *w = arg;
  w->seen = c->value ? (int)c->size : -1;
  if (w->value) c->value = (void *)(uintptr_t)w->value, c->size = strlen(w->value);
  return w->answer;
}
#define MANY 40  // more than go at once
static int writes_inside(struct shoal_dict_change *c, void *arg) {
  uint64_t size;
  struct shoal_dict_snapshot all;
  (void)c, (void)arg;
  CHECK(shoal_dict_set(dict, "o", 1, "x", 1, F) == -EDEADLK);
  CHECK(shoal_dict_clear(dict, F) == -EDEADLK);
  CHECK(shoal_dict_set_n(dict, (struct shoal_dict_item[MANY]){{0}}, MANY, &size, F) == -EDEADLK && size == 0);
  CHECK(shoal_dict_snapshot(dict, &all, F) == -EDEADLK);
  CHECK(shoal_dict_get(dict, "u", 1, NULL, 0, &size) == -EMSGSIZE);
  return SHOAL_DICT_KEEP;
}
static void test_update(void **state) {
  (void)state;
  struct wish w = {SHOAL_DICT_KEEP, "new", 0};
  make(&small, NULL);
  assert_int_equal(shoal_dict_update(dict, "u", 1, wished, &w, F), 0);
  assert_int_equal(w.seen, -1);
  assert_null(get("u"));
  w.answer = SHOAL_DICT_REMOVE;
  assert_int_equal(shoal_dict_update(dict, "u", 1, wished, &w, F), 0);
  w.answer = SHOAL_DICT_SET;
  assert_int_equal(shoal_dict_update(dict, "u", 1, wished, &w, F), 0);
  assert_string_equal(get("u"), "new");
  w.answer = -ECANCELED, w.value = "newer";
  assert_int_equal(shoal_dict_update(dict, "u", 1, wished, &w, F), -ECANCELED);
  assert_int_equal(w.seen, 3);
  w.answer = SHOAL_DICT_REMOVE + 1;
  assert_int_equal(shoal_dict_update(dict, "u", 1, wished, &w, F), -EINVAL);
  assert_string_equal(get("u"), "new");
  assert_int_equal(shoal_dict_update(dict, "u", 1, writes_inside, NULL, F), 0);
  assert_exact();
  w.answer = SHOAL_DICT_REMOVE;
  assert_int_equal(shoal_dict_update(dict, "u", 1, wished, &w, F), 0);
  assert_null(get("u"));
  done();
}

static void test_many(void **state) {
  (void)state;
  struct shoal_dict_item items[100];
  char keys[100][8];
  uint64_t n;
  make(&small, NULL);
  for (int i = 0; i < 100; i++) {
    snprintf(keys[i], 8, "k%d", i % 90);
    items[i] = (struct shoal_dict_item){keys[i], strlen(keys[i]), &keys[i], 8};
  }
  assert_int_equal(shoal_dict_set_n(dict, items, 100, &n, F), 0);
  assert_int_equal(n, 100);
  assert_int_equal(shoal_dict_len(dict), 90);
  assert_exact();
  items[50].size = UINT64_C(1) << 40;
  items[0].size = 1;
  assert_int_equal(shoal_dict_set_n(dict, items, 100, &n, F), -EMSGSIZE);
  assert_int_equal(n, 0);
  assert_int_equal(strlen(get("k0")), 2);
  assert_int_equal(shoal_dict_set_n(dict, items, 0, &n, F), 0);
  assert_exact();
  assert_int_equal(shoal_dict_clear(dict, F), 0);
  assert_int_equal(shoal_dict_len(dict), 0);
  assert_null(get("k1"));
  assert_int_equal(shoal_dict_clear(dict, F), 0);
  assert_int_equal(set("k1", "again"), 0);
  done();
}

// As many bytes as there were take their place: no block is taken or given back, and each value has a version of its
// own.
static void test_in_place(void **state) {
  (void)state;
  static const unsigned sizes[] = {0, 1, 7, 8, 33, 63, 64, 65};
  char value[65], now[65];
  uint64_t size, version, before;
  make(&small, NULL);
  for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    before = 0;
    for (unsigned n = 0; n < 2500; n++) {
      memset(value, (int)n, sizeof value);
      if (n % 3) assert_int_equal(shoal_dict_set(dict, "key", 3, value, sizes[i], F), 0);
      else
        assert_true(shoal_dict_set_if(dict, "key", 3, i || n ? before : SHOAL_DICT_ABSENT, value, sizes[i], F) ==
                    (i && !n));
      assert_int_equal(shoal_dict_get_versioned(dict, "key", 3, now, sizeof now, &size, &version), 0);
      assert_true(size == (i && !n ? sizes[i - 1] : sizes[i]) && version != before);
      if (!i || n) assert_memory_equal(now, value, size);
      if (n) assert_int_equal(shoal_dict_set_if(dict, "key", 3, before, "x", 1, F), SHOAL_DICT_OTHER);
      before = version;
    }
    assert_exact();
  }
  done();
}

// The first entry at or behind the 18th that no earlier one has to wait for.
#define ROW 60u
static unsigned own_stripe(const uint32_t *keys) {
  for (unsigned i = 17, k; i < ROW; i++) {
    uint32_t at = (uint32_t)(shoal_hash_(dict->seed, &keys[i], 4) >> 40) & (dict->stripes - 1);
    for (k = 0; k < i && ((uint32_t)(shoal_hash_(dict->seed, &keys[k], 4) >> 40) & (dict->stripes - 1)) != at; k++)
      continue;
    if (k == i) return i;
  }
  CHECK(!"all share a stripe");
  return 0;
}
static void stands_in(void *stripe, unsigned i) {
  (void)i;
  CHECK(shoal_dict_lock_(dict, shoal_load32_relaxed(stripe), F) == 0);
  say((shoal_atomic32 *)stripe + 1, 1);
  for (;;) pause();
}
static void expect_first(const uint32_t *keys, uint64_t n, uint64_t others) {
  for (unsigned i = 0; i < ROW; i++) assert_int_equal(shoal_dict_contains(dict, &keys[i], 4), i < n);
  assert_int_equal(shoal_dict_len(dict), others + n);
  assert_exact();
}
// What comes between, when the first are set, ends it there: those are, the others are not, and the memory of these is
// free.
static void test_many_in_part(void **state) {
  (void)state;
  uint32_t keys[ROW];
  struct shoal_dict_item items[ROW];
  uint64_t n = 99;
  make(&small, &(struct shoal_dict_options){.capacity = 2 * ROW});  // who needs another table waits for all
  assert_int_equal(set("first", "one"), 0);
  for (unsigned i = 0; i < ROW; i++) keys[i] = 1000 + i, items[i] = (struct shoal_dict_item){&keys[i], 4, "value", 5};
  unsigned barred = own_stripe(keys);
  shoal_atomic32 *at = arena_begin(4096);
  shoal_store32_relaxed(at, (uint32_t)(shoal_hash_(dict->seed, &keys[barred], 4) >> 40) & (dict->stripes - 1));
  struct peer p = peer_start(&arena, stands_in, 0);
  await(&at[1], 1);
  assert_int_equal(shoal_dict_set_n(dict, items, ROW, &n, SHOAL_TRY), -EAGAIN);
  assert_int_equal(n, barred);
  peer_kill(&p);
  arena_end(NULL);
  expect_first(keys, barred, 1);
  assert_int_equal(shoal_dict_set_n(dict, items + barred, ROW - barred, &n, F), 0);
  assert_int_equal(n, ROW - barred);
  expect_first(keys, ROW, 1);
  done();
}

// No run of as many pages is left, and no small one of as many as some entries want.
#define HOGS 2000u
#define SMALL 1300u  // what all entries that come then want, in slabs of which something stays
static void *hogs[HOGS], *some[SMALL];
static void test_many_without_room(void **state) {
  (void)state;
  uint32_t keys[ROW], filler = 0;
  struct shoal_dict_item items[ROW];
  struct shoal_dict_info info = {0};
  struct shoal_heap *heap;
  unsigned hogged = 0;
  uint64_t n = 99;
  make(&(struct shoal_segment_options){.size = 256 << 10, .size_max = 3 << 20, .participants = 8, .objects = 16}, NULL);
  assert_int_equal(shoal_heap_open(seg, &heap), 0);
  for (; info.capacity < 3072; filler++) {  // 4096 words; another table has 17 pages
    assert_int_equal(shoal_dict_set(dict, &filler, 4, "value", 5, F), 0);
    assert_int_equal(shoal_dict_info(dict, &info), 0);
  }
  for (; filler < 4075; filler++) {
    if (filler == 3000) {
      for (unsigned i = 0; i < SMALL; i++) assert_int_equal(shoal_heap_alloc(heap, 32, &some[i]), 0);
      while (hogged < HOGS && shoal_heap_alloc(heap, 16 << 12, &hogs[hogged]) == 0) hogged++;
      for (unsigned i = 0; i < SMALL; i++)
        if (i % 100) assert_int_equal(shoal_heap_free(heap, some[i]), 0);
    }
    assert_int_equal(shoal_dict_set(dict, &filler, 4, "value", 5, F), 0);
  }
  for (unsigned i = 0; i < ROW; i++)
    keys[i] = 1 << 20 | i, items[i] = (struct shoal_dict_item){&keys[i], 4, "value", 5};
  assert_int_equal(shoal_dict_set_n(dict, items, ROW, &n, F), -ENOSPC);
  assert_int_equal(n, 0);
  expect_first(keys, 0, filler);
  assert_int_equal(shoal_dict_set_n(dict, items, 20, &n, F), 0);  // one word is left that ends a search
  expect_first(keys, 20, filler);
  assert_int_equal(shoal_dict_set_n(dict, items, 20, &n, F), 0);  // that are there
  assert_int_equal(shoal_dict_set_n(dict, items + 19, 2, &n, F), -ENOSPC);
  assert_int_equal(n, 0);
  expect_first(keys, 20, filler);
  // Not so much as for the blocks of all: nothing.
  static char value[3000];
  for (unsigned i = 0; i < ROW; i++) items[i].value = value, items[i].size = i < 30 ? 5 : sizeof value;
  while (hogged < HOGS && shoal_heap_alloc(heap, 1 << 12, &hogs[hogged]) == 0) hogged++;
  for (unsigned i = 0; i < 20 && hogged; i++) assert_int_equal(shoal_heap_free(heap, hogs[--hogged]), 0);
  assert_int_equal(shoal_dict_set_n(dict, items, ROW, &n, F), -ENOSPC);
  assert_int_equal(n, 0);
  expect_first(keys, 20, filler);
  while (hogged) assert_int_equal(shoal_heap_free(heap, hogs[--hogged]), 0);
  for (unsigned i = 0; i < SMALL; i += 100) assert_int_equal(shoal_heap_free(heap, some[i]), 0);
  assert_int_equal(shoal_dict_set_n(dict, items, 30, &n, F), 0);
  expect_first(keys, 30, filler);
  assert_int_equal(shoal_heap_close(heap), 0);
  done();
}

// Asked for together: each is answered as if alone, whatever is beside it.
#define ASKED 100
static void test_many_gets(void **state) {
  (void)state;
  static char values[ASKED][40], long_key[3000], long_value[3000], big[3000];
  struct shoal_dict_want wants[ASKED];
  struct shoal_dict *inner;
  void *copy;
  uint32_t keys[ASKED];
  uint64_t size;
  make(&small, NULL);
  for (uint32_t i = 0; i < ASKED; i++) {
    keys[i] = i;
    wants[i] = (struct shoal_dict_want){&keys[i], 4, values[i], sizeof values[i], 77, 77};
  }
  assert_int_equal(shoal_dict_get_n(dict, wants, 0), 0);
  assert_int_equal(wants[0].rc, 77);
  assert_int_equal(shoal_dict_get_n(dict, wants, ASKED), 0);  // there is no table yet
  for (uint32_t i = 0; i < ASKED; i++) assert_int_equal(wants[i].rc, -ENOENT);
  assert_int_equal(wants[0].size, 77);
  memset(long_key, 'k', sizeof long_key), memset(long_value, 'v', sizeof long_value);
  for (uint32_t i = 0; i < ASKED; i++)
    if (i % 3) assert_int_equal(shoal_dict_set(dict, &i, 4, long_value, i % 60, F), 0);
  assert_int_equal(shoal_dict_set(dict, long_key, sizeof long_key, "found", 5, F), 0);
  assert_int_equal(shoal_dict_set(dict, &keys[3], 4, long_value, sizeof long_value, F), 0);
  assert_int_equal(shoal_dict_setdefault_dict(dict, &keys[6], 4, NULL, &inner, F), 0);
  assert_int_equal(shoal_dict_close(inner), 0);
  wants[3].buffer = big, wants[3].capacity = sizeof big;
  wants[9].key = long_key, wants[9].key_size = sizeof long_key;
  wants[12].key_size = UINT64_C(1) << 32;  // longer than any: not looked at
  for (uint64_t n = 1; n <= ASKED; n += n < 40 ? 1 : 20) {
    uint64_t got = 0;
    for (uint32_t i = 0; i < ASKED; i++) wants[i].rc = 77, wants[i].size = 77;
    memset(values, 0, sizeof values), memset(big, 0, sizeof big);
    uint64_t said = shoal_dict_get_n(dict, wants, n);
    for (uint32_t i = 0; i < ASKED; i++) {
      static char alone[3000];
      const struct shoal_dict_want *w = &wants[i];
      int rc = shoal_dict_get(dict, w->key, w->key_size, alone, w->capacity, &size);
      assert_int_equal(w->rc, i < n ? rc : 77);
      if (i >= n || (rc && rc != -EMSGSIZE)) assert_int_equal(w->size, 77);
      else assert_int_equal(w->size, size);
      if (w->rc) continue;
      assert_memory_equal(w->buffer, alone, size);
      got++;
    }
    assert_int_equal(said, got);
  }
  assert_int_equal(wants[3].rc, 0);
  assert_int_equal(wants[6].rc, -EBADMSG);
  assert_int_equal(wants[9].rc, 0);
  assert_int_equal(wants[12].rc, -ENOENT);
  assert_int_equal(shoal_dict_contains(dict, keys, UINT64_C(1) << 32), 0);
  assert_int_equal(shoal_dict_get_alloc(dict, keys, UINT64_C(1) << 32, &copy, &size), -ENOENT);
  assert_int_equal(shoal_dict_type(dict, keys, UINT64_C(1) << 32), -ENOENT);
  assert_int_equal(wants[41].rc, -EMSGSIZE);
  assert_int_equal(shoal_dict_remove(dict, &keys[6], 4, F), 0);
  done();
}

// Every operation, at random, and what must be there after it.
#define MODEL 600
static uint32_t model[MODEL];  // 0: not there; else the seed of its value
static unsigned fill(char *value, uint32_t seed) {
  unsigned n = seed % 7 ? seed % 61 : seed % 5000;
  for (unsigned i = 0; i < n; i++) value[i] = (char)(seed + i);
  return n;
}
static int decrement(struct shoal_dict_change *c, void *arg) {
  *(int *)arg = c->value != NULL;
  return c->value ? SHOAL_DICT_REMOVE : SHOAL_DICT_KEEP;
}
static uint64_t key_for(char *key, uint32_t k) {  // keys of 0 to 40 bytes
  memset(key, (int)k, 40);
  memcpy(key + k % 37, &k, 4);
  return k % 37 + 4;
}
static void test_as_a_model(void **state) {
  (void)state;
  static char value[5000], other[5000], key[48];
  uint32_t random = 2463534242u, entries = 0;
  make(&small, NULL);
  memset(model, 0, sizeof model);
  for (unsigned i = 0; i < 30000; i++) {
    uint32_t range = i / 5000 % 2 ? 40 : MODEL, k = rnd(&random) % range, seed = rnd(&random) | 1;
    uint64_t key_size = key_for(key, k), n, there = model[k] != 0;
    int was = 0;
    switch (rnd(&random) % (i % 9000 > 6000 ? 12 : 8)) {
      case 0 ... 3:
        assert_int_equal(shoal_dict_set(dict, key, key_size, value, fill(value, seed), F), 0);
        model[k] = seed;
        break;
      case 4:
        assert_int_equal(shoal_dict_setdefault(dict, key, key_size, value, fill(value, seed), other, 5000, &n, F),
                         there);
        if (!there) model[k] = seed;
        break;
      case 5: assert_int_equal(shoal_dict_contains(dict, key, key_size), there); break;
      case 6:
        assert_int_equal(shoal_dict_update(dict, key, key_size, decrement, &was, F), 0);
        assert_int_equal(was, there);
        model[k] = 0;
        break;
      case 7:
        if (rnd(&random) % 4096) break;
        assert_int_equal(shoal_dict_clear(dict, F), 0);
        memset(model, 0, sizeof model);
        break;
      default: assert_int_equal(shoal_dict_remove(dict, key, key_size, F), there ? 0 : -ENOENT); model[k] = 0;
    }
    int rc = shoal_dict_get(dict, key, key_size, other, sizeof other, &n);
    assert_int_equal(rc, model[k] ? 0 : -ENOENT);
    if (model[k]) assert_int_equal(n, fill(value, model[k]));
    if (model[k]) assert_memory_equal(value, other, n);
    if (i % 1024 == 0) assert_exact();
  }
  for (uint32_t k = 0; k < MODEL; k++) {
    uint64_t key_size = key_for(key, k);
    entries += model[k] != 0;
    assert_int_equal(shoal_dict_contains(dict, key, key_size), model[k] != 0);
  }
  assert_int_equal(shoal_dict_len(dict), entries);
  done();
}

static void test_grows_and_shrinks(void **state) {
  (void)state;
  struct shoal_dict_info info;
  make(&(struct shoal_segment_options){.size_max = 256 << 20}, &(struct shoal_dict_options){.stripes = 4});
  for (uint32_t i = 0; i < 50000; i++) assert_int_equal(shoal_dict_set(dict, &i, 4, &i, 4, F), 0);
  assert_int_equal(shoal_dict_len(dict), 50000);
  assert_exact();
  assert_int_equal(shoal_dict_info(dict, &info), 0);
  assert_true(info.capacity >= 50000 && info.capacity <= 200000);
  for (uint32_t i = 0; i < 50000; i++) {
    uint32_t value;
    uint64_t n;
    assert_int_equal(shoal_dict_pop(dict, &i, 4, &value, 4, &n, F), 0);
    assert_int_equal(value, i);
  }
  assert_int_equal(shoal_dict_info(dict, &info), 0);
  assert_true(info.capacity < 1000);
  // keys that come and go need no larger table
  for (uint32_t i = 0; i < 100000; i++) {
    uint32_t old = i - 50;
    assert_int_equal(shoal_dict_set(dict, &i, 4, &i, 4, F), 0);
    if (i >= 50) assert_int_equal(shoal_dict_remove(dict, &old, 4, F), 0);
  }
  assert_int_equal(shoal_dict_info(dict, &info), 0);
  assert_true(info.capacity < 1000);
  done();
}

static void test_bad_input(void **state) {
  (void)state;
  struct shoal_dict *other = NULL;
  struct shoal_object object;
  char c;
  uint64_t n;
  make(&small, NULL);
  assert_int_equal(shoal_dict_create(seg, "d", NULL, &other), -EEXIST);
  assert_int_equal(shoal_dict_open(seg, "e", &other), -ENOENT);
  assert_int_equal(shoal_dict_create(seg, "e", &(struct shoal_dict_options){.stripes = 3}, &other), -EINVAL);
  assert_int_equal(shoal_dict_create(seg, "e", &(struct shoal_dict_options){.stripes = 128}, &other), -EINVAL);
  assert_int_equal(shoal_dict_size(&(struct shoal_dict_options){.stripes = 5}), 0);
  for (unsigned i = 0; i < 3; i++) {  // of words there are 8 Mi at most, less than that many beside all else
    struct shoal_dict_options many = {.capacity = (const uint64_t[]){4 << 20, 1 << 30, UINT64_MAX}[i]};
    assert_int_equal(shoal_dict_create(seg, "e", &many, &other), -ENOSPC);
    assert_int_equal(shoal_dict_open_or_create(seg, "e", &many, &other), -ENOSPC);
    assert_int_equal(shoal_dict_open(seg, "e", &other), -ENOENT);
  }
  assert_int_equal(shoal_dict_create(seg, "e", &(struct shoal_dict_options){.capacity = 3 << 20}, &other), 0);
  assert_int_equal(shoal_dict_close(other) + shoal_dict_unlink(seg, "e"), 0);
  other = NULL;
  assert_int_equal(shoal_object_create(seg, "x", "queue", 64, NULL, NULL, &object), 0);
  assert_int_equal(shoal_dict_open(seg, "x", &other), -EBADMSG);
  assert_int_equal(shoal_dict_unlink(seg, "x"), -EBADMSG);
  assert_int_equal(shoal_object_close(seg, &object), 0);
  assert_int_equal(shoal_object_create(seg, "y", "dict", 64, NULL, NULL, &object), 0);
  assert_int_equal(shoal_dict_open(seg, "y", &other), -EPROTO);
  assert_int_equal(shoal_object_close(seg, &object), 0);
  assert_null(other);
  assert_int_equal(shoal_dict_set(dict, &c, UINT64_C(1) << 32, "", 0, F), -EOVERFLOW);
  assert_int_equal(shoal_dict_remove(dict, &c, UINT64_C(1) << 32, F), -EOVERFLOW);
  assert_int_equal(shoal_dict_set(dict, "k", 1, &c, UINT64_C(1) << 50, F), -EMSGSIZE);
  assert_int_equal(shoal_dict_get(dict, "k", 1, &c, 1, &n), -ENOENT);
  done();
}

// All of it is filled; what fails changes nothing; what is removed can be used again.
static void test_a_full_segment(void **state) {
  (void)state;
  static char value[3000], other[3000], now[3000];
  uint32_t n = 0;
  uint64_t size, version;
  struct wish w = {SHOAL_DICT_SET, other, 0};
  memset(value, 'x', sizeof value - 1), memset(other, 'y', sizeof other - 1);
  make(&(struct shoal_segment_options){.size = 256 << 10, .size_max = 3 << 20, .participants = 8, .objects = 16}, NULL);
  assert_int_equal(set("short", "12345"), 0);
  while (memcpy(value, &n, 4), shoal_dict_set(dict, &n, 4, value, sizeof value, F) == 0) n++;
  assert_true(n > 300);
  assert_int_equal(shoal_dict_set(dict, &n, 4, value, sizeof value, F), -ENOSPC);
  assert_int_equal(shoal_dict_update(dict, "u", 1, wished, &w, F), -ENOSPC);
  uint32_t key = 0;
  assert_int_equal(shoal_dict_update(dict, &key, 4, wished, &w, F), -ENOSPC);
  memcpy(value, &key, 4);
  assert_int_equal(shoal_dict_compare_and_set(dict, &key, 4, value, sizeof value, other, sizeof other, F), -ENOSPC);
  assert_int_equal(shoal_dict_compare_and_set(dict, &n, 4, NULL, 0, value, sizeof value, F), -ENOSPC);
  assert_int_equal(shoal_dict_get_versioned(dict, &key, 4, now, sizeof now, &size, &version), 0);
  assert_int_equal(shoal_dict_set_if(dict, &key, 4, version, other, sizeof other, F), -ENOSPC);
  assert_int_equal(shoal_dict_set_if(dict, &n, 4, SHOAL_DICT_ABSENT, value, sizeof value, F), -ENOSPC);
  assert_int_equal(shoal_dict_setdefault(dict, &n, 4, value, sizeof value, now, sizeof now, &size, F), -ENOSPC);
  assert_int_equal(shoal_dict_setdefault(dict, &key, 4, other, sizeof other, now, sizeof now, &size, F), 1);
  assert_int_equal(shoal_dict_len(dict), n + 1);
  for (uint32_t i = 0; i < n; i++) {
    assert_int_equal(shoal_dict_get(dict, &i, 4, now, sizeof now, &size), 0);
    memcpy(value, &i, 4);
    assert_int_equal(size, sizeof value);
    assert_memory_equal(now, value, size);
  }
  assert_int_equal(set("short", "54321"), 0);  // where it is
  assert_int_equal(shoal_dict_compare_and_set(dict, "short", 5, "54321", 5, "abcde", 5, F), 0);
  assert_string_equal(get("short"), "abcde");
  assert_exact();
  for (uint32_t i = 0; i < n; i += 2) assert_int_equal(shoal_dict_remove(dict, &i, 4, F), 0);
  for (uint32_t i = 0; i < n; i += 2) assert_int_equal(shoal_dict_set(dict, &i, 4, value, sizeof value, F), 0);
  done();
}

static void test_pop_what_there_is(void **state) {
  (void)state;
  struct shoal_dict_item item;
  struct shoal_dict *inner, *again;
  void *memory;
  uint64_t size;
  int seen[300] = {0};
  make(&small, NULL);
  assert_int_equal(shoal_dict_popitem(dict, &memory, &item, F), -ENOENT);
  assert_int_equal(shoal_dict_pop_alloc(dict, "k", 1, &memory, &size, F), -ENOENT);
  assert_int_equal(set("k", "value"), 0);
  assert_int_equal(shoal_dict_pop_alloc(dict, "k", 1, &memory, &size, F), 0);
  assert_int_equal(size, 5);
  assert_string_equal(memory, "value");
  free(memory);
  for (uint32_t i = 0; i < 300; i++) assert_int_equal(shoal_dict_set(dict, &i, 4, "some bytes", i % 11, F), 0);
  for (int n = 0; n < 300; n++) {
    uint32_t key;
    assert_int_equal(shoal_dict_popitem(dict, &memory, &item, F), 0);
    assert_int_equal(item.key_size, 4);
    memcpy(&key, item.key, 4);
    assert_true(key < 300 && !seen[key]++);
    assert_int_equal(item.size, key % 11);
    assert_memory_equal(item.value, "some bytes", item.size);
    assert_int_equal(((const char *)item.value)[item.size], 0);
    free(memory);
    assert_int_equal(shoal_dict_len(dict), 299 - n);
    if (n % 50 == 0) assert_exact();
  }
  assert_int_equal(shoal_dict_popitem(dict, &memory, &item, F), -ENOENT);
  // bytes go before containers; a container stays, and is told by its key
  assert_int_equal(shoal_dict_setdefault_dict(dict, "in", 2, NULL, &inner, F), 0);
  for (uint32_t i = 0; i < 50; i++) assert_int_equal(shoal_dict_set(dict, &i, 4, &i, 4, F), 0);
  for (uint32_t i = 0; i < 50; i++) {
    assert_int_equal(shoal_dict_popitem(dict, &memory, &item, F), 0);
    assert_int_equal(item.key_size, 4);
    free(memory);
  }
  assert_int_equal(shoal_dict_popitem(dict, &memory, &item, F), -EBADMSG);
  assert_int_equal(item.key_size, 2);
  assert_null(item.value);
  assert_int_equal(shoal_dict_pop_dict(dict, item.key, item.key_size, &again, F), 0);
  free(memory);
  assert_int_equal(shoal_dict_close(again) + shoal_dict_close(inner), 0);
  assert_int_equal(shoal_dict_popitem(dict, &memory, &item, F), -ENOENT);
  done();
}

// An entry is counted, and no word leads to it.
static void test_pop_of_damage(void **state) {
  (void)state;
  struct shoal_dict_item item;
  struct shoal_table_ t;
  void *memory;
  make(&small, NULL);
  assert_int_equal(set("k", "value"), 0);
  assert_int_equal(shoal_dict_table_(dict, &t), 0);
  for (uint64_t i = 0; i <= t.mask; i++)
    if (shoal_load64_relaxed(&t.shm->word[i]) > SHOAL_ITEM_REMOVED_)
      shoal_store64_relaxed(&t.shm->word[i], UINT64_MAX << 10);
  assert_int_equal(shoal_dict_popitem(dict, &memory, &item, F), -EPROTO);
  assert_int_equal(shoal_dict_close(dict) + shoal_segment_close(seg), 0);
}

// ---- what is said to lie over words whose links this thread believes ----
#define HOSTILE "hostile!"
static struct shoal_robust *held;  // not the dict's; this thread has it
static struct shoal_object holder;
static void make_hostile(void) {
  make(&small, &(struct shoal_dict_options){.stripes = 1});
  CHECK(shoal_object_create(seg, "held", "held", 256, NULL, NULL, &holder) == 0);
  held = (struct shoal_robust *)(void *)((char *)holder.memory + 64);
  CHECK(shoal_robust_acquire_(held, F) == 0);
  CHECK(set(HOSTILE, "................................................................") == 0);
}
static void end_hostile(void) {
  shoal_robust_release_(held);
  CHECK(get(HOSTILE) && set(HOSTILE, "good again") == 0);
  CHECK(shoal_object_close(seg, &holder) + shoal_object_remove(seg, "held") == 0);
  done();
}
static shoal_atomic64 *word_of_hostile(void) {
  struct shoal_table_ t;
  CHECK(shoal_dict_table_(dict, &t) == 0);
  for (uint64_t i = 0; i <= t.mask; i++)
    if (shoal_load64_relaxed(&t.shm->word[i]) > SHOAL_ITEM_REMOVED_) return &t.shm->word[i];
  abort();
}
// An item that would have its value over the word at `lock`, and its links.
static struct shoal_item_shm *item_over(void *lock, uint32_t seq, uint64_t head) {
  struct shoal_item_shm *it = (struct shoal_item_shm *)(void *)((char *)lock - 32);
  shoal_store32_relaxed(&it->seq, seq);
  shoal_store32_relaxed(&it->key, 8);
  shoal_store64_relaxed(&it->head, head);
  memcpy(it + 1, HOSTILE, 8);
  return it;
}
static shoal_off offset_of(const void *at) { return (shoal_off)((const char *)at - seg->base); }
static int to_others(struct shoal_dict_change *c, void *arg) {
  memset(c->value, 'C', c->size);
  return *(int *)arg;
}
static void assert_refused(void) {
  char value[64];
  uint64_t n, version = 0, size;
  int how = SHOAL_DICT_SET;
  memset(value, 'A', sizeof value);
  struct shoal_dict_item item = {HOSTILE, 8, value, sizeof value};
  assert_int_equal(shoal_dict_set(dict, HOSTILE, 8, value, sizeof value, F), -EPROTO);
  assert_int_equal(shoal_dict_set_n(dict, &item, 1, &n, F), -EPROTO);
  assert_int_equal(shoal_dict_update(dict, HOSTILE, 8, to_others, &how, F), -EPROTO);
  if (shoal_dict_get_versioned(dict, HOSTILE, 8, value, sizeof value, &size, &version) == 0)
    assert_int_equal(shoal_dict_set_if(dict, HOSTILE, 8, version, value, sizeof value, F), -EPROTO);
}

static void test_over_itself(void **state) {
  (void)state;
  make_hostile();
  void *over[] = {&dict->shm->stripe[0].lock, held, seg->base + seg->g.units_off - 64};
  shoal_atomic64 *at = word_of_hostile();
  uint64_t kept = shoal_load64_relaxed(at), root = shoal_load64_relaxed(&dict->shm->root);
  for (unsigned i = 0; i < 3; i++) {
    struct shoal_item_shm *it = item_over(over[i], (uint32_t)(kept & SHOAL_ITEM_TAG_), 64);
    shoal_store64_relaxed(at, offset_of(it) >> 4 << 22 | (kept & 0x3fffff));
    assert_refused();
    shoal_store64_relaxed(at, kept);
  }
  // the table
  for (unsigned i = 0; i < 3; i++) {
    uint64_t off = offset_of(over[i]) - (i == 1 ? 64 : 0);
    shoal_store64_relaxed(&dict->shm->root, off >> 4 << 22 | 3u << 16 | (root & 0xffff));
    assert_int_equal(set("k", "v"), -EPROTO);
    shoal_store64_relaxed(&dict->shm->root, root);
  }
  assert_int_equal(set("k", "v"), 0);
  end_hostile();
}

// The intent of a dead one: no item that could have been being changed.
static void test_repairs_over_itself(void **state) {
  (void)state;
  make_hostile();
  struct shoal_dict_stripe_shm *s = &dict->shm->stripe[0];
  uint64_t word = shoal_load64_relaxed(word_of_hostile());
  struct shoal_item_shm *it = (struct shoal_item_shm *)(void *)(dict->keep.base + shoal_item_off_(word));
  uint32_t seq = shoal_load32_relaxed(&it->seq);
  struct {
    struct shoal_item_shm *it;
    uint32_t seq;
    uint64_t head;  // of the item
    int rc;
  } cases[] = {
      {item_over(&s->lock, seq, 64), seq, 64 | SHOAL_ITEM_CHANGING_, -EPROTO},
      {item_over(held, seq, 64), seq, 64 | SHOAL_ITEM_CHANGING_, -EPROTO},
      {item_over(seg->base + seg->g.units_off - 64, seq, 64), seq, 64 | SHOAL_ITEM_CHANGING_, -EPROTO},
      {(struct shoal_item_shm *)(void *)((char *)it + 8), seq, 64 | SHOAL_ITEM_CHANGING_, -EPROTO},
      {it, seq + 1, 64 | SHOAL_ITEM_CHANGING_, -EPROTO},
      {it, seq, 63 | SHOAL_ITEM_CHANGING_, -EPROTO},
      {it, seq, 64 + 2 * SHOAL_ITEM_CHANGED_, -EPROTO},
      {it, seq, 64 + SHOAL_ITEM_CHANGED_, 0},
      {it, seq, 64 | SHOAL_ITEM_CHANGING_, 0},
      {it, seq, 64, 0},
  };
  for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
    uint64_t before[2];
    memcpy(before, cases[i].it, sizeof before);
    shoal_store64_relaxed(&cases[i].it->head, cases[i].head);
    s->old = (struct shoal_block_ref){offset_of(cases[i].it), cases[i].seq, 0};
    s->was = 64;
    for (unsigned k = 0; k < 8; k++) shoal_store64_relaxed(&s->beside[k], UINT64_C(0x4141414141414141));
    s->lock.state = SHOAL_DICT_OVERWRITE_;
    shoal_store32_relaxed(&s->lock.word, FUTEX_OWNER_DIED);
    assert_int_equal(shoal_dict_remove(dict, "none", 4, F), cases[i].rc ? cases[i].rc : -ENOENT);
    if (cases[i].rc == 0) assert_int_equal(s->lock.state, SHOAL_DICT_IDLE_);
    s->lock.state = SHOAL_DICT_IDLE_;
    if (cases[i].it == it || i == 3) memcpy(cases[i].it, before, sizeof before);
  }
  assert_int_equal(get(HOSTILE)[0], 'A');
  end_hostile();
}

static void test_placed(void **state) {
  (void)state;
  struct shoal_dict_options how = {.stripes = 2};
  struct shoal_object object;
  struct shoal_dict *other;
  make(&small, NULL);
  assert_int_equal(shoal_object_create(seg, "mine", "mine", 4096, NULL, NULL, &object), 0);
  struct shoal_dict *named = dict;
  void *at = (char *)object.memory + 128;
  assert_int_equal(shoal_dict_attach(seg, &object, at, &dict), -EPROTO);
  assert_int_equal(shoal_dict_init(seg, &object, at, &how, &dict), 0);
  assert_int_equal(shoal_dict_attach(seg, &object, at, &other), 0);
  for (uint32_t i = 0; i < 1000; i++) assert_int_equal(shoal_dict_set(dict, &i, 4, &i, 4, F), 0);
  assert_int_equal(shoal_dict_len(other), 1000);
  assert_int_equal(shoal_dict_destroy(dict, F), 0);
  assert_int_equal(shoal_dict_set(other, "a", 1, "a", 1, F), -EINVAL);
  assert_int_equal(shoal_dict_contains(other, "a", 1), -EINVAL);
  assert_int_equal(shoal_dict_close(other), 0);
  assert_int_equal(shoal_object_close(seg, &object), 0);
  dict = named;
  done();
}

// In a segment whose places are all taken.
static void test_looked_at(void **state) {
  (void)state;
  struct shoal_segment_options o = small;
  struct shoal_segment *view;
  struct shoal_dict *seen;
  struct shoal_dict_snapshot all;
  char name[64], text[8];
  uint64_t size;
  snprintf(name, sizeof name, "dict_test.%d", (int)getpid());
  o.participants = 1;
  assert_int_equal(shoal_segment_create(name, &o, &seg), 0);
  assert_int_equal(shoal_dict_create(seg, "d", NULL, &dict), 0);
  assert_int_equal(set("k", "value"), 0);
  assert_int_equal(shoal_segment_look(name, &view), 0);
  assert_int_equal(shoal_dict_open(view, "d", &seen), 0);
  assert_int_equal(shoal_dict_get(seen, "k", 1, text, 8, &size), 0);
  assert_memory_equal(text, "value", 5);
  assert_int_equal(shoal_dict_set(seen, "k", 1, "other", 5, F), 0);
  assert_int_equal(shoal_dict_set(seen, "l", 1, "other", 5, F), 0);
  assert_int_equal(shoal_dict_snapshot(seen, &all, F), 0);
  assert_int_equal(all.entries, 2);
  shoal_dict_snapshot_free(&all);
  assert_int_equal(shoal_dict_close(seen), 0);
  assert_int_equal(shoal_segment_close(view), 0);
  assert_int_equal(shoal_dict_len(dict), 1);
  assert_string_equal(get("k"), "value");
  assert_int_equal(shoal_segment_unlink(name), 0);
  done();
}

// ---- namespace ----

static int counts_ten(const char *attribute, int type, const void *value, uint64_t size, void *arg) {
  (void)value;
  ++*(int *)arg;
  return strcmp(attribute, "x") == 0 && type == SHOAL_NESTED_NOT && size == 3 ? 10 : 0;
}
// "in" is a list, and the other one bytes of a handle's size.
static int opens_list(const char *attribute, int type, const void *value, uint64_t size, void *arg) {
  struct shoal_list *l;
  if (strcmp(attribute, "in") != 0) return type == SHOAL_NESTED_NOT && size == 16 ? 0 : -EBADMSG;
  if (type != SHOAL_NESTED_LIST || shoal_nested_open_list(seg, value, size, &l)) return -EBADMSG;
  *(uint64_t *)arg = shoal_list_len(l);
  return shoal_list_close(l);
}
static void test_namespace_of_containers(void **state) {
  (void)state;
  struct shoal_namespace *ns;
  struct shoal_list *l;
  uint64_t n = 99;
  make(&small, NULL);
  CHECK(shoal_namespace_create(seg, "ns", &ns) == 0);
  CHECK(shoal_dict_setdefault_list(shoal_namespace_dict(ns), "in", 2, &l, F) == 0);
  CHECK(shoal_list_append(l, "a", 1, F) == 0 && shoal_list_append(l, "b", 1, F) == 0 && shoal_list_close(l) == 0);
  CHECK(shoal_namespace_set(ns, "bytes", "sixteen bytes...", 16, F) == 0);
  assert_int_equal(shoal_namespace_list(ns, opens_list, &n, F), 0);
  assert_int_equal(n, 2);
  CHECK(shoal_namespace_close(ns) == 0 && shoal_namespace_unlink(seg, "ns") == 0);
  done();
}
static void test_namespace(void **state) {
  (void)state;
  struct shoal_namespace *ns, *other;
  struct shoal_dict *wrong;
  char text[8], name[300];
  uint64_t size;
  void *copy;
  int n = 0;
  make(&small, NULL);
  memset(name, 'n', sizeof name - 1), name[299] = 0;
  assert_int_equal(shoal_namespace_create(seg, "ns", &ns), 0);
  assert_int_equal(shoal_namespace_create(seg, "ns", &other), -EEXIST);
  assert_int_equal(shoal_namespace_open(seg, "d", &other), -EBADMSG);
  assert_int_equal(shoal_dict_open(seg, "ns", &wrong), -EBADMSG);
  assert_int_equal(shoal_namespace_open_or_create(seg, "ns", &other), 0);
  assert_int_equal(shoal_namespace_set(ns, "x", "one", 3, F), 0);
  assert_int_equal(shoal_namespace_get(other, "x", text, 8, &size), 0);
  assert_int_equal(size, 3);
  assert_int_equal(shoal_namespace_get_alloc(other, "x", &copy, &size), 0);
  assert_string_equal(copy, "one");
  free(copy);
  assert_int_equal(shoal_namespace_list(other, counts_ten, &n, F), 10);
  assert_int_equal(n, 1);
  assert_int_equal(shoal_namespace_has(other, "y"), 0);
  assert_int_equal(shoal_namespace_get(ns, "y", text, 8, &size), -ENOENT);
  assert_int_equal(shoal_namespace_set(ns, "", "one", 3, F), -EINVAL);
  assert_int_equal(shoal_namespace_set(ns, name, "one", 3, F), -ENAMETOOLONG);
  assert_int_equal(shoal_namespace_delete(other, "x", F), 0);
  assert_int_equal(shoal_namespace_delete(ns, "x", F), -ENOENT);
  assert_int_equal(shoal_namespace_close(other), 0);
  assert_int_equal(shoal_namespace_close(ns), 0);
  assert_int_equal(shoal_namespace_unlink(seg, "d"), -EBADMSG);
  assert_int_equal(shoal_namespace_unlink(seg, "ns"), 0);
  done();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_set_get_remove),
      cmocka_unit_test(test_a_missing_key_has_no_reason),
      cmocka_unit_test(test_a_size_need_not_be_asked_for),
      cmocka_unit_test(test_compound),
      cmocka_unit_test(test_update),
      cmocka_unit_test(test_many),
      cmocka_unit_test(test_in_place),
      cmocka_unit_test(test_many_in_part),
      cmocka_unit_test(test_many_without_room),
      cmocka_unit_test(test_many_gets),
      cmocka_unit_test(test_as_a_model),
      cmocka_unit_test(test_grows_and_shrinks),
      cmocka_unit_test(test_bad_input),
      cmocka_unit_test(test_a_full_segment),
      cmocka_unit_test(test_pop_of_damage),
      cmocka_unit_test(test_over_itself),
      cmocka_unit_test(test_repairs_over_itself),
      cmocka_unit_test(test_placed),
      cmocka_unit_test(test_namespace),
      cmocka_unit_test(test_namespace_of_containers),
      cmocka_unit_test(test_pop_what_there_is),
      cmocka_unit_test(test_looked_at),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
