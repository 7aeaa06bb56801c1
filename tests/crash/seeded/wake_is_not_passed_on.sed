# file: sync/semaphore.c
# caught by: ^(items: release two|semaphore: release two), two asleep
# Who was woken and sees another permit keeps it to itself: the releaser died before it had woken a second.
s/^  if \(rc == 0\) pass_on\(s\);$//
