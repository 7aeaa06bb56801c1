# file: ipc/queue/pipe.c
# caught by: ^pipe: open an end, another takes it and dies, goes on$
# Who opens an end while another takes it becomes its keeper, and the taker's death is told nobody.
s/^  if \(!is_taken\(q, side\)\) shoal_cas64_acq_rel\(.*$/  if (!is_taken(q, side)) (void)old, shoal_store64_relaxed(q->keeper[side], shoal_keeper_next_(old, who));/
