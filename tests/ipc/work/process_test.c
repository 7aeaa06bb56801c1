// Claims
//   codes      exit codes 0, >0, minus the signal; an answer outside 0..255 is 1
//   join       try, deadline, for ever; twice; signals at the waiter do not end it; no zombie stays
//   foreign    the child's copy of the struct, another process: -ECHILD; before start, after close: -EINVAL
//   siblings   no other child of the program is waited for
//   names      Process-N, Process-N:M, given ones, the parent's
//   streams    what the parent had buffered is written once; the child's buffers are written; no exit handler runs
//   terminate  works although the parent handles or blocks SIGTERM
//   daemon     dies with a parent that is killed, at whatever instant; may have no children
//   threads    a threaded parent is refused unless it says so; a thread that was joined is none, and where nobody can
//              look, that is said
//   task       a registered one, on a copy of the argument
//   embedded   a struct of the user's: run gets the child's copy of it, with name and pid
//   active     those that run, in order; those that have ended are waited for; a plain fork's child has none
//   parent     its end is seen: is_alive, sentinel; where there is none: -ENOENT
//   ignored    where SIGCHLD is ignored the end is still seen; only the code is lost, and that is said
//   held       however late the parent comes to it, a child that ends at once is seen to end
//   numbers    a child that died before it was held, and whose number is another's since: start says so, the other is
//   left alone
#include "ipc/work/process.h"

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
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/atomic.h"
#include "core/error.h"
#include "ipc/work/task.h"
#include "tests/ipc/work/process_support.h"

#ifdef __SANITIZE_THREAD__
#define THREADED 1  // the sanitizer's own thread
#else
#define THREADED 0
#endif

static const struct shoal_process_options plain = {.threaded = THREADED};

static int answer(void *arg) { return *(int *)arg; }
static int die_of(void *arg) {
  signal(*(int *)arg, SIG_DFL);
  raise(*(int *)arg);
  return 0;
}
static int sleep_on(void *arg) {
  while (!arg || *(int *)arg) pause();
  return 0;
}

static void start(struct shoal_process *p, int (*work)(void *), void *arg) {
  assert_int_equal(shoal_process_start(p, work, arg, &plain), 0);
}

static int code_of(int (*work)(void *), int arg) {
  struct shoal_process p;
  start(&p, work, &arg);
  return end_of(&p);
}

static void assert_no_children(void) {
  assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
  assert_int_equal(errno, ECHILD);
}

static void test_codes(void **state) {
  (void)state;
  assert_int_equal(code_of(answer, 0), 0);
  assert_int_equal(code_of(answer, 7), 7);
  assert_int_equal(code_of(answer, 255), 255);
  assert_int_equal(code_of(answer, 256), 1);
  assert_int_equal(code_of(answer, -ENOENT), 1);
  assert_int_equal(code_of(die_of, SIGKILL), -SIGKILL);
  assert_int_equal(code_of(die_of, SIGTERM), -SIGTERM);
  assert_no_children();
}

static void test_join(void **state) {
  (void)state;
  struct shoal_process p;
  int code = 12345;
  start(&p, sleep_on, NULL);
  assert_true(p.pid > 0);
  assert_int_equal(shoal_process_is_alive(&p), 1);
  assert_int_equal(shoal_process_join(&p, SHOAL_TRY), -EAGAIN);
  assert_int_equal(shoal_process_join(&p, shoal_after_ms(20)), -ETIMEDOUT);
  assert_int_equal(shoal_process_join(&p, shoal_after_ms(-1)), -ETIMEDOUT);
  assert_int_equal(shoal_process_exitcode(&p, &code), -EAGAIN);
  assert_int_equal(code, 12345);
  assert_int_equal(shoal_process_close(&p), -EBUSY);
  assert_int_equal(shoal_process_kill(&p), 0);
  struct pollfd sentinel = {p.sentinel, POLLIN, 0};
  assert_int_equal(poll(&sentinel, 1, -1), 1);
  assert_int_equal(shoal_process_join(&p, SHOAL_TRY), 0);
  assert_no_children();
  assert_int_equal(shoal_process_join(&p, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_process_is_alive(&p), 0);
  assert_int_equal(shoal_process_kill(&p), 0);
  assert_int_equal(shoal_process_exitcode(&p, &code), 0);
  assert_int_equal(code, -SIGKILL);
  assert_int_equal(shoal_process_close(&p), 0);
}

static volatile sig_atomic_t ticks;
static void tick(int signal) { ticks += signal == SIGALRM; }

static int nap(void *arg) {
  while (poll(NULL, 0, *(int *)arg) < 0) continue;
  return 3;
}

static void test_join_is_not_ended_by_signals(void **state) {
  (void)state;
  struct sigaction old, action = {.sa_handler = tick};  // no SA_RESTART: poll answers EINTR
  sigaction(SIGALRM, &action, &old);
  timer_t timer;
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
  struct itimerspec each_ms = {{0, 1000000}, {0, 1000000}};
  assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
  assert_int_equal(timer_settime(timer, 0, &each_ms, NULL), 0);
  assert_int_equal(code_of(nap, 50), 3);
  timer_delete(timer);
  assert_true(ticks > 0);
  sigaction(SIGALRM, &old, NULL);
}

static int use_copy(void *arg) {
  struct shoal_process *p = arg;
  int code, bad = 0;
  bad |= shoal_process_join(p, SHOAL_FOREVER) != -ECHILD;
  bad |= shoal_process_is_alive(p) != -ECHILD;
  bad |= shoal_process_exitcode(p, &code) != -ECHILD;
  bad |= shoal_process_kill(p) != -ECHILD;
  bad |= shoal_process_close(p) != -ECHILD;
  return bad;
}

static void test_foreign(void **state) {
  (void)state;
  struct shoal_process first = {0}, second;
  assert_int_equal(shoal_process_join(&first, SHOAL_TRY), -EINVAL);
  start(&first, sleep_on, NULL);
  start(&second, use_copy, &first);
  assert_int_equal(end_of(&second), 0);
  assert_int_equal(shoal_process_is_alive(&first), 1);
  assert_int_equal(shoal_process_kill(&first), 0);
  assert_int_equal(end_of(&first), -SIGKILL);
  assert_int_equal(shoal_process_join(&first, SHOAL_TRY), -EINVAL);
  assert_int_equal(shoal_process_kill(&first), -EINVAL);
}

static void test_siblings(void **state) {
  (void)state;
  pid_t other = fork();
  if (other == 0) _exit(9);
  for (int i = 0; i < 20; i++) assert_int_equal(code_of(answer, i), i);
  int status;
  assert_int_equal(waitpid(other, &status, 0), other);
  assert_int_equal(WEXITSTATUS(status), 9);
}

static int check_names(void *arg) {
  const char **expected = arg;
  return strcmp(shoal_process_current_name(), expected[0]) != 0 ||
         strcmp(shoal_process_parent_name(), expected[1]) != 0;
}

static int grandparent(void *arg) {
  (void)arg;
  char mine[64], name[68];
  const char *expected[] = {name, mine};
  struct shoal_process p;
  int code;
  snprintf(mine, sizeof mine, "%s", shoal_process_current_name());
  snprintf(name, sizeof name, "%s:1", mine);
  if (shoal_process_start(&p, check_names, expected, &plain)) return 2;
  if (strcmp(p.name, name) != 0) return 3;
  return shoal_process_join(&p, SHOAL_FOREVER) || shoal_process_exitcode(&p, &code) || code;
}

static void test_names(void **state) {
  (void)state;
  struct shoal_process a, b, c;
  int zero = 0;
  assert_string_equal(shoal_process_current_name(), "MainProcess");
  assert_null(shoal_process_parent_name());
  start(&a, answer, &zero);
  start(&b, grandparent, NULL);
  unsigned first = (unsigned)atoi(a.name + strlen("Process-"));
  assert_int_equal(strncmp(a.name, "Process-", 8), 0);
  assert_int_equal((unsigned)atoi(b.name + strlen("Process-")), first + 1);
  const char *expected[] = {"reader", "MainProcess"};
  struct shoal_process_options named = {.name = "reader", .threaded = THREADED};
  assert_int_equal(shoal_process_start(&c, check_names, expected, &named), 0);
  assert_string_equal(c.name, "reader");
  assert_int_equal(end_of(&a), 0);
  assert_int_equal(end_of(&b), 0);
  assert_int_equal(end_of(&c), 0);
  char longest[SHOAL_NAME_MAX + 2];
  memset(longest, 'n', sizeof longest);
  longest[SHOAL_NAME_MAX + 1] = 0;
  named.name = longest;
  assert_int_equal(shoal_process_start(&c, check_names, expected, &named), -ENAMETOOLONG);
  assert_no_children();
}

static FILE *log_file;
static void handler_of_parent(void) {
  if (log_file) fprintf(log_file, "handler\n"), fflush(log_file);
}
static int write_child(void *arg) {
  fprintf(log_file, "child\n");
  if (arg) shoal_process_exit(4);
  return 0;
}

static void test_streams(void **state) {
  (void)state;
  struct shoal_process p;
  char text[128] = "";
  log_file = tmpfile();
  assert_non_null(log_file);
  atexit(handler_of_parent);
  fprintf(log_file, "parent\n");
  start(&p, write_child, NULL);
  assert_int_equal(end_of(&p), 0);
  start(&p, write_child, &p);
  assert_int_equal(end_of(&p), 4);
  rewind(log_file);
  size_t n = fread(text, 1, sizeof text - 1, log_file);
  assert_true(n > 0);
  assert_string_equal(text, "parent\nchild\nchild\n");
  fclose(log_file);
  log_file = NULL;
}

static void test_terminate(void **state) {
  (void)state;
  struct shoal_process p;
  struct sigaction old, action = {.sa_handler = tick};
  sigset_t term;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  for (int round = 0; round < 3; round++) {
    if (round == 1) action.sa_handler = SIG_IGN;
    sigaction(SIGTERM, &action, &old);
    if (round == 2) pthread_sigmask(SIG_BLOCK, &term, NULL);
    for (int i = 0; i < 30; i++) {
      start(&p, sleep_on, NULL);
      assert_int_equal(shoal_process_terminate(&p), 0);
      assert_int_equal(end_of(&p), -SIGTERM);
    }
    sigaction(SIGTERM, &old, NULL);
  }
  pthread_sigmask(SIG_UNBLOCK, &term, NULL);
}

// The parent of a daemon: tells its pid through a pipe that the daemon holds open, and lives on.
static int pipe_ends[2];
static int have_daemon(void *arg) {
  struct shoal_process p;
  struct shoal_process_options o = {.daemon = 1, .threaded = THREADED};
  close(pipe_ends[0]);
  if (arg && write(pipe_ends[1], "s", 1) != 1) return 1;  // killed from here on: before, during, after fork and prctl
  if (shoal_process_start(&p, sleep_on, NULL, &o)) return 1;
  if (!arg && write(pipe_ends[1], "d", 1) != 1) return 1;
  close(pipe_ends[1]);
  return sleep_on(NULL);
}

static void kill_parent_of_daemon(void *early, unsigned spin) {
  struct shoal_process parent;
  char byte;
  assert_int_equal(pipe(pipe_ends), 0);
  start(&parent, have_daemon, early);
  close(pipe_ends[1]);
  assert_int_equal(read(pipe_ends[0], &byte, 1), 1);
  for (volatile unsigned i = 0; i < spin; i++) continue;
  assert_int_equal(shoal_process_kill(&parent), 0);
  assert_int_equal(end_of(&parent), -SIGKILL);
  assert_int_equal(read(pipe_ends[0], &byte, 1), 0);  // the end of stream: the daemon is gone; else the watchdog
  close(pipe_ends[0]);
}

static void test_daemon(void **state) {
  (void)state;
  for (int i = 0; i < 10; i++) kill_parent_of_daemon(NULL, 0);
  for (unsigned i = 0; i < 300; i++) kill_parent_of_daemon(&i, i * 4000);
}

static int try_child(void *arg) {
  struct shoal_process p;
  int zero = 0;
  (void)arg;
  if (!shoal_process_is_daemon()) return 2;
  return shoal_process_start(&p, answer, &zero, &plain) != -EPERM;
}

static void test_daemon_has_no_children(void **state) {
  (void)state;
  struct shoal_process p;
  struct shoal_process_options o = {.daemon = 1, .threaded = THREADED};
  assert_int_equal(shoal_process_is_daemon(), 0);
  assert_int_equal(shoal_process_start(&p, try_child, NULL, &o), 0);
  assert_int_equal(end_of(&p), 0);
}

static void *wait_for_byte(void *arg) {
  char byte;
  return read(*(int *)arg, &byte, 1) == 1 ? arg : NULL;
}

static void test_threads(void **state) {
  (void)state;
  struct shoal_process p;
  pthread_t thread;
  int ends[2], zero = 0;
  assert_int_equal(pipe(ends), 0);
  assert_int_equal(pthread_create(&thread, NULL, wait_for_byte, &ends[0]), 0);
  assert_int_equal(shoal_process_start(&p, answer, &zero, NULL), -EBUSY);
  assert_non_null(strstr(shoal_reason(), "thread"));
  struct shoal_process_options o = {.threaded = 1};
  assert_int_equal(shoal_process_start(&p, answer, &zero, &o), 0);
  assert_int_equal(end_of(&p), 0);
  assert_int_equal(write(ends[1], "b", 1), 1);
  pthread_join(thread, NULL);
  close(ends[0]), close(ends[1]);
}

struct sum {
  int a, b, fd;
};
SHOAL_TASK(add, struct sum) {
  arg->a += arg->b;
  return write(arg->fd, &arg->a, sizeof arg->a) == sizeof arg->a ? 0 : 1;
}

static void test_task(void **state) {
  (void)state;
  struct shoal_process p;
  int ends[2], answer = 0;
  assert_int_equal(pipe(ends), 0);
  struct sum sum = {2, 3, ends[1]};
  assert_int_equal(shoal_process_start_task(&p, "add", &sum, sizeof sum, &plain), 0);
  assert_int_equal(end_of(&p), 0);
  assert_int_equal(read(ends[0], &answer, sizeof answer), sizeof answer);
  assert_int_equal(answer, 5);
  assert_int_equal(sum.a, 2);
  assert_int_equal(shoal_process_start_task(&p, "add", &sum, sizeof sum - 1, &plain), -EBADMSG);
  assert_int_equal(shoal_process_start_task(&p, "subtract", &sum, sizeof sum, &plain), -ENOENT);
  close(ends[0]), close(ends[1]);
  assert_no_children();
}

// ---- a process of one's own kind ----

struct counter {
  int before;
  struct shoal_process process;
  int by;
};
static int run_counter(struct shoal_process *p) {
  struct counter *c = SHOAL_EMBEDS(p, struct counter, process);
  if (p->pid != getpid() || strcmp(p->name, shoal_process_current_name()) != 0) return 255;
  if (shoal_process_join(p, SHOAL_TRY) != -ECHILD) return 254;
  return c->before += c->by;
}

static void test_embedded(void **state) {
  (void)state;
  struct counter c = {.before = 4, .by = 3};
  struct shoal_process_options o = {.family = "Counter", .threaded = THREADED};
  assert_int_equal(shoal_process_start_run(&c.process, run_counter, &o), 0);
  assert_int_equal(strncmp(c.process.name, "Counter-", 8), 0);
  assert_int_equal(end_of(&c.process), 7);
  assert_int_equal(c.before, 4);
  assert_int_equal(shoal_process_start_run(&c.process, NULL, &o), -EINVAL);
}

// ---- those that run ----

struct seen {
  pid_t pid[4];
  unsigned n;
};
static int see(struct shoal_process *p, void *arg) {
  struct seen *s = arg;
  s->pid[s->n++] = p->pid;
  return s->n == 4 ? -EOVERFLOW : 0;
}
static int has_none(void *arg) {
  struct seen s = {.n = 0};
  return shoal_process_active(see, arg ? &s : NULL) || s.n;
}

static void test_active(void **state) {
  (void)state;
  struct shoal_process p[4], none;
  struct seen s = {.n = 0};
  int seven = 7;
  assert_int_equal(shoal_process_active(see, &s), 0);
  assert_int_equal(s.n, 0);
  for (int i = 0; i < 3; i++) start(&p[i], sleep_on, NULL);
  start(&p[3], answer, &seven);
  struct pollfd sentinel = {p[3].sentinel, POLLIN, 0};
  assert_int_equal(poll(&sentinel, 1, -1), 1);
  assert_int_equal(shoal_process_active(see, &s), 0);
  assert_int_equal(s.n, 3);
  for (int i = 0; i < 3; i++) assert_int_equal(s.pid[i], p[i].pid);
  assert_int_equal(waitpid(p[3].pid, NULL, WNOHANG), -1);  // no zombie any more
  start(&none, has_none, &s);
  assert_int_equal(end_of(&none), 0);
  pid_t plain = fork();
  if (plain == 0) _exit(has_none(&s) ? 1 : 0);
  int status = 1;
  assert_int_equal(waitpid(plain, &status, 0), plain);
  assert_int_equal(status, 0);
  for (int i = 0; i < 3; i++) assert_int_equal(shoal_process_kill(&p[i]), 0);
  for (int i = 0; i < 4; i++) assert_int_equal(end_of(&p[i]), i == 3 ? 7 : -SIGKILL);
  s.n = 0;
  assert_int_equal(shoal_process_active(see, &s), 0);
  assert_int_equal(s.n, 0);
  assert_no_children();
}

// ---- the parent ----

static int watch_parent(void *arg) {
  struct pollfd parent = {shoal_process_parent_sentinel(), POLLIN, 0};
  char word = shoal_process_parent_is_alive() == 1 && parent.fd >= 0 && poll(&parent, 1, 0) == 0 ? 'a' : 'x';
  if (write(*(int *)arg, &word, 1) != 1) return 1;
  poll(&parent, 1, -1);
  while (shoal_process_parent_is_alive() == 1) sched_yield();  // readable a moment before it has another parent
  word = shoal_process_parent_is_alive() == 0 && shoal_process_parent_sentinel() == parent.fd ? 'e' : 'x';
  return write(*(int *)arg, &word, 1) != 1;
}
static int have_watcher(void *arg) {
  struct shoal_process p;
  if (shoal_process_start(&p, watch_parent, arg, &plain)) return 1;
  close(*(int *)arg);
  return sleep_on(NULL);
}

static void test_parent(void **state) {
  (void)state;
  struct shoal_process p;
  int ends[2];
  char word;
  assert_int_equal(shoal_process_parent_is_alive(), -ENOENT);
  assert_int_equal(shoal_process_parent_sentinel(), -ENOENT);
  assert_int_equal(shoal_process_parent_pid(), 0);
  assert_int_equal(pipe(ends), 0);
  start(&p, have_watcher, &ends[1]);
  close(ends[1]);
  assert_int_equal(read(ends[0], &word, 1), 1);
  assert_int_equal(word, 'a');
  assert_int_equal(shoal_process_kill(&p), 0);
  assert_int_equal(end_of(&p), -SIGKILL);
  assert_int_equal(read(ends[0], &word, 1), 1);
  assert_int_equal(word, 'e');
  assert_int_equal(read(ends[0], &word, 1), 0);
  close(ends[0]);
}

static void test_ignored(void **state) {
  (void)state;
  struct shoal_process p;
  int code = 12345;
  start(&p, sleep_on, NULL);
  signal(SIGCHLD, SIG_IGN);
  assert_int_equal(shoal_process_is_alive(&p), 1);
  assert_int_equal(shoal_process_kill(&p), 0);
  assert_int_equal(shoal_process_join(&p, SHOAL_FOREVER), 0);
  signal(SIGCHLD, SIG_DFL);
  assert_int_equal(shoal_process_is_alive(&p), 0);
  assert_int_equal(shoal_process_exitcode(&p, &code), -ECHILD);
  assert_int_equal(code, 12345);
  assert_int_equal(shoal_process_close(&p), 0);
}

// ---- between fork and the first line of either ----

static enum { AS_EVER, PARENT_COMES_LATE, CHILD_DIES } in_fork;
static struct { shoal_atomic32 child, ready; } * told;  // shared
static pid_t other;                                     // has its number

static void child_in_fork(void) {
  if (in_fork == AS_EVER) return;
  shoal_store32_relaxed(&told->child, (uint32_t)getpid());
  if (in_fork == CHILD_DIES) _exit(0);
}

// 'R' runs, 'S' sleeps, 'Z' a zombie ...; 0 there is none.
static char state_of(pid_t pid) {
  char path[32], state = 0;
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  FILE *stat = fopen(path, "r");
  if (!stat) return 0;
  if (fscanf(stat, "%*d (%*[^)]) %c", &state) != 1) state = 0;
  fclose(stat);
  return state;
}

static int give_away(pid_t number) {
  FILE *last = fopen("/proc/sys/kernel/ns_last_pid", "w");
  if (!last) return -1;
  fprintf(last, "%d", (int)number - 1);
  if (fclose(last)) return -1;
  shoal_store32_relaxed(&told->ready, 0);
  other = (pid_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
  if (other == 0) {
    syscall(SYS_close_range, 0, ~0u, 0);
    shoal_store32_relaxed(&told->ready, 1);
    for (;;) pause();
  }
  while (!shoal_load32_relaxed(&told->ready)) sched_yield();
  return 0;
}

static void parent_in_fork(void) {
  if (in_fork == AS_EVER) return;
  pid_t child;
  while (!(child = (pid_t)shoal_load32_relaxed(&told->child))) sched_yield();
  for (char state; (state = state_of(child)) && state != 'S';) sched_yield();
  if (in_fork == CHILD_DIES && give_away(child)) other = -1;
}

static int start_between(struct shoal_process *p, int how) {
  int zero = 0;
  if (!told) {
    told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(told, MAP_FAILED);
    assert_int_equal(pthread_atfork(NULL, parent_in_fork, child_in_fork), 0);
  }
  shoal_store32_relaxed(&told->child, 0);
  in_fork = how;
  signal(SIGCHLD, SIG_IGN);
  int rc = shoal_process_start(p, answer, &zero, &plain);
  in_fork = AS_EVER;
  return rc;
}

static void test_held(void **state) {
  (void)state;
  struct shoal_process p;
  int code = 12345;
  assert_int_equal(start_between(&p, PARENT_COMES_LATE), 0);
  assert_int_equal(shoal_process_join(&p, SHOAL_FOREVER), 0);
  signal(SIGCHLD, SIG_DFL);
  assert_int_equal(shoal_process_exitcode(&p, &code), -ECHILD);
  assert_int_equal(shoal_process_close(&p), 0);
}

static void test_numbers(void **state) {
  (void)state;
  struct shoal_process p = {0};
  pid_t number;
  do {  // until nobody else has taken the number
    assert_int_equal(start_between(&p, CHILD_DIES), -ECHILD);
    signal(SIGCHLD, SIG_DFL);
    if (other < 0) skip();  // not allowed to choose a number here
    number = (pid_t)shoal_load32_relaxed(&told->child);
    assert_int_equal(kill(other, 0), 0);
    assert_int_equal(kill(other, SIGKILL), 0);
  } while (other != number);
  assert_int_equal(p.pid, 0);
}

static void *nothing_more(void *arg) { return arg; }
static int ends_well(void *arg) {
  (void)arg;
  return 0;
}
// The kernel may count it for a while.
static void test_a_joined_thread_is_none(void **state) {
  (void)state;
  for (int round = 0; round < 100; round++) {
    pthread_t thread;
    struct shoal_process p;
    assert_int_equal(pthread_create(&thread, NULL, nothing_more, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(shoal_process_start(&p, ends_well, NULL, &plain), 0);
    assert_int_equal(shoal_process_join(&p, SHOAL_FOREVER), 0);
    assert_int_equal(shoal_process_close(&p), 0);
  }
}

// The kernel counts it until its tracer has seen its end.
static struct counted { shoal_atomic32 tid, traced, done; } * counted;
static void *end_traced(void *arg) {
  shoal_store32_relaxed(&counted->tid, (uint32_t)syscall(SYS_gettid));
  while (!shoal_load32_relaxed(&counted->traced)) usleep(100);
  return arg;
}
static int start_with_descriptors(unsigned n) {
  struct shoal_process p;
  struct rlimit was, few;
  int low = dup(0);
  if (low < 0 || close(low) || getrlimit(RLIMIT_NOFILE, &was)) return -1;
  few = (struct rlimit){(rlim_t)low + n, was.rlim_max};
  if (setrlimit(RLIMIT_NOFILE, &few)) return -1;
  int rc = shoal_process_start(&p, ends_well, NULL, NULL);
  if (setrlimit(RLIMIT_NOFILE, &was)) return -1;
  if (!rc && !shoal_process_join(&p, SHOAL_FOREVER)) shoal_process_close(&p);
  return rc;
}
static int start_beside_it(void) {
  pthread_t thread;
  struct stat st;
  if (pthread_create(&thread, NULL, end_traced, NULL) || pthread_join(thread, NULL)) return 1;
  if (stat("/proc/self/task", &st) || st.st_nlink != 4) return 2;
  for (unsigned n = 0; n < 3; n++)  // none for the list, one for that only, none for the pidfd
    if (start_with_descriptors(n) != -EMFILE) return 3 + (int)n;
  return start_with_descriptors(10) ? 6 : 0;
}
static int start_beside(void *arg) {
  (void)arg;
  int code = start_beside_it();
  shoal_store32_relaxed(&counted->done, 1);
  return code;
}
static void test_a_joined_thread_is_not_seen(void **state) {
  (void)state;
  struct shoal_process p;
  pid_t tid;
  int code;
  if (THREADED) skip();
  counted = mmap(NULL, sizeof *counted, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  assert_ptr_not_equal(counted, MAP_FAILED);
  assert_int_equal(shoal_process_start(&p, start_beside, NULL, NULL), 0);
  while (!(tid = (pid_t)shoal_load32_relaxed(&counted->tid))) usleep(100);
  assert_int_equal(ptrace(PTRACE_SEIZE, tid, NULL, NULL), 0);
  shoal_store32_relaxed(&counted->traced, 1);
  while (!shoal_load32_relaxed(&counted->done)) usleep(100);
  assert_int_equal(waitpid(tid, NULL, __WALL), tid);
  assert_int_equal(shoal_process_join(&p, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_process_exitcode(&p, &code), 0);
  assert_int_equal(code, 0);
  assert_int_equal(shoal_process_close(&p), 0);
  munmap(counted, sizeof *counted);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_codes),
      cmocka_unit_test(test_join),
      cmocka_unit_test(test_join_is_not_ended_by_signals),
      cmocka_unit_test(test_foreign),
      cmocka_unit_test(test_siblings),
      cmocka_unit_test(test_names),
      cmocka_unit_test(test_streams),
      cmocka_unit_test(test_terminate),
      cmocka_unit_test(test_daemon),
      cmocka_unit_test(test_daemon_has_no_children),
      cmocka_unit_test(test_threads),
      cmocka_unit_test(test_task),
      cmocka_unit_test(test_embedded),
      cmocka_unit_test(test_active),
      cmocka_unit_test(test_parent),
      cmocka_unit_test(test_ignored),
      cmocka_unit_test(test_held),
      cmocka_unit_test(test_numbers),
      cmocka_unit_test(test_a_joined_thread_is_none),
      cmocka_unit_test(test_a_joined_thread_is_not_seen),
  };
  alarm(600);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
