# file: ipc/work/supervisor.c
# caught by: ^supervisor: one of two
# Supervised children are no daemons: killed, the supervisor leaves them behind.
s|^  o\.daemon = .*$|  o.daemon = 0;|
