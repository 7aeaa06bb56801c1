// The life of a process that is terminated: initial, started, stopped by a signal. It holds SIGTERM off until it is
// told, so that it is alive for certain when it is asked after terminate.
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "ipc/work/process.h"

static int to_child[2], to_parent[2];

static int foo(void *arg) {
  sigset_t term;
  char byte = 'r';
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  sigprocmask(SIG_BLOCK, &term, NULL);
  if (write(to_parent[1], &byte, 1) != 1 || read(to_child[0], &byte, 1) != 1) return 1;
  sigprocmask(SIG_UNBLOCK, &term, NULL);
  printf("Finished function\n");
  return arg != NULL;
}

// As it is when it is shown; `alive`: as it was when it was asked.
static void show(const char *when, struct shoal_process *p, int alive) {
  struct shoal_process_info info;
  char state[32] = "started";
  if (shoal_process_info(p, &info)) return;
  if (info.signal) snprintf(state, sizeof state, "stopped[SIG%s]", sigabbrev_np(info.signal));
  else if (!info.alive) snprintf(state, sizeof state, "stopped");
  printf("Process %s: <Process(%s, %s)> %s\n", when, info.name, state, alive ? "True" : "False");
}

static int run(struct shoal_process *p) {
  char byte = 'g';
  int code = 0, alive, rc = shoal_process_start(p, foo, NULL, NULL);
  if (rc) return rc;
  if (read(to_parent[0], &byte, 1) != 1) return -EPIPE;
  show("running", p, shoal_process_is_alive(p));
  rc = shoal_process_terminate(p);
  if (rc) return rc;
  alive = shoal_process_is_alive(p);
  if (write(to_child[1], &byte, 1) != 1) return -EPIPE;
  rc = shoal_process_join(p, SHOAL_FOREVER);
  if (rc) return rc;
  show("terminated", p, alive);
  show("joined", p, shoal_process_is_alive(p));
  rc = shoal_process_exitcode(p, &code);
  printf("Process exit code: %d\n", code);
  return rc ? rc : shoal_process_close(p);
}

int main(void) {
  struct shoal_process p = {.state = 0};
  if (pipe(to_child) || pipe(to_parent)) return 1;
  printf("Process before execution: <Process(Process-1, initial)> %s\n",
         shoal_process_is_alive(&p) > 0 ? "True" : "False");
  int rc = run(&p);
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  return rc != 0;
}
