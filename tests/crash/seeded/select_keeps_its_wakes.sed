# file: ipc/queue/select.c
# caught by: ^select: (readable, woken|get, woken for both), goes on
# Who was woken at a queue and does not take what it was woken for wakes nobody in its stead.
s/^  if \(s->woken\) hand_on\(s, rc\);$/  (void)hand_on;/
