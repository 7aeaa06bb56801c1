# file: ipc/queue/queue_mpmc.c
# caught by: ^policy: put, another goes round and comes behind it, goes on
# Who has come round to a put that was under way, and sleeps for what could give way then, is not told that it has ended.
/^static void wake_for_messages/,/^}/s/^  if \(awaits_messages\(q\)\) .*$//
