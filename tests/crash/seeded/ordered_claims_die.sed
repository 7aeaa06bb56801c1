# file: ipc/queue/ordered.c
# caught by: ^(fifo|priority): receive and release$
# What a dead consumer held is not given to another.
s/^  \} else if \(state_of\(word\) == SHOAL_CELL_READING_\) \{$/  } else if (0) {/
