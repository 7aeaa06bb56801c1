# file: ipc/work/pool.c
# caught by: ^initial: a pool is made$
# A pool's object, and the argument in it, has a name: it stays when its creator is killed.
s/shoal_object_create\(seg, NULL, "pool",/shoal_object_create(seg, "pool", "pool",/
