# file: sync/semaphore.c
# caught by: ^semaphore: asleep before others, holders die
# Sleepers sleep at the gate alone: what a holder's death gives back wakes nobody.
s/^    shoal_watch_add_\(w, word_at\(s, i\), word\);$/    (void)w;/
