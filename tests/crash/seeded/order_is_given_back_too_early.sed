# file: ipc/work/serve.c
# caught by: ^executor: a worker runs a job, and somebody waits$|^executor: a worker runs a job$
# Given back before the state says whose the job is.
s/^  look_at_order\(t\);$//
s/^  int rc = shoal_queue_use_\(ex->queue, take, &t, deadline\);$/&\n  if (!rc) look_at_order(\&t);/
