# file: sync/barrier.c
# caught by: ^barrier: stopped on its way to sleep
# A sleeper watches those that have not arrived only, not the next that has.
s/\(word \|\| awaited\(seat\)\)/((word || awaited(seat)) \&\& !waits_in(seat, v->at.turn))/
