# file: ipc/queue/message.c
# caught by: ^pipe: recv, part full, one way
# A block counts as received before it was copied: killed in between, the message is nobody's.
/^static int take_block/,/^}/{
/^  end\(op->q, &m\);$/d
s/^  (memcpy|copy)\(op->out, data, m\.size\);$/  end(op->q, \&m);\n  SHOAL_COMPILER_BARRIER();\n&/
}
