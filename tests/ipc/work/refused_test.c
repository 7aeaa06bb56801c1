// What a container or an older kernel may refuse:
// - without futex_waitv who sleeps beside the living is woken by the wake itself, at a queue, its lock, a condition and
//   in a select
// - without futex_waitv, membarrier and clone3, queues of each kind pass messages between processes, and the end of one
//   is noticed; an executor does its tasks, and replaces a worker that is killed
// - without sched_setscheduler workers keep their creator's policy, and do their tasks
// - without pidfds no process begins, nor an executor of processes; without room for one more process or thread neither
//   does; that is said, and nothing is left
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "ipc/queue/role_lock.h"
#include "ipc/queue/select.h"
#include "ipc/work/executor.h"
#include "ipc/work/future.h"
#include "ipc/work/thread.h"
#include "sync/condition.h"
#include "tests/core/support.h"
#include "tests/harness/refuse.h"
#include "tests/ipc/work/process_support.h"

#define ROUNDS 100u

static const struct shoal_segment_options small = {
    .size = 256 << 10, .size_max = 16 << 20, .participants = 8, .objects = 16};

// ---- an older kernel ----

static void answer(struct shoal_queue *asked, struct shoal_queue *answers) {
  uint64_t v;
  for (unsigned i = 0; i < ROUNDS; i++) {
    MUST(shoal_queue_get(asked, &v, SHOAL_FOREVER) == 0);
    v++;
    MUST(shoal_queue_put(answers, &v, SHOAL_FOREVER) == 0);
  }
  MUST(shoal_queue_get(asked, &v, SHOAL_FOREVER) == 0);
  kill(getpid(), SIGKILL);
}
static void pass(uint32_t kind) {
  struct shoal_segment *seg;
  struct shoal_queue *asked, *answers;
  struct shoal_queue_options o = {.element_size = 8, .capacity = 4, .kind = kind};
  uint64_t v;
  MUST(shoal_segment_create(NULL, &small, &seg) == 0);
  MUST(shoal_queue_create(seg, "asked", &o, &asked) == 0 && shoal_queue_create(seg, "answers", &o, &answers) == 0);
  pid_t pid = fork_child();
  if (pid == 0) answer(asked, answers);
  for (uint64_t i = 0; i < ROUNDS; i++) {
    MUST(shoal_queue_put(asked, &i, SHOAL_FOREVER) == 0);
    MUST(shoal_queue_get(answers, &v, SHOAL_FOREVER) == 0 && v == i + 1);
  }
  MUST(shoal_queue_put(asked, &v, SHOAL_FOREVER) == 0);
  MUST(shoal_queue_get(answers, &v, SHOAL_FOREVER) == -EPIPE);  // who had put there was killed
  MUST(waitpid(pid, NULL, 0) == pid);
}
static void refuse_newer(unsigned error) {
  static const unsigned newer[] = {SYS_futex_waitv, SYS_membarrier, SYS_clone3};
  for (size_t i = 0; i < sizeof newer / sizeof *newer; i++) refuse_call(newer[i], error);
}
static void pass_all(unsigned error) {
  static const uint32_t kinds[] = {SHOAL_QUEUE_SPSC, SHOAL_QUEUE_MPMC, SHOAL_QUEUE_FIFO};
  refuse_newer(error);
  refuse_call(SYS_pidfd_open, error);
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) pass(kinds[i]);
}
static void queues_of_older(void) { pass_all(ENOSYS); }
static void queues_of_filtered(void) { pass_all(EPERM); }
static void test_queues_without_newer_calls(void **state) {
  (void)state;
  in_child(queues_of_older);
  in_child(queues_of_filtered);
}

// ---- who is woken, and does not look by itself ----

static shoal_atomic32 *begun;
static pid_t without_waitv(void) {
  pid_t pid = fork_child();
  if (pid == 0) refuse_call(SYS_futex_waitv, EPERM);
  return pid;
}
// Again until the wake meets one asleep: it looks at the other words now and then.
static void is_woken_at(struct shoal_queue *q, int by_select) {
  const shoal_atomic64 *count = &q->wait.shm->counters.woken;
  uint64_t v = 1, woken = shoal_load64_relaxed(count);
  pid_t pid = without_waitv();
  if (pid == 0) {
    struct shoal_case c[] = {shoal_on_get(q, &v)};
    do MUST(by_select ? shoal_select(c, 1, SHOAL_FOREVER) == 0 : shoal_queue_get(q, &v, SHOAL_FOREVER) == 0);
    while (v);
    _exit(0);
  }
  do {
    while (shoal_futex_sleepers(&q->wait.shm->ev[SHOAL_CONSUMER]) == 0) sched_yield();
    assert_ok(shoal_queue_put(q, &v, SHOAL_FOREVER));
  } while (shoal_load64_relaxed(count) == woken);
  v = 0;
  assert_ok(shoal_queue_put(q, &v, SHOAL_FOREVER));
  assert_exits(pid, 0);
}
static void is_woken_at_a_lock(struct shoal_queue *q) {
  struct shoal_role_lock *lock = shared_memory(sizeof *lock);
  uint32_t me = (uint32_t)shoal_role_mine(&q->wait, SHOAL_PRODUCER);
  assert_ok(shoal_role_lock_acquire(lock, &q->wait, me, SHOAL_FOREVER));
  pid_t pid = without_waitv();
  if (pid == 0) {
    me = (uint32_t)shoal_role_mine(&q->wait, SHOAL_CONSUMER);
    MUST(shoal_role_lock_acquire(lock, &q->wait, me, SHOAL_FOREVER) == 0);
    shoal_role_lock_release(lock, &q->wait, me);
    _exit(0);
  }
  while (shoal_futex_sleepers(&lock->sleepers) == 0) sched_yield();
  shoal_role_lock_release(lock, &q->wait, me);
  assert_exits(pid, 0);
}
static void test_a_queue_wakes_without_waitv(void **state) {
  (void)state;
  static const uint32_t kinds[] = {SHOAL_QUEUE_SPSC, SHOAL_QUEUE_MPMC, SHOAL_QUEUE_FIFO};
  struct shoal_segment *seg = anonymous(&small);
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    struct shoal_queue *q;
    struct shoal_queue_options o = {.element_size = 8, .capacity = 4, .kind = kinds[i]};
    assert_ok(shoal_queue_create(seg, i == 0 ? "spsc" : i == 1 ? "mpmc" : "fifo", &o, &q));
    assert_ok(shoal_queue_join(q, SHOAL_PRODUCER));  // whose life is watched
    is_woken_at(q, 0);
    is_woken_at(q, 1);
    if (kinds[i] == SHOAL_QUEUE_FIFO) is_woken_at_a_lock(q);
    assert_ok(shoal_queue_detach(q));
  }
  assert_ok(shoal_segment_close(seg));
}

static void test_a_condition_wakes_without_waitv(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small);
  struct shoal_lock *lock;
  struct shoal_condition *c;
  pid_t pid[2];
  assert_ok(shoal_lock_create(seg, "lock", &lock));
  assert_ok(shoal_condition_create(seg, "condition", 4, &c));
  for (int i = 0; i < 2; i++) {  // the second watches the first
    if ((pid[i] = without_waitv()) == 0) {
      MUST(shoal_lock_acquire(lock, SHOAL_FOREVER) == 0);
      MUST(shoal_condition_wait(c, lock, SHOAL_FOREVER) == 0 && shoal_lock_release(lock) == 0);
      _exit(0);
    }
    int sleep = 0;
    while (sleep <= i) {
      sleep = 0;
      for (uint32_t k = 0; k < 4; k++) sleep += shoal_futex_sleepers(&shoal_seat_at_(&c->seats, k)->event);
      sched_yield();
    }
  }
  assert_ok(shoal_lock_acquire(lock, SHOAL_FOREVER));
  assert_ok(shoal_condition_notify_all(c, lock));
  assert_ok(shoal_lock_release(lock));
  for (int i = 0; i < 2; i++) assert_exits(pid[i], 0);
  assert_ok(shoal_segment_close(seg));
}

struct number {
  uint32_t in, out;
};
SHOAL_TASK(refused_twice, struct number) {
  if (arg->in == 13 && shoal_add32_relaxed(begun, 1) == 0) raise(SIGKILL);
  arg->out = 2 * arg->in;
  return 0;
}
static void work_all(unsigned error) {
  struct shoal_segment *seg;
  struct shoal_executor *ex;
  struct shoal_executor_options o = {.workers = 2, .retries = 1};
  shoal_store32_relaxed(begun, 0);
  refuse_newer(error);
  MUST(shoal_segment_create(NULL, NULL, &seg) == 0 && shoal_executor_create(seg, NULL, &o, &ex) == 0);
  for (struct number n = {0}; n.in < ROUNDS; n.in++)
    MUST(SHOAL_APPLY(ex, refused_twice, &n, NULL, SHOAL_FOREVER) == 0 && n.out == 2 * n.in);
  MUST(shoal_load32_relaxed(begun) == 2);
  MUST(shoal_executor_shutdown(ex, 0, SHOAL_FOREVER) == 0 && shoal_executor_detach(ex) == 0);
}
static void work_of_older(void) { work_all(ENOSYS); }
static void work_of_filtered(void) { work_all(EPERM); }
static void test_executors_without_newer_calls(void **state) {
  (void)state;
  in_child(work_of_older);
  in_child(work_of_filtered);
}

SHOAL_TASK(turns, struct number) {
  arg->out = (uint32_t)syscall(SYS_sched_getscheduler, 0);
  return 0;
}
static void work_in_turn(void) {
  struct shoal_segment *seg;
  struct shoal_executor *ex;
  struct number n = {0, 99};
  refuse_call(SYS_sched_setscheduler, EPERM);
  MUST(shoal_segment_create(NULL, NULL, &seg) == 0);
  MUST(shoal_executor_create(seg, NULL, &(struct shoal_executor_options){.workers = 1}, &ex) == 0);
  MUST(SHOAL_APPLY(ex, turns, &n, NULL, SHOAL_FOREVER) == 0);
  MUST(n.out == (uint32_t)syscall(SYS_sched_getscheduler, 0));
  MUST(shoal_executor_shutdown(ex, 0, SHOAL_FOREVER) == 0 && shoal_executor_detach(ex) == 0);
}
static void test_turns_refused(void **state) {
  (void)state;
  in_child(work_in_turn);
}

// ---- nobody begins ----

static int begin(void *arg) {
  (void)arg;
  shoal_add32_relaxed(begun, 1);
  return 0;
}
static void nobody_begins(int error) {
  struct shoal_process p;
  MUST(shoal_process_start(&p, begin, NULL, NULL) == error);
  MUST(waitpid(-1, NULL, 0) < 0 && errno == ECHILD && shoal_load32_relaxed(begun) == 0);
}
static void no_pidfds(void) {
  struct shoal_segment *seg;
  struct shoal_executor *ex;
  struct shoal_executor_options o = {.workers = 2}, threads = {.workers = 2, .threads = 1};
  struct number n = {3, 0};
  refuse_call(SYS_pidfd_open, EPERM);
  nobody_begins(-EPERM);
  MUST(strstr(shoal_reason(), "pidfd") != NULL);
  MUST(shoal_segment_create(NULL, NULL, &seg) == 0 && shoal_executor_create(seg, NULL, &o, &ex) == -EPERM);
  MUST(strstr(shoal_reason(), "pidfd") != NULL && waitpid(-1, NULL, 0) < 0 && errno == ECHILD);
  MUST(shoal_executor_create(seg, NULL, &threads, &ex) == 0);
  MUST(SHOAL_APPLY(ex, refused_twice, &n, NULL, SHOAL_FOREVER) == 0 && n.out == 6);
  MUST(shoal_executor_shutdown(ex, 0, SHOAL_FOREVER) == 0 && shoal_executor_detach(ex) == 0);
}
static void no_processes(void) {
  struct shoal_thread t;
  if (geteuid() == 0 && setresuid(65534, 65534, 65534)) _exit(77);  // limits are for who has no privileges
  MUST(setrlimit(RLIMIT_NPROC, &(struct rlimit){0, 0}) == 0);
  nobody_begins(-EAGAIN);
  MUST(shoal_thread_start(&t, begin, NULL, NULL) == -EUSERS && shoal_load32_relaxed(begun) == 0);
}
static void test_no_pidfds(void **state) {
  (void)state;
  shoal_store32_relaxed(begun, 0);
  in_child(no_pidfds);
}
static void test_no_more_processes(void **state) {
  (void)state;
  shoal_store32_relaxed(begun, 0);
  in_child(no_processes);
}

int main(void) {
  alarm(WATCHDOG_S);
  begun = shared_memory(sizeof *begun);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_queue_wakes_without_waitv),
      cmocka_unit_test(test_a_condition_wakes_without_waitv),
      cmocka_unit_test(test_queues_without_newer_calls),
      cmocka_unit_test(test_executors_without_newer_calls),
      cmocka_unit_test(test_turns_refused),
      cmocka_unit_test(test_no_pidfds),
      cmocka_unit_test(test_no_more_processes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
