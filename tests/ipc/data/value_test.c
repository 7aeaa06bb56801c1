// Claims:
//   value    1 by name, without one, placed: the same value for all; of another type or size: refused, naming both; no array
//            2 a struct is whole under its lock; a holder that dies in a block is told of
//   number   3 no change is lost among threads and processes: add, min, max, exchange, cas, of each type
//            4 at the edges: whole numbers wrap, what is no number gives way to any
#include "ipc/data/value.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/error.h"
#include "ipc/data/number.h"
#include "tests/harness/stage.h"

struct account {
  uint64_t euros, cents, sum;
};
SHOAL_VALUE_TYPED(account, struct account)
SHOAL_VALUE_TYPED(number, int64_t)
SHOAL_ARRAY_TYPED(accounts, struct account)

#define assert_ok(call)                                                                                      \
  do {                                                                                                       \
    int rc_ = (call);                                                                                        \
    if (rc_) fail_msg("%s:%d: %s: %s (%s)", __FILE__, __LINE__, #call, shoal_strerror(rc_), shoal_reason()); \
  } while (0)

// ---- 1 ----
static void test_by_name(void **state) {
  (void)state;
  struct shoal_segment *seg;
  struct shoal_array v, w, none;
  struct account a = {1, 2, 3};
  assert_ok(shoal_segment_create(NULL, NULL, &seg));
  assert_ok(account_create(seg, "v", &(struct shoal_array_options){.first = &a, .columns = 4},
                           &v));  // they count for nothing
  assert_int_equal(v.columns, 0);
  assert_int_equal(number_open(seg, "v", &w), -EBADMSG);
  assert_non_null(strstr(shoal_reason(), "1 of struct account (24 bytes), not 1 of int64_t (8 bytes)"));
  assert_int_equal(accounts_open(seg, "v", 1, &w), -EBADMSG);
  assert_int_equal(shoal_array_unlink(seg, "v"), -EBADMSG);
  assert_ok(account_open_or_create(seg, "v", NULL, &w));
  assert_ok(account_get(&w, &a, SHOAL_FOREVER));
  assert_int_equal(a.sum, 3);
  a.sum = 4;
  assert_ok(shoal_value_set(&w, &a, SHOAL_FOREVER));
  assert_int_equal(account_data(&v)->sum, 4);
  assert_ok(shoal_value_close(seg, &w));
  assert_ok(shoal_value_close(seg, &v));
  assert_ok(shoal_value_unlink(seg, "v"));
  assert_int_equal(account_open(seg, "v", &v), -ENOENT);
  assert_ok(number_create(seg, NULL, NULL, &none));
  int status;
  pid_t child = fork();
  if (child == 0) _exit(number_set(&none, &(int64_t){-5}, SHOAL_FOREVER) != 0);
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  assert_int_equal(*number_data(&none), -5);
  assert_ok(shoal_value_close(seg, &none));
  assert_ok(shoal_segment_close(seg));
}

// ---- 2 ----
#define ROUNDS 3000u
static struct shoal_array attached(void *memory) {
  struct shoal_array v;
  CHECK(account_attach(memory, account_bytes(), NULL, &v) == 0);
  return v;
}
static void deposit(void *memory, unsigned i) {
  struct shoal_array v = attached(memory);
  int rc;
  (void)i;
  for (unsigned k = 0; k < ROUNDS; k++)
    SHOAL_WITH (rc, &v.hold) {
      struct account *a = account_data(&v);
      CHECK(rc == 0 && a->sum == a->euros + a->cents);
      a->euros++, a->sum++;
    }
}
static void test_in_a_block(void **state) {
  (void)state;
  for (int d = THREADS; d < DRIVERS; d++) {
    struct shoal_array v;
    assert_ok(account_init(arena_begin(account_bytes()), NULL, &v));
    run(&arena, (enum driver)d, 3, deposit);
    assert_int_equal(account_data(&v)->sum, 3 * ROUNDS);
    assert_ok(shoal_array_destroy(&v));
    arena_free(&arena);
  }
}
static void dies_in_a_block(void *memory, unsigned i) {
  struct shoal_array v = attached(memory);
  int rc;
  (void)i;
  SHOAL_WITH (rc, &v.hold) {
    account_data(&v)->euros = 1;
    raise(SIGKILL);
  }
}
static void test_a_holder_dies(void **state) {
  (void)state;
  struct shoal_array v;
  struct account a;
  int rc;
  assert_ok(account_init(arena_begin(account_bytes()), NULL, &v));
  struct peer p = peer_start(&arena, dies_in_a_block, 0);
  assert_int_equal(waitpid(p.pid, NULL, 0), p.pid);
  assert_int_equal(account_get(&v, &a, SHOAL_FOREVER), -EOWNERDEAD);
  SHOAL_WITH (rc, &v.hold) {
    assert_int_equal(rc, -EOWNERDEAD);
    account_data(&v)->euros = 0;
    assert_ok(shoal_array_consistent(&v));
  }
  assert_ok(account_get(&v, &a, SHOAL_FOREVER));
  arena_free(&arena);
}

// ---- 3 ----
struct numbers {
  int32_t i32;
  uint32_t u32;
  int64_t i64;
  uint64_t u64;
  double sum, least, most, token;
  int64_t low, high, taken;
};
static void change_all(void *memory, unsigned i) {
  struct numbers *n = memory;
  for (unsigned k = 0; k < ROUNDS; k++) {
    (void)shoal_int32_add(&n->i32, -1);
    (void)shoal_uint32_add(&n->u32, 2);
    (void)shoal_int64_add(&n->i64, INT64_C(1) << 33);
    (void)shoal_double_add(&n->sum, .5);
    int64_t mine = (int64_t)(k * 10 + i) * (k % 2 ? 1 : -1);
    (void)shoal_int64_min(&n->low, mine);
    (void)shoal_int64_max(&n->high, mine);
    (void)shoal_double_min(&n->least, (double)mine);
    (void)shoal_double_max(&n->most, (double)mine);
    uint64_t old = shoal_uint64_load(&n->u64);
    while (!shoal_uint64_cas(&n->u64, &old, old + 3)) continue;
    if (shoal_double_exchange(&n->token, 0) == 0) continue;  // one has it at a time
    n->taken++;
    shoal_double_store(&n->token, 1);
  }
}
static void test_no_change_is_lost(void **state) {
  (void)state;
  for (int d = THREADS; d < DRIVERS; d++) {
    struct numbers *n = arena_begin(sizeof *n);
    n->token = 1;
    n->least = n->most = NAN;
    run(&arena, (enum driver)d, 3, change_all);
    assert_int_equal(n->i32, -(int)(3 * ROUNDS));
    assert_int_equal(n->u32, 6 * ROUNDS);
    assert_true(n->i64 == (int64_t)(3 * ROUNDS) << 33);
    assert_int_equal(n->u64, 9 * ROUNDS);
    assert_true(n->sum == 1.5 * ROUNDS);
    assert_int_equal(n->high, (ROUNDS - 1) * 10 + 2);
    assert_true(n->low == -(int64_t)((ROUNDS - 2) * 10 + 2));
    assert_true(n->least == (double)n->low && n->most == (double)n->high);
    assert_true(n->taken > 0 && n->token == 1);
    arena_free(&arena);
  }
}

// ---- 4 ----
static void test_edges(void **state) {
  (void)state;
  int32_t i = INT32_MAX;
  uint64_t u = 0;
  double d = NAN, e = 0.0;
  assert_int_equal(shoal_int32_add(&i, 1), INT32_MAX);
  assert_int_equal(i, INT32_MIN);
  assert_int_equal(shoal_uint64_add(&u, (uint64_t)-1), 0);
  assert_true(u == UINT64_MAX && shoal_uint64_max(&u, 5) == UINT64_MAX && shoal_uint64_min(&u, 5) == UINT64_MAX);
  assert_int_equal(u, 5);
  assert_int_equal(shoal_int32_exchange(&i, 3), INT32_MIN);
  assert_true(isnan(shoal_double_max(&d, 1)) && d == 1);
  assert_true(shoal_double_max(&d, NAN) == 1 && shoal_double_min(&d, NAN) == 1 && d == 1);
  assert_false(shoal_double_cas(&d, &e, 2));
  assert_true(e == 1 && shoal_double_cas(&d, &e, -INFINITY) && shoal_double_load(&d) == -INFINITY);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_by_name),           cmocka_unit_test(test_in_a_block), cmocka_unit_test(test_a_holder_dies),
      cmocka_unit_test(test_no_change_is_lost), cmocka_unit_test(test_edges),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
