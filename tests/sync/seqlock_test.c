// Claims of sync/seqlock:
//   1 a reader has a whole value, and never an older one than before: of any size, among threads and processes
//   2 a reader stores nothing: a read-only mapping will do, and so will a signal handler that strikes a writer
//   3 a reader is not held up by a writer that has stopped or died; the next writer begins from what was published
//   4 in place: begin shows the current value; commit publishes it, cancel and death do not
//   5 writers take turns: try, deadline and for ever answer as promised
//   6 misuse is refused and changes nothing: by others, twice, with another size, on what is no seqlock
//   7 a child of fork has begun nothing
//   8 words that no thread wrote: an answer, whatever it is, no crash and no loop without an end
//   9 by name: what one process makes another opens, as the same type of value; who has begun does not close it
#include "sync/seqlock.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/harness/stage.h"

#define BYTES_MAX 1000

struct shared {
  shoal_atomic32 stage;
  uint32_t writers;
  uint64_t bytes;
  struct shoal_seqlock lock;
};

static struct shared *fresh(uint64_t bytes) {
  struct shared *s = arena_begin(sizeof *s + shoal_seqlock_size(bytes));
  s->bytes = bytes;
  memset(&s->lock, 0xaa, shoal_seqlock_size(bytes));
  assert_int_equal(shoal_seqlock_init(&s->lock, bytes, NULL), 0);
  return s;
}

struct pair {
  uint64_t a, b;
};
SHOAL_SEQLOCK_TYPED(pair, struct pair)

static int setup(void **state) {
  *state = fresh(sizeof(struct pair));
  return 0;
}
static void expect(struct shared *s, uint64_t a, uint64_t b) {
  struct pair p;
  assert_int_equal(pair_load(&s->lock, &p), 0);
  assert_int_equal(p.a, a);
  assert_int_equal(p.b, b);
}

static uint32_t stage_of(struct shared *s) { return shoal_load32_acquire(&s->stage); }  // [T2] pairs with [T1]

// ---- 1 ----
// A value of number n: its first word is n, each byte behind it is known from n and its place.
static uint8_t byte_of(uint64_t n, uint64_t i) { return (uint8_t)(n * 31 + i * 7); }
static void fill(uint8_t *value, uint64_t bytes, uint64_t n) {
  memcpy(value, &n, 8);
  for (uint64_t i = 8; i < bytes; i++) value[i] = byte_of(n, i);
}
static uint64_t number_of(const uint8_t *value, uint64_t bytes) {
  uint64_t n;
  memcpy(&n, value, 8);
  for (uint64_t i = 8; i < bytes; i++) CHECK(value[i] == (n ? byte_of(n, i) : 0));
  return n;
}

#define ROUNDS 2000u
static void read_until_written(struct shared *s) {
  uint8_t value[BYTES_MAX];
  uint64_t last = 0, number;
  uint32_t done;
  do {
    done = stage_of(s);
    CHECK(shoal_seqlock_load(&s->lock, value, s->bytes) == 0);
    number = number_of(value, s->bytes);
    CHECK(number >= last);
    last = number;
  } while (done < s->writers);
  CHECK(number == ROUNDS * s->writers);
}
static void change(struct shared *s) {
  void *draft;
  CHECK(shoal_seqlock_begin(&s->lock, s->bytes, &draft, SHOAL_FOREVER) == 0);
  fill(draft, s->bytes, number_of(draft, s->bytes) + 1);
  CHECK(shoal_seqlock_commit(&s->lock, s->bytes) == 0);
}
static void store(struct shared *s, uint64_t number) {
  uint8_t value[BYTES_MAX];
  fill(value, s->bytes, number);
  CHECK(shoal_seqlock_store(&s->lock, value, s->bytes, SHOAL_FOREVER) == 0);
}
// 0 and 1 read; the others write, alone by storing, or together in place.
static void read_or_write(void *memory, unsigned i) {
  struct shared *s = memory;
  if (i < 2) {
    read_until_written(s);
    return;
  }
  for (unsigned k = 1; k <= ROUNDS; k++) {
    if (s->writers == 1) store(s, k);
    else change(s);
  }
  shoal_add32_seq_cst(&s->stage, 1);  // [T1]
}

static void test_whole_values_in_order(void **state) {
  static const uint64_t sizes[] = {8, 9, 24, 25, 64, 100, BYTES_MAX};
  (void)state;
  for (unsigned k = 0; k < 4 * sizeof sizes / sizeof *sizes; k++) {
    struct shared *s = fresh(sizes[k / 4]);
    s->writers = 1 + k % 2;
    run(&arena, k % 4 < 2 ? THREADS : PROCESSES, 2 + s->writers, read_or_write);
    assert_int_equal(shoal_seqlock_version(&s->lock), 1 + ROUNDS * s->writers);
    arena_free(&arena);
  }
}

// ---- 2 ----
static void test_read_only_mapping(void **state) {
  struct shared *s = *state;
  struct shoal_seqlock_info info;
  const struct shared *seen = mmap(NULL, arena.size, PROT_READ, MAP_SHARED, arena.fd, 0);
  struct pair p = {1, 2};
  assert_true(seen != MAP_FAILED);
  assert_int_equal(pair_store(&s->lock, &p, SHOAL_TRY), 0);
  assert_int_equal(pair_load(&seen->lock, &p), 0);
  assert_int_equal(p.b, 2);
  assert_int_equal(shoal_seqlock_version(&seen->lock), 2);
  assert_int_equal(shoal_seqlock_info(&seen->lock, &info), 0);
  assert_int_equal(info.size, sizeof p);
  assert_int_equal(shoal_seqlock_check_(&seen->lock, pair_size()), 0);
  munmap((void *)(uintptr_t)seen, arena.size);
}

static struct shared *struck;
static volatile sig_atomic_t strikes;
static void strike(int signal) {
  struct pair p;
  (void)signal;
  CHECK(pair_load(&struck->lock, &p) == 0 && p.a == p.b);
  strikes++;
}
static void test_a_signal_handler_reads_what_its_thread_writes(void **state) {
  struct shared *s = struck = *state;
  struct sigaction action = {.sa_handler = strike}, before;
  timer_t timer;
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
  struct itimerspec often = {{0, 20000}, {0, 20000}};
  strikes = 0;
  assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
  assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
  assert_int_equal(timer_settime(timer, 0, &often, NULL), 0);
  for (struct pair p = {1, 1}; strikes < 1000; p.a++, p.b++)
    assert_int_equal(pair_store(&s->lock, &p, SHOAL_FOREVER), 0);
  assert_int_equal(timer_delete(timer), 0);
  assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
}

// ---- 3, 4 ----
// Begins, changes half, says so, and keeps it until stage 2.
static void keep(void *memory, unsigned i) {
  struct shared *s = memory;
  struct pair *draft;
  (void)i;
  CHECK(pair_begin(&s->lock, &draft, SHOAL_FOREVER) == 0);
  draft->a = 9;
  stage_keep(&s->stage);
  draft->b = 9;
  CHECK(pair_commit(&s->lock) == 0);
}
static struct pair *begun(struct shared *s) {
  struct pair *draft = NULL;
  assert_int_equal(pair_begin(&s->lock, &draft, SHOAL_TRY), 0);
  return draft;
}
static void expect_begun(struct shared *s, uint64_t a, uint64_t b) {
  struct pair *draft = begun(s);
  assert_int_equal(draft->a, a);
  assert_int_equal(draft->b, b);
}

static void test_a_writer_that_has_stopped(void **state) {
  struct shared *s = *state;
  struct peer p = keeper(keep, 0, &s->stage);
  kill(p.pid, SIGSTOP);
  expect(s, 0, 0);
  kill(p.pid, SIGCONT);
  let_go(&p, &s->stage);
  expect(s, 9, 9);
}

static void test_a_dead_writer(void **state) {
  struct shared *s = *state;
  struct shoal_seqlock_info info;
  struct peer p = keeper(keep, 0, &s->stage);
  peer_kill(&p);
  expect(s, 0, 0);
  shoal_seqlock_info(&s->lock, &info);
  assert_true(info.dead);
  expect_begun(s, 0, 0);
  assert_int_equal(shoal_seqlock_cancel(&s->lock), 0);
}

static void test_in_place(void **state) {
  struct shared *s = *state;
  struct pair *draft = begun(s);
  draft->a = 1;
  expect(s, 0, 0);
  assert_int_equal(pair_commit(&s->lock), 0);
  expect(s, 1, 0);
  draft = begun(s);
  assert_int_equal(draft->a, 1);
  draft->a = 7;
  assert_int_equal(shoal_seqlock_cancel(&s->lock), 0);
  expect(s, 1, 0);
  expect_begun(s, 1, 0);
  assert_int_equal(pair_commit(&s->lock), 0);
  assert_int_equal(pair_store(&s->lock, &(struct pair){5, 6}, SHOAL_TRY), 0);
  expect_begun(s, 5, 6);
  assert_int_equal(shoal_seqlock_cancel(&s->lock), 0);
  assert_int_equal(shoal_seqlock_version(&s->lock), 4);
}

// ---- 5 ----
static void test_forms_of_waiting(void **state) {
  struct shared *s = *state;
  struct pair value = {3, 3}, *draft;
  struct peer p = keeper(keep, 0, &s->stage);
  assert_int_equal(pair_store(&s->lock, &value, SHOAL_TRY), -EAGAIN);
  assert_int_equal(pair_begin(&s->lock, &draft, SHOAL_TRY), -EAGAIN);
  int64_t before = shoal_now_ns();
  assert_int_equal(pair_store(&s->lock, &value, shoal_after_ms(20)), -ETIMEDOUT);
  assert_true(shoal_now_ns() - before >= 20000000);
  assert_int_equal(shoal_seqlock_destroy(&s->lock), -EBUSY);
  say(&s->stage, 2);
  assert_int_equal(pair_store(&s->lock, &value, SHOAL_FOREVER), 0);
  peer_join(&p);
  expect(s, 3, 3);
}

// ---- 6 ----
static void test_misuse(void **state) {
  struct shared *s = *state;
  struct pair value = {3, 3}, *draft;
  uint64_t word;
  void *at;
  assert_int_equal(pair_commit(&s->lock), -EPERM);
  assert_int_equal(shoal_seqlock_cancel(&s->lock), -EPERM);
  assert_int_equal(shoal_seqlock_load(&s->lock, &word, sizeof word), -EBADMSG);
  assert_int_equal(shoal_seqlock_store(&s->lock, &word, sizeof word, SHOAL_TRY), -EBADMSG);
  assert_int_equal(shoal_seqlock_begin(&s->lock, sizeof word, &at, SHOAL_TRY), -EBADMSG);
  struct peer p = keeper(keep, 0, &s->stage);
  assert_int_equal(pair_commit(&s->lock), -EPERM);
  assert_int_equal(shoal_seqlock_cancel(&s->lock), -EPERM);
  peer_kill(&p);
  draft = begun(s);
  assert_int_equal(pair_begin(&s->lock, &draft, SHOAL_FOREVER), -EDEADLK);
  assert_int_equal(pair_store(&s->lock, &value, SHOAL_FOREVER), -EDEADLK);
  assert_int_equal(shoal_seqlock_commit(&s->lock, sizeof word), -EBADMSG);
  assert_int_equal(shoal_seqlock_destroy(&s->lock), -EBUSY);
  assert_int_equal(pair_commit(&s->lock), 0);
  assert_int_equal(pair_commit(&s->lock), -EPERM);
  expect(s, 0, 0);
}

static void expect_refused(struct shared *s) {
  struct pair value, *draft;
  assert_int_equal(pair_load(&s->lock, &value), -EINVAL);
  assert_int_equal(pair_store(&s->lock, &value, SHOAL_FOREVER), -EINVAL);
  assert_int_equal(pair_begin(&s->lock, &draft, SHOAL_FOREVER), -EINVAL);
  assert_int_equal(shoal_seqlock_destroy(&s->lock), -EINVAL);
  assert_int_equal(shoal_seqlock_check_(&s->lock, pair_size()), -EPROTO);
}
static void test_what_is_no_seqlock(void **state) {
  struct shared *s = *state;
  assert_int_equal(shoal_seqlock_check_(&s->lock, pair_size() - 1), -EPROTO);
  assert_int_equal(shoal_seqlock_destroy(&s->lock), 0);
  expect_refused(s);
  memset(&s->lock, 0, sizeof s->lock);
  expect_refused(s);
  assert_int_equal(shoal_seqlock_size(0), 0);
  assert_int_equal(shoal_seqlock_size(SHOAL_SEQLOCK_MAX + 1), 0);
  assert_int_equal(shoal_seqlock_init(&s->lock, 0, NULL), -EINVAL);
}

// ---- 7 ----
static void test_a_child_has_begun_nothing(void **state) {
  struct shared *s = *state;
  int status;
  begun(s);
  pid_t child = fork();
  if (child == 0) _exit(pair_commit(&s->lock) != -EPERM || shoal_seqlock_cancel(&s->lock) != -EPERM);
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  assert_int_equal(pair_commit(&s->lock), 0);
}

// ---- 8 ----
static void test_any_words(void **state) {
  static const uint64_t words[] = {0, 1, 2, 7, FUTEX_WAITERS, FUTEX_OWNER_DIED, UINT32_MAX, UINT64_MAX - 1, UINT64_MAX};
  enum { N = sizeof words / sizeof *words };
  struct shared *s = *state;
  struct shoal_seqlock_info info;
  struct pair p, *draft;
  for (unsigned k = 0; k < N * N * N; k++) {
    assert_int_equal(pair_init(&s->lock, NULL), 0);
    shoal_store32_relaxed(&s->lock.writer.word, (uint32_t)words[k % N]);
    shoal_store64_relaxed(&s->lock.sequence, words[k / N % N]);
    s->lock.draft = words[k / N / N];
    assert_int_equal(pair_load(&s->lock, &p), 0);
    if (pair_begin(&s->lock, &draft, shoal_after_us(100)) == 0) assert_int_equal(pair_commit(&s->lock), 0);
    p = (struct pair){k, k};
    if (pair_store(&s->lock, &p, shoal_after_us(100)) == 0) expect(s, k, k);
    shoal_seqlock_info(&s->lock, &info);
    (void)shoal_seqlock_destroy(&s->lock);
  }
}

// ---- 9 ----
struct other_pair {
  uint64_t a, b, c;
};
SHOAL_SEQLOCK_TYPED(other_pair, struct other_pair)

static void expect_no_other_type(struct shoal_segment *seg) {
  struct shoal_seqlock *s = NULL;
  assert_int_equal(other_pair_open(seg, "p", &s), -EBADMSG);
  assert_int_equal(other_pair_open_or_create(seg, "p", NULL, &s), -EBADMSG);
  assert_null(s);
}
static void test_by_name(void **state) {
  struct shoal_segment *seg, *other;
  struct shoal_seqlock *made, *opened;
  struct pair p = {1, 2}, *draft;
  (void)state;
  assert_int_equal(shoal_segment_create(NULL, NULL, &seg), 0);
  assert_int_equal(shoal_segment_open_fd(shoal_segment_fd(seg), &other), 0);
  assert_int_equal(pair_open(seg, "p", &opened), -ENOENT);
  assert_int_equal(shoal_seqlock_create(seg, "p", 0, NULL, &made), -EINVAL);
  assert_int_equal(pair_create(seg, "p", &p, &made), 0);
  expect_no_other_type(other);
  assert_int_equal(pair_open_or_create(other, "p", NULL, &opened), 0);
  assert_int_equal(pair_load(opened, &p), 0);
  assert_int_equal(p.b, 2);
  assert_int_equal(pair_begin(made, &draft, SHOAL_TRY), 0);
  assert_int_equal(shoal_seqlock_close(seg, made), -EBUSY);
  assert_int_equal(shoal_seqlock_cancel(made), 0);
  assert_int_equal(shoal_seqlock_close(other, opened), 0);
  assert_int_equal(shoal_seqlock_close(seg, made), 0);
  assert_int_equal(shoal_seqlock_unlink(seg, "p"), 0);
  assert_int_equal(shoal_segment_close(other), 0);
  assert_int_equal(shoal_segment_close(seg), 0);
}

#define TEST(x) cmocka_unit_test_setup_teardown(test_##x, setup, arena_end)

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_whole_values_in_order),
      TEST(read_only_mapping),
      TEST(a_signal_handler_reads_what_its_thread_writes),
      TEST(a_writer_that_has_stopped),
      TEST(a_dead_writer),
      TEST(in_place),
      TEST(forms_of_waiting),
      TEST(misuse),
      TEST(what_is_no_seqlock),
      TEST(a_child_has_begun_nothing),
      TEST(any_words),
      TEST(by_name),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
