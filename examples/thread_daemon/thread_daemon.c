// Three programs, each in a process of its own: a thread that is no daemon is waited for when main has come to its end;
// a daemon ends with it, wherever it is; and who is started by a daemon is one, unless it says otherwise.
#include <stdio.h>
#include <unistd.h>

#include "core/error.h"
#include "ipc/work/process.h"
#include "ipc/work/task.h"
#include "ipc/work/thread.h"

struct program {
  int which;
};
static int main_exits[2], main_goes_on[2];  // pipes: their words

static int await(const int ends[2]) {
  char word;
  return read(ends[0], &word, 1) != 1;
}
static int let(const int ends[2]) { return write(ends[1], "w", 1) != 1; }
static const char *truth(int is) { return is ? "True" : "False"; }
static int begins(void) { return pipe(main_exits) || pipe(main_goes_on); }

// What main says last; then the thread goes on.
static int main_thread(void) {
  printf("Main thread daemon is %s\n", truth(shoal_thread_current()->daemon));
  printf("Main thread Exit\n");
  fflush(stdout);
  return let(main_exits);
}

static int foo(void *arg) {
  if (await(main_exits)) return 1;
  for (int i = 0; i < 3; i++) printf("i=%d,foo thread daemon is %s\n", i, truth(shoal_thread_current()->daemon));
  return arg != NULL;
}
static int no_daemon(void) {
  static struct shoal_thread t;
  if (shoal_thread_start(&t, foo, NULL, &(struct shoal_thread_options){.daemon = SHOAL_NO_DAEMON})) return 1;
  return main_thread();
}

static int foo1(void *arg) {
  printf("i=0,foo1 thread daemon is %s\n", truth(shoal_thread_current()->daemon));
  fflush(stdout);
  if (let(main_goes_on)) return 1;
  for (;;) pause();
  return arg != NULL;
}
static int daemon_thread(void) {
  static struct shoal_thread t;
  if (shoal_thread_start(&t, foo1, NULL, &(struct shoal_thread_options){.daemon = SHOAL_DAEMON})) return 1;
  return await(main_goes_on) || main_thread();
}

static int bar(void *arg) {
  printf("[bar] daemon is %s\n", truth(shoal_thread_current()->daemon));
  return arg != NULL;
}
static int foo2(void *arg) {
  for (int i = 0; i < 3; i++) {
    struct shoal_thread t;
    printf("i=%d,[foo] thread daemon is %s\n", i, truth(shoal_thread_current()->daemon));
    if (shoal_thread_start(&t, bar, NULL, NULL) || shoal_thread_join(&t, SHOAL_FOREVER) || shoal_thread_close(&t))
      return 1;
  }
  fflush(stdout);
  return let(main_goes_on) || arg != NULL;
}
static int inherited(void) {
  static struct shoal_thread t;
  if (shoal_thread_start(&t, foo2, NULL, &(struct shoal_thread_options){.daemon = SHOAL_DAEMON})) return 1;
  return await(main_goes_on) || shoal_thread_join(&t, SHOAL_FOREVER) || main_thread() || shoal_thread_close(&t);
}

SHOAL_TASK(program, struct program) {
  static int (*const programs[])(void) = {no_daemon, daemon_thread, inherited};
  printf("daemon=%s\n", arg->which == 0 ? "False" : arg->which == 1 ? "True" : "None");
  return begins() || programs[arg->which]();
}

int main(void) {
  const struct shoal_context spawn = {.method = SHOAL_START_SPAWN};
  const struct shoal_process_options options = {.context = &spawn};
  int rc = 0, code = 0;
  for (int i = 0; i < 3 && rc == 0 && code == 0; i++) {
    struct shoal_process p;
    struct program which = {i};
    rc = shoal_process_start_task(&p, "program", &which, sizeof which, &options);
    if (rc == 0) rc = shoal_process_join(&p, SHOAL_FOREVER);
    if (rc == 0) rc = shoal_process_exitcode(&p, &code);
    if (rc == 0) rc = shoal_process_close(&p);
  }
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  return rc || code;
}
