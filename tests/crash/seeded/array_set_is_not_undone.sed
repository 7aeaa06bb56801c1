# file: ipc/data/array.c
# caught by: ^array: set
# What a killed set has overwritten is not put back.
s/^  if \(shoal_load64_relaxed\(&a->shm->undo\)\) roll_back\(a\);$//
