# file: ipc/queue/queue_ordered.c
# caught by: ^lifo: (commit|cancel) after the close, three asleep, goes on$
# The end of a reservation in a closed queue is told to one sleeper, who has no reason to tell the others.
s/shoal_eventcount_closed\(q->wait.shm\) \? INT32_MAX : n/n/
