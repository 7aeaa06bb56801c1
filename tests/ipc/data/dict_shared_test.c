// What ipc/data/dict.h claims, of several:
// - beside writers nobody reads a torn value, nor misses a key that is there, nor sees a key go back to an older value
// - updates and compare-and-sets of many are exact; a snapshot is of one moment
// - readers wait for nobody: not for a writer that stands, nor for one that was killed; whose stripe the next writer
//   gets
// - whatever stands in its words, an error comes of it, and no access outside the segment
#include "tests/ipc/data/dict_fixture.h"

// ---- several ----

struct shared {
  shoal_atomic32 stage;
};
static struct shared *S;
static enum driver driver_now;

// The calling worker's view: in a process of its own mapping.
static struct shoal_dict *mine(void) {
  struct shoal_dict *d;
  struct shoal_segment *other;
  if (driver_now == THREADS) return dict;
  CHECK(shoal_segment_open_fd(shoal_segment_fd(seg), &other) == 0);
  CHECK(shoal_dict_open(other, "d", &d) == 0);
  return d;
}
static void together(unsigned n, arena_body body, void (*check)(void), const struct shoal_dict_options *how) {
  for (driver_now = THREADS; driver_now < DRIVERS; driver_now++) {
    make(&small, how);
    S = arena_begin(1 << 14);
    run(&arena, driver_now, n, body);
    check();
    arena_end(NULL);
    done();
  }
}
static void nothing(void) {}

#ifdef __SANITIZE_THREAD__
#define ROUNDS 800u
#define KILLS 8u
#else
#define ROUNDS 4000u
#define KILLS 25u
#endif
#define KEYS 5u
// Values of one byte each, of lengths that tell them apart.
static void writes_and_reads(void *memory, unsigned i) {
  struct shoal_dict *d = mine();
  uint32_t random = i + 77;
  (void)memory;
  static __thread char value[700];
  for (uint32_t n = 0; n < ROUNDS; n++) {
    uint32_t key = rnd(&random) % KEYS;
    uint64_t size = 0;
    if (i < 2) {
      uint32_t c = rnd(&random) % 100;
      memset(value, (int)c, sizeof value);
      if (c == 99) CHECK(shoal_dict_remove(d, &key, 4, F) <= 0);
      else CHECK(shoal_dict_set(d, &key, 4, value, c * 7, F) == 0);
    } else {
      int rc = shoal_dict_get(d, &key, 4, value, sizeof value, &size);
      CHECK(rc == 0 || rc == -ENOENT);
      if (rc == 0) CHECK(size % 7 == 0);
      for (uint64_t at = 0; rc == 0 && at < size; at++) CHECK((uint8_t)value[at] == size / 7);
    }
  }
}
static void test_no_torn_values(void **state) {
  (void)state;
  together(4, writes_and_reads, nothing, NULL);
  together(4, writes_and_reads, nothing, &(struct shoal_dict_options){.stripes = 1});
}

// Values of one length, which are changed where they are: whole, in whatever way they are read, and none comes back.
#define WIDE 7u
static int follow(struct shoal_dict *d, uint32_t key, uint64_t *last, unsigned way) {
  uint64_t now[WIDE] = {0}, size = 0, version, *copy = now;
  struct shoal_dict_want want = {.key = &key, .key_size = 4, .buffer = now, .capacity = sizeof now};
  if (way == 0) CHECK(shoal_dict_get(d, &key, 4, now, sizeof now, &size) == 0);
  else if (way == 1) CHECK(shoal_dict_get_versioned(d, &key, 4, now, sizeof now, &size, &version) == 0);
  else if (way == 2) CHECK(shoal_dict_get_n(d, &want, 1) == 1 && (size = want.size));
  else CHECK(shoal_dict_get_alloc(d, &key, 4, (void **)&copy, &size) == 0);
  CHECK(size == sizeof now && copy[0] >= *last);
  for (unsigned i = 1; i < WIDE; i++) CHECK(copy[i] == copy[0]);
  *last = copy[0];
  if (way == 3) free(copy);
  return 0;
}
static void changes_or_follows(void *memory, unsigned i) {
  struct shoal_dict *d = mine();
  struct shared *s = memory;
  uint64_t last[2] = {0, 0}, wide[WIDE] = {0};
  uint32_t key = i;
  if (i < 2) CHECK(shoal_dict_set(d, &key, 4, wide, sizeof wide, F) == 0);
  if (i < 2) shoal_add32_seq_cst(&s->stage, 1);
  await(&s->stage, 2);
  for (uint64_t n = 1; n <= ROUNDS; n++) {
    for (unsigned k = 0; k < WIDE; k++) wide[k] = n;
    if (i < 2) CHECK(shoal_dict_set(d, &key, 4, wide, sizeof wide, F) == 0);
    else CHECK(follow(d, n % 2, &last[n % 2], n / 2 % 4) == 0);
  }
}
static void test_changed_where_they_are(void **state) {
  (void)state;
  together(4, changes_or_follows, nothing, NULL);
  together(4, changes_or_follows, nothing, &(struct shoal_dict_options){.stripes = 1});
}

// One key counts up, others come, go and have the table changed; a key that stays is never missed.
static void counts_or_follows(void *memory, unsigned i) {
  struct shoal_dict *d = mine();
  struct shared *s = memory;
  uint64_t last = 0, now = 0, size;
  if (i == 0) CHECK(shoal_dict_set(d, "stays", 5, "here", 4, F) == 0);
  if (i == 0) CHECK(shoal_dict_set(d, "count", 5, &last, 8, F) == 0);
  if (i == 0) say(&s->stage, 1);
  await(&s->stage, 1);
  for (uint64_t n = 1; n <= ROUNDS; n++) {
    uint32_t key = (uint32_t)(n - 1) % 1500;
    if (i == 0) CHECK(shoal_dict_set(d, "count", 5, &n, 8, F) == 0);
    else if (i == 1)
      CHECK(((n - 1) / 1500 % 2 ? shoal_dict_remove(d, &key, 4, F) : shoal_dict_set(d, &key, 4, &n, 8, F)) == 0);
    if (i < 2) continue;
    CHECK(shoal_dict_contains(d, "stays", 5) == 1);
    CHECK(shoal_dict_get(d, "count", 5, &now, 8, &size) == 0 && size == 8 && now >= last);
    last = now;
  }
}
static void test_nothing_is_missed(void **state) {
  (void)state;
  together(4, counts_or_follows, nothing, NULL);
}

static int add_one(struct shoal_dict_change *c, void *arg) {
  static __thread uint64_t one;
  (void)arg;
  if (c->value) ++*(uint64_t *)c->value;
  else one = 1, c->value = &one, c->size = sizeof one;
  return SHOAL_DICT_SET;
}
static void adds(void *memory, unsigned i) {
  struct shoal_dict *d = mine();
  (void)memory;
  for (uint32_t n = 0; n < ROUNDS / 2; n++) {
    uint64_t now = 0, then, size, version = SHOAL_DICT_ABSENT;
    CHECK(shoal_dict_update(d, "update", 6, add_one, NULL, F) == 0);
    do {
      version = SHOAL_DICT_ABSENT, now = 0;
      int rc = shoal_dict_get_versioned(d, "version", 7, &now, 8, &size, &version);
      CHECK(rc == 0 || rc == -ENOENT);
      then = now + 1;
    } while (shoal_dict_set_if(d, "version", 7, version, &then, 8, F) == SHOAL_DICT_OTHER);
    do {
      now = 0;
      int rc = shoal_dict_get(d, "value", 5, &now, 8, &size);
      then = now + 1;
      if (rc == 0) rc = shoal_dict_compare_and_set(d, "value", 5, &now, 8, &then, 8, F);
      else rc = shoal_dict_compare_and_set(d, "value", 5, NULL, 0, &then, 8, F);
      if (rc == 0) break;
      CHECK(rc == SHOAL_DICT_OTHER);
    } while (1);
    uint32_t key = n * 4 + i;
    CHECK(shoal_dict_set(d, &key, 4, &key, 4, F) == 0);
  }
}
static void all_were_counted(void) {
  uint64_t n, size;
  const char *names[] = {"update", "version", "value"};
  for (int i = 0; i < 3; i++) {
    assert_int_equal(shoal_dict_get(dict, names[i], strlen(names[i]), &n, 8, &size), 0);
    assert_int_equal(n, 4 * (ROUNDS / 2));
  }
  assert_int_equal(shoal_dict_len(dict), 3 + 4 * (ROUNDS / 2));
}
static void test_compound_is_atomic(void **state) {
  (void)state;
  together(4, adds, all_were_counted, NULL);
}

// What several put in and several take out: each entry once, and nobody is told of an end that is none.
#define HAUL 300u
struct haul {
  shoal_atomic32 put, taken[2 * HAUL];
};
static void puts_or_takes(void *memory, unsigned i) {
  struct shoal_dict *d = mine();
  struct haul *h = memory;
  for (uint32_t n = 0; i < 2 && n < HAUL; n++) {
    uint32_t key = 2 * n + i;
    CHECK(shoal_dict_set(d, &key, 4, &key, 4, F) == 0);
    shoal_add32_seq_cst(&h->put, 1);
  }
  while (i >= 2) {
    void *pair;
    struct shoal_dict_item item;
    uint32_t put = shoal_load32_seq_cst(&h->put), key;
    int rc = shoal_dict_popitem(d, &pair, &item, F);
    CHECK(rc == 0 || rc == -ENOENT);
    if (rc == -ENOENT && put == 2 * HAUL) break;
    if (rc == -ENOENT) continue;
    CHECK(item.key_size == 4 && item.size == 4 && memcmp(item.key, item.value, 4) == 0);
    memcpy(&key, item.key, 4);
    CHECK(key < 2 * HAUL && shoal_add32_seq_cst(&h->taken[key], 1) == 0);
    free(pair);
  }
}
static void all_were_taken(void) {
  struct haul *h = (struct haul *)(void *)S;
  for (uint32_t key = 0; key < 2 * HAUL; key++) assert_int_equal(shoal_load32_seq_cst(&h->taken[key]), 1);
  assert_int_equal(shoal_dict_len(dict), 0);
}
static void test_each_is_taken_once(void **state) {
  (void)state;
  together(4, puts_or_takes, all_were_taken, NULL);
  together(4, puts_or_takes, all_were_taken, &(struct shoal_dict_options){.stripes = 1});
}

// The one key is so long that it is mostly set anew while popitem copies it: what had changed by then is neither freed
// twice nor lost.
static void sets_or_pops(void *memory, unsigned i) {
  struct shoal_dict *d = mine();
  struct shared *s = memory;
  static __thread char key[20000];
  memset(key, 'k', sizeof key);
  for (uint32_t n = 0; i == 0 && n < ROUNDS / 2; n++) CHECK(shoal_dict_set(d, key, sizeof key, &n, 4, F) == 0);
  if (i == 0) say(&s->stage, 1);
  for (int last = 0; i != 0 && !last;) {
    void *pair;
    struct shoal_dict_item item;
    last = shoal_load32_seq_cst(&s->stage) == 1;
    int rc = shoal_dict_popitem(d, &pair, &item, F);
    CHECK(rc == 0 || rc == -ENOENT);
    if (rc) continue;
    CHECK(item.key_size == sizeof key && memcmp(item.key, key, sizeof key) == 0 && item.size == 4);
    free(pair);
  }
}
static void none_is_left(void) { assert_int_equal(shoal_dict_len(dict), 0); }
static void test_changed_while_it_is_copied(void **state) {
  (void)state;
  together(2, sets_or_pops, none_is_left, NULL);
}

// Two keys that follow each other: a snapshot sees them as they were at one moment. Clears are seen whole.
static void moves_or_looks(void *memory, unsigned i) {
  struct shoal_dict *d = mine();
  (void)memory;
  for (uint64_t n = 1; n <= ROUNDS / 4; n++) {
    struct shoal_dict_snapshot all;
    struct shoal_dict_item item;
    uint64_t first = 0, second = 0;
    if (i == 0) {
      CHECK(shoal_dict_set(d, "first", 5, &n, 8, F) == 0);
      CHECK(shoal_dict_set(d, "second", 6, &n, 8, F) == 0);
      if (n % 64 == 0) CHECK(shoal_dict_clear(d, F) == 0);
      continue;
    }
    CHECK(shoal_dict_snapshot(d, &all, F) == 0);
    while (shoal_dict_next(&all, &item)) memcpy(item.key_size == 5 ? &first : &second, item.value, 8);
    CHECK(second ? first - second <= 1 : first % 64 <= 1);  // without the other only right after a clear
    shoal_dict_snapshot_free(&all);
  }
}
static void test_a_snapshot_is_of_one_moment(void **state) {
  (void)state;
  together(3, moves_or_looks, nothing, NULL);
}

// ---- the dead and the stopped ----

static int stands(struct shoal_dict_change *c, void *arg) {
  struct shared *s = arg;
  (void)c;
  say(&s->stage, 1);
  while (pause()) continue;
  return 0;
}
static void holds(void *memory, unsigned i) {
  (void)i;
  (void)shoal_dict_update(dict, "held", 4, stands, memory, F);
}
static void holds_all(void *memory, unsigned i) {
  struct shared *s = memory;
  (void)i;
  CHECK(shoal_dict_lock_all_(dict, F) == 0);
  say(&s->stage, 1);
  for (;;) pause();
}
static void assert_readable(void) {
  assert_string_equal(get("held"), "old");
  assert_string_equal(get("other"), "too");
  assert_int_equal(shoal_dict_len(dict), 2);
}
static void with_holder(arena_body body) {
  make(&small, NULL);
  S = arena_begin(sizeof *S);
  assert_int_equal(set("held", "old"), 0);
  assert_int_equal(set("other", "too"), 0);
  struct peer p = peer_start(&arena, body, 0);
  await(&S->stage, 1);
  assert_readable();
  assert_int_equal(shoal_dict_set(dict, "held", 4, "new", 3, SHOAL_TRY), -EAGAIN);
  assert_int_equal(shoal_dict_set(dict, "held", 4, "new", 3, shoal_after_ms(1)), -ETIMEDOUT);
  assert_int_equal(shoal_dict_clear(dict, SHOAL_TRY), -EAGAIN);
  struct shoal_dict_info info;
  assert_int_equal(shoal_dict_info(dict, &info), 0);
  assert_true(info.writers >= 1);
  assert_readable();
  peer_kill(&p);
  assert_readable();
  assert_int_equal(shoal_dict_set(dict, "held", 4, "new", 3, F), 0);
  assert_string_equal(get("held"), "new");
  assert_int_equal(shoal_dict_clear(dict, F), 0);
  arena_end(NULL);
  done();
}
static void test_readers_wait_for_nobody(void **state) {
  (void)state;
  with_holder(holds);
  with_holder(holds_all);
}

static void churns(void *memory, unsigned i) {
  uint32_t random = i + 5;
  (void)memory;
  for (uint32_t n = 0;; n++) {
    uint32_t key = rnd(&random) % 300;
    if (rnd(&random) % 3) CHECK(shoal_dict_set(dict, &key, 4, &n, 4, F) == 0);
    else CHECK(shoal_dict_remove(dict, &key, 4, F) <= 0);
    if (n % 500 == 499) CHECK(shoal_dict_clear(dict, F) == 0);
  }
}
static void test_random_kills_among_processes(void **state) {
  (void)state;
  make(&small, &(struct shoal_dict_options){.stripes = 2});
  S = arena_begin(sizeof *S);
  for (unsigned round = 0; round < KILLS; round++) {
    struct peer p[3];
    uint32_t key = 400;
    for (unsigned i = 0; i < 3; i++) p[i] = peer_start(&arena, churns, i + round * 3);
    for (unsigned n = 0; n < 200 + round * 20; n++) assert_int_equal(shoal_dict_set(dict, &key, 4, &n, 4, F), 0);
    for (unsigned i = 0; i < 3; i++) peer_kill(&p[i]);
    assert_exact();
  }
  arena_end(NULL);
  done();
}

// ---- hostile words ----

// Of what it is shown it touches no more than it was told is there.
static int touches_all(struct shoal_dict_change *c, void *arg) {
  static __thread char other[50];
  if (c->value) memset(c->value, 'x', c->size);
  else c->value = other, c->size = rnd(arg) % sizeof other;
  return (int)(rnd(arg) % 3);
}
static void every_call(uint32_t *random) {
  char value[100];
  uint64_t n, version;
  uint32_t key = rnd(random) % 40;
  struct shoal_dict_snapshot all;
  struct shoal_dict_item item;
  struct shoal_dict_info info;
  void *copy;
  (void)shoal_dict_get_versioned(dict, &key, 4, value, 100, &n, &version);
  if (shoal_dict_get_alloc(dict, &key, 4, &copy, &n) == 0) free(copy);
  (void)shoal_dict_set(dict, &key, 4, value, rnd(random) % 100, SHOAL_TRY);
  (void)shoal_dict_set(dict, random, 4, value, rnd(random) % 100, SHOAL_TRY);
  (void)shoal_dict_update(dict, &key, 4, touches_all, random, SHOAL_TRY);
  (void)shoal_dict_remove(dict, &key, 4, SHOAL_TRY);
  (void)shoal_dict_update(dict, &key, 4, touches_all, random, SHOAL_TRY);
  if (shoal_dict_snapshot(dict, &all, SHOAL_TRY) == 0) {
    while (shoal_dict_next(&all, &item)) version += item.key_size ? *(const char *)item.key : 0;
    shoal_dict_snapshot_free(&all);
  }
  (void)shoal_dict_info(dict, &info);
  (void)shoal_dict_len(dict);
  int rc = shoal_dict_popitem(dict, &copy, &item, SHOAL_TRY);
  if (rc == 0) version += item.size ? *(const char *)item.value : 0;
  if (rc == 0 || rc == -EBADMSG) free(copy);
  if (shoal_dict_pop_alloc(dict, &key, 4, &copy, &n, SHOAL_TRY) == 0) free(copy);
  if (rnd(random) % 8 == 0) (void)shoal_dict_clear(dict, SHOAL_TRY);
}
// A word of the head, of a stripe but for its lock, of the table or of a block.
static uint64_t *victim_word(uint32_t *random) {
  struct shoal_dict_shm *shm = dict->shm;
  struct shoal_dict_stripe_shm *s = &shm->stripe[rnd(random) % dict->stripes];
  struct shoal_table_ t;
  if (rnd(random) % 4 == 0) return (uint64_t *)&shm->root + rnd(random) % 13;
  if (rnd(random) % 3 == 0) return (uint64_t *)&s->slot + rnd(random) % 11;
  if (rnd(random) % 16 == 0) return (uint64_t *)(void *)&s->lock;
  if (shoal_dict_table_(dict, &t) || !t.shm || !is_a_block(dict->keep.heap, t.shm)) return (uint64_t *)&shm->used;
  uint64_t word = shoal_load64_relaxed(&t.shm->word[rnd(random) & t.mask]);
  struct shoal_item_ it;
  if (rnd(random) % 2 && word > 1 && shoal_item_look_(&dict->keep, word, &it) == 0 &&
      is_a_block(dict->keep.heap, it.shm))
    return (uint64_t *)(void *)it.shm + rnd(random) % 3;
  return (uint64_t *)&t.shm->word[rnd(random) & t.mask];
}
static void is_scribbled_over(void *memory, unsigned i) {
  uint32_t random = i * 2654435761u + 1;
  (void)memory;
  for (unsigned round = 0; round < 30; round++) {
    make(&(struct shoal_segment_options){.size = 256 << 10, .size_max = 1 << 20, .participants = 4, .objects = 16},
         &(struct shoal_dict_options){.stripes = 2});
    for (uint32_t k = 0; k < 30; k++) CHECK(shoal_dict_set(dict, &k, 4, &k, 4, F) == 0);
    for (unsigned n = 0; n < 20; n++) {
      scribble(victim_word, &random);
      every_call(&random);
    }
    (void)shoal_dict_close(dict);
    (void)shoal_segment_close(seg);
  }
}
static void test_hostile_words(void **state) {
  (void)state;
  in_processes(is_scribbled_over);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_no_torn_values),
      cmocka_unit_test(test_changed_where_they_are),
      cmocka_unit_test(test_nothing_is_missed),
      cmocka_unit_test(test_compound_is_atomic),
      cmocka_unit_test(test_a_snapshot_is_of_one_moment),
      cmocka_unit_test(test_readers_wait_for_nobody),
      cmocka_unit_test(test_random_kills_among_processes),
      cmocka_unit_test(test_each_is_taken_once),
      cmocka_unit_test(test_changed_while_it_is_copied),
      cmocka_unit_test(test_hostile_words),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
