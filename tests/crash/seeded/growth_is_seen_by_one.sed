# file: ipc/queue/ordered.c
# caught by: ^grow: get, from cells that others have added
# Who comes into the lock does not look whether there are more cells by now.
s/^  shoal_ordered_look_for_chunks_\(o\);$//
