// core/directory_internal.h: what an entry of the directory says. Its states: core/directory.c.
#pragma once

#include "core/directory.h"
#include "core/segment_internal.h"

SHOAL_BEGIN

enum { SHOAL_ENTRY_EMPTY_, SHOAL_ENTRY_FREE_, SHOAL_ENTRY_CREATING_, SHOAL_ENTRY_LIVE_, SHOAL_ENTRY_REMOVED_ };
#define SHOAL_ENTRY_STATE_(w) ((unsigned)((w)&7))
#define SHOAL_ENTRY_GENERATION_(w) ((uint32_t)((w) >> 4) & 0xfffffffu)

// In `whole`: of a part, the entry + 1 and, above it, the generation of the object that it goes with; and of any
// object:
#define SHOAL_WHOLE_(entry, generation) ((uint64_t)(generation) << 32 | ((uint64_t)(entry) + 1))
#define SHOAL_PARTS_ (UINT64_C(1) << 63)  // it has, or had, parts
#define SHOAL_TIED_ (UINT64_C(1) << 62)   // it ends with ties
#define SHOAL_HOLDS_ (UINT64_C(1) << 61)  // others are, or were, tied to it
#define SHOAL_MARKS_ (SHOAL_PARTS_ | SHOAL_TIED_ | SHOAL_HOLDS_)

// The directory's lock, which whoever dies with it leaves to the next, repaired.
int shoal_directory_acquire_(struct shoal_segment *seg);
void shoal_directory_release_(struct shoal_segment *seg);

// What an entry says is there; NULL: that is no run of units, so that what lies in it may not be aligned, or not in the
// segment.
SHOAL_INLINE void *shoal_run_at_(struct shoal_segment *seg, shoal_off off, uint64_t size) {
  return (off - seg->g.units_off) % SHOAL_UNIT_ ? NULL : shoal_segment_at(seg, off, size);
}

// ---- ties (core/tie.c) ----
// One of an object's: it is in force while the word is of that value and the holder is there. The directory's lock.
struct shoal_tie_shm {
  shoal_atomic64 word;  // where it is
  shoal_atomic64 value;
  shoal_atomic64 holder;  // as in `whole`
};
SHOAL_STATIC_ASSERT(sizeof(struct shoal_tie_shm) == 24, "layout");
#define SHOAL_TIES_BYTES_ (SHOAL_TIES_ * sizeof(struct shoal_tie_shm))
// The entry + 1 of one that holds the object of this entry; 0: nothing does. With the directory's lock, or as a hint.
uint32_t shoal_tie_holder_(struct shoal_segment *seg, uint32_t entry);

// *word, the caller's and in the segment, turns from `from`, which it is, into `to`; as long as it is that, and the
// holder is there (its entry and generation), so is the object, which the caller has open. Nothing is changed else:
// -ELOOP the object is the holder, or holds it, by however many between; -EMLINK it has SHOAL_TIES_; -EINVAL it was not
// begun so; -ENOMEM.
int shoal_object_tie_(struct shoal_segment *seg, const struct shoal_object *object, const struct shoal_object *holder,
                      shoal_atomic64 *word, uint64_t from, uint64_t to) SHOAL_MUST_CHECK;

SHOAL_END
