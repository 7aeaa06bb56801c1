// Claims: histories of FIFO, LIFO and PRIORITY, by threads and by processes, are linear; a get answers empty only when
// it was, a put full only when it was. Those of the mpmc ring are, but that these two answers are given, too, while an
// operation that has not returned is in the way, also if others are held up between claim and commit; strictly judged
// they are not linear then. And of the checker: it finds what is not linear, in a history written by hand and in those
// of queues that are broken.
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
  uint32_t put[LINEAR_OPS], puts;      // all that were put
  struct seen {
    uint64_t done, content;  // 0: none
  } * seen;
};
#define SEEN (1u << 16)

static uint64_t hash(const struct search *s) {
  uint64_t h = 1469598103934665603u;
  for (uint32_t i = 0; i < s->held; i++) h = (h ^ s->content[i]) * UINT64_C(0x9e3779b97f4a7c15), h ^= h >> 29;
  for (uint32_t i = s->puts > s->capacity ? s->puts - s->capacity : 0; i < s->puts && s->kind == LINEAR_RING; i++)
    h = (h ^ s->put[i]) * UINT64_C(0x9e3779b97f4a7c15), h ^= h >> 29;
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

// The put, or the get, of that value had not returned when `op` was called.
static int in_the_way(const struct search *s, uint32_t is_get, uint32_t value, const struct linear_op *op) {
  for (unsigned i = 0; i < s->n; i++)
    if (s->ops[i].is_get == is_get && s->ops[i].value == value) return s->ops[i].returned > op->called;
  return 0;
}
static int may_be_full(const struct search *s, const struct linear_op *op) {
  if (s->held == s->capacity) return 1;
  return s->kind == LINEAR_RING && s->puts >= s->capacity && in_the_way(s, 1, s->put[s->puts - s->capacity], op);
}
static int may_be_empty(const struct search *s, const struct linear_op *op) {
  return s->held == 0 || (s->kind == LINEAR_RING && in_the_way(s, 0, s->content[0], op));
}

// Does what the operation did, and answers whether the queue would have answered so.
static int step(struct search *s, const struct linear_op *op) {
  if (!op->is_get) {
    if (op->value == LINEAR_EMPTY) return may_be_full(s, op);
    if (s->held == s->capacity) return 0;
    s->content[s->held++] = s->put[s->puts++] = op->value;
    return 1;
  }
  if (op->value == LINEAR_EMPTY) return may_be_empty(s, op);
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
    memcpy(s->content, before.content, sizeof s->content), s->held = before.held, s->puts = before.puts;
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
  assert_false(linear(LINEAR_RING, 8, twice, 3));
}

static void test_the_checker_knows_what_may_be_in_the_way(void **state) {
  (void)state;
  enum { PUT, GET };
  // the first put is held up, the second returns, a get finds nothing; later all is there, in order
  struct linear_op h[] = {
      {1, 7, PUT, 0x101}, {2, 3, PUT, 0x102}, {4, 5, GET, LINEAR_EMPTY}, {8, 9, GET, 0x101}, {10, 11, GET, 0x102}};
  assert_false(linear(LINEAR_FIFO, 2, h, 5));
  assert_true(linear(LINEAR_RING, 2, h, 5));
  h[0].returned = 3;  // before the get was called
  assert_false(linear(LINEAR_RING, 2, h, 5));
  h[0].returned = 7, h[3].value = 0x102, h[4].value = 0x101;  // the second was the oldest: nothing was in the way
  assert_false(linear(LINEAR_RING, 2, h, 5));
  // a get of the oldest is held up, the next returns; a put finds no room
  struct linear_op g[] = {
      {1, 2, PUT, 0x101}, {3, 4, PUT, 0x102}, {5, 12, GET, 0x101}, {6, 7, GET, 0x102}, {8, 9, PUT, LINEAR_EMPTY}};
  assert_false(linear(LINEAR_FIFO, 2, g, 5));
  assert_true(linear(LINEAR_RING, 2, g, 5));
  assert_false(linear(LINEAR_RING, 4, g, 5));  // there were places that nobody had used
  g[2].returned = 6;
  assert_false(linear(LINEAR_RING, 2, g, 5));
}

// ---- histories ----

#define LANES 3
#define EACH 14  // operations of a lane in one history
#define ROUNDS 200

enum { AS_IT_IS, SWAPS, SAYS_EMPTY, SAYS_FULL };
struct how {
  uint32_t capacity;
  uint32_t broken;
  uint32_t forced;  // 1: others are held up between claim and commit
};
struct recorded {
  uint64_t size;
  struct how how;
  shoal_atomic64 clock;  // counts: no two processors' clocks are the same to the nanosecond
  shoal_atomic32 arrived[ROUNDS], left[ROUNDS];
  struct linear_op ops[ROUNDS][LANES * EACH];
};
#define QUEUE_AT ((sizeof(struct recorded) + 63) & ~(size_t)63)
static struct arena arena;
static const enum linear_kind model_of[] = {[SHOAL_QUEUE_MPMC] = LINEAR_RING,
                                            [SHOAL_QUEUE_FIFO] = LINEAR_FIFO,
                                            [SHOAL_QUEUE_LIFO] = LINEAR_LIFO,
                                            [SHOAL_QUEUE_PRIORITY] = LINEAR_PRIORITY};

struct element {
  uint32_t key, value;
};

static __thread shoal_atomic64 *clock_word;
static uint64_t now(void) { return shoal_add64_seq_cst(clock_word, 1); }
static void meet(shoal_atomic32 *word, uint32_t n) {
  shoal_add32_seq_cst(word, 1);
  while (shoal_load32_seq_cst(word) < n) sched_yield();
}

// Between claim and commit: others get something done, if they can.
static void held_up(void) {
  uint64_t since = shoal_load64_seq_cst(clock_word);
  for (unsigned i = 0; i < 20 && shoal_load64_seq_cst(clock_word) < since + 8; i++) sched_yield();
}
static int put_held_up(struct shoal_queue *q, const struct element *x) {
  struct shoal_loan loan;
  int rc = shoal_queue_reserve(q, &loan, SHOAL_TRY);
  if (rc) return rc;
  held_up();
  *(struct element *)loan.data = *x;
  return shoal_queue_commit(q, &loan);
}
static int get_held_up(struct shoal_queue *q, struct element *x) {
  struct shoal_loan loan;
  int rc = shoal_queue_receive(q, &loan, SHOAL_TRY);
  if (rc) return rc;
  held_up();
  *x = *(struct element *)loan.data;
  return shoal_queue_release(q, &loan);
}

static struct linear_op one_op(struct shoal_queue *q, uint32_t is_get, uint32_t value, uint32_t forced, uint32_t lies) {
  struct element x = {value >> 8, value};
  struct linear_op op = {.is_get = is_get, .value = value};
  int rc;
  op.called = now();
  if (lies) rc = -EAGAIN;
  else if (forced) rc = is_get ? get_held_up(q, &x) : put_held_up(q, &x);
  else rc = is_get ? shoal_queue_get(q, &x, SHOAL_TRY) : shoal_queue_put(q, &x, SHOAL_TRY);
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
      uint32_t lies = x >> 20 & 1 && r->how.broken == (is_get ? SAYS_EMPTY : SAYS_FULL);
      r->ops[round][i * EACH + k] = is_get && r->how.broken == SWAPS
                                        ? broken_get(q)
                                        : one_op(q, is_get, value, r->how.forced && x >> 14 & 1, lies);
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

// How many of the histories are not linear, judged as `model`.
static unsigned wrong(uint32_t kind, enum linear_kind model, enum driver driver, struct how how) {
  struct shoal_queue_options o = {.capacity = how.capacity, .element_size = sizeof(struct element), .kind = kind};
  if (kind == SHOAL_QUEUE_PRIORITY) o.key = (struct shoal_queue_key){SHOAL_KEY_U32, 0};
  arena_make(&arena, QUEUE_AT + shoal_queue_size_(&o));
  struct recorded *r = arena.memory;
  r->size = shoal_queue_size_(&o), r->how = how;
  assert_int_equal(shoal_queue_place_((char *)arena.memory + QUEUE_AT, r->size, &o), 0);
  run(&arena, driver, LANES, lane);
  unsigned n = 0;
  for (unsigned round = 0; round < ROUNDS; round++) n += !linear(model, how.capacity, r->ops[round], LANES * EACH);
  arena_free(&arena);
  return n;
}
static void all_linear(uint32_t kind, uint32_t forced) {
  for (enum driver driver = THREADS; driver < DRIVERS; driver++)
    for (uint32_t capacity = 2; capacity <= 64; capacity *= 32)
      assert_int_equal(wrong(kind, model_of[kind], driver, (struct how){capacity, AS_IT_IS, forced}), 0);
}
static void test_fifo(void **state) { (void)state, all_linear(SHOAL_QUEUE_FIFO, 0); }
static void test_lifo(void **state) { (void)state, all_linear(SHOAL_QUEUE_LIFO, 0); }
static void test_priority(void **state) { (void)state, all_linear(SHOAL_QUEUE_PRIORITY, 0); }
static void test_the_mpmc_ring(void **state) {
  (void)state;
  for (uint32_t forced = 0; forced <= 1; forced++) all_linear(SHOAL_QUEUE_MPMC, forced);
}

// Or the histories above show nothing.
static void test_strictly_judged_the_mpmc_ring_is_not_linear(void **state) {
  (void)state;
  for (enum driver driver = THREADS; driver < DRIVERS; driver++)
    assert_true(wrong(SHOAL_QUEUE_MPMC, LINEAR_FIFO, driver, (struct how){2, AS_IT_IS, 1}) > ROUNDS / 10);
}

static void test_a_broken_twin_is_rejected(void **state) {
  (void)state;
  static const uint32_t kinds[] = {SHOAL_QUEUE_MPMC, SHOAL_QUEUE_FIFO, SHOAL_QUEUE_LIFO, SHOAL_QUEUE_PRIORITY};
  for (unsigned k = 0; k < sizeof kinds / sizeof *kinds; k++)
    for (uint32_t broken = SWAPS; broken <= SAYS_FULL; broken++)
      assert_true(wrong(kinds[k], model_of[kinds[k]], THREADS, (struct how){64, broken, 0}) > ROUNDS / 4);
}

int main(void) {
  watchdog(280);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_checker_knows_right_from_wrong),
      cmocka_unit_test(test_the_checker_knows_what_may_be_in_the_way),
      cmocka_unit_test(test_fifo),
      cmocka_unit_test(test_lifo),
      cmocka_unit_test(test_priority),
      cmocka_unit_test(test_the_mpmc_ring),
      cmocka_unit_test(test_strictly_judged_the_mpmc_ring_is_not_linear),
      cmocka_unit_test(test_a_broken_twin_is_rejected),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
