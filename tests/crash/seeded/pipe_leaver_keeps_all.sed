# file: ipc/queue/pipe.c
# caught by: ^pipe: leave one direction
# Who leaves an end keeps also the direction that another has, whose death is told nobody.
s/^  if \(!q \|\| !shoal_role_known\(&q->wait, side\)\) return;$/  if (!q) return; shoal_store64_seq_cst(q->keeper[side], shoal_process_self_());/
