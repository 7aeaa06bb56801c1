# file: ipc/queue/select.c
# caught by: ^selector: armed, woken, goes on$
# A selector's thread, which takes nothing, keeps what woke it.
s/^  if \(s->woken\) hand_on\(s, -1\);$//
