# file: sync/condition.c
# caught by: ^condition: wait, leaves before an older one
# Who is faster than an older one leaves nobody to watch that one.
/^static void leave/,/^}/s/ hand_on\(w->c, w->seat\);/ (void)0;/
