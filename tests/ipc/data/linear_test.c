// Whether what several did to a dict or a list at once can have been done one after the other (ipc/data/dict.h, list.h:
// ORDERING).
// - histories of get, set, remove, pop, set_if, compare_and_set, setdefault at a few keys are linear, each key's for
//   itself: of values that change their length, in a table that grows meanwhile
// - histories of a list are: get, set, append, insert, pop, pop_alloc and delete at both ends, remove, count, repeat,
//   replace, slice
// - the search is no rubber stamp: operations that look first and act later are found out
//
// A history: of each worker what it called, when, and what was answered. It is linear if there is an order, in which
// none comes before one that had returned when it was called, and each answers as a dict or list would that one has for
// itself.
#include "core/atomic.h"
#include "ipc/data/dict.h"
#include "ipc/data/list.h"
#include "tests/ipc/data/fixture.h"

#define WORKERS 3u
#define CALLS 6u
#define KEYS 2u
#ifdef __SANITIZE_THREAD__
#define HISTORIES 60u
#else
#define HISTORIES 250u
#endif

#define MOST (2 * WORKERS * CALLS << WORKERS)  // values of a list: each worker repeats it once, and may add two a call

enum {
  GET,
  SET,
  REMOVE,
  SET_IF,
  SETDEFAULT,
  SWAP,    // compare_and_set
  OTHERS,  // other keys, for which the table grows
  APPEND,
  INSERT,
  POP,
  POP_ALLOC,
  DELETE,
  COUNT,
  REPEAT,
  REPLACE,
  SLICE
};
struct call {
  uint64_t called, returned;
  uint32_t op, key;  // of a list: 0 the first, 1 the last
  uint32_t value;    // to be written; never written twice. Of repeat: how many times. Of replace: and SECOND(value)
  uint32_t
      expected;  // of set_if: the value whose version it had, of swap: which value, 0: not there; of remove, count: which value
  uint32_t found;  // what was answered; of slice: a sum of all
  int32_t rc;
};
#define SECOND(value) ((value) + WORKERS * CALLS)
struct history {
  shoal_atomic32 ready, ended, checked;
  shoal_atomic64 clock;
  struct call calls[WORKERS][CALLS];
};
static uint64_t tick(struct history *h) { return shoal_add64_seq_cst(&h->clock, 1) + 1; }

// ---- the search ----

struct model {  // of one key: value[0], 0: not there
  uint32_t length, value[MOST];
};
// Whether a dict's key answers so.
static int key_answers(struct model *m, const struct call *c) {
  uint32_t held = m->value[0];
  switch (c->op) {
    case GET: return held ? c->rc == 0 && c->found == held : c->rc == -ENOENT;
    case SET: m->value[0] = c->value; return c->rc == 0;
    case REMOVE: m->value[0] = 0; return c->rc == (held ? 0 : -ENOENT);
    case POP: m->value[0] = 0; return held ? c->rc == 0 && c->found == held : c->rc == -ENOENT;
    case SWAP:
    case SET_IF:
      if (c->expected == held) m->value[0] = c->value;
      return c->rc == (c->expected == held ? 0 : SHOAL_DICT_OTHER);
    default:  // SETDEFAULT
      if (!held) m->value[0] = c->value;
      return held ? c->rc == 1 && c->found == held : c->rc == 0;
  }
}
static void take_out(struct model *m, uint32_t at) {
  memmove(&m->value[at], &m->value[at + 1], (--m->length - at) * sizeof m->value[0]);
}
static void put_in(struct model *m, uint32_t at, uint32_t value) {
  memmove(&m->value[at + 1], &m->value[at], (m->length++ - at) * sizeof m->value[0]);
  m->value[at] = value;
}
static void replace(struct model *m, uint32_t at_end, uint32_t value) {  // two at an end by two
  uint32_t drop = m->length < 2 ? m->length : 2, at = at_end ? m->length - drop : 0;
  while (drop--) take_out(m, at);
  put_in(m, at, SECOND(value)), put_in(m, at, value);
}
static uint32_t add_up(uint32_t sum, uint32_t value) { return sum * 31 + value; }
static int slice_answers(const struct model *m, const struct call *c) {
  uint32_t sum = 1;
  for (uint32_t i = 0; i < m->length; i++) sum = add_up(sum, m->value[i]);
  return c->rc == 0 && c->found == sum;
}
static void repeat(struct model *m, uint32_t times) {
  uint32_t length = m->length;
  m->length = 0;
  for (; times; times--, m->length += length) memmove(&m->value[m->length], m->value, length * sizeof m->value[0]);
}
// Whether a list answers so of a value, wherever that is.
static int anywhere_answers(struct model *m, const struct call *c) {
  uint32_t n = 0, first = 0;
  for (uint32_t i = m->length; i--;)
    if (m->value[i] == c->expected) n++, first = i;
  if (c->op == COUNT) return c->rc == 0 && c->found == n;
  if (n) take_out(m, first);
  return c->rc == (n ? 0 : -ENOENT);
}
static int list_answers(struct model *m, const struct call *c) {
  uint32_t at = c->key ? m->length - 1 : 0, *values = m->value;
  if (c->op == APPEND) return values[m->length++] = c->value, c->rc == 0;
  if (c->op == INSERT) return put_in(m, c->key && m->length ? m->length - 1 : 0, c->value), c->rc == 0;
  if (c->op == REPEAT) return repeat(m, c->value), c->rc == 0;
  if (c->op == REPLACE) return replace(m, c->key, c->value), c->rc == 0;
  if (c->op == SLICE) return slice_answers(m, c);
  if (c->op == REMOVE || c->op == COUNT) return anywhere_answers(m, c);
  if (m->length == 0) return c->rc == -ERANGE;
  uint32_t held = values[at];
  if (c->op == SET) return values[at] = c->value, c->rc == 0;
  if (c->op != GET) take_out(m, at);
  return c->rc == 0 && (c->op == DELETE || c->found == held);
}

struct search {
  const struct history *h;
  int (*answers)(struct model *, const struct call *);
  uint32_t key;  // only this one's calls; KEYS: all
  unsigned done[WORKERS];
};
static const struct call *next(struct search *s, unsigned i) {
  for (; s->done[i] < CALLS; s->done[i]++) {
    const struct call *c = &s->h->calls[i][s->done[i]];
    if (c->called && (s->key == KEYS || c->key == s->key)) return c;
  }
  return NULL;
}
static int can_go_on(struct search s, const struct model *m) {
  uint64_t soonest = UINT64_MAX;
  for (unsigned i = 0; i < WORKERS; i++) {
    const struct call *c = next(&s, i);
    if (c && c->returned < soonest) soonest = c->returned;
  }
  for (unsigned i = 0; i < WORKERS; i++) {
    const struct call *c = next(&s, i);
    struct model then = *m;
    if (!c || c->called > soonest || !s.answers(&then, c)) continue;
    struct search behind = s;
    behind.done[i]++;
    if (can_go_on(behind, &then)) return 1;
  }
  return soonest == UINT64_MAX;
}
static int dict_is_linear(const struct history *h) {
  const struct model nothing = {0};
  int linear = 1;
  for (uint32_t key = 0; key < KEYS; key++)
    linear &= can_go_on((struct search){h, key_answers, key, {0, 0, 0}}, &nothing);
  return linear;
}
static int list_is_linear(const struct history *h) {
  const struct model nothing = {0};
  return can_go_on((struct search){h, list_answers, KEYS, {0, 0, 0}}, &nothing);
}

// ---- the calls ----

static struct shoal_dict *dict;
static struct shoal_list *list;
// A value in a dict: its number again and again; some are changed in place, others replaced.
#define WIDEST 22u
static uint64_t widen(uint32_t value, uint32_t *words) {
  uint32_t n = 1 + value % 4 * 7;
  for (uint32_t i = 0; i < n; i++) words[i] = value;
  return 4 * n;
}
static uint32_t narrow(const uint32_t *words, uint64_t size) {
  uint32_t whole[WIDEST];
  CHECK(size == widen(words[0], whole) && memcmp(words, whole, size) == 0);
  return words[0];
}
static int set_others(void) {
  int rc = 0;
  for (uint32_t k = 0; k < 9 && !rc; k++) rc = shoal_dict_set(dict, &(uint32_t){100 + k}, 4, "", 0, F);
  return rc;
}
static void call_dict(struct history *h, struct call *c, uint64_t *version) {
  uint32_t value[WIDEST], found[WIDEST], old[WIDEST];
  uint64_t size = 0, n = widen(c->value, value), was = widen(c->expected, old);
  c->called = tick(h);
  switch (c->op) {
    case GET:
      *version = SHOAL_DICT_ABSENT;
      c->rc = shoal_dict_get_versioned(dict, &c->key, 4, found, sizeof found, &size, version);
      break;
    case SET: c->rc = shoal_dict_set(dict, &c->key, 4, value, n, F); break;
    case REMOVE: c->rc = shoal_dict_remove(dict, &c->key, 4, F); break;
    case POP: c->rc = shoal_dict_pop(dict, &c->key, 4, found, sizeof found, &size, F); break;
    case SET_IF: c->rc = shoal_dict_set_if(dict, &c->key, 4, *version, value, n, F); break;
    case SWAP:
      c->rc =
          shoal_dict_compare_and_set(dict, &c->key, 4, c->expected ? old : NULL, c->expected ? was : 0, value, n, F);
      break;
    case OTHERS: c->rc = set_others(); break;
    default: c->rc = shoal_dict_setdefault(dict, &c->key, 4, value, n, found, sizeof found, &size, F);
  }
  c->returned = tick(h);
  if ((c->rc == 0 && (c->op == GET || c->op == POP)) || (c->rc == 1 && c->op == SETDEFAULT))
    c->found = narrow(found, size);
}
static int pop_alloc(int64_t at, uint32_t *found) {
  void *value;
  uint64_t size;
  int rc = shoal_list_pop_alloc(list, at, &value, &size, F);
  if (rc) return rc;
  memcpy(found, value, sizeof *found);
  free(value);
  return 0;
}
static int slice(uint32_t *sum) {
  struct shoal_list_slice all;
  struct iovec v;
  uint32_t value;
  int rc = shoal_list_slice(list, 0, SHOAL_LIST_END, &all, F);
  if (rc) return rc;
  for (*sum = 1; shoal_list_next(&all, &v); *sum = add_up(*sum, value)) memcpy(&value, v.iov_base, sizeof value);
  shoal_list_slice_free(&all);
  return 0;
}
static int replace_two(int64_t at, uint32_t value) {
  uint32_t second = SECOND(value);
  struct iovec two[] = {{&value, 4}, {&second, 4}};
  return at ? shoal_list_replace(list, -2, SHOAL_LIST_END, two, 2, F) : shoal_list_replace(list, 0, 2, two, 2, F);
}
static void call_list(struct history *h, struct call *c) {
  uint64_t size = 0;
  int64_t at = c->key ? -1 : 0;
  c->called = tick(h);
  switch (c->op) {
    case GET: c->rc = shoal_list_get(list, at, &c->found, 4, &size); break;
    case SET: c->rc = shoal_list_set(list, at, &c->value, 4, F); break;
    case APPEND: c->rc = shoal_list_append(list, &c->value, 4, F); break;
    case INSERT: c->rc = shoal_list_insert(list, at, &c->value, 4, F); break;
    case REPLACE: c->rc = replace_two(at, c->value); break;
    case SLICE: c->rc = slice(&c->found); break;
    case POP: c->rc = shoal_list_pop(list, at, &c->found, 4, &size, F); break;
    case POP_ALLOC: c->rc = pop_alloc(at, &c->found); break;
    case DELETE: c->rc = shoal_list_delete(list, at, F); break;
    case REMOVE: c->rc = shoal_list_remove(list, &c->expected, 4, F); break;
    case COUNT:
      c->rc = shoal_list_count(list, &c->expected, 4, &size, F);
      c->found = (uint32_t)size;
      break;
    default: c->rc = shoal_list_repeat(list, c->value, F);
  }
  c->returned = tick(h);
}

// Every round another history of all workers; worker 0 judges it.
static void rounds(struct history *h, unsigned i, void (*calls)(struct history *, unsigned, uint32_t *),
                   int (*judge)(const struct history *), void (*again)(void)) {
  for (uint32_t round = 1; round <= HISTORIES; round++) {
    uint32_t random = round * 7 + i * 1000003 + 1;
    shoal_add32_seq_cst(&h->ready, 1);
    await(&h->ready, WORKERS * round);
    calls(h, i, &random);
    shoal_add32_seq_cst(&h->ended, 1);
    if (i == 0) {
      await(&h->ended, WORKERS * round);
      CHECK(judge(h));
      again();
      say(&h->checked, round);
    }
    await(&h->checked, round);
  }
}
static void some_of_a_dict(struct history *h, unsigned i, uint32_t *random) {
  static const uint32_t ops[] = {GET, GET, SET, SET, REMOVE, POP, SET_IF, SET_IF, SWAP, SWAP, SETDEFAULT, OTHERS};
  uint64_t version[KEYS];
  uint32_t seen[KEYS];
  unsigned known = 0;
  for (unsigned k = 0; k < CALLS; k++) {
    struct call *c = &h->calls[i][k];
    *c = (struct call){.op = ops[rnd(random) % (sizeof ops / sizeof *ops)], .key = rnd(random) % KEYS};
    c->value = i * CALLS + k + 1;
    if ((c->op == SET_IF || c->op == SWAP) && !(known >> c->key & 1)) c->op = GET;
    if (c->op == SET_IF || c->op == SWAP) c->expected = seen[c->key];
    if (c->op == OTHERS) c->key = KEYS + 1;  // nobody's history
    call_dict(h, c, &version[c->key % KEYS]);
    if (c->op != GET) continue;
    seen[c->key] = c->rc ? 0 : c->found;
    known |= 1u << c->key;
  }
}
static void some_of_a_list(struct history *h, unsigned i, uint32_t *random) {
  static const uint32_t ops[] = {GET,    SET,    APPEND, APPEND, APPEND,  INSERT, POP,
                                 DELETE, REMOVE, COUNT,  REPEAT, REPLACE, SLICE,  POP_ALLOC};
  int repeated = 0;
  for (unsigned k = 0; k < CALLS; k++) {
    struct call *c = &h->calls[i][k];
    *c = (struct call){.op = ops[rnd(random) % (sizeof ops / sizeof *ops)], .key = rnd(random) % 2};
    if (c->op == REPEAT && repeated++) c->op = APPEND;
    c->value = c->op == REPEAT ? rnd(random) % 3 : i * CALLS + k + 1;
    c->expected = rnd(random) % (WORKERS * CALLS) + 1;
    call_list(h, c);
  }
}
static void clear_dict(void) { CHECK(shoal_dict_clear(dict, F) == 0); }
static void clear_list(void) { CHECK(shoal_list_clear(list, F) == 0); }
static void at_a_dict(void *memory, unsigned i) { rounds(memory, i, some_of_a_dict, dict_is_linear, clear_dict); }
static void at_a_list(void *memory, unsigned i) { rounds(memory, i, some_of_a_list, list_is_linear, clear_list); }

static struct history *begin(void) {
  CHECK(shoal_segment_create(NULL, &small, &seg) == 0);
  CHECK(shoal_dict_create(seg, "d", NULL, &dict) == 0);
  CHECK(shoal_list_create(seg, "l", &list) == 0);
  return arena_begin(sizeof(struct history));
}
static void end(void) {
  arena_end(NULL);
  CHECK(shoal_dict_close(dict) == 0);
  CHECK(shoal_list_close(list) == 0);
  CHECK(shoal_segment_close(seg) == 0);
}
static void test_dict(void **state) {
  (void)state;
  for (enum driver by = THREADS; by < DRIVERS; by++) begin(), run(&arena, by, WORKERS, at_a_dict), end();
}
static void test_list(void **state) {
  (void)state;
  for (enum driver by = THREADS; by < DRIVERS; by++) begin(), run(&arena, by, WORKERS, at_a_list), end();
}

// ---- broken twins: they look, another comes, they act on what they saw; a dict's with values of one word ----

static struct call *of(struct history *h, unsigned i, unsigned k, uint32_t op, uint32_t key, uint32_t value) {
  h->calls[i][k] = (struct call){.op = op, .key = key, .value = value};
  return &h->calls[i][k];
}
static void test_a_set_if_that_looks_first(void **state) {
  struct history *h = begin();
  uint64_t version = 0, size;
  uint32_t now;
  (void)state;
  call_dict(h, of(h, 0, 0, SET, 0, 4), NULL);
  assert_true(dict_is_linear(h));
  struct call *twin = of(h, 1, 0, SET_IF, 0, 8);
  twin->expected = 4;
  twin->called = tick(h);
  assert_int_equal(shoal_dict_get(dict, &twin->key, 4, &now, 4, &size), 0);
  call_dict(h, of(h, 0, 1, SET, 0, 12), NULL);
  twin->rc = now == twin->expected ? shoal_dict_set(dict, &twin->key, 4, &twin->value, 4, F) : SHOAL_DICT_OTHER;
  twin->returned = tick(h);
  assert_true(dict_is_linear(h));  // so far it may have come before
  call_dict(h, of(h, 2, 0, GET, 0, 0), &version);
  assert_false(dict_is_linear(h));
  end();
}
static void test_a_setdefault_that_looks_first(void **state) {
  struct history *h = begin();
  (void)state;
  struct call *twin = of(h, 1, 0, SETDEFAULT, 1, 8);
  twin->called = tick(h);
  assert_int_equal(shoal_dict_contains(dict, &twin->key, 4), 0);
  call_dict(h, of(h, 0, 0, SETDEFAULT, 1, 12), NULL);
  twin->rc = shoal_dict_set(dict, &twin->key, 4, &twin->value, 4, F);
  twin->returned = tick(h);
  assert_false(dict_is_linear(h));  // both of them made it
  end();
}
static void test_a_pop_that_looks_first(void **state) {
  struct history *h = begin();
  uint64_t size;
  uint32_t other;
  (void)state;
  call_list(h, of(h, 0, 0, APPEND, 0, 1));
  struct call *twin = of(h, 1, 0, POP, 1, 0);
  twin->called = tick(h);
  assert_int_equal(shoal_list_get(list, -1, &twin->found, 4, &size), 0);
  call_list(h, of(h, 0, 1, APPEND, 0, 2));
  twin->rc = shoal_list_pop(list, -1, &other, 4, &size, F);
  twin->returned = tick(h);
  assert_true(list_is_linear(h));
  call_list(h, of(h, 2, 0, GET, 0, 0));  // what was popped is there, and what was not is gone
  assert_false(list_is_linear(h));
  end();
}

static void test_a_remove_that_looks_first(void **state) {
  struct history *h = begin();
  uint64_t index;
  (void)state;
  call_list(h, of(h, 0, 0, APPEND, 0, 1));
  call_list(h, of(h, 0, 1, APPEND, 0, 2));
  struct call *twin = of(h, 1, 0, REMOVE, 0, 0);
  twin->expected = 1;
  twin->called = tick(h);
  assert_int_equal(shoal_list_index(list, &twin->expected, 4, 0, &index, F), 0);
  call_list(h, of(h, 0, 2, POP_ALLOC, 0, 0));
  twin->rc = shoal_list_delete(list, (int64_t)index, F);
  twin->returned = tick(h);
  assert_int_equal(twin->rc, 0);
  assert_false(list_is_linear(h));  // both of them took it
  end();
}
static void test_a_repeat_in_two_steps(void **state) {
  struct history *h = begin();
  (void)state;
  call_list(h, of(h, 0, 0, APPEND, 0, 1));
  struct call *twin = of(h, 1, 0, REPEAT, 0, 3);
  twin->called = tick(h);
  assert_int_equal(shoal_list_append(list, &(uint32_t){1}, 4, F), 0);
  struct call *c = of(h, 0, 1, COUNT, 0, 0);
  c->expected = 1;
  call_list(h, c);
  twin->rc = shoal_list_append(list, &(uint32_t){1}, 4, F);
  twin->returned = tick(h);
  assert_int_equal(c->found, 2);
  assert_false(list_is_linear(h));  // there never were two
  end();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_dict),
      cmocka_unit_test(test_list),
      cmocka_unit_test(test_a_set_if_that_looks_first),
      cmocka_unit_test(test_a_setdefault_that_looks_first),
      cmocka_unit_test(test_a_pop_that_looks_first),
      cmocka_unit_test(test_a_remove_that_looks_first),
      cmocka_unit_test(test_a_repeat_in_two_steps),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
