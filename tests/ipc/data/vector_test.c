// Claims of ipc/data/vector and ipc/data/text:
//   vector  1 what is appended stays where it is, in order, while it grows; other mappings see it
//           2 readers beside writers see whole elements below the count, and a count that never goes back: threads,
//           processes 3 extend and grow: all or nothing, across chunks; the limit and a full segment refuse and change
//           nothing 4 of another type or size: refused, naming both; beyond the end: -ERANGE; closed, unlinked: its
//           memory returns 5 whatever words stand there: an answer, no access outside
//   text    6 set, append, printf, update; what is too long is refused, and nothing changes; any bytes
//           7 readers beside writers see one string whole
//           8 by name, placed; of another capacity or kind: refused; any words: an answer
#include "ipc/data/vector.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "core/error.h"
#include "ipc/data/text.h"
#include "tests/harness/stage.h"

struct sample {
  uint64_t number, again, check;
};
SHOAL_VECTOR_TYPED(samples, struct sample)
SHOAL_VECTOR_TYPED(words, uint64_t)

#define assert_ok(call)                                                                                      \
  do {                                                                                                       \
    int rc_ = (call);                                                                                        \
    if (rc_) fail_msg("%s:%d: %s: %s (%s)", __FILE__, __LINE__, #call, shoal_strerror(rc_), shoal_reason()); \
  } while (0)

static struct shoal_segment *seg;
static uint64_t used(void) {
  struct shoal_segment_info info;
  assert_ok(shoal_segment_info(seg, &info));
  return info.used;
}
static int setup(void **state) {
  (void)state;
  watchdog(50);
  return shoal_segment_create(NULL, &(struct shoal_segment_options){.size = 1 << 20, .size_max = 1 << 24}, &seg);
}
static int teardown(void **state) {
  (void)state;
  return shoal_segment_close(seg);
}

// ---- 1, 4 ----
static void test_it_grows(void **state) {
  (void)state;
  struct shoal_segment *other;
  struct shoal_vector v, w;
  struct shoal_vector_info info;
  uint64_t *first = NULL, *at, index, before = used();
  assert_ok(words_create(seg, "v", &(struct shoal_vector_options){.first = 3}, &v));
  assert_ok(shoal_segment_open_fd(shoal_segment_fd(seg), &other));
  assert_ok(words_open(other, "v", &w));
  assert_int_equal(words_at(&v, 0, &at), -ERANGE);
  for (uint64_t i = 0; i < 1000; i++) {
    assert_ok(words_append(i % 2 ? &v : &w, &i, &index, SHOAL_FOREVER));
    assert_int_equal(index, i);
    assert_ok(words_at(&v, 0, &at));
    if (!first) first = at;
    assert_ptr_equal(first, at);
  }
  assert_int_equal(shoal_vector_length(&w), 1000);
  for (uint64_t i = 0; i < 1000; i++) {
    assert_ok(words_at(&w, i, &at));
    assert_int_equal(*at, i);
    assert_int_equal((uintptr_t)at % 8, 0);
  }
  assert_int_equal(words_get(&v, 1000, &index), -ERANGE);
  assert_ok(shoal_vector_info(&v, &info));
  assert_int_equal(info.chunks, 9);  // 4 elements and 8 doublings: 1,024
  assert_string_equal(info.type, "uint64_t");
  assert_int_equal(samples_open(seg, "v", &w), -EBADMSG);
  assert_non_null(strstr(shoal_reason(), "uint64_t (8 bytes), not of struct sample (24 bytes)"));
  assert_ok(shoal_segment_close(other));
  assert_ok(shoal_vector_close(&v));
  assert_int_equal(shoal_vector_close(&v), -EINVAL);
  assert_ok(shoal_vector_unlink(seg, "v"));
  assert_int_equal(used(), before);
  assert_int_equal(words_open(seg, "v", &v), -ENOENT);
}

// ---- 2 ----
#define EACH 2000u
static void write_or_read(void *memory, unsigned i) {
  struct shoal_segment *mine;
  struct shoal_vector v;
  (void)memory;
  CHECK(shoal_segment_open_fd(shoal_segment_fd(seg), &mine) == 0 && samples_open(mine, "s", &v) == 0);
  for (uint64_t k = 0, last = 0; i < 2 ? k < EACH : last < 2 * EACH; k++) {
    struct sample *at = NULL, s = {k, k, ~k};
    if (i < 2) {
      CHECK(samples_append(&v, &s, NULL, SHOAL_FOREVER) == 0);
      continue;
    }
    uint64_t n = shoal_vector_length(&v);
    CHECK(n >= last);
    last = n;
    if (!n) continue;
    CHECK(samples_at(&v, n - 1, &at) == 0 && at->number == at->again && at->check == ~at->number);
    CHECK(samples_at(&v, n / 2, &at) == 0 && at->check == ~at->number);
  }
  CHECK(shoal_vector_close(&v) == 0 && shoal_segment_close(mine) == 0);
}
static void test_readers_beside_writers(void **state) {
  (void)state;
  for (int d = THREADS; d < DRIVERS; d++) {
    struct shoal_vector v;
    assert_ok(samples_create(seg, "s", &(struct shoal_vector_options){.first = 1}, &v));
    arena_begin(4096);
    run(&arena, (enum driver)d, 3, write_or_read);
    assert_int_equal(shoal_vector_length(&v), 2 * EACH);
    arena_free(&arena);
    assert_ok(shoal_vector_close(&v));
    assert_ok(shoal_vector_unlink(seg, "s"));
  }
}

// ---- 3 ----
static void test_many_at_once(void **state) {
  (void)state;
  struct shoal_vector v;
  uint64_t all[300], x = 0, index;
  for (uint64_t i = 0; i < 300; i++) all[i] = i;
  assert_ok(words_create(seg, NULL, &(struct shoal_vector_options){.first = 4, .limit = 1000}, &v));
  assert_ok(words_extend(&v, all, 0, NULL, SHOAL_FOREVER));
  assert_ok(words_extend(&v, all, 300, &index, SHOAL_FOREVER));
  assert_int_equal(index, 0);
  assert_ok(words_extend(&v, all, 300, &index, SHOAL_TRY));
  assert_int_equal(index, 300);
  for (uint64_t i = 0; i < 600; i++) {
    assert_ok(words_get(&v, i, &x));
    assert_int_equal(x, i % 300);
  }
  assert_ok(shoal_vector_grow(&v, 700, SHOAL_FOREVER));
  assert_ok(shoal_vector_grow(&v, 650, SHOAL_FOREVER));
  assert_int_equal(shoal_vector_length(&v), 700);
  assert_ok(words_get(&v, 699, &x));
  assert_int_equal(x, 0);
  assert_int_equal(words_extend(&v, all, 301, NULL, SHOAL_FOREVER), -ENOSPC);
  assert_int_equal(shoal_vector_grow(&v, UINT64_MAX, SHOAL_FOREVER), -ENOSPC);
  assert_int_equal(shoal_vector_length(&v), 700);
  assert_ok(shoal_vector_close(&v));
}
static void test_a_full_segment(void **state) {
  (void)state;
  struct shoal_vector v;
  uint64_t length, x;
  assert_ok(words_create(seg, "full", NULL, &v));
  assert_int_equal(shoal_vector_grow(&v, 1 << 22, SHOAL_FOREVER), -ENOSPC);
  assert_int_equal(shoal_vector_length(&v), 0);
  for (length = 0; words_append(&v, &length, NULL, SHOAL_FOREVER) == 0 && length < 1 << 20; length++) continue;
  assert_int_equal(shoal_vector_length(&v), length);
  assert_ok(words_get(&v, length - 1, &x));
  assert_int_equal(x, length - 1);
  assert_ok(shoal_vector_close(&v));
  assert_int_equal(words_create(seg, "v", &(struct shoal_vector_options){.first = UINT64_MAX}, &v), -EINVAL);
  assert_int_equal(shoal_vector_create(seg, "v", "t", 0, NULL, &v), -EINVAL);
  assert_int_equal(shoal_vector_create(seg, "v", NULL, 1, NULL, &v), -EINVAL);
}

// ---- 5, 8 ----
static uint64_t random_word(uint32_t *r) {
  uint64_t word = 0;
  for (int i = 0; i < 3; i++) *r ^= *r << 13, *r ^= *r >> 17, *r ^= *r << 5, word = word << 32 ^ *r;
  switch (*r % 5) {
    case 0: return *r >> 8 & 3;
    case 1: return word % 5000;
    case 2: return UINT64_MAX;
    case 3: return word >> (*r >> 8) % 64;
    default: return word;
  }
}
// The writer word, whose links are believed, is not written to as an element.
static void test_over_itself(void **state) {
  (void)state;
  struct shoal_vector v, w;
  uint64_t zeros[4] = {0}, *at;
  assert_ok(words_create(seg, "over", &(struct shoal_vector_options){.first = 2}, &v));
  for (uint64_t x = 0; x < 10; x++) assert_ok(words_append(&v, &x, NULL, SHOAL_FOREVER));
  uint64_t kept = shoal_load64_relaxed(&v.shm->chunk[3]), over = shoal_segment_off(seg, v.shm) + 64;
  shoal_store64_relaxed(&v.shm->chunk[3], over);
  assert_ok(words_open(seg, "over", &w));
  assert_int_equal(words_extend(&w, zeros, 4, NULL, SHOAL_FOREVER), -EPROTO);
  assert_int_equal(words_at(&w, 9, &at), -EPROTO);
  // nor another that this thread has
  struct shoal_vector other;
  assert_ok(words_create(seg, "other", NULL, &other));
  assert_ok(shoal_robust_acquire_(&other.shm->writer, SHOAL_FOREVER));
  shoal_store64_relaxed(&v.shm->chunk[3], shoal_segment_off(seg, &other.shm->writer) / 64 * 64);
  assert_int_equal(words_extend(&w, zeros, 4, NULL, SHOAL_FOREVER), -EPROTO);
  shoal_robust_release_(&other.shm->writer);
  assert_ok(shoal_vector_close(&w));
  assert_ok(shoal_vector_close(&other));
  assert_ok(words_open(seg, "over", &w));
  shoal_store64_relaxed(&v.shm->chunk[3], kept);
  assert_ok(words_extend(&w, zeros, 4, NULL, SHOAL_FOREVER));
  assert_int_equal(shoal_vector_length(&v), 14);
  assert_ok(shoal_vector_close(&w));
}
static void test_any_words(void **state) {
  (void)state;
  struct shoal_vector v, w;
  struct shoal_vector_info info;
  uint64_t x = 1, *at, kept[72];
  uint32_t r = 4321, opened = 0;
  assert_ok(words_create(seg, "any", &(struct shoal_vector_options){.first = 2}, &v));
  for (; x < 40; x++) assert_ok(words_append(&v, &x, NULL, SHOAL_FOREVER));
  memcpy(kept, v.shm, sizeof kept);
  for (unsigned k = 0; k < 2000; k++) {
    for (uint32_t n = 1 + r % 3; n--;) {
      unsigned i = (unsigned)(random_word(&r) % (sizeof kept / 8));
      if (i >= 16 && i < 24) continue;  // the writer's word and links
      ((uint64_t *)v.shm)[i] = random_word(&r);
    }
    shoal_store32_relaxed(&v.shm->writer.word, k % 3 ? 0 : (uint32_t)random_word(&r));
    int there = words_open(seg, "any", &w) == 0;
    for (unsigned i = 0; there && i < 60; i += 7)
      if (words_at(&w, i, &at) == 0) *at = i;
    if (there && words_at(&w, shoal_vector_length(&w) - 1, &at) == 0) x = *at;
    if (there) (void)!words_append(&w, &x, NULL, shoal_after_us(50)), opened++;
    if (words_at(&v, random_word(&r), &at) == 0) x = *at;
    (void)shoal_vector_info(&v, &info);
    if (there) assert_ok(shoal_object_close(seg, &w.object_));
    memcpy(v.shm, kept, sizeof kept);
  }
  assert_true(opened > 100);
}
static void test_any_words_of_a_text(void **state) {
  (void)state;
  uint64_t bytes = shoal_text_bytes(100), mapped = (bytes + 4095) / 4096 * 4096;
  char *map = mmap(NULL, mapped + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), out[120];
  assert_true(map != MAP_FAILED && mprotect(map + mapped, 4096, PROT_NONE) == 0);
  void *memory = map + mapped - bytes;
  uint32_t r = 99;
  for (unsigned k = 0; k < 2000; k++) {
    struct shoal_text t, u;
    assert_ok(shoal_text_init(memory, 100, "text", &t));
    for (uint32_t n = 1 + r % 3; n--;) {
      unsigned i = (unsigned)(random_word(&r) % (bytes / 8));
      if (i > 4) ((uint64_t *)memory)[i] = random_word(&r);
    }
    int there = shoal_text_attach(memory, bytes, 0, &u) == 0;
    for (int i = 0; i < 1 + there; i++) {
      struct shoal_text *x = i ? &u : &t;
      (void)!shoal_text_get(x, out, sizeof out, NULL);
      (void)!shoal_text_append(x, "more", 4, shoal_after_us(50));
      (void)!shoal_text_set(x, "more", 4, shoal_after_us(50));
    }
  }
  munmap(map, mapped + 4096);
}

// ---- 6 ----
static void expect(const struct shoal_text *t, const char *wanted, uint64_t n) {
  char out[64];
  uint64_t length = 99;
  assert_ok(shoal_text_get(t, out, sizeof out, &length));
  assert_int_equal(length, n);
  assert_memory_equal(out, wanted, n + 1);
}
static int upper(char *bytes, uint64_t *length, uint64_t capacity, void *arg) {
  for (uint64_t i = 0; i < *length; i++) bytes[i] = (char)(bytes[i] - 32);
  if (arg) *length = capacity + 1;
  return 0;
}
static int refuses(char *bytes, uint64_t *length, uint64_t capacity, void *arg) {
  memset(bytes, 'x', capacity);
  *length = capacity;
  return *(int *)arg;
}
static void test_strings(void **state) {
  (void)state;
  struct shoal_text t;
  char small[4], big[32];
  uint64_t length;
  memset(big, 'b', sizeof big);
  assert_ok(shoal_text_create(seg, NULL, 20, "hello", &t));
  expect(&t, "hello", 5);
  assert_ok(shoal_text_append(&t, "world", 5, SHOAL_FOREVER));
  expect(&t, "helloworld", 10);
  assert_ok(shoal_text_update(&t, upper, NULL, SHOAL_FOREVER));
  expect(&t, "HELLOWORLD", 10);
  assert_int_equal(shoal_text_update(&t, upper, &t, SHOAL_FOREVER), -EMSGSIZE);
  assert_int_equal(shoal_text_update(&t, refuses, &(int){-EPERM}, SHOAL_FOREVER), -EPERM);
  assert_int_equal(shoal_text_append(&t, "elevenbytes", 11, SHOAL_FOREVER), -EMSGSIZE);
  assert_int_equal(shoal_text_set(&t, big, 21, SHOAL_FOREVER), -EMSGSIZE);
  assert_int_equal(shoal_text_set(&t, big, UINT64_MAX, SHOAL_FOREVER), -EMSGSIZE);
  assert_int_equal(shoal_text_printf(&t, SHOAL_FOREVER, "%21d", 1), -EMSGSIZE);
  expect(&t, "HELLOWORLD", 10);
  assert_int_equal(shoal_text_get(&t, small, sizeof small, &length), -EMSGSIZE);
  assert_int_equal(length, 10);
  assert_string_equal(small, "");
  assert_int_equal(shoal_text_get(&t, small, 0, NULL), -EINVAL);
  assert_ok(shoal_text_printf(&t, SHOAL_FOREVER, "%d of %s", 20, "twenty: all"));
  assert_ok(shoal_text_set(&t, "a\0b", 3, SHOAL_FOREVER));
  expect(&t, "a\0b", 3);
  assert_ok(shoal_text_set(&t, big, 20, SHOAL_FOREVER));
  assert_int_equal(shoal_text_length(&t), 20);
  assert_ok(shoal_text_set(&t, NULL, 0, SHOAL_FOREVER));
  expect(&t, "", 0);
  assert_ok(shoal_text_close(seg, &t));
}

// ---- 7 ----
static void write_or_read_text(void *memory, unsigned i) {
  struct shoal_text t;
  char s[200];
  uint64_t n;
  CHECK(shoal_text_attach(memory, 4096, 150, &t) == 0);
  for (unsigned k = 0; k < 3000; k++) {
    if (i == 0) {
      memset(s, 'a' + k % 26, 150);
      CHECK(shoal_text_set(&t, s, 1 + k * 7 % 150, SHOAL_FOREVER) == 0);
    } else {
      CHECK(shoal_text_get(&t, s, sizeof s, &n) == 0 && n <= 150 && s[n] == 0);
      for (uint64_t j = 1; j < n; j++) CHECK(s[j] == s[0]);
    }
  }
}
static void test_whole_strings(void **state) {
  (void)state;
  for (int d = THREADS; d < DRIVERS; d++) {
    struct shoal_text t;
    assert_ok(shoal_text_init(arena_begin(4096), 150, NULL, &t));
    run(&arena, (enum driver)d, 3, write_or_read_text);
    arena_free(&arena);
  }
}

// ---- 8 ----
static void test_texts_by_name(void **state) {
  (void)state;
  struct shoal_text t, u;
  struct shoal_text_info info;
  assert_ok(shoal_text_create(seg, "t", 10, "one", &t));
  assert_int_equal(shoal_text_create(seg, "t", 10, "one", &u), -EEXIST);
  assert_int_equal(shoal_text_open(seg, "t", 11, &u), -EBADMSG);
  assert_int_equal(shoal_text_open(seg, "none", 0, &u), -ENOENT);
  assert_ok(shoal_text_open_or_create(seg, "t", 10, "two", &u));
  expect(&u, "one", 3);
  assert_ok(shoal_text_info(&u, &info));
  assert_int_equal(info.capacity, 10);
  assert_int_equal(info.length, 3);
  assert_ok(shoal_text_close(seg, &u));
  assert_int_equal(shoal_text_close(seg, &u), -EINVAL);
  assert_ok(shoal_text_close(seg, &t));
  assert_ok(shoal_text_unlink(seg, "t"));
  assert_int_equal(shoal_text_create(seg, "t", 0, NULL, &t), -EINVAL);
  assert_int_equal(shoal_text_create(seg, "t", SHOAL_TEXT_MAX + 1, NULL, &t), -EINVAL);
  assert_int_equal(shoal_text_create(seg, "t", 2, "one", &t), -EMSGSIZE);
}

#define TEST(x) cmocka_unit_test_setup_teardown(test_##x, setup, teardown)
int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(it_grows),  TEST(readers_beside_writers), TEST(many_at_once), TEST(a_full_segment), TEST(over_itself),
      TEST(any_words), TEST(any_words_of_a_text),    TEST(strings),      TEST(whole_strings),  TEST(texts_by_name),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
