# file: core/heap_pages.c
# caught by: ^heap: alloc pages, runs are joined$
# A run takes in its neighbour while that still begins a run: killed in between, a sweep frees both.
/^static void join/,/^}/{
/change\(c, page \+ have, INSIDE\)/d
s/^  set_pages\(c, page, have \+ more\);$/&\n  change(c, page + have, INSIDE);/
}
