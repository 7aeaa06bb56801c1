# file: ipc/work/serve.c
# caught by: ^executor: a worker claims ranges, retried$
# Killed between the claim and its note, a range is nobody's.
s/^    shoal_store32_release\(&r->cell->progress, 1\);  .*$//
s/^    if \(shoal_cas64_relaxed\(&cursor->next, &at, at \+ n\)\) return 1;$/    if (shoal_cas64_relaxed(\&cursor->next, \&at, at + n)) return shoal_store32_release(\&r->cell->progress, 1), 1;/
