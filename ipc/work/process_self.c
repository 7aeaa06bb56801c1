// What a process is to itself: its name and parent, the children it has, and how a child begins and ends.
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/error.h"
#include "core/heap_internal.h"
#include "core/robust.h"
#include "ipc/work/process_internal.h"
#include "ipc/work/thread_internal.h"

struct shoal_self_ shoal_process_self_state_ = {.parent_sentinel = -1};
#define self shoal_process_self_state_

const char *shoal_process_current_name(void) { return self.name[0] ? self.name : "MainProcess"; }
const char *shoal_process_parent_name(void) { return self.name[0] ? self.parent_name : NULL; }
int shoal_process_is_daemon(void) { return self.daemon; }
struct shoal_segment *shoal_process_segment(void) {
  return self.segment;
}

// ---- the parent ----

pid_t shoal_process_parent_pid(void) { return self.name[0] ? self.parent : 0; }

int shoal_process_parent_is_alive(void) {
  if (!self.name[0]) return shoal_fail_(-ENOENT, "no process of this library is its parent");
  return getppid() == self.parent;
}

// While it is the parent, its number is nobody else's: looked at before and after.
int shoal_process_parent_sentinel(void) {
  int rc = shoal_process_parent_is_alive();
  if (rc < 0 || self.parent_sentinel >= 0) return rc < 0 ? rc : self.parent_sentinel;
  int fd = rc ? (int)syscall(SYS_pidfd_open, self.parent, 0) : -1;
  if (fd < 0 && rc && errno != ESRCH) return shoal_fail_(-errno, "pidfd_open: %m");
  if (fd < 0 || getppid() != self.parent) {
    if (fd >= 0) close(fd);
    return shoal_fail_(-EPIPE, "the parent, process %d, has ended", self.parent);
  }
  self.parent_sentinel = fd;
  return fd;
}

// ---- the children ----

int shoal_self_enter_(void) {
  int rc = shoal_robust_check();
  if (rc) return rc;
  shoal_private_acquire_(&self.lock);
  if (self.pid != getpid()) {  // the child of a plain fork
    self.pid = getpid();
    self.child_count = 0;
  }
  return 0;
}

void shoal_self_leave_(void) { shoal_private_release_(&self.lock); }

int shoal_children_room_(void) {
  if (self.child_count < self.child_room) return 0;
  unsigned room = self.child_room ? 2 * self.child_room : 16;
  struct shoal_child_ *more = realloc(self.children, room * sizeof *more);
  if (!more) return shoal_fail_(-ENOMEM, "no memory to note a child");
  self.children = more;
  self.child_room = room;
  return 0;
}

void shoal_children_drop_(const struct shoal_process *p) {
  unsigned kept = 0;
  for (unsigned i = 0; i < self.child_count; i++)
    if (self.children[i].process != p) self.children[kept++] = self.children[i];
  self.child_count = kept;
}

void shoal_children_add_(struct shoal_process *p) {
  shoal_children_drop_(p);
  self.children[self.child_count++] = (struct shoal_child_){p, p->pid};
}

// ---- a child begins ----

uint64_t shoal_blocked_of_(const sigset_t *mask) {
  uint64_t blocked = 0;
  for (int n = 1; n <= 64; n++) blocked |= (uint64_t)(sigismember(mask, n) == 1) << (n - 1);
  return blocked;
}

void shoal_mask_of_(uint64_t blocked, sigset_t *out) {
  sigemptyset(out);
  for (int n = 1; n <= 64; n++)
    if (blocked >> (n - 1) & 1) sigaddset(out, n);
}

// The parent may have died before the kernel knew what then to do: looked at afterwards.
static void stay_with_parent(const struct shoal_birth_shm_ *birth) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != birth->parent) _exit(1);
}

// The end of the stream: the parent has died, and started nothing. (What another thread of the parent forked at this
// very instant holds the gate, too: then it waits for the end of both.)
static void pass_gate(int gate) {
  char word = 0;
  ssize_t n;
  do n = read(gate, &word, 1);
  while (n < 0 && (errno == EINTR || errno == ECONNRESET));  // reset: it has not read all we said; its word may follow
  if (n != 1 || word != SHOAL_GATE_GO_) _exit(1);
  close(gate);
}

static void become(const struct shoal_birth_shm_ *birth, struct shoal_report_shm_ *report,
                   struct shoal_segment *segment) {
  memcpy(self.name, birth->name, sizeof self.name);
  memcpy(self.parent_name, birth->parent_name, sizeof self.parent_name);
  memcpy(self.identity, birth->identity, sizeof self.identity);
  self.pid = getpid();
  self.parent = birth->parent;
  self.daemon = birth->daemon != 0;
  self.started = self.child_count = 0;
  self.report = report;
  self.segment = segment;
  if (self.parent_sentinel >= 0) close(self.parent_sentinel);
  self.parent_sentinel = -1;
  shoal_starter_leave_();
}

static void change_environment(const char *const *changes) {
  for (; changes && *changes; changes++) {
    const char *value = strchr(*changes, '=');
    char *name = value ? strndup(*changes, (size_t)(value - *changes)) : NULL;
    if (value && (!name || setenv(name, value + 1, 1))) _exit(1);
    if (!value) unsetenv(*changes);
    free(name);
  }
}

int shoal_is_default_(int signal) {
  struct sigaction action;
  return !sigaction(signal, NULL, &action) && !(action.sa_flags & SA_SIGINFO) && action.sa_handler == SIG_DFL;
}

// A handler that a fresh image has not would keep the terminal's SIGINT from ending this process.
static void open_signals(const struct shoal_birth_shm_ *birth) {
  sigset_t mask;
  shoal_mask_of_(birth->blocked, &mask);
  if (!birth->interrupt && shoal_is_default_(SIGINT)) signal(SIGINT, SIG_IGN);
  sigdelset(&mask, SIGTERM);
  signal(SIGTERM, SIG_DFL);
  sigprocmask(SIG_SETMASK, &mask, NULL);
}

void shoal_child_run_(const struct shoal_birth_shm_ *birth, struct shoal_report_shm_ *report,
                      struct shoal_segment *segment, const char *const *changes, int (*work)(void *), void *arg) {
  if (birth->daemon) stay_with_parent(birth);
  pass_gate(birth->gate);
  become(birth, report, segment);
  change_environment(changes);
  open_signals(birth);
  shoal_reason_clear();
  int rc = work(arg);
  if (rc && !shoal_load32_relaxed(&report->told) && *shoal_reason()) shoal_process_say("%s", shoal_reason());
  shoal_process_exit(rc);
}

// ---- and ends ----

// Beside the last ones, then pointed at: whole, whenever it is killed.
void shoal_process_say(const char *format, ...) {
  struct shoal_report_shm_ *report = self.report;
  if (!report || self.pid != getpid()) return;
  uint32_t told = shoal_load32_relaxed(&report->told) + 1;
  char *words = report->words[told % 2];
  va_list args;
  va_start(args, format);
  vsnprintf(words, SHOAL_WORDS_MAX + 1, format, args);
  va_end(args);
  shoal_store32_release(&report->told, told);  // [W1] pairs with [W2]
}

// Another thread may hold a stream for as long as it reads from it, and fflush(NULL) waits for that.
void shoal_flush_(int all) {
  if (all && shoal_threads_run_() == 1) {
    fflush(NULL);
    return;
  }
  fflush(stdout);
  fflush(stderr);
}

void shoal_process_exit(int code) {
  shoal_threads_await_();
  shoal_flush_(1);  // not as exit does it, which moves the offsets of files that are read, the parent's, too
  _exit(code >= 0 && code <= 255 ? code : 1);
}
