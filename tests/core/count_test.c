// What is counted of participants (core/count_internal.h, struct shoal_counters of core/segment.h):
// - a sleep and a wake count for the thread that made them, in the segment that the word lies in, and nowhere else
// - who dies, leaves, or is reaped takes nothing out of the segment's sum, and puts nothing into it twice
// - a newcomer in a slot begins with nothing; so does a child of fork, which does not write its parent's line
// - who is no participant, or no longer one, counts nothing, and writes nothing
#include "core/deadline.h"
#include "core/futex.h"
#include "tests/core/support.h"

static const struct shoal_segment_options few = {
    .size = 64 << 10, .size_max = 1 << 20, .participants = 2, .objects = 16};

static shoal_atomic32 *word_in(struct shoal_segment *seg) { return (shoal_atomic32 *)(void *)seg->units; }
static void join(struct shoal_segment *seg) {
  shoal_proc_id id;
  MUST(shoal_proc_self(seg, &id) == 0);
}
static void sleep_once(struct shoal_segment *seg) {
  MUST(shoal_futex_wait(word_in(seg), 0, shoal_after_ns(1)) == -ETIMEDOUT);
}
static struct shoal_counters sum_of(struct shoal_segment *seg) { return info_of(seg).counters; }

struct own {
  uint32_t tid;
  struct shoal_counters counters;
};
static int find(const struct shoal_proc_info *p, void *arg) {
  struct own *own = arg;
  if (p->tid != own->tid) return 0;
  own->counters = p->counters;
  return 1;
}
static struct shoal_counters counts_of(struct shoal_segment *seg, pid_t tid) {
  struct own own = {.tid = (uint32_t)tid};
  MUST(shoal_proc_list(seg, find, &own) == 1);
  return own.counters;
}

static void test_where_the_word_lies(void **state) {
  (void)state;
  struct shoal_segment *a = anonymous(&few), *b = anonymous(&few);
  shoal_atomic32 mine = {0};
  sleep_once(a);  // no participant yet
  assert_int_equal(sum_of(a).blocks, 0);
  join(a);
  join(b);
  sleep_once(a);
  assert_int_equal(shoal_futex_wait(&mine, 0, shoal_after_ns(1)), -ETIMEDOUT);
  struct shoal_futex_entry two[] = {{word_in(b), 0}, {word_in(a), 0}};
  assert_int_equal(shoal_futex_wait_many(two, 2, 0, shoal_after_ns(1)), -ETIMEDOUT);
  shoal_futex_wake(word_in(a), 1);
  shoal_futex_clear_and_wake(word_in(a), 31);
  assert_int_equal(sum_of(a).blocks, 1);
  assert_int_equal(sum_of(a).wakes, 2);
  assert_int_equal(sum_of(a).woken, 0);
  assert_int_equal(sum_of(b).blocks, 1);
  assert_int_equal(counts_of(a, gettid()).blocks, 1);
  assert_ok(shoal_segment_close(a));
  assert_ok(shoal_segment_close(b));
}

static void test_who_was_woken(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&few);
  join(seg);
  pid_t pid = fork_child();
  if (pid == 0) {
    MUST(shoal_futex_wait(word_in(seg), 0, SHOAL_FOREVER) == 0);
    _exit(0);
  }
  unsigned calls = 1;
  while (!shoal_futex_wake(word_in(seg), 1)) calls++, sched_yield();
  assert_exits(pid, 0);
  assert_int_equal(sum_of(seg).woken, 1);
  assert_int_equal(sum_of(seg).wakes, calls);
  assert_int_equal(sum_of(seg).blocks, 0);  // the child's: it has inherited no line
  assert_ok(shoal_segment_close(seg));
}

static void test_the_dead_stay_in_the_sum(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&few);
  shoal_atomic32 *ready = shared_memory(4096);
  join(seg);
  for (unsigned round = 0; round < 5; round++) {
    pid_t pid = fork_child();
    if (pid == 0) {
      join(seg);
      MUST(counts_of(seg, gettid()).blocks == 0);  // though others have counted in this slot
      for (unsigned i = 0; i < 3; i++) sleep_once(seg);
      signal_to(ready);
      for (;;) pause();
    }
    await(ready, round + 1);
    assert_int_equal(counts_of(seg, pid).blocks, 3);
    kill_and_wait(pid);
    assert_int_equal(sum_of(seg).blocks, 3 * (round + 1));
    assert_int_equal(shoal_proc_reap(seg), 1);
    assert_int_equal(shoal_proc_reap(seg), 0);
    assert_int_equal(sum_of(seg).blocks, 3 * (round + 1));
    assert_int_equal(sum_of(seg).reaps, round + 1);
  }
  assert_int_equal(counts_of(seg, gettid()).reaps, 5);
  assert_ok(shoal_segment_close(seg));
}

static void test_who_leaves(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&few), *old = again(seg);
  join(old);
  sleep_once(old);
  assert_ok(shoal_proc_leave(old));
  sleep_once(old);
  assert_int_equal(sum_of(seg).blocks, 1);
  join(seg);
  assert_int_equal(counts_of(seg, gettid()).blocks, 0);
  sleep_once(seg);
  assert_int_equal(sum_of(seg).blocks, 2);
  assert_int_equal(counts_of(seg, gettid()).blocks, 1);
  assert_ok(shoal_segment_close(old));
  assert_ok(shoal_segment_close(seg));
}

// More segments than a thread keeps in mind: nothing is counted where it does not belong.
static void test_many_segments(void **state) {
  (void)state;
  enum { MANY = 20 };
  struct shoal_segment *seg[MANY];
  uint64_t all = 0;
  for (unsigned i = 0; i < MANY; i++) join(seg[i] = anonymous(&few));
  for (unsigned i = 0; i < MANY; i++) {
    sleep_once(seg[i]);
    assert_true(sum_of(seg[i]).blocks <= 1);
    all += sum_of(seg[i]).blocks;
  }
  assert_int_equal(all, 8);
  for (unsigned i = 0; i < MANY; i++) {
    join(seg[i]);  // once more in mind
    uint64_t before = sum_of(seg[i]).blocks;
    sleep_once(seg[i]);
    assert_int_equal(sum_of(seg[i]).blocks, before + 1);
  }
  for (unsigned i = 0; i < MANY; i++) assert_ok(shoal_segment_close(seg[i]));
}

static void test_a_dead_owner(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&few);
  struct shoal_robust *r = (struct shoal_robust *)(void *)seg->units;
  join(seg);
  pid_t pid = fork_child();
  if (pid == 0) _exit(shoal_robust_acquire_(r, SHOAL_TRY));
  assert_exits(pid, 0);
  assert_int_equal(shoal_robust_acquire_(r, SHOAL_TRY), -EOWNERDEAD);
  assert_int_equal(sum_of(seg).owner_deaths, 1);
  assert_int_equal(sum_of(seg).claims, 0);
  shoal_robust_release_(r);
  pid = fork_child();
  if (pid == 0) _exit(shoal_live_take_(r));
  assert_exits(pid, 0);
  uint32_t word = shoal_load32_relaxed(&r->word);
  assert_int_equal(shoal_live_adopt_(r, word), 0);
  assert_int_equal(sum_of(seg).claims, 1);
  assert_int_equal(sum_of(seg).owner_deaths, 1);
  shoal_live_drop_(r);
  assert_ok(shoal_segment_close(seg));
}

int main(void) {
  alarm(WATCHDOG_S);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_where_the_word_lies),
      cmocka_unit_test(test_who_was_woken),
      cmocka_unit_test(test_the_dead_stay_in_the_sum),
      cmocka_unit_test(test_who_leaves),
      cmocka_unit_test(test_many_segments),
      cmocka_unit_test(test_a_dead_owner),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
