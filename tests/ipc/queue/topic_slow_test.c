// Claims of ipc/queue/topic about the slow and the late, who read alone:
//   1 one that is waited for holds up publishers after a whole ring, not before
//   2 one that is not never does, but for the message in its hands, and what it missed is counted exactly
//   3 late joiners begin with the last K, holes not counted; what they see has no gap
#include "tests/ipc/queue/topic_fixture.h"

static void read_all_slowly(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_topic *t = attach(memory);
  struct shoal_loan loan;
  subscribe(t);
  shoal_add32_seq_cst(&s->ready, 1);
  for (uint32_t n = 1;; n++) {
    await(&s->stage, n);
    int rc = shoal_topic_receive(t, &loan, SHOAL_FOREVER);
    if (rc == -EPIPE) break;
    CHECK(rc == 0 && *(uint64_t *)loan.data == n - 1);
    CHECK(shoal_topic_release(t, &loan) == 0);
    shoal_add32_seq_cst(&s->done, 1);
  }
  shoal_store64_relaxed(&s->answers[i], 1);
}
static void test_the_slow_is_waited_for(void **state) {
  (void)state;
  struct shoal_topic *t = make_of(4);
  struct peer reader = peer_start(&arena, read_all_slowly, 0), publisher;
  await(&shared()->ready, 1);
  assert_int_equal(shoal_topic_join(t), 0);
  sleepers_start(&publisher, 1, publish_ten);
  assert_int_equal(shoal_load64_relaxed(&shared()->sum), 4);
  for (uint32_t n = 1; n <= 6; n++) {
    shoal_store32_seq_cst(&shared()->stage, n);
    await(&shared()->done, n);
    if (n < 6) peer_asleep(&publisher);
    while (shoal_load64_relaxed(&shared()->sum) < 4 + n) sched_yield();
  }
  peer_join(&publisher);
  assert_int_equal(shoal_topic_close(t), 0);
  shoal_store32_seq_cst(&shared()->stage, 100);
  peer_join(&reader);
  unmake(t);
}

// Each of several in the way goes on; who is last wakes.
static void test_the_slowest_of_many_counts(void **state) {
  (void)state;
  struct shoal_topic *t = make_of(2), *other[3];
  struct peer publisher;
  for (int i = 0; i < 3; i++) subscribe(other[i] = attach(arena.memory));
  for (int round = 0; round < 20; round++) {
    shoal_store64_relaxed(&shared()->sum, 0);
    sleepers_start(&publisher, 1, publish_ten);
    for (uint64_t n = 0; n < 8; n++) {
      for (unsigned k = 0; k < 3; k++) {
        assert_int_equal(shoal_load64_relaxed(&shared()->sum), 2 + n);
        assert_int_equal(get(other[(k + n) % 3]), n);
      }
      while (shoal_load64_relaxed(&shared()->sum) < 3 + n) sched_yield();
      if (n < 7) peer_asleep(&publisher);
    }
    peer_join(&publisher);
    for (unsigned k = 0; k < 3; k++) assert_true(get(other[k]) == 8 && get(other[k]) == 9);
  }
  for (int i = 0; i < 3; i++) assert_int_equal(shoal_topic_detach(other[i]), 0);
  unmake(t);
}

static void test_the_slow_is_passed_by_and_told_what_it_missed(void **state) {
  (void)state;
  struct shoal_topic *t = make_of(16);
  struct shoal_topic_subscriber_info who;
  uint64_t received = 0, missed = 0, next = 0;
  subscribe_as(t, SHOAL_TOPIC_DROP, 0, NULL);
  for (uint64_t n = 0, round = 1; round <= 40; round++) {
    for (uint64_t k = 0; k < round; k++) assert_int_equal(try_publish(t, n++), 0);
    for (int64_t v; (v = try_get(t)) >= 0; received++) {
      missed += (uint64_t)v - next;
      next = (uint64_t)v + 1;
    }
    assert_int_equal(next, n);
    assert_int_equal(info_of(t).missed, missed);
    assert_int_equal(shoal_topic_subscriber(t, 0, &who), 0);
    assert_int_equal(who.missed, missed);
    assert_int_equal(received + missed, n);
    if (round <= 14) assert_int_equal(missed, 0);  // a ring, but for what publishers ask for beforehand
  }
  assert_true(missed > 0);
  unmake(t);
}

// Nobody, alone or in a group, has missed what has not been claimed. It goes on once what says so is mended.
static void more_than_can_be_missed(const char *group) {
  struct shoal_topic *t = make_of(4);
  subscribe_as(t, SHOAL_TOPIC_DROP, 0, group);
  for (uint64_t i = 0; i < 3; i++) publish(t, i);
  uint64_t wanted = shoal_load64_relaxed(&t->shm->wanted);
  const uint64_t damaged[] = {
      wanted + 4,        UINT64_C(1) << 38,         UINT64_C(1) << 40, UINT64_C(1) << 50, (UINT64_C(1) << 50) + 2,
      UINT64_C(1) << 63, (UINT64_C(1) << 63) + 100, UINT64_MAX - 40,   UINT64_MAX};
  for (uint64_t i = 0; i < 3; i++) {
    for (unsigned d = 0; d < sizeof damaged / sizeof *damaged; d++) {
      shoal_store64_relaxed(&t->shm->wanted, damaged[d]);
      assert_int_equal(try_get(t), -EAGAIN);
    }
    shoal_store64_relaxed(&t->shm->wanted, wanted);
    assert_int_equal(try_get(t), i);
  }
  assert_int_equal(info_of(t).missed, 0);
  unmake(t);
}
static void test_more_than_can_be_missed_is_not_missed(void **state) {
  (void)state;
  more_than_can_be_missed(NULL);
  more_than_can_be_missed("group");
}

static void test_what_the_slow_holds_stays(void **state) {
  (void)state;
  struct shoal_topic *t = make_of(8);
  struct shoal_loan loan;
  subscribe_as(t, SHOAL_TOPIC_DROP, 0, NULL);
  for (uint64_t round = 0; round < 20; round++) {
    publish(t, round << 32);
    while (receive(t, &loan) != round << 32) assert_int_equal(shoal_topic_release(t, &loan), 0);
    uint64_t n = 1;
    while (try_publish(t, round << 32 | n) == 0) n++;
    assert_int_equal(n, 8);  // all round, but not over it
    assert_int_equal(*(uint64_t *)loan.data, round << 32);
    assert_int_equal(shoal_topic_release(t, &loan), 0);
    assert_int_equal(try_publish(t, 1), 0);
  }
  unmake(t);
}

static void publish_many(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_topic *t = attach(memory);
  CHECK(shoal_topic_join(t) == 0);
  shoal_add32_seq_cst(&s->ready, 1);
  await(&s->ready, 4);
  for (uint64_t n = 1; n <= 30000; n++) publish(t, (uint64_t)i << 32 | n);
}
// In place while publishers come round all the time: what it sees does not change, and only rises.
static void read_what_can_be(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_topic *t = attach(memory);
  struct shoal_topic_info info;
  uint64_t last[2] = {0}, n = 0;
  struct shoal_loan loan;
  int rc;
  subscribe_as(t, SHOAL_TOPIC_DROP, 0, NULL);
  shoal_add32_seq_cst(&s->ready, 1);
  while ((rc = shoal_topic_receive(t, &loan, SHOAL_FOREVER)) == 0) {
    uint64_t v = *(uint64_t *)loan.data, from = v >> 32;
    CHECK(from < 2 && (v & UINT32_MAX) > last[from]);
    last[from] = v & UINT32_MAX;
    for (int k = 0; k < 10; k++) shoal_pause();
    CHECK(__atomic_load_n((uint64_t *)loan.data, __ATOMIC_RELAXED) == v);
    CHECK(shoal_topic_release(t, &loan) == 0);
    n++;
  }
  CHECK(rc == -EPIPE && shoal_topic_info(t, &info) == 0);
  shoal_store64_relaxed(&s->answers[i], n);
}
static void publish_or_read_what_can_be(void *memory, unsigned i) {
  (i < 2 ? publish_many : read_what_can_be)(memory, i);
  struct shared *s = memory;
  shoal_add32_seq_cst(&s->done, 1);
}
static void passed_by_while_reading(enum driver driver) {
  struct shoal_topic *t = make_of(4);
  run(&arena, driver, 4, publish_or_read_what_can_be);
  shoal_role_reap(&t->wait);
  assert_int_equal(
      info_of(t).missed + shoal_load64_relaxed(&shared()->answers[2]) + shoal_load64_relaxed(&shared()->answers[3]),
      2 * info_of(t).published);
  assert_int_equal(shoal_topic_detach(t), 0);
  arena_free(&arena);
}
static void test_passed_by_while_reading_processes(void **state) { (void)state, passed_by_while_reading(PROCESSES); }

// ---- the late ----

static void test_a_late_joiner_gets_the_last(void **state) {
  (void)state;
  struct shoal_topic *t = make((struct shoal_topic_options){.capacity = 16, .history = 12});
  struct shoal_loan loan;
  uint64_t n = 0;
  for (int round = 0; round < 60; round++, n++) {
    for (uint32_t k = 0; k <= 12; k++) {
      subscribe_as(t, k % 2 ? SHOAL_TOPIC_DROP : SHOAL_TOPIC_WAIT, k, NULL);
      for (uint64_t v = n < k ? 0 : n - k; v < n; v++) assert_int_equal(try_get(t), v);
      assert_int_equal(try_get(t), -EAGAIN);
      assert_int_equal(shoal_topic_unsubscribe(t), 0);
    }
    if (round % 4 == 0) {  // holes are no messages
      assert_int_equal(shoal_topic_reserve(t, &loan, SHOAL_TRY), 0);
      assert_int_equal(shoal_topic_cancel(t, &loan), 0);
      subscribe_as(t, SHOAL_TOPIC_WAIT, 2, NULL);
      for (uint64_t v = n < 2 ? 0 : n - 2; v < n; v++) assert_int_equal(try_get(t), v);
      assert_int_equal(shoal_topic_unsubscribe(t), 0);
      for (uint32_t fill = 0; fill < 12; fill++) publish(t, ++n - 1);
    }
    publish(t, n);
  }
  subscribe_as(t, SHOAL_TOPIC_WAIT, SHOAL_TOPIC_ALL, NULL);
  uint64_t first = get(t);
  assert_true(n - first >= 12 && n - first <= 16);
  unmake(t);
}
static void test_as_long_a_history_as_the_ring(void **state) {
  (void)state;
  struct shoal_topic *t = make((struct shoal_topic_options){.capacity = 4, .history = 4});
  for (uint64_t n = 0; n < 50; n++) publish(t, n);
  subscribe_as(t, SHOAL_TOPIC_WAIT, 4, NULL);
  for (uint64_t n = 46; n < 50; n++) assert_int_equal(get(t), n);
  unmake(t);
}

// Joiners come and go while others publish: what each of them sees has no gap.
static void join_and_read(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_topic *t = attach(memory);
  if (i == 0) {
    CHECK(shoal_topic_join(t) == 0);
    for (uint64_t n = 0; shoal_load32_seq_cst(&s->done) < 2; n++) publish(t, n);
  }
  for (uint32_t round = 0; i && round < 3000; round++) {
    subscribe_as(t, SHOAL_TOPIC_WAIT, round % 4, NULL);
    uint64_t v, first = 0;
    for (uint64_t k = 0; k < 8 && numbers_get(t, &v, k < 2 ? SHOAL_FOREVER : SHOAL_TRY) == 0; k++) {
      if (k == 0) first = v;
      CHECK(v == first + k);
    }
    CHECK(shoal_topic_unsubscribe(t) == 0);
  }
  if (i) shoal_add32_seq_cst(&s->done, 1);
  CHECK(shoal_topic_detach(t) == 0);
}
static void joining_beside_publishers(enum driver driver) {
  struct shoal_topic *t = make((struct shoal_topic_options){.capacity = 8, .history = 4});
  assert_int_equal(shoal_topic_join(t), 0);
  run(&arena, driver, 3, join_and_read);
  unmake(t);
}
static void test_joining_beside_publishers_threads(void **state) { (void)state, joining_beside_publishers(THREADS); }
static void test_joining_beside_publishers_processes(void **state) {
  (void)state, joining_beside_publishers(PROCESSES);
}

int main(void) {
  watchdog(240);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_slow_is_waited_for),
      cmocka_unit_test(test_the_slowest_of_many_counts),
      cmocka_unit_test(test_the_slow_is_passed_by_and_told_what_it_missed),
      cmocka_unit_test(test_more_than_can_be_missed_is_not_missed),
      cmocka_unit_test(test_what_the_slow_holds_stays),
      cmocka_unit_test(test_passed_by_while_reading_processes),
      cmocka_unit_test(test_a_late_joiner_gets_the_last),
      cmocka_unit_test(test_as_long_a_history_as_the_ring),
      cmocka_unit_test(test_joining_beside_publishers_threads),
      cmocka_unit_test(test_joining_beside_publishers_processes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
