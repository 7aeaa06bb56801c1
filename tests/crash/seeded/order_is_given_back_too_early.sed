# file: ipc/work/serve.c
# caught by: ^executor: a worker runs a job, and somebody waits$|^executor: a worker runs a job$
# Given back before the state says whose the job is.
s/^  struct run r = \{ex, NULL, order.job, 0\};$/  int released = shoal_queue_release(ex->queue, loan);\n&/
s/^  int released = shoal_queue_release\(ex->queue, loan\);$//
