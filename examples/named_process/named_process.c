// Two processes that say their names: one was given it, the other has the default. A barrier has them take turns.
#include <stdio.h>

#include "core/error.h"
#include "ipc/work/process.h"
#include "sync/barrier.h"

static struct shoal_barrier *turn;
static const char *const words[] = {"Starting", "Exiting"};

// Each waits after each of the four turns, except after the last.
static int foo(void *arg) {
  int mine = *(int *)arg, rc = 0;
  for (int i = 0; i < 4 && rc == 0; i++) {
    if (i % 2 == mine) printf("%s %s\n", words[i / 2], shoal_process_current_name());
    fflush(stdout);
    if (i < 3) rc = shoal_barrier_wait(turn, SHOAL_FOREVER, NULL);
  }
  return rc != 0;
}

static int run(void) {
  const char *const names[] = {"foo_process", NULL};
  struct shoal_process p[2];
  int number[] = {0, 1}, code, rc = 0, started = 0;
  for (; started < 2 && rc == 0; started += rc == 0)
    rc = shoal_process_start(&p[started], foo, &number[started],
                             &(struct shoal_process_options){.name = names[started]});
  for (int i = 0; i < started; i++) {
    if (rc) shoal_process_kill(&p[i]);
    int ended = shoal_process_join(&p[i], SHOAL_FOREVER);
    if (ended == 0) ended = shoal_process_exitcode(&p[i], &code);
    if (rc == 0) rc = ended ? ended : code ? -EPIPE : 0;
    shoal_process_close(&p[i]);
  }
  return rc;
}

int main(void) {
  struct shoal_segment *seg;
  int rc = shoal_segment_create(NULL, NULL, &seg);
  if (rc == 0) rc = shoal_barrier_create(seg, "turn", 2, NULL, &turn);
  if (rc == 0) rc = run();
  if (rc == 0) rc = shoal_barrier_close(seg, turn);
  if (rc == 0) rc = shoal_segment_close(seg);
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  return rc != 0;
}
