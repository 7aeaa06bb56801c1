# file: ipc/queue/mpmc.c
# caught by: ^queue: receive and release$
# What a dead consumer held is not given to another.
s/^    else if \(shoal_slot_state_\(c\) == SHOAL_SLOT_READING_\) recover_message\(ring, ctl, c\);$//
