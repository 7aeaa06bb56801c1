# file: sync/barrier.c
# caught by: ^barrier: drop: wait and act
# The turn goes on waiting for the end of an action whose runner is dead.
/^static void recount/,/^}/s/ \|\| acts\(w, place\)//
