# file: ipc/work/serve.c
# caught by: ^executor: who ends a dead one's job
# Who ends a dead worker's job writes a failure into its cell, which may be another job's by then.
s|^  // of several structs, the first that failed.*|  fail(r, 0, -EIO, "");|
