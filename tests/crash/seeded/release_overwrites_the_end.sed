# file: ipc/work/future.c
# caught by: ^executor: release, others end it, goes on$
# A release that was slower than the job itself makes it run for ever.
s/^    \} else if \(shoal_cas64_acq_rel\(&ex->cells\[f->job\]\.state, &s, s \| SHOAL_JOB_DETACHED_\)\) \{.*$/    } else if (shoal_store64_release(\&ex->cells[f->job].state, s | SHOAL_JOB_DETACHED_), 1) {/
