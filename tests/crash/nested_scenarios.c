// ipc/data/nested.h: dicts, lists and namespaces inside one another. Claims: whoever is killed inside an operation, the
// outer one has its old value or its new one, and what it leads to is whole; when others have written and reaped, there
// is just what entries lead to: not a container is lost, none is freed while something holds it, and the heap has one
// block an entry and one a table, or row.
#include <errno.h>
#include <string.h>

#include "core/error.h"
#include "core/heap_internal.h"
#include "core/proc.h"
#include "core/segment_internal.h"
#include "ipc/data/dict_internal.h"
#include "ipc/data/list_internal.h"
#include "ipc/data/nested.h"
#include "tests/crash/fixture.h"

#define F SHOAL_FOREVER

static const struct shoal_segment_options options = {
    .size = 2200 << 10, .size_max = 2200 << 10, .participants = 8, .objects = 16};
static struct shoal_dict *D;   // "d": what all begins with
static struct shoal_list *In;  // the victim's
static struct shoal_namespace *Ns;
static const char *before, *after;

// ---- what there is ----

static struct {
  uint64_t blocks, containers;
  uint32_t seen[16];
  char text[200];
} tally;

static void say(const char *text) { strncat(tally.text, text, sizeof tally.text - strlen(tally.text) - 1); }
static int is_new(uint32_t entry) {
  for (uint64_t i = 0; i < tally.containers; i++)
    if (tally.seen[i] == entry) return 0;
  tally.seen[tally.containers++ % 16] = entry;
  return 1;
}
static void walk_dict(struct shoal_dict *d);
// Each by its lock, so that what a dead one has begun in it is ended.
static void walk_list(struct shoal_list *l) {
  struct shoal_list_slice all;
  struct shoal_list_info info;
  struct iovec v;
  int counts = is_new(l->object.entry);
  OK(shoal_list_slice(l, 0, SHOAL_LIST_END, &all, F));
  OK(shoal_list_info(l, &info));
  if (counts) tally.blocks += info.length + (info.row != 0);
  say("[");
  while (shoal_list_next(&all, &v)) {
    char text[16] = "";
    struct shoal_dict *d;
    struct shoal_list *in;
    struct shoal_namespace *ns;
    int type = shoal_list_next_type(&all, &v);
    if (type == SHOAL_NESTED_LIST) {
      OK(shoal_nested_open_list(S, v.iov_base, v.iov_len, &in));
      walk_list(in);
      OK(shoal_list_close(in));
    } else if (type == SHOAL_NESTED_DICT) {
      OK(shoal_nested_open_dict(S, v.iov_base, v.iov_len, &d));
      walk_dict(d);
      OK(shoal_dict_close(d));
    } else if (type == SHOAL_NESTED_NAMESPACE) {
      OK(shoal_nested_open_namespace(S, v.iov_base, v.iov_len, &ns));
      walk_dict(shoal_namespace_dict(ns));
      OK(shoal_namespace_close(ns));
    } else {
      snprintf(text, sizeof text, "%.*s", (int)v.iov_len, (char *)v.iov_base);
    }
    say(text);
    if (all.at < all.length) say(" ");
  }
  say("]");
  shoal_list_slice_free(&all);
}
static void walk_key(struct shoal_dict *d, const char *key) {
  int type = shoal_dict_type(d, key, 1);
  char text[16] = "";
  uint64_t size = 0;
  struct shoal_dict *in;
  struct shoal_list *l;
  struct shoal_namespace *ns;
  if (type == -ENOENT) return;
  CRASH_EXPECT(type >= 0, "%s: type %d (%s)", key, type, shoal_reason());
  say(key);
  say(":");
  if (type == SHOAL_NESTED_LIST) {
    OK(shoal_dict_get_list(d, key, 1, &l));
    walk_list(l);
    OK(shoal_list_close(l));
  } else if (type == SHOAL_NESTED_DICT) {
    OK(shoal_dict_get_dict(d, key, 1, &in));
    walk_dict(in);
    OK(shoal_dict_close(in));
  } else if (type == SHOAL_NESTED_NAMESPACE) {
    OK(shoal_dict_get_namespace(d, key, 1, &ns));
    walk_dict(shoal_namespace_dict(ns));
    OK(shoal_namespace_close(ns));
  } else {
    OK(shoal_dict_get(d, key, 1, text, 15, &size));
    say(text);
  }
}
static void walk_dict(struct shoal_dict *d) {
  struct shoal_dict_snapshot all;
  struct shoal_dict_info info;
  int counts = is_new(d->object.entry);
  OK(shoal_dict_snapshot(d, &all, F));
  shoal_dict_snapshot_free(&all);
  OK(shoal_dict_info(d, &info));
  if (counts) tally.blocks += info.entries + (info.table != 0);
  int named = d->is_a == SHOAL_NESTED_NAMESPACE;
  say(named ? "<" : "{");
  walk_key(d, "k");
  walk_key(d, "x");
  say(named ? ">" : "}");
}

static int has_text(const char *text) { return text && !strcmp(tally.text, text); }
static void survives(void) {
  int finished = crash_victim_finished();
  memset(&tally, 0, sizeof tally);
  walk_dict(D);
  CRASH_EXPECT(has_text(after) || (!finished && has_text(before)), "%s, not %s%s%s", tally.text, after,
               finished ? "" : " or ", finished ? "" : before);
  fixture_just(tally.blocks, tally.containers, "after a repair");
  OK(shoal_dict_set(D, "k", 1, "last", 4, F));
  OK(shoal_dict_clear(D, F));
  fixture_just(0, 1, "in the end");
}
static void check(void) {
  crash_kill_victim();
  crash_survivor(survives);
}

// ---- before ----

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
static void warm_in(void) {  // and x open
  warm();
  OK(shoal_dict_get_list(D, "x", 1, &In));
}
static void begin(const char *b, const char *a) {
  before = b, after = a;
  OK(shoal_segment_create(NULL, &options, &S));
  OK(shoal_heap_open(S, &H));
  OK(shoal_dict_create(S, "d", &(struct shoal_dict_options){.stripes = 1}, &D));
  OK(shoal_dict_set(D, "k", 1, "old", 3, F));
  OK(shoal_dict_remove(D, "k", 1, F));
}
static void end(void) {
  OK(shoal_dict_close(D));
  OK(shoal_heap_close(H));
  OK(shoal_segment_close(S));
}
// D[key] = [value]
static void put_list(const char *key, const char *value) {
  struct shoal_list *l;
  OK(shoal_dict_setdefault_list(D, key, 1, &l, F));
  OK(shoal_list_append(l, value, strlen(value), F));
  OK(shoal_list_close(l));
}
// D["x"] = [[in]], or with a dict in the middle: what goes takes others with it
static void put_deep(const char *key) {
  struct shoal_list *l, *in;
  struct shoal_dict *d;
  OK(shoal_dict_setdefault_list(D, key, 1, &l, F));
  OK(shoal_dict_create(S, NULL, &(struct shoal_dict_options){.stripes = 1}, &d));
  OK(shoal_list_append_dict(l, d, F));
  OK(shoal_dict_setdefault_list(d, "k", 1, &in, F));
  OK(shoal_list_append(in, "in", 2, F));
  OK(shoal_list_close(in) + shoal_list_close(l) + shoal_dict_close(d));
}
static void nothing(void) { begin("{}", "{k:[]}"); }
static void one(void) { begin("{x:[a]}", "{k:[a]x:[a]}"), put_list("x", "a"); }
static void over_bytes(void) {
  begin("{k:oldx:[a]}", "{k:[a]x:[a]}"), put_list("x", "a");
  OK(shoal_dict_set(D, "k", 1, "old", 3, F));
}
static void over_other(void) { begin("{k:[b]x:[a]}", "{k:[a]x:[a]}"), put_list("x", "a"), put_list("k", "b"); }
static void to_bytes(void) { begin("{k:[b]}", "{k:new}"), put_list("k", "b"); }
static void to_nothing(void) { begin("{k:[b]}", "{}"), put_list("k", "b"); }
static void deep_to_nothing(void) { begin("{k:[{k:[in]}]}", "{}"), put_deep("k"); }
static void shared_to_one(void) {
  struct shoal_list *l;
  begin("{k:[a]x:[a]}", "{x:[a]}"), put_list("x", "a");
  OK(shoal_dict_get_list(D, "x", 1, &l));
  OK(shoal_dict_set_list(D, "k", 1, l, F));
  OK(shoal_list_close(l));
}
static void loop(void) { begin("{k:[{k:[in]}]}", "{k:[{k:[in]}]}"), put_deep("k"); }
static void nothing_but_ns(void) { begin("{}", "{k:<>}"); }
// D[key] = Namespace(k=[in])
static void put_namespace(const char *key) {
  struct shoal_namespace *ns;
  struct shoal_list *l;
  OK(shoal_dict_setdefault_namespace(D, key, 1, &ns, F));
  OK(shoal_dict_setdefault_list(shoal_namespace_dict(ns), "k", 1, &l, F));
  OK(shoal_list_append(l, "in", 2, F));
  OK(shoal_list_close(l) + shoal_namespace_close(ns));
}
static void namespace_to_nothing(void) { begin("{k:<k:[in]>}", "{}"), put_namespace("k"); }
static void namespace_over_other(void) {
  begin("{k:[b]x:<k:[in]>}", "{k:<k:[in]>x:<k:[in]>}"), put_namespace("x"), put_list("k", "b");
}
static void namespace_to_list(void) {
  begin("{k:<k:[in]>x:[a]}", "{k:<k:[in]>x:[a <k:[in]>]}"), put_list("x", "a"), put_namespace("k");
}
static void put_chain(void) {
  struct shoal_dict *at = NULL, *outer;
  for (int i = 0; i < 5; i++) {
    OK(shoal_dict_create(S, NULL, &(struct shoal_dict_options){.stripes = 1}, &outer));
    if (at) OK(shoal_dict_set_dict(outer, "k", 1, at, F) + shoal_dict_close(at));
    at = outer;
  }
  OK(shoal_dict_set_dict(D, "k", 1, at, F));
  OK(shoal_dict_close(at));
}
static void chain_to_nothing(void) { begin("{k:{k:{k:{k:{k:{}}}}}}", "{}"), put_chain(); }
// x is a list of lists
static void in_x(int n, const char *b, const char *a) {
  struct shoal_list *x, *l;
  begin(b, a), put_list("x", "a");
  OK(shoal_dict_get_list(D, "x", 1, &x));
  for (int i = 0; i < n; i++) {
    OK(shoal_list_create(S, NULL, &l));
    OK(shoal_list_append(l, "in", 2, F));
    OK(shoal_list_append_list(x, l, F));
    OK(shoal_list_close(l));
  }
  OK(shoal_list_close(x));
}
static void x_append(void) { in_x(0, "{x:[a]}", "{x:[a []]}"); }
static void x_insert(void) { in_x(1, "{x:[a [in]]}", "{x:[a [] [in]]}"); }
static void x_set(void) { in_x(1, "{x:[a [in]]}", "{x:[a []]}"); }
static void x_set_bytes(void) { in_x(1, "{x:[a [in]]}", "{x:[a new]}"); }
static void x_pop(void) { in_x(1, "{x:[a [in]]}", "{x:[a]}"); }
static void x_pop_first(void) { in_x(2, "{x:[a [in] [in]]}", "{x:[a [in]]}"); }
static void x_clear(void) { in_x(2, "{x:[a [in] [in]]}", "{x:[]}"); }
static void x_replace(void) { in_x(2, "{x:[a [in] [in]]}", "{x:[a n m]}"); }
static void x_reverse(void) { in_x(2, "{x:[a [in] [in]]}", "{x:[[in] [in] a]}"); }

// ---- operations ----

static void op_setdefault(void) {
  struct shoal_list *l;
  OK(shoal_dict_setdefault_list(D, "k", 1, &l, F));
}
static void op_set(void) { OK(shoal_dict_set_list(D, "k", 1, In, F)); }
static void op_set_bytes(void) { OK(shoal_dict_set(D, "k", 1, "new", 3, F)); }
static void op_remove(void) { OK(shoal_dict_remove(D, "k", 1, F)); }
static void op_pop(void) {
  struct shoal_list *l;
  OK(shoal_dict_pop_list(D, "k", 1, &l, F));
  OK(shoal_list_close(l));
}
static void warm_ns(void) {
  warm();
  OK(shoal_dict_get_namespace(D, "x", 1, &Ns));
}
static void warm_in_and_ns(void) {
  warm_in();
  OK(shoal_dict_get_namespace(D, "k", 1, &Ns));
}
static void op_setdefault_ns(void) { OK(shoal_dict_setdefault_namespace(D, "k", 1, &Ns, F)); }
static void op_set_ns(void) { OK(shoal_dict_set_namespace(D, "k", 1, Ns, F)); }
static void op_append_ns(void) { OK(shoal_list_append_namespace(In, Ns, F)); }
static void op_pop_ns(void) {
  OK(shoal_dict_pop_namespace(D, "k", 1, &Ns, F));
  OK(shoal_namespace_close(Ns));
}
static void op_clear(void) { OK(shoal_dict_clear(D, F)); }
static void op_next(void) {
  OK(shoal_dict_set(D, "y", 1, "y", 1, F));
  OK(shoal_dict_remove(D, "y", 1, F));
}
static void op_reap(void) { OK(shoal_proc_reap(S) < 0 ? -1 : 0); }
static void op_next_in_x(void) { OK(shoal_list_set(In, 0, "a", 1, F)); }
// The innermost list of k, in which k's is to be put.
static void open_innermost(void) {
  struct shoal_list *k;
  struct shoal_dict *d;
  warm();
  OK(shoal_dict_get_list(D, "k", 1, &k));
  OK(shoal_list_get_dict(k, 0, &d));
  OK(shoal_dict_get_list(d, "k", 1, &In));
  OK(shoal_list_close(k) + shoal_dict_close(d));
}
static void op_loop(void) {
  struct shoal_list *k;
  OK(shoal_dict_get_list(D, "k", 1, &k));
  int rc = shoal_list_append_list(In, k, F);
  CRASH_EXPECT(rc == -ELOOP, "a loop answered %d", rc);
}
static struct shoal_list *fresh;
static void warm_fresh(void) {
  warm_in();
  OK(shoal_list_create(S, NULL, &fresh));
}
static void op_x_append(void) { OK(shoal_list_append_list(In, fresh, F)); }
static void op_x_insert(void) { OK(shoal_list_insert_list(In, 1, fresh, F)); }
static void op_x_set(void) { OK(shoal_list_set_list(In, 1, fresh, F)); }
static void op_x_set_bytes(void) { OK(shoal_list_set(In, 1, "new", 3, F)); }
static void op_x_pop(void) {
  struct shoal_list *l;
  OK(shoal_list_pop_list(In, 1, &l, F));
  OK(shoal_list_close(l));
}
static void op_x_clear(void) { OK(shoal_list_clear(In, F)); }
static void op_x_replace(void) {
  static const struct iovec two[] = {{(void *)(uintptr_t) "n", 1}, {(void *)(uintptr_t) "m", 1}};
  OK(shoal_list_replace(In, 1, 3, two, 2, F));
}
static void op_x_reverse(void) { OK(shoal_list_reverse(In, F)); }

#define NESTED(id, text, ...) CRASH_SCENARIO(nested_##id, .name = "nested: " text, .cleanup = end, __VA_ARGS__)
NESTED(made, "setdefault, made and put", .setup = nothing, .prepare = warm, .op = op_setdefault, .check = check);
NESTED(set, "set, another way to one", .setup = one, .prepare = warm_in, .op = op_set, .check = check);
NESTED(set_bytes, "set, where bytes were", .setup = over_bytes, .prepare = warm_in, .op = op_set, .check = check);
NESTED(set_other, "set, where another was", .setup = over_other, .prepare = warm_in, .op = op_set, .check = check);
NESTED(bytes, "bytes, where one was", .setup = to_bytes, .prepare = warm, .op = op_set_bytes, .check = check);
NESTED(remove, "remove", .setup = to_nothing, .prepare = warm, .op = op_remove, .check = check);
NESTED(remove_deep, "remove, with others in it", .setup = deep_to_nothing, .prepare = warm, .op = op_remove,
       .check = check);
NESTED(remove_shared, "remove, one of two ways", .setup = shared_to_one, .prepare = warm, .op = op_remove,
       .check = check);
NESTED(pop, "pop", .setup = to_nothing, .prepare = warm, .op = op_pop, .check = check);
NESTED(clear, "clear", .setup = deep_to_nothing, .prepare = warm, .op = op_clear, .check = check);
NESTED(loop, "a loop, refused", .setup = loop, .prepare = open_innermost, .op = op_loop, .check = check);
NESTED(append, "list, append", .setup = x_append, .prepare = warm_fresh, .op = op_x_append, .check = check);
NESTED(insert, "list, insert", .setup = x_insert, .prepare = warm_fresh, .op = op_x_insert, .check = check);
NESTED(list_set, "list, set", .setup = x_set, .prepare = warm_fresh, .op = op_x_set, .check = check);
NESTED(list_bytes, "list, bytes where one was", .setup = x_set_bytes, .prepare = warm_in, .op = op_x_set_bytes,
       .check = check);
NESTED(list_pop, "list, pop the last", .setup = x_pop, .prepare = warm_in, .op = op_x_pop, .check = check);
NESTED(list_pop_first, "list, pop in the middle", .setup = x_pop_first, .prepare = warm_in, .op = op_x_pop,
       .check = check);
NESTED(list_clear, "list, clear", .setup = x_clear, .prepare = warm_in, .op = op_x_clear, .check = check);
NESTED(list_replace, "list, replace a slice", .setup = x_replace, .prepare = warm_in, .op = op_x_replace,
       .check = check);
NESTED(list_reverse, "list, reverse", .setup = x_reverse, .prepare = warm_in, .op = op_x_reverse, .check = check);

NESTED(ns_made, "namespace, made and put", .setup = nothing_but_ns, .prepare = warm, .op = op_setdefault_ns,
       .check = check);
NESTED(ns_set, "namespace, set where another was", .setup = namespace_over_other, .prepare = warm_ns, .op = op_set_ns,
       .check = check);
NESTED(ns_pop, "namespace, pop, with a list in it", .setup = namespace_to_nothing, .prepare = warm, .op = op_pop_ns,
       .check = check);
NESTED(ns_append, "namespace, append to a list", .setup = namespace_to_list, .prepare = warm_in_and_ns,
       .op = op_append_ns, .check = check);
NESTED(chain, "remove, a chain", .setup = chain_to_nothing, .prepare = warm, .op = op_remove, .check = check);

// The one who repairs, or frees, what the first left is killed, too.
NESTED(pair_made, "pair, made and put, then the next writer", .kind = CRASH_PAIR, .setup = nothing, .prepare = warm,
       .op = op_setdefault, .prepare2 = warm, .op2 = op_next, .check = check);
NESTED(pair_remove, "pair, remove, then the next writer", .kind = CRASH_PAIR, .setup = deep_to_nothing, .prepare = warm,
       .op = op_remove, .prepare2 = warm, .op2 = op_next, .check = check);
NESTED(pair_list, "pair, list set, then the next writer", .kind = CRASH_PAIR, .setup = x_set, .prepare = warm_fresh,
       .op = op_x_set, .prepare2 = warm_in, .op2 = op_next_in_x, .check = check);

NESTED(pair_ns, "pair, a namespace made and put, then the next writer", .kind = CRASH_PAIR, .setup = nothing_but_ns,
       .prepare = warm, .op = op_setdefault_ns, .prepare2 = warm, .op2 = op_next, .check = check);
NESTED(pair_chain, "pair, remove a chain, then a reaper", .kind = CRASH_PAIR, .setup = chain_to_nothing,
       .prepare = warm, .op = op_remove, .prepare2 = warm, .op2 = op_reap, .check = check);

// ---- who opens stands in the middle of it, while it is removed ----

static void op_open(void) {
  struct shoal_list *l;
  char text[8] = "";
  uint64_t size = 0;
  int rc = shoal_dict_get_list(D, "k", 1, &l);
  CRASH_EXPECT(rc == 0 || (rc == -ENOENT && T->word[0]), "get answered %d (%s)", rc, shoal_reason());
  if (rc) return;
  OK(shoal_list_get(l, 0, text, 8, &size));
  CRASH_EXPECT(size == 1 && (text[0] == 'b' || text[0] == 'c'), "\"%s\" is in it", text);
  OK(shoal_list_close(l));
}
// With the directory's lock it holds up all who remove.
static int is_in_the_way(void) { return shoal_robust_owner(shoal_load32_relaxed(&S->header->writer.word)) != 0; }
static void others_replace(void) {
  struct shoal_list *l;
  if (is_in_the_way()) return;
  OK(shoal_dict_remove(D, "k", 1, F));
  OK(shoal_list_create(S, NULL, &l));  // maybe in its place
  OK(shoal_list_append(l, "c", 1, F));
  OK(shoal_dict_set_list(D, "k", 1, l, F));
  OK(shoal_list_close(l));
}
static void others_remove(void) {
  if (is_in_the_way()) return;
  T->word[0] = 1;
  OK(shoal_dict_remove(D, "k", 1, F));
  OK(shoal_heap_reap(H));
}
static void replaced(void) { begin("{k:[b]}", "{k:[c]}"), put_list("k", "b"); }
static void one_of_both(void) {
  memset(&tally, 0, sizeof tally);
  walk_dict(D);
  CRASH_EXPECT(has_text(after) || has_text(before), "%s, not %s or %s", tally.text, after, before);
  fixture_just(tally.blocks, tally.containers, "beside it");
}
static void check_either(void) { crash_survivor(one_of_both); }
NESTED(open_replaced, "get, beside its replacement", .kind = CRASH_RESUMED, .setup = replaced, .prepare = warm,
       .op = op_open, .stopped = others_replace, .check = check_either);
NESTED(open_removed, "get, beside remove", .kind = CRASH_RESUMED, .setup = to_nothing, .prepare = warm, .op = op_open,
       .stopped = others_remove, .check = check_either);

// ---- the outer one goes ----

static void op_gone(void) {
  OK(shoal_dict_unlink(S, "d"));
  OK(shoal_dict_close(D));
}
static void is_gone(void) {
  struct shoal_dict *d;
  int rc = shoal_dict_open(S, "d", &d);
  if (rc == 0) OK(shoal_dict_close(d));
  if (rc == 0) OK(shoal_dict_unlink(S, "d"));
}
static void check_gone(void) {
  crash_survivor(is_gone);
  OK(shoal_dict_close(D));
  OK(shoal_proc_reap(S) < 0 ? -1 : 0);
  fixture_just(0, 0, "when it has gone");
  OK(shoal_dict_create(S, "d", NULL, &D));
}
NESTED(gone, "unlink, with others in it", .setup = deep_to_nothing, .prepare = warm, .op = op_gone,
       .check = check_gone);

// ---- who removes stands between two looks, while another opens what goes with it ----

static struct shoal_handle_shm handle;  // of the dict in k's list
static struct shoal_dict *opened;
static void deep_and_its_handle(void) {
  struct shoal_list *k;
  struct shoal_list_slice all;
  struct iovec v;
  deep_to_nothing();
  opened = NULL;
  OK(shoal_dict_get_list(D, "k", 1, &k));
  OK(shoal_list_slice(k, 0, SHOAL_LIST_END, &all, F));
  CRASH_EXPECT(shoal_list_next(&all, &v) == 1 && v.iov_len == sizeof handle, "no handle is there");
  memcpy(&handle, v.iov_base, sizeof handle);
  shoal_list_slice_free(&all);
  OK(shoal_list_close(k));
}
static void opens_by_its_handle(void) {
  if (is_in_the_way()) return;
  int rc = shoal_nested_open_dict(S, &handle, sizeof handle, &opened);
  CRASH_EXPECT(rc == 0 || rc == -ENOENT, "open answered %d (%s)", rc, shoal_reason());
}
static void check_opened(void) {
  struct shoal_list *in;
  if (opened) {
    CRASH_EXPECT(shoal_directory_has_(S, handle.entry, handle.generation), "what is open was freed");
    OK(shoal_dict_get_list(opened, "k", 1, &in));
    OK(shoal_list_close(in) + shoal_dict_close(opened));
  }
  crash_survivor(survives);
}
NESTED(remove_opened, "remove, opened by another meanwhile, goes on", .kind = CRASH_RESUMED,
       .setup = deep_and_its_handle, .prepare = warm, .op = op_remove, .stopped = opens_by_its_handle,
       .check = check_opened, .times = 4);
