# file: sync/eventcount.c
# caught by: ^queue: stopped, a get on its way to sleep; a close dies$
# A sleeper does not remember what the bell was before its last look: a closing after that look, whose closer dies, is slept through.
s/^  entries\[0\] = s->bell;$/  entries[0] = (struct shoal_futex_entry){s->bell.word, shoal_load32_relaxed(s->bell.word)};/
