#include "examples/thread_vs_process/workload.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/error.h"
#include "ipc/work/thread.h"

#define PAGE 1024         // bytes that are read, or answered, at a time
#define DISTANCE_US 1000  // an answer takes as long as from a server that is not next door
#define CONNECTIONS 16    // at a time

// ---- processor, file ----

static int64_t fibonacci(unsigned n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }

static int64_t count(unsigned size) {
  int64_t sum = 0;
  for (unsigned i = 0; i < size; i++) sum += fibonacci(20);
  return sum;
}

int file_make(char *name) {
  char page[PAGE];
  int fd = mkstemp(name), rc = fd < 0 ? -errno : 0;
  if (fd < 0) return rc;
  memset(page, 'x', sizeof page);
  for (int i = 0; i < FILE_BYTES / PAGE && !rc; i++)
    if (write(fd, page, PAGE) != PAGE) rc = -errno;
  close(fd);
  return rc;
}

static int64_t read_file(const char *name, unsigned size) {
  char page[PAGE];
  int64_t bytes = 0;
  int fd = open(name, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -errno;
  for (unsigned i = 0; i < size * 100; i++) {
    ssize_t n = pread(fd, page, PAGE, (off_t)(i * PAGE % FILE_BYTES));
    bytes += n > 0 ? n : 0;
  }
  close(fd);
  return bytes;
}

// ---- network ----

static struct sockaddr_in address_of(uint16_t port) {
  return (struct sockaddr_in){
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int64_t receive_all(int fd, char *data, size_t size) {
  size_t got = 0;
  for (ssize_t n; got < size; got += (size_t)n)
    if ((n = recv(fd, data + got, size - got, 0)) <= 0) return n < 0 ? -errno : -EPIPE;
  return (int64_t)got;
}

static int64_t ask(uint16_t port, unsigned size) {
  const struct sockaddr_in address = address_of(port);
  char page[PAGE];
  int64_t bytes = 0, n = 0;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  if (connect(fd, (const struct sockaddr *)&address, sizeof address)) n = -errno;
  for (unsigned i = 0; i < size && n >= 0; i++, bytes += n > 0 ? n : 0)
    n = send(fd, "?", 1, MSG_NOSIGNAL) == 1 ? receive_all(fd, page, PAGE) : -errno;
  close(fd);
  return n < 0 ? n : bytes;
}

int server_listen(uint16_t *port) {
  struct sockaddr_in address = address_of(0);
  socklen_t size = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  if (bind(fd, (struct sockaddr *)&address, size) || listen(fd, CONNECTIONS) ||
      getsockname(fd, (struct sockaddr *)&address, &size)) {
    int rc = -errno;
    close(fd);
    return rc;
  }
  *port = ntohs(address.sin_port);
  return fd;
}

static int answer(void *arg) {
  static const char page[PAGE];
  const struct timespec distance = {0, DISTANCE_US * INT64_C(1000)};
  int fd = (int)(intptr_t)arg;
  char question;
  while (recv(fd, &question, 1, 0) == 1) {
    nanosleep(&distance, NULL);
    if (send(fd, page, PAGE, MSG_NOSIGNAL) != PAGE) break;
  }
  return close(fd);
}

int server_run(void *socket) {
  static struct shoal_thread threads[CONNECTIONS];
  const struct shoal_thread_options daemon = {.daemon = SHOAL_DAEMON};
  for (unsigned i = 0;; i = (i + 1) % CONNECTIONS) {
    int fd = accept4((int)(intptr_t)socket, NULL, NULL, SOCK_CLOEXEC), rc = 0;
    if (fd < 0) return errno;
    if (threads[i].ident && (rc = shoal_thread_join(&threads[i], SHOAL_FOREVER)) == 0)
      rc = shoal_thread_close(&threads[i]);
    if (!rc) rc = shoal_thread_start(&threads[i], answer, (void *)(intptr_t)fd, &daemon);
    if (rc) return -rc;
  }
}

int64_t workload_do(int workload, const struct load *load) {
  switch (workload) {
    case PROCESSOR: return count(load->size);
    case FILES: return read_file(load->file, load->size);
    case NETWORK: return ask(load->port, load->size);
    default: return 0;
  }
}
