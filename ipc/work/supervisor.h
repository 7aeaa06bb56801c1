// ipc/work/supervisor.h: long-lived child processes that are started in order, restarted when they end, and ended in
// reverse order.
//
// USE
//   struct shoal_supervisor *sv;
//   int rc = shoal_supervisor_create(&(struct shoal_supervisor_options){.strategy = SHOAL_REST_FOR_ONE}, &sv);
//   struct shoal_supervised store = {.name = "store", .work = keep_store, .arg = path};
//   struct shoal_supervised front = {.name = "front", .task = "serve", .argument = &port, .size = sizeof port};
//   rc = shoal_supervisor_add(sv, &store);                          // it runs
//   rc = shoal_supervisor_add(sv, &front);                          // ends before `store` does, and with it
//   while ((rc = shoal_supervisor_tend(sv, SHOAL_FOREVER)) >= 0) printf("%d restarted\n", rc);   // or, of all this,
//   rc = shoal_supervisor_run(sv);                                  // until SIGTERM: all have ended
//   shoal_supervisor_destroy(sv);
//
//   ONE_FOR_ONE   who ends is started again
//   ONE_FOR_ALL   all others are ended, in reverse order, and all started again, in order
//   REST_FOR_ONE  those that were added after it are, and are started again behind it
//
// Nothing happens in the background: what is due is done by the calls here, and a program that makes none for long
// calls shoal_supervisor_tend, which sleeps until there is something to do. To end a child is SIGTERM, then, its grace
// over, SIGKILL. One is ended at a time; a call that has come to its deadline leaves the rest to the next.
//
// NESTED   a child that says `parental` may have children: it creates a supervisor of its own and ends in
//          shoal_supervisor_run, which ends them in order, at SIGTERM and when its own parent has died.
// SAFETY   The handle belongs to the thread that created it (another process: -ECHILD), which stays: children are its
//          daemons.
// ORDERING As of processes: what a child wrote to a segment is seen by who is told that it has ended.
// CRASH    The supervisor's process dies: its children are killed at once, and theirs, but for those that are parental:
//          they see it, and end in order. A child dies: see above. Killed within a call: the same.
// COST     A start: see ipc/work/process.h. Tending: one poll over all children.
// SOURCE   Erlang/OTP, supervisor(3): strategies, restart types, intensity and period, order of shutdown. Other than
//          there, what has ended for good, or was stopped, stays so when others are restarted; and a temporary child
//          stays in the list, with its last report, until it is removed.
#pragma once

#include "ipc/work/process.h"

SHOAL_BEGIN

struct shoal_supervisor;

enum shoal_strategy { SHOAL_ONE_FOR_ONE, SHOAL_ONE_FOR_ALL, SHOAL_REST_FOR_ONE };
enum shoal_restart {
  SHOAL_PERMANENT,  // is always started again
  SHOAL_TRANSIENT,  // when it did not end with 0
  SHOAL_TEMPORARY   // never
};

#define SHOAL_RESTARTS_UNLIMITED UINT32_MAX
#define SHOAL_RESTARTS_MAX 4096u

struct shoal_supervisor_options {  // zero: the default
  enum shoal_strategy strategy;
  // More restarts than this (1, as in Erlang; at most SHOAL_RESTARTS_MAX, or UNLIMITED) within that time (5 s), and it
  // gives up: all are ended. However many are ended with one, that is one restart.
  uint32_t restarts_max;
  int64_t restarts_within_ns;
};

struct shoal_supervised {  // a child; copied, but what it points to stays the caller's, and stays
  const char *name;        // of its own here; its process's, too
  int (*work)(void *arg);  // by fork; or a registered task, by the method of process->context
  void *arg;
  const char *task;
  void *argument;  // of the task, `size` bytes; every start begins with what it is then
  uint64_t size;
  enum shoal_restart restart;
  int64_t grace_ns;  // between SIGTERM and SIGKILL: 5 s; < 0: SIGKILL at once
  int parental;      // it may have children, and is no daemon: it has to end by shoal_supervisor_run
  const struct shoal_process_options *process;  // context, limits, processors, environment, threaded; NULL: defaults
};

// -EINVAL, -ENOMEM.
int shoal_supervisor_create(const struct shoal_supervisor_options *options,
                            struct shoal_supervisor **out) SHOAL_MUST_CHECK;
// Starts it, as the last. -EINVAL; -EEXIST the name; -ENOMEM; -EPIPE it is shut down; -ENOTRECOVERABLE it has given up;
// errors of shoal_process_start and _start_task. After an error it is not there.
int shoal_supervisor_add(struct shoal_supervisor *sv, const struct shoal_supervised *child) SHOAL_MUST_CHECK;

// Does what is due; waits, if that is nothing, for a child to end. How many were started again; 0 at the deadline, and
// at once when none runs. -ENOTRECOVERABLE: it has given up, and shoal_reason() says why; all have ended, or
// (shoal_supervisor_info) end in the next call. Errors of a start: that is tried again by the next call, and counted as
// a restart.
int shoal_supervisor_tend(struct shoal_supervisor *sv, shoal_deadline deadline);
// Tends until SIGTERM comes to this process, until its parent has died (of a process made by ipc/work/process.h), until
// none runs any more, or until it has given up; then shuts down. 0, -ENOTRECOVERABLE. SIGTERM is blocked meanwhile:
// from the main thread, before there are others. One that comes between the first add and here ends the process and
// kills its daemons, unless the caller blocks SIGTERM before that add: then run finds it. Children have it open all the
// same.
int shoal_supervisor_run(struct shoal_supervisor *sv);

// Ends a child; it stays so, until it is restarted. 0 also if it does not run. -EAGAIN, -ETIMEDOUT, or the error of
// another's start: it ends in a later call. -ENOENT.
int shoal_supervisor_stop(struct shoal_supervisor *sv, const char *name, shoal_deadline deadline);
// Ends it if it runs, and starts it again: it alone, and not counted against the limit. 0; -EAGAIN, -ETIMEDOUT: a later
// call does. -ENOENT, -EPIPE, -ENOTRECOVERABLE, errors of a start.
int shoal_supervisor_restart(struct shoal_supervisor *sv, const char *name, shoal_deadline deadline);
// Ends it, and forgets it. -EAGAIN, -ETIMEDOUT: it ends in a later call, and is still there. -ENOENT.
int shoal_supervisor_remove(struct shoal_supervisor *sv, const char *name, shoal_deadline deadline);
// Ends all, the last first; none is started any more. 0; -EAGAIN, -ETIMEDOUT: the rest in a later call.
int shoal_supervisor_shutdown(struct shoal_supervisor *sv, shoal_deadline deadline);
// Kills what still runs, the last first, waits for it, and frees the handle.
int shoal_supervisor_destroy(struct shoal_supervisor *sv);

struct shoal_supervisor_info {
  enum shoal_strategy strategy;
  unsigned children, alive;  // alive: those that end at the moment included
  uint64_t restarts;         // what children started again sum up to
  int ending;                // shut down, or given up
  int broken;                // 0, or -ENOTRECOVERABLE: it has given up
  char reason[192];          // why
};
int shoal_supervisor_info(struct shoal_supervisor *sv, struct shoal_supervisor_info *out);

enum shoal_supervised_state { SHOAL_CHILD_DOWN, SHOAL_CHILD_RUNS, SHOAL_CHILD_ENDS };
struct shoal_supervised_info {
  char name[SHOAL_NAME_MAX + 1];
  enum shoal_supervised_state state;
  enum shoal_restart restart;
  pid_t pid;                       // 0: it does not run
  int64_t started_ns;              // CLOCK_MONOTONIC
  uint64_t restarts;               // how often it was started again
  uint64_t ends;                   // how often it has ended
  struct shoal_process_info last;  // of the last that has ended; nothing in it before `ends`
};
// As it was when last tended. -ENOENT.
int shoal_supervisor_child(struct shoal_supervisor *sv, const char *name, struct shoal_supervised_info *out);
// Calls `each` for all, in their order; stops at its first non-zero answer and returns it. `each` changes nothing here.
int shoal_supervisor_list(struct shoal_supervisor *sv,
                          int (*each)(const struct shoal_supervised_info *child, void *arg), void *arg);

SHOAL_END
