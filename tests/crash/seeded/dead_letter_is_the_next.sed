# file: ipc/queue/queue_lease.c
# caught by: ^policy: (fifo: )?receive and release, one goes to dead letters, its time runs out, others come and go, goes on$
# Stopped at its copy for longer than its lease, who moves a dead letter moves the next message.
s/^  int rc = q->lease_ns \? q->ops->extend\(q, loan\) : 0;$/  int rc = 0;/
