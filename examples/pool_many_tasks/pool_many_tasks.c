// More tasks than workers: who is free takes the next. Then many more than anybody waits for: a full queue holds the
// submitter up, and memory stays what it was.
#include <stdio.h>
#include <unistd.h>

#include "core/error.h"
#include "ipc/work/future.h"

struct job {
  int name, ran;
};
SHOAL_TASK(long_task, struct job) {
  usleep(1000u * (unsigned)(5 - arg->name));
  arg->ran = 1;
  return 0;
}
SHOAL_TASK(short_task, struct job) {
  arg->ran = 1;
  return 0;
}

static int run(struct shoal_executor *ex) {
  struct shoal_future f[5];
  struct job job;
  struct shoal_executor_info info;
  int rc = 0;
  for (int i = 0; rc == 0 && i < 5; i++) rc = SHOAL_SUBMIT(ex, long_task, (&(struct job){i, 0}), &f[i]);
  if (rc == 0) puts("Waiting for all tasks...");
  for (int i = 0; rc == 0 && i < 5; i++) {
    rc = shoal_future_get(&f[i], &job, sizeof job, NULL, SHOAL_FOREVER);
    if (rc == 0) printf("Task %d %s.\n", job.name, job.ran ? "ran" : "did not run");
    if (rc == 0) rc = shoal_future_release(&f[i]);
  }
  for (int i = 0; rc == 0 && i < 20000; i++) rc = SHOAL_SUBMIT(ex, short_task, (&(struct job){i, 0}), NULL);
  if (rc == 0) rc = shoal_executor_shutdown(ex, 0, SHOAL_FOREVER);
  if (rc == 0) rc = shoal_executor_info(ex, &info);
  if (rc == 0) printf("All done: %lu tasks, %u left.\n", (unsigned long)info.done, info.jobs);
  return rc;
}

int main(void) {
  struct shoal_segment *seg = NULL;
  struct shoal_executor *ex = NULL;
  int rc = shoal_segment_create(NULL, NULL, &seg);
  if (rc == 0) rc = shoal_executor_create(seg, NULL, &(struct shoal_executor_options){.workers = 4}, &ex);
  if (rc == 0) rc = run(ex);
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  if (ex) shoal_executor_detach(ex);
  if (seg) shoal_segment_close(seg);
  return rc != 0;
}
