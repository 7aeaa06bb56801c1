// What core/heap.h claims, of whose a block is:
// - a block is freed by any thread or process, and by whoever inherits the heap by fork
// - what a killed process had, and what an object had that is no more, comes back
// - a block given to an object is the object's from one instant on, and a reference to an earlier life leads nowhere
// - however processes are killed, every page is in one run, and all of it can be allocated in the end
#include "core/directory.h"
#include "tests/core/heap_fixture.h"

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

int main(void) {
  alarm(WATCHDOG_S);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_threads),
      cmocka_unit_test(test_processes),
      cmocka_unit_test(test_fork),
      cmocka_unit_test(test_first_call_of_a_child),
      cmocka_unit_test(test_memory_of_the_killed),
      cmocka_unit_test(test_memory_of_objects_of_the_killed),
      cmocka_unit_test(test_slab_changes_hands),
      cmocka_unit_test(test_references),
      cmocka_unit_test(test_references_to_former_pages),
      cmocka_unit_test(test_blocks_go_with_their_object),
      cmocka_unit_test(test_random_kills_among_processes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
