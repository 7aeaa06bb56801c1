// A process as its parent sees it, from start on.
#include "ipc/work/process.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.h"
#include "ipc/work/process_internal.h"

static int check_ours(const struct shoal_process *p) {
  if (p->state == SHOAL_CLOSED_) return shoal_fail_(-EINVAL, "the process was not started, or was closed");
  if (p->parent != getpid()) return shoal_fail_(-ECHILD, "%s is a child of process %d", p->name, p->parent);
  return 0;
}

static int64_t ns_of(struct timeval t) { return t.tv_sec * INT64_C(1000000000) + t.tv_usec * INT64_C(1000); }

static void take_report(struct shoal_process *p) {
  uint32_t told = shoal_load32_acquire(&p->report->told);  // [W2] pairs with [W1]: what was told is whole
  if (told) memcpy(p->last_words, p->report->words[told % 2], SHOAL_WORDS_MAX);
  munmap(p->report, sizeof *p->report);
  p->report = NULL;
}

static void ended(struct shoal_process *p, const siginfo_t *info, const struct rusage *use) {
  p->code = info->si_code == CLD_EXITED ? info->si_status : -info->si_status;
  p->core = info->si_code == CLD_DUMPED;
  p->user_ns = ns_of(use->ru_utime);
  p->system_ns = ns_of(use->ru_stime);
  p->memory_max = (uint64_t)use->ru_maxrss * 1024;
}

// Takes the exit code if it has ended; then it is no zombie any more. Entered.
static int reap_entered(struct shoal_process *p) {
  siginfo_t info = {.si_pid = 0};
  struct rusage use;
  while (syscall(SYS_waitid, P_PIDFD, p->sentinel, &info, WEXITED | WNOHANG, &use)) {
    if (errno == EINTR) continue;
    if (errno != ECHILD) return shoal_fail_(-errno, "waitid: %m");
    p->state = SHOAL_CODE_LOST_;  // reaped by another wait of this program, or by its ignoring SIGCHLD
    take_report(p);
    return 0;
  }
  if (info.si_pid == 0) return 0;
  ended(p, &info, &use);
  p->state = SHOAL_ENDED_;
  take_report(p);
  return 0;
}

static int reap(struct shoal_process *p) {
  int rc = check_ours(p);
  if (rc == 0) rc = shoal_self_enter_();
  if (rc) return rc;
  if (p->state == SHOAL_RUNNING_) rc = reap_entered(p);
  shoal_self_leave_();
  return rc;
}

int shoal_process_join(struct shoal_process *p, shoal_deadline deadline) {
  for (;;) {
    int rc = reap(p);
    if (rc || p->state != SHOAL_RUNNING_) return rc;
    if (shoal_deadline_is_try(deadline)) return -EAGAIN;
    struct timespec left, *timeout = NULL;
    if (!shoal_deadline_is_forever(deadline)) {
      int64_t ns = deadline.ns - shoal_now_ns();
      if (ns <= 0) return -ETIMEDOUT;
      left = (struct timespec){ns / 1000000000, ns % 1000000000};
      timeout = &left;
    }
    struct pollfd sentinel = {p->sentinel, POLLIN, 0};
    if (ppoll(&sentinel, 1, timeout, NULL) < 0 && errno != EINTR) return shoal_fail_(-errno, "poll: %m");
  }
}

int shoal_process_is_alive(struct shoal_process *p) {
  int rc = reap(p);
  return rc ? rc : p->state == SHOAL_RUNNING_;
}

int shoal_process_exitcode(struct shoal_process *p, int *code) {
  int rc = reap(p);
  if (rc) return rc;
  if (p->state == SHOAL_RUNNING_) return -EAGAIN;
  if (p->state == SHOAL_CODE_LOST_) return shoal_fail_(-ECHILD, "another wait took the exit code of %s", p->name);
  *code = p->code;
  return 0;
}

static int send_signal(struct shoal_process *p, int signal) {
  int rc = reap(p);
  if (rc || p->state != SHOAL_RUNNING_) return rc;
  if (syscall(SYS_pidfd_send_signal, p->sentinel, signal, NULL, 0) && errno != ESRCH)
    return shoal_fail_(-errno, "signal to %s: %m", p->name);
  return 0;
}

int shoal_process_terminate(struct shoal_process *p) { return send_signal(p, SIGTERM); }
int shoal_process_kill(struct shoal_process *p) { return send_signal(p, SIGKILL); }

int shoal_process_close(struct shoal_process *p) {
  int rc = reap(p);
  if (rc == 0 && p->state == SHOAL_RUNNING_) return shoal_fail_(-EBUSY, "%s still runs", p->name);
  if (rc == 0) rc = shoal_self_enter_();
  if (rc) return rc;
  shoal_children_drop_(p);
  close(p->sentinel);
  p->sentinel = -1;
  p->state = SHOAL_CLOSED_;
  shoal_self_leave_();
  return 0;
}

int shoal_process_info(struct shoal_process *p, struct shoal_process_info *out) {
  int rc = reap(p);
  if (rc) return rc;
  *out = (struct shoal_process_info){.pid = p->pid,
                                     .method = p->method,
                                     .alive = p->state == SHOAL_RUNNING_,
                                     .daemon = p->daemon,
                                     .code_known = p->state == SHOAL_ENDED_,
                                     .code = p->code,
                                     .signal = p->code < 0 ? -p->code : 0,
                                     .core = p->core,
                                     .user_ns = p->user_ns,
                                     .system_ns = p->system_ns,
                                     .memory_max = p->memory_max,
                                     .task = p->task};
  memcpy(out->name, p->name, sizeof out->name);
  memcpy(out->last_words, p->last_words, sizeof out->last_words);
  return 0;
}

// The next child that runs, from place *i on, or NULL: all that come before are looked at, whoever they are.
static struct shoal_process *next_active(unsigned *i) {
  struct shoal_self_ *self = &shoal_process_self_state_;
  for (; *i < self->child_count; ++*i) {
    struct shoal_process *p = self->children[*i].process;
    if (p->pid != self->children[*i].pid || p->state != SHOAL_RUNNING_) continue;
    if (reap_entered(p) || p->state != SHOAL_RUNNING_) continue;
    ++*i;
    return p;
  }
  return NULL;
}

int shoal_process_active(int (*each)(struct shoal_process *, void *), void *arg) {
  for (unsigned i = 0;;) {
    int rc = shoal_self_enter_();
    if (rc) return rc;
    struct shoal_process *p = next_active(&i);
    shoal_self_leave_();
    if (!p) return 0;
    rc = each(p, arg);
    if (rc) return rc;
  }
}
