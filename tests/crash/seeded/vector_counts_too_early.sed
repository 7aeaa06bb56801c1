# file: ipc/data/vector.c
# caught by: ^vector: extend
# The count runs ahead of the elements.
s/^  if \(rc == 0\) rc = fill\(v, had, n, values\);$/  shoal_store64_release(\&v->shm->count, had + n);\n  if (rc == 0) rc = fill(v, had, n, values);/
