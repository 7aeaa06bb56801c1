# file: ipc/queue/queue_spsc.c
# caught by: ^pipe: send, the receiver asleep, one way
# Who takes an end leaves its keeper in office: its death is not the end for as long as the keeper lives.
s/^  if \(!rc && q->keeper\[side\]\) end_keeping\(.*$//
