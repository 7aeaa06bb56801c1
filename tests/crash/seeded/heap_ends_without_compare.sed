# file: core/heap.c
# caught by: ^heap: stalled, two end the same$
# Who ends a block does not look again whether it is the object's still: two end it.
/^static int end\(/,/^}/s/if \(!shoal_cas64_seq_cst\(s->word, &w, (shoal_word_next_\(.*, 0\))\)\) return 0;/shoal_store64_seq_cst(s->word, \1);/
