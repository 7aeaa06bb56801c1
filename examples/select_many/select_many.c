// Waits for many things at once: two workers' results, each in a queue of its own, a pipe, an event, a time, and the
// death of one of the workers, whose queue ends with it.
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.h"
#include "ipc/queue/select.h"

SHOAL_QUEUE_TYPED(results, int)
SHOAL_SELECT_TYPED(results, int)

static pid_t start(struct shoal_queue *q, int first, int dies) {
  pid_t pid = fork();
  if (pid) return pid;
  for (int i = first; i < first + 3; i++) results_put(q, &i, SHOAL_FOREVER);
  if (dies) raise(SIGKILL);
  _exit(shoal_queue_detach(q) != 0);
}

enum { FIRST, SECOND, PIPE, EVENT, CHILD, TIME, CASES };

// Until nothing but the time is left.
static int wait_for_all(struct shoal_case *cases, const int *value, int sums[2]) {
  for (int left = TIME; left;) {
    int i = shoal_select(cases, CASES, SHOAL_FOREVER);
    if (i < 0) return i;
    if (i <= SECOND && cases[i].result == 0) {
      sums[i] += *value;
      continue;
    }
    cases[i] = shoal_on_nothing();  // the end of a queue, or what comes once
    left--;
  }
  cases[TIME] = shoal_on_time(shoal_after_ms(1));
  int i = shoal_select(cases, CASES, SHOAL_FOREVER);
  return i == TIME ? 0 : i;
}

static int use(struct shoal_queue *q[2], struct shoal_event *event, const int fds[2]) {
  int value = 0, sums[2] = {0}, rc = shoal_event_set(event);
  pid_t child = start(q[0], 1, 1);
  start(q[1], 100, 0);
  if (write(fds[1], "x", 1) != 1) return -EPIPE;
  struct shoal_case cases[CASES] = {
      [FIRST] = results_on_get(q[0], &value), [SECOND] = results_on_get(q[1], &value),
      [PIPE] = shoal_on_fd(fds[0], POLLIN),   [EVENT] = shoal_on_event(event),
      [CHILD] = shoal_on_process(child),
  };
  if (rc == 0) rc = wait_for_all(cases, &value, sums);
  if (rc == 0) printf("1 + 2 + 3 = %d\n100 + 101 + 102 = %d\n", sums[0], sums[1]);
  while (wait(NULL) > 0) continue;
  return rc;
}

int main(void) {
  struct shoal_segment *seg;
  struct shoal_queue *q[2];
  struct shoal_event *event;
  int fds[2], rc = shoal_segment_create(NULL, NULL, &seg);
  const struct shoal_queue_options options = {.capacity = 2};
  if (rc == 0) rc = results_create(seg, "first", &options, &q[0]);
  if (rc == 0) rc = results_create(seg, "second", &options, &q[1]);
  if (rc == 0) rc = shoal_event_create(seg, "event", &event);
  if (rc || pipe(fds)) return 1;
  rc = use(q, event, fds);
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  for (int k = 0; k < 2; k++) shoal_queue_detach(q[k]);
  shoal_event_close(seg, event);
  shoal_segment_close(seg);
  return rc != 0;
}
