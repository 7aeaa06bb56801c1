# file: sync/rwlock.c
# caught by: ^rwlock: (a reader repairs|pair, a writer, then)
# A reader that comes after a writer that died inside sits down as if nothing had been.
s/if \(rc \|\| !seat\) return be_alone/if (!seat) return be_alone/
