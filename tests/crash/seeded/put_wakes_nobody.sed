# file: ipc/queue/queue_mpmc.c
# caught by: ^queue: put, (one|two) asleep
# Published, and the sleepers are not told.
s/^  if \(awaited\(q\)\) published\(q, claim->at\);$//
