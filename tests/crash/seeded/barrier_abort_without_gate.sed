# file: sync/barrier.c
# caught by: ^barrier: abort
# list_op_pending does not point at the gate: one that dies between breaking and waking is noticed by nobody.
/^int shoal_barrier_abort/,/^}/s/shoal_pending_set_\(t, &b->gate\)/t->head->pending/
