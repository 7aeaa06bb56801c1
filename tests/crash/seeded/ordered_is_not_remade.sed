# file: ipc/queue/ordered.c
# caught by: ^lifo: put, part full$
# Who takes the lock from a dead one trusts the order that it left.
s/^  if \(SHOAL_UNLIKELY\(rc\)\) remake\(o\);$//
