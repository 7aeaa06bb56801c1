# file: ipc/work/serve.c
# caught by: ^executor: a worker runs chunks of two, one fails by itself$
# Of several chunks, the one that failed by itself does not say who ran it: it is told of whoever ended the job.
s/^  if \(chunk\) (shoal_store64_relaxed\(&r->cell->lost, )/  if (chunk \&\& 0) \1/
