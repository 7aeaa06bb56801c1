// How a process is started, whatever the method: checks, name, gate; and the method that needs no more, fork.
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.h"
#include "ipc/work/process_internal.h"

#define self shoal_process_self_state_

static struct shoal_context default_context = {.method = SHOAL_START_FORK};

static int check_context(const struct shoal_context *c) {
  return c->method <= SHOAL_START_STARTER ? 0 : shoal_fail_(-EINVAL, "start method %d", (int)c->method);
}

int shoal_process_default(const struct shoal_context *context) {
  static const struct shoal_context by_fork = {.method = SHOAL_START_FORK};
  if (!context) context = &by_fork;
  int rc = check_context(context);
  if (rc == 0) default_context = *context;
  return rc;
}

const struct shoal_context *shoal_process_default_(void) { return &default_context; }

// ---- checks ----

// One that has been joined is among the kernel's until it is buried, which may be long after; but it runs no line of
// the program any more, and the kernel says so.
#define EXITING 4u  // PF_EXITING, of the flags in a thread's stat

static int no_descriptor(void) { return errno == EMFILE || errno == ENFILE; }

// 1, 0, -EMFILE, -ENFILE.
static int runs(const char *tid) {
  char text[512];
  unsigned flags;
  snprintf(text, sizeof text, "/proc/self/task/%s/stat", tid);
  int fd = open(text, O_RDONLY | O_CLOEXEC);
  if (fd < 0 && no_descriptor()) return -errno;
  ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
  int gone = n < 0 && (errno == ENOENT || errno == ESRCH);
  if (fd >= 0) close(fd);
  if (n <= 0) return !gone;
  text[n] = 0;
  const char *name_end = strrchr(text, ')');  // a name may hold anything
  return !name_end || sscanf(name_end + 1, " %*c %*d %*d %*d %*d %*d %u", &flags) != 1 || !(flags & EXITING);
}

// How many threads run; what may not be looked at is taken to. -EMFILE, -ENFILE.
static int count_threads(int counted) {
  DIR *tasks = opendir("/proc/self/task");
  if (!tasks) return no_descriptor() ? -errno : counted;
  int n = 0, one = 0;
  for (struct dirent *d; one >= 0 && (d = readdir(tasks)); n += one) one = d->d_name[0] == '.' ? 0 : runs(d->d_name);
  closedir(tasks);
  return one < 0 ? one : n;
}

int shoal_threads_run_(void) {
  struct stat st;
  if (stat("/proc/self/task", &st)) return -ENOSYS;
  return st.st_nlink > 3 ? count_threads((int)st.st_nlink - 2) : 1;
}

static int check_threads(const struct shoal_start_ *s) {
  if (s->context->method != SHOAL_START_FORK || s->options->threaded) return 0;
  int n = shoal_threads_run_();
  if (n == -ENOSYS) return shoal_fail_(n, "cannot count the threads of this process: %m");
  if (n < 0) return shoal_fail_(n, "no descriptor to look with whether other threads run");
  if (n <= 1) return 0;
  return shoal_fail_(-EBUSY, "fork of a process with %d threads: fork before them, say .threaded, or use a starter", n);
}

static int check_limits(const struct shoal_process_options *o) {
  if (o->limit_count && !o->limits) return shoal_fail_(-EINVAL, "%u limits at NULL", o->limit_count);
  for (unsigned i = 0; i < o->limit_count; i++) {
    const struct shoal_limit *l = &o->limits[i];
    if (l->resource < 0 || l->resource >= (int)RLIM_NLIMITS || l->soft > l->hard)
      return shoal_fail_(-EINVAL, "limit %u: resource %d, %llu to %llu", i, l->resource, (unsigned long long)l->soft,
                         (unsigned long long)l->hard);
  }
  return 0;
}

static int check_processors(const struct shoal_process_options *o) {
  if (!o->processors != !o->processor_count)
    return shoal_fail_(-EINVAL, "%u processors at %s", o->processor_count, o->processors ? "an address" : "NULL");
  for (unsigned i = 0; i < o->processor_count; i++)
    if (o->processors[i] >= CPU_SETSIZE) return shoal_fail_(-EINVAL, "processor %u", o->processors[i]);
  return 0;
}

static int check_environment(const struct shoal_process_options *o) {
  for (const char *const *e = o->environment; e && *e; e++)
    if (**e == 0 || **e == '=') return shoal_fail_(-EINVAL, "a variable without a name: \"%s\"", *e);
  return 0;
}

static int check(const struct shoal_start_ *s) {
  if (self.daemon) return shoal_fail_(-EPERM, "%s is a daemon and may have no children", self.name);
  int rc = check_context(s->context);
  if (rc == 0 && s->context->method != SHOAL_START_FORK && !s->task)
    rc = shoal_fail_(-EINVAL, "only fork has functions at the same address: start a task");
  if (rc == 0 && !s->work && !s->run && !s->task) rc = shoal_fail_(-EINVAL, "nothing to run");
  if (rc == 0) rc = check_limits(s->options);
  if (rc == 0) rc = check_processors(s->options);
  if (rc == 0) rc = check_environment(s->options);
  return rc ? rc : check_threads(s);
}

// ---- before there is a child ----

// Its identity is its number among its parent's children, after the parent's own: 2, 2:1. Default names end with it.
static int name_child(struct shoal_start_ *s, uint32_t number) {
  const struct shoal_process_options *o = s->options;
  char *identity = s->birth.identity, *name = s->child.name;
  int n = snprintf(identity, SHOAL_NAME_MAX + 1, "%s%s%u", self.identity, self.identity[0] ? ":" : "", number);
  if (n <= SHOAL_NAME_MAX && o->name) n = snprintf(name, SHOAL_NAME_MAX + 1, "%s", o->name);
  else if (n <= SHOAL_NAME_MAX)
    n = snprintf(name, SHOAL_NAME_MAX + 1, "%s-%s", o->family ? o->family : "Process", identity);
  if (n > SHOAL_NAME_MAX) return shoal_fail_(-ENAMETOOLONG, "a process's name of %d bytes", n);
  if (n == 0) return shoal_fail_(-EINVAL, "a process's name is empty");
  return 0;
}

static void describe(struct shoal_start_ *s) {
  struct shoal_birth_shm_ *b = &s->birth;
  b->kind = SHOAL_BORN_CHILD_;
  b->method = s->context->method;
  b->daemon = s->options->daemon != 0;
  b->interrupt = shoal_is_default_(SIGINT) != 0;
  b->parent = getpid();
  b->gate = s->gate[0];
  b->segment = s->context->segment ? shoal_segment_fd(s->context->segment) : -1;
  memcpy(b->name, s->child.name, sizeof b->name);
  snprintf(b->parent_name, sizeof b->parent_name, "%s", shoal_process_current_name());
  if (s->task) snprintf(b->task, sizeof b->task, "%s", s->task->name);
}

static int prepare(struct shoal_start_ *s) {
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s->gate)) return shoal_fail_(-errno, "socketpair: %m");
  describe(s);
  if (s->context->method != SHOAL_START_FORK) return shoal_birth_write_(s);
  s->report = mmap(NULL, sizeof *s->report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return s->report != MAP_FAILED ? 0 : shoal_fail_(-ENOMEM, "no page for a report: %m");
}

static void undo(struct shoal_start_ *s, int rc) {
  for (int i = 0; i < 2; i++)
    if (s->gate[i] >= 0) close(s->gate[i]);
  if (s->file >= 0) close(s->file);
  if (rc && s->report != MAP_FAILED) munmap(s->report, sizeof *s->report);
  if (rc && s->child.sentinel >= 0) close(s->child.sentinel);
}

// ---- the child at the gate ----

// Opens its pidfd. It does not end by itself there, so the number is its own, unless somebody else has killed it and
// its end was taken behind our back (SIGCHLD ignored, a foreign wait). Then there is none of that number; or, when all
// others have been given out since, one that is no child of ours.
static int hold(struct shoal_process *child) {
  siginfo_t info;
  int fd = (int)syscall(SYS_pidfd_open, child->pid, 0);
  if (fd < 0 && errno != ESRCH) return shoal_fail_(-errno, "pidfd_open: %m");
  if (fd >= 0 && !waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG | WNOWAIT)) {
    child->sentinel = fd;
    return 0;
  }
  if (fd >= 0) close(fd);
  return shoal_fail_(-ECHILD, "%s was killed before it began", child->name);
}

static int limit(const struct shoal_start_ *s) {
  const struct shoal_process_options *o = s->options;
  for (unsigned i = 0; i < o->limit_count; i++) {
    const struct shoal_limit *l = &o->limits[i];
    if (prlimit(s->child.pid, l->resource, &(struct rlimit){l->soft, l->hard}, NULL))
      return shoal_fail_(-errno, "limit %u, resource %d: %m", i, l->resource);
  }
  cpu_set_t set;
  CPU_ZERO(&set);
  for (unsigned i = 0; i < o->processor_count; i++) CPU_SET(o->processors[i], &set);
  if (o->processor_count && sched_setaffinity(s->child.pid, sizeof set, &set))
    return shoal_fail_(-errno, "none of these processors: %m");
  return 0;
}

// Opens the gate, or sends it away and waits for its end. One that is dead already has begun, as far as can be told.
static int let_go(struct shoal_start_ *s) {
  int rc = hold(&s->child);
  if (rc == 0) rc = limit(s);
  char word = rc ? SHOAL_GATE_AWAY_ : SHOAL_GATE_GO_;
  int told = send(s->gate[1], &word, 1, MSG_NOSIGNAL) == 1 || errno == EPIPE || errno == ECONNRESET;
  if (!told && !rc) rc = shoal_fail_(-errno, "gate: %m");
  if (!told && s->child.sentinel >= 0) syscall(SYS_pidfd_send_signal, s->child.sentinel, SIGKILL, NULL, 0);
  if (rc && rc != -ECHILD) waitpid(s->child.pid, NULL, 0);
  return rc;
}

// ---- start ----

static int (*const methods[])(struct shoal_start_ *, pid_t *) = {shoal_fork_, shoal_spawn_, shoal_starter_fork_};

static int make(struct shoal_start_ *s) {
  sigset_t all;
  shoal_flush_(s->context->method == SHOAL_START_FORK);  // which would write what waits in the buffers twice
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &s->mask);  // a SIGTERM for the child finds no handler of ours in it
  s->birth.blocked = shoal_blocked_of_(&s->mask);
  int rc = prepare(s);
  if (rc == 0) rc = methods[s->context->method](s, &s->child.pid);
  if (rc == 0) rc = let_go(s);
  undo(s, rc);
  pthread_sigmask(SIG_SETMASK, &s->mask, NULL);
  return rc;
}

static int number(uint32_t *out) {
  int rc = shoal_self_enter_();
  if (rc) return rc;
  rc = shoal_children_room_();
  *out = self.started + 1;
  if (rc == 0) self.started++;
  shoal_self_leave_();
  return rc;
}

static int note(struct shoal_start_ *s) {
  int rc = shoal_self_enter_();
  if (rc) return rc;
  *s->out = s->child;
  rc = shoal_children_room_();
  if (rc == 0) shoal_children_add_(s->out);  // no memory: it is not among the active
  shoal_self_leave_();
  return 0;
}

static int start(struct shoal_process *p, struct shoal_start_ *s, const struct shoal_process_options *options) {
  static const struct shoal_process_options defaults;
  uint32_t which = 0;
  s->options = options ? options : &defaults;
  s->context = s->options->context ? s->options->context : &default_context;
  s->out = p;
  s->gate[0] = s->gate[1] = s->file = -1;
  s->report = MAP_FAILED;
  s->child = (struct shoal_process){.parent = getpid(),
                                    .sentinel = -1,
                                    .state = SHOAL_RUNNING_,
                                    .daemon = s->options->daemon != 0,
                                    .method = s->context->method,
                                    .task = s->task ? s->task->name : NULL};
  int rc = check(s);
  if (rc == 0) rc = number(&which);
  if (rc == 0) rc = name_child(s, which);
  if (rc == 0) rc = make(s);
  if (rc) return rc;
  s->child.report = s->report;
  return note(s);
}

int shoal_process_start(struct shoal_process *p, int (*work)(void *), void *arg,
                        const struct shoal_process_options *options) {
  struct shoal_start_ s = {.work = work, .arg = arg};
  return start(p, &s, options);
}

int shoal_process_start_run(struct shoal_process *p, int (*run)(struct shoal_process *),
                            const struct shoal_process_options *options) {
  struct shoal_start_ s = {.run = run};
  return start(p, &s, options);
}

int shoal_process_start_task(struct shoal_process *p, const char *task, void *argument, uint64_t size,
                             const struct shoal_process_options *options) {
  struct shoal_start_ s = {.arg = argument, .size = size};
  int rc = shoal_task_find(task, &s.task);
  if (rc) return rc;
  if (s.task->bytes) return shoal_fail_(-EBADMSG, "task %s takes bytes: an executor's", task);
  if (size != s.task->size)
    return shoal_fail_(-EBADMSG, "task %s takes a %s of %zu bytes, not %zu", task, s.task->type, (size_t)s.task->size,
                       (size_t)size);
  if (size && !argument) return shoal_fail_(-EINVAL, "task %s: its argument is NULL", task);
  if (strlen(s.task->name) > SHOAL_TASK_NAME_MAX_) return shoal_fail_(-ENAMETOOLONG, "task %s", s.task->name);
  s.work = s.task->run;
  return start(p, &s, options);
}

// ---- fork ----

static int run_embedded(void *start) {
  const struct shoal_start_ *s = start;
  struct shoal_process *p = s->out;
  *p = s->child;
  p->pid = getpid();
  return s->run(p);
}

int shoal_fork_(struct shoal_start_ *s, pid_t *pid) {
  *pid = fork();
  if (*pid < 0) return shoal_fail_(-errno, "fork: %m");
  if (*pid > 0) return 0;
  close(s->gate[1]);
  int embedded = s->run != NULL;
  shoal_child_run_(&s->birth, s->report, s->context->segment, s->options->environment,
                   embedded ? run_embedded : s->work, embedded ? s : s->arg);
}
