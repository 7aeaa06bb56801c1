// Claims, of callbacks that one thread runs
//   called     each once, by that thread and nobody else, one after another, whatever comes of the job; more of them than can be
//              slept on; asked for before there is a thread, while it sleeps, by a callback
//   maps       once all is over; who ends one meanwhile waits until its callback has returned, or ended its thread, and looks after
//              the workers that this waits for
//   at the end detach runs what is due, and the thread is gone; a callback that waits for a job, whose worker is killed
//   or that
//              would never end, keeps it from nothing
//   never over the creator dies, the executor breaks: who waits for its callback is called
//   forked     a child has no such thread, and its callbacks are its own
//   signals    of the process are not the thread's
//   refused    in a process that forks its workers, by any handle; twice; the end of it from within; no thread can be made
#include <sys/prctl.h>

#include "core/futex.h"
#include "ipc/work/map.h"
#include "ipc/work/thread.h"
#include "tests/ipc/work/executor_support.h"

static struct {
  shoal_atomic32 n, failed, cancelled, elsewhere, codes;
  uint64_t caller;
} calls;

static void note(const struct shoal_future *f, void *arg) {
  int rc = shoal_future_get(f, NULL, 0, NULL, SHOAL_TRY);
  (void)arg;
  if (!calls.caller) calls.caller = shoal_thread_ident();
  if (calls.caller != shoal_thread_ident() || strcmp(shoal_thread_current()->name, "shoal-callbacks"))
    shoal_add32_relaxed(&calls.elsewhere, 1);
  shoal_add32_relaxed(&calls.failed, rc == -EREMOTEIO);
  shoal_add32_relaxed(&calls.cancelled, rc == -ECANCELED);
  shoal_store32_relaxed(&calls.codes, (uint32_t)-rc);
  shoal_add32_seq_cst(&calls.n, 1);
  shoal_futex_wake(&calls.n, 1);
}
static void await_calls(uint32_t n) {
  for (uint32_t is; (is = shoal_load32_seq_cst(&calls.n)) < n;) shoal_futex_wait(&calls.n, is, SHOAL_FOREVER);
  assert_int_equal(shoal_load32_relaxed(&calls.n), n);
  assert_int_equal(shoal_load32_relaxed(&calls.elsewhere), 0);
}
static struct shoal_executor *called_executor(struct shoal_executor_options o) {
  struct shoal_executor *ex = NULL;
  memset(&calls, 0, sizeof calls);
  if (!o.workers) o.workers = WORKERS;
  o.threaded = 1;
  o.callback_thread = 1;
  assert_int_equal(shoal_executor_create(seg, NULL, &o, &ex), 0);
  return ex;
}
static struct shoal_future asked(struct shoal_executor *ex, const struct shoal_task *task, struct small s) {
  struct shoal_future f;
  assert_int_equal(shoal_executor_submit_task(ex, task, &s, sizeof s, SHOAL_FOREVER, &f), 0);
  assert_int_equal(shoal_future_on_done(&f, note, NULL), 0);
  return f;
}

// ---- called ----

static void called(struct shoal_executor_options o) {
  enum { N = 400 };
  struct shoal_executor *ex = called_executor(o);
  static struct shoal_future f[N];
  struct small s = {.id = 1, .in = 1};
  for (uint32_t i = 0; i < N; i++)
    f[i] = asked(ex, i % 4 == 3 ? &refuse_odd_task_ : &hold_task_, (struct small){.id = 1, .in = 1});
  assert_int_equal(shoal_future_cancel(&f[N - 2], 0), 0);  // is called of first, behind what cannot be slept on
  await_calls(1);
  assert_int_equal(shoal_load32_relaxed(&calls.cancelled), 1);
  assert_int_equal(shoal_executor_poll(ex, SHOAL_FOREVER), 0);
  shoal_store32_relaxed(&ledger->go, 1);
  for (uint32_t i = 0; i < N; i++) {
    int rc = shoal_future_get(&f[i], &s, sizeof s, NULL, SHOAL_FOREVER);
    assert_int_equal(rc, i == N - 2 ? -ECANCELED : i % 4 == 3 ? -EREMOTEIO : 0);
  }
  await_calls(N);
  assert_int_equal(shoal_load32_relaxed(&calls.failed), N / 4);
  for (uint32_t i = 0; i < N; i++) assert_int_equal(shoal_future_release(&f[i]), 0);
  for (uint32_t i = 1; i <= 20; i++) {  // now it sleeps, as nothing is asked for
    struct shoal_future one = asked(ex, &square_task_, (struct small){.id = 2, .in = i});
    await_calls(N + i);
    assert_int_equal(shoal_future_release(&one), 0);
  }
  end_executor(ex);
}
static void test_called(void **state) {
  called((struct shoal_executor_options){.threads = 1});
  set_up(state);
  called((struct shoal_executor_options){.threads = 0});
}

// Asks for the next, until there have been ten; waits for one, too.
static void ask_on(const struct shoal_future *f, void *arg) {
  struct shoal_future next;
  struct small s = {.id = 1, .in = 5};
  note(f, arg);
  if (shoal_load32_relaxed(&calls.n) >= 10) return;
  if (SHOAL_APPLY(f->executor, square, &s, NULL, SHOAL_FOREVER) || s.out != 25 ||
      SHOAL_SUBMIT(f->executor, square, &s, &next) || shoal_future_on_done(&next, ask_on, NULL))
    shoal_add32_relaxed(&calls.elsewhere, 1);
}
static void test_from_within(void **state) {
  (void)state;
  struct shoal_executor *ex = called_executor((struct shoal_executor_options){0});
  struct shoal_future f;
  struct small s = {.id = 1, .in = 5};
  assert_int_equal(SHOAL_SUBMIT(ex, square, &s, &f), 0);
  assert_int_equal(shoal_future_on_done(&f, ask_on, NULL), 0);
  await_calls(10);
  assert_int_equal(shoal_executor_shutdown(ex, 0, SHOAL_FOREVER), 0);
  end_executor(ex);
}

// ---- maps ----

static shoal_atomic32 inside, ending;
// Stays in there until the map is about to be ended, unless it does that itself; and then a little longer.
static void note_map(struct shoal_map *map, void *arg) {
  shoal_store32_relaxed(&inside, 1);
  shoal_futex_wake(&inside, 1);
  while (!*(int *)arg && !shoal_load32_relaxed(&ending)) usleep(100);
  usleep(2000);
  int rc = shoal_map_get(map, NULL, SHOAL_TRY);
  if (strcmp(shoal_thread_current()->name, "shoal-callbacks") || rc) shoal_add32_relaxed(&calls.elsewhere, 1);
  if (*(int *)arg) (void)shoal_map_end(map);
  shoal_store32_relaxed(&inside, 0);
  shoal_add32_seq_cst(&calls.n, 1);
  shoal_futex_wake(&calls.n, 1);
}
static void test_maps(void **state) {
  (void)state;
  struct shoal_executor *ex = called_executor((struct shoal_executor_options){.threads = 1});
  struct small s[2][50];
  struct shoal_map *map;
  int its_own = 1, mine = 0;
  for (uint32_t i = 0; i < 100; i++) s[i / 50][i % 50] = (struct small){.id = i, .in = i};
  assert_int_equal(SHOAL_MAP_ASYNC(ex, square, s[0], 50, 1, &map), 0);
  assert_int_equal(shoal_map_on_done(map, note_map, &its_own), 0);
  await_calls(1);
  for (uint32_t i = 0; i < 50; i++) assert_int_equal(s[0][i].out, i * i);
  assert_int_equal(SHOAL_MAP_ASYNC(ex, square, s[1], 50, 1, &map), 0);
  assert_int_equal(shoal_map_on_done(map, note_map, &mine), 0);
  assert_int_equal(shoal_map_wait(map, SHOAL_FOREVER), 0);
  while (!shoal_load32_relaxed(&inside)) shoal_futex_wait(&inside, 0, SHOAL_FOREVER);
  shoal_store32_relaxed(&ending, 1);
  assert_int_equal(shoal_map_end(map), 0);
  assert_int_equal(shoal_load32_relaxed(&inside), 0);
  assert_int_equal(shoal_load32_relaxed(&calls.n), 2);
  assert_int_equal(shoal_load32_relaxed(&calls.elsewhere), 0);
  end_executor(ex);
}

// ---- at the end ----

static int count_callers(const struct shoal_thread_info *info, void *n) {
  *(unsigned *)n += strcmp(info->name, "shoal-callbacks") == 0;
  return 0;
}
static unsigned callers(void) {
  unsigned n = 0;
  assert_int_equal(shoal_thread_enumerate(count_callers, &n), 0);
  return n;
}
static void test_at_the_end(void **state) {
  (void)state;
  for (uint32_t n = 1; n <= 50; n++) {
    struct shoal_executor *ex = called_executor((struct shoal_executor_options){.threads = 1, .jobs = 64});
    assert_int_equal(callers(), 1);
    for (uint32_t i = 0; i < n; i++) asked(ex, &square_task_, (struct small){.id = 1, .in = i});
    assert_int_equal(shoal_executor_shutdown(ex, 0, SHOAL_FOREVER), 0);
    end_executor(ex);
    assert_int_equal(shoal_load32_relaxed(&calls.n), n);
    assert_int_equal(callers(), 0);
  }
}

// Waits, for ever, for a job of which nobody else looks after the worker.
static void wait_for_it(const struct shoal_future *f, void *task) {
  struct small s = {.id = 7, .in = 2};
  int rc = shoal_executor_apply_task(f->executor, task, &s, sizeof s, NULL, SHOAL_FOREVER);
  shoal_store32_seq_cst(&calls.codes, (uint32_t)-rc);
}
static void detached_meanwhile(const struct shoal_task *task) {
  struct shoal_executor *ex = called_executor((struct shoal_executor_options){.workers = 1, .retries = 0});
  struct shoal_future f;
  struct small s = {.id = 1, .in = 5};
  memset(ledger, 0, sizeof *ledger);
  assert_int_equal(SHOAL_SUBMIT(ex, square, &s, &f), 0);
  assert_int_equal(shoal_future_on_done(&f, wait_for_it, (void *)(uintptr_t)task), 0);
  await_begun(7);
  end_executor(ex);
  assert_int_equal(shoal_load32_relaxed(&calls.codes), EREMOTEIO);
  assert_int_equal(callers(), 0);
}
static void test_detached_while_one_waits(void **state) {
  (void)state;
  detached_meanwhile(&die_at_first_task_);
  detached_meanwhile(&hold_task_);
}

// The same, of a map that is ended.
static struct shoal_executor *of_the_map;
static void wait_in_map(struct shoal_map *map, void *task) {
  (void)map;
  shoal_store32_relaxed(&inside, 1);
  shoal_futex_wake(&inside, 1);
  wait_for_it(&(struct shoal_future){.executor = of_the_map}, task);
}
static void end_meanwhile(const struct shoal_task *task, uint32_t tasks_max, int rc) {
  struct shoal_executor_options o = {.workers = 1, .tasks_max = tasks_max};
  struct shoal_executor *ex = of_the_map = called_executor(o);
  struct small s = {.id = 1, .in = 5};
  struct shoal_map *map;
  memset(ledger, 0, sizeof *ledger);
  shoal_store32_relaxed(&calls.codes, UINT32_MAX);
  shoal_store32_relaxed(&inside, 0);
  assert_int_equal(SHOAL_MAP_ASYNC(ex, square, &s, 1, 1, &map), 0);
  assert_int_equal(shoal_map_on_done(map, wait_in_map, (void *)(uintptr_t)task), 0);
  while (!shoal_load32_relaxed(&inside)) shoal_futex_wait(&inside, 0, SHOAL_FOREVER);
  assert_int_equal(shoal_map_end(map), 0);
  assert_int_equal(shoal_load32_relaxed(&calls.codes), -rc);
  end_executor(ex);
}
static void test_map_ended_while_one_waits(void **state) {
  (void)state;
  end_meanwhile(&die_at_first_task_, 0, -EREMOTEIO);
  end_meanwhile(&square_task_, 1, 0);
}

static void end_thread(struct shoal_map *map, void *arg) {
  (void)map;
  shoal_store32_relaxed((shoal_atomic32 *)arg, 1);
  shoal_futex_wake(arg, 1);
  pthread_exit(NULL);
}
static void test_map_call_ends_its_thread(void **state) {
  (void)state;
  struct shoal_executor *ex = called_executor((struct shoal_executor_options){.threads = 1});
  struct small s = {.id = 1, .in = 5};
  struct shoal_map *map;
  assert_int_equal(SHOAL_MAP_ASYNC(ex, square, &s, 1, 1, &map), 0);
  shoal_store32_relaxed(&inside, 0);
  assert_int_equal(shoal_map_on_done(map, end_thread, &inside), 0);
  while (!shoal_load32_relaxed(&inside)) shoal_futex_wait(&inside, 0, SHOAL_FOREVER);
  assert_int_equal(shoal_map_end(map), 0);
  end_executor(ex);
}

// ---- never over ----

static int create_and_die(void *arg) {
  struct shoal_executor *ex;
  struct shoal_executor_options o = {.workers = 1, .jobs = 64, .threaded = 1};
  (void)arg;
  if (shoal_executor_create(seg, "doomed", &o, &ex)) return 1;
  shoal_store32_relaxed(&ledger->go, 1);
  while (shoal_load32_relaxed(&ledger->go) == 1) (void)shoal_executor_tend(ex, shoal_after_ms(5));
  raise(SIGKILL);
  return 0;
}
static void test_creator_dies(void **state) {
  (void)state;
  struct shoal_process p;
  struct shoal_executor *ex;
  struct shoal_process_options o = {.threaded = 1};
  memset(&calls, 0, sizeof calls);
  assert_int_equal(shoal_process_start(&p, create_and_die, NULL, &o), 0);
  while (shoal_load32_relaxed(&ledger->go) != 1) usleep(100);
  assert_int_equal(shoal_executor_open(seg, "doomed", &ex), 0);
  assert_int_equal(shoal_executor_callback_thread(ex), 0);
  asked(ex, &hold_task_, (struct small){.id = 1, .in = 3});
  asked(ex, &hold_task_, (struct small){.id = 2, .in = 3});
  await_begun(1);
  shoal_store32_relaxed(&ledger->go, 2);
  await_calls(2);
  assert_int_equal(shoal_load32_relaxed(&calls.codes), EPIPE);
  assert_int_equal(shoal_process_join(&p, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_process_close(&p), 0);
  assert_int_equal(shoal_executor_detach(ex), 0);
  assert_int_equal(shoal_executor_unlink(seg, "doomed"), 0);
}
static void test_broken(void **state) {
  (void)state;
  struct shoal_executor *ex = called_executor(
      (struct shoal_executor_options){.workers = 1, .restarts_max = 2, .restarts_within_ns = INT64_MAX, .retries = 9});
  asked(ex, &die_at_first_task_, (struct small){.id = 1, .in = 9});
  while (shoal_executor_tend(ex, SHOAL_FOREVER) != -ENOTRECOVERABLE) continue;
  await_calls(1);
  assert_int_equal(shoal_load32_relaxed(&calls.codes), ENOTRECOVERABLE);
  end_executor(ex);
}

// ---- forked ----

static void note_in_child(const struct shoal_future *f, void *arg) {
  (void)f;
  ++*(int *)arg;
}
static int ask_in_child(void *executor) {
  struct shoal_executor *ex = executor;
  struct shoal_future f;
  struct small s = {.id = 3, .in = 5};
  int n = 0;
  if (shoal_executor_poll(ex, SHOAL_FOREVER)) return 1;  // its parent's is not its own
  if (SHOAL_SUBMIT(ex, square, &s, &f) || shoal_future_on_done(&f, note_in_child, &n)) return 2;
  if (shoal_executor_poll(ex, SHOAL_FOREVER) != 1 || n != 1) return 3;
  if (THREADED) return 0;  // no thread after a fork with others
  if (shoal_executor_callback_thread(ex)) return 4;
  memset(&calls, 0, sizeof calls);
  if (shoal_future_on_done(&f, note, NULL)) return 5;
  while (shoal_load32_seq_cst(&calls.n) < 1) usleep(100);
  return shoal_executor_detach(ex) ? 6 : shoal_load32_relaxed(&calls.elsewhere) ? 7 : 0;
}
static void test_forked(void **state) {
  (void)state;
  struct shoal_executor *ex = called_executor((struct shoal_executor_options){0});
  struct shoal_process p;
  struct shoal_process_options o = {.threaded = 1};
  int code;
  asked(ex, &hold_task_, (struct small){.id = 1, .in = 1});
  assert_int_equal(shoal_process_start(&p, ask_in_child, ex, &o), 0);
  assert_int_equal(shoal_process_join(&p, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_process_exitcode(&p, &code), 0);
  assert_int_equal(code, 0);
  assert_int_equal(shoal_process_close(&p), 0);
  assert_int_equal(shoal_load32_relaxed(&calls.n), 0);
  shoal_store32_relaxed(&ledger->go, 1);
  await_calls(1);
  end_executor(ex);
}

// ---- signals ----

static void test_signals(void **state) {
  (void)state;
  struct shoal_executor *ex = called_executor((struct shoal_executor_options){.workers = 1, .threads = 0});
  sigset_t ours, before, pending;
  struct shoal_future f = asked(ex, &square_task_, (struct small){.id = 1, .in = 5});
  await_calls(1);
  sigemptyset(&ours);
  sigaddset(&ours, SIGTERM);
  assert_int_equal(pthread_sigmask(SIG_BLOCK, &ours, &before), 0);
  kill(getpid(), SIGTERM);  // would end the process, if any thread took it
  asked(ex, &square_task_, (struct small){.id = 1, .in = 5});
  await_calls(2);
  assert_int_equal(sigpending(&pending), 0);
  assert_int_equal(sigismember(&pending, SIGTERM), 1);
  signal(SIGTERM, SIG_IGN);  // takes it back
  assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
  signal(SIGTERM, SIG_DFL);
  assert_int_equal(shoal_future_release(&f), 0);
  end_executor(ex);
}

// ---- refused ----

static unsigned refused_at;  // the thread that cannot be made; 0: all can
int __real_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*run)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*run)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*run)(void *), void *arg) {
  if (refused_at && --refused_at == 0) return EAGAIN;
  return __real_pthread_create(t, a, run, arg);
}
static void test_no_thread_can_be_made(void **state) {
  (void)state;
  for (unsigned n = 1; n <= WORKERS + 1; n++) {  // the last is that for callbacks
    struct shoal_executor *ex;
    struct shoal_executor_options o = {.workers = WORKERS, .threads = 1, .callback_thread = 1};
    refused_at = n;
    int rc = shoal_executor_create(seg, "refused", &o, &ex);
    assert_true(rc < 0);
    assert_int_equal(refused_at, 0);
    assert_int_equal(shoal_executor_open(seg, "refused", &ex), -ENOENT);
    assert_int_equal(shoal_thread_active_count(), 1);
  }
}

static void detach_it(const struct shoal_future *f, void *arg) {
  shoal_store32_seq_cst(arg, (uint32_t)-shoal_executor_detach(f->executor));
}
static void test_refused_where_workers_are_forked(void **state) {
  (void)state;
  if (THREADED) return;  // none are: the sanitizer has a thread
  struct shoal_executor *ex;
  struct shoal_executor_options o = {.workers = 1, .callback_thread = 1};
  int rc = shoal_executor_create(seg, "refused", &o, &ex);
  assert_int_equal(rc, -EBUSY);
  assert_non_null(strstr(shoal_reason(), "thread"));
  assert_int_equal(shoal_executor_open(seg, "refused", &ex), -ENOENT);
  assert_int_equal(callers(), 0);

  struct shoal_executor *second;
  o.callback_thread = 0;
  rc = shoal_executor_create(seg, "refused", &o, &ex);
  assert_int_equal(rc, 0);
  assert_int_equal(shoal_executor_open(seg, "refused", &second), 0);
  assert_int_equal(shoal_executor_callback_thread(second), -EBUSY);
  assert_int_equal(shoal_executor_detach(second), 0);
  assert_int_equal(shoal_executor_unlink(seg, "refused"), 0);
  end_executor(ex);
}

static void test_refused(void **state) {
  (void)state;
  struct shoal_executor *ex = called_executor((struct shoal_executor_options){0});
  assert_int_equal(shoal_executor_callback_thread(ex), -EALREADY);
  struct small s = {.id = 1, .in = 5};
  struct shoal_future f;
  static shoal_atomic32 answer;
  shoal_store32_relaxed(&answer, 0);
  assert_int_equal(SHOAL_SUBMIT(ex, square, &s, &f), 0);
  assert_int_equal(shoal_future_on_done(&f, detach_it, &answer), 0);
  while (!shoal_load32_seq_cst(&answer)) usleep(100);
  assert_int_equal(shoal_load32_relaxed(&answer), EDEADLK);
  assert_int_equal(shoal_future_release(&f), 0);
  end_executor(ex);
}

#define TEST(name) cmocka_unit_test_setup(test_##name, set_up)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(called),
      TEST(from_within),
      TEST(maps),
      TEST(at_the_end),
      TEST(detached_while_one_waits),
      TEST(map_ended_while_one_waits),
      TEST(map_call_ends_its_thread),
      TEST(creator_dies),
      TEST(broken),
      TEST(forked),
      TEST(signals),
      TEST(no_thread_can_be_made),
      TEST(refused_where_workers_are_forked),
      TEST(refused),
  };
  return cmocka_run_group_tests(tests, begin_tests, end_tests);
}
