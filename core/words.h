// core/words.h: bytes that others may be writing, read and written word by word; whoever reads finds out afterwards whether they
// were of one moment (sync/seqlock.h, ipc/data/item_internal.h).
//
// ORDERING [W1] each word is released as it is written; pairs with [W2], which acquires it: who reads a newer word sees, after it,
//          all that was written before that word.
#pragma once

#include <string.h>

#include "core/atomic.h"

SHOAL_BEGIN

SHOAL_INLINE void shoal_word_read_(const shoal_atomic64 *from, char *to, uint64_t size) {
  uint64_t word = shoal_load64_acquire(from);  // [W2] pairs with [W1]
  memcpy(to, &word, size);
}
// Four words a turn: twice as fast.
SHOAL_INLINE void shoal_words_read_(const shoal_atomic64 *from, void *out, uint64_t size) {
  char *to = (char *)out;
  for (; size >= 32; size -= 32, from += 4, to += 32) {
    shoal_word_read_(from, to, 8);
    shoal_word_read_(from + 1, to + 8, 8);
    shoal_word_read_(from + 2, to + 16, 8);
    shoal_word_read_(from + 3, to + 24, 8);
  }
  for (; size >= 8; size -= 8, from++, to += 8) shoal_word_read_(from, to, 8);
  if (size) shoal_word_read_(from, to, size);
}

SHOAL_INLINE void shoal_word_write_(shoal_atomic64 *to, const char *from, uint64_t size) {
  uint64_t word = 0;
  memcpy(&word, from, size);
  shoal_store64_release(to, word);  // [W1] pairs with [W2]
}
SHOAL_INLINE void shoal_words_write_(shoal_atomic64 *to, const void *in, uint64_t size) {
  const char *from = (const char *)in;
  for (; size >= 32; size -= 32, to += 4, from += 32) {
    shoal_word_write_(to, from, 8);
    shoal_word_write_(to + 1, from + 8, 8);
    shoal_word_write_(to + 2, from + 16, 8);
    shoal_word_write_(to + 3, from + 24, 8);
  }
  for (; size >= 8; size -= 8, to++, from += 8) shoal_word_write_(to, from, 8);
  if (size) shoal_word_write_(to, from, size);
}

SHOAL_END
