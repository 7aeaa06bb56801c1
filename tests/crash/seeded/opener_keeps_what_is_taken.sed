# file: ipc/queue/pipe.c
# caught by: ^pipe: open an end, another takes it and dies, goes on$
# Who opens an end while another takes it becomes its keeper, and the taker's death is told nobody.
s/^  if \(!holder\(q, side\)\) shoal_cas64_acq_rel\(keeper, &old, shoal_process_self_\(\)\);.*$/  if (!holder(q, side)) (void)old, shoal_store64_relaxed(keeper, shoal_process_self_());/
