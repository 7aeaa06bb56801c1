// Ten tasks, three workers, one of which is killed with a task in hand: join sleeps until all ten are done, and they
// are.
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.h"
#include "ipc/queue/queue.h"

SHOAL_QUEUE_TYPED(numbers, long)

#define TASKS 10
#define WORKERS 3

static void work(struct shoal_queue *tasks, struct shoal_queue *results, int dies) {
  long n;
  while (numbers_get(tasks, &n, SHOAL_FOREVER) == 0) {
    if (dies) raise(SIGKILL);
    n *= n;
    if (numbers_put(results, &n, SHOAL_FOREVER) || shoal_queue_task_done(tasks)) _exit(1);
  }
  _exit(0);
}

static int run(struct shoal_queue *tasks, struct shoal_queue *results) {
  int rc = 0;
  for (long n = 0; n < TASKS && rc == 0; n++) rc = numbers_put(tasks, &n, SHOAL_FOREVER);
  if (rc == 0) rc = shoal_queue_join_tasks(tasks, SHOAL_FOREVER);
  if (rc) return rc;
  long sum = 0, n, done = 0;
  for (; numbers_get(results, &n, SHOAL_TRY) == 0; done++) sum += n;
  printf("%ld tasks are done, the sum of their results is %ld\n", done, sum);
  if (shoal_queue_task_done(tasks)) printf("%s\n", shoal_reason());
  return 0;
}

// Or the one that is killed could be all there are at that moment, and the others come too late for join.
static void await_workers(struct shoal_queue *tasks) {
  struct shoal_queue_info info = {0};
  while (shoal_queue_info(tasks, &info) == 0 && info.consumers < WORKERS) sched_yield();
}

int main(void) {
  struct shoal_segment *seg;
  struct shoal_queue *tasks, *results;
  struct shoal_queue_options joinable = {.capacity = 4, .joinable = 1}, plain = {.capacity = TASKS};
  int rc = shoal_segment_create(NULL, NULL, &seg);
  if (rc == 0) rc = numbers_create(seg, "tasks", &joinable, &tasks);
  if (rc == 0) rc = numbers_create(seg, "results", &plain, &results);
  if (rc) {
    fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
    return 1;
  }
  for (int i = 0; i < WORKERS; i++)
    if (fork() == 0) work(tasks, results, i == 0);
  await_workers(tasks);
  rc = run(tasks, results);
  shoal_queue_close(tasks);  // the workers end
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  int failed = 0, status;
  while (wait(&status) > 0) failed += WIFEXITED(status) && WEXITSTATUS(status);
  shoal_queue_detach(results);
  shoal_queue_detach(tasks);
  shoal_segment_close(seg);
  return rc || failed;
}
