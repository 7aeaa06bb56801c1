# file: sync/lock.c
# caught by: ^lock: given up
# A lock released in doubt is taken as if nothing had been.
s/set_state\(lock, SHOAL_LOCK_NOTRECOVERABLE\)/set_state(lock, SHOAL_LOCK_CONSISTENT)/
