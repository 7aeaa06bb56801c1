# file: ipc/work/job.c
# caught by: ^executor: a worker runs a job of bytes$
# The block of a result stays when its job is freed.
/^int shoal_job_free_\(/,/^\}/s/^  if \(SHOAL_UNLIKELY\(shoal_job_is_bytes_\(cell\)\)\) .*$//
