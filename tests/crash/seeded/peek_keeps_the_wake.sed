# file: ipc/queue/queue_policy.c
# caught by: ^policy: peek, asleep before another that gets
# Who only looks has used up the wake that was meant for one who takes the message.
s/^  if \(rc != -EAGAIN && shoal_eventcount_asleep_\(ec, SHOAL_CONSUMER\)\) shoal_eventcount_wake_\(ec, SHOAL_CONSUMER, 1\);$//
