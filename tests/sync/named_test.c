// Claims of sync/named, shown on lock, rlock, once, lock_order, semaphore, event and condition:
//   1 what one process has made by name another opens, at its own address, and it is the same object
//   2 a name of another type, or of other parameters, is refused, and so is what is damaged; nothing is changed or kept
//     open
//   3 an object that this thread holds is not closed; one that is not open is not, either
//   4 its memory is reused when the name has gone and all have closed it, or died
//   5 many that open or create together have one object
//   6 a process that may not use membarrier is refused what relies on it, and nothing else
#include "sync/named.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/error.h"
#include "core/proc.h"
#include "sync/condition.h"
#include "sync/event.h"
#include "sync/lock.h"
#include "sync/once.h"
#include "sync/rlock.h"
#include "sync/rwlock.h"
#include "sync/semaphore.h"
#include "tests/harness/drivers.h"
#include "tests/harness/refuse.h"

static struct shoal_segment *seg, *other;  // two mappings of one segment

static int setup(void **state) {
  (void)state;
  watchdog(120);
  assert_int_equal(shoal_segment_create(NULL, NULL, &seg), 0);
  assert_int_equal(shoal_segment_open_fd(shoal_segment_fd(seg), &other), 0);
  return 0;
}
static int teardown(void **state) {
  (void)state;
  assert_int_equal(shoal_segment_close(other), 0);
  assert_int_equal(shoal_segment_close(seg), 0);
  return 0;
}
static uint64_t used(void) {
  struct shoal_segment_info info;
  assert_int_equal(shoal_segment_info(seg, &info), 0);
  return info.used;
}

static void test_the_same_object(void **state) {
  (void)state;
  struct shoal_lock *made, *opened, *found;
  assert_int_equal(shoal_lock_open(seg, "l", &opened), -ENOENT);
  assert_int_equal(shoal_lock_create(seg, "l", &made), 0);
  assert_int_equal(shoal_lock_create(other, "l", &opened), -EEXIST);
  assert_int_equal(shoal_lock_open(other, "l", &opened), 0);
  assert_ptr_not_equal(made, opened);
  assert_int_equal(shoal_lock_acquire(made, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_lock_acquire(opened, SHOAL_TRY), -EDEADLK);
  assert_int_equal(shoal_lock_release(made), 0);
  assert_int_equal(shoal_lock_open_or_create(seg, "l", &found), 0);
  assert_ptr_equal(found, made);
  assert_int_equal(shoal_lock_close(seg, found), 0);
  assert_int_equal(shoal_lock_unlink(other, "l"), 0);
  assert_int_equal(shoal_lock_unlink(seg, "l"), -ENOENT);
  assert_int_equal(shoal_lock_acquire(opened, SHOAL_FOREVER), 0);  // who has it goes on
  assert_int_equal(shoal_lock_acquire(made, SHOAL_TRY), -EDEADLK);
  assert_int_equal(shoal_lock_release(opened), 0);
  assert_int_equal(shoal_lock_close(seg, made), 0);
  assert_true(used() > 0);
  assert_int_equal(shoal_lock_close(other, opened), 0);
  assert_int_equal(used(), 0);
}

static void test_other_types_and_parameters(void **state) {
  (void)state;
  struct shoal_lock *lock;
  struct shoal_rlock *rlock;
  struct shoal_once *once;
  struct shoal_lock_order *order, *again;
  assert_int_equal(shoal_lock_create(seg, "l", &lock), 0);
  assert_int_equal(shoal_rlock_open(seg, "l", &rlock), -EBADMSG);
  assert_non_null(strstr(shoal_reason(), "\"lock\""));
  assert_int_equal(shoal_rlock_open_or_create(seg, "l", &rlock), -EBADMSG);
  assert_int_equal(shoal_once_open(seg, "l", &once), -EBADMSG);
  assert_int_equal(shoal_once_unlink(seg, "l"), -EBADMSG);
  assert_int_equal(shoal_lock_close(seg, lock), 0);
  assert_int_equal(shoal_lock_close(seg, lock), -EINVAL);
  assert_int_equal(shoal_lock_unlink(seg, "l"), 0);
  assert_int_equal(shoal_lock_order_create(seg, "o", 0, SHOAL_SEATS_MAX + 1, &order), -EINVAL);
  assert_int_equal(shoal_lock_order_create(seg, "o", 0x80, 0, &order), -EINVAL);  // init refuses: it never was
  assert_int_equal(used(), 0);
  assert_int_equal(shoal_lock_order_create(seg, "o", 0, 8, &order), 0);
  assert_int_equal(shoal_lock_order_open_or_create(seg, "o", 0, 9, &again), -EBADMSG);
  assert_int_equal(shoal_lock_order_open_or_create(seg, "o", 0, 8, &again), 0);
  assert_ptr_equal(order, again);
  assert_int_equal(shoal_lock_order_close(seg, order), 0);
  assert_int_equal(shoal_lock_order_close(seg, again), 0);
  assert_int_equal(shoal_lock_order_close(seg, again), -EINVAL);
  assert_int_equal(shoal_lock_order_unlink(seg, "o"), 0);
  assert_int_equal(used(), 0);
}

static void test_damaged(void **state) {
  (void)state;
  struct shoal_lock *lock;
  struct shoal_once *once;
  struct shoal_object small;
  assert_int_equal(shoal_lock_create(seg, "l", &lock), 0);
  lock->robust.state = 77;
  struct shoal_lock *opened;
  assert_int_equal(shoal_lock_open(other, "l", &opened), -EPROTO);
  assert_int_equal(shoal_lock_open_or_create(other, "l", &opened), -EPROTO);
  lock->robust.state = SHOAL_LOCK_CONSISTENT;
  assert_int_equal(shoal_object_create(seg, "o", "once", 8, NULL, NULL, &small), 0);
  assert_int_equal(shoal_once_open(seg, "o", &once), -EPROTO);
  assert_int_equal(shoal_object_close(seg, &small), 0);
  assert_int_equal(shoal_once_unlink(seg, "o"), 0);
  assert_int_equal(shoal_lock_close(seg, lock), 0);
  assert_int_equal(shoal_lock_unlink(seg, "l"), 0);
  assert_int_equal(used(), 0);  // none of the refused is open still
}

static void test_held_is_not_closed(void **state) {
  (void)state;
  struct shoal_rlock *l;
  char elsewhere[64];
  assert_int_equal(shoal_rlock_create(seg, "r", &l), 0);
  assert_int_equal(shoal_rlock_acquire(l, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_rlock_close(seg, l), -EBUSY);
  assert_int_equal(shoal_rlock_release(l), 0);
  assert_int_equal(shoal_rlock_close(seg, (struct shoal_rlock *)elsewhere), -EINVAL);
  assert_int_equal(shoal_rlock_close(seg, l), 0);
  assert_int_equal(shoal_rlock_unlink(seg, "r"), 0);
}

static pid_t child(int (*body)(void)) {
  fflush(NULL);
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) _exit(body());
  return pid;
}
static void ends_well(pid_t pid) {
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
}

// Holds it and dies, in a child that has opened it, and in one that has inherited it.
static struct shoal_lock *inherited;
static int die_holding(void) {
  struct shoal_lock *lock;
  CHECK(shoal_lock_open(other, "l", &lock) == 0);
  CHECK(shoal_lock_acquire(lock, SHOAL_FOREVER) == 0);
  return 0;
}
static int die_holding_what_was_inherited(void) {
  CHECK(shoal_lock_acquire(inherited, SHOAL_FOREVER) == 0);
  return 0;
}
static void test_users_that_die(void **state) {
  (void)state;
  int (*const how[])(void) = {die_holding, die_holding_what_was_inherited};
  for (int i = 0; i < 2; i++) {
    assert_int_equal(shoal_lock_create(seg, "l", &inherited), 0);
    ends_well(child(how[i]));
    assert_int_equal(shoal_lock_acquire(inherited, SHOAL_FOREVER), -EOWNERDEAD);
    assert_int_equal(shoal_lock_consistent(inherited), 0);
    assert_int_equal(shoal_lock_release(inherited), 0);
    assert_int_equal(shoal_lock_unlink(seg, "l"), 0);
    assert_int_equal(shoal_lock_close(seg, inherited), 0);
    shoal_proc_reap(seg);
    assert_int_equal(used(), 0);
  }
}

// Each child opens or creates, and counts under the lock: two locks would lose some.
struct count {
  uint64_t number, mirror;
};
static int zero(void *memory, uint64_t size, void *arg) {
  (void)memory, (void)size, (void)arg;
  return 0;
}
static int count_together(void) {
  struct shoal_lock *lock;
  struct shoal_object o;
  CHECK(shoal_lock_open_or_create(other, "l", &lock) == 0);
  CHECK(shoal_object_open_or_create(other, "n", "count", sizeof(struct count), zero, NULL, &o) == 0);
  struct count *c = o.memory;
  for (int i = 0; i < 2000; i++) {
    CHECK(shoal_lock_acquire(lock, SHOAL_FOREVER) == 0);
    CHECK(c->number == c->mirror);
    c->number++;
    if (i % 100 == 0) sched_yield();
    c->mirror++;
    CHECK(shoal_lock_release(lock) == 0);
  }
  CHECK(shoal_lock_close(other, lock) == 0);
  return 0;
}
static void test_many_at_once(void **state) {
  (void)state;
  enum { N = 5 };
  pid_t pids[N];
  struct shoal_object o;
  for (int i = 0; i < N; i++) pids[i] = child(count_together);
  for (int i = 0; i < N; i++) ends_well(pids[i]);
  assert_int_equal(shoal_object_open(seg, "n", "count", &o), 0);
  assert_int_equal(((struct count *)o.memory)->number, N * 2000);
}

// Of a child: opens it by name, and waits there.
static int take_an_item(void) {
  struct shoal_semaphore *s;
  CHECK(shoal_semaphore_open(other, "items", &s) == 0);
  CHECK(shoal_semaphore_acquire(s, SHOAL_FOREVER) == 0);
  return 0;
}
static int die_with_a_permit(void) {
  struct shoal_semaphore *s;
  CHECK(shoal_semaphore_open(other, "s", &s) == 0);
  CHECK(shoal_semaphore_acquire(s, SHOAL_FOREVER) == 0);
  return 0;
}
static void test_semaphores_that_are_held(void **state) {
  (void)state;
  struct shoal_semaphore *s, *opened;
  struct shoal_semaphore_info info;
  assert_int_equal(shoal_semaphore_create(seg, "s", 3, 2, 0, &s), -EINVAL);  // init refuses: it never was
  assert_int_equal(shoal_semaphore_create(seg, "s", 0, 0, 0, &s), -EINVAL);
  assert_int_equal(used(), 0);
  assert_int_equal(shoal_semaphore_create(seg, "s", 2, 0, 0, &s), 0);  // bounded: as its value
  assert_int_equal(shoal_semaphore_open_or_create(other, "s", 1, 3, 0, &opened), -EBADMSG);
  assert_int_equal(shoal_semaphore_open_or_create(other, "s", 1, 0, SHOAL_SEMAPHORE_CONSUMED, &opened), -EBADMSG);
  assert_int_equal(shoal_semaphore_open_or_create(other, "s", 1, 2, 0, &opened), 0);
  assert_int_equal(shoal_semaphore_info(opened, &info), 0);
  assert_int_equal(info.value, 2);  // as it was made
  ends_well(child(die_with_a_permit));
  assert_int_equal(shoal_semaphore_acquire(opened, SHOAL_TRY), 0);
  assert_int_equal(shoal_semaphore_acquire(opened, SHOAL_TRY), 0);  // what the dead gave back
  assert_int_equal(shoal_semaphore_acquire(opened, SHOAL_TRY), -EAGAIN);
  assert_int_equal(shoal_semaphore_close(other, opened), -EBUSY);
  assert_int_equal(shoal_semaphore_release_n(opened, 2), 0);
  assert_int_equal(shoal_semaphore_release(s), -EOVERFLOW);
  assert_int_equal(shoal_semaphore_close(other, opened), 0);
  s->bound = 3;  // would reach beyond its end
  assert_int_equal(shoal_semaphore_open(other, "s", &opened), -EPROTO);
  s->bound = 2;
  assert_int_equal(shoal_semaphore_close(seg, s), 0);
  assert_int_equal(shoal_semaphore_unlink(seg, "s"), 0);
  shoal_proc_reap(seg);
  assert_int_equal(used(), 0);
}
static void test_semaphores_that_are_consumed(void **state) {
  (void)state;
  struct shoal_semaphore *s, *opened;
  assert_int_equal(shoal_semaphore_create(seg, "items", 0, 2, SHOAL_SEMAPHORE_CONSUMED, &s), 0);
  pid_t taker = child(take_an_item);
  assert_int_equal(shoal_semaphore_open(other, "items", &opened), 0);
  assert_int_equal(shoal_semaphore_release(opened), 0);
  ends_well(taker);
  assert_int_equal(shoal_semaphore_acquire(s, SHOAL_TRY), -EAGAIN);
  assert_int_equal(shoal_semaphore_release_n(opened, 2), 0);
  assert_int_equal(shoal_semaphore_release(s), -EOVERFLOW);
  assert_int_equal(shoal_semaphore_close(other, opened), 0);
  assert_int_equal(shoal_semaphore_close(seg, s), 0);
  assert_int_equal(shoal_semaphore_open(seg, "items", &s), 0);
  assert_int_equal(shoal_semaphore_acquire(s, SHOAL_TRY), 0);  // nobody had it open; it is as it was
  assert_int_equal(shoal_semaphore_close(seg, s), 0);
  assert_int_equal(shoal_semaphore_unlink(seg, "items"), 0);
}

static int await_event(void) {
  struct shoal_event *e;
  CHECK(shoal_event_open(other, "e", &e) == 0);
  CHECK(shoal_event_wait(e, SHOAL_FOREVER) == 0);
  return 0;
}
static void test_events(void **state) {
  (void)state;
  struct shoal_event *e, *opened;
  struct shoal_lock *lock;
  assert_int_equal(shoal_event_open(seg, "e", &e), -ENOENT);
  assert_int_equal(shoal_event_create(seg, "e", &e), 0);
  assert_int_equal(shoal_event_create(other, "e", &opened), -EEXIST);
  assert_int_equal(shoal_lock_open(other, "e", &lock), -EBADMSG);
  assert_int_equal(shoal_event_open_or_create(other, "e", &opened), 0);
  pid_t waiting = child(await_event);
  assert_int_equal(shoal_event_wait(opened, SHOAL_TRY), -EAGAIN);
  assert_int_equal(shoal_event_set(opened), 0);
  ends_well(waiting);
  assert_true(shoal_event_is_set(e));
  e->kind++;
  struct shoal_event *damaged;
  assert_int_equal(shoal_event_open(other, "e", &damaged), -EPROTO);
  e->kind--;
  assert_int_equal(shoal_event_close(seg, e), 0);
  assert_int_equal(shoal_event_unlink(seg, "e"), 0);
  assert_int_equal(shoal_event_clear(opened), 0);  // who has it goes on
  assert_int_equal(shoal_event_close(other, opened), 0);
  shoal_proc_reap(seg);
  assert_int_equal(used(), 0);
}

// Of a child: the one that waits is in line, for it has let go of the lock.
static int change_under(void) {
  struct shoal_lock *lock;
  struct shoal_condition *c;
  CHECK(shoal_lock_open(other, "l", &lock) == 0 && shoal_condition_open(other, "c", &c) == 0);
  CHECK(shoal_lock_acquire(lock, SHOAL_FOREVER) == 0);
  CHECK(shoal_condition_notify(c, lock, 1) == 0);
  CHECK(shoal_lock_release(lock) == 0);
  CHECK(shoal_condition_close(other, c) == 0);
  return 0;
}
static void test_conditions(void **state) {
  (void)state;
  struct shoal_lock *lock;
  struct shoal_condition *c, *opened;
  assert_int_equal(shoal_condition_create(seg, "c", SHOAL_SEATS_MAX + 1, &c), -EINVAL);
  assert_int_equal(shoal_condition_create(seg, "c", 4, &c), 0);
  assert_int_equal(shoal_condition_open_or_create(other, "c", 5, &opened), -EBADMSG);
  assert_int_equal(shoal_condition_open(other, "c", &opened), 0);
  assert_int_equal(shoal_condition_close(other, opened), 0);
  assert_int_equal(shoal_lock_create(seg, "l", &lock), 0);
  assert_int_equal(shoal_lock_acquire(lock, SHOAL_FOREVER), 0);
  pid_t notifier = child(change_under);
  assert_int_equal(shoal_condition_wait(c, lock, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_lock_release(lock), 0);
  ends_well(notifier);
  c->seats.count = 1000;
  assert_int_equal(shoal_condition_open(other, "c", &opened), -EPROTO);
  c->seats.count = 4;
  assert_int_equal(shoal_condition_close(seg, c), 0);
  assert_int_equal(shoal_condition_unlink(seg, "c"), 0);
}

// ---- 6 ----

static int refuse_membarrier(void) {
  refuse_call(SYS_membarrier, EPERM);
  return 0;
}
static int open_refused(void) {
  struct shoal_semaphore *s, *mine;
  struct shoal_event *e;
  struct shoal_rwlock *l;
  refuse_membarrier();
  CHECK(shoal_semaphore_open(other, "s", &s) == -ENOSYS && strstr(shoal_reason(), "membarrier"));
  CHECK(shoal_event_open(other, "e", &e) == -ENOSYS && strstr(shoal_reason(), "membarrier"));
  CHECK(shoal_rwlock_open(other, "l", &l) == -ENOSYS && strstr(shoal_reason(), "membarrier"));
  CHECK(shoal_semaphore_create(other, "mine", 1, 1, 0, &mine) == 0);  // made without it
  CHECK(shoal_semaphore_open(other, "mine", &s) == 0);
  CHECK(shoal_event_create(other, "my event", &e) == 0 && shoal_rwlock_create(other, "my lock", 4, &l) == 0);
  CHECK(shoal_rwlock_open(other, "my lock", &l) == 0);
  return 0;
}
// What is not done is not said to be done.
static int refused_later(void) {
  struct shoal_semaphore *s;
  struct shoal_event *e;
  CHECK(shoal_semaphore_open(other, "s", &s) == 0 && shoal_event_open(other, "e", &e) == 0);
  refuse_membarrier();
  CHECK(shoal_semaphore_acquire(s, shoal_after_ms(1)) == -ETIMEDOUT);
  CHECK(shoal_event_set(e) == 0 && shoal_event_clear(e) == 0);
  CHECK(!shoal_load32_relaxed(&s->fenced) && !shoal_load32_relaxed(&e->fenced));
  return 0;
}
static int open_fenced(void) {
  struct shoal_semaphore *s;
  struct shoal_event *e;
  refuse_membarrier();
  CHECK(shoal_semaphore_open(other, "s", &s) == 0 && shoal_event_open(other, "e", &e) == 0);
  return 0;
}
static void test_membarrier_refused(void **state) {
  (void)state;
  struct shoal_semaphore *s;
  struct shoal_event *e;
  struct shoal_rwlock *l;
  if (shoal_fence_all_register()) skip();
  assert_int_equal(shoal_semaphore_create(seg, "s", 0, 1, 0, &s), 0);
  assert_int_equal(shoal_event_create(seg, "e", &e), 0);
  assert_int_equal(shoal_rwlock_create(seg, "l", 4, &l), 0);
  ends_well(child(open_refused));
  ends_well(child(refused_later));
  // from the first sleep and the first clear on nobody relies on it
  assert_int_equal(shoal_semaphore_acquire(s, shoal_after_ms(1)), -ETIMEDOUT);
  assert_int_equal(shoal_event_clear(e), 0);
  ends_well(child(open_fenced));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(the_same_object),
      TEST(other_types_and_parameters),
      TEST(damaged),
      TEST(held_is_not_closed),
      TEST(users_that_die),
      TEST(many_at_once),
      TEST(semaphores_that_are_held),
      TEST(semaphores_that_are_consumed),
      TEST(events),
      TEST(conditions),
      TEST(membarrier_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
