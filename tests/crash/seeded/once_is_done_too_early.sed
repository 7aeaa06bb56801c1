# file: sync/once.c
# caught by: ^once: the first to run it
# It is said to be done before it is: a runner's death leaves it undone for ever.
s/^  int rc = fn\(arg\);$/  shoal_store32_release(\&once->state, SHOAL_ONCE_DONE);\n  int rc = fn(arg);/
