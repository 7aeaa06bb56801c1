# file: sync/rwlock.c
# caught by: ^rwlock: given up
# Released in doubt, the lock is as if nothing had been.
s/door_of\(l\) == SHOAL_RWLOCK_IN_DOUBT \? SHOAL_RWLOCK_NOTRECOVERABLE : //
