// ipc/work/process_internal.h: how a child comes to be: what parent, starter and child tell each other.
//
// A child is told two things in memory that it shares with its parent: its birth, once, and a report, which it writes.
// By fork that is its own copy and an anonymous page; else a memory file, whose number is in the environment of a fresh
// image or comes with a message to the starter.
//
//   page 0    report: the child's last words
//   page 1    birth, then the argument, then what is to change in the environment, strings that end with NUL
//
// All wait at a gate, a pair of sockets, until the parent holds them by a pidfd and has set their limits. The end of
// the stream there is the end of the parent. A child of the starter says its number there, and so does the starter for
// it.
// CRASH   The file has no name, the sockets none: whoever dies, they go with the last who has them.
#pragma once

#include <signal.h>

#include "core/atomic.h"
#include "ipc/work/process.h"
#include "ipc/work/task.h"

SHOAL_BEGIN

#define SHOAL_BIRTH_AT_ 4096u
#define SHOAL_TASK_NAME_MAX_ 127
#define SHOAL_CHILD_VARIABLE_ "SHOAL_CHILD_"

struct shoal_report_shm_ {  // written by the child; read when it has ended
  shoal_atomic32 told;      // its last words are words[told % 2]; 0: none
  uint32_t reserved_[15];
  char words[2][SHOAL_WORDS_MAX + 1];
};
SHOAL_STATIC_ASSERT(sizeof(struct shoal_report_shm_) == 288, "within a page");

// Of shoal_process.state; CLOSED is also: never started.
enum { SHOAL_CLOSED_, SHOAL_RUNNING_, SHOAL_ENDED_, SHOAL_CODE_LOST_ };
enum { SHOAL_GATE_GO_ = 'g', SHOAL_GATE_AWAY_ = 'a' };  // what the parent says at the gate
enum { SHOAL_BORN_CHILD_ = 1, SHOAL_BORN_STARTER_ = 2 };

struct shoal_birth_shm_ {  // written by the parent before there is a child
  uint32_t kind, method, daemon;
  uint32_t interrupt;                         // 1: SIGINT has its default action in the parent
  int32_t parent, gate, segment, reserved2_;  // a pid; descriptors, -1: none
  uint64_t blocked;                           // signals, bit n - 1 is signal n
  uint64_t argument_size, argument_off;       // 0: it lies behind this, else where in the segment
  uint64_t environment_size;
  char name[SHOAL_NAME_MAX + 1], parent_name[SHOAL_NAME_MAX + 1], identity[SHOAL_NAME_MAX + 1];
  char task[SHOAL_TASK_NAME_MAX_ + 1];
};
SHOAL_STATIC_ASSERT(sizeof(struct shoal_birth_shm_) == 384 && sizeof(struct shoal_birth_shm_) % 16 == 0,
                    "the argument behind it is aligned");

struct shoal_message_ {  // to the parent, through the gate
  int32_t pid, error;    // one of them is 0
};

struct shoal_start_ {  // one that is under way
  const struct shoal_process_options *options;
  const struct shoal_context *context;
  struct shoal_process child;
  struct shoal_process *out;
  int (*work)(void *arg);
  void *arg;
  int (*run)(struct shoal_process *self);
  const struct shoal_task *task;
  uint64_t size;  // of the argument
  struct shoal_birth_shm_ birth;
  struct shoal_report_shm_ *report;
  int gate[2];  // the child's end, ours
  int file;     // the memory file; -1 none
  sigset_t mask;
};

// ---- this process (process_self.c) ----
struct shoal_self_ {
  pid_t pid;  // whose children these are: of a plain fork's child, nobody's
  pid_t parent;
  int daemon, parent_sentinel;
  uint32_t started;  // children, for their default names
  shoal_atomic32 lock;
  struct shoal_child_ {
    struct shoal_process *process;
    pid_t pid;
  } * children;
  unsigned child_count, child_room;
  struct shoal_segment *segment;
  struct shoal_report_shm_ *report;
  char name[SHOAL_NAME_MAX + 1];  // "": no shoal_process_start made it
  char parent_name[SHOAL_NAME_MAX + 1];
  char identity[SHOAL_NAME_MAX + 1];
};
extern struct shoal_self_ shoal_process_self_state_;

// Threads of this process exclude each other. -ENOSYS.
int shoal_self_enter_(void);
void shoal_self_leave_(void);
// Entered: notes a child, forgets it.
int shoal_children_room_(void);  // for one more: -ENOMEM
void shoal_children_add_(struct shoal_process *p);
void shoal_children_drop_(const struct shoal_process *p);

// How many of this process's threads run; -ENOSYS, with errno; -EMFILE, -ENFILE.
int shoal_threads_run_(void);
// Writes what waits in the buffers of stdout and stderr; `all`: of all streams, if no other thread runs, which may hold
// one for long.
void shoal_flush_(int all);
uint64_t shoal_blocked_of_(const sigset_t *mask);
void shoal_mask_of_(uint64_t blocked, sigset_t *out);
int shoal_is_default_(int signal);  // what it does to this process

// In a new child: waits at the gate, becomes what its birth says, works. `changes`: to the environment.
void shoal_child_run_(const struct shoal_birth_shm_ *birth, struct shoal_report_shm_ *report,
                      struct shoal_segment *segment, const char *const *changes, int (*work)(void *), void *arg)
    __attribute__((noreturn));
// The same of one whose birth is in a memory file; `gate`, `segment`: descriptors, as in the birth.
void shoal_child_run_file_(int file, int gate, int segment) __attribute__((noreturn));

const struct shoal_context *shoal_process_default_(void);  // process_start.c

// ---- the memory file (process_file.c) ----
// Writes birth and argument; shares the report. -ENOSPC, memfd_create's.
int shoal_birth_write_(struct shoal_start_ *s);
int shoal_birth_file_(const struct shoal_birth_shm_ *birth, const void *argument, const char *const *changes, int *out);

// ---- methods: 0 and *pid, or why not; the child, if there is one, waits at the gate ----
int shoal_fork_(struct shoal_start_ *s, pid_t *pid);
int shoal_spawn_(struct shoal_start_ *s, pid_t *pid);
int shoal_starter_fork_(struct shoal_start_ *s, pid_t *pid);
// Executes this program's file: what is in `file` says what it becomes. `keep`: descriptors that it has, too.
int shoal_image_start_(int file, const int *keep, unsigned count, const char *name, pid_t *pid);
void shoal_starter_main_(const struct shoal_birth_shm_ *birth) __attribute__((noreturn));
void shoal_starter_leave_(void);  // a child has none of its parent's

SHOAL_END
