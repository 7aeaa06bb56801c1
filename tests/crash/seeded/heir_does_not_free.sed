# file: sync/seat.c
# caught by: ^seat: reap
# An heir gives up the word before it has emptied the seat: killed between, what the dead one held is undone by nobody.
s|^ +recover\(seat, arg\);$||
s|^ +shoal_live_drop_\(&seat->live\);.*$|&\n  recover(seat, arg);|
