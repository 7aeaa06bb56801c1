# file: core/robust.c
# caught by: ^robust: acquire and release, alone
# Who takes a dead owner's word is not told.
s/shoal_robust_is_dead\(word\) \? -EOWNERDEAD : 0/0/
