# file: ipc/queue/queue_lease.c
# caught by: ^policy: (fifo: |lifo: |priority: )?get, its time runs out, others come and go, goes on$
# A get that comes to its end after its lease has what another received.
/^int shoal_queue_get_leased_/,/^}/s/^    if \(ended <= 0\) return ended;$/    return ended < 0 ? ended : 0;/
