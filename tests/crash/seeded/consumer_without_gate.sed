# file: sync/semaphore.c
# caught by: ^items: acquire, asleep before others
# list_op_pending does not point at the gate: a sleeper killed just woken takes the wake with it.
s/void \*pending = shoal_pending_set_\(t, &s->gate\);/void *pending = t->head->pending;/
