# file: sync/rwlock.h
# caught by: ^rwlock: the last reader goes
# A reader that leaves does not look whether a writer sleeps.
s/== SHOAL_RWLOCK_AWAITED\)\) shoal_futex_wake/== 0)) shoal_futex_wake/
