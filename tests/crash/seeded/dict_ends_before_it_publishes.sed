# file: ipc/data/dict.c
# caught by: ^dict: .*a longer value
# What a key had is freed before the key has another: killed in between, the key leads to a block that may be anybody's.
s/^  if \(o->there\) shoal_store64_release\(o->f\.at, word\);.*$/  if (o->there) shoal_keep_end_(\&d->keep, \&o->s->old);\n&/
