# file: ipc/queue/queue_lease.c
# caught by: ^policy: receive and release, there is no room among the dead letters
# What finds no room among the dead letters is ended all the same.
s/^  if \(q->dead && copy_to\((.*)\)\) return 0;.*$/  if (q->dead) (void)!copy_to(\1);/
