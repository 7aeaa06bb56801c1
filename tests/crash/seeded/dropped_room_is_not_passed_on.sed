# file: ipc/queue/queue_ordered.c
# caught by: ^policy: lifo: put, asleep before another that drops what it has put, goes on
# Of two who sleep for room, the second is not told that the first has put what could give way.
/^static void wake_for_messages/,/^}/s/^  if \(q->ordered\.evicts\) wake\(q, SHOAL_PRODUCER, n\);$//
