#include "tests/harness/victim.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

// ---- the machine: a breakpoint, and where a process stands ----

#if defined(__x86_64__)

typedef unsigned char trap;
#define TRAP ((trap)0xcc)
#define TRAPPED_BEHIND sizeof(trap)  // who has met a breakpoint stands behind it
#define MARK() __asm__ volatile("int3" ::: "memory")

static int where(pid_t pid, uintptr_t *pc) {
  errno = 0;
  *pc = (uintptr_t)ptrace(PTRACE_PEEKUSER, pid, offsetof(struct user, regs.rip), 0);
  return errno ? -1 : 0;
}
static int put(pid_t pid, uintptr_t pc) {
  return ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, regs.rip), pc) ? -1 : 0;
}

#elif defined(__aarch64__)  // with LSE: who is stepped never gets through a loop of load-exclusive and store-exclusive

typedef uint32_t trap;
#define TRAP ((trap)0xd4200000)
#define TRAPPED_BEHIND 0u
#define MARK() __asm__ volatile("brk #0" ::: "memory")

static int registers(int request, pid_t pid, struct user_regs_struct *regs) {
  struct iovec all = {regs, sizeof *regs};
  return ptrace(request, pid, NT_PRSTATUS, &all) ? -1 : 0;
}
static int where(pid_t pid, uintptr_t *pc) {
  struct user_regs_struct regs;
  if (registers(PTRACE_GETREGSET, pid, &regs)) return -1;
  *pc = (uintptr_t)regs.pc;
  return 0;
}
static int put(pid_t pid, uintptr_t pc) {
  struct user_regs_struct regs;
  if (registers(PTRACE_GETREGSET, pid, &regs)) return -1;
  regs.pc = pc;
  return registers(PTRACE_SETREGSET, pid, &regs);
}

#else
#error "a victim is stepped on x86-64 and aarch64 only"
#endif

static struct page { volatile uint32_t finished, released; } * pages;
static struct victim victims[VICTIMS];

static void die(const char *what) {
  fprintf(stderr, "victim: %s: %s\n", what, strerror(errno));
  _exit(2);
}

static void child(struct page *page, pid_t parent, void (*prepare)(void), void (*operate)(void)) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent || ptrace(PTRACE_TRACEME, 0, 0, 0)) _exit(2);
  if (prepare) prepare();
  MARK();
  operate();
  page->finished = 1;
  if (!page->released) MARK();
  for (;;) pause();
}

static int in_text(uintptr_t pc) {  // a breakpoint goes into the program's own text, not the vdso's
  extern const char __executable_start[], etext[];
  return pc >= (uintptr_t)__executable_start && pc < (uintptr_t)etext;
}

uintptr_t victim_pc(const struct victim *v) {
  uintptr_t pc;
  if (where(v->pid, &pc) == 0) return pc;
  if (errno != ESRCH) die("where it stands");
  return VICTIM_NOWHERE;
}

// The next instruction is the one behind the mark.
static void pass_mark(const struct victim *v) {
  if (TRAPPED_BEHIND) return;
  uintptr_t pc = victim_pc(v);
  if (pc != VICTIM_NOWHERE && in_text(pc) && *(const trap *)pc == TRAP) put(v->pid, pc + sizeof(trap));
}

struct victim *victim_start(int slot, void (*prepare)(void), void (*operate)(void)) {
  struct victim *v = &victims[slot];
  if (!pages) {
    pages = mmap(NULL, sizeof *pages * VICTIMS, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) die("mmap");
  }
  pages[slot] = (struct page){0};
  *v = (struct victim){.slot = slot};
  pid_t parent = getpid();
  int status;
  v->pid = fork();
  if (v->pid < 0) die("fork");
  if (v->pid == 0) child(&pages[slot], parent, prepare, operate);
  if (waitpid(v->pid, &status, 0) != v->pid || !WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP) {
    fprintf(stderr, "victim: its preparation failed: status %x\n", status);
    _exit(2);
  }
  pass_mark(v);
  v->state = VICTIM_STOPPED;
  return v;
}

static ssize_t read_proc(pid_t pid, const char *file, char *buffer, size_t size) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t n = read(fd, buffer, size - 1);
  close(fd);
  buffer[n > 0 ? n : 0] = 0;
  return n;
}

int process_asleep(pid_t pid, uint64_t *switches) {
  char text[4096], *at;
  if (read_proc(pid, "syscall", text, sizeof text) <= 0) return 0;
  long number = strtol(text, &at, 10);
  if (at == text || (number != SYS_futex && number != SYS_futex_waitv)) return 0;
  if (read_proc(pid, "status", text, sizeof text) <= 0) return 0;
  if (!(at = strstr(text, "\nState:\t")) || at[8] != 'S') return 0;
  if (switches) {
    if (!(at = strstr(text, "\nvoluntary_ctxt_switches:\t"))) die("/proc/pid/status");
    *switches = strtoull(at + 26, NULL, 10);
  }
  return 1;
}

int process_rests(pid_t pid) {
  char text[4096], *at;
  return read_proc(pid, "status", text, sizeof text) > 0 && (at = strstr(text, "\nState:\t")) && at[8] == 'S';
}

// After a stop: what it means.
static enum victim_state stopped(struct victim *v, int status) {
  v->signal = 0;
  if (WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP) {
    if (!pages[v->slot].finished) return v->state = VICTIM_STOPPED;
    pass_mark(v);
    return v->state = VICTIM_FINISHED;
  }
  if (WIFSTOPPED(status)) v->signal = WSTOPSIG(status);
  if (WIFSIGNALED(status)) v->signal = WTERMSIG(status);
  return v->state = VICTIM_FAULTED;
}

// Until it stops or sleeps; a sleep already reported (v->slept) is waited out.
static enum victim_state wait_event(struct victim *v) {
  int status, known = v->state == VICTIM_ASLEEP;
  struct timespec begun = {0}, now;
  for (unsigned i = 0;; i++) {
    if (waitpid(v->pid, &status, WNOHANG) == v->pid) return stopped(v, status);
    if (i < 50) {  // a poll takes the processor from it
      sched_yield();
      continue;
    }
    uint64_t switches;
    if (process_asleep(v->pid, &switches) && !(known && switches == v->slept)) {
      if (waitpid(v->pid, &status, WNOHANG) == v->pid) return stopped(v, status);
      v->slept = switches;
      return v->state = VICTIM_ASLEEP;
    }
    if (i % 16 == 0) {
      clock_gettime(CLOCK_MONOTONIC, &now);
      if (!begun.tv_sec) begun = now;
      if (now.tv_sec - begun.tv_sec > VICTIM_WATCHDOG_S) {
        v->strayed = known ? "it was not woken" : "it neither stops nor sleeps";
        v->signal = SIGALRM;
        return v->state = VICTIM_FAULTED;
      }
    }
    if (known) usleep(20);
    else sched_yield();
  }
}

enum victim_state victim_step(struct victim *v) {
  if (v->state >= VICTIM_FINISHED) return v->state;
  if (v->state == VICTIM_STOPPED && ptrace(PTRACE_SINGLESTEP, v->pid, 0, 0) && errno != ESRCH) die("PTRACE_SINGLESTEP");
  return wait_event(v);
}

// ---- traces ----

// Where the last event of this pc is noted: an open-addressed table.
static uint32_t *seen(struct victim_trace *t, uintptr_t pc) {
  uint32_t mask = t->room * 2 - 1, at = (uint32_t)((pc * 0x9e3779b97f4a7c15u) >> 32) & mask;
  while (t->seen_[at] && t->pc[t->seen_[at]] != pc) at = (at + 1) & mask;
  return &t->seen_[at];
}

static void make_room(struct victim_trace *t) {
  if (t->n + 1 < t->room) return;
  t->room = t->room ? t->room * 2 : 1 << 12;
  t->pc = realloc(t->pc, sizeof *t->pc * t->room);
  t->anchor = realloc(t->anchor, sizeof *t->anchor * t->room);
  t->visit = realloc(t->visit, t->room);
  t->last = realloc(t->last, t->room);
  free(t->seen_);
  t->seen_ = calloc(t->room * 2, sizeof *t->seen_);
  if (!t->pc || !t->anchor || !t->visit || !t->last || !t->seen_) die("trace");
  for (uint32_t k = 1; k <= t->n; k++)
    if (t->pc[k]) *seen(t, t->pc[k]) = k;
}

enum victim_state victim_record(struct victim *v, struct victim_trace *t) {
  make_room(t);
  if (t->n == 0) t->pc[0] = victim_pc(v), t->anchor[0] = 0, t->visit[0] = 1;
  if (victim_step(v) == VICTIM_FAULTED) return v->state;
  uint32_t k = ++t->n, before = 0;
  uintptr_t pc = t->pc[k] = v->state == VICTIM_ASLEEP ? 0 : victim_pc(v);
  t->visit[k] = pc == t->pc[0] ? 2 : 1;
  if (pc) {
    uint32_t *at = seen(t, pc);
    if ((before = *at)) t->visit[k] = t->visit[before] < 3 ? t->visit[before] + 1 : 3;
    *at = k;
  }
  t->anchor[k] = v->state == VICTIM_STOPPED && t->visit[k] == 1 && in_text(pc) ? k : t->anchor[k - 1];
  return v->state;
}

void victim_trace_end(struct victim_trace *t) {
  memset(t->last, 0, t->n + 1);
  for (uint32_t at = 0; at < t->room * 2; at++)
    if (t->seen_[at]) t->last[t->seen_[at]] = 1;
}

void victim_trace_clear(struct victim_trace *t) {
  free(t->pc);
  free(t->anchor);
  free(t->visit);
  free(t->last);
  free(t->seen_);
  *t = (struct victim_trace){0};
}

static int write_text(const struct victim *v, uintptr_t pc, trap text) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/mem", (int)v->pid);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  int written = fd >= 0 && pwrite(fd, &text, sizeof text, (off_t)pc) == sizeof text;
  if (fd >= 0) close(fd);
  return written;
}

// Runs to the breakpoint at `pc`. One that falls asleep before has left its trace, and is not stopped any more. Another
// thread of its own, which nobody traces, may meet it as well, and all end by SIGTRAP, even after the victim has
// stopped there.
static enum victim_state run_to_pc(struct victim *v, uintptr_t pc, void (*asleep)(void)) {
  trap text = *(const trap *)pc;  // the victim is our child: its text is ours
  if (!write_text(v, pc, TRAP)) die("/proc/pid/mem");
  if (ptrace(PTRACE_CONT, v->pid, 0, 0)) die("PTRACE_CONT");
  if (wait_event(v) == VICTIM_FAULTED) return v->state;
  if (!write_text(v, pc, text)) return wait_event(v);
  while (v->state == VICTIM_ASLEEP) {
    asleep();
    wait_event(v);
  }
  if (v->state == VICTIM_STOPPED) {
    uintptr_t at = victim_pc(v);
    if (at == VICTIM_NOWHERE) return wait_event(v);
    if (at != pc + TRAPPED_BEHIND) die("it stopped elsewhere");
    if (TRAPPED_BEHIND && put(v->pid, pc)) return wait_event(v);
  } else {
    v->strayed = "it finished without passing its trace";
  }
  return v->state;
}

// Woken, it comes no further than to the end of its sleep until `asleep` is done: let go, it might stop with a lock in
// hand that `asleep` is to take.
enum victim_state victim_run_to(struct victim *v, const struct victim_trace *t, uint32_t k, void (*asleep)(void)) {
  uint32_t at = 0, end = 0;  // end: its next sleep, or k
  while (at < k && v->state < VICTIM_FINISHED) {
    if (v->state == VICTIM_ASLEEP) {
      asleep();
    } else if (at >= end) {
      for (end = at + 1; end < k && t->pc[end];) end++;
      if (t->anchor[end] > at + 8) {
        at = t->anchor[end];
        run_to_pc(v, t->pc[at], asleep);
        continue;
      }
    }
    victim_step(v);
    at++;
  }
  if (v->state == VICTIM_FINISHED && at < k && !v->strayed) v->strayed = "it finished early";
  if (v->state == VICTIM_STOPPED && t->pc[k] && victim_pc(v) != t->pc[k]) v->strayed = "it took another way";
  return v->state;
}

void victim_release(struct victim *v) {
  if (v->state == VICTIM_FREE || v->state == VICTIM_FAULTED) return;
  pages[v->slot].released = 1;
  if (v->state == VICTIM_ASLEEP) {  // only a stopped process can be let go: its system call begins anew
    int status;
    syscall(SYS_tgkill, v->pid, v->pid, SIGSTOP);
    while (waitpid(v->pid, &status, 0) == v->pid && WIFSTOPPED(status) && WSTOPSIG(status) != SIGSTOP)
      ptrace(PTRACE_CONT, v->pid, 0, 0);
  }
  if (ptrace(PTRACE_DETACH, v->pid, 0, 0)) die("PTRACE_DETACH");
  v->state = VICTIM_FREE;
}

int victim_has_finished(const struct victim *v) { return pages[v->slot].finished != 0; }

void victim_kill(struct victim *v) {
  if (!v->pid) return;
  kill(v->pid, SIGKILL);
  waitpid(v->pid, NULL, 0);
  v->pid = 0;
}
