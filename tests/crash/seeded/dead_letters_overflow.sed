# file: ipc/queue/queue_lease.c
# caught by: ^policy: receive and release, there is no room among the dead letters
# What finds no room among the dead letters is ended all the same.
s/^  if \(rc\) return rc == -ESTALE;.*$/  (void)rc;/
