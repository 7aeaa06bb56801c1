# file: sync/barrier.c
# caught by: ^barrier: wait, second of three, the third does not come
# A sleeper does not watch those it waits for: one that dies before it comes is noticed by nobody.
s/^  return watch_those_behind\(v, set\);$/  return 0;/
