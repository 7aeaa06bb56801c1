# file: ipc/data/item.c
# caught by: ^dict: clear$
# Where it has come to is not said: who goes on after a death takes the first entry for the only one that is left.
s/^    __atomic_store_n\(&s->phase, phase \+ 1, __ATOMIC_RELAXED\);$/    __atomic_store_n(\&s->phase, 2 * n, __ATOMIC_RELAXED);/
