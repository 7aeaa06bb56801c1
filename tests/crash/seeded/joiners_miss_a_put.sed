# file: ipc/queue/ordered.c
# caught by: ^policy: fifo: try to join, a task puts another before it is done with
# All cells were seen free, one after another: what was put meanwhile is not looked for.
s/^    if \(shoal_load64_seq_cst\(&o->shm->seq\) == before\) return 1;.*$/    (void)before; return 1;/
