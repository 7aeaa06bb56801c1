# file: ipc/queue/ordered.c
# caught by: ^fifo: release, one stopped inside$
# Who inherits from one that ended a claim from outside, and was killed before it said so, believes the counts.
s/^  if \(dead && lent_cells\(o\) != .*$/  if (0)/
