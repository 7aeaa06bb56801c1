# file: ipc/queue/select.c
# caught by: ^select: get, woken for both, others asleep behind it
# Those who sleep at the same queues do not watch a select, whose list_op_pending is elsewhere when it is killed.
s/^  if \(s->can_sleep\) shoal_role_hold\(.*$//
