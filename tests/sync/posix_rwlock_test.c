// What the Open POSIX test suite (LTP) and glibc's nptl tests ask of pthread_rwlock, asked of sync/rwlock: README.md
// says which of their tests each of these follows. By behaviour: they sleep to be in time, these look at what the other
// does.
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "sync/rwlock.h"
#include "tests/harness/stage.h"

#define SEATS 16

struct shared {
  shoal_atomic32 stage, ended;
  volatile sig_atomic_t handled;
  uint64_t number;
  struct shoal_rwlock lock;
};

static int setup(void **state) {
  struct shared *s = *state = arena_begin(sizeof(struct shared) + shoal_rwlock_size(SEATS));
  memset(&s->lock, 0xaa, shoal_rwlock_size(SEATS));
  assert_int_equal(shoal_rwlock_init(&s->lock, SEATS), 0);
  return 0;
}

// ---- both kinds ----
enum kind { READ, WRITE };
static int acquire(struct shared *s, enum kind kind, shoal_deadline deadline) {
  return kind == READ ? shoal_rwlock_read_acquire(&s->lock, deadline) : shoal_rwlock_write_acquire(&s->lock, deadline);
}
static int release(struct shared *s, enum kind kind) {
  return kind == READ ? shoal_rwlock_read_release(&s->lock) : shoal_rwlock_write_release(&s->lock);
}
static void take(struct shared *s, enum kind kind) { assert_int_equal(acquire(s, kind, SHOAL_TRY), 0); }
static void give(struct shared *s, enum kind kind) { assert_int_equal(release(s, kind), 0); }
static void expect_free(struct shared *s) {
  for (enum kind kind = READ; kind <= WRITE; kind++) {
    take(s, kind);
    give(s, kind);
  }
}

// ---- another process: takes it, says so (stage), keeps it until it is told (told), gives it back ----
static uint32_t load(shoal_atomic32 *a) { return shoal_load32_acquire(a); }        // [T2] pairs with [T1]
static void store(shoal_atomic32 *a, uint32_t n) { shoal_store32_release(a, n); }  // [T1] pairs with [T2]
static void keep(void *memory, unsigned kind) {
  struct shared *s = memory;
  CHECK(acquire(s, kind, SHOAL_FOREVER) == 0);
  stage_keep(&s->stage);
  CHECK(release(s, kind) == 0);
  shoal_add32_seq_cst(&s->ended, 1);  // [T1]
}
static void use(void *memory, unsigned kind) {
  struct shared *s = memory;
  CHECK(acquire(s, kind, SHOAL_FOREVER) == 0);
  CHECK(release(s, kind) == 0);
  shoal_add32_seq_cst(&s->ended, 1);  // [T1]
}

static void test_initialized_is_free(void **state) { expect_free(*state); }

static void test_used_any_number_of_times(void **state) {
  struct shared *s = *state;
  for (int i = 0; i < 10; i++) {
    for (int k = 0; k < 100; k++) expect_free(s);
    assert_int_equal(shoal_rwlock_destroy(&s->lock), 0);
    assert_int_equal(shoal_rwlock_init(&s->lock, SEATS), 0);
  }
}

static void test_held_is_not_destroyed(void **state) {
  struct shared *s = *state;
  for (enum kind kind = READ; kind <= WRITE; kind++) {
    take(s, kind);
    assert_int_equal(shoal_rwlock_destroy(&s->lock), -EBUSY);
    give(s, kind);
    struct peer p = keeper(keep, kind, &s->stage);
    assert_int_equal(shoal_rwlock_destroy(&s->lock), -EBUSY);
    let_go(&p, &s->stage);
    expect_free(s);
  }
}

static void test_readers_share(void **state) {
  struct shared *s = *state;
  struct peer p = keeper(keep, READ, &s->stage);
  assert_int_equal(acquire(s, READ, SHOAL_FOREVER), 0);
  assert_int_equal(release(s, READ), 0);
  assert_int_equal(acquire(s, WRITE, SHOAL_TRY), -EAGAIN);
  let_go(&p, &s->stage);
  take(s, WRITE);
  give(s, WRITE);
}

static void test_a_writer_waits_for_readers_and_writers(void **state) {
  struct shared *s = *state;
  for (enum kind kind = READ; kind <= WRITE; kind++) {
    store(&s->ended, 0);
    take(s, kind);
    struct peer p = asleep(use, WRITE);
    assert_int_equal(load(&s->ended), 0);
    give(s, kind);
    peer_join(&p);
    assert_int_equal(load(&s->ended), 1);
  }
}

static void test_a_waiting_writer_keeps_new_readers_out(void **state) {
  struct shared *s = *state;
  take(s, READ);
  struct peer writer = asleep(keep, WRITE), reader = asleep(use, READ);
  assert_int_equal(load(&s->ended), 0);
  give(s, READ);
  await(&s->stage, 1);  // the writer has it, the reader has not
  assert_int_equal(load(&s->ended), 0);
  let_go(&writer, &s->stage);
  peer_join(&reader);
}

static void test_all_that_wait_are_served(void **state) {
  struct shared *s = *state;
  struct peer p[6];
  take(s, WRITE);
  for (unsigned i = 0; i < 6; i++) p[i] = asleep(use, i % 3 ? READ : WRITE);
  give(s, WRITE);
  for (unsigned i = 0; i < 6; i++) peer_join(&p[i]);
  assert_int_equal(load(&s->ended), 6);
}

static void test_many_reads_by_one_thread(void **state) {
  struct shared *s = *state;
  for (int i = 0; i < 10; i++) take(s, READ);
  struct peer p = asleep(use, WRITE);
  for (int i = 0; i < 10; i++) {
    assert_int_equal(load(&s->ended), 0);
    give(s, READ);
  }
  peer_join(&p);
  assert_int_equal(release(s, READ), -EPERM);
}

static void test_try(void **state) {
  struct shared *s = *state;
  struct peer p = keeper(keep, WRITE, &s->stage);
  assert_int_equal(acquire(s, READ, SHOAL_TRY), -EAGAIN);
  assert_int_equal(acquire(s, WRITE, SHOAL_TRY), -EAGAIN);
  let_go(&p, &s->stage);
  p = keeper(keep, READ, &s->stage);
  take(s, READ);
  give(s, READ);
  assert_int_equal(acquire(s, WRITE, SHOAL_TRY), -EAGAIN);
  let_go(&p, &s->stage);
  expect_free(s);
}

static void expect_timeout(struct shared *s, enum kind kind, int64_t ms) {
  int64_t end = shoal_now_ns() + ms * 1000000;
  assert_int_equal(acquire(s, kind, (shoal_deadline){end}), -ETIMEDOUT);
  assert_true(shoal_now_ns() >= end);
}

static void test_deadline(void **state) {
  struct shared *s = *state;
  struct peer p = keeper(keep, WRITE, &s->stage);
  for (int i = 0; i < 3; i++) {
    expect_timeout(s, READ, 10);
    expect_timeout(s, WRITE, 10);
  }
  let_go(&p, &s->stage);
  p = keeper(keep, READ, &s->stage);
  assert_int_equal(acquire(s, READ, shoal_after_ms(10)), 0);
  give(s, READ);
  for (int i = 0; i < 3; i++) expect_timeout(s, WRITE, 10);
  let_go(&p, &s->stage);
}

static void test_a_deadline_that_has_passed(void **state) {
  struct shared *s = *state;
  struct peer p = keeper(keep, WRITE, &s->stage);
  expect_timeout(s, READ, -1000);
  expect_timeout(s, WRITE, -1000);
  let_go(&p, &s->stage);
  for (enum kind kind = READ; kind <= WRITE; kind++) {
    assert_int_equal(acquire(s, kind, (shoal_deadline){shoal_now_ns() - 1000000000}), 0);
    give(s, kind);
  }
}

static void write_in_vain(void *memory, unsigned ms) {
  struct shared *s = memory;
  CHECK(acquire(s, WRITE, shoal_after_ms(ms)) == -ETIMEDOUT);
  shoal_add32_seq_cst(&s->ended, 1);  // [T1]
}
static void test_a_timed_out_writer_wakes_readers(void **state) {
  struct shared *s = *state;
  struct shoal_rwlock_info info;
  take(s, READ);
  struct peer writer = peer_start(&arena, write_in_vain, 100);
  do shoal_rwlock_info(&s->lock, &info);
  while (!info.writer && load(&s->ended) == 0);  // it waits
  struct peer reader[2] = {peer_start(&arena, use, READ), peer_start(&arena, use, READ)};
  peer_join(&writer);
  peer_join(&reader[0]);
  peer_join(&reader[1]);
  give(s, READ);
  expect_free(s);
}

// ---- signals ----
static struct shared *mine;
static int64_t outlast;  // the handler goes on until then
static void handle(int signal) {
  (void)signal;
  while (shoal_now_ns() < outlast) continue;
  mine->handled++;
}
static void wait_interrupted(void *memory, unsigned how) {
  struct sigaction action = {.sa_handler = handle};  // without SA_RESTART
  shoal_deadline deadline = how < 2 ? SHOAL_FOREVER : shoal_after_ms(200);
  mine = memory;
  if (how >= 2) outlast = deadline.ns + 1000000;
  CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
  store(&mine->stage, 1);
  int rc = acquire(mine, how % 2, deadline);
  CHECK(how < 2 ? rc == 0 && release(mine, how % 2) == 0 : rc == -ETIMEDOUT && shoal_now_ns() >= deadline.ns);
}

static void test_a_signal_does_not_end_a_wait(void **state) {
  struct shared *s = *state;
  for (unsigned kind = READ; kind <= WRITE; kind++) {
    take(s, WRITE);
    s->handled = 0;
    struct peer p = asleep(wait_interrupted, kind);
    for (int i = 1; i <= 5; i++) {
      assert_int_equal(kill(p.pid, SIGUSR1), 0);
      while (s->handled < i) sched_yield();
      peer_asleep(&p);
    }
    give(s, WRITE);
    peer_join(&p);
  }
}

static void test_a_deadline_passes_in_a_handler(void **state) {
  struct shared *s = *state;
  for (unsigned kind = READ; kind <= WRITE; kind++) {
    take(s, WRITE);
    store(&s->stage, 0);
    struct peer p = peer_start(&arena, wait_interrupted, 2 + kind);
    await(&s->stage, 1);  // its handler is set
    assert_int_equal(kill(p.pid, SIGUSR1), 0);
    peer_join(&p);
    give(s, WRITE);
  }
}

// ---- misuse ----
static void test_a_second_acquisition_is_refused(void **state) {
  struct shared *s = *state;
  take(s, WRITE);
  for (enum kind kind = READ; kind <= WRITE; kind++) {
    assert_int_equal(acquire(s, kind, SHOAL_FOREVER), -EDEADLK);
    assert_int_equal(acquire(s, kind, shoal_after_ms(10)), -EDEADLK);
  }
  give(s, WRITE);
  take(s, READ);
  assert_int_equal(acquire(s, WRITE, SHOAL_FOREVER), -EDEADLK);
  assert_int_equal(acquire(s, WRITE, shoal_after_ms(10)), -EDEADLK);
  give(s, READ);
  expect_free(s);
}

static void test_released_by_another(void **state) {
  struct shared *s = *state;
  for (enum kind kind = READ; kind <= WRITE; kind++) {
    assert_int_equal(release(s, kind), -EPERM);
    struct peer p = keeper(keep, kind, &s->stage);
    assert_int_equal(release(s, READ), -EPERM);
    assert_int_equal(release(s, WRITE), -EPERM);
    let_go(&p, &s->stage);
  }
  memset(&s->lock, 0, shoal_rwlock_size(SEATS));
  assert_int_equal(release(s, READ), -EPERM);
  assert_int_equal(release(s, WRITE), -EPERM);
}

static void test_between_processes(void **state) {
  struct shared *s = *state;
  for (unsigned kinds = 1; kinds < 4; kinds++) {  // all but two readers
    enum kind here = kinds / 2, there = kinds % 2;
    take(s, here);
    struct peer p = asleep(use, there);
    give(s, here);
    peer_join(&p);
  }
}

// ---- many ----
#define ROUNDS 3000
static void acquire_somehow(struct shared *s, enum kind kind, unsigned k) {
  if (k % 3 == 0 && acquire(s, kind, SHOAL_TRY) == 0) return;
  CHECK(acquire(s, kind, SHOAL_FOREVER) == 0);
}
static void at_random(void *memory, unsigned i) {
  struct shared *s = memory;
  for (unsigned k = 0, random = i * 2654435761u + 1; k < ROUNDS; k++) {
    random = random * 1664525u + 1013904223u;
    enum kind kind = random >> 30 ? READ : WRITE;
    acquire_somehow(s, kind, random >> 8);
    if (kind == WRITE) s->number++;
    CHECK(release(s, kind) == 0);
    if (kind == WRITE) shoal_add32_seq_cst(&s->ended, 1);  // [T1]
  }
}
static void test_no_wake_is_lost_beside_tries(void **state) {
  struct shared *s = *state;
  run(&arena, THREADS, 12, at_random);
  run(&arena, PROCESSES, 12, at_random);
  assert_int_equal(s->number, load(&s->ended));
  expect_free(s);
}

static void only_read(void *memory, unsigned i) {
  struct shared *s = memory;
  (void)i;
  for (unsigned k = 0; k < ROUNDS; k++) {
    CHECK(acquire(s, READ, SHOAL_FOREVER) == 0);
    if (k % 256 == 0) sched_yield();
    CHECK(release(s, READ) == 0);
  }
}
static void test_many_readers_at_once(void **state) {
  run(&arena, THREADS, 15, only_read);
  run(&arena, PROCESSES, 15, only_read);
  expect_free(*state);
}

#define TEST(x) cmocka_unit_test_setup_teardown(test_##x, setup, arena_end)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(initialized_is_free),
      TEST(used_any_number_of_times),
      TEST(held_is_not_destroyed),
      TEST(readers_share),
      TEST(a_writer_waits_for_readers_and_writers),
      TEST(a_waiting_writer_keeps_new_readers_out),
      TEST(all_that_wait_are_served),
      TEST(many_reads_by_one_thread),
      TEST(try),
      TEST(deadline),
      TEST(a_deadline_that_has_passed),
      TEST(a_timed_out_writer_wakes_readers),
      TEST(a_signal_does_not_end_a_wait),
      TEST(a_deadline_passes_in_a_handler),
      TEST(a_second_acquisition_is_refused),
      TEST(released_by_another),
      TEST(between_processes),
      TEST(no_wake_is_lost_beside_tries),
      TEST(many_readers_at_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
