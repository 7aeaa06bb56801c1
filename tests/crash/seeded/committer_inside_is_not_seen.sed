# file: ipc/queue/queue_ordered.c
# caught by: ^lifo: commit after the close, another tries, goes on$
# Who commits, inside, its message no reservation any more and not counted yet, is in nobody's way: a try is told of the end.
/^static uint32_t blocker\(/,/^}/s/^  if \(!role\) role = owner_inside\(q\);$//
