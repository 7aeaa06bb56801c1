// ipc/work/process.h: child processes, made by fork.
//
// USE
//   static int work(void *arg) { ... return 0; }              // its answer is the exit code
//   struct shoal_process p;
//   int rc = shoal_process_start(&p, work, arg, NULL);
//   rc = shoal_process_join(&p, shoal_after_s(5));            // 0, -ETIMEDOUT
//   rc = shoal_process_exitcode(&p, &code);                   // 0, >0 what it answered, <0 minus the signal
//   shoal_process_close(&p);
//
// SAFETY  One thread at a time per struct shoal_process; different ones in parallel. Only the process that started a child
//         may wait for it or signal it: others, and the child with its copy of the struct, get -ECHILD. Signals go to the
//         process that was started, never to one that inherited its number. No handler of SIGCHLD is installed and no
//         other child is ever waited for. A program that ignores SIGCHLD, or waits for any child, takes exit codes away.
// FORK    The child has a copy of everything: arguments need no packing. It starts with the parent's streams flushed, with
//         SIGTERM at its default action (other signals as in the parent), returns from `work`, flushes its own streams
//         and ends by _exit: the parent's exit handlers are the parent's. A parent with several threads is refused
//         (-EBUSY): the child would have their locks without them. The option `threaded` says that the caller knows.
// CRASH   The parent dies: its daemon children are killed at once (their parent is the thread that started them, as the
//         kernel sees it: start daemons from a thread that stays). The others go on. A child dies: its sentinel becomes
//         readable and the exit code tells the signal; until join, is_alive or exitcode look it is a zombie.
// COST    fork: 0.2 ms for a small process and 34 us more for each private MiB. Shared memory costs nothing.
#pragma once

#include <sys/types.h>

#include "core/deadline.h"

SHOAL_BEGIN

struct shoal_process {  // private memory of the parent; copied by nobody while the child is alive
  pid_t pid;
  pid_t parent;  // who may join
  int sentinel;  // a pidfd: readable when the child has ended; -1 closed
  int state;     // internal
  int code;      // internal
  char name[SHOAL_NAME_MAX + 1];
};

struct shoal_process_options {  // zero: the default
  const char *name;             // Process-N, in a child of Process-2 Process-2:N
  int daemon;                   // dies with its parent, SIGKILL included; may have no children itself
  int threaded;                 // fork although other threads run: between fork and exit the child must not need them
};

// Runs work(arg) in a new process. -EBUSY the caller has threads; -EPERM the caller is a daemon; -ENAMETOOLONG; -ECHILD it was
// killed, and its end taken by somebody else's wait, before it began; fork's and pipe's. After an error it has not begun.
int shoal_process_start(struct shoal_process *p, int (*work)(void *arg), void *arg,
                        const struct shoal_process_options *options) SHOAL_MUST_CHECK;
// Runs a registered task (ipc/work/task.h) on the child's copy of the argument. Also -ENOENT, -EEXIST; -EBADMSG the size
// is not the task's.
int shoal_process_start_task(struct shoal_process *p, const char *task, void *argument, uint64_t size,
                             const struct shoal_process_options *options) SHOAL_MUST_CHECK;

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
// Gives the sentinel back. -EBUSY it runs: join first.
int shoal_process_close(struct shoal_process *p);

// Ends the calling child from within `work`: flushes its streams, runs no exit handler.
void shoal_process_exit(int code) __attribute__((noreturn));
const char *shoal_process_current_name(void);  // MainProcess where no shoal_process_start made it
const char *shoal_process_parent_name(void);   // NULL there
int shoal_process_is_daemon(void);

SHOAL_END
