// What core/directory.h claims, of what one process does (of several: directory_shared_test.c):
// - an object is seen by nobody before its init has succeeded; if init fails, it never was
// - an object is found by its name, by its address, in a list; removed by its type; made in two steps
// - memory is reused only when the name is removed and all who had the object have closed it
// - searches stay short, whatever comes and goes; 100,000 objects; growth by itself; -ENOSPC with nothing changed
#include <sys/resource.h>

#include "core/deadline.h"
#include "tests/core/directory_fixture.h"

// ---- one process ----

static int refuse(void *memory, uint64_t size, void *arg) {
  memset(memory, 0xee, size);
  return *(int *)arg;
}

static void test_create_open_close_remove(void **state) {
  (void)state;
  struct shoal_segment *a = anonymous(&small), *b = again(a);
  struct shoal_object made, opened, none;
  int seven = 7;
  assert_int_equal(shoal_object_open(a, "jobs", "test", &none), -ENOENT);
  assert_ok(shoal_object_create(a, "jobs", "test", 5000, fill, &seven, &made));
  assert_int_equal(shoal_object_create(b, "jobs", "other", 1, NULL, NULL, &none), -EEXIST);
  assert_ok(shoal_object_open(b, "jobs", "test", &opened));
  assert_int_equal(opened.size, 5000);
  assert_int_equal(opened.off, made.off);
  assert_int_equal(((char *)opened.memory)[4999], 7);
  assert_ptr_not_equal(opened.memory, made.memory);
  assert_int_equal(shoal_object_open(b, "jobs", "other", &none), -EBADMSG);
  assert_non_null(strstr(shoal_reason(), "\"test\""));
  verify(a);
  assert_ok(shoal_object_remove(b, "jobs"));
  assert_int_equal(shoal_object_remove(b, "jobs"), -ENOENT);
  assert_int_equal(shoal_object_open(a, "jobs", "test", &none), -ENOENT);
  assert_int_equal(((char *)made.memory)[4999], 7);
  assert_int_equal(info_of(a).used, 5120);
  assert_ok(shoal_object_close(a, &made));
  assert_int_equal(shoal_object_close(a, &made), -EINVAL);
  assert_int_equal(info_of(a).used, 5120);
  assert_ok(shoal_object_close(b, &opened));
  assert_int_equal(info_of(a).used, 0);
  verify_empties(a);
  assert_ok(shoal_segment_close(b));
  assert_ok(shoal_segment_close(a));
}

static void test_found_by_address(void **state) {
  (void)state;
  struct shoal_segment *a = anonymous(&small), *b = again(a);
  struct shoal_object made, opened, found, again_;
  assert_ok(shoal_object_create(a, "jobs", "test", 5000, NULL, NULL, &made));
  assert_ok(shoal_object_open(b, "jobs", "test", &opened));
  assert_ok(shoal_object_at(a, made.memory, &found));
  assert_memory_equal(&found, &made, sizeof made);
  assert_int_equal(shoal_object_at(a, (char *)made.memory + 512, &again_), -EINVAL);  // inside
  assert_int_equal(shoal_object_at(a, (char *)made.memory + 5120, &again_), -EINVAL);
  assert_int_equal(shoal_object_at(a, a->base, &again_), -EINVAL);
  assert_int_equal(shoal_object_at(a, &made, &again_), -EINVAL);
  assert_int_equal(shoal_object_at(b, made.memory, &again_), -EINVAL);
  assert_ok(shoal_object_remove(a, "jobs"));
  assert_ok(shoal_object_at(a, made.memory, &found));  // without a name, and still open
  assert_ok(shoal_object_close(a, &found));
  assert_int_equal(shoal_object_close(a, &made), -EINVAL);  // it was
  assert_ok(shoal_object_at(b, opened.memory, &found));
  assert_ok(shoal_object_close(b, &found));
  assert_int_equal(shoal_object_at(b, opened.memory, &found), -EINVAL);
  verify_empties(a);
  assert_ok(shoal_segment_close(b));
  assert_ok(shoal_segment_close(a));
}

static void test_removed_by_type(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small);
  assert_ok(create(seg, "jobs", 100));
  assert_int_equal(shoal_object_remove_typed(seg, "jobs", "other"), -EBADMSG);
  assert_non_null(strstr(shoal_reason(), "\"test\""));
  assert_int_equal(shoal_object_remove_typed(seg, "jobs", "tes"), -EBADMSG);
  assert_int_equal(shoal_object_remove_typed(seg, "jobs", "test:"), -EBADMSG);
  assert_int_equal(shoal_object_remove_typed(seg, "jobs", ""), -EBADMSG);
  assert_true(exists(seg, "jobs"));
  assert_ok(shoal_object_remove_typed(seg, "jobs", "test"));
  assert_int_equal(shoal_object_remove_typed(seg, "jobs", "test"), -ENOENT);
  assert_int_equal(shoal_object_remove_typed(seg, "jobs", NULL), -EINVAL);
  assert_ok(shoal_segment_close(seg));
}

static void test_made_in_two_steps(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small);
  struct shoal_object o, other;
  assert_ok(shoal_object_begin_(seg, "jobs", "test", 1000, &o));
  assert_false(exists(seg, "jobs"));
  assert_int_equal(shoal_object_begin_(seg, "jobs", "test", 1000, &other), -EEXIST);
  assert_int_equal(shoal_object_end_(seg, &o, -EDOM), -EDOM);
  assert_int_equal(shoal_object_end_(seg, &o, 0), -EPERM);  // it is nobody's by now
  assert_int_equal(info_of(seg).used, 0);
  assert_int_equal(shoal_object_open_or_begin_(seg, "jobs", "test", 1000, &o), 1);
  assert_ok(shoal_object_end_(seg, &o, 0));
  assert_ok(shoal_object_open_or_begin_(seg, "jobs", "test", 1, &other));
  assert_ptr_equal(other.memory, o.memory);
  assert_int_equal(other.size, 1000);
  assert_int_equal(shoal_object_end_(seg, &other, 0), -EPERM);
  assert_ok(shoal_object_close(seg, &other));
  assert_ok(shoal_object_close(seg, &o));
  verify_empties(seg);
  assert_ok(shoal_segment_close(seg));
}

static void test_made_where_none_was_leaves_no_reason(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small);
  struct shoal_object o;
  shoal_reason_clear();
  assert_ok(shoal_object_open_or_create(seg, "jobs", "test", 1000, NULL, NULL, &o));
  assert_string_equal(shoal_reason(), "");
  assert_ok(shoal_object_close(seg, &o));
  assert_ok(shoal_segment_close(seg));
}

static void test_arguments(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small);
  struct shoal_object o;
  char name[SHOAL_NAME_MAX + 2], type[SHOAL_TYPE_MAX + 2];
  memset(name, 'n', sizeof name);
  memset(type, 't', sizeof type);
  name[sizeof name - 1] = type[sizeof type - 1] = 0;
  assert_int_equal(shoal_object_create(seg, name, "t", 1, NULL, NULL, &o), -ENAMETOOLONG);
  assert_int_equal(shoal_object_create(seg, "n", type, 1, NULL, NULL, &o), -ENAMETOOLONG);
  name[SHOAL_NAME_MAX] = type[SHOAL_TYPE_MAX] = 0;
  assert_ok(shoal_object_create(seg, name, type, 1, NULL, NULL, &o));
  assert_int_equal(shoal_object_open(seg, name, "t", &o), -EBADMSG);
  assert_ok(shoal_object_open(seg, name, type, &o));
  assert_int_equal(shoal_object_create(seg, "", "t", 1, NULL, NULL, &o), -EINVAL);
  assert_int_equal(shoal_object_create(seg, NULL, NULL, 1, NULL, NULL, &o), -EINVAL);
  assert_int_equal(shoal_object_open(seg, NULL, "t", &o), -EINVAL);
  assert_int_equal(shoal_object_create(seg, "n", NULL, 1, NULL, NULL, &o), -EINVAL);
  assert_int_equal(shoal_object_create(seg, "n", "t", 0, NULL, NULL, &o), -EINVAL);
  assert_int_equal(shoal_object_create(seg, "n", "t", UINT64_MAX, NULL, NULL, &o), -ENOSPC);
  assert_int_equal(shoal_object_create(seg, "n", "t", small.size_max + 1, NULL, NULL, &o), -ENOSPC);
  assert_ok(shoal_object_create(seg, "any bytes / \xff", "", 1, NULL, NULL, &o));
  assert_ok(shoal_segment_close(seg));
}

static void test_alignment(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small);
  for (unsigned i = 0; i < 40; i++) {
    struct shoal_object o;
    char name[16];
    uint64_t size = 1 + i * 397;
    snprintf(name, sizeof name, "o%u", i);
    assert_ok(shoal_object_create(seg, name, "test", size, NULL, NULL, &o));
    assert_int_equal((uintptr_t)o.memory % (size >= 4096 ? 4096 : 64), 0);
  }
  shoal_held_drop_all_(seg);
  verify_empties(seg);
  assert_ok(shoal_segment_close(seg));
}

static void test_init_that_fails(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small);
  struct shoal_object o = {.size = 42};
  int code = -EDOM, one = 1;
  for (int i = 0; i < 100; i++) {
    assert_int_equal(shoal_object_create(seg, "jobs", "test", 1000, refuse, &code, &o), -EDOM);
    assert_int_equal(o.size, 42);
    assert_false(exists(seg, "jobs"));
    assert_int_equal(info_of(seg).used, 0);
  }
  assert_ok(shoal_object_create(seg, "jobs", "test", 1000, fill, &one, &o));  // and finds zeros
  verify(seg);
  assert_ok(shoal_segment_close(seg));
}

static int create_another(void *memory, uint64_t size, void *arg) {
  (void)memory;
  (void)size;
  return create(arg, "inner", 100);
}
static void test_init_that_creates(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small);
  struct shoal_object o;
  assert_ok(shoal_object_create(seg, "outer", "test", 100, create_another, seg, &o));
  assert_true(exists(seg, "inner"));
  shoal_held_drop_all_(seg);
  verify_empties(seg);
  assert_ok(shoal_segment_close(seg));
}

static int leave(void *memory, uint64_t size, void *arg) {
  (void)memory;
  (void)size;
  return shoal_proc_leave(arg);
}
// Who leaves has nothing in creation: it cannot publish what may have been rolled back.
static void test_init_that_leaves(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small);
  struct shoal_object o;
  assert_ok(shoal_object_create(seg, "jobs", "test", 100, leave, seg, &o));
  struct shoal_segment *other = again(seg);
  assert_ok(shoal_object_remove(other, "jobs"));
  assert_ok(shoal_segment_close(other));
  assert_ok(shoal_segment_close(seg));
}

static int count_one(const struct shoal_object_info *info, void *arg) {
  struct shoal_object_info *sum = arg;
  assert_string_equal(info->type, "test");
  sum->size += info->size;
  sum->off++;
  return sum->off == 7 ? -EPIPE : 0;
}
static void test_list(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small);
  struct shoal_object_info sum = {.size = 0};
  char name[8];
  for (int i = 0; i < 5; i++) {
    snprintf(name, sizeof name, "o%d", i);
    assert_ok(create(seg, name, 1u << i));
  }
  assert_ok(shoal_object_list(seg, count_one, &sum));
  assert_int_equal(sum.off, 5);
  assert_int_equal(sum.size, 31);
  assert_int_equal(shoal_object_list(seg, count_one, &sum), -EPIPE);
  assert_ok(shoal_segment_close(seg));
}

// ---- space ----

static void test_all_names_taken(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small);
  char name[16];
  for (int round = 0; round < 20; round++) {
    for (unsigned i = 0; i < small.objects; i++) {
      snprintf(name, sizeof name, "r%d-%u", round, i);
      assert_ok(create(seg, name, 64));
    }
    assert_int_equal(create(seg, "one more", 64), -ENOSPC);
    verify(seg);
    for (unsigned i = 0; i < small.objects; i++) {
      snprintf(name, sizeof name, "r%d-%u", round, i * 37 % small.objects);
      struct shoal_object o;
      assert_ok(shoal_object_open(seg, name, "test", &o));
      assert_ok(shoal_object_remove(seg, name));
      assert_ok(shoal_object_close(seg, &o));  // the one of open
    }
    shoal_held_drop_all_(seg);  // those of create
    verify(seg);
    assert_int_equal(info_of(seg).objects, 0);
  }
  verify_empties(seg);
  assert_ok(shoal_segment_close(seg));
}

static void test_growth_by_itself(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small), *other = again(seg);
  struct shoal_object o;
  char name[16];
  unsigned n = 0;
  int rc;
  for (;; n++) {
    snprintf(name, sizeof name, "o%u", n);
    int mark = (int)n % 100 + 1;
    rc = shoal_object_create(seg, name, "test", 300000, fill, &mark, &o);
    if (rc) break;
  }
  assert_int_equal(rc, -ENOSPC);
  assert_true(n >= 50);
  assert_int_equal(info_of(seg).size, small.size_max);
  verify(seg);
  for (unsigned i = 0; i < n; i++) {
    snprintf(name, sizeof name, "o%u", i);
    assert_ok(shoal_object_open(other, name, "test", &o));
    assert_int_equal(((char *)o.memory)[299999], (int)i % 100 + 1);
  }
  uint64_t used = info_of(seg).used;
  assert_int_equal(create(seg, "large", 1 << 20), -ENOSPC);
  assert_int_equal(info_of(seg).used, used);
  assert_ok(shoal_segment_close(other));
  verify(seg);
  shoal_held_drop_all_(seg);
  verify_empties(seg);
  assert_ok(create(seg, "all", small.size_max));
  assert_ok(shoal_segment_close(seg));
}

static void test_reuse_of_memory(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small);
  uint32_t seed = 5;
  char name[16];
  struct shoal_object held[32] = {{0}};
  for (int i = 0; i < 20000; i++) {
    unsigned k = random_next(&seed) % 32;
    int mark = (int)k + 1;
    snprintf(name, sizeof name, "o%u", k);
    if (held[k].memory) {
      for (uint64_t b = 0; b < held[k].size; b += 100) assert_int_equal(((char *)held[k].memory)[b], mark);
      assert_ok(shoal_object_remove(seg, name));
      assert_ok(shoal_object_close(seg, &held[k]));
    } else {
      assert_ok(shoal_object_create(seg, name, "test", 1 + random_next(&seed) % 20000, fill, &mark, &held[k]));
    }
    if (i % 1000 == 0) verify(seg);
  }
  assert_true(info_of(seg).size <= 2 << 20);
  for (unsigned k = 0; k < 32; k++)
    if (held[k].memory) assert_ok(shoal_object_close(seg, &held[k]));
  verify_empties(seg);
  assert_ok(shoal_segment_close(seg));
}

// What was never used is zero, and not even looked at; what was is zeroed.
static void test_memory_is_zero(void **state) {
  (void)state;
  enum { SIZE = 4 << 20, PAGES = SIZE / 4096 };
  struct shoal_segment *seg = anonymous(&(struct shoal_segment_options){.size = 2 * SIZE, .objects = 8});
  struct shoal_object o;
  struct rusage before, after;
  int nine = 9;
  getrusage(RUSAGE_SELF, &before);
  assert_ok(shoal_object_create(seg, "fresh", "test", SIZE, NULL, NULL, &o));
  getrusage(RUSAGE_SELF, &after);
  assert_true(after.ru_minflt - before.ru_minflt < PAGES / 4);
  assert_ok(shoal_object_remove(seg, "fresh"));
  assert_ok(shoal_object_close(seg, &o));
  for (int i = 0; i < 3; i++) {  // longer each time: what was used, and some that was not
    seg->next_unit = (shoal_atomic64){0};
    assert_ok(shoal_object_create(seg, "used", "test", SIZE / 4 * (i + 2), fill, &nine, &o));
    assert_ok(shoal_object_remove(seg, "used"));
    assert_ok(shoal_object_close(seg, &o));
  }
  assert_ok(shoal_segment_close(seg));
}

// Names that come and go, all different: the table does not clog with what was freed.
static void test_searches_stay_short(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&(struct shoal_segment_options){.participants = 16, .objects = 64});
  char name[16];
  uint32_t seed = 5, empty = 0, slot[64], n = 0;
  for (uint32_t i = 0; i < 64; i++) slot[i] = n++;
  for (uint32_t round = 0; round < 20000 + 64; round++) {
    uint32_t *one = &slot[round < 64 ? round : random_next(&seed) % 64];
    if (round >= 64) {
      snprintf(name, sizeof name, "n%u", *one);
      assert_ok(shoal_object_remove(seg, name));
      shoal_held_drop_all_(seg);
      *one = n++;
    }
    snprintf(name, sizeof name, "n%u", *one);
    assert_ok(create(seg, name, 64));
  }
  for (uint32_t i = 0; i < seg->g.entries; i++)
    empty += STATE_OF(shoal_load64_relaxed(&seg->entries[i].state)) == EMPTY;
  assert_true(empty > seg->g.entries / 8);
  shoal_held_drop_all_(seg);
  verify_empties(seg);
  assert_ok(shoal_segment_close(seg));
}

static void test_100000_objects(void **state) {
  (void)state;
  enum { N = 100000 };
  struct shoal_segment *seg = anonymous(&(struct shoal_segment_options){.objects = N});
  struct shoal_object *o = calloc(N, sizeof *o), opened;
  char name[32];
  int64_t t0 = shoal_now_ns();
  for (int i = 0; i < N; i++) {
    snprintf(name, sizeof name, "object-%d", i);
    assert_ok(shoal_object_create(seg, name, "test", 200, NULL, NULL, &o[i]));
  }
  int64_t t1 = shoal_now_ns();
  assert_int_equal(create(seg, "one more", 200), -ENOSPC);
  int64_t t2 = shoal_now_ns();
  for (int i = 0; i < N; i++) {
    snprintf(name, sizeof name, "object-%d", i);
    assert_ok(shoal_object_open(seg, name, "test", &opened));
    assert_ptr_equal(opened.memory, o[i].memory);
    assert_ok(shoal_object_close(seg, &opened));
  }
  int64_t t3 = shoal_now_ns();
  for (int i = 0; i < N; i++) {
    snprintf(name, sizeof name, "object-%d", i);
    assert_ok(shoal_object_remove(seg, name));
    assert_ok(shoal_object_close(seg, &o[i]));
  }
  int64_t t4 = shoal_now_ns();
  print_message(
      "100,000 objects: create %.2f, open and close %.2f, remove and close %.2f us each; one too many %.1f ms\n",
      (t1 - t0) / 1e3 / N, (t3 - t2) / 1e3 / N, (t4 - t3) / 1e3 / N, (t2 - t1) / 1e6);
  assert_int_equal(info_of(seg).used, 0);
  free(o);
  assert_ok(shoal_segment_close(seg));
}

int main(void) {
  alarm(WATCHDOG_S);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_create_open_close_remove),
      cmocka_unit_test(test_found_by_address),
      cmocka_unit_test(test_removed_by_type),
      cmocka_unit_test(test_made_in_two_steps),
      cmocka_unit_test(test_made_where_none_was_leaves_no_reason),
      cmocka_unit_test(test_arguments),
      cmocka_unit_test(test_alignment),
      cmocka_unit_test(test_init_that_fails),
      cmocka_unit_test(test_init_that_creates),
      cmocka_unit_test(test_init_that_leaves),
      cmocka_unit_test(test_list),
      cmocka_unit_test(test_all_names_taken),
      cmocka_unit_test(test_growth_by_itself),
      cmocka_unit_test(test_reuse_of_memory),
      cmocka_unit_test(test_memory_is_zero),
      cmocka_unit_test(test_searches_stay_short),
      cmocka_unit_test(test_100000_objects),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
