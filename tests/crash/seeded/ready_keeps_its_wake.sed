# file: ipc/queue/select.c
# caught by: ^select: ready, woken, goes on$
# Who only asks what is ready, and was woken for what it is told of, takes that for performed and hands nothing on.
s/ && !s->only_look && c->result == 0\) continue;$/ \&\& c->result == 0) continue;/
