// ipc/data: a dict or a list that is destroyed where it lies. Claims: whoever is killed inside, it is as it was, empty,
// or gone for all, and nobody waits; who destroys it then leaves not a block and not a container that was only in it,
// and another begins in its place.
#include <errno.h>
#include <string.h>

#include "core/error.h"
#include "core/heap_internal.h"
#include "ipc/data/dict.h"
#include "ipc/data/list.h"
#include "ipc/data/nested.h"
#include "tests/crash/fixture.h"

#define F SHOAL_FOREVER

static const struct shoal_segment_options options = {
    .size = 2200 << 10, .size_max = 2200 << 10, .participants = 8, .objects = 16};
static const struct shoal_dict_options small = {.stripes = 2};
static struct shoal_object place;
static struct shoal_dict *D;  // one of these two lies in it
static struct shoal_list *L;

enum {
  ENTRIES,
  SET_FIRST
};  // T->word: how many it has before; the first victim sets key 1 to "other", the second destroys

// ---- what there is ----

static void join(void) {
  int rc = 0;
  CRASH_EXPECT(shoal_cache_of_(H, &rc) != NULL, "no place in the heap: %d", rc);
}
static void begin(void) {
  OK(shoal_segment_create(NULL, &options, &S));
  OK(shoal_heap_open(S, &H));
  OK(shoal_object_create(S, "place", "crash", 4096, NULL, NULL, &place));
  D = NULL;
  L = NULL;
}
static void end(void) {
  if (D) OK(shoal_dict_close(D));
  if (L) OK(shoal_list_close(L));
  OK(shoal_object_close(S, &place));
  OK(shoal_heap_close(H));
  OK(shoal_segment_close(S));
}
static void expect_attached(int rc) {
  int destroyed = T->word[SET_FIRST] ? crash_second_finished() : crash_victim_finished();
  CRASH_EXPECT(rc == 0 || rc == -EPROTO, "attach answered %d (%s)", rc, shoal_reason());
  CRASH_EXPECT(rc || !destroyed, "destroyed, and there");
}

// ---- dicts ----

static void dict_of(uint32_t n) {
  begin();
  OK(shoal_dict_init(S, &place, place.memory, &small, &D));
  for (uint32_t i = 0; i < n; i++) OK(shoal_dict_set(D, &i, sizeof i, "value", 5, F));
  T->word[ENTRIES] = n;
}
static void no_entry(void) { dict_of(0); }
static void some_entries(void) { dict_of(5); }
// A list in a dict, with a list in it, and another that has a second way to it.
static void put_nested(void) {
  struct shoal_dict *in;
  struct shoal_list *l;
  OK(shoal_dict_setdefault_dict(D, "in", 2, NULL, &in, F));
  OK(shoal_dict_setdefault_list(in, "l", 1, &l, F));
  OK(shoal_list_append(l, "deep", 4, F));
  OK(shoal_dict_set_list(D, "again", 5, l, F));
  OK(shoal_list_close(l) + shoal_dict_close(in));
  T->word[ENTRIES] += 2;
}
static void nested_entries(void) { dict_of(2), put_nested(); }

static void op_destroy(void) { OK(shoal_dict_destroy(D, F)); }
static void op_destroy_too(void) {
  int rc = shoal_dict_destroy(D, F);
  CRASH_EXPECT(rc == 0 || rc == -EINVAL, "destroy answered %d (%s)", rc, shoal_reason());
}
// The value that it had, or, of key 1, the one that it was set to.
static int is_a_value(const struct shoal_dict_item *item) {
  static const uint32_t one = 1;
  if (item->size != 5) return 0;
  int is_set = T->word[SET_FIRST] && item->key_size == sizeof one && !memcmp(item->key, &one, sizeof one);
  int is_old = !memcmp(item->value, "value", 5);
  return is_set ? !memcmp(item->value, "other", 5) || (is_old && !crash_victim_finished()) : is_old;
}
static void is_whole_or_empty(struct shoal_dict *d) {
  struct shoal_dict_snapshot all;
  struct shoal_dict_item item;
  uint32_t n = 0;
  OK(shoal_dict_snapshot(d, &all, F));
  for (; shoal_dict_next(&all, &item); n++) CRASH_EXPECT(all.nested || is_a_value(&item), "another value");
  shoal_dict_snapshot_free(&all);
  CRASH_EXPECT(n == T->word[ENTRIES] || n == 0, "%u of %u entries", n, T->word[ENTRIES]);
  OK(shoal_dict_set(d, "k", 1, "mine", 4, F));
  CRASH_EXPECT(shoal_dict_len(d) == n + 1, "%lu entries", (unsigned long)shoal_dict_len(d));
}
static void dict_is_gone(void) {
  char value[8];
  uint64_t size;
  CRASH_EXPECT(shoal_dict_set(D, "k", 1, "late", 4, F) == -EINVAL, "set into what is gone");
  CRASH_EXPECT(shoal_dict_get(D, "k", 1, value, 8, &size) == -EINVAL, "get of what is gone");
}
static void survive_dict(void) {
  struct shoal_dict *d = NULL;
  int rc = shoal_dict_attach(S, &place, place.memory, &d);
  expect_attached(rc);
  if (rc == 0) {
    is_whole_or_empty(d);
    OK(shoal_dict_destroy(d, F));
  }
  dict_is_gone();
  fixture_just(0, 1, "destroyed");
  OK(shoal_dict_init(S, &place, place.memory, &small, &d));
  OK(shoal_dict_set(d, "k", 1, "again", 5, F));
  fixture_just(2, 1, "in its place");
  OK(shoal_dict_destroy(d, F));
  fixture_just(0, 1, "in the end");
}
static void check_dict(void) {
  crash_kill_victim();
  crash_survivor(survive_dict);
}
#define DESTROY(id, text, ...) CRASH_SCENARIO(destroy_##id, .name = "destroy: " text, .cleanup = end, __VA_ARGS__)
DESTROY(dict, "dict", .setup = some_entries, .prepare = join, .op = op_destroy, .check = check_dict);
DESTROY(dict_empty, "dict, empty", .setup = no_entry, .prepare = join, .op = op_destroy, .check = check_dict);
DESTROY(dict_nested, "dict, with others in it", .setup = nested_entries, .prepare = join, .op = op_destroy,
        .check = check_dict);
DESTROY(dict_pair, "pair, dict, then again", .kind = CRASH_PAIR, .setup = some_entries, .prepare = join,
        .op = op_destroy, .prepare2 = join, .op2 = op_destroy_too, .check = check_dict);
DESTROY(dict_pair_nested, "pair, dict, with others in it, then again", .kind = CRASH_PAIR, .setup = nested_entries,
        .prepare = join, .op = op_destroy, .prepare2 = join, .op2 = op_destroy_too, .check = check_dict);

// What is half changed where it lies goes, too, and what stands beside it.
static void entries_to_be_set(void) {
  some_entries();
  T->word[SET_FIRST] = 1;
}
static void op_set_in_place(void) {
  uint32_t key = 1;
  OK(shoal_dict_set(D, &key, sizeof key, "other", 5, F));
}
DESTROY(dict_pair_set, "pair, dict, set in place, then destroyed", .kind = CRASH_PAIR, .setup = entries_to_be_set,
        .prepare = join, .op = op_set_in_place, .prepare2 = join, .op2 = op_destroy, .check = check_dict);

// Who reads stands in the middle of it.
static void op_get(void) {
  uint32_t key = 1;
  char value[8] = "";
  uint64_t size = 0;
  int rc = shoal_dict_get(D, &key, sizeof key, value, 8, &size);
  int gone = rc == -EINVAL || rc == -ENOENT;
  CRASH_EXPECT((rc == 0 && size == 5 && !memcmp(value, "value", 5)) || (gone && T->out[0]), "get answered %d", rc);
}
static void others_destroy(void) {
  T->out[0] = 1;
  crash_survivor(op_destroy);
  crash_survivor(survive_dict);
}
static void check_nothing(void) {}
DESTROY(dict_read, "get, beside it", .kind = CRASH_RESUMED, .setup = some_entries, .prepare = join, .op = op_get,
        .stopped = others_destroy, .check = check_nothing);

// ---- lists ----

static void list_of(uint32_t n) {
  begin();
  OK(shoal_list_init(S, &place, place.memory, &L));
  for (uint32_t i = 0; i < n; i++) OK(shoal_list_append(L, "value", 5, F));
  T->word[ENTRIES] = n;
}
static void no_value(void) { list_of(0); }
static void some_values(void) { list_of(5); }
static void nested_values(void) {
  struct shoal_list *in, *deep;
  list_of(1);
  OK(shoal_list_create(S, NULL, &in));
  OK(shoal_list_create(S, NULL, &deep));
  OK(shoal_list_append(deep, "deep", 4, F));
  OK(shoal_list_append_list(in, deep, F));
  OK(shoal_list_append_list(L, in, F));
  OK(shoal_list_append_list(L, deep, F));
  OK(shoal_list_close(in) + shoal_list_close(deep));
  T->word[ENTRIES] += 2;
}
static void op_destroy_list(void) { OK(shoal_list_destroy(L, F)); }
static void op_destroy_list_too(void) {
  int rc = shoal_list_destroy(L, F);
  CRASH_EXPECT(rc == 0 || rc == -EINVAL, "destroy answered %d (%s)", rc, shoal_reason());
}
static void is_list_whole_or_empty(struct shoal_list *l) {
  struct shoal_list_slice all;
  struct iovec v;
  uint32_t n = 0;
  OK(shoal_list_slice(l, 0, SHOAL_LIST_END, &all, F));
  for (; shoal_list_next(&all, &v); n++)
    CRASH_EXPECT(shoal_list_next_type(&all, &v) > 0 || (v.iov_len == 5 && !memcmp(v.iov_base, "value", 5)),
                 "another value");
  shoal_list_slice_free(&all);
  CRASH_EXPECT(n == T->word[ENTRIES] || n == 0, "%u of %u values", n, T->word[ENTRIES]);
  OK(shoal_list_append(l, "mine", 4, F));
  CRASH_EXPECT(shoal_list_len(l) == n + 1, "%lu values", (unsigned long)shoal_list_len(l));
}
static void survive_list(void) {
  struct shoal_list *l = NULL;
  int rc = shoal_list_attach(S, &place, place.memory, &l);
  expect_attached(rc);
  if (rc == 0) {
    is_list_whole_or_empty(l);
    OK(shoal_list_destroy(l, F));
  }
  CRASH_EXPECT(shoal_list_append(L, "late", 4, F) == -EINVAL, "append to what is gone");
  fixture_just(0, 1, "destroyed");
  OK(shoal_list_init(S, &place, place.memory, &l));
  OK(shoal_list_append(l, "again", 5, F));
  fixture_just(2, 1, "in its place");
  OK(shoal_list_destroy(l, F));
  fixture_just(0, 1, "in the end");
}
static void check_list(void) {
  crash_kill_victim();
  crash_survivor(survive_list);
}
DESTROY(list, "list", .setup = some_values, .prepare = join, .op = op_destroy_list, .check = check_list);
DESTROY(list_empty, "list, empty", .setup = no_value, .prepare = join, .op = op_destroy_list, .check = check_list);
DESTROY(list_nested, "list, with others in it", .setup = nested_values, .prepare = join, .op = op_destroy_list,
        .check = check_list);
DESTROY(list_pair, "pair, list, then again", .kind = CRASH_PAIR, .setup = some_values, .prepare = join,
        .op = op_destroy_list, .prepare2 = join, .op2 = op_destroy_list_too, .check = check_list);
DESTROY(list_pair_nested, "pair, list, with others in it, then again", .kind = CRASH_PAIR, .setup = nested_values,
        .prepare = join, .op = op_destroy_list, .prepare2 = join, .op2 = op_destroy_list_too, .check = check_list);
