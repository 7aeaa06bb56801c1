# file: ipc/queue/queue.h
# caught by: ^spsc queue: get three, the producer comes to sleep meanwhile, goes on
# A group is given back, and the producer that sleeps for room is not told.
/^SHOAL_INLINE int shoal_queue_get_spsc_/,/^}/s/^  if \(.*SHOAL_PRODUCER\)\)\) shoal_queue_spsc_released_\(q\);$//
