// What core/robust.h claims:
// - its words live in one list with the C library's robust mutexes, in any order of locking
// - whatever its owner dies of, the kernel marks a word, and the next taker has it with -EOWNERDEAD
// - owners and sleepers may be killed at any time; no survivor sleeps for ever
// - a child of fork or of a raw clone owns nothing of its parent's, and its own words are robust
// - a liveness word is one thread's, and its end wakes who sleeps on it
// - a signal handler that gives back what it takes may come between any two instructions: the list stays whole
#include "core/robust.h"
#include "core/futex.h"
#include "tests/core/support.h"

// Any order of locking is the point here.
const char *__tsan_default_options(void) { return "detect_deadlocks=0"; }

#define WORDS 8
struct shared {
  struct shoal_robust word[WORDS];
  pthread_mutex_t mutex[WORDS];
  shoal_atomic32 ready, got, dead, stop;
  shoal_atomic64 count, inside;
  struct shoal_robust many[3000];
};
static struct shared *s;

static int setup(void **state) {
  (void)state;
  pthread_mutexattr_t a;
  s = shared_memory(sizeof *s);
  pthread_mutexattr_init(&a);
  pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
  for (int i = 0; i < WORDS; i++) pthread_mutex_init(&s->mutex[i], &a);
  return shoal_robust_check();
}
static int teardown(void **state) {
  (void)state;
  return munmap(s, sizeof *s);
}

static int list_length(void) {
  struct shoal_robust_head_ *head = shoal_self_()->head;
  int n = 0;
  for (void *e = head->next; e != (void *)head; e = *(void **)((uintptr_t)e & ~(uintptr_t)1)) n++;
  return n;
}
// Either kind: 0..7 ours, 8..15 the C library's. 0 or EOWNERDEAD.
static int lock_any(int i) {
  if (i < WORDS) {
    int rc = shoal_robust_acquire_(&s->word[i], SHOAL_FOREVER);
    return -rc;
  }
  int rc = pthread_mutex_lock(&s->mutex[i - WORDS]);
  if (rc == EOWNERDEAD) pthread_mutex_consistent(&s->mutex[i - WORDS]);
  return rc;
}
static void unlock_any(int i) {
  if (i < WORDS) shoal_robust_release_(&s->word[i]);
  else pthread_mutex_unlock(&s->mutex[i - WORDS]);
}

static void test_interleaved_with_robust_mutexes(void **state) {
  (void)state;
  int held[2 * WORDS] = {0}, n = 0;
  uint32_t seed = 1;
  for (int it = 0; it < 500000; it++) {
    int i = (int)(random_next(&seed) % (2 * WORDS));
    if (held[i]) unlock_any(i);
    else assert_int_equal(lock_any(i), 0);
    held[i] = !held[i];
    n += held[i] ? 1 : -1;
    if (it % 64 == 0) assert_int_equal(list_length(), n);
  }
  for (int i = 0; i < 2 * WORDS; i++)
    if (held[i]) unlock_any(i);
  assert_int_equal(list_length(), 0);
  assert_null(shoal_self_()->head->pending);
}

static void test_killed_with_any_mixture(void **state) {
  (void)state;
  uint32_t seed = 2;
  for (int rep = 0; rep < 200; rep++) {
    uint32_t keep = random_next(&seed) & 0xffff;
    shoal_store32_relaxed(&s->ready, 0);
    pid_t pid = fork_child();
    if (pid == 0) {
      int order[2 * WORDS];
      for (int i = 0; i < 2 * WORDS; i++) order[i] = i;
      for (int i = 2 * WORDS - 1; i; i--) {
        int j = (int)(random_next(&seed) % (uint32_t)(i + 1)), t = order[i];
        order[i] = order[j];
        order[j] = t;
      }
      for (int i = 0; i < 2 * WORDS; i++) lock_any(order[i]);
      for (int i = 0; i < 2 * WORDS; i++)
        if (!(keep >> i & 1)) unlock_any(i);
      signal_to(&s->ready);
      for (;;) pause();
    }
    await(&s->ready, 1);
    kill_and_wait(pid);
    for (int i = 0; i < 2 * WORDS; i++) {
      assert_int_equal(lock_any(i), keep >> i & 1 ? EOWNERDEAD : 0);
      unlock_any(i);
    }
  }
}

static void *exit_holding(void *arg) {
  MUST(shoal_robust_acquire_(arg, SHOAL_TRY) == 0);
  return NULL;
}
static void test_thread_exits_holding(void **state) {
  (void)state;
  pthread_t thread;
  pthread_create(&thread, NULL, exit_holding, &s->word[0]);
  pthread_join(thread, NULL);
  assert_int_equal(shoal_robust_acquire_(&s->word[0], SHOAL_TRY), -EOWNERDEAD);
  shoal_robust_release_(&s->word[0]);
  assert_int_equal(shoal_robust_acquire_(&s->word[0], SHOAL_TRY), 0);
  shoal_robust_release_(&s->word[0]);
}

static void test_exec_holding(void **state) {
  (void)state;
  shoal_store32_relaxed(&s->ready, 0);
  pid_t pid = fork_child();
  if (pid == 0) {
    MUST(shoal_robust_acquire_(&s->word[1], SHOAL_TRY) == 0);
    signal_to(&s->ready);
    execl("/bin/sleep", "sleep", "1000", NULL);
    _exit(97);
  }
  await(&s->ready, 1);
  assert_int_equal(shoal_robust_acquire_(&s->word[1], SHOAL_FOREVER), -EOWNERDEAD);
  shoal_robust_release_(&s->word[1]);
  kill_and_wait(pid);
}

static void test_children_own_nothing(void **state) {
  (void)state;
  assert_ok(shoal_robust_acquire_(&s->word[2], SHOAL_TRY));
  for (int raw = 0; raw < 2; raw++) {
    shoal_store32_relaxed(&s->ready, 0);
    pid_t pid = raw ? clone_child() : fork_child();
    if (pid == 0) {
      MUST(shoal_self_()->tid == (uint32_t)syscall(SYS_gettid));
      MUST(list_length() == 0);
      MUST(shoal_robust_acquire_(&s->word[2], SHOAL_TRY) == -EAGAIN);
      MUST(shoal_robust_acquire_(&s->word[3], SHOAL_TRY) == 0);
      signal_to(&s->ready);
      for (;;) pause();
    }
    await(&s->ready, 1);
    assert_int_equal(shoal_robust_acquire_(&s->word[3], SHOAL_TRY), -EAGAIN);
    kill_and_wait(pid);
    assert_int_equal(shoal_robust_acquire_(&s->word[3], SHOAL_TRY), -EOWNERDEAD);
    shoal_robust_release_(&s->word[3]);
    assert_int_equal(shoal_robust_acquire_(&s->word[2], SHOAL_FOREVER), -EDEADLK);
  }
  shoal_robust_release_(&s->word[2]);
  assert_int_equal(list_length(), 0);
}

static void *first_look(void *arg) {
  (void)arg;
  MUST(shoal_self_()->tid == (uint32_t)syscall(SYS_gettid));
  MUST(shoal_robust_acquire_(&s->word[4], SHOAL_TRY) == 0);
  shoal_robust_release_(&s->word[4]);
  return NULL;
}
static void test_first_look_in_a_new_thread_of_a_child(void **state) {
  (void)state;
  pid_t pid = fork_child();
  if (pid == 0) {
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, first_look, NULL) == 0 && pthread_join(thread, NULL) == 0);
    _exit(0);
  }
  assert_exits(pid, 0);
}

static void test_epochs_differ_along_a_line_of_descent(void **state) {
  (void)state;
  uint32_t *epochs = shared_memory(4096);
  epochs[0] = shoal_self_()->epoch;
  pid_t pid = fork_child();
  for (int depth = 1; pid == 0; depth++) {
    if (depth % 2) epochs[depth] = shoal_self_()->epoch;  // every other generation never looks
    if (depth == 6) _exit(0);
    pid = fork_child();
    if (pid) {
      int st;
      MUST(waitpid(pid, &st, 0) == pid);
      _exit(WEXITSTATUS(st));
    }
  }
  assert_exits(pid, 0);
  for (int i = 1; i < 6; i += 2)
    for (int j = 0; j < i; j++) assert_int_not_equal(epochs[i], epochs[j]);
}

// ---- in a signal handler ----

#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
// The processor's trap flag: SIGTRAP after each instruction; the kernel clears it for the handler. 128: the red zone.
#define TRAP(change) \
  __asm__ volatile("lea -128(%%rsp), %%rsp; pushfq; " change "; popfq; lea 128(%%rsp), %%rsp" ::: "memory", "cc")

static long traps, trap_at;
static void on_trap(int number) {
  (void)number;
  if (traps++ != trap_at) return;
  MUST(shoal_robust_acquire_(&s->word[0], SHOAL_TRY) == 0);
  MUST(shoal_live_take_(&s->many[1]) == 0);
  shoal_live_drop_(&s->many[1]);
  shoal_robust_release_(&s->word[0]);
}

// Whether each entry but the first names the one before it; how many there are.
static int list_is_whole(int *n) {
  char *before = (char *)shoal_self_()->head, *head = before;
  *n = 0;
  for (char *e = *(char **)head; e != head; before = e, e = *(char **)e, ++*n)
    if (before != head && *(char **)(e - 8) != before) return 0;
  return 1;
}

static void take_and_release(void) {
  MUST(shoal_robust_acquire_(&s->word[1], SHOAL_TRY) == 0);
  shoal_robust_release_(&s->word[2]);  // from the end of the list
  MUST(shoal_robust_acquire_(&s->word[2], SHOAL_TRY) == 0);
  MUST(shoal_robust_acquire_(&s->word[3], SHOAL_TRY) == 0);
  shoal_robust_release_(&s->word[2]);  // from its middle
  shoal_robust_release_(&s->word[3]);  // from its beginning
}

static void test_interrupted_at_each_instruction(void **state) {
  (void)state;
  struct sigaction old, action = {.sa_handler = on_trap};
  int n;
  sigaction(SIGTRAP, &action, &old);
  for (trap_at = traps = 0; trap_at <= traps; trap_at++) {
    assert_ok(shoal_robust_acquire_(&s->word[2], SHOAL_TRY));
    traps = 0;
    TRAP("orq $0x100, (%%rsp)");
    take_and_release();
    TRAP("andq $~0x100, (%%rsp)");
    if (!list_is_whole(&n) || n != 1) fail_msg("interrupted at %ld of %ld: %d entries", trap_at, traps, n);
    shoal_robust_release_(&s->word[1]);
    assert_int_equal(list_length(), 0);
  }
  assert_true(traps > 100);
  sigaction(SIGTRAP, &old, NULL);
}
#else
static void test_interrupted_at_each_instruction(void **state) {
  (void)state;
  skip();
}
#endif

// ---- sleepers ----

static void test_deadlines(void **state) {
  (void)state;
  assert_ok(shoal_robust_acquire_(&s->word[5], SHOAL_TRY));
  pid_t pid = fork_child();
  if (pid == 0) {
    MUST(shoal_robust_acquire_(&s->word[5], SHOAL_TRY) == -EAGAIN);
    MUST(shoal_robust_acquire_(&s->word[5], shoal_after_ms(20)) == -ETIMEDOUT);
    MUST(shoal_robust_acquire_(&s->word[5], shoal_after_ms(-1)) == -ETIMEDOUT);
    MUST(list_length() == 0);
    _exit(0);
  }
  assert_exits(pid, 0);
  shoal_robust_release_(&s->word[5]);
  assert_int_equal(shoal_load32_relaxed(&s->word[5].word), 0);
}

static void hold_a_little(int die) {
  int rc = shoal_robust_acquire_(&s->word[6], SHOAL_FOREVER);
  MUST(rc == 0 || rc == -EOWNERDEAD);
  if (rc) shoal_add32_relaxed(&s->dead, 1);
  MUST(shoal_add64_relaxed(&s->inside, 1) == 0);
  shoal_add32_relaxed(&s->got, 1);
  shoal_store64_relaxed(&s->inside, 0);
  if (die) raise(SIGKILL);
  shoal_robust_release_(&s->word[6]);
}

// An owner is killed with four asleep, two of which are killed as owners in their turn.
static void test_owner_killed_with_sleepers(void **state) {
  (void)state;
  for (int rep = 0; rep < 60; rep++) {
    shoal_store32_relaxed(&s->ready, 0);
    shoal_store32_relaxed(&s->got, 0);
    shoal_store32_relaxed(&s->dead, 0);
    pid_t owner, sleeper[4];
    owner = fork_child();
    if (owner == 0) {
      MUST(shoal_robust_acquire_(&s->word[6], SHOAL_TRY) == 0);
      signal_to(&s->ready);
      for (;;) pause();
    }
    await(&s->ready, 1);
    for (int i = 0; i < 4; i++) {
      sleeper[i] = fork_child();
      if (sleeper[i] == 0) {
        signal_to(&s->ready);
        hold_a_little(i % 2);
        _exit(0);
      }
    }
    await(&s->ready, 5);
    if (rep % 2)
      while (!(shoal_load32_relaxed(&s->word[6].word) & FUTEX_WAITERS)) sched_yield();
    kill_and_wait(owner);
    for (int i = 0, st; i < 4; i++) {
      assert_int_equal(waitpid(sleeper[i], &st, 0), sleeper[i]);
      assert_int_equal(st, i % 2 ? SIGKILL : 0);
    }
    assert_int_equal(shoal_load32_relaxed(&s->got), 4);
    int rc = shoal_robust_acquire_(&s->word[6], SHOAL_TRY);
    assert_int_equal(shoal_load32_relaxed(&s->dead) + (rc == -EOWNERDEAD), 3);
    shoal_robust_release_(&s->word[6]);
  }
}

// Everybody locks, counts and unlocks, and is killed at random moments: mutual exclusion holds, nobody hangs.
static void test_killed_at_random(void **state) {
  (void)state;
  uint32_t seed = 3;
  pid_t pids[4] = {0};
  for (int round = 0; round < 400; round++) {
    int i = (int)(random_next(&seed) % 4);
    if (pids[i]) kill_and_wait(pids[i]);
    pids[i] = fork_child();
    if (pids[i] == 0)
      for (;;) {
        int rc = shoal_robust_acquire_(&s->word[7], SHOAL_FOREVER);
        MUST(rc == 0 || rc == -EOWNERDEAD);
        if (rc) shoal_store64_relaxed(&s->inside, 0);  // the repair
        MUST(shoal_add64_relaxed(&s->inside, 1) == 0);
        shoal_add64_relaxed(&s->count, 1);
        shoal_store64_relaxed(&s->inside, 0);
        shoal_robust_release_(&s->word[7]);
      }
    uint64_t before = shoal_load64_relaxed(&s->count), more = random_next(&seed) % 3000;
    while (shoal_load64_relaxed(&s->count) < before + more) sched_yield();  // somebody gets on
  }
  for (int i = 0; i < 4; i++)
    if (pids[i]) kill_and_wait(pids[i]);
  int rc = shoal_robust_acquire_(&s->word[7], SHOAL_TRY);
  assert_true(rc == 0 || rc == -EOWNERDEAD);
  shoal_robust_release_(&s->word[7]);
}

// ---- liveness words ----

static void *sleep_on(void *arg) {
  struct shoal_robust *live = arg;
  uint32_t word = shoal_load32_relaxed(&live->word);
  while (shoal_load32_acquire(&live->word) == word && word) {
    signal_to(&s->ready);
    shoal_futex_wait(&live->word, word, SHOAL_FOREVER);
  }
  return NULL;
}

static void test_liveness_word(void **state) {
  (void)state;
  struct shoal_robust *live = &s->many[0];
  pthread_t threads[3];
  shoal_store32_relaxed(&s->ready, 0);
  assert_ok(shoal_live_take_(live));
  assert_int_equal(shoal_live_take_(live), -EBUSY);
  for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, sleep_on, live);
  await(&s->ready, 3);
  shoal_live_drop_(live);  // wakes all
  for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
  assert_int_equal(shoal_load32_relaxed(&live->word), 0);
  shoal_store32_relaxed(&s->ready, 0);
  pid_t pid = fork_child();
  if (pid == 0) {
    MUST(shoal_live_take_(live) == 0);
    signal_to(&s->ready);
    for (;;) pause();
  }
  await(&s->ready, 1);
  uint32_t word = shoal_load32_relaxed(&live->word);
  assert_int_equal(shoal_robust_owner(word), pid);
  kill(pid, SIGKILL);
  while (!shoal_robust_is_dead(shoal_load32_acquire(&live->word)))
    shoal_futex_wait(&live->word, word, SHOAL_FOREVER);  // its death wakes
  waitpid(pid, NULL, 0);
  assert_int_equal(shoal_live_take_(live), -EBUSY);  // dead is not free: somebody must reap first
}

int main(void) {
  alarm(WATCHDOG_S);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_interleaved_with_robust_mutexes),
      cmocka_unit_test(test_killed_with_any_mixture),
      cmocka_unit_test(test_thread_exits_holding),
      cmocka_unit_test(test_exec_holding),
      cmocka_unit_test(test_children_own_nothing),
      cmocka_unit_test(test_first_look_in_a_new_thread_of_a_child),
      cmocka_unit_test(test_epochs_differ_along_a_line_of_descent),
      cmocka_unit_test(test_interrupted_at_each_instruction),
      cmocka_unit_test(test_deadlines),
      cmocka_unit_test(test_owner_killed_with_sleepers),
      cmocka_unit_test(test_killed_at_random),
      cmocka_unit_test(test_liveness_word),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
