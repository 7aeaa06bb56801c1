# file: ipc/queue/queue_lease.c
# caught by: ^policy: return, leased, another asleep, goes on
# What is given back before its lease has run out wakes nobody.
/^static int give_back/,/^}/s/^  shoal_queue_is_back_\(q, loan->token\);$//
