# file: ipc/queue/pipe.c
# caught by: ^pipe: send, taking the end by it, who keeps it closes it, goes on$
# Who has taken an end, and not said yet which process it is, is taken for the one who had it before: that closes it under its hands.
s/^  if \(shoal_load32_acquire\(&role->tid\)\) (return shoal_load32_relaxed\(&role->pid\);)$/  \1/
