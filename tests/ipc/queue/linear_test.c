// Claims: histories of FIFO, LIFO and PRIORITY, by threads and by processes, are linear; a get answers empty only when it was, a
// put full only when it was (the mpmc ring answers so, too, while a claim of another's is in the way). And of the checker: it
// finds what is not linear, in a history written by hand and in those of a queue that is broken.
#include "tests/ipc/queue/linear.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/queue/queue.h"
#include "tests/harness/drivers.h"

// ---- the checker ----

struct search {
  enum linear_kind kind;
  uint32_t capacity;
  const struct linear_op *ops;
  unsigned n;
  uint32_t content[LINEAR_OPS], held;  // oldest first
  struct seen {
    uint64_t done, content;  // 0: none
  } * seen;
};
#define SEEN (1u << 16)

static uint64_t hash(const struct search *s) {
  uint64_t h = 1469598103934665603u;
  for (uint32_t i = 0; i < s->held; i++) h = (h ^ s->content[i]) * UINT64_C(0x9e3779b97f4a7c15), h ^= h >> 29;
  return h | 1;
}
static int known(struct search *s, uint64_t done) {
  uint64_t content = hash(s), at = (done * UINT64_C(0x9e3779b97f4a7c15) ^ content) >> 11;
  for (unsigned i = 0; i < 64; i++) {
    struct seen *e = &s->seen[(at + i) % SEEN];
    if (e->content == 0) *e = (struct seen){done, content};
    else if (e->done == done && e->content == content) return 1;
    else continue;
    return 0;
  }
  return 0;  // no room to remember: it is tried again
}

static uint32_t next_in(const struct search *s) {
  uint32_t best = 0;
  if (s->kind == LINEAR_LIFO) return s->held - 1;
  for (uint32_t i = 1; i < s->held && s->kind == LINEAR_PRIORITY; i++)
    if (s->content[i] >> 8 < s->content[best] >> 8) best = i;
  return best;
}

// Does what the operation did, and answers whether the queue would have answered so.
static int step(struct search *s, const struct linear_op *op) {
  if (!op->is_get) {
    if (op->value == LINEAR_EMPTY) return s->held == s->capacity;  // a put that found it full
    if (s->held == s->capacity) return 0;
    s->content[s->held++] = op->value;
    return 1;
  }
  if (op->value == LINEAR_EMPTY) return s->held == 0;
  if (s->held == 0) return 0;
  uint32_t at = next_in(s);
  if (s->content[at] != op->value) return 0;
  memmove(&s->content[at], &s->content[at + 1], (--s->held - at) * sizeof s->content[0]);
  return 1;
}

static int go_on(struct search *s, uint64_t done) {
  uint64_t first = UINT64_MAX;  // no later than this, the next one has begun
  if (done == (s->n == 64 ? UINT64_MAX : (UINT64_C(1) << s->n) - 1)) return 1;
  if (known(s, done)) return 0;
  for (unsigned i = 0; i < s->n; i++)
    if (!(done >> i & 1) && s->ops[i].returned < first) first = s->ops[i].returned;
  struct search before = *s;
  for (unsigned i = 0; i < s->n; i++) {
    if (done >> i & 1 || s->ops[i].called > first) continue;
    if (step(s, &s->ops[i]) && go_on(s, done | UINT64_C(1) << i)) return 1;
    memcpy(s->content, before.content, sizeof s->content), s->held = before.held;
  }
  return 0;
}

int linear(enum linear_kind kind, uint32_t capacity, const struct linear_op *ops, unsigned n) {
  struct search s = {.kind = kind, .capacity = capacity, .ops = ops, .n = n, .seen = calloc(SEEN, sizeof *s.seen)};
  CHECK(s.seen && n <= LINEAR_OPS);
  int is = go_on(&s, 0);
  free(s.seen);
  return is;
}

static void test_the_checker_knows_right_from_wrong(void **state) {
  (void)state;
  enum { PUT, GET };
  // two puts at once, then two gets
  struct linear_op h[] = {{1, 4, PUT, 0x105}, {2, 3, PUT, 0x204}, {5, 6, GET, 0x204}, {7, 8, GET, 0x105}};
  assert_true(linear(LINEAR_FIFO, 8, h, 4));
  assert_true(linear(LINEAR_LIFO, 8, h, 4));
  assert_false(linear(LINEAR_PRIORITY, 8, h, 4));
  assert_false(linear(LINEAR_FIFO, 1, h, 4));  // there was room for one only
  h[1].called = 5, h[1].returned = 6, h[2].called = 7, h[2].returned = 8, h[3].called = 9, h[3].returned = 10;
  assert_false(linear(LINEAR_FIFO, 8, h, 4));
  assert_true(linear(LINEAR_LIFO, 8, h, 4));
  h[2].value = LINEAR_EMPTY;
  assert_false(linear(LINEAR_LIFO, 8, h, 3));
  h[2].called = 3;  // before the first put has returned: it may be later
  assert_true(linear(LINEAR_LIFO, 8, h, 3));
  h[0].returned = 2;
  assert_false(linear(LINEAR_LIFO, 8, h, 3));
  struct linear_op twice[] = {{1, 2, PUT, 0x101}, {3, 4, GET, 0x101}, {5, 6, GET, 0x101}};
  assert_false(linear(LINEAR_FIFO, 8, twice, 3));
}

// ---- histories ----

#define LANES 3
#define EACH 14  // operations of a lane in one history
#define ROUNDS 200

struct recorded {
  uint64_t size;
  uint32_t capacity, broken;
  shoal_atomic64 clock;  // counts: no two processors' clocks are the same to the nanosecond
  shoal_atomic32 arrived[ROUNDS], left[ROUNDS];
  struct linear_op ops[ROUNDS][LANES * EACH];
};
#define QUEUE_AT ((sizeof(struct recorded) + 63) & ~(size_t)63)
static struct arena arena;
static const enum linear_kind model_of[] = {
    [SHOAL_QUEUE_FIFO] = LINEAR_FIFO, [SHOAL_QUEUE_LIFO] = LINEAR_LIFO, [SHOAL_QUEUE_PRIORITY] = LINEAR_PRIORITY};

struct element {
  uint32_t key, value;
};

static __thread shoal_atomic64 *clock_word;
static uint64_t now(void) { return shoal_add64_seq_cst(clock_word, 1); }
static void meet(shoal_atomic32 *word, uint32_t n) {
  shoal_add32_seq_cst(word, 1);
  while (shoal_load32_seq_cst(word) < n) sched_yield();
}

static struct linear_op one_op(struct shoal_queue *q, uint32_t is_get, uint32_t value) {
  struct element x = {value >> 8, value};
  struct linear_op op = {.is_get = is_get, .value = value};
  op.called = now();
  int rc = is_get ? shoal_queue_get(q, &x, SHOAL_TRY) : shoal_queue_put(q, &x, SHOAL_TRY);
  op.returned = now();
  CHECK(rc == 0 || rc == -EAGAIN);
  op.value = rc ? LINEAR_EMPTY : x.value;
  return op;
}
// What has been taken out is put back behind the others: a get that does not take what is next.
static struct linear_op broken_get(struct shoal_queue *q) {
  struct element x, y;
  struct linear_op op = {.is_get = 1, .called = now()};
  int rc = shoal_queue_get(q, &x, SHOAL_TRY);
  if (rc == 0 && shoal_queue_get(q, &y, SHOAL_TRY) == 0) {
    CHECK(shoal_queue_put(q, &x, SHOAL_TRY) == 0);
    x = y;
  }
  op.returned = now();
  op.value = rc ? LINEAR_EMPTY : x.value;
  return op;
}

static void lane(void *memory, unsigned i) {
  struct recorded *r = memory;
  struct shoal_queue *q;
  uint32_t x = (i + 1) * 2654435761u;
  clock_word = &r->clock;
  CHECK(shoal_queue_attach_((char *)memory + QUEUE_AT, r->size, sizeof(struct element), &q) == 0);
  CHECK(shoal_queue_join(q, SHOAL_PRODUCER) == 0 && shoal_queue_join(q, SHOAL_CONSUMER) == 0);
  for (unsigned round = 0; round < ROUNDS; round++) {
    meet(&r->arrived[round], LANES);
    for (unsigned k = 0; k < EACH; k++) {
      x ^= x << 13, x ^= x >> 17, x ^= x << 5;
      uint32_t is_get = x >> 9 & 1, value = (1 + (x >> 11) % 3) << 8 | (1 + i * EACH + k);
      r->ops[round][i * EACH + k] = is_get && r->broken ? broken_get(q) : one_op(q, is_get, value);
      if (x % 5 == 0) sched_yield();
    }
    meet(&r->left[round], LANES);
    struct element rest;  // the next history begins with nothing
    if (i == 0)
      while (shoal_queue_get(q, &rest, SHOAL_TRY) == 0) continue;
  }
  meet(&r->arrived[0], 2 * LANES);  // nobody's leaving ends the stream for the others
  CHECK(shoal_queue_detach(q) == 0);
}

// How many of the histories are not linear.
static unsigned wrong(uint32_t kind, enum driver driver, uint32_t capacity, uint32_t broken) {
  struct shoal_queue_options o = {.capacity = capacity, .element_size = sizeof(struct element), .kind = kind};
  if (kind == SHOAL_QUEUE_PRIORITY) o.key = (struct shoal_queue_key){SHOAL_KEY_U32, 0};
  arena_make(&arena, QUEUE_AT + shoal_queue_size_(&o));
  struct recorded *r = arena.memory;
  r->size = shoal_queue_size_(&o), r->capacity = capacity, r->broken = broken;
  assert_int_equal(shoal_queue_place_((char *)arena.memory + QUEUE_AT, r->size, &o), 0);
  run(&arena, driver, LANES, lane);
  unsigned n = 0;
  for (unsigned round = 0; round < ROUNDS; round++) n += !linear(model_of[kind], capacity, r->ops[round], LANES * EACH);
  arena_free(&arena);
  return n;
}
static void all_linear(uint32_t kind) {
  for (enum driver driver = THREADS; driver <= PROCESSES; driver++)
    for (uint32_t capacity = 2; capacity <= 64; capacity *= 32) assert_int_equal(wrong(kind, driver, capacity, 0), 0);
}
static void test_fifo(void **state) { (void)state, all_linear(SHOAL_QUEUE_FIFO); }
static void test_lifo(void **state) { (void)state, all_linear(SHOAL_QUEUE_LIFO); }
static void test_priority(void **state) { (void)state, all_linear(SHOAL_QUEUE_PRIORITY); }

static void test_a_broken_twin_is_rejected(void **state) {
  (void)state;
  for (uint32_t kind = SHOAL_QUEUE_FIFO; kind <= SHOAL_QUEUE_PRIORITY; kind++)
    assert_true(wrong(kind, THREADS, 64, 1) > ROUNDS / 4);
}

int main(void) {
  watchdog(280);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_checker_knows_right_from_wrong),

      cmocka_unit_test(test_fifo),
      cmocka_unit_test(test_lifo),
      cmocka_unit_test(test_priority),
      cmocka_unit_test(test_a_broken_twin_is_rejected),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
