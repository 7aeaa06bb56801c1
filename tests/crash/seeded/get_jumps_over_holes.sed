# file: ipc/queue/mpmc.h
# caught by: ^queue: get, overtaken, then a hole
# A get whose hint is behind jumps as far as a put may.
s/^  ahead -= state == SHOAL_SLOT_READING_ .*$/  ahead -= state == SHOAL_SLOT_EMPTY_;/
