# file: ipc/queue/queue_policy.c
# caught by: ^policy: fifo: clear, then get and task_done, leased, another is stopped inside, goes on$
# Joinable: a clear that cannot end what it took leaves it in hand, where the next task_done ends it, and not what was got.
/^static int drop\(/,/^}/s/ == -EBUSY && q->joinable\)$/ == -EBUSY \&\& 0)/
