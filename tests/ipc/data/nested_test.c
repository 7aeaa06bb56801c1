// What ipc/data/nested.h claims:
// - a container inside another is one, whoever looks: against a private model of who holds whom, while they are made,
//   put, replaced, removed and cleared, it is there as long as somebody holds it, and its memory is back when nobody
//   does
// - nothing is ever inside itself, also if two put at the same moment; what is refused changes nothing
// - under threads and processes, some of which are killed, nothing is lost, freed too early, or left
// - whatever words a peer scribbles over, nothing outside the segment is touched
#include "ipc/data/nested.h"
#include "core/error.h"
#include "core/segment_internal.h"
#include "ipc/data/list_internal.h"
#include "ipc/data/namespace.h"
#include "tests/ipc/data/dict_fixture.h"

static const struct shoal_segment_options few = {
    .size = 256 << 10, .size_max = 64 << 20, .participants = 32, .objects = 64};

// Containers, as the directory has them; the dict "d" among them.
static uint64_t containers(void) {
  struct shoal_heap_info heap = heap_info();
  struct shoal_segment_info info;
  CHECK(shoal_segment_info(seg, &info) == 0);
  return info.objects - heap.chunks - 1;
}
static struct shoal_dict *a_dict(void) {
  struct shoal_dict *d;
  CHECK(shoal_dict_create(seg, NULL, NULL, &d) == 0);
  return d;
}
static struct shoal_list *a_list(void) {
  struct shoal_list *l;
  CHECK(shoal_list_create(seg, NULL, &l) == 0);
  return l;
}
static uint32_t holders(struct shoal_list *l) {
  struct shoal_list_info info;
  CHECK(shoal_list_info(l, &info) == 0);
  return info.holders;
}

static void test_in_place(void **state) {
  (void)state;
  struct shoal_list *l, *again;
  struct shoal_dict *inner;
  char text[8];
  uint64_t size;
  make(&few, NULL);
  assert_int_equal(shoal_dict_setdefault_list(dict, "l", 1, &l, F), 0);
  assert_int_equal(shoal_dict_setdefault_list(dict, "l", 1, &again, F), 1);
  assert_int_equal(shoal_list_append(l, "apple", 5, F), 0);
  assert_int_equal(shoal_list_get(again, 0, text, 8, &size), 0);
  assert_memory_equal(text, "apple", 5);
  assert_int_equal(shoal_dict_setdefault_dict(dict, "l", 1, NULL, &inner, F), -EBADMSG);
  assert_int_equal(shoal_list_close(again), 0);
  inner = a_dict();
  assert_int_equal(shoal_list_append_dict(l, inner, F), 0);
  assert_int_equal(shoal_list_insert_dict(l, 0, inner, F), 0);
  assert_int_equal(shoal_dict_set(inner, "k", 1, "v", 1, F), 0);
  assert_int_equal(shoal_dict_close(inner), 0);
  assert_int_equal(shoal_list_type(l, 0), SHOAL_NESTED_DICT);
  assert_int_equal(shoal_list_type(l, 1), SHOAL_NESTED_NOT);
  assert_int_equal(shoal_dict_type(dict, "l", 1), SHOAL_NESTED_LIST);
  assert_int_equal(shoal_dict_type(dict, "m", 1), -ENOENT);
  assert_int_equal(shoal_list_type(l, 3), -ERANGE);
  assert_int_equal(shoal_list_close(l), 0);
  assert_int_equal(containers(), 3);
  assert_int_equal(shoal_dict_get_list(dict, "l", 1, &l), 0);
  assert_int_equal(shoal_list_get_dict(l, -1, &inner), 0);
  assert_int_equal(shoal_dict_get(inner, "k", 1, text, 8, &size), 0);
  assert_int_equal(shoal_list_reverse(l, F), 0);
  assert_int_equal(shoal_list_set(l, 0, "bytes", 5, F), 0);
  assert_int_equal(shoal_list_replace(l, 2, 3, NULL, 0, F), 0);  // the other entry: nobody but us
  assert_int_equal(shoal_dict_get(inner, "k", 1, text, 8, &size), 0);
  assert_int_equal(shoal_list_close(l), 0);
  assert_int_equal(shoal_dict_remove(dict, "l", 1, F), 0);
  assert_int_equal(containers(), 2);
  assert_int_equal(shoal_dict_close(inner), 0);
  assert_int_equal(containers(), 1);
  done();
}

// What goes takes with it what is in it, however deep; what somebody has open stays whole.
static void test_who_holds(void **state) {
  (void)state;
  struct shoal_dict *at, *in;
  struct shoal_list *held = NULL;
  make(&few, NULL);
  assert_int_equal(shoal_dict_setdefault_dict(dict, "top", 3, NULL, &at, F), 0);
  for (int depth = 0; depth < 10; depth++, at = in) {
    assert_int_equal(shoal_dict_setdefault_dict(at, "in", 2, NULL, &in, F), 0);
    if (depth == 5) assert_int_equal(shoal_dict_setdefault_list(at, "l", 1, &held, F), 0);
    assert_int_equal(shoal_dict_close(at), 0);
  }
  assert_int_equal(shoal_dict_close(at), 0);
  assert_int_equal(shoal_list_append(held, "kept", 4, F), 0);
  assert_int_equal(holders(held), 1);
  assert_int_equal(containers(), 13);
  assert_int_equal(shoal_dict_clear(dict, F), 0);
  assert_int_equal(containers(), 2);
  assert_int_equal(holders(held), 0);
  assert_int_equal(shoal_list_len(held), 1);
  assert_int_equal(shoal_dict_set_list(dict, "again", 5, held, F), 0);
  assert_int_equal(shoal_list_close(held), 0);
  assert_int_equal(shoal_dict_pop_list(dict, "again", 5, &held, F), 0);
  assert_int_equal(shoal_dict_pop_list(dict, "again", 5, &held, F), -ENOENT);
  assert_int_equal(holders(held), 0);
  assert_int_equal(shoal_list_len(held), 1);
  assert_int_equal(shoal_list_close(held), 0);
  assert_int_equal(containers(), 1);
  done();
}

static void test_loops_are_refused(void **state) {
  (void)state;
  struct shoal_dict *a, *b, *again;
  struct shoal_list *l;
  make(&few, NULL);
  a = a_dict(), b = a_dict(), l = a_list();
  assert_int_equal(shoal_dict_set_dict(a, "k", 1, a, F), -ELOOP);
  assert_int_equal(shoal_dict_set(a, "k", 1, "old", 3, F), 0);
  assert_int_equal(shoal_dict_set_dict(dict, "a", 1, a, F), 0);
  assert_int_equal(shoal_dict_set_list(a, "l", 1, l, F), 0);
  assert_int_equal(shoal_list_append_dict(l, b, F), 0);
  assert_int_equal(shoal_dict_set_dict(b, "k", 1, a, F), -ELOOP);
  assert_non_null(strstr(shoal_reason(), "inside itself"));
  assert_int_equal(shoal_dict_set_list(b, "k", 1, l, F), -ELOOP);
  assert_int_equal(shoal_dict_set_dict(b, "k", 1, dict, F), -ELOOP);
  assert_int_equal(shoal_dict_len(b), 0);
  assert_int_equal(shoal_list_append_list(l, l, F), -ELOOP);
  assert_string_equal(shoal_reason(), "it would be inside itself");
  assert_int_equal(shoal_list_set_dict(l, 0, a, F), -ELOOP);
  assert_int_equal(shoal_list_len(l), 1);
  assert_int_equal(shoal_dict_set_dict(a, "k", 1, b, F), 0);  // two ways to b are no loop
  assert_int_equal(shoal_list_pop_dict(l, 0, &again, F), 0);
  assert_int_equal(shoal_dict_close(again), 0);
  assert_int_equal(shoal_dict_set_list(b, "l", 1, l, F), 0);
  assert_int_equal(shoal_list_append_dict(l, b, F), -ELOOP);
  assert_int_equal(shoal_dict_remove(b, "l", 1, F), 0);
  assert_int_equal(shoal_list_append_dict(l, b, F), 0);  // not any more
  assert_int_equal(shoal_dict_close(a) + shoal_dict_close(b) + shoal_list_close(l), 0);
  assert_int_equal(shoal_dict_clear(dict, F), 0);
  assert_int_equal(containers(), 1);
  done();
}

static int by_size(const struct iovec *a, const struct iovec *b, void *arg) {
  (void)arg;
  return (int)a->iov_len - (int)b->iov_len;
}
static int keeps(struct shoal_dict_change *c, void *arg) {
  (void)c, (void)arg;
  return SHOAL_DICT_KEEP;
}
static void test_what_makes_no_sense(void **state) {
  (void)state;
  struct shoal_dict *d, *placed;
  struct shoal_list *l, *named, *other;
  struct shoal_namespace *ns;
  char text[32];
  uint64_t size, version;
  void *copy;
  make(&few, NULL);
  l = a_list();
  assert_int_equal(shoal_list_create(seg, "named", &named), 0);
  assert_int_equal(shoal_dict_set_list(dict, "k", 1, named, F), -EINVAL);
  assert_non_null(strstr(shoal_reason(), "name"));
  assert_int_equal(shoal_dict_set_list(dict, "k", 1, l, F), 0);
  assert_int_equal(shoal_dict_get_dict(dict, "k", 1, &d), -EBADMSG);
  assert_int_equal(shoal_dict_get(dict, "k", 1, text, 32, &size), -EBADMSG);
  assert_string_equal(shoal_reason(), "the value is no bytes, but a list");
  assert_int_equal(shoal_dict_get_alloc(dict, "k", 1, &copy, &size), -EBADMSG);
  assert_int_equal(shoal_dict_pop(dict, "k", 1, text, 32, &size, F), -EBADMSG);
  assert_int_equal(shoal_dict_pop_dict(dict, "k", 1, &d, F), -EBADMSG);
  assert_int_equal(shoal_dict_setdefault(dict, "k", 1, "x", 1, text, 32, &size, F), -EBADMSG);
  assert_int_equal(shoal_dict_update(dict, "k", 1, keeps, NULL, F), -EBADMSG);
  assert_int_equal(shoal_dict_contains(dict, "k", 1), 1);
  assert_int_equal(shoal_dict_set(dict, "b", 1, "bytes", 5, F), 0);
  assert_int_equal(shoal_dict_get_list(dict, "b", 1, &other), -EBADMSG);
  assert_int_equal(shoal_list_append_list(named, l, F), 0);
  assert_int_equal(shoal_list_append(named, "", 0, F), 0);
  assert_int_equal(shoal_list_sort(named, NULL, NULL, F), -EBADMSG);
  assert_int_equal(shoal_list_sort(named, by_size, NULL, F), -EBADMSG);
  assert_int_equal(shoal_list_get(named, 0, text, 32, &size), -EBADMSG);
  assert_int_equal(shoal_list_pop(named, 0, text, 32, &size, F), -EBADMSG);
  assert_int_equal(shoal_list_get_alloc(named, 0, &copy, &size), -EBADMSG);
  assert_int_equal(shoal_list_set_list(named, 5, l, F), -ERANGE);
  // a handle is equal to nothing; its version tells that it changed
  assert_int_equal(shoal_dict_get_versioned(dict, "k", 1, text, 32, &size, &version), -EBADMSG);
  assert_int_equal(shoal_dict_compare_and_set(dict, "k", 1, text, 16, "x", 1, F), SHOAL_DICT_OTHER);
  assert_int_equal(shoal_dict_set_if(dict, "k", 1, version, "x", 1, F), 0);
  // the holders end somewhere
  for (unsigned i = holders(l); i < SHOAL_NESTED_HOLDERS; i++) assert_int_equal(shoal_list_append_list(named, l, F), 0);
  assert_int_equal(shoal_list_append_list(named, l, F), -EMLINK);
  assert_int_equal(shoal_dict_set_list(dict, "b", 1, l, F), -EMLINK);
  assert_string_equal(get("b"), "bytes");
  assert_int_equal(shoal_list_pop_list(named, 0, &other, F), 0);
  assert_int_equal(shoal_dict_set_list(dict, "b", 1, other, F), 0);
  assert_int_equal(shoal_list_close(other), 0);
  // what lies in another object, or is of another type
  struct shoal_object object;
  assert_int_equal(shoal_object_create(seg, "room", "room", 1 << 16, NULL, NULL, &object), 0);
  assert_int_equal(shoal_dict_init(seg, &object, object.memory, NULL, &placed), 0);
  assert_int_equal(shoal_dict_set_dict(dict, "p", 1, placed, F), -EINVAL);
  assert_int_equal(shoal_dict_set_list(placed, "l", 1, l, F), -EMLINK);
  assert_int_equal(shoal_list_clear(named, F), 0);
  assert_int_equal(shoal_dict_set_list(placed, "l", 1, l, F), 0);
  assert_int_equal(holders(l), 2);
  assert_int_equal(shoal_dict_destroy(placed, F), 0);
  assert_int_equal(holders(l), 1);
  assert_int_equal(shoal_object_close(seg, &object), 0);
  assert_int_equal(shoal_object_remove(seg, "room"), 0);
  assert_int_equal(shoal_namespace_create(seg, NULL, &ns), 0);
  assert_int_equal(shoal_dict_set_list(shoal_namespace_dict(ns), "l", 1, l, F), 0);
  assert_int_equal(holders(l), 2);
  assert_int_equal(shoal_namespace_close(ns), 0);
  assert_int_equal(holders(l), 1);
  assert_int_equal(shoal_list_close(l) + shoal_list_close(named) + shoal_list_unlink(seg, "named"), 0);
  assert_int_equal(shoal_dict_clear(dict, F), 0);
  done();
}

// ---- namespaces ----

static void test_a_namespace_comes_out_as_one(void **state) {
  (void)state;
  struct shoal_namespace *ns, *again, *deep;
  struct shoal_dict *d;
  struct shoal_list *l;
  struct shoal_dict_snapshot all;
  struct shoal_dict_item item;
  char text[8];
  uint64_t size;
  make(&few, NULL);
  assert_int_equal(shoal_dict_setdefault_namespace(dict, "ns", 2, &ns, F), 0);
  assert_int_equal(shoal_dict_setdefault_namespace(dict, "ns", 2, &again, F), 1);
  assert_int_equal(shoal_namespace_set(ns, "x", "one", 3, F), 0);
  assert_int_equal(shoal_namespace_get(again, "x", text, 8, &size), 0);
  assert_memory_equal(text, "one", 3);
  assert_int_equal(shoal_namespace_close(again), 0);
  assert_int_equal(shoal_dict_type(dict, "ns", 2), SHOAL_NESTED_NAMESPACE);
  assert_int_equal(shoal_dict_get(dict, "ns", 2, text, 8, &size), -EBADMSG);
  assert_string_equal(shoal_reason(), "the value is no bytes, but a namespace");
  assert_int_equal(shoal_dict_get_dict(dict, "ns", 2, &d), -EBADMSG);
  assert_string_equal(shoal_reason(), "it is a namespace, no dict");
  assert_int_equal(shoal_dict_setdefault_dict(dict, "ns", 2, NULL, &d, F), -EBADMSG);
  d = a_dict();
  assert_int_equal(shoal_dict_set_dict(dict, "d", 1, d, F), 0);
  assert_int_equal(shoal_dict_close(d), 0);
  assert_int_equal(shoal_dict_get_namespace(dict, "d", 1, &again), -EBADMSG);
  assert_int_equal(shoal_dict_pop_namespace(dict, "d", 1, &again, F), -EBADMSG);
  // in a list; put by its dict it stays what it is; in one another, and no loop
  l = a_list();
  assert_int_equal(shoal_list_append_namespace(l, ns, F), 0);
  assert_int_equal(shoal_list_insert_dict(l, 0, shoal_namespace_dict(ns), F), 0);
  assert_int_equal(shoal_list_append(l, "bytes", 5, F), 0);
  assert_int_equal(shoal_list_set_namespace(l, -1, ns, F), 0);
  assert_int_equal(shoal_list_insert_namespace(l, 1, ns, F), 0);
  for (int i = 0; i < 4; i++) {
    assert_int_equal(shoal_list_type(l, i), SHOAL_NESTED_NAMESPACE);
    assert_int_equal(shoal_list_get_namespace(l, i, &again), 0);
    assert_int_equal(shoal_namespace_has(again, "x"), 1);
    assert_int_equal(shoal_namespace_close(again), 0);
  }
  assert_int_equal(shoal_list_repeat(l, 2, F), 0);
  assert_int_equal(shoal_list_repeat(l, 8, F), -EMLINK);
  assert_int_equal(shoal_list_len(l), 8);
  assert_int_equal(shoal_list_delete(l, 7, F), 0);
  assert_int_equal(shoal_list_pop_namespace(l, -1, &again, F), 0);
  assert_int_equal(shoal_list_len(l), 6);
  assert_int_equal(shoal_namespace_close(again), 0);
  assert_int_equal(shoal_dict_set_list(shoal_namespace_dict(ns), "l", 1, l, F), -ELOOP);
  assert_int_equal(shoal_dict_set_namespace(shoal_namespace_dict(ns), "me", 2, ns, F), -ELOOP);
  assert_int_equal(shoal_dict_setdefault_namespace(shoal_namespace_dict(ns), "deep", 4, &deep, F), 0);
  assert_int_equal(shoal_dict_set_namespace(shoal_namespace_dict(deep), "ns", 2, ns, F), -ELOOP);
  assert_int_equal(shoal_namespace_close(deep), 0);
  assert_int_equal(shoal_list_close(l), 0);
  // its handle, copied
  assert_int_equal(shoal_dict_remove(dict, "d", 1, F), 0);
  assert_int_equal(shoal_dict_snapshot(dict, &all, F), 0);
  assert_int_equal(shoal_dict_next(&all, &item), 1);
  assert_int_equal(shoal_dict_next_type(&all, &item), SHOAL_NESTED_NAMESPACE);
  assert_int_equal(shoal_nested_open_namespace(seg, item.value, item.size, &again), 0);
  assert_int_equal(shoal_namespace_close(again), 0);
  assert_int_equal(shoal_nested_open_dict(seg, item.value, item.size, &d), -EBADMSG);
  assert_int_equal(containers(), 3);
  assert_int_equal(shoal_dict_pop_namespace(dict, "ns", 2, &again, F), 0);
  assert_int_equal(shoal_namespace_close(again) + shoal_namespace_close(ns), 0);
  assert_int_equal(shoal_nested_open_namespace(seg, item.value, item.size, &again), -ENOENT);
  shoal_dict_snapshot_free(&all);
  assert_int_equal(shoal_namespace_create(seg, "named", &ns), 0);
  assert_int_equal(shoal_dict_set_namespace(dict, "n", 1, ns, F), -EINVAL);
  assert_int_equal(shoal_namespace_close(ns) + shoal_namespace_unlink(seg, "named"), 0);
  assert_int_equal(containers(), 1);
  done();
}

// ---- deep ----

// A chain goes when its head goes, whether it was made from there or from its end. SHOAL_CHAIN=10000 for a long one.
static void chain(unsigned length, unsigned how, struct shoal_dict **inside) {
  struct shoal_dict *at = NULL, *next;
  for (unsigned i = 0; i < length; i++) {
    if (how == 0 && i == 0) CHECK(shoal_dict_setdefault_dict(dict, "in", 2, NULL, &next, F) == 0);
    else if (how == 0) CHECK(shoal_dict_setdefault_dict(at, "in", 2, NULL, &next, F) == 0);
    else next = a_dict();
    if (how == 1 && at) CHECK(shoal_dict_set_dict(next, "in", 2, at, F) == 0);
    if (at) CHECK(shoal_dict_close(at) == 0);
    at = next;
  }
  if (how == 1) CHECK(shoal_dict_set_dict(dict, "in", 2, at, F) == 0);
  *inside = at;
}
// As many, beside each other, each with one inside it.
static void comb(unsigned length, struct shoal_dict **inside) {
  CHECK(shoal_dict_setdefault_dict(dict, "in", 2, NULL, inside, F) == 0);
  for (unsigned i = 0; i < length / 2; i++) {
    struct shoal_dict *at, *in;
    CHECK(shoal_dict_setdefault_dict(*inside, &i, sizeof i, NULL, &at, F) == 0);
    CHECK(shoal_dict_setdefault_dict(at, "in", 2, NULL, &in, F) == 0);
    CHECK(shoal_dict_close(in) + shoal_dict_close(at) == 0);
  }
}
static void test_long_chains(void **state) {
  (void)state;
  const char *many = getenv("SHOAL_CHAIN");
  unsigned length = many ? (unsigned)strtoul(many, NULL, 0) : 300;
  struct shoal_segment_options o = {
      .size = 1 << 20, .size_max = UINT64_C(1) << 30, .participants = 8, .objects = length + 64};
  const char *is[] = {"a chain from its head", "a chain from its end", "a comb, cleared"};
  for (unsigned how = 0; how < 3; how++) {
    struct shoal_dict *inside;
    make(&o, NULL);
    int64_t begun = shoal_now_ns();
    if (how < 2) chain(length, how, &inside);
    else comb(length, &inside);
    int64_t made = shoal_now_ns();
    assert_int_equal(containers(), how < 2 ? length + 1 : length / 2 * 2 + 2);
    if (how < 2) CHECK(shoal_dict_close(inside) == 0);
    int64_t there = shoal_now_ns();
    if (how < 2) CHECK(shoal_dict_remove(dict, "in", 2, F) == 0);
    else CHECK(shoal_dict_clear(inside, F) == 0);
    int64_t gone = shoal_now_ns();
    struct shoal_segment_info info;
    CHECK(shoal_segment_info(seg, &info) == 0);
    assert_true(info.objects < 64);  // at once, not by the next reaper
    assert_int_equal(containers(), how < 2 ? 1 : 2);
    if (how == 2) CHECK(shoal_dict_close(inside) == 0);
    print_message("%s, of %u: made in %.3f s, gone in %.3f s\n", is[how], length, (double)(made - begun) / 1e9,
                  (double)(gone - there) / 1e9);
    done();
  }
}

static void test_no_room(void **state) {
  (void)state;
  struct shoal_list *l;
  int rc = 0;
  make(&(struct shoal_segment_options){.size = 256 << 10, .size_max = 4 << 20, .participants = 4, .objects = 12}, NULL);
  for (int i = 0; i < 20 && rc == 0; i++) {
    rc = shoal_dict_setdefault_list(dict, &i, sizeof i, &l, F);
    if (rc == 0) CHECK(shoal_list_close(l) == 0);
    else assert_int_equal(shoal_dict_contains(dict, &i, sizeof i), 0);
  }
  assert_int_equal(rc, -ENOSPC);
  assert_int_equal(shoal_dict_len(dict), containers() - 1);
  assert_int_equal(shoal_dict_clear(dict, F), 0);
  assert_int_equal(shoal_dict_setdefault_list(dict, "k", 1, &l, F), 0);
  assert_int_equal(shoal_list_close(l), 0);
  done();
}

static void test_snapshots_copy_handles(void **state) {
  (void)state;
  struct shoal_dict_snapshot all;
  struct shoal_dict_item item;
  struct shoal_list_slice some;
  struct iovec value;
  struct shoal_list *l, *again;
  struct shoal_dict *d;
  make(&few, NULL);
  CHECK(shoal_dict_setdefault_list(dict, "l", 1, &l, F) == 0);
  d = a_dict();
  CHECK(shoal_list_append_dict(l, d, F) == 0);
  CHECK(shoal_dict_close(d) == 0);
  CHECK(shoal_dict_snapshot(dict, &all, F) == 0);
  assert_int_equal(shoal_dict_next(&all, &item), 1);
  assert_int_equal(shoal_dict_next_type(&all, &item), SHOAL_NESTED_LIST);
  assert_int_equal(shoal_nested_open_list(seg, item.value, item.size, &again), 0);
  assert_int_equal(shoal_nested_open_dict(seg, item.value, item.size, &d), -EBADMSG);
  assert_int_equal(shoal_nested_open_list(seg, item.value, 3, &again), -EINVAL);
  CHECK(shoal_list_slice(again, 0, SHOAL_LIST_END, &some, F) == 0);
  assert_int_equal(shoal_list_next(&some, &value), 1);
  assert_int_equal(shoal_list_next_type(&some, &value), SHOAL_NESTED_DICT);
  CHECK(shoal_list_close(again) == 0);
  CHECK(shoal_list_close(l) == 0);
  CHECK(shoal_dict_remove(dict, "l", 1, F) == 0);
  assert_int_equal(shoal_nested_open_list(seg, item.value, item.size, &again), -ENOENT);
  assert_int_equal(shoal_nested_open_dict(seg, value.iov_base, value.iov_len, &d), -ENOENT);
  shoal_list_slice_free(&some);
  shoal_dict_snapshot_free(&all);
  done();
}

// ---- against a model: who holds whom ----

enum { NODES = 12, KEYS = 6 };
struct model {
  struct shoal_dict *open[NODES];  // NULL: this process has it not open
  int there[NODES];                // something holds it
  int value[NODES + 1][KEYS];      // of each, and of "d": -1: nothing
};
static int inside(const struct model *m, int outer, int sought) {
  if (outer == sought) return 1;
  for (int k = 0; k < KEYS; k++)
    if (m->value[outer][k] >= 0 && inside(m, m->value[outer][k], sought)) return 1;
  return 0;
}
static void mark(struct model *m, int at) {
  for (int k = 0; k < KEYS; k++) {
    int in = m->value[at][k];
    if (in < 0 || m->there[in]) continue;
    m->there[in] = 1;
    mark(m, in);
  }
}
static unsigned settle_model(struct model *m) {
  unsigned n = 0;
  memset(m->there, 0, sizeof m->there);
  mark(m, NODES);
  for (int i = 0; i < NODES; i++)
    if (m->open[i]) m->there[i] = 1, mark(m, i);
  for (int i = 0; i < NODES; i++) n += (unsigned)m->there[i];
  for (int i = 0; i < NODES; i++)
    for (int k = 0; k < KEYS && !m->there[i]; k++) m->value[i][k] = -1;
  return n;
}
static void step(struct model *m, uint32_t *random) {
  int at = (int)(rnd(random) % (NODES + 1)), in = (int)(rnd(random) % NODES);
  char key = (char)(rnd(random) % KEYS);
  struct shoal_dict *outer = at == NODES ? dict : m->open[at];
  switch (rnd(random) % 8) {
    case 0:  // made, if it is nowhere
      if (!m->there[in]) m->open[in] = a_dict();
      break;
    case 1:
      if (m->open[in]) CHECK(shoal_dict_close(m->open[in]) == 0);
      m->open[in] = NULL;
      break;
    case 2:  // opened, by whoever holds it
      if (!outer || m->value[at][(int)key] < 0 || m->open[m->value[at][(int)key]]) break;
      CHECK(shoal_dict_get_dict(outer, &key, 1, &m->open[m->value[at][(int)key]]) == 0);
      break;
    case 3:
      if (!outer) break;
      CHECK(shoal_dict_remove(outer, &key, 1, F) == (m->value[at][(int)key] < 0 ? -ENOENT : 0));
      m->value[at][(int)key] = -1;
      break;
    case 4:
      if (!outer || rnd(random) % 8) break;
      CHECK(shoal_dict_clear(outer, F) == 0);
      for (int k = 0; k < KEYS; k++) m->value[at][k] = -1;
      break;
    default: {
      if (!outer || !m->open[in]) break;
      int loops = inside(m, in, at), rc = shoal_dict_set_dict(outer, &key, 1, m->open[in], F);
      CHECK(rc == (loops ? -ELOOP : 0));
      if (rc == 0) m->value[at][(int)key] = in;
    }
  }
}
static void test_against_a_model(void **state) {
  (void)state;
  for (uint32_t seed = 1; seed <= 10; seed++) {
    struct model m = {.there = {0}};
    uint32_t random = seed * 2654435761u;
    memset(m.value, -1, sizeof m.value);
    make(&few, NULL);
    for (int n = 0; n < 400; n++) {
      step(&m, &random);
      unsigned there = settle_model(&m);
      if (n % 20 == 0) assert_int_equal(containers(), there + 1);
    }
    for (int i = 0; i < NODES; i++)
      if (m.open[i]) CHECK(shoal_dict_close(m.open[i]) == 0);
    CHECK(shoal_dict_clear(dict, F) == 0);
    assert_int_equal(containers(), 1);
    done();
  }
}

// ---- several ----

#ifdef __SANITIZE_THREAD__
#define ROUNDS 150u
#define KILLS 6u
#else
#define ROUNDS 600u
#define KILLS 20u
#endif
static enum driver driver_now;
static struct turns { shoal_atomic32 at[2], refused[ROUNDS], put; } * T;

static struct shoal_segment *my_segment(void) {
  struct shoal_segment *other;
  if (driver_now == THREADS) return seg;
  CHECK(shoal_segment_open_fd(shoal_segment_fd(seg), &other) == 0);
  return other;
}
static struct shoal_dict *my_dict(void) {
  struct shoal_dict *d;
  CHECK(shoal_dict_open(my_segment(), "d", &d) == 0);
  return d;
}
static void together(unsigned n, arena_body body, void (*check)(void)) {
  for (driver_now = THREADS; driver_now < DRIVERS; driver_now++) {
    make(&few, NULL);
    T = arena_begin(sizeof *T);
    run(&arena, driver_now, n, body);
    check();
    arena_end(NULL);
    CHECK(shoal_dict_clear(dict, F) == 0);
    assert_int_equal(containers(), 1);
    done();
  }
}

// a into b, and b into a, at the same moment: one of the two.
static void ties_a_knot(void *memory, unsigned i) {
  struct turns *t = memory;
  struct shoal_dict *d = my_dict(), *a, *b;
  for (uint32_t n = 0; n < ROUNDS; n++) {
    char mine = i ? 'a' : 'b', other = i ? 'b' : 'a';
    CHECK(shoal_dict_setdefault_dict(d, &mine, 1, NULL, &a, F) >= 0);
    CHECK(shoal_dict_setdefault_dict(d, &other, 1, NULL, &b, F) >= 0);
    say(&t->at[i], 2 * n + 1);
    await(&t->at[!i], 2 * n + 1);
    int rc = shoal_dict_set_dict(a, "k", 1, b, F);
    CHECK(rc == 0 || rc == -ELOOP);
    if (rc) shoal_add32_relaxed(&t->refused[n], 1);
    say(&t->at[i], 2 * n + 2);
    await(&t->at[!i], 2 * n + 2);
    CHECK(shoal_load32_relaxed(&t->refused[n]) == 1);
    if (rc == 0) CHECK(shoal_dict_remove(a, "k", 1, F) == 0);
    CHECK(shoal_dict_close(a) + shoal_dict_close(b) == 0);
  }
  CHECK(shoal_dict_close(d) == 0);
}
static void nothing(void) {}
static void test_two_that_would_make_a_loop(void **state) {
  (void)state;
  together(2, ties_a_knot, nothing);
}

// Lists that are made, filled, opened and removed under one another's hands: each is whole while it is open, no value
// is lost.
static void puts_and_removes(void *memory, unsigned i) {
  struct turns *t = memory;
  struct shoal_dict *d = my_dict();
  uint32_t random = i + 5;
  for (uint32_t n = 0; n < ROUNDS; n++) {
    struct shoal_list *l;
    uint32_t key = rnd(&random) % 3;
    int rc = shoal_dict_setdefault_list(d, &key, sizeof key, &l, F);
    CHECK(rc == 0 || rc == 1);
    CHECK(shoal_list_append(l, &key, sizeof key, F) == 0);
    uint64_t size, length = shoal_list_len(l);
    uint32_t seen = 99;
    CHECK(length > 0 && shoal_list_get(l, -1, &seen, 4, &size) == 0 && seen == key);
    CHECK(shoal_list_close(l) == 0);
    if (n % 4 == 3 && shoal_dict_remove(d, &key, sizeof key, F) == 0) shoal_add32_relaxed(&t->put, 1);
  }
  CHECK(shoal_dict_close(d) == 0);
}
static void test_opened_beside_removal(void **state) {
  (void)state;
  together(4, puts_and_removes, nothing);
}

static void appends(void *memory, unsigned i) {
  struct shoal_dict *d = my_dict();
  struct shoal_list *l;
  (void)memory;
  for (uint32_t n = 0; n < ROUNDS; n++) {
    CHECK(shoal_dict_setdefault_list(d, "l", 1, &l, F) >= 0);
    CHECK(shoal_list_append(l, &i, sizeof i, F) == 0);
    CHECK(shoal_list_close(l) == 0);
  }
  CHECK(shoal_dict_close(d) == 0);
}
static void all_are_there(void) {
  struct shoal_list *l;
  CHECK(shoal_dict_get_list(dict, "l", 1, &l) == 0);
  assert_int_equal(shoal_list_len(l), 4 * ROUNDS);
  CHECK(shoal_list_close(l) == 0);
}
static void test_nothing_is_lost(void **state) {
  (void)state;
  together(4, appends, all_are_there);
}

// ---- killed ----

static void does_everything(void *memory, unsigned i) {
  struct turns *t = memory;
  struct shoal_dict *d, *inner;
  struct shoal_list *l;
  uint32_t random = i + 1;
  driver_now = PROCESSES;
  d = my_dict();
  for (uint32_t n = 0;; n++) {
    uint32_t key = rnd(&random) % 4;
    if (shoal_dict_setdefault_dict(d, &key, 4, NULL, &inner, F) < 0) continue;
    if (shoal_dict_setdefault_list(inner, "l", 1, &l, F) >= 0) {
      CHECK(shoal_list_append(l, "v", 1, F) == 0);
      if (n % 3 == 0) CHECK(shoal_list_clear(l, F) == 0);
      if (n % 5 == 0) (void)shoal_list_append_dict(l, inner, F);  // -ELOOP
      CHECK(shoal_list_close(l) == 0);
    }
    if (n % 4 == 0) (void)shoal_dict_remove(inner, "l", 1, F);
    CHECK(shoal_dict_close(inner) == 0);
    if (n % 4 == 1) (void)shoal_dict_remove(d, &key, 4, F);
    if (n % 64 == 9) CHECK(shoal_dict_clear(d, F) == 0);
    shoal_add32_relaxed(&t->put, 1);
  }
}
static void test_random_kills_among_processes(void **state) {
  (void)state;
  for (unsigned round = 0; round < KILLS; round++) {
    struct peer p[3];
    make(&few, NULL);
    T = arena_begin(sizeof *T);
    for (unsigned i = 0; i < 3; i++) p[i] = peer_start(&arena, does_everything, round * 3 + i);
    await(&T->put, 20 + round * 7);
    for (unsigned i = 0; i < 3; i++) peer_kill(&p[i]);
    arena_end(NULL);
    CHECK(shoal_dict_clear(dict, F) == 0);
    (void)containers();  // a container of a dead one goes by the first reaper; what was in it, by the next
    assert_int_equal(containers(), 1);
    done();
  }
}

// ---- hostile words ----

static struct shoal_list *inner_list;
static struct shoal_dict *inner_dict;
static struct shoal_namespace *inner_namespace;
static uint64_t *word_of(void *memory, uint64_t bytes, uint32_t *random) {
  return (uint64_t *)memory + rnd(random) % (bytes / 8);
}
// Of a container's ties, of its entry in the directory, of a block with a handle.
static uint64_t *victim_word(uint32_t *random) {
  struct shoal_object *o = rnd(random) % 2   ? &inner_list->object
                           : rnd(random) % 2 ? &inner_dict->object
                                             : &shoal_namespace_dict(inner_namespace)->object;
  switch (rnd(random) % 4) {
    case 0: return word_of((char *)o->memory + o->size - UINT64_C(768), 96, random);
    case 1: return word_of(&seg->entries[o->entry].whole, 8, random);
    case 2: return word_of(&seg->entries[dict->object.entry].whole, 8, random);
    default: break;
  }
  struct shoal_table_ t;
  if (shoal_dict_table_(dict, &t) || !t.shm) return (uint64_t *)(void *)inner_list->shm;
  uint64_t word = shoal_load64_relaxed(&t.shm->word[rnd(random) % (t.mask + 1)]);
  void *item = shoal_keep_at_(&dict->keep, shoal_item_off_(word), 48);
  return item ? word_of(item, 48, random) : word_of(t.shm, 8, random);
}
static void every_call(uint32_t *random) {
  struct shoal_dict *d;
  struct shoal_list *l;
  struct shoal_namespace *ns;
  struct shoal_dict_snapshot all;
  struct shoal_dict_item item;
  uint32_t key = rnd(random) % 12;
  (void)shoal_dict_type(dict, &key, 4);
  if (shoal_dict_get_list(dict, &key, 4, &l) == 0) (void)shoal_list_close(l);
  if (shoal_dict_get_dict(dict, &key, 4, &d) == 0) (void)shoal_dict_close(d);
  if (shoal_dict_get_namespace(dict, &key, 4, &ns) == 0) {
    (void)shoal_namespace_set(ns, "x", "one", 3, SHOAL_TRY);
    (void)shoal_namespace_close(ns);
  }
  (void)shoal_dict_set_namespace(dict, &key, 4, inner_namespace, SHOAL_TRY);
  if (shoal_dict_setdefault_list(dict, &key, 4, &l, SHOAL_TRY) >= 0) {
    (void)shoal_list_append_dict(l, inner_dict, SHOAL_TRY);
    (void)shoal_list_close(l);
  }
  (void)shoal_dict_set_dict(inner_dict, "d", 1, dict, SHOAL_TRY);
  (void)shoal_dict_set_list(inner_dict, "l", 1, inner_list, SHOAL_TRY);
  if (shoal_dict_snapshot(dict, &all, SHOAL_TRY) == 0) {
    while (shoal_dict_next(&all, &item)) {
      if (shoal_nested_open_namespace(seg, item.value, item.size, &ns) == 0) (void)shoal_namespace_close(ns);
      if (shoal_dict_next_type(&all, &item) == SHOAL_NESTED_LIST &&
          shoal_nested_open_list(seg, item.value, item.size, &l) == 0)
        (void)shoal_list_close(l);
    }
    shoal_dict_snapshot_free(&all);
  }
  if (rnd(random) % 4 == 0) (void)shoal_dict_remove(dict, &key, 4, SHOAL_TRY);
  if (rnd(random) % 16 == 0) (void)shoal_dict_clear(dict, SHOAL_TRY);
  (void)shoal_list_append(inner_list, &key, 4, SHOAL_TRY);
}
static void is_scribbled_over(void *memory, unsigned i) {
  uint32_t random = i * 2654435761u + 1;
  (void)memory;
  for (unsigned round = 0; round < 15; round++) {
    make(&(struct shoal_segment_options){.size = 256 << 10, .size_max = 2 << 20, .participants = 4, .objects = 32},
         NULL);
    inner_list = a_list(), inner_dict = a_dict();
    CHECK(shoal_namespace_create(seg, NULL, &inner_namespace) == 0);
    for (uint32_t k = 0; k < 4; k++) {
      CHECK(shoal_dict_set_list(dict, &k, 4, inner_list, F) == 0);
      CHECK(shoal_dict_set_dict(dict, &(uint32_t){k + 4}, 4, inner_dict, F) == 0);
      CHECK(shoal_dict_set_namespace(dict, &(uint32_t){k + 8}, 4, inner_namespace, F) == 0);
    }
    for (unsigned n = 0; n < 20; n++) {
      scribble(victim_word, &random);
      every_call(&random);
    }
    (void)shoal_list_close(inner_list);
    (void)shoal_dict_close(inner_dict);
    (void)shoal_namespace_close(inner_namespace);
    (void)shoal_dict_close(dict);
    (void)shoal_segment_close(seg);
  }
}
static void test_hostile_words(void **state) {
  (void)state;
  in_processes(is_scribbled_over);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_in_place),
      cmocka_unit_test(test_who_holds),
      cmocka_unit_test(test_loops_are_refused),
      cmocka_unit_test(test_what_makes_no_sense),
      cmocka_unit_test(test_a_namespace_comes_out_as_one),
      cmocka_unit_test(test_long_chains),
      cmocka_unit_test(test_no_room),
      cmocka_unit_test(test_snapshots_copy_handles),
      cmocka_unit_test(test_against_a_model),
      cmocka_unit_test(test_two_that_would_make_a_loop),
      cmocka_unit_test(test_opened_beside_removal),
      cmocka_unit_test(test_nothing_is_lost),
      cmocka_unit_test(test_random_kills_among_processes),
      cmocka_unit_test(test_hostile_words),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
