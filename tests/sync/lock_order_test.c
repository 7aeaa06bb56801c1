// Claims of sync/lock_order:
//   1 an order that was kept is silent; one that would close a cycle is told with its chains, strict or counted,
//     although nobody waits; what was refused is not held and leaves no trace in the graph, nor does what was counted
//   2 the graph is shared: one process' order is another's law, also when the first has died
//   3 a try is not refused, and what it got counts as held; recursion is not looked at; two of one name are a cycle
//   4 threads that wait for each other in a circle: one is told -EDEADLK, the others get through
//   5 what has a deadline, or waits for one that runs, is no deadlock
//   6 attaching twice is once, another order or name is refused; limits are refused
//   7 a dead holder is told as ever, and in doubt until repaired, also behind a refusal
//   8 where shared words lead, to an order or to a word, is looked at first: what leads nowhere counts for nothing
#include "sync/lock_order.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/error.h"
#include "sync/rlock.h"
#include "tests/harness/stage.h"

#define LOCKS 5
struct shared {
  struct shoal_lock a, b, c, other;
  struct shoal_rlock r;
  shoal_atomic32 stage, deadlocks, acquired;
  struct shoal_lock ring[LOCKS];
  struct shoal_lock_order order;  // its seats behind it
};
static struct shared *s;
static char told[SHOAL_LOCK_ORDER_TEXT];

static void tell(const char *what, void *arg) {
  (void)arg;
  strcpy(told, what);
}

static int setup_with(uint32_t flags) {
  s = arena_begin(sizeof(struct shared) + shoal_lock_order_size(0));
  told[0] = 0;
  shoal_lock_order_report(tell, NULL);
  CHECK(shoal_lock_order_init(&s->order, flags, 0) == 0);
  CHECK(shoal_lock_init(&s->a) == 0 && shoal_lock_init(&s->b) == 0 && shoal_lock_init(&s->c) == 0);
  CHECK(shoal_lock_init(&s->other) == 0 && shoal_rlock_init(&s->r) == 0);
  CHECK(shoal_lock_attach(&s->a, &s->order, "a") == 0 && shoal_lock_attach(&s->b, &s->order, "b") == 0);
  CHECK(shoal_lock_attach(&s->c, &s->order, "c") == 0 && shoal_rlock_attach(&s->r, &s->order, "r") == 0);
  for (int i = 0; i < LOCKS; i++) {
    char name[8] = {'r', 'i', 'n', 'g', (char)('0' + i), 0};
    CHECK(shoal_lock_init(&s->ring[i]) == 0 && shoal_lock_attach(&s->ring[i], &s->order, name) == 0);
  }
  return 0;
}
static int strict(void **state) {
  (void)state;
  return setup_with(SHOAL_LOCK_ORDER_STRICT);
}
static int counting(void **state) {
  (void)state;
  return setup_with(0);
}
static int teardown(void **state) {
  shoal_lock_order_report(NULL, NULL);
  return arena_end(state);
}
static struct shoal_lock_order_info info(void) {
  struct shoal_lock_order_info i;
  CHECK(shoal_lock_order_info(&s->order, &i) == 0);
  return i;
}
static void take(struct shoal_lock *l) { CHECK(shoal_lock_acquire(l, SHOAL_FOREVER) == 0); }
static void drop(struct shoal_lock *l) { CHECK(shoal_lock_release(l) == 0); }
static void both(struct shoal_lock *first, struct shoal_lock *second) {
  take(first);
  take(second);
  drop(second);
  drop(first);
}

static void test_an_order_that_is_kept_is_silent(void **state) {
  (void)state;
  for (int i = 0; i < 3; i++) {
    both(&s->a, &s->b);
    both(&s->b, &s->c);
    both(&s->a, &s->c);
    both(&s->c, &s->other);  // not attached
    both(&s->other, &s->a);
  }
  assert_int_equal(info().cycles, 0);
  assert_int_equal(info().edges, 3);
  assert_string_equal(told, "");
  take(&s->a);
  take(&s->b);
  drop(&s->a);  // released in any order
  take(&s->c);
  drop(&s->b);
  drop(&s->c);
  assert_int_equal(info().cycles, 0);
}

static void test_a_cycle_is_refused(void **state) {
  (void)state;
  both(&s->a, &s->b);
  both(&s->b, &s->c);
  take(&s->c);
  assert_int_equal(shoal_lock_acquire(&s->a, SHOAL_FOREVER), -EDEADLK);
  assert_non_null(strstr(shoal_reason(),
                         "holds \"c\" and wants \"a\", but \"a\" was held when \"b\" was acquired, "
                         "\"b\" was held when \"c\" was acquired"));
  assert_string_equal(told, shoal_reason());
  assert_string_equal(info().last, told);
  struct shoal_lock_info a;
  shoal_lock_info(&s->a, &a);
  assert_int_equal(a.owner, 0);
  drop(&s->c);
  assert_int_equal(info().cycles, 1);
  assert_int_equal(info().edges, 2);
  both(&s->a, &s->c);  // nothing is left of the attempt
  assert_int_equal(info().cycles, 1);
}

static void test_a_cycle_is_counted(void **state) {
  (void)state;
  both(&s->a, &s->b);
  for (unsigned i = 1; i <= 3; i++) {
    both(&s->b, &s->a);
    assert_int_equal(info().cycles, i);
    assert_non_null(strstr(told, "\"b\" and wants \"a\""));
  }
  assert_int_equal(info().edges, 1);
  both(&s->a, &s->b);  // the first seen stays the order
  assert_int_equal(info().cycles, 3);
}

static void a_then_b(void *memory, unsigned die) {
  struct shared *mine = memory;
  take(&mine->a);
  take(&mine->b);
  if (die) raise(SIGKILL);
  drop(&mine->b);
  drop(&mine->a);
}
static void test_one_process_is_anothers_law(void **state) {
  (void)state;
  struct peer p = peer_start(&arena, a_then_b, 0);
  peer_join(&p);
  take(&s->b);
  assert_int_equal(shoal_lock_acquire(&s->a, SHOAL_FOREVER), -EDEADLK);
  drop(&s->b);
}
static void test_dead_holders(void **state) {
  (void)state;
  int status;
  struct peer p = peer_start(&arena, a_then_b, 1);
  CHECK(waitpid(p.pid, &status, 0) == p.pid && WIFSIGNALED(status));
  assert_int_equal(shoal_lock_acquire(&s->b, SHOAL_FOREVER), -EOWNERDEAD);
  assert_int_equal(shoal_lock_acquire(&s->a, SHOAL_FOREVER), -EDEADLK);  // the dead one's order holds
  assert_int_equal(shoal_lock_consistent(&s->b), 0);
  drop(&s->b);
  assert_int_equal(shoal_lock_acquire(&s->a, SHOAL_FOREVER), -EOWNERDEAD);  // refused, and in doubt still
  assert_int_equal(shoal_lock_release(&s->a), 0);
  assert_int_equal(shoal_lock_acquire(&s->a, SHOAL_FOREVER), -ENOTRECOVERABLE);
  both(&s->b, &s->c);  // nothing counts as held
  assert_int_equal(info().cycles, 1);
}

static void test_a_try_is_not_refused(void **state) {
  (void)state;
  both(&s->a, &s->b);
  take(&s->b);
  assert_int_equal(shoal_lock_acquire(&s->a, SHOAL_TRY), 0);
  drop(&s->b);
  assert_int_equal(info().cycles, 0);
  take(&s->c);  // behind what was tried
  drop(&s->c);
  drop(&s->a);
  take(&s->c);
  assert_int_equal(shoal_lock_acquire(&s->a, shoal_after_s(60)), -EDEADLK);
  drop(&s->c);
}

static void test_recursion_is_not_looked_at(void **state) {
  (void)state;
  assert_int_equal(shoal_rlock_acquire(&s->r, SHOAL_FOREVER), 0);
  take(&s->a);
  assert_int_equal(shoal_rlock_acquire(&s->r, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_rlock_release(&s->r), 0);
  take(&s->b);  // r is held still
  drop(&s->b);
  drop(&s->a);
  assert_int_equal(shoal_rlock_unlock_all_(&s->r), 1);
  take(&s->b);
  assert_int_equal(shoal_rlock_acquire(&s->r, SHOAL_FOREVER), -EDEADLK);
  assert_int_equal(shoal_rlock_release(&s->r), -EPERM);
  drop(&s->b);
  assert_int_equal(info().cycles, 1);
}

static void test_two_of_one_name(void **state) {
  (void)state;
  assert_int_equal(shoal_lock_attach(&s->other, &s->order, "a"), 0);
  take(&s->a);
  assert_int_equal(shoal_lock_acquire(&s->other, SHOAL_FOREVER), -EDEADLK);
  assert_non_null(strstr(shoal_reason(), "nothing orders two of that name"));
  drop(&s->a);
  both(&s->other, &s->b);
  take(&s->b);
  assert_int_equal(shoal_lock_acquire(&s->a, SHOAL_FOREVER), -EDEADLK);
  drop(&s->b);
}

// Each holds one of a ring, and when all do, wants the next.
static void go_round(void *memory, unsigned i) {
  struct shared *mine = memory;
  take(&mine->ring[i]);
  shoal_add32_seq_cst(&mine->stage, 1);                              // [T1] pairs with [T2]
  while (shoal_load32_acquire(&mine->stage) < LOCKS) sched_yield();  // [T2] pairs with [T1]
  int rc = shoal_lock_acquire(&mine->ring[(i + 1) % LOCKS], SHOAL_FOREVER);
  CHECK(rc == 0 || rc == -EDEADLK);
  shoal_add32_relaxed(rc ? &mine->deadlocks : &mine->acquired, 1);
  if (rc == 0) drop(&mine->ring[(i + 1) % LOCKS]);
  drop(&mine->ring[i]);
}
static void a_circle(enum driver driver) {
  run(&arena, driver, LOCKS, go_round);
  uint32_t refused = shoal_load32_relaxed(&s->deadlocks), acquired = shoal_load32_relaxed(&s->acquired);
  assert_int_equal(refused + acquired, LOCKS);
  assert_true(refused >= 1);
  assert_true(info().deadlocks >= 1);
  assert_int_equal(info().untracked, 0);
  assert_non_null(strstr(info().last, "\"ring"));
}
static void test_a_circle_of_processes(void **state) {
  (void)state;
  a_circle(PROCESSES);
}
static void test_a_circle_of_threads(void **state) {
  (void)state;
  a_circle(THREADS);
}

// The peer holds a and wants b, which we hold, then let go of.
static void hold_a_want_b(void *memory, unsigned forever) {
  struct shared *mine = memory;
  take(&mine->a);
  shoal_store32_release(&mine->stage, 1);  // [T1]
  CHECK(shoal_lock_acquire(&mine->b, forever ? SHOAL_FOREVER : shoal_after_s(100)) == 0);
  drop(&mine->b);
  drop(&mine->a);
}
static struct peer holder_of_a(unsigned forever) {
  struct peer p = peer_start(&arena, hold_a_want_b, forever);
  while (shoal_load32_acquire(&s->stage) < 1) sched_yield();  // [T2]
  peer_asleep(&p);
  return p;
}
static void test_the_message_names_who_waits(void **state) {
  (void)state;
  char expected[128];
  take(&s->b);
  struct peer p = holder_of_a(1);
  assert_int_equal(shoal_lock_acquire(&s->a, SHOAL_FOREVER), -EDEADLK);
  snprintf(expected, sizeof expected, "would wait for \"a\", whose holder %d (", (int)p.pid);
  assert_non_null(strstr(told, expected));
  assert_int_equal(info().deadlocks, 1);
  drop(&s->b);
  peer_join(&p);
}
static void test_what_will_end_is_no_deadlock(void **state) {
  (void)state;
  take(&s->b);
  struct peer p = holder_of_a(0);  // it has a deadline
  assert_int_equal(shoal_lock_acquire(&s->a, shoal_after_ms(20)), -ETIMEDOUT);
  assert_int_equal(info().deadlocks, 0);
  drop(&s->b);
  peer_join(&p);
  shoal_store32_relaxed(&s->stage, 0);
  take(&s->b);
  p = holder_of_a(1);
  assert_int_equal(shoal_lock_acquire(&s->a, shoal_after_ms(20)), -ETIMEDOUT);  // and this one has
  assert_int_equal(info().deadlocks, 0);
  drop(&s->b);
  peer_join(&p);
}
static void test_a_dead_waiter_is_no_deadlock(void **state) {
  (void)state;
  take(&s->b);
  struct peer p = holder_of_a(1);
  peer_kill(&p);
  assert_int_equal(shoal_lock_acquire(&s->a, SHOAL_FOREVER), -EOWNERDEAD);
  assert_int_equal(info().deadlocks, 0);
  assert_int_equal(shoal_lock_consistent(&s->a), 0);
  drop(&s->a);
  drop(&s->b);
}

// Holds a until somebody sleeps for it.
static void hold_a(void *memory, unsigned i) {
  struct shared *mine = memory;
  (void)i;
  take(&mine->a);
  shoal_store32_release(&mine->stage, 1);  // [T1]
  while (!(shoal_load32_relaxed(&mine->a.robust.word) & FUTEX_WAITERS)) sched_yield();
  drop(&mine->a);
}
// An heir has the dead one's word for a moment, in a seat that still says what the dead one waited for.
static void test_an_heir_does_not_wait(void **state) {
  (void)state;
  take(&s->b);
  struct peer p = peer_start(&arena, hold_a, 0);
  while (shoal_load32_acquire(&s->stage) < 1) sched_yield();  // [T2]
  struct shoal_seat *seat = shoal_seat_at_(&s->order.seats, 0);
  seat->live.word.v_ = (uint32_t)p.pid | FUTEX_WAITERS;
  seat->live.user_.v_ = UINT64_C(1) << 32 | UINT32_C(0x3ffffffe);  // no thread has that number
  seat->record.v_ = (uint64_t)((char *)&s->b - (char *)&s->order);
  s->order.seats.top.v_ = 1;
  take(&s->a);
  assert_int_equal(info().deadlocks, 0);
  drop(&s->a);
  drop(&s->b);
  peer_join(&p);
}

static void test_damaged(void **state) {
  (void)state;
  struct shoal_segment *seg;
  struct shoal_lock_order *order, *again;
  assert_int_equal(shoal_segment_create(NULL, NULL, &seg), 0);
  assert_int_equal(shoal_lock_order_create(seg, "order", 0, 4, &order), 0);
  order->seats.count = SHOAL_SEATS_MAX + 1;
  assert_int_equal(shoal_lock_order_open(seg, "order", &again), -EPROTO);
  order->seats.count = 5000;
  assert_int_equal(shoal_lock_order_open(seg, "order", &again), -EPROTO);
  order->seats.count = 4;
  assert_int_equal(shoal_lock_order_open(seg, "order", &again), 0);
  assert_int_equal(shoal_segment_close(seg), 0);
}

static void test_a_forged_place(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  uint64_t place = shoal_load64_relaxed(&s->a.ordered.place);
  uint64_t forged[] = {64, UINT64_C(1) << 46, UINT64_MAX - 63, place + 64, place ^ UINT64_C(1) << 40};
  for (unsigned i = 0; i < sizeof forged / sizeof *forged; i++) {
    shoal_store64_relaxed(&s->a.ordered.place, forged[i]);
    shoal_store64_relaxed(&s->b.ordered.place, forged[i] - (sizeof s->a));  // the same, from there
    take(&s->a);
    take(&s->b);
    drop(&s->b);
    drop(&s->a);
  }
  // an order that is there, but that nobody can write
  void *constant = mmap(NULL, sizeof s->order, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  assert_true(constant != MAP_FAILED);
  memcpy(constant, &s->order, sizeof s->order);
  assert_int_equal(mprotect(constant, sizeof s->order, PROT_READ), 0);
  shoal_store64_relaxed(&s->a.ordered.place, (uint64_t)((char *)constant - (char *)&s->a));
  take(&s->c);
  take(&s->a);
  drop(&s->a);
  drop(&s->c);
  munmap(constant, sizeof s->order);
}

static void keep_a(void *memory, unsigned i) {
  struct shared *s = memory;
  (void)i;
  take(&s->a);
  shoal_store32_release(&s->stage, 1);
  while (shoal_load32_acquire(&s->stage) < 2) sched_yield();
  drop(&s->a);
}
static void take_and_drop_a(void *memory, unsigned i) {
  struct shared *s = memory;
  (void)i;
  take(&s->a);
  drop(&s->a);
}
// The holder of a lock says, so it seems, that it waits at a word that nobody has mapped.
static void test_a_forged_wait(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  struct peer holder = peer_start(&arena, keep_a, 0);
  while (shoal_load32_acquire(&s->stage) < 1) sched_yield();
  struct shoal_seat *seat = shoal_seat_at_(&s->order.seats, 0);
  uint64_t forged[] = {UINT64_C(1) << 46, UINT64_MAX - 3, 1, 4096 * 4096};
  for (unsigned i = 0; i < sizeof forged / sizeof *forged; i++) {
    seat->live.word.v_ = (uint32_t)holder.pid | FUTEX_WAITERS;
    seat->live.user_.v_ = (uint64_t)(uint32_t)holder.pid;
    seat->record.v_ = forged[i];
    s->order.seats.top.v_ = 1;
    struct peer waiter = asleep(take_and_drop_a, 0);
    if (i + 1 == sizeof forged / sizeof *forged) shoal_store32_release(&s->stage, 2);
    else peer_kill(&waiter);
    if (i + 1 == sizeof forged / sizeof *forged) peer_join(&waiter);
  }
  peer_join(&holder);
}

static void test_attaching(void **state) {
  (void)state;
  char name[40];
  struct shoal_lock_order *more = calloc(1, shoal_lock_order_size(1));
  assert_int_equal(shoal_lock_order_init(more, 0, SHOAL_SEATS_MAX + 1), -EINVAL);
  assert_int_equal(shoal_lock_order_size(SHOAL_SEATS_MAX + 1), 0);
  assert_int_equal(shoal_lock_attach(&s->a, &s->order, "a"), 0);
  assert_int_equal(shoal_lock_attach(&s->a, &s->order, "b"), -EEXIST);
  unsigned names = info().names;
  assert_int_equal(shoal_lock_attach(&s->a, &s->order, "new"), -EEXIST);
  assert_int_equal(info().names, names);  // what was refused used up none
  assert_int_equal(shoal_lock_order_init(more, 0, 1), 0);
  assert_int_equal(shoal_lock_attach(&s->a, more, "a"), -EEXIST);
  assert_int_equal(shoal_lock_attach(&s->a, &s->order, "a"), 0);
  assert_int_equal(shoal_lock_attach(&s->other, &s->order, ""), -EINVAL);
  assert_int_equal(shoal_lock_attach(&s->other, &s->order, NULL), -EINVAL);
  memset(name, 'n', sizeof name);
  name[SHOAL_LOCK_ORDER_NAME_MAX + 1] = 0;
  assert_int_equal(shoal_lock_attach(&s->other, &s->order, name), -ENAMETOOLONG);
  for (unsigned i = info().names; i < SHOAL_LOCK_ORDER_NAMES; i++) {
    snprintf(name, sizeof name, "many-%u", i);
    assert_int_equal(shoal_lock_attach(&s->other, &s->order, name), 0);
    s->other.ordered = (struct shoal_ordered_){{0}};
  }
  assert_int_equal(shoal_lock_attach(&s->other, &s->order, "too many"), -ENOSPC);
  assert_int_equal(info().names, SHOAL_LOCK_ORDER_NAMES);
  free(more);
  assert_int_equal(shoal_lock_order_destroy(&s->order), 0);
  assert_int_equal(shoal_lock_order_destroy(&s->order), -EINVAL);
  assert_int_equal(shoal_lock_attach(&s->other, &s->order, "a"), -EINVAL);
}

// Threads that keep the order, and attach beside it.
static void keep_the_order(void *memory, unsigned i) {
  struct shared *mine = memory;
  for (int k = 0; k < 2000; k++) {
    CHECK(shoal_lock_attach(&mine->other, &mine->order, "other") == 0);
    both(&mine->a, &mine->b);
    if ((k + (int)i) % 3 == 0) both(&mine->b, &mine->c);
    if ((k + (int)i) % 5 == 0) both(&mine->c, &mine->other);
  }
}
static void test_together(void **state) {
  (void)state;
  run(&arena, THREADS, 4, keep_the_order);
  run(&arena, PROCESSES, 4, keep_the_order);
  assert_int_equal(info().cycles, 0);
  assert_int_equal(info().deadlocks, 0);
  assert_int_equal(info().edges, 3);
}

int main(void) {
#define TEST(name, how) cmocka_unit_test_setup_teardown(test_##name, how, teardown)
  const struct CMUnitTest tests[] = {
      TEST(an_order_that_is_kept_is_silent, strict),
      TEST(a_cycle_is_refused, strict),
      TEST(a_cycle_is_counted, counting),
      TEST(one_process_is_anothers_law, strict),
      TEST(dead_holders, strict),
      TEST(a_try_is_not_refused, strict),
      TEST(recursion_is_not_looked_at, strict),
      TEST(two_of_one_name, strict),
      TEST(a_circle_of_processes, counting),
      TEST(a_circle_of_threads, counting),
      TEST(the_message_names_who_waits, counting),
      TEST(what_will_end_is_no_deadlock, counting),
      TEST(a_dead_waiter_is_no_deadlock, counting),
      TEST(an_heir_does_not_wait, counting),
      TEST(damaged, strict),
      TEST(a_forged_place, strict),
      TEST(a_forged_wait, counting),
      TEST(attaching, strict),
      TEST(together, strict),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
