# file: core/heap_pages.c
# caught by: ^heap: alloc pages, a run is split$
# The rest of a split run is free before the run ends there: killed in between, its pages are in two runs.
/^static void split/,/^}/{
/change\(c, page \+ n, FREE\)/d
s/^  set_pages\(c, page, n\);$/  change(c, page + n, FREE);\n&/
}
