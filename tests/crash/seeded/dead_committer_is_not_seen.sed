# file: ipc/queue/queue_ordered.c
# caught by: ^bytes fifo: reserve and commit, empty, in the slot$
# Who died inside, its last message no reservation any more and not counted yet, is in nobody's way: a try looks no further.
/^static uint32_t blocker\(/,/^}/s/^  if \(!role\) role = owner_inside\(q\);$//
