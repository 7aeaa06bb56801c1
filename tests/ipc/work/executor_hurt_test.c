// What programs and people do to an executor. Claims
//   stopped     a worker that is stopped holds up its own job only, and is killed by that job's time limit; one that is
//               stopped between jobs holds up nobody, but a shutdown until its deadline
//   interrupted SIGINT to the whole group, or SIGTERM to a program, that handles it: what runs is done, what does not
//   is
//               cancelled, each once; no process and no segment stays
//   ended       a program that does not handle SIGINT, or is told SIGTERM: its workers end with it
//   left        callers killed within submit: a shutdown does not wait for what they left
//   unplaced    what is cancelled while its caller waits for room never runs, and the caller is told at once
//   condemned   by somebody who died before he said so: its worker is killed within the time limit
//   late        what is over its time limit fails, what was cancelled before is cancelled: who came first counts
//   nested_limit  a task that runs others while it waits is over its limit all the same
//   behind      a shutdown waits for what a task submits behind it, and for what that submits
//   no_successor  for a worker that dies at the end: a join waits for the others, and tries again now and then
//   shared      a result that is got by one while another releases it is that result, or -EINVAL
//   forked      children are forked while other threads submit, and submit as well
//   unstarted   a child of fork, and its child, whose first calls are on jobs: a lock held by a thread that stayed
//               behind keeps out nobody
//   callbacks   are those of the process that asked: a child's calls run none of its parent's, nor do workers
//   jumps       a task that leaves another by longjmp ends its worker: nobody waits for ever
//   memory      a task without memory fails by itself, or dies, and the next is done
//   children    workers are daemons: a task starts no process and creates no executor
//   elsewhere   who is not the creator ends nothing
//   forged      whose orders lie in a queue of another kind, or under another policy, is not opened
//   told        a worker's words, scribbled over, tell of a failure that was none
//   stray       a job whose task the workers' program has not, or has with another argument, fails by itself
//   default     no number of workers: as many as processors
#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "ipc/work/executor_internal.h"
#include "ipc/work/processors.h"
#include "tests/ipc/work/executor_support.h"

static void squares(struct shoal_executor *ex, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) {
    struct small s = {.id = 100 + i, .in = i};
    assert_int_equal(SHOAL_APPLY(ex, square, &s, NULL, SHOAL_FOREVER), 0);
    assert_int_equal(s.out, i * i);
  }
}

// Under a time limit that a loaded machine may have any job reach: the executor goes on, all the same.
static void goes_on(struct shoal_executor *ex) {
  struct shoal_failure failure = {.code = 0};
  struct small s = {.id = 100, .in = 7};
  int rc;
  do rc = SHOAL_APPLY(ex, square, &s, &failure, SHOAL_FOREVER);
  while (rc == -EREMOTEIO && failure.code == -ETIMEDOUT);
  assert_int_equal(rc, 0);
  assert_int_equal(s.out, 49);
}

static int nothing(void *arg) { return arg != NULL; }

// ---- stopped ----

static void stop(pid_t worker) {
  siginfo_t info;
  assert_int_equal(kill(worker, SIGSTOP), 0);
  assert_int_equal(waitid(P_PID, (id_t)worker, &info, WSTOPPED | WNOWAIT), 0);  // else it may take a job first
}
static struct shoal_future held_by_one_that_is_stopped(struct shoal_executor *ex, uint32_t id) {
  struct shoal_future f;
  struct small s = {.id = id, .in = 1};
  assert_int_equal(SHOAL_SUBMIT(ex, hold, &s, &f), 0);
  await_begun(id);
  stop((pid_t)shoal_load32_relaxed(&ledger->holder));
  return f;
}
static void test_stopped(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){.workers = 2});
  struct shoal_executor_worker w;
  struct shoal_failure failure;
  struct shoal_future f = held_by_one_that_is_stopped(ex, 1);
  squares(ex, 50);
  assert_int_equal(shoal_future_get(&f, NULL, 0, NULL, SHOAL_TRY), -EAGAIN);
  assert_int_equal(shoal_future_cancel(&f, SHOAL_FORCE), 0);
  assert_int_equal(shoal_future_get(&f, NULL, 0, NULL, SHOAL_FOREVER), -ECANCELED);
  assert_int_equal(shoal_future_release(&f), 0);
  squares(ex, 5);
  assert_int_equal(shoal_executor_worker(ex, 0, &w), 0);
  stop(w.pid);
  squares(ex, 20);
  assert_int_equal(shoal_executor_shutdown(ex, 0, shoal_after_ms(20)), -ETIMEDOUT);
  assert_int_equal(shoal_executor_terminate(ex, SHOAL_TRY), 0);
  end_executor(ex);
  ex = executor_of((struct shoal_executor_options){.workers = 2, .time_limit_ns = 100000000});
  f = held_by_one_that_is_stopped(ex, 2);
  goes_on(ex);
  assert_int_equal(shoal_future_get(&f, NULL, 0, &failure, SHOAL_FOREVER), -EREMOTEIO);
  assert_int_equal(failure.code, -ETIMEDOUT);
  assert_int_equal(shoal_future_release(&f), 0);
  goes_on(ex);
  end_executor(ex);
}

// ---- signals ----

static volatile sig_atomic_t interrupted;
static void interrupt(int signal) { interrupted = signal; }

// A program in a group of its own. Two of its jobs run when it is told; two more wait. 0: it ends in order.
static int program(void *handles) {
  struct shoal_segment *own;
  struct shoal_executor *ex;
  struct shoal_future f[4];
  char name[32];
  setpgid(0, 0);
  signal(SIGINT, handles ? interrupt : SIG_DFL);  // whatever it is in who has begun the test
  signal(SIGTERM, handles ? interrupt : SIG_DFL);
  snprintf(name, sizeof name, "hurt-%d", getppid());
  if (shoal_segment_create(handles ? name : NULL, NULL, &own)) return 1;
  struct shoal_executor_options o = {.workers = 2, .threaded = THREADED};
  if (shoal_executor_create(own, NULL, &o, &ex)) return 2;
  for (uint32_t i = 0; i < 4; i++) {
    struct small s = {.id = i, .in = 1};
    if (SHOAL_SUBMIT(ex, hold, &s, &f[i])) return 3;
  }
  await_begun(0), await_begun(1);
  shoal_store32_relaxed(&ledger->begun[50], 1);
  while (!interrupted)
    if (shoal_executor_tend(ex, shoal_after_ms(5)) < 0) return 4;
  for (uint32_t i = 2; i < 4; i++)
    if (shoal_future_cancel(&f[i], 0)) return 5;
  shoal_store32_relaxed(&ledger->go, 1);
  if (shoal_executor_shutdown(ex, SHOAL_CANCEL_PENDING, SHOAL_FOREVER)) return 6;
  for (uint32_t i = 0; i < 4; i++)
    if (shoal_future_get(&f[i], NULL, 0, NULL, SHOAL_TRY) != (i < 2 ? 0 : -ECANCELED)) return 7;
  if (shoal_segment_unlink(name)) return 9;  // first: closed, it is abandoned, and anybody's gc may have it
  return shoal_executor_detach(ex) || shoal_segment_close(own) ? 8 : 0;
}
static pid_t begin_program(struct shoal_process *p, int handles) {
  struct shoal_process_options o = {.threaded = THREADED};
  set_up(NULL);
  prctl(PR_SET_CHILD_SUBREAPER, 1);  // its orphans would be ours
  assert_int_equal(shoal_process_start(p, program, handles ? p : NULL, &o), 0);
  await_begun(50);
  return p->pid;
}
// Its exit code; all it has started has ended, too.
static int end_program(struct shoal_process *p) {
  int code;
  assert_int_equal(shoal_process_join(p, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_process_exitcode(p, &code), 0);
  assert_int_equal(shoal_process_close(p), 0);
  while (waitpid(-1, NULL, 0) > 0) continue;
  prctl(PR_SET_CHILD_SUBREAPER, 0);
  return code;
}

// SIGINT goes to the group, and workers have the program's handler. SIGTERM to the program: it would end workers, which
// are told by the program.
static void end_in_order(int signal) {
  struct shoal_process p;
  struct shoal_segment *left;
  char name[32];
  snprintf(name, sizeof name, "hurt-%d", getpid());
  pid_t group = begin_program(&p, 1);
  assert_int_equal(kill(signal == SIGINT ? -group : group, signal), 0);
  assert_int_equal(end_program(&p), 0);
  assert_int_equal(kill(-group, 0), -1);
  for (uint32_t i = 0; i < 4; i++) {
    assert_int_equal(shoal_load32_relaxed(&ledger->begun[i]), i < 2);
    assert_int_equal(shoal_load32_relaxed(&ledger->ended[i]), i < 2);
  }
  assert_int_equal(shoal_segment_open(name, NULL, &left), -ENOENT);
}
static void test_interrupted(void **state) {
  (void)state;
  end_in_order(SIGINT);
  end_in_order(SIGTERM);
}
static void test_ended(void **state) {
  (void)state;
  struct shoal_process p;
  pid_t group = begin_program(&p, 0);
  assert_int_equal(kill(-group, SIGINT), 0);
  assert_int_equal(end_program(&p), -SIGINT);
  assert_int_equal(kill(-group, 0), -1);
  group = begin_program(&p, 0);
  assert_int_equal(kill(group, SIGTERM), 0);
  assert_int_equal(end_program(&p), -SIGTERM);
  assert_int_equal(kill(-group, 0), -1);
}

// ---- forked ----

static int submit_some(void *ex) {
  for (uint32_t i = 0; i < 20; i++) {
    struct small s = {.id = 1, .in = i};
    if (SHOAL_APPLY(ex, square, &s, NULL, SHOAL_FOREVER) || s.out != i * i) return 1;
  }
  return 0;
}
static void *submit_on(void *ex) {
  intptr_t rc = 0;
  while (!rc && !shoal_load32_relaxed(&ledger->go)) rc = submit_some(ex);
  return (void *)rc;
}
static int run_child(int (*work)(void *), void *arg) {
  struct shoal_process_options o = {.threaded = 1};
  struct shoal_process p;
  int code;
  assert_int_equal(shoal_process_start(&p, work, arg, &o), 0);
  assert_int_equal(shoal_process_join(&p, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_process_exitcode(&p, &code), 0);
  shoal_process_close(&p);
  return code;
}
static void test_forked(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){.jobs = 64});
  pthread_t t[2];
  void *answer;
  for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&t[i], NULL, submit_on, ex), 0);
  for (int i = 0; i < 15; i++) assert_int_equal(run_child(submit_some, ex), 0);
  shoal_store32_relaxed(&ledger->go, 1);
  for (int i = 0; i < 2; i++) {
    pthread_join(t[i], &answer);
    assert_null(answer);
  }
  end_executor(ex);
}

// Forked while another thread of the parent has the lock of the free cells.
static pid_t fork_with_lock(struct shoal_executor *ex) {
  shoal_store32_relaxed(&ex->lock, ex->epoch ? ex->epoch : 1);
  pid_t pid = fork();
  if (pid == 0) prctl(PR_SET_PDEATHSIG, SIGKILL);
  return pid;
}
static int release_in_child(const struct shoal_future *f, unsigned n) {
  int status;
  if (n == 0) return 0;
  pid_t pid = fork_with_lock(f->executor);
  if (pid == 0) _exit(shoal_future_release(f) || release_in_child(f + 1, n - 1));
  return waitpid(pid, &status, 0) != pid || status;
}
static void test_unstarted(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){.workers = 1});
  struct shoal_future f[3];
  for (uint32_t i = 0; i < 3; i++) {
    struct small s = {.id = i, .in = i};
    assert_int_equal(SHOAL_SUBMIT(ex, square, &s, &f[i]), 0);
    assert_int_equal(shoal_future_get(&f[i], NULL, 0, NULL, SHOAL_FOREVER), 0);
  }
  assert_int_equal(release_in_child(f, 3), 0);
  shoal_store32_relaxed(&ex->lock, 0);
  end_executor(ex);
}

static int flood(void *ex) {
  for (;;) {
    struct small s = {.id = 1};
    int rc = SHOAL_SUBMIT(ex, square, &s, NULL);
    if (rc && rc != -ENOSPC) return 1;
  }
  return 0;
}
static void test_left(void **state) {
  (void)state;
  enum { CALLERS = 4 };
  struct shoal_process_options o = {.threaded = 1};
  struct shoal_process p[CALLERS];
  for (int round = 0; round < 2; round++) {
    struct shoal_executor *ex = executor_of((struct shoal_executor_options){.workers = 1, .jobs = 16});
    for (int i = 0; i < CALLERS; i++) assert_int_equal(shoal_process_start(&p[i], flood, ex, &o), 0);
    await_begun(1);
    for (int i = 0; i < CALLERS; i++) shoal_process_kill(&p[i]);
    for (int i = 0; i < CALLERS; i++) {
      assert_int_equal(shoal_process_join(&p[i], SHOAL_FOREVER), 0);
      shoal_process_close(&p[i]);
    }
    assert_int_equal(shoal_executor_shutdown(ex, 0, SHOAL_FOREVER), 0);
    end_executor(ex);
    set_up(NULL);
  }
}

static void *submit_late(void *ex) {
  struct small s = {.id = 80};
  int rc = SHOAL_SUBMIT(ex, square, &s, NULL);
  shoal_store32_relaxed(&ledger->ended[81], 1);
  return (void *)(intptr_t)rc;
}
static void test_unplaced(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){.workers = 1, .jobs = 16});
  struct shoal_executor_info info = {.pending = 0};
  struct small s = {.id = 1, .in = 1};
  pthread_t t;
  void *answer;
  int rc = SHOAL_SUBMIT(ex, hold, &s, NULL);
  assert_int_equal(rc, 0);
  await_begun(1);
  s = (struct small){.id = 2};
  uint32_t queued = 0;
  while ((rc = SHOAL_SUBMIT_UNTIL(ex, square, &s, SHOAL_TRY, NULL)) == 0) queued++;
  assert_int_equal(rc, -EAGAIN);
  assert_int_equal(pthread_create(&t, NULL, submit_late, ex), 0);
  while (info.pending <= queued) assert_int_equal(shoal_executor_info(ex, &info), 0);
  while (!shoal_load32_relaxed(&ledger->ended[81]))
    assert_int_equal(shoal_executor_shutdown(ex, SHOAL_CANCEL_PENDING, SHOAL_TRY), 0);
  pthread_join(t, &answer);
  assert_null(answer);
  shoal_store32_relaxed(&ledger->go, 1);
  assert_int_equal(shoal_executor_shutdown(ex, 0, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_load32_relaxed(&ledger->begun[80]), 0);
  assert_int_equal(shoal_load32_relaxed(&ledger->begun[2]), 0);
  assert_int_equal(shoal_executor_info(ex, &info), 0);
  assert_int_equal(info.jobs, 0);
  end_executor(ex);
}

// ledger->token is that of a job on which the shutdown sleeps from now on, if the queue is not closed before.
static void await_shutdown(struct shoal_executor *ex) {
  for (struct shoal_queue_info info = {.closed = 0}; !info.closed; usleep(100)) {
    uint64_t job = __atomic_load_n(&ledger->token, __ATOMIC_ACQUIRE) & UINT32_MAX;
    if (job < ex->jobs && (shoal_load64_relaxed(&ex->cells[job].state) & SHOAL_JOB_ASLEEP_)) return;
    if (shoal_queue_info(ex->queue, &info)) return;
  }
}
static int submit_one(struct small s, const struct shoal_task *task) {
  struct shoal_executor *ex = shoal_executor_current();
  struct shoal_future f;
  __atomic_store_n(&ledger->token, UINT64_MAX, __ATOMIC_RELEASE);
  int rc = shoal_executor_submit_task(ex, task, &s, sizeof s, SHOAL_FOREVER, &f);
  if (!rc) __atomic_store_n(&ledger->token, shoal_future_token(&f), __ATOMIC_RELEASE);
  return rc;
}
SHOAL_TASK(submit_last, struct small) {
  await_shutdown(shoal_executor_current());
  return submit_one(*arg, &square_task_);
}
SHOAL_TASK(submit_behind, struct small) {
  await_shutdown(shoal_executor_current());
  return submit_one(*arg, &submit_last_task_);
}
static void test_behind(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){.workers = 1, .jobs = 16});
  struct shoal_future f[8], last;
  struct small s = {.id = 90};
  for (int i = 0; i < 8; i++) assert_int_equal(SHOAL_SUBMIT(ex, square, &s, &f[i]), 0);
  s.id = 91;
  assert_int_equal(SHOAL_SUBMIT(ex, submit_behind, &s, &last), 0);
  __atomic_store_n(&ledger->token, shoal_future_token(&last), __ATOMIC_RELEASE);
  for (int i = 0; i < 8; i++) {
    assert_int_equal(shoal_future_get(&f[i], NULL, 0, NULL, SHOAL_FOREVER), 0);
    assert_int_equal(shoal_future_release(&f[i]), 0);
  }
  assert_int_equal(shoal_executor_shutdown(ex, 0, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_load32_relaxed(&ledger->begun[91]), 1);
  end_executor(ex);
}

static void linger(void *arg, unsigned worker) {
  (void)arg;
  shoal_add32_relaxed(&ledger->finals[worker], 1);
  while (!shoal_load32_relaxed(&ledger->go)) usleep(100);
}
static void die_unseen(pid_t worker) {
  siginfo_t info;
  assert_int_equal(kill(worker, SIGKILL), 0);
  assert_int_equal(waitid(P_PID, (id_t)worker, &info, WEXITED | WNOWAIT), 0);
}
// That many processes this one has tried to start, as the default names say.
static unsigned count_starts(void) {
  struct shoal_process p;
  unsigned n = 0;
  in_child(nothing, NULL, &p);
  assert_int_equal(sscanf(p.name, "Process-%u", &n), 1);
  end_child(&p);
  return n;
}
static void test_no_successor(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){.workers = 2, .finalize = linger});
  struct shoal_executor_worker w;
  struct rlimit was, none;
  assert_int_equal(shoal_executor_shutdown(ex, 0, shoal_after_ms(1)), -ETIMEDOUT);
  for (unsigned i = 0; i < 2; i++)
    while (!shoal_load32_relaxed(&ledger->finals[i])) usleep(100);
  assert_int_equal(shoal_executor_worker(ex, 0, &w), 0);
  die_unseen(w.pid);
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
  none = (struct rlimit){3, was.rlim_max};
  unsigned before = count_starts();
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
  int rc = shoal_executor_join(ex, shoal_after_ms(100));
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
  assert_int_equal(rc, -ETIMEDOUT);
  assert_in_range(count_starts() - before, 2, 12);
  shoal_store32_relaxed(&ledger->go, 1);
  assert_int_equal(shoal_executor_join(ex, SHOAL_FOREVER), 0);
  end_executor(ex);
}

static void test_condemned(void **state) {
  (void)state;
  struct shoal_executor *ex =
      executor_of((struct shoal_executor_options){.workers = 1, .time_limit_ns = INT64_C(10000000000)});
  struct shoal_future f;
  struct small s = {.id = 1, .in = 1};
  assert_int_equal(SHOAL_SUBMIT(ex, hold, &s, &f), 0);
  await_begun(1);
  struct shoal_job_shm *cell = &ex->cells[f.job];
  uint64_t was = shoal_load64_relaxed(&cell->state);
  assert_true(shoal_cas64_seq_cst(&cell->state, &was, shoal_job_with_(was, SHOAL_JOB_CONDEMNED_)));
  squares(ex, 1);  // behind it
  assert_int_equal(shoal_future_get(&f, NULL, 0, NULL, SHOAL_TRY), -ECANCELED);
  end_executor(ex);
}

// Until then it can be cancelled; from then on it fails.
static void test_late(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){.workers = 1, .time_limit_ns = 100000000});
  struct shoal_failure failure;
  struct shoal_future f;
  struct small s = {.id = 1, .in = 1};
  assert_int_equal(SHOAL_SUBMIT(ex, hold, &s, &f), 0);
  await_begun(1);
  uint64_t was = shoal_load64_relaxed(&ex->cells[f.job].state);
  assert_int_equal(shoal_job_condemn_(ex, f.job, was, SHOAL_JOB_LATE_), 1);
  assert_int_equal(shoal_job_condemn_(ex, f.job, was, 0), 0);
  assert_int_equal(shoal_future_cancel(&f, SHOAL_FORCE), -EALREADY);
  assert_int_equal(shoal_future_get(&f, NULL, 0, &failure, SHOAL_FOREVER), -EREMOTEIO);
  assert_int_equal(failure.code, -ETIMEDOUT);
  assert_string_equal(failure.message, "it took longer than its time limit");
  assert_int_equal(shoal_future_release(&f), 0);
  s.id = 2;
  assert_int_equal(SHOAL_SUBMIT(ex, hold, &s, &f), 0);
  await_begun(2);
  was = shoal_load64_relaxed(&ex->cells[f.job].state);
  assert_int_equal(shoal_job_condemn_(ex, f.job, was, 0), 1);
  assert_int_equal(shoal_job_condemn_(ex, f.job, was, SHOAL_JOB_LATE_), 0);
  assert_int_equal(shoal_future_get(&f, NULL, 0, NULL, SHOAL_FOREVER), -ECANCELED);
  end_executor(ex);
}

SHOAL_TASK(short_sleep, struct small) {
  usleep(arg->in);
  return 0;
}
SHOAL_TASK(run_for_ever, struct small) {
  struct shoal_executor *ex = shoal_executor_current();
  int rc = 0;
  while (!rc) {
    struct small s = {.in = 20000};
    rc = SHOAL_APPLY(ex, short_sleep, &s, NULL, SHOAL_FOREVER);
    arg->out++;
  }
  return rc;
}
static void test_nested_limit(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){.workers = 1, .time_limit_ns = 200000000});
  struct shoal_failure failure;
  struct small s = {.id = 1};
  assert_int_equal(SHOAL_APPLY(ex, run_for_ever, &s, &failure, SHOAL_FOREVER), -EREMOTEIO);
  assert_int_equal(failure.code, -ETIMEDOUT);
  goes_on(ex);
  end_executor(ex);
}

// ---- shared ----

static int get_others(void *ex) {
  for (uint32_t got = 0; !shoal_load32_relaxed(&ledger->go);) {
    struct shoal_future f;
    struct small s;
    if (shoal_future_open(ex, __atomic_load_n(&ledger->token, __ATOMIC_ACQUIRE), &f)) continue;
    int rc = shoal_future_get(&f, &s, sizeof s, NULL, SHOAL_FOREVER);
    if (rc == 0 && (s.out != s.in * s.in || !s.in)) return 1;
    if (rc && rc != -EINVAL) return 2;
    shoal_store32_relaxed(&ledger->begun[70], got += rc == 0);
  }
  return 0;
}
static void test_shared(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){.workers = 1});
  struct shoal_process_options o = {.threaded = THREADED};
  struct shoal_process p;
  int code;
  assert_int_equal(shoal_process_start(&p, get_others, ex, &o), 0);
  shoal_deadline enough = shoal_after_s(5);  // where each takes milliseconds, fewer do
  for (uint32_t i = 1; (i <= 8000 && !shoal_deadline_passed(enough)) || !shoal_load32_relaxed(&ledger->begun[70]);
       i++) {
    struct small s = {.id = 1, .in = 1 + i % 1000};
    struct shoal_future f;
    assert_int_equal(SHOAL_SUBMIT(ex, square, &s, &f), 0);
    __atomic_store_n(&ledger->token, shoal_future_token(&f), __ATOMIC_RELEASE);
    assert_int_equal(shoal_future_get(&f, &s, sizeof s, NULL, SHOAL_FOREVER), 0);
    assert_int_equal(shoal_future_release(&f), 0);
  }
  shoal_store32_relaxed(&ledger->go, 1);
  assert_int_equal(shoal_process_join(&p, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_process_exitcode(&p, &code), 0);
  assert_int_equal(code, 0);
  shoal_process_close(&p);
  end_executor(ex);
}

// ---- callbacks ----

static void count_call(const struct shoal_future *f, void *arg) {
  (void)f;
  (void)arg;
  shoal_add32_relaxed(&ledger->begun[60], 1);
}
static int get_all(void *arg) {
  struct shoal_future *f = arg;
  if (shoal_executor_poll(f->executor, SHOAL_TRY)) return 4;
  shoal_store32_relaxed(&ledger->go, 1);
  if (shoal_future_get(f, NULL, 0, NULL, SHOAL_FOREVER)) return 1;
  if (shoal_executor_poll(f->executor, SHOAL_TRY)) return 2;
  if (shoal_future_on_done(f, count_call, NULL) || shoal_executor_poll(f->executor, SHOAL_TRY) != 1) return 3;
  return 0;
}
static void test_callbacks(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){0});
  struct shoal_future f;
  struct small s = {.id = 1, .in = 1};
  assert_int_equal(SHOAL_SUBMIT(ex, hold, &s, &f), 0);
  assert_int_equal(shoal_future_on_done(&f, count_call, NULL), 0);
  assert_int_equal(run_child(get_all, &f), 0);
  assert_int_equal(shoal_load32_relaxed(&ledger->begun[60]), 1);  // the child's own
  assert_int_equal(shoal_executor_poll(ex, SHOAL_FOREVER), 1);
  assert_int_equal(shoal_load32_relaxed(&ledger->begun[60]), 2);
  assert_int_equal(shoal_future_release(&f), 0);
  end_executor(ex);
}

// ---- tasks that do what they should not ----

static jmp_buf outside;
SHOAL_TASK(jump, struct small) {
  shoal_add32_relaxed(&ledger->begun[arg->id], 1);
  longjmp(outside, 1);
  return 0;
}
SHOAL_TASK(is_left, struct small) {
  struct shoal_future f;
  struct small inner = {.id = arg->id + 1};
  shoal_add32_relaxed(&ledger->begun[arg->id], 1);
  int rc = SHOAL_SUBMIT(shoal_executor_current(), jump, &inner, &f);
  if (rc) return rc;
  ledger->token = shoal_future_token(&f);
  if (setjmp(outside) == 0) return shoal_future_get(&f, NULL, 0, NULL, SHOAL_FOREVER);
  return 0;
}
static void jumps(int threads) {
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){.workers = 1, .threads = threads});
  struct shoal_failure failure = {.code = 0};
  struct shoal_future inner;
  struct small s = {.id = 1};
  assert_int_equal(SHOAL_APPLY(ex, is_left, &s, &failure, SHOAL_FOREVER), -EREMOTEIO);
  assert_int_equal(failure.code, -ENOTRECOVERABLE);
  assert_int_equal(shoal_future_open(ex, ledger->token, &inner), 0);
  assert_int_equal(shoal_future_get(&inner, NULL, 0, &failure, SHOAL_FOREVER), -EREMOTEIO);
  assert_int_equal(failure.code, -ENOTRECOVERABLE);
  assert_int_equal(shoal_load32_relaxed(&ledger->begun[2]), 1);
  squares(ex, 5);
  end_executor(ex);
}
static void test_jumps(void **state) {
  jumps(0);
  set_up(state);
  jumps(1);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LIMITED 0  // their shadow needs more than any limit
#else
#define LIMITED 1
#endif
static int limit_memory(void *arg, unsigned worker) {
  (void)arg, (void)worker;
  signal(SIGSEGV, SIG_DFL);  // not the handler of the test's framework
  char text[32] = "";
  int fd = open("/proc/self/statm", O_RDONLY);
  if (fd < 0 || read(fd, text, sizeof text - 1) <= 0) return -errno;
  close(fd);
  rlim_t most = strtoul(text, NULL, 10) * 4096 + (64 << 20);
  return setrlimit(RLIMIT_AS, &(struct rlimit){most, most}) ? -errno : 0;
}
SHOAL_TASK(eat, struct small) {
  char *block = NULL;
  for (int i = 0; i < 4096 && (block = malloc(1 << 20)); i++) memset(block, 1, 1 << 20);
  if (arg->in) *(volatile char *)block = 1;  // as if there always were some
  return block ? 0 : shoal_task_fail(-ENOMEM, "no memory");
}
static void test_memory(void **state) {
  (void)state;
  if (!LIMITED) skip();
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){.workers = 1, .init = limit_memory});
  struct shoal_failure failure;
  struct small s = {.in = 0};
  assert_int_equal(SHOAL_APPLY(ex, eat, &s, &failure, SHOAL_FOREVER), -EREMOTEIO);
  assert_int_equal(failure.code, -ENOMEM);
  assert_string_equal(failure.message, "no memory");
  squares(ex, 3);  // by the same worker, without any
  s.in = 1;
  assert_int_equal(SHOAL_APPLY(ex, eat, &s, &failure, SHOAL_FOREVER), -EREMOTEIO);
  assert_int_equal(failure.code, -ENOTRECOVERABLE);
  squares(ex, 3);
  end_executor(ex);
}

SHOAL_TASK(start_children, struct small) {
  struct shoal_process p;
  struct shoal_executor *ex;
  struct shoal_executor_options o = {.workers = 1, .jobs = 16, .threaded = THREADED};
  struct shoal_process_options forked = {.threaded = THREADED};
  int started = shoal_process_start(&p, nothing, NULL, &forked), told = strstr(shoal_reason(), "daemon") != NULL;
  int created = shoal_executor_create(seg, "within", &o, &ex);
  arg->out = started == -EPERM && created == -EPERM && told && strstr(shoal_reason(), "daemon");
  return 0;
}
static void test_children(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){0}), *none;
  struct small s = {.id = 1};
  for (int i = 0; i < 3; i++) {
    s.out = 0;
    assert_int_equal(SHOAL_APPLY(ex, start_children, &s, NULL, SHOAL_FOREVER), 0);
    assert_int_equal(s.out, 1);
  }
  assert_int_equal(shoal_executor_open(seg, "within", &none), -ENOENT);
  end_executor(ex);
}

// ---- whose it is ----

static int end_it(void *ex) {
  if (shoal_executor_join(ex, SHOAL_FOREVER) != -ECHILD) return 1;
  if (shoal_executor_shutdown(ex, 0, SHOAL_FOREVER) != -ECHILD) return 2;
  if (shoal_executor_terminate(ex, SHOAL_FOREVER) != -ECHILD) return 3;
  if (shoal_executor_tend(ex, SHOAL_FOREVER) != -ECHILD) return 4;
  return submit_some(ex);
}
static void test_elsewhere(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){0});
  assert_int_equal(run_child(end_it, ex), 0);
  squares(ex, 3);
  end_executor(ex);
}
static void test_forged(void **state) {
  (void)state;
  static char was[1 << 16];
  const struct shoal_queue_options forged[] = {{.kind = SHOAL_QUEUE_FIFO},
                                               {.kind = SHOAL_QUEUE_SPSC},
                                               {.joinable = 1},
                                               {.overflow = SHOAL_OVERFLOW_REFUSE},
                                               {.lease_ns = 1000000000}};
  struct shoal_executor *ex = NULL, *other = NULL;
  struct shoal_executor_options o = {.workers = 1, .jobs = 64, .threaded = THREADED};
  assert_int_equal(shoal_executor_create(seg, "forged", &o, &ex), 0);
  assert_int_equal(shoal_executor_terminate(ex, SHOAL_FOREVER), 0);
  struct shoal_queue_shm *queue = ex->queue->shm;
  uint64_t size = (uint64_t)((char *)ex->cells - (char *)queue);
  assert_true(size <= sizeof was);
  memcpy(was, queue, size);
  for (unsigned i = 0; i < sizeof forged / sizeof *forged; i++) {
    struct shoal_queue_options as = forged[i];
    as.capacity = 4, as.element_size = sizeof(struct shoal_order_), as.producers = as.consumers = 1;
    memset(queue, 0, size);
    assert_int_equal(shoal_queue_place_(queue, size, &as), 0);
    assert_int_equal(shoal_executor_open(seg, "forged", &other), -EPROTO);
  }
  memcpy(queue, was, size);
  assert_int_equal(shoal_executor_open(seg, "forged", &other), 0);
  end_executor(other);
  end_executor(ex);
}
static void test_told(void **state) {
  (void)state;
  struct shoal_executor *ex = NULL;
  struct shoal_pool_info info;
  struct shoal_executor_options o = {.workers = 1, .jobs = 64, .threaded = THREADED};
  assert_int_equal(shoal_executor_create(seg, "told", &o, &ex), 0);
  memset((void *)ex->pool->shared->failures, 'x', sizeof ex->pool->shared->failures);
  shoal_store64_relaxed(&ex->pool->shared->told, 3);
  assert_int_equal(shoal_pool_info(ex->pool, &info), 0);
  assert_string_equal(info.last.task, "");
  assert_int_equal(strlen(info.last.message), sizeof info.last.message - 1);
  end_executor(ex);
}
// As another program, of which this one knows nothing, would have submitted it.
static void test_stray(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){.workers = 1});
  struct shoal_future first, f[2];
  struct shoal_failure failure;
  struct small s = {.id = 1, .in = 1};
  assert_int_equal(SHOAL_SUBMIT(ex, hold, &s, &first), 0);
  await_begun(1);
  for (uint32_t i = 0; i < 2; i++) {
    s = (struct small){.id = 2 + i, .in = 1};
    assert_int_equal(SHOAL_SUBMIT(ex, square, &s, &f[i]), 0);
  }
  ex->cells[f[0].job].task ^= UINT64_C(1) << 40;  // of another type, so its hash
  ex->cells[f[1].job].size = 7;
  shoal_store32_relaxed(&ledger->go, 1);
  assert_int_equal(shoal_future_get(&f[0], NULL, 0, &failure, SHOAL_FOREVER), -EREMOTEIO);
  assert_int_equal(failure.code, -ENOENT);
  assert_string_equal(failure.message, "the workers' program has no such task");
  assert_string_equal(failure.task, "a task of another program");
  assert_int_equal(shoal_future_get(&f[1], NULL, 0, &failure, SHOAL_FOREVER), -EREMOTEIO);
  assert_int_equal(failure.code, -EBADMSG);
  for (uint32_t i = 0; i < 2; i++) {
    assert_int_equal(shoal_future_release(&f[i]), 0);
    assert_int_equal(shoal_load32_relaxed(&ledger->begun[2 + i]), 0);
  }
  assert_int_equal(shoal_future_get(&first, NULL, 0, NULL, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_future_release(&first), 0);
  squares(ex, 3);
  end_executor(ex);
}
static void test_default(void **state) {
  (void)state;
  struct shoal_executor *ex = NULL;
  struct shoal_executor_options o = {.workers = 0, .threaded = THREADED};
  struct shoal_executor_info info;
  assert_int_equal(shoal_executor_create(seg, NULL, &o, &ex), 0);
  assert_int_equal(shoal_executor_info(ex, &info), 0);
  assert_int_equal(info.workers, shoal_cpu_count());
  squares(ex, 3);
  end_executor(ex);
}

#define TEST(name) cmocka_unit_test_setup(test_##name, set_up)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(stopped),      TEST(interrupted), TEST(ended),   TEST(left),         TEST(unplaced), TEST(behind),
      TEST(no_successor), TEST(condemned),   TEST(late),    TEST(nested_limit), TEST(shared),   TEST(forked),
      TEST(unstarted),    TEST(callbacks),   TEST(jumps),   TEST(memory),       TEST(children), TEST(elsewhere),
      TEST(forged),       TEST(told),        TEST(default), TEST(stray),
  };
  return cmocka_run_group_tests(tests, begin_tests, end_tests);
}
