# file: sync/eventcount.c
# caught by: ^queue: put three at once, three asleep
# The one sleeper that the kernel wakes at a death does not pass it on.
s/^  if \(woke == 0 .*\) shoal_eventcount_ring\(shm\);$/  (void)in_doubt;/
