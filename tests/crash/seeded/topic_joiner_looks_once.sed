# file: ipc/queue/topic_subscriber.c
# caught by: ^topic: subscribe with a history, a ring is published meanwhile, goes on
# Who joins does not look again whether what it holds on to is wanted by now: it begins with what is overwritten.
s/^  \} while \(oldest > from\);$/  } while (0);/
