# file: core/heap.c
# caught by: ^heap: give a small one$
# The block is the object's before anything leads to it: killed in between, nobody ever finds it.
/^static int give_own/,/^}/{
/^  \*ref = /d
s/^  return 1;$/  SHOAL_COMPILER_BARRIER();\n  *ref = (struct shoal_block_ref){shoal_segment_off(heap->seg, block), shoal_word_seq_(given), 0};\n&/
}
