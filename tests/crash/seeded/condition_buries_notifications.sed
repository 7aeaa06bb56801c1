# file: sync/condition.c
# caught by: ^condition: wait, one behind$
# What a dead one was notified of goes with it.
s/^  if \(!withdraw\(seat\)\) grant_oldest\(condition, &dead\);$/  withdraw(seat);/
