# file: ipc/data/list_change.c
# caught by: ^list: extend$
# Of a row that was never published only the value that was being given is ended, not those before it.
s/shoal_sweep_run_\(&l->keep, &shm->undo, .*\);$/0;/
