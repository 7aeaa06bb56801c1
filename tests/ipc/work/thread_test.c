// Claims
//   life       alive, join by try, deadline and for ever, by many, again and again; result; close
//   refused    before start, after close, of itself, nothing to run, names and stacks that make no sense
//   names      Thread-N, given ones; MainThread, Foreign-N; the kernel's
//   daemon     given, inherited; the process waits for the others, at exit and at shoal_process_exit
//   listed     main and those that run, in order
//   embedded   a struct of the user's
//   gone       what is joined is no participant of a segment any more
//   fork       a child has none of them; their structs are another process's
//   cut        pthread_exit and pthread_cancel are ends
//   local      each thread has its own, zeroed; given back by its end, or by close
#include "ipc/work/thread.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/futex.h"
#include "core/proc.h"
#include "ipc/work/process.h"
#include "ipc/work/task.h"
#include "tests/harness/drivers.h"

#ifdef __SANITIZE_THREAD__
#define THREADED 1  // the sanitizer's own thread
#else
#define THREADED 0
#endif

static shoal_atomic32 gate;  // threads in `pass` wait until it is 1
static void open_gate(void) {
  shoal_store32_release(&gate, 1);  // [T1] pairs with [T2]
  shoal_futex_wake(&gate, 1000);
}
static void await_gate(void) {
  while (shoal_load32_acquire(&gate) == 0) shoal_futex_wait(&gate, 0, SHOAL_FOREVER);  // [T2]
}
static int pass(void *arg) {
  await_gate();
  return arg ? *(int *)arg : 0;
}
static int answer(void *arg) { return *(int *)arg; }

static int setup(void **state) {
  (void)state;
  watchdog(280);
  shoal_store32_relaxed(&gate, 0);
  return 0;
}

static int end_of(struct shoal_thread *t) {
  int result = 12345;
  assert_int_equal(shoal_thread_join(t, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_thread_result(t, &result), 0);
  assert_int_equal(shoal_thread_close(t), 0);
  return result;
}

static int join_it(void *arg) { return shoal_thread_join(arg, SHOAL_FOREVER); }

static void test_life(void **state) {
  (void)state;
  struct shoal_thread t, waiter[3];
  int seven = 7, result = 12345;
  assert_int_equal(shoal_thread_start(&t, pass, &seven, NULL), 0);
  assert_int_equal(shoal_thread_is_alive(&t), 1);
  assert_int_equal(shoal_thread_join(&t, SHOAL_TRY), -EAGAIN);
  assert_int_equal(shoal_thread_join(&t, shoal_after_ms(5)), -ETIMEDOUT);
  assert_int_equal(shoal_thread_join(&t, shoal_after_ms(-1)), -ETIMEDOUT);
  assert_int_equal(shoal_thread_result(&t, &result), -EAGAIN);
  assert_int_equal(shoal_thread_close(&t), -EBUSY);
  for (int i = 0; i < 3; i++) assert_int_equal(shoal_thread_start(&waiter[i], join_it, &t, NULL), 0);
  open_gate();
  for (int i = 0; i < 3; i++) assert_int_equal(end_of(&waiter[i]), 0);
  assert_int_equal(shoal_thread_join(&t, SHOAL_TRY), 0);
  assert_int_equal(shoal_thread_join(&t, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_thread_is_alive(&t), 0);
  assert_int_equal(result, 12345);
  assert_int_equal(end_of(&t), 7);
  assert_int_equal(shoal_thread_join(&t, SHOAL_TRY), -EINVAL);
}

static int join_self(void *arg) {
  (void)arg;
  return shoal_thread_join((struct shoal_thread *)(uintptr_t)shoal_thread_current(), SHOAL_FOREVER);
}

static void test_refused(void **state) {
  (void)state;
  struct shoal_thread t = {.ident = 0};
  int result = 0;
  char longest[SHOAL_NAME_MAX + 2];
  memset(longest, 'n', sizeof longest);
  longest[SHOAL_NAME_MAX + 1] = 0;
  assert_int_equal(shoal_thread_join(&t, SHOAL_TRY), -EINVAL);
  assert_int_equal(shoal_thread_is_alive(&t), -EINVAL);
  assert_int_equal(shoal_thread_result(&t, &result), -EINVAL);
  assert_int_equal(shoal_thread_close(&t), -EINVAL);
  assert_int_equal(shoal_thread_start(&t, NULL, NULL, NULL), -EINVAL);
  assert_int_equal(shoal_thread_start_run(&t, NULL, NULL), -EINVAL);
  struct shoal_thread_options o = {.name = longest};
  assert_int_equal(shoal_thread_start(&t, answer, &result, &o), -ENAMETOOLONG);
  o = (struct shoal_thread_options){.name = ""};
  assert_int_equal(shoal_thread_start(&t, answer, &result, &o), -EINVAL);
  o = (struct shoal_thread_options){.stack = 1};
  assert_int_equal(shoal_thread_start(&t, answer, &result, &o), -EINVAL);
  o = (struct shoal_thread_options){.daemon = (enum shoal_thread_daemon)3};
  assert_int_equal(shoal_thread_start(&t, answer, &result, &o), -EINVAL);
  assert_int_equal(shoal_thread_join(&t, SHOAL_TRY), -EINVAL);
  assert_int_equal(shoal_thread_start(&t, join_self, NULL, NULL), 0);
  assert_int_equal(end_of(&t), -EDEADLK);
}

// ---- names ----

static int has_name(void *arg) {
  char kernel[16];
  const struct shoal_thread *t = shoal_thread_current();
  if (pthread_getname_np(pthread_self(), kernel, sizeof kernel)) return 1;
  return strcmp(t->name, arg) != 0 || strncmp(kernel, arg, 15) != 0 || t->ident != shoal_thread_ident();
}
static void *be_foreign(void *arg) {
  const struct shoal_thread *t = shoal_thread_current();
  CHECK(strncmp(t->name, "Foreign-", 8) == 0 && t == shoal_thread_current() && t->ident > 1 && t->daemon);
  return arg;
}

static void test_names(void **state) {
  (void)state;
  struct shoal_thread t[3];
  pthread_t foreign;
  char expected[32];
  int seven = 7;
  assert_string_equal(shoal_thread_current()->name, "MainThread");
  assert_ptr_equal(shoal_thread_current(), shoal_thread_main());
  assert_int_equal(shoal_thread_ident(), 1);
  assert_int_equal(shoal_thread_start(&t[0], answer, &seven, NULL), 0);
  assert_int_equal(strncmp(t[0].name, "Thread-", 7), 0);
  struct shoal_thread_options o = {.name = "the seventh of many"};
  assert_int_equal(shoal_thread_start(&t[1], has_name, "the seventh of many", &o), 0);
  snprintf(expected, sizeof expected, "Thread-%d", atoi(t[0].name + 7) + 1);
  assert_int_equal(shoal_thread_start(&t[2], has_name, expected, NULL), 0);
  assert_true(t[0].ident < t[1].ident && t[1].ident < t[2].ident);
  assert_int_equal(end_of(&t[0]), 7);
  assert_int_equal(end_of(&t[1]), 0);
  assert_int_equal(end_of(&t[2]), 0);
  assert_int_equal(pthread_create(&foreign, NULL, be_foreign, NULL), 0);
  pthread_join(foreign, NULL);
}

// ---- daemons ----

// What the grandchild of a thread is, where the thread is `arg`'s.
static int tell_daemon(void *arg) {
  (void)arg;
  return shoal_thread_current()->daemon;
}
static int inherit(void *arg) {
  struct shoal_thread t;
  int result;
  if (shoal_thread_start(&t, tell_daemon, arg, NULL) || shoal_thread_join(&t, SHOAL_FOREVER)) return 9;
  if (shoal_thread_result(&t, &result) || shoal_thread_close(&t)) return 9;
  return result;
}

static void test_daemon_is_inherited(void **state) {
  (void)state;
  struct shoal_thread t;
  for (int daemon = 0; daemon < 3; daemon++) {
    struct shoal_thread_options o = {.daemon = (enum shoal_thread_daemon)daemon};
    assert_int_equal(shoal_thread_start(&t, inherit, NULL, &o), 0);
    assert_int_equal(end_of(&t), daemon == SHOAL_DAEMON);
  }
}

static struct shoal_thread last_one, endless;
static int write_late(void *arg) {
  struct timespec ms = {0, 20000000};
  nanosleep(&ms, NULL);  // who does not wait for this thread is gone by then
  return write(*(int *)arg, "w", 1) != 1;
}
static int never(void *arg) {
  for (;;) pause();
  return arg != NULL;
}
struct ending {
  int fd, by_exit;
};
SHOAL_TASK(leave_threads, struct ending) {
  struct shoal_thread_options daemon = {.daemon = SHOAL_DAEMON};
  if (shoal_thread_start(&endless, never, NULL, &daemon)) return 1;
  if (shoal_thread_start(&last_one, write_late, &arg->fd, NULL)) return 1;
  if (arg->by_exit) exit(0);
  return 0;
}

// In fresh images: the sanitizer has no threads in a child of one that had some.
static void test_process_waits(void **state) {
  (void)state;
  const struct shoal_context spawn = {.method = SHOAL_START_SPAWN};
  const struct shoal_process_options o = {.context = &spawn};
  for (int by_exit = 0; by_exit < 2; by_exit++) {
    struct shoal_process p;
    int code = 12345, ends[2];
    char text[4];
    assert_int_equal(pipe(ends), 0);
    struct ending ending = {ends[1], by_exit};
    assert_int_equal(shoal_process_start_task(&p, "leave_threads", &ending, sizeof ending, &o), 0);
    close(ends[1]);
    assert_int_equal(read(ends[0], text, sizeof text), 1);
    close(ends[0]);
    assert_int_equal(shoal_process_join(&p, SHOAL_FOREVER), 0);
    assert_int_equal(shoal_process_exitcode(&p, &code), 0);
    assert_int_equal(code, 0);
    assert_int_equal(shoal_process_close(&p), 0);
  }
}

// ---- listed ----

struct seen {
  struct shoal_thread_info info[4];
  unsigned n;
};
static int see(const struct shoal_thread_info *info, void *arg) {
  struct seen *s = arg;
  if (s->n == 4) return -EOVERFLOW;
  s->info[s->n++] = *info;
  return 0;
}
static int stop(const struct shoal_thread_info *info, void *arg) { return info->ident == 1 && arg ? 42 : 0; }

static void test_listed(void **state) {
  (void)state;
  struct shoal_thread t[3];
  struct seen s = {.n = 0};
  assert_int_equal(shoal_thread_active_count(), 1);
  for (int i = 0; i < 3; i++) assert_int_equal(shoal_thread_start(&t[i], pass, NULL, NULL), 0);
  assert_int_equal(shoal_thread_active_count(), 4);
  assert_int_equal(shoal_thread_enumerate(see, &s), 0);
  assert_int_equal(s.n, 4);
  assert_string_equal(s.info[0].name, "MainThread");
  assert_int_equal(s.info[0].tid, getpid());
  for (int i = 0; i < 3; i++) assert_int_equal(s.info[i + 1].ident, t[i].ident);
  assert_int_equal(shoal_thread_enumerate(stop, &s), 42);
  open_gate();
  for (int i = 2; i >= 0; i--) assert_int_equal(end_of(&t[i]), 0);
  assert_int_equal(shoal_thread_active_count(), 1);
  assert_int_equal(shoal_thread_start(&t[0], pass, NULL, NULL), 0);  // the list's end was mended
  assert_int_equal(end_of(&t[0]), 0);
}

struct counter {
  int by;
  struct shoal_thread thread;
  int count;
};
static int run_counter(struct shoal_thread *t) {
  struct counter *c = SHOAL_EMBEDS(t, struct counter, thread);
  c->count += c->by;
  return t != shoal_thread_current();
}

static void test_embedded(void **state) {
  (void)state;
  struct counter c = {.by = 5, .count = 2};
  assert_int_equal(shoal_thread_start_run(&c.thread, run_counter, NULL), 0);
  assert_int_equal(end_of(&c.thread), 0);
  assert_int_equal(c.count, 7);
}

static int join_segment(void *seg) {
  shoal_proc_id id;
  return shoal_proc_self(seg, &id);
}

static void test_gone(void **state) {
  (void)state;
  for (int i = 0; i < 20; i++) {
    struct shoal_segment *seg;
    struct shoal_thread t;
    assert_int_equal(shoal_segment_create(NULL, NULL, &seg), 0);
    assert_int_equal(shoal_thread_start(&t, join_segment, seg, NULL), 0);
    assert_int_equal(shoal_thread_join(&t, SHOAL_FOREVER), 0);
    assert_int_equal(shoal_segment_close(seg), 0);  // -EBUSY while it is a participant
    assert_int_equal(end_of(&t), 0);
  }
}

// ---- fork ----

static int in_child(struct shoal_thread *theirs) {
  struct shoal_thread t;
  int zero = 0, result = 1;
  if (shoal_thread_active_count() != 1 || shoal_thread_current() != shoal_thread_main()) return 2;
  if (shoal_thread_join(theirs, SHOAL_TRY) != -ECHILD || shoal_thread_close(theirs) != -ECHILD) return 3;
  if (THREADED) return 0;  // a child of a threaded process has no threads under the sanitizer
  if (shoal_thread_start(&t, answer, &zero, NULL) || shoal_thread_join(&t, SHOAL_FOREVER)) return 4;
  return shoal_thread_result(&t, &result) || shoal_thread_close(&t) || result;
}
static int fork_here(void *arg) {
  int status = 1;
  pid_t child = fork();
  if (child == 0) _exit(in_child(arg));
  return waitpid(child, &status, 0) != child || status;
}

static void test_fork(void **state) {
  (void)state;
  struct shoal_thread t, forker;
  assert_int_equal(shoal_thread_start(&t, pass, NULL, NULL), 0);
  assert_int_equal(fork_here(&t), 0);
  assert_int_equal(shoal_thread_start(&forker, fork_here, &t, NULL), 0);
  assert_int_equal(end_of(&forker), 0);
  open_gate();
  assert_int_equal(end_of(&t), 0);
}

// ---- cut off ----

static int leave_by_exit(void *arg) {
  if (arg) pthread_exit(NULL);
  return 0;
}
static int until_cancelled(void *arg) {
  open_gate();
  for (;;) sleep(1);
  return arg != NULL;
}

static void test_cut(void **state) {
  (void)state;
  struct shoal_thread t;
  assert_int_equal(shoal_thread_start(&t, leave_by_exit, &t, NULL), 0);
  assert_int_equal(end_of(&t), -ENOTRECOVERABLE);
  assert_int_equal(shoal_thread_start(&t, until_cancelled, NULL, NULL), 0);
  await_gate();
  pthread_cancel(t.handle);
  assert_int_equal(end_of(&t), -ENOTRECOVERABLE);
  assert_int_equal(shoal_thread_active_count(), 1);
}

// ---- values ----

struct tally {
  int n;
  char bytes[100];
};
SHOAL_LOCAL_TYPED(tallies, struct tally)
static struct shoal_local tallies;
static shoal_atomic32 destroyed;
static void count_end(void *value) { shoal_add32_relaxed(&destroyed, (uint32_t)((struct tally *)value)->n); }
static int tally(void *arg) {
  struct tally *mine = tallies_get(&tallies);
  if (!mine || mine->n || (uintptr_t)mine % 16) return 1;
  for (int i = 0; i < 1000; i++) tallies_get(&tallies)->n++;
  if (arg) await_gate();
  return tallies_get(&tallies)->n != 1000 || tallies_get(&tallies) != mine;
}

static void test_local(void **state) {
  (void)state;
  struct shoal_thread t[4];
  assert_int_equal(shoal_local_create(&tallies, UINT64_MAX, NULL), -EINVAL);
  assert_int_equal(tallies_create(&tallies, count_end), 0);
  for (int i = 0; i < 4; i++) assert_int_equal(shoal_thread_start(&t[i], tally, i ? &t[i] : NULL, NULL), 0);
  assert_int_equal(end_of(&t[0]), 0);
  assert_int_equal(shoal_load32_relaxed(&destroyed), 1000);
  assert_int_equal(tallies_get(&tallies)->n, 0);
  tallies_get(&tallies)->n = 5;
  open_gate();
  for (int i = 1; i < 4; i++) assert_int_equal(end_of(&t[i]), 0);
  assert_int_equal(shoal_load32_relaxed(&destroyed), 4000);
  shoal_local_close(&tallies);
  assert_int_equal(shoal_load32_relaxed(&destroyed), 4005);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_life, setup),          cmocka_unit_test_setup(test_refused, setup),
      cmocka_unit_test_setup(test_names, setup),         cmocka_unit_test_setup(test_daemon_is_inherited, setup),
      cmocka_unit_test_setup(test_process_waits, setup), cmocka_unit_test_setup(test_listed, setup),
      cmocka_unit_test_setup(test_embedded, setup),      cmocka_unit_test_setup(test_gone, setup),
      cmocka_unit_test_setup(test_fork, setup),          cmocka_unit_test_setup(test_cut, setup),
      cmocka_unit_test_setup(test_local, setup),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
