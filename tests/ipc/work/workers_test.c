// ipc/work/executor: how its workers are looked after. Claims
//   idle        who waits for what does not come uses no processor: it is hardly ever woken, the creator nor another
//   noticed     the creator asleep in a wait notices a worker's death, a condemned job and a time limit, and other waiters
//               the creator's death and a broken executor, by themselves
//   threads     workers that are threads: results, failures, nested, callbacks, imap, for_each, resubmission, recycling; a task
//               that ends its thread has failed, or runs again; what needs a kill is refused; terminate waits for what
//               runs
//   unmarked    the end of a thread with more locks than the kernel marks is noticed, by terminate, too
//   fresh       workers by starter and by spawn, of an executor and of a pool, whose creator has threads: results, nested, killed
//               and replaced; SIGINT, which the creator handles, ends none; what they cannot have is refused; a program
//               with a starter has them without asking
//   resized     more workers, and fewer, idle or under load, of processes and of threads; each job is done; what makes no sense is
//               refused
//   outworn     by age, idle or not, and by memory: recycled, which is no restart; each on its processor, by its name
//   backoff     a job whose worker died begins again no sooner than its delay says, also where tasks wait for it; meanwhile it can
//               be cancelled
//   letters     what failed for good is kept: argument, task, failure, once each; nothing else is; then its cell is free
#include <sched.h>
#include <sys/resource.h>

#include "core/robust.h"
#include "ipc/work/executor_internal.h"
#include "ipc/work/map.h"
#include "tests/ipc/work/executor_support.h"

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

// ---- threads ----

SHOAL_TASK(end_thread, struct small) {
  if (shoal_add32_relaxed(&ledger->begun[arg->id], 1) < arg->in) pthread_exit(NULL);
  return 0;
}
static int three_more(void *arg, void *item) {
  uint32_t *next = arg;
  *(struct small *)item = (struct small){.id = 50 + *next, .in = *next};
  return ++*next <= 40;
}
static void count_call(const struct shoal_future *f, void *arg) {
  (void)f;
  ++*(int *)arg;
}
static void results_of_threads(struct shoal_executor *ex) {
  struct small all[100], s = {.in = 7};
  struct shoal_failure failure;
  struct shoal_imap *it;
  struct shoal_future f;
  struct deep d = {8, 0};
  uint32_t next = 0, got = 0;
  int calls = 0, rc = SHOAL_APPLY(ex, fork_join, &d, NULL, SHOAL_FOREVER);
  assert_int_equal(rc, 0);
  assert_int_equal(d.leaves, 256);
  rc = SHOAL_APPLY(ex, refuse_odd, &s, &failure, SHOAL_FOREVER);
  assert_int_equal(rc, -EREMOTEIO);
  assert_int_equal(failure.code, -EDOM);
  assert_string_equal(failure.message, "7 is odd");
  for (uint32_t i = 0; i < 100; i++) all[i] = (struct small){.id = 100 + i, .in = i};
  rc = SHOAL_MAP(ex, square, all, 100, NULL, SHOAL_FOREVER);
  assert_int_equal(rc, 0);
  for (uint32_t i = 0; i < 100; i++) assert_int_equal(all[i].out, i * i);
  struct shoal_imap_options unordered = {.unordered = 1};
  assert_int_equal(SHOAL_IMAP(ex, square, three_more, &next, &unordered, &it), 0);
  while ((rc = shoal_imap_next(it, &s, sizeof s, NULL, SHOAL_FOREVER)) == 0) got += s.out == s.in * s.in;
  assert_int_equal(rc, -ENOENT);
  assert_int_equal(got, 40);
  assert_int_equal(shoal_imap_end(it), 0);
  assert_int_equal(SHOAL_SUBMIT(ex, square, &s, &f), 0);
  assert_int_equal(shoal_future_on_done(&f, count_call, &calls), 0);
  while (!calls) assert_true(shoal_executor_poll(ex, SHOAL_FOREVER) >= 0);
  assert_int_equal(shoal_future_release(&f), 0);
}
static void test_threads(void **state) {
  (void)state;
  struct shoal_executor_options o = {.threads = 1, .workers = 2, .retries = 1};
  struct shoal_executor *ex = executor_of(o), *none;
  struct shoal_executor_info info;
  struct shoal_failure failure;
  struct shoal_future f;
  results_of_threads(ex);
  struct small s = {.id = 1, .in = 1};
  int rc = SHOAL_APPLY(ex, end_thread, &s, NULL, SHOAL_FOREVER);
  assert_int_equal(rc, 0);
  s = (struct small){.id = 2, .in = 9};
  rc = SHOAL_APPLY(ex, end_thread, &s, &failure, SHOAL_FOREVER);
  assert_int_equal(rc, -EREMOTEIO);
  assert_int_equal(failure.code, -ENOTRECOVERABLE);
  assert_int_equal(failure.attempt, 2);
  s = (struct small){.id = 3, .in = 1};
  assert_int_equal(SHOAL_SUBMIT(ex, hold, &s, &f), 0);
  await_begun(3);
  assert_int_equal(shoal_future_cancel(&f, SHOAL_FORCE), -ENOTSUP);
  assert_int_equal(shoal_executor_info(ex, &info), 0);
  assert_int_equal(info.restarts, 3);
  assert_int_equal(shoal_executor_terminate(ex, shoal_after_ms(20)), -EBUSY);
  assert_int_equal(SHOAL_SUBMIT(ex, square, &s, NULL), -EPIPE);
  shoal_store32_relaxed(&ledger->go, 1);
  assert_int_equal(shoal_executor_terminate(ex, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_future_get(&f, NULL, 0, NULL, SHOAL_TRY), 0);
  end_executor(ex);
  o.time_limit_ns = 1;
  assert_int_equal(make_executor(o, &none), -ENOTSUP);
  o = (struct shoal_executor_options){.threads = 1, .workers = 1, .tasks_max = 10};
  ex = executor_of(o);
  for (s = (struct small){.id = 1000}; s.id < 1095; s.id++)
    if (SHOAL_APPLY(ex, square, &s, NULL, SHOAL_FOREVER)) fail();
  assert_int_equal(shoal_executor_shutdown(ex, 0, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_executor_info(ex, &info), 0);
  assert_int_equal(info.recycled, 9);
  end_executor(ex);
}

// The kernel marks 2,048 words of a thread, the last it took: not that by which its end is seen.
SHOAL_TASK(end_unmarked, struct small) {
  static struct shoal_robust words[2][2100];
  for (unsigned i = 0; i < 2100; i++)
    if (shoal_robust_acquire_(&words[arg->in][i], SHOAL_TRY)) return -EDEADLK;
  shoal_add32_relaxed(&ledger->begun[arg->id], 1);
  pthread_exit(NULL);
}
static void test_unmarked(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){.threads = 1, .workers = 1});
  struct shoal_failure failure;
  struct shoal_future f;
  struct small s = {.id = 1, .in = 0};
  int rc = SHOAL_APPLY(ex, end_unmarked, &s, &failure, SHOAL_FOREVER);
  assert_int_equal(rc, -EREMOTEIO);
  assert_int_equal(failure.code, -ENOTRECOVERABLE);
  assert_int_equal(shoal_executor_terminate(ex, SHOAL_FOREVER), 0);
  end_executor(ex);
  ex = executor_of((struct shoal_executor_options){.threads = 1, .workers = 1});
  s = (struct small){.id = 2, .in = 1};
  assert_int_equal(SHOAL_SUBMIT(ex, end_unmarked, &s, &f), 0);
  await_begun(2);
  assert_int_equal(shoal_executor_terminate(ex, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_future_release(&f), 0);
  end_executor(ex);
}

// ---- fresh ----

SHOAL_TASK(triple, struct small) {  // without the ledger, which a fresh image has not
  if (arg->in == 13) raise(SIGKILL);
  arg->out = 3 * arg->in;
  return 0;
}
SHOAL_TASK(in_place, struct small) {
  shoal_atomic32 *sum = shoal_segment_at(shoal_process_segment(), arg->id, sizeof *sum);
  return sum ? (shoal_add32_relaxed(sum, arg->in), 0) : shoal_task_fail(-ENOENT, "no segment");
}
SHOAL_TASK(interrupted, struct small) { return kill(getpid(), SIGINT) || arg->in; }
SHOAL_TASK(whose_child, struct small) {
  arg->out = shoal_starter_pid() == 0 && getppid() == shoal_process_parent_pid();
  return 0;
}
static int no_init(void *arg, unsigned worker) {
  (void)arg, (void)worker;
  return 0;
}
static void results_of_fresh(const struct shoal_context *context) {
  struct shoal_executor *ex =
      executor_of((struct shoal_executor_options){.workers = 2, .context = context, .tasks_max = 60});
  struct shoal_failure failure;
  struct shoal_executor_info info;
  struct deep d = {6, 0};
  int rc = SHOAL_APPLY(ex, fork_join, &d, &failure, SHOAL_FOREVER);
  assert_int_equal(rc, 0);
  assert_int_equal(d.leaves, 64);
  struct small s = {.in = 13};
  rc = SHOAL_APPLY(ex, triple, &s, &failure, SHOAL_FOREVER);
  assert_int_equal(rc, -EREMOTEIO);
  assert_int_equal(failure.code, -ENOTRECOVERABLE);
  for (uint32_t i = 20; i < 120; i++) {
    s.in = i;
    rc = SHOAL_APPLY(ex, triple, &s, NULL, SHOAL_FOREVER);
    assert_int_equal(rc, 0);
    assert_int_equal(s.out, 3 * i);
  }
  rc = SHOAL_APPLY(ex, whose_child, &s, NULL, SHOAL_FOREVER);
  assert_int_equal(rc, 0);
  assert_int_equal(s.out, 1);
  s.in = 0;
  rc = SHOAL_APPLY(ex, interrupted, &s, NULL, SHOAL_FOREVER);
  assert_int_equal(rc, 0);
  assert_int_equal(shoal_executor_shutdown(ex, 0, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_executor_info(ex, &info), 0);
  assert_int_equal(info.restarts, 1);
  assert_true(info.recycled > 0);
  end_executor(ex);
}
static void pool_of_fresh(const struct shoal_context *context) {
  struct shoal_queue_options q = {.capacity = 64, .element_size = sizeof(struct small)};
  struct shoal_pool_options o = {.task = "in_place", .workers = 2, .context = context, .threaded = THREADED};
  struct shoal_object object;
  struct shoal_pool *pool;
  assert_int_equal(shoal_object_create(seg, NULL, "sum", 64, NULL, NULL, &object), 0);
  assert_int_equal(shoal_queue_create(seg, NULL, &q, &o.queue), 0);
  assert_int_equal(shoal_pool_create(seg, &o, &pool), 0);
  for (uint32_t i = 1; i <= 100; i++) {
    struct small s = {.id = (uint32_t)object.off, .in = i};
    assert_int_equal(shoal_pool_submit(pool, &s, SHOAL_FOREVER), 0);
  }
  assert_int_equal(shoal_pool_close(pool), 0);
  assert_int_equal(shoal_pool_join(pool, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_load32_relaxed((shoal_atomic32 *)object.memory), 5050);
  assert_int_equal(shoal_pool_destroy(pool), 0);
  o.init = no_init;
  if (context) assert_int_equal(shoal_pool_create(seg, &o, &pool), -EINVAL);
  assert_int_equal(shoal_queue_detach(o.queue), 0);
  assert_int_equal(shoal_object_close(seg, &object), 0);
}
static void *await_go(void *go) {
  while (!shoal_load32_relaxed(go)) usleep(1000);
  return NULL;
}
static void handle(int signal) { (void)signal; }
static void test_fresh(void **state) {
  (void)state;
  struct shoal_context by[] = {{.method = SHOAL_START_STARTER}, {.method = SHOAL_START_SPAWN}};
  struct shoal_context bad = {.method = SHOAL_START_SPAWN + 2};
  struct shoal_executor *none;
  pthread_t thread;
  shoal_atomic32 *go = &ledger->go;
  signal(SIGINT, handle);
  assert_int_equal(pthread_create(&thread, NULL, await_go, go), 0);
  for (int m = 0; m < 2; m++) {
    results_of_fresh(&by[m]);
    pool_of_fresh(&by[m]);
    assert_int_equal(make_executor((struct shoal_executor_options){.context = &by[m], .init = no_init}, &none),
                     -EINVAL);
  }
  assert_int_equal(make_executor((struct shoal_executor_options){.context = &bad}, &none), -EINVAL);
  assert_int_not_equal(shoal_starter_pid(), 0);
  results_of_fresh(NULL);  // whose program has a starter, and a thread
  pool_of_fresh(NULL);
  shoal_store32_relaxed(go, 1);
  assert_int_equal(pthread_join(thread, NULL), 0);
  assert_int_equal(shoal_starter_end(), 0);
  signal(SIGINT, SIG_DFL);
}

// ---- resized ----

static void expect_workers(struct shoal_executor *ex, unsigned n) {
  struct shoal_executor_info info;
  assert_int_equal(shoal_executor_info(ex, &info), 0);
  assert_int_equal(info.workers, n);
  assert_int_equal(info.alive, n);
  assert_int_equal(info.restarts, 0);
}
static void resize_under_load(struct shoal_executor *ex, uint32_t *id) {
  struct shoal_future f[200];
  for (uint32_t i = 0; i < 200; i++) {
    struct small s = {.id = ++*id, .in = i};
    assert_int_equal(SHOAL_SUBMIT(ex, square, &s, &f[i]), 0);
    if (i % 20) continue;
    int rc = shoal_executor_resize(ex, 1 + i / 20 % 4, SHOAL_TRY);
    assert_true(rc == 0 || rc == -EAGAIN);
  }
  for (uint32_t i = 0; i < 200; i++) {
    assert_int_equal(shoal_future_get(&f[i], NULL, 0, NULL, SHOAL_FOREVER), 0);
    assert_int_equal(shoal_future_release(&f[i]), 0);
  }
}
static void resize_one(struct shoal_executor_options o, uint32_t *id) {
  o.workers = 2, o.workers_max = 4;
  struct shoal_executor *ex = executor_of(o);
  static const unsigned to[] = {4, 1, 3, 2, 4};
  uint32_t first = *id;
  for (unsigned i = 0; i < 5; i++) {
    assert_int_equal(shoal_executor_resize(ex, to[i], SHOAL_FOREVER), 0);
    expect_workers(ex, to[i]);
    struct small s = {.id = ++*id, .in = 5};
    if (SHOAL_APPLY(ex, square, &s, NULL, SHOAL_FOREVER)) fail();
  }
  resize_under_load(ex, id);
  assert_int_equal(shoal_executor_resize(ex, 1, SHOAL_FOREVER), 0);
  expect_workers(ex, 1);
  struct small held_one = {.id = ++*id, .in = 1};
  assert_int_equal(SHOAL_SUBMIT(ex, hold, &held_one, NULL), 0);
  assert_int_equal(shoal_executor_resize(ex, 2, SHOAL_FOREVER), 0);
  assert_int_equal(SHOAL_SUBMIT(ex, hold, (held_one.id = ++*id, &held_one), NULL), 0);
  while (!shoal_load32_relaxed(&ledger->begun[*id]))  // one of those that are there may be about to leave
    assert_true(shoal_executor_tend(ex, shoal_after_ms(1)) >= 0);
  assert_int_equal(shoal_executor_resize(ex, 1, shoal_after_ms(10)), -ETIMEDOUT);
  shoal_store32_relaxed(&ledger->go, 1);
  assert_int_equal(shoal_executor_resize(ex, 1, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_executor_resize(ex, 0, SHOAL_FOREVER), -EINVAL);
  assert_int_equal(shoal_executor_resize(ex, 5, SHOAL_FOREVER), -EINVAL);
  assert_int_equal(shoal_executor_shutdown(ex, 0, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_executor_resize(ex, 2, SHOAL_FOREVER), -EPIPE);
  for (uint32_t i = first + 1; i <= *id; i++) assert_int_equal(shoal_load32_relaxed(&ledger->ended[i]), 1);
  end_executor(ex);
  shoal_store32_relaxed(&ledger->go, 0);
}
// Some cannot be started now: later calls do.
static void resize_in_vain(void) {
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){.workers = 1, .workers_max = 3});
  struct shoal_executor_info info;
  struct rlimit was, none;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
  none = was;
  none.rlim_cur = 0;
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
  int rc = shoal_executor_resize(ex, 3, SHOAL_FOREVER);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
  assert_int_equal(rc, -EMFILE);
  assert_int_equal(shoal_executor_info(ex, &info), 0);
  assert_int_equal(info.workers, 3);
  assert_true(shoal_executor_tend(ex, SHOAL_TRY) >= 0);
  assert_int_equal(shoal_executor_info(ex, &info), 0);
  assert_int_equal(info.alive, 3);
  end_executor(ex);
}
static void test_resized(void **state) {
  (void)state;
  uint32_t id = 0;
  resize_one((struct shoal_executor_options){0}, &id);
  resize_one((struct shoal_executor_options){.threads = 1}, &id);
  resize_in_vain();
}

// ---- outworn ----

struct where {
  uint32_t processor, processors, bytes;
  char name[64];
};
SHOAL_TASK(look_around, struct where) {
  cpu_set_t set;
  arg->processors = sched_getaffinity(0, sizeof set, &set) ? 0 : (uint32_t)CPU_COUNT(&set);
  arg->processor = (uint32_t)sched_getcpu();
  snprintf(arg->name, sizeof arg->name, "%s", shoal_process_current_name());
  static char *volatile kept;
  if (arg->bytes && (kept = malloc(arg->bytes))) memset(kept, 1, arg->bytes);
  return 0;
}
static uint64_t recycled_of(struct shoal_executor *ex) {
  struct shoal_executor_info info;
  assert_int_equal(shoal_executor_info(ex, &info), 0);
  assert_int_equal(info.restarts, 0);
  return info.recycled;
}
static void outworn_by_memory(void) {
  struct shoal_executor_options o = {.workers = 1, .memory_max = 64 << 20};
  struct shoal_executor *ex = executor_of(o);
  struct where where = {.bytes = 8 << 20};
  for (int i = 0; i < 5; i++)
    if (SHOAL_APPLY(ex, look_around, &where, NULL, SHOAL_FOREVER)) fail();
  uint64_t before = recycled_of(ex);
  where.bytes = 80 << 20;
  for (int i = 0; i < 3; i++)
    if (SHOAL_APPLY(ex, look_around, &where, NULL, SHOAL_FOREVER)) fail();
  assert_int_equal(shoal_executor_shutdown(ex, 0, SHOAL_FOREVER), 0);
  assert_int_equal(before, 0);
  assert_true(recycled_of(ex) >= 2);
  end_executor(ex);
}
// What lets a worker hardly begin: each has a task of its own all the same.
static void outworn_at_birth(struct shoal_executor_options o) {
  o.workers = 1;
  struct shoal_executor *ex = executor_of(o);
  struct where where = {.bytes = 0};
  for (int i = 0; i < 3; i++) assert_int_equal(SHOAL_APPLY(ex, look_around, &where, NULL, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_executor_shutdown(ex, 0, SHOAL_FOREVER), 0);
  assert_true(recycled_of(ex) >= 2);
  end_executor(ex);
}
static void test_outworn(void **state) {
  (void)state;
  cpu_set_t set;
  outworn_at_birth((struct shoal_executor_options){.memory_max = 1});
  outworn_at_birth((struct shoal_executor_options){.age_max_ns = 1});
  uint16_t list[CPU_SETSIZE];
  unsigned n = 0;
  assert_int_equal(sched_getaffinity(0, sizeof set, &set), 0);
  for (unsigned i = 0; i < CPU_SETSIZE; i++)
    if (CPU_ISSET(i, &set)) list[n++] = (uint16_t)i;
  for (int threads = 0; threads < 2; threads++) {
    struct shoal_executor_options o = {.workers = 1, .threads = threads, .workers_name = "miller"};
    o.age_max_ns = 30000000, o.processors = list, o.processor_count = n;
    struct shoal_executor *ex = executor_of(o);
    struct shoal_executor_worker w;
    struct where where = {0};
    if (SHOAL_APPLY(ex, look_around, &where, NULL, SHOAL_FOREVER)) fail();
    assert_int_equal(where.processors, 1);
    assert_int_equal(where.processor, list[0]);
    if (!threads) assert_string_equal(where.name, "miller-1");
    while (recycled_of(ex) < 3) assert_true(shoal_executor_tend(ex, shoal_after_ms(20)) >= 0);
    assert_int_equal(shoal_executor_worker(ex, 0, &w), 0);
    assert_string_equal(w.name, "miller-1");
    end_executor(ex);
  }
  if (!THREADED) outworn_by_memory();  // a sanitizer's shadow is memory, too
  struct shoal_executor_options o = {.memory_max = 1};
  struct shoal_executor *ex;
  o.threads = 1;
  assert_int_equal(make_executor(o, &ex), -ENOTSUP);
  o = (struct shoal_executor_options){.age_max_ns = -1};
  assert_int_equal(make_executor(o, &ex), -EINVAL);
  o = (struct shoal_executor_options){.processor_count = 2};
  assert_int_equal(make_executor(o, &ex), -EINVAL);
  o = (struct shoal_executor_options){.workers = 3, .workers_max = 2};
  assert_int_equal(make_executor(o, &ex), -EINVAL);
}

// ---- retried, and given up ----

SHOAL_TASK(wait_for_one, struct small) {
  struct shoal_executor *ex = shoal_executor_current();
  struct small inner = {.id = arg->id + 1, .in = arg->in};
  struct shoal_future f;
  int rc = SHOAL_SUBMIT(ex, die_at_first, &inner, &f);
  while (!rc && !shoal_load32_relaxed(&ledger->begun[inner.id])) usleep(100);
  if (!rc) rc = shoal_future_get(&f, &inner, sizeof inner, NULL, SHOAL_FOREVER);
  arg->out = inner.out;
  return rc ? rc : shoal_future_release(&f);
}
static void test_backoff(void **state) {
  (void)state;
  struct shoal_executor_options o = {
      .workers = 2, .retries = 5, .retry_delay_ns = 20000000, .retry_delay_max_ns = 30000000};
  struct shoal_executor *ex = executor_of(o), *none;
  struct shoal_future f;
  int64_t begin = shoal_now_ns();
  struct small s = {.id = 1, .in = 4};
  if (SHOAL_APPLY(ex, die_at_first, &s, NULL, SHOAL_FOREVER)) fail();
  assert_int_equal(s.out, 1);
  assert_true(shoal_now_ns() - begin >= 20000000 + 3 * 30000000);
  s = (struct small){.id = 2, .in = 2};
  if (SHOAL_APPLY(ex, wait_for_one, &s, NULL, SHOAL_FOREVER)) fail();
  assert_int_equal(s.out, 3);
  end_executor(ex);
  o.retry_delay_ns = o.retry_delay_max_ns = INT64_C(3600000000000);
  ex = executor_of(o);
  s = (struct small){.id = 5, .in = 9};
  assert_int_equal(SHOAL_SUBMIT(ex, die_at_first, &s, &f), 0);
  await_begun(5);
  while (shoal_future_running(&f)) assert_true(shoal_executor_tend(ex, shoal_after_ms(1)) >= 0);
  assert_int_equal(shoal_future_cancel(&f, 0), 0);
  assert_int_equal(shoal_future_get(&f, NULL, 0, NULL, SHOAL_FOREVER), -ECANCELED);
  assert_int_equal(shoal_load32_relaxed(&ledger->begun[5]), 1);
  for (uint32_t i = 0; i < (THREADED ? 20 : 60); i++) {  // what was cancelled meanwhile is not kept
    s.id = 6 + i;
    assert_int_equal(SHOAL_SUBMIT(ex, die_at_first, &s, &f), 0);
    await_begun(s.id);
    while (shoal_future_running(&f)) assert_true(shoal_executor_tend(ex, shoal_after_ms(1)) >= 0);
    assert_int_equal(shoal_future_cancel(&f, 0), 0);
    assert_int_equal(shoal_future_release(&f), 0);
  }
  assert_in_range(ex->retry_room, 1, 16);
  end_executor(ex);
  o.retry_delay_ns = -1;
  assert_int_equal(make_executor(o, &none), -EINVAL);
}

struct wide {
  struct small s;
  char text[200];
};
SHOAL_TASK(die_wide, struct wide) {
  arg->s.out++;
  raise(SIGKILL);
  return 0;
}
static int read_letter(void *arg) {
  struct shoal_letter letter;
  struct wide w;
  if (shoal_executor_letter(arg, &letter, &w, sizeof w)) return 1;
  return letter.size == sizeof w && w.s.out == 2 && strcmp(w.text, "text") == 0 ? 0 : 2;
}
static void test_letters(void **state) {
  (void)state;
  struct shoal_executor *ex =
      executor_of((struct shoal_executor_options){.workers = 2, .retries = 1, .dead_letters = 1, .jobs = 16});
  struct shoal_executor_info info;
  struct shoal_letter letter;
  struct shoal_process p;
  struct shoal_future f;
  struct small s = {.id = 1, .in = 9}, back;
  struct wide w = {.text = "text"};
  assert_int_equal(shoal_executor_letter(ex, &letter, &back, sizeof back), -ENOENT);
  int rc = SHOAL_APPLY(ex, refuse_odd, &s, NULL, SHOAL_FOREVER);
  assert_int_equal(rc, -EREMOTEIO);
  assert_int_equal(SHOAL_SUBMIT(ex, die_at_first, &s, &f), 0);
  assert_int_equal(shoal_future_get(&f, NULL, 0, NULL, SHOAL_FOREVER), -EREMOTEIO);
  assert_int_equal(shoal_executor_letter(ex, &letter, &back, 3), -EMSGSIZE);
  assert_int_equal(letter.size, sizeof back);
  assert_int_equal(shoal_executor_letter(ex, &letter, &back, sizeof back), 0);
  assert_int_equal(letter.token, shoal_future_token(&f));
  assert_int_equal(letter.failure.code, -ENOTRECOVERABLE);
  assert_int_equal(letter.failure.attempt, 2);
  assert_string_equal(letter.failure.task, "die_at_first");
  assert_int_equal(back.in, 9);
  assert_int_equal(shoal_executor_letter(ex, &letter, &back, sizeof back), -ENOENT);
  assert_int_equal(shoal_future_failure(&f, &letter.failure), -EREMOTEIO);
  assert_int_equal(shoal_future_release(&f), 0);
  assert_int_equal(SHOAL_SUBMIT(ex, die_wide, &w, NULL), 0);
  do assert_int_equal(shoal_executor_info(ex, &info), 0);
  while (!info.letters && shoal_executor_tend(ex, shoal_after_ms(1)) >= 0);
  in_child(read_letter, ex, &p);
  end_child(&p);
  for (uint32_t i = 0; i < (THREADED ? 3 : 18); i++) {  // released before they are read
    s = (struct small){.id = 10 + i, .in = 9};
    rc = SHOAL_APPLY(ex, die_at_first, &s, NULL, SHOAL_FOREVER);
    assert_int_equal(rc, -EREMOTEIO);
    assert_int_equal(shoal_executor_letter(ex, &letter, &back, sizeof back), 0);
    assert_int_equal(back.id, 10 + i);
  }
  assert_int_equal(shoal_executor_info(ex, &info), 0);
  assert_int_equal(info.jobs, 0);
  assert_int_equal(info.letters, 0);
  end_executor(ex);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_idle, set_up),     cmocka_unit_test_setup(test_noticed, set_up),
      cmocka_unit_test_setup(test_threads, set_up),  cmocka_unit_test_setup(test_fresh, set_up),
      cmocka_unit_test_setup(test_resized, set_up),  cmocka_unit_test_setup(test_outworn, set_up),
      cmocka_unit_test_setup(test_backoff, set_up),  cmocka_unit_test_setup(test_letters, set_up),
      cmocka_unit_test_setup(test_unmarked, set_up),
  };
  return cmocka_run_group_tests(tests, begin_tests, end_tests);
}
