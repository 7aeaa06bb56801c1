# file: ipc/queue/mpmc.c
# caught by: ^bytes mpmc: (reserve and commit, part full|send, joining by it), in a block
# A dead producer's place is skipped, and the block that it stood for stays the queue's.
s/^  end_payload\(ring, ctl, c\);  \/\/ before: .*$//
