# file: ipc/queue/topic_group.c
# caught by: ^topic: (unsubscribe|subscribe|get) in a group, .*one stopped in a change
# Who would change the groups waits for who is stopped in such a change, for as long as that one is.
s/^  shoal_deadline end = shoal_after_ns\(SHOAL_RECHECK_NS\);/  shoal_deadline end = SHOAL_FOREVER;/
