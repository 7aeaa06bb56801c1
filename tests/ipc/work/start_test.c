// Claims, of fork, spawn and starter alike unless one is named
//   codes        exit codes 0, >0, minus the signal; no zombie stays
//   interrupted  SIGINT ends whom it would end as a fork of the parent, by any method
//   argument     is a copy; what lies in the context's segment is worked on in place
//   segment      is open in the child, its objects are found by name
//   names        the child knows its own, its parent's, and its parent's end; its children's end with its own number
//   daemon       dies with a parent that is killed; may have no children, nor a starter
//   options      limits, processors and environment are the child's alone; refused ones start nothing
//   words        last words come home whether it ends or is killed; the reason of a task that failed does
//   threads      spawn and starter do not mind them
//   input        that a thread reads from holds up no start, and no end of a child
//   secure       a program with more rights than its caller starts no image of itself, and says so
//   streams      the child of a starter has its parent's streams and working directory of now
//   starter      is made once, ends with its parent, by shoal_starter_end; killed at any time, each start has one child, or says
//                why not; stopped, another takes its place
//   nothing      stays of a parent that is killed while it starts daemons, by any method, its starter killed at times, too
//   refused      a function by spawn or starter; a task that is not there; an argument of another size, or none; no file may be written
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/atomic.h"
#include "core/directory.h"
#include "core/error.h"
#include "ipc/work/process.h"
#include "ipc/work/task.h"
#include "ipc/work/thread.h"
#include "tests/harness/drivers.h"
#include "tests/ipc/work/process_support.h"

#ifdef __SANITIZE_THREAD__
#define THREADED 1  // the sanitizer's own thread
#else
#define THREADED 0
#endif

static const enum shoal_start_method methods[] = {SHOAL_START_FORK, SHOAL_START_SPAWN, SHOAL_START_STARTER};
#define EACH_METHOD(m) (unsigned m = 0; m < 3; m++)

static struct shoal_segment *seg;
struct told {
  shoal_atomic32 pid, parent, stage;
  int daemon, by_name, limit, processors, tried, parent_alive;
  char name[64], parent_name[64], environment[64], kernel_name[16];
};
static struct told *told;
static struct shoal_object object;
static struct shoal_context context;
static struct shoal_process_options options;

static const struct shoal_process_options *by(unsigned m) {
  context = (struct shoal_context){.method = methods[m], .segment = seg};
  options = (struct shoal_process_options){.context = &context, .threaded = THREADED};
  return &options;
}

static int setup(void **state) {
  (void)state;
  watchdog(280);
  if (shoal_segment_create(NULL, NULL, &seg)) return -1;
  if (shoal_object_create(seg, "told", "told", sizeof *told, NULL, NULL, &object)) return -1;
  told = object.memory;
  return 0;
}
static int teardown(void **state) {
  (void)state;
  int rc = shoal_starter_end();
  if (rc == 0) rc = waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD ? 0 : -1;  // no zombie, no child left
  return rc ? rc : shoal_segment_close(seg);
}

#define START(p, task, argument) \
  assert_int_equal(shoal_process_start_task(p, task, argument, sizeof *(argument), &options), 0)

struct number {
  int n;
};
SHOAL_TASK(answer, struct number) { return arg->n; }
SHOAL_TASK(kill_self, struct number) { return raise(arg->n); }
SHOAL_TASK(rest, struct number) {
  while (arg) pause();
  return 0;
}

static int code_of(const char *task, int n) {
  struct shoal_process p;
  struct number number = {n};
  START(&p, task, &number);
  return end_of(&p);
}

static void test_codes(void **state) {
  (void)state;
  for
    EACH_METHOD(m) {
      by(m);
      assert_int_equal(code_of("answer", 0), 0);
      assert_int_equal(code_of("answer", 7), 7);
      assert_int_equal(code_of("answer", -1), 1);
      assert_int_equal(code_of("kill_self", SIGKILL), -SIGKILL);
      assert_int_equal(code_of("kill_self", SIGTERM), -SIGTERM);
    }
}

struct where {
  int n;
};
SHOAL_TASK(add_one, struct where) { return ++arg->n != 42; }

static void handle(int signal) { (void)signal; }
static void test_interrupted(void **state) {
  (void)state;
  void (*const how[])(int) = {SIG_DFL, SIG_IGN, handle};
  for (unsigned i = 0; i < 3; i++)
    for
      EACH_METHOD(m) {
        by(m);
        assert_true(signal(SIGINT, how[i]) != SIG_ERR);
        assert_int_equal(code_of("kill_self", SIGINT), i ? 0 : -SIGINT);
      }
  signal(SIGINT, SIG_DFL);
}

static void test_argument(void **state) {
  (void)state;
  struct shoal_object in_place;
  assert_int_equal(shoal_object_create(seg, NULL, "where", sizeof(struct where), NULL, NULL, &in_place), 0);
  struct where *shared = in_place.memory, own = {41};
  for
    EACH_METHOD(m) {
      struct shoal_process p;
      by(m);
      START(&p, "add_one", &own);
      assert_int_equal(end_of(&p), 0);
      assert_int_equal(own.n, 41);
      shared->n = 41;
      START(&p, "add_one", shared);
      assert_int_equal(end_of(&p), 0);
      assert_int_equal(shared->n, 42);
    }
  assert_int_equal(shoal_object_close(seg, &in_place), 0);
}

// What the child sees, written where the parent looks.
static struct told *told_by_name(void) {
  struct shoal_object found;
  return shoal_object_open(shoal_process_segment(), "told", "told", &found) ? NULL : found.memory;
}
SHOAL_TASK(tell, struct number) {
  struct told *t = told_by_name();
  struct rlimit limit;
  cpu_set_t set;
  if (!t) return 99;
  t->by_name = arg->n;
  t->daemon = shoal_process_is_daemon();
  t->parent_alive = shoal_process_parent_is_alive();
  snprintf(t->name, sizeof t->name, "%s", shoal_process_current_name());
  prctl(PR_GET_NAME, t->kernel_name);
  snprintf(t->parent_name, sizeof t->parent_name, "%s", shoal_process_parent_name());
  const char *value = getenv("SHOAL_TEST"), *gone = getenv("SHOAL_TEST_GONE");
  snprintf(t->environment, sizeof t->environment, "%s %s", value ? value : "", gone ? gone : "gone");
  t->limit = getrlimit(RLIMIT_NOFILE, &limit) ? -1 : (int)limit.rlim_cur;
  t->processors = sched_getaffinity(0, sizeof set, &set) ? -1 : CPU_COUNT(&set);
  shoal_store32_relaxed(&t->pid, (uint32_t)getpid());
  shoal_store32_relaxed(&t->parent, (uint32_t)shoal_process_parent_pid());
  return getppid() != shoal_process_parent_pid();
}

static void test_names(void **state) {
  (void)state;
  for
    EACH_METHOD(m) {
      struct shoal_process p, q;
      struct number n = {(int)m + 5};
      by(m);
      options.name = m == 1 ? "reader" : NULL;
      options.family = "Clock";
      START(&p, "tell", &n);
      pid_t pid = p.pid;
      assert_int_equal(end_of(&p), 0);
      assert_int_equal(told->by_name, (int)m + 5);
      assert_int_equal(shoal_load32_relaxed(&told->pid), pid);
      assert_int_equal(shoal_load32_relaxed(&told->parent), getpid());
      assert_int_equal(told->parent_alive, 1);
      assert_int_equal(told->daemon, 0);
      assert_string_equal(told->parent_name, "MainProcess");
      assert_string_equal(told->name, p.name);
      if (m > 0) assert_string_equal(told->kernel_name, p.name);
      if (m == 1) assert_string_equal(p.name, "reader");
      else assert_int_equal(strncmp(p.name, "Clock-", 6), 0);
      options.name = NULL;
      START(&q, "answer", &n);
      if (m == 0) assert_int_equal(atoi(q.name + 6), atoi(p.name + 6) + 1);
      assert_int_equal(end_of(&q), (int)m + 5);
    }
}

// ---- daemons ----

SHOAL_TASK(be_daemon, struct number) {
  struct told *t = told_by_name();
  struct shoal_process p;
  struct number zero = {0};
  t->daemon = shoal_process_is_daemon();
  t->tried =
      shoal_process_start_task(&p, "answer", &zero, sizeof zero, NULL) == -EPERM && shoal_starter_make() == -EPERM;
  shoal_store32_relaxed(&t->pid, (uint32_t)getpid());
  if (write(arg->n, "d", 1) != 1) return 1;  // and holds it: its end is the daemon's
  while (arg) pause();
  return 0;
}

// Starts a daemon that holds the end of a pipe, and is killed.
static int have_daemon(void *arg) {
  struct shoal_process p;
  struct number n = {((int *)arg)[0]};
  by((unsigned)((int *)arg)[1]);
  options.daemon = 1;
  close(((int *)arg)[2]);
  if (shoal_process_start_task(&p, "be_daemon", &n, sizeof n, &options)) return 1;
  close(n.n);
  for (;;) pause();
}

static void test_daemon(void **state) {
  (void)state;
  for
    EACH_METHOD(m) {
      struct shoal_process parent;
      int ends[2], what[3] = {0, (int)m, 0};
      char byte;
      if (methods[m] == SHOAL_START_STARTER) continue;  // its descriptors are not the parent's
      assert_int_equal(pipe(ends), 0);
      what[0] = ends[1], what[2] = ends[0];
      struct shoal_process_options o = {.threaded = THREADED};
      told->tried = 0;
      assert_int_equal(shoal_process_start(&parent, have_daemon, what, &o), 0);
      close(ends[1]);
      assert_int_equal(read(ends[0], &byte, 1), 1);
      assert_int_equal(shoal_process_kill(&parent), 0);
      assert_int_equal(end_of(&parent), -SIGKILL);
      assert_int_equal(read(ends[0], &byte, 1), 0);  // the daemon is gone; else the watchdog
      assert_int_equal(told->daemon, 1);
      assert_int_equal(told->tried, 1);
      close(ends[0]);
    }
}

SHOAL_TASK(try_children, struct number) {
  struct shoal_process p;
  struct number zero = {0};
  for (unsigned m = 0; m < 3; m++)
    if (by(m) && shoal_process_start_task(&p, "answer", &zero, sizeof zero, &options) != -EPERM) return 1 + (int)m;
  return shoal_starter_make() == -EPERM && shoal_process_is_daemon() == arg->n ? 0 : 9;
}
static void test_daemon_of_starter(void **state) {
  (void)state;
  for
    EACH_METHOD(m) {
      by(m);
      options.daemon = 1;
      assert_int_equal(code_of("try_children", 1), 0);
    }
}

// A process with a starter and two of its children, a daemon and one that is none; killed. `0`, `1`, `2`: the three.
struct family {
  shoal_atomic32 ready, starter;
  int daemon_fd, other_fd;
};
SHOAL_TASK(rest_in_segment, struct family) {
  shoal_add32_seq_cst(&arg->ready, 1);
  while (arg) pause();
  return 0;
}
static int have_family(void *arg) {
  struct family *f = arg;
  struct shoal_process daemon, other;
  by(2);
  options.daemon = 1;
  if (shoal_process_start_task(&daemon, "rest_in_segment", f, sizeof *f, &options)) return 1;
  options.daemon = 0;
  if (shoal_process_start_task(&other, "rest_in_segment", f, sizeof *f, &options)) return 1;
  f->daemon_fd = daemon.pid, f->other_fd = other.pid;
  shoal_store32_relaxed(&f->starter, (uint32_t)shoal_starter_pid());
  for (;;) pause();
}

// A pidfd: readable when it is gone, whoever waits for it.
static void await_end(int pidfd) {
  struct pollfd end = {pidfd, POLLIN, 0};
  assert_int_equal(poll(&end, 1, -1), 1);
  close(pidfd);
}
static int pidfd_of(uint32_t pid) {
  int fd = (int)syscall(SYS_pidfd_open, pid, 0);
  assert_true(fd >= 0);
  return fd;
}

static void test_starter_ends_with_its_parent(void **state) {
  (void)state;
  struct shoal_object place;
  struct shoal_process parent;
  assert_int_equal(shoal_object_create(seg, NULL, "family", sizeof(struct family), NULL, NULL, &place), 0);
  struct family *f = place.memory;
  struct shoal_process_options o = {.threaded = THREADED};
  assert_int_equal(shoal_process_start(&parent, have_family, f, &o), 0);
  while (shoal_load32_seq_cst(&f->ready) < 2 || !shoal_load32_relaxed(&f->starter)) sched_yield();
  int starter = pidfd_of(shoal_load32_relaxed(&f->starter)), daemon = pidfd_of((uint32_t)f->daemon_fd);
  int other = pidfd_of((uint32_t)f->other_fd);
  assert_int_equal(shoal_process_kill(&parent), 0);
  assert_int_equal(end_of(&parent), -SIGKILL);
  await_end(starter);
  await_end(daemon);
  struct pollfd lives = {other, POLLIN, 0};
  assert_int_equal(poll(&lives, 1, 0), 0);
  assert_int_equal(syscall(SYS_pidfd_send_signal, other, SIGKILL, NULL, 0), 0);
  await_end(other);
  assert_int_equal(shoal_object_close(seg, &place), 0);
}

// ---- options ----

static void test_options(void **state) {
  (void)state;
  cpu_set_t set;
  assert_int_equal(sched_getaffinity(0, sizeof set, &set), 0);
  uint16_t first = 0;
  while (!CPU_ISSET(first, &set)) first++;
  setenv("SHOAL_TEST_GONE", "there", 1);
  for
    EACH_METHOD(m) {
      struct shoal_process p;
      struct number n = {1};
      const char *environment[] = {"SHOAL_TEST=a=b", "SHOAL_TEST_GONE", NULL};
      struct shoal_limit limit = {RLIMIT_NOFILE, 60, 70};
      by(m);
      options.environment = environment;
      options.limits = &limit, options.limit_count = 1;
      options.processors = &first, options.processor_count = 1;
      START(&p, "tell", &n);
      assert_int_equal(end_of(&p), 0);
      assert_string_equal(told->environment, "a=b gone");
      assert_int_equal(told->limit, 60);
      assert_int_equal(told->processors, 1);
      assert_string_equal(getenv("SHOAL_TEST_GONE"), "there");
    }
}

static int refused(const struct shoal_process_options *o) {
  struct shoal_process p = {.pid = -1};
  struct number n = {0};
  int rc = shoal_process_start_task(&p, "answer", &n, sizeof n, o);
  assert_int_equal(p.pid, -1);
  return rc;
}

static int to_nowhere(void *arg) { return arg != NULL; }

static void test_refused(void **state) {
  (void)state;
  struct shoal_process p;
  struct number n = {0};
  uint16_t none = CPU_SETSIZE - 1, beyond = CPU_SETSIZE;
  const char *nameless[] = {"=x", NULL};
  struct shoal_limit backwards = {RLIMIT_NOFILE, 2, 1}, unknown = {1000, 1, 1};
  for
    EACH_METHOD(m) {
      by(m)->context == &context ? (void)0 : fail();
      assert_int_equal(shoal_process_start_task(&p, "answers", &n, sizeof n, &options), -ENOENT);
      assert_int_equal(shoal_process_start_task(&p, "answer", &n, sizeof n + 1, &options), -EBADMSG);
      assert_int_equal(shoal_process_start_task(&p, "answer", NULL, sizeof n, &options), -EINVAL);
      int by_function = shoal_process_start(&p, m ? to_nowhere : NULL, NULL, &options);
      assert_int_equal(by_function, -EINVAL);
      options.limits = &backwards, options.limit_count = 1;
      assert_int_equal(refused(&options), -EINVAL);
      options.limits = &unknown;
      assert_int_equal(refused(&options), -EINVAL);
      options.limits = NULL;
      assert_int_equal(refused(&options), -EINVAL);
      by(m);
      options.processors = &beyond, options.processor_count = 1;
      assert_int_equal(refused(&options), -EINVAL);
      options.processors = &none;  // there is none of that number: seen with the child at the gate
      assert_int_equal(refused(&options), -EINVAL);
      options.processors = NULL;
      assert_int_equal(refused(&options), -EINVAL);
      by(m);
      options.environment = nameless;
      assert_int_equal(refused(&options), -EINVAL);
      by(m);
      options.name = "";
      assert_int_equal(refused(&options), -EINVAL);
    }
  context.method = (enum shoal_start_method)3;
  assert_int_equal(refused(&options), -EINVAL);
  assert_int_equal(shoal_process_default(&context), -EINVAL);
}

static void test_files_are_limited(void **state) {
  (void)state;
  struct shoal_process p;
  struct number n = {3};
  sigset_t pending;
  struct rlimit was;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
  for
    EACH_METHOD(m) {
      if (by(m)->context->method == SHOAL_START_FORK) continue;  // its parent writes no file
      int limited = setrlimit(RLIMIT_FSIZE, &(struct rlimit){100, was.rlim_max});
      int rc = refused(&options);  // SIGXFSZ would end this process
      assert_int_equal(setrlimit(RLIMIT_FSIZE, &was) || limited, 0);
      assert_int_equal(rc, -ENOSPC);
      assert_int_equal(sigpending(&pending), 0);
      assert_false(sigismember(&pending, SIGXFSZ));
      START(&p, "answer", &n);
      assert_int_equal(end_of(&p), 3);
    }
}

static void test_default(void **state) {
  (void)state;
  struct number n = {3};
  struct shoal_process p;
  struct shoal_process_options plain = {.threaded = THREADED};
  context = (struct shoal_context){.method = SHOAL_START_SPAWN};
  assert_int_equal(shoal_process_default(&context), 0);
  assert_int_equal(shoal_process_start_task(&p, "answer", &n, sizeof n, NULL), 0);
  assert_int_equal(p.method, SHOAL_START_SPAWN);
  assert_int_equal(end_of(&p), 3);
  assert_int_equal(shoal_process_default(NULL), 0);
  assert_int_equal(shoal_process_start_task(&p, "answer", &n, sizeof n, &plain), 0);
  assert_int_equal(p.method, SHOAL_START_FORK);
  assert_int_equal(end_of(&p), 3);
}

// ---- last words ----

SHOAL_TASK(speak, struct number) {
  shoal_process_say("first words");
  shoal_process_say("%s words", "last");
  if (arg->n == 1) return shoal_task_fail(2, "not what is told");
  if (arg->n == 2) abort();
  return 0;
}
SHOAL_TASK(complain, struct number) { return shoal_task_fail(arg->n, "there was no %s", "wind"); }

static void test_words(void **state) {
  (void)state;
  signal(SIGABRT, SIG_DFL);
  for
    EACH_METHOD(m) {
      struct shoal_process p;
      struct shoal_process_info info;
      for (int how = 0; how < 4; how++) {
        struct number n = {how};
        by(m);
        options.limits = &(struct shoal_limit){RLIMIT_CORE, 0, 0}, options.limit_count = 1;
        START(&p, how == 3 ? "complain" : "speak", &n);
        assert_int_equal(shoal_process_join(&p, SHOAL_FOREVER), 0);
        assert_int_equal(shoal_process_info(&p, &info), 0);
        assert_string_equal(info.last_words, how == 3 ? "there was no wind" : "last words");
        assert_int_equal(info.alive, 0);
        assert_int_equal(info.code_known, 1);
        assert_int_equal(info.code, how == 0 ? 0 : how == 1 ? 2 : how == 2 ? -SIGABRT : 3);
        assert_int_equal(info.signal, how == 2 ? SIGABRT : 0);
        assert_int_equal(info.method, methods[m]);
        assert_string_equal(info.task, how == 3 ? "complain" : "speak");
        assert_true(info.memory_max > 0);
        assert_string_equal(info.name, p.name);
        assert_int_equal(shoal_process_close(&p), 0);
        assert_int_equal(shoal_process_info(&p, &info), -EINVAL);
      }
    }
}

// ---- threads ----

static void *wait_for_byte(void *arg) {
  char byte;
  return read(*(int *)arg, &byte, 1) == 1 ? arg : NULL;
}

static void test_threads(void **state) {
  (void)state;
  pthread_t thread;
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  assert_int_equal(pthread_create(&thread, NULL, wait_for_byte, &ends[0]), 0);
  for
    EACH_METHOD(m) {
      by(m);
      options.threaded = 0;
      if (m == 0) assert_int_equal(refused(&options), -EBUSY);
      else assert_int_equal(code_of("answer", 4), 4);
    }
  assert_int_equal(write(ends[1], "b", 1), 1);
  pthread_join(thread, NULL);
  close(ends[0]), close(ends[1]);
}

// ---- more rights than its caller ----

#define SECURE "SHOAL_TEST_SECURE"
// In the image: where main begins. An image of that comes here again, if it is not told anything.
static int be_secure(void) {
  struct shoal_process p;
  struct number n = {0};
  for (unsigned m = 1; m < 3; m++) {
    by(m);
    int rc = shoal_process_start_task(&p, "answer", &n, sizeof n, &options);
    if (rc != -EPERM || !strstr(shoal_reason(), "set-user-ID")) return 10 + (int)m;
  }
  if (shoal_starter_make() != -EPERM) return 13;
  by(0);
  return code_of("answer", 0) ? 14 : 0;
}
static int execute_secure(void *arg) {
  char *argv[] = {arg, arg, NULL};
  if (setenv(SECURE, "1", 1) || setresuid(getuid() + 1, geteuid(), geteuid())) return 77;  // no such users here
  execv("/proc/self/exe", argv);
  return 78;
}
static void test_secure(void **state) {
  (void)state;
  struct shoal_process p;
  struct shoal_process_options o = {.threaded = THREADED};
  assert_int_equal(shoal_process_start(&p, execute_secure, (void *)(uintptr_t) "secure", &o), 0);
  int code = end_of(&p);
  if (code == 77) skip();
  assert_int_equal(code, 0);
}

// ---- streams ----

// A thread reads from standard input, where nothing comes before its end.
static int read_input(void *arg) { return getchar() == EOF ? *(int *)arg : -1; }
static int is_read(void) {
  if (ftrylockfile(stdin)) return 1;
  funlockfile(stdin);
  return 0;
}
// The end that writes, or <0.
static int have_input_read(struct shoal_thread *reader, int *answer) {
  static const struct shoal_thread_options o = {.daemon = SHOAL_DAEMON};
  int ends[2];
  if (pipe(ends) || dup2(ends[0], 0) < 0 || close(ends[0])) return -1;
  if (shoal_thread_start(reader, read_input, answer, &o)) return -1;
  while (!is_read()) sched_yield();
  return ends[1];
}
static void test_input_is_read(void **state) {
  (void)state;
  int was = dup(0), answer = 8;
  struct shoal_thread reader;
  int input = have_input_read(&reader, &answer);
  assert_true(input > 0);
  for
    EACH_METHOD(m) {
      by(m);
      options.threaded = 1;
      assert_int_equal(code_of("answer", 5), 5);
    }
  close(input);
  assert_int_equal(shoal_thread_join(&reader, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_thread_result(&reader, &answer), 0);
  assert_int_equal(answer, 8);
  assert_int_equal(shoal_thread_close(&reader), 0);
  dup2(was, 0), close(was);
  clearerr(stdin);
}

static int end_beside_reader(void *text) {
  static struct shoal_thread reader;
  static int answer;
  printf("%s", (const char *)text);
  return have_input_read(&reader, &answer) < 0 ? 1 : 7;
}
static void test_end_beside_reader(void **state) {
  (void)state;
  char text[8] = "";
  struct shoal_process p;
  struct shoal_process_options o = {.threaded = THREADED};
  int file = (int)fileno(tmpfile()), out = dup(1);
  fflush(stdout);
  dup2(file, 1);
  int rc = shoal_process_start(&p, end_beside_reader, (void *)(uintptr_t) "ended", &o);
  int code = rc ? rc : end_of(&p);
  dup2(out, 1);
  assert_int_equal(code, 7);
  assert_int_equal(pread(file, text, sizeof text - 1, 0), 5);
  assert_string_equal(text, "ended");
  close(file), close(out);
}

SHOAL_TASK(print, struct number) {
  char folder[256];
  printf("%d %s\n", arg->n, getcwd(folder, sizeof folder) ? folder : "");
  return 0;
}

static void test_streams(void **state) {
  (void)state;
  char text[300] = "";
  by(2);
  assert_int_equal(code_of("answer", 0), 0);  // the starter is there
  int file = (int)fileno(tmpfile()), out = dup(1), folder = open(".", O_PATH | O_CLOEXEC);
  fflush(stdout);
  dup2(file, 1);
  assert_int_equal(chdir("/proc"), 0);
  int code = code_of("print", 6);
  dup2(out, 1);
  assert_int_equal(fchdir(folder), 0);
  assert_int_equal(code, 0);
  assert_true(pread(file, text, sizeof text - 1, 0) > 0);
  assert_string_equal(text, "6 /proc\n");
  close(file), close(out), close(folder);
}

// ---- the starter's life ----

static void test_starter_is_one(void **state) {
  (void)state;
  by(2);
  assert_int_equal(shoal_starter_make(), 0);
  pid_t pid = shoal_starter_pid();
  assert_true(pid > 0);
  assert_int_equal(shoal_starter_make(), 0);
  assert_int_equal(code_of("answer", 1), 1);
  assert_int_equal(shoal_starter_pid(), pid);
  assert_int_equal(shoal_starter_end(), 0);
  assert_int_equal(shoal_starter_pid(), 0);
  assert_int_equal(waitpid(pid, NULL, WNOHANG), -1);
  assert_int_equal(shoal_starter_end(), 0);
  assert_int_equal(code_of("answer", 1), 1);
}

static void test_starter_is_killed(void **state) {
  (void)state;
  struct shoal_process p;
  struct number n = {0};
  by(2);
  START(&p, "rest", &n);
  pid_t pid = shoal_starter_pid();
  kill(pid, SIGKILL);
  for (int i = 0; i < 10; i++) {
    assert_int_equal(code_of("answer", 1), 1);
    assert_int_not_equal(shoal_starter_pid(), pid);
    pid = shoal_starter_pid();
    kill(pid, SIGKILL);
  }
  assert_int_equal(shoal_process_is_alive(&p), 1);
  assert_int_equal(shoal_process_terminate(&p), 0);
  assert_int_equal(end_of(&p), -SIGTERM);
}

static void test_starter_is_stopped(void **state) {
  (void)state;
  by(2);
  assert_int_equal(code_of("answer", 1), 1);
  pid_t pid = shoal_starter_pid();
  kill(pid, SIGSTOP);
  assert_int_equal(code_of("answer", 2), 2);
  assert_int_not_equal(shoal_starter_pid(), pid);
}

// Kills starters, each some time after it was first seen.
static shoal_atomic32 killing;
static void *kill_starters(void *arg) {
  unsigned spin = 1, kills = 0;
  for (pid_t last = 0, pid; kills < 12; last = pid) {
    while ((pid = shoal_starter_pid()) == 0 || pid == last) sched_yield();
    spin = spin * 1103515245u + 12345u;
    for (volatile unsigned i = 0; i < spin % 3000000; i++) continue;
    kill(pid, SIGKILL);  // if it is gone, its number is nobody's so soon
    kills++;
  }
  shoal_store32_relaxed(&killing, 0);
  return arg;
}

static void test_starter_is_killed_while_it_starts(void **state) {
  (void)state;
  struct shoal_process p;
  struct number n = {9};
  pthread_t killer;
  by(2);
  shoal_store32_relaxed(&killing, 1);
  assert_int_equal(pthread_create(&killer, NULL, kill_starters, NULL), 0);
  while (shoal_load32_relaxed(&killing)) {
    int rc = shoal_process_start_task(&p, "answer", &n, sizeof n, &options);
    if (rc == 0) assert_int_equal(end_of(&p), 9);
    else assert_int_equal(rc, -EPIPE);
  }
  pthread_join(killer, NULL);
  assert_int_equal(code_of("answer", 9), 9);
}

// ---- nothing stays ----

// Starts daemons by all methods, kills its starter at times, until it is killed.
static int start_on(void *arg) {
  struct shoal_process p[64];
  struct number n = {0};
  for (unsigned i = 0; i < 64; i++) {
    by(i % 3);
    options.daemon = 1;
    int rc = shoal_process_start_task(&p[i], "rest", &n, sizeof n, &options);
    if (rc) return fprintf(stderr, "%d: %s\n", rc, shoal_reason()), 1;
    pid_t starter = shoal_starter_pid();
    if (i % 6 == 5 && starter > 0) kill(starter, SIGKILL);
    shoal_store32_relaxed(&told->stage, i + 1);
  }
  for (;;) pause();
  return arg != NULL;
}

static void test_nothing_stays(void **state) {
  (void)state;
  assert_int_equal(shoal_starter_end(), 0);
  prctl(PR_SET_CHILD_SUBREAPER, 1);  // whoever loses its parent becomes a child of this process
  for (unsigned round = 0; round < 8; round++) {
    struct shoal_process parent;
    struct shoal_process_options o = {.threaded = THREADED};
    shoal_store32_relaxed(&told->stage, 0);
    assert_int_equal(shoal_process_start(&parent, start_on, NULL, &o), 0);
    while (shoal_load32_relaxed(&told->stage) < round) sched_yield();
    for (volatile unsigned i = 0; i < round * 60000; i++) continue;
    assert_int_equal(shoal_process_kill(&parent), 0);
    assert_int_equal(end_of(&parent), -SIGKILL);
    while (waitpid(-1, NULL, 0) > 0) continue;  // until there is nobody; else the watchdog
    assert_int_equal(errno, ECHILD);
  }
  prctl(PR_SET_CHILD_SUBREAPER, 0);
}

int main(int argc, char **argv) {
  (void)argv;
  if (getenv(SECURE)) return argc > 1 && getauxval(AT_SECURE) ? be_secure() : 99;
  signal(SIGINT, SIG_DFL);  // whatever started it: the starter is made by the first test that needs one
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_codes),
      cmocka_unit_test(test_argument),
      cmocka_unit_test(test_names),
      cmocka_unit_test(test_daemon),
      cmocka_unit_test(test_starter_ends_with_its_parent),
      cmocka_unit_test(test_options),
      cmocka_unit_test(test_refused),
      cmocka_unit_test(test_files_are_limited),
      cmocka_unit_test(test_default),
      cmocka_unit_test(test_words),
      cmocka_unit_test(test_threads),
      cmocka_unit_test(test_interrupted),
      cmocka_unit_test(test_input_is_read),
      cmocka_unit_test(test_end_beside_reader),
      cmocka_unit_test(test_secure),
      cmocka_unit_test(test_daemon_of_starter),
      cmocka_unit_test(test_streams),
      cmocka_unit_test(test_nothing_stays),
      cmocka_unit_test(test_starter_is_one),
      cmocka_unit_test(test_starter_is_killed),
      cmocka_unit_test(test_starter_is_stopped),
      cmocka_unit_test(test_starter_is_killed_while_it_starts),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
