# file: sync/eventcount.c
# caught by: ^policy: (the last task_done|leave with one unfinished|task_done)
# Who notices a death does not have the joiners look again.
s/^  if \(shoal_eventcount_joiner_asleep_.*$//
