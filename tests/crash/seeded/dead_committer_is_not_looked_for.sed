# file: ipc/queue/queue_ordered.c
# caught by: ^fifo: reserve and commit, empty$
# Who died inside, its last message no reservation any more and not counted yet, is in nobody's way: who tries looks at no role.
/^static uint32_t blocker\(/,/^}/{
s/^  if \(!role\) role = owner_inside\(q\);$//
s/^  return role \|\| !counted.*$/  return role ? role : SHOAL_BLOCKER_NONE;/
}
