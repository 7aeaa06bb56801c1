// Claims of sync/condition:
//   1 who waits comes back, with the lock, when it is notified, and only then; notify(n) is for the n that have waited
//     longest; nothing is notified in advance
//   2 through a bounded buffer everything comes, among threads and among processes at different addresses; nobody hangs
//   3 try, deadline and for ever answer as promised, and release the lock; wait_for does not come back for nothing
//   4 misuse is refused and changes nothing: without the lock, with a lock in doubt, under a waiter, no place
//   5 a dead waiter costs nobody a notification: dead before it, notified and asleep, notified and inside the lock
//   6 a lock whose holder died is held by the waiter that comes back, and it is told; if nobody else takes the lock, it
//     still is; given up, all waiters end
//   7 it can be inspected without being disturbed
//   8 an rlock is released wholly while its holder waits, and held as often afterwards
#include "sync/condition.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/harness/stage.h"

#define PLACES 16
struct room {
  uint64_t line[(sizeof(struct shoal_condition) + PLACES * 64) / 8] SHOAL_ALIGNED(64);
};
struct shared {
  struct shoal_lock lock;
  struct shoal_rlock recursive;
  struct room one, other;
  shoal_atomic32 stage;
  uint32_t order[PLACES], came;  // under the lock: who came back, in which order
  int32_t told[PLACES];          // what its wait answered
  uint32_t go;                   // under the lock
  uint64_t buffer[10], put, taken, sum;
};

static struct shoal_condition *one(struct shared *s) { return (struct shoal_condition *)s->one.line; }
static struct shoal_condition *other(struct shared *s) { return (struct shoal_condition *)s->other.line; }

static int setup(void **state) {
  (void)state;
  struct shared *s = arena_begin(sizeof(struct shared));
  assert_int_equal(shoal_condition_size(PLACES), sizeof(struct room));
  memset(&s->one, 0xa5, sizeof s->one);  // init asks for no zeroes
  assert_int_equal(shoal_lock_init(&s->lock), 0);
  assert_int_equal(shoal_rlock_init(&s->recursive), 0);
  assert_int_equal(shoal_condition_init(one(s), PLACES), 0);
  assert_int_equal(shoal_condition_init(other(s), PLACES), 0);
  return 0;
}

static void acquire(struct shared *s) { CHECK(shoal_lock_acquire(&s->lock, SHOAL_FOREVER) == 0); }
static void release(struct shared *s) { CHECK(shoal_lock_release(&s->lock) == 0); }
static void notify(struct shared *s, uint32_t n) {
  acquire(s);
  CHECK(shoal_condition_notify(one(s), &s->lock, n) == 0);
  release(s);
}
static struct shoal_condition_info info_of(struct shared *s) {
  struct shoal_condition_info info;
  CHECK(shoal_condition_info(one(s), &info) == 0);
  return info;
}

// Waits once, and says when it came back.
static void wait_once(void *memory, unsigned i) {
  struct shared *s = memory;
  acquire(s);
  int rc = shoal_condition_wait(one(s), &s->lock, SHOAL_FOREVER);
  s->told[i] = rc;
  if (rc == -ENOTRECOVERABLE) return;
  s->order[s->came++] = i;
  if (rc == -EOWNERDEAD) CHECK(shoal_lock_consistent(&s->lock) == 0);
  release(s);
}
static struct peer in_line(struct shared *s, arena_body body, unsigned i) {
  uint64_t before = info_of(s).waits;
  struct peer p = peer_start(&arena, body, i);
  while (info_of(s).waits == before) sched_yield();
  return p;
}
static struct peer waiter(struct shared *s, arena_body body, unsigned i) {
  struct peer p = in_line(s, body, i);
  while (!info_of(s).waiters) sched_yield();
  peer_asleep(&p);
  return p;
}
static void waiters(struct shared *s, struct peer *p, unsigned n) {
  for (unsigned i = 0; i < n; i++) p[i] = waiter(s, wait_once, i);
}

static void test_who_has_waited_longest_is_notified(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  struct peer p[5];
  waiters(s, p, 5);
  notify(s, 1);
  peer_join(&p[0]);
  notify(s, 2);
  peer_join(&p[1]);
  peer_join(&p[2]);
  assert_int_equal(s->order[0], 0);
  assert_int_equal(s->came, 3);
  assert_int_equal(info_of(s).waiters, 2);
  acquire(s);
  assert_int_equal(shoal_condition_notify_all(one(s), &s->lock), 0);
  assert_int_equal(info_of(s).granted, 2);
  release(s);
  peer_join(&p[3]);
  peer_join(&p[4]);
  assert_int_equal(s->came, 5);
}

static void test_nothing_is_notified_in_advance(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  notify(s, 3);
  struct peer p = waiter(s, wait_once, 0);
  assert_int_equal(info_of(s).granted, 0);
  notify(s, 0);
  assert_int_equal(info_of(s).waiters, 1);
  notify(s, 1);
  peer_join(&p);
}

#define ITEMS 10000
static void produce(struct shared *s) {
  acquire(s);
  while (s->put - s->taken == 10) CHECK(shoal_condition_wait(one(s), &s->lock, SHOAL_FOREVER) == 0);
  s->buffer[s->put % 10] = s->put;
  s->put++;
  CHECK(shoal_condition_notify(other(s), &s->lock, 1) == 0);
  release(s);
}
static void consume(struct shared *s) {
  acquire(s);
  while (s->put == s->taken) CHECK(shoal_condition_wait(other(s), &s->lock, SHOAL_FOREVER) == 0);
  CHECK(s->buffer[s->taken % 10] == s->taken);
  s->sum += s->taken++;
  CHECK(shoal_condition_notify(one(s), &s->lock, 1) == 0);
  release(s);
}
static void half_of_them_produce(void *memory, unsigned i) {
  for (unsigned k = 0; k < ITEMS; k++) {
    if (i % 2) produce(memory);
    else consume(memory);
  }
}

static void test_everything_comes_through_a_bounded_buffer(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  run(&arena, THREADS, 6, half_of_them_produce);
  run(&arena, PROCESSES, 6, half_of_them_produce);
  run(&arena, PROCESSES, 2, half_of_them_produce);
  assert_int_equal(s->put, 7 * ITEMS);
  assert_int_equal(s->taken, 7 * ITEMS);
  assert_int_equal(s->sum, (uint64_t)7 * ITEMS * (7 * ITEMS - 1) / 2);
  assert_int_equal(shoal_condition_destroy(one(s)), 0);
}

// Waits end by notifications, deadlines and tries, beside each other; all are told of each round.
#define ROUNDS 100
static void hear_of_all_rounds(void *memory, unsigned i) {
  struct shared *s = memory;
  for (unsigned k = 1; k <= ROUNDS; k++) {
    acquire(s);
    s->came++;
    CHECK(shoal_condition_notify(other(s), &s->lock, 1) == 0);
    const shoal_deadline deadline[] = {SHOAL_TRY, shoal_after_us(100), SHOAL_FOREVER};
    while (s->go < k) {
      int rc = shoal_condition_wait(one(s), &s->lock, deadline[i < 2 ? i : 2]);
      CHECK(rc == 0 || (i < 2 && rc == (i ? -ETIMEDOUT : -EAGAIN)));
      if (rc) release(s), sched_yield(), acquire(s);
    }
    release(s);
  }
}
static int all_came(void *arg) { return ((struct shared *)arg)->came == 6; }
static void conduct(void *memory, unsigned i) {
  struct shared *s = memory;
  if (i < 6) {
    hear_of_all_rounds(memory, i);
    return;
  }
  for (unsigned k = 1; k <= ROUNDS; k++) {
    acquire(s);
    CHECK(shoal_condition_wait_for(other(s), &s->lock, all_came, s, SHOAL_FOREVER) == 0);
    s->came = 0;
    s->go = k;
    CHECK(shoal_condition_notify_all(one(s), &s->lock) == 0);
    release(s);
  }
}

static void test_all_are_told_of_each_round(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  run(&arena, THREADS, 7, conduct);
  s->go = 0;
  run(&arena, PROCESSES, 7, conduct);
  assert_int_equal(info_of(s).waiters + info_of(s).granted + info_of(s).dead, 0);
}

static void test_forms_of_waiting(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  acquire(s);
  assert_int_equal(shoal_condition_wait(one(s), &s->lock, SHOAL_TRY), -EAGAIN);
  int64_t before = shoal_now_ns();
  assert_int_equal(shoal_condition_wait(one(s), &s->lock, shoal_after_ms(20)), -ETIMEDOUT);
  assert_true(shoal_now_ns() - before >= 20000000);
  assert_int_equal(shoal_condition_wait(one(s), &s->lock, shoal_after_ns(-1)), -ETIMEDOUT);
  release(s);  // it was held each time
}

static void take_turns_at_it(void *memory, unsigned i) {
  struct shared *s = memory;
  (void)i;
  acquire(s);
  s->go = 1;
  release(s);
}
static void test_a_wait_releases_the_lock_until_its_deadline_too(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  acquire(s);
  struct peer p = asleep(take_turns_at_it, 0);
  while (!s->go) assert_int_equal(shoal_condition_wait(one(s), &s->lock, shoal_after_ms(1)), -ETIMEDOUT);
  release(s);
  peer_join(&p);
}

static int ready(void *arg) { return *(uint32_t *)arg >= 2; }
static void wait_for_two(void *memory, unsigned i) {
  struct shared *s = memory;
  acquire(s);
  s->told[i] = shoal_condition_wait_for(one(s), &s->lock, ready, &s->go, SHOAL_FOREVER);
  CHECK(s->go == 2);
  release(s);
}
static void test_wait_for_waits_until_it_is_so(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  assert_int_equal(shoal_condition_wait_for(one(s), &s->lock, ready, &s->go, SHOAL_TRY), -EPERM);
  struct peer p = waiter(s, wait_for_two, 0);
  for (unsigned i = 0; i < 2; i++) {
    uint64_t waits = info_of(s).waits;
    acquire(s);
    s->go++;
    assert_int_equal(shoal_condition_notify_all(one(s), &s->lock), 0);
    release(s);
    while (i == 0 && info_of(s).waits == waits) sched_yield();  // it came back, looked, and waits again
  }
  peer_join(&p);
  acquire(s);
  assert_int_equal(shoal_condition_wait_for(one(s), &s->lock, ready, &s->go, SHOAL_TRY), 0);
  s->go = 0;
  assert_int_equal(shoal_condition_wait_for(one(s), &s->lock, ready, &s->go, shoal_after_ms(5)), -ETIMEDOUT);
  assert_int_equal(shoal_condition_wait_for(one(s), &s->lock, ready, &s->go, SHOAL_TRY), -EAGAIN);
  release(s);
}

// Takes the lock, says so, and keeps it until stage 2.
static void keep(void *memory, unsigned i) {
  struct shared *s = memory;
  (void)i;
  acquire(s);
  stage_keep(&s->stage);
  release(s);
}

static void test_misuse(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  assert_int_equal(shoal_condition_wait(one(s), &s->lock, SHOAL_TRY), -EPERM);
  assert_int_equal(shoal_condition_notify(one(s), &s->lock, 1), -EPERM);
  struct peer w = waiter(s, wait_once, 0), k = keeper(keep, 0, &s->stage);
  assert_int_equal(shoal_condition_wait(one(s), &s->lock, SHOAL_TRY), -EPERM);
  assert_int_equal(shoal_condition_notify_all(one(s), &s->lock), -EPERM);
  assert_int_equal(shoal_condition_destroy(one(s)), -EBUSY);
  assert_int_equal(info_of(s).waiters, 1);
  let_go(&k, &s->stage);
  notify(s, 1);
  peer_join(&w);
  assert_int_equal(s->told[0], 0);
  assert_int_equal(shoal_condition_destroy(one(s)), 0);
  assert_int_equal(shoal_condition_destroy(one(s)), -EINVAL);
  acquire(s);
  assert_int_equal(shoal_condition_wait(one(s), &s->lock, SHOAL_TRY), -EINVAL);
  assert_int_equal(shoal_condition_notify(one(s), &s->lock, 1), -EINVAL);
  release(s);
  assert_int_equal(shoal_condition_info(one(s), &(struct shoal_condition_info){0}), -EINVAL);
}

static void test_sizes_and_places(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  assert_int_equal(shoal_condition_size(0), shoal_condition_size(SHOAL_SEATS_DEFAULT));
  assert_int_equal(shoal_condition_size(SHOAL_SEATS_MAX + 1), 0);
  assert_int_equal(shoal_condition_init(one(s), SHOAL_SEATS_MAX + 1), -EINVAL);
  assert_int_equal(shoal_condition_check_(one(s), sizeof s->one), -EPROTO);
  assert_int_equal(shoal_condition_init(one(s), 1), 0);
  assert_int_equal(shoal_condition_check_(one(s), sizeof s->one), 0);
  assert_int_equal(shoal_condition_check_(one(s), shoal_condition_size(1) - 1), -EPROTO);
  struct peer p = waiter(s, wait_once, 0);
  acquire(s);
  assert_int_equal(shoal_condition_wait(one(s), &s->lock, SHOAL_TRY), -EUSERS);
  release(s);
  notify(s, 1);
  peer_join(&p);
  acquire(s);
  assert_int_equal(shoal_condition_wait(one(s), &s->lock, SHOAL_TRY), -EAGAIN);  // its place is free: it is no more
  release(s);
  assert_int_equal(shoal_condition_init(one(s), 1), 0);
  p = waiter(s, wait_once, 0);
  peer_kill(&p);
  acquire(s);
  assert_int_equal(shoal_condition_wait(one(s), &s->lock, SHOAL_TRY), -EAGAIN);  // nor is one that died in it
  release(s);
}

static void test_the_dead_are_not_notified(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  struct peer p[4];
  waiters(s, p, 4);
  peer_kill(&p[0]);
  peer_kill(&p[2]);
  notify(s, 2);
  peer_join(&p[1]);
  peer_join(&p[3]);
  assert_int_equal(info_of(s).dead, 0);
}

static void test_a_notification_of_one_that_dies_asleep_goes_to_the_next(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  struct peer p[3];
  waiters(s, p, 3);
  kill(p[0].pid, SIGSTOP);
  notify(s, 1);
  assert_int_equal(info_of(s).granted, 1);
  assert_int_equal(info_of(s).waiters, 2);
  peer_kill(&p[0]);
  peer_join(&p[1]);
  assert_int_equal(info_of(s).waiters, 1);
  notify(s, 1);
  peer_join(&p[2]);
}

// It has been woken, and sleeps at the lock.
static void await_one_at_the_lock(struct shared *s) {
  struct shoal_lock_info info = {0};
  while (!info.waiters) shoal_lock_info(&s->lock, &info);
}
static void test_a_notification_of_one_that_dies_inside_the_lock_goes_to_the_next(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  struct peer p[3];
  waiters(s, p, 3);
  acquire(s);
  assert_int_equal(shoal_condition_notify(one(s), &s->lock, 1), 0);
  await_one_at_the_lock(s);
  peer_kill(&p[0]);
  release(s);
  peer_join(&p[1]);
  assert_int_equal(info_of(s).waiters, 1);
  notify(s, 1);
  peer_join(&p[2]);
}

// The second of two that were notified gets the lock first, and leaves the line before the one that it watched.
static void test_one_that_dies_after_a_younger_one_has_left(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  struct peer p[3];
  waiters(s, p, 3);
  kill(p[0].pid, SIGSTOP);
  notify(s, 2);
  peer_join(&p[1]);
  assert_int_equal(info_of(s).waiters, 1);
  peer_kill(&p[0]);
  peer_join(&p[2]);
}

static void wait_briefly(void *memory, unsigned i) {
  struct shared *s = memory;
  acquire(s);
  s->told[i] = shoal_condition_wait(one(s), &s->lock, shoal_after_ms(50));
  release(s);
}
static void test_one_that_dies_after_the_one_behind_it_gave_up(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  struct peer p = waiter(s, wait_once, 0), brief = in_line(s, wait_briefly, 1), last = waiter(s, wait_once, 2);
  peer_join(&brief);
  assert_int_equal(s->told[1], -ETIMEDOUT);
  kill(p.pid, SIGSTOP);
  notify(s, 1);
  peer_kill(&p);
  peer_join(&last);
}

static void test_a_waiter_is_told_that_the_holder_died(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  struct peer p[2], k;
  waiters(s, p, 2);
  acquire(s);
  assert_int_equal(shoal_condition_notify(one(s), &s->lock, 1), 0);
  await_one_at_the_lock(s);
  release(s);
  peer_join(&p[0]);
  k = keeper(keep, 0, &s->stage);
  peer_kill(&k);  // nobody takes the lock now, nobody notifies: it looks by itself
  peer_join(&p[1]);
  assert_int_equal(s->told[1], -EOWNERDEAD);
}

static void give_it_up(void *memory, unsigned i) {
  struct shared *s = memory;
  (void)i;
  CHECK(shoal_lock_acquire(&s->lock, SHOAL_FOREVER) == -EOWNERDEAD);
  CHECK(shoal_condition_wait(one(s), &s->lock, SHOAL_TRY) == -EINVAL);
  CHECK(shoal_lock_release(&s->lock) == 0);
}
static void test_a_lock_given_up_ends_all_waits(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  struct peer p[3], k;
  waiters(s, p, 3);
  for (unsigned i = 0; i < 3; i++) kill(p[i].pid, SIGSTOP);
  k = keeper(keep, 0, &s->stage);
  peer_kill(&k);
  struct peer q = peer_start(&arena, give_it_up, 0);
  peer_join(&q);
  for (unsigned i = 0; i < 3; i++) kill(p[i].pid, SIGCONT);
  for (unsigned i = 0; i < 3; i++) {
    peer_join(&p[i]);
    assert_int_equal(s->told[i], -ENOTRECOVERABLE);
  }
  assert_int_equal(shoal_condition_destroy(one(s)), 0);
}

static void test_a_child_of_fork_waits_by_itself(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  int status;
  acquire(s);
  assert_int_equal(shoal_condition_wait(one(s), &s->lock, SHOAL_TRY), -EAGAIN);  // the parent has a place
  release(s);
  pid_t child = fork();
  if (child == 0) {
    wait_once(s, 0);
    _exit(s->told[0] != 0);
  }
  while (info_of(s).waiters == 0) sched_yield();
  acquire(s);
  assert_int_equal(shoal_condition_wait(one(s), &s->lock, SHOAL_TRY), -EAGAIN);  // and the child another
  assert_int_equal(shoal_condition_notify_all(one(s), &s->lock), 0);
  release(s);
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
}

static uint32_t depth(struct shared *s) {
  struct shoal_rlock_info info;
  CHECK(shoal_rlock_info(&s->recursive, &info) == 0);
  return info.depth;
}
// The first waits, three deep; the second comes in meanwhile, and dies there if it is told to.
static void wait_three_deep(void *memory, unsigned i) {
  struct shared *s = memory;
  for (unsigned k = 0; k < 3; k++) CHECK(shoal_rlock_acquire(&s->recursive, SHOAL_FOREVER) == 0);
  s->told[i] = shoal_condition_wait(one(s), &s->recursive, SHOAL_FOREVER);
  CHECK(depth(s) == 3);
  if (s->told[i]) CHECK(shoal_rlock_consistent(&s->recursive) == 0);
  for (unsigned k = 0; k < 3; k++) CHECK(shoal_rlock_release(&s->recursive) == 0);
}
static void notify_two_deep(void *memory, unsigned dies) {
  struct shared *s = memory;
  for (unsigned k = 0; k < 2; k++) CHECK(shoal_rlock_acquire(&s->recursive, SHOAL_FOREVER) == 0);
  CHECK(shoal_condition_notify(one(s), &s->recursive, 1) == 0);
  if (dies) return;
  for (unsigned k = 0; k < 2; k++) CHECK(shoal_rlock_release(&s->recursive) == 0);
}
static void test_a_recursive_lock_is_released_wholly(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  for (unsigned dies = 0; dies < 2; dies++) {
    struct peer p = waiter(s, wait_three_deep, dies), other = peer_start(&arena, notify_two_deep, dies);
    peer_join(&other);
    peer_join(&p);
    assert_int_equal(s->told[dies], dies ? -EOWNERDEAD : 0);
    assert_int_equal(depth(s), 0);
  }
  assert_int_equal(shoal_condition_wait(one(s), &s->recursive, SHOAL_FOREVER), -EPERM);
  assert_int_equal(shoal_condition_notify_all(one(s), &s->recursive), -EPERM);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, arena_end)
  const struct CMUnitTest tests[] = {
      TEST(who_has_waited_longest_is_notified),
      TEST(nothing_is_notified_in_advance),
      TEST(everything_comes_through_a_bounded_buffer),
      TEST(all_are_told_of_each_round),
      TEST(forms_of_waiting),
      TEST(a_wait_releases_the_lock_until_its_deadline_too),
      TEST(wait_for_waits_until_it_is_so),
      TEST(misuse),
      TEST(sizes_and_places),
      TEST(the_dead_are_not_notified),
      TEST(a_notification_of_one_that_dies_asleep_goes_to_the_next),
      TEST(a_notification_of_one_that_dies_inside_the_lock_goes_to_the_next),
      TEST(one_that_dies_after_a_younger_one_has_left),
      TEST(one_that_dies_after_the_one_behind_it_gave_up),
      TEST(a_waiter_is_told_that_the_holder_died),
      TEST(a_lock_given_up_ends_all_waits),
      TEST(a_child_of_fork_waits_by_itself),
      TEST(a_recursive_lock_is_released_wholly),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
