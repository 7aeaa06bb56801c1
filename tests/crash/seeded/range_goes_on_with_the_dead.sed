# file: ipc/work/serve.c
# caught by: ^executor: a worker sums up a range, gathered, retried$
# Tried again, a range goes on with the sums of who died in it.
s/^  memcpy\(argument \+ task->size, argument, task->size\);$/  if (shoal_job_attempt_(r->s) == 1) memcpy(argument + task->size, argument, task->size);/
