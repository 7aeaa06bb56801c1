# file: sync/barrier.c
# caught by: ^barrier: reset, two asleep
# The turn starts over, and those who sleep in the old one are not told.
/^int shoal_barrier_reset/,/^}/s/^  ring\(b\);$//
