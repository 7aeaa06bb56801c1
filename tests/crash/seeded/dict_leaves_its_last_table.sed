# file: ipc/data/dict_table.c
# caught by: ^dict: set, the table grows$
# A writer does not look whether a table was being changed: the last table is nobody's for good.
s/SHOAL_LIKELY\(!shoal_load32_relaxed\(&d->shm->moving\)\)/1/
s/^  if \(rc == 0 && shoal_load32_relaxed\(&d->shm->moving\)\) rc = end_move\(d\);$//
