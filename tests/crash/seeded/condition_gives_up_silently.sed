# file: sync/condition.c
# caught by: ^condition: wait until a deadline
# Whose deadline passes leaves nobody to watch the one before it.
/^static int await/,/^}/s/^( *if \(!w->first\)) hand_on\(w->c, w->seat\);/\1 (void)0;/
