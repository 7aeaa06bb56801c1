#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/error.h"
#include "core/identity_internal.h"
#include "core/robust.h"

#define PID_BITS 22
#define START_MASK ((UINT64_C(1) << (SHOAL_PROCESS_BITS_ - PID_BITS)) - 1)

// What a file below /proc holds, as a string; its length, or -1.
static ssize_t slurp(const char *path, char *buffer, size_t size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t n = read(fd, buffer, size - 1);
  close(fd);
  if (n >= 0) buffer[n] = 0;
  return n;
}

static int parse_boot_id(const char *text, uint8_t *out) {
  unsigned digits = 0;
  memset(out, 0, 16);
  for (; *text && digits < 32; text++) {
    if (*text == '-') continue;
    const char *hex = "0123456789abcdef", *at = strchr(hex, *text);
    if (!at) return -1;
    out[digits / 2] |= (uint8_t)((at - hex) << (digits % 2 ? 0 : 4));
    digits++;
  }
  return digits == 32 ? 0 : -1;
}

int shoal_place_(struct shoal_place_ *out) {
  struct shoal_place_ place = {.time_namespace = 0};
  char text[64];
  struct stat st;
  ssize_t n = slurp("/proc/sys/kernel/random/boot_id", text, sizeof text);
  if (n < 0 && (errno == EMFILE || errno == ENFILE)) return shoal_fail_(-errno, "the boot id: %m");
  if (n < 0 || parse_boot_id(text, place.boot)) return shoal_fail_(-ENOSYS, "no boot id below /proc");
  if (stat("/proc/self/ns/pid", &st)) return shoal_fail_(-ENOSYS, "/proc/self/ns/pid: %m");
  place.pid_namespace = st.st_ino;
  if (stat("/proc/self/ns/time", &st) == 0) place.time_namespace = st.st_ino;  // kernels before 5.6 have none
  *out = place;
  return 0;
}

struct shoal_thread_name_ shoal_thread_name_(uint32_t tid) {
  struct shoal_thread_name_ name;
  char path[32], comm[17];
  snprintf(path, sizeof path, "/proc/%u/comm", tid);
  if (slurp(path, comm, sizeof comm) <= 0) *comm = 0;
  comm[strcspn(comm, "\n")] = 0;
  if (*comm) snprintf(name.text, sizeof name.text, "%u (%s)", tid, comm);
  else snprintf(name.text, sizeof name.text, "%u", tid);
  return name;
}

struct stat_line {
  char state;
  long threads;
  uint64_t start;
};

// The field `n` after the one at `at`, or NULL: each ends with one space.
static const char *field_after(const char *at, unsigned n) {
  for (; at && n; n--)
    if ((at = strchr(at, ' '))) at++;
  return at;
}

// By hand: sscanf takes as long as the system calls.
static int read_stat(const char *path, struct stat_line *out) {
  char text[1024];
  if (slurp(path, text, sizeof text) <= 0) return -1;
  const char *name_end = strrchr(text, ')');  // field 2; it may hold anything
  const char *state = field_after(name_end, 1), *threads = field_after(state, 20 - 3);
  const char *start = field_after(threads, 22 - 20);
  if (!start) return -1;
  *out = (struct stat_line){*state, strtol(threads, NULL, 10), strtoull(start, NULL, 10)};
  return 0;
}

static int read_thread(uint32_t pid, uint32_t tid, struct stat_line *out) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%u/task/%u/stat", pid, tid);
  return read_stat(path, out);
}

uint64_t shoal_thread_start_time_(uint32_t pid, uint32_t tid) {
  struct stat_line line;
  return read_thread(pid, tid, &line) ? 0 : line.start;
}

shoal_process_id_ shoal_process_self_(void) {
  static __thread struct {
    shoal_process_id_ id;
    uint32_t epoch;
  } self;
  struct shoal_thread_ *t = shoal_self_();
  if (self.epoch != t->epoch) {
    struct stat_line line = {.start = 0};
    uint64_t pid = (uint64_t)getpid();
    if (read_stat("/proc/self/stat", &line)) line.start = 0;
    self.id = (line.start & START_MASK) << PID_BITS | pid;
    self.epoch = t->epoch;
  }
  return self.id;
}

shoal_process_id_ shoal_process_of_(uint32_t pid) {
  struct stat_line line;
  char path[32];
  snprintf(path, sizeof path, "/proc/%u/stat", pid);
  if (pid >> PID_BITS || read_stat(path, &line)) return 0;
  return (line.start & START_MASK) << PID_BITS | pid;
}

static int is_dead(char state) { return state == 'Z' || state == 'X' || state == 'x'; }

int shoal_process_gone_(shoal_process_id_ process) {
  pid_t pid = (pid_t)(process & ((1u << PID_BITS) - 1));
  uint64_t start = process >> PID_BITS;
  struct stat_line line;
  char path[32];
  if (process == shoal_process_self_()) return 0;
  if (kill(pid, 0) && errno == ESRCH) return 1;
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  if (read_stat(path, &line)) return kill(pid, 0) && errno == ESRCH;
  if (start && start != (line.start & START_MASK)) return 1;
  return is_dead(line.state) && line.threads <= 1;  // a first thread that has exited is a zombie beside living ones
}

int shoal_thread_missing_(uint32_t pid, uint32_t tid) {
  return (pid ? syscall(SYS_tgkill, pid, tid, 0) : syscall(SYS_tkill, tid, 0)) && errno == ESRCH;
}

int shoal_thread_gone_(uint32_t pid, uint32_t tid, uint64_t start) {
  struct stat_line line;
  if (shoal_thread_missing_(pid, tid)) return 1;
  if (pid == 0) return 0;
  if (read_thread(pid, tid, &line)) return shoal_thread_missing_(pid, tid);
  return is_dead(line.state) || (start && start != line.start);
}
