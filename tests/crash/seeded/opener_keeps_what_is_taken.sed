# file: ipc/queue/pipe.c
# caught by: ^pipe: open an end(| of a dead one), another takes it and dies, goes on$
# Who opens an end while another takes it becomes its keeper, and the taker's death is told nobody.
s/^    kept = shoal_cas64_acq_rel\(.*$/    kept = 1, shoal_store64_relaxed(q->keeper[side], shoal_keeper_next_(old, who));/
