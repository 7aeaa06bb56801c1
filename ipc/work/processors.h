// ipc/work/processors.h: how many processors this process may use: so many workers find one each.
//
// USE
//   int n = shoal_cpu_count();
//
// The smaller of two: the processors that the calling thread may run on (sched_setaffinity, taskset, cpuset), and the
// time that its control group, and those above it, allow to all in it together, rounded up to whole processors (cgroup
// v2 cpu.max, v1 cpu.cfs_quota_us).
//
// SAFETY   any thread, any time.
// COST     reads some files below /proc and /sys: once, not once a task.
#pragma once

#include "core/base.h"

SHOAL_BEGIN

int shoal_cpu_count(void);  // at least 1

// Those that the calling thread may run on; at least 1. One system call, no file.
int shoal_cpu_affinity_(void);
// What the control groups allow, in whole processors, as the files below `root` say ("": those of the system); 0: no
// limit.
int shoal_cpu_quota_(const char *root);
// The least number in the file of that name, by version, that the group and those above it have under `controller`; 0:
// no limit.
uint64_t shoal_group_limit_(const char *root, const char *controller, const char *version_1, const char *version_2);

SHOAL_END
