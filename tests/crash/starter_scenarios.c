// ipc/work/starter. Claims: whoever asks it for a child has that child, and no other, though the starter is killed at
// any instruction of serving it; and another starter after that.
//
//   driver                   who asks                        its starter
//   ----------------------   -----------------------------   ------------------------------------
//   seizes  ------------------------------------------------> stands in its poll
//   go  -------------------> asks  ------------------------>  k instructions
//   kills  -------------------------------------------------> dead
//   looks  <---------------- joins its child, has no other
//
// The starter is a fresh image, and nobody's fork: it is seized, and stepped from the start for each point.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/work/process.h"
#include "ipc/work/task.h"
#include "tests/crash/engine.h"

#define CODE 5
#define LOOKS 600000  // 100 us each: a minute

enum { STARTER, GO, OVER, DAEMON };   // T->word
enum { STARTED, CODE_IS, CHILDREN };  // T->rc

struct number {
  int n;
};
SHOAL_TASK(starter_answer, struct number) { return arg->n; }

// ---- who asks ----

static void ask(void) {
  struct shoal_context context = {.method = SHOAL_START_STARTER};
  struct shoal_process_options o = {.context = &context, .daemon = (int)T->word[DAEMON]};
  struct shoal_process p;
  struct number n = {CODE};
  int code = -1;
  if (shoal_starter_make()) crash_abort("a starter");
  T->word[STARTER] = (uint32_t)shoal_starter_pid();
  while (!T->word[GO]) usleep(20);
  int rc = shoal_process_start_task(&p, "starter_answer", &n, sizeof n, &o);
  if (rc == 0) rc = shoal_process_join(&p, SHOAL_FOREVER);
  if (rc == 0) rc = shoal_process_exitcode(&p, &code);
  T->rc[STARTED] = rc;
  T->rc[CODE_IS] = code;
  while (!T->word[OVER]) usleep(20);  // it is stepped still
  (void)shoal_starter_end();
  T->rc[CHILDREN] = waitpid(-1, NULL, WNOHANG) >= 0;
  _exit(0);
}
static pid_t begin(int daemon) {
  memset(T, 0, sizeof *T);
  T->word[DAEMON] = (uint32_t)daemon;
  pid_t parent = getpid(), pid = fork();
  if (pid < 0) crash_abort("fork");
  if (pid) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(2);
  ask();
  return 0;
}

// ---- its starter ----

static int is_in_poll(pid_t pid) {
  char path[32], text[16] = "";
  snprintf(path, sizeof path, "/proc/%d/syscall", (int)pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  return n > 0 && strtol(text, NULL, 10) == SYS_poll && text[0] >= '0' && text[0] <= '9';
}
// Until it waits for a request; from then on it stands still. 0: it never does.
static pid_t seize(void) {
  int status, looks = 0;
  while (!T->word[STARTER] || !is_in_poll((pid_t)T->word[STARTER])) {
    if (++looks == LOOKS) return 0;
    usleep(100);
  }
  pid_t pid = (pid_t)T->word[STARTER];
  if (ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_EXITKILL) || ptrace(PTRACE_INTERRUPT, pid, 0, 0))
    crash_abort("PTRACE_SEIZE");
  return waitpid(pid, &status, 0) == pid && WIFSTOPPED(status) ? pid : 0;
}
// One instruction: the first is its poll, which ends when there is a request.
static int step(pid_t pid) {
  int status;
  if (ptrace(PTRACE_SINGLESTEP, pid, 0, 0) || waitpid(pid, &status, 0) != pid) return 0;
  return WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP;
}
// Which system call it is about to make; -1: none.
static long next_call(pid_t pid) {
  long pc = ptrace(PTRACE_PEEKUSER, pid, offsetof(struct user, regs.rip), 0);
  long text = ptrace(PTRACE_PEEKTEXT, pid, pc, 0);
  return (text & 0xffff) != 0x050f ? -1 : ptrace(PTRACE_PEEKUSER, pid, offsetof(struct user, regs.rax), 0);
}

// ---- a point ----

static void end(pid_t asks, pid_t starter, uint32_t k) {
  int status, looks = 0;
  pid_t ended = 0;
  if (starter) kill(starter, SIGKILL);
  while (starter && waitpid(starter, &status, __WALL) == starter && !WIFSIGNALED(status) && !WIFEXITED(status))
    continue;
  T->word[OVER] = 1;
  while (!(ended = waitpid(asks, &status, WNOHANG)) && ++looks < LOOKS) usleep(100);
  CRASH_EXPECT(ended, "the starter killed at %u, who asks it does not go on", k);
  if (!ended) kill(asks, SIGKILL), waitpid(asks, &status, 0);
  if (T->failed) return;
  CRASH_EXPECT(WIFEXITED(status) && !WEXITSTATUS(status), "who asks ended with %x", (unsigned)status);
  CRASH_EXPECT(T->rc[STARTED] == 0, "killed at %u, start answered %d", k, T->rc[STARTED]);
  CRASH_EXPECT(T->rc[CODE_IS] == CODE, "killed at %u, the child answered %d", k, T->rc[CODE_IS]);
  CRASH_EXPECT(!T->rc[CHILDREN], "killed at %u, there is a child that nobody knows", k);
}
static void note(struct crash_result *r, uint32_t k) {
  r->points++;
  r->failures += T->failed != 0;
  if (T->failed && !r->why[0]) snprintf(r->why, sizeof r->why, "at %u: %s", k, T->why);
}
// Kills it after k instructions, but for those that wait for a request again. How many it has executed.
static uint32_t kill_at(uint32_t k, int daemon, uint8_t *calls, uint32_t room) {
  pid_t asks = begin(daemon), starter = seize();
  uint32_t n = 0;
  CRASH_EXPECT(starter, "the starter does not wait for a request");
  T->word[GO] = 1;
  for (; starter && n < k; n++) {
    long call = n ? next_call(starter) : -1;  // not always after as many
    if (call == SYS_poll || n == room) break;
    if (calls) calls[n] = call >= 0;
    int stands = step(starter);
    CRASH_EXPECT(stands, "it died by itself, after %u", n);
    if (!stands) k = n;
  }
  end(asks, starter, n);
  return n;
}

// At each instruction that is a system call, behind it, and at some of the others.
static void sweep(int daemon, const struct crash_limits *l, struct crash_result *r) {
  enum { ROOM = 1 << 20 };
  uint8_t *calls = calloc(ROOM + 2, 1);
  if (!calls) crash_abort("memory");
  uint32_t n = kill_at(UINT32_MAX, daemon, calls, ROOM), apart = n / l->points + 1;
  note(r, n);
  r->places[0] = n + 1;
  r->at[0] = 1;
  for (uint32_t k = 0; k < n && !(l->stop && r->failures); k++) {
    if (!l->all && !calls[k] && !(k && calls[k - 1]) && k % apart) continue;
    kill_at(k, daemon, NULL, ROOM);
    note(r, k);
    r->at[0]++;
  }
  free(calls);
}
static void sweep_child(const struct crash_limits *l, struct crash_result *r) { sweep(0, l, r); }
static void sweep_daemon(const struct crash_limits *l, struct crash_result *r) { sweep(1, l, r); }
CRASH_SCENARIO(starter, .name = "starter: it is asked for a child", .drive = sweep_child);
CRASH_SCENARIO(starter_daemon, .name = "starter: it is asked for a daemon", .drive = sweep_daemon);
