# file: ipc/data/dict.c
# caught by: ^dict: .*a longer value
# A stripe does not say what is being done: killed in the middle, the old block, or the new one, is nobody's for good.
s/^  s->lock\.state = state;$/  s->lock.state = SHOAL_DICT_IDLE_;/
