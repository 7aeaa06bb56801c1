# file: ipc/queue/queue_ordered.c
# caught by: ^policy: fifo: get, a lease has run out, another's is let go, goes on$
# Who has looked at all leases says when the next one runs out, though one was let go meanwhile.
s/^  shoal_cas64_relaxed\(&q->extra->next, &due, (\(uint64_t\)next)\);$/  shoal_store64_relaxed(\&q->extra->next, \1);/
