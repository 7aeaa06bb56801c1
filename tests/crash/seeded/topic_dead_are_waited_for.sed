# file: ipc/queue/topic_subscriber.c
# caught by: ^topic: (get, part full|receive and release|get, two publishers asleep)$
# A dead subscriber's seat goes on to hold up publishers.
s/^  shoal_exchange64_seq_cst\(&seat->hold, 0\);.*/  if (!died) shoal_exchange64_seq_cst(\&seat->hold, 0);/
