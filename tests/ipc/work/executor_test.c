// Claims
//   result      what the task wrote is what get answers, for arguments in a line and of a megabyte; again until it is
//   released ledger      of thousands of jobs each runs once, with several threads and processes that submit
//   empty       a task of an empty struct runs
//   failed      code, message, task, worker and attempt reach the caller, who goes on
//   dies        a task that raises a signal, aborts, exits: its job alone has failed, with the signal; the others are
//   done retried     with retries it runs again; no more than that often; a job that is over is not run again
//   killed      workers killed at random: every job ends in exactly one state; done has run, retried at least once,
//   others at most cancel      a job that has not begun never runs; one that runs is only cancelled by force, and just
//   its worker is killed limit       a job that takes too long has failed, -ETIMEDOUT; jobs that do not are left alone
//   nested      tasks that submit and wait, all workers at once: no deadlock; also where the queue is full
//   elsewhere   a child of fork submits, and gets what its parent has submitted, by a token
//   orphaned    a process that is killed with futures: its jobs run, and their cells are free again
//   creator     killed: who waits for it is told
//   full        no cell left: -ENOSPC; released, one is
//   recycled    a worker ends after tasks_max, its finalizer has run, and is no restart
//   broken      restarts_max: waiting calls answer -ENOTRECOVERABLE and why; so with a failing initializer
//   ends        close: no more; shutdown with cancel; join; terminate ends what runs
//   refused     what does not fit changes nothing, and the reason says what it is
//   others      a name that is taken, or another type's; a fork of threads; more who submit than may; one who still may at the detach
#include "core/directory.h"
#include "tests/ipc/work/executor_support.h"

struct large {
  uint32_t id, n;
  uint64_t sum;
  uint32_t numbers[250000];
};

SHOAL_TASK(sum_up, struct large) {
  for (uint32_t i = 0; i < arg->n; i++) arg->sum += arg->numbers[i];
  return 0;
}
struct empty {};
SHOAL_TASK(count_empty, struct empty) {
  shoal_add32_relaxed(&ledger->begun[0], 1);
  return 0;
}
SHOAL_TASK(refuse_in_silence, struct small) { return arg->in ? -EDOM : 0; }
SHOAL_TASK(die, struct small) {
  shoal_add32_relaxed(&ledger->begun[arg->id], 1);
  switch (arg->in) {
    case 0: raise(SIGKILL); break;
    case 1: signal(SIGABRT, SIG_DFL), abort();
    case 2: exit(0);
    case 3: shoal_process_exit(7);
  }
  return 0;
}

// ---- results ----

static void test_result(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){0});
  struct small s = {.id = 1, .in = 12}, back;
  struct shoal_future f;
  assert_int_equal(SHOAL_SUBMIT(ex, square, &s, &f), 0);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(shoal_future_get(&f, &back, sizeof back, NULL, SHOAL_FOREVER), 0);
    assert_int_equal(back.out, 144);
  }
  assert_int_equal(shoal_future_done(&f), 1);
  assert_int_equal(shoal_future_succeeded(&f), 1);
  assert_int_equal(shoal_future_get(&f, &back, 5, NULL, SHOAL_FOREVER), -EBADMSG);
  assert_int_equal(shoal_future_release(&f), 0);
  assert_int_equal(shoal_future_release(&f), -EINVAL);
  assert_int_equal(shoal_future_get(&f, &back, sizeof back, NULL, SHOAL_FOREVER), -EINVAL);
  assert_int_equal(shoal_future_done(&f), -EINVAL);
  struct large *large = calloc(1, sizeof *large);
  large->n = 250000;
  for (uint32_t i = 0; i < large->n; i++) large->numbers[i] = i;
  for (int i = 0; i < 5; i++) {
    large->sum = 0;
    assert_int_equal(SHOAL_APPLY(ex, sum_up, large, NULL, SHOAL_FOREVER), 0);
    assert_int_equal(large->sum, UINT64_C(250000) * 249999 / 2);
  }
  free(large);
  end_executor(ex);
}

struct share {
  struct shoal_executor *ex;
  uint32_t from, n;
};
// A window of futures, and every fourth job without one.
static int submit_share(const struct share *share) {
  struct shoal_future window[64];
  uint32_t got = 0, sent = 0;
  int rc = 0;
  for (uint32_t i = 0; i < share->n && !rc; i++) {
    struct small s = {.id = share->from + i, .in = i};
    if (i % 4 == 3) {
      rc = SHOAL_SUBMIT(share->ex, square, &s, NULL);
      continue;
    }
    rc = SHOAL_SUBMIT(share->ex, square, &s, &window[sent++ % 64]);
    while (!rc && (sent - got == 64 || (i + 4 > share->n && got < sent))) {
      struct shoal_future *f = &window[got++ % 64];
      rc = shoal_future_get(f, &s, sizeof s, NULL, SHOAL_FOREVER);
      if (!rc && s.out != s.in * s.in) rc = -EDOM;
      if (!rc) rc = shoal_future_release(f);
    }
  }
  while (!rc && got < sent) rc = shoal_future_release(&window[got++ % 64]);
  return rc;
}
static void *submit_in_thread(void *share) { return (void *)(intptr_t)submit_share(share); }
static int submit_in_process(void *share) { return submit_share(share) ? 1 : 0; }

static void test_ledger(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){.jobs = 512});
  struct share shares[4];
  struct shoal_process p[2];
  pthread_t t[2];
  int code;
  void *answer;
  for (uint32_t i = 0; i < 4; i++) shares[i] = (struct share){ex, i * 5000, 5000};
  struct shoal_process_options o = {.threaded = 1};
  for (int i = 0; i < 2; i++) assert_int_equal(shoal_process_start(&p[i], submit_in_process, &shares[i], &o), 0);
  for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&t[i], NULL, submit_in_thread, &shares[2 + i]), 0);
  for (int i = 0; i < 2; i++) {
    pthread_join(t[i], &answer);
    assert_null(answer);
    assert_int_equal(shoal_process_join(&p[i], SHOAL_FOREVER), 0);
    assert_int_equal(shoal_process_exitcode(&p[i], &code), 0);
    assert_int_equal(code, 0);
    shoal_process_close(&p[i]);
  }
  assert_int_equal(shoal_executor_shutdown(ex, 0, SHOAL_FOREVER), 0);
  for (uint32_t i = 0; i < IDS; i++) assert_int_equal(shoal_load32_relaxed(&ledger->ended[i]), 1);
  struct shoal_executor_info info;
  assert_int_equal(shoal_executor_info(ex, &info), 0);
  assert_int_equal(info.pending + info.running + info.finished, 0);
  assert_int_equal(info.jobs, 0);
  assert_int_equal(info.done, IDS);
  end_executor(ex);
}

// ---- failures ----

static void test_failed(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){0});
  struct shoal_failure failure;
  struct small s = {.in = 7};
  assert_int_equal(SHOAL_APPLY(ex, refuse_odd, &s, &failure, SHOAL_FOREVER), -EREMOTEIO);
  assert_int_equal(failure.code, -EDOM);
  assert_string_equal(failure.message, "7 is odd");
  assert_string_equal(failure.task, "refuse_odd");
  assert_int_equal(failure.attempt, 1);
  assert_in_range(failure.worker, 0, WORKERS - 1);
  assert_non_null(strstr(shoal_reason(), "(-33): 7 is odd"));
  assert_int_equal(SHOAL_APPLY(ex, refuse_in_silence, &s, &failure, SHOAL_FOREVER), -EREMOTEIO);
  assert_string_equal(failure.message, "");
  assert_string_equal(strstr(shoal_reason(), " (-33)"), " (-33)");
  s.in = 8;
  assert_int_equal(SHOAL_APPLY(ex, refuse_odd, &s, NULL, SHOAL_FOREVER), 0);
  assert_int_equal(s.out, 8);
  end_executor(ex);
}

static void test_dies(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){0});
  static const int signals[] = {SIGKILL, SIGABRT, 0, 0};
  struct shoal_future f[8];
  struct shoal_failure failure;
  for (uint32_t i = 0; i < 8; i++) {
    struct small s = {.id = i, .in = i / 2};
    int rc = i % 2 ? SHOAL_SUBMIT(ex, square, &s, &f[i]) : SHOAL_SUBMIT(ex, die, &s, &f[i]);
    assert_int_equal(rc, 0);
    if (i % 2 == 0) {
      assert_int_equal(shoal_future_get(&f[i], NULL, 0, &failure, SHOAL_FOREVER), -EREMOTEIO);
      assert_int_equal(failure.code, -ENOTRECOVERABLE);
      assert_int_equal(failure.attempt, 1);
      assert_string_equal(failure.task, "die");
      while (signals[i / 2] && !failure.signal) shoal_future_failure(&f[i], &failure);  // until it is reaped
      assert_int_equal(failure.signal, signals[i / 2]);
      assert_string_equal(failure.message, i == 0   ? "signal 9 killed the worker"
                                           : i == 2 ? "signal 6 killed the worker"
                                                    : "the worker died");
    }
  }
  for (uint32_t i = 1; i < 8; i += 2) assert_int_equal(shoal_future_get(&f[i], NULL, 0, NULL, SHOAL_FOREVER), 0);
  for (uint32_t i = 0; i < 8; i++) assert_int_equal(shoal_load32_relaxed(&ledger->begun[i]), 1);
  for (uint32_t i = 0; i < 8; i++) assert_int_equal(shoal_future_release(&f[i]), 0);
  end_executor(ex);
}

static void test_retried(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){.retries = 2});
  struct shoal_failure failure;
  for (uint32_t deaths = 0; deaths < 5; deaths++) {
    struct small s = {.id = deaths, .in = deaths};
    int rc = SHOAL_APPLY(ex, die_at_first, &s, &failure, SHOAL_FOREVER);
    assert_int_equal(rc, deaths <= 2 ? 0 : -EREMOTEIO);
    assert_int_equal(shoal_load32_relaxed(&ledger->begun[deaths]), deaths <= 2 ? deaths + 1 : 3);
    if (rc) assert_int_equal(failure.attempt, 3);
  }
  end_executor(ex);
}

// Workers killed at random under load. `retries`: every job is done; without: each is done or failed, and none ran
// twice.
static void kill_workers(uint32_t retries) {
  enum { WINDOW = 100, JOBS = 2000, EVERY = 100 };
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){.retries = retries, .jobs = 256});
  struct shoal_future f[WINDOW];
  unsigned seed = 7, failed = 0, done = 0;
  for (uint32_t i = 0; i < JOBS + WINDOW; i++) {
    struct shoal_future *at = &f[i % WINDOW];
    struct small s = {.id = i, .in = i};
    if (i >= WINDOW) {
      int rc = shoal_future_get(at, &s, sizeof s, NULL, SHOAL_FOREVER);
      uint32_t id = i - WINDOW, begun = shoal_load32_relaxed(&ledger->begun[id]);
      assert_true(rc == 0 || rc == -EREMOTEIO);
      rc ? failed++ : done++;
      if (rc == 0) assert_int_equal(s.out, id * id);
      if (rc == 0 || retries) assert_true(shoal_load32_relaxed(&ledger->ended[id]) >= 1);
      if (!retries) assert_true(begun <= 1);
      assert_int_equal(shoal_future_release(at), 0);
    }
    s = (struct small){.id = i, .in = i};
    if (i < JOBS) assert_int_equal(SHOAL_SUBMIT(ex, square, &s, at), 0);
    struct shoal_executor_worker w;
    if (i % EVERY == 0 && !shoal_executor_worker(ex, (unsigned)rand_r(&seed) % WORKERS, &w) && w.pid)
      kill(w.pid, SIGKILL);
  }
  assert_int_equal(done + failed, JOBS);
  if (retries) assert_int_equal(failed, 0);
  struct shoal_executor_info info;
  assert_int_equal(shoal_executor_info(ex, &info), 0);
  assert_int_equal(info.jobs, 0);
  assert_true(info.restarts > 0);
  end_executor(ex);
}
static void test_killed(void **state) {
  (void)state;
  kill_workers(0);
  set_up(NULL);
  kill_workers(60);
}

// ---- giving up ----

static void test_cancel(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){.workers = 2});
  struct shoal_future f[4];
  for (uint32_t i = 0; i < 4; i++) {
    struct small s = {.id = i, .in = 1};
    assert_int_equal(SHOAL_SUBMIT(ex, hold, &s, &f[i]), 0);
    if (i < 2) await_begun(i);
  }
  assert_int_equal(shoal_future_cancel(&f[2], 0), 0);
  assert_int_equal(shoal_future_cancelled(&f[2]), 1);
  assert_int_equal(shoal_future_get(&f[2], NULL, 0, NULL, SHOAL_FOREVER), -ECANCELED);
  assert_int_equal(shoal_future_cancel(&f[2], 0), -EALREADY);
  assert_int_equal(shoal_future_running(&f[0]), 1);
  assert_int_equal(shoal_future_cancel(&f[0], 0), -EBUSY);
  assert_int_equal(shoal_future_cancel(&f[0], SHOAL_FORCE), 0);
  assert_int_equal(shoal_future_get(&f[0], NULL, 0, NULL, SHOAL_FOREVER), -ECANCELED);
  assert_int_equal(shoal_load32_relaxed(&ledger->ended[0]), 0);
  shoal_store32_relaxed(&ledger->go, 1);
  assert_int_equal(shoal_future_get(&f[1], NULL, 0, NULL, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_future_get(&f[3], NULL, 0, NULL, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_load32_relaxed(&ledger->begun[2]), 0);
  for (uint32_t i = 0; i < 4; i++) assert_int_equal(shoal_future_release(&f[i]), 0);
  struct shoal_executor_info info;
  assert_int_equal(shoal_executor_info(ex, &info), 0);
  assert_int_equal(info.jobs, 0);
  assert_int_equal(info.restarts, 1);
  end_executor(ex);
}

static void test_limit(void **state) {
  (void)state;
  struct shoal_executor_options o = {.time_limit_ns = INT64_C(3600000000000), .retries = 3};
  struct shoal_executor *ex = executor_of(o);
  struct shoal_future f;
  struct small s = {.id = 1, .in = 1}, ok = {.id = 2, .in = 5};
  struct shoal_failure failure;
  assert_int_equal(SHOAL_SUBMIT(ex, hold, &s, &f), 0);
  assert_int_equal(SHOAL_APPLY(ex, square, &ok, NULL, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_future_get(&f, NULL, 0, NULL, SHOAL_TRY), -EAGAIN);
  assert_int_equal(shoal_future_get(&f, NULL, 0, NULL, shoal_after_ms(1)), -ETIMEDOUT);
  shoal_store32_relaxed(&ledger->go, 1);
  assert_int_equal(shoal_future_get(&f, NULL, 0, NULL, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_future_release(&f), 0);
  end_executor(ex);
  o.time_limit_ns = 100000000;
  ex = executor_of(o);
  s = (struct small){.id = 3, .in = 9};
  assert_int_equal(SHOAL_SUBMIT(ex, hold, &s, &f), 0);
  assert_int_equal(shoal_future_get(&f, NULL, 0, &failure, SHOAL_FOREVER), -EREMOTEIO);
  assert_int_equal(failure.code, -ETIMEDOUT);
  assert_int_equal(failure.attempt, 1);
  assert_int_equal(shoal_future_release(&f), 0);
  end_executor(ex);
}

// ---- nested ----

static void test_nested(void **state) {
  (void)state;
  for (uint32_t jobs = 1024; jobs >= 64; jobs /= 16) {  // the second: the queue is often full
    struct shoal_executor *ex = executor_of((struct shoal_executor_options){.workers = 2, .jobs = jobs});
    struct deep d = {jobs == 1024 ? 8 : 5, 0};
    int rc = SHOAL_APPLY(ex, fork_join, &d, NULL, SHOAL_FOREVER);
    if (rc) print_message("%d %s\n", rc, shoal_reason());
    assert_int_equal(rc, 0);
    assert_int_equal(d.leaves, 1u << d.n);
    end_executor(ex);
  }
}

// ---- other processes ----

static int get_by_token(void *arg) {
  struct shoal_future f;
  struct small s;
  if (shoal_future_open(arg, ledger->token, &f)) return 1;
  if (shoal_future_get(&f, &s, sizeof s, NULL, SHOAL_FOREVER)) return 2;
  if (s.out != 81) return 3;
  s = (struct small){.id = 1, .in = 5};
  if (SHOAL_APPLY(arg, square, &s, NULL, SHOAL_FOREVER) || s.out != 25) return 4;
  return shoal_future_release(&f) ? 5 : 0;
}
static int run_child(int (*work)(void *), void *arg) {
  struct shoal_process p;
  int code;
  struct shoal_process_options o = {.threaded = THREADED};
  assert_int_equal(shoal_process_start(&p, work, arg, &o), 0);
  assert_int_equal(shoal_process_join(&p, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_process_exitcode(&p, &code), 0);
  shoal_process_close(&p);
  return code;
}

static void test_elsewhere(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){0});
  struct shoal_future f;
  struct small s = {.id = 0, .in = 9};
  assert_int_equal(SHOAL_SUBMIT(ex, square, &s, &f), 0);
  ledger->token = shoal_future_token(&f);
  assert_int_equal(run_child(get_by_token, ex), 0);
  assert_int_equal(shoal_future_done(&f), -EINVAL);  // the child has released it
  assert_int_equal(shoal_future_open(ex, UINT64_MAX, &f), -EINVAL);
  end_executor(ex);
}

static int leave_futures(void *ex) {
  struct shoal_future f;
  for (uint32_t i = 0; i < 10; i++) {
    struct small s = {.id = i, .in = 1};
    if (SHOAL_SUBMIT(ex, hold, &s, &f)) return 1;
  }
  struct small s = {.id = 20};
  if (SHOAL_SUBMIT(ex, square, &s, &f)) return 2;
  raise(SIGKILL);
  return 0;
}
static void test_orphaned(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){.jobs = 16});
  struct shoal_executor_info info;
  assert_int_equal(run_child(leave_futures, ex), -SIGKILL);
  shoal_executor_reap(ex);
  shoal_store32_relaxed(&ledger->go, 1);
  for (struct small s = {.id = 30}; s.id < 60; s.id++) {
    int rc = SHOAL_APPLY(ex, square, &s, NULL, SHOAL_FOREVER);
    assert_int_equal(rc, 0);
  }
  assert_int_equal(shoal_executor_shutdown(ex, 0, SHOAL_FOREVER), 0);
  for (uint32_t i = 0; i < 10; i++) assert_int_equal(shoal_load32_relaxed(&ledger->ended[i]), 1);
  shoal_executor_reap(ex);
  assert_int_equal(shoal_executor_info(ex, &info), 0);
  assert_int_equal(info.jobs, 0);
  end_executor(ex);
}

static int create_and_die(void *arg) {
  (void)arg;
  struct shoal_executor *ex;
  struct shoal_future f;
  struct shoal_executor_options o = {.workers = 1, .threaded = 1};
  struct small s = {.id = 0, .in = 1};
  if (shoal_executor_create(seg, "orphan", &o, &ex) || SHOAL_SUBMIT(ex, hold, &s, &f)) return 1;
  await_begun(0);
  ledger->token = shoal_future_token(&f);
  shoal_store32_relaxed(&ledger->begun[1], 1);
  for (;;) pause();
}
static void test_creator(void **state) {
  (void)state;
  struct shoal_process p;
  struct shoal_executor *ex;
  struct shoal_future f;
  struct small s = {.id = 5};
  struct shoal_process_options o = {.threaded = THREADED};
  assert_int_equal(shoal_process_start(&p, create_and_die, NULL, &o), 0);
  await_begun(1);
  assert_int_equal(shoal_executor_open(seg, "orphan", &ex), 0);
  assert_int_equal(shoal_future_open(ex, ledger->token, &f), 0);
  assert_int_equal(shoal_future_get(&f, NULL, 0, NULL, shoal_after_ms(30)), -ETIMEDOUT);
  assert_int_equal(shoal_executor_tend(ex, SHOAL_TRY), -ECHILD);
  shoal_process_kill(&p);
  assert_int_equal(shoal_future_get(&f, NULL, 0, NULL, SHOAL_FOREVER), -EPIPE);
  assert_int_equal(SHOAL_APPLY(ex, square, &s, NULL, SHOAL_FOREVER), -EPIPE);
  shoal_process_join(&p, SHOAL_FOREVER);
  shoal_process_close(&p);
  assert_int_equal(shoal_executor_unlink(seg, "orphan"), 0);
  end_executor(ex);
}

// ---- limits and ends ----

static void test_full(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){.jobs = 16});
  struct shoal_future f[17];
  struct small s = {.id = 0};
  for (int i = 0; i < 16; i++) assert_int_equal(SHOAL_SUBMIT(ex, square, &s, &f[i]), 0);
  assert_int_equal(SHOAL_SUBMIT(ex, square, &s, &f[16]), -ENOSPC);
  assert_int_equal(shoal_future_get(&f[3], NULL, 0, NULL, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_future_release(&f[3]), 0);
  assert_int_equal(SHOAL_SUBMIT(ex, square, &s, &f[3]), 0);
  for (int i = 0; i < 16; i++) assert_int_equal(shoal_future_release(&f[i]), 0);
  for (int i = 0; i < 3000; i++) assert_int_equal(SHOAL_SUBMIT(ex, square, &s, NULL), 0);  // waits for room
  end_executor(ex);
}

static int count_init(void *arg, unsigned worker) {
  shoal_add32_relaxed(&ledger->inits[worker], 1);
  return arg ? *(int *)arg : 0;
}
static void count_final(void *arg, unsigned worker) {
  (void)arg;
  shoal_add32_relaxed(&ledger->finals[worker], 1);
}
static void test_recycled(void **state) {
  (void)state;
  struct shoal_executor_options o = {.workers = 1, .init = count_init, .finalize = count_final, .tasks_max = 10};
  struct shoal_executor *ex = executor_of(o);
  struct shoal_executor_info info;
  for (struct small s = {.id = 0}; s.id < 95; s.id++)
    if (SHOAL_APPLY(ex, square, &s, NULL, SHOAL_FOREVER)) fail();
  assert_int_equal(shoal_executor_shutdown(ex, 0, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_executor_info(ex, &info), 0);
  assert_int_equal(info.restarts, 0);
  assert_int_equal(info.recycled, 9);
  assert_int_equal(shoal_load32_relaxed(&ledger->inits[0]), 10);
  assert_int_equal(shoal_load32_relaxed(&ledger->finals[0]), 10);
  end_executor(ex);
}

SHOAL_TASK(policy, struct small) {
  arg->out = (uint32_t)sched_getscheduler(0);
  return 0;
}
static int interrupt(void *arg, unsigned worker) {
  (void)arg, (void)worker;
  return sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){0});
}
// Processes and threads; the creator stays what it is, and an initializer has the last word.
static void test_turns(void **state) {
  (void)state;
  int mine = sched_getscheduler(0);
  for (int threads = 0; threads < 2; threads++)
    for (int asks = 0; asks < 2; asks++) {
      struct shoal_executor *ex = executor_of(
          (struct shoal_executor_options){.workers = 1, .threads = threads, .init = asks ? interrupt : NULL});
      struct small s = {.id = 1};
      assert_int_equal(SHOAL_APPLY(ex, policy, &s, NULL, SHOAL_FOREVER), 0);
      assert_int_equal(s.out, asks ? SCHED_OTHER : mine == SCHED_OTHER ? SCHED_BATCH : mine);
      assert_int_equal(sched_getscheduler(0), mine);
      end_executor(ex);
    }
}

static void refused(int rc, int code, const char *why) {
  assert_int_equal(rc, code);
  if (!strstr(shoal_reason(), why)) fail_msg("not \"%s\": %s", why, shoal_reason());
}
static void test_broken(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of(
      (struct shoal_executor_options){.workers = 1, .restarts_max = 2, .restarts_within_ns = INT64_C(3600000000000)});
  struct shoal_future f[6];
  struct shoal_executor_info info;
  for (uint32_t i = 0; i < 6; i++) {
    struct small s = {.id = i};
    assert_int_equal(SHOAL_SUBMIT(ex, die, &s, &f[i]), 0);
  }
  assert_int_equal(shoal_future_get(&f[0], NULL, 0, NULL, SHOAL_FOREVER), -EREMOTEIO);
  assert_int_equal(shoal_future_get(&f[5], NULL, 0, NULL, SHOAL_FOREVER), -ENOTRECOVERABLE);
  assert_non_null(strstr(shoal_reason(), "too many workers died"));
  struct small s = {.id = 9};
  assert_int_equal(SHOAL_APPLY(ex, square, &s, NULL, SHOAL_FOREVER), -ENOTRECOVERABLE);
  assert_int_equal(shoal_executor_info(ex, &info), 0);
  assert_int_equal(info.broken, -ENOTRECOVERABLE);
  refused(shoal_executor_resize(ex, 1, SHOAL_FOREVER), -ENOTRECOVERABLE, "too many workers died");
  end_executor(ex);
  int bad = -EACCES;
  assert_int_equal(make_executor((struct shoal_executor_options){.init = count_init, .arg = &bad}, &ex), 0);
  int rc = SHOAL_APPLY(ex, square, &s, NULL, SHOAL_FOREVER);
  assert_int_equal(rc, -ENOTRECOVERABLE);
  assert_non_null(strstr(shoal_reason(), "initializer"));
  end_executor(ex);
}

static void test_ends(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){.workers = 1});
  struct shoal_future f[10];
  struct small s;
  for (uint32_t i = 0; i < 10; i++) {
    s = (struct small){.id = i, .in = 1};
    assert_int_equal(SHOAL_SUBMIT(ex, hold, &s, &f[i]), 0);
  }
  await_begun(0);
  assert_int_equal(shoal_executor_join(ex, SHOAL_FOREVER), -EINVAL);
  assert_int_equal(shoal_executor_shutdown(ex, SHOAL_CANCEL_PENDING, shoal_after_ms(30)), -ETIMEDOUT);
  assert_int_equal(SHOAL_SUBMIT(ex, hold, &s, NULL), -EPIPE);
  shoal_store32_relaxed(&ledger->go, 1);
  assert_int_equal(shoal_executor_join(ex, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_future_get(&f[0], &s, sizeof s, NULL, SHOAL_FOREVER), 0);
  for (int i = 1; i < 10; i++) assert_int_equal(shoal_future_get(&f[i], &s, sizeof s, NULL, SHOAL_FOREVER), -ECANCELED);
  end_executor(ex);
  shoal_store32_relaxed(&ledger->go, 0);
  ex = executor_of((struct shoal_executor_options){.workers = 1});
  s = (struct small){.id = 11, .in = 1};
  assert_int_equal(SHOAL_SUBMIT(ex, hold, &s, &f[0]), 0);
  assert_int_equal(SHOAL_SUBMIT(ex, hold, &s, &f[1]), 0);
  await_begun(11);
  assert_int_equal(shoal_executor_terminate(ex, shoal_after_ms(10)), 0);
  assert_int_equal(shoal_future_get(&f[0], &s, sizeof s, NULL, SHOAL_FOREVER), -EREMOTEIO);
  assert_int_equal(shoal_future_get(&f[1], &s, sizeof s, NULL, SHOAL_FOREVER), -ECANCELED);
  assert_int_equal(SHOAL_SUBMIT(ex, hold, &s, NULL), -EPIPE);
  end_executor(ex);
}

static void test_empty(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){.workers = 1});
  struct empty e, *none = NULL;
  struct shoal_future f;
  for (uint32_t i = 1; i <= 3; i++) {
    assert_int_equal(SHOAL_APPLY(ex, count_empty, &e, NULL, SHOAL_FOREVER), 0);
    assert_int_equal(shoal_load32_relaxed(&ledger->begun[0]), i);
  }
  assert_int_equal(SHOAL_SUBMIT(ex, count_empty, none, &f), 0);
  assert_int_equal(shoal_future_get(&f, NULL, 0, NULL, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_future_release(&f), 0);
  end_executor(ex);
}

struct submitter {
  struct shoal_executor *ex;
  shoal_atomic32 done;
  int rc, stays;
};
static void *submit_and_stay(void *arg) {
  struct submitter *us = arg;
  struct small s = {.id = 3, .in = 2};
  us->rc = SHOAL_SUBMIT(us->ex, square, &s, NULL);
  shoal_store32_release(&us->done, 1);
  while (us->stays && !shoal_load32_acquire(&ledger->go)) usleep(100);
  return NULL;
}
static int submit_from_thread(struct submitter *us, pthread_t *thread) {
  assert_int_equal(pthread_create(thread, NULL, submit_and_stay, us), 0);
  while (!shoal_load32_acquire(&us->done)) usleep(100);
  return us->rc;
}
static void test_others(void **state) {
  (void)state;
  struct shoal_executor_options o = {.workers = 1, .producers = 2, .threaded = THREADED};
  struct shoal_executor *ex, *none = NULL;
  struct shoal_object box;
  pthread_t threads[2];
  assert_int_equal(shoal_object_create(seg, "box", "box", 64, NULL, NULL, &box), 0);
  assert_int_equal(shoal_executor_create(seg, "ours", &o, &ex), 0);
  refused(shoal_executor_create(seg, "ours", &o, &none), -EEXIST, "ours");
  refused(shoal_executor_create(seg, "box", &o, &none), -EEXIST, "box");
  refused(shoal_executor_open(seg, "box", &none), -EBADMSG, "box");
  refused(shoal_executor_unlink(seg, "box"), -EBADMSG, "box");
  refused(shoal_executor_unlink(seg, "nowhere"), -ENOENT, "nowhere");
  struct submitter one = {.ex = ex, .stays = 1}, more = {.ex = ex};
  assert_int_equal(submit_from_thread(&one, &threads[0]), 0);
  assert_int_equal(submit_from_thread(&more, &threads[1]), -EUSERS);
  assert_int_equal(pthread_join(threads[1], NULL), 0);
  o.threaded = 0;
  refused(shoal_executor_create(seg, "new", &o, &none), -EBUSY, "threads");
  assert_int_equal(shoal_executor_open(seg, "new", &none), -ENOENT);
  assert_null(none);
  refused(shoal_executor_detach(ex), -EBUSY, "another thread");
  shoal_store32_release(&ledger->go, 1);
  assert_int_equal(pthread_join(threads[0], NULL), 0);
  assert_int_equal(shoal_executor_open(seg, "ours", &none), 0);  // what was refused has left it
  end_executor(none);
  end_executor(ex);
  assert_int_equal(shoal_executor_unlink(seg, "ours"), 0);
  assert_int_equal(shoal_object_remove(seg, "box"), 0);
  assert_int_equal(shoal_object_close(seg, &box), 0);
}

static void test_refused(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){.workers = 1}), *none = NULL;
  static const struct shoal_task stray = {.name = "stray", .type = "int", .size = sizeof(int)};
  struct small s = {.id = 1}, untouched = {7, 8, 9}, *missing = NULL;
  struct shoal_future f = {NULL, 5, 6};
  int i = 0;
  refused(shoal_executor_submit(ex, "nobody", &s, sizeof s, SHOAL_FOREVER, &f), -ENOENT, "nobody");
  refused(shoal_executor_apply(ex, "nobody", &untouched, sizeof s, NULL, SHOAL_FOREVER), -ENOENT, "nobody");
  refused(shoal_executor_submit_task(ex, &stray, &i, sizeof i, SHOAL_FOREVER, &f), -ENOENT, "stray is not registered");
  refused(shoal_executor_submit(ex, "square", &s, 3, SHOAL_FOREVER, &f), -EBADMSG, "of 12 bytes, not 3");
  refused(shoal_executor_apply(ex, "square", &untouched, 13, NULL, SHOAL_FOREVER), -EBADMSG, "of 12 bytes, not 13");
  refused(SHOAL_SUBMIT(ex, square, missing, &f), -EINVAL, "no argument");
  refused(SHOAL_APPLY(ex, square, missing, NULL, SHOAL_FOREVER), -EINVAL, "no argument");
  assert_true(!f.executor && f.job == 5 && untouched.in == 8 && untouched.out == 9);
  refused(make_executor((struct shoal_executor_options){.workers = 1001}, &none), -EINVAL, "1001 workers");
  refused(make_executor((struct shoal_executor_options){.workers = 3, .workers_max = 2}, &none), -EINVAL, "3 workers");
  refused(make_executor((struct shoal_executor_options){.jobs = UINT32_MAX}, &none), -EINVAL, "jobs");
  refused(make_executor((struct shoal_executor_options){.retries = 63}, &none), -EINVAL, "63 retries");
  refused(make_executor((struct shoal_executor_options){.producers = 1025}, &none), -EINVAL, "1025 producers");
  refused(make_executor((struct shoal_executor_options){.time_limit_ns = -1}, &none), -EINVAL, "a time limit of -1");
  refused(make_executor((struct shoal_executor_options){.retry_delay_ns = -1}, &none), -EINVAL, "a delay of -1");
  refused(shoal_executor_open(seg, "nowhere", &none), -ENOENT, "nowhere");
  refused(shoal_executor_shutdown(ex, 6, SHOAL_FOREVER), -EINVAL, "flags 6");
  refused(shoal_executor_join(ex, SHOAL_FOREVER), -EINVAL, "not closed");
  refused(shoal_executor_resize(ex, 0, SHOAL_FOREVER), -EINVAL, "0 workers");
  assert_null(none);
  struct shoal_executor_info info;
  assert_int_equal(shoal_executor_info(ex, &info), 0);
  assert_int_equal(info.jobs, 0);

  // got twice, and after its release; released twice; cancelled when it is over
  assert_int_equal(SHOAL_SUBMIT(ex, square, &s, &f), 0);
  for (i = 0; i < 2; i++) assert_int_equal(shoal_future_get(&f, &s, sizeof s, NULL, SHOAL_FOREVER), 0);
  refused(shoal_future_get(&f, &s, 5, NULL, SHOAL_FOREVER), -EBADMSG, "12 bytes, not 5");
  refused(shoal_future_cancel(&f, 0), -EALREADY, "over");
  refused(shoal_future_cancel(&f, 2), -EINVAL, "flags 2");
  refused(shoal_future_on_done(&f, NULL, NULL), -EINVAL, "no callback");
  assert_int_equal(shoal_future_release(&f), 0);
  refused(shoal_future_get(&f, &s, sizeof s, NULL, SHOAL_FOREVER), -EINVAL, "released");
  refused(shoal_future_release(&f), -EINVAL, "released");
  refused(shoal_future_on_done(&f, NULL, NULL), -EINVAL, "released");
  refused(SHOAL_THEN(&f, square, NULL), -EINVAL, "released");
  refused(shoal_future_open(ex, shoal_future_token(&f), &f), -EINVAL, "released");

  assert_int_equal(shoal_executor_close(ex), 0);
  refused(SHOAL_SUBMIT(ex, square, &s, &f), -EPIPE, "closed");
  refused(SHOAL_APPLY(ex, square, &s, NULL, SHOAL_FOREVER), -EPIPE, "closed");
  refused(shoal_executor_resize(ex, 1, SHOAL_FOREVER), -EPIPE, "closed");
  assert_int_equal(shoal_executor_terminate(ex, SHOAL_TRY), 0);
  refused(SHOAL_SUBMIT(ex, square, &s, &f), -EPIPE, "terminated");
  end_executor(ex);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_empty, set_up),     cmocka_unit_test_setup(test_result, set_up),
      cmocka_unit_test_setup(test_ledger, set_up),    cmocka_unit_test_setup(test_failed, set_up),
      cmocka_unit_test_setup(test_dies, set_up),      cmocka_unit_test_setup(test_retried, set_up),
      cmocka_unit_test_setup(test_killed, set_up),    cmocka_unit_test_setup(test_cancel, set_up),
      cmocka_unit_test_setup(test_limit, set_up),     cmocka_unit_test_setup(test_nested, set_up),
      cmocka_unit_test_setup(test_elsewhere, set_up), cmocka_unit_test_setup(test_orphaned, set_up),
      cmocka_unit_test_setup(test_creator, set_up),   cmocka_unit_test_setup(test_full, set_up),
      cmocka_unit_test_setup(test_recycled, set_up),  cmocka_unit_test_setup(test_broken, set_up),
      cmocka_unit_test_setup(test_ends, set_up),      cmocka_unit_test_setup(test_refused, set_up),
      cmocka_unit_test_setup(test_others, set_up),    cmocka_unit_test_setup(test_turns, set_up),
  };
  return cmocka_run_group_tests(tests, begin_tests, end_tests);
}
