# file: ipc/work/pool_initial.c
# caught by: ^healing: pair, a worker begins with an argument
# All workers begin on the one argument: a successor finds what the dead one has made of it.
s/^  memcpy\(w->argument, initial->argument, initial->size\);$/  w->argument = (void *)(uintptr_t)initial->argument;/
