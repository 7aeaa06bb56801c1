# file: ipc/queue/queue_mpmc.c
# caught by: ^queue: put, overtaken by two, goes on, three asleep
# A put that was overtaken wakes for itself only.
s/1 \+ \(uint64_t\)shoal_mpmc_messages_behind\(&q->ring, at\)/1/
