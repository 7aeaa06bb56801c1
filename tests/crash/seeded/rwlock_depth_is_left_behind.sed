# file: sync/rwlock.c
# caught by: ^rwlock: a reader that repairs, two deep
# A writer that goes on as a reader says how deep before it sits.
s/^  shoal_seat_sit_\(t, seat\);$/  if (owner_of(l) == t->tid \&\& door_of(l) == SHOAL_RWLOCK_WRITING) seat->live.state = l->writer.state - 1;\n  SHOAL_COMPILER_BARRIER();\n&/
