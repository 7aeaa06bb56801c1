// A store, a cache before it and a front before that: who dies is started again, and with it those that were built upon
// it.
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "core/error.h"
#include "ipc/work/supervisor.h"

static int ready[2];

static int serve(void *name) {  // until it is told to end
  sigset_t term;
  int signal;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  sigprocmask(SIG_BLOCK, &term, NULL);
  if (write(ready[1], "", 1) != 1) return 1;
  sigwait(&term, &signal);
  printf("  %s ends\n", (char *)name);
  return 0;
}
static void await(int n) {
  char byte;
  while (n && read(ready[0], &byte, 1) == 1) n--;
}

static int show(const struct shoal_supervised_info *child, void *arg) {
  (void)arg;
  printf("  %-5s %s", child->name, child->pid ? "runs" : "is down");
  if (child->restarts) printf(", started again: %lu", (unsigned long)child->restarts);
  if (child->last.signal) printf(", killed by signal %d", child->last.signal);
  printf("\n");
  return 0;
}

static int run(struct shoal_supervisor *sv) {
  static char *const names[] = {"store", "cache", "front"};
  struct shoal_supervised_info cache;
  int rc = 0;
  for (int i = 0; i < 3 && rc == 0; i++)
    rc = shoal_supervisor_add(sv, &(struct shoal_supervised){.name = names[i], .work = serve, .arg = names[i]});
  if (rc == 0) rc = shoal_supervisor_child(sv, "cache", &cache);
  if (rc) return rc;
  await(3);
  shoal_supervisor_list(sv, show, NULL);
  printf("the cache is killed\n");
  fflush(stdout);  // the children write, too
  kill(cache.pid, SIGKILL);
  int started = shoal_supervisor_tend(sv, SHOAL_FOREVER);
  if (started < 0) return started;
  await(started);
  shoal_supervisor_list(sv, show, NULL);
  printf("the end\n");
  fflush(stdout);
  return shoal_supervisor_shutdown(sv, SHOAL_FOREVER);
}

int main(void) {
  struct shoal_supervisor *sv = NULL;
  int rc = pipe(ready) ? -errno : 0;
  if (rc == 0) rc = shoal_supervisor_create(&(struct shoal_supervisor_options){.strategy = SHOAL_REST_FOR_ONE}, &sv);
  if (rc == 0) rc = run(sv);
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  if (sv) shoal_supervisor_destroy(sv);
  return rc != 0;
}
