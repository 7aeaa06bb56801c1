# file: ipc/work/job.c
# caught by: ^executor: submit$
# Killed before its order is put, a job waits for ever.
s/^  shoal_store64_release\(submitting, 1 \+ .*\);$//
