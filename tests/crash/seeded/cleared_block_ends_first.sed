# file: ipc/queue/queue_ordered.c
# caught by: ^bytes fifo: clear, in a block$
# A clear ends the block before the cell is free: killed between, the next to come receives what is not there.
/^static void discard\(/,/^}/s/^  shoal_ordered_free\(&q->ordered, cell\);$/  if (!q->element_size) shoal_message_end_(q, shoal_ordered_data(\&q->ordered, cell));\n&/
