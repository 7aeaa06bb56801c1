// What the conformance tests for pthread mutexes ask, asked of sync/lock and sync/rlock: tests/sync/README.md says
// which test of which suite each of these follows. By behaviour: none of their code is here, and where they sleep to be
// in time these look at what the kernel says of the other thread or process.
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "sync/lock.h"
#include "sync/rlock.h"
#include "tests/harness/stage.h"

// Both kinds by one interface, so that each question is asked twice.
struct kind {
  const char *name;
  int again;  // what a holder is told that acquires once more
  int (*init)(void *), (*destroy)(void *), (*release)(void *), (*consistent)(void *);
  int (*acquire)(void *, shoal_deadline);
};
#define KIND(x)                                                   \
  static int x##_i(void *l) { return shoal_##x##_init(l); }       \
  static int x##_d(void *l) { return shoal_##x##_destroy(l); }    \
  static int x##_r(void *l) { return shoal_##x##_release(l); }    \
  static int x##_c(void *l) { return shoal_##x##_consistent(l); } \
  static int x##_a(void *l, shoal_deadline deadline) { return shoal_##x##_acquire(l, deadline); }
KIND(lock)
KIND(rlock)
static const struct kind kinds[] = {{"lock", -EDEADLK, lock_i, lock_d, lock_r, lock_c, lock_a},
                                    {"rlock", 0, rlock_i, rlock_d, rlock_r, rlock_c, rlock_a}};

#define LOCKS 24
struct shared {
  struct shoal_rlock lock[LOCKS];  // as large as a lock
  shoal_atomic32 stage, done, handled;
  uint64_t number, mirror;
};
static const struct kind *k;
static struct shared *s;
static void *l;  // the first of them

static int setup(const struct kind *kind) {
  s = arena_begin(sizeof *s);
  k = kind;
  l = &s->lock[0];
  for (int i = 0; i < LOCKS; i++) CHECK(k->init(&s->lock[i]) == 0);
  return 0;
}
static int setup_lock(void **state) {
  (void)state;
  return setup(&kinds[0]);
}
static int setup_rlock(void **state) {
  (void)state;
  return setup(&kinds[1]);
}

static void *call(void *body) {
  ((void (*)(void))body)();
  return NULL;
}
static pthread_t thread(void (*body)(void)) {
  pthread_t t;
  CHECK(pthread_create(&t, NULL, call, (void *)body) == 0);
  return t;
}
static void in_thread(void (*body)(void)) { CHECK(pthread_join(thread(body), NULL) == 0); }
static pid_t process(void (*body)(void)) {
  fflush(NULL);
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    body();
    _exit(0);
  }
  return pid;
}
static void ends_well(pid_t pid) {
  int status;
  CHECK(waitpid(pid, &status, 0) == pid);
  assert_int_equal(status, 0);
}
static void in_both(void (*body)(void)) {
  in_thread(body);
  ends_well(process(body));
}

// ---- life ----

static void test_initialized_is_free(void **state) {
  (void)state;
  assert_int_equal(k->acquire(l, SHOAL_TRY), 0);
  assert_int_equal(k->release(l), 0);
  assert_int_equal(k->destroy(l), 0);
}
static void test_destroyed_can_be_made_anew(void **state) {
  (void)state;
  assert_int_equal(k->destroy(l), 0);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(kinds[i].init(l), 0);
    assert_int_equal(kinds[i].acquire(l, SHOAL_FOREVER), 0);
    assert_int_equal(kinds[i].release(l), 0);
    assert_int_equal(kinds[i].destroy(l), 0);
  }
}
static void hold_until_2(void) {
  CHECK(k->acquire(l, SHOAL_FOREVER) == 0);
  stage_keep(&s->stage);
  CHECK(k->release(l) == 0);
}
static void test_held_is_not_destroyed(void **state) {
  (void)state;
  assert_int_equal(k->acquire(l, SHOAL_FOREVER), 0);
  assert_int_equal(k->destroy(l), -EBUSY);
  assert_int_equal(k->release(l), 0);
  pthread_t t = thread(hold_until_2);
  await(&s->stage, 1);
  assert_int_equal(k->destroy(l), -EBUSY);
  say(&s->stage, 2);
  pthread_join(t, NULL);
  assert_int_equal(k->destroy(l), 0);
}

// ---- one holder ----

static void count(void *memory, unsigned i) {
  struct shared *mine = memory;
  for (int n = 0; n < 4000; n++) {
    CHECK(k->acquire(&mine->lock[0], SHOAL_FOREVER) == 0);
    CHECK(mine->number++ == mine->mirror);
    if ((n + (int)i) % 256 == 0) sched_yield();
    mine->mirror++;
    CHECK(k->release(&mine->lock[0]) == 0);
  }
}
static void test_no_increment_is_lost(void **state) {
  (void)state;
  run(&arena, THREADS, 5, count);
  run(&arena, PROCESSES, 5, count);
  assert_int_equal(s->number, 2 * 5 * 4000);
}
// Many threads that come at once, each with the smallest section and many rounds.
static void pass_through(void) {
  for (int n = 0; n < 200; n++) CHECK(k->acquire(l, SHOAL_FOREVER) == 0 && k->release(l) == 0);
}
static void test_thirty_two_threads_get_through(void **state) {
  (void)state;
  pthread_t t[32];
  assert_int_equal(k->acquire(l, SHOAL_FOREVER), 0);
  for (int i = 0; i < 32; i++) t[i] = thread(pass_through);
  assert_int_equal(k->release(l), 0);
  for (int i = 0; i < 32; i++) pthread_join(t[i], NULL);
  assert_int_equal(k->destroy(l), 0);
}

// ---- try ----

static void is_refused(void) { CHECK(k->acquire(l, SHOAL_TRY) == -EAGAIN); }
static void test_try(void **state) {
  (void)state;
  assert_int_equal(k->acquire(l, SHOAL_TRY), 0);
  assert_int_equal(k->acquire(l, SHOAL_TRY), k->again);
  in_both(is_refused);
  if (k->again == 0) assert_int_equal(k->release(l), 0);
  in_both(is_refused);
  assert_int_equal(k->release(l), 0);
  pthread_t t = thread(hold_until_2);
  await(&s->stage, 1);
  assert_int_equal(k->acquire(l, SHOAL_TRY), -EAGAIN);
  say(&s->stage, 2);
  pthread_join(t, NULL);
  assert_int_equal(k->acquire(l, SHOAL_TRY), 0);
  assert_int_equal(k->release(l), 0);
}

// ---- until a deadline ----

static void times_out(void) {
  int64_t before = shoal_now_ns();
  CHECK(k->acquire(l, shoal_after_ms(30)) == -ETIMEDOUT);
  CHECK(shoal_now_ns() - before >= 30000000);
  CHECK(k->acquire(l, shoal_after_ms(-1000)) == -ETIMEDOUT);
  CHECK(k->release(l) == -EPERM);
}
static void test_deadline(void **state) {
  (void)state;
  assert_int_equal(k->acquire(l, SHOAL_FOREVER), 0);
  in_both(times_out);
  assert_int_equal(k->release(l), 0);
  assert_int_equal(k->acquire(l, shoal_after_ms(0)), 0);  // passed already, and free
  assert_int_equal(k->acquire(l, shoal_after_ms(0)), k->again);
  assert_int_equal(k->release(l), 0);
  if (k->again == 0) assert_int_equal(k->release(l), 0);
  assert_int_equal(k->destroy(l), 0);
}

// ---- misuse ----

static void may_not_release(void) { CHECK(k->release(l) == -EPERM); }
static void test_released_by_another(void **state) {
  (void)state;
  assert_int_equal(k->release(l), -EPERM);  // never held
  assert_int_equal(k->acquire(l, SHOAL_FOREVER), 0);
  in_both(may_not_release);
  in_both(is_refused);  // and it is held still
  assert_int_equal(k->acquire(l, SHOAL_FOREVER), k->again);
  if (k->again == 0) assert_int_equal(k->release(l), 0);
  assert_int_equal(k->release(l), 0);
  assert_int_equal(k->release(l), -EPERM);  // held no more
  in_both(may_not_release);
}
static void takes_it(void) {
  CHECK(k->acquire(l, SHOAL_FOREVER) == 0);
  CHECK(k->release(l) == 0);
}
static void test_a_count_of_acquisitions(void **state) {
  (void)state;
  if (k->again) return;  // asked of the recursive one
  assert_int_equal(k->acquire(l, SHOAL_FOREVER), 0);
  assert_int_equal(k->acquire(l, SHOAL_FOREVER), 0);
  assert_int_equal(k->acquire(l, SHOAL_TRY), 0);
  assert_int_equal(k->release(l), 0);
  assert_int_equal(k->release(l), 0);
  in_both(is_refused);
  struct peer p = {process(takes_it)};
  peer_asleep(&p);
  assert_int_equal(k->release(l), 0);
  ends_well(p.pid);
  assert_int_equal(k->release(l), -EPERM);
}

// ---- signals ----

static void handle(int number) {
  (void)number;
  shoal_add32_relaxed(&s->handled, 1);
}
static void waits_in_spite_of_signals(void) {
  signal(SIGUSR1, handle);
  say(&s->stage, 1);
  CHECK(k->acquire(l, SHOAL_FOREVER) == 0);
  CHECK(shoal_load32_relaxed(&s->handled) >= 20);
  CHECK(k->release(l) == 0);
}
static void test_a_signal_does_not_end_a_wait(void **state) {
  (void)state;
  assert_int_equal(k->acquire(l, SHOAL_FOREVER), 0);
  struct peer p = {process(waits_in_spite_of_signals)};
  await(&s->stage, 1);
  for (uint32_t n = 1; n <= 20; n++) {
    peer_asleep(&p);
    assert_int_equal(kill(p.pid, SIGUSR1), 0);
    await(&s->handled, n);
  }
  peer_asleep(&p);  // again
  assert_int_equal(k->release(l), 0);
  ends_well(p.pid);
}
static void goes_round_under_signals(void) {
  signal(SIGUSR1, handle);
  say(&s->stage, 1);
  while (shoal_load32_relaxed(&s->handled) < 300) {
    CHECK(k->acquire(l, SHOAL_FOREVER) == 0 && k->release(l) == 0);
    CHECK(k->acquire(l, SHOAL_TRY) == 0 && k->release(l) == 0);
    CHECK(k->acquire(l, shoal_after_s(60)) == 0 && k->release(l) == 0);
  }
}
static void test_no_call_is_interrupted(void **state) {
  (void)state;
  pid_t pid = process(goes_round_under_signals);
  await(&s->stage, 1);
  for (uint32_t n = 1; n <= 300; n++) {
    assert_int_equal(kill(pid, SIGUSR1), 0);
    await(&s->handled, n);
  }
  ends_well(pid);
}

// ---- robust ----

static int forms(int form, void *lock) {
  return k->acquire(lock, form == 0 ? SHOAL_FOREVER : form == 1 ? SHOAL_TRY : shoal_after_s(60));
}
static void hold_two_and_end(void) {
  CHECK(k->acquire(&s->lock[0], SHOAL_FOREVER) == 0);
  CHECK(k->acquire(&s->lock[1], SHOAL_FOREVER) == 0);
}
static void both_ownerdead(int form) {
  for (int i = 0; i < 2; i++) assert_int_equal(forms(form, &s->lock[i]), -EOWNERDEAD);
}
static void test_an_owner_that_ends_leaves_both(void **state) {
  (void)state;
  for (int form = 0; form < 3; form++) {
    in_thread(hold_two_and_end);
    both_ownerdead(form);
    for (int i = 0; i < 2; i++) assert_int_equal(k->consistent(&s->lock[i]), 0);
    for (int i = 0; i < 2; i++) assert_int_equal(k->release(&s->lock[i]), 0);
  }
}
static void test_what_is_not_made_consistent_is_lost(void **state) {
  (void)state;
  for (int form = 0; form < 3; form++) {
    ends_well(process(hold_two_and_end));
    both_ownerdead(form);
    for (int i = 0; i < 2; i++) assert_int_equal(k->release(&s->lock[i]), 0);
    for (int i = 0; i < 2; i++) assert_int_equal(forms(form, &s->lock[i]), -ENOTRECOVERABLE);
    for (int i = 0; i < 2; i++) assert_int_equal(k->destroy(&s->lock[i]), 0);
    for (int i = 0; i < 2; i++) assert_int_equal(k->init(&s->lock[i]), 0);
  }
}
static void repair_and_end(void) {
  int rc = k->acquire(l, SHOAL_FOREVER);
  CHECK(rc == 0 || rc == -EOWNERDEAD);
  if (rc) CHECK(k->consistent(l) == 0);
  shoal_add32_relaxed(&s->done, rc == -EOWNERDEAD);
}
static void test_one_dead_owner_after_another(void **state) {
  (void)state;
  pid_t pids[3];  // not threads: ThreadSanitizer does not see that the kernel's mark orders one after the other
  for (int i = 0; i < 3; i++) pids[i] = process(repair_and_end);
  for (int i = 0; i < 3; i++) ends_well(pids[i]);
  assert_int_equal(shoal_load32_relaxed(&s->done), 2);
  assert_int_equal(k->acquire(l, SHOAL_FOREVER), -EOWNERDEAD);
  assert_int_equal(k->consistent(l), 0);
  assert_int_equal(k->release(l), 0);
}
static void test_a_timeout_leaves_nothing(void **state) {
  (void)state;
  assert_int_equal(k->acquire(l, SHOAL_FOREVER), 0);
  in_thread(times_out);
  assert_int_equal(k->release(l), 0);
  assert_int_equal(k->destroy(l), 0);
}
static void die_with_another(void) {
  CHECK(k->acquire(l, SHOAL_TRY) == -EAGAIN);
  CHECK(k->acquire(&s->lock[1], SHOAL_FOREVER) == 0);
}
static void test_a_child_neither_holds_nor_loses(void **state) {
  (void)state;
  assert_int_equal(k->acquire(l, SHOAL_FOREVER), 0);
  ends_well(process(die_with_another));
  assert_int_equal(k->acquire(l, SHOAL_FOREVER), k->again);  // its exit took nothing from us
  ends_well(process(is_refused));
  assert_int_equal(k->acquire(&s->lock[1], SHOAL_FOREVER), -EOWNERDEAD);
  assert_int_equal(k->consistent(&s->lock[1]), 0);
  assert_int_equal(k->release(&s->lock[1]), 0);
  if (k->again == 0) assert_int_equal(k->release(l), 0);
  assert_int_equal(k->release(l), 0);
}

// Threads of a process acquire and release at random; the process is killed; a dead owner is told of, none hangs.
static void repair(void *lock, int rc) {
  CHECK(rc == 0 || rc == -EOWNERDEAD);
  if (rc) CHECK(k->consistent(lock) == 0);
}
static void at_random(void) {
  static shoal_atomic32 seeds;
  unsigned seed = shoal_add32_relaxed(&seeds, 1);
  uint8_t held[LOCKS] = {0};
  for (;;) {
    int i = rand_r(&seed) % LOCKS, kind = rand_r(&seed) % 3;
    if (held[i]) {
      CHECK(k->release(&s->lock[i]) == 0);
      held[i] = 0;
      continue;
    }
    int rc =
        kind ? k->acquire(&s->lock[i], kind == 1 ? SHOAL_TRY : shoal_after_us(50)) : k->acquire(&s->lock[i], SHOAL_TRY);
    if (rc == -EAGAIN || rc == -ETIMEDOUT) continue;
    repair(&s->lock[i], rc);
    held[i] = 1;
    shoal_add32_relaxed(&s->done, 1);
  }
}
static void nine_at_random(void) {
  for (int i = 0; i < 8; i++) thread(at_random);
  at_random();
}
static void test_killed_at_random(void **state) {
  (void)state;
  for (int round = 0; round < 5; round++) {
    uint32_t done = shoal_load32_relaxed(&s->done);
    pid_t pid = process(nine_at_random);
    await(&s->done, done + 2000);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    for (int i = 0; i < LOCKS; i++) repair(&s->lock[i], k->acquire(&s->lock[i], SHOAL_FOREVER));
    for (int i = 0; i < LOCKS; i++) assert_int_equal(k->release(&s->lock[i]), 0);
  }
}

#define BOTH(name)                                              \
  {"lock: " #name, test_##name, setup_lock, arena_end, NULL}, { \
    "rlock: " #name, test_##name, setup_rlock, arena_end, NULL  \
  }
int main(void) {
  const struct CMUnitTest tests[] = {
      BOTH(initialized_is_free),
      BOTH(destroyed_can_be_made_anew),
      BOTH(held_is_not_destroyed),
      BOTH(no_increment_is_lost),
      BOTH(thirty_two_threads_get_through),
      BOTH(try),
      BOTH(deadline),
      BOTH(released_by_another),
      BOTH(a_count_of_acquisitions),
      BOTH(a_signal_does_not_end_a_wait),
      BOTH(no_call_is_interrupted),
      BOTH(an_owner_that_ends_leaves_both),
      BOTH(what_is_not_made_consistent_is_lost),
      BOTH(one_dead_owner_after_another),
      BOTH(a_timeout_leaves_nothing),
      BOTH(a_child_neither_holds_nor_loses),
      BOTH(killed_at_random),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
