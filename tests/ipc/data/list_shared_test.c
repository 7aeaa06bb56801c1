// What ipc/data/list.h claims, of what many do:
// - beside writers nobody reads a torn value; appends of many are all there, each one's in its order; a slice is of one
//   moment
// - readers wait for nobody, stopped or dead; whoever writes next finds the list whole
// - whatever stands in its words, an error comes of it, and no access outside the segment
#include "tests/ipc/data/list_fixture.h"

// ---- several ----

static enum driver driver_now;
static struct shoal_list *mine(void) {
  struct shoal_list *l;
  struct shoal_segment *other;
  if (driver_now == THREADS) return list;
  CHECK(shoal_segment_open_fd(shoal_segment_fd(seg), &other) == 0);
  CHECK(shoal_list_open(other, "l", &l) == 0);
  return l;
}
static void together(unsigned n, arena_body body, void (*check)(void)) {
  for (driver_now = THREADS; driver_now < DRIVERS; driver_now++) {
    make(&small);
    arena_begin(4096);
    run(&arena, driver_now, n, body);
    check();
    arena_end(NULL);
    done();
  }
}
static void nothing(void) {}

#ifdef __SANITIZE_THREAD__
#define ROUNDS 600u
#define KILLS 8u
#else
#define ROUNDS 3000u
#define KILLS 25u
#endif
static void changes_and_reads(void *memory, unsigned i) {
  struct shoal_list *l = mine();
  uint32_t random = i + 77;
  static __thread char value[700];
  (void)memory;
  for (uint32_t n = 0; n < ROUNDS; n++) {
    uint32_t c = rnd(&random) % 100, at = rnd(&random) % 6;
    uint64_t size = 0;
    int rc;
    memset(value, (int)c, sizeof value);
    if (i >= 2) {
      rc = shoal_list_get(l, at, value, sizeof value, &size);
      CHECK(rc == 0 || rc == -ERANGE);
      if (rc == 0) CHECK(size % 7 == 0);
      for (uint64_t k = 0; rc == 0 && k < size; k++) CHECK((uint8_t)value[k] == size / 7);
    } else if (rnd(&random) % 2 == 0) {
      CHECK((rc = shoal_list_set(l, at, value, c * 7, F)) == 0 || rc == -ERANGE);
    } else if (shoal_list_len(l) < 8) {
      CHECK(shoal_list_insert(l, at, value, c * 7, F) == 0);
    } else {
      CHECK((rc = shoal_list_pop(l, rnd(&random) % 2 ? -1 : (int64_t)at, value, sizeof value, &size, F)) == 0 ||
            rc == -ERANGE);
    }
  }
}
// The last value goes and another comes, in the block that the first had.
#define LARGE 1000u
static void ends_and_reads(void *memory, unsigned i) {
  static __thread char value[LARGE];
  struct shoal_list *l = mine();
  uint64_t size;
  (void)memory;
  for (uint32_t n = 0; n < 50 * ROUNDS; n++) {
    if (i == 0) {
      CHECK(shoal_list_pop(l, -1, value, LARGE, &size, F) == 0);
      memset(value, (int)n, LARGE);
      CHECK(shoal_list_append(l, value, LARGE, F) == 0);
    } else if (shoal_list_get(l, n % 2 ? 1 : -1, value, LARGE, &size) == 0 && size == LARGE) {
      for (uint32_t k = 1; k < LARGE; k++) CHECK(value[k] == value[0]);
    }
  }
}
static void test_no_torn_ends(void **state) {
  (void)state;
  static char value[LARGE];
  for (driver_now = THREADS; driver_now < DRIVERS; driver_now++) {
    make(&small);
    arena_begin(4096);
    assert_int_equal(append("first"), 0);
    assert_int_equal(shoal_list_append(list, value, LARGE, F), 0);
    run(&arena, driver_now, 2, ends_and_reads);
    arena_end(NULL);
    done();
  }
}
static void test_no_torn_values(void **state) {
  (void)state;
  together(4, changes_and_reads, nothing);
}

static void appends(void *memory, unsigned i) {
  struct shoal_list *l = mine();
  (void)memory;
  for (uint32_t n = 0; n < ROUNDS; n++) {
    uint32_t value[2] = {i, n};
    CHECK(shoal_list_append(l, value, sizeof value, F) == 0);
  }
}
static void all_are_there(void) {
  uint32_t next[4] = {0, 0, 0, 0};
  struct shoal_list_slice s;
  struct iovec v;
  assert_int_equal(shoal_list_slice(list, 0, SHOAL_LIST_END, &s, F), 0);
  while (shoal_list_next(&s, &v)) {
    const uint32_t *value = v.iov_base;
    assert_int_equal(v.iov_len, 8);
    assert_int_equal(value[1], next[value[0]]++);
  }
  shoal_list_slice_free(&s);
  for (int i = 0; i < 4; i++) assert_int_equal(next[i], ROUNDS);
}
// No addition is lost, made by update or by compare and set.
#define ADDITIONS 300u
static void adds(void *memory, unsigned i) {
  struct shoal_list *l = mine();
  (void)memory;
  while (shoal_list_len(l) == 0)  // one of them makes it
    if (i == 0) CHECK(shoal_list_append(l, &(uint64_t){0}, 8, F) == 0);
  for (unsigned n = 0; n < ADDITIONS; n++) {
    uint64_t now, size, more;
    int rc = i % 2 ? shoal_list_update(l, 0, one_more, NULL, F) : SHOAL_LIST_OTHER;
    while (rc == SHOAL_LIST_OTHER) {
      CHECK(shoal_list_get(l, 0, &now, 8, &size) == 0 && size == 8);
      more = now + 1;
      rc = shoal_list_compare_and_set(l, 0, &now, 8, &more, 8, F);
    }
    CHECK(rc == 0);
  }
}
static void all_added(void) {
  uint64_t n = 0, size;
  assert_int_equal(shoal_list_get(list, 0, &n, 8, &size), 0);
  assert_int_equal(n, 4 * ADDITIONS);
}
static void test_no_addition_is_lost(void **state) {
  (void)state;
  together(4, adds, all_added);
}

static void test_all_appends_are_there(void **state) {
  (void)state;
  together(4, appends, all_are_there);
}

// Two at a time come and go: a slice never sees one of them.
static void pairs(void *memory, unsigned i) {
  struct shoal_list *l = mine();
  (void)memory;
  for (uint32_t n = 0; n < ROUNDS / 2; n++) {
    uint32_t value[2] = {n, n};
    struct iovec two[2] = {{&value[0], 4}, {&value[1], 4}};
    struct shoal_list_slice s;
    struct iovec v;
    if (i == 0) {
      CHECK(shoal_list_replace(l, 0, n % 3 ? 0 : 2, two, 2, F) == 0);
      if (n % 16 == 15) CHECK(shoal_list_replace(l, -4, SHOAL_LIST_END, NULL, 0, F) == 0);
      continue;
    }
    CHECK(shoal_list_slice(l, 0, SHOAL_LIST_END, &s, F) == 0);
    CHECK(s.values % 2 == 0);
    while (shoal_list_next(&s, &v)) {
      uint32_t first = *(uint32_t *)v.iov_base;
      CHECK(shoal_list_next(&s, &v) == 1 && *(uint32_t *)v.iov_base == first);
    }
    shoal_list_slice_free(&s);
  }
}
static void test_a_slice_is_of_one_moment(void **state) {
  (void)state;
  together(2, pairs, nothing);
}

// ---- the dead and the stopped ----

static void holds(void *memory, unsigned i) {
  (void)i;
  CHECK(shoal_list_lock_(list, F) == 0);
  say(memory, 1);
  for (;;) pause();
}
static void test_readers_wait_for_nobody(void **state) {
  (void)state;
  char text[8];
  uint64_t size;
  make(&small);
  shoal_atomic32 *stage = arena_begin(4096);
  assert_int_equal(append("old"), 0);
  struct peer p = peer_start(&arena, holds, 0);
  await(stage, 1);
  assert_int_equal(shoal_list_get(list, 0, text, 8, &size), 0);
  assert_int_equal(shoal_list_len(list), 1);
  assert_int_equal(shoal_list_append(list, "x", 1, SHOAL_TRY), -EAGAIN);
  assert_int_equal(shoal_list_append(list, "x", 1, shoal_after_ms(1)), -ETIMEDOUT);
  peer_kill(&p);
  assert_int_equal(shoal_list_get(list, 0, text, 8, &size), 0);
  assert_int_equal(append("new"), 0);
  assert_string_equal(ALL, "old new");
  arena_end(NULL);
  done();
}

static void churns(void *memory, unsigned i) {
  uint32_t random = i + 5;
  uint64_t size;
  (void)memory;
  for (uint32_t n = 0;; n++) {
    struct iovec three[3] = {{&n, 4}, {&n, 4}, {&random, 4}};
    int64_t at = rnd(&random) % 40;
    uint32_t value;
    switch (rnd(&random) % 8) {
      case 6: CHECK(shoal_list_remove(list, &n, 4, F) <= 0); break;
      case 7: CHECK(shoal_list_delete(list, at, F) <= 0); break;
      case 0: CHECK(shoal_list_insert(list, at, &n, 4, F) == 0); break;
      case 1: CHECK(shoal_list_extend(list, three, 3, F) == 0); break;
      case 2: CHECK(shoal_list_set(list, at, &n, 4, F) <= 0); break;
      case 3: CHECK(shoal_list_pop(list, -1, &value, 4, &size, F) <= 0); break;
      case 4: CHECK(shoal_list_replace(list, at, at + 5, three, 3, F) == 0); break;
      default: CHECK(shoal_list_replace(list, 30, SHOAL_LIST_END, NULL, 0, F) == 0);
    }
  }
}
static void test_random_kills_among_processes(void **state) {
  (void)state;
  make(&small);
  arena_begin(4096);
  for (unsigned round = 0; round < KILLS; round++) {
    struct peer p[3];
    for (unsigned i = 0; i < 3; i++) p[i] = peer_start(&arena, churns, i + round * 3);
    for (unsigned n = 0; n < 100 + round * 10; n++) assert_int_equal(append("mine"), 0);
    for (unsigned i = 0; i < 3; i++) peer_kill(&p[i]);
    assert_exact();
  }
  arena_end(NULL);
  done();
}

// ---- hostile words ----

static void every_call(uint32_t *random) {
  char value[100];
  uint64_t n;
  int64_t at = rnd(random) % 40 - 5;
  struct shoal_list_slice all;
  struct shoal_list_info info;
  void *copy;
  struct iovec v, two[2] = {{value, 3}, {value, 90}};
  (void)shoal_list_get(list, at, value, 100, &n);
  (void)shoal_list_set(list, at, value, rnd(random) % 100, SHOAL_TRY);
  (void)shoal_list_append(list, value, rnd(random) % 100, SHOAL_TRY);
  (void)shoal_list_replace(list, at, at + 3, two, 2, SHOAL_TRY);
  (void)shoal_list_pop(list, at, value, 100, &n, SHOAL_TRY);
  (void)shoal_list_pop(list, -1, value, 100, &n, SHOAL_TRY);
  (void)shoal_list_reverse(list, SHOAL_TRY);
  (void)shoal_list_sort(list, NULL, NULL, SHOAL_TRY);
  (void)shoal_list_index(list, "x", 1, 0, &n, SHOAL_TRY);
  (void)shoal_list_count(list, &at, 4, &n, SHOAL_TRY);
  (void)shoal_list_remove(list, &at, 4, SHOAL_TRY);
  (void)shoal_list_delete(list, at, SHOAL_TRY);
  if (shoal_list_pop_alloc(list, at, &copy, &n, SHOAL_TRY) == 0) free(copy);
  if (shoal_list_len(list) < 50) (void)shoal_list_repeat(list, rnd(random) % 3, SHOAL_TRY);
  if (shoal_list_slice(list, 0, SHOAL_LIST_END, &all, SHOAL_TRY) == 0) {
    while (shoal_list_next(&all, &v)) n += v.iov_len ? *(char *)v.iov_base : 0;
    shoal_list_slice_free(&all);
  }
  (void)shoal_list_info(list, &info);
  if (rnd(random) % 16 == 0) (void)shoal_list_clear(list, SHOAL_TRY);
}
static uint64_t *victim_word(uint32_t *random) {
  struct shoal_row_ r;
  struct shoal_item_ it;
  if (rnd(random) % 4 == 0) return (uint64_t *)&list->shm->slot + rnd(random) % 19;
  if (rnd(random) % 8 == 0) return (uint64_t *)(void *)&list->shm->lock;
  if (rnd(random) % 8 == 0) return (uint64_t *)&list->shm->root;
  if (shoal_list_look_(list, &r) || !r.shm || !is_a_block(list->keep.heap, r.shm)) return (uint64_t *)&list->shm->root;
  if (rnd(random) % 4 == 0) return (uint64_t *)r.shm + rnd(random) % 2;
  uint64_t word = shoal_load64_relaxed(&r.shm->word[rnd(random) % r.room]);
  if (rnd(random) % 2 && shoal_item_look_(&list->keep, word, &it) == 0 && is_a_block(list->keep.heap, it.shm))
    return (uint64_t *)(void *)it.shm + rnd(random) % 3;
  return (uint64_t *)&r.shm->word[rnd(random) % r.room];
}
static void is_scribbled_over(void *memory, unsigned i) {
  uint32_t random = i * 2654435761u + 1;
  (void)memory;
  for (unsigned round = 0; round < 30; round++) {
    make(&(struct shoal_segment_options){.size = 256 << 10, .size_max = 1 << 20, .participants = 4, .objects = 16});
    for (uint32_t k = 0; k < 30; k++) CHECK(shoal_list_append(list, &k, 4, F) == 0);
    for (unsigned n = 0; n < 20; n++) {
      scribble(victim_word, &random);
      every_call(&random);
    }
    (void)shoal_list_close(list);
    (void)shoal_segment_close(seg);
  }
}
static void test_longer_than_its_row(void **state) {
  (void)state;
  struct shoal_row_ r;
  uint32_t value, k = 0;
  uint64_t n;
  void *copy;
  make(&small);
  do assert_int_equal(shoal_list_append(list, &k, 4, F), 0);
  while (shoal_list_look_(list, &r) == 0 && ++k < r.room);
  shoal_store64_relaxed(&r.shm->length, r.room + 1);
  assert_int_equal(shoal_list_get(list, -1, &value, 4, &n), 0);
  assert_int_equal(value, k - 1);
  assert_int_equal(shoal_list_get_alloc(list, -1, &copy, &n), 0);
  free(copy);
  shoal_store64_relaxed(&r.shm->length, r.room);
  done();
}
// A row that would have its words over a lock that this thread holds, whose links it believes: another's, or the list's
// own.
static void test_over_what_is_held(void **state) {
  (void)state;
  struct shoal_object holder;
  make(&small);
  CHECK(shoal_object_create(seg, "held", "held", 256, NULL, NULL, &holder) == 0);
  struct shoal_robust *held = (struct shoal_robust *)(void *)((char *)holder.memory + 64), before;
  CHECK(shoal_robust_acquire_(held, F) == 0);
  CHECK(append("a") == 0);  // from here on, after each call, it is linked as before
  uint64_t root = shoal_load64_relaxed(&list->shm->root);
  char *over[] = {(char *)held, (char *)held - 16, (char *)&list->shm->lock};
  for (unsigned i = 0; i < 3; i++) {
    struct shoal_row_shm *row = (struct shoal_row_shm *)(void *)(over[i] - 64);
    if (i < 2) shoal_store64_relaxed(&row->length, i);
    memcpy(&before, held, sizeof before);
    shoal_store64_relaxed(&list->shm->root, (uint64_t)((char *)row - list->keep.base) >> 4 << 22 | 3u << 16);
    assert_int_equal(append("b"), -EPROTO);
    assert_int_equal(shoal_list_clear(list, F), -EPROTO);
    shoal_store64_relaxed(&list->shm->root, root);
    assert_memory_equal(held, &before, sizeof before);
  }
  shoal_robust_release_(held);
  CHECK(shoal_object_close(seg, &holder) + shoal_object_remove(seg, "held") == 0);
  assert_int_equal(append("b"), 0);
  assert_string_equal(ALL, "a b");
  done();
}

static void test_hostile_words(void **state) {
  (void)state;
  in_processes(is_scribbled_over);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_no_addition_is_lost),
      cmocka_unit_test(test_no_torn_values),
      cmocka_unit_test(test_no_torn_ends),
      cmocka_unit_test(test_all_appends_are_there),
      cmocka_unit_test(test_a_slice_is_of_one_moment),
      cmocka_unit_test(test_readers_wait_for_nobody),
      cmocka_unit_test(test_random_kills_among_processes),
      cmocka_unit_test(test_longer_than_its_row),
      cmocka_unit_test(test_over_what_is_held),
      cmocka_unit_test(test_hostile_words),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
