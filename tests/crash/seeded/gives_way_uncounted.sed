# file: ipc/queue/ordered.c
# caught by: ^policy: (fifo|lifo|priority): put, full, one gives way$
# Whoever takes the lock from one who died as a message gave way does not count it.
/^static SHOAL_NOINLINE void remake/,/^}/s/^  settle_eviction\(o\);$//
