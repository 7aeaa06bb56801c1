# file: ipc/work/tend.c
# caught by: ^healing: a worker runs a job, not due again yet
# A job that is to be tried again later has no attempts any more: it begins before its time, and as often as it likes.
s|shoal_job_with_\(s, SHOAL_JOB_PENDING_\)\)\)|shoal_job_with_(s, SHOAL_JOB_PENDING_) \& ~SHOAL_JOB_WORKER_))|
