// What ipc/data/packed.h claims: values of any MessagePack type go into dicts, lists and namespaces and come out, in
// one line each; keys may be packed; what is cut, damaged or of another type is refused with its code, and nothing is
// stored.
#include "ipc/data/packed.h"
#include "tests/ipc/data/dict_fixture.h"

static void test_one_line(void **state) {
  (void)state;
  struct shoal_packed m = {.data = NULL}, key = {.data = NULL};
  struct shoal_namespace *ns;
  struct shoal_list *l;
  int i = 0;
  double f = 0;
  const char *s;
  size_t n;
  make(&small, NULL);
  CHECK(shoal_namespace_create(seg, "ns", &ns) == 0 && shoal_list_create(seg, "l", &l) == 0);
  assert_int_equal(shoal_namespace_set_packed(ns, "x", F, "[i n s]", 42, "hello"), 0);
  assert_int_equal(shoal_namespace_get_packed(ns, "x", &m, "[i n s]", &i, &s, &n), 0);
  assert_int_equal(i, 42);
  assert_memory_equal(s, "hello", 5);
  assert_int_equal(shoal_namespace_set_packed(ns, "", F, "n"), -EINVAL);
  assert_int_equal(shoal_namespace_get_packed(ns, "y", &m, "x"), -ENOENT);
  assert_int_equal(shoal_list_append_packed(l, F, "{s:f}", "f", 0.5), 0);
  assert_int_equal(shoal_list_append_packed(l, F, "n"), 0);
  assert_int_equal(shoal_list_set_packed(l, -1, F, "i", 7), 0);
  assert_int_equal(shoal_list_set_packed(l, 2, F, "i", 7), -ERANGE);
  assert_int_equal(shoal_list_get_packed(l, 0, &m, "{s:f}", "f", &f), 0);
  assert_true(f == 0.5);
  assert_int_equal(shoal_list_get_packed(l, 1, &m, "i", &i), 0);
  assert_int_equal(i, 7);
  assert_int_equal(shoal_pack(&key, "[i s]", 3, "b"), 0);
  assert_int_equal(shoal_dict_set_packed(dict, key.data, key.size, F, "b", 1), 0);
  assert_int_equal(shoal_dict_get_packed(dict, key.data, key.size, &m, "b", &i), 0);
  assert_int_equal(i, 1);
  shoal_packed_free(&m);
  shoal_packed_free(&key);
  CHECK(shoal_namespace_close(ns) == 0 && shoal_namespace_unlink(seg, "ns") == 0);
  CHECK(shoal_list_close(l) == 0 && shoal_list_unlink(seg, "l") == 0);
  done();
}

static void test_more_in_one_line(void **state) {
  (void)state;
  struct shoal_packed m = {.data = NULL};
  struct shoal_list *l;
  int i = 0, k = 0;
  uint64_t n = 9;
  const char *s;
  size_t length;
  make(&small, NULL);
  CHECK(shoal_list_create(seg, "l", &l) == 0);
  assert_int_equal(shoal_dict_setdefault_packed(dict, "n", 1, &m, F, "i", 3), 0);
  assert_int_equal(shoal_dict_setdefault_packed(dict, "n", 1, &m, F, "i", 4), 1);
  assert_int_equal(shoal_unpack(m.data, m.size, "i", &i), 0);
  assert_int_equal(i, 3);
  assert_int_equal(shoal_dict_setdefault_packed(dict, "n", 1, &m, F, "[i", 4), -EINVAL);
  assert_int_equal(shoal_dict_pop_packed(dict, "m", 1, &m, F, "i", &i), -ENOENT);
  assert_int_equal(shoal_dict_pop_packed(dict, "n", 1, &m, F, "s", &s, &length), -EBADMSG);
  assert_int_equal(shoal_unpack(m.data, m.size, "i", &k), 0);  // taken all the same
  assert_int_equal(k, 3);
  assert_int_equal(shoal_dict_len(dict), 0);
  assert_int_equal(shoal_list_extend_packed(l, F, "[i s [i i] n]", 1, "two", 3, 3), 0);
  assert_int_equal(shoal_list_extend_packed(l, F, "[]"), 0);
  assert_int_equal(shoal_list_extend_packed(l, F, "i", 1), -EINVAL);
  assert_int_equal(shoal_list_insert_packed(l, 0, F, "s", "two"), 0);
  assert_int_equal(shoal_list_len(l), 5);
  assert_int_equal(shoal_list_count_packed(l, &n, F, "s", "two"), 0);
  assert_int_equal(n, 2);
  assert_int_equal(shoal_list_index_packed(l, 1, &n, F, "s", "two"), 0);
  assert_int_equal(n, 2);
  assert_int_equal(shoal_list_index_packed(l, 3, &n, F, "s", "two"), -ENOENT);
  assert_int_equal(shoal_list_contains_packed(l, F, "[i i]", 3, 3), 1);
  assert_int_equal(shoal_list_contains_packed(l, F, "f", 1.0), 0);  // 1.0 is not 1
  assert_int_equal(shoal_list_remove_packed(l, F, "s", "two"), 0);
  assert_int_equal(shoal_list_remove_packed(l, F, "s", "three"), -ENOENT);
  assert_int_equal(shoal_list_remove_packed(l, F, "s", (char *)NULL), -EINVAL);
  assert_int_equal(shoal_list_pop_packed(l, 2, &m, F, "[i i]", &i, &k), 0);
  assert_int_equal(i + k, 6);
  assert_int_equal(shoal_list_pop_packed(l, 3, &m, F, "x"), -ERANGE);
  assert_int_equal(shoal_list_pop_packed(l, -1, &m, F, "i", &i), -EBADMSG);
  assert_int_equal(shoal_list_len(l), 2);
  assert_int_equal(shoal_list_append(l, "\xc1", 1, F), 0);
  assert_int_equal(shoal_list_pop_packed(l, -1, &m, F, "x"), -EPROTO);
  assert_int_equal(shoal_list_clear(l, F), 0);
  shoal_packed_free(&m);
  CHECK(shoal_list_close(l) == 0 && shoal_list_unlink(seg, "l") == 0);
  done();
}

static void test_what_is_refused(void **state) {
  (void)state;
  struct shoal_packed m = {.data = NULL};
  int i = 5;
  char deep[SHOAL_CODEC_DEPTH + 2];
  make(&small, NULL);
  assert_int_equal(shoal_dict_set_packed(dict, "k", 1, F, "[i"), -EINVAL);
  assert_int_equal(shoal_dict_contains(dict, "k", 1), 0);
  assert_int_equal(shoal_dict_set_packed(dict, "k", 1, F, "s", "text"), 0);
  assert_int_equal(shoal_dict_get_packed(dict, "k", 1, &m, "i", &i), -EBADMSG);
  assert_int_equal(shoal_packed_print(m.data, m.size, stderr), 0);  // it is there, for another format
  assert_int_equal(shoal_dict_get_packed(dict, "l", 1, &m, "i", &i), -ENOENT);
  static const char *const hostile[] = {"", "\x93\x01", "\xdd\xff\xff\xff\xff", "\xc1", "\x01\x01", "\xd9\x05\x61\x62"};
  for (unsigned k = 0; k < sizeof hostile / sizeof *hostile; k++) {
    assert_int_equal(set("k", hostile[k]), 0);
    assert_int_equal(shoal_dict_get_packed(dict, "k", 1, &m, "x"), -EPROTO);
    assert_int_equal(shoal_dict_get_packed(dict, "k", 1, &m, "i", &i), -EPROTO);
  }
  memset(deep, '\x91', sizeof deep);
  deep[sizeof deep - 1] = '\xc0';
  assert_int_equal(shoal_dict_set(dict, "k", 1, deep, sizeof deep, F), 0);
  assert_int_equal(shoal_dict_get_packed(dict, "k", 1, &m, "x"), -EPROTO);
  assert_int_equal(i, 5);
  shoal_packed_free(&m);
  done();
}

// Each before the next, but for those that are equal: '=' in front.
#define SCALARS 37u
static char in_order[] =
    "n,f -inf,i -9223372036854775808,=f -9223372036854775808,f -9223372036854774784,i -300,"
    "f -1.5,i -1,f -0.5,i 0,=f -0.0,=b 0,f 0.5,i 1,=b 1,=f 1.0,i 127,i 128,f 299.5,i 300,"
    "i 9007199254740992,=f 9007199254740992,i 9007199254740993,f 9007199254740994,"
    "i 9223372036854775807,f 9223372036854775808,=u 9223372036854775808,u 9223372036854775809,"
    "u 18446744073709551615,f 18446744073709551616,f inf,f nan,s ,s a,s a ,s b,s ba";
static void pack_one(struct shoal_packed *m, const char *text) {
  if (*text == '=') text++;
  switch (*text) {
    case 'n': CHECK(shoal_pack(m, "n") == 0); break;
    case 'i': CHECK(shoal_pack(m, "I", (int64_t)strtoll(text + 2, NULL, 10)) == 0); break;
    case 'u': CHECK(shoal_pack(m, "U", (uint64_t)strtoull(text + 2, NULL, 10)) == 0); break;
    case 'f': CHECK(shoal_pack(m, "f", strtod(text + 2, NULL)) == 0); break;
    case 'b': CHECK(shoal_pack(m, "b", text[2] == '1') == 0); break;
    default: CHECK(shoal_pack(m, "s", text + 2) == 0);
  }
}
static int compared(const struct shoal_packed *a, const struct shoal_packed *b) {
  struct iovec x = {a->data, a->size}, y = {b->data, b->size};
  int c = shoal_packed_compare(&x, &y, NULL);
  return (c > 0) - (c < 0);
}
#define OTHERS 14u
static void test_order(void **state) {
  (void)state;
  struct shoal_packed all[SCALARS + OTHERS] = {{NULL, 0, 0}};
  unsigned rank[SCALARS + OTHERS], n = 0;
  for (char *text = strtok(in_order, ","); text; text = strtok(NULL, ","), n++) {
    pack_one(&all[n], text);
    rank[n] = n == 0 ? 0 : rank[n - 1] + (*text != '=');
  }
  assert_int_equal(n, SCALARS);
  static const char *const rest[OTHERS] = {// bytes; lists; maps; ext; what is cut, or none
                                           "\xc4\x01"
                                           "a",
                                           "\xc4\x01"
                                           "b",
                                           "\x90",
                                           "\x91\xc0",
                                           "\x91\x01",
                                           "\x92\x01\x01",
                                           "\x92\x01\x02",
                                           "\x92\x02\x01",
                                           "\x92\x91\x01\x01",
                                           "\x80",
                                           "\x81\x01\x02",
                                           "\x81\x02\x01",
                                           "\xd4\x01"
                                           "a",
                                           "\x92\x01"};
  for (unsigned i = 0; i < OTHERS; i++, n++) {
    CHECK((all[n].data = strdup(rest[i])) != NULL);
    all[n].size = strlen(rest[i]);
    rank[n] = rank[n - 1] + 1;
  }
  for (unsigned i = 0; i < n; i++)
    for (unsigned k = 0; k < n; k++) {
      int c = compared(&all[i], &all[k]);
      if (c != (rank[i] > rank[k]) - (rank[i] < rank[k])) fail_msg("%u and %u: %d", i, k, c);
    }
  for (unsigned i = 0; i < n; i++) shoal_packed_free(&all[i]);
}
static void test_sort(void **state) {
  (void)state;
  struct shoal_packed m = {.data = NULL};
  struct shoal_list *l;
  double f;
  int i;
  make(&small, NULL);
  CHECK(shoal_list_create(seg, "l", &l) == 0);
  CHECK(shoal_list_extend_packed(l, F, "[i i f i i]", 300, -1, 2.5, 200, -70000) == 0);
  assert_int_equal(shoal_list_sort(l, shoal_packed_compare, NULL, F), 0);
  static const double sorted[] = {-70000, -1, 2.5, 200, 300};
  for (i = 0; i < 5; i++) {
    assert_int_equal(shoal_list_get_packed(l, i, &m, "f", &f), 0);
    assert_true(f == sorted[i]);
  }
  shoal_packed_free(&m);
  CHECK(shoal_list_close(l) == 0 && shoal_list_unlink(seg, "l") == 0);
  done();
}
// Whatever bytes: of any two one comes first, and of any three no two contradict the third.
static void test_order_of_anything(void **state) {
  (void)state;
  uint32_t random = 2463534242u;
  char bytes[3][12];
  for (unsigned round = 0; round < 200000; round++) {
    struct shoal_packed m[3];
    for (unsigned i = 0; i < 3; i++) {
      m[i] = (struct shoal_packed){bytes[i], rnd(&random) % 12, 12};
      for (unsigned k = 0; k < 12; k++) bytes[i][k] = (char)(rnd(&random) % 3 ? 0x90 + rnd(&random) % 3 : rnd(&random));
    }
    int ab = compared(&m[0], &m[1]), bc = compared(&m[1], &m[2]), ac = compared(&m[0], &m[2]);
    assert_int_equal(ab, -compared(&m[1], &m[0]));
    assert_int_equal(compared(&m[0], &m[0]), 0);
    if (ab <= 0 && bc <= 0) assert_int_equal(ac, ab < 0 || bc < 0 ? -1 : 0);
    if (ab >= 0 && bc >= 0) assert_int_equal(ac, ab > 0 || bc > 0 ? 1 : 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_one_line),
                                     cmocka_unit_test(test_more_in_one_line),
                                     cmocka_unit_test(test_what_is_refused),
                                     cmocka_unit_test(test_order),
                                     cmocka_unit_test(test_sort),
                                     cmocka_unit_test(test_order_of_anything)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
