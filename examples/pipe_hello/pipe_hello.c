// A child sends one message and closes its end; its parent receives it, after the child has ended.
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.h"
#include "ipc/queue/pipe.h"

static int child(struct shoal_segment *seg, struct shoal_pipe *ends[2]) {
  int rc = shoal_pipe_send(ends[1], "hello world", 11, SHOAL_FOREVER);
  int closed = shoal_pipe_close(&ends[1]), copy = shoal_pipe_close(&ends[0]);  // the copy of its parent's
  return rc || closed || copy || shoal_segment_close(seg);
}

int main(void) {
  struct shoal_segment *seg;
  struct shoal_pipe *ends[2];
  char text[64];
  uint64_t size = 0;
  int status = 1, rc = shoal_segment_create(NULL, NULL, &seg);
  if (rc == 0) rc = shoal_pipe_create(seg, NULL, &(struct shoal_pipe_options){0}, ends);
  if (rc == 0) {
    pid_t pid = fork();
    if (pid == 0) return child(seg, ends);
    rc = pid < 0 ? -EAGAIN : shoal_pipe_give(&ends[1], (uint32_t)pid);
    if (rc == 0 && waitpid(pid, &status, 0) != pid) status = 1;
  }
  if (rc == 0) rc = shoal_pipe_recv(ends[0], text, sizeof text, &size, SHOAL_FOREVER);
  if (rc == 0) printf("%.*s\n", (int)size, text);
  if (rc == 0) rc = shoal_pipe_close(&ends[0]);
  if (rc == 0) rc = shoal_segment_close(seg);
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  return rc != 0 || status != 0;
}
