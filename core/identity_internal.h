// core/identity_internal.h: who a process or a thread is, beyond a number that the kernel uses again.
//
// A pid or tid together with its start time names one process or thread for good. Numbers and times have a meaning only
// inside one pid namespace, one time namespace and one boot: a segment notes all three, and only processes that agree
// with it attach.
//
// SAFETY   any thread, any time; opens files below /proc.
// COST     shoal_process_self_: a load after the first call of a thread. The others: a system call, or four.
// SOURCE   proc(5): /proc/PID/stat. Its second field may hold any byte, so the fields after the last ')' count.
#pragma once

#include "core/identity.h"

SHOAL_BEGIN

struct shoal_place_ {
  uint8_t boot[16];
  uint64_t pid_namespace, time_namespace;  // inode numbers
};
int shoal_place_(struct shoal_place_ *out);

// Clock ticks since boot at which the thread started; 0: there is no such thread, or we may not know.
uint64_t shoal_thread_start_time_(uint32_t pid, uint32_t tid);

shoal_process_id_ shoal_process_of_(uint32_t pid);  // 0: there is none, or we may not know

// Whether the process has no such thread, or, with pid 0, nobody has: one system call.
int shoal_thread_missing_(uint32_t pid, uint32_t tid);
// Whether the thread is gone for certain, even if its number is used again; `start` or `pid` 0: unknown.
int shoal_thread_gone_(uint32_t pid, uint32_t tid, uint64_t start);

SHOAL_END
