// Claims of sync/seat:
//   1 a thread has one seat of a table, finds it again however it is asked, and no two threads have the same
//   2 sitting is seen by others, and so is its owner's death; whoever sleeps on the seat is woken by it
//   3 a dead seat is undone once, by one of those who reap at the same time; an heir that dies is followed by the next
//   4 a seat whose owner died without sitting, or gave it up, is taken again; one whose owner lives is not, and a full
//   table
//     says so
//   5 a number that is used again is another thread: a child of fork, a program after exec, a later thread have no seat
//   6 memory that is another object's by now, with fewer seats, misleads nobody
#include "sync/seat.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/futex.h"
#include "tests/harness/stage.h"

#define SEATS 8u
struct shared {
  shoal_atomic32 stage, here, undone, index[64];
  struct shoal_seats seats;
  struct shoal_seat table[SEATS];
};

static int setup(void **state) {
  (void)state;
  struct shared *s = arena_begin(sizeof(struct shared));
  assert_int_equal(shoal_seats_init_(&s->seats, SEATS), 0);
  return 0;
}

static struct shoal_seat *mine(struct shared *s) { return shoal_seat_mine_(shoal_self_(), &s->seats); }
static uint32_t index_of(struct shared *s, const struct shoal_seat *seat) { return (uint32_t)(seat - s->table); }

// ---- 1 ----

static void take_one(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_seat *seat = mine(s);
  CHECK(seat && seat == mine(s) && seat == shoal_seat_known_(&s->seats) && seat == shoal_seat_find_(&s->seats));
  shoal_add32_seq_cst(&s->index[index_of(s, seat)], 1);  // [T3] a barrier for all: pairs with [T3]
  shoal_add32_seq_cst(&s->here, 1);                      // [T3] pairs with [T3]
  await(&s->here, 4);
  memset(shoal_seat_cache_, 0, sizeof shoal_seat_cache_);
  CHECK(mine(s) == seat);
  shoal_seat_leave_(&s->seats, seat);
  CHECK(!shoal_seat_known_(&s->seats));
  (void)i;
}
static void test_each_thread_has_one(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  for (int driver = THREADS; driver < DRIVERS; driver++) {
    memset(s->index, 0, sizeof s->index);
    s->here.v_ = 0;
    run(&arena, (enum driver)driver, 4, take_one);
    for (unsigned i = 0; i < SEATS; i++) assert_true(s->index[i].v_ <= 1);
  }
}

// ---- 2 ----

static void sit_for_ever(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_seat *seat = mine(s);
  CHECK(seat);
  shoal_store64_relaxed(&seat->record, 100 + i);
  shoal_seat_sit_(shoal_self_(), seat);
  say(&s->index[i], index_of(s, seat) + 1);
  for (;;) pause();
}
static struct peer sitter(struct shared *s, unsigned i, struct shoal_seat **seat) {
  struct peer p = peer_start(&arena, sit_for_ever, i);
  await(&s->index[i], 1);
  *seat = &s->table[s->index[i].v_ - 1];
  return p;
}
static void watch_first(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_seat *seat = &s->table[s->index[0].v_ - 1];
  uint32_t word = shoal_seat_word_(seat);
  CHECK(!shoal_seat_is_dead_(word));
  CHECK(shoal_futex_wait(&seat->live.word, word, SHOAL_FOREVER) == 0);
  CHECK(shoal_seat_is_dead_(shoal_seat_word_(seat)));
  (void)i;
}
static void count_undone(struct shoal_seat *seat, void *arg) {
  struct shared *s = arg;
  CHECK(seat->record.v_ >= 100);
  shoal_store64_relaxed(&seat->record, 0);
  shoal_add32_relaxed(&s->undone, 1);
}

static void test_a_death_is_seen_and_undone_once(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  struct shoal_seat *seat;
  struct peer p = sitter(s, 0, &seat), watcher = peer_start(&arena, watch_first, 0);
  assert_int_equal(shoal_robust_owner(shoal_seat_word_(seat)), p.pid);
  assert_int_equal(shoal_seats_sitting_(&s->seats), 1);
  assert_int_equal(shoal_seat_reap_(&s->seats, count_undone, s), 0);
  peer_asleep(&watcher);
  peer_kill(&p);
  peer_join(&watcher);
  assert_int_equal(shoal_seats_sitting_(&s->seats), 0);
  assert_int_equal(shoal_seat_reap_(&s->seats, count_undone, s), 1);
  assert_int_equal(shoal_seat_reap_(&s->seats, count_undone, s), 0);
  assert_int_equal(s->undone.v_, 1);
  assert_int_equal(seat->live.word.v_, 0);
  assert_ptr_equal(mine(s), seat);
}

static void *sit_and_exit(void *arg) {
  struct shoal_seat *seat = mine(arg);
  shoal_store64_relaxed(&seat->record, 100);
  shoal_seat_sit_(shoal_self_(), seat);
  return NULL;
}
static void test_a_thread_that_exits_dies(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, sit_and_exit, s), 0);
  assert_int_equal(pthread_join(thread, NULL), 0);
  assert_int_equal(shoal_seat_reap_(&s->seats, count_undone, s), 1);
}

static void sit_and_rise(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_thread_ *t = shoal_self_();
  for (unsigned k = 0; k < 20000; k++) {
    struct shoal_seat *seat = shoal_seat_mine_(t, &s->seats);
    CHECK(seat && seat->record.v_ == 0);
    shoal_seat_sit_(t, seat);
    shoal_store64_relaxed(&seat->record, t->id);
    CHECK(shoal_robust_owner(seat->live.word.v_) == t->tid && seat->record.v_ == t->id);
    shoal_store64_relaxed(&seat->record, 0);
    shoal_seat_rise_(t, seat);
    if (k % 64 == i) shoal_seat_leave_(&s->seats, seat);
  }
  CHECK(!t->head->pending);
}
static void test_many_sit_and_rise(void **state) {
  (void)state;
  run(&arena, THREADS, 4, sit_and_rise);
  run(&arena, PROCESSES, 4, sit_and_rise);
}

// ---- 3 ----

static void undo_each(void *memory, unsigned i) {
  struct shared *s = memory;
  shoal_add32_seq_cst(&s->here, 1);  // [T3]
  await(&s->here, 2);
  shoal_add32_relaxed(&s->index[60], (uint32_t)shoal_seat_reap_(&s->seats, count_undone, s));
  (void)i;
}
static void test_two_reap_at_once(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  for (unsigned round = 0; round < 50; round++) {
    struct shoal_seat *seat;
    struct peer p[4];
    memset(s->index, 0, sizeof s->index);
    s->here.v_ = s->undone.v_ = 0;
    for (unsigned i = 0; i < 4; i++) p[i] = sitter(s, i, &seat);
    for (unsigned i = 0; i < 4; i++) peer_kill(&p[i]);
    run(&arena, round % 2 ? THREADS : PROCESSES, 2, undo_each);
    assert_int_equal(s->undone.v_, 4);
    assert_int_equal(s->index[60].v_, 4);
  }
}

static void hold_on(struct shoal_seat *seat, void *arg) {
  struct shared *s = arg;
  (void)seat;
  say(&s->stage, 1);
  for (;;) pause();
}
static void reap_for_ever(void *memory, unsigned i) {
  struct shared *s = memory;
  shoal_seat_reap_(&s->seats, hold_on, s);
  (void)i;
}
static void test_an_heir_that_dies_is_followed(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  struct shoal_seat *seat;
  struct peer p = sitter(s, 0, &seat);
  peer_kill(&p);
  struct peer heir = peer_start(&arena, reap_for_ever, 0);
  await(&s->stage, 1);
  assert_int_equal(shoal_seat_reap_(&s->seats, count_undone, s), 0);
  assert_int_equal(seat->record.v_, 100);
  peer_kill(&heir);
  assert_int_equal(shoal_seat_reap_(&s->seats, count_undone, s), 1);
}

// ---- 4 ----

static void take_and_stay(void *memory, unsigned i) {
  struct shared *s = memory;
  CHECK(mine(s));
  say(&s->index[i], 1);
  for (;;) pause();
}
static void test_full_and_forsaken(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  struct peer p[SEATS];
  for (unsigned i = 0; i < SEATS; i++) {
    p[i] = peer_start(&arena, take_and_stay, i);
    await(&s->index[i], 1);
  }
  assert_null(mine(s));
  kill(p[3].pid, SIGSTOP);
  assert_null(mine(s));
  peer_kill(&p[3]);
  struct shoal_seat *seat = mine(s);
  assert_non_null(seat);
  shoal_seat_leave_(&s->seats, seat);
  assert_null(shoal_seat_known_(&s->seats));
  assert_non_null(mine(s));
  for (unsigned i = 0; i < SEATS; i++)
    if (i != 3) peer_kill(&p[i]);
}

// Threads that begin with a table full of dead owners and never sit: each place is one's, always.
static void churn(void *memory, unsigned i) {
  struct shared *s = memory;
  for (unsigned k = 0; k < 300; k++) {
    struct shoal_seat *seat = mine(s);
    if (!seat) continue;
    uint32_t at = index_of(s, seat);
    CHECK(shoal_add32_seq_cst(&s->index[at], 1) == 0);  // [T3]
    if (k % 8 == i) sched_yield();
    shoal_add32_seq_cst(&s->index[at], (uint32_t)-1);                         // [T3]
    shoal_store64_release(&seat->live.user_, UINT64_C(1) << 40 | 0x3ffffff);  // [R3] forsaken: a number that nobody has
  }
}
static void test_the_forsaken_go_to_one(void **state) {
  (void)state;
  run(&arena, THREADS, 4, churn);
  run(&arena, PROCESSES, 4, churn);
}

// ---- 5 ----

static void test_a_number_used_again_is_another(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  int status;
  struct shoal_seat *seat = mine(s);
  shoal_seat_sit_(shoal_self_(), seat);
  pid_t child = fork();
  if (child == 0) {
    struct shoal_seat *other = shoal_seat_known_(&s->seats) ? seat : mine(s);
    _exit(!other || other == seat);
  }
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  shoal_seat_rise_(shoal_self_(), seat);
  // Our number, another birth: somebody's before us. It is free for all, but it is not ours unless taken.
  shoal_store64_relaxed(&seat->live.user_, shoal_self_()->id ^ UINT64_C(1) << 40);
  assert_null(shoal_seat_known_(&s->seats));
  assert_ptr_not_equal(mine(s), seat);
  shoal_seat_leave_(&s->seats, mine(s));
  // One that has our number, and sat when it died: not ours, not free, to be reaped.
  shoal_store64_relaxed(&seat->live.user_, shoal_self_()->id ^ UINT64_C(1) << 40);
  shoal_store64_relaxed(&seat->record, 100);
  shoal_store32_relaxed(&seat->live.word, FUTEX_OWNER_DIED);
  assert_ptr_not_equal(mine(s), seat);
  assert_int_equal(shoal_seat_reap_(&s->seats, count_undone, s), 1);
}

// ---- 6 ----

static void test_memory_of_another(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  struct peer p[SEATS - 1];
  for (unsigned i = 0; i < SEATS - 1; i++) {
    p[i] = peer_start(&arena, take_and_stay, i);
    await(&s->index[i], 1);
  }
  assert_int_equal(index_of(s, mine(s)), SEATS - 1);
  memset(&s->seats, 0, sizeof s->seats);
  memset(s->table, 0, sizeof s->table[0]);
  assert_int_equal(shoal_seats_init_(&s->seats, 1), 0);
  assert_int_equal(index_of(s, mine(s)), 0);  // what lies behind says that it is ours
  s->seats.top.v_ = s->seats.count = UINT32_MAX;
  assert_in_range(shoal_seats_top_(&s->seats), SEATS, SHOAL_SEATS_MAX);  // as far as can be read
  s->seats.count = 3;
  assert_int_equal(shoal_seats_top_(&s->seats), 3);
  for (unsigned i = 0; i < SEATS - 1; i++) peer_kill(&p[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_each_thread_has_one, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_a_death_is_seen_and_undone_once, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_a_thread_that_exits_dies, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_many_sit_and_rise, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_two_reap_at_once, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_an_heir_that_dies_is_followed, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_full_and_forsaken, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_the_forsaken_go_to_one, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_a_number_used_again_is_another, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_memory_of_another, setup, arena_end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
