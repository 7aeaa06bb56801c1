// core/identity.h: who a process is, beyond a number that the kernel uses again.
//
// SAFETY   any thread, any time; opens a file below /proc.
// COST     shoal_process_self_: a load after the first call of a thread. shoal_process_gone_: up to four system calls.
#pragma once

#include "core/base.h"

SHOAL_BEGIN

// A process in 44 bits: pid (22 bits, all Linux has), above it the low 22 bits of its start time (11.6 hours of ticks).
// It has a meaning inside one pid namespace, time namespace and boot: that of a segment.
typedef uint64_t shoal_process_id_;
#define SHOAL_PROCESS_BITS_ 44
shoal_process_id_ shoal_process_self_(void);
// Whether it is gone for certain. A process is gone when its last thread is, even if its parent has not waited for it.
int shoal_process_gone_(shoal_process_id_ process);

SHOAL_END
