// Claims of ipc/queue/select, of wake-ups:
//   1 none is lost: of two selects with one message each, of a select that takes something else, or only looks, or is
//     killed when it has been woken. All without the once-a-second look. Somebody stopped inside one queue is in no
//     other case's way
//   2 a permit: taken by one, given back by its holder's death, its wake-up handed on
#include <sys/timerfd.h>

#include "tests/ipc/queue/select_fixture.h"

// ---- 1 ----

// Takes one message of either queue, and goes.
static void selects_one(void *memory, unsigned i) {
  struct shared *s = memory;
  uint64_t v = 0;
  struct shoal_queue *a = attach(memory, 0), *b = attach(memory, 1);
  struct shoal_case c[] = {number_queue_on_get(a, &v), number_queue_on_get(b, &v)};
  line_up(s, c, 2);
  int k = shoal_select(c, 2, SHOAL_FOREVER);
  CHECK(k >= 0 && c[k].result == 0);
  took(s, i, v);
  CHECK(shoal_queue_detach(a) == 0 && shoal_queue_detach(b) == 0);
}
static void looks_only(void *memory, unsigned i) {
  struct shoal_queue *a = attach(memory, 0), *b = attach(memory, 1);
  struct shoal_case c[] = {shoal_on_readable(a), shoal_on_readable(b)};
  (void)i;
  line_up(memory, c, 2);
  CHECK(shoal_select(c, 2, SHOAL_FOREVER) >= 0);
  CHECK(shoal_queue_detach(a) == 0 && shoal_queue_detach(b) == 0);
}
// Inside a queue with a lock.
static void stands_inside(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory, i);
  CHECK(shoal_queue_join(q, SHOAL_CONSUMER) == 0);
  int me = shoal_role_mine(&q->wait, SHOAL_CONSUMER);
  CHECK(me > 0 && shoal_ordered_enter(&q->ordered, (uint32_t)me, SHOAL_FOREVER) == 0);
  shoal_add32_seq_cst(&s->ready, 1);
  while (shoal_load32_seq_cst(&s->stage) == 0) sched_yield();
  shoal_ordered_leave(&q->ordered, (uint32_t)me);
  CHECK(shoal_queue_detach(q) == 0);
}
static void test_one_is_stopped_inside(void **state) {
  (void)state;
  for (uint32_t kind = SHOAL_QUEUE_FIFO; kind <= SHOAL_QUEUE_LIFO; kind++) {
    uint64_t v = 0;
    born = 0;
    make_of(2, (struct shoal_queue_options){
                   .capacity = 4, .producers = 8, .consumers = 8, .kind = kind, .lease_ns = 1000000});
    put(Q[0], 1), put(Q[1], 2);
    struct peer p = bear(stands_inside, 0);
    stop(&p);
    struct shoal_case c[] = {number_queue_on_get(Q[0], &v), number_queue_on_get(Q[1], &v),
                             shoal_on_time(shoal_after_ms(50))};
    c[0].turn_ = 3;  // the search begins there
    assert_int_equal(shoal_select(c, 3, SHOAL_FOREVER), 1);
    assert_int_equal(v, 2);
    assert_int_equal(shoal_select(c, 3, SHOAL_FOREVER), 2);
    c[2] = shoal_on_nothing();
    c[0].turn_ = 3;
    assert_int_equal(shoal_select(c, 3, SHOAL_TRY), -EAGAIN);
    assert_int_equal(shoal_select(c, 3, shoal_after_ms(30)), -ETIMEDOUT);
    kill(p.pid, SIGCONT);
    shoal_store32_seq_cst(&shared()->stage, 1);
    assert_int_equal(shoal_select(c, 3, SHOAL_FOREVER), 0);
    assert_int_equal(v, 1);
    peer_join(&p);
    unmake();
  }
}
static void dies_with_one(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_loan loan;
  CHECK(shoal_queue_receive(attach(memory, i), &loan, SHOAL_TRY) == 0);
  shoal_add32_seq_cst(&s->ready, 1);
  _exit(0);
}
// Who cannot go in leaves a dead role there alone: those who sleep at the queue are not told to look again for nothing.
static void test_a_dead_one_beside_one_who_is_stopped_inside(void **state) {
  (void)state;
  uint64_t v = 0;
  struct shoal_queue_info before, after;
  born = 0;
  make_of(2, (struct shoal_queue_options){.capacity = 4, .producers = 8, .consumers = 8, .kind = SHOAL_QUEUE_FIFO});
  put(Q[0], 1);
  struct shoal_case c[] = {number_queue_on_get(Q[0], &v), number_queue_on_get(Q[1], &v)};
  struct peer dead = bear(dies_with_one, 0);
  peer_join(&dead);
  assert_int_equal(shoal_queue_join(Q[0], SHOAL_CONSUMER), 0);
  shoal_role_hold(&Q[0]->wait, shoal_role_known(&Q[0]->wait, SHOAL_CONSUMER));
  struct peer p = bear(stands_inside, 0);
  stop(&p);
  assert_int_equal(shoal_queue_info(Q[0], &before), 0);
  assert_int_equal(shoal_select(c, 2, shoal_after_ms(60)), -ETIMEDOUT);
  assert_int_equal(shoal_queue_info(Q[0], &after), 0);
  assert_int_equal(after.reaped, 0);
  assert_int_equal(after.rings, before.rings);
  kill(p.pid, SIGCONT);
  shoal_store32_seq_cst(&shared()->stage, 1);
  assert_int_equal(shoal_select(c, 2, SHOAL_FOREVER), 0);
  assert_int_equal(v, 1);
  peer_join(&p);
  unmake();
}
// All roles are taken, one of them by a dead one, who cannot be taken out beside one who is stopped inside: who comes
// to be the third waits as long as it says, alone or beside other cases.
static void test_a_newcomer_beside_one_who_is_stopped_inside(void **state) {
  (void)state;
  uint64_t v = 0;
  born = 0;
  make_of(2, (struct shoal_queue_options){.capacity = 4, .producers = 8, .consumers = 2, .kind = SHOAL_QUEUE_FIFO});
  put(Q[0], 1);
  struct peer dead = bear(dies_with_one, 0);
  peer_join(&dead);
  struct peer p = bear(stands_inside, 0);
  stop(&p);
  shoal_deadline later = shoal_after_ns(SHOAL_RECHECK_NS + SHOAL_RECHECK_NS / 4);
  struct shoal_case c[] = {number_queue_on_get(Q[0], &v), number_queue_on_get(Q[1], &v),
                           shoal_on_time(shoal_after_ns(2 * SHOAL_RECHECK_NS + SHOAL_RECHECK_NS / 2))};
  assert_int_equal(shoal_select(c, 1, later), -ETIMEDOUT);
  assert_true(shoal_deadline_passed(later));
  assert_int_equal(shoal_select(c, 3, SHOAL_FOREVER), 2);
  // a descriptor that is ready between two looks
  int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
  struct itimerspec when = {.it_value = {1, 250000000}};
  assert_int_equal(timerfd_settime(timer, 0, &when, NULL), 0);
  c[1] = shoal_on_fd(timer, POLLIN);
  assert_int_equal(shoal_select(c, 2, SHOAL_FOREVER), 1);
  close(timer);
  c[1] = number_queue_on_get(Q[1], &v);
  assert_int_equal(shoal_select(c, 2, SHOAL_TRY), -EAGAIN);
  assert_int_equal(shoal_select(c, 1, SHOAL_TRY), -ETIMEDOUT);
  put(Q[1], 2);
  assert_int_equal(shoal_select(c, 2, SHOAL_FOREVER), 1);
  assert_int_equal(v, 2);
  kill(p.pid, SIGCONT);
  shoal_store32_seq_cst(&shared()->stage, 1);
  assert_int_equal(shoal_select(c, 2, SHOAL_FOREVER), 0);
  assert_int_equal(v, 1);
  peer_join(&p);
  unmake();
}

static void test_two_selects_and_a_message_each(void **state) {
  (void)state;
  for (int round = 0; round < 40; round++) {
    make_two();
    struct peer p[2] = {bear(selects_one, 0), bear(selects_one, 1)};
    if (round % 2) fall_asleep(p, 2);
    else shoal_store32_seq_cst(&shared()->stage, 2);
    put(Q[0], 1), put(Q[round / 2 % 2], 2);
    peer_join(&p[0]);
    peer_join(&p[1]);
    assert_int_equal(answer(0) + answer(1), 3);
    unmake();
  }
}

// The select is woken for both; it takes one, and who sleeps behind it at the other is to have that.
static void test_a_wake_that_is_not_used_is_handed_on(void **state) {
  (void)state;
  for (int stopped = 0; stopped < 2; stopped++) {
    make_two();
    struct peer p[3] = {bear(selects_one, 2), bear(gets_one, 0), bear(gets_one, 1)};
    fall_asleep(p, 3);
    if (stopped) stop(&p[0]);
    put(Q[0], 1), put(Q[1], 2);
    if (stopped) kill(p[0].pid, SIGCONT);
    await(&shared()->done, 2);
    put(Q[answer(0) ? 1 : 0], 4);  // for the third: a get, or the select, for which any is right
    for (int i = 0; i < 3; i++) peer_join(&p[i]);
    assert_int_equal(answer(0) + answer(1) + answer(2), 7);
    unmake();
  }
}
static void test_who_only_looked_hands_on(void **state) {
  (void)state;
  make_two();
  struct peer p[3] = {bear(looks_only, 0), bear(looks_only, 0), bear(gets_one, 0)};
  fall_asleep(p, 3);
  put(Q[0], 1);
  peer_join(&p[0]);
  peer_join(&p[2]);
  put(Q[1], 2);  // the other one may have found the message gone
  peer_join(&p[1]);
  unmake();
}
static void a_woken_select_is_killed(arena_body survivor) {
  for (unsigned k = 0; k < 2; k++) {
    make_two();
    struct peer p[2] = {bear(selects_one, 2), bear(survivor, k)};
    fall_asleep(p, 2);
    stop(&p[0]);
    put(Q[k], 1);  // wakes the first
    peer_kill(&p[0]);
    peer_join(&p[1]);
    assert_int_equal(answer(k), 1);
    unmake();
  }
}
static void test_a_woken_select_is_killed(void **state) { (void)state, a_woken_select_is_killed(gets_one); }
static void test_a_woken_select_is_killed_before_another(void **state) {
  (void)state, a_woken_select_is_killed(selects_one);
}

// What a select takes from a joinable queue is in hand until task_done: its death is seen at once, as a get's is.
static void keeps_what_it_took(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory, 0);
  uint64_t v = 0;
  struct shoal_case c = number_queue_on_get(q, &v);
  (void)i;
  CHECK(shoal_select(&c, 1, SHOAL_TRY) == 0 && v == 5);
  shoal_add32_seq_cst(&s->ready, 1);
  for (;;) pause();
}
static void test_what_a_dead_select_had_taken_comes_again(void **state) {
  (void)state;
  born = 0;
  make_of(1, (struct shoal_queue_options){.capacity = 4, .producers = 8, .consumers = 8, .joinable = 1});
  put(Q[0], 5);
  struct peer p[2] = {bear(keeps_what_it_took, 0), bear(gets_one, 0)};
  shoal_store32_seq_cst(&shared()->stage, 2);
  peer_asleep(&p[1]);
  peer_kill(&p[0]);
  peer_join(&p[1]);
  assert_int_equal(answer(0), 5);
  unmake();
}

// Two queues and a way back; puts and gets by selects and by plain calls, each message once.
#define EACH 6000u
#define PRODUCERS 3u
static void many(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q[3];
  uint64_t in = 0, out;
  for (uint32_t k = 0; k < 3; k++) q[k] = attach(memory, k);
  int producer = i < PRODUCERS;
  for (int k = 0; k < 3; k++) CHECK(shoal_queue_join(q[k], producer ? SHOAL_PRODUCER : SHOAL_CONSUMER) == 0);
  shoal_add32_seq_cst(&s->ready, 1);
  await(&s->ready, PRODUCERS + 4);
  if (producer) {
    struct shoal_case c[] = {number_queue_on_put(q[0], &out), number_queue_on_put(q[1], &out),
                             number_queue_on_put(q[2], &out)};
    for (uint32_t n = 0; n < EACH; n++) {
      out = i * EACH + n;
      if (i == 0) CHECK(number_queue_put(q[n % 3], &out, SHOAL_FOREVER) == 0);
      else CHECK(shoal_select(c, 3, SHOAL_FOREVER) >= 0);
    }
  } else {
    struct shoal_case c[] = {number_queue_on_get(q[0], &in), number_queue_on_get(q[1], &in),
                             number_queue_on_get(q[2], &in)};
    uint32_t open = i == PRODUCERS ? 1 : 3;
    while (open) {
      int rc, k = 0;
      if (i == PRODUCERS) rc = number_queue_get(q[0], &in, SHOAL_FOREVER);
      else k = shoal_select(c, 3, SHOAL_FOREVER), rc = c[k < 0 ? 0 : k].result;
      CHECK(k >= 0 && (rc == 0 || rc == -EPIPE));
      if (rc) c[k] = shoal_on_nothing(), open--;
      else CHECK(in < LEDGER && __atomic_fetch_add(&s->ledger[in], 1, __ATOMIC_RELAXED) == 0);
      if (rc == 0) shoal_add64_relaxed(&s->sum, 1);
    }
  }
  for (uint32_t k = 0; k < 3; k++) CHECK(shoal_queue_detach(q[k]) == 0);
}
static void test_many(enum driver driver, struct shoal_queue_options o) {
  make_of(3, o);
  run(&arena, driver, PRODUCERS + 4, many);
  assert_int_equal(shoal_load64_relaxed(&shared()->sum), PRODUCERS * EACH);
  unmake();
}
static void test_many_threads(void **state) {
  (void)state;
  test_many(THREADS, (struct shoal_queue_options){.capacity = 2});
}
static void test_many_processes(void **state) {
  (void)state;
  test_many(PROCESSES, (struct shoal_queue_options){.capacity = 2});
  test_many(PROCESSES, (struct shoal_queue_options){.capacity = 64});
}

// One message at a time, and the next only when it has come: a lost wake-up is not made good by what comes later.
static void one_at_a_time(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q[2] = {attach(memory, 0), attach(memory, 1)};
  uint64_t v = 0;
  struct shoal_case c[] = {number_queue_on_get(q[0], &v), number_queue_on_get(q[1], &v)};
  int side = i ? SHOAL_CONSUMER : SHOAL_PRODUCER;
  CHECK(shoal_queue_join(q[0], side) == 0 && shoal_queue_join(q[1], side) == 0);
  shoal_add32_seq_cst(&s->ready, 1);
  await(&s->ready, 5);
  for (uint32_t n = 0; i == 0 && n < 2 * EACH; n += 2) {
    put(q[0], n), put(q[n / 2 % 2], n + 1);
    await(&s->done, n + 2);
  }
  if (i == 0) shoal_queue_close(q[0]), shoal_queue_close(q[1]);
  while (i) {
    int k = i < 4 ? shoal_select(c, 2, SHOAL_FOREVER) : 0;
    int rc = i < 4 ? c[k].result : number_queue_get(q[0], &v, SHOAL_FOREVER);
    CHECK(k >= 0 && (rc == 0 || rc == -EPIPE));
    if (rc) break;
    shoal_add32_seq_cst(&s->done, 1);
  }
  CHECK(shoal_queue_detach(q[0]) == 0 && shoal_queue_detach(q[1]) == 0);
}
static void test_one_at_a_time(enum driver driver) {
  make(2);
  run(&arena, driver, 5, one_at_a_time);
  assert_int_equal(shoal_load32_relaxed(&shared()->done), 2 * EACH);
  unmake();
}
static void test_one_at_a_time_threads(void **state) { (void)state, test_one_at_a_time(THREADS); }
static void test_one_at_a_time_processes(void **state) { (void)state, test_one_at_a_time(PROCESSES); }

// ---- 2 ----

// Takes a permit of the first semaphore, or of the second, or a message; the permit is held until its end.
static void selects_a_permit(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory, 0);
  uint64_t v = 0;
  struct shoal_case c[] = {shoal_on_acquire(&s->held[i % 2].s), shoal_on_acquire(&s->held[!(i % 2)].s),
                           number_queue_on_get(q, &v)};
  line_up(s, c, 3);
  int k = shoal_select(c, 3, SHOAL_FOREVER);
  CHECK(k >= 0 && c[k].result == 0);
  took(s, i, 1 + (uint64_t)k);
  CHECK(shoal_queue_detach(q) == 0);
}
static void acquires(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_case c = shoal_on_acquire(&s->held[i % 2].s);
  line_up(s, &c, 1);
  CHECK(shoal_semaphore_acquire(&s->held[i % 2].s, SHOAL_FOREVER) == 0);
  took(s, i, 9);
}
static void holds_both(void *memory, unsigned i) {
  struct shared *s = memory;
  (void)i;
  for (int k = 0; k < 2; k++) CHECK(shoal_semaphore_acquire(&s->held[k].s, SHOAL_FOREVER) == 0);
  shoal_add32_seq_cst(&s->ready, 1);
  for (;;) pause();
}
static struct peer bear_holder(void) { return bear(holds_both, 0); }

static void test_a_permit_is_taken_by_one(void **state) {
  (void)state;
  make_held();
  assert_int_equal(shoal_queue_join(Q[0], SHOAL_PRODUCER), 0);
  struct shoal_case c[] = {shoal_on_acquire(&shared()->held[0].s), shoal_on_acquire(&shared()->held[1].s)};
  int first = shoal_select(c, 2, SHOAL_TRY);
  assert_true(first >= 0);
  assert_int_equal(shoal_select(c, 2, SHOAL_FOREVER), !first);
  assert_int_equal(shoal_select(c, 2, SHOAL_TRY), -EAGAIN);
  assert_int_equal(shoal_select(c, 2, shoal_after_ms(2)), -ETIMEDOUT);
  for (int k = 0; k < 2; k++) {
    assert_int_equal(value_of(&shared()->held[k].s), 0);
    assert_int_equal(shoal_semaphore_release(&shared()->held[k].s), 0);
    assert_int_equal(value_of(&shared()->held[k].s), 1);
  }
  unmake();
}

// The holder is killed: both permits come back, to two that sleep for either; in a select, or not.
static void test_a_dead_holders_permits(void **state) {
  (void)state;
  for (unsigned plain = 0; plain < 2; plain++) {
    make_held();
    assert_int_equal(shoal_queue_join(Q[0], SHOAL_PRODUCER), 0);
    struct peer holder = bear_holder();
    struct peer p[2] = {bear(selects_a_permit, 0), bear(plain ? acquires : selects_a_permit, 1)};
    shoal_store32_seq_cst(&shared()->stage, 3);
    peer_asleep(&p[0]), peer_asleep(&p[1]);
    peer_kill(&holder);
    if (!plain) peer_join(&p[0]);
    peer_join(&p[1]);
    if (plain) peer_join(&p[0]);
    unmake();
  }
}

// The select is woken for a permit and for a message, and takes one: who sleeps behind it has the other. Or it is
// killed.
static void test_a_permits_wake_is_handed_on(void **state) {
  (void)state;
  for (int killed = 0; killed < 2; killed++) {
    make_held();
    assert_int_equal(shoal_queue_join(Q[0], SHOAL_PRODUCER), 0);
    for (int k = 0; k < 2; k++) assert_int_equal(shoal_semaphore_acquire(&shared()->held[k].s, SHOAL_TRY), 0);
    struct peer p[2] = {bear(selects_a_permit, 0), bear(acquires, 2)};
    for (unsigned i = 0; i < 2; i++) {
      shoal_store32_seq_cst(&shared()->stage, i + 1);
      peer_asleep(&p[i]);
    }
    stop(&p[0]);
    assert_int_equal(shoal_semaphore_release(&shared()->held[0].s), 0);  // wakes the select
    put(Q[0], 5);
    if (killed) peer_kill(&p[0]);
    else kill(p[0].pid, SIGCONT);
    if (!killed) {
      await(&shared()->done, 1);
      if (answer(0) == 1) assert_int_equal(shoal_semaphore_release(&shared()->held[0].s), 0);  // a second permit
      peer_join(&p[0]);
    }
    peer_join(&p[1]);
    assert_int_equal(answer(2), 9);
    if (info_of(Q[0]).size) assert_int_equal(get(Q[0]), 5);
    assert_int_equal(shoal_semaphore_release(&shared()->held[1].s), 0);  // before it is unmapped
    unmake();
  }
}

int main(void) {
  watchdog(240);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_one_is_stopped_inside),
      cmocka_unit_test(test_a_dead_one_beside_one_who_is_stopped_inside),
      cmocka_unit_test(test_a_newcomer_beside_one_who_is_stopped_inside),
      cmocka_unit_test(test_two_selects_and_a_message_each),
      cmocka_unit_test(test_a_wake_that_is_not_used_is_handed_on),
      cmocka_unit_test(test_who_only_looked_hands_on),
      cmocka_unit_test(test_a_woken_select_is_killed),
      cmocka_unit_test(test_a_woken_select_is_killed_before_another),
      cmocka_unit_test(test_what_a_dead_select_had_taken_comes_again),
      cmocka_unit_test(test_many_threads),
      cmocka_unit_test(test_many_processes),
      cmocka_unit_test(test_one_at_a_time_threads),
      cmocka_unit_test(test_one_at_a_time_processes),
      cmocka_unit_test(test_a_permit_is_taken_by_one),
      cmocka_unit_test(test_a_dead_holders_permits),
      cmocka_unit_test(test_a_permits_wake_is_handed_on),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
