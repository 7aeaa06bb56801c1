# file: ipc/data/dict_table.c
# caught by: ^dict: (pair, )?(set|compare and set), many words
# Whoever gets a dead one's stripe changes a value whose head does not yet say so: what all have read since is no longer there.
s/head == was \|\| head == was \+/head == was +/
s/if \(head != \(was \| SHOAL_ITEM_CHANGING_\) \|\|/if ((head != was \&\& head != (was | SHOAL_ITEM_CHANGING_)) ||/
