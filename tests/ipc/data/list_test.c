// What ipc/data/list.h claims, of what one process does (of several: list_shared_test.c):
// - every call does what Python's list does, against a private model
// - the heap holds one block a value, and one for the row; when the list has gone, none
// - a sort with a callback that contradicts itself, or an index that is none, changes nothing; nor does want of memory,
//   without which values go from the end all the same
#include "tests/ipc/data/list_fixture.h"

static void test_as_pythons(void **state) {
  (void)state;
  char text[16];
  uint64_t size, at;
  void *copy;
  make(&small);
  assert_string_equal(ALL, "");
  assert_int_equal(shoal_list_get(list, 0, text, 16, &size), -ERANGE);
  assert_int_equal(append("b"), 0);
  assert_int_equal(append("d"), 0);
  assert_int_equal(shoal_list_insert(list, 0, "a", 1, F), 0);
  assert_int_equal(shoal_list_insert(list, -1, "c", 1, F), 0);
  assert_int_equal(shoal_list_insert(list, 100, "e", 1, F), 0);
  assert_int_equal(shoal_list_insert(list, -100, "0", 1, F), 0);
  assert_string_equal(ALL, "0 a b c d e");
  assert_string_equal(shown(1, 3), "a b");
  assert_string_equal(shown(-2, SHOAL_LIST_END), "d e");
  assert_string_equal(shown(4, 2), "");
  struct iovec two[] = {{"x", 1}, {"yy", 2}};
  assert_int_equal(shoal_list_extend(list, two, 2, F), 0);
  assert_int_equal(shoal_list_extend(list, two, 0, F), 0);
  assert_string_equal(ALL, "0 a b c d e x yy");
  assert_int_equal(shoal_list_replace(list, 1, 6, two, 2, F), 0);
  assert_string_equal(ALL, "0 x yy x yy");
  assert_int_equal(shoal_list_replace(list, -2, SHOAL_LIST_END, two, 1, F), 0);
  assert_string_equal(ALL, "0 x yy x");
  assert_int_equal(shoal_list_set(list, -1, "last", 4, F), 0);
  assert_int_equal(shoal_list_set(list, 4, "none", 4, F), -ERANGE);
  assert_int_equal(shoal_list_set(list, -5, "none", 4, F), -ERANGE);
  assert_int_equal(shoal_list_get_alloc(list, 3, &copy, &size), 0);
  assert_string_equal(copy, "last");
  free(copy);
  assert_int_equal(shoal_list_get(list, 3, text, 3, &size), -EMSGSIZE);
  assert_int_equal(size, 4);
  assert_int_equal(shoal_list_pop(list, -1, text, 3, &size, F), -EMSGSIZE);
  assert_int_equal(shoal_list_pop(list, 1, text, 16, &size, F), 0);
  assert_int_equal(text[0], 'x');
  assert_int_equal(shoal_list_index(list, "last", 4, 0, &at, F), 0);
  assert_int_equal(at, 2);
  assert_int_equal(shoal_list_index(list, "0", 1, 1, &at, F), -ENOENT);
  assert_int_equal(shoal_list_reverse(list, F), 0);
  assert_string_equal(ALL, "last yy 0");
  assert_int_equal(shoal_list_pop(list, -4, text, 16, &size, F), -ERANGE);
  assert_int_equal(shoal_list_clear(list, F), 0);
  assert_int_equal(shoal_list_clear(list, F), 0);
  assert_int_equal(shoal_list_reverse(list, F), 0);
  assert_int_equal(append("again"), 0);
  assert_string_equal(ALL, "again");
  done();
}

static void test_a_size_need_not_be_asked_for(void **state) {
  (void)state;
  char text[8] = "";
  void *copy = NULL;
  make(&small);
  assert_int_equal(append("one"), 0);
  assert_int_equal(append("two"), 0);
  assert_int_equal(shoal_list_get(list, 0, text, 8, NULL), 0);
  assert_string_equal(text, "one");
  assert_int_equal(shoal_list_get_alloc(list, 0, &copy, NULL), 0);
  free(copy);
  assert_int_equal(shoal_list_pop(list, 0, text, 2, NULL, F), -EMSGSIZE);
  assert_int_equal(shoal_list_pop(list, 0, text, 8, NULL, F), 0);
  assert_int_equal(shoal_list_pop_alloc(list, 0, &copy, NULL, F), 0);
  assert_string_equal(copy, "two");
  free(copy);
  done();
}

static void test_by_value_and_by_place(void **state) {
  (void)state;
  static const char *const words[] = {"a", "bb", "a", "c", "", "a"};
  uint64_t n = 99, size;
  void *copy;
  make(&small);
  assert_int_equal(shoal_list_remove(list, "a", 1, F), -ENOENT);
  assert_int_equal(shoal_list_contains(list, "a", 1, F), 0);
  assert_int_equal(shoal_list_repeat(list, 3, F), 0);
  for (int i = 0; i < 6; i++) assert_int_equal(append(words[i]), 0);
  assert_int_equal(shoal_list_count(list, "a", 1, &n, F), 0);
  assert_int_equal(n, 3);
  assert_int_equal(shoal_list_count(list, "", 0, &n, F), 0);
  assert_int_equal(n, 1);
  assert_int_equal(shoal_list_count(list, "b", 1, &n, F), 0);
  assert_int_equal(n, 0);
  assert_int_equal(shoal_list_contains(list, "bb", 2, F), 1);
  assert_int_equal(shoal_list_contains(list, "b", 1, F), 0);
  assert_int_equal(shoal_list_remove(list, "a", 1, F), 0);
  assert_int_equal(shoal_list_remove(list, "", 0, F), 0);
  assert_string_equal(ALL, "bb a c a");
  assert_int_equal(shoal_list_remove(list, "b", 1, F), -ENOENT);
  assert_int_equal(shoal_list_delete(list, -1, F), 0);
  assert_int_equal(shoal_list_delete(list, 1, F), 0);
  assert_int_equal(shoal_list_delete(list, 2, F), -ERANGE);
  assert_int_equal(shoal_list_delete(list, -3, F), -ERANGE);
  assert_string_equal(ALL, "bb c");
  assert_int_equal(shoal_list_repeat(list, 1, F), 0);
  assert_string_equal(ALL, "bb c");
  assert_int_equal(shoal_list_repeat(list, 3, F), 0);
  assert_string_equal(ALL, "bb c bb c bb c");
  assert_int_equal(shoal_list_repeat(list, UINT64_MAX, F), -ENOSPC);
  struct shoal_segment_info before, after;  // what is too much at any time has grown nothing
  static char large[10000];
  assert_int_equal(shoal_list_append(list, large, sizeof large, F), 0);
  assert_int_equal(shoal_segment_info(seg, &before), 0);
  assert_int_equal(shoal_list_repeat(list, before.size_max / sizeof large, F), -ENOSPC);
  assert_int_equal(shoal_segment_info(seg, &after), 0);
  assert_int_equal(after.size, before.size);
  assert_int_equal(after.used, before.used);
  assert_int_equal(shoal_list_delete(list, -1, F), 0);
  assert_exact();
  assert_int_equal(shoal_list_pop_alloc(list, -6, &copy, &size, F), 0);
  assert_int_equal(size, 2);
  assert_string_equal(copy, "bb");
  free(copy);
  assert_int_equal(shoal_list_pop_alloc(list, 5, &copy, &size, F), -ERANGE);
  assert_string_equal(ALL, "c bb c bb c");
  assert_int_equal(shoal_list_repeat(list, 0, F), 0);
  assert_int_equal(shoal_list_len(list), 0);
  done();
}

struct wish {
  int answer;
  const char *value;
  char seen[16];
};
static int wished(struct shoal_list_change *c, void *arg) {
  struct wish *w = arg;
  char text[8];
  uint64_t size;
  snprintf(w->seen, sizeof w->seen, "%.*s", (int)c->size, (char *)c->value);
  CHECK(append("x") == -EDEADLK);
  CHECK(shoal_list_update(list, 0, wished, w, F) == -EDEADLK);
  CHECK(shoal_list_compare_and_set(list, 0, "a", 1, "x", 1, F) == -EDEADLK);
  CHECK(shoal_list_get(list, 0, text, 8, &size) == 0);
  if (w->value) c->value = (void *)(uintptr_t)w->value, c->size = strlen(w->value);
  return w->answer;
}
static int in_place(struct shoal_list_change *c, void *arg) {
  (void)arg;
  ((char *)c->value)[0]++;
  return SHOAL_LIST_SET;
}
static void test_compound(void **state) {
  (void)state;
  struct wish w = {SHOAL_LIST_SET, "new", ""};
  make(&small);
  assert_int_equal(shoal_list_update(list, 0, wished, &w, F), -ERANGE);
  assert_int_equal(shoal_list_compare_and_set(list, -1, "", 0, "x", 1, F), -ERANGE);
  for (int i = 0; i < 4; i++) assert_int_equal(append((const char *[]){"a", "b", "", "d"}[i]), 0);
  assert_int_equal(shoal_list_update(list, 1, wished, &w, F), 0);
  assert_string_equal(w.seen, "b");
  assert_string_equal(ALL, "a new  d");
  w.answer = SHOAL_LIST_KEEP, w.value = "newer";
  assert_int_equal(shoal_list_update(list, -1, wished, &w, F), 0);
  assert_string_equal(w.seen, "d");
  w.answer = -ECANCELED;
  assert_int_equal(shoal_list_update(list, 2, wished, &w, F), -ECANCELED);
  assert_string_equal(w.seen, "");
  w.answer = 3;
  assert_int_equal(shoal_list_update(list, 2, wished, &w, F), -EINVAL);
  assert_string_equal(ALL, "a new  d");
  w.answer = SHOAL_LIST_REMOVE;
  assert_int_equal(shoal_list_update(list, 2, wished, &w, F), 0);
  assert_int_equal(shoal_list_update(list, 0, in_place, NULL, F), 0);
  assert_string_equal(ALL, "b new d");
  assert_int_equal(shoal_list_compare_and_set(list, 0, "a", 1, "x", 1, F), SHOAL_LIST_OTHER);
  assert_int_equal(shoal_list_compare_and_set(list, 1, "ne", 2, "x", 1, F), SHOAL_LIST_OTHER);
  assert_int_equal(shoal_list_compare_and_set(list, 1, "news", 4, "x", 1, F), SHOAL_LIST_OTHER);
  assert_int_equal(shoal_list_compare_and_set(list, 3, "d", 1, "x", 1, F), -ERANGE);
  assert_int_equal(shoal_list_compare_and_set(list, 1, NULL, 3, "x", 1, F), -EINVAL);
  assert_int_equal(shoal_list_compare_and_set(list, 1, "new", 3, "x", UINT64_C(1) << 40, F), -EMSGSIZE);
  assert_int_equal(shoal_list_compare_and_set(list, -1, "d", 1, "", 0, F), 0);
  assert_int_equal(shoal_list_compare_and_set(list, 2, "", 0, "whole", 5, F), 0);
  assert_string_equal(ALL, "b new whole");
  assert_exact();
  done();
}

static int by_length(const struct iovec *a, const struct iovec *b, void *arg) {
  (void)arg;
  return (a->iov_len > b->iov_len) - (a->iov_len < b->iov_len);
}
static int backwards(const struct iovec *a, const struct iovec *b, void *arg) {
  (void)arg;
  return memcmp(b->iov_base, a->iov_base, 8);
}
static int contradicts(const struct iovec *a, const struct iovec *b, void *arg) {
  uint32_t *random = arg;
  (void)a, (void)b;
  return rnd(random) % 2 ? 1 : -1;
}
static int always_more(const struct iovec *a, const struct iovec *b, void *arg) {
  (void)a, (void)b, (void)arg;
  return 1;
}
static int writes(const struct iovec *a, const struct iovec *b, void *arg) {
  uint64_t size;
  char text[8];
  (void)arg;
  CHECK(append("x") == -EDEADLK);
  CHECK(shoal_list_reverse(list, F) == -EDEADLK);
  CHECK(shoal_list_get(list, 0, text, 8, &size) == 0);
  return by_length(a, b, NULL);
}
static void test_sort(void **state) {
  (void)state;
  uint32_t random = 7;
  make(&small);
  const char *words[] = {"pear", "fig", "apple", "kiwi", "fig", "banana", "plum"};
  for (int i = 0; i < 7; i++) assert_int_equal(append(words[i]), 0);
  assert_int_equal(shoal_list_sort(list, by_length, NULL, F), 0);
  assert_string_equal(ALL, "fig fig pear kiwi plum apple banana");
  assert_int_equal(shoal_list_sort(list, NULL, NULL, F), 0);
  assert_string_equal(ALL, "apple banana fig fig kiwi pear plum");
  assert_int_equal(shoal_list_sort(list, contradicts, &random, F), -EINVAL);
  assert_int_equal(shoal_list_sort(list, always_more, NULL, F), -EINVAL);
  assert_string_equal(ALL, "apple banana fig fig kiwi pear plum");
  assert_int_equal(shoal_list_sort(list, writes, NULL, F), 0);
  assert_string_equal(ALL, "fig fig kiwi pear plum apple banana");
  done();
}
#define MODEL 400
static uint32_t model[MODEL + 8], length;
static unsigned fill(char *value, uint32_t seed) {
  unsigned n = seed % 9 ? seed % 50 : seed % 3000;
  for (unsigned i = 0; i < n; i++) value[i] = (char)(seed + i);
  return n;
}
static void model_replace(uint32_t from, uint32_t drop, const uint32_t *seeds, uint32_t n) {
  memmove(model + from + n, model + from + drop, 4 * (length - from - drop));
  for (uint32_t i = 0; i < n; i++) model[from + i] = seeds[i];
  length += n - drop;
}
static int by_seed(const struct iovec *a, const struct iovec *b, void *arg) {
  (void)arg;
  return by_length(a, b, NULL);
}
static void model_sort(void) {  // stable, by length
  for (uint32_t i = 1; i < length; i++)
    for (uint32_t k = i; k; k--) {
      static char unused[5000];
      if (fill(unused, model[k - 1]) <= fill(unused, model[k])) break;
      uint32_t m = model[k];
      model[k] = model[k - 1], model[k - 1] = m;
    }
}
static void test_as_a_model(void **state) {
  (void)state;
  static char value[3000], other[3000], three[3][3000];
  uint32_t random = 88172645u;
  uint64_t n;
  make(&small);
  length = 0;
  for (unsigned i = 0; i < 20000; i++) {
    uint32_t seed = rnd(&random) | 1, from = rnd(&random) % (length + 1), drop, seeds[3];
    struct iovec v[3];
    int grows = length < 4 || (length < MODEL && i / 3000 % 2 == 0);
    switch (rnd(&random) % 12) {
      case 0 ... 2:
        if (!grows) break;
        assert_int_equal(shoal_list_append(list, value, fill(value, seed), F), 0);
        model_replace(length, 0, &seed, 1);
        break;
      case 3:
        if (!grows) break;
        assert_int_equal(shoal_list_insert(list, from, value, fill(value, seed), F), 0);
        model_replace(from, 0, &seed, 1);
        break;
      case 4:
        assert_int_equal(shoal_list_pop(list, from, other, sizeof other, &n, F), from < length ? 0 : -ERANGE);
        if (from < length) model_replace(from, 1, NULL, 0);
        break;
      case 5:
        assert_int_equal(shoal_list_pop(list, -1, other, sizeof other, &n, F), length ? 0 : -ERANGE);
        if (length) model_replace(length - 1, 1, NULL, 0);
        break;
      case 6:
        if (from == length) break;
        assert_int_equal(shoal_list_set(list, from, value, fill(value, seed), F), 0);
        model[from] = seed;
        break;
      case 7:
        drop = rnd(&random) % 4 < length - from ? rnd(&random) % 4 : 0;
        if (drop > length - from) drop = 0;
        for (int k = 0; k < 3; k++)
          seeds[k] = seed + (uint32_t)k, v[k] = (struct iovec){three[k], fill(three[k], seeds[k])};
        if (!grows) break;
        assert_int_equal(shoal_list_replace(list, from, from + drop, v, 3, F), 0);
        model_replace(from, drop, seeds, 3);
        break;
      case 8:
        if (i % 37) break;
        assert_int_equal(shoal_list_reverse(list, F), 0);
        for (uint32_t k = 0; k < length / 2; k++) {
          uint32_t m = model[k];
          model[k] = model[length - 1 - k], model[length - 1 - k] = m;
        }
        break;
      case 9:
        if (i % 37) break;
        assert_int_equal(shoal_list_sort(list, by_seed, NULL, F), 0);
        model_sort();
        break;
      case 10:
        if (i % 997) break;
        assert_int_equal(shoal_list_clear(list, F), 0);
        length = 0;
        break;
      default: break;
    }
    assert_int_equal(shoal_list_len(list), length);
    for (unsigned k = 0; k < 4 && length; k++) {
      uint32_t at = rnd(&random) % length;
      assert_int_equal(shoal_list_get(list, at, other, sizeof other, &n), 0);
      assert_int_equal(n, fill(value, model[at]));
      assert_memory_equal(value, other, n);
    }
    if (i % 1024 == 0) assert_exact();
  }
  done();
}

static void expect_numbers(uint64_t n) {
  assert_int_equal(shoal_list_len(list), n);
  for (uint64_t i = 0, number, size; i < n; i++) {
    assert_int_equal(shoal_list_get(list, (int64_t)i, &number, 8, &size), 0);
    assert_int_equal(number, i);
  }
}
static int removed(struct shoal_list_change *c, void *arg) {
  (void)c, (void)arg;
  return SHOAL_LIST_REMOVE;
}
static int drop_the_last(unsigned how) {
  uint64_t number, size;
  void *copy = NULL;
  int rc = 0;
  switch (how) {
    case 0: return shoal_list_pop(list, -1, &number, 8, &size, F);
    case 1: return shoal_list_delete(list, -1, F);
    case 2: return shoal_list_update(list, -1, removed, NULL, F);
    case 3: return shoal_list_replace(list, -1, SHOAL_LIST_END, NULL, 0, F);
    default:
      rc = shoal_list_pop_alloc(list, -1, &copy, &size, F);
      free(copy);
      return rc;
  }
}
// Not one more block can be had. What needs one changes nothing; values go from the end without.
#define NUMBERS 300u
static void test_without_a_block(void **state) {
  (void)state;
  static void *hogs[20000];
  struct shoal_heap *heap;
  unsigned hogged = 0;
  uint64_t number, size, at;
  make(&(struct shoal_segment_options){.size = 256 << 10, .size_max = 3 << 20, .participants = 8, .objects = 16});
  assert_int_equal(shoal_heap_open(seg, &heap), 0);
  for (uint64_t i = 0; i < NUMBERS; i++) assert_int_equal(shoal_list_append(list, &i, 8, F), 0);
  for (uint64_t bytes = 65536; bytes >= 16; bytes /= 2)
    while (hogged < 20000 && shoal_heap_alloc(heap, bytes, &hogs[hogged]) == 0) hogged++;
  assert_true(hogged < 20000);
  number = 77, at = 5;
  assert_int_equal(shoal_list_set(list, 5, &number, 8, F), -ENOSPC);
  assert_int_equal(shoal_list_compare_and_set(list, 5, &at, 8, &number, 8, F), -ENOSPC);
  assert_int_equal(shoal_list_update(list, 5, one_more, NULL, F), -ENOSPC);
  assert_int_equal(shoal_list_sort(list, backwards, NULL, F), -ENOSPC);
  assert_int_equal(shoal_list_reverse(list, F), -ENOSPC);
  assert_int_equal(shoal_list_append(list, &number, 8, F), -ENOSPC);
  assert_int_equal(shoal_list_extend(list, &(struct iovec){&number, 8}, 1, F), -ENOSPC);
  assert_int_equal(shoal_list_repeat(list, 2, F), -ENOSPC);
  assert_int_equal(shoal_list_pop(list, 0, &number, 8, &size, F), -ENOSPC);  // a row of those behind it
  assert_int_equal(shoal_list_delete(list, 7, F), -ENOSPC);
  assert_int_equal(shoal_list_remove(list, &at, 8, F), -ENOSPC);
  expect_numbers(NUMBERS);
  for (unsigned n = NUMBERS; n--;) {
    assert_int_equal(drop_the_last(n % 5), 0);
    if (n % 16 == 0) expect_numbers(n);
  }
  number = 0;
  while (hogged) assert_int_equal(shoal_heap_free(heap, hogs[--hogged]), 0);
  assert_int_equal(shoal_list_append(list, &number, 8, F), 0);
  expect_numbers(1);
  assert_int_equal(shoal_heap_close(heap), 0);
  done();
}
static void test_a_full_segment(void **state) {
  (void)state;
  static char value[3000];
  uint64_t n = 0, size;
  make(&(struct shoal_segment_options){.size = 256 << 10, .size_max = 3 << 20, .participants = 8, .objects = 16});
  while (shoal_list_append(list, value, sizeof value, F) == 0) n++;
  assert_true(n > 300);
  assert_int_equal(shoal_list_append(list, value, sizeof value, F), -ENOSPC);
  assert_int_equal(shoal_list_insert(list, 3, value, sizeof value, F), -ENOSPC);
  assert_int_equal(shoal_list_repeat(list, 2, F), -ENOSPC);
  struct iovec many[3] = {{value, UINT64_C(1) << 50}, {value, 10}, {value, 10}};
  assert_int_equal(shoal_list_extend(list, many, 3, F), -EMSGSIZE);
  assert_int_equal(shoal_list_len(list), n);
  assert_exact();
  assert_int_equal(shoal_list_pop(list, -1, value, sizeof value, &size, F), 0);
  assert_int_equal(shoal_list_append(list, value, sizeof value, F), 0);
  done();
}

static int paint(void *memory, uint64_t size, void *with) {
  memset(memory, *(int *)with, size);
  return 0;
}
// What is refused has written nothing, and left no name.
static void test_nothing_is_left_of_what_is_refused(void **state) {
  (void)state;
  struct shoal_segment *s;
  struct shoal_list *l = NULL;
  struct shoal_object one, other;
  int with = 'x';
  assert_int_equal(shoal_segment_create(NULL, &small, &s), 0);
  assert_int_equal(shoal_object_create(s, "one", "test", 512, paint, &with, &one), 0);
  assert_int_equal(shoal_object_create(s, "other", "test", 512, paint, &with, &other), 0);
  assert_int_equal(shoal_list_init(s, &one, (char *)one.memory + 448, &l), -EINVAL);
  assert_int_equal(shoal_list_init(s, &one, (char *)one.memory + 8, &l), -EINVAL);
  assert_int_equal(shoal_list_init(s, &one, (char *)one.memory - 64, &l), -EINVAL);
  for (int i = 0; i < 512; i++) assert_true(((char *)one.memory)[i] == 'x' && ((char *)other.memory)[i] == 'x');
  assert_int_equal(shoal_segment_close(s), 0);

  struct shoal_segment_options tiny = {.size = 16 << 10, .size_max = 16 << 10};
  assert_int_equal(shoal_segment_create(NULL, &tiny, &s), 0);
  assert_int_equal(shoal_object_create(s, "most of it", "test", 10 << 10, paint, &with, &one), 0);
  assert_int_equal(shoal_list_create(s, "list", &l), -ENOSPC);
  assert_int_equal(shoal_list_open(s, "list", &l), -ENOENT);
  assert_int_equal(shoal_list_open_or_create(s, "list", &l), -ENOSPC);
  assert_int_equal(shoal_list_open(s, "list", &l), -ENOENT);
  assert_int_equal(shoal_segment_close(s), 0);
}

static void test_bad_input(void **state) {
  (void)state;
  struct shoal_list *other = NULL;
  struct shoal_object object;
  make(&small);
  assert_int_equal(shoal_list_create(seg, "l", &other), -EEXIST);
  assert_int_equal(shoal_list_open(seg, "m", &other), -ENOENT);
  assert_int_equal(shoal_object_create(seg, "x", "dict", 4096, NULL, NULL, &object), 0);
  assert_int_equal(shoal_list_open(seg, "x", &other), -EBADMSG);
  assert_int_equal(shoal_list_attach(seg, &object, object.memory, &other), -EPROTO);
  struct shoal_list *named = list;
  assert_int_equal(shoal_list_init(seg, &object, (char *)object.memory + 64, &list), 0);
  assert_int_equal(shoal_list_attach(seg, &object, (char *)object.memory + 64, &other), 0);
  for (int i = 0; i < 100; i++) assert_int_equal(append("one"), 0);
  assert_int_equal(shoal_list_len(other), 100);
  assert_int_equal(shoal_list_destroy(list, F), 0);
  assert_int_equal(shoal_list_append(other, "x", 1, F), -EINVAL);
  assert_int_equal(shoal_list_get(other, 0, NULL, 0, &(uint64_t){0}), -EINVAL);
  assert_int_equal(shoal_list_close(other), 0);
  assert_int_equal(shoal_object_close(seg, &object), 0);
  list = named;
  done();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_as_pythons),
      cmocka_unit_test(test_a_size_need_not_be_asked_for),
      cmocka_unit_test(test_by_value_and_by_place),
      cmocka_unit_test(test_sort),
      cmocka_unit_test(test_compound),
      cmocka_unit_test(test_as_a_model),
      cmocka_unit_test(test_a_full_segment),
      cmocka_unit_test(test_without_a_block),
      cmocka_unit_test(test_bad_input),
      cmocka_unit_test(test_nothing_is_left_of_what_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
