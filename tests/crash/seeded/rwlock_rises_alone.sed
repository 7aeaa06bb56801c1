# file: sync/rwlock.h
# caught by: ^rwlock: the last reader goes
# The kernel is not told of the wake that a leaving reader owes.
/void shoal_rwlock_rise_/,/^}/s/shoal_pending_set_\(t, &seat->live.word\)/t->head->pending/
