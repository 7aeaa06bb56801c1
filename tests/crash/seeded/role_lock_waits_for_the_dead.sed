# file: ipc/queue/role_lock.c
# caught by: three come and it dies$
# Nobody takes the lock from a dead holder.
s/^  return shoal_robust_is_dead\(live_word\) .*$/  return 0 \& (late | (int)live_word);/
