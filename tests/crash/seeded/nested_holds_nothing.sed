# file: core/tie.c
# caught by: ^nested: set, another way to one$|^nested: setdefault, made and put$
# The tie names no holder: what an entry leads to is freed when its maker closes it, or dies.
s/shoal_store64_relaxed\(&t\[i\]\.holder, .*\);$/shoal_store64_relaxed(\&t[i].holder, 0);/
