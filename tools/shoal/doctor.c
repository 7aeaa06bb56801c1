// shoal doctor: what this machine gives to shoal, measured where it can be; what falls back, at what cost.
#include <fcntl.h>
#include <linux/membarrier.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/futex.h"
#include "core/proc.h"
#include "ipc/work/processors.h"
#include "tools/shoal/tool.h"

enum verdict { GOOD, SLOWER, BAD };
struct diagnosis {
  struct tool_common common;
  struct tool_json json;
  unsigned slower, bad;
};

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct diagnosis *d = state->input;
  (void)arg;
  if (key == ARGP_KEY_INIT) state->child_inputs[0] = &d->common;
  else if (key == ARGP_KEY_ARG) argp_usage(state);
  else return ARGP_ERR_UNKNOWN;
  return 0;
}
static const struct argp_child children[] = {TOOL_COMMON, {0}};
static const struct argp argp = {
    NULL,
    parse,
    NULL,
    "Measures what the kernel can do, looks at the limits that count for shared memory, and says what falls back "
    "where something is missing. Exit status 1: something does not work.",
    children,
    NULL,
    NULL};

// `means`: what follows from it, where it is not as it should be.
static void tell(struct diagnosis *d, enum verdict v, const char *what, const char *means, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
static void tell(struct diagnosis *d, enum verdict v, const char *what, const char *means, const char *format, ...) {
  static const char *const words[] = {"good", "slower", "bad"};
  char is[256];
  va_list args;
  va_start(args, format);
  vsnprintf(is, sizeof is, format, args);
  va_end(args);
  d->slower += v == SLOWER, d->bad += v == BAD;
  if (v == GOOD) means = "";
  if (!d->common.json) {
    printf("%-7s %-22s %s\n", words[v], what, tool_clean(is));
    if (*means) printf("%-30s %s\n", "", means);
    return;
  }
  tool_json_open(&d->json, NULL, '{');
  tool_json_text(&d->json, "check", what);
  tool_json_text(&d->json, "verdict", words[v]);
  tool_json_text(&d->json, "found", is);
  if (*means) tool_json_text(&d->json, "means", means);
  tool_json_close(&d->json, '}');
}

static int read_file(const char *path, char *text, size_t n) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t got = fd < 0 ? -1 : read(fd, text, n - 1);
  if (fd >= 0) close(fd);
  text[got < 0 ? 0 : got] = 0;
  text[strcspn(text, "\n")] = 0;
  return got > 0;
}

// ---- the kernel ----

static void check_kernel(struct diagnosis *d) {
  struct utsname u;
  uname(&u);
  tell(d, GOOD, "kernel", "", "%s %s, %s", u.sysname, u.release, u.machine);
  tell(d, shoal_futex_has_waitv() ? GOOD : SLOWER, "futex_waitv",
       "Linux 5.16 has it. Without: a death, and in a select what is not its first, is seen by a look every 10 ms; "
       "some deaths once a second.",
       "%s", shoal_futex_has_waitv() ? "there" : "missing, or forbidden by a filter");
  long can = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
  int global = can >= 0 && (can & MEMBARRIER_CMD_GLOBAL_EXPEDITED);
  tell(d, global ? GOOD : SLOWER, "membarrier",
       "Without GLOBAL_EXPEDITED each put and each release pays for an exchange, some 10 ns.", "%s",
       global ? "global expedited" : "missing, or forbidden by a filter");
  int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
  tell(d, fd >= 0 ? GOOD : BAD, "pidfd", "Linux 5.3 has it. Without: no processes and pools (ipc/work).", "%s",
       fd >= 0 ? "there" : strerror(errno));
  if (fd >= 0) close(fd);
}

static void *shared_page(void) {
  void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) exit(tool_failed(-ENOMEM, "doctor"));
  return p;
}
static pid_t child(void) {
  fflush(NULL);
  pid_t pid = fork();
  if (pid < 0) exit(tool_failed(-errno, "fork"));
  if (pid == 0) prctl(PR_SET_PDEATHSIG, SIGKILL);
  return pid;
}

// A child takes a word and is killed: what the whole promise stands on.
static void check_robust(struct diagnosis *d) {
  struct shoal_robust *r = shared_page();
  int rc = shoal_robust_check(), status;
  if (rc == 0) {
    pid_t pid = child();
    if (pid == 0) {
      if (shoal_robust_acquire_(r, SHOAL_TRY)) _exit(1);
      kill(getpid(), SIGKILL);
      _exit(1);
    }
    waitpid(pid, &status, 0);
  }
  int marked = rc == 0 && shoal_robust_is_dead(shoal_load32_acquire(&r->word));  // [A1] of core/robust.h
  tell(d, marked ? GOOD : BAD, "death of an owner", "Nothing here survives a death without the kernel's robust lists.",
       "%s",
       rc       ? shoal_reason()
       : marked ? "a killed child's word was marked by the kernel"
                : "a killed child's word was not marked");
  munmap(r, 4096);
}

enum { ROUNDS = 300 };
static void pass(shoal_atomic32 *ball, uint32_t from, uint32_t to) {
  for (uint32_t now; (now = shoal_load32_acquire(ball)) != from;)  // the same word on both sides: [P1] pairs with [P1]
    shoal_futex_wait(ball, now, shoal_after_s(1));
  shoal_store32_release(ball, to);  // [P1]
  shoal_futex_wake(ball, 1);
}
// There and back. 0: who has it is dead.
static int comes_back(shoal_atomic32 *ball, pid_t pid) {
  pass(ball, 0, 1);
  while (shoal_load32_acquire(ball))  // [P1]
    if (shoal_futex_wait(ball, 1, shoal_after_s(1)) == -ETIMEDOUT && waitpid(pid, NULL, WNOHANG))
      return shoal_load32_acquire(ball) == 0;  // [P1]
  return 1;
}
static void check_wakes(struct diagnosis *d) {
  shoal_atomic32 *ball = shared_page();
  int64_t took[ROUNDS];
  int whole = 1;
  pid_t pid = child();
  if (pid == 0) {
    for (unsigned i = 0; i < ROUNDS; i++) pass(ball, 1, 0);
    _exit(0);
  }
  for (unsigned i = 0; i < ROUNDS && whole; i++) {
    int64_t began = shoal_now_ns();
    whole = comes_back(ball, pid);
    took[i] = shoal_now_ns() - began;
  }
  if (!whole) {
    tell(d, BAD, "wake, there and back", "Something kills what this command starts.", "the process beside was killed");
    munmap(ball, 4096);
    return;
  }
  waitpid(pid, NULL, 0);
  qsort(took, ROUNDS, sizeof *took, tool_by_size);
  int64_t median = took[ROUNDS / 2], late = took[ROUNDS * 99 / 100];
  tell(d, GOOD, "wake, there and back", "", "%.1f us in the median, %.1f us at the 99th percentile of %d",
       (double)median / 1e3, (double)late / 1e3, ROUNDS);
  munmap(ball, 4096);
}

// ---- memory ----

static void check_shm(struct diagnosis *d) {
  struct statvfs v;
  if (statvfs("/dev/shm", &v)) {
    tell(d, BAD, "/dev/shm", "Mount a tmpfs there. Anonymous segments go without.", "%s", strerror(errno));
    return;
  }
  uint64_t size = (uint64_t)v.f_blocks * v.f_frsize, left = (uint64_t)v.f_bavail * v.f_frsize;
  tell(d,
       left < (UINT64_C(32) << 20)    ? BAD
       : size < (UINT64_C(256) << 20) ? SLOWER
                                      : GOOD,
       "/dev/shm",
       "A segment takes 18 MiB by default; what does not fit is -ENOSPC. Containers have 64 MiB: --shm-size.",
       "%s free of %s", tool_bytes_text(left), tool_bytes_text(size));
}

static void check_segment(struct diagnosis *d) {
  struct shoal_segment_options o = {.size = 64 << 10, .size_max = 1 << 20, .participants = 4, .objects = 4};
  struct shoal_segment *a, *b;
  char name[64];
  shoal_proc_id me;
  snprintf(name, sizeof name, "doctor-%d-%llx", (int)getpid(), (unsigned long long)shoal_now_ns());
  int64_t began = shoal_now_ns();
  int rc = shoal_segment_create(name, &o, &a);
  if (rc == 0) {
    rc = shoal_proc_self(a, &me);
    if (rc == 0) rc = shoal_segment_open(name, NULL, &b);
    if (rc == 0) shoal_segment_close(b);
    shoal_segment_unlink(name);
    shoal_segment_close(a);
  }
  tell(d, rc ? BAD : GOOD, "a segment", "It needs /proc, O_TMPFILE in /dev/shm, and linkat there.", "%s%s%s",
       rc ? shoal_strerror(rc) : "made, joined, opened and removed", rc ? ": " : "", rc ? shoal_reason() : "");
  if (rc == 0) tell(d, GOOD, "its making", "", "%.0f us for all that", (double)(shoal_now_ns() - began) / 1e3);
}

static void check_limit(struct diagnosis *d, int which, const char *what, uint64_t wanted, const char *means) {
  struct rlimit r;
  if (getrlimit(which, &r)) return;
  if (r.rlim_cur == RLIM_INFINITY) tell(d, GOOD, what, "", "no limit");
  else
    tell(d, r.rlim_cur < wanted ? SLOWER : GOOD, what, means, "%s",
         which == RLIMIT_NOFILE || which == RLIMIT_NPROC
             ? tool_field_text(&(struct tool_field){.kind = FIELD_NUMBER, .number = r.rlim_cur})
             : tool_bytes_text(r.rlim_cur));
}

static void check_memory(struct diagnosis *d) {
  char text[256];
  check_limit(d, RLIMIT_AS, "address space", UINT64_C(65) << 30,
              "A segment reserves its size_max, 64 GiB by default: give a smaller one.");
  check_limit(d, RLIMIT_MEMLOCK, "locked memory", 32 << 20, "SHOAL_SEGMENT_LOCKED is -ENOMEM beyond it.");
  check_limit(d, RLIMIT_FSIZE, "size of a file", 32 << 20, "A segment is one: growing beyond it is -ENOSPC.");
  check_limit(d, RLIMIT_NPROC, "processes of this user", 64, "fork fails beyond it: smaller pools.");
  check_limit(d, RLIMIT_NOFILE, "open files", 256, "A segment takes one, a process one, a select some.");
  if (!read_file("/sys/kernel/mm/transparent_hugepage/shmem_enabled", text, sizeof text))
    snprintf(text, sizeof text, "none");
  int never = strstr(text, "[never]") || strstr(text, "[deny]") || strcmp(text, "none") == 0;
  tell(d, never ? SLOWER : GOOD, "huge pages",
       "SHOAL_SEGMENT_HUGE has no effect: more TLB misses in large segments. advise in shmem_enabled gives them.", "%s",
       text);
}

static void check_container(struct diagnosis *d) {
  uint64_t max = shoal_group_limit_("", "memory", "memory.limit_in_bytes", "memory.max");
  uint64_t pids = shoal_group_limit_("", "pids", "pids.max", "pids.max");
  tell(d, max && max < (UINT64_C(256) << 20) ? SLOWER : GOOD, "memory of the container",
       "Segments count as memory of whoever touched them first: beyond it processes are killed.", "%s",
       max ? tool_bytes_text(max) : "no limit");
  tell(d, pids && pids < 64 ? SLOWER : GOOD, "processes of the container", "fork fails beyond it: smaller pools.", "%s",
       pids ? tool_field_text(&(struct tool_field){.kind = FIELD_NUMBER, .number = pids}) : "no limit");
  long all = sysconf(_SC_NPROCESSORS_ONLN);
  int mine = shoal_cpu_count();
  tell(d, GOOD, "processors", "", "%d of %ld may be used", mine, all);
}

// ---- systemd ----

static int removes_ipc(const char *path, int before) {
  char line[256];
  FILE *in = fopen(path, "re");
  while (in && fgets(line, sizeof line, in)) {
    char value[16];
    if (sscanf(line, " RemoveIPC = %15s", value) == 1)
      before = strchr("yYtT1oO", value[0]) && strcasecmp(value, "off") != 0;
  }
  if (in) fclose(in);
  return before;
}
static void check_systemd(struct diagnosis *d) {
  if (access("/run/systemd/seats", F_OK)) {
    tell(d, GOOD, "systemd's RemoveIPC", "", "no logind here");
    return;
  }
  int removes = removes_ipc("/etc/systemd/logind.conf", 1), ours = getuid() >= 1000;
  tell(d, removes && ours ? SLOWER : GOOD, "systemd's RemoveIPC",
       "When the last session of this user ends, the names of its segments go: run as a system user, linger, or set "
       "RemoveIPC=no (a drop-in file may, and is not read here).",
       "%s%s", removes ? "yes" : "no", ours ? "" : ", but not for a system user");
}

static int run(int argc, char **argv) {
  struct diagnosis d = {.json = {.out = stdout}};
  argp_parse(&argp, argc, argv, 0, NULL, &d);
  if (d.common.json) tool_json_open(&d.json, NULL, '[');
  check_kernel(&d);
  check_robust(&d);
  check_wakes(&d);
  check_shm(&d);
  check_segment(&d);
  check_memory(&d);
  check_container(&d);
  check_systemd(&d);
  if (d.common.json) tool_json_close(&d.json, ']');
  else printf("\n%u slower, %u bad\n", d.slower, d.bad);
  return d.bad ? TOOL_NO : TOOL_DONE;
}

const struct tool_command tool_doctor = {"doctor", "what this machine gives, and what falls back", &argp, run};
