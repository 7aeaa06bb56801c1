# file: sync/seqlock.c
# caught by: ^seqlock: begin and (commit|cancel)
# What a dead writer, or one that cancelled, left in the draft is taken for what is published.
s/^  s->draft = 0;$//
