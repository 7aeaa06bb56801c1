# file: ipc/queue/queue_spsc.c
# caught by: ^pipe: take both directions
# Who takes one direction of an end leaves the other to its keeper: nobody is told of its end.
s/^  if \(!rc && q->mate && !alone\) join_mate\(.*$//
