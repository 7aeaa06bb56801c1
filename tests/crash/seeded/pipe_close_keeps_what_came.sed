# file: ipc/queue/pipe.c
# caught by: ^pipe: close, the receiver, one way
# What a closed end has not received keeps its blocks.
s/^    if \(mine->in && !is_busy\(.*drain\(mine->in\);$//
