# file: sync/barrier.c
# caught by: ^barrier: reset, two asleep
# The turn starts over, and those who sleep in the old one are not told.
/^static union word end_reset/,/^}/s/^  if \(is_resetting\(w\)\) ring\(b\);$//
