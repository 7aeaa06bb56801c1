// ipc/work/executor: how its workers are looked after. Claims
//   idle        who waits for what does not come uses no processor: it is hardly ever woken, the creator nor another
//   noticed     the creator asleep in a wait notices a worker's death, a condemned job and a time limit, and other waiters
//               the creator's death and a broken executor, by themselves
#include <sys/resource.h>

#include "ipc/work/map.h"
#include "tests/ipc/work/executor_support.h"

struct small {
  uint32_t id, in, out;
};

SHOAL_TASK(square, struct small) {
  shoal_add32_relaxed(&ledger->begun[arg->id], 1);
  arg->out = arg->in * arg->in;
  shoal_add32_relaxed(&ledger->ended[arg->id], 1);
  return 0;
}
SHOAL_TASK(hold, struct small) {
  shoal_add32_relaxed(&ledger->begun[arg->id], 1);
  while (shoal_load32_relaxed(&ledger->go) < arg->in) usleep(100);
  shoal_add32_relaxed(&ledger->ended[arg->id], 1);
  return 0;
}
static void *stay(void *arg) {
  for (;;) pause();
  return arg;
}
SHOAL_TASK(lose_thread, struct small) {
  static pthread_t other;
  if (shoal_add32_relaxed(&ledger->begun[arg->id], 1)) return 0;
  pthread_create(&other, NULL, stay, NULL);
  pthread_exit(NULL);
}

static void await_begun(uint32_t id) {
  while (!shoal_load32_relaxed(&ledger->begun[id])) usleep(100);
}

// ---- idle ----

// Waits that end at their deadline, some time each: how often the thread was scheduled anew.
static long switches_of_waits(struct shoal_future *f) {
  struct rusage before, after;
  unsigned index;
  struct shoal_completed c;
  if (getrusage(RUSAGE_THREAD, &before)) return -1;
  if (shoal_future_get(f, NULL, 0, NULL, shoal_after_ms(150)) != -ETIMEDOUT) return -2;
  if (shoal_completed_begin(&c, f, 2)) return -3;
  if (shoal_completed_next(&c, &index, shoal_after_ms(150)) != -ETIMEDOUT) return -4;
  shoal_completed_end(&c);
  if (getrusage(RUSAGE_THREAD, &after)) return -5;
  return after.ru_nvcsw - before.ru_nvcsw;
}
static struct shoal_future held[2];
static int wait_elsewhere(void *arg) {
  (void)arg;
  long n = switches_of_waits(held);
  return n < 0 ? (int)-n : n < 12 ? 0 : 99;
}
static void test_idle(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){.workers = 2});
  struct shoal_process p;
  struct shoal_process_options o = {.threaded = THREADED};
  int code;
  for (uint32_t i = 0; i < 2; i++) {
    struct small s = {.id = i, .in = 1};
    assert_int_equal(SHOAL_SUBMIT(ex, hold, &s, &held[i]), 0);
    await_begun(i);
  }
  assert_in_range(switches_of_waits(held), 0, 11);
  assert_int_equal(shoal_process_start(&p, wait_elsewhere, NULL, &o), 0);
  assert_int_equal(shoal_process_join(&p, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_process_exitcode(&p, &code), 0);
  assert_int_equal(code, 0);
  shoal_process_close(&p);
  shoal_store32_relaxed(&ledger->go, 1);
  for (int i = 0; i < 2; i++) assert_int_equal(shoal_future_get(&held[i], NULL, 0, NULL, SHOAL_FOREVER), 0);
  end_executor(ex);
}

// ---- noticed ----

static int condemn(void *arg) { return shoal_future_cancel(arg, SHOAL_FORCE) != 0; }
static int kill_soon(void *arg) {
  usleep(20000);
  return kill(*(pid_t *)arg, SIGKILL) != 0;
}
static void in_child(int (*work)(void *), void *arg, struct shoal_process *p) {
  struct shoal_process_options o = {.threaded = THREADED};
  assert_int_equal(shoal_process_start(p, work, arg, &o), 0);
}
static void end_child(struct shoal_process *p) {
  int code;
  assert_int_equal(shoal_process_join(p, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_process_exitcode(p, &code), 0);
  assert_int_equal(code, 0);
  shoal_process_close(p);
}
static void test_noticed(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){.workers = 1});
  struct shoal_failure failure;
  struct shoal_executor_worker w;
  struct shoal_process p;
  struct shoal_future f;
  struct small s = {.id = 1, .in = 9};
  assert_int_equal(SHOAL_SUBMIT(ex, hold, &s, &f), 0);
  await_begun(1);
  assert_int_equal(shoal_executor_worker(ex, 0, &w), 0);
  in_child(kill_soon, &w.pid, &p);
  assert_int_equal(shoal_future_get(&f, NULL, 0, &failure, SHOAL_FOREVER), -EREMOTEIO);
  assert_int_equal(failure.code, -ENOTRECOVERABLE);
  end_child(&p);
  assert_int_equal(shoal_future_release(&f), 0);
  s.id = 2;
  assert_int_equal(SHOAL_SUBMIT(ex, hold, &s, &f), 0);
  await_begun(2);
  in_child(condemn, &f, &p);
  assert_int_equal(shoal_future_get(&f, NULL, 0, NULL, SHOAL_FOREVER), -ECANCELED);
  end_child(&p);
  assert_int_equal(shoal_future_release(&f), 0);
  s.id = 3;
  int rc = SHOAL_APPLY(ex, lose_thread, &s, &failure, SHOAL_FOREVER);
  assert_int_equal(rc, -EREMOTEIO);
  assert_int_equal(failure.code, -ENOTRECOVERABLE);
  rc = SHOAL_APPLY(ex, square, &s, &failure, SHOAL_FOREVER);
  assert_int_equal(rc, 0);
  end_executor(ex);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_idle, set_up),
      cmocka_unit_test_setup(test_noticed, set_up),
  };
  return cmocka_run_group_tests(tests, begin_tests, end_tests);
}
