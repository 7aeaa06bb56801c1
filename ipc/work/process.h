// ipc/work/process.h: child processes: forked, spawned as a fresh image of this program, or forked by a starter.
//
// USE
//   static int work(void *arg) { ... return 0; }              // its answer is the exit code
//   struct shoal_process p;                                    // stays where it is until close
//   int rc = shoal_process_start(&p, work, arg, NULL);
//   rc = shoal_process_join(&p, shoal_after_s(5));            // 0, -ETIMEDOUT
//   rc = shoal_process_exitcode(&p, &code);                   // 0, >0 what it answered, <0 minus the signal
//   shoal_process_close(&p);
//
//   struct shoal_context c = {.method = SHOAL_START_SPAWN, .segment = seg};   // or SHOAL_START_STARTER
//   struct shoal_process_options o = {.context = &c};
//   rc = shoal_process_start_task(&p, "square", &argument, sizeof argument, &o);   // ipc/work/task.h
//
//   struct clock { struct shoal_process process; int ticks; };      // a process of your own kind
//   static int run(struct shoal_process *self) { struct clock *c = SHOAL_EMBEDS(self, struct clock, process); ... }
//   rc = shoal_process_start_run(&clock.process, run, NULL);
//
// METHODS   fork     the child has a copy of everything: a function and any argument. SIGTERM has its default action,
//                    other signals are as in the parent. A parent with several threads is refused (-EBUSY): the child
//                    would have their locks without them. The option `threaded` says that the caller knows.
//           spawn    the program's file is executed anew; instead of main it runs a registered task, on a copy of the
//                    argument. Descriptors, and signals, as exec leaves them, but that SIGINT is ignored if the parent
//                    handles it. From any thread; costs what a program's start does.
//           starter  a small process of one thread, made by the first start or by shoal_starter_make, forks: cheap
//                    whatever the parent's size, safe whatever its threads do. The child is the parent's own. It runs a
//                    registered task; it has the parent's standard streams and working directory; environment, umask,
//                    priority, limits and ignored signals are those at the time when the starter was made, but that
//                    SIGINT is ignored if the parent handles or ignores it now; no fork handlers run.
//           A program that the kernel runs with more rights than its caller (set-user-ID, file capabilities) has only
//           fork (-EPERM): its image would believe nothing that it is told.
//           With the last two the child finds the context's segment open: shoal_process_segment(). An argument that
//           lies in it is worked on in place, as a forked child would; any other is copied.
// SAFETY  Any thread of the process that started a child, together; close: when no other uses the struct. Others, and
//         the child with its copy, get -ECHILD. Signals go to the process that was started, never to one that inherited
//         its number. No handler of SIGCHLD is installed and no other child is ever waited for. A program that ignores
//         SIGCHLD, or waits for any child, takes exit codes away.
// CHILD   Starts with the parent's stdout and stderr flushed, by fork all of its streams, returns from `work`, waits
//         for its threads that are no daemons (ipc/work/thread.h), flushes its own streams and ends by _exit: the
//         parent's exit handlers are the parent's. While other threads run, any of which may read and hold a stream for
//         long, only stdout and stderr are flushed, here and there: flush or close your own then.
// ORDERING  What the parent wrote to a segment, or anywhere before a fork, is seen by the child that it starts after
//           that; what the child wrote there before its end, by who has joined it or seen that it is not alive.
// CRASH   The parent dies: its daemon children are killed at once (their parent is the thread that started them, as the
//         kernel sees it, or the one that made the starter: a thread that stays). The others go on. Killed within
//         start: the child has begun, or never does. A child dies: its sentinel becomes readable and the exit code
//         tells the signal; until join, is_alive, exitcode or active look it is a zombie. The starter dies: the next
//         start makes another; its children are not touched. The starter ends with its parent.
// COST    fork: 0.2 ms for a small process and 34 us more for each private MiB; starter: as for a small process, and
//         two messages; spawn: a program's start. Shared memory costs nothing.
#pragma once

#include <sys/types.h>

#include "core/deadline.h"
#include "core/segment.h"

SHOAL_BEGIN

enum shoal_start_method { SHOAL_START_FORK, SHOAL_START_SPAWN, SHOAL_START_STARTER };

struct shoal_context {  // how what is made through it starts
  enum shoal_start_method method;
  struct shoal_segment *segment;  // that the child has open; NULL: none
};

#define SHOAL_WORDS_MAX 111  // bytes of a process's last words

struct shoal_report_shm_;
struct shoal_process {  // private memory of the parent; all but pid, sentinel and name is internal
  pid_t pid;
  pid_t parent;  // who may join
  int sentinel;  // a pidfd: readable when the child has ended; -1 closed
  int state, code, core, daemon;
  enum shoal_start_method method;
  int64_t user_ns, system_ns;
  uint64_t memory_max;
  struct shoal_report_shm_ *report;
  const char *task;
  char name[SHOAL_NAME_MAX + 1];
  char last_words[SHOAL_WORDS_MAX + 1];
};

struct shoal_limit {  // as setrlimit's
  int resource;       // RLIMIT_AS...
  uint64_t soft, hard;
};

struct shoal_process_options {  // zero: the default
  const char *name;             // FAMILY-N, in a child of the second one FAMILY-2:N
  const char *family;           // of default names: Process
  int daemon;                   // dies with its parent, SIGKILL included; may have no children itself
  int threaded;                 // fork although other threads run: between fork and exit the child must not need them
  const struct shoal_context *context;  // shoal_process_default's
  // For the child alone, before it begins:
  const struct shoal_limit *limits;
  unsigned limit_count;
  const uint16_t *processors;  // the numbers of those it may run on; NULL: the parent's
  unsigned processor_count;
  const char *const *environment;  // NAME=VALUE sets, NAME removes; ends with NULL
};

// The context of a process that names none; NULL: by fork. One for the whole program; before it has threads. -EINVAL.
int shoal_process_default(const struct shoal_context *context) SHOAL_MUST_CHECK;

// Runs work(arg) in a new process, by fork. -EBUSY the caller has threads; -EPERM the caller is a daemon, or the limits
// are beyond its rights; -ENAMETOOLONG; -EINVAL options that make no sense, or the context is not of fork; -ECHILD it
// was killed, and its end taken by somebody else's wait, before it began; fork's and the gate's. After an error it has
// not begun.
int shoal_process_start(struct shoal_process *p, int (*work)(void *arg), void *arg,
                        const struct shoal_process_options *options) SHOAL_MUST_CHECK;
// Runs run(p), where p is the child's copy, and so is the struct of yours that embeds it: SHOAL_EMBEDS of core/base.h.
int shoal_process_start_run(struct shoal_process *p, int (*run)(struct shoal_process *self),
                            const struct shoal_process_options *options) SHOAL_MUST_CHECK;
// Runs a registered task on the child's copy of the argument, by any method. Also -ENOENT, -EEXIST; -EBADMSG the size
// is not the task's; -EPERM a set-user-ID program, by spawn or starter; -EPIPE the starter was killed again and again;
// -ENOSPC the argument's file is beyond a limit; -ENOSYS the C library's or the kernel's limits, see README.md.
int shoal_process_start_task(struct shoal_process *p, const char *task, void *argument, uint64_t size,
                             const struct shoal_process_options *options) SHOAL_MUST_CHECK;

// From all that follows: -EINVAL it was not started, or was closed. But for join, none sleeps.
// Waits for its end; again and again, if you like. 0, -EAGAIN, -ETIMEDOUT, -ECHILD.
int shoal_process_join(struct shoal_process *p, shoal_deadline deadline);
// 1 it runs, 0 it has ended, -ECHILD.
int shoal_process_is_alive(struct shoal_process *p);
// 0 and *code: 0..255 what it answered (an answer outside is 1), <0 minus the signal that killed it. -EAGAIN it runs;
// -ECHILD not ours, or somebody else waited for it and had the code.
int shoal_process_exitcode(struct shoal_process *p, int *code);
// SIGTERM, SIGKILL. 0 also if it has ended already. -ECHILD.
int shoal_process_terminate(struct shoal_process *p);
int shoal_process_kill(struct shoal_process *p);
// Gives the sentinel back. -EBUSY it runs: join first. -ECHILD.
int shoal_process_close(struct shoal_process *p);

struct shoal_process_info {
  pid_t pid;
  enum shoal_start_method method;
  int alive, daemon;
  int code_known, code;  // as of shoal_process_exitcode; what follows is 0 or "" until it has ended
  int signal, core;      // what killed it, whether that left a core file
  int64_t user_ns, system_ns;
  uint64_t memory_max;  // bytes, resident
  const char *task;     // NULL: it was started with a function
  char name[SHOAL_NAME_MAX + 1];
  char last_words[SHOAL_WORDS_MAX + 1];  // what it said by shoal_process_say, or the reason why its task failed
};
// -ECHILD.
int shoal_process_info(struct shoal_process *p, struct shoal_process_info *out);

// Calls `each` for every child that runs, in the order of their starts, and waits for those that have ended: they are
// no zombies any more. Stops at the first non-zero answer and returns it. `each` neither starts nor closes any.
int shoal_process_active(int (*each)(struct shoal_process *p, void *arg), void *arg);

// ---- in the child ----
// Ends the calling child from within `work`: as returning from it does.
void shoal_process_exit(int code) __attribute__((noreturn));
// Its last words from here on, for its parent to read when it has ended, however it ends. Cut after SHOAL_WORDS_MAX
// bytes.
void shoal_process_say(const char *format, ...) SHOAL_PRINTF(1, 2);
struct shoal_segment *shoal_process_segment(void);  // the context's; NULL there was none
const char *shoal_process_current_name(void);       // MainProcess where no shoal_process_start made it
int shoal_process_is_daemon(void);
const char *shoal_process_parent_name(void);  // NULL: no shoal_process_start made this one
pid_t shoal_process_parent_pid(void);         // 0 likewise
int shoal_process_parent_is_alive(void);      // 1, 0; -ENOENT likewise
// A pidfd, readable when the parent has ended; the process's, not to be closed. -ENOENT; -EPIPE it has ended already.
int shoal_process_parent_sentinel(void);

// ---- the starter ----
// Makes it now, from this thread: as long as the thread lives, daemons do. 0 also if there is one. -EPERM the caller is
// a daemon, or of a set-user-ID program; posix_spawn's errors.
int shoal_starter_make(void) SHOAL_MUST_CHECK;
// Ends it, and waits for it: a program that waits for all of its children has one less. Its children go on.
int shoal_starter_end(void);
pid_t shoal_starter_pid(void);  // 0: there is none

SHOAL_END
