# file: ipc/queue/spsc.c
# caught by: ^spsc: (pair, the producer, then its successor|put three, part full)
# A producer's successor begins at its group's first message.
s/^  return low \* g->shape\.slots \+ published\(shm, g, low\);$/  return low * g->shape.slots;/
