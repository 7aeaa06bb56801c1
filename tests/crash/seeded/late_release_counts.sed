# file: ipc/queue/queue_lease.c
# caught by: ^policy: ((receive|extend) and release, its time runs out, goes on|take back)
# Whoever was stopped while its lease ran out releases the message of another.
s/^  if \(!shoal_cas64_seq_cst\(claim->ctl, &c, claim->lap \+ SHOAL_SLOT_LAP_\)\).*$/  shoal_store64_seq_cst(claim->ctl, claim->lap + SHOAL_SLOT_LAP_);\n  if (!claim)/
