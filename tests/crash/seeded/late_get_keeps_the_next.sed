# file: ipc/queue/queue_policy.c
# caught by: ^policy: get and task_done, its time runs out, others come and go, goes on$
# Stopped at its copy for longer than its lease, a get of a joinable queue answers with the next message, which nobody has got.
/^static int get_and_keep/,/^}/s/^  \} while \(!shoal_queue_is_still_\(op->q, &op->loan\)\);$/  } while (0);/
