# file: ipc/queue/queue_lease.c
# caught by: ^bytes policy: recv, its time runs out, a shorter one is written there, goes on$
# What a receiver finds damaged is told, though its lease has run out, and what it has read is the next one's.
s/^  return rc && vacate\(q, loan, claim, c\) \? -ENOENT : rc;$/  if (rc) (void)vacate(q, loan, claim, c);\n  return rc;/
