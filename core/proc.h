// core/proc.h: participants: who uses a segment, and who of them has died.
//
// A participant is a thread. Its slot holds a liveness word (core/robust.h), who it is, and what it is doing. A thread
// joins with its first use of the segment. Its death - exit, exec, SIGKILL - is seen by the kernel's mark in the word; a
// word that was not marked is judged by pid and start time.
#pragma once

#include "core/robust.h"
#include "core/segment.h"

SHOAL_BEGIN

// A participant for good: slot and generation. A slot's next owner has another id. 0: nobody.
typedef uint32_t shoal_proc_id;

// The calling thread's id, joining if need be. -EUSERS: as many as the segment holds live.
int shoal_proc_self(struct shoal_segment *seg, shoal_proc_id *out);
int shoal_proc_name(struct shoal_segment *seg, const char *name);  // joins too; SHOAL_NAME_MAX at most are kept
// Leaves: as if never joined. What it created stays. Not an error if it never joined.
int shoal_proc_leave(struct shoal_segment *seg);

// 1 alive, 0 dead or gone. Looks at the word; with `sure`, at pid and start time too (system calls), and marks the dead.
int shoal_proc_alive(struct shoal_segment *seg, shoal_proc_id id, int sure);
// Undoes what dead participants left half-done, then frees their slots. Anybody may, at any time; how many were freed.
int shoal_proc_reap(struct shoal_segment *seg);

struct shoal_proc_info {
  shoal_proc_id id;
  uint32_t pid, tid;
  uint64_t start_time;  // of the thread, in clock ticks since boot
  char name[SHOAL_NAME_MAX + 1];
  int alive;
};
// Calls `each` for every slot in use; stops at its first non-zero answer and returns it.
int shoal_proc_list(struct shoal_segment *seg, int (*each)(const struct shoal_proc_info *, void *), void *arg);

SHOAL_END
