# file: core/heap.c
# caught by: ^heap: give a small one of a slab it knows$
# The same of a block of the process's own slab, given by a plain store.
/^static int give_own/,/^}/{
/^  \*ref = /d
s/^  return 1;$/  *ref = (struct shoal_block_ref){shoal_segment_off(heap->seg, block), shoal_word_seq_(given), 0};\n&/
}
