# file: ipc/queue/pipe.c
# caught by: ^pipe: give, the receiver asleep
# An end that is given away has no keeper: the other end is told of the end before the heir has come.
s/keep\(mine->(out|in), SHOAL_[A-Z]+, heir\)/(mine->\1 \&\& heir)/g
