# file: ipc/queue/queue_ordered.c
# caught by: ^fifo: cancel after the close, one stopped inside$
# What ended outside, and was not told, is a reservation that nobody has: whoever waits for a message looks again, for ever.
/^static uint32_t blocker\(/,/^}/s/^  return role \|\| !counted.*$/  return role ? role : SHOAL_BLOCKER_NONE;/
