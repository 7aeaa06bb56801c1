// Claims of joinable queues of ipc/queue/queue: what was got is unfinished until task_done, by the thread that got it,
// once; join sleeps until nothing is, and is woken by the last; what a dead one had got comes again; nobody waits for
// himself or for consumers that are gone.
#include <unistd.h>

#include "core/error.h"
#include "tests/ipc/queue/policy_fixture.h"

static const uint32_t keeping[] = {SHOAL_QUEUE_MPMC, SHOAL_QUEUE_FIFO, SHOAL_QUEUE_PRIORITY};  // rising ones in order
#define EACH_KEEPING(kind) for (uint32_t k_ = 0, kind; k_ < 3 && (kind = keeping[k_], 1); k_++)
static struct shoal_queue *make_joinable(uint32_t kind, uint32_t capacity) {
  struct shoal_queue_options o = {.capacity = capacity, .kind = kind, .joinable = 1};
  if (kind == SHOAL_QUEUE_PRIORITY) o.key = (struct shoal_queue_key){SHOAL_KEY_U64, 0};
  return make_with(o);
}

static void got_is_unfinished(uint32_t kind) {
  struct shoal_queue *q = make_joinable(kind, 4);
  uint64_t two[2];
  assert_int_equal(shoal_queue_join_tasks(q, SHOAL_TRY), 0);
  assert_int_equal(shoal_queue_task_done(q), -EINVAL);
  assert_string_equal(shoal_reason(), "this thread has no message in hand: task_done was called once too often");
  for (int lap = 0; lap < 5; lap++) {
    for (uint64_t i = 0; i < 4; i++) assert_int_equal(put(q, i), 0);
    assert_int_equal(shoal_queue_join_tasks(q, SHOAL_TRY), -EAGAIN);
    assert_int_equal(shoal_queue_join_tasks(q, shoal_after_ms(1)), lap ? -EDEADLK : -ETIMEDOUT);  // a consumer itself
    assert_int_equal(get_number(q), 0);
    assert_int_equal(number_queue_get_n(q, two, 2, SHOAL_TRY), 2);
    assert_true(two[0] == 1 && two[1] == 2);
    assert_true(info_of(q).held == 3 && info_of(q).size == 1 && info_of(q).joinable);
    assert_int_equal(put(q, 9), -EAGAIN);  // it takes its room
    assert_int_equal(shoal_queue_join_tasks(q, SHOAL_FOREVER), -EDEADLK);
    assert_int_equal(shoal_queue_task_done(q), 0);
    assert_int_equal(put(q, 4), 0);  // the oldest was done with: its place is the next
    for (uint64_t i = 3; i < 5; i++) assert_int_equal(get_number(q), i);
    for (int i = 0; i < 4; i++) assert_int_equal(shoal_queue_task_done(q), 0);
    assert_int_equal(shoal_queue_task_done(q), -EINVAL);
    assert_int_equal(shoal_queue_join_tasks(q, SHOAL_FOREVER), 0);
  }
  unmake(q);
}
static void test_what_was_got_is_unfinished(void **state) {
  (void)state;
  EACH_KEEPING(kind) got_is_unfinished(kind);
}

static void a_release_is_a_task_done(uint32_t kind) {
  struct shoal_queue *q = make_joinable(kind, 4);
  struct shoal_loan loan;
  put(q, 1), put(q, 2);
  assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
  assert_int_equal(shoal_queue_release(q, &loan), 0);
  assert_int_equal(shoal_queue_task_done(q), -EINVAL);
  assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
  assert_int_equal(shoal_queue_return(q, &loan), 0);
  assert_int_equal(shoal_queue_join_tasks(q, SHOAL_TRY), -EAGAIN);
  assert_int_equal(get_number(q), 2);
  assert_int_equal(shoal_queue_leave(q, SHOAL_CONSUMER), 0);  // to leave is to give it back
  assert_int_equal(shoal_queue_task_done(q), -EINVAL);
  assert_int_equal(get_number(q), 2);
  assert_int_equal(shoal_queue_task_done(q), 0);
  assert_int_equal(shoal_queue_reserve(q, &loan, SHOAL_TRY), 0);
  assert_int_equal(shoal_queue_join_tasks(q, SHOAL_FOREVER), -EDEADLK);
  assert_int_equal(shoal_queue_cancel(q, &loan), 0);
  assert_int_equal(shoal_queue_join_tasks(q, SHOAL_TRY), 0);
  put(q, 3);
  assert_int_equal(shoal_queue_clear(q), 1);
  assert_int_equal(shoal_queue_join_tasks(q, SHOAL_TRY), 0);
  put(q, 4);
  shoal_queue_leave(q, SHOAL_CONSUMER);
  assert_int_equal(shoal_queue_join_tasks(q, SHOAL_FOREVER), -EPIPE);
  unmake(q);
}
static void test_a_release_is_a_task_done(void **state) {
  (void)state;
  EACH_KEEPING(kind) a_release_is_a_task_done(kind);
}

// In the order of the gets, whatever the kind's is.
static void test_the_first_that_was_got_is_done(void **state) {
  (void)state;
  struct shoal_queue *q = make_joinable(SHOAL_QUEUE_LIFO, 8);
  struct shoal_loan loan;
  for (uint64_t i = 1; i <= 5; i++) put(q, i);
  for (uint64_t i = 5; i >= 2; i--) assert_int_equal(get_number(q), i);
  for (int i = 0; i < 2; i++) assert_int_equal(shoal_queue_task_done(q), 0);  // 5, 4
  assert_int_equal(get_number(q), 1);
  assert_int_equal(shoal_queue_task_done(q), 0);  // 3
  assert_int_equal(shoal_queue_leave(q, SHOAL_CONSUMER), 0);
  assert_int_equal(shoal_queue_task_done(q), -EINVAL);
  assert_int_equal(get_number(q) + get_number(q), 3);
  assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), -EAGAIN);
  put(q, 7);
  assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
  for (int i = 0; i < 3; i++) assert_int_equal(shoal_queue_task_done(q), 0);  // what is in place comes last
  assert_int_equal(shoal_queue_task_done(q), -EINVAL);
  assert_int_equal(shoal_queue_release(q, &loan), -EINVAL);
  assert_int_equal(shoal_queue_join_tasks(q, SHOAL_TRY), 0);
  unmake(q);
}

// A joiner that knew of no cells but the first sees what is unfinished in later ones.
static void test_a_queue_that_has_grown_is_joined(void **state) {
  (void)state;
  struct shoal_segment *seg;
  struct shoal_queue *q, *joins;
  struct shoal_queue_options o = {.capacity = 2, .grow = 1, .joinable = 1};
  assert_int_equal(shoal_segment_create(NULL, NULL, &seg), 0);
  assert_int_equal(number_queue_create(seg, "tasks", &o, &q), 0);
  assert_int_equal(number_queue_open(seg, "tasks", &joins), 0);
  for (uint64_t i = 0; i < 11; i++) assert_int_equal(put(q, i), 0);
  assert_true(info_of(q).grown == 3);
  for (uint64_t i = 0; i < 11; i++) assert_int_equal(get_number(q), i);
  for (uint64_t i = 0; i < 11; i++) {
    assert_int_equal(info_of(joins).held, 11 - i);
    assert_int_equal(shoal_queue_join_tasks(joins, SHOAL_TRY), -EAGAIN);
    assert_int_equal(shoal_queue_task_done(q), 0);
  }
  assert_int_equal(shoal_queue_join_tasks(joins, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_queue_detach(joins), 0);
  assert_int_equal(shoal_queue_detach(q), 0);
  assert_int_equal(shoal_segment_close(seg), 0);
}

static void test_not_joinable(void **state) {
  (void)state;
  struct shoal_queue *q = make_with((struct shoal_queue_options){.capacity = 4});
  assert_int_equal(shoal_queue_task_done(q), -EINVAL);
  assert_int_equal(shoal_queue_join_tasks(q, SHOAL_TRY), -EINVAL);
  assert_string_equal(shoal_reason(), "the queue was made without options.joinable");
  unmake(q);
  refused((struct shoal_queue_options){.capacity = 4, .kind = SHOAL_QUEUE_SPSC, .joinable = 1},
          "options.joinable: this kind keeps nothing in hand");
}

static void get_two_and_stay(void *memory, unsigned i) {
  (void)i;
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  get_number(q), get_number(q);
  shoal_add32_seq_cst(&s->ready, 1);
  for (;;) pause();
}
static void join_until(void *memory, unsigned rc) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  CHECK(shoal_queue_join_tasks(q, SHOAL_FOREVER) == -(int)rc);
  shoal_add32_seq_cst(&s->done, 1);
  CHECK(shoal_queue_detach(q) == 0);
}
static void a_dead_ones_unfinished_come_again(uint32_t kind) {
  struct shoal_queue *q = make_joinable(kind, 8);
  for (uint64_t i = 0; i < 3; i++) put(q, i);
  struct peer worker = peer_start(&arena, get_two_and_stay, 0), joiners[2];
  await(&shared()->ready, 1);
  for (int i = 0; i < 2; i++) joiners[i] = peer_start(&arena, join_until, 0), peer_asleep(&joiners[i]);
  assert_int_equal(get_number(q), 2);
  peer_kill(&worker);
  for (uint64_t i = 0; i < 2; i++) assert_int_equal(get_number(q), i);
  assert_int_equal(info_of(q).redelivered, 2);
  for (int i = 0; i < 3; i++) {
    for (int k = 0; k < 2; k++) peer_asleep(&joiners[k]);
    assert_int_equal(shoal_queue_task_done(q), 0);
  }
  for (int i = 0; i < 2; i++) peer_join(&joiners[i]);
  assert_int_equal(info_of(q).late, 0);
  unmake(q);
}
static void test_a_dead_ones_unfinished_come_again(void **state) {
  (void)state;
  EACH_KEEPING(kind) a_dead_ones_unfinished_come_again(kind);
}
static void nobody_will_finish(uint32_t kind) {
  struct shoal_queue *q = make_joinable(kind, 8);
  for (uint64_t i = 0; i < 3; i++) put(q, i);
  struct peer worker = peer_start(&arena, get_two_and_stay, 0), joiners[2];
  await(&shared()->ready, 1);
  for (int i = 0; i < 2; i++) joiners[i] = peer_start(&arena, join_until, EPIPE), peer_asleep(&joiners[i]);
  peer_kill(&worker);
  for (int i = 0; i < 2; i++) peer_join(&joiners[i]);
  assert_int_equal(info_of(q).late, 0);
  unmake(q);
}
static void test_joiners_are_told_that_nobody_will_finish(void **state) {
  (void)state;
  EACH_KEEPING(kind) nobody_will_finish(kind);
}

// Each round: both producers put, and join; then all of it has been done.
#define ROUNDS 80
#define EACH_ROUND 20
static void work_or_join(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  CHECK(shoal_queue_join(q, i < 2 ? SHOAL_PRODUCER : SHOAL_CONSUMER) == 0);
  shoal_add32_seq_cst(&s->ready, 1);
  await(&s->ready, 5);
  if (i < 2) {
    for (uint32_t round = 1; round <= ROUNDS; round++) {
      for (uint64_t n = 0; n < EACH_ROUND; n++) CHECK(number_queue_put(q, &n, SHOAL_FOREVER) == 0);
      shoal_add32_seq_cst(&s->stage, 1);
      await(&s->stage, 2 * round);
      CHECK(shoal_queue_join_tasks(q, SHOAL_FOREVER) == 0);
      CHECK(shoal_load64_seq_cst(&s->sum) >= (uint64_t)2 * round * EACH_ROUND);
      shoal_add32_seq_cst(&s->done, 1);
      await(&s->done, 2 * round);
    }
  } else {
    uint64_t v;
    while (number_queue_get(q, &v, SHOAL_FOREVER) == 0) {
      shoal_add64_seq_cst(&s->sum, 1);
      CHECK(shoal_queue_task_done(q) == 0);
    }
  }
  CHECK(shoal_queue_detach(q) == 0);
}
static void joined_when_done(enum driver driver) {
  EACH_KEEPING(kind) {
    struct shoal_queue *q = make_joinable(kind, 16);
    run(&arena, driver, 5, work_or_join);
    assert_int_equal(shoal_load64_relaxed(&shared()->sum), 2 * ROUNDS * EACH_ROUND);
    assert_int_equal(info_of(q).late, 0);
    unmake(q);
  }
}
static void test_joined_when_all_is_done_threads(void **state) { (void)state, joined_when_done(THREADS); }
static void test_joined_when_all_is_done_processes(void **state) { (void)state, joined_when_done(PROCESSES); }

int main(void) {
  watchdog(200);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_what_was_got_is_unfinished),
      cmocka_unit_test(test_a_release_is_a_task_done),
      cmocka_unit_test(test_the_first_that_was_got_is_done),
      cmocka_unit_test(test_a_queue_that_has_grown_is_joined),
      cmocka_unit_test(test_not_joinable),
      cmocka_unit_test(test_a_dead_ones_unfinished_come_again),
      cmocka_unit_test(test_joiners_are_told_that_nobody_will_finish),
      cmocka_unit_test(test_joined_when_all_is_done_threads),
      cmocka_unit_test(test_joined_when_all_is_done_processes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
