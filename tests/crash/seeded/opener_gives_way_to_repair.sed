# file: ipc/queue/pipe.c
# caught by: ^pipe: open an end that a dead one kept, which is ended meanwhile, goes on$
# Who opens an end while what a dead one kept of it is ended is not its keeper.
s/^    kept = (shoal_cas64_acq_rel\(.*\));/    kept = 1, (void)\1;/
