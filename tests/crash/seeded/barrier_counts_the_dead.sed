# file: sync/barrier.c
# caught by: ^barrier: drop: wait, (first|last) of three
# The turn of a dropped party goes on with the arrivals it had, the dead one's included.
/^static void recount/,/^}/s/w\.state == FILLING \|\| //
