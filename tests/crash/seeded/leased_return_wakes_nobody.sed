# file: ipc/queue/queue_lease.c
# caught by: ^policy: return, leased, another asleep, goes on
# What is given back before its lease has run out wakes nobody.
/^static int give_back/,/^}/s/^  if \(.*\) shoal_eventcount_wake_\(ec, SHOAL_CONSUMER, 1\);$//
