// Two processes meet at a barrier before they take the time, two others do not: those that met took it when both had
// come. Run with an argument it prints the times, too.
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.h"
#include "sync/barrier.h"

#define PARTIES 2
#define PROCESSES 4

struct shared {
  int64_t came[PROCESSES], went[PROCESSES];
  struct shoal_barrier synchronizer;  // its places lie behind it
};
static const char *const names[PROCESSES] = {"p1 - test_with_barrier", "p2 - test_with_barrier",
                                             "p3 - test_without_barrier", "p4 - test_without_barrier"};

static int process(struct shared *s, int i) {
  int rc = 0;
  s->came[i] = shoal_now_ns();
  if (i < PARTIES) rc = shoal_barrier_wait(&s->synchronizer, SHOAL_FOREVER, NULL);
  s->went[i] = shoal_now_ns();
  return rc;
}

static int run(struct shared *s) {
  int status, failed = 0;
  for (int i = 0; i < PROCESSES; i++) {
    pid_t child = fork();
    if (child < 0) return -errno;
    if (child == 0) _exit(process(s, i) != 0);
  }
  for (int i = 0; i < PROCESSES; i++) failed |= wait(&status) < 0 || status;
  return failed ? -ECHILD : 0;
}

int main(int argc, char **argv) {
  size_t size = offsetof(struct shared, synchronizer) + shoal_barrier_size(PARTIES);
  struct shared *s = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (s == MAP_FAILED) return EXIT_FAILURE;
  int rc = shoal_barrier_init(&s->synchronizer, PARTIES, NULL);
  if (rc == 0) rc = run(s);
  if (rc) {
    fprintf(stderr, "%s: %s: %s\n", argv[0], shoal_strerror(rc), shoal_reason());
    return EXIT_FAILURE;
  }
  for (int i = 0; i < PROCESSES; i++) {
    printf("process %s", names[i]);
    if (argc > 1) printf(" ----> %.6f", (double)s->went[i] / 1e9);
    printf("\n");
  }
  int together = s->went[0] >= s->came[1] && s->went[1] >= s->came[0];
  printf("p1 and p2 %s\n", together ? "went on when both had come" : "did not wait for each other");
  return together ? EXIT_SUCCESS : EXIT_FAILURE;
}
