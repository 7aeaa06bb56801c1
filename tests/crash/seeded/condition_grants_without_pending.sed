# file: sync/condition.c
# caught by: ^condition: notify one, two asleep$
# A notifier that dies before it has woken leaves a thread asleep that is notified.
s/^  void \*pending = shoal_pending_set_\(t, &seat->event\);$/  void *pending = t->head->pending;/
