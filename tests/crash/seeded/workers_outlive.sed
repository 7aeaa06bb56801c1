# file: ipc/work/pool_place.c
# caught by: ^healing: the creator has more workers$
# Workers are no daemons: those that run a task outlive who started them.
s/\.daemon = 1, \.threaded = pool->options\.threaded/.daemon = 0, .threaded = pool->options.threaded/
