#include "examples/wordcount/walk.h"

#include <fts.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct walk {
  FTS *fts;
  FTSENT *file;    // what the next piece is of; NULL: look for the next file
  uint64_t begun;  // bytes of it that are in units already
  uint64_t limit, bytes, units;
};

static int by_name(const FTSENT **a, const FTSENT **b) { return strcmp((*a)->fts_name, (*b)->fts_name); }

struct walk *walk_open(char *const *paths, uint64_t limit) {
  struct walk *w = calloc(1, sizeof *w);
  if (!w) return NULL;
  w->limit = limit;
  w->fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
  if (w->fts) return w;
  free(w);
  return NULL;
}

void walk_close(struct walk *w) {
  fts_close(w->fts);
  free(w);
}

uint64_t walk_bytes(const struct walk *w) { return w->bytes; }
uint64_t walk_units(const struct walk *w) { return w->units; }

static size_t piece_size(const FTSENT *file) { return (sizeof(struct piece) + file->fts_pathlen + 1 + 7) / 8 * 8; }

// The next regular file with contents, or NULL.
static FTSENT *next_file(struct walk *w) {
  FTSENT *e;
  if (w->bytes >= w->limit) return NULL;
  while ((e = fts_read(w->fts)))
    if (e->fts_info == FTS_F && e->fts_statp->st_size > 0 && piece_size(e) <= PIECES_SIZE) return e;
  return NULL;
}

// Puts the file, or what of it fits, into the unit. 0: there is no room.
static int add_piece(struct walk *w, struct unit *unit) {
  uint64_t left = (uint64_t)w->file->fts_statp->st_size - w->begun;
  uint32_t room = UNIT_BYTES - unit->bytes;
  size_t size = piece_size(w->file);
  if (size > PIECES_SIZE - unit->used || (left > room && unit->bytes > 0)) return 0;
  struct piece *piece = (struct piece *)(unit->pieces + unit->used);
  uint64_t bytes = left < room ? left : room;
  *piece = (struct piece){w->begun, w->begun + bytes, (uint16_t)size};
  memcpy(piece->path, w->file->fts_path, w->file->fts_pathlen + 1);
  unit->used += (uint32_t)size;
  unit->bytes += (uint32_t)bytes;
  w->begun += bytes;
  w->bytes += bytes;
  if (bytes == left) w->file = NULL;
  return 1;
}

int walk_next(struct walk *w, struct unit *unit) {
  unit->id = w->units;
  unit->bytes = unit->used = 0;
  do {
    if (!w->file) {
      w->file = next_file(w);
      w->begun = 0;
    }
  } while (w->file && add_piece(w, unit));
  if (unit->used == 0) return 0;
  w->units++;
  return 1;
}
