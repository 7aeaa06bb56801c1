# file: ipc/work/executor.c
# caught by: ^executor: a dead letter is read, another takes it
# A letter is said to be too large though another has taken it, and its cell has a larger job.
/^int shoal_executor_letter\(/,/^\}/s/^      if \(!shoal_cas64_acq_rel\(&cell->state, &s, to\)\) continue;$/      if (!rc \&\& !shoal_cas64_acq_rel(\&cell->state, \&s, to)) continue;/
