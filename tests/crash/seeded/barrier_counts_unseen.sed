# file: sync/barrier.c
# caught by: ^barrier: drop: stopped in leave
# A number that is as it was hides from who is counting that there was another change.
/^static void recount/,/^}/s/next\.turn\+\+, //
