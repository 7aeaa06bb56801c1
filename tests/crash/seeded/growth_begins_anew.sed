# file: core/directory.c
# caught by: ^grow: put, full$
# Memory that a dead one had taken for the queue to grow is not found: the next one takes more.
s/^  if \((find_part\(seg, &l, size, out\))\)$/  if (0 \&\& \1)/
