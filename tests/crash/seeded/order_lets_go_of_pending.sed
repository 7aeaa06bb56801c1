# file: sync/lock_order.c
# caught by: ^order: wait
# Who waited rises with another word pending than the one it has taken, and not enlisted.
s/shoal_seat_rise_unwatched_\(/shoal_seat_rise_(/
