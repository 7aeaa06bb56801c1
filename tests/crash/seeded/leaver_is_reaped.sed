# file: core/proc.c
# caught by: ^participants: leave, another reaps, all slots are taken, goes on$
# Who leaves a segment, and has marked its word, is taken for dead: its slot is another's when it gives it back.
s/^    if \(!shoal_robust_is_dead\(word_of\(both\)\) \|\| lives\(word_of\(both\)\)\) continue;$/    if (!shoal_robust_is_dead(word_of(both))) continue;/
