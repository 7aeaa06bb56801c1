# file: ipc/data/dict_table.c
# caught by: ^dict: (set|pair, set), many words
# Whoever gets a dead one's stripe lets a value be that was being changed: the next change in this stripe takes its place.
s/^  shoal_dict_overwrite_\(s, it, key, was\);$/  s->lock.state = SHOAL_DICT_IDLE_;/
