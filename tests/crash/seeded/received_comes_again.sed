# file: ipc/queue/queue_spsc.c
# caught by: ^bytes spsc: (recv, part full|receive and release), in a block
# A message whose block had ended when its consumer died is the next one's.
s/^  else if \(slot && !shoal_message_is_there_\(q, slot\)\) shoal_spsc_received_\(q->spsc\);$//
