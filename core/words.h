// core/words.h: bytes that others may be writing, read and written word by word; whoever reads finds out afterwards
// whether they were of one moment (sync/seqlock.h, ipc/data/item_internal.h).
//
// ORDERING [W1] each word is released as it is written; pairs with [W2], which acquires it: who reads a newer word
//          sees, after it, all that was written before that word.
#pragma once

#include <string.h>

#include "core/atomic.h"

// Two words at a time: loads of any width stay in their order there, and so do stores. ThreadSanitizer is shown each
// word.
#if defined(__SSE2__) && !defined(__SANITIZE_THREAD__)
#define SHOAL_WORDS_IN_PAIRS_
#include <emmintrin.h>
#endif

SHOAL_BEGIN

SHOAL_INLINE void shoal_word_read_(const shoal_atomic64 *from, char *to, uint64_t size) {
  uint64_t word = shoal_load64_acquire(from);  // [W2] pairs with [W1]
  memcpy(to, &word, size);
}
SHOAL_INLINE void shoal_words_read_4_(const shoal_atomic64 *from, char *to) {
#ifdef SHOAL_WORDS_IN_PAIRS_
  __m128i *out = (__m128i *)(void *)to;
  const __m128i *in = (const __m128i *)(const void *)from;
  __m128i a = _mm_loadu_si128(in), b = _mm_loadu_si128(in + 1);
  _mm_storeu_si128(out, a);
  _mm_storeu_si128(out + 1, b);
  SHOAL_COMPILER_BARRIER();  // [W2]: nor does the compiler change the order
#else
  shoal_word_read_(from, to, 8);
  shoal_word_read_(from + 1, to + 8, 8);
  shoal_word_read_(from + 2, to + 16, 8);
  shoal_word_read_(from + 3, to + 24, 8);
#endif
}
// A line a turn. The turns are counted by what waits for nothing, neither for `from` nor for `size`, which may still be
// on their way: what waits is what keeps a processor from beginning what comes after. The compiler would count by the
// address.
SHOAL_INLINE void shoal_words_read_(const shoal_atomic64 *from, void *out, uint64_t size) {
  char *to = (char *)out;
  uint64_t at = 0;
  for (; at + 64 <= size; at += 64) {
    shoal_words_read_4_(from + at / 8, to + at);
    shoal_words_read_4_(from + at / 8 + 4, to + at + 32);
    __asm__("" : "+r"(at));
  }
  if (SHOAL_LIKELY(at == size)) return;
  size -= at, from += at / 8, to += at;
  if (size >= 32) {
    shoal_words_read_4_(from, to);
    size -= 32, from += 4, to += 32;
  }
  for (; size >= 8; size -= 8, from++, to += 8) shoal_word_read_(from, to, 8);
  if (size) shoal_word_read_(from, to, size);
}

SHOAL_INLINE void shoal_word_write_(shoal_atomic64 *to, const char *from, uint64_t size) {
  uint64_t word = 0;
  memcpy(&word, from, size);
  shoal_store64_release(to, word);  // [W1] pairs with [W2]
}
SHOAL_INLINE void shoal_words_write_4_(shoal_atomic64 *to, const char *from) {
#ifdef SHOAL_WORDS_IN_PAIRS_
  const __m128i *in = (const __m128i *)(const void *)from;
  __m128i *out = (__m128i *)(void *)to;
  __m128i a = _mm_loadu_si128(in), b = _mm_loadu_si128(in + 1);
  SHOAL_COMPILER_BARRIER();  // [W1]: nor does the compiler change the order
  _mm_storeu_si128(out, a);
  _mm_storeu_si128(out + 1, b);
#else
  shoal_word_write_(to, from, 8);
  shoal_word_write_(to + 1, from + 8, 8);
  shoal_word_write_(to + 2, from + 16, 8);
  shoal_word_write_(to + 3, from + 24, 8);
#endif
}
SHOAL_INLINE void shoal_words_write_(shoal_atomic64 *to, const void *in, uint64_t size) {
  const char *from = (const char *)in;
  for (; size >= 32; size -= 32, to += 4, from += 32) shoal_words_write_4_(to, from);
  for (; size >= 8; size -= 8, to++, from += 8) shoal_word_write_(to, from, 8);
  if (size) shoal_word_write_(to, from, size);
}

SHOAL_END
