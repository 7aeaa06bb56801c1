# file: ipc/work/job_then.c
# caught by: ^executor: a job after another that is over, the executor ends, goes on$
# A job that was to begin after another waits for ever if the executor ends meanwhile.
s/^  if \(rc == -EPIPE && shoal_eventcount_closed\(/  if (rc == -EPIPE \&\& 0 \&\& shoal_eventcount_closed(/
