# file: ipc/data/item.c
# caught by: ^dict: clear$
# Where it has come to is not said: who goes on after a death takes the first entry for the only one that is left.
s/come_to\(s, phase \+ 1\);$/come_to(s, 2 * n);/
