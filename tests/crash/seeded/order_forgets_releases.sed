# file: sync/lock.c
# caught by: ^order: attach two locks
# A lock that was released counts as held.
/^int shoal_lock_release_slow_/,/^}/s/^  if \(is_ordered\(lock\)\) shoal_ordered_leave_.*$//
