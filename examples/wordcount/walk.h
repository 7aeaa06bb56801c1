// walk.h: files become units of 1.5 MiB at most: many small files, or a part of a big one.
//
// The walk is deterministic (sorted), so that the same paths give the same units with the same numbers: 0, 1, 2...
#pragma once

#include <stdint.h>

// Larger, and there is more memory to be touched for the first time; smaller, and processes sleep and wake more often.
// Many tiny files end a unit early: opening them takes longer than counting them, and the workers would have nothing to
// do.
#define UNIT_BYTES (UINT32_C(1536) << 10)  // of file contents in a unit, at most
#define UNIT_SIZE (UINT32_C(24) << 10)     // of a struct unit
#define PIECES_SIZE (UNIT_SIZE - 16)

struct piece {  // bytes from..to of a file
  uint64_t from, to;
  uint16_t size;  // of this struct with its path, a multiple of 8
  char path[];
};

struct unit {
  uint64_t id;
  uint32_t bytes;  // of file contents
  uint32_t used;   // of pieces
  char pieces[PIECES_SIZE];
};

struct walk;

// `paths` as for fts(3). The walk ends with the file that brings the bytes to `limit`. NULL: no memory, or no such
// path.
struct walk *walk_open(char *const *paths, uint64_t limit);
// 1 and the next unit; 0 there are no more.
int walk_next(struct walk *w, struct unit *unit);
uint64_t walk_bytes(const struct walk *w);  // so far
uint64_t walk_units(const struct walk *w);
void walk_close(struct walk *w);
