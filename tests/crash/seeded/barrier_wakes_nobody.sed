# file: sync/barrier.c
# caught by: ^barrier: wait, first of three
# The turn is completed, and the sleepers are not told.
/^static int arrive/,/^}/s/^  ring\(v->b\);$//
