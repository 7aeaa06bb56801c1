# file: ipc/queue/queue_lease.c
# caught by: ^policy: fifo: get and task_done, leased, one goes to dead letters, another is stopped inside, goes on$
# Joinable: a get that could not end what it moved to dead letters leaves it in hand, where the next task_done ends it, and not what was got.
/^int shoal_queue_bury_\(/,/^}/s/barred = q->joinable \? 0 : -ETIMEDOUT;$/barred = -ETIMEDOUT;/
