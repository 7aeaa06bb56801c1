// The starter: a fresh image of this program that forks on request. What it forks are its parent's children, not its
// own.
//
//   parent                     starter                                child
//   ------------------------   ------------------------------------   -------------------------------
//   file, gate, streams  --->  clone(CLONE_PARENT) ------------------> its own C library's thread again
//                              its number, to the gate                its number, to the gate
//   holds it <-- one of the two                                        waits at the gate
//   go ------------------------------------------------------------->  begins
//
// Both tell the number, so that the starter may die as soon as there is a child. When both die before either has, the
// parent sees the end of the gate, and asks another starter.
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.h"
#include "ipc/work/process_internal.h"

enum { FILE_, GATE, STREAMS, FOLDER = STREAMS + 3, SEGMENT, DESCRIPTORS };  // of a request, in this order
#define SLICE_MS 100                                                        // one that is stopped is seen after so long
#define PATIENCE_MS 60000  // a starter that does not answer for so long is killed
#define LAST_MS 10000      // a child tells its number at once, whatever becomes of the starter
#define ATTEMPTS 3

static struct {  // entered
  pid_t owner;   // whose it is: not that of a child of a plain fork
  pid_t pid;
  int socket, sentinel;
} starter = {.socket = -1, .sentinel = -1};

struct request {
  uint32_t there;  // bit i: descriptor i comes with it
};

// ---- the starter itself ----

static struct {
  int socket, parent;
  pid_t *tid;  // where the C library keeps this thread's number
  void *robust;
  size_t robust_size;
} me;

// Keeps two descriptors, and whatever the standard streams are, open to nothing: the parent's pipes end without us.
static void close_others(void) {
  int low = me.socket < me.parent ? me.socket : me.parent, high = me.socket < me.parent ? me.parent : me.socket;
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int i = 0; i < 3 && null >= 0; i++)
    if (null != i && i != low && i != high) dup2(null, i);
  if (low > 3) syscall(SYS_close_range, 3, low - 1, 0);
  if (high > low + 1) syscall(SYS_close_range, low + 1, high - 1, 0);
  syscall(SYS_close_range, high + 1, ~0u, 0);
}

static void know_thread(void) {
  if (prctl(PR_GET_TID_ADDRESS, &me.tid) || !me.tid || *me.tid != (pid_t)syscall(SYS_gettid)) me.tid = NULL;
  if (syscall(SYS_get_robust_list, 0, &me.robust, &me.robust_size)) me.robust = NULL;
}

// What fork does for a C library's thread besides: its number is the child's, and its list of robust words, which is
// empty, is known to the kernel. Handlers and locks need nothing: there is one thread.
static pid_t fork_for_parent(void) {
  struct clone_args args = {.flags = CLONE_PARENT | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID,
                            .child_tid = (uint64_t)(uintptr_t)me.tid};
  if (!me.tid) return errno = ENOSYS, -1;
  pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
  if (pid == 0 && me.robust) syscall(SYS_set_robust_list, me.robust, me.robust_size);
  return pid;
}

static void tell(int gate, pid_t pid, int error) {
  struct shoal_message_ m = {pid, error};
  send(gate, &m, sizeof m, MSG_NOSIGNAL);
}

static void __attribute__((noreturn)) be_child(const int *fd) {
  tell(fd[GATE], getpid(), 0);
  close(me.socket);
  close(me.parent);
  for (int i = 0; i < 3; i++) {
    if (fd[STREAMS + i] < 0) close(i);
    else dup2(fd[STREAMS + i], i);
    if (fd[STREAMS + i] > 2) close(fd[STREAMS + i]);
  }
  if (fd[FOLDER] >= 0 && fchdir(fd[FOLDER])) _exit(127);
  if (fd[FOLDER] >= 0) close(fd[FOLDER]);
  shoal_child_run_file_(fd[FILE_], fd[GATE], fd[SEGMENT]);
}

static void serve(const int *fd) {
  if (fd[FILE_] < 0 || fd[GATE] < 0) return;
  pid_t pid = fork_for_parent();
  if (pid == 0) be_child(fd);
  tell(fd[GATE], pid < 0 ? 0 : pid, pid < 0 ? errno : 0);
}

// One request. 0; -1: there will be no more.
static int receive(void) {
  struct request request = {0};
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int[DESCRIPTORS]))];
  } control;
  int came[DESCRIPTORS], fd[DESCRIPTORS];
  unsigned n = 0, next = 0;
  struct iovec io = {&request, sizeof request};
  struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  if (recvmsg(me.socket, &m, MSG_CMSG_CLOEXEC) <= 0) return -1;
  struct cmsghdr *c = CMSG_FIRSTHDR(&m);
  if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
    n = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    memcpy(came, CMSG_DATA(c), n * sizeof(int));
  }
  for (unsigned i = 0; i < DESCRIPTORS; i++) fd[i] = request.there >> i & 1 && next < n ? came[next++] : -1;
  serve(fd);
  for (unsigned i = 0; i < n; i++) close(came[i]);
  return 0;
}

void shoal_starter_main_(const struct shoal_birth_shm_ *birth) {
  me.socket = birth->gate;
  me.parent = (int)syscall(SYS_pidfd_open, birth->parent, 0);
  if (me.parent < 0 || getppid() != birth->parent) _exit(1);  // it is dead, and its number perhaps another's
  prctl(PR_SET_NAME, "shoal-starter");
  know_thread();
  close_others();
  for (;;) {
    struct pollfd both[] = {{me.socket, POLLIN, 0}, {me.parent, POLLIN, 0}};
    if (poll(both, 2, -1) < 0 && errno != EINTR) _exit(1);
    if (both[1].revents || (both[0].revents && receive())) _exit(0);
  }
}

// ---- its parent ----

static void forget(void) {
  if (starter.socket >= 0) close(starter.socket);
  if (starter.sentinel >= 0) close(starter.sentinel);
  starter.socket = starter.sentinel = -1;
  starter.pid = 0;
}

// Kills it, and waits for it.
static void end(void) {
  siginfo_t info;
  syscall(SYS_pidfd_send_signal, starter.sentinel, SIGKILL, NULL, 0);
  while (waitid(P_PIDFD, (id_t)starter.sentinel, &info, WEXITED) && errno == EINTR) continue;
  forget();
}

static int start_image(int theirs) {
  struct shoal_birth_shm_ birth = {.kind = SHOAL_BORN_STARTER_, .parent = getpid(), .gate = theirs, .segment = -1};
  int file, rc = shoal_birth_file_(&birth, NULL, NULL, &file);
  if (rc) return rc;
  rc = shoal_image_start_(file, &theirs, 1, "shoal-starter", &starter.pid);
  close(file);
  if (rc) return rc;
  starter.sentinel = (int)syscall(SYS_pidfd_open, starter.pid, 0);
  return starter.sentinel >= 0 ? 0 : shoal_fail_(-errno, "the starter's pidfd: %m");
}

// There is one, and it was not seen to be dead.
static int make(void) {
  int pair[2];
  if (starter.owner != getpid()) forget();
  starter.owner = getpid();
  struct pollfd dead = {starter.sentinel, POLLIN, 0};
  if (starter.pid && poll(&dead, 1, 0) != 1) return 0;
  if (starter.pid) end();
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) return shoal_fail_(-errno, "socketpair: %m");
  int rc = start_image(pair[0]);
  close(pair[0]);
  starter.socket = pair[1];
  if (rc) forget();
  return rc;
}

void shoal_starter_leave_(void) { forget(); }

int shoal_starter_make(void) {
  if (shoal_process_is_daemon()) return shoal_fail_(-EPERM, "a daemon may have no children");
  int rc = shoal_self_enter_();
  if (rc) return rc;
  rc = make();
  shoal_self_leave_();
  return rc;
}

int shoal_starter_end(void) {
  int rc = shoal_self_enter_();
  if (rc) return rc;
  if (starter.pid && starter.owner == getpid()) end();
  shoal_self_leave_();
  return 0;
}

pid_t shoal_starter_pid(void) {
  if (shoal_self_enter_()) return 0;
  pid_t pid = starter.owner == getpid() ? starter.pid : 0;
  shoal_self_leave_();
  return pid;
}

static int send_request(const struct shoal_start_ *s, int folder) {
  const int fd[DESCRIPTORS] = {s->file, s->gate[0], 0, 1, 2, folder, s->birth.segment};
  struct request request = {0};
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int[DESCRIPTORS]))];
  } control;
  int go[DESCRIPTORS];
  unsigned n = 0;
  for (unsigned i = 0; i < DESCRIPTORS; i++) {
    if (fd[i] < 0 || fcntl(fd[i], F_GETFD) < 0) continue;
    request.there |= 1u << i;
    go[n++] = fd[i];
  }
  struct iovec io = {&request, sizeof request};
  struct msghdr m = {
      .msg_iov = &io, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_SPACE(n * sizeof(int))};
  struct cmsghdr *c = CMSG_FIRSTHDR(&m);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(n * sizeof(int));
  memcpy(CMSG_DATA(c), go, n * sizeof(int));
  if (sendmsg(starter.socket, &m, MSG_NOSIGNAL) >= 0) return 0;
  return errno == EPIPE || errno == ECONNRESET ? -EPIPE : shoal_fail_(-errno, "to the starter: %m");
}

// Asks; answers who was asked, and its pidfd, which is the caller's.
static int ask(const struct shoal_start_ *s, pid_t *who, int *sentinel) {
  int folder = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC), rc = shoal_self_enter_();
  if (rc == 0) {
    rc = make();
    *who = starter.pid;
    if (rc == 0) rc = send_request(s, folder);
    *sentinel = rc ? -1 : fcntl(starter.sentinel, F_DUPFD_CLOEXEC, 0);
    shoal_self_leave_();
  }
  if (folder >= 0) close(folder);
  return rc;
}

static void give_up(pid_t who) {
  if (shoal_self_enter_()) return;
  if (starter.pid == who && starter.owner == getpid()) end();
  shoal_self_leave_();
}

static int is_stopped(int sentinel) {
  siginfo_t info = {.si_pid = 0};
  return waitid(P_PIDFD, (id_t)sentinel, &info, WSTOPPED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0;
}

// Until the gate has something to say. The end of the stream there may be long in coming, if another thread forks at
// this instant: so the starter is looked at, too.
static int await_answer(int gate, int sentinel, pid_t who) {
  struct pollfd both[] = {{gate, POLLIN, 0}, {sentinel, POLLIN, 0}};
  for (int ms = SLICE_MS; poll(both, 2, SLICE_MS) == 0; ms += SLICE_MS)
    if (ms >= PATIENCE_MS || is_stopped(sentinel)) give_up(who);  // its child, if there is one, tells by itself
  return both[0].revents || poll(both, 1, LAST_MS) == 1 ? 0 : -EPIPE;
}

// The child's number. -EPIPE: the starter has died, and there is no child.
static int answer(struct shoal_start_ *s, pid_t who, int sentinel, pid_t *pid) {
  struct shoal_message_ m;
  close(s->gate[0]);  // the end of the stream is theirs to make
  s->gate[0] = -1;
  int rc = await_answer(s->gate[1], sentinel, who);
  close(sentinel);
  if (rc || recv(s->gate[1], &m, sizeof m, 0) != (ssize_t)sizeof m) return -EPIPE;
  if (m.error == ENOSYS) return shoal_fail_(-ENOSYS, "this C library cannot be forked behind its back: spawn instead");
  if (m.error) return errno = m.error, shoal_fail_(-m.error, "the starter's fork: %m");
  *pid = m.pid;
  return 0;
}

static int renew_gate(struct shoal_start_ *s) {
  for (int i = 0; i < 2; i++)
    if (s->gate[i] >= 0) close(s->gate[i]);
  s->gate[0] = s->gate[1] = -1;
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s->gate)) return shoal_fail_(-errno, "socketpair: %m");
  return 0;
}

int shoal_starter_fork_(struct shoal_start_ *s, pid_t *pid) {
  int rc = 0;
  for (unsigned i = 0; i < ATTEMPTS; i++) {
    pid_t who = 0;
    int sentinel = -1;
    if (i) rc = renew_gate(s);
    if (rc == 0) rc = ask(s, &who, &sentinel);
    if (rc == 0) rc = answer(s, who, sentinel, pid);
    if (rc != -EPIPE) return rc;
    give_up(who);  // it dies: waited for, so that it is not asked again
    rc = 0;
  }
  return shoal_fail_(-EPIPE, "the starter was killed, %d times", ATTEMPTS);
}
