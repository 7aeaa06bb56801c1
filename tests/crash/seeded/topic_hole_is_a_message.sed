# file: ipc/queue/topic_slots.c
# caught by: ^topic: (publish, part full|publish, empty)
# What a dead publisher had claimed is received as if it had been published.
s/(shoal_slot_lap_\(c\) \| shoal_slot_\()SHOAL_TOPIC_HOLE_/\1SHOAL_TOPIC_FULL_/
