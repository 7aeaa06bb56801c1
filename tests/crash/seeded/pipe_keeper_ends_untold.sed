# file: ipc/queue/pipe.c
# caught by: ^pipe: end what a dead one kept, the receiver asleep$
# What a dead one kept is ended, and who sleeps is not told.
s/^    if \(ended\) shoal_eventcount_ring\(q->wait.shm\);$//
