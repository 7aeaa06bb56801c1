# file: ipc/queue/queue.h
# caught by: ^queue: put, (one|two) asleep
# list_op_pending does not point at the bell: a putter that dies between publish and wake is noticed by nobody.
s/shoal_pending_set_\(t, &q->wait\.shm->bell\)/t->head->pending/
