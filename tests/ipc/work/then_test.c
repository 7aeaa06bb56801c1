// ipc/work/future: jobs after one another, and futures among other things that are waited for. Claims
//   then        a job begins when another is over, on its result, also of a worker that died, a megabyte, and released before;
//               failures and cancels skip it; in a task, with one worker; what does not go changes nothing; no cell is
//               lost
//   ended       a job that was to begin after another is cancelled if the executor's end comes between, and so is each behind it
//   select      a future among queues and times: its end, a worker's death, a limit and its release end the select
//   helped      a task that selects on what nobody has begun runs it itself, one worker or many; not if it only tries
#include "ipc/work/executor_internal.h"
#include "tests/ipc/work/executor_support.h"

// ---- one after another ----

SHOAL_TASK(add_one, struct small) {
  shoal_add32_relaxed(&ledger->begun[arg->id], 1);
  arg->out++;
  return 0;
}
struct large {
  uint32_t id, sum, numbers[250000];
};
SHOAL_TASK(number, struct large) {
  for (uint32_t i = 0; i < 250000; i++) arg->numbers[i] += i;
  return 0;
}
SHOAL_TASK(chain_in_task, struct small) {
  struct shoal_executor *ex = shoal_executor_current();
  struct shoal_future f[4];
  struct small s = {.id = arg->id + 1};
  int rc = SHOAL_SUBMIT(ex, add_one, &s, &f[0]);
  for (int i = 1; i < 4 && !rc; i++) rc = SHOAL_THEN(&f[i - 1], add_one, &f[i]);
  if (!rc) rc = shoal_future_get(&f[3], &s, sizeof s, NULL, SHOAL_FOREVER);
  for (int i = 0; i < 4 && !rc; i++) rc = shoal_future_release(&f[i]);
  arg->out = s.out;
  return rc;
}
static void expect_no_jobs(struct shoal_executor *ex) {
  struct shoal_executor_info info;
  shoal_executor_reap(ex);
  assert_int_equal(shoal_executor_info(ex, &info), 0);
  assert_int_equal(info.jobs, 0);
}
static uint32_t level;  // what `go` has come to
// The first is held up meanwhile.
static void chain_of(struct shoal_executor *ex, uint32_t id, int early) {
  struct shoal_future f[5];
  struct small s = {.id = id, .in = level + 1}, back;
  assert_int_equal(SHOAL_SUBMIT(ex, hold, &s, &f[0]), 0);
  for (int i = 1; i < 5; i++) assert_int_equal(SHOAL_THEN(&f[i - 1], add_one, i < 4 ? &f[i] : early ? NULL : &f[i]), 0);
  assert_int_equal(SHOAL_THEN(&f[0], add_one, NULL), -EBUSY);
  assert_int_equal(SHOAL_THEN(&f[1], number, NULL), -EBADMSG);
  if (early)
    for (int i = 0; i < 4; i++) assert_int_equal(shoal_future_release(&f[i]), 0);
  await_begun(id);
  shoal_store32_relaxed(&ledger->go, ++level);
  if (early) return;
  assert_int_equal(shoal_future_get(&f[4], &back, sizeof back, NULL, SHOAL_FOREVER), 0);
  assert_int_equal(back.out, 4);
  assert_int_equal(shoal_future_get(&f[2], &back, sizeof back, NULL, SHOAL_TRY), 0);
  assert_int_equal(back.out, 2);
  assert_int_equal(shoal_future_release(&f[0]), 0);
  assert_int_equal(SHOAL_THEN(&f[4], add_one, &f[0]), 0);  // which is over already
  assert_int_equal(shoal_future_get(&f[0], &back, sizeof back, NULL, SHOAL_FOREVER), 0);
  assert_int_equal(back.out, 5);
  for (int i = 0; i < 5; i++) assert_int_equal(shoal_future_release(&f[i]), 0);
  assert_int_equal(SHOAL_THEN(&f[4], add_one, NULL), -EINVAL);
}
static void skipped(struct shoal_executor *ex) {
  struct shoal_failure failure;
  struct shoal_future f[3];
  struct small s = {.id = 900, .in = 7};
  assert_int_equal(SHOAL_SUBMIT(ex, refuse_odd, &s, &f[0]), 0);
  assert_int_equal(SHOAL_THEN(&f[0], add_one, &f[1]), 0);
  assert_int_equal(SHOAL_THEN(&f[1], add_one, &f[2]), 0);
  assert_int_equal(shoal_future_get(&f[2], NULL, 0, &failure, SHOAL_FOREVER), -EREMOTEIO);
  assert_int_equal(failure.code, -EDOM);
  assert_string_equal(failure.message, "7 is odd");
  assert_non_null(strstr(shoal_reason(), "before task add_one, which did not run: "));
  for (int i = 0; i < 3; i++) assert_int_equal(shoal_future_release(&f[i]), 0);
  s = (struct small){.id = 901, .in = level + 1};
  assert_int_equal(SHOAL_SUBMIT(ex, hold, &s, &f[0]), 0);
  assert_int_equal(SHOAL_THEN(&f[0], add_one, &f[1]), 0);
  assert_int_equal(SHOAL_THEN(&f[1], add_one, &f[2]), 0);
  assert_int_equal(shoal_future_cancel(&f[1], 0), 0);
  assert_int_equal(shoal_future_get(&f[2], NULL, 0, NULL, SHOAL_FOREVER), -ECANCELED);
  shoal_store32_relaxed(&ledger->go, ++level);
  assert_int_equal(shoal_future_get(&f[0], NULL, 0, NULL, SHOAL_FOREVER), 0);
  for (int i = 0; i < 3; i++) assert_int_equal(shoal_future_release(&f[i]), 0);
  assert_int_equal(shoal_load32_relaxed(&ledger->begun[900]), 0);
}
static void test_then(void **state) {
  (void)state;
  struct shoal_executor_options o = {.workers = 2, .jobs = 32, .retries = 3};
  for (o.threads = 0; o.threads < 2; o.threads++) {
    struct shoal_executor *ex = executor_of(o);
    set_up(NULL);
    chain_of(ex, 10, 0);
    for (uint32_t i = 0; i < 10; i++) chain_of(ex, 20 + i, 1);
    skipped(ex);
    struct small s = {.id = 50, .in = 2};
    struct shoal_future f[2];
    if (!o.threads) {  // the next dies, and is retried; and so does the first
      assert_int_equal(SHOAL_SUBMIT(ex, die_at_first, &s, &f[0]), 0);
      assert_int_equal(SHOAL_THEN(&f[0], die_at_first, &f[1]), 0);
      assert_int_equal(shoal_future_get(&f[1], &s, sizeof s, NULL, SHOAL_FOREVER), 0);
      assert_int_equal(shoal_load32_relaxed(&ledger->begun[50]), 4);
      for (int i = 0; i < 2; i++) assert_int_equal(shoal_future_release(&f[i]), 0);
    }
    struct large *large = calloc(1, sizeof *large);
    assert_int_equal(SHOAL_SUBMIT(ex, number, large, &f[0]), 0);
    assert_int_equal(SHOAL_THEN(&f[0], number, &f[1]), 0);
    assert_int_equal(shoal_future_release(&f[0]), 0);
    assert_int_equal(shoal_future_get(&f[1], large, sizeof *large, NULL, SHOAL_FOREVER), 0);
    assert_int_equal(shoal_future_release(&f[1]), 0);
    assert_int_equal(large->numbers[249999], 2 * 249999);
    free(large);
    assert_int_equal(shoal_executor_shutdown(ex, 0, SHOAL_FOREVER), 0);
    for (uint32_t i = 0; i < 10; i++) assert_int_equal(shoal_load32_relaxed(&ledger->begun[20 + i]), 5);
    expect_no_jobs(ex);
    end_executor(ex);
  }
  o = (struct shoal_executor_options){.workers = 1, .jobs = 16};
  struct shoal_executor *ex = executor_of(o);
  struct small s = {.id = 60};
  if (SHOAL_APPLY(ex, chain_in_task, &s, NULL, SHOAL_FOREVER)) fail();
  assert_int_equal(s.out, 4);
  expect_no_jobs(ex);
  end_executor(ex);
}

// As who looked whether it may submit, and went on when all was over.
static int after_the_end(struct shoal_executor *ex, const struct shoal_future *f, struct shoal_future *out) {
  shoal_store32_relaxed(&ex->shm->closed, 0);
  shoal_store32_relaxed(&ex->shm->terminated, 0);
  int rc = SHOAL_THEN(f, add_one, out);
  shoal_store32_relaxed(&ex->shm->closed, 1);
  shoal_store32_relaxed(&ex->shm->terminated, 1);
  return rc;
}
static void test_ended(void **state) {
  (void)state;
  enum { LONG = 4000 };
  static struct shoal_future f[LONG], g[2];
  struct small s = {.id = 1, .in = 3};
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){.workers = 1});
  assert_int_equal(SHOAL_SUBMIT(ex, square, &s, &g[0]), 0);
  assert_int_equal(shoal_future_get(&g[0], NULL, 0, NULL, SHOAL_FOREVER), 0);
  s = (struct small){.id = 2, .in = 1};
  assert_int_equal(SHOAL_SUBMIT(ex, hold, &s, &f[0]), 0);
  for (int i = 1; i < LONG; i++) assert_int_equal(SHOAL_THEN(&f[i - 1], add_one, &f[i]), 0);
  await_begun(2);
  assert_int_equal(shoal_executor_terminate(ex, SHOAL_TRY), 0);
  for (int i = 1; i < LONG; i++) assert_int_equal(shoal_future_get(&f[i], NULL, 0, NULL, SHOAL_TRY), -ECANCELED);
  assert_int_equal(after_the_end(ex, &g[0], &g[1]), 0);
  assert_int_equal(shoal_future_get(&g[1], NULL, 0, NULL, SHOAL_TRY), -ECANCELED);
  assert_int_equal(shoal_future_release(&g[1]), 0);
  assert_int_equal(after_the_end(ex, &g[0], NULL), 0);
  for (int i = 0; i < LONG; i++) assert_int_equal(shoal_future_release(&f[i]), 0);
  assert_int_equal(shoal_future_release(&g[0]), 0);
  expect_no_jobs(ex);
  end_executor(ex);
}

static int let_go_soon(void *arg) {
  (void)arg;
  usleep(20000);
  shoal_store32_relaxed(&ledger->go, 1);
  return 0;
}
static void test_select(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){.workers = 2});
  struct shoal_queue_options q = {.capacity = 8, .element_size = sizeof(struct small)};
  struct shoal_queue *queue;
  struct shoal_future f[2];
  struct shoal_executor_worker w;
  struct shoal_process p;
  struct small s = {.id = 1, .in = 1};
  assert_int_equal(shoal_queue_create(seg, NULL, &q, &queue), 0);
  assert_int_equal(shoal_queue_join(queue, SHOAL_PRODUCER), 0);
  assert_int_equal(SHOAL_SUBMIT(ex, hold, &s, &f[0]), 0);
  s = (struct small){.id = 2, .in = 9};
  assert_int_equal(SHOAL_SUBMIT(ex, hold, &s, &f[1]), 0);
  struct shoal_case cases[] = {shoal_on_future(&f[0]), shoal_on_get(queue, &s), shoal_on_future(&f[1])};
  assert_int_equal(shoal_select(cases, 3, SHOAL_TRY), -EAGAIN);
  assert_int_equal(shoal_select(cases, 3, shoal_after_ms(5)), -ETIMEDOUT);
  in_child(let_go_soon, NULL, &p);
  assert_int_equal(shoal_select(cases, 3, SHOAL_FOREVER), 0);
  assert_int_equal(cases[0].result, 0);
  end_child(&p);
  cases[0] = shoal_on_nothing();
  await_begun(2);
  for (unsigned i = 0; i < 2; i++) {  // both workers: one of them has it
    assert_int_equal(shoal_executor_worker(ex, i, &w), 0);
    in_child(kill_soon, &w.pid, &p);
    end_child(&p);
  }
  assert_int_equal(shoal_select(&cases[2], 1, SHOAL_FOREVER), 0);
  assert_int_equal(cases[2].result, 0);
  assert_int_equal(shoal_future_get(&f[1], NULL, 0, NULL, SHOAL_TRY), -EREMOTEIO);
  for (int i = 0; i < 2; i++) assert_int_equal(shoal_future_release(&f[i]), 0);
  assert_int_equal(shoal_select_ready(&cases[2], 1, SHOAL_FOREVER), 1);
  assert_int_equal(cases[2].result, -EINVAL);
  end_executor(ex);
  assert_int_equal(shoal_queue_detach(queue), 0);
  ex = executor_of((struct shoal_executor_options){.workers = 1, .time_limit_ns = 30000000});
  s = (struct small){.id = 3, .in = 9};
  assert_int_equal(SHOAL_SUBMIT(ex, hold, &s, &f[0]), 0);
  cases[0] = shoal_on_future(&f[0]);
  assert_int_equal(shoal_select(cases, 1, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_future_get(&f[0], NULL, 0, NULL, SHOAL_TRY), -EREMOTEIO);
  end_executor(ex);
}

SHOAL_TASK(select_within, struct small) {
  struct shoal_executor *ex = shoal_executor_current();
  struct small s = {.id = arg->id + 1, .in = 3};
  struct shoal_future f[2];
  int rc = SHOAL_SUBMIT(ex, square, &s, &f[0]);
  if (!rc) rc = SHOAL_THEN(&f[0], add_one, &f[1]);
  if (rc) return rc;
  struct shoal_case cases[] = {shoal_on_future(&f[1]), shoal_on_time(shoal_after_s(3600))};
  if (arg->in && shoal_select(cases, 2, SHOAL_TRY) != -EAGAIN) return shoal_task_fail(-EPROTO, "a try has run it");
  if (shoal_select(cases, 2, SHOAL_FOREVER) != 0 || cases[0].result) return shoal_task_fail(-EPROTO, "it is not over");
  rc = shoal_future_get(&f[1], &s, sizeof s, NULL, SHOAL_TRY);
  for (int i = 0; i < 2 && !rc; i++) rc = shoal_future_release(&f[i]);
  arg->out = s.out;
  return rc;
}
static void test_helped(void **state) {
  (void)state;
  struct shoal_executor_options o = {.jobs = 64};
  for (o.threads = 0; o.threads < 2; o.threads++)
    for (o.workers = 1; o.workers < 4; o.workers += 2) {
      struct shoal_executor *ex = executor_of(o);
      struct shoal_future f[8];
      set_up(NULL);
      for (uint32_t i = 0; i < 8; i++) {
        struct small s = {.id = 10 * i, .in = o.workers == 1};
        assert_int_equal(SHOAL_SUBMIT(ex, select_within, &s, &f[i]), 0);
      }
      for (uint32_t i = 0; i < 8; i++) {
        struct small s = {.out = 0};
        assert_int_equal(shoal_future_get(&f[i], &s, sizeof s, NULL, SHOAL_FOREVER), 0);
        assert_int_equal(s.out, 10);
        assert_int_equal(shoal_load32_relaxed(&ledger->ended[10 * i + 1]), 1);
        assert_int_equal(shoal_future_release(&f[i]), 0);
      }
      expect_no_jobs(ex);
      end_executor(ex);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_then, set_up),
      cmocka_unit_test_setup(test_select, set_up),
      cmocka_unit_test_setup(test_ended, set_up),
      cmocka_unit_test_setup(test_helped, set_up),
  };
  return cmocka_run_group_tests(tests, begin_tests, end_tests);
}
