# file: ipc/queue/topic_group.c
# caught by: ^topic: (stopped, a get in a group; a get dies|get in a group, part full)
# Whether a dead member had the message that it tried is guessed: it had.
s/^  if \(shoal_slot_state_\(c\) == SHOAL_TOPIC_TRIES_ && !had\(t, g, entry, c\)\) \{/  if (0 \&\& !had(t, g, entry, c)) {/
