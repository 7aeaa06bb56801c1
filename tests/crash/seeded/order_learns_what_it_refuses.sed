# file: sync/lock_order.c
# caught by: ^order: be refused
# What would close a cycle is noted all the same: the wrong order is the law as well.
s/^  if \(!cycle\) shoal_store64_relaxed/  shoal_store64_relaxed/
