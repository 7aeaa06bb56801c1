# file: ipc/queue/topic_group.c
# caught by: ^topic: (get in a group, part full|receive and release in a group|release in a group, another asleep)$
# What a dead member held goes to nobody.
s/^  return stray\(t, g, entry, c, died\);/  shoal_cas64_seq_cst(claim_of(t, g, entry), \&c, 0);\n  return died;/
