# file: ipc/queue/queue.c
# caught by: ^queue: leave with a loan in hand, a dead one's is dropped
# Who leaves with a message in hand is taken for dead, and the message dropped.
s/^  if \(!rc && me\) rc = q->ops->leave\(q, side, me\);$//
