// count.h: how often each word occurs: a table that words are counted into, from text or from other tables.
//
// A word is a run of the letters A-Z and a-z, as small letters; of a longer run its first 64 letters.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct counts;

struct counts *counts_create(void);
void counts_destroy(struct counts *c);
void counts_clear(struct counts *c);

// Counts the words of a text. 64 bytes behind its end are readable and no letters.
void counts_add_text(struct counts *c, const char *text, size_t size);

// The whole table as pairs of word and count. Each word takes at most the room it took in the text, so `to` is of the
// text's size and 8 more bytes. Answers the size. In the table's order: whoever merges it goes through memory in order
// too.
size_t counts_encode(const struct counts *c, char *to);
void counts_add_encoded(struct counts *c, const char *from, size_t size);

uint64_t counts_unique(const struct counts *c);
uint64_t counts_words(const struct counts *c);
// Whether both hold the same; if not, prints some words that differ.
int counts_equal(const struct counts *a, const struct counts *b, FILE *out);

struct ranked {
  uint64_t count;
  char word[65];
};
// The commonest words, best first; answers how many.
size_t counts_top(const struct counts *c, struct ranked *top, size_t n);

uint64_t count_lines(const char *text, size_t size);
