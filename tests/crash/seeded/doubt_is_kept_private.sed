# file: sync/eventcount.c
# caught by: ^queue: put three at once, three asleep
# The one sleeper that the kernel wakes at a death does not pass it on.
s/^  if \(by != SHOAL_WOKEN_BY_EVENT_ .*\) shoal_eventcount_ring\(s->view->shm\);$/  (void)in_doubt;/
