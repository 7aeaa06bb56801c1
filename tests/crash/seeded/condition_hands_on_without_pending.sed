# file: sync/condition.c
# caught by: ^condition: wait until a deadline, unseen
# Who gives up and dies before it has woken the one behind leaves that one asleep, and every later grant believes it awake.
s/^  void \*pending = shoal_pending_set_\(t, &n\.behind->event\);$/  void *pending = t->head->pending;/
