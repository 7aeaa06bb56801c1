# file: sync/event.c
# caught by: ^event: set, two asleep
# The one whom the kernel woke in a dead setter's stead wakes nobody.
s/^  if \(rc == 0\) shoal_event_end_\(&op\);$//
