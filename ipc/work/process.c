#include "ipc/work/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.h"
#include "ipc/work/task.h"

enum { GO = 'g', AWAY = 'a' };               // what the parent says at the gate
enum { CLOSED, RUNNING, ENDED, CODE_LOST };  // shoal_process.state; CLOSED is also: never started

static struct {                   // this process
  char name[SHOAL_NAME_MAX + 1];  // "": no shoal_process_start made it
  char parent_name[SHOAL_NAME_MAX + 1];
  int daemon;
  unsigned started;  // children, for their default names
} self;

const char *shoal_process_current_name(void) { return self.name[0] ? self.name : "MainProcess"; }
const char *shoal_process_parent_name(void) { return self.name[0] ? self.parent_name : NULL; }
int shoal_process_is_daemon(void) { return self.daemon; }

void shoal_process_exit(int code) {
  fflush(NULL);
  _exit(code >= 0 && code <= 255 ? code : 1);
}

// ---- start ----

static int name_child(char name[static SHOAL_NAME_MAX + 1], const char *given) {
  const char *family = strncmp(self.name, "Process-", 8) == 0 ? self.name : "Process";
  int n = given
              ? snprintf(name, SHOAL_NAME_MAX + 1, "%s", given)
              : snprintf(name, SHOAL_NAME_MAX + 1, "%s%c%u", family, self.name == family ? ':' : '-', self.started + 1);
  return n <= SHOAL_NAME_MAX ? 0 : shoal_fail_(-ENAMETOOLONG, "a process's name of %d bytes", n);
}

static int may_fork(const struct shoal_process_options *o) {
  struct stat st;
  if (self.daemon) return shoal_fail_(-EPERM, "%s is a daemon and may have no children", self.name);
  if (o->threaded) return 0;
  if (stat("/proc/self/task", &st)) return shoal_fail_(-ENOSYS, "cannot count the threads of this process: %m");
  if (st.st_nlink > 3) return shoal_fail_(-EBUSY, "fork of a process with %u threads", (unsigned)st.st_nlink - 2);
  return 0;
}

static void die_with(pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) kill(getpid(), SIGKILL);  // it died before the line above
}

// The child waits here until its parent has its pidfd. The end of the stream: the parent has died, and started nothing. (What
// another thread of the parent forked at this very instant holds the gate, too: then it waits for the end of both.)
static void pass_gate(const int gate[2]) {
  char word = 0;
  ssize_t n;
  close(gate[1]);
  do n = read(gate[0], &word, 1);
  while (n < 0 && errno == EINTR);
  if (n != 1 || word != GO) _exit(1);
  close(gate[0]);
}

static void __attribute__((noreturn)) run_child(const struct shoal_process *p, const int gate[2], int (*work)(void *),
                                                void *arg, int daemon, const sigset_t *mask) {
  if (daemon) die_with(p->parent);
  pass_gate(gate);
  snprintf(self.parent_name, sizeof self.parent_name, "%s", shoal_process_current_name());
  memcpy(self.name, p->name, sizeof self.name);
  self.daemon = daemon;
  self.started = 0;
  sigset_t child_mask = *mask;
  sigdelset(&child_mask, SIGTERM);
  signal(SIGTERM, SIG_DFL);
  sigprocmask(SIG_SETMASK, &child_mask, NULL);
  shoal_process_exit(work(arg));
}

// Opens the pidfd of the child at the gate. It does not end by itself there, so the number is its own, unless somebody else
// has killed it and its end was taken behind our back (SIGCHLD ignored, a foreign wait). Then there is none of that number;
// or, when all others have been given out since, one that is no child of ours. (Another child of ours, which another thread has
// forked since: that is not told. The child would have to answer, and each start to wait for it.)
static int hold(struct shoal_process *child) {
  siginfo_t info;
  child->sentinel = (int)syscall(SYS_pidfd_open, child->pid, 0);
  if (child->sentinel < 0 && errno != ESRCH) return shoal_fail_(-errno, "pidfd_open: %m");
  if (child->sentinel >= 0) {
    if (!waitid(P_PIDFD, (id_t)child->sentinel, &info, WEXITED | WNOHANG | WNOWAIT)) return 0;
    close(child->sentinel);
  }
  return shoal_fail_(-ECHILD, "%s was killed before it began", child->name);
}

// Holds the child, then opens the gate, or sends it away. Our own end of the gate spares us a SIGPIPE.
static int let_go(struct shoal_process *child, const int gate[2]) {
  int rc = hold(child);
  char word = rc ? AWAY : GO;
  int told = write(gate[1], &word, 1) == 1;
  if (rc == -ECHILD) return rc;
  if (rc) {
    waitpid(child->pid, NULL, 0);
  } else if (!told) {
    rc = shoal_fail_(-errno, "pipe: %m");
    syscall(SYS_pidfd_send_signal, child->sentinel, SIGKILL, NULL, 0);
    waitid(P_PIDFD, (id_t)child->sentinel, NULL, WEXITED);
    close(child->sentinel);
  }
  return rc;
}

int shoal_process_start(struct shoal_process *p, int (*work)(void *), void *arg,
                        const struct shoal_process_options *options) {
  static const struct shoal_process_options defaults;
  const struct shoal_process_options *o = options ? options : &defaults;
  struct shoal_process child = {.parent = getpid(), .state = RUNNING};
  int gate[2], rc = may_fork(o);
  if (!rc) rc = name_child(child.name, o->name);
  if (!rc && pipe2(gate, O_CLOEXEC)) rc = shoal_fail_(-errno, "pipe: %m");
  if (rc) return rc;
  fflush(NULL);  // else what waits in the buffers would be written twice
  sigset_t all, mask;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &mask);  // a SIGTERM for the child finds no handler of ours in it
  child.pid = fork();
  if (child.pid == 0) run_child(&child, gate, work, arg, o->daemon, &mask);
  rc = child.pid < 0 ? shoal_fail_(-errno, "fork: %m") : let_go(&child, gate);
  close(gate[0]);
  close(gate[1]);
  pthread_sigmask(SIG_SETMASK, &mask, NULL);
  if (rc) return rc;
  self.started++;
  *p = child;
  return 0;
}

int shoal_process_start_task(struct shoal_process *p, const char *task, void *argument, uint64_t size,
                             const struct shoal_process_options *options) {
  const struct shoal_task *found;
  int rc = shoal_task_find(task, &found);
  if (rc) return rc;
  if (size != found->size)
    return shoal_fail_(-EBADMSG, "task %s takes a %s of %zu bytes, not %zu", task, found->type, (size_t)found->size,
                       (size_t)size);
  return shoal_process_start(p, found->run, argument, options);
}

// ---- end ----

static int check_ours(const struct shoal_process *p) {
  if (p->state == CLOSED) return shoal_fail_(-EINVAL, "the process was not started, or was closed");
  if (p->parent != getpid()) return shoal_fail_(-ECHILD, "%s is a child of process %d", p->name, p->parent);
  return 0;
}

// Takes the exit code if it has ended; then it is no zombie any more.
static int reap(struct shoal_process *p) {
  int rc = check_ours(p);
  if (rc || p->state != RUNNING) return rc;
  siginfo_t info = {.si_pid = 0};
  while (waitid(P_PIDFD, (id_t)p->sentinel, &info, WEXITED | WNOHANG)) {
    if (errno == EINTR) continue;
    if (errno != ECHILD) return shoal_fail_(-errno, "waitid: %m");
    p->state = CODE_LOST;  // reaped by another wait of this program, or by its ignoring SIGCHLD
    return 0;
  }
  if (info.si_pid == 0) return 0;
  p->code = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
  p->state = ENDED;
  return 0;
}

int shoal_process_join(struct shoal_process *p, shoal_deadline deadline) {
  for (;;) {
    int rc = reap(p);
    if (rc || p->state != RUNNING) return rc;
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
  return rc ? rc : p->state == RUNNING;
}

int shoal_process_exitcode(struct shoal_process *p, int *code) {
  int rc = reap(p);
  if (rc) return rc;
  if (p->state == RUNNING) return -EAGAIN;
  if (p->state == CODE_LOST) return shoal_fail_(-ECHILD, "another wait took the exit code of %s", p->name);
  *code = p->code;
  return 0;
}

static int send_signal(struct shoal_process *p, int signal) {
  int rc = reap(p);
  if (rc || p->state != RUNNING) return rc;
  if (syscall(SYS_pidfd_send_signal, p->sentinel, signal, NULL, 0) && errno != ESRCH)
    return shoal_fail_(-errno, "signal to %s: %m", p->name);
  return 0;
}

int shoal_process_terminate(struct shoal_process *p) { return send_signal(p, SIGTERM); }
int shoal_process_kill(struct shoal_process *p) { return send_signal(p, SIGKILL); }

int shoal_process_close(struct shoal_process *p) {
  int rc = reap(p);
  if (rc) return rc;
  if (p->state == RUNNING) return shoal_fail_(-EBUSY, "%s still runs", p->name);
  close(p->sentinel);
  p->sentinel = -1;
  p->state = CLOSED;
  return 0;
}
