// ipc/data: dict and list. Claims: whoever is killed inside an operation, what was there or what was to be there is
// there, whole; readers see it before anybody repairs; the next writer has the stripe, or the lock, and then the heap
// holds one block an entry and one for the table, or the row: not one is lost, not one is ended twice.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/heap_internal.h"
#include "core/proc.h"
#include "ipc/data/dict_internal.h"
#include "ipc/data/list_internal.h"
#include "ipc/data/namespace.h"
#include "tests/crash/crash.h"

#define F SHOAL_FOREVER

static const struct shoal_segment_options options = {
    .size = 2200 << 10, .size_max = 2200 << 10, .participants = 8, .objects = 8};
static struct shoal_segment *S;
static struct shoal_dict *D;
static struct shoal_list *L;
static struct shoal_heap *H;
static const char *before, *after;  // what is there, as text

static struct shoal_heap_audit audit(void) {
  struct shoal_heap_audit a = {0};
  OK(shoal_heap_reap(H));
  OK(shoal_heap_audit(H, &a));
  CRASH_EXPECT(!a.damaged, "%lu pages or blocks are damaged, the first at %lu", a.damaged, a.damaged_at);
  CRASH_EXPECT(a.dead_runs + a.dead_blocks == 0, "%lu runs and %lu blocks are the dead's", a.dead_runs, a.dead_blocks);
  CRASH_EXPECT(!a.unreferenced, "nothing leads to %lu blocks", a.unreferenced);
  return a;
}
static void expect_blocks(uint64_t n, const char *when) {
  struct shoal_heap_info info;
  audit();
  OK(shoal_heap_info(H, &info));
  CRASH_EXPECT(info.objects == n && info.blocks == n, "%s: %u of %lu blocks are the object's, not %lu", when,
               info.objects, (unsigned long)info.blocks, (unsigned long)n);
}
static void expect_text(const char *is, const char *when) {
  int finished = crash_victim_finished();
  CRASH_EXPECT(!strcmp(is, after) || (!finished && !strcmp(is, before)), "%s: \"%s\", not \"%s\"%s%s%s", when, is,
               after, finished ? "" : " or \"", finished ? "" : before, finished ? "" : "\"");
}
static void open_segment(void) {
  D = NULL;
  L = NULL;
  OK(shoal_segment_create(NULL, &options, &S));
  OK(shoal_heap_open(S, &H));
}
static void close_all(void) {
  if (D) OK(shoal_dict_close(D));
  if (L) OK(shoal_list_close(L));
  OK(shoal_heap_close(H));
  OK(shoal_segment_close(S));
}
static void join(void) {
  int rc = 0;
  CRASH_EXPECT(shoal_cache_of_(H, &rc) != NULL, "no place in the heap: %d", rc);
}
static void warm(void) {  // it has a block of each size in its lists
  void *block;
  join();
  for (unsigned size = 32; size < 400; size += 32) {
    OK(shoal_heap_alloc(H, size, &block));
    OK(shoal_heap_free(H, block));
  }
}

// ---- dict: "entries value-of-k" ----

static int set(const char *key, const char *value) {
  return shoal_dict_set(D, key, strlen(key), value, strlen(value), F);
}
static void dict_text(char *out, size_t room) {
  char value[16] = "-";
  uint64_t size;
  int rc = shoal_dict_get(D, "k", 1, value, sizeof value - 1, &size);
  CRASH_EXPECT(rc == 0 || rc == -ENOENT, "get answered %d", rc);
  if (rc == 0) value[size] = 0;
  snprintf(out, room, "%lu %s", (unsigned long)shoal_dict_len(D), value);
}
// Any reader, at once: the value, and all others.
static void readable(const char *when, int entries) {
  char text[40];
  const char *now = (dict_text(text, sizeof text), strchr(text, ' ') + 1);
  const char *was = strchr(before, ' ') + 1, *is = strchr(after, ' ') + 1;
  CRASH_EXPECT(!strcmp(now, was) || !strcmp(now, is), "%s: k is %s, not %s or %s", when, now, was, is);
  for (int i = 0; i < entries; i++) {
    char value[8];
    uint64_t size;
    OK(shoal_dict_get(D, &i, sizeof i, value, 8, &size));
    CRASH_EXPECT(size == 4 && !memcmp(value, "fill", 4), "%s: another entry's value", when);
  }
}
static int fillers;  // keys 0.. that are never touched
static void dict_survives(void) {
  struct shoal_dict_snapshot all;
  struct shoal_dict_info info;
  char text[40];
  if (strcmp(after, "0 -") != 0) readable("before a repair", fillers);
  OK(shoal_dict_snapshot(D, &all, F));
  dict_text(text, sizeof text);
  expect_text(text, "after a repair");
  OK(shoal_dict_info(D, &info));
  CRASH_EXPECT(all.entries == info.entries, "%lu entries in a snapshot, %lu counted", (unsigned long)all.entries,
               (unsigned long)info.entries);
  shoal_dict_snapshot_free(&all);
  expect_blocks(info.entries + (info.table != 0), "after a repair");
  for (int i = 100; i < 130; i++) OK(shoal_dict_set(D, &i, sizeof i, "more", 4, F));
  OK(set("k", "last"));
  OK(set("l", "last"));
  OK(shoal_dict_remove(D, "k", 1, F));
  OK(shoal_dict_remove(D, "l", 1, F));
  for (int i = 100; i < 130; i++) OK(shoal_dict_remove(D, &i, sizeof i, F));
  for (uint32_t i = 0; i < D->stripes; i++)
    CRASH_EXPECT(D->shm->stripe[i].lock.state == 0, "stripe %u is in doubt in the end", i);
  OK(shoal_dict_clear(D, F));
  expect_blocks(0, "in the end");
}
static void check_dict(void) {
  crash_kill_victim();
  crash_survivor(dict_survives);
}

static void dict_of(int n, uint32_t stripes) {
  open_segment();
  OK(shoal_dict_create(S, "d", &(struct shoal_dict_options){.stripes = stripes}, &D));
  for (fillers = 0; fillers < n; fillers++) OK(shoal_dict_set(D, &fillers, sizeof fillers, "fill", 4, F));
}
static void texts(const char *b, const char *a) { before = b, after = a; }
static void empty(void) { dict_of(0, 1), texts("0 -", "1 new"); }
static void three(void) { dict_of(3, 2), texts("3 -", "4 new"); }
static void three_and_k(void) {
  dict_of(3, 2), texts("4 old", "4 new");
  OK(set("k", "old"));
}
static void to_be_removed(void) { three_and_k(), texts("4 old", "3 -"); }
static void to_be_cleared(void) { three_and_k(), texts("4 old", "0 -"), fillers = 0; }
static void full(void) { dict_of(12, 1), texts("12 -", "13 new"); }  // of 16 words 12 are used: the next one needs 32
static void sparse(void) {                                           // of 64 words, 7 entries: one less, and it shrinks
  dict_of(40, 1), texts("7 old", "6 -");
  OK(set("k", "old"));
  while (fillers > 6) {
    fillers--;
    OK(shoal_dict_remove(D, &fillers, sizeof fillers, F));
  }
}
// k's bucket is full of others, of which `gone` have gone.
static void crowd(int gone) {
  dict_of(0, 1);
  OK(set("x", "x"));
  uint64_t home = shoal_table_home_(shoal_hash_(D->seed, "k", 1), 15);
  for (int i = 1000, found = 0; found < 8; i++) {
    if (shoal_table_home_(shoal_hash_(D->seed, &i, sizeof i), 15) != home) continue;
    OK(shoal_dict_set(D, &i, sizeof i, "fill", 4, F));
    if (found++ < gone) OK(shoal_dict_remove(D, &i, sizeof i, F));
  }
}
static void colliding(void) { crowd(0), texts("9 -", "10 new"); }
static void reusing(void) { crowd(2), texts("7 -", "8 new"); }
static void op_set(void) { OK(set("k", "new")); }
// k's twice, so that what it was first is ended, too.
static void op_set_n(void) {
  struct shoal_dict_item some[] = {{"k", 1, "old", 3}, {"k", 1, "new", 3}};
  uint64_t n;
  OK(shoal_dict_set_n(D, some, 2, &n, F));
}
static void op_set_n_new(void) {
  struct shoal_dict_item some[] = {{"k", 1, "new", 3}, {"k", 1, "new", 3}};
  uint64_t n;
  OK(shoal_dict_set_n(D, some, 2, &n, F));
}
static void op_set_longer(void) { OK(set("k", "newer")); }
static void longer(void) { three_and_k(), texts("4 old", "4 newer"); }
static void op_remove(void) { OK(shoal_dict_remove(D, "k", 1, F)); }
static void op_pop(void) {
  char value[8];
  uint64_t size;
  OK(shoal_dict_pop(D, "k", 1, value, 8, &size, F));
}
static void op_pop_alloc(void) {
  void *value;
  uint64_t size;
  OK(shoal_dict_pop_alloc(D, "k", 1, &value, &size, F));
  free(value);
}
// k's: there is no other.
static void op_popitem(void) {
  struct shoal_dict_item item;
  void *memory;
  OK(shoal_dict_popitem(D, &memory, &item, F));
  CRASH_EXPECT(item.key_size == 1 && item.size == 3 && !memcmp(item.value, "old", 3), "another entry");
  free(memory);
}
static void only_k(void) {
  dict_of(0, 2), texts("1 old", "0 -");
  OK(set("k", "old"));
}
static void op_popitem_of_none(void) {
  struct shoal_dict_item item;
  void *memory;
  int rc = shoal_dict_popitem(D, &memory, &item, F);
  CRASH_EXPECT(rc == -ENOENT, "popitem of nothing answered %d", rc);
}
static void none(void) { only_k(), texts("0 -", "0 -"), op_remove(); }
static void op_clear(void) { OK(shoal_dict_clear(D, F)); }
static void op_setdefault(void) {
  char value[8];
  uint64_t size;
  OK(shoal_dict_setdefault(D, "k", 1, "new", 3, value, 8, &size, F));
}
static int to_new(struct shoal_dict_change *c, void *arg) {
  c->value = arg, c->size = 3;
  return SHOAL_DICT_SET;
}
static int to_newer(struct shoal_dict_change *c, void *arg) {
  c->value = arg, c->size = 5;
  return SHOAL_DICT_SET;
}
static int to_nothing(struct shoal_dict_change *c, void *arg) {
  (void)c, (void)arg;
  return SHOAL_DICT_REMOVE;
}
static void op_update(void) { OK(shoal_dict_update(D, "k", 1, to_new, (void *)(uintptr_t) "new", F)); }
static void op_update_longer(void) { OK(shoal_dict_update(D, "k", 1, to_newer, (void *)(uintptr_t) "newer", F)); }
static void op_update_away(void) { OK(shoal_dict_update(D, "k", 1, to_nothing, NULL, F)); }
static void op_swap(void) { OK(shoal_dict_compare_and_set(D, "k", 1, "old", 3, "new", 3, F)); }
static void op_swap_longer(void) { OK(shoal_dict_compare_and_set(D, "k", 1, "old", 3, "newer", 5, F)); }
static void op_set_if(void) {
  char value[8];
  uint64_t size, version;
  OK(shoal_dict_get_versioned(D, "k", 1, value, 8, &size, &version));
  OK(shoal_dict_set_if(D, "k", 1, version, "new", 3, F));
}
static void op_set_if_absent(void) { OK(shoal_dict_set_if(D, "k", 1, SHOAL_DICT_ABSENT, "new", 3, F)); }
static void op_swap_absent(void) { OK(shoal_dict_compare_and_set(D, "k", 1, NULL, 0, "new", 3, F)); }
static void op_snapshot(void) {
  struct shoal_dict_snapshot all;
  OK(shoal_dict_snapshot(D, &all, F));
  shoal_dict_snapshot_free(&all);
}
static void unchanged(void) { three_and_k(), texts("4 old", "4 old"); }

#define DICT(id, text, ...) CRASH_SCENARIO(dict_##id, .name = "dict: " text, .cleanup = close_all, __VA_ARGS__)

DICT(set_first, "set, the first", .setup = empty, .prepare = warm, .op = op_set, .check = check_dict);
DICT(set_new, "set, another", .setup = three, .prepare = warm, .op = op_set, .check = check_dict);
DICT(set_unjoined, "set, joining by it", .setup = three, .op = op_set, .check = check_dict);
DICT(set_again, "set, the value of one", .setup = three_and_k, .prepare = warm, .op = op_set, .check = check_dict);
DICT(set_longer, "set, a longer value", .setup = longer, .prepare = warm, .op = op_set_longer, .check = check_dict);
DICT(set_colliding, "set, where others collide", .setup = colliding, .prepare = warm, .op = op_set,
     .check = check_dict);
DICT(set_reusing, "set, where others were", .setup = reusing, .prepare = warm, .op = op_set, .check = check_dict);
DICT(set_grows, "set, the table grows", .setup = full, .prepare = warm, .op = op_set, .check = check_dict);
DICT(set_n, "set several", .setup = three_and_k, .prepare = warm, .op = op_set_n, .check = check_dict);
DICT(set_n_grows, "set several, the table grows", .setup = full, .prepare = warm, .op = op_set_n_new,
     .check = check_dict);
DICT(remove, "remove", .setup = to_be_removed, .prepare = warm, .op = op_remove, .check = check_dict);
DICT(remove_shrinks, "remove, the table shrinks", .setup = sparse, .prepare = warm, .op = op_remove,
     .check = check_dict);
DICT(pop, "pop", .setup = to_be_removed, .prepare = warm, .op = op_pop, .check = check_dict);
DICT(pop_alloc, "pop, into memory of its own", .setup = to_be_removed, .prepare = warm, .op = op_pop_alloc,
     .check = check_dict);
DICT(popitem, "popitem", .setup = only_k, .prepare = warm, .op = op_popitem, .check = check_dict);
DICT(popitem_none, "popitem, of nothing", .setup = none, .prepare = warm, .op = op_popitem_of_none,
     .check = check_dict);
// What it ends was its own, and lies in a slab of its own: by plain stores, from one list to another.
static void warm_k(void) {
  warm();
  OK(set("k", "own"));
  OK(set("k", "old"));
}
DICT(set_own, "set, the value of its own", .setup = three_and_k, .prepare = warm_k, .op = op_set, .check = check_dict);
DICT(set_longer_own, "set, a longer value than its own", .setup = longer, .prepare = warm_k, .op = op_set_longer,
     .check = check_dict);
DICT(remove_own, "remove its own", .setup = to_be_removed, .prepare = warm_k, .op = op_remove, .check = check_dict);
DICT(clear, "clear", .setup = to_be_cleared, .prepare = warm, .op = op_clear, .check = check_dict);
DICT(setdefault, "setdefault", .setup = three, .prepare = warm, .op = op_setdefault, .check = check_dict);
DICT(update, "update", .setup = three_and_k, .prepare = warm, .op = op_update, .check = check_dict);
DICT(update_new, "update, of nothing", .setup = three, .prepare = warm, .op = op_update, .check = check_dict);
DICT(update_away, "update, to nothing", .setup = to_be_removed, .prepare = warm, .op = op_update_away,
     .check = check_dict);
DICT(swap, "compare and set", .setup = three_and_k, .prepare = warm, .op = op_swap, .check = check_dict);
DICT(update_longer, "update, to a longer value", .setup = longer, .prepare = warm, .op = op_update_longer,
     .check = check_dict);
DICT(swap_longer, "compare and set, a longer value", .setup = longer, .prepare = warm, .op = op_swap_longer,
     .check = check_dict);
DICT(set_if, "set if it is of that version", .setup = three_and_k, .prepare = warm, .op = op_set_if,
     .check = check_dict);
DICT(setdefault_grows, "setdefault, the table grows", .setup = full, .prepare = warm, .op = op_setdefault,
     .check = check_dict);
DICT(update_grows, "update, the table grows", .setup = full, .prepare = warm, .op = op_update, .check = check_dict);
DICT(swap_grows, "compare and set, the table grows", .setup = full, .prepare = warm, .op = op_swap_absent,
     .check = check_dict);
DICT(set_if_grows, "set if it is not there, the table grows", .setup = full, .prepare = warm, .op = op_set_if_absent,
     .check = check_dict);
DICT(snapshot, "snapshot", .setup = unchanged, .prepare = warm, .op = op_snapshot, .check = check_dict);

// The one who repairs what the first left is killed, too.
static void op_repair(void) { OK(shoal_dict_clear(D, F)); }
static void op_set_l(void) {
  OK(set("l", "too"));
  OK(shoal_dict_remove(D, "l", 1, F));
}
static void one_stripe(void) {
  dict_of(3, 1), texts("4 old", "4 new");
  OK(set("k", "old"));
}
static void check_either(void);
static void one_stripe_longer(void) { one_stripe(), texts("4 old", "4 newer"); }
DICT(pair_longer, "pair, set, a longer value, then the next writer", .kind = CRASH_PAIR, .setup = one_stripe_longer,
     .prepare = warm, .op = op_set_longer, .prepare2 = warm, .op2 = op_set_l, .check = check_either);
DICT(pair_set, "pair, set, then the next writer", .kind = CRASH_PAIR, .setup = one_stripe, .prepare = warm,
     .op = op_set, .prepare2 = warm, .op2 = op_set_l, .check = check_either);
DICT(pair_grow, "pair, the table grows, then the next writer", .kind = CRASH_PAIR, .setup = full, .prepare = warm,
     .op = op_set, .prepare2 = warm, .op2 = op_set_l, .check = check_either);
DICT(pair_remove, "pair, remove, then the next writer", .kind = CRASH_PAIR, .setup = to_be_removed, .prepare = warm,
     .op = op_remove, .prepare2 = warm, .op2 = op_repair, .check = check_either);
DICT(pair_pop, "pair, pop, then the next writer", .kind = CRASH_PAIR, .setup = to_be_removed, .prepare = warm,
     .op = op_pop, .prepare2 = warm, .op2 = op_repair, .check = check_either);
DICT(pair_update, "pair, update, to a longer value, then the next writer", .kind = CRASH_PAIR,
     .setup = one_stripe_longer, .prepare = warm, .op = op_update_longer, .prepare2 = warm, .op2 = op_set_l,
     .check = check_either);
DICT(pair_swap, "pair, compare and set, a longer value, then the next writer", .kind = CRASH_PAIR,
     .setup = one_stripe_longer, .prepare = warm, .op = op_swap_longer, .prepare2 = warm, .op2 = op_set_l,
     .check = check_either);
DICT(pair_set_n, "pair, set several, the table grows, then the next writer", .kind = CRASH_PAIR, .setup = full,
     .prepare = warm, .op = op_set_n_new, .prepare2 = warm, .op2 = op_set_l, .check = check_either);
DICT(pair_clear, "pair, clear, then the next writer", .kind = CRASH_PAIR, .setup = to_be_cleared, .prepare = warm,
     .op = op_clear, .prepare2 = warm, .op2 = op_set_l, .check = check_either);

// Of two, the second's own key may be there or not.
static void either_survives(void) {
  struct shoal_dict_snapshot all;
  struct shoal_dict_info info;
  OK(shoal_dict_snapshot(D, &all, F));
  OK(shoal_dict_info(D, &info));
  CRASH_EXPECT(all.entries == info.entries, "%lu entries in a snapshot, %lu counted", (unsigned long)all.entries,
               (unsigned long)info.entries);
  shoal_dict_snapshot_free(&all);
  readable("of two", 0);
  expect_blocks(info.entries + (info.table != 0), "of two");
  OK(shoal_dict_clear(D, F));
  expect_blocks(0, "in the end");
}
static void check_either(void) {
  crash_kill_victim();
  crash_survivor(either_survives);
}

// Who reads stands in the middle of it, while what it reads is replaced, moved, and its memory used again.
static void op_get(void) {
  char value[8] = "";
  uint64_t size = 0;
  int rc = shoal_dict_get(D, "k", 1, value, 8, &size);
  CRASH_EXPECT((rc == 0 && size == 3 && (!memcmp(value, "old", 3) || !memcmp(value, "new", 3))) || rc == -ENOENT,
               "get answered %d, \"%.*s\"", rc, (int)size, value);
  CRASH_EXPECT(rc == 0 || T->word[0], "get missed what was there");
}
static void others_replace(void) {
  for (int i = 0; i < 3; i++) OK(set("k", i % 2 ? "old" : "new"));
  for (int i = 0; i < 20; i++) OK(shoal_dict_set(D, &i, sizeof i, "XXX", 3, F));
}
static void others_clear(void) {
  T->word[0] = 1;
  OK(shoal_dict_clear(D, F));
  for (int i = 0; i < 8; i++) OK(shoal_dict_set(D, &i, sizeof i, "XXX", 3, F));
}
static void check_read(void) {}
DICT(get_replaced, "get, beside set", .kind = CRASH_RESUMED, .setup = unchanged, .prepare = join, .op = op_get,
     .stopped = others_replace, .check = check_read);
DICT(get_cleared, "get, beside clear", .kind = CRASH_RESUMED, .setup = unchanged, .prepare = join, .op = op_get,
     .stopped = others_clear, .check = check_read);

// ---- values of many words, changed where they are: k's and l's, one stripe's ----
enum { WIDE = 60, SEEN = 0, SET };  // T->word: what k's was when the victim stood (T->out: its version); it was set
static int set_wide(const char *key, char c) {
  char value[WIDE];
  memset(value, c, WIDE);
  return shoal_dict_set(D, key, 1, value, WIDE, F);
}
static char is_wide(const char *value, uint64_t size) {
  CRASH_EXPECT(size == WIDE, "%lu bytes", (unsigned long)size);
  for (unsigned i = 1; i < WIDE; i++) CRASH_EXPECT(value[i] == value[0], "half of \"%.60s\"", value);
  return value[0];
}
// In all ways: whole, and never again what it was before.
static char wide(const char *key, uint64_t *version) {
  char value[WIDE], now[4], then = *key == 'k' ? 'n' : 'p';
  uint64_t size = 0;
  void *copy;
  struct shoal_dict_want want = {.key = key, .key_size = 1, .buffer = value, .capacity = WIDE};
  OK(shoal_dict_get(D, key, 1, value, WIDE, &size));
  now[0] = is_wide(value, size);
  OK(shoal_dict_get_alloc(D, key, 1, &copy, &size));
  now[1] = is_wide(copy, size);
  free(copy);
  CRASH_EXPECT(shoal_dict_get_n(D, &want, 1) == 1, "get_n: %d", want.rc);
  now[2] = is_wide(value, want.size);
  OK(shoal_dict_get_versioned(D, key, 1, value, WIDE, &size, version));
  now[3] = is_wide(value, size);
  for (int i = 0; i < 4; i++)
    CRASH_EXPECT(now[i] == then || (now[i] == 'o' && (i == 0 || now[i - 1] == 'o')), "%s is of \"%c\"", key, now[i]);
  return now[3];
}
static void wide_values(void) {
  dict_of(3, 1), texts("5 o", "5 n");
  OK(set_wide("k", 'o'));
  OK(set_wide("l", 'o'));
}
static void op_set_wide(void) {
  OK(set_wide("k", 'n'));
  T->word[SET] = 1;
}
static void op_set_wide_l(void) { OK(set_wide("l", 'p')); }
static void op_swap_wide(void) {
  char value[WIDE], old[WIDE];
  memset(value, 'n', WIDE);
  memset(old, 'o', WIDE);
  OK(shoal_dict_compare_and_set(D, "k", 1, old, WIDE, value, WIDE, F));
  T->word[SET] = 1;
}
static int to_wide_new(struct shoal_dict_change *c, void *arg) {
  (void)arg;
  memset(c->value, 'n', c->size);
  return SHOAL_DICT_SET;
}
static void op_update_wide(void) {
  OK(shoal_dict_update(D, "k", 1, to_wide_new, NULL, F));
  T->word[SET] = 1;
}
static void op_set_wide_if(void) {
  char value[WIDE];
  uint64_t size, version;
  OK(shoal_dict_get_versioned(D, "k", 1, value, WIDE, &size, &version));
  memset(value, 'n', WIDE);
  OK(shoal_dict_set_if(D, "k", 1, version, value, WIDE, F));
  T->word[SET] = 1;
}
// As often changed as a head can count: the next value has a block of its own.
static void wide_values_changed(unsigned times) {
  wide_values();
  while (times--) OK(set_wide("k", 'o'));
}
static void wide_values_last(void) { wide_values_changed(SHOAL_ITEM_CHANGES_ / SHOAL_ITEM_CHANGED_ - 1); }
static void wide_values_ended(void) { wide_values_changed(SHOAL_ITEM_CHANGES_ / SHOAL_ITEM_CHANGED_); }
static void others_see(void) {
  uint64_t version = 0;
  T->word[SEEN] = (uint32_t)wide("k", &version);
  T->out[SEEN] = version;
}
static void wide_survives(void) {
  struct shoal_dict_info info;
  uint64_t version = 0, later = 0;
  char now = wide("k", &version);
  CRASH_EXPECT(now == 'n' || (T->word[SEEN] != 'n' && !T->word[SET]), "the old value again");
  CRASH_EXPECT(!T->word[SEEN] || (version == T->out[SEEN]) == (now == (char)T->word[SEEN]),
               "\"%c\", then \"%c\": version %lx, %lx", (char)T->word[SEEN], now, (unsigned long)T->out[SEEN],
               (unsigned long)version);
  wide("l", &later);
  OK(set_wide("l", 'p'));
  CRASH_EXPECT(wide("l", &later) == 'p', "what was set is not there");
  CRASH_EXPECT(wide("k", &later) == now, "another value than before, by a repair");
  OK(shoal_dict_info(D, &info));
  expect_blocks(info.entries + 1, "of wide ones");
  CRASH_EXPECT(info.entries == 5 && info.payload == 3 * 8 + 2 * (1 + WIDE), "%lu entries, %lu bytes",
               (unsigned long)info.entries, (unsigned long)info.payload);
  OK(set_wide("k", 'o'));
  OK(shoal_dict_clear(D, F));
  expect_blocks(0, "in the end");
}
static void check_wide(void) {
  crash_kill_victim();
  crash_survivor(wide_survives);
}
static void op_read_wide(void) {
  uint64_t version;
  (void)wide("k", &version);
}
static void others_set_wide(void) {
  for (int i = 0; i < 3; i++) OK(set_wide("k", 'n') + set_wide("l", 'p'));
}
DICT(wide, "set, many words, others read meanwhile", .setup = wide_values, .prepare = warm, .op = op_set_wide,
     .stopped = others_see, .check = check_wide);
DICT(wide_swap, "compare and set, many words, others read meanwhile", .setup = wide_values, .prepare = warm,
     .op = op_swap_wide, .stopped = others_see, .check = check_wide);
DICT(wide_update, "update, many words, others read meanwhile", .setup = wide_values, .prepare = warm,
     .op = op_update_wide, .stopped = others_see, .check = check_wide);
DICT(wide_set_if, "set if it is of that version, many words, others read meanwhile", .setup = wide_values,
     .prepare = warm, .op = op_set_wide_if, .stopped = others_see, .check = check_wide);
DICT(wide_last, "set, many words, the last time in place", .setup = wide_values_last, .prepare = warm,
     .op = op_set_wide, .stopped = others_see, .check = check_wide);
DICT(wide_ended, "set, many words, no longer in place", .setup = wide_values_ended, .prepare = warm, .op = op_set_wide,
     .stopped = others_see, .check = check_wide);
DICT(wide_pair, "pair, set, many words, then another key's", .kind = CRASH_PAIR, .setup = wide_values, .prepare = warm,
     .op = op_set_wide, .prepare2 = warm, .op2 = op_set_wide_l, .check = check_wide);
DICT(wide_pair_same, "pair, set, many words, then again", .kind = CRASH_PAIR, .setup = wide_values, .prepare = warm,
     .op = op_set_wide, .prepare2 = warm, .op2 = op_set_wide, .check = check_wide);
DICT(wide_read, "get, many words, beside set", .kind = CRASH_RESUMED, .setup = wide_values, .prepare = join,
     .op = op_read_wide, .stopped = others_set_wide, .check = check_wide);
DICT(wide_read_dead, "stalled, get, many words, beside a set that dies", .kind = CRASH_STALLED, .setup = wide_values,
     .prepare = join, .op = op_read_wide, .prepare2 = warm, .op2 = op_set_wide, .check = check_wide);

// The one who comes next has all stripes, or takes the key out: it is what it was just after the first one's death, or
// gone.
static char wide_or_gone(void) {
  char value[WIDE];
  uint64_t size = 0;
  int rc = shoal_dict_get(D, "k", 1, value, WIDE, &size);
  if (rc == -ENOENT) return 0;
  OK(rc);
  char is = is_wide(value, size);
  CRASH_EXPECT(is == 'o' || is == 'n', "k is of \"%c\"", is);
  return is;
}
static void wide_or_gone_survives(void) {
  struct shoal_dict_snapshot all;
  struct shoal_dict_info info;
  char now = wide_or_gone();
  OK(shoal_dict_snapshot(D, &all, F));
  CRASH_EXPECT(wide_or_gone() == now, "another value than before, by a repair");
  OK(shoal_dict_info(D, &info));
  CRASH_EXPECT(all.entries == info.entries, "%lu entries in a snapshot, %lu counted", (unsigned long)all.entries,
               (unsigned long)info.entries);
  shoal_dict_snapshot_free(&all);
  expect_blocks(info.entries + (info.table != 0), "of wide ones, or none");
  OK(set_wide("k", 'n') + set_wide("l", 'p'));
  CRASH_EXPECT(wide_or_gone() == 'n', "what was set is not there");
  OK(shoal_dict_clear(D, F));
  expect_blocks(0, "in the end");
}
static void check_wide_or_gone(void) {
  crash_kill_victim();
  crash_survivor(wide_or_gone_survives);
}
static void op_take_wide(void) {
  char value[WIDE];
  uint64_t size;
  OK(shoal_dict_pop(D, "k", 1, value, WIDE, &size, F));
  CRASH_EXPECT(is_wide(value, size) == 'o' || value[0] == 'n', "k was of \"%c\"", value[0]);
}
static void op_grow(void) {
  for (int i = 100; i < 108; i++) OK(shoal_dict_set(D, &i, sizeof i, "more", 4, F));
}
#define WIDE_THEN(name, text, next)                                                                          \
  DICT(name, "pair, set, many words, then " text, .kind = CRASH_PAIR, .setup = wide_values, .prepare = warm, \
       .op = op_set_wide, .prepare2 = warm, .op2 = next, .check = check_wide_or_gone)
WIDE_THEN(wide_then_clear, "clear", op_clear);
WIDE_THEN(wide_then_grow, "the table grows", op_grow);
WIDE_THEN(wide_then_snapshot, "snapshot", op_snapshot);
WIDE_THEN(wide_then_remove, "remove", op_remove);
WIDE_THEN(wide_then_pop, "pop", op_take_wide);

// ---- by name ----
static void only_heap(void) {
  void *block;
  open_segment();
  OK(shoal_heap_alloc(H, 40, &block));
  OK(shoal_heap_free(H, block));
}
static void op_create(void) {
  struct shoal_dict *d;
  OK(shoal_dict_open_or_create(S, "d", NULL, &d));
  OK(shoal_dict_set(d, "k", 1, "new", 3, F));
}
static void op_unlink(void) { OK(shoal_dict_unlink(S, "d")); }
static void created_or_not(void) {
  struct shoal_dict *d;
  OK(shoal_dict_open_or_create(S, "d", NULL, &d));
  D = d;
  OK(set("k", "mine"));
  CRASH_EXPECT(shoal_dict_len(D) == 1, "%lu entries", (unsigned long)shoal_dict_len(D));
  expect_blocks(2, "of a new one");
  OK(shoal_dict_close(D));
  OK(shoal_dict_unlink(S, "d"));
  OK(shoal_proc_reap(S) < 0 ? -1 : 0);
  expect_blocks(0, "when it has gone");
}
static void unlinked_or_not(void) {
  struct shoal_dict *d;
  int rc = shoal_dict_open(S, "d", &d);
  CRASH_EXPECT(rc == 0 || rc == -ENOENT, "open answered %d", rc);
  CRASH_EXPECT(rc == -ENOENT || !crash_victim_finished(), "unlinked, and there");
  if (rc == 0) OK(shoal_dict_close(d));
  if (rc == 0) OK(shoal_dict_unlink(S, "d"));
}
static void check_created(void) { crash_survivor(created_or_not); }
static void check_unlinked(void) {
  crash_survivor(unlinked_or_not);
  OK(shoal_dict_close(D));
  D = NULL;
  OK(shoal_proc_reap(S) < 0 ? -1 : 0);
  expect_blocks(0, "when it has gone");
}
DICT(create, "create, and the first entry", .setup = only_heap, .prepare = join, .op = op_create,
     .check = check_created);
DICT(unlink, "unlink", .setup = unchanged, .prepare = join, .op = op_unlink, .check = check_unlinked);

// A namespace and a list by name, as a dict: each has a type of its own.
static void op_create_ns(void) {
  struct shoal_namespace *ns;
  OK(shoal_namespace_open_or_create(S, "d", &ns));
  OK(shoal_namespace_set(ns, "k", "new", 3, F));
}
static void op_unlink_ns(void) { OK(shoal_namespace_unlink(S, "d")); }
static void ns_created_or_not(void) {
  struct shoal_namespace *ns;
  OK(shoal_namespace_open_or_create(S, "d", &ns));
  OK(shoal_namespace_set(ns, "k", "mine", 4, F));
  CRASH_EXPECT(shoal_dict_len(shoal_namespace_dict(ns)) == 1, "more than one attribute");
  expect_blocks(2, "of a new one");
  OK(shoal_namespace_close(ns));
  OK(shoal_namespace_unlink(S, "d"));
  OK(shoal_proc_reap(S) < 0 ? -1 : 0);
  expect_blocks(0, "when it has gone");
}
static void check_created_ns(void) { crash_survivor(ns_created_or_not); }
static struct shoal_namespace *Ns;
static void with_ns(void) {
  open_segment();
  OK(shoal_namespace_create(S, "d", &Ns));
  OK(shoal_namespace_set(Ns, "k", "old", 3, F));
}
static void ns_unlinked_or_not(void) {
  struct shoal_namespace *ns;
  int rc = shoal_namespace_open(S, "d", &ns);
  CRASH_EXPECT(rc == 0 || rc == -ENOENT, "open answered %d", rc);
  CRASH_EXPECT(rc == -ENOENT || !crash_victim_finished(), "unlinked, and there");
  if (rc == 0) OK(shoal_namespace_close(ns));
  if (rc == 0) OK(shoal_namespace_unlink(S, "d"));
}
static void check_unlinked_ns(void) {
  crash_survivor(ns_unlinked_or_not);
  OK(shoal_namespace_close(Ns));
  OK(shoal_proc_reap(S) < 0 ? -1 : 0);
  expect_blocks(0, "when it has gone");
}
DICT(create_ns, "a namespace, create, and the first attribute", .setup = only_heap, .prepare = join, .op = op_create_ns,
     .check = check_created_ns);
DICT(unlink_ns, "a namespace, unlink", .setup = with_ns, .prepare = join, .op = op_unlink_ns,
     .check = check_unlinked_ns);

// ---- list: "a b c" ----

static int append(const char *text) { return shoal_list_append(L, text, strlen(text), F); }
static const char *list_text(void) {
  static char text[400];
  struct shoal_list_slice s;
  struct iovec v;
  size_t n = 0;
  OK(shoal_list_slice(L, 0, SHOAL_LIST_END, &s, F));
  while (shoal_list_next(&s, &v))
    n += (size_t)snprintf(text + n, sizeof text - n, "%s%.*s", n ? " " : "", (int)v.iov_len, (char *)v.iov_base);
  shoal_list_slice_free(&s);
  text[n] = 0;
  return text;
}
static void list_survives(void) {
  char value[8];
  uint64_t size, n = shoal_list_len(L);
  struct shoal_list_info info;
  for (uint64_t i = 0; i < n; i++) OK(shoal_list_get(L, (int64_t)i, value, 8, &size));
  expect_text(list_text(), "after a repair");
  OK(shoal_list_info(L, &info));
  expect_blocks(info.length + (info.row != 0), "after a repair");
  for (int i = 0; i < 20; i++) OK(append("more"));
  OK(shoal_list_insert(L, 3, "here", 4, F));
  for (int i = 0; i < 15; i++) OK(shoal_list_pop(L, i % 2 ? -1 : 0, value, 8, &size, F));
  CRASH_EXPECT(L->shm->lock.state == 0, "in doubt in the end");
  OK(shoal_list_clear(L, F));
  expect_blocks(0, "in the end");
}
static void check_list(void) {
  crash_kill_victim();
  crash_survivor(list_survives);
}
static void list_of(int n, const char *b, const char *a) {
  static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
  open_segment();
  OK(shoal_list_create(S, "l", &L));
  for (int i = 0; i < n; i++) OK(append(names[i]));
  before = b, after = a;
}
// Its row has room for 64.
static void l_sparse(void) {
  list_of(8, "a b c d e f g h", "a b c d e f g");
  for (int i = 0; i < 40; i++) OK(append("more"));
  for (int i = 0; i < 40; i++) OK(shoal_list_delete(L, -1, F));
}
static void l_empty(void) { list_of(0, "", "new"); }
static void l_insert_full(void) { list_of(8, "a b c d e f g h", "a new b c d e f g h"); }
static void l_replace_full(void) { list_of(8, "a b c d e f g h", "a x y c d e f g h"); }
static void l_extend_first(void) { list_of(0, "", "x y"); }
static void l_append(void) { list_of(3, "a b c", "a b c new"); }
static void l_full(void) { list_of(8, "a b c d e f g h", "a b c d e f g h new"); }
static void l_insert(void) { list_of(3, "a b c", "a new b c"); }
static void l_set(void) { list_of(3, "a b c", "a new c"); }
static void l_pop(void) { list_of(3, "a b c", "a b"); }
static void l_pop_only(void) { list_of(1, "a", ""); }
static void l_pop_first(void) { list_of(3, "a b c", "b c"); }
static void l_extend(void) { list_of(3, "a b c", "a b c x y"); }
static void l_extend_full(void) { list_of(7, "a b c d e f g", "a b c d e f g x y"); }
static void l_replace(void) { list_of(4, "a b c d", "a x y d"); }
static void l_clear(void) { list_of(3, "a b c", ""); }
static void l_reverse(void) { list_of(3, "a b c", "c b a"); }
static void l_sort(void) {
  list_of(3, "a b c 0", "0 a b c");
  OK(append("0"));
}
static const struct iovec two[] = {{(void *)(uintptr_t) "x", 1}, {(void *)(uintptr_t) "y", 1}};
static void op_append(void) { OK(append("new")); }
static void op_insert(void) { OK(shoal_list_insert(L, 1, "new", 3, F)); }
static void op_list_set(void) { OK(shoal_list_set(L, 1, "new", 3, F)); }
static void op_list_swap(void) { OK(shoal_list_compare_and_set(L, 1, "b", 1, "new", 3, F)); }
static int list_to_new(struct shoal_list_change *c, void *arg) {
  c->value = arg, c->size = 3;
  return SHOAL_LIST_SET;
}
static int list_to_nothing(struct shoal_list_change *c, void *arg) {
  (void)c, (void)arg;
  return SHOAL_LIST_REMOVE;
}
static void op_list_update(void) { OK(shoal_list_update(L, 1, list_to_new, (void *)(uintptr_t) "new", F)); }
static void op_list_update_away(void) { OK(shoal_list_update(L, 0, list_to_nothing, NULL, F)); }
static void op_list_pop(void) {
  char value[8];
  uint64_t size;
  OK(shoal_list_pop(L, -1, value, 8, &size, F));
}
static void op_pop_first(void) {
  char value[8];
  uint64_t size;
  OK(shoal_list_pop(L, 0, value, 8, &size, F));
}
static void op_pop_alloc_first(void) {
  void *value;
  uint64_t size;
  OK(shoal_list_pop_alloc(L, 0, &value, &size, F));
  free(value);
}
static void op_list_remove(void) { OK(shoal_list_remove(L, "a", 1, F)); }
static void op_delete(void) { OK(shoal_list_delete(L, -1, F)); }
static void op_repeat(void) { OK(shoal_list_repeat(L, 2, F)); }
static void l_repeat(void) { list_of(3, "a b c", "a b c a b c"); }
static void l_repeat_grows(void) { list_of(5, "a b c d e", "a b c d e a b c d e"); }
static void warm_values(void) {  // two of the victim's own in it, and one more that it had
  warm();
  OK(shoal_list_set(L, 1, "x", 1, F));
  OK(shoal_list_set(L, 1, "b", 1, F));
  OK(shoal_list_set(L, 2, "c", 1, F));
}
static void op_extend(void) { OK(shoal_list_extend(L, two, 2, F)); }
static void op_replace(void) { OK(shoal_list_replace(L, 1, 3, two, 2, F)); }
static void op_list_clear(void) { OK(shoal_list_clear(L, F)); }
static void op_reverse(void) { OK(shoal_list_reverse(L, F)); }
static void op_sort(void) { OK(shoal_list_sort(L, NULL, NULL, F)); }
static int down(const struct iovec *a, const struct iovec *b, void *arg) {
  (void)arg;
  return *(const char *)b->iov_base - *(const char *)a->iov_base;
}
static void op_sort_down(void) { OK(shoal_list_sort(L, down, NULL, F)); }
static void op_replace_one(void) { OK(shoal_list_replace(L, 1, 2, two, 2, F)); }

#define LIST(id, text, ...) CRASH_SCENARIO(list_##id, .name = "list: " text, .cleanup = close_all, __VA_ARGS__)
LIST(append_first, "append, the first", .setup = l_empty, .prepare = warm, .op = op_append, .check = check_list);
LIST(append, "append", .setup = l_append, .prepare = warm, .op = op_append, .check = check_list);
LIST(append_grows, "append, the row grows", .setup = l_full, .prepare = warm, .op = op_append, .check = check_list);
LIST(insert, "insert", .setup = l_insert, .prepare = warm, .op = op_insert, .check = check_list);
LIST(set, "set", .setup = l_set, .prepare = warm, .op = op_list_set, .check = check_list);
LIST(swap, "compare and set", .setup = l_set, .prepare = warm, .op = op_list_swap, .check = check_list);
LIST(update, "update", .setup = l_set, .prepare = warm, .op = op_list_update, .check = check_list);
LIST(update_away, "update, to nothing", .setup = l_pop_first, .prepare = warm, .op = op_list_update_away,
     .check = check_list);
LIST(pop, "pop, the last", .setup = l_pop, .prepare = warm, .op = op_list_pop, .check = check_list);
LIST(pop_only, "pop, the only one", .setup = l_pop_only, .prepare = warm, .op = op_list_pop, .check = check_list);
LIST(pop_first, "pop, the first", .setup = l_pop_first, .prepare = warm, .op = op_pop_first, .check = check_list);
LIST(pop_alloc, "pop, into memory of its own", .setup = l_pop_first, .prepare = warm, .op = op_pop_alloc_first,
     .check = check_list);
LIST(remove, "remove", .setup = l_pop_first, .prepare = warm, .op = op_list_remove, .check = check_list);
LIST(delete, "delete", .setup = l_pop, .prepare = warm, .op = op_delete, .check = check_list);
LIST(repeat, "repeat", .setup = l_repeat, .prepare = warm, .op = op_repeat, .check = check_list);
LIST(repeat_grows, "repeat, the row grows", .setup = l_repeat_grows, .prepare = warm, .op = op_repeat,
     .check = check_list);
LIST(set_own, "set its own", .setup = l_set, .prepare = warm_values, .op = op_list_set, .check = check_list);
LIST(pop_own, "pop its own", .setup = l_pop, .prepare = warm_values, .op = op_list_pop, .check = check_list);
LIST(extend, "extend", .setup = l_extend, .prepare = warm, .op = op_extend, .check = check_list);
LIST(extend_grows, "extend, the row grows", .setup = l_extend_full, .prepare = warm, .op = op_extend,
     .check = check_list);
LIST(replace, "replace a slice", .setup = l_replace, .prepare = warm, .op = op_replace, .check = check_list);
LIST(clear, "clear", .setup = l_clear, .prepare = warm, .op = op_list_clear, .check = check_list);
LIST(reverse, "reverse", .setup = l_reverse, .prepare = warm, .op = op_reverse, .check = check_list);
LIST(sort, "sort", .setup = l_sort, .prepare = warm, .op = op_sort, .check = check_list);
LIST(sort_down, "sort, by a callback", .setup = l_reverse, .prepare = warm, .op = op_sort_down, .check = check_list);
LIST(pop_shrinks, "pop, the row shrinks", .setup = l_sparse, .prepare = warm, .op = op_list_pop, .check = check_list);
LIST(insert_grows, "insert, the row grows", .setup = l_insert_full, .prepare = warm, .op = op_insert,
     .check = check_list);
LIST(replace_grows, "replace a slice, the row grows", .setup = l_replace_full, .prepare = warm, .op = op_replace_one,
     .check = check_list);
LIST(extend_first, "extend, the first", .setup = l_extend_first, .prepare = warm, .op = op_extend, .check = check_list);

static void op_create_list(void) {
  struct shoal_list *l;
  OK(shoal_list_open_or_create(S, "l", &l));
  OK(shoal_list_append(l, "new", 3, F));
}
static void op_unlink_list(void) { OK(shoal_list_unlink(S, "l")); }
static void list_created_or_not(void) {
  OK(shoal_list_open_or_create(S, "l", &L));
  uint64_t n = shoal_list_len(L);
  OK(append("mine"));
  CRASH_EXPECT(n <= 1, "%lu values", (unsigned long)n);
  expect_blocks(n + 2, "of a new one");
  OK(shoal_list_close(L));
  OK(shoal_list_unlink(S, "l"));
  OK(shoal_proc_reap(S) < 0 ? -1 : 0);
  expect_blocks(0, "when it has gone");
}
static void list_unlinked_or_not(void) {
  struct shoal_list *l;
  int rc = shoal_list_open(S, "l", &l);
  CRASH_EXPECT(rc == 0 || rc == -ENOENT, "open answered %d", rc);
  CRASH_EXPECT(rc == -ENOENT || !crash_victim_finished(), "unlinked, and there");
  if (rc == 0) OK(shoal_list_close(l));
  if (rc == 0) OK(shoal_list_unlink(S, "l"));
}
static void check_created_list(void) { crash_survivor(list_created_or_not); }
static void check_unlinked_list(void) {
  crash_survivor(list_unlinked_or_not);
  OK(shoal_list_close(L));
  L = NULL;
  OK(shoal_proc_reap(S) < 0 ? -1 : 0);
  expect_blocks(0, "when it has gone");
}
LIST(create, "create, and the first value", .setup = only_heap, .prepare = join, .op = op_create_list,
     .check = check_created_list);
LIST(unlink, "unlink", .setup = l_append, .prepare = join, .op = op_unlink_list, .check = check_unlinked_list);

static void list_of_two_survives(void) {
  struct shoal_list_info info;
  (void)list_text();
  OK(shoal_list_info(L, &info));
  expect_blocks(info.length + (info.row != 0), "of two");
  OK(shoal_list_clear(L, F));
  expect_blocks(0, "in the end");
}
static void check_two(void) {
  crash_kill_victim();
  crash_survivor(list_of_two_survives);
}
LIST(pair_replace, "pair, replace a slice, then the next writer", .kind = CRASH_PAIR, .setup = l_replace,
     .prepare = warm, .op = op_replace, .prepare2 = warm, .op2 = op_append, .check = check_two);
LIST(pair_extend, "pair, extend, then the next writer", .kind = CRASH_PAIR, .setup = l_extend, .prepare = warm,
     .op = op_extend, .prepare2 = warm, .op2 = op_list_set, .check = check_two);
LIST(pair_append, "pair, append, then the next writer", .kind = CRASH_PAIR, .setup = l_append, .prepare = warm,
     .op = op_append, .prepare2 = warm, .op2 = op_append, .check = check_two);
LIST(pair_clear, "pair, clear, then the next writer", .kind = CRASH_PAIR, .setup = l_clear, .prepare = warm,
     .op = op_list_clear, .prepare2 = warm, .op2 = op_append, .check = check_two);
LIST(pair_insert, "pair, insert, then the next writer", .kind = CRASH_PAIR, .setup = l_insert, .prepare = warm,
     .op = op_insert, .prepare2 = warm, .op2 = op_append, .check = check_two);
LIST(pair_pop, "pair, pop, the row shrinks, then the next writer", .kind = CRASH_PAIR, .setup = l_sparse,
     .prepare = warm, .op = op_list_pop, .prepare2 = warm, .op2 = op_append, .check = check_two);
LIST(pair_set, "pair, set, then the next writer", .kind = CRASH_PAIR, .setup = l_set, .prepare = warm,
     .op = op_list_set, .prepare2 = warm, .op2 = op_list_set, .check = check_two);
LIST(pair_sort, "pair, sort, then the next writer", .kind = CRASH_PAIR, .setup = l_sort, .prepare = warm, .op = op_sort,
     .prepare2 = warm, .op2 = op_append, .check = check_two);
