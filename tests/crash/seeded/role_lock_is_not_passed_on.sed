# file: ipc/queue/role_lock.c
# caught by: three come and it goes on$
# Who leaves wakes nobody.
s/^  if \(shoal_futex_wake\(&l->sleepers.*$/  (void)l;/
