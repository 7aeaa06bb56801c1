// Claims of ipc/queue/queue, of ends and deaths:
//   1 close: nothing whose put answered 0 is left behind, everybody is told, also those who wait for what others hold
//   2 end of stream: by leaving and by death, to all that sleep, at once
//   3 deaths: a hole is skipped; a message in hand is redelivered to who sleeps, or dropped by policy; a swallowed wake
//     is made good. All without the once-a-second look
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/ipc/queue/queue_fixture.h"

#define LEDGER 200000

// ---- 1 ----

static void put_until_closed(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  uint64_t v = i, n = 0;
  CHECK(shoal_queue_join(q, i < 2 ? SHOAL_PRODUCER : SHOAL_CONSUMER) == 0);
  shoal_add32_seq_cst(&s->ready, 1);
  if (i < 2) {
    int rc;
    while ((rc = number_queue_put(q, &v, SHOAL_FOREVER)) == 0) n++;
    CHECK(rc == -EPIPE);
    shoal_store64_relaxed(&s->answers[i], n);
  } else if (i < 4) {
    int rc;
    while ((rc = number_queue_get(q, &v, SHOAL_FOREVER)) == 0) shoal_add64_relaxed(&s->sum, 1);
    CHECK(rc == -EPIPE);
    shoal_add32_seq_cst(&s->done, 1);
  } else {
    await(&s->ready, 5);
    while (shoal_load64_relaxed(&s->sum) < 500) sched_yield();
    CHECK(shoal_queue_close(q) == 0);
  }
  CHECK(shoal_queue_detach(q) == 0);
}
static void close_loses_nothing(enum driver driver) {
  for (int round = 0; round < 20; round++) {
    struct shoal_queue *q = make_mpmc(round % 2 ? 4 : 64);
    run(&arena, driver, 5, put_until_closed);
    uint64_t put = shoal_load64_relaxed(&shared()->answers[0]) + shoal_load64_relaxed(&shared()->answers[1]);
    assert_int_equal(put, shoal_load64_relaxed(&shared()->sum));
    assert_int_equal(info_of(q).closed, 1);
    never_late(q);
    unmake(q);
  }
}
static void test_close_loses_nothing_threads(void **state) { (void)state, close_loses_nothing(THREADS); }
static void test_close_loses_nothing_processes(void **state) { (void)state, close_loses_nothing(PROCESSES); }

static void close_spsc(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  uint64_t v = 1, n = 0;
  if (i < 2) {
    CHECK(shoal_queue_join(q, i ? SHOAL_CONSUMER : SHOAL_PRODUCER) == 0);
    shoal_add32_seq_cst(&s->ready, 1);
    await(&s->ready, 2);
    int rc;
    while ((rc = i ? number_queue_get(q, &v, SHOAL_FOREVER) : number_queue_put(q, &v, SHOAL_FOREVER)) == 0)
      shoal_store64_relaxed(&s->answers[i], ++n);
    CHECK(rc == -EPIPE);
  } else {
    while (shoal_load64_relaxed(&s->answers[1]) < 2000) sched_yield();
    CHECK(shoal_queue_close(q) == 0);
  }
  CHECK(shoal_queue_detach(q) == 0);
}
static void test_spsc_close_loses_nothing(void **state) {
  (void)state;
  for (int round = 0; round < 20; round++) {
    struct shoal_queue *q = make_spsc(round % 3 ? 1000 : 4);
    run(&arena, round % 2 ? THREADS : PROCESSES, 3, close_spsc);
    assert_int_equal(shoal_load64_relaxed(&shared()->answers[0]), shoal_load64_relaxed(&shared()->answers[1]));
    never_late(q);
    unmake(q);
  }
}

static void test_close_tells_all_that_sleep(void **state) {
  (void)state;
  for (int side = 0; side < 2; side++) {
    struct shoal_queue *q = make_mpmc(2);
    struct peer peers[4];
    shoal_queue_join(q, SHOAL_PRODUCER);
    shoal_queue_join(q, SHOAL_CONSUMER);
    sleepers_start(peers, 4, side == SHOAL_CONSUMER ? get_until_told : put_until_told);
    assert_int_equal(shoal_queue_close(q), 0);
    peers_join(peers, 4);
    uint64_t v = 1;
    assert_int_equal(number_queue_put(q, &v, SHOAL_FOREVER), -EPIPE);
    assert_int_equal(number_queue_put(q, &v, SHOAL_TRY), -EPIPE);
    never_late(q);
    unmake(q);
  }
}

static void test_the_end_waits_for_what_others_hold(void **state) {
  (void)state;
  struct shoal_queue *q = make_mpmc(4);
  struct shoal_loan loan;
  struct peer peers[2];
  put_number(q, 5);
  assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
  sleepers_start(peers, 2, get_until_told);
  assert_int_equal(shoal_queue_close(q), 0);
  uint64_t v;
  assert_int_equal(number_queue_get(q, &v, SHOAL_FOREVER), -EPIPE);  // who holds something is not made to wait
  for (int i = 0; i < 2; i++) {
    peer_asleep(&peers[i]);
    assert_int_equal(waitpid(peers[i].pid, NULL, WNOHANG), 0);
  }
  assert_int_equal(shoal_queue_release(q, &loan), 0);
  peers_join(peers, 2);
  never_late(q);
  unmake(q);
}

static void test_after_the_end_a_dead_consumers_message_is_still_received(void **state) {
  (void)state;
  struct shoal_queue *q = make_mpmc(4);
  put_number(q, 5);
  struct peer holder = peer_start(&arena, stay, HOLDING), peers[2];
  await(&shared()->ready, 1);
  assert_int_equal(shoal_queue_close(q), 0);
  sleepers_start(peers, 2, get_until_told);
  peer_kill(&holder);
  peers_join(peers, 2);
  assert_int_equal(shoal_load64_relaxed(&shared()->sum), 5);
  never_late(q);
  unmake(q);
}

// ---- 2 ----

// The kernel wakes one sleeper of a dead word; it is the protocol that has the others told.
static void test_the_last_producers_death_ends_the_stream_for_all(void **state) {
  (void)state;
  for (int round = 0; round < 5; round++) {
    struct shoal_queue *q = make_mpmc(4);
    struct peer producers[2], peers[5];
    for (int i = 0; i < 2; i++) producers[i] = peer_start(&arena, stay, SHOAL_PRODUCER);
    await(&shared()->ready, 2);
    sleepers_start(peers, 5, get_until_told);
    peer_kill(&producers[0]);
    for (int i = 0; i < 5; i++) peer_asleep(&peers[i]);
    peer_kill(&producers[1]);
    peers_join(peers, 5);
    never_late(q);
    unmake(q);
  }
}

static void test_the_last_producers_leaving_ends_the_stream_for_all(void **state) {
  (void)state;
  struct shoal_queue *q = make_mpmc(4);
  struct peer peers[4];
  shoal_queue_join(q, SHOAL_PRODUCER);
  sleepers_start(peers, 4, get_until_told);
  put_number(q, 40);
  assert_int_equal(shoal_queue_leave(q, SHOAL_PRODUCER), 0);
  peers_join(peers, 4);
  assert_int_equal(shoal_load64_relaxed(&shared()->sum), 40);
  uint64_t v;
  assert_int_equal(number_queue_get(q, &v, SHOAL_TRY), -EPIPE);
  put_number(q, 1);  // a new producer: the stream goes on
  assert_int_equal(get_number(q), 1);
  never_late(q);
  unmake(q);
}

static void test_a_full_queue_whose_consumers_are_dead(void **state) {
  (void)state;
  struct shoal_queue *q = make_mpmc(4);
  struct peer consumer = peer_start(&arena, stay, SHOAL_CONSUMER), peers[3];
  await(&shared()->ready, 1);
  sleepers_start(peers, 3, put_until_told);
  assert_int_equal(shoal_load64_relaxed(&shared()->sum), 4);
  peer_kill(&consumer);
  peers_join(peers, 3);
  uint64_t v = 1;
  assert_int_equal(number_queue_put(q, &v, SHOAL_TRY), -EPIPE);
  for (int i = 0; i < 4; i++) assert_int_equal(get_number(q), 1);  // a new consumer finds what was put
  never_late(q);
  unmake(q);
}

// ---- 3 ----

static void test_a_dead_producers_hole_is_skipped_by_sleepers(void **state) {
  (void)state;
  struct shoal_queue *q = make_mpmc(8);
  struct peer holders[2], peers[2];
  shoal_queue_join(q, SHOAL_PRODUCER);
  for (uint32_t i = 0; i < 2; i++) {
    holders[i] = peer_start(&arena, stay, RESERVING);
    await(&shared()->ready, i + 1);
  }
  put_number(q, 3), put_number(q, 4);
  sleepers_start(peers, 2, get_until_told);
  peer_kill(&holders[1]);
  for (int i = 0; i < 2; i++) peer_asleep(&peers[i]);
  assert_int_equal(shoal_load64_relaxed(&shared()->sum), 0);  // the first is still alive
  peer_kill(&holders[0]);
  while (shoal_load64_relaxed(&shared()->sum) < 7) sched_yield();
  assert_int_equal(shoal_queue_close(q), 0);
  peers_join(peers, 2);
  assert_int_equal(info_of(q).holes, 2);
  never_late(q);
  unmake(q);
}

static void test_a_dead_consumers_message_wakes_a_sleeper(void **state) {
  (void)state;
  for (int round = 0; round < 10; round++) {
    struct shoal_queue *q = make_mpmc(8);
    struct peer holder, peers[3];
    shoal_queue_join(q, SHOAL_PRODUCER);
    if (round % 2) sleepers_start(peers, 3, get_until_told);  // before the holder is one, or after
    else put_number(q, 9);
    holder = peer_start(&arena, stay, HOLDING);
    if (round % 2) {
      // it sleeps with the others: puts go on until it has one
      for (uint64_t n = 1; !shoal_load32_seq_cst(&shared()->ready); n++) {
        put_number(q, 9);
        usleep(1000);
      }
    }
    await(&shared()->ready, 1);
    if (round % 2 == 0) sleepers_start(peers, 3, get_until_told);
    for (int i = 0; i < 3; i++) peer_asleep(&peers[i]);
    uint64_t before = shoal_load64_relaxed(&shared()->sum);
    peer_kill(&holder);
    while (shoal_load64_relaxed(&shared()->sum) != before + 9) sched_yield();
    assert_int_equal(shoal_queue_close(q), 0);
    peers_join(peers, 3);
    assert_int_equal(info_of(q).redelivered, 1);
    never_late(q);
    unmake(q);
  }
}

static void test_redelivery_is_counted(void **state) {
  (void)state;
  struct shoal_queue *q = make_mpmc(8);
  put_number(q, 9), put_number(q, 10);
  for (uint32_t i = 0; i < 3; i++) {
    struct peer holder = peer_start(&arena, stay, HOLDING);
    await(&shared()->ready, i + 1);
    peer_kill(&holder);
  }
  struct shoal_loan loan;
  assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY),
                   0);  // 10 is newer, and nobody has looked after the dead yet
  assert_int_equal(*(uint64_t *)loan.data, 10);
  assert_int_equal(shoal_queue_release(q, &loan), 0);
  assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);  // nothing else: now somebody has
  assert_int_equal(*(uint64_t *)loan.data, 9);
  assert_true(loan.redelivered >= 1);
  assert_int_equal(shoal_queue_release(q, &loan), 0);
  unmake(q);
}

static void test_a_dead_consumers_message_is_dropped_by_policy(void **state) {
  (void)state;
  struct shoal_queue *q = make(&(struct shoal_queue_options){.capacity = 2, .element_size = 8, .drop = 1});
  put_number(q, 1);
  struct peer holder = peer_start(&arena, stay, HOLDING), peer;
  await(&shared()->ready, 1);
  put_number(q, 2);
  shoal_queue_join(q, SHOAL_CONSUMER);
  sleepers_start(&peer, 1, put_until_told);  // the queue is full: one place is the holder's
  peer_kill(&holder);
  while (shoal_load64_relaxed(&shared()->sum) < 1) sched_yield();
  assert_int_equal(get_number(q), 2);
  assert_int_equal(get_number(q), 1);
  assert_int_equal(shoal_queue_close(q), 0);
  peer_join(&peer);
  assert_int_equal(info_of(q).dropped, 1);
  assert_int_equal(info_of(q).redelivered, 0);
  never_late(q);
  unmake(q);
}

static void get_one(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  uint64_t v;
  CHECK(number_queue_get(q, &v, SHOAL_FOREVER) == 0);
  shoal_store64_relaxed(&s->answers[i], v);
}
// On one processor, and with us in front of all others: who is woken is killed before it has run. The message is not
// lost, and the other not asleep.
static void test_a_woken_consumer_killed_before_it_takes_the_message(void **state) {
  (void)state;
  cpu_set_t all, one;
  int cpu = 0;
  assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
  while (!CPU_ISSET(cpu, &all)) cpu++;  // the first that there is for us need not be 0
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
  int in_front = sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 1}) == 0;
  for (int round = 0; round < 40; round++) {
    sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){0});
    struct shoal_queue *q = make_mpmc(4);
    struct peer peers[2];
    shoal_queue_join(q, SHOAL_PRODUCER);
    sleepers_start(peers, 2, get_one);
    if (in_front) sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 1});
    put_number(q, 1);
    int woken = peer_is_asleep(&peers[0]);
    peer_kill(&peers[woken]);
    if (in_front) assert_int_equal(shoal_load64_relaxed(&shared()->answers[woken]), 0);
    if (info_of(q).size == 0) put_number(q, 2);  // it had the first, though it may not have said so
    peer_join(&peers[!woken]);
    never_late(q);
    unmake(q);
  }
  sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){0});
  sched_setaffinity(0, sizeof all, &all);
}

static void random_life(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  if (i < 2) {  // producer: numbers its messages; a number is used once even if it dies
    for (;;) {
      uint64_t v = shoal_add64_relaxed(&s->answers[0], 1);
      if (v >= LEDGER) break;
      struct shoal_loan loan;
      if (v % 5) {
        CHECK(number_queue_put(q, &v, SHOAL_FOREVER) == 0);
      } else {
        CHECK(shoal_queue_reserve(q, &loan, SHOAL_FOREVER) == 0);
        *(uint64_t *)loan.data = v;
        CHECK(shoal_queue_commit(q, &loan) == 0);
      }
      __atomic_fetch_or(&s->ledger[v], 0x80, __ATOMIC_RELAXED);  // its put has answered 0
    }
  } else {  // consumer: two-phase, its work is idempotent
    struct shoal_loan loan;
    int rc;
    while ((rc = shoal_queue_receive(q, &loan, SHOAL_FOREVER)) == 0) {
      if (*(uint64_t *)loan.data % 64 == 0) usleep(200);
      __atomic_fetch_or(&s->ledger[*(uint64_t *)loan.data], 1, __ATOMIC_RELAXED);
      CHECK(shoal_queue_release(q, &loan) == 0);
    }
    CHECK(rc == -EPIPE);
  }
}
static void test_random_kills_among_processes(void **state) {
  (void)state;
  struct shoal_queue *q = make_mpmc(16);
  struct peer peers[6];
  shoal_queue_join(q, SHOAL_PRODUCER), shoal_queue_join(q, SHOAL_CONSUMER);
  for (unsigned i = 0; i < 6; i++) peers[i] = peer_start(&arena, random_life, i);
  uint32_t seed = 12345;
  int kills = 0;
  while (shoal_load64_relaxed(&shared()->answers[0]) < LEDGER && kills < 600) {
    seed = seed * 1664525 + 1013904223;
    usleep(seed >> 16 & 1023);
    unsigned i = (seed >> 8) % 6;
    peer_kill(&peers[i]);
    peers[i] = peer_start(&arena, random_life, i);
    kills++;
  }
  shoal_store64_relaxed(&shared()->answers[0], LEDGER);
  peers_join(peers, 2);
  assert_int_equal(shoal_queue_close(q), 0);
  shoal_queue_leave(q, SHOAL_CONSUMER);
  peers_join(peers + 2, 4);
  unsigned lost = 0, sent = 0;
  for (unsigned v = 0; v < LEDGER; v++) {
    if (shared()->ledger[v] & 0x80) sent++;
    if (shared()->ledger[v] == 0x80) lost++;
  }
  print_message("%d kills, %u messages, late %llu, redelivered %llu, holes %llu\n", kills, sent,
                (unsigned long long)info_of(q).late, (unsigned long long)info_of(q).redelivered,
                (unsigned long long)info_of(q).holes);
  assert_int_equal(lost, 0);
  assert_int_equal(info_of(q).size, 0);
  unmake(q);
}

static void test_spsc_roles_are_taken_over_from_the_dead(void **state) {
  (void)state;
  struct shoal_queue *q = make_spsc(8);
  uint64_t v = 3;
  put_number(q, 1), put_number(q, 2);
  struct peer holder = peer_start(&arena, stay, HOLDING);
  await(&shared()->ready, 1);
  assert_int_equal(number_queue_get(q, &v, SHOAL_TRY), -EUSERS);
  peer_kill(&holder);
  struct shoal_loan loan;
  for (uint64_t n = 1; n <= 2; n++) {
    assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
    assert_int_equal(*(uint64_t *)loan.data, n);
    assert_int_equal(loan.redelivered, n == 1);
    assert_int_equal(shoal_queue_release(q, &loan), 0);
  }
  assert_int_equal(shoal_queue_leave(q, SHOAL_PRODUCER), 0);
  struct peer producer = peer_start(&arena, stay, SHOAL_PRODUCER);
  await(&shared()->ready, 2);
  assert_int_equal(shoal_queue_leave(q, SHOAL_CONSUMER), 0);
  struct peer sleeper;
  sleepers_start(&sleeper, 1, get_until_told);
  peer_kill(&producer);
  peer_join(&sleeper);
  put_number(q, 7);
  assert_int_equal(get_number(q), 7);
  never_late(q);
  unmake(q);
}

// A put that was overtaken wakes for those that overtook it, too.
static void test_what_was_put_behind_a_reservation_is_announced_with_it(void **state) {
  (void)state;
  struct shoal_queue *q = make_mpmc(8);
  struct peer peers[3];
  struct shoal_loan loan;
  shoal_queue_join(q, SHOAL_PRODUCER);
  sleepers_start(peers, 3, get_one);
  assert_int_equal(shoal_queue_reserve(q, &loan, SHOAL_TRY), 0);
  *(uint64_t *)loan.data = 1;
  put_number(q, 2), put_number(q, 3);
  for (int i = 0; i < 3; i++) peer_asleep(&peers[i]);
  assert_int_equal(shoal_queue_commit(q, &loan), 0);
  peers_join(peers, 3);
  never_late(q);
  unmake(q);
}

static void put_one(void *memory, unsigned i) {
  (void)i;
  put_number(attach(memory), 1);
}
// Places freed in another order than they were taken: the oldest one makes all of them useful at once.
static void test_places_behind_a_loan_are_announced_with_it(void **state) {
  (void)state;
  struct shoal_queue *q = make_mpmc(4);
  struct peer peers[3];
  struct shoal_loan loan;
  for (uint64_t i = 0; i < 4; i++) put_number(q, i);
  assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
  sleepers_start(peers, 3, put_one);
  assert_int_equal(get_number(q), 1);
  assert_int_equal(get_number(q), 2);
  for (int i = 0; i < 3; i++) peer_asleep(&peers[i]);
  assert_int_equal(shoal_queue_release(q, &loan), 0);
  peers_join(peers, 3);
  assert_int_equal(get_number(q), 3);
  never_late(q);
  unmake(q);
}

// Full, with a live producer's reservation in the oldest place: still no consumer will ever make room.
static void test_a_reservation_does_not_hide_that_all_consumers_are_dead(void **state) {
  (void)state;
  struct shoal_queue *q = make_mpmc(2);
  struct peer consumer = peer_start(&arena, stay, SHOAL_CONSUMER), peer;
  struct shoal_loan loan;
  await(&shared()->ready, 1);
  assert_int_equal(shoal_queue_reserve(q, &loan, SHOAL_TRY), 0);
  sleepers_start(&peer, 1, put_until_told);
  peer_kill(&consumer);
  peer_join(&peer);
  assert_int_equal(shoal_queue_commit(q, &loan), 0);
  never_late(q);
  unmake(q);
}

int main(void) {
  watchdog(240);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_spsc_close_loses_nothing),
      cmocka_unit_test(test_spsc_roles_are_taken_over_from_the_dead),
      cmocka_unit_test(test_what_was_put_behind_a_reservation_is_announced_with_it),
      cmocka_unit_test(test_close_loses_nothing_threads),
      cmocka_unit_test(test_close_loses_nothing_processes),
      cmocka_unit_test(test_close_tells_all_that_sleep),
      cmocka_unit_test(test_the_end_waits_for_what_others_hold),
      cmocka_unit_test(test_after_the_end_a_dead_consumers_message_is_still_received),
      cmocka_unit_test(test_the_last_producers_death_ends_the_stream_for_all),
      cmocka_unit_test(test_the_last_producers_leaving_ends_the_stream_for_all),
      cmocka_unit_test(test_a_full_queue_whose_consumers_are_dead),
      cmocka_unit_test(test_a_dead_producers_hole_is_skipped_by_sleepers),
      cmocka_unit_test(test_a_dead_consumers_message_wakes_a_sleeper),
      cmocka_unit_test(test_redelivery_is_counted),
      cmocka_unit_test(test_a_dead_consumers_message_is_dropped_by_policy),
      cmocka_unit_test(test_a_woken_consumer_killed_before_it_takes_the_message),
      cmocka_unit_test(test_random_kills_among_processes),
      cmocka_unit_test(test_places_behind_a_loan_are_announced_with_it),
      cmocka_unit_test(test_a_reservation_does_not_hide_that_all_consumers_are_dead),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
