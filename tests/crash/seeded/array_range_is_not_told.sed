# file: ipc/data/array.c
# caught by: ^array: fill
# A range is under way, and nobody is told.
s/^  if \(taken\) shoal_store64_relaxed\(&a->shm->inside, 1\);$//
