# file: ipc/queue/ordered.c
# caught by: ^bytes policy: (fifo|lifo): send, one gives way
# A message that gives way leaves its block behind.
/^int shoal_ordered_evict/,/^}/s/^  end_payload\(o, c\);$//
