// Two stages: one process sends 0..9, the next sends on their squares, the parent prints them. Each is told by the end
// of the stream that the one before it is done.
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.h"
#include "ipc/queue/pipe.h"

SHOAL_PIPE_TYPED(numbers, int)

static struct shoal_segment *seg;
static struct shoal_pipe *items[2], *squares[2];  // [1] sends, [0] receives

static int create_items(void) {
  int rc = 0;
  for (int item = 0; item < 10 && rc == 0; item++) rc = numbers_send(items[1], &item, SHOAL_FOREVER);
  return rc;
}

static int multiply_items(void) {
  int item, rc;
  while ((rc = numbers_recv(items[0], &item, SHOAL_FOREVER)) == 0) {
    int square = item * item;
    rc = numbers_send(squares[1], &square, SHOAL_FOREVER);
    if (rc) break;
  }
  return rc == -EPIPE ? 0 : rc;
}

// What is another's is not closed with a copy.
static int close_all(void) {
  struct shoal_pipe **all[] = {&items[1], &items[0], &squares[1], &squares[0]};
  int rc = 0;
  for (int i = 0; i < 4 && rc == 0; i++)
    if (*all[i]) rc = shoal_pipe_close(all[i]);
  return rc ? rc : shoal_segment_close(seg);
}

static pid_t start(int (*stage)(void)) {
  pid_t pid = fork();
  if (pid) return pid;
  int rc = stage();
  if (rc == 0) rc = close_all();
  _exit(rc != 0);
}

int main(void) {
  const struct shoal_pipe_options options = {0};
  int square, rc = shoal_segment_create(NULL, NULL, &seg);
  if (rc == 0) rc = numbers_create(seg, NULL, &options, items);
  if (rc == 0) rc = numbers_create(seg, NULL, &options, squares);
  if (rc == 0) {
    pid_t first = start(create_items), second = start(multiply_items);
    rc = shoal_pipe_give(&items[1], (uint32_t)first);
    if (rc == 0) rc = shoal_pipe_give(&items[0], (uint32_t)second);
    if (rc == 0) rc = shoal_pipe_give(&squares[1], (uint32_t)second);
  }
  while (rc == 0 && (rc = numbers_recv(squares[0], &square, SHOAL_FOREVER)) == 0) printf("%d\n", square);
  if (rc == -EPIPE) printf("End\n");
  int bad = rc != -EPIPE, status;
  while (wait(&status) > 0) bad |= status != 0;
  if (bad) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  return bad || close_all();
}
