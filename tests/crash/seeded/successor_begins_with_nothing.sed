# file: ipc/work/pool_initial.c
# caught by: ^healing: pair, a worker begins with an argument
# Only the first worker of a place begins with init_task.
s/^  if \(!initial->init && !initial->finalize\) return 0;$/  if ((!initial->init \&\& !initial->finalize) || w->incarnation) return 0;/
