# file: core/robust.h
# caught by: ^robust: (acquire and release, alone|release)
# The kernel is not told which word is being taken or given: one taken and not yet enlisted stays the dead one's.
s/^  head->pending = shoal_robust_entry_\(word\);$/  (void)word;/
