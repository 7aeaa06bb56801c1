# file: ipc/queue/queue.h
# caught by: ^spsc queue: put, the consumer comes to sleep meanwhile, goes on
# Published, and the consumer that sleeps is not told.
/^SHOAL_INLINE int shoal_queue_put_spsc_/,/^}/s/^  if \(.*asleep_\(ec, SHOAL_CONSUMER\)\)\) shoal_eventcount_wake_.*$//
