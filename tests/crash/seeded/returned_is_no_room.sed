# file: ipc/queue/queue_mpmc.c
# caught by: ^policy: return(, leased)?, a producer that drops asleep, goes on
# Who sleeps for a message that could give way is not told that one is in nobody's hands any more.
/^void shoal_queue_is_back_/,/^}/s/^  if \(awaits_messages\(q\)\) .*$//
