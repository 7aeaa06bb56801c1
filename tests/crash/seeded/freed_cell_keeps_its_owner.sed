# file: ipc/work/job.c
# caught by: ^executor: a worker runs a job without a future$
# A cell that is free, but for its owner's word, is not given back: a worker killed between the two takes it along for good.
s/^  if \(shoal_job_state_of_\(s\) != SHOAL_JOB_FREE_ \|\| is_of\(.*$/  if (s == s) return 0;/
