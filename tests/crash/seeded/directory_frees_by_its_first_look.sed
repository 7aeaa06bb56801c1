# file: core/directory.c
# caught by: ^nested: remove, opened by another meanwhile, goes on$
# What was to be freed before the lock is freed under it, whoever has opened it in between.
s/\(locked \|\| to_be_freed\(seg, at\)\) && free_entry/free_entry/
