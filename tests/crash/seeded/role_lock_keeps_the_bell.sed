# file: ipc/queue/role_lock.c
# caught by: ^lifo: put, asleep for the lock of one who dies$
# Who waits for the lock watches only its word.
s/wait_many\(entries, 3, 1,/wait_many(entries + 1, 1, 0,/
