# file: core/heap_sweep.c
# caught by: ^heap: alloc pages, runs are joined$
# What a dead process had split off, or was about to take in, is not taken in: its pages are lost.
/^  shoal_run_mend_\(c, page\);$/d
