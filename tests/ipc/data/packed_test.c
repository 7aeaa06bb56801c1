// What ipc/data/packed.h claims: values of any MessagePack type go into dicts, lists and namespaces and come out, in one line each; keys
// may be packed; what is cut, damaged or of another type is refused with its code, and nothing is stored.
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

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_one_line), cmocka_unit_test(test_more_in_one_line),
                                     cmocka_unit_test(test_what_is_refused)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
