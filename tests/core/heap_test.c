// What core/heap.h claims, of what one process does (of several, and of objects: heap_shared_test.c):
// - blocks of every size, aligned, apart from each other; what is freed is had again; what is no block is refused,
//   whatever stands where its slab was
// - a full segment is -ENOSPC, and all goes on; nothing is lost by it; what has room already is not refused
// - hostile words cause errors, and no access outside the segment
#include "core/directory.h"
#include "tests/core/heap_fixture.h"

// ---- one process ----

static void test_sizes(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(NULL);
  struct shoal_heap *heap = heap_of(seg);
  void *blocks[200];
  uint64_t sizes[200], size = 0;
  int n = 0;
  for (; size < 24 << 20; size += size / 8 + 1) {
    blocks[n] = alloc(heap, size);
    sizes[n] = size;
    uint64_t usable = shoal_heap_usable(heap, blocks[n]);
    assert_true(usable >= size);
    if (size > 64) assert_true(usable <= size + size / 4 + 4096);
    assert_int_equal((uintptr_t)blocks[n] % 16, 0);
    if (size >= 4096) assert_int_equal((uintptr_t)blocks[n] % 4096, 0);
    assert_ptr_equal(shoal_segment_at(seg, shoal_segment_off(seg, blocks[n]), usable), blocks[n]);
    memset(blocks[n], n, usable);
    n++;
  }
  for (int i = 0; i < n; i++)
    for (uint64_t at = 0; at < sizes[i]; at += sizes[i] / 64 + 1)
      assert_int_equal(((unsigned char *)blocks[i])[at], (unsigned char)i);
  assert_int_equal(info(heap).blocks, n);
  audit(heap);
  for (int i = 0; i < n; i += 2) assert_ok(shoal_heap_free(heap, blocks[i]));
  audit(heap);
  for (int i = 1; i < n; i += 2) assert_ok(shoal_heap_free(heap, blocks[i]));
  assert_int_equal(info(heap).blocks, 0);
  done(seg, heap);
}

static void test_alignment(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(NULL);
  struct shoal_heap *heap = heap_of(seg);
  void *block = &block;
  for (uint64_t align = 1; align <= 4096; align *= 2)
    for (uint64_t size = 0; size < 20000; size = size * 2 + 1) {
      void *blocks[3];
      for (int i = 0; i < 3; i++) {
        assert_ok(shoal_heap_alloc_aligned(heap, size, align, &blocks[i]));
        assert_int_equal((uintptr_t)blocks[i] % align, 0);
        assert_true(shoal_heap_usable(heap, blocks[i]) >= size);
      }
      for (int i = 0; i < 3; i++) assert_ok(shoal_heap_free(heap, blocks[i]));
    }
  assert_int_equal(shoal_heap_alloc_aligned(heap, 1, 0, &block), -EINVAL);
  assert_int_equal(shoal_heap_alloc_aligned(heap, 1, 48, &block), -EINVAL);
  assert_int_equal(shoal_heap_alloc_aligned(heap, 1, 8192, &block), -EINVAL);
  assert_int_equal(shoal_heap_alloc(heap, UINT64_MAX, &block), -ENOSPC);
  assert_int_equal(shoal_heap_alloc(heap, UINT64_MAX - 4096, &block), -ENOSPC);
  assert_ptr_equal(block, &block);
  done(seg, heap);
}

// Of what was freed, first what was had last: after a burst of many a few serve, and they are warm.
static void test_pages_that_were_had_last_come_first(void **state) {
  (void)state;
  struct shoal_segment *seg;
  void *many[12], *one, *two;
  assert_int_equal(shoal_segment_create(NULL, &small, &seg), 0);
  struct shoal_heap *heap = heap_of(seg);
  for (int i = 0; i < 12; i++) many[i] = alloc(heap, 3 * 4096);
  for (int i = 0; i < 12; i++) assert_int_equal(shoal_heap_free(heap, many[i]), 0);
  for (int lap = 0; lap < 20; lap++) {
    one = alloc(heap, 3 * 4096);
    two = alloc(heap, 3 * 4096);
    assert_ptr_equal(one, many[11 - lap % 2]);
    assert_ptr_equal(two, many[10 + lap % 2]);
    assert_int_equal(shoal_heap_free(heap, one), 0);
    assert_int_equal(shoal_heap_free(heap, two), 0);
  }
  done(seg, heap);
}

static void test_made_larger_and_smaller(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small);
  struct shoal_heap *heap = heap_of(seg);
  void *block = NULL;
  assert_ok(shoal_heap_realloc(heap, &block, 10));
  memset(block, 7, 10);
  for (uint64_t size = 10; size < 1 << 20; size = size * 3 / 2) {
    assert_ok(shoal_heap_realloc(heap, &block, size));
    assert_true(shoal_heap_usable(heap, block) >= size);
    assert_int_equal(((char *)block)[9], 7);
  }
  void *same = block;
  assert_int_equal(shoal_heap_realloc(heap, &block, 1 << 30), -ENOSPC);
  assert_ptr_equal(block, same);
  assert_ok(shoal_heap_realloc(heap, &block, 10));
  assert_ptr_not_equal(block, same);
  assert_int_equal(((char *)block)[9], 7);
  assert_int_equal(info(heap).blocks, 1);
  same = &same;
  assert_int_equal(shoal_heap_realloc(heap, &same, 10), -EINVAL);
  assert_ok(shoal_heap_free(heap, block));
  done(seg, heap);
}

static void test_what_is_no_block(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small);
  struct shoal_heap *heap = heap_of(seg);
  static char foreign[16384];
  static const uint64_t sizes[] = {1, 64, 100, 3584, 4096, 4097, 70000};
  void *first = alloc(heap, 64);  // and nothing was freed yet
  for (uintptr_t low = 0; low < 1 << 16; low += 64) assert_int_equal(shoal_heap_free(heap, (void *)low), -EINVAL);
  assert_ok(shoal_heap_free(heap, first));
  for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    char *block = alloc(heap, sizes[i]), *other = alloc(heap, sizes[i]);
    uint64_t usable = shoal_heap_usable(heap, block);
    for (uint64_t at = 1; at < usable; at += at < 32 ? 1 : usable / 7) {
      assert_int_equal(shoal_heap_free(heap, block + at), -EINVAL);
      assert_int_equal(shoal_heap_usable(heap, block + at), 0);
    }
    assert_ok(shoal_heap_free(heap, block));
    assert_int_equal(shoal_heap_free(heap, block), -EINVAL);
    assert_non_null(strstr(shoal_reason(), "free"));
    assert_int_equal(shoal_heap_usable(heap, block), 0);
    assert_ok(shoal_heap_free(heap, other));
    assert_int_equal(shoal_heap_free(heap, other), -EINVAL);
  }
  assert_int_equal(shoal_heap_free(heap, NULL), -EINVAL);
  assert_int_equal(shoal_heap_free(heap, foreign), -EINVAL);
  assert_int_equal(shoal_heap_free(heap, seg->base), -EINVAL);
  assert_int_equal(shoal_heap_free(heap, heap->shm), -EINVAL);
  assert_int_equal(shoal_heap_free(heap, heap->chunk[0].page), -EINVAL);
  assert_int_equal(shoal_heap_free(heap, heap->chunk[0].data + heap->chunk[0].pages * 4096), -EINVAL);
  for (uint64_t at = 0; at < heap->chunk[0].pages * 4096; at += 2048)
    assert_int_equal(shoal_heap_free(heap, heap->chunk[0].data + at), -EINVAL);
  assert_int_equal(shoal_heap_close((struct shoal_heap *)(void *)foreign), -EINVAL);
  done(seg, heap);
}

static void test_full(void **state) {
  (void)state;
  static const uint64_t sizes[] = {0, 16, 200, 4096, 5000, 100000, 900000};
  static void *blocks[600000];
  struct shoal_segment *seg = anonymous(&small);
  struct shoal_heap *heap = heap_of(seg);
  unsigned first = 0;
  for (int lap = 0; lap < 2; lap++)
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
      unsigned n = fill(heap, sizes[i], blocks, 600000);
      assert_non_null(strstr(shoal_reason(), "row"));
      struct shoal_heap_audit a = audit(heap);
      if (i == 4) {  // pages in pairs: all but an odd one of each chunk
        if (lap == 0) first = n;
        assert_int_equal(n, first);
      }
      if (sizes[i] <= 5000) assert_true(a.free_pages < 16);
      // one freed is one to be had
      assert_ok(shoal_heap_free(heap, blocks[n / 2]));
      blocks[n / 2] = alloc(heap, sizes[i]);
      for (unsigned k = 0; k < n; k++) assert_ok(shoal_heap_free(heap, blocks[k * UINT64_C(7919) % n]));
      assert_empty(heap);
    }
  done(seg, heap);
}

// What has so many bytes already is not refused for want of others.
static void test_made_smaller_in_a_full_heap(void **state) {
  (void)state;
  static const uint64_t sizes[] = {20000, 4096, 400};
  static void *blocks[600000];
  struct shoal_segment *seg = anonymous(&small);
  struct shoal_heap *heap = heap_of(seg);
  for (unsigned i = 0; i < 3; i++) {
    void *block = alloc(heap, sizes[i]), *same = block;
    memset(block, 7, sizes[i]);
    unsigned n = fill(heap, 9000, blocks, 600000);
    for (uint64_t size = 4096; size >= 16; size /= 2) n += fill(heap, size, blocks + n, 600000 - n);
    assert_ok(shoal_heap_realloc(heap, &block, 100));
    assert_ptr_equal(block, same);
    assert_true(shoal_heap_usable(heap, block) >= sizes[i]);
    assert_int_equal(((char *)block)[sizes[i] - 1], 7);
    assert_int_equal(shoal_heap_realloc(heap, &block, 30000), -ENOSPC);
    assert_ptr_equal(block, same);
    while (n) assert_ok(shoal_heap_free(heap, blocks[--n]));
    assert_ok(shoal_heap_realloc(heap, &block, 100));
    assert_ptr_not_equal(block, same);
    assert_ok(shoal_heap_free(heap, block));
  }
  done(seg, heap);
}

// One block may have all of the segment but what directory and heap need of it.
static void test_a_block_of_nearly_all(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small);
  struct shoal_heap *heap = heap_of(seg);
  char *block = NULL;
  void *other = NULL;
  uint64_t size = small.size_max;
  while (shoal_heap_alloc(heap, size, (void **)&block)) size -= 4096;
  assert_true(size >=
              small.size_max - small.size_max / 128 - 5 * 4096);  // 32 bytes a page; places, and where a page begins
  block[0] = block[size - 1] = 1;
  assert_int_equal(shoal_heap_alloc(heap, size / 2, &other), -ENOSPC);
  assert_ok(shoal_heap_free(heap, block));
  assert_ok(shoal_heap_alloc(heap, size, (void **)&block));
  assert_ok(shoal_heap_free(heap, block));
  done(seg, heap);
}

static void test_opened_twice(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small), *other = again(seg);
  struct shoal_heap *heap = heap_of(seg), *same = heap_of(seg), *elsewhere = heap_of(other);
  assert_ptr_equal(heap, same);
  assert_ptr_not_equal(heap, elsewhere);
  assert_int_equal(info(heap).processes, 2);  // each view has a place of its own
  char *a = alloc(heap, 100), *b = alloc(elsewhere, 5000);
  strcpy(a, "here");
  char *there = shoal_segment_at(other, shoal_segment_off(seg, a), 100);
  assert_string_equal(there, "here");
  assert_ok(shoal_heap_free(elsewhere, there));
  assert_int_equal(shoal_heap_free(heap, a), -EINVAL);
  assert_ok(shoal_heap_free(heap, shoal_segment_at(seg, shoal_segment_off(other, b), 5000)));
  assert_ok(shoal_heap_close(same));
  a = alloc(heap, 100);
  assert_ok(shoal_heap_close(heap));
  assert_int_equal(shoal_heap_close(heap), -EINVAL);
  assert_int_equal(info(elsewhere).blocks, 1);  // it stays, although its view is closed
  assert_int_equal(shoal_heap_reap(elsewhere), 0);
  heap = heap_of(seg);
  assert_int_equal(info(heap).processes, 2);  // the place it had
  assert_ok(shoal_heap_free(heap, a));
  assert_ok(shoal_heap_close(elsewhere));
  assert_ok(shoal_segment_close(other));
  done(seg, heap);
}

// ---- blocks of a slab that is none any more ----

#define FORMER 32  // blocks, all of one thread's list

struct former {
  struct shoal_heap *heap;
  void *block[FORMER];
  uint64_t forged, *pages;  // where the slab was, all words like those of blocks of this process's
  shoal_atomic32 taken, ended;
};
static void *takes(void *arg) {
  struct former *f = arg;
  for (int i = 0; i < FORMER; i++) f->block[i] = alloc(f->heap, 64);
  return NULL;
}
static void ends_slab(struct former *f) {
  struct shoal_heap *heap = f->heap;
  for (int i = 0; i < FORMER; i++) assert_ok(shoal_heap_free(heap, f->block[i]));
  assert_empty(heap);
  uint64_t size = info(heap).largest;
  assert_int_equal(size, heap->chunk[0].pages * SHOAL_PAGE_);
  f->forged = SHOAL_WORD_(1, PROCESS, shoal_load32_relaxed(&heap->owner));
  f->pages = alloc(heap, size);
  for (uint64_t i = 0; i < size / 8; i++) f->pages[i] = f->forged;
}
static void *frees_again(void *arg) {
  struct former *f = arg;
  for (int i = 0; i < FORMER; i++) MUST(shoal_heap_free(f->heap, f->block[i]) == -EINVAL);
  return NULL;
}
static void *takes_and_frees_again(void *arg) {
  struct former *f = arg;
  takes(f);
  signal_to(&f->taken);
  await(&f->ended, 1);
  return frees_again(f);
}
static void in_a_thread(void *(*body)(void *), void *arg) {
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, body, arg), 0);
  pthread_join(thread, NULL);
}
static void pages_are_as_they_were(const struct former *f) {
  for (uint64_t i = 0; i < f->heap->chunk[0].pages * SHOAL_PAGE_ / 8; i++) assert_int_equal(f->pages[i], f->forged);
  assert_ok(shoal_heap_free(f->heap, f->pages));
}

// By who freed it, by another who had allocated it, and by one who has inherited the lists of such a one.
static void test_freed_again_when_its_slab_has_ended(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small);
  struct former f = {.heap = heap_of(seg)};
  pthread_t other;
  takes(&f);
  ends_slab(&f);
  frees_again(&f);
  pages_are_as_they_were(&f);

  assert_int_equal(pthread_create(&other, NULL, takes_and_frees_again, &f), 0);
  await(&f.taken, 1);
  ends_slab(&f);
  signal_to(&f.ended);
  pthread_join(other, NULL);
  pages_are_as_they_were(&f);

  in_a_thread(takes, &f);
  ends_slab(&f);
  in_a_thread(frees_again, &f);
  pages_are_as_they_were(&f);
  done(seg, f.heap);
}

// Threads begin anew when a slab of their view ends, and keep their lists; not when the heap grows, nor for another
// view.
static void test_what_a_slabs_end_costs(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small), *other = again(seg);
  struct shoal_heap *heap = heap_of(seg), *there = heap_of(other);
  struct shoal_cache_ *before, *after;
  void *ours = alloc(heap, 64), *theirs = alloc(there, 64);
  assert_true(shoal_cache_known_(heap, &before));
  void *large = alloc(heap, 3 << 20);
  assert_true(shoal_chunks_(heap) > 1);
  assert_true(shoal_cache_known_(heap, &after));
  assert_ok(shoal_heap_free(heap, alloc(heap, 1000)));
  assert_true(shoal_heap_reap(heap) > 0);
  assert_false(shoal_cache_known_(heap, &after));
  assert_true(shoal_cache_known_(there, &after));
  assert_ok(shoal_heap_free(heap, ours));
  assert_true(shoal_cache_known_(heap, &after));
  assert_ptr_equal(after, before);
  assert_ptr_equal(alloc(heap, 64), ours);
  assert_ok(shoal_heap_free(heap, ours));
  assert_ok(shoal_heap_free(heap, large));
  assert_ok(shoal_heap_free(there, theirs));
  assert_ok(shoal_heap_close(there));
  assert_ok(shoal_segment_close(other));
  done(seg, heap);
}

// ---- hostile contents ----

static uint64_t junk(uint32_t *seed) {
  uint64_t w = (uint64_t)random_next(seed) << 32 | random_next(seed);
  switch (random_next(seed) % 4) {
    case 0: return w & 0xffffffff;
    case 1: return (w & ~UINT64_C(0xf0000000)) | (uint64_t)(random_next(seed) % 6) << 28;
    case 2: return w % 64;
    default: return w;
  }
}
// Words of pages, of slabs, of the heap's own table. The operations may fail; what they touch lies in the segment.
static void scribble(struct shoal_heap *heap, uint32_t *seed) {
  struct shoal_chunk_ *c = &heap->chunk[random_next(seed) % shoal_chunks_(heap)];
  uint64_t page = random_next(seed) % (random_next(seed) % 2 ? c->pages : 20);
  switch (random_next(seed) % 8) {
    case 0: shoal_store64_relaxed(&c->page[page].owner, junk(seed)); break;
    case 1: shoal_store32_relaxed(&c->page[page].pages, (uint32_t)junk(seed)); break;
    case 2: shoal_store32_relaxed(&c->page[page].tag, (uint32_t)junk(seed)); break;
    case 3: shoal_store32_relaxed(&c->page[page].returned, (uint32_t)junk(seed)); break;
    case 4: shoal_store32_relaxed(&heap->shm->abandoned[random_next(seed) % 32], (uint32_t)junk(seed)); break;
    case 5: shoal_store64_relaxed(&heap->shm->place[random_next(seed) % heap->places], junk(seed)); break;
    default:
      for (int i = 0; i < 20; i++)
        shoal_store64_relaxed(&shoal_slab_words_(c, page)[random_next(seed) % 500], junk(seed));
  }
}
static void hostile(uint32_t seed) {
  struct shoal_segment *seg = anonymous(&small);
  struct shoal_heap *heap = heap_of(seg);
  void *held[64] = {NULL}, *data;
  uint64_t usable;
  struct shoal_block_ref ref = {0, 0, 0};
  struct shoal_heap_audit a;
  for (int i = 0; i < 400; i++) {
    uint32_t r = random_next(&seed), at = r % 64;
    if (held[at]) (void)!shoal_heap_free(heap, held[at]);
    if (shoal_heap_alloc(heap, r / 64 % 8 ? r / 512 % 5000 : r / 512 % 200000, &held[at])) held[at] = NULL;
    else MUST(shoal_segment_at(seg, shoal_segment_off(seg, held[at]), 1));
    if (held[at] && r >> 31) (void)!shoal_block_give_(heap, held[at], r % 32, 1, &ref);
    ref.off += r >> 28 == 3 ? junk(&seed) : 0;
    if (shoal_block_at_(heap, &ref, r % 32, 1, &data, &usable) == 0)
      MUST(shoal_segment_at(seg, shoal_segment_off(seg, data), usable) == data);
    if (r >> 29 == 1) (void)!shoal_block_end_(heap, &ref, r % 32, 1);
    if (r >> 29 == 2) (void)!shoal_block_take_(heap, &ref, r % 32, 1);
    if (r >> 26 == 5) shoal_heap_reap(heap);
    if (r >> 29 == 3) (void)shoal_heap_usable(heap, (char *)seg->base + junk(&seed) % seg->g.length);
    if (i % 4 == 0) scribble(heap, &seed);
  }
  (void)!shoal_heap_info(heap, &(struct shoal_heap_info){0});
  (void)shoal_heap_audit(heap, &a);
  MUST(shoal_heap_close(heap) == 0);
  MUST(shoal_segment_close(seg) == 0);
}
static void test_hostile_words(void **state) {
  (void)state;
  for (uint32_t seed = 1; seed <= 120; seed++) {
    pid_t pid = fork_child();
    if (pid == 0) {
      hostile(seed * 2654435761u);
      exit(0);
    }
    int st = 0;
    assert_int_equal(waitpid(pid, &st, 0), pid);
    if (st) fail_msg("seed %u: status %x", seed, st);
  }
}

static void test_hostile_directory(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small);
  struct shoal_heap *heap = heap_of(seg), *none = NULL;
  struct shoal_object o;
  void *block = alloc(heap, 100);
  shoal_store64_relaxed(&heap->shm->chunk[1], 4096);  // a chunk that is not there
  assert_int_equal(shoal_heap_info(heap, &(struct shoal_heap_info){0}), -ENOENT);
  assert_int_equal(shoal_heap_reap(heap), -ENOENT);
  assert_ok(shoal_object_create(seg, "shoal.heap.1", "shoal:heap chunk", 600, NULL, NULL, &o));
  assert_int_equal(shoal_heap_info(heap, &(struct shoal_heap_info){0}), -EPROTO);
  assert_ok(shoal_object_remove(seg, "shoal.heap.1"));
  assert_ok(shoal_object_close(seg, &o));
  shoal_store64_relaxed(&heap->shm->chunk[1], 0);
  assert_ok(shoal_heap_free(heap, block));
  done(seg, heap);
  seg = anonymous(&small);
  assert_ok(shoal_object_create(seg, "shoal.heap", "shoal:heap", 600, NULL, NULL, &o));
  assert_int_equal(shoal_heap_open(seg, &none), -EPROTO);
  assert_ok(shoal_object_remove(seg, "shoal.heap"));
  assert_ok(shoal_object_close(seg, &o));
  assert_ok(shoal_object_create(seg, "shoal.heap", "mine", 600, NULL, NULL, &o));
  assert_int_equal(shoal_heap_open(seg, &none), -EBADMSG);
  assert_int_equal(shoal_heap_open(NULL, &none), -EINVAL);
  assert_null(none);
  assert_ok(shoal_object_close(seg, &o));
  assert_ok(shoal_segment_close(seg));
}

int main(void) {
  alarm(WATCHDOG_S);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_sizes),
      cmocka_unit_test(test_alignment),
      cmocka_unit_test(test_pages_that_were_had_last_come_first),
      cmocka_unit_test(test_made_larger_and_smaller),
      cmocka_unit_test(test_what_is_no_block),
      cmocka_unit_test(test_full),
      cmocka_unit_test(test_made_smaller_in_a_full_heap),
      cmocka_unit_test(test_a_block_of_nearly_all),
      cmocka_unit_test(test_opened_twice),
      cmocka_unit_test(test_freed_again_when_its_slab_has_ended),
      cmocka_unit_test(test_what_a_slabs_end_costs),
      cmocka_unit_test(test_hostile_words),
      cmocka_unit_test(test_hostile_directory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
