# file: core/heap_slab.c
# caught by: ^heap: free, reap, and free in a slab$
# A slab becomes pages without a word to this process's threads: a block freed twice is taken for one, and other memory written to.
/^static int dissolve_one/,/^}/s/^  shoal_slab_ends_\(heap\);$//
