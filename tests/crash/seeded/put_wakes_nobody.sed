# file: ipc/queue/queue.h
# caught by: ^queue: put, (one|two) asleep
# Published, and the sleepers are not told.
s/^  if \(SHOAL_UNLIKELY\(shoal_eventcount_asleep_\(ec, SHOAL_CONSUMER\)\)\) shoal_queue_published_\(q, claim\.at\);$//
