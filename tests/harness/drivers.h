// tests/harness/drivers.h: one body, run by threads of one process and by processes that map the memory elsewhere.
//
// USE
//   struct arena a;
//   arena_make(&a, bytes);                            // shared, zeroed
//   run(&a, PROCESSES, 4, body);                      // body(memory, 0..3) side by side; fails the test if one fails
//   struct peer p = peer_start(&a, body, 0);          // one, left to itself, in a process
//   peer_asleep(&p); peer_kill(&p);
//   arena_free(&a);
#pragma once

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

// In bodies, where cmocka's assertions cannot report; a failure ends the process, and with it the test.
#define CHECK(x)                                                      \
  do {                                                                \
    if (!(x)) {                                                       \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #x); \
      abort();                                                        \
    }                                                                 \
  } while (0)

struct arena {
  int fd;
  size_t size;
  void *memory;  // as this process sees it
};
void arena_make(struct arena *a, size_t size);
void arena_free(struct arena *a);

typedef void (*arena_body)(void *memory, unsigned i);

enum driver { THREADS, PROCESSES };
#ifdef __SANITIZE_THREAD__
#define DRIVERS 1  // it sees one process only
#else
#define DRIVERS 2
#endif
void run(struct arena *a, enum driver driver, unsigned n, arena_body body);

struct peer {
  pid_t pid;
};
struct peer peer_start(struct arena *a, arena_body body, unsigned i);
void peer_kill(struct peer *p);  // SIGKILL, and reaped; none of its own checks had failed before
void peer_join(struct peer *p);  // it has to end well
int peer_is_asleep(struct peer *p);
void peer_asleep(struct peer *p);  // returns when the kernel says that it sleeps in a futex wait

// Ends the test program if it has not ended by itself, in ten minutes or more: it tells a hang, not how busy the
// machine is.
#define WATCHDOG_S 600
void watchdog(unsigned seconds);
