# file: sync/rwlock.c
# caught by: ^rwlock: read, (alone|stopped, others come, dies)
# A writer waits for the seat of a dead reader to be emptied by somebody else.
s/if \(shoal_seat_is_dead_\(word\)\) shoal_seat_reap_one_\(seat, empty, NULL\);/if (0) continue;/
