// Units and their owners. An owner word is the index of a directory entry + 1, or 0. Words change under the writer word
// only, and the entry names its run before the first of them changes: whoever repairs finds all words of a run that was
// half claimed or half given back, and tells them from those that somebody else has claimed since.
#include "core/segment_internal.h"

// The end of the run that unit `at` is in, as its owner's entry has it; at + 1 if that is not to be believed.
static uint64_t run_end(struct shoal_segment *seg, uint64_t at, uint32_t owner) {
  if (owner > seg->g.entries) return at + 1;
  const struct shoal_entry_shm *e = &seg->entries[owner - 1];
  uint64_t first = (shoal_load64_relaxed(&e->off) - seg->g.units_off) / SHOAL_UNIT_;
  uint64_t n = shoal_units_(shoal_load64_relaxed(&e->size));
  return at - first < n && n <= seg->g.size_max / SHOAL_UNIT_ ? first + n : at + 1;
}

static int64_t find_between(struct shoal_segment *seg, uint64_t from, uint64_t to, uint64_t n, uint64_t align) {
  uint64_t run = (from + align - 1) / align * align, at = run;
  while (run + n <= to) {
    uint32_t owner = shoal_load32_relaxed(&seg->owners[at]);
    if (owner) at = run = (run_end(seg, at, owner) + align - 1) / align * align;
    else if (++at == run + n) return (int64_t)run;
  }
  return -1;
}

// Next fit: from where the last one ended, so that a series of creations does not look at the same runs again.
int64_t shoal_space_find_(struct shoal_segment *seg, uint64_t n, uint64_t align) {
  uint64_t units = shoal_segment_size_(seg) / SHOAL_UNIT_;
  uint64_t hint = shoal_load64_relaxed(&seg->next_unit);
  if (hint > units) hint = 0;
  int64_t found = find_between(seg, hint, units, n, align);
  if (found < 0 && hint) found = find_between(seg, 0, hint + n < units ? hint + n : units, n, align);
  if (found >= 0) shoal_store64_relaxed(&seg->next_unit, (uint64_t)found + n);
  return found;
}

// Noted before the owner can write there: if it dies in between, memory is zeroed once more than it need be.
uint64_t shoal_space_use_(struct shoal_segment *seg, uint64_t first, uint64_t n) {
  uint64_t used = shoal_load64_relaxed(&seg->header->units_used);
  if (first + n > used) shoal_store64_relaxed(&seg->header->units_used, first + n);
  return used <= first ? 0 : (used - first < n ? used - first : n) * SHOAL_UNIT_;
}

void shoal_space_mark_(struct shoal_segment *seg, uint64_t first, uint64_t n, uint32_t from, uint32_t to) {
  uint64_t units = shoal_segment_size_(seg) / SHOAL_UNIT_;
  for (uint64_t i = first; i < first + n && i < units; i++)
    if (shoal_load32_relaxed(&seg->owners[i]) == from) shoal_store32_relaxed(&seg->owners[i], to);
}
