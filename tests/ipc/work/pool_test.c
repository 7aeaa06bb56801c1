// Claims
//   done       every element is done exactly once; join after close waits for all; no child stays
//   killed     workers killed at random, and while the queue drains: every element is done at least once, and exactly once
//              if no worker was killed in it; the others go on; there are N workers again
//   replaced   all killed at once: N new ones in the same places; another child of the program is left alone
//   full       all workers dead and the queue full: submit replaces them and goes through, also one that only tries
//   orphaned   the creator killed: its workers end, and nothing of the pool stays in the segment
//   failed     an answer that is not 0 is counted and told, with the task's own words, and the element is done with
//   whole      what is told of a failure is of one failure, while others are being told
//   given up   an element that kills its workers is failed after deliveries_max of them, and the others are done; so it
//              is if what is called for failures kills, too
//   no fork    a worker that could not be started is no restart
//   default    no number of workers: as many as processors
//   roles      what the creator is to the queue besides, or is to it through another pool, is not touched
//   thread     only the thread that created a pool, if it lives, destroys it
//   exits      a worker that leaves by exit(0) inside a task is dead: its element comes again
//   init       runs in every new worker; if it fails the pool is broken and says so, with the answer
//   limit      a task that kills its worker breaks the pool when too many died; within any time so long, wherever that begins
//   terminate  ends workers within a task, also those that ignore SIGTERM
//   refused    unknown task, element too small, no queue, another process, after close
#include "ipc/work/pool.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/atomic.h"
#include "core/error.h"
#include "core/proc.h"
#include "ipc/work/process.h"
#include "ipc/work/processors.h"
#include "ipc/work/task.h"

#ifdef __SANITIZE_THREAD__
#define THREADED 1  // the sanitizer's own thread
#else
#define THREADED 0
#endif

enum { WORKERS = 3, IDS = 20000, KILLS = 60 };

// What the workers report, in memory that outlives them.
static struct ledger {
  shoal_atomic32 done[IDS];         // times
  shoal_atomic32 current[WORKERS];  // 1 + the id that the worker of this place
                                    // is at, or was last
  shoal_atomic32 inits[WORKERS];
  shoal_atomic32 go;
} * ledger;
static unsigned place;  // in a worker

static int init_worker(void *arg, unsigned worker) {
  place = worker;
  shoal_add32_relaxed(&ledger->inits[worker], 1);
  return arg ? *(int *)arg : 0;
}

struct job {
  uint32_t id;
  uint32_t spin;
};

SHOAL_TASK(note, struct job) {
  shoal_store32_relaxed(&ledger->current[place], arg->id + 1);
  for (volatile uint32_t i = 0; i < arg->spin; i++) continue;
  shoal_add32_relaxed(&ledger->done[arg->id], 1);
  return 0;
}

SHOAL_TASK(refuse_odd, struct job) {
  return arg->id % 2 ? shoal_task_fail(-ENOTSUP, "%u is odd, %0200d", arg->id, 0) : 0;
}

SHOAL_TASK(say_it_often, struct job) {
  char words[112];
  memset(words, 'a' + (int)(arg->id % 26), sizeof words);
  return shoal_task_fail(-1 - (int)(arg->id % 26), "%.111s", words);
}

SHOAL_TASK(die_of_zero, struct job) {
  if (arg->id == 0) raise(SIGKILL);
  if (arg->id == 1) return -EIO;  // without words, and no others'
  shoal_add32_relaxed(&ledger->done[arg->id], 1);
  return 0;
}

SHOAL_TASK(exit_once, struct job) {
  if (shoal_add32_relaxed(&ledger->done[arg->id], 1) == 0) shoal_process_exit(0);
  return 0;
}

SHOAL_TASK(die, struct job) {
  raise(SIGKILL);
  return 0;
}

SHOAL_TASK(never, struct job) {
  if (arg->id % 2) signal(SIGTERM, SIG_IGN);
  shoal_add32_relaxed(&ledger->go, 1);
  while (shoal_load32_relaxed(&ledger->go)) pause();
  return 0;
}

struct huge {
  char bytes[4096];
};
SHOAL_TASK(huge, struct huge) { return 0; }

static struct shoal_segment *seg;
static struct shoal_queue *queue;

static int set_up(void **state) {
  static unsigned n;
  char name[32];
  (void)state;
  memset(ledger, 0, sizeof *ledger);
  snprintf(name, sizeof name, "jobs.%u", n++);
  struct shoal_queue_options o = {.capacity = 64, .element_size = sizeof(struct job)};
  return shoal_queue_create(seg, name, &o, &queue);
}

static int tear_down(void **state) {
  (void)state;
  return shoal_queue_detach(queue);
}

static struct shoal_pool *pool_of(const char *task) {
  struct shoal_pool *pool;
  struct shoal_pool_options o = {
      .task = task, .queue = queue, .workers = WORKERS, .init = init_worker, .threaded = THREADED};
  int rc = shoal_pool_create(seg, &o, &pool);
  if (rc) print_error("%s: %s\n", shoal_strerror(rc), shoal_reason());
  assert_int_equal(rc, 0);
  return pool;
}

static void submit(struct shoal_pool *pool, uint32_t id, uint32_t spin) {
  struct job job = {id, spin};
  assert_int_equal(shoal_pool_submit(pool, &job, SHOAL_FOREVER), 0);
}

static void finish(struct shoal_pool *pool) {
  assert_int_equal(shoal_pool_close(pool), 0);
  assert_int_equal(shoal_pool_join(pool, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_pool_destroy(pool), 0);
  assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
  assert_int_equal(errno, ECHILD);
}

static pid_t pid_of(struct shoal_pool *pool, unsigned worker) {
  struct shoal_worker_info info;
  assert_int_equal(shoal_pool_worker(pool, worker, &info), 0);
  return info.pid;
}

// Kills it and waits until it is dead, without taking it from the pool. Answers
// 1 + the id it was at.
static uint32_t kill_worker(struct shoal_pool *pool, unsigned worker) {
  siginfo_t info;
  pid_t pid = pid_of(pool, worker);
  assert_true(pid > 0);
  assert_int_equal(kill(pid, SIGKILL), 0);
  assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
  return shoal_load32_relaxed(&ledger->current[worker]);
}

static void test_done(void **state) {
  (void)state;
  struct shoal_pool *pool = pool_of("note");
  struct shoal_pool_info info;
  for (uint32_t id = 0; id < IDS; id++) submit(pool, id, 0);
  assert_int_equal(shoal_pool_close(pool), 0);
  assert_int_equal(shoal_pool_join(pool, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_pool_join(pool, SHOAL_TRY), 0);
  for (uint32_t id = 0; id < IDS; id++) assert_int_equal(shoal_load32_relaxed(&ledger->done[id]), 1);
  assert_int_equal(shoal_pool_info(pool, &info), 0);
  assert_int_equal(info.workers, WORKERS);
  assert_int_equal(info.alive, 0);
  assert_int_equal(info.done, IDS);
  assert_int_equal(info.failed, 0);
  assert_int_equal(info.restarts, 0);
  finish(pool);
}

static void test_killed(void **state) {
  (void)state;
  static char killed_in[IDS + 1];
  struct shoal_pool *pool = pool_of("note");
  unsigned kills = 0, doubled = 0, seed = 1;
  memset(killed_in, 0, sizeof killed_in);
  for (uint32_t id = 0; id < IDS; id++) {
    submit(pool, id, 1000);
    if (id % (IDS / KILLS)) continue;
    assert_true(shoal_pool_tend(pool, SHOAL_TRY) >= 0);
    for (volatile int i = rand_r(&seed) % 100000; i > 0; i--) continue;
    killed_in[kill_worker(pool, id % WORKERS)] = 1;
    kills++;
  }
  assert_int_equal(shoal_pool_close(pool), 0);
  assert_true(shoal_pool_tend(pool, SHOAL_TRY) >= 0);
  if (pid_of(pool, 0)) killed_in[kill_worker(pool, 0)] = 1;  // while it drains, if that is not over
  assert_int_equal(shoal_pool_join(pool, SHOAL_FOREVER), 0);
  for (uint32_t id = 0; id < IDS; id++) {
    uint32_t done = shoal_load32_relaxed(&ledger->done[id]);
    assert_true(done >= 1);
    if (!killed_in[id + 1]) assert_int_equal(done, 1);
    doubled += done > 1;
  }
  assert_true(kills >= KILLS);
  assert_true(doubled <= kills);
  struct shoal_pool_info info;
  assert_int_equal(shoal_pool_info(pool, &info), 0);
  assert_in_range(info.restarts, kills, kills + 1);
  finish(pool);
}

static void test_replaced(void **state) {
  (void)state;
  struct shoal_pool *pool = pool_of("note");
  pid_t other = fork(), old[WORKERS];
  if (other == 0) _exit(9);
  for (unsigned i = 0; i < WORKERS; i++) {
    old[i] = pid_of(pool, i);
    kill_worker(pool, i);
  }
  int replaced = 0;
  while (replaced < WORKERS) {
    int n = shoal_pool_tend(pool, SHOAL_FOREVER);
    assert_true(n > 0);
    replaced += n;
  }
  for (unsigned i = 0; i < WORKERS; i++) {
    struct shoal_worker_info info;
    assert_int_equal(shoal_pool_worker(pool, i, &info), 0);
    assert_true(info.pid > 0 && info.pid != old[i]);
    assert_int_equal(info.restarts, 1);
  }
  assert_int_equal(shoal_pool_tend(pool, SHOAL_TRY), 0);
  assert_int_equal(shoal_pool_tend(pool, shoal_after_ms(5)), 0);
  struct shoal_worker_info none;
  assert_int_equal(shoal_pool_worker(pool, WORKERS, &none), -EINVAL);
  int status;
  assert_int_equal(waitpid(other, &status, 0), other);
  assert_int_equal(WEXITSTATUS(status), 9);
  for (uint32_t id = 0; id < 100; id++) submit(pool, id, 0);
  finish(pool);
  for (uint32_t id = 0; id < 100; id++) assert_int_equal(shoal_load32_relaxed(&ledger->done[id]), 1);
  for (unsigned i = 0; i < WORKERS; i++) assert_true(shoal_load32_relaxed(&ledger->inits[i]) >= 1);
}

static void test_full(void **state) {
  (void)state;
  struct shoal_pool *pool = pool_of("note");
  struct job job = {0, 0};
  for (unsigned i = 0; i < WORKERS; i++) kill_worker(pool, i);
  uint32_t id = 0;
  while (shoal_queue_put(queue, &job, SHOAL_TRY) == 0) job.id = ++id;  // past the pool: it does not see the deaths
  assert_true(id >= 64);
  assert_int_equal(shoal_queue_put(queue, &job, shoal_after_ms(5)),
                   -ETIMEDOUT);  // not -EPIPE: the pool stands for them
  submit(pool, id, 0);
  finish(pool);
  for (uint32_t i = 0; i <= id; i++) assert_int_equal(shoal_load32_relaxed(&ledger->done[i]), 1);
}

static void test_full_and_only_tried(void **state) {
  (void)state;
  struct shoal_pool *pool = pool_of("note");
  struct job job = {0, 0};
  uint32_t id = 0;
  int rc;
  for (unsigned i = 0; i < WORKERS; i++) kill_worker(pool, i);
  while (shoal_queue_put(queue, &job, SHOAL_TRY) == 0) job.id = ++id;
  while ((rc = shoal_pool_submit(pool, &job, SHOAL_TRY)) == -EAGAIN) sched_yield();
  assert_int_equal(rc, 0);
  finish(pool);
  for (uint32_t i = 0; i <= id; i++) assert_int_equal(shoal_load32_relaxed(&ledger->done[i]), 1);
}

static uint32_t objects_in(struct shoal_segment *segment) {
  struct shoal_segment_info info;
  assert_int_equal(shoal_segment_info(segment, &info), 0);
  return info.objects;
}

static int pipe_ends[2];
static int create_and_wait(void *arg) {
  (void)arg;
  close(pipe_ends[0]);
  struct shoal_pool *pool = pool_of("note");
  (void)pool;
  if (write(pipe_ends[1], "p", 1) != 1) return 1;
  close(pipe_ends[1]);
  for (;;) pause();
}

static void test_orphaned(void **state) {
  (void)state;
  struct shoal_process creator;
  struct shoal_process_options o = {.threaded = THREADED};
  char byte;
  uint32_t objects = objects_in(seg);
  assert_int_equal(pipe(pipe_ends), 0);
  assert_int_equal(shoal_process_start(&creator, create_and_wait, NULL, &o), 0);
  close(pipe_ends[1]);
  assert_int_equal(read(pipe_ends[0], &byte, 1), 1);
  assert_int_equal(shoal_process_kill(&creator), 0);
  assert_int_equal(shoal_process_join(&creator, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_process_close(&creator), 0);
  assert_int_equal(read(pipe_ends[0], &byte, 1),
                   0);  // every worker held the other end
  close(pipe_ends[0]);
  do shoal_proc_reap(seg);  // a worker's files are closed a little before it is dead
  while (objects_in(seg) != objects);
}

static void test_failed(void **state) {
  (void)state;
  struct shoal_pool *pool = pool_of("refuse_odd");
  struct shoal_pool_info info;
  for (uint32_t id = 0; id < 100; id++) submit(pool, id, 0);
  assert_int_equal(shoal_pool_close(pool), 0);
  assert_int_equal(shoal_pool_join(pool, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_pool_info(pool, &info), 0);
  assert_int_equal(info.done, 50);
  assert_int_equal(info.failed, 50);
  assert_int_equal(info.last.code, -ENOTSUP);
  assert_true(info.last.worker < WORKERS);
  assert_int_equal(info.last.attempt, 1);
  assert_string_equal(info.last.task, "refuse_odd");
  assert_non_null(strstr(info.last.message, " is odd, 000"));
  assert_int_equal(strlen(info.last.message), sizeof info.last.message - 1);
  assert_int_equal(info.restarts, 0);
  finish(pool);
}

static void test_whole(void **state) {
  (void)state;
  struct shoal_pool *pool = pool_of("say_it_often");
  struct shoal_pool_info info;
  unsigned changes = 0, last = 0;
  for (uint32_t id = 0; id < IDS; id++) {
    submit(pool, id, 0);
    assert_int_equal(shoal_pool_info(pool, &info), 0);
    if (info.last.code == 0) continue;
    unsigned letter = (unsigned)(-1 - info.last.code);
    assert_true(letter < 26);
    for (unsigned i = 0; i < sizeof info.last.message - 1; i++)
      assert_int_equal(info.last.message[i], 'a' + (int)letter);
    changes += letter != last;
    last = letter;
  }
  assert_true(changes > 0);
  finish(pool);
}

// In the workers.
static void note_failure(void *arg, const struct shoal_failure *failure, void *element) {
  struct job *job = element;
  if (arg != ledger || strcmp(failure->task, "die_of_zero") != 0 || failure->worker >= WORKERS) abort();
  shoal_store32_relaxed(&ledger->current[job->id], failure->attempt);
  shoal_add32_relaxed(&ledger->done[job->id], failure->code == -ENOTRECOVERABLE ? 100 : 10);
  if (job->id == 0 && !strstr(failure->message, "3 workers")) abort();
  if (job->id == 1 && failure->message[0]) abort();
}

static void die_of_failure(void *arg, const struct shoal_failure *failure, void *element) {
  (void)arg, (void)failure, (void)element;
  raise(SIGKILL);
}

static void test_failed_that_kills(void **state) {
  (void)state;
  struct shoal_pool *pool;
  struct shoal_pool_info info;
  struct shoal_pool_options o = {.task = "die_of_zero",
                                 .queue = queue,
                                 .workers = 1,
                                 .deliveries_max = 3,
                                 .failed = die_of_failure,
                                 .threaded = THREADED};
  assert_int_equal(shoal_pool_create(seg, &o, &pool), 0);
  for (uint32_t id = 0; id < 3; id++) submit(pool, id, 0);
  assert_int_equal(shoal_pool_close(pool), 0);
  assert_int_equal(shoal_pool_join(pool, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_load32_relaxed(&ledger->done[2]), 1);
  assert_int_equal(shoal_pool_info(pool, &info), 0);
  assert_int_equal(info.restarts, 2 * 6);
  assert_int_equal(info.done, 1);
  assert_int_equal(info.failed, 2);
  finish(pool);
}

static void test_given_up(void **state) {
  (void)state;
  struct shoal_pool *pool;
  struct shoal_pool_info info;
  struct shoal_pool_options o = {.task = "die_of_zero",
                                 .queue = queue,
                                 .workers = 2,
                                 .deliveries_max = 3,
                                 .failed = note_failure,
                                 .failed_arg = ledger,
                                 .threaded = THREADED};
  assert_int_equal(shoal_pool_create(seg, &o, &pool), 0);
  for (uint32_t id = 0; id < 20; id++) submit(pool, id, 0);
  assert_int_equal(shoal_pool_close(pool), 0);
  assert_int_equal(shoal_pool_join(pool, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_load32_relaxed(&ledger->done[0]), 100);
  assert_int_equal(shoal_load32_relaxed(&ledger->current[0]), 3);
  assert_int_equal(shoal_load32_relaxed(&ledger->done[1]), 10);
  assert_int_equal(shoal_load32_relaxed(&ledger->current[1]), 1);
  for (uint32_t id = 2; id < 20; id++) assert_int_equal(shoal_load32_relaxed(&ledger->done[id]), 1);
  assert_int_equal(shoal_pool_info(pool, &info), 0);
  assert_int_equal(info.restarts, 3);
  assert_int_equal(info.done, 18);
  assert_int_equal(info.failed, 2);
  finish(pool);
  o.deliveries_max = 512;
  assert_int_equal(shoal_pool_create(seg, &o, &pool), -EINVAL);
  assert_int_equal(shoal_pool_create(seg, NULL, &pool), -EINVAL);
  assert_string_equal(shoal_reason(), "a pool needs options.task and options.queue");
}

static void test_no_fork(void **state) {
  (void)state;
  struct shoal_pool *pool;
  struct shoal_pool_info info;
  struct rlimit old, none;
  struct shoal_pool_options o = {.task = "note",
                                 .queue = queue,
                                 .workers = 1,
                                 .restarts_max = 1,
                                 .restarts_within_ns = INT64_C(3600000000000),
                                 .threaded = THREADED};
  assert_int_equal(shoal_pool_create(seg, &o, &pool), 0);
  kill_worker(pool, 0);
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
  none = (struct rlimit){3, old.rlim_max};
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
  for (int i = 0; i < 5; i++) assert_int_equal(shoal_pool_tend(pool, SHOAL_TRY), -EMFILE);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
  assert_int_equal(shoal_pool_tend(pool, SHOAL_TRY), 1);
  assert_int_equal(shoal_pool_info(pool, &info), 0);
  assert_int_equal(info.restarts, 1);
  assert_int_equal(info.broken, 0);
  finish(pool);
}

static void test_default(void **state) {
  (void)state;
  struct shoal_pool *pool;
  struct shoal_pool_info info;
  struct shoal_pool_options o = {.task = "note", .queue = queue, .threaded = THREADED};
  assert_int_equal(shoal_pool_create(seg, &o, &pool), 0);
  assert_int_equal(shoal_pool_info(pool, &info), 0);
  assert_int_equal(info.workers, shoal_cpu_count());
  submit(pool, 1, 0);
  finish(pool);
  assert_int_equal(shoal_load32_relaxed(&ledger->done[1]), 1);
}

static uint32_t consumers(void) {
  struct shoal_queue_info info;
  assert_int_equal(shoal_queue_info(queue, &info), 0);
  return info.consumers;
}

static void test_roles(void **state) {
  (void)state;
  struct job job = {7, 0};
  struct shoal_loan loan;
  assert_int_equal(shoal_pool_destroy(pool_of("note")), 0);
  shoal_proc_reap(seg);
  assert_int_equal(shoal_queue_put(queue, &job, SHOAL_TRY), 0);
  assert_int_equal(shoal_queue_receive(queue, &loan, SHOAL_TRY),
                   0);  // the caller is a consumer, with a message in hand
  struct shoal_pool *first = pool_of("note"), *second = pool_of("note");
  assert_int_equal(shoal_pool_destroy(first), 0);
  for (unsigned i = 0; i < WORKERS; i++) kill_worker(second, i);
  while (shoal_queue_put(queue, &job, SHOAL_TRY) == 0) continue;
  shoal_queue_leave(queue, SHOAL_PRODUCER);
  assert_int_equal(shoal_queue_release(queue, &loan), 0);  // nobody gave it back
  assert_int_equal(shoal_queue_leave(queue, SHOAL_CONSUMER), 0);
  while (shoal_queue_put(queue, &job, SHOAL_TRY) == 0) continue;
  assert_int_equal(shoal_queue_put(queue, &job, shoal_after_ms(5)),
                   -ETIMEDOUT);  // the second pool stands for its dead
  finish(second);
  assert_int_equal(consumers(), 0);
}

static void *destroy_foreign(void *pool) { return (void *)(intptr_t)shoal_pool_destroy(pool); }
static void test_thread(void **state) {
  (void)state;
  struct shoal_pool *pool = pool_of("note");
  pthread_t thread;
  void *rc;
  assert_int_equal(pthread_create(&thread, NULL, destroy_foreign, pool), 0);
  assert_int_equal(pthread_join(thread, &rc), 0);
  assert_int_equal((intptr_t)rc, -EBUSY);
  assert_int_equal(shoal_pool_destroy(pool), 0);
  assert_int_equal(consumers(), 0);
}

static void test_exits(void **state) {
  (void)state;
  struct shoal_pool *pool = pool_of("exit_once");
  struct shoal_pool_info info;
  for (uint32_t id = 0; id < 20; id++) submit(pool, id, 0);
  assert_int_equal(shoal_pool_close(pool), 0);
  assert_int_equal(shoal_pool_join(pool, SHOAL_FOREVER), 0);
  for (uint32_t id = 0; id < 20; id++) assert_int_equal(shoal_load32_relaxed(&ledger->done[id]), 2);
  assert_int_equal(shoal_pool_info(pool, &info), 0);
  assert_int_equal(info.restarts, 20);
  finish(pool);
}

static void test_init_fails(void **state) {
  (void)state;
  struct shoal_pool *pool;
  struct shoal_pool_info info;
  int refusal = -EACCES;
  struct shoal_pool_options o = {.task = "note",
                                 .queue = queue,
                                 .workers = WORKERS,
                                 .init = init_worker,
                                 .init_arg = &refusal,
                                 .name = "strict",
                                 .threaded = THREADED};
  assert_int_equal(shoal_pool_create(seg, &o, &pool), 0);
  assert_int_equal(shoal_pool_join(pool, SHOAL_FOREVER), -ENOTRECOVERABLE);
  assert_non_null(strstr(shoal_reason(), "strict"));
  assert_non_null(strstr(shoal_reason(), "initializer"));
  assert_non_null(strstr(shoal_reason(), "permission denied"));
  struct job job = {0, 0};
  assert_int_equal(shoal_pool_submit(pool, &job, SHOAL_FOREVER), -ENOTRECOVERABLE);
  assert_int_equal(shoal_pool_info(pool, &info), 0);
  assert_int_equal(info.broken, -ENOTRECOVERABLE);
  assert_int_equal(info.restarts, 0);
  assert_int_equal(shoal_pool_destroy(pool), 0);
}

static void test_limit(void **state) {
  (void)state;
  struct shoal_pool *pool;
  struct shoal_pool_info info;
  struct shoal_pool_options o = {.task = "die",
                                 .queue = queue,
                                 .workers = 1,
                                 .restarts_max = 5,
                                 .restarts_within_ns = INT64_C(3600000000000),
                                 .threaded = THREADED};
  assert_int_equal(shoal_pool_create(seg, &o, &pool), 0);
  submit(pool, 1, 0);
  assert_int_equal(shoal_pool_close(pool), 0);
  assert_int_equal(shoal_pool_join(pool, SHOAL_FOREVER), -ENOTRECOVERABLE);
  assert_non_null(strstr(shoal_reason(), "too many"));
  assert_int_equal(shoal_pool_info(pool, &info), 0);
  assert_int_equal(info.restarts, 5);
  assert_non_null(strstr(info.reason, "too many"));
  assert_int_equal(shoal_pool_destroy(pool), 0);
}

// The library's clock, ahead of everybody's: linked in place of it.
static int64_t ahead_ns;
int __real_clock_gettime(clockid_t clock, struct timespec *out);
int __wrap_clock_gettime(clockid_t clock, struct timespec *out);
int __wrap_clock_gettime(clockid_t clock, struct timespec *out) {
  int rc = __real_clock_gettime(clock, out);
  out->tv_sec += ahead_ns / 1000000000;
  return rc;
}
static int dies_at(struct shoal_pool *pool, int64_t seconds) {
  ahead_ns = seconds * 1000000000;
  kill_worker(pool, 0);
  return shoal_pool_tend(pool, SHOAL_TRY);
}
static void test_limit_slides(void **state) {
  (void)state;
  struct shoal_pool *pool;
  struct shoal_pool_options o = {.task = "note",
                                 .queue = queue,
                                 .workers = 1,
                                 .restarts_max = 2,
                                 .restarts_within_ns = INT64_C(100000000000000),
                                 .threaded = THREADED};
  assert_int_equal(shoal_pool_create(seg, &o, &pool), 0);
  assert_int_equal(dies_at(pool, 0), 1);
  assert_int_equal(dies_at(pool, 90000), 1);
  assert_int_equal(dies_at(pool, 105000), 1);
  assert_int_equal(dies_at(pool, 110000), -ENOTRECOVERABLE);  // 90,000 is near still
  ahead_ns = 0;
  assert_int_equal(shoal_pool_destroy(pool), 0);
  o.restarts_max = 40;
  assert_int_equal(shoal_pool_create(seg, &o, &pool), 0);
  for (int i = 0; i < 40; i++) assert_int_equal(dies_at(pool, i), 1);
  assert_int_equal(dies_at(pool, 40), -ENOTRECOVERABLE);
  ahead_ns = 0;
  assert_int_equal(shoal_pool_destroy(pool), 0);
}

static void test_terminate(void **state) {
  (void)state;
  struct shoal_pool *pool = pool_of("never");
  for (uint32_t id = 0; id < WORKERS; id++) submit(pool, id, 0);
  while (shoal_load32_relaxed(&ledger->go) < WORKERS) poll(NULL, 0, 1);
  assert_int_equal(shoal_pool_join(pool, SHOAL_TRY), -EAGAIN);
  assert_int_equal(shoal_pool_join(pool, shoal_after_ms(5)), -ETIMEDOUT);
  struct shoal_worker_info info;
  assert_int_equal(shoal_pool_worker(pool, 0, &info), 0);
  assert_true(info.busy_ns > 0);
  assert_int_equal(shoal_pool_terminate(pool, shoal_after_ms(20)), 0);
  for (unsigned i = 0; i < WORKERS; i++) assert_int_equal(pid_of(pool, i), 0);
  assert_int_equal(shoal_pool_tend(pool, SHOAL_TRY), 0);
  finish(pool);
}

static int use_foreign(void *arg) {
  struct shoal_pool *pool = arg;
  return shoal_pool_tend(pool, SHOAL_FOREVER) != -ECHILD || shoal_pool_join(pool, SHOAL_FOREVER) != -ECHILD ||
         shoal_pool_terminate(pool, SHOAL_TRY) != -ECHILD || shoal_pool_destroy(pool) != -ECHILD ||
         shoal_pool_close(pool) != -ECHILD;
}

static void test_refused(void **state) {
  (void)state;
  struct shoal_pool *pool = NULL;
  struct shoal_pool_options o = {.task = "unknown", .queue = queue};
  assert_int_equal(shoal_pool_create(seg, &o, &pool), -ENOENT);
  o.task = "huge";
  assert_int_equal(shoal_pool_create(seg, &o, &pool), -EBADMSG);
  o.task = "note", o.queue = NULL;
  assert_int_equal(shoal_pool_create(seg, &o, &pool), -EINVAL);
  o.task = NULL, o.queue = queue;
  assert_int_equal(shoal_pool_create(seg, &o, &pool), -EINVAL);
  assert_null(pool);
  pool = pool_of("note");
  struct shoal_process other;
  struct shoal_process_options threaded = {.threaded = THREADED};
  int code = -1;
  assert_int_equal(shoal_process_start(&other, use_foreign, pool, &threaded), 0);
  assert_int_equal(shoal_process_join(&other, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_process_exitcode(&other, &code), 0);
  assert_int_equal(code, 0);
  assert_int_equal(shoal_process_close(&other), 0);
  submit(pool, 0, 0);
  assert_int_equal(shoal_pool_close(pool), 0);
  struct job job = {1, 0};
  assert_int_equal(shoal_pool_submit(pool, &job, SHOAL_FOREVER), -EPIPE);
  finish(pool);
  assert_int_equal(shoal_load32_relaxed(&ledger->done[0]), 1);
}

// A queue with a consumer's role less than creator and workers are: workers without one would be replaced for ever.
static void test_too_few_roles(void **state) {
  (void)state;
  struct shoal_queue *narrow;
  struct shoal_pool *pool = NULL;
  struct shoal_queue_options options = {.capacity = 8, .element_size = sizeof(struct job), .consumers = WORKERS};
  assert_int_equal(shoal_queue_create(seg, "narrow", &options, &narrow), 0);
  struct shoal_pool_options o = {.task = "note", .queue = narrow, .workers = WORKERS, .threaded = THREADED};
  assert_int_equal(shoal_pool_create(seg, &o, &pool), -EUSERS);
  assert_null(pool);
  o.workers = WORKERS - 1;
  assert_int_equal(shoal_pool_create(seg, &o, &pool), 0);
  finish(pool);
  assert_int_equal(shoal_queue_detach(narrow), 0);
  assert_int_equal(shoal_queue_unlink(seg, "narrow"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(done),      TEST(killed),  TEST(replaced),   TEST(full),          TEST(orphaned),
      TEST(failed),    TEST(exits),   TEST(init_fails), TEST(limit),         TEST(limit_slides),
      TEST(terminate), TEST(refused), TEST(whole),      TEST(given_up),      TEST(failed_that_kills),
      TEST(no_fork),   TEST(roles),   TEST(thread),     TEST(too_few_roles), TEST(full_and_only_tried),
      TEST(default),
  };
  ledger = mmap(NULL, sizeof *ledger, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (ledger == MAP_FAILED || shoal_segment_create(NULL, NULL, &seg)) {
    fprintf(stderr, "no shared memory: %s\n", shoal_reason());
    return 1;
  }
  alarm(600);
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  return shoal_segment_close(seg) ? 1 : failed;
}
