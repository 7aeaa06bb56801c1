# file: sync/rlock.c
# caught by: ^rlock: repair after a death three levels deep
# Who takes a dead holder's lock holds it as deep as that one did.
s/if \(rc == 0 \|\| rc == -EOWNERDEAD\) shoal_rlock_set_depth_\(l, 1\);/if (rc == 0) shoal_rlock_set_depth_(l, 1);/
