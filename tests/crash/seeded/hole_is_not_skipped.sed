# file: ipc/queue/mpmc.c
# caught by: ^queue: (put, overtaken by two, two asleep|put, part full)
# A dead producer's place is made empty, but not for the next lap: what lies behind it is not reached.
s/^  if \(shoal_cas64_seq_cst\(ctl, &c, shoal_slot_lap_\(c\) \+ SHOAL_SLOT_LAP_\)\)/  if (shoal_cas64_seq_cst(ctl, \&c, shoal_slot_lap_(c)))/
