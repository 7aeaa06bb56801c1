// What core/heap.h claims:
// - blocks of every size, aligned, apart from each other; what is freed is had again; what is no block is refused,
//   whatever stands where its slab was
// - a block is freed by any thread or process, and by whoever inherits the heap by fork
// - a full segment is -ENOSPC, and all goes on; nothing is lost by it; what has room already is not refused
// - what a killed process had, and what an object had that is no more, comes back
// - a block given to an object is the object's from one instant on, and a reference to an earlier life leads nowhere
// - however processes are killed, every page is in one run, and all of it can be allocated in the end
// - hostile words cause errors, and no access outside the segment
#include "core/heap_internal.h"

#include "core/directory.h"
#include "tests/core/support.h"

static const struct shoal_segment_options small = {
    .size = 64 << 10, .size_max = 8 << 20, .participants = 24, .objects = 32};

static struct shoal_heap *heap_of(struct shoal_segment *seg) {
  struct shoal_heap *heap = NULL;
  MUST(shoal_heap_open(seg, &heap) == 0);
  return heap;
}
static void *alloc(struct shoal_heap *heap, uint64_t size) {
  void *block = NULL;
  MUST(shoal_heap_alloc(heap, size, &block) == 0);
  return block;
}
static struct shoal_heap_info info(struct shoal_heap *heap) {
  struct shoal_heap_info i;
  MUST(shoal_heap_info(heap, &i) == 0);
  return i;
}
static struct shoal_heap_audit audit(struct shoal_heap *heap) {
  struct shoal_heap_audit a;
  MUST(shoal_heap_audit(heap, &a) == 0);
  MUST(!a.damaged);
  return a;
}
// Nothing is held: after a reap all pages are free, and there is nobody's left.
static void assert_empty(struct shoal_heap *heap) {
  MUST(shoal_heap_reap(heap) >= 0);
  struct shoal_heap_audit a = audit(heap);
  assert_int_equal(a.dead_runs + a.dead_blocks, 0);
  assert_int_equal(a.blocks, 0);
  assert_int_equal(a.held, 0);
  assert_int_equal(a.free_pages, a.pages);
}
static void done(struct shoal_segment *seg, struct shoal_heap *heap) {
  assert_empty(heap);
  assert_ok(shoal_heap_close(heap));
  assert_ok(shoal_segment_close(seg));
}

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

// Every page of the segment's heap, in blocks of one size; how many there were.
static unsigned fill(struct shoal_heap *heap, uint64_t size, void **blocks, unsigned most) {
  unsigned n = 0;
  int rc = 0;
  while (n < most && (rc = shoal_heap_alloc(heap, size, &blocks[n])) == 0) memset(blocks[n++], 1, size ? 1 : 0);
  MUST(rc == -ENOSPC);
  return n;
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

// ---- threads and processes ----

#define WORKERS 4
#define SLOTS 64

struct table {
  shoal_atomic64 off[SLOTS];  // of a block, with its size in its first words
  shoal_atomic32 ready, stop;
};

// Takes what is in a slot, whoever made it, frees it, and puts another there.
static void exchange(struct shoal_segment *seg, struct shoal_heap *heap, struct table *t, uint32_t *seed) {
  uint32_t at = random_next(seed) % SLOTS, r = random_next(seed);
  uint64_t size = r % 16 == 0 ? 4096 + r % 100000 : 16 + r / 16 % 3000, *mine = alloc(heap, size);
  mine[0] = size;
  mine[1] = ~size;
  memset(mine + 2, (int)size & 0xff, size - 16);
  uint64_t had = __atomic_exchange_n(&t->off[at].v_, shoal_segment_off(seg, mine), __ATOMIC_ACQ_REL);
  if (!had) return;
  uint64_t *theirs = shoal_segment_at(seg, had, 16);
  MUST(theirs && theirs[1] == ~theirs[0]);
  const unsigned char *bytes = (const unsigned char *)(theirs + 2);
  for (uint64_t i = 0; i < theirs[0] - 16; i += 97) MUST(bytes[i] == (theirs[0] & 0xff));
  MUST(shoal_heap_free(heap, theirs) == 0);
}
static void empty_table(struct shoal_segment *seg, struct shoal_heap *heap, struct table *t) {
  for (int i = 0; i < SLOTS; i++)
    if (t->off[i].v_) assert_ok(shoal_heap_free(heap, shoal_segment_at(seg, t->off[i].v_, 16)));
}

struct worker {
  struct shoal_segment *seg;
  struct shoal_heap *heap;
  struct table *table;
  uint32_t seed;
};
static void *work(void *arg) {
  struct worker *w = arg;
  for (int i = 0; i < 20000; i++) exchange(w->seg, w->heap, w->table, &w->seed);
  return NULL;
}

static void test_threads(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(NULL);
  struct shoal_heap *heap = heap_of(seg);
  struct table *t = shared_memory(sizeof *t);
  pthread_t threads[WORKERS];
  struct worker workers[WORKERS];
  for (int lap = 0; lap < 2; lap++) {
    for (uint32_t i = 0; i < WORKERS; i++) {
      workers[i] = (struct worker){seg, heap, t, i + 1};
      assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < WORKERS; i++) pthread_join(threads[i], NULL);
    audit(heap);
  }
  empty_table(seg, heap, t);
  munmap(t, sizeof *t);
  done(seg, heap);  // what the ended threads had in their lists is there as well
}

static void test_processes(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(NULL);
  struct shoal_heap *heap = heap_of(seg);
  struct table *t = shared_memory(sizeof *t);
  pid_t pids[WORKERS];
  for (uint32_t i = 0; i < WORKERS; i++) {
    pids[i] = fork_child();
    if (pids[i]) continue;
    struct shoal_segment *mine = i % 2 ? again(seg) : seg;
    work(&(struct worker){mine, i % 2 ? heap_of(mine) : heap, t, i + 1});
    shoal_add32_seq_cst(&t->ready, 1);
    while (!shoal_load32_acquire(&t->stop)) sched_yield();  // till then its blocks are its
    _exit(0);
  }
  await(&t->ready, WORKERS);
  audit(heap);
  empty_table(seg, heap, t);
  assert_int_equal(info(heap).blocks, 0);
  signal_to(&t->stop);
  for (int i = 0; i < WORKERS; i++) assert_exits(pids[i], 0);
  munmap(t, sizeof *t);
  done(seg, heap);
}

static void test_fork(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small);
  struct shoal_heap *heap = heap_of(seg);
  void *mine[100], *small_one = alloc(heap, 64), *large = alloc(heap, 50000);
  for (int i = 0; i < 100; i++) mine[i] = alloc(heap, 64);
  for (int i = 0; i < 100; i++) assert_ok(shoal_heap_free(heap, mine[i]));  // in this thread's list, and its alone
  pid_t (*starts[])(void) = {fork_child, clone_child};
  for (int s = 0; s < 2; s++) {
    pid_t pid = starts[s]();
    if (pid == 0) {
      for (int i = 0; i < 200; i++) memset(alloc(heap, 64), 0xcc, 64);
      if (s == 1) MUST(shoal_heap_free(heap, small_one) == 0 && shoal_heap_free(heap, large) == 0);
      MUST(info(heap).processes == 2);
      _exit(0);
    }
    assert_exits(pid, 0);
    for (int i = 0; i < 100; i++) {
      mine[i] = alloc(heap, 64);
      memset(mine[i], i, 64);
    }
    assert_true(shoal_heap_reap(heap) >= 200);
    for (int i = 0; i < 100; i++) {
      for (int k = 0; k < 64; k++) assert_int_equal(((unsigned char *)mine[i])[k], i);
      assert_ok(shoal_heap_free(heap, mine[i]));
    }
  }
  assert_int_equal(info(heap).blocks, 0);
  done(seg, heap);
}

// Whatever a child of fork does first.
static void test_first_call_of_a_child(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small);
  struct shoal_heap *heap = heap_of(seg);
  void *block = alloc(heap, 100);
  pid_t (*starts[])(void) = {fork_child, clone_child};
  for (int s = 0; s < 2; s++)
    for (int what = 0; what < 4; what++) {
      pid_t pid = starts[s]();
      if (pid == 0) {
        if (what == 0) MUST(info(heap).blocks == 1);
        if (what == 1) MUST(audit(heap).blocks == 1);
        if (what == 2) MUST(shoal_heap_usable(heap, block) == 112);
        if (what == 3) MUST(shoal_heap_reap(heap) >= 0);
        _exit(0);
      }
      assert_exits(pid, 0);
    }
  assert_ok(shoal_heap_free(heap, block));
  done(seg, heap);
}

static void test_memory_of_the_killed(void **state) {
  (void)state;
  static void *blocks[600000];
  struct shoal_segment *seg = anonymous(&small);
  struct shoal_heap *heap = heap_of(seg);
  shoal_atomic32 *filled = shared_memory(sizeof *filled);
  static const uint64_t sizes[] = {40, 4000, 9000};
  for (unsigned i = 0; i < 3; i++) {
    filled->v_ = 0;
    pid_t pid = fork_child();
    if (pid == 0) {
      fill(heap, sizes[i], blocks, 600000);
      signal_to(filled);
      for (;;) pause();
    }
    await(filled, 1);
    void *block = NULL;
    assert_int_equal(shoal_heap_alloc(heap, sizes[i], &block), -ENOSPC);
    kill_and_wait(pid);
    block = alloc(heap, 1 << 20);  // by itself
    assert_ok(shoal_heap_free(heap, block));
    assert_empty(heap);
    assert_int_equal(info(heap).processes, 1);
  }
  munmap(filled, sizeof *filled);
  done(seg, heap);
}

// What held it is no more only when somebody looks who is gone: the first allocation that needs it does.
static void test_memory_of_objects_of_the_killed(void **state) {
  (void)state;
  static const uint64_t sizes[] = {100, 9000};
  struct shoal_segment *seg = anonymous(&small);
  struct shoal_heap *heap = heap_of(seg);
  shoal_atomic32 *filled = shared_memory(sizeof *filled);
  for (unsigned i = 0; i < 2; i++) {
    filled->v_ = 0;
    pid_t pid = fork_child();
    if (pid == 0) {
      struct shoal_object o;
      struct shoal_block_ref ref;
      void *block;
      MUST(shoal_object_begin_(seg, NULL, "test", 64, &o) == 0 && shoal_object_end_(seg, &o, 0) == 0);
      while (shoal_heap_alloc(heap, sizes[i], &block) == 0)
        MUST(shoal_block_give_(heap, block, o.entry, o.generation, &ref) == 0);
      signal_to(filled);
      for (;;) pause();
    }
    await(filled, 1);
    kill_and_wait(pid);
    void *block = NULL;
    assert_ok(shoal_heap_alloc(heap, 9000, &block));
    assert_ok(shoal_heap_free(heap, block));
    assert_empty(heap);
  }
  munmap(filled, sizeof *filled);
  done(seg, heap);
}

// A slab of which somebody else holds a block outlives its process, and serves another.
static void test_slab_changes_hands(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small);
  struct shoal_heap *heap = heap_of(seg);
  struct shoal_object o;
  struct shoal_block_ref *ref = shared_memory(4096);
  assert_ok(shoal_object_create(seg, "holder", "test", 64, NULL, NULL, &o));
  pid_t pid = fork_child();
  if (pid == 0) {
    for (int i = 0; i < 99; i++) {
      void *block = alloc(heap, 3000);
      if (i == 50) MUST(shoal_block_give_(heap, block, o.entry, o.generation, ref) == 0);
    }
    _exit(0);
  }
  assert_exits(pid, 0);
  assert_true(shoal_heap_reap(heap) >= 98);
  struct shoal_heap_audit a = audit(heap);
  assert_int_equal(a.slabs, 1);
  assert_int_equal(a.blocks, 1);
  void *theirs, *mine[18];
  uint64_t usable;
  assert_ok(shoal_block_at_(heap, ref, o.entry, o.generation, &theirs, &usable));
  assert_int_equal(usable, 3072);
  for (int i = 0; i < 18; i++) {
    mine[i] = alloc(heap, 3000);
    assert_ptr_not_equal(mine[i], theirs);
  }
  assert_int_equal(audit(heap).slabs, 1);  // it was used
  for (int i = 0; i < 18; i++) assert_ok(shoal_heap_free(heap, mine[i]));
  assert_ok(shoal_block_end_(heap, ref, o.entry, o.generation));
  assert_ok(shoal_object_remove(seg, "holder"));
  assert_ok(shoal_object_close(seg, &o));
  munmap(ref, 4096);
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

// ---- blocks of objects ----

static void test_references(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small), *other = again(seg);
  struct shoal_heap *heap = heap_of(seg), *there = heap_of(other);
  struct shoal_object o;
  assert_ok(shoal_object_create(seg, "holder", "test", 64, NULL, NULL, &o));
  static const uint64_t sizes[] = {1, 100, 4096, 100000};
  for (unsigned i = 0; i < 4; i++) {
    struct shoal_block_ref ref = {0, 0, 1}, old;
    void *block = alloc(heap, sizes[i]), *data = NULL;
    uint64_t usable = 0;
    memset(block, 0x77, sizes[i]);
    assert_int_equal(shoal_block_give_(there, shoal_segment_at(other, shoal_segment_off(seg, block), 1), o.entry,
                                       o.generation, &ref),
                     -EINVAL);  // not this view's to give
    assert_ok(shoal_block_give_(heap, block, o.entry, o.generation, &ref));
    assert_int_equal(ref.off, shoal_segment_off(seg, block));
    assert_int_equal(ref.reserved_, 0);
    assert_int_equal(shoal_block_give_(heap, block, o.entry, o.generation, &old), -EINVAL);
    assert_int_equal(shoal_heap_free(heap, block), -EINVAL);
    assert_non_null(strstr(shoal_reason(), "object"));
    assert_true(shoal_heap_usable(heap, block) >= sizes[i]);
    assert_ok(shoal_block_at_(there, &ref, o.entry, o.generation, &data, &usable));
    assert_true(usable >= sizes[i]);
    assert_int_equal(((char *)data)[sizes[i] - 1], 0x77);
    assert_int_equal(shoal_block_at_(there, &ref, o.entry + 1, o.generation, &data, &usable), -ENOENT);
    assert_int_equal(shoal_block_at_(there, &ref, o.entry, o.generation + 1, &data, &usable), -ENOENT);
    assert_ok(shoal_block_take_(there, &ref, o.entry, o.generation));
    assert_int_equal(shoal_block_take_(heap, &ref, o.entry, o.generation), -ENOENT);
    assert_int_equal(shoal_block_end_(heap, &ref, o.entry, o.generation), -ENOENT);
    assert_int_equal(shoal_block_at_(heap, &ref, o.entry, o.generation, &data, &usable), -ENOENT);
    old = ref;
    assert_ok(shoal_block_give_(there, data, o.entry, o.generation, &ref));
    assert_int_equal(ref.off, old.off);
    assert_int_not_equal(ref.seq, old.seq);
    assert_int_equal(shoal_block_end_(heap, &old, o.entry, o.generation), -ENOENT);
    assert_ok(shoal_block_end_(heap, &ref, o.entry, o.generation));
    assert_int_equal(shoal_block_end_(heap, &ref, o.entry, o.generation), -ENOENT);
    assert_int_equal(shoal_heap_free(heap, block), -EINVAL);
  }
  assert_ok(shoal_object_remove(seg, "holder"));
  assert_ok(shoal_object_close(seg, &o));
  assert_ok(shoal_heap_close(there));
  assert_ok(shoal_segment_close(other));
  done(seg, heap);
}

// A slab's pages become another slab: what led to a block of the first leads to none of the second.
static void test_references_to_former_pages(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small);
  struct shoal_heap *heap = heap_of(seg);
  struct shoal_object o;
  struct shoal_block_ref old[16], ref;
  assert_ok(shoal_object_create(seg, "holder", "test", 64, NULL, NULL, &o));
  for (int life = 0; life < 200; life++) {
    void *block = alloc(heap, 64), *data;
    uint64_t usable;
    assert_ok(shoal_block_give_(heap, block, o.entry, o.generation, &ref));
    for (int i = 0; i < life && i < 16; i++) {
      assert_int_equal(shoal_block_at_(heap, &old[i], o.entry, o.generation, &data, &usable), -ENOENT);
      assert_int_equal(shoal_block_end_(heap, &old[i], o.entry, o.generation), -ENOENT);
    }
    assert_ok(shoal_block_end_(heap, &ref, o.entry, o.generation));
    old[life % 16] = ref;
    assert_empty(heap);
  }
  assert_ok(shoal_object_remove(seg, "holder"));
  assert_ok(shoal_object_close(seg, &o));
  done(seg, heap);
}

static void test_blocks_go_with_their_object(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small);
  struct shoal_heap *heap = heap_of(seg);
  struct shoal_object o;
  struct shoal_block_ref ref[2];
  void *data;
  uint64_t usable;
  for (int life = 0; life < 300; life++) {  // generations come round in 8 bits, not the sequences
    assert_ok(shoal_object_create(seg, "holder", "test", 64, NULL, NULL, &o));
    assert_ok(shoal_block_give_(heap, alloc(heap, 100), o.entry, o.generation, &ref[0]));
    assert_ok(shoal_block_give_(heap, alloc(heap, 100000), o.entry, o.generation, &ref[1]));
    assert_int_equal(info(heap).objects, 2);
    assert_ok(shoal_object_remove(seg, "holder"));
    shoal_heap_reap(heap);
    for (int i = 0; i < 2; i++) assert_ok(shoal_block_at_(heap, &ref[i], o.entry, o.generation, &data, &usable));
    struct shoal_object gone = o;
    assert_ok(shoal_object_close(seg, &o));
    assert_true(shoal_heap_reap(heap) >= 2);
    for (int i = 0; i < 2; i++)
      assert_int_equal(shoal_block_at_(heap, &ref[i], gone.entry, gone.generation, &data, &usable), -ENOENT);
    assert_int_equal(info(heap).blocks, 0);
  }
  done(seg, heap);
}

// ---- death at random ----

static void rampage(struct shoal_heap *heap, struct shoal_object *o, struct shoal_block_ref *refs, uint32_t seed) {
  void *held[32] = {NULL};
  for (;;) {
    uint32_t r = random_next(&seed), at = r % 32;
    if (held[at]) {
      MUST(shoal_heap_free(heap, held[at]) == 0);
      held[at] = NULL;
    } else if (shoal_heap_alloc(heap, r / 32 % 8 ? r / 256 % 600 : r / 256 % 200000, &held[at])) {
      held[at] = NULL;
    }
    struct shoal_block_ref *ref =
        &refs[random_next(&seed) % SLOTS];  // two may write it at once: it leads nowhere, then
    if (r >> 28 == 1 && held[at]) {
      MUST(shoal_block_give_(heap, held[at], o->entry, o->generation, ref) == 0);
      held[at] = NULL;
    }
    int rc = r >> 28 == 2 ? shoal_block_end_(heap, ref, o->entry, o->generation) : 0;
    MUST(rc == 0 || rc == -ENOENT);
    struct shoal_block_ref seen = *(volatile struct shoal_block_ref *)ref;
    if (r >> 28 == 3 && !held[at] && shoal_block_take_(heap, &seen, o->entry, o->generation) == 0)
      held[at] = shoal_segment_at(heap->seg, seen.off, 1);
    if (r >> 24 == 0x33) shoal_heap_reap(heap);
  }
}
static void test_random_kills_among_processes(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small);
  struct shoal_heap *heap = heap_of(seg);
  struct shoal_object o;
  struct shoal_block_ref *refs = shared_memory(SLOTS * sizeof *refs);
  uint32_t seed = 7;
  pid_t pids[4] = {0};
  assert_ok(shoal_object_create(seg, "holder", "test", 64, NULL, NULL, &o));
  for (int death = 0; death < 80; death++) {
    int k = (int)(random_next(&seed) % 4);
    if (pids[k]) kill_and_wait(pids[k]);
    pids[k] = fork_child();
    if (pids[k] == 0) rampage(heap, &o, refs, seed);
    usleep(random_next(&seed) % 4000);
  }
  for (int k = 0; k < 4; k++)
    if (pids[k]) kill_and_wait(pids[k]);
  assert_ok(shoal_object_remove(seg, "holder"));
  assert_ok(shoal_object_close(seg, &o));
  munmap(refs, SLOTS * sizeof *refs);
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
      cmocka_unit_test(test_threads),
      cmocka_unit_test(test_processes),
      cmocka_unit_test(test_fork),
      cmocka_unit_test(test_first_call_of_a_child),
      cmocka_unit_test(test_memory_of_the_killed),
      cmocka_unit_test(test_memory_of_objects_of_the_killed),
      cmocka_unit_test(test_slab_changes_hands),
      cmocka_unit_test(test_freed_again_when_its_slab_has_ended),
      cmocka_unit_test(test_what_a_slabs_end_costs),
      cmocka_unit_test(test_references),
      cmocka_unit_test(test_references_to_former_pages),
      cmocka_unit_test(test_blocks_go_with_their_object),
      cmocka_unit_test(test_random_kills_among_processes),
      cmocka_unit_test(test_hostile_words),
      cmocka_unit_test(test_hostile_directory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
