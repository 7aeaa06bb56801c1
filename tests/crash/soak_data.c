// tests/crash/soak_data.c: a dict, a list, a dict of lists, a value, an array, a vector, a text and the heap, used by
// processes that are killed. Of each seat's own entries what it was told is there; what all change together is no less
// than they were told and no more than they began. In the end no block is anybody's.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "core/heap.h"
#include "ipc/data/nested.h"
#include "ipc/data/number.h"
#include "ipc/data/text.h"
#include "ipc/data/value.h"
#include "ipc/data/vector.h"
#include "tests/crash/soak_ledger.h"

#define WORKERS 6
#define VECTOR_MAX 20000u

enum { DICT, SUM, VALUE, ARRAY, VECTOR, APPEND, POP, TEXT, NEST, MAKE, TAKE, WHATS };
static struct counts {
  volatile uint64_t begun[WHATS], done[WHATS];  // the seat's own
} * counts;
static struct shoal_segment *seg;
static struct shoal_dict *dict, *nest;
static struct shoal_list *list;
static struct shoal_array value, array;
static struct shoal_vector vector;
static struct shoal_text text;

static void made(int rc, const char *what) { SOAK_EXPECT(rc == 0, "%s: %d %s", what, rc, shoal_reason()); }
static void begin(void) {
  static const struct shoal_segment_options small = {
      .size = 1 << 20, .size_max = 1 << 26, .participants = 1024, .objects = 128};
  if (!counts) counts = soak_shared(WORKERS * sizeof *counts);
  memset(counts, 0, WORKERS * sizeof *counts);
  made(shoal_segment_create(NULL, &small, &seg), "segment");
  made(shoal_dict_create(seg, "dict", &(struct shoal_dict_options){.stripes = 1u << soak_below(4)}, &dict), "dict");
  made(shoal_dict_create(seg, "nest", &(struct shoal_dict_options){.stripes = 1u << soak_below(3)}, &nest), "dict");
  made(shoal_list_create(seg, "list", &list), "list");
  made(shoal_value_create(seg, "value", "uint64_t", 8, NULL, &value), "value");
  made(shoal_array_create(seg, "array", "long[4]", 32, WORKERS, NULL, &array), "array");
  made(shoal_vector_create(seg, "vector", "uint64_t", 8, NULL, &vector), "vector");
  made(shoal_text_create(seg, "text", 100, NULL, &text), "text");
}

static uint64_t sum_of(int what, int begun) {
  uint64_t sum = 0;
  for (int i = 0; i < WORKERS; i++) sum += begun ? counts[i].begun[what] : counts[i].done[what];
  return sum;
}
static void expect_between(const char *what, uint64_t least, uint64_t n, uint64_t most) {
  if (n < least) soak.lost += least - n;
  if (n > most) soak.doubled += n - most;
  SOAK_EXPECT(n >= least && n <= most, "%s: %lu, told of %lu, begun %lu", what, n, least, most);
}
// Begun, done as `change` says it; what gave up, or found the segment full, never was.
static void count(struct counts *c, int what, int (*change)(uint64_t n, int seat), int seat) {
  c->begun[what]++;
  int rc = change(c->begun[what], seat);
  if (rc == 0) {
    c->done[what]++;
    return;
  }
  c->begun[what]--;
  SOAK_EXPECT(soak_gave_up(rc) || rc == -ENOSPC || rc == -ERANGE, "%d: %d %s", what, rc, shoal_reason());
}

// ---- the changes ----

static uint64_t long_of(uint64_t n) { return 8 + n % 40 * n % 900; }
static int dict_set(uint64_t n, int seat) {
  uint64_t bytes[120];
  for (unsigned i = 0; i < 120; i++) bytes[i] = n;
  return shoal_dict_set(dict, &seat, sizeof seat, bytes, long_of(n), soak_deadline());
}
// The seat's other key, which comes and goes.
static int other_key(int seat) { return 1000 + seat; }
static void expect_same(const uint64_t *words, uint64_t size) {
  SOAK_EXPECT(size == long_of(words[0]), "%lu bytes of %lu", size, words[0]);
  for (uint64_t i = 1; i < size / 8; i++) SOAK_EXPECT(words[i] == words[0], "word %lu of value %lu", i, words[0]);
}
static int dict_make(uint64_t n, int seat) {
  uint64_t words[120], found[120] = {0}, size = 0;
  int key = other_key(seat);
  for (unsigned i = 0; i < 120; i++) words[i] = n;
  int rc =
      shoal_dict_setdefault(dict, &key, sizeof key, words, long_of(n), found, sizeof found, &size, soak_deadline());
  if (rc == 1) expect_same(found, size);
  return rc == 1 ? -ERANGE : rc;
}
static int dict_take(uint64_t n, int seat) {
  uint64_t found[120] = {0}, size = 0;
  int key = other_key(seat), rc;
  if (n % 2) rc = shoal_dict_remove(dict, &key, sizeof key, soak_deadline());
  else rc = shoal_dict_pop(dict, &key, sizeof key, found, sizeof found, &size, soak_deadline());
  if (rc == 0 && n % 2 == 0) expect_same(found, size);
  return rc == -ENOENT ? -ERANGE : rc;
}
static int add_one(struct shoal_dict_change *c, void *one) {
  if (!c->value) c->value = one, c->size = 8;
  else ++*(uint64_t *)c->value;
  return SHOAL_DICT_SET;
}
static int dict_add(uint64_t n, int seat) {
  uint64_t one = 1;
  (void)n, (void)seat;
  return shoal_dict_update(dict, "sum", 3, add_one, &one, soak_deadline());
}
static int value_add(uint64_t n, int seat) {
  (void)n, (void)seat;
  shoal_uint64_add(value.data, 1);
  return 0;
}
static int array_set(uint64_t n, int seat) {
  uint64_t four[4] = {n, n, n, n};
  return shoal_array_set(&array, (uint64_t)seat, four, soak_deadline());
}
static int vector_append(uint64_t n, int seat) {
  uint64_t element = (uint64_t)seat << 32 | n;
  if (shoal_vector_length(&vector) >= VECTOR_MAX) return -ENOSPC;
  return shoal_vector_append(&vector, &element, NULL, soak_deadline());
}
// One more, or one less, and all in another order now and then.
static int list_append(uint64_t n, int seat) {
  int64_t at = soak_below(200);
  (void)seat;
  switch (soak_below(4)) {
    case 0: return shoal_list_insert(list, at, &n, 8, soak_deadline());
    case 1: return shoal_list_replace(list, at, at, &(struct iovec){&n, 8}, 1, soak_deadline());
    default: return shoal_list_append(list, &n, 8, soak_deadline());
  }
}
static int list_pop(uint64_t n, int seat) {
  uint64_t popped, size;
  (void)n, (void)seat;
  if (soak_below(4) == 0) return shoal_list_delete(list, soak_below(100), soak_deadline());
  return shoal_list_pop(list, soak_below(2) ? 0 : -1, &popped, 8, &size, soak_deadline());
}
static void list_order(void) {
  int rc =
      soak_below(2) ? shoal_list_sort(list, NULL, NULL, soak_deadline()) : shoal_list_reverse(list, soak_deadline());
  SOAK_EXPECT(rc == 0 || soak_gave_up(rc) || rc == -ENOSPC, "order: %d %s", rc, shoal_reason());
}
static int text_set(uint64_t n, int seat) {
  return shoal_text_printf(&text, soak_deadline(), "%d %lu %lu %d", seat, n, n, seat);
}

// In the seat's list, or in another one that takes its place.
static int nest_append(uint64_t n, int seat) {
  struct shoal_list *l;
  int anew = soak_below(4) == 0;
  int rc = anew ? shoal_list_create(seg, NULL, &l)
                : shoal_dict_setdefault_list(nest, &seat, sizeof seat, &l, soak_deadline());
  if (rc < 0) return rc;
  rc = shoal_list_append(l, &n, 8, soak_deadline());
  if (rc == 0 && anew) rc = shoal_dict_set_list(nest, &seat, sizeof seat, l, soak_deadline());
  if (rc == 0 && shoal_list_len(l) > 20) (void)shoal_list_delete(l, 0, soak_deadline());
  SOAK_EXPECT(shoal_list_close(l) == 0, "close: %s", shoal_reason());
  return rc;
}

// ---- what is read is whole, and as new as was told ----

static uint64_t dict_value(int seat) {
  uint64_t bytes[120] = {0}, size = 0;
  int rc = shoal_dict_get(dict, &seat, sizeof seat, bytes, sizeof bytes, &size);
  if (rc == -ENOENT) return 0;
  SOAK_EXPECT(rc == 0 && size == long_of(bytes[0]), "get: %d, %lu bytes of %lu", rc, size, bytes[0]);
  for (uint64_t i = 1; i < size / 8; i++) SOAK_EXPECT(bytes[i] == bytes[0], "word %lu of value %lu", i, bytes[0]);
  return bytes[0];
}
static uint64_t nest_value(int seat) {
  struct shoal_list *l;
  uint64_t n = 0, size;
  int rc = shoal_dict_get_list(nest, &seat, sizeof seat, &l);
  if (rc == -ENOENT) return 0;
  SOAK_EXPECT(rc == 0, "a seat's list: %d %s", rc, shoal_reason());
  if (rc) return 0;
  rc = shoal_list_get(l, -1, &n, 8, &size);
  SOAK_EXPECT(rc == 0 || rc == -ERANGE, "its last: %d %s", rc, shoal_reason());
  SOAK_EXPECT(shoal_list_close(l) == 0, "close: %s", shoal_reason());
  return n;
}
static void look_at_text(void) {
  char whole[101];
  unsigned long n, again;
  int seat, same;
  int rc = shoal_text_get(&text, whole, sizeof whole, NULL);
  SOAK_EXPECT(rc == 0, "text: %d", rc);
  if (rc || !*whole) return;
  int found = sscanf(whole, "%d %lu %lu %d", &seat, &n, &again, &same);
  SOAK_EXPECT(found == 4 && seat == same && n == again, "text: %s", whole);
}
static void use_heap(struct shoal_heap *heap) {
  void *block = NULL;
  if (shoal_heap_alloc(heap, soak_below(9000), &block)) return;
  soak_linger();
  if (soak_below(8)) SOAK_EXPECT(shoal_heap_free(heap, block) == 0, "free: %s", shoal_reason());
}
// A seat's last worker may have been killed between what it did and its note of it.
static void take_over(int seat) {
  struct counts *c = &counts[seat];
  uint64_t is = dict_value(seat), four[4];
  expect_between("a dict's value", c->done[DICT], is, c->begun[DICT]);
  c->begun[DICT] = c->done[DICT] = is;
  int key = other_key(seat);
  is = shoal_dict_contains(dict, &key, sizeof key) == 1;
  expect_between("made and not taken, and what was taken", c->done[MAKE], is + c->begun[TAKE],
                 c->begun[MAKE] + c->begun[TAKE] - c->done[TAKE]);
  c->begun[MAKE] = c->done[MAKE] = is + c->begun[TAKE];
  c->done[TAKE] = c->begun[TAKE];  // last: whoever is killed in between leaves what the next one finds right
  is = nest_value(seat);
  expect_between("the last of a seat's list", c->done[NEST], is, c->begun[NEST]);
  c->begun[NEST] = c->done[NEST] = is;
  int rc = shoal_array_get(&array, (uint64_t)seat, four, SHOAL_FOREVER);
  SOAK_EXPECT(rc == 0 && four[0] == four[3], "an element: %d, %lu %lu", rc, four[0], four[3]);
  expect_between("an element", c->done[ARRAY], four[0], c->begun[ARRAY]);
  c->begun[ARRAY] = c->done[ARRAY] = four[0];
}

static void work(uint32_t id, int seat) {
  static int (*const changes[WHATS])(uint64_t, int) = {dict_set,      dict_add,    value_add, array_set,
                                                       vector_append, list_append, list_pop,  text_set,
                                                       nest_append,   dict_make,   dict_take};
  struct shoal_heap *heap;
  (void)id;
  made(shoal_heap_open(seg, &heap), "heap");
  take_over(seat);
  for (;;) {
    int what = (int)soak_below(WHATS + 2);
    if (what == VECTOR && soak_below(16)) continue;
    if (what == APPEND && shoal_list_len(list) > 200) what = POP;
    if (what < WHATS) count(&counts[seat], what, changes[what], seat);
    else if (what == WHATS && soak_below(4) == 0) list_order();
    else if (what == WHATS) use_heap(heap);
    else look_at_text(), (void)dict_value((int)soak_below(WORKERS));
  }
}
static uint64_t progress(void) { return sum_of(DICT, 0) + sum_of(SUM, 0); }

// ---- the accounts ----

static void end_vector(void) {
  uint64_t last[WORKERS] = {0}, seen[WORKERS] = {0}, element;
  for (uint64_t i = 0; i < shoal_vector_length(&vector); i++) {
    int rc = shoal_vector_get(&vector, i, &element);
    uint64_t seat = element >> 32, n = element & UINT32_MAX;
    SOAK_EXPECT(rc == 0 && seat < WORKERS && n >= last[seat], "element %lu: %d, %lx", i, rc, element);
    if (rc == 0 && seat < WORKERS) last[seat] = n, seen[seat]++;
  }
  for (int i = 0; i < WORKERS; i++)
    expect_between("a seat's elements", counts[i].done[VECTOR], seen[i], counts[i].begun[VECTOR]);
}
static void end_containers(void) {
  struct shoal_dict_info info;
  struct shoal_heap_info used;
  struct shoal_list_info row;
  struct shoal_heap *heap;
  made(shoal_dict_set(dict, "last", 4, "", 0, SHOAL_FOREVER), "the last set");  // and what the dead left is ended
  for (int i = 0; i < 64; i++)
    made(shoal_dict_set(dict, &(uint64_t){(uint64_t)i << 8}, 8, "", 0, SHOAL_FOREVER), "set");
  made(shoal_list_append(list, "", 0, SHOAL_FOREVER), "the last append");
  made(shoal_dict_clear(dict, SHOAL_FOREVER), "clear");
  for (int i = 0; i < 64; i++)
    made(shoal_dict_set(nest, &(uint64_t){(uint64_t)i << 8}, 8, "", 0, SHOAL_FOREVER), "set");
  made(shoal_dict_clear(nest, SHOAL_FOREVER), "clear");
  made(shoal_dict_info(dict, &info), "info");
  made(shoal_list_info(list, &row), "info");
  made(shoal_heap_open(seg, &heap), "heap");
  for (int i = 0; i < 2; i++)  // the containers of the dead, then what was in them
    SOAK_EXPECT(shoal_heap_reap(heap) >= 0, "reap: %s", shoal_reason());
  made(shoal_heap_info(heap, &used), "heap");
  uint64_t led_to = info.entries + (info.table != 0) + row.length + (row.row != 0);
  SOAK_EXPECT(used.blocks == led_to, "%lu blocks, %lu are led to", used.blocks, led_to);
  made(shoal_heap_close(heap), "heap");
}
static void end(void) {
  uint64_t sum = 0, size;
  for (int seat = 0; seat < WORKERS; seat++) soak_kill(seat);
  for (int seat = 0; seat < WORKERS; seat++) take_over(seat);
  int rc = shoal_dict_get(dict, "sum", 3, &sum, 8, &size);
  SOAK_EXPECT(rc == 0 || rc == -ENOENT, "sum: %d", rc);
  expect_between("the sum", sum_of(SUM, 0), sum, sum_of(SUM, 1));
  expect_between("the value", sum_of(VALUE, 0), *(uint64_t *)value.data, sum_of(VALUE, 1));
  expect_between("the list and what was popped", sum_of(APPEND, 0), shoal_list_len(list) + sum_of(POP, 1),
                 sum_of(APPEND, 1) + sum_of(POP, 1) - sum_of(POP, 0));
  end_vector();
  look_at_text();
  soak.done += progress();
  end_containers();
  made(shoal_text_close(seg, &text), "text");
  made(shoal_vector_close(&vector), "vector");
  made(shoal_array_close(seg, &array), "array");
  made(shoal_value_close(seg, &value), "value");
  made(shoal_list_close(list), "list");
  made(shoal_list_unlink(seg, "list"), "list");
  made(shoal_dict_close(nest), "dict");
  made(shoal_dict_unlink(seg, "nest"), "dict");
  made(shoal_dict_close(dict), "dict");
  made(shoal_dict_unlink(seg, "dict"), "dict");
  ledger_expect_no_block(seg);
  made(shoal_segment_close(seg), "closing the segment");
}
const struct soak_room soak_data = {"data", WORKERS, begin, work, progress, NULL, end, NULL, NULL};
