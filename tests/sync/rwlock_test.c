// Claims of sync/rwlock:
//   1 a writer is alone, readers are together, among threads and among processes at different addresses; nobody hangs,
//   with
//     the kernel's fence and without it
//   2 try, deadline and for ever answer as promised; a try disturbs nobody, a deadline that has passed leaves the door
//   open 3 a thread that reads may read again, though a writer waits; release as often
//   4 misuse is refused and changes nothing
//   5 a dead reader is waited for by nobody, and its seat is another's
//   6 who dies alone inside: the next taker, reader or writer, has the lock alone and is told, sleepers at once;
//   repaired, it
//     is as before; given up, it is -ENOTRECOVERABLE for all, those who sleep included
//   7 a writer that dies waiting leaves nothing in doubt, and its readers go on
//   8 without a seat a reader has the lock alone, and the other rules hold
//   9 a writer goes on as a reader
//  10 it can be inspected without being disturbed
// What is no lock, damaged or inherited: rwlock_damaged_test.c.
#include "sync/rwlock.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/harness/stage.h"

struct shared {
  shoal_atomic32 stage, inside, told[8];
  uint64_t number, mirror;  // equal whenever no writer is inside
  struct shoal_rwlock lock;
};

static struct shared *fresh_for(uint32_t threads) {
  struct shared *s = arena_begin(sizeof *s + shoal_rwlock_size(threads));
  memset(&s->lock, 0xaa, shoal_rwlock_size(threads));
  assert_int_equal(shoal_rwlock_init(&s->lock, threads), 0);
  return s;
}

static int setup(void **state) {
  *state = fresh_for(8);
  return 0;
}
static int setup_one_seat(void **state) {
  *state = fresh_for(1);
  return 0;
}

static uint32_t stage_of(struct shared *s) { return shoal_load32_acquire(&s->stage); }  // [T2] pairs with [T1]

// ---- 1 ----
#define ROUNDS 10000
static void mix(void *memory, unsigned i) {
  struct shared *s = memory;
  for (unsigned k = 0; k < ROUNDS; k++) {
    if ((k + i) % 4) {
      CHECK(shoal_rwlock_read_acquire(&s->lock, SHOAL_FOREVER) == 0);
      uint64_t number = s->number;
      if ((k + i) % 512 == 1) sched_yield();  // lose the processor inside
      CHECK(number == s->mirror);
      CHECK(shoal_rwlock_read_release(&s->lock) == 0);
    } else {
      CHECK(shoal_rwlock_write_acquire(&s->lock, SHOAL_FOREVER) == 0);
      s->number++;
      if ((k + i) % 512 == 0) sched_yield();
      CHECK(++s->mirror == s->number);
      CHECK(shoal_rwlock_write_release(&s->lock) == 0);
    }
  }
}

static void run_mix(struct shared *s) {
  run(&arena, THREADS, 4, mix);
  run(&arena, PROCESSES, 4, mix);
  assert_int_equal(s->number, 8 * ROUNDS / 4);
}

static void test_a_writer_is_alone(void **state) { run_mix(*state); }

static void test_a_writer_is_alone_without_the_fence(void **state) {
  struct shared *s = *state;
  s->lock.flags |= SHOAL_RWLOCK_EXCHANGE_;
  run_mix(s);
}

static void meet(void *memory, unsigned i) {
  struct shared *s = memory;
  (void)i;
  CHECK(shoal_rwlock_read_acquire(&s->lock, SHOAL_FOREVER) == 0);
  shoal_add32_seq_cst(&s->inside, 1);                                    // [T3] pairs with [T3]
  while (shoal_load32_seq_cst(&s->inside) < stage_of(s)) sched_yield();  // [T3]
  CHECK(shoal_rwlock_read_release(&s->lock) == 0);
}

static void test_readers_are_together(void **state) {
  struct shared *s = *state;
  say(&s->stage, 4);
  run(&arena, THREADS, 4, meet);
  say(&s->stage, 8);
  run(&arena, PROCESSES, 4, meet);
}

// More threads over time than there are seats.
static void test_seats_of_those_that_have_ended(void **state) {
  struct shared *s = *state;
  for (uint32_t i = 0; i < 3; i++) {
    shoal_store32_seq_cst(&s->inside, 0);  // [T3]
    say(&s->stage, 8);
    run(&arena, THREADS, 8, meet);
  }
}

// ---- holders ----
// Takes the lock, says so, and keeps it until stage 2.
static void keep_reading(void *memory, unsigned i) {
  struct shared *s = memory;
  (void)i;
  CHECK(shoal_rwlock_read_acquire(&s->lock, SHOAL_FOREVER) == 0);
  stage_keep(&s->stage);
  CHECK(shoal_rwlock_read_release(&s->lock) == 0);
}
static void keep_writing(void *memory, unsigned i) {
  struct shared *s = memory;
  (void)i;
  CHECK(shoal_rwlock_write_acquire(&s->lock, SHOAL_FOREVER) == 0);
  stage_keep(&s->stage);
  CHECK(shoal_rwlock_write_release(&s->lock) == 0);
}

// What they are told goes to told[i], one higher: 0 is nothing yet. A lock in doubt is repaired.
static void tell(struct shared *s, unsigned i, int rc) {
  shoal_store32_release(&s->told[i], 1 + (uint32_t)-rc);  // [T4] pairs with [T5]
}
static int told(struct shared *s, unsigned i) {
  return 1 - (int)shoal_load32_acquire(&s->told[i]);  // [T5] pairs with [T4]
}
static void read_once(void *memory, unsigned i) {
  struct shared *s = memory;
  int rc = shoal_rwlock_read_acquire(&s->lock, SHOAL_FOREVER);
  if (rc == -EOWNERDEAD) CHECK(shoal_rwlock_consistent(&s->lock) == 0);
  if (rc == 0 || rc == -EOWNERDEAD) CHECK(shoal_rwlock_read_release(&s->lock) == 0);
  tell(s, i, rc);
}
static void write_once(void *memory, unsigned i) {
  struct shared *s = memory;
  int rc = shoal_rwlock_write_acquire(&s->lock, SHOAL_FOREVER);
  if (rc == -EOWNERDEAD) CHECK(shoal_rwlock_consistent(&s->lock) == 0);
  if (rc == 0 || rc == -EOWNERDEAD) CHECK(shoal_rwlock_write_release(&s->lock) == 0);
  tell(s, i, rc);
}
static void expect_as_new(struct shared *s) {
  assert_int_equal(shoal_rwlock_read_acquire(&s->lock, SHOAL_TRY), 0);
  assert_int_equal(shoal_rwlock_read_release(&s->lock), 0);
  assert_int_equal(shoal_rwlock_write_acquire(&s->lock, SHOAL_TRY), 0);
  assert_int_equal(shoal_rwlock_write_release(&s->lock), 0);
}

// ---- 2 ----
static void expect_timeout(int (*acquire)(struct shoal_rwlock *, shoal_deadline), struct shared *s) {
  int64_t before = shoal_now_ns();
  assert_int_equal(acquire(&s->lock, SHOAL_TRY), -EAGAIN);
  assert_int_equal(acquire(&s->lock, shoal_after_ms(20)), -ETIMEDOUT);
  assert_true(shoal_now_ns() - before >= 20000000);
  assert_int_equal(acquire(&s->lock, shoal_after_ns(0)), -ETIMEDOUT);
}
static int read_acquire(struct shoal_rwlock *l, shoal_deadline d) { return shoal_rwlock_read_acquire(l, d); }

static void test_forms_of_waiting(void **state) {
  struct shared *s = *state;
  struct peer p = keeper(keep_writing, 0, &s->stage);
  expect_timeout(read_acquire, s);
  expect_timeout(shoal_rwlock_write_acquire, s);
  let_go(&p, &s->stage);
  p = keeper(keep_reading, 0, &s->stage);
  expect_timeout(shoal_rwlock_write_acquire, s);
  assert_int_equal(shoal_load32_relaxed(&s->lock.door), SHOAL_RWLOCK_OPEN);
  assert_int_equal(shoal_rwlock_read_acquire(&s->lock, SHOAL_TRY), 0);
  assert_int_equal(shoal_rwlock_read_release(&s->lock), 0);
  let_go(&p, &s->stage);
  expect_as_new(s);
}

static void write_briefly(void *memory, unsigned i) {
  struct shared *s = memory;
  tell(s, i, shoal_rwlock_write_acquire(&s->lock, shoal_after_ms(50)));
}

static void test_a_writer_that_gives_up_lets_readers_in(void **state) {
  struct shared *s = *state;
  struct peer p = keeper(keep_reading, 0, &s->stage), writer = peer_start(&arena, write_briefly, 0);
  while (shoal_load32_relaxed(&s->lock.door) != SHOAL_RWLOCK_AWAITED && told(s, 0) > 0) sched_yield();
  struct peer reader = peer_start(&arena, read_once, 1);
  peer_join(&reader);
  peer_join(&writer);
  assert_int_equal(told(s, 0), -ETIMEDOUT);
  assert_int_equal(told(s, 1), 0);
  let_go(&p, &s->stage);
  expect_as_new(s);
}

static void test_a_waiting_writer_comes_before_new_readers(void **state) {
  struct shared *s = *state;
  struct peer p = keeper(keep_reading, 0, &s->stage), writer = asleep(write_once, 0);
  assert_int_equal(shoal_rwlock_read_acquire(&s->lock, SHOAL_TRY), -EAGAIN);
  struct peer reader = asleep(read_once, 1);
  let_go(&p, &s->stage);
  peer_join(&writer);
  peer_join(&reader);
  expect_as_new(s);
}

// ---- 3 ----
static void read_deep(void *memory, unsigned i) {
  struct shared *s = memory;
  (void)i;
  CHECK(shoal_rwlock_read_acquire(&s->lock, SHOAL_FOREVER) == 0);
  stage_keep(&s->stage);
  for (int k = 0; k < 3; k++) CHECK(shoal_rwlock_read_acquire(&s->lock, SHOAL_TRY) == 0);
  for (int k = 0; k < 3; k++) CHECK(shoal_rwlock_read_release(&s->lock) == 0);
  CHECK(told(s, 0) > 0);  // the writer waits still
  CHECK(shoal_rwlock_read_release(&s->lock) == 0);
  CHECK(shoal_rwlock_read_release(&s->lock) == -EPERM);
}

static void test_reading_again_while_a_writer_waits(void **state) {
  struct shared *s = *state;
  struct peer p = keeper(read_deep, 0, &s->stage), writer = asleep(write_once, 0);
  let_go(&p, &s->stage);
  peer_join(&writer);
  assert_int_equal(told(s, 0), 0);
  expect_as_new(s);
}

// ---- 4 ----
static void test_misuse_by_others(void **state) {
  struct shared *s = *state;
  assert_int_equal(shoal_rwlock_read_release(&s->lock), -EPERM);
  assert_int_equal(shoal_rwlock_write_release(&s->lock), -EPERM);
  assert_int_equal(shoal_rwlock_downgrade(&s->lock), -EPERM);
  assert_int_equal(shoal_rwlock_consistent(&s->lock), -EPERM);
  arena_body keep[] = {keep_reading, keep_writing};
  for (int i = 0; i < 2; i++) {
    struct peer p = keeper(keep[i], 0, &s->stage);
    assert_int_equal(shoal_rwlock_read_release(&s->lock), -EPERM);
    assert_int_equal(shoal_rwlock_write_release(&s->lock), -EPERM);
    assert_int_equal(shoal_rwlock_downgrade(&s->lock), -EPERM);
    assert_int_equal(shoal_rwlock_consistent(&s->lock), -EPERM);
    assert_int_equal(shoal_rwlock_destroy(&s->lock), -EBUSY);
    let_go(&p, &s->stage);
  }
  expect_as_new(s);
}

static void test_misuse_by_the_holder(void **state) {
  struct shared *s = *state;
  shoal_deadline forms[] = {SHOAL_TRY, SHOAL_FOREVER};
  assert_int_equal(shoal_rwlock_write_acquire(&s->lock, SHOAL_TRY), 0);
  assert_int_equal(shoal_rwlock_consistent(&s->lock), -EINVAL);
  assert_int_equal(shoal_rwlock_read_release(&s->lock), -EPERM);
  assert_int_equal(shoal_rwlock_destroy(&s->lock), -EBUSY);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(shoal_rwlock_write_acquire(&s->lock, forms[i]), -EDEADLK);
    assert_int_equal(shoal_rwlock_read_acquire(&s->lock, forms[i]), -EDEADLK);
  }
  assert_int_equal(shoal_rwlock_write_release(&s->lock), 0);
  assert_int_equal(shoal_rwlock_read_acquire(&s->lock, SHOAL_TRY), 0);
  for (int i = 0; i < 2; i++) assert_int_equal(shoal_rwlock_write_acquire(&s->lock, forms[i]), -EDEADLK);
  assert_int_equal(shoal_rwlock_write_release(&s->lock), -EPERM);
  assert_int_equal(shoal_rwlock_consistent(&s->lock), -EPERM);
  assert_int_equal(shoal_rwlock_destroy(&s->lock), -EBUSY);
  assert_int_equal(shoal_rwlock_leave(&s->lock), -EBUSY);
  struct peer writer = asleep(write_once, 0);  // it waits for us: so must not we for it
  for (int i = 0; i < 2; i++) assert_int_equal(shoal_rwlock_write_acquire(&s->lock, forms[i]), -EDEADLK);
  assert_int_equal(shoal_rwlock_read_release(&s->lock), 0);
  peer_join(&writer);
  assert_int_equal(shoal_rwlock_leave(&s->lock), 0);
  assert_int_equal(shoal_rwlock_leave(&s->lock), 0);
  expect_as_new(s);
}

// It has the later seat: the other reader is not waited for first, with the door shut meanwhile.
static void test_a_reader_that_would_write_is_refused_at_once(void **state) {
  struct shared *s = *state;
  struct peer p = keeper(keep_reading, 0, &s->stage);
  assert_int_equal(shoal_rwlock_read_acquire(&s->lock, SHOAL_TRY), 0);
  assert_int_equal(shoal_rwlock_write_acquire(&s->lock, SHOAL_FOREVER), -EDEADLK);
  assert_int_equal(shoal_load32_relaxed(&s->lock.door), SHOAL_RWLOCK_OPEN);
  assert_int_equal(shoal_rwlock_read_release(&s->lock), 0);
  let_go(&p, &s->stage);
  expect_as_new(s);
}

// ---- 5 ----
static void test_a_dead_reader_is_not_waited_for(void **state) {
  struct shared *s = *state;
  struct shoal_rwlock_info info;
  struct peer p = keeper(keep_reading, 0, &s->stage), writer = asleep(write_once, 0), reader = asleep(read_once, 1);
  peer_kill(&p);
  peer_join(&writer);
  peer_join(&reader);
  assert_int_equal(told(s, 0), 0);
  assert_int_equal(told(s, 1), 0);
  shoal_rwlock_info(&s->lock, &info);
  assert_int_equal(info.readers, 0);
  expect_as_new(s);
}

static void test_a_dead_readers_seat_is_anothers(void **state) {  // one seat
  struct shared *s = *state;
  struct shoal_rwlock_info info;
  struct peer p = keeper(keep_reading, 0, &s->stage);
  peer_kill(&p);
  p = keeper(keep_reading, 0, &s->stage);
  shoal_rwlock_info(&s->lock, &info);
  assert_int_equal(info.readers, 1);
  assert_int_equal(info.writer, 0);
  let_go(&p, &s->stage);
}

static void *read_and_exit(void *lock) { return (void *)(intptr_t)shoal_rwlock_read_acquire(lock, SHOAL_FOREVER); }

static void test_a_thread_that_exits_reading_dies(void **state) {
  struct shared *s = *state;
  pthread_t thread;
  void *rc;
  assert_int_equal(pthread_create(&thread, NULL, read_and_exit, &s->lock), 0);
  assert_int_equal(pthread_join(thread, &rc), 0);
  assert_int_equal((intptr_t)rc, 0);
  expect_as_new(s);
}

// ---- 6 ----
static void test_the_next_is_told(void **state) {
  struct shared *s = *state;
  struct shoal_rwlock_info info;
  for (int reader = 0; reader < 2; reader++) {
    struct peer p = keeper(keep_writing, 0, &s->stage);
    peer_kill(&p);
    shoal_rwlock_info(&s->lock, &info);
    assert_true(info.dead);
    if (reader) assert_int_equal(shoal_rwlock_read_acquire(&s->lock, SHOAL_FOREVER), -EOWNERDEAD);
    else assert_int_equal(shoal_rwlock_write_acquire(&s->lock, SHOAL_FOREVER), -EOWNERDEAD);
    shoal_rwlock_info(&s->lock, &info);
    assert_int_equal(info.state, SHOAL_RWLOCK_IN_DOUBT);
    assert_int_equal(info.writer, getpid());
    assert_int_equal(shoal_rwlock_downgrade(&s->lock), -EINVAL);
    assert_int_equal(shoal_rwlock_consistent(&s->lock), 0);
    assert_int_equal(shoal_rwlock_consistent(&s->lock), -EINVAL);
    if (reader) assert_int_equal(shoal_rwlock_write_release(&s->lock), -EPERM);
    if (reader) assert_int_equal(shoal_rwlock_read_release(&s->lock), 0);
    else assert_int_equal(shoal_rwlock_write_release(&s->lock), 0);
    expect_as_new(s);
  }
}

static void test_sleepers_are_told_once(void **state) {
  struct shared *s = *state;
  struct peer p = keeper(keep_writing, 0, &s->stage), sleeper[4];
  for (unsigned i = 0; i < 4; i++) sleeper[i] = asleep(i % 2 ? read_once : write_once, i);
  peer_kill(&p);
  unsigned ownerdead = 0;
  for (unsigned i = 0; i < 4; i++) {
    peer_join(&sleeper[i]);
    ownerdead += told(s, i) == -EOWNERDEAD;
    assert_true(told(s, i) == 0 || told(s, i) == -EOWNERDEAD);
  }
  assert_int_equal(ownerdead, 1);
  expect_as_new(s);
}

static void test_told_again_until_repaired(void **state) {
  struct shared *s = *state;
  struct peer p = keeper(keep_writing, 0, &s->stage);
  peer_kill(&p);
  pthread_t thread;
  void *rc;
  assert_int_equal(pthread_create(&thread, NULL, read_and_exit, &s->lock), 0);
  assert_int_equal(pthread_join(thread, &rc), 0);
  assert_int_equal((intptr_t)rc, -EOWNERDEAD);
  assert_int_equal(shoal_rwlock_write_acquire(&s->lock, SHOAL_TRY), -EOWNERDEAD);
  assert_int_equal(shoal_rwlock_consistent(&s->lock), 0);
  assert_int_equal(shoal_rwlock_write_release(&s->lock), 0);
  expect_as_new(s);
}

static void test_given_up_for_all(void **state) {
  struct shared *s = *state;
  for (int reader = 0; reader < 2; reader++) {
    assert_int_equal(shoal_rwlock_init(&s->lock, 8), 0);
    struct peer p = keeper(keep_writing, 0, &s->stage), sleeper[2];
    peer_kill(&p);
    assert_int_equal((reader ? read_acquire : shoal_rwlock_write_acquire)(&s->lock, SHOAL_TRY), -EOWNERDEAD);
    sleeper[0] = asleep(read_once, 0);
    sleeper[1] = asleep(write_once, 1);
    assert_int_equal(reader ? shoal_rwlock_read_release(&s->lock) : shoal_rwlock_write_release(&s->lock), 0);
    for (unsigned i = 0; i < 2; i++) {
      peer_join(&sleeper[i]);
      assert_int_equal(told(s, i), -ENOTRECOVERABLE);
    }
    assert_int_equal(shoal_rwlock_read_acquire(&s->lock, SHOAL_FOREVER), -ENOTRECOVERABLE);
    assert_int_equal(shoal_rwlock_write_acquire(&s->lock, SHOAL_TRY), -ENOTRECOVERABLE);
    assert_int_equal(shoal_rwlock_destroy(&s->lock), 0);
  }
}

// ---- 7 ----
static void test_a_writer_that_dies_waiting(void **state) {
  struct shared *s = *state;
  struct peer p = keeper(keep_reading, 0, &s->stage), writer = asleep(write_once, 0), reader = asleep(read_once, 1);
  peer_kill(&writer);
  peer_join(&reader);
  assert_int_equal(told(s, 1), 0);
  assert_int_equal(shoal_load32_relaxed(&s->lock.door), SHOAL_RWLOCK_OPEN);
  let_go(&p, &s->stage);
  expect_as_new(s);
}

// ---- 8 ----
// The seat is the parent's.
static void read_alone(void *memory, unsigned i) {
  struct shared *s = memory;
  (void)i;
  CHECK(shoal_rwlock_read_acquire(&s->lock, SHOAL_FOREVER) == 0);
  CHECK(shoal_rwlock_read_acquire(&s->lock, SHOAL_TRY) == 0);
  CHECK(shoal_rwlock_write_acquire(&s->lock, SHOAL_FOREVER) == -EDEADLK);
  CHECK(shoal_rwlock_write_release(&s->lock) == -EPERM);
  CHECK(shoal_rwlock_read_release(&s->lock) == 0);
  stage_keep(&s->stage);
  CHECK(shoal_rwlock_read_release(&s->lock) == 0);
  CHECK(shoal_rwlock_read_release(&s->lock) == -EPERM);
}
static void go_on_alone(void *memory, unsigned i) {
  struct shared *s = memory;
  (void)i;
  CHECK(shoal_rwlock_write_acquire(&s->lock, SHOAL_FOREVER) == 0);
  CHECK(shoal_rwlock_downgrade(&s->lock) == 0);
  CHECK(shoal_rwlock_write_release(&s->lock) == -EPERM);
  stage_keep(&s->stage);
  CHECK(shoal_rwlock_read_release(&s->lock) == 0);
}

static void test_without_a_seat(void **state) {  // one seat
  struct shared *s = *state;
  struct shoal_rwlock_info info;
  arena_body alone[] = {read_alone, go_on_alone};
  expect_as_new(s);
  for (int i = 0; i < 2; i++) {
    struct peer p = keeper(alone[i], 0, &s->stage);
    shoal_rwlock_info(&s->lock, &info);
    assert_int_equal(info.writer, p.pid);
    assert_int_equal(shoal_rwlock_read_acquire(&s->lock, SHOAL_TRY), -EAGAIN);
    assert_int_equal(shoal_rwlock_write_acquire(&s->lock, SHOAL_TRY), -EAGAIN);
    let_go(&p, &s->stage);
    expect_as_new(s);
  }
  struct peer p = keeper(read_alone, 0, &s->stage);
  peer_kill(&p);
  assert_int_equal(shoal_rwlock_read_acquire(&s->lock, SHOAL_TRY), -EOWNERDEAD);
  assert_int_equal(shoal_rwlock_consistent(&s->lock), 0);
  assert_int_equal(shoal_rwlock_read_release(&s->lock), 0);
  expect_as_new(s);
}

static void test_leaving_a_seat_to_another(void **state) {  // one seat
  struct shared *s = *state;
  struct shoal_rwlock_info info;
  expect_as_new(s);
  assert_int_equal(shoal_rwlock_leave(&s->lock), 0);
  struct peer p = keeper(keep_reading, 0, &s->stage);
  shoal_rwlock_info(&s->lock, &info);
  assert_int_equal(info.readers, 1);
  assert_int_equal(info.writer, 0);
  let_go(&p, &s->stage);
}

// ---- 9 ----
static void test_a_writer_goes_on_as_a_reader(void **state) {
  struct shared *s = *state;
  assert_int_equal(shoal_rwlock_write_acquire(&s->lock, SHOAL_TRY), 0);
  struct peer reader = asleep(read_once, 0), writer;
  assert_int_equal(shoal_rwlock_downgrade(&s->lock), 0);
  assert_int_equal(shoal_rwlock_downgrade(&s->lock), -EPERM);
  assert_int_equal(shoal_rwlock_write_release(&s->lock), -EPERM);
  peer_join(&reader);
  writer = asleep(write_once, 1);
  assert_int_equal(shoal_rwlock_read_release(&s->lock), 0);
  peer_join(&writer);
  expect_as_new(s);
}

static void test_repaired_and_shared(void **state) {
  struct shared *s = *state;
  struct peer p = keeper(keep_writing, 0, &s->stage);
  peer_kill(&p);
  assert_int_equal(shoal_rwlock_read_acquire(&s->lock, SHOAL_TRY), -EOWNERDEAD);
  assert_int_equal(shoal_rwlock_read_acquire(&s->lock, SHOAL_TRY), 0);
  assert_int_equal(shoal_rwlock_consistent(&s->lock), 0);
  assert_int_equal(shoal_rwlock_downgrade(&s->lock), 0);
  p = keeper(keep_reading, 0, &s->stage);
  assert_int_equal(shoal_rwlock_read_release(&s->lock), 0);
  assert_int_equal(shoal_rwlock_read_release(&s->lock), 0);
  assert_int_equal(shoal_rwlock_read_release(&s->lock), -EPERM);
  let_go(&p, &s->stage);
  expect_as_new(s);
}

// ---- 10 ----
static void test_inspected_read_only(void **state) {
  struct shared *s = *state;
  struct shoal_rwlock_info info;
  const struct shared *seen = mmap(NULL, arena.size, PROT_READ, MAP_SHARED, arena.fd, 0);
  assert_true(seen != MAP_FAILED);
  assert_int_equal(shoal_rwlock_info(&seen->lock, &info), 0);
  assert_int_equal(info.state, SHOAL_RWLOCK_OPEN);
  struct peer p = keeper(keep_reading, 0, &s->stage), writer = asleep(write_once, 0);
  assert_int_equal(shoal_rwlock_info(&seen->lock, &info), 0);
  assert_int_equal(info.readers, 1);
  assert_int_equal(info.reader[0], p.pid);
  assert_int_equal(info.reader[1], 0);
  assert_int_equal(info.writer, writer.pid);
  assert_int_equal(info.waiters, 1);
  assert_int_equal(info.state, SHOAL_RWLOCK_AWAITED);
  assert_int_equal(shoal_rwlock_check_(&seen->lock, shoal_rwlock_size(8)), 0);
  let_go(&p, &s->stage);
  peer_join(&writer);
  munmap((void *)(uintptr_t)seen, arena.size);
}

#define TEST(x) cmocka_unit_test_setup_teardown(test_##x, setup, arena_end)
#define TEST_ONE_SEAT(x) cmocka_unit_test_setup_teardown(test_##x, setup_one_seat, arena_end)

int main(void) {
  const struct CMUnitTest tests[] = {TEST(a_writer_is_alone),
                                     TEST(a_writer_is_alone_without_the_fence),
                                     TEST(readers_are_together),
                                     TEST(seats_of_those_that_have_ended),
                                     TEST(forms_of_waiting),
                                     TEST(a_writer_that_gives_up_lets_readers_in),
                                     TEST(a_waiting_writer_comes_before_new_readers),
                                     TEST(reading_again_while_a_writer_waits),
                                     TEST(misuse_by_others),
                                     TEST(misuse_by_the_holder),
                                     TEST(a_reader_that_would_write_is_refused_at_once),
                                     TEST(a_dead_reader_is_not_waited_for),
                                     TEST_ONE_SEAT(a_dead_readers_seat_is_anothers),
                                     TEST(a_thread_that_exits_reading_dies),
                                     TEST(the_next_is_told),
                                     TEST(sleepers_are_told_once),
                                     TEST(told_again_until_repaired),
                                     TEST(given_up_for_all),
                                     TEST(a_writer_that_dies_waiting),
                                     TEST_ONE_SEAT(without_a_seat),
                                     TEST_ONE_SEAT(leaving_a_seat_to_another),
                                     TEST(a_writer_goes_on_as_a_reader),
                                     TEST(repaired_and_shared),
                                     TEST(inspected_read_only)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
