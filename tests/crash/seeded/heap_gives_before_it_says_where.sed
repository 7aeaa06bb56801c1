# file: core/heap.c
# caught by: ^heap: give a small one$
# The block is the object's before anything leads to it: killed in between, nobody ever finds it.
/^static int begin_to_give/,/^}/{
/^  \*ref = /d
}
/^int shoal_block_give_\(/,/^}/{
s/^  return 0;$/  *ref = (struct shoal_block_ref){shoal_segment_off(heap->seg, block), shoal_word_seq_(given), 0};\n&/
}
