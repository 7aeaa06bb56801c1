// Who runs: every round the parent names its children, and each round one of them has ended.
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "core/error.h"
#include "ipc/work/process.h"

static int process1(void *arg) {
  for (;;) pause();
  return arg != NULL;
}

static int show(struct shoal_process *p, void *arg) {
  ++*(int *)arg;
  return printf("child Process:%s\t,id:%d is alive\n", p->name, (int)p->pid) < 0 ? -EPIPE : 0;
}

static int end(struct shoal_process *p) {
  int rc = shoal_process_terminate(p);
  if (rc == 0) rc = shoal_process_join(p, SHOAL_FOREVER);
  return rc ? rc : shoal_process_close(p);
}

int main(void) {
  struct shoal_process p[2];
  int rc = shoal_process_start(&p[0], process1, NULL, NULL), next = 0, shown = 1;
  if (rc == 0) rc = shoal_process_start(&p[1], process1, NULL, NULL);
  while (rc == 0 && shown) {
    shown = 0;
    rc = shoal_process_active(show, &shown);
    printf("main process is running\n");
    if (rc == 0 && next < 2) rc = end(&p[next++]);
  }
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  return rc != 0;
}
