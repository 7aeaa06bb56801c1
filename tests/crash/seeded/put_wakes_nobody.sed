# file: ipc/queue/queue_mpmc.c
# caught by: ^queue: put, (one|two) asleep
# Published, and the sleepers are not told.
s/^  if \(shoal_eventcount_asleep_\(ec, SHOAL_CONSUMER\)\) published\(q, claim->at\);$//
