# file: core/heap.c
# caught by: ^heap: give pages, where their later life was named$
# Where the block is stands there before which one it is: killed in between, it is one of another life.
/^static void name_block/,/^}/{
/^  ref->seq = /d
s/^  __atomic_store_n\(&ref->off.*$/&\n  SHOAL_COMPILER_BARRIER();\n  ref->seq = shoal_word_seq_(given);/
}
