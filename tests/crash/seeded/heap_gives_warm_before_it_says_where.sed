# file: core/heap.c
# caught by: ^heap: give a small one of a slab it knows$
# The same of a block of the process's own slab, given by a plain store.
/^static int give_own/,/^}/{
/^  name_block\(/d
s/^  return 1;$/  name_block(heap, block, given, ref);\n&/
}
