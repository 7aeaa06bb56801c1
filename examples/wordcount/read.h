// read.h: a unit of files becomes a block of text in memory.
#pragma once

#include "examples/wordcount/walk.h"

#define WORD_MAX 64  // letters; what a longer run of letters has more is no word

// Room for a unit's bytes; for each piece the byte before it, the rest of its last word and a separator; and a pad, so
// that who reads 8 bytes at a time may do so to the end.
#define BLOCK_TEXT (UNIT_BYTES + UNIT_SIZE / sizeof(struct piece) * (WORD_MAX + 2) + 64)

struct block {
  uint64_t unit;
  uint32_t files, skipped;  // that begin in this unit; skipped: binary or unreadable
  uint32_t bytes;           // of the files read
  uint32_t size;            // of text
  uint64_t read_ns;         // processor time
  char text[BLOCK_TEXT];
};

// Reads the files of a unit. A word belongs to the piece in which it begins.
void read_unit(const struct unit *unit, struct block *block);

uint64_t cpu_ns(void);  // processor time of this thread
