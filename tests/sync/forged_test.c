// Claims of sync about words that others have forged:
//   1 a word that has the caller's number, though the caller has not taken it, is answered; the thread's list stays in order
//   2 a number of seats that is not that of the table is bounded: operations end, with an answer
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "sync/barrier.h"
#include "sync/condition.h"
#include "sync/lock_order.h"
#include "sync/once.h"
#include "sync/rwlock.h"
#include "sync/semaphore.h"
#include "sync/seqlock.h"
#include "tests/harness/drivers.h"

#define SEATS 4
// Each followed by as many seats as can be.
struct with_seats {
  union {
    struct shoal_condition condition;
    struct shoal_rwlock rwlock;
    struct shoal_barrier barrier;
    char room[1024];
  };
  struct shoal_seat seats[SHOAL_SEATS_MAX];
};
struct shared {
  struct shoal_lock mine, lock;
  struct shoal_rlock rlock;
  struct shoal_once once;
  struct {
    struct shoal_semaphore semaphore;
    struct shoal_permit permits[2];
  };
  union {
    struct shoal_seqlock seqlock;
    char room[512];
  };
  struct with_seats any;
};
static struct arena arena;
static struct shared *s;

static int setup(void **state) {
  (void)state;
  watchdog(120);
  arena_make(&arena, sizeof(struct shared));
  s = arena.memory;
  return shoal_lock_init(&s->mine);
}
static int teardown(void **state) {
  (void)state;
  arena_free(&arena);
  return 0;
}

// Some of its words are in the list, one before and one behind what is forged.
static void expect_in_order(void) {
  const struct shoal_robust_head_ *head = shoal_self_()->head;
  assert_ptr_equal((void *)((uintptr_t)head->next & ~(uintptr_t)1), shoal_robust_entry_(&s->mine.robust.word));
  assert_int_equal(shoal_lock_release(&s->mine), 0);
  assert_ptr_equal(head->next, head);
}
static uint32_t forge(shoal_atomic32 *word, uint32_t bits) {
  assert_int_equal(shoal_lock_acquire(&s->mine, SHOAL_TRY), 0);
  shoal_store32_relaxed(word, shoal_self_()->tid | bits);
  return bits;
}
static const uint32_t kBits[] = {0, FUTEX_WAITERS, FUTEX_OWNER_DIED, FUTEX_WAITERS | FUTEX_OWNER_DIED};
#define EACH_FORM(word, ...)                                    \
  for (unsigned i = 0; i < sizeof kBits / sizeof *kBits; i++) { \
    forge(word, kBits[i]);                                      \
    int rc = 0;                                                 \
    __VA_ARGS__;                                                \
    assert_true(rc <= 0);                                       \
    expect_in_order();                                          \
  }

static void test_own_number_in_a_lock(void **state) {
  (void)state;
  assert_int_equal(shoal_lock_init(&s->lock), 0);
  EACH_FORM(&s->lock.robust.word, rc |= shoal_lock_release(&s->lock));
  assert_int_equal(shoal_rlock_init(&s->rlock), 0);
  EACH_FORM(&s->rlock.lock.robust.word, rc |= shoal_rlock_release(&s->rlock));
  for (uint32_t depth = 0; depth < 4; depth++) {
    s->rlock.lock.robust.user_.v_ = depth;
    EACH_FORM(&s->rlock.lock.robust.word, rc |= shoal_rlock_acquire(&s->rlock, SHOAL_TRY);
              rc |= shoal_rlock_release(&s->rlock); rc |= shoal_rlock_release(&s->rlock));
  }
}
static void test_own_number_in_a_once(void **state) {
  (void)state;
  assert_int_equal(shoal_once_init(&s->once), 0);
  EACH_FORM(&s->once.robust.word, rc |= shoal_once_destroy(&s->once);
            rc |= shoal_once_run(&s->once, NULL, NULL, SHOAL_TRY));
}
static void test_own_number_in_a_permit(void **state) {
  (void)state;
  assert_int_equal(shoal_semaphore_init(&s->semaphore, 1, 2, 0), 0);
  EACH_FORM(&s->permits[0].robust.word, rc |= shoal_semaphore_release_n(&s->semaphore, 2);
            rc |= shoal_semaphore_release(&s->semaphore));
}
static void test_own_number_in_a_seqlock(void **state) {
  void *draft;
  (void)state;
  assert_int_equal(shoal_seqlock_init(&s->seqlock, 64, NULL), 0);
  EACH_FORM(&s->seqlock.writer.word, rc |= shoal_seqlock_begin(&s->seqlock, 64, &draft, SHOAL_TRY);
            rc |= shoal_seqlock_commit(&s->seqlock, 64); rc |= shoal_seqlock_cancel(&s->seqlock));
}
static void test_own_number_in_a_seat(void **state) {
  (void)state;
  struct shoal_seat *seat;
  assert_int_equal(shoal_rwlock_init(&s->any.rwlock, SEATS), 0);
  seat = shoal_seat_at_(&s->any.rwlock.seats, 0);
  s->any.rwlock.seats.top.v_ = 1;
  EACH_FORM(&seat->live.word, rc |= shoal_rwlock_read_release(&s->any.rwlock); seat->live.user_.v_ = shoal_self_()->id;
            rc |= shoal_rwlock_read_release(&s->any.rwlock));
  assert_int_equal(shoal_barrier_init(&s->any.barrier, SEATS, NULL), 0);
  seat = shoal_seat_at_(&s->any.barrier.seats, 0);
  s->any.barrier.seats.top.v_ = 1;
  EACH_FORM(&seat->live.word, seat->live.user_.v_ = shoal_self_()->id; rc |= shoal_barrier_leave(&s->any.barrier));
}

// ---- 2 ----

static const uint32_t kCounts[] = {0, 1, SEATS + 1, SHOAL_SEATS_MAX, UINT32_MAX};
#define EACH_COUNT(seats, ...)                                      \
  for (unsigned i = 0; i < sizeof kCounts / sizeof *kCounts; i++) { \
    int rc = 0;                                                     \
    (seats)->count = kCounts[i];                                    \
    (seats)->top.v_ = UINT32_MAX;                                   \
    __VA_ARGS__;                                                    \
    assert_true(rc <= 0);                                           \
  }

static void test_count_of_a_condition(void **state) {
  struct shoal_condition *c = &s->any.condition;
  struct shoal_condition_info info;
  (void)state;
  assert_int_equal(shoal_condition_init(c, SEATS), 0);
  assert_int_equal(shoal_lock_acquire(&s->mine, SHOAL_TRY), 0);
  EACH_COUNT(&c->seats, rc |= shoal_condition_wait(c, &s->mine, SHOAL_TRY);
             rc |= shoal_condition_notify_all(c, &s->mine); rc |= shoal_condition_info(c, &info));
  expect_in_order();
}
static void test_count_of_a_rwlock(void **state) {
  struct shoal_rwlock *l = &s->any.rwlock;
  struct shoal_rwlock_info info;
  (void)state;
  assert_int_equal(shoal_rwlock_init(l, SEATS), 0);
  EACH_COUNT(&l->seats, rc |= shoal_rwlock_read_acquire(l, SHOAL_TRY); rc |= shoal_rwlock_read_release(l);
             rc |= shoal_rwlock_write_acquire(l, SHOAL_TRY); rc |= shoal_rwlock_write_release(l);
             rc |= shoal_rwlock_info(l, &info));
}
static void test_count_of_a_barrier(void **state) {
  struct shoal_barrier *b = &s->any.barrier;
  struct shoal_barrier_info info;
  (void)state;
  assert_int_equal(shoal_barrier_init(b, SEATS, NULL), 0);
  EACH_COUNT(&b->seats, rc |= shoal_barrier_wait(b, SHOAL_TRY, NULL); rc |= shoal_barrier_info(b, &info);
             rc |= shoal_barrier_leave(b); rc |= shoal_barrier_reset(b));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(own_number_in_a_lock),    TEST(own_number_in_a_once), TEST(own_number_in_a_permit),
      TEST(own_number_in_a_seqlock), TEST(own_number_in_a_seat), TEST(count_of_a_condition),
      TEST(count_of_a_rwlock),       TEST(count_of_a_barrier),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
