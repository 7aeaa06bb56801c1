// unit.h: what a worker is given at a time: some entries of one directory, or a range of a large file; and how far it
// is with it.
//
// The unit lies in the queue, in the hands of one worker. What that has done it writes into the unit itself, state
// after state: who receives it after a death goes on behind what was done, and one whose result may have been sent is
// not worked on any more. So when the result of a unit has come, nobody writes to what it was about.
#pragma once

#include <stdint.h>

#include "core/offset.h"
#include "examples/copy_tree/job.h"
#include "examples/copy_tree/meta.h"

#define UNIT_ENTRIES 64u                 // fewer, and more time goes into queues; more, and the last worker is alone
#define UNIT_NAMES 8192u                 // bytes
#define UNIT_BYTES (INT64_C(1) << 20)    // of contents: one more file ends the unit
#define RANGE_BYTES (INT64_C(16) << 20)  // of a large file
#define PIECE_BYTES (INT64_C(1) << 20)   // of a range, between two states
#define LARGE_BYTES RANGE_BYTES          // a file from here on is cut
#define UNIT_FAILURES (UNIT_NAMES + 8 * UNIT_ENTRIES)  // bytes

enum work { COPY_ENTRIES, COPY_RANGE, VERIFY_ENTRIES, VERIFY_RANGE };
enum { REGULAR = 'f', LARGE = 'F', SYMLINK = 'l', SPECIAL = 's' };  // an entry: one of these, its name, NUL

struct failure {  // then the name, NUL
  int32_t code;   // errno; 0: the step says all
  uint8_t step;
} __attribute__((packed));

struct state {        // of a unit
  uint32_t done, at;  // entries, and bytes of their names; of a range: 1, and bytes of it
  uint32_t failures;  // bytes of those
  struct tally tally;
};

struct unit {
  uint64_t id;
  shoal_off dir;
  uint32_t work, count, used, now;  // used: bytes of names; now: which state counts
  uint32_t large, reserved;         // ranges: whose
  int64_t from, to;                 // ranges
  struct state state[2];
  char names[UNIT_NAMES];
  char failures[UNIT_FAILURES];
};

struct result {
  uint64_t id;
  shoal_off dir;
  uint32_t work, large, failures, reserved;
  struct tally tally;
  char failure[UNIT_FAILURES];
};

#define LARGE_UNIT (UINT64_C(1) << 48)  // of the names of large files' parts: their unit, as it were
struct part {                           // a temporary name
  char name[64];
};
// What is not whole yet has such a name, always the same: whoever does it again finds what a dead one left.
struct part part_name(const struct job *job, uint64_t unit, unsigned entry);
int part_is_one(const char *name);  // any job's

// In the workers.
struct trees;
void unit_do(struct unit *u, struct trees *trees, const struct job *job);
void unit_give_up(struct unit *u);  // whatever is not done has failed
