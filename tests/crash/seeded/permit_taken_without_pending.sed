# file: sync/semaphore.c
# caught by: ^semaphore: acquire (two|and release), alone
# The kernel is not told which permit is being taken: one taken and not yet enlisted stays the dead one's.
s/void \*gate = shoal_pending_set_\(t, &r->word\);/void *gate = t->head->pending;/
