// workload.h: what is done: nothing, counting, reading a file, asking a server.
#pragma once

#include <stdint.h>

#include "examples/thread_vs_process/table.h"

struct load {
  unsigned size;     // how much of it
  const char *file;  // FILE_BYTES of it
  uint16_t port;     // of the server
};
#define FILE_BYTES (1 << 20)

// One worker's share of `workload`: a number that says that it was done, or <0.
int64_t workload_do(int workload, const struct load *load);

int file_make(char *name);  // mkstemp's template; 0, -errno
// A socket that listens, of this machine only, and its port; -errno.
int server_listen(uint16_t *port);
int server_run(void *socket);  // until it is killed
