// The README's program: a child puts letters into a queue and is killed; its parent gets what was put, then the end.
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.h"
#include "ipc/queue/queue.h"

SHOAL_QUEUE_TYPED(letters, char)

int main(void) {
  struct shoal_segment *seg;
  struct shoal_queue *q;
  char letter;
  int rc = shoal_segment_create(NULL, NULL, &seg);
  if (rc == 0) rc = letters_create(seg, "letters", &(struct shoal_queue_options){.capacity = 8}, &q);
  if (rc == 0 && fork() == 0) {
    for (letter = 'A'; letter <= 'E'; letter++) letters_put(q, &letter, SHOAL_FOREVER);
    raise(SIGKILL);
  }
  while (rc == 0 && (rc = letters_get(q, &letter, SHOAL_FOREVER)) == 0) printf("%c\n", letter);
  printf("%s\n", shoal_strerror(rc));
  wait(NULL);
  if (rc != -EPIPE) return 1;
  shoal_queue_detach(q);
  return shoal_segment_close(seg) != 0;
}
