# file: sync/event.c
# caught by: ^event: set, two asleep, another clears
# A clear takes no care of those whom a dead setter has not woken.
s/^    if \(word & W\) \{$/    if (0) {/
