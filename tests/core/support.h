// tests/core/support.h: what the tests of core share: a watchdog, children that report, names that nobody else has.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the four above first
#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.h"
#include "core/segment_internal.h"

#ifndef WATCHDOG_S
#define WATCHDOG_S 600
#endif

// Segments of this program lie in a folder of its own: collectors of other tests take none of them, nor do its own
// another's.
static inline void own_folder(void) {
  static char folder[] = "/dev/shm/test-XXXXXX";
  if (!mkdtemp(folder)) abort();
  shoal_shm_directory_ = folder;
}
// 1: something is left there.
static inline int own_folder_ends(void) {
  if (rmdir(shoal_shm_directory_) == 0) return 0;
  fprintf(stderr, "%s: %m\n", shoal_shm_directory_);
  return 1;
}

// In a child, where cmocka's assertions would unwind into the parent's test.
#define MUST(x)                                                                    \
  do {                                                                             \
    if (!(x)) {                                                                    \
      fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #x, shoal_reason()); \
      _exit(99);                                                                   \
    }                                                                              \
  } while (0)
#define assert_ok(call)                                                                                      \
  do {                                                                                                       \
    int rc_ = (call);                                                                                        \
    if (rc_) fail_msg("%s:%d: %s: %s (%s)", __FILE__, __LINE__, #call, shoal_strerror(rc_), shoal_reason()); \
  } while (0)

// Memory that test processes share beside the segment under test.
static inline void *shared_memory(size_t n) {
  void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  assert_ptr_not_equal(p, MAP_FAILED);
  return p;
}

static inline const char *test_name(const char *what) {
  static char name[SHOAL_NAME_MAX + 1];
  static long long began;  // sandboxes have the same pids
  if (!began) began = (long long)shoal_now_ns();
  snprintf(name, sizeof name, "test-%d-%llx-%s", (int)getpid(), began, what);
  return name;
}

static inline void await(const shoal_atomic32 *word, uint32_t at_least) {
  while (shoal_load32_acquire(word) < at_least) sched_yield();
}
static inline void signal_to(shoal_atomic32 *word) { shoal_add32_seq_cst(word, 1); }

// A child ends by itself if its test does not end it.
static inline pid_t fork_child(void) {
  fflush(NULL);
  pid_t pid = fork();
  MUST(pid >= 0);
  if (pid == 0) alarm(WATCHDOG_S);
  return pid;
}
// Runs `body` in a child of its own; one that ends with 77 cannot do here what it is to show: the test is skipped.
static inline void in_child(void (*body)(void)) {
  int st;
  pid_t pid = fork_child();
  if (pid == 0) {
    body();
    _exit(0);
  }
  assert_int_equal(waitpid(pid, &st, 0), pid);
  if (WIFEXITED(st) && WEXITSTATUS(st) == 77) skip();
  if (st) fail_msg("status %x", st);
}
// A child that the C library does not know of: no handler of its own has run.
static inline pid_t clone_child(void) {
  fflush(NULL);
  pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
  MUST(pid >= 0);
  if (pid == 0) alarm(WATCHDOG_S);
  return pid;
}

static inline void assert_exits(pid_t pid, int status) {
  int st = 0;
  assert_int_equal(waitpid(pid, &st, 0), pid);
  if (!WIFEXITED(st) || WEXITSTATUS(st) != status) fail_msg("child: status %x, not exit %d", st, status);
}
static inline void kill_and_wait(pid_t pid) {
  int st = 0;
  assert_true(pid > 0);
  assert_int_equal(kill(pid, SIGKILL), 0);
  assert_int_equal(waitpid(pid, &st, 0), pid);
  if (!WIFSIGNALED(st)) fail_msg("child ended by itself: status %x", st);
}

static inline uint32_t random_next(uint32_t *state) {  // xorshift
  *state ^= *state << 13;
  *state ^= *state >> 17;
  *state ^= *state << 5;
  return *state;
}

static inline struct shoal_segment *anonymous(const struct shoal_segment_options *o) {
  struct shoal_segment *seg = NULL;
  assert_ok(shoal_segment_create(NULL, o, &seg));
  return seg;
}
// Another mapping of the same segment, at another address.
static inline struct shoal_segment *again(struct shoal_segment *seg) {
  struct shoal_segment *other = NULL;
  MUST(shoal_segment_open_fd(shoal_segment_fd(seg), &other) == 0);
  MUST(other->base != seg->base);
  return other;
}
static inline struct shoal_segment_info info_of(struct shoal_segment *seg) {
  struct shoal_segment_info info;
  MUST(shoal_segment_info(seg, &info) == 0);
  return info;
}
