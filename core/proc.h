// core/proc.h: participants: who uses a segment, and who of them has died.
//
// USE
//   shoal_proc_id me;
//   rc = shoal_proc_self(seg, &me);                       // joins with the first call of a thread
//   if (!shoal_proc_alive(seg, holder, 0)) ...            // `holder`: an id that somebody left in the segment
//   shoal_proc_reap(seg);                                 // after deaths; nobody must, joining does it when it needs a slot
//
// A participant is a thread. Its slot holds a liveness word (core/robust.h) and who it is. A thread joins with its
// first use of the segment. Its death - exit, exec, SIGKILL - is seen by the kernel's mark in the word; a word that was
// not marked is judged by pid and start time.
//
// SAFETY   every call: any thread of any process, together. A thread that might first use a segment in a signal handler
//          joins before, or it may end up with two slots. A child of fork or of a raw clone is a new participant with
//          its first call; its parent's slots are untouched.
// ORDERING [P1] pairs with [P2], [P3] with [A3], [P4] with the kernel's mark: see core/proc.c.
// CRASH    join: the slot is taken by one compare-and-set that the kernel knows of; killed after it, it is a dead slot.
//          leave: the id ends first, then the word. reap: undoes first, then frees word and generation in one step;
//          killed midway, the next one does it again; two at once do it once.
// COST     self: two compares, after the first call. Joining reads two files below /proc and looks through the table;
//          alive: a load; with `sure`, three system calls. reap: a look at every slot, entry and reference, and a file
//          below /proc for each process that holds one.
#pragma once

#include "core/robust.h"
#include "core/segment.h"

SHOAL_BEGIN

// A participant for good: slot + 1 in the low half, the slot's generation in the high half. A slot's next owner has
// another id, and 65,536 owners later, the same again: what keeps an id in a segment is undone before the slot is
// freed, what keeps one elsewhere should not keep it that long. 0: nobody.
typedef uint32_t shoal_proc_id;

// The calling thread's id, joining if need be. -EUSERS: as many as the segment holds live.
int shoal_proc_self(struct shoal_segment *seg, shoal_proc_id *out);
int shoal_proc_name(struct shoal_segment *seg, const char *name);  // joins too; SHOAL_NAME_MAX at most are kept
// Leaves: as if never joined. What it created stays. Not an error if it never joined.
int shoal_proc_leave(struct shoal_segment *seg);

// 1 alive, 0 dead or gone. Looks at the word; with `sure`, at pid and start time too (system calls), and marks the
// dead.
int shoal_proc_alive(struct shoal_segment *seg, shoal_proc_id id, int sure);
// Undoes what dead participants left half-done, frees their slots, and frees what only dead processes had open. Anybody
// may, at any time, and need be no participant; how many slots were freed. -EBUSY, of a look only (shoal_segment_look):
// somebody changed the directory as it was made, so what the dead left there cannot be told.
int shoal_proc_reap(struct shoal_segment *seg);

struct shoal_proc_info {
  shoal_proc_id id;
  uint32_t pid, tid;
  uint64_t start_time;  // of the thread, in clock ticks since boot
  char name[SHOAL_NAME_MAX + 1];
  int alive;
  struct shoal_counters counters;  // since it joined
};
// Calls `each` for every slot in use; stops at its first non-zero answer and returns it.
int shoal_proc_list(struct shoal_segment *seg, int (*each)(const struct shoal_proc_info *, void *), void *arg);

SHOAL_END
