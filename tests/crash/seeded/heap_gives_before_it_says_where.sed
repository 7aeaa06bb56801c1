# file: core/heap.c
# caught by: ^heap: give a small one$
# The block is the object's before anything leads to it: killed in between, nobody ever finds it.
/^static int begin_to_give/,/^}/{
/^  name_block\(/d
}
/^int shoal_block_give_\(/,/^}/{
s/^  return 0;$/  name_block(heap, block, given, ref);\n&/
}
