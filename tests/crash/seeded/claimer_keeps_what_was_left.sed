# file: ipc/work/job.c
# caught by: ^executor: submit, its cell was another's, is reaped and claimed between its two words, goes on$
# Who claims a cell by what it was, and finds that it has been another's since, takes it for its own, though it was reaped meanwhile.
s/^  return shoal_cas64_relaxed\(&cell->owner, &owner, (owner_word.*\))\);$/  return shoal_store64_relaxed(\&cell->owner, \1), 1;/
