# file: ipc/queue/topic_slots.c
# caught by: ^topic: (publish, two asleep|reserve and commit, two asleep)
# What is published wakes one subscriber only.
s/^  (if \(shoal_eventcount_asleep_\(ec, SHOAL_CONSUMER\)\) shoal_eventcount_wake_\(ec, SHOAL_CONSUMER,) INT_MAX\);/  \1 1);/
