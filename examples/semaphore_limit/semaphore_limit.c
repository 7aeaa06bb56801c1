// At most two of three are inside: the third comes in when one of them has left. Each stays until it is told to leave.
#include <sched.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.h"
#include "sync/event.h"
#include "sync/semaphore.h"

#define PROCESSES 3

static struct shoal_semaphore *doors;
static struct stage { struct shoal_event inside, leave; } * stages;  // one a process

static int visit(int i) {
  if (i == 2) {
    printf("process3 try to start\n");
    if (shoal_semaphore_acquire(doors, SHOAL_TRY) != -EAGAIN) return -EINVAL;
  }
  int rc = shoal_semaphore_acquire(doors, SHOAL_FOREVER);
  if (rc) return rc;
  printf("process%d acquire and it will stay\n", i + 1);
  rc = shoal_event_set(&stages[i].inside);
  if (rc == 0) rc = shoal_event_wait(&stages[i].leave, SHOAL_FOREVER);
  if (rc) return rc;
  printf("process%d release\n", i + 1);
  return shoal_semaphore_release(doors);
}

static int start(int i, pid_t *pid) {
  *pid = fork();
  if (*pid < 0) return -errno;
  if (*pid == 0) _exit(visit(i) != 0);
  return 0;
}
static int is_inside(int i) { return shoal_event_wait(&stages[i].inside, SHOAL_FOREVER); }
static int leaves(int i) { return shoal_event_set(&stages[i].leave); }
static int has_ended(pid_t pid) {
  int status;
  return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -ECHILD;
}

static int somebody_waits(void) {
  struct shoal_semaphore_info info;
  int rc;
  while ((rc = shoal_semaphore_info(doors, &info)) == 0 && !info.waiters) sched_yield();
  return rc;
}

static int play(void) {
  pid_t pid[PROCESSES];
  int rc = start(0, &pid[0]);
  if (rc == 0) rc = is_inside(0);
  if (rc == 0) rc = start(1, &pid[1]);
  if (rc == 0) rc = is_inside(1);
  if (rc == 0) rc = start(2, &pid[2]);
  if (rc == 0) rc = somebody_waits();
  if (rc == 0) rc = leaves(0);
  if (rc == 0) rc = is_inside(2);
  for (int i = 0; i < PROCESSES && rc == 0; i++) {
    rc = leaves(i);
    if (rc == 0) rc = has_ended(pid[i]);
  }
  return rc;
}

int main(void) {
  struct shoal_segment *seg;
  struct shoal_object object;
  setvbuf(stdout, NULL, _IOLBF, 0);  // the lines of all, in the order in which they were written
  int rc = shoal_segment_create(NULL, NULL, &seg);
  if (rc == 0) rc = shoal_semaphore_create(seg, "doors", 2, 2, 0, &doors);
  if (rc == 0) rc = shoal_object_create(seg, "stages", "stages", PROCESSES * sizeof *stages, NULL, NULL, &object);
  if (rc == 0) stages = object.memory;
  for (int i = 0; i < PROCESSES && rc == 0; i++) {
    rc = shoal_event_init(&stages[i].inside);
    if (rc == 0) rc = shoal_event_init(&stages[i].leave);
  }
  if (rc == 0) rc = play();
  if (rc == 0) rc = shoal_segment_close(seg);
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  return rc != 0;
}
