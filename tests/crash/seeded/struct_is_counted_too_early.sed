# file: ipc/work/serve.c
# caught by: ^executor: a worker runs several, retried$
# Of several, one is counted before it is done.
/^static int run_each/,/^\}/s/^    shoal_reason_clear\(\);$/    if (n > 1) shoal_store32_release(\&r->cell->progress, (uint32_t)(i + 1));\n&/
