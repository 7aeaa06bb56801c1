// Whether what several did to a dict or a list at once can have been done one after the other (ipc/data/dict.h, list.h: ORDERING).
// - histories of get, set, remove, set_if, setdefault at a few keys are linear, each key's for itself
// - histories of a list are: get, set, append, pop, pop_alloc and delete at both ends, remove, count, repeat
// - the search is no rubber stamp: operations that look first and act later are found out
//
// A history: of each worker what it called, when, and what was answered. It is linear if there is an order, in which none comes
// before one that had returned when it was called, and each answers as a dict or list would that one has for itself.
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

#define MOST (WORKERS * CALLS << WORKERS)  // values of a list: each worker repeats it once

enum { GET, SET, REMOVE, SET_IF, SETDEFAULT, APPEND, POP, POP_ALLOC, DELETE, COUNT, REPEAT };
struct call {
  uint64_t called, returned;
  uint32_t op, key;   // of a list: 0 the first, 1 the last
  uint32_t value;     // to be written; never written twice. Of repeat: how many times
  uint32_t expected;  // of set_if: the value whose version it had, 0: not there; of remove and count: which value
  uint32_t found;     // what was answered
  int32_t rc;
};
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
  if (c->op == REPEAT) return repeat(m, c->value), c->rc == 0;
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
static void call_dict(struct history *h, struct call *c, uint64_t *version) {
  uint64_t size;
  c->called = tick(h);
  switch (c->op) {
    case GET:
      *version = SHOAL_DICT_ABSENT;
      c->rc = shoal_dict_get_versioned(dict, &c->key, 4, &c->found, 4, &size, version);
      break;
    case SET: c->rc = shoal_dict_set(dict, &c->key, 4, &c->value, 4, F); break;
    case REMOVE: c->rc = shoal_dict_remove(dict, &c->key, 4, F); break;
    case SET_IF: c->rc = shoal_dict_set_if(dict, &c->key, 4, *version, &c->value, 4, F); break;
    default: c->rc = shoal_dict_setdefault(dict, &c->key, 4, &c->value, 4, &c->found, 4, &size, F);
  }
  c->returned = tick(h);
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
static void call_list(struct history *h, struct call *c) {
  uint64_t size = 0;
  int64_t at = c->key ? -1 : 0;
  c->called = tick(h);
  switch (c->op) {
    case GET: c->rc = shoal_list_get(list, at, &c->found, 4, &size); break;
    case SET: c->rc = shoal_list_set(list, at, &c->value, 4, F); break;
    case APPEND: c->rc = shoal_list_append(list, &c->value, 4, F); break;
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
  uint64_t version[KEYS];
  uint32_t seen[KEYS];
  unsigned known = 0;
  for (unsigned k = 0; k < CALLS; k++) {
    struct call *c = &h->calls[i][k];
    *c = (struct call){.op = rnd(random) % (SETDEFAULT + 1), .key = rnd(random) % KEYS, .value = i * CALLS + k + 1};
    if (c->op == SET_IF && !(known >> c->key & 1)) c->op = GET;
    if (c->op == SET_IF) c->expected = seen[c->key];
    call_dict(h, c, &version[c->key]);
    if (c->op != GET) continue;
    seen[c->key] = c->rc ? 0 : c->found;
    known |= 1u << c->key;
  }
}
static void some_of_a_list(struct history *h, unsigned i, uint32_t *random) {
  static const uint32_t ops[] = {GET, SET, APPEND, APPEND, APPEND, POP, POP_ALLOC, DELETE, REMOVE, COUNT, REPEAT};
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

// ---- broken twins: they look, another comes, they act on what they saw ----

static struct call *of(struct history *h, unsigned i, unsigned k, uint32_t op, uint32_t key, uint32_t value) {
  h->calls[i][k] = (struct call){.op = op, .key = key, .value = value};
  return &h->calls[i][k];
}
static void test_a_set_if_that_looks_first(void **state) {
  struct history *h = begin();
  uint64_t version = 0, size;
  uint32_t now;
  (void)state;
  call_dict(h, of(h, 0, 0, SET, 0, 1), NULL);
  assert_true(dict_is_linear(h));
  struct call *twin = of(h, 1, 0, SET_IF, 0, 2);
  twin->expected = 1;
  twin->called = tick(h);
  assert_int_equal(shoal_dict_get(dict, &twin->key, 4, &now, 4, &size), 0);
  call_dict(h, of(h, 0, 1, SET, 0, 3), NULL);
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
  struct call *twin = of(h, 1, 0, SETDEFAULT, 1, 2);
  twin->called = tick(h);
  assert_int_equal(shoal_dict_contains(dict, &twin->key, 4), 0);
  call_dict(h, of(h, 0, 0, SETDEFAULT, 1, 3), NULL);
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
