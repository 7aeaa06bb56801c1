# file: ipc/queue/queue_policy.c
# caught by: ^policy: the last task_done, goes on
# Who finishes the last message does not tell those that wait for it.
s/^    shoal_eventcount_wake_\(q->wait\.shm, SHOAL_JOINER, INT32_MAX\);$/    (void)owner;/
