# file: sync/rwlock.c
# caught by: ^rwlock: (a writer waits for a reader, before|a writer gives up at)
# A writer that dies while it waits is taken for one that died inside.
s/&l->door, SHOAL_RWLOCK_CLOSING/\&l->door, SHOAL_RWLOCK_WRITING/
