# file: ipc/queue/message.c
# caught by: ^bytes mpmc: recv, part full, in a block
# What was received by copying keeps its block.
/^static int take_block/,/^}/s/^  end\(op->q, &m\);$//
