# file: ipc/queue/pipe.c
# caught by: ^pipe: close, the receiver, (one way|duplex)
# Who closes ends what it sends, and not what it receives.
s/^    if \(mine->in\) shoal_queue_close\(mine->in\);$//
