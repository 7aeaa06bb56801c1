# file: core/directory.c
# caught by: ^nested: remove, with others in it$
# What was tied to what is freed is not looked at: it stays, until a reaper, and below that, for ever.
s/\(whole & \(SHOAL_PARTS_ \| SHOAL_HOLDS_\)\) != 0/0/
