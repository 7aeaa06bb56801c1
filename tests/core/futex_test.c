// What core/futex.h claims: a sleeper wakes by a wake-up on any of its words, by a changed value at once, or at its
// deadline; words are compared in order; futexes are shared between processes that map them at different addresses;
// clear_and_wake lets nobody fall asleep between.
#include "core/futex.h"
#include "tests/core/support.h"
#include "tests/harness/refuse.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

struct words {
  shoal_atomic32 ready, word[SHOAL_FUTEX_MANY], rounds, stop, ended;
};

static void test_changed_value_and_deadline(void **state) {
  (void)state;
  shoal_atomic32 word = {5};
  struct shoal_futex_entry entries[2] = {{&word, 5}, {&word, 6}};
  assert_int_equal(shoal_futex_wait(&word, 4, SHOAL_FOREVER), -EAGAIN);
  assert_int_equal(shoal_futex_wait(&word, 5, shoal_after_ms(2)), -ETIMEDOUT);
  assert_int_equal(shoal_futex_wait(&word, 5, SHOAL_TRY), -ETIMEDOUT);
  assert_int_equal(shoal_futex_wait_many(entries, 2, 0, SHOAL_FOREVER), -EAGAIN);
  assert_int_equal(shoal_futex_wait_many(entries, 1, 0, shoal_after_ms(2)), -ETIMEDOUT);
  assert_int_equal(shoal_futex_wait_many(entries, 0, 0, SHOAL_FOREVER), -EINVAL);
  assert_int_equal(shoal_futex_wait_many(entries, SHOAL_FUTEX_MANY + 1, 0, SHOAL_FOREVER), -EINVAL);
  assert_int_equal(shoal_futex_wait_many(entries, 2, 2, SHOAL_FOREVER), -EINVAL);
  assert_int_equal(shoal_futex_wake(&word, 1), 0);
}

static int waiters_of(shoal_atomic32 *word, pid_t pid) {  // wakes until it has woken one: then there was one
  while (shoal_futex_wake(word, 1) == 0) {
    if (waitpid(pid, NULL, WNOHANG)) return 0;
    sched_yield();
  }
  return 1;
}

static void test_any_word_wakes_across_processes(void **state) {
  (void)state;
  if (!shoal_futex_has_waitv()) skip();
  int fd = memfd_create("words", MFD_CLOEXEC);
  assert_int_equal(ftruncate(fd, 4096), 0);
  struct words *w = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  for (unsigned n = 1; n <= SHOAL_FUTEX_MANY; n = n < 3 ? n + 1 : n * 2 - 1) {
    for (unsigned which = 0; which < n; which += n / 3 + 1) {
      pid_t pid = fork_child();
      if (pid == 0) {
        struct words *mine = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        MUST(mine != w);
        struct shoal_futex_entry entries[SHOAL_FUTEX_MANY];
        for (unsigned i = 0; i < n; i++) entries[i] = (struct shoal_futex_entry){&mine->word[i], 0};
        int rc = n == 1 ? shoal_futex_wait(&mine->word[0], 0, SHOAL_FOREVER)
                        : shoal_futex_wait_many(entries, n, 0, SHOAL_FOREVER);
        MUST(rc == (int)which);
        _exit(0);
      }
      assert_true(waiters_of(&w->word[which], pid));
      assert_exits(pid, 0);
    }
  }
  munmap(w, 4096);
  close(fd);
}

static void *sleep_while_set(void *arg) {
  struct words *w = arg;
  while (!shoal_load32_relaxed(&w->stop)) {
    uint32_t now = shoal_load32_relaxed(&w->word[0]);
    if (!(now & 1u << 31)) shoal_or32_seq_cst(&w->word[0], 1u << 31);
    else if (shoal_futex_wait(&w->word[0], now, SHOAL_FOREVER) == 0) shoal_add32_relaxed(&w->rounds, 1);
  }
  shoal_add32_relaxed(&w->ended, 1);
  return NULL;
}
static void test_clear_and_wake(void **state) {
  (void)state;
  struct words w = {.word = {{7}}};
  pthread_t threads[2];
  for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, sleep_while_set, &w);
  for (uint32_t n = 1; n < 500; n++) {
    shoal_futex_clear_and_wake(&w.word[0], 31);
    assert_int_equal(shoal_load32_relaxed(&w.word[0]) & ~(1u << 31), 7);  // that bit, and no other
    while (shoal_load32_relaxed(&w.rounds) < n / 50) {
      shoal_futex_clear_and_wake(&w.word[0], 31);
      sched_yield();
    }
  }
  shoal_store32_relaxed(&w.stop, 1);
  // Again until both have seen it: one may have looked before, and the other have set the bit again since.
  while (shoal_load32_relaxed(&w.ended) < 2) {
    shoal_futex_clear_and_wake(&w.word[0], 31);
    sched_yield();
  }
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
}

static void test_fence_all(void **state) {
  (void)state;
  int rc = shoal_fence_all_register();
  assert_true(rc == 0 || rc == -ENOSYS);
  assert_int_equal(shoal_fence_all(), rc);
}

// By a filter, with EPERM where systemd's does it: who waits for several words is woken still, by the first of them at
// once, by the others when it looks. Before this process asks: children inherit what it knows.
static void test_waitv_refused(void **state) {
  (void)state;
  static const int errors[] = {EPERM, EACCES, ENOSYS};
  shoal_atomic32 *words = shared_memory(4096);
  struct shoal_futex_entry entries[3] = {{&words[0], 0}, {&words[1], 0}, {&words[2], 0}};
  for (unsigned i = 0; i < sizeof errors / sizeof *errors; i++) {
    pid_t pid = fork_child();
    if (pid == 0) {
      refuse_call(SYS_futex_waitv, (unsigned)errors[i]);
      MUST(!shoal_futex_has_waitv());
      MUST(shoal_futex_wait_many(entries, 3, 1, SHOAL_FOREVER) == 1);
      MUST(shoal_futex_wait_many(entries, 3, 1, SHOAL_FOREVER) == -EAGAIN);
      int64_t begun = shoal_now_ns();
      MUST(shoal_futex_wait_many(entries, 2, 1, shoal_after_ms(30)) == -ETIMEDOUT);
      MUST(shoal_now_ns() - begun >= 30000000);
      _exit(0);
    }
    assert_true(waiters_of(&words[1], pid));
    while (shoal_futex_sleepers(&words[1]) == 0) sched_yield();
    shoal_store32_relaxed(&words[2], 1);
    assert_exits(pid, 0);
    shoal_store32_relaxed(&words[2], 0);
  }
}

int main(void) {
  alarm(WATCHDOG_S);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_waitv_refused),
      cmocka_unit_test(test_changed_value_and_deadline),
      cmocka_unit_test(test_any_word_wakes_across_processes),
      cmocka_unit_test(test_clear_and_wake),
      cmocka_unit_test(test_fence_all),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
