// core/segment_internal.h: what a segment holds, and what a process knows of it.
//
//   0        header              one page
//   4096     participants        256 bytes each: core/proc.c
//            directory entries   128 bytes each, a power of two of them: core/directory.c
//            reference lines     64 bytes each, a power of two of them: core/reference.c
//            owner words         4 bytes for each unit there may ever be: core/space.c
//   units    units of 512 bytes  header.size bytes of them are there; up to size_max
//
// Every offset follows from three numbers (participants, objects, size_max), which are read once, checked, and kept in
// private memory. Only what is used is allocated: the tables, and the owner words of the units that are there. Between
// these owner words and the units is a hole that nobody touches.
#pragma once

#include <signal.h>
#include <stdlib.h>

#include "core/atomic.h"
#include "core/count_internal.h"
#include "core/directory.h"
#include "core/futex.h"
#include "core/identity_internal.h"
#include "core/proc.h"
#include "core/robust.h"
#include "core/segment.h"

SHOAL_BEGIN

#define SHOAL_MAGIC_ UINT64_C(0x0a6c616f68730a89)  // a byte that is no text, newline, "shoal", newline: little-endian
#define SHOAL_FORMAT_ 9u                           // raised by every change of the layout or of its meaning
#define SHOAL_PAGE_ UINT64_C(4096)
#define SHOAL_UNIT_ UINT64_C(512)
#define SHOAL_HUGE_PAGE_ (UINT64_C(2) << 20)
#define SHOAL_PARTICIPANTS_MAX_ 65535u  // 16 bits of an id, 0 is nobody
#define SHOAL_OBJECTS_MAX_ 524288u      // 20 bits of a reference name one of the entries
#define SHOAL_SIZE_MAX_ (UINT64_C(1) << 46)

struct shoal_segment_shm {  // NOLINT(clang-analyzer-optin.performance.Padding): lines apart
  // The creator, before anybody sees it. Never changes.
  uint64_t magic;
  uint32_t format;
  uint32_t participants;
  uint64_t layout;  // of all structs below, see SHOAL_LAYOUT_
  struct shoal_place_ place;
  uint64_t size_max;
  uint32_t objects;
  uint32_t unused_;
  char name[SHOAL_NAME_MAX + 1];  // "": anonymous
  uint64_t check;                 // of the bytes above
  // Anybody, upwards only, after the memory has been allocated: bytes of units.
  shoal_atomic64 size SHOAL_ALIGNED(SHOAL_CACHE_LINE);
  // Who owns `writer` may change the directory and the owner words, and counts the entries in use, and the units that
  // were ever given to an object, from the first on: those above are as zero as they were made.
  struct shoal_robust writer SHOAL_ALIGNED(SHOAL_CACHE_LINE);
  shoal_atomic32 objects_used;
  shoal_atomic64 units_used;
};
SHOAL_STATIC_ASSERT(sizeof(struct shoal_segment_shm) == 320, "layout");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_segment_shm, check) == 136, "layout");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_segment_shm, size) == 192, "layout");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_segment_shm, writer) == 256, "layout");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_segment_shm, units_used) == 304, "layout");

// One participant. live.state is its generation; word and generation change together where a slot is freed.
struct shoal_proc_shm {
  union {
    struct shoal_robust live;  // the owner, the kernel at its death
    shoal_atomic64 both;       // word | generation << 32: who frees the slot of a dead owner
  };
  // The owner, after it took `live`. They tell of the generation that `described` names, and of no other.
  shoal_atomic64 start_time;
  shoal_atomic32 pid;
  shoal_atomic32 tid;
  shoal_atomic32 described;
  uint32_t unused_;
  shoal_atomic64 name[8];  // a reader may see a mixture while its owner changes it
  // By enum shoal_count_: the owner, with plain stores, on from where the last one ended; and where that was, as it
  // joined.
  shoal_atomic64 count[SHOAL_COUNTS_], since[SHOAL_COUNTS_];
};
SHOAL_STATIC_ASSERT(sizeof(struct shoal_proc_shm) == 256, "layout");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_proc_shm, start_time) == 40, "layout");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_proc_shm, name) == 64, "layout");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_proc_shm, since) == 192, "counts have a line of their own");

// One name. Who owns the writer word writes it; but the creator alone turns CREATING into LIVE, without that word.
struct shoal_entry_shm {
  shoal_atomic64 state;  // see core/directory.c
  shoal_atomic64 off, size;
  shoal_atomic64 name[8];
  shoal_atomic64 type[4];
  shoal_atomic64 whole;  // of a part: what it is a part of, see core/directory.c
};
SHOAL_STATIC_ASSERT(sizeof(struct shoal_entry_shm) == 128, "layout");

// Who uses which object. A process writes its own records; anybody clears those of a process that is gone.
#define SHOAL_LINE_RECORDS_ 7u
struct shoal_reference_line_shm {
  shoal_atomic64 overflowed;  // 1: records of this line's entries may stand in the next one. Never goes back.
  shoal_atomic64 record[SHOAL_LINE_RECORDS_];
} SHOAL_ALIGNED(SHOAL_CACHE_LINE);
SHOAL_STATIC_ASSERT(sizeof(struct shoal_reference_line_shm) == SHOAL_CACHE_LINE, "layout");

SHOAL_STATIC_ASSERT(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "a word is the low half of the pair it stands in");

#define SHOAL_MIX_(h, x) (((h) ^ (uint64_t)(x)) * UINT64_C(0x100000001b3))
#define SHOAL_LAYOUT_                                                                                                \
  SHOAL_MIX_(                                                                                                        \
      SHOAL_MIX_(                                                                                                    \
          SHOAL_MIX_(                                                                                                \
              SHOAL_MIX_(                                                                                            \
                  SHOAL_MIX_(                                                                                        \
                      SHOAL_MIX_(SHOAL_MIX_(UINT64_C(0xcbf29ce484222325),                                            \
                                            sizeof(struct shoal_segment_shm) << 16 | sizeof(struct shoal_robust)),   \
                                 sizeof(struct shoal_proc_shm) << 16 | offsetof(struct shoal_proc_shm, start_time)), \
                      offsetof(struct shoal_proc_shm, described) << 16 | offsetof(struct shoal_proc_shm, name)),     \
                  sizeof(struct shoal_entry_shm) << 16 | offsetof(struct shoal_entry_shm, name)),                    \
              offsetof(struct shoal_entry_shm, type) << 16 | SHOAL_LINE_RECORDS_),                                   \
          offsetof(struct shoal_segment_shm, size) << 16 | offsetof(struct shoal_segment_shm, writer)),              \
      (uint64_t)offsetof(struct shoal_proc_shm, count) << 32 | SHOAL_UNIT_ << 16 | SHOAL_PAGE_)

// ---- private memory ----

struct shoal_geometry_ {
  uint32_t participants, objects, entries, lines;
  uint64_t size_max;
  uint64_t participants_off, entries_off, lines_off, owners_off, units_off;
  uint64_t length;  // of the mapping
};

// One reference this process holds. A child of fork inherits the list, and registers its own records for it.
struct shoal_held_ {
  shoal_atomic64 what;   // 0 free, or generation << 32 | entry, with SHOAL_HELD_ so that it is never 0
  shoal_atomic64 where;  // epoch << 32 | record + 1; the record 0xffffffff: lost, see shoal_object_confirm
};

struct shoal_segment {
  char *base;
  struct shoal_segment_shm *header;
  struct shoal_proc_shm *procs;
  struct shoal_entry_shm *entries;
  struct shoal_reference_line_shm *lines;
  shoal_atomic32 *owners;
  char *units;
  struct shoal_geometry_ g;
  shoal_atomic64 size;       // of the units, as this process has verified it
  shoal_atomic64 *seats;     // by slot: epoch << 32 | thread, of this process; its thread
  struct shoal_held_ *held;  // held_mask + 1 of them
  uint32_t held_mask;
  shoal_atomic32 held_count;  // at least as many as there are
  shoal_atomic64 held_parts;  // of 64: in which there has ever been one
  shoal_atomic32 held_epoch;  // the epoch for which `held` is registered
  shoal_atomic32 next_slot;   // where to look first; any value is correct
  shoal_atomic64 next_unit;   // the same
  uint64_t serial;            // tells it from every other segment this process ever had
  unsigned flags;
  int looks;           // a private mapping: shoal_segment_look
  uint32_t displaced;  // of one that looks: the participant whose place it took, and who lives; 0: none
  int fd;
  char name[SHOAL_NAME_MAX + 1];
};

// Where segments are. For tests.
extern const char *shoal_shm_directory_;

// The bytes of units that are there, verified; takes notice of growth by others.
uint64_t shoal_segment_size_(struct shoal_segment *seg);

// ---- files ----
// Around what makes a file longer. Beyond RLIMIT_FSIZE the kernel answers EFBIG, and sends the thread a SIGXFSZ, too,
// which ends a process: the answer is enough. No signal comes between the two: fallocate begins again after each, with
// a steady timer for ever.
struct shoal_longer_ {
  sigset_t mask;
  int pending;
};
void shoal_longer_begin_(struct shoal_longer_ *l);
// `rc`: 0, or a negative errno, which it returns; but -ENOSPC for -EFBIG.
int shoal_longer_end_(const struct shoal_longer_ *l, int rc);

// ---- units (core/space.c); all under the writer word ----
SHOAL_INLINE uint64_t shoal_units_(uint64_t bytes) { return (bytes + SHOAL_UNIT_ - 1) / SHOAL_UNIT_; }
// The first of `n` free units in a row, or -1.
int64_t shoal_space_find_(struct shoal_segment *seg, uint64_t n, uint64_t align);
// Notes that the run is given to an object; how many of its bytes may have been another's.
uint64_t shoal_space_use_(struct shoal_segment *seg, uint64_t first, uint64_t n);
// Every word of the run that is `from` becomes `to`.
void shoal_space_mark_(struct shoal_segment *seg, uint64_t first, uint64_t n, uint32_t from, uint32_t to);

// ---- references (core/reference.c) ----
// Puts a record for this process; its index. -ENOSPC.
int shoal_reference_add_(struct shoal_segment *seg, uint32_t entry, uint32_t *record);
void shoal_reference_drop_(struct shoal_segment *seg, uint32_t record);
int shoal_reference_any_(struct shoal_segment *seg, uint32_t entry);
// Clears the records of processes that are gone.
void shoal_reference_sweep_(struct shoal_segment *seg);

int shoal_held_add_(struct shoal_segment *seg, uint32_t entry, uint32_t generation, uint32_t record);
int shoal_held_drop_(struct shoal_segment *seg, uint32_t entry, uint32_t generation);
void shoal_held_drop_all_(struct shoal_segment *seg);
void shoal_held_renew_(struct shoal_segment *seg);
int shoal_held_confirm_(struct shoal_segment *seg, uint32_t entry, uint32_t generation);

// ---- directory (core/directory.c) ----
// Rolls back what dead creators left, and frees what is removed and referred to by nobody.
void shoal_directory_tidy_(struct shoal_segment *seg);
// Whether the entry's memory is still that of this generation. The caller has put a record.
int shoal_directory_has_(struct shoal_segment *seg, uint32_t entry, uint32_t generation);
// Whether no object is in that entry, nor made there, whose generation has these low 8 bits.
int shoal_directory_lost_(struct shoal_segment *seg, uint32_t entry, uint32_t low);
// A reference to `entry` was dropped: frees it, if it is removed and this was the last; and what it kept.
void shoal_directory_freed_(struct shoal_segment *seg, uint32_t entry);
// The same, but 1: it kept others, or did once, and shoal_directory_tidy_ is to follow, once for many.
int shoal_directory_free_(struct shoal_segment *seg, uint32_t entry);

// ---- participants (core/proc.c) ----
// Adds up what has been counted in it, since it was made.
void shoal_proc_counted_(struct shoal_segment *seg, struct shoal_counters *out);
// As shoal_proc_reap; `all`: also looks for dead that the kernel did not mark, and for references of processes gone.
int shoal_proc_reap_(struct shoal_segment *seg, int all);
// Whether a living thread of this process, other than the caller, is a participant.
int shoal_proc_others_(struct shoal_segment *seg);
// The liveness word of a living participant and the value it has, to sleep on; 0 if it is dead or gone.
int shoal_proc_witness_(struct shoal_segment *seg, shoal_proc_id id, struct shoal_futex_entry *out);
// The calling thread's liveness word, or NULL.
const struct shoal_robust *shoal_proc_live_(struct shoal_segment *seg);

SHOAL_END
