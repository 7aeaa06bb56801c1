// Claims of core/arena:
//   1 the malloc interface: blocks apart, aligned, zeroed, grown in place or moved with what they hold, freed and used
//   again 2 another mapping of the segment reads what was written
//   3 its process ends, at any moment: the next sweep gives back all of it, and nothing else; destroy does at once
//   4 refused: more than there is, an alignment that others would not see, blocks of others, a child of fork
//   5 threads together
//   6 what it knows is not in the segment: whoever writes over all of its extents, and over the heap's words, changes
//   what is read
//     there, and can have allocations fail; never what it does, nor where
#include "core/arena.h"
#include "core/heap_internal.h"
#include "tests/core/support.h"

static struct shoal_segment *seg;
static struct shoal_heap *heap;
static int setup(void **state) {
  (void)state;
  seg = anonymous(&(struct shoal_segment_options){.size = 1 << 20, .size_max = 64 << 20});
  assert_ok(shoal_heap_open(seg, &heap));
  return 0;
}
static int teardown(void **state) {
  (void)state;
  assert_ok(shoal_heap_close(heap));
  assert_ok(shoal_segment_close(seg));
  return 0;
}
static uint64_t held(void) {
  struct shoal_heap_info info;
  MUST(shoal_heap_info(heap, &info) == 0);
  return info.held;
}
static struct shoal_arena *fresh(void) {
  struct shoal_arena *a = NULL;
  MUST(shoal_arena_create(heap, &a) == 0);
  return a;
}

// ---- 1, 2 ----
#define BLOCKS 400u
static uint64_t size_of(unsigned i) { return 1 + (uint64_t)i * i % 9000 * (i % 50 == 0 ? 40 : 1); }
static void fill(void **blocks, struct shoal_arena *a) {
  for (unsigned i = 0; i < BLOCKS; i++) {
    MUST(shoal_arena_alloc(a, size_of(i), &blocks[i]) == 0);
    MUST(shoal_arena_usable(a, blocks[i]) >= size_of(i) && shoal_segment_off(seg, blocks[i]));
    memset(blocks[i], (int)i, size_of(i));
  }
}
static void expect_filled(void **blocks, struct shoal_segment *other) {
  for (unsigned i = 0; i < BLOCKS; i++) {
    const uint8_t *at = shoal_segment_at(other, shoal_segment_off(seg, blocks[i]), size_of(i));
    assert_non_null(at);
    for (uint64_t k = 0; k < size_of(i); k++) MUST(at[k] == (uint8_t)i);
  }
}
static void test_blocks(void **state) {
  (void)state;
  void *blocks[BLOCKS], *p = NULL;
  struct shoal_arena_info info;
  uint64_t before = held();
  struct shoal_arena *a = fresh();
  struct shoal_segment *other = again(seg);
  fill(blocks, a);
  expect_filled(blocks, other);
  for (unsigned i = 0; i < BLOCKS; i += 2) assert_ok(shoal_arena_free(a, blocks[i]));
  for (unsigned i = 0; i < BLOCKS; i += 2) assert_ok(shoal_arena_alloc(a, size_of(i), &blocks[i]));
  for (unsigned i = 0; i < BLOCKS; i += 2) memset(blocks[i], (int)i, size_of(i));
  expect_filled(blocks, other);
  assert_ok(shoal_arena_realloc(a, &p, 10));
  memset(p, 7, 10);
  assert_ok(shoal_arena_realloc(a, &p, 300000));
  for (int i = 0; i < 10; i++) assert_int_equal(((char *)p)[i], 7);
  assert_ok(shoal_arena_free(a, p));
  assert_ok(shoal_arena_calloc(a, 1000, 100, &p));
  for (int i = 0; i < 100000; i++) MUST(((char *)p)[i] == 0);
  for (uint64_t align = 1; align <= 4096; align *= 2) {
    assert_ok(shoal_arena_aligned(a, 24, align, &p));
    assert_int_equal((uintptr_t)p % align, 0);
    assert_int_equal(shoal_segment_off(seg, p) % align, 0);
  }
  assert_ok(shoal_arena_info(a, &info));
  assert_int_equal(info.held, held() - before);
  assert_true(info.extents > 0);
  assert_ok(shoal_segment_close(other));
  assert_ok(shoal_arena_destroy(a));
  assert_int_equal(held(), before);
}

// ---- 3 ----
static void use_until_killed(shoal_atomic32 *begun) {
  struct shoal_arena *a = fresh();
  void *blocks[64] = {NULL};
  for (uint32_t r = 1, i = 0;; i++) {
    uint32_t n = random_next(&r) % 64;
    MUST(shoal_arena_free(a, blocks[n]) == 0);
    blocks[n] = NULL;
    (void)!shoal_arena_alloc(a, random_next(&r) % 100000, &blocks[n]);
    if (i % 100 == 0) signal_to(begun);
  }
}
static void test_its_process_is_killed(void **state) {
  (void)state;
  void *mine;
  shoal_atomic32 *begun = shared_memory(4096);
  assert_ok(shoal_heap_alloc(heap, 5000, &mine));
  uint64_t before = held();
  for (uint32_t i = 0; i < 12; i++) {
    shoal_store32_seq_cst(begun, 0);
    pid_t child = fork_child();
    if (child == 0) use_until_killed(begun);
    await(begun, i % 4);
    kill_and_wait(child);
    assert_true(shoal_heap_reap(heap) >= 0);
    assert_int_equal(held(), before);
  }
  assert_ok(shoal_heap_free(heap, mine));
  munmap(begun, 4096);
}

// ---- 4 ----
static void test_what_is_refused(void **state) {
  (void)state;
  struct shoal_arena *a = fresh();
  void *p = NULL, *q, *block;
  char local;
  assert_int_equal(shoal_arena_alloc(a, 100 << 20, &p), -ENOSPC);
  assert_int_equal(shoal_arena_alloc(a, UINT64_MAX, &p), -ENOSPC);
  assert_int_equal(shoal_arena_calloc(a, UINT64_MAX, 2, &p), -EOVERFLOW);
  assert_int_equal(shoal_arena_aligned(a, 1, 3, &p), -EINVAL);
  assert_int_equal(shoal_arena_aligned(a, 1, 0, &p), -EINVAL);
  assert_int_equal(shoal_arena_aligned(a, 1, 8192, &p), -EINVAL);
  assert_null(p);
  assert_ok(shoal_arena_alloc(a, 0, &p));
  q = p;
  assert_int_equal(shoal_arena_realloc(a, &q, UINT64_MAX), -ENOSPC);
  assert_ptr_equal(q, p);
  assert_ok(shoal_heap_alloc(heap, 100, &block));
  assert_int_equal(shoal_arena_free(a, block), -EINVAL);
  assert_int_equal(shoal_arena_free(a, &local), -EINVAL);
  assert_int_equal(shoal_arena_usable(a, block), 0);
  q = block;
  assert_int_equal(shoal_arena_realloc(a, &q, 200), -EINVAL);
  assert_ok(shoal_heap_free(heap, block));
  assert_ok(shoal_arena_free(a, NULL));
  pid_t child = fork_child();
  if (child == 0) {
    MUST(shoal_arena_alloc(a, 1, &q) == -EPERM && shoal_arena_free(a, p) == -EPERM);
    MUST(shoal_arena_destroy(a) == -EPERM && shoal_arena_usable(a, p) == 0);
    _exit(0);
  }
  assert_exits(child, 0);
  assert_ok(shoal_arena_destroy(a));
}

// ---- 5 ----
static void *churn(void *arg) {
  struct shoal_arena *a = arg;
  unsigned char *blocks[32] = {NULL};
  uint32_t sizes[32] = {0}, r = (uint32_t)(uintptr_t)&r | 1;
  for (int i = 0; i < 4000; i++) {
    uint32_t n = random_next(&r) % 32;
    void *p = NULL;
    for (uint32_t k = 0; k < sizes[n]; k += 97) MUST(blocks[n][k] == (unsigned char)n);
    MUST(shoal_arena_free(a, blocks[n]) == 0);
    sizes[n] = random_next(&r) % 20000;
    MUST(shoal_arena_alloc(a, sizes[n], &p) == 0);
    blocks[n] = p;
    memset(p, (int)n, sizes[n]);
  }
  return NULL;
}
static void test_threads(void **state) {
  (void)state;
  pthread_t threads[3];
  uint64_t before = held();
  struct shoal_arena *a = fresh();
  for (int i = 0; i < 3; i++) assert_int_equal(pthread_create(&threads[i], NULL, churn, a), 0);
  for (int i = 0; i < 3; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
  assert_ok(shoal_arena_destroy(a));
  (void)shoal_heap_reap(heap);
  assert_int_equal(held(), before);
}

// ---- 6 ----
// Calls `each` for every run that is a process's: all of them are the arena's.
static void each_run(void (*each)(struct shoal_chunk_ *c, uint64_t page, uint64_t pages)) {
  for (uint32_t k = 0; k < shoal_chunks_(heap); k++) {
    struct shoal_chunk_ *c = &heap->chunk[k];
    for (uint64_t at = 0, n; at < c->pages; at += n ? n : 1) {
      n = shoal_run_pages_(c, at);
      if (shoal_word_kind_(shoal_load64_acquire(&c->page[at].owner)) == PROCESS) each(c, at, n);
    }
  }
}
static void overwrite(struct shoal_chunk_ *c, uint64_t page, uint64_t pages) {
  memset(c->data + page * SHOAL_PAGE_, 0xa5, pages * SHOAL_PAGE_);
}
static void say_free(struct shoal_chunk_ *c, uint64_t page, uint64_t pages) {
  (void)pages;
  shoal_store64_relaxed(&c->page[page].owner, shoal_word_next_(shoal_load64_relaxed(&c->page[page].owner), FREE, 0));
}
static void goes_on(void) {
  void *blocks[BLOCKS], *p = NULL;
  uint64_t before = held();
  struct shoal_arena *a = fresh();
  fill(blocks, a);
  each_run(overwrite);
  for (unsigned i = 0; i < BLOCKS; i += 2) MUST(shoal_arena_free(a, blocks[i]) == 0);
  each_run(overwrite);
  for (unsigned i = 0; i < BLOCKS; i += 2) MUST(shoal_arena_alloc(a, size_of(i), &blocks[i]) == 0);
  MUST(shoal_arena_realloc(a, &p, 10) == 0 && shoal_arena_realloc(a, &p, 3 << 20) == 0);
  each_run(overwrite);
  for (unsigned i = 0; i < BLOCKS; i++)
    MUST(shoal_arena_usable(a, blocks[i]) >= size_of(i) && shoal_arena_free(a, blocks[i]) == 0);
  MUST(shoal_arena_destroy(a) == 0);
  MUST(held() == before);
}
static void test_its_extents_are_overwritten(void **state) {
  (void)state;
  in_child(goes_on);
}

#define BIG (3u << 20)
static void scribble(uint32_t *r) {
  struct shoal_chunk_ *c = &heap->chunk[random_next(r) % shoal_chunks_(heap)];
  struct shoal_page_shm *page = &c->page[random_next(r) % c->pages];
  uint64_t w = shoal_load64_relaxed(&page->owner), junk = (uint64_t)random_next(r) << 32 | random_next(r);
  switch (random_next(r) % 6) {
    case 0: shoal_store64_relaxed(&page->owner, junk); break;
    case 1: shoal_store64_relaxed(&page->owner, shoal_word_next_(w, junk % 6, shoal_word_owner_(w))); break;
    case 2: shoal_store32_relaxed(&page->pages, (uint32_t)junk >> junk % 32); break;
    case 3: shoal_store32_relaxed(&page->tag, (uint32_t)junk); break;
    default: each_run(say_free);
  }
}
// As many blocks as there are, each of bytes of its own: nothing is where another is.
static void is_scribbled_over(uint32_t r) {
  struct shoal_arena *a = fresh();
  unsigned char *blocks[24] = {NULL};
  uint64_t sizes[24] = {0};
  void *at;
  MUST(shoal_arena_alloc(a, 1, &at) == 0);  // there is a chunk
  for (int i = 0; i < 200; i++) {
    uint32_t n = random_next(&r) % 24;
    for (uint64_t k = 0; k < sizes[n]; k += 509) MUST(blocks[n][k] == (unsigned char)(n + 1));
    MUST(shoal_arena_free(a, blocks[n]) == 0);
    blocks[n] = NULL;
    sizes[n] = random_next(&r) % 4 ? random_next(&r) % 20000 : random_next(&r) % BIG;
    if (shoal_arena_alloc(a, sizes[n], &at)) {
      sizes[n] = 0;
      continue;
    }
    blocks[n] = at;
    MUST(shoal_segment_at(seg, shoal_segment_off(seg, at), sizes[n]) == at);
    memset(at, (int)(n + 1), sizes[n]);
    if (i % 3 == 0) scribble(&r);
    if (i % 40 == 39) (void)shoal_heap_reap(heap);
  }
  MUST(shoal_arena_destroy(a) == 0);
}
static void test_the_heaps_words_are_scribbled_over(void **state) {
  (void)state;
  for (uint32_t seed = 1; seed <= 24; seed++) {
    pid_t child = fork_child();
    if (child == 0) {
      is_scribbled_over(seed * 2654435761u);
      _exit(0);
    }
    assert_exits(child, 0);
  }
}

#define TEST(x) cmocka_unit_test_setup_teardown(test_##x, setup, teardown)
int main(void) {
  alarm(WATCHDOG_S);
  const struct CMUnitTest tests[] = {
      TEST(blocks),  TEST(its_process_is_killed),       TEST(what_is_refused),
      TEST(threads), TEST(its_extents_are_overwritten), TEST(the_heaps_words_are_scribbled_over),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
