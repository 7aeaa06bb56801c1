// exec puts another program into this process: what comes after it is never reached. To a segment that is a death: the
// lock that the first program held is acquired by the second one as its dead owner's.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "sync/lock.h"

#define SEGMENT_NUMBER 100  // of the descriptor that stays open

static int say(int rc) {
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  return rc != 0;
}

static int called_process(void) {
  struct shoal_segment *seg;
  struct shoal_lock *lock;
  int rc = shoal_segment_open_fd(SEGMENT_NUMBER, &seg), owner_died = 0;
  if (rc == 0) rc = shoal_lock_open(seg, "lock", &lock);
  if (rc == 0) owner_died = (rc = shoal_lock_acquire(lock, SHOAL_FOREVER)) == -EOWNERDEAD;
  printf("Hello Python Parallel Cookbook!!\n");
  printf("Press ENTER to exit\n");
  while (getchar() != EOF && !feof(stdin)) continue;
  printf("Closing calledProcess\n");
  if (owner_died) rc = shoal_lock_consistent(lock);
  if (rc == 0) rc = shoal_lock_release(lock);
  if (rc == 0) rc = shoal_lock_close(seg, lock);
  if (rc == 0) rc = shoal_segment_close(seg);
  return say(rc) || !owner_died;
}

int main(int argc, char **argv) {
  struct shoal_segment *seg;
  struct shoal_lock *lock;
  if (argc > 1 && strcmp(argv[1], "called_Process") == 0) return called_process();
  int rc = shoal_segment_create(NULL, NULL, &seg);
  if (rc == 0) rc = shoal_lock_create(seg, "lock", &lock);
  if (rc == 0) rc = shoal_lock_acquire(lock, SHOAL_FOREVER);
  if (rc || dup2(shoal_segment_fd(seg), SEGMENT_NUMBER) < 0) return say(rc ? rc : -errno);
  printf("Process calling\n");
  fflush(stdout);  // what waits in the buffers would be lost with the program
  execl("/proc/self/exe", argv[0], "called_Process", NULL);
  printf("Good Bye!!\n");
  return 1;
}
