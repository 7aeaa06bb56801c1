// Two processes append ten lines each to one file, one by a guarded block, the other by hand. The lines of each stand
// together.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.h"
#include "sync/with.h"

static int append(const char *path, const char *line) {
  FILE *f = fopen(path, "a");
  if (!f) return -errno;
  for (int times = 10; times > 0; times--) {
    fputs(line, f);
    fflush(f);  // a write of its own for each: without the lock they would mix
  }
  return fclose(f) ? -errno : 0;
}

static int process1(struct shoal_lock *lock, const char *path) {
  int rc, done = -EAGAIN;
  SHOAL_WITH (rc, lock) done = append(path, "process1 write\n");
  return rc ? rc : done;
}

static int process2(struct shoal_lock *lock, const char *path) {
  int rc = shoal_lock_acquire(lock, SHOAL_FOREVER);
  if (rc) return rc;
  rc = append(path, "process2 write\n");
  int released = shoal_lock_release(lock);
  return rc ? rc : released;
}

// How often the file's lines change from one writer to the other, and how many there are of each.
static void show(FILE *f) {
  char line[64], last[64] = "";
  int changes = -1, lines[2] = {0, 0};
  while (fgets(line, sizeof line, f)) {
    changes += strcmp(line, last) != 0;
    lines[strncmp(line, "process1", 8) != 0]++;
    strcpy(last, line);
  }
  printf("process1 wrote %d lines, process2 %d; the writer changes %d time\n", lines[0], lines[1], changes);
}

static int run(struct shoal_lock *lock, const char *path) {
  int (*const writers[])(struct shoal_lock *, const char *) = {process1, process2};
  int rc = 0, status;
  for (int i = 0; i < 2; i++) {
    pid_t pid = fork();
    if (pid < 0) return -errno;
    if (pid == 0) _exit(writers[i](lock, path) != 0);
  }
  while (wait(&status) > 0)
    if (status) rc = -ECHILD;
  return rc;
}

int main(void) {
  struct shoal_segment *seg;
  struct shoal_lock *lock;
  char path[] = "/tmp/share.XXXXXX";
  int fd = mkstemp(path);
  if (fd < 0) return 1;
  int rc = shoal_segment_create(NULL, NULL, &seg);
  if (rc == 0) rc = shoal_lock_create(seg, "share", &lock);
  if (rc == 0) rc = run(lock, path);
  FILE *f = fdopen(fd, "r");
  if (rc == 0 && f) show(f);
  if (f) fclose(f);
  unlink(path);
  if (rc == 0) rc = shoal_segment_close(seg);
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  return rc != 0;
}
