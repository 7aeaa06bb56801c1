# file: ipc/work/serve.c
# caught by: ^executor: a worker runs a job, and somebody waits$
# Killed between the end of a job and its wake.
s/^  if \(r->s & SHOAL_JOB_ASLEEP_\) shoal_futex_wake\(.*\);$//
