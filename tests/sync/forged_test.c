// Claims of sync about words that others have forged:
//   1 a word that has the caller's number, though the caller has not taken it, is answered; the thread's list stays in
//   order 2 a number of seats, parties or permits that is not that of the table leads nowhere: operations end, with an
//   answer, and behind
//     the object nothing is touched: what follows the mapping cannot be, and what follows a named object is as it was
//   3 a place in line that is read while it is emptied hides nobody else's
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "sync/barrier.h"
#include "sync/condition.h"
#include "sync/lock_order.h"
#include "sync/once.h"
#include "sync/rwlock.h"
#include "sync/semaphore.h"
#include "sync/seqlock.h"
#include "tests/harness/stage.h"

#define SEATS 4
struct with_seats {
  union {
    struct shoal_rwlock rwlock;
    struct shoal_barrier barrier;
    struct shoal_condition condition;
    char room[512];
  };
  struct shoal_seat seats[SEATS];
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
static struct shared *s;

static int setup(void **state) {
  (void)state;
  s = arena_begin(sizeof(struct shared));
  return shoal_lock_init(&s->mine);
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

#define EDGE (UINT64_C(64) << 10)
static char *edge;
// `size` bytes behind which nothing may be touched.
static void *at_the_edge(uint64_t size) {
  edge = mmap(NULL, 2 * EDGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  assert_true(edge != MAP_FAILED && mprotect(edge + EDGE, EDGE, PROT_NONE) == 0);
  assert_int_equal(size % 64, 0);
  return edge + EDGE - size;
}
static int teardown(void **state) {
  if (edge) munmap(edge, 2 * EDGE);
  edge = NULL;
  return arena_end(state);
}

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
  struct shoal_condition *c = at_the_edge(shoal_condition_size(SEATS));
  struct shoal_condition_info info;
  (void)state;
  assert_int_equal(shoal_condition_init(c, SEATS), 0);
  assert_int_equal(shoal_lock_acquire(&s->mine, SHOAL_TRY), 0);
  EACH_COUNT(&c->seats, rc |= shoal_condition_wait(c, &s->mine, SHOAL_TRY);
             rc |= shoal_condition_notify_all(c, &s->mine); rc |= shoal_condition_info(c, &info));
  expect_in_order();
}
static void test_count_of_a_rwlock(void **state) {
  struct shoal_rwlock *l = at_the_edge(shoal_rwlock_size(SEATS));
  struct shoal_rwlock_info info;
  (void)state;
  assert_int_equal(shoal_rwlock_init(l, SEATS), 0);
  EACH_COUNT(&l->seats, rc |= shoal_rwlock_read_acquire(l, SHOAL_TRY); rc |= shoal_rwlock_read_release(l);
             rc |= shoal_rwlock_write_acquire(l, SHOAL_TRY); rc |= shoal_rwlock_write_release(l);
             rc |= shoal_rwlock_info(l, &info));
}
static void test_count_of_a_barrier(void **state) {
  struct shoal_barrier *b = at_the_edge(shoal_barrier_size(SEATS));
  struct shoal_barrier_info info;
  struct shoal_barrier_party party;
  (void)state;
  assert_int_equal(shoal_barrier_init(b, SEATS, NULL), 0);
  EACH_COUNT(&b->seats, b->parties = kCounts[i]; rc |= shoal_barrier_wait(b, SHOAL_TRY, NULL);
             rc |= shoal_barrier_wait(b, shoal_after_ms(1), NULL); rc |= shoal_barrier_info(b, &info);
             rc |= shoal_barrier_party(b, SHOAL_BARRIER_MAX - 1, &party); rc |= shoal_barrier_leave(b);
             rc |= shoal_barrier_reset(b));
}
static void test_count_of_permits(void **state) {
  struct shoal_semaphore *m = at_the_edge(shoal_semaphore_size(SEATS, 0));
  struct shoal_semaphore_info info;
  (void)state;
  assert_int_equal(shoal_semaphore_init(m, SEATS, SEATS, 0), 0);
  for (unsigned i = 0; i < sizeof kCounts / sizeof *kCounts; i++) {
    m->permits.v_ = m->bound = kCounts[i];
    int rc = shoal_semaphore_info(m, &info), n = 0;
    while (n < 2 * SEATS && shoal_semaphore_acquire(m, SHOAL_TRY) == 0) n++;
    assert_true(rc <= 0 && n <= SEATS);
    for (int k = 0; k < n; k++) assert_int_equal(shoal_semaphore_release(m), 0);
  }
}

// Its neighbour in the segment is as it was, though it looks like seats of the dead.
static void test_count_of_what_has_a_name(void **state) {
  struct shoal_segment *seg;
  struct shoal_rwlock *l, *again;
  struct shoal_object behind;
  (void)state;
  assert_int_equal(shoal_segment_create(NULL, NULL, &seg), 0);
  assert_int_equal(shoal_rwlock_create(seg, "rwlock", SEATS, &l), 0);
  assert_int_equal(shoal_object_create(seg, "behind", "bytes", EDGE, NULL, NULL, &behind), 0);
  assert_true((char *)behind.memory > (char *)l && (char *)behind.memory < (char *)l + EDGE);
  memset(behind.memory, 0x40, EDGE);  // FUTEX_OWNER_DIED, here and there
  for (int open = 0; open < 2; open++) {
    EACH_COUNT(&l->seats, rc |= shoal_rwlock_read_acquire(l, SHOAL_TRY); rc |= shoal_rwlock_read_release(l);
               rc |= shoal_rwlock_write_acquire(l, SHOAL_TRY); rc |= shoal_rwlock_write_release(l);
               assert_true(shoal_seats_count_(&l->seats) <= SEATS));
    for (uint64_t i = 0; i < EDGE; i++) assert_int_equal(((char *)behind.memory)[i], 0x40);
    l->seats.count = SEATS;
    if (!open) assert_int_equal(shoal_rwlock_open(seg, "rwlock", &again), 0);
    assert_int_equal(shoal_rwlock_close(seg, l), 0);
  }
  l->seats.count = SHOAL_SEATS_MAX;  // not open any more: nothing is known of it
  assert_int_equal(shoal_seats_count_(&l->seats), SHOAL_SEATS_MAX);
  assert_int_equal(shoal_segment_close(seg), 0);
}

// ---- 3 ----

static void wait_in_line(void *memory, unsigned i) {
  struct shared *m = memory;
  (void)i;
  CHECK(shoal_lock_acquire(&m->mine, SHOAL_FOREVER) == 0);
  CHECK(shoal_condition_wait(&m->any.condition, &m->mine, SHOAL_FOREVER) == 0);
  CHECK(shoal_lock_release(&m->mine) == 0);
}
// As an heir that is just emptying it leaves it for a moment: its event has been read, its ticket is gone.
static void test_ticket_that_is_gone(void **state) {
  struct shoal_condition *c = &s->any.condition;
  struct peer first, second;
  (void)state;
  assert_int_equal(shoal_condition_init(c, SEATS), 0);
  first = asleep(wait_in_line, 0);
  second = asleep(wait_in_line, 1);
  assert_int_equal(shoal_load64_relaxed(&shoal_seat_at_(&c->seats, 1)->record), 2);
  shoal_store64_relaxed(&shoal_seat_at_(&c->seats, 1)->record, 0);
  assert_int_equal(shoal_lock_acquire(&s->mine, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_condition_notify(c, &s->mine, 1), 0);
  struct shoal_condition_info info;
  assert_int_equal(shoal_condition_info(c, &info), 0);
  assert_int_equal(info.granted, 1);
  assert_int_equal(shoal_lock_release(&s->mine), 0);
  peer_join(&first);
  peer_kill(&second);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(own_number_in_a_lock),     TEST(own_number_in_a_once), TEST(own_number_in_a_permit),
      TEST(own_number_in_a_seqlock),  TEST(own_number_in_a_seat), TEST(count_of_a_condition),
      TEST(count_of_a_rwlock),        TEST(count_of_a_barrier),   TEST(count_of_permits),
      TEST(count_of_what_has_a_name), TEST(ticket_that_is_gone),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
