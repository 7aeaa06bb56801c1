# file: ipc/queue/queue_internal.h
# caught by: ^pipe: open an end of a dead one
# A keeper's word does not count its changes: who opens an end that nobody keeps takes it for that still when another has taken it.
s/^  return \(\(word >> SHOAL_PROCESS_BITS_\) \+ 1\) << SHOAL_PROCESS_BITS_ \| process;$/  return (void)word, process;/
