// Claims of ipc/data/array (values, numbers and strings: value_test.c; arrays that grow: vector_test.c):
//   1 what one process makes another opens, as elements of the same type, size and count; all else is refused, naming
//   both 2 an index beyond the end is refused by get, set, at, read, write, fill, views; nothing changes
//   3 ranges forward, backward, with a stride; views of them, of rows and columns
//   4 elements of any size are whole under the lock, whoever writes: threads and processes
//   5 own, given, none: a block holds the lock, calls inside it go on, its end lets go; who does not hold it is refused
//   6 a holder dies in a block: calls answer -EOWNERDEAD and do nothing until a block has said consistent; a block that
//   does
//     not say so gives the array up
//   7 without a name: for the children of fork; placed: attached elsewhere, destroyed when nobody holds it
//   8 whatever words stand there, attach and each call answer, and touch nothing outside
//   9 a file: what one process wrote the next finds, with the lock of one that is gone, of another boot, too; others
//   share it; what
//     is no such file, or of something else, is refused; beyond RLIMIT_FSIZE is -ENOSPC; a long one lets signals
//     through as it is made
#include "ipc/data/array.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/error.h"
#include "ipc/data/array_file.h"
#include "tests/harness/stage.h"

struct point {
  double x, y;
};
struct wide {
  uint64_t word[9];
};
SHOAL_ARRAY_TYPED(ints, int)
SHOAL_ARRAY_TYPED(floats, float)
SHOAL_ARRAY_TYPED(points, struct point)
SHOAL_ARRAY_TYPED(wides, struct wide)

#define assert_ok(call)                                                                                      \
  do {                                                                                                       \
    int rc_ = (call);                                                                                        \
    if (rc_) fail_msg("%s:%d: %s: %s (%s)", __FILE__, __LINE__, #call, shoal_strerror(rc_), shoal_reason()); \
  } while (0)

static struct shoal_segment *seg;
static int setup(void **state) {
  (void)state;
  watchdog(50);
  return shoal_segment_create(NULL, &(struct shoal_segment_options){.size = 1 << 20, .size_max = 1 << 24}, &seg);
}
static int teardown(void **state) {
  (void)state;
  return shoal_segment_close(seg);
}
static struct shoal_array ten(void) {  // 0..9
  static const int first[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  struct shoal_array a;
  assert_ok(ints_create(seg, "ten", 10, &(struct shoal_array_options){.first = first}, &a));
  return a;
}
static void end(struct shoal_array *a, const char *name) {
  assert_ok(shoal_array_close(seg, a));
  assert_ok(shoal_array_unlink(seg, name));
}
static int at(const struct shoal_array *a, uint64_t i) {
  int v = -1;
  assert_ok(ints_get(a, i, &v, SHOAL_FOREVER));
  return v;
}

// ---- 1 ----
static void test_by_name(void **state) {
  (void)state;
  struct shoal_segment *other;
  struct shoal_array a = ten(), b, c;
  assert_ok(shoal_segment_open_fd(shoal_segment_fd(seg), &other));
  assert_int_equal(ints_open(other, "none", 10, &b), -ENOENT);
  assert_int_equal(ints_create(other, "ten", 10, NULL, &b), -EEXIST);
  assert_ok(ints_open(other, "ten", 10, &b));
  assert_ok(ints_open_or_create(other, "ten", 10, NULL, &c));
  assert_ptr_not_equal(a.data, b.data);
  assert_ok(ints_set(&a, 3, &(int){33}, SHOAL_FOREVER));
  assert_int_equal(at(&b, 3), 33);
  assert_int_equal(ints_data(&c)[3], 33);
  assert_ok(shoal_array_close(other, &c));
  assert_ok(shoal_array_close(other, &b));
  assert_int_equal(shoal_array_close(other, &b), -EINVAL);
  assert_ok(shoal_segment_close(other));
  end(&a, "ten");
  assert_ok(ints_open_or_create(seg, "ten", 5, NULL, &a));
  assert_int_equal(at(&a, 4), 0);
  end(&a, "ten");
}

static void refused(int rc, const char *why) {
  assert_int_equal(rc, -EBADMSG);
  if (!strstr(shoal_reason(), why)) fail_msg("\"%s\" does not say \"%s\"", shoal_reason(), why);
}
static void test_what_is_something_else(void **state) {
  (void)state;
  struct shoal_array a = ten(), b;
  struct shoal_lock *lock;
  refused(floats_open(seg, "ten", 10, &b), "10 of int (4 bytes), not 10 of float (4 bytes)");
  refused(ints_open(seg, "ten", 11, &b), "10 of int (4 bytes), not 11 of int");
  refused(shoal_array_open(seg, "ten", "int", 8, 10, &b), "(4 bytes), not 10 of int (8 bytes)");
  refused(floats_open_or_create(seg, "ten", 10, NULL, &b), "of int");
  assert_ok(ints_open(seg, "ten", 0, &b));
  assert_int_equal(b.length, 10);
  assert_ok(shoal_array_close(seg, &b));
  assert_ok(shoal_lock_create(seg, "l", &lock));
  assert_int_equal(ints_open(seg, "l", 0, &b), -EBADMSG);
  assert_int_equal(shoal_array_unlink(seg, "l"), -EBADMSG);
  assert_ok(shoal_lock_close(seg, lock));
  end(&a, "ten");
}
static void test_what_makes_no_array(void **state) {
  (void)state;
  struct shoal_array a;
  struct shoal_lock elsewhere;
  static char memory[4096] __attribute__((aligned(64)));
  assert_int_equal(ints_create(seg, "a", 0, NULL, &a), -EINVAL);
  assert_int_equal(ints_create(seg, "a", UINT64_MAX, NULL, &a), -EINVAL);
  assert_int_equal(ints_create(seg, "a", 1 << 28, NULL, &a), -ENOSPC);
  assert_int_equal(shoal_array_create(seg, "a", "", 4, 1, NULL, &a), -EINVAL);
  assert_int_equal(shoal_array_create(seg, "a", NULL, 4, 1, NULL, &a), -EINVAL);
  assert_int_equal(
      shoal_array_create(seg, "a", "0123456789012345678901234567890123456789012345678901234567890123", 4, 1, NULL, &a),
      -ENAMETOOLONG);
  assert_int_equal(ints_create(seg, "a", 10, &(struct shoal_array_options){.columns = 3}, &a), -EINVAL);
  assert_ok(shoal_lock_init(&elsewhere));
  assert_int_equal(ints_create(seg, "a", 1, &(struct shoal_array_options){.lock = &elsewhere}, &a), -EINVAL);
  assert_int_equal(ints_create(seg, "a", 1, &(struct shoal_array_options){.lock = &elsewhere, .unlocked = 1}, &a),
                   -EINVAL);
  assert_int_equal(ints_init(memory + 8, 1, NULL, &a), -EINVAL);
  assert_int_equal(ints_open(seg, "a", 0, &a), -ENOENT);
}

// ---- 2 ----
static void test_beyond_the_end(void **state) {
  (void)state;
  struct shoal_array a = ten();
  struct shoal_view v;
  int x[10] = {0}, *p = NULL;
  assert_int_equal(ints_get(&a, 10, x, SHOAL_FOREVER), -ERANGE);
  assert_string_equal(shoal_reason(), "index 10 of 10");
  assert_int_equal(ints_set(&a, UINT64_MAX, x, SHOAL_FOREVER), -ERANGE);
  assert_int_equal(ints_at(&a, 10, &p), -ERANGE);
  assert_null(p);
  assert_int_equal(ints_read(&a, 5, 1, 6, x, SHOAL_FOREVER), -ERANGE);
  assert_int_equal(ints_read(&a, 2, -1, 4, x, SHOAL_FOREVER), -ERANGE);
  assert_int_equal(ints_read(&a, 0, INT64_MAX, 3, x, SHOAL_FOREVER), -ERANGE);
  assert_int_equal(ints_read(&a, 9, INT64_MIN, 2, x, SHOAL_FOREVER), -ERANGE);
  assert_int_equal(ints_read(&a, 0, 0, UINT64_MAX, x, SHOAL_FOREVER), -ERANGE);
  assert_int_equal(ints_read(&a, 11, 1, 0, x, SHOAL_FOREVER), -ERANGE);
  assert_ok(ints_read(&a, 10, 1, 0, x, SHOAL_FOREVER));
  assert_int_equal(ints_write(&a, 9, 2, 2, x, SHOAL_FOREVER), -ERANGE);
  assert_int_equal(ints_fill(&a, 1, 10, x, SHOAL_FOREVER), -ERANGE);
  assert_int_equal(shoal_array_view(&a, 8, 2, 2, &v), -ERANGE);
  assert_int_equal(shoal_array_row(&a, 0, &v), -EINVAL);
  for (int i = 0; i < 10; i++) assert_int_equal(at(&a, (uint64_t)i), i);
  end(&a, "ten");
}

// ---- 3 ----
static void expect(const int *got, const int *wanted, unsigned n) { assert_memory_equal(got, wanted, n * sizeof *got); }
static void test_ranges(void **state) {
  (void)state;
  struct shoal_array a = ten();
  int x[10];
  assert_ok(ints_read(&a, 1, 3, 3, x, SHOAL_FOREVER));
  expect(x, (int[]){1, 4, 7}, 3);
  assert_ok(ints_read(&a, 9, -4, 3, x, SHOAL_FOREVER));
  expect(x, (int[]){9, 5, 1}, 3);
  assert_ok(ints_write(&a, 4, -2, 3, (int[]){44, 22, 0}, SHOAL_FOREVER));
  assert_ok(ints_fill(&a, 7, 3, &(int){-1}, SHOAL_FOREVER));
  assert_ok(ints_read(&a, 0, 1, 10, x, SHOAL_FOREVER));
  expect(x, (int[]){0, 1, 22, 3, 44, 5, 6, -1, -1, -1}, 10);
  end(&a, "ten");
}
static void test_views(void **state) {
  (void)state;
  struct shoal_array a;
  struct shoal_view row, column, back;
  assert_ok(ints_create(seg, "m", 12, &(struct shoal_array_options){.columns = 4, .unlocked = 1}, &a));
  for (int i = 0; i < 12; i++) ints_data(&a)[i] = i;
  assert_ok(shoal_array_row(&a, 2, &row));
  assert_ok(shoal_array_column(&a, 1, &column));
  assert_ok(shoal_array_view(&a, 11, -5, 3, &back));
  assert_int_equal(row.length, 4);
  assert_int_equal(column.length, 3);
  assert_int_equal(*ints_in(&row, 3), 11);
  assert_int_equal(*ints_in(&column, 2), 9);
  assert_int_equal(*ints_in(&back, 2), 1);
  assert_null(ints_in(&row, 4));
  assert_int_equal(shoal_array_row(&a, 3, &row), -ERANGE);
  assert_int_equal(shoal_array_column(&a, 4, &row), -ERANGE);
  end(&a, "m");
}

// ---- 4 ----
#define ROUNDS 3000u
static uint64_t bytes_of_wides(void) { return wides_bytes(2); }
static void set_and_look(void *memory, unsigned i) {
  struct shoal_array a;
  CHECK(wides_attach(memory, bytes_of_wides(), 2, NULL, &a) == 0);
  for (unsigned k = 0; k < ROUNDS; k++) {
    struct wide w;
    for (unsigned j = 0; j < 9; j++) w.word[j] = (uint64_t)i << 32 | k;
    CHECK(wides_set(&a, k % 2, &w, SHOAL_FOREVER) == 0);
    CHECK(wides_get(&a, (k + 1) % 2, &w, SHOAL_FOREVER) == 0);
    for (unsigned j = 1; j < 9; j++) CHECK(w.word[j] == w.word[0]);
  }
}
static void count_in_blocks(void *memory, unsigned i) {
  struct shoal_array a;
  int rc;
  (void)i;
  CHECK(wides_attach(memory, bytes_of_wides(), 2, NULL, &a) == 0);
  for (unsigned k = 0; k < ROUNDS; k++)
    SHOAL_WITH (rc, &a.hold) {
      struct wide w;
      CHECK(rc == 0 && wides_get(&a, 0, &w, SHOAL_FOREVER) == 0);
      w.word[8]++;
      CHECK(wides_set(&a, 0, &w, SHOAL_FOREVER) == 0);
    }
}
static void test_a_view_of_one_has_no_stride(void **state) {
  struct shoal_array a = ten();
  struct shoal_view v;
  (void)state;
  assert_int_equal(shoal_array_view(&a, 9, INT64_MAX, 1, &v), 0);
  assert_int_equal(v.stride, 0);
  assert_int_equal(*(int *)shoal_view_at(&v, 0), 9);
  assert_int_equal(shoal_array_view(&a, 0, INT64_MIN, 0, &v), 0);
  assert_null(shoal_view_at(&v, 0));
  end(&a, "ten");
}

// The end of a block is noted: who is killed in a set behind it is nobody's business.
static void test_its_lock_is_in_an_order(void **state) {
  struct shoal_lock_order *order;
  struct shoal_array a = ten();
  (void)state;
  assert_int_equal(shoal_lock_order_create(seg, "order", 0, 4, &order), 0);
  assert_int_equal(shoal_lock_attach(&a.shm->lock, order, "ten"), 0);
  assert_int_equal(shoal_array_acquire(&a, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_load64_relaxed(&a.shm->inside), 1);
  assert_int_equal(shoal_array_release(&a), 0);
  assert_int_equal(shoal_load64_relaxed(&a.shm->inside), 0);
  assert_int_equal(shoal_array_release(&a), -EPERM);
  assert_int_equal(shoal_array_close(seg, &a), 0);
  assert_int_equal(shoal_lock_order_close(seg, order), 0);
}

static void test_destroyed_under_a_given_lock(void **state) {
  struct shoal_lock *lock;
  struct shoal_array a;
  (void)state;
  assert_int_equal(shoal_lock_create(seg, "given", &lock), 0);
  assert_int_equal(ints_create(seg, "guarded", 3, &(struct shoal_array_options){.lock = lock}, &a), 0);
  assert_int_equal(shoal_lock_acquire(lock, SHOAL_FOREVER), 0);
  struct shoal_array same = a;
  assert_int_equal(shoal_array_destroy(&same), -EBUSY);
  assert_int_equal(shoal_lock_release(lock), 0);
  assert_int_equal(shoal_array_close(seg, &a), 0);
  assert_int_equal(shoal_lock_close(seg, lock), 0);
}

static void test_whole_elements(void **state) {
  (void)state;
  for (int d = THREADS; d < DRIVERS; d++) {
    struct shoal_array a;
    struct wide w;
    void *memory = arena_begin(bytes_of_wides());
    assert_ok(wides_init(memory, 2, NULL, &a));
    run(&arena, (enum driver)d, 3, set_and_look);
    assert_ok(wides_set(&a, 0, &(struct wide){{0}}, SHOAL_FOREVER));
    run(&arena, (enum driver)d, 3, count_in_blocks);
    assert_ok(wides_get(&a, 0, &w, SHOAL_FOREVER));
    assert_int_equal(w.word[8], 3 * ROUNDS);
    arena_free(&arena);
  }
}

// ---- 5 ----
static void test_its_own_lock(void **state) {
  (void)state;
  struct shoal_array a = ten();
  struct shoal_array_info info;
  int rc = -1, x;
  assert_int_equal(shoal_array_release(&a), -EPERM);
  SHOAL_WITH (rc, &a.hold) {
    assert_int_equal(shoal_array_acquire(&a, SHOAL_TRY), -EDEADLK);
    assert_ok(ints_set(&a, 0, &(int){5}, SHOAL_TRY));
    assert_ok(ints_get(&a, 0, &x, SHOAL_TRY));
    assert_ok(shoal_array_info(&a, &info));
    assert_true(info.lock.owner != 0);
    assert_int_equal(shoal_array_close(seg, &a), -EBUSY);
    assert_int_equal(shoal_array_consistent(&a), -EINVAL);
  }
  assert_ok(rc);
  assert_ok(shoal_array_info(&a, &info));
  assert_int_equal(info.lock.owner, 0);
  assert_int_equal(info.locked, 1);
  assert_string_equal(info.type, "int");
  end(&a, "ten");
}
static void test_a_given_lock(void **state) {
  (void)state;
  struct shoal_lock *lock;
  struct shoal_array a, b, again;
  int rc = -1;
  assert_ok(shoal_lock_create(seg, "lock", &lock));
  struct shoal_array_options given = {.lock = lock};
  assert_ok(ints_create(seg, "a", 2, &given, &a));
  assert_ok(points_create(seg, "b", 2, &given, &b));
  assert_ok(ints_open(seg, "a", 2, &again));
  assert_ptr_equal(again.lock_, lock);
  SHOAL_WITH (rc, lock) {
    assert_int_equal(shoal_array_acquire(&a, SHOAL_TRY), -EDEADLK);
    assert_ok(points_set(&b, 1, &(struct point){1, 2}, SHOAL_TRY));
  }
  SHOAL_WITH (rc, &again.hold) {
    assert_int_equal(shoal_lock_acquire(lock, SHOAL_TRY), -EDEADLK);
  }
  assert_ok(rc);
  assert_ok(shoal_array_close(seg, &again));
  assert_ok(shoal_array_close(seg, &a));
  assert_ok(shoal_array_close(seg, &b));
  assert_ok(shoal_lock_close(seg, lock));
}
static void test_without_a_lock(void **state) {
  (void)state;
  struct shoal_array a;
  int rc = 0, ran = 0;
  assert_ok(points_create(seg, "p", 2, &(struct shoal_array_options){.unlocked = 1}, &a));
  SHOAL_WITH (rc, &a.hold) {
    ran = 1;
  }
  assert_int_equal(rc, -EINVAL);
  assert_false(ran);
  assert_int_equal(shoal_array_release(&a), -EINVAL);
  assert_int_equal(shoal_array_consistent(&a), -EINVAL);
  assert_ok(points_set(&a, 1, &(struct point){1, 2}, SHOAL_FOREVER));
  assert_true(points_data(&a)[1].y == 2);
  end(&a, "p");
}

// ---- 6, 7 ----
struct shared {
  shoal_atomic32 stage;
  char array[1024] __attribute__((aligned(64)));
};
static struct shared *shared_ten(struct shoal_array *a) {
  struct shared *s = arena_begin(sizeof *s);
  assert_true(ints_bytes(10) <= sizeof s->array);
  assert_ok(ints_init(s->array, 10, NULL, a));
  return s;
}
static void keep_a_block(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_array a;
  int rc;
  (void)i;
  CHECK(ints_attach(s->array, sizeof s->array, 10, NULL, &a) == 0);
  SHOAL_WITH (rc, &a.hold) {
    ints_data(&a)[0] = 1;
    stage_keep(&s->stage);
  }
  CHECK(rc == 0);
}
static void test_a_holder_lives(void **state) {
  (void)state;
  struct shoal_array a;
  struct shared *s = shared_ten(&a);
  struct peer p = keeper(keep_a_block, 0, &s->stage);
  int x;
  assert_int_equal(ints_get(&a, 0, &x, SHOAL_TRY), -EAGAIN);
  assert_int_equal(ints_fill(&a, 0, 1, &x, shoal_after_ms(20)), -ETIMEDOUT);
  assert_int_equal(shoal_array_destroy(&a), -EBUSY);
  let_go(&p, &s->stage);
  assert_int_equal(at(&a, 0), 1);
  assert_ok(shoal_array_destroy(&a));
  assert_int_equal(ints_attach(s->array, sizeof s->array, 10, NULL, &a), -EPROTO);
  arena_free(&arena);
}
static void test_a_holder_dies(void **state) {
  (void)state;
  struct shoal_array a;
  struct shared *s = shared_ten(&a);
  struct peer p = keeper(keep_a_block, 0, &s->stage);
  int x = 7, rc;
  peer_kill(&p);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(ints_get(&a, 0, &x, SHOAL_FOREVER), -EOWNERDEAD);
    assert_int_equal(x, 7);
    assert_int_equal(ints_set(&a, 0, &x, SHOAL_FOREVER), -EOWNERDEAD);
    assert_int_equal(ints_fill(&a, 0, 1, &x, SHOAL_FOREVER), -EOWNERDEAD);
  }
  assert_int_equal(ints_data(&a)[0], 1);
  SHOAL_WITH (rc, &a.hold) {
    assert_int_equal(rc, -EOWNERDEAD);
    assert_ok(ints_set(&a, 0, &(int){0}, SHOAL_TRY));
    assert_ok(shoal_array_consistent(&a));
  }
  assert_int_equal(at(&a, 0), 0);
  arena_free(&arena);
}
static void test_what_is_given_up(void **state) {
  (void)state;
  struct shoal_array a;
  struct shared *s = shared_ten(&a);
  struct peer p = keeper(keep_a_block, 0, &s->stage);
  int rc, x;
  peer_kill(&p);
  SHOAL_WITH (rc, &a.hold) continue;
  assert_int_equal(rc, -EOWNERDEAD);
  assert_int_equal(ints_get(&a, 0, &x, SHOAL_FOREVER), -ENOTRECOVERABLE);
  assert_int_equal(shoal_array_acquire(&a, SHOAL_FOREVER), -ENOTRECOVERABLE);
  arena_free(&arena);
}

static void test_for_my_children(void **state) {
  (void)state;
  struct shoal_array a;
  int status;
  assert_ok(ints_create(seg, NULL, 3, NULL, &a));
  pid_t child = fork();
  if (child == 0) _exit(ints_set(&a, 2, &(int){9}, SHOAL_FOREVER) != 0);
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  assert_int_equal(at(&a, 2), 9);
  assert_ok(shoal_array_close(seg, &a));
}
static void test_placed_with_a_given_lock(void **state) {
  (void)state;
  struct shared *s = arena_begin(sizeof *s);
  struct shoal_lock *lock = (struct shoal_lock *)s->array;
  struct shoal_array a, b;
  assert_ok(shoal_lock_init(lock));
  assert_ok(ints_init(s->array + 64, 3, &(struct shoal_array_options){.lock = lock}, &a));
  assert_int_equal(ints_attach(s->array + 64, 960, 3, NULL, &b), -EINVAL);
  assert_ok(ints_attach(s->array + 64, 960, 3, lock, &b));
  assert_ok(ints_set(&b, 0, &(int){4}, SHOAL_FOREVER));
  assert_int_equal(at(&a, 0), 4);
  assert_ok(shoal_array_destroy(&b));
  arena_free(&arena);
}

// ---- 8: an array at the end of what is mapped ----
static uint64_t random_word(uint32_t *r) {
  uint64_t word = 0;
  for (int i = 0; i < 3; i++) *r ^= *r << 13, *r ^= *r >> 17, *r ^= *r << 5, word = word << 32 ^ *r;
  switch (*r % 5) {
    case 0: return *r >> 8 & 3;
    case 1: return word % 300;
    case 2: return UINT64_MAX;
    case 3: return word >> (*r >> 8) % 64;
    default: return word;
  }
}
static void use(const struct shoal_array *a, const shoal_deadline *soon) {
  struct wide w = {{1}}, all[3];
  struct shoal_view v;
  struct shoal_array_info info;
  (void)wides_set(a, 1, &w, *soon);
  (void)wides_get(a, 1, &w, *soon);
  (void)wides_read(a, 0, 1, a->length < 3 ? a->length : 3, all, *soon);
  (void)wides_fill(a, 0, a->length, &w, *soon);
  if (shoal_array_row(a, 0, &v) == 0) w = *wides_in(&v, 0);
  if (shoal_array_column(a, 0, &v) == 0 && v.length) w = *wides_in(&v, v.length - 1);
  (void)shoal_array_info(a, &info);
  int rc = shoal_array_acquire(a, *soon);
  if (rc == -EOWNERDEAD) (void)shoal_array_consistent(a);
  if (rc == 0 || rc == -EOWNERDEAD) (void)shoal_array_release(a);
}
static void scribble(struct shoal_array_shm *shm, uint32_t *r) {
  uint64_t *words = (uint64_t *)shm;
  for (uint32_t n = 1 + *r % 4; n--;) {
    unsigned at = (unsigned)(random_word(r) % 32);
    if (at >= 18 && at < 21) continue;  // the C library's links
    if (at == 16) shm->lock.robust.word.v_ = (uint32_t)random_word(r);
    else words[at] = random_word(r);
  }
}
static void test_any_words(void **state) {
  (void)state;
  uint64_t bytes = wides_bytes(4), mapped = (bytes + 4095) / 4096 * 4096;
  char *map = mmap(NULL, mapped + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  assert_true(map != MAP_FAILED && mprotect(map + mapped, 4096, PROT_NONE) == 0);
  struct shoal_array_shm *shm = (void *)(map + mapped - bytes);
  uint32_t r = 12345, live = 0;
  for (unsigned k = 0; k < 3000; k++) {
    struct shoal_array before, after;
    assert_ok(wides_init(shm, 4, &(struct shoal_array_options){.columns = 2}, &before));
    scribble(shm, &r);
    shoal_deadline soon = shoal_after_us(50);
    if (wides_attach(shm, bytes, 0, NULL, &after) == 0) use(&after, &soon), live++;
    use(&before, &soon);
  }
  assert_true(live > 100);
  munmap(map, mapped + 4096);
}

// ---- 9 ----
static char path[PATH_MAX];
static const char *fresh_path(void) {
  const char *folder = getenv("TEST_TMPDIR");
  snprintf(path, sizeof path, "%s/array-%d", folder ? folder : "/tmp", (int)getpid());
  (void)unlink(path);
  return path;
}
static int file_open(struct shoal_array *a) { return shoal_array_file_open(path, "int", sizeof(int), 0, a); }
static int file_make(struct shoal_array *a, const struct shoal_array_options *o) {
  return shoal_array_file_create(fresh_path(), "int", sizeof(int), 10, o, 0, a);
}
static void in_a_child(int (*body)(void), int killed) {
  int status;
  pid_t child = fork();
  if (child == 0) _exit(body());
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(killed ? WIFSIGNALED(status) : status == 0);
}
static int makes_and_sets(void) {
  struct shoal_array a;
  return shoal_array_file_create(path, "int", sizeof(int), 10, NULL, 0, &a) ||
         ints_set(&a, 3, &(int){33}, SHOAL_FOREVER) || shoal_array_sync(&a) ||
         ints_set(&a, 4, &(int){44}, SHOAL_FOREVER);
}
static int opens_and_sets(void) {
  struct shoal_array a;
  return file_open(&a) || at(&a, 3) != 33 || ints_set(&a, 5, &(int){55}, SHOAL_FOREVER) || shoal_array_file_close(&a);
}
static int dies_in_a_block(void) {
  struct shoal_array a;
  int rc = file_open(&a);
  if (rc) return rc;
  SHOAL_WITH (rc, &a.hold) {
    ints_data(&a)[0] = 1;
    raise(SIGKILL);
  }
  return 1;
}
static void test_a_file_made_where_none_was_leaves_no_reason(void **state) {
  (void)state;
  struct shoal_array a;
  shoal_reason_clear();
  assert_ok(shoal_array_file_open_or_create(fresh_path(), "int", sizeof(int), 10, NULL, 0, &a));
  assert_string_equal(shoal_reason(), "");
  assert_ok(shoal_array_file_close(&a));
}
static void test_a_file(void **state) {
  (void)state;
  struct shoal_array a, b;
  struct stat st;
  fresh_path();
  in_a_child(makes_and_sets, 0);
  assert_ok(file_open(&a));
  assert_int_equal(a.length, 10);
  assert_int_equal(at(&a, 3), 33);
  assert_int_equal(at(&a, 4), 44);
  in_a_child(opens_and_sets, 0);
  assert_int_equal(at(&a, 5), 55);
  assert_ok(shoal_array_file_open_or_create(path, "int", sizeof(int), 10, NULL, 0, &b));
  assert_ok(ints_set(&b, 6, &(int){66}, SHOAL_FOREVER));
  assert_int_equal(at(&a, 6), 66);
  assert_int_equal(shoal_array_close(seg, &b), -EINVAL);
  assert_ok(shoal_array_acquire(&b, SHOAL_TRY));
  assert_int_equal(shoal_array_file_close(&b), -EBUSY);
  assert_ok(shoal_array_release(&b));
  assert_ok(shoal_array_file_close(&b));
  assert_int_equal(shoal_array_file_close(&b), -EINVAL);
  assert_int_equal(shoal_array_sync(&b), -EINVAL);
  assert_ok(shoal_array_sync(&a));
  assert_ok(shoal_array_file_close(&a));
  assert_int_equal(stat(path, &st), 0);
  assert_int_equal(st.st_mode & 0777, 0600);
  assert_int_equal(unlink(path), 0);
}
static void expect_told(struct shoal_array *a) {
  int x, rc;
  assert_int_equal(ints_get(a, 0, &x, SHOAL_FOREVER), -EOWNERDEAD);
  SHOAL_WITH (rc, &a->hold) {
    assert_int_equal(rc, -EOWNERDEAD);
    assert_ok(shoal_array_consistent(a));
  }
  assert_int_equal(at(a, 0), 1);
}
static void test_a_files_holder_dies(void **state) {
  (void)state;
  struct shoal_array a;
  assert_ok(file_make(&a, NULL));
  in_a_child(dies_in_a_block, 1);
  expect_told(&a);
  assert_ok(shoal_array_file_close(&a));
  in_a_child(dies_in_a_block, 1);
  assert_ok(file_open(&a));
  expect_told(&a);
  // As the machine's death leaves it: a number in the lock that is somebody else's now, and the boot before in the
  // head.
  shoal_store64_relaxed(&a.shm->inside, 1);
  shoal_store32_relaxed(&a.shm->lock.robust.word, FUTEX_WAITERS | 1);
  assert_ok(shoal_array_file_close(&a));
  int fd = open(path, O_RDWR);
  assert_int_equal(pwrite(fd, "another boot----", 16, 24), 16);
  close(fd);
  assert_ok(file_open(&a));
  expect_told(&a);
  assert_ok(shoal_array_file_close(&a));
  assert_int_equal(unlink(path), 0);
}
// SIGXFSZ would end it.
static int may_write_one_page(void) {
  struct shoal_array a;
  sigset_t pending;
  struct rlimit page = {4096, 4096};
  if (setrlimit(RLIMIT_FSIZE, &page)) return 10;
  if (shoal_array_file_create(path, "int", sizeof(int), 10, NULL, 0, &a) != -ENOSPC || access(path, F_OK) == 0)
    return 11;
  return sigpending(&pending) || sigismember(&pending, SIGXFSZ) ? 12 : 0;
}
static int may_write_nothing(void) {
  struct shoal_array a;
  if (setrlimit(RLIMIT_FSIZE, &(struct rlimit){0, 0})) return 10;
  return file_open(&a) || ints_set(&a, 1, &(int){11}, SHOAL_FOREVER) || shoal_array_file_close(&a);
}
static void test_files_are_limited(void **state) {
  (void)state;
  struct shoal_array a;
  fresh_path();
  in_a_child(may_write_one_page, 0);
  assert_ok(file_make(&a, NULL));
  assert_ok(shoal_array_file_close(&a));
  in_a_child(may_write_nothing, 0);
  assert_ok(file_open(&a));
  assert_int_equal(at(&a, 1), 11);
  assert_ok(shoal_array_file_close(&a));
  assert_int_equal(unlink(path), 0);
}
// A signal finds a long file half made: it is not kept waiting until all of it is there.
static struct {
  int fd;
  off_t whole;
  shoal_atomic32 half, over;
  pthread_t maker;
} signalled;
static void looks_at_the_file(int signal) {
  struct stat st;
  int error = errno;
  (void)signal;
  if (fstat(signalled.fd, &st) == 0 && st.st_size > 0 && st.st_size < signalled.whole)
    shoal_store32_relaxed(&signalled.half, 1);
  errno = error;
}
static void *signals(void *unused) {
  while (!shoal_load32_relaxed(&signalled.over)) {
    if (pthread_kill(signalled.maker, SIGUSR1)) return &signalled;
    sched_yield();
  }
  return unused;
}
static void test_a_long_file_lets_signals_through(void **state) {
  (void)state;
  const uint64_t n = 10 << 20;
  struct shoal_array a;
  struct sigaction looks = {.sa_handler = looks_at_the_file, .sa_flags = SA_RESTART};
  pthread_t thread;
  void *failed;
  fresh_path();
  signalled.whole = (off_t)(n * sizeof(int));
  signalled.maker = pthread_self();
  signalled.fd = open("/", O_RDONLY);  // the next one's number
  close(signalled.fd);
  assert_int_equal(sigaction(SIGUSR1, &looks, NULL), 0);
  assert_int_equal(pthread_create(&thread, NULL, signals, NULL), 0);
  while (!shoal_load32_relaxed(&signalled.half)) {
    assert_ok(shoal_array_file_create(path, "int", sizeof(int), n, NULL, 0, &a));
    assert_ok(shoal_array_file_close(&a));
    assert_int_equal(unlink(path), 0);
  }
  shoal_store32_relaxed(&signalled.over, 1);
  assert_int_equal(pthread_join(thread, &failed), 0);
  assert_null(failed);
  assert_true(signal(SIGUSR1, SIG_IGN) != SIG_ERR);  // the last one may be on its way
}
static void test_what_is_no_such_file(void **state) {
  (void)state;
  struct shoal_array a, b;
  uint64_t word = 0;
  fresh_path();
  assert_int_equal(file_open(&a), -ENOENT);
  assert_int_equal(shoal_array_file_create("/no/such/folder/x", "int", 4, 1, NULL, 0, &a), -ENOENT);
  assert_int_equal(shoal_array_file_create("", "int", 4, 1, NULL, 0, &a), -EINVAL);
  assert_int_equal(shoal_array_file_open("/dev/null", "int", 4, 1, &a), -EPROTO);
  assert_int_equal(shoal_array_file_create(path, "int", 4, 0, NULL, 0, &a), -EINVAL);
  assert_int_equal(access(path, F_OK), -1);
  assert_ok(file_make(&a, NULL));
  assert_int_equal(shoal_array_file_create(path, "int", 4, 10, NULL, 0, &b), -EEXIST);
  assert_int_equal(shoal_array_file_open(path, "float", 4, 10, &b), -EBADMSG);
  assert_int_equal(shoal_array_file_open(path, "int", 4, 11, &b), -EBADMSG);
  assert_int_equal(pwrite(a.fd_, "not this machine", 16, 24), 16);
  assert_int_equal(file_open(&b), -EPROTO);  // a has it open
  assert_ok(shoal_array_file_close(&a));
  int fd = open(path, O_RDWR);
  for (uint64_t i = 0; i < 24; i += 8) {
    uint64_t was;
    assert_int_equal(pread(fd, &was, 8, (off_t)i), 8);
    word = ~was;
    assert_int_equal(pwrite(fd, &word, 8, (off_t)i), 8);
    assert_int_equal(file_open(&a), -EPROTO);
    assert_int_equal(pwrite(fd, &was, 8, (off_t)i), 8);
  }
  assert_int_equal(ftruncate(fd, 4096), 0);
  assert_int_equal(file_open(&a), -EPROTO);
  assert_int_equal(ftruncate(fd, 0), 0);
  assert_int_equal(file_open(&a), -EPROTO);
  close(fd);
  assert_int_equal(unlink(path), 0);
}

#define TEST(x) cmocka_unit_test_setup_teardown(test_##x, setup, teardown)
int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(by_name),
      TEST(what_is_something_else),
      TEST(what_makes_no_array),
      TEST(beyond_the_end),
      TEST(ranges),
      TEST(views),
      TEST(a_view_of_one_has_no_stride),
      TEST(its_lock_is_in_an_order),
      TEST(destroyed_under_a_given_lock),
      TEST(whole_elements),
      TEST(its_own_lock),
      TEST(a_given_lock),
      TEST(without_a_lock),
      TEST(a_holder_lives),
      TEST(a_holder_dies),
      TEST(what_is_given_up),
      TEST(for_my_children),
      TEST(placed_with_a_given_lock),
      TEST(any_words),
      TEST(a_file_made_where_none_was_leaves_no_reason),
      TEST(a_file),
      TEST(a_files_holder_dies),
      TEST(files_are_limited),
      TEST(a_long_file_lets_signals_through),
      TEST(what_is_no_such_file),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
