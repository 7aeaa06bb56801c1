# file: ipc/work/serve.c
# caught by: ^executor: a worker runs several chunks$
# Of several chunks, the one that a dead worker had in hand is run again.
s/^  if \(SHOAL_UNLIKELY\(chunk && shoal_job_attempt_\(r->s\) > 1\)\).*//
