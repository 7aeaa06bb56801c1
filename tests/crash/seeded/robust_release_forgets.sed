# file: core/robust.c
# caught by: ^robust: pair, dies releasing
# The bit that tells of sleepers goes with the first release: a barger's release, or death, then wakes nobody.
s/shoal_store32_release\(&r->word, FUTEX_WAITERS\);/shoal_store32_release(\&r->word, 0);/
