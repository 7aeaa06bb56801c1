# file: ipc/queue/ordered.c
# caught by: ^lifo: put, part full$
# Who takes the lock from a dead one trusts the order that it left.
s/SHOAL_UNLIKELY\(rc \|\| shoal_ordered_is_stale\(o\)\)/SHOAL_UNLIKELY(shoal_ordered_is_stale(o))/
