# file: sync/event.c
# caught by: ^event: set, two asleep
# list_op_pending does not point at the gate: a setter that dies before it wakes is noticed by nobody.
s/void \*pending = shoal_pending_set_\(t, &e->half\[0\]\);/void *pending = t->head->pending;/
