# file: sync/condition.c
# caught by: ^condition: wait, heir of
# An heir that dies between takes the notification along.
s/^  if \(!withdraw\(seat\)\) grant_oldest\(condition, &dead\);$/  int was = !withdraw(seat);\n  shoal_store32_relaxed(\&seat->event, 0);\n  if (was) grant_oldest(condition, \&dead);/
