# file: ipc/data/list_change.c
# caught by: ^list: append$
# A value that was given and never counted is not ended: its block is the list's for good, and nothing leads to it.
s/is_added\(l\) \? 0 : shoal_item_end_\(&l->keep, &shm->fresh\);/0;/
