# file: sync/eventcount.c
# caught by: ^fifo: get, another dead with the message, one stopped inside, a third comes
# Who gives a dead one's role up again tells nobody: who watches it sleeps on.
s/^    shoal_eventcount_ring\(view->shm\);  \/\/ who has seen it adopted.*$//
