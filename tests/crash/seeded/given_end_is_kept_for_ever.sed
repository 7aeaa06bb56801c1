# file: ipc/queue/pipe.c
# caught by: ^pipe: give an end by another handle, another takes it and dies, goes on$
# Whom an end is given to keeps it, though another has taken it meanwhile, whose death is told nobody then.
s/keep\(mine->out, SHOAL_PRODUCER, heir\)/(mine->out ? (shoal_store64_relaxed(mine->out->keeper[SHOAL_PRODUCER], heir), 1) : 0)/
