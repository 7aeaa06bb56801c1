#include "tests/harness/drivers.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __SANITIZE_THREAD__
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

// As DRIVERS, for tests that are two, or of processes only.
static void __attribute__((constructor)) skip_processes(void) { cmocka_set_skip_filter("*_processes"); }
#endif

void arena_make(struct arena *a, size_t size) {
  a->size = (size + 4095) & ~(size_t)4095;
  a->fd = memfd_create("arena", MFD_CLOEXEC);
  CHECK(a->fd >= 0 && ftruncate(a->fd, (off_t)a->size) == 0);
  a->memory = mmap(NULL, a->size, PROT_READ | PROT_WRITE, MAP_SHARED, a->fd, 0);
  CHECK(a->memory != MAP_FAILED);
}

void arena_free(struct arena *a) {
  munmap(a->memory, a->size);
  close(a->fd);
}

struct job {
  arena_body body;
  void *memory;
  unsigned i;
};

static void *run_job(void *arg) {
  struct job *job = arg;
  job->body(job->memory, job->i);
  return NULL;
}

static void run_threads(struct arena *a, unsigned n, arena_body body) {
  pthread_t threads[n];
  struct job jobs[n];
  for (unsigned i = 0; i < n; i++) {
    jobs[i] = (struct job){body, a->memory, i};
    CHECK(pthread_create(&threads[i], NULL, run_job, &jobs[i]) == 0);
  }
  for (unsigned i = 0; i < n; i++) CHECK(pthread_join(threads[i], NULL) == 0);
}

// In the child: the parent's mapping goes, and stays taken, so that ours lies elsewhere.
static void *map_elsewhere(struct arena *a) {
  void *mine = mmap(NULL, a->size, PROT_READ | PROT_WRITE, MAP_SHARED, a->fd, 0);
  CHECK(mine != MAP_FAILED && mine != a->memory);
  CHECK(mmap(a->memory, a->size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == a->memory);
  return mine;
}

struct peer peer_start(struct arena *a, arena_body body, unsigned i) {
  fflush(NULL);
  struct peer p = {fork()};
  CHECK(p.pid >= 0);
  if (p.pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    body(map_elsewhere(a), i);
    _exit(0);
  }
  return p;
}

void peer_kill(struct peer *p) {
  int status;
  CHECK(kill(p->pid, SIGKILL) == 0 && waitpid(p->pid, &status, 0) == p->pid);
  CHECK(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 0);
}

void peer_join(struct peer *p) {
  int status;
  CHECK(waitpid(p->pid, &status, 0) == p->pid);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int peer_is_asleep(struct peer *p) {
  char path[64], text[16];
  snprintf(path, sizeof path, "/proc/%d/syscall", (int)p->pid);
  int fd = open(path, O_RDONLY);
  CHECK(fd >= 0);
  ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  text[n > 0 ? n : 0] = 0;
  return !strncmp(text, "449 ", 4) || !strncmp(text, "202 ", 4) || !strncmp(text, "98 ", 3);  // 98: aarch64's futex
}

void peer_asleep(struct peer *p) {
  while (!peer_is_asleep(p)) sched_yield();
}

void run(struct arena *a, enum driver driver, unsigned n, arena_body body) {
  if (driver == THREADS) {
    run_threads(a, n, body);
    return;
  }
  struct peer peers[n];
  for (unsigned i = 0; i < n; i++) peers[i] = peer_start(a, body, i);
  for (unsigned i = 0; i < n; i++) peer_join(&peers[i]);
}

void watchdog(unsigned seconds) {
  signal(SIGALRM, SIG_DFL);
  alarm(seconds > WATCHDOG_S ? seconds : WATCHDOG_S);
}
