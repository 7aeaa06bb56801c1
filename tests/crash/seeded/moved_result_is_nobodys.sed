# file: ipc/work/job.c
# caught by: ^executor: a worker runs a job of bytes$
# A result that grows is begun anew, and its first block is left behind.
/^int shoal_job_reply_\(/,/^\}/s/^  int rc = ref\.off \? .*$/  int rc = 0;\n  ref.off = 0;/
