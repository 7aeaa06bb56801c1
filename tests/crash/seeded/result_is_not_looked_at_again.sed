# file: ipc/work/future.c
# caught by: ^executor: a large one is got, its block another's, goes on$
# Who has copied a result does not look whether its block was there all the time.
s/^  return is_still\(f, s\) && has_its_block\(f\) \? rc/  (void)has_its_block;\n  return is_still(f, s) ? rc/
