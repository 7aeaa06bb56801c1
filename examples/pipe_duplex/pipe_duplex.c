// Both ends send and receive: a child says hello and prints what it is answered.
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.h"
#include "ipc/queue/pipe.h"

static int print_next(struct shoal_pipe *p) {
  char text[64];
  uint64_t size;
  int rc = shoal_pipe_recv(p, text, sizeof text, &size, SHOAL_FOREVER);
  if (rc == 0) printf("%.*s\n", (int)size, text);
  fflush(stdout);
  return rc;
}

static int child(struct shoal_segment *seg, struct shoal_pipe *ends[2]) {
  int rc = shoal_pipe_send(ends[1], "hello", 5, SHOAL_FOREVER);
  if (rc == 0) rc = print_next(ends[1]);
  int closed = shoal_pipe_close(&ends[1]), copy = shoal_pipe_close(&ends[0]);
  return rc || closed || copy || shoal_segment_close(seg);
}

int main(void) {
  struct shoal_segment *seg;
  struct shoal_pipe *ends[2];
  int status = 1, rc = shoal_segment_create(NULL, NULL, &seg);
  if (rc == 0) rc = shoal_pipe_create(seg, NULL, &(struct shoal_pipe_options){.duplex = 1}, ends);
  if (rc == 0) {
    pid_t pid = fork();
    if (pid == 0) return child(seg, ends);
    rc = pid < 0 ? -EAGAIN : shoal_pipe_give(&ends[1], (uint32_t)pid);
    if (rc == 0) rc = print_next(ends[0]);
    if (rc == 0) rc = shoal_pipe_send(ends[0], "world", 5, SHOAL_FOREVER);
    if (rc == 0 && waitpid(pid, &status, 0) != pid) status = 1;
  }
  if (rc == 0) rc = shoal_pipe_close(&ends[0]);
  if (rc == 0) rc = shoal_segment_close(seg);
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  return rc != 0 || status != 0;
}
